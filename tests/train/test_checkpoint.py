"""A killed and restarted run is bit-identical to an uninterrupted one, and its file is never damaged."""

import os
import time
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from conditions import Killed, current_limit, full_disk
from fits import Cube, require_same
from sampled import sampled
from vecprop.files.checkpoint import store
from vecprop.files.model_file import information
from vecprop.terminal.messages import UsageError
from vecprop.terminal.output_files import writable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
T = np.sin(X[:, 0]) + RNG.normal(0, 0.3, 90)


def network(*layers):
    return vp.Network(
        4, [vp.Dense(6), vp.Tanh(), *layers, vp.Dense(1)], vp.SquaredError()
    )


PLAIN = network()
RUNS: dict[str, dict[str, Any]] = {
    "mini-batches": {"optimizer": vp.Momentum(0.02)},
    "full batches": {
        "batch_size": None,
        "clip_norm": 0.5,
        "optimizer": vp.RMSProp(0.02),
    },
    "exact": {"training_loss": "exact", "optimizer": vp.AdamW(0.02)},
    "dropout and cosine": {
        "network": network(vp.Dropout(0.3)),
        "schedule": vp.Cosine(),
    },
    "early stopping": {"early_stopping": vp.EarlyStopping(patience=4), "epochs": 60},
    "stagnation and adaptive": {
        "early_stopping": vp.EarlyStopping(
            "loss", 1e-3, 6, restore_best=False, compare_to="best"
        ),
        "schedule": vp.WarmUp(3, vp.Adaptive(patience=1, tolerance=0.01)),
        "epochs": 60,
    },
    "the score and one cycle": {
        "early_stopping": vp.EarlyStopping("validation_score", patience=9),
        "schedule": vp.OneCycle(),
        "optimizer": vp.Nesterov(0.02),
    },
    "no validation": {
        "validation": None,
        "validation_score": None,
        "optimizer": vp.GradientDescent(0.05),
    },
    "members": {
        "theta": PLAIN.init(range(3)),
        "early_stopping": vp.EarlyStopping(patience=4),
        "schedule": vp.Adaptive(patience=1, tolerance=0.01),
        "epochs": 60,
    },
}


def fit(network=PLAIN, theta=None, **changes):
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(0.02),
        "epochs": 20,
        "batch_size": 16,
        "validation": (X[60:], T[60:]),
        "validation_score": "r2",
    }
    return vp.train(
        network,
        network.init(0) if theta is None else theta,
        X[:60],
        T[:60],
        **settings | changes,
    )


@pytest.fixture(autouse=True)
def written_after_each_epoch(limit):
    limit("checkpoint: share of the time", np.inf)


@pytest.mark.parametrize(
    "engine", ["compiled", pytest.param("reference", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("run", sampled(RUNS))
def test_a_run_interrupted_anywhere_resumes_bit_identically(run, engine, tmp_path):
    settings: dict[str, Any] = RUNS[run] | {"engine": engine}
    whole = fit(**settings)
    last, path = whole.state.epoch, tmp_path / "run.npz"
    for kills in ([1], [2, last // 2], [last]):
        path.unlink(missing_ok=True)
        for kill in kills:

            def end(state, kill=kill):
                if state.epoch == kill:
                    raise Killed

            with pytest.raises(Killed):
                fit(
                    **settings, callbacks=[end], checkpoint=vp.Checkpoint(path, every=0)
                )
            if kill > 1:
                assert vp.load(path).state.epoch == kill - 1
        require_same(fit(**settings, checkpoint=vp.Checkpoint(path, every=0)), whole)


@pytest.mark.parametrize("rule", [None, vp.EarlyStopping(patience=500)], ids=str)
def test_epochs_of_one_kernel_call_resume_bit_identically(rule, tmp_path, limit):
    """Epochs run in one kernel call if no callback is called after each."""

    class WrittenThrice(vp.Checkpoint):
        count = 0

        def _write(self, result):
            self.count += 1
            if self.count == 4:
                raise Killed
            super()._write(result)

    settings: dict[str, Any] = {"epochs": 400, "early_stopping": rule}
    whole = fit(**settings)
    checkpoint = vp.Checkpoint(tmp_path / "run.npz", every=0)
    seconds = current_limit("compiled: seconds in a call")
    limit("compiled: seconds in a call", 1e-4)
    with pytest.raises(Killed):
        fit(**settings, checkpoint=WrittenThrice(checkpoint.path, every=0))
    limit("compiled: seconds in a call", seconds)
    begun: Any = vp.load(checkpoint.path)
    assert 0 < begun.state.epoch < 400
    require_same(fit(**settings, checkpoint=checkpoint), whole)


def train_and_die(path):
    """Train until the fifth write, and end the process within it."""
    rename, count = os.replace, iter(range(100))
    os.replace = lambda *names: os._exit(9) if next(count) == 4 else rename(*names)
    store.SHARE = np.inf
    fit(callbacks=[lambda state: False], checkpoint=vp.Checkpoint(path, every=0))


@pytest.mark.long
def test_a_process_killed_while_writing_resumes_bit_identically(tmp_path):
    """It leaves a lock and an unfinished file, which the next process removes."""
    path = tmp_path / "run.npz"
    program = get_context("spawn").Process(target=train_and_die, args=(path,))
    program.start()
    program.join()
    begun: Any = vp.load(path)
    assert (program.exitcode, begun.state.epoch, len(list(tmp_path.iterdir()))) == (
        9,
        4,
        3,
    )
    require_same(fit(checkpoint=vp.Checkpoint(path)), fit())
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_run_returns_at_once_and_can_be_extended(tmp_path):
    checkpoint, calls = vp.Checkpoint(tmp_path / "run.npz"), []
    first = fit(checkpoint=checkpoint)
    require_same(fit(checkpoint=checkpoint, callbacks=[calls.append]), first)
    assert not calls
    require_same(fit(checkpoint=checkpoint, epochs=33), fit(epochs=33))
    stopped: dict[str, Any] = {
        "early_stopping": vp.EarlyStopping(patience=4),
        "checkpoint": vp.Checkpoint(tmp_path / "other"),
    }
    require_same(
        fit(**stopped, epochs=90), fit(**stopped, epochs=60, callbacks=[calls.append])
    )
    assert not calls


def test_a_file_instead_of_a_checkpoint_folder_is_refused(tmp_path):
    (tmp_path / "mine").write_text("mine")
    refused = pytest.raises(
        ValueError,
        match=(
            "mine is a file, but the checkpoint needs a folder there: give another path"
        ),
    )
    with refused:
        fit(checkpoint=vp.Checkpoint(tmp_path / "mine" / "runs" / "run.npz"))
    with refused:
        vp.train_population(
            [vp.Member(PLAIN, PLAIN.init(0), vp.Adam())],
            X,
            T,
            checkpoint=vp.Checkpoint(tmp_path / "mine"),
        )
    ensemble = vp.MLPEnsembleClassifier(
        vp.MLPClassifier((2,)),
        2,
        checkpoint=vp.Checkpoint(tmp_path / "mine"),
        random_state=0,
    )
    with refused:
        ensemble.fit(X, np.arange(len(X)) % 2)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_read_only_folder_is_refused_before_training(tmp_path, monkeypatch):
    # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for path in ("run.npz", "runs/run.npz"):
        with pytest.raises(
            PermissionError,
            match=r"The folder .* is not writable: give the checkpoint another",
        ):
            fit(
                checkpoint=vp.Checkpoint(tmp_path / path),
                callbacks=[lambda state: 1 / 0],
            )


@pytest.mark.parametrize(
    "settings",
    [{"callbacks": [lambda state: state.epoch == 5]}, RUNS["early stopping"]],
    ids=["callback", "rule"],
)
def test_a_run_killed_at_its_end_ends_for_the_same_reason(settings, tmp_path):
    class WithoutEnd(vp.Checkpoint):
        def _write(self, result):
            if result.reason != "interrupted":
                raise Killed
            super()._write(result)

    checkpoint = vp.Checkpoint(tmp_path / "run.npz", every=0)
    with pytest.raises(Killed):
        fit(**settings, checkpoint=WithoutEnd(checkpoint.path, every=0))
    for _ in range(2):
        require_same(fit(**settings, checkpoint=checkpoint), fit(**settings))


def test_ctrl_c_saves_finished_epochs(tmp_path):
    def press(state):
        if state.epoch == 7:
            raise KeyboardInterrupt

    # the folders are created
    checkpoint = vp.Checkpoint(tmp_path / "runs" / "first" / "run.npz")
    assert fit(callbacks=[press], checkpoint=checkpoint).reason == "interrupted"
    assert checkpoint.path.exists()
    require_same(fit(checkpoint=checkpoint), fit())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"network": network(vp.Dropout(0.1))}, "its network differs"),
        ({"theta": PLAIN.init(1)}, "its start differs"),
        ({"optimizer": vp.Adam(0.03), "seed": 1}, "its optimizer and its seed differ"),
        ({"batch_size": 20}, "its batch_size differs"),
        ({"clip_norm": 1.0}, "its clip_norm differs"),
        ({"training_loss": "exact"}, "its training_loss differs"),
        ({"early_stopping": vp.EarlyStopping()}, "its early_stopping differs"),
        ({"engine": "reference"}, "its engine differs"),
        ({"validation": (X[60:], T[60:] + 1)}, "its validation T differs"),
        (
            {"validation": None, "validation_score": None},
            "its validation_score and its validation X and its validatio",
        ),
        ({"sample_weight": np.linspace(1, 2, 60)}, "its sample_weight differs"),
        ({"epochs": 10}, "it has reached epoch 20, beyond the 10"),
    ],
    ids=str,
)
def test_the_file_of_another_run_is_refused_and_stays(changes, named, tmp_path):
    checkpoint = vp.Checkpoint(tmp_path / "run.npz", every=0)
    fit(checkpoint=checkpoint)
    before = checkpoint.path.read_bytes()
    with pytest.raises(ValueError, match=f"is the checkpoint of another run: {named}"):
        fit(**changes, checkpoint=checkpoint)
    assert checkpoint.path.read_bytes() == before


def test_settings_with_the_same_meaning_continue_a_run(tmp_path):
    checkpoint = vp.Checkpoint(tmp_path / "run.npz", every=0)
    result = fit(batch_size=None, clip_norm=1, checkpoint=checkpoint)
    same = {"batch_size": 61, "training_loss": "exact", "clip_norm": 1.0}
    again = fit(**same, schedule=vp.Constant(), checkpoint=checkpoint)
    require_same(again, result)


@pytest.mark.parametrize("schedule", [vp.Cosine(), vp.WarmUp(30, vp.Cosine())], ids=str)
def test_a_schedule_of_another_length_is_refused(schedule, tmp_path):
    checkpoint = vp.Checkpoint(tmp_path / "run.npz")
    fit(schedule=schedule, checkpoint=checkpoint)
    with pytest.raises(ValueError, match="its schedule is for 20 epochs, not 30"):
        fit(schedule=schedule, epochs=30, checkpoint=checkpoint)


def test_a_longer_run_compares_a_sample_of_learning_rates(tmp_path, monkeypatch, limit):
    compared, factor = [], vp.InverseScaling.factor

    def counted(self, step, steps, state):
        compared.append(steps)
        return factor(self, step, steps, state)

    limit("checkpoint: compared settings", 7)
    fit(
        schedule=vp.InverseScaling(),
        epochs=60,
        checkpoint=vp.Checkpoint(tmp_path / "run.npz"),
    )
    monkeypatch.setattr(vp.InverseScaling, "factor", counted)
    result = fit(
        schedule=vp.InverseScaling(),
        epochs=61,
        checkpoint=vp.Checkpoint(tmp_path / "run.npz"),
    )
    assert compared.count(min(compared)) == 7
    require_same(result, fit(schedule=vp.InverseScaling(), epochs=61))


def test_a_full_disk_is_found_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(
        OSError,
        match=(
            r"The disk of the folder .* is full: make room, or give the checkpoint"
            r" another"
        ),
    ):
        fit(checkpoint=vp.Checkpoint(tmp_path / "run.npz"), callbacks=[pytest.fail])
    with pytest.raises(
        UsageError,
        match=(
            r"The disk of the folder .* is full: free some space, or choose another"
            r" name with -o"
        ),
    ):
        writable(tmp_path / "model.npz", force=False)


def test_other_files_are_never_overwritten(tmp_path):
    path = tmp_path / "model.npz"
    vp.save(vp.export.TrainedNetwork(PLAIN, PLAIN.init(0)), path)
    for content, error in (
        (path.read_bytes(), "is a model, not a checkpoint"),
        (b"mine", "is not a model file"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=error):
            fit(checkpoint=vp.Checkpoint(path, every=0))
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"checkpoint": "run.npz"},
            (
                r'checkpoint must be a Checkpoint, such as Checkpoint\("run.npz"\), got'
                r" \'run.npz"
            ),
        ),
        ({"state": fit(epochs=1).state}, "omit state"),
        ({"optimizer": vp.LBFGS(), "batch_size": None}, "omit checkpoint"),
        (
            {"network": network(Cube()), "engine": "reference"},
            "Cube, but a model file can hold",
        ),
        ({"theta": PLAIN.init(0).astype(np.float16)}, "theta has dtype float16"),
    ],
    ids=["text", "state", "lbfgs", "own part", "float16"],
)
def test_runs_that_cannot_be_saved_are_refused_before_training(
    changes, error, tmp_path
):
    with pytest.raises((TypeError, ValueError), match=error):
        fit(**{"checkpoint": vp.Checkpoint(tmp_path / "run.npz")} | changes)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="every is -1"):
        vp.Checkpoint(tmp_path / "run.npz", every=-1)


@pytest.mark.parametrize(
    ("every", "cost", "writes"), [(9, 0.05, 1), (9, 0.2, 0), (60, 0.05, 0)]
)
def test_writing_takes_one_percent_of_the_time(
    every, cost, writes, tmp_path, monkeypatch
):
    class Recorded(vp.Checkpoint):
        def _write(self, result):
            written.append(result)

    monkeypatch.undo()
    written: list[object] = []
    checkpoint = Recorded(tmp_path / "run.npz", every)
    checkpoint._throttle = store.Throttle(every)
    checkpoint._throttle.written, checkpoint._throttle.cost = (
        time.perf_counter() - 10,
        cost,
    )
    checkpoint._after_epoch(fit(epochs=0))
    assert len(written) == writes


def test_a_full_disk_ends_training_and_keeps_the_file(tmp_path):
    checkpoint = vp.Checkpoint(tmp_path / "run.npz", every=0)
    # the fourth file, because the folder is synced after each file
    with full_disk(6, failures=1), pytest.raises(OSError, match="No space left"):
        fit(checkpoint=checkpoint, callbacks=[lambda state: None])
    assert list(tmp_path.iterdir()) == [checkpoint.path]
    assert information(checkpoint.path)["checkpoint"]["reason"] == "interrupted"
    require_same(fit(checkpoint=checkpoint), fit())
