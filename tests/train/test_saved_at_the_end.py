"""A checkpoint is saved if training ends by an exception or SIGTERM, and only one process may use it."""

import os
import signal
import threading
from contextlib import contextmanager
from itertools import product
from multiprocessing import Pipe, get_context
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from conditions import full_disk
from sampled import sampled
from vecprop import blocks
from vecprop.files import atomic
from vecprop.files.checkpoint import store

R = np.random.default_rng(0)
X = R.normal(size=(90, 4))
T = np.sin(X[:, 0]) + R.normal(0, 0.3, 90)
NETWORK = vp.Network(4, [vp.Dense(6), vp.Tanh(), vp.Dense(1)], vp.SquaredError())
MODEL: dict[str, Any] = {
    "hidden_layer_sizes": (5,),
    "max_iter": 12,
    "n_iter_no_change": 20,
    "random_state": 0,
}
MEMBERS = [
    vp.Member(
        NETWORK, NETWORK.init(seed), vp.Adam(), epochs=999, batch_size=9, seed=seed
    )
    for seed in range(6)
]
SECONDS = 600
"""The limit for waiting. On a busy machine, compiling the kernels takes more than a
minute if none is cached.
"""
ALONE = [
    vp.Member(NETWORK, NETWORK.init(seed), vp.LBFGS(), epochs=3) for seed in range(4)
]
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Training interrupted"
)


class Broken(blocks.ArrayBlocks):
    """Blocks with one block that cannot be read a second time."""

    def __init__(self, event):
        super().__init__(X.astype(np.float32), T.astype(np.float32), rows=10)
        self.event, self.count = event, 0

    def read(self, number):
        self.count += 1
        if self.count == 60:
            self.event()
        return super().read(number)

    def digest(self):
        return "these"


def single(path, event, engine: Any = "auto"):
    def strike(state):
        return event() if state.epoch == 5 else None

    settings: dict[str, Any] = {
        "optimizer": vp.Adam(),
        "epochs": 9,
        "batch_size": 16,
        "callbacks": [strike],
    }
    kept = None if path is None else vp.Checkpoint(path / "run.npz")
    result = vp.train(
        NETWORK, NETWORK.init(0), X, T, **settings, engine=engine, checkpoint=kept
    )
    return [result.theta, result.history.loss, result.state.optimizer["m"]]


def in_blocks(path, event):
    kept = None if path is None else vp.Checkpoint(path / "run.npz")
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(),
        "epochs": 12,
        "batch_size": 16,
        "window": 50,
    }
    with pytest.warns(UserWarning, match="A window has"):
        result = blocks.train_blocks(
            NETWORK, NETWORK.init(0), Broken(event), **settings, checkpoint=kept
        )
    return [result.theta, result.history.loss]


def population(path, event, members=MEMBERS, workers=None):
    def strike(now):
        return event() if now.ended >= 2 else None

    kept = None if path is None else vp.Checkpoint(path / "folder")
    found = vp.train_population(
        members, X, T, progress=strike, checkpoint=kept, workers=workers
    )
    return [result.theta for result in found]


class Lost:
    """Workers, one bundle each, that are lost after half of them."""

    def run(self, function, bundles, data):
        for place, bundle in enumerate(bundles):
            yield place, function(bundle, data)


def estimator(path, event, of_score=lambda number: None, every=60.0):
    def score(model, rows, y):
        scored.append(y)
        of_score(len(scored))
        return model.score(rows, y)

    scored: list[Any] = []
    kept = None if path is None else vp.Checkpoint(path / "run.npz", every)
    settings: Any = {
        "callbacks": [lambda state: event() if state.epoch == 5 else None],
        "checkpoint": kept,
    }
    model = vp.MLPRegressor(
        **MODEL, scoring=score, **settings, early_stopping=True
    ).fit(X, T)
    return [
        model.theta_,
        model.score_curve_,
        model.validation_scores_,
        model.loss_curve_,
    ]


def table(path, event):
    def strike(now):
        return event() if now.ended else None

    kept = None if path is None else vp.Checkpoint(path / "folder")
    settings: dict[str, Any] = {
        "n_estimators": 3,
        "hidden_layer_sizes": 32,
        "n_iter_no_change": 1500,
        "max_iter": 300,
    }
    settings |= {"random_state": 0}
    pd = pytest.importorskip("pandas")
    model = vp.TabularRegressor(**settings, progress=strike, checkpoint=kept).fit(
        pd.DataFrame(X), T
    )
    return [view.thetas for view in model.ensemble_.views]


WORKS = {
    "compiled": single,
    "reference": lambda path, event: single(path, event, "reference"),
    "blocks": in_blocks,
    "population": population,
    "alone": lambda path, event: population(path, event, ALONE),
    "workers": lambda path, event: population(path, event, workers=Lost()),
    "estimator": estimator,
    "table": table,
}


def nothing():
    """Let training continue."""


def error():
    raise ZeroDivisionError("mine")


def leave():
    raise SystemExit(7)


def terminate():
    signal.raise_signal(signal.SIGTERM)


def kept_in(path):
    """Return the results in folders, and the epochs in a file."""
    parts = (
        sum(
            len(store.container.read_document(part)["keys"])
            for part in path.rglob("part-*")
        )
        / store.WIDTH
    )
    return parts + sum(vp.load(file).state.epoch for file in path.glob("run.npz"))  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("work", "event"), sampled(product(WORKS, (error, leave, terminate)), 4)
)
def test_finished_work_is_saved_and_training_resumes_bit_identically(
    work, event, tmp_path, monkeypatch, limit
):
    """The checkpoint is otherwise written once a minute."""
    raised = ZeroDivisionError if event is error else SystemExit
    monkeypatch.setenv("VECPROP_NUM_THREADS", "1")
    limit("bundle: members", 1)
    limit("threads: seconds between polls", 1e-4)
    before, run = (
        [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)],
        WORKS[work],
    )
    with pytest.raises(raised) as caught:
        run(tmp_path, event)
    if raised is SystemExit:
        assert caught.value.code == (7 if event is leave else 143)  # pyright: ignore[reportAttributeAccessIssue]
    assert [
        signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)
    ] == before
    assert kept_in(tmp_path) >= 1
    assert not list(tmp_path.rglob(".*"))
    for one, other in zip(run(tmp_path, nothing), run(None, nothing), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_without_a_score_is_not_saved(tmp_path, limit):
    limit("checkpoint: share of the time", np.inf)
    with pytest.raises(ZeroDivisionError):
        estimator(
            tmp_path, nothing, lambda number: error() if number == 7 else None, every=0
        )
    assert kept_in(tmp_path) == 3
    for one, other in zip(
        estimator(tmp_path, nothing), estimator(None, nothing), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_run_stopped_in_its_last_epoch_ends_with_the_reason_of_a_whole_run(
    engine, tmp_path
):
    def strike(state):
        return error() if state.epoch == 9 else None

    settings: dict[str, Any] = {"optimizer": vp.Adam(), "epochs": 9, "engine": engine}
    settings["checkpoint"] = vp.Checkpoint(tmp_path / "run.npz")
    with pytest.raises(ZeroDivisionError):
        vp.train(NETWORK, NETWORK.init(0), X, T, **settings, callbacks=[strike])
    for _ in range(2):
        result = vp.train(NETWORK, NETWORK.init(0), X, T, **settings)
        assert (result.reason, result.state.epoch, len(result.history.loss)) == (
            "epochs",
            9,
            10,
        )


def test_a_custom_handler_decides_on_sigterm(tmp_path):
    def own(number, frame):
        calls.append(number)
        if len(calls) == 2:
            raise InterruptedError("mine")

    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, own)
    try:
        single(tmp_path, terminate)  # goes on
        assert kept_in(tmp_path) == 9
        (tmp_path / "run.npz").unlink()
        with pytest.raises(InterruptedError, match="mine"):
            single(tmp_path, terminate)
        assert kept_in(tmp_path) == 5
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_two_sigterms_in_a_row_count_once(tmp_path, limit):
    """`timeout` sends the signal to the process and then to its group."""
    # a busy machine may pause between the signals
    limit("interrupts: seconds between two", SECONDS)

    def twice():
        terminate()
        terminate()

    with pytest.raises(SystemExit):
        single(tmp_path, twice)
    assert kept_in(tmp_path) == 5


def hold_and_fork(folder, told):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with store.held(folder, is_folder=True):
        for end in (terminate, leave):
            if not (child := os.fork()):
                end()
            told.send(
                (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.listdir(folder))
            )
        signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)
def test_forked_processes_end_and_leave_the_lock(tmp_path):
    """A pool ends its processes by SIGTERM. A default handler of Ctrl-C also ends them at once."""
    heard, told = Pipe(duplex=False)
    program = get_context("fork").Process(target=hold_and_fork, args=(tmp_path, told))
    program.start()
    program.join()
    assert [heard.recv(), heard.recv()] == [
        (-signal.SIGTERM, [".lock"]),
        (7, [".lock"]),
    ]
    assert program.exitcode == -signal.SIGINT


def test_a_lock_that_cannot_be_written_is_skipped(tmp_path, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(atomic.socket, "gethostname", lambda: error())
        with pytest.raises(ZeroDivisionError), store.held(tmp_path, is_folder=True):
            pass
    with store.held(tmp_path, is_folder=True):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows needs a privilege to make links")
def test_a_file_is_locked_under_all_its_names(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "run.npz")
    told = []

    def other():
        try:
            vp.train(
                NETWORK,
                NETWORK.init(0),
                X,
                T,
                optimizer=vp.Adam(),
                checkpoint=vp.Checkpoint(tmp_path / "link.npz"),
            )
        except ValueError as refusal:
            told.append(str(refusal))

    def wait():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    single(tmp_path, wait)
    assert "link.npz is in use by process" in told[0]


def test_a_full_disk_does_not_hide_the_error_that_ends_training(tmp_path):
    with full_disk(), pytest.raises(ZeroDivisionError) as caught:
        single(tmp_path, error)
    assert "could not be saved: [Errno 28]" in caught.value.__notes__[0]


@contextmanager
def busy(work, path):
    """Let another thread hold a checkpoint."""
    begun, end = threading.Event(), threading.Event()

    def wait():
        begun.set()
        end.wait(SECONDS)

    other = threading.Thread(target=work, args=(path, wait))
    other.start()
    try:
        assert begun.wait(SECONDS)
        yield
    finally:
        end.set()
        other.join()


@pytest.mark.parametrize("work", ["compiled", "alone", "estimator"])
def test_a_second_user_of_a_file_gets_an_error_that_names_the_first(work, tmp_path):
    with busy(WORKS[work], tmp_path):
        files = {
            path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
        }
        with pytest.raises(
            ValueError,
            match=(
                rf"(run.npz|folder) is in use by process {os.getpid()} on .* since"
                r" 20.*: wait"
            ),
        ):
            WORKS[work](tmp_path, nothing)
        assert {
            path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
        } == files
    assert not list(tmp_path.rglob(".*"))


def test_ctrl_c_while_the_last_checkpoint_is_written_keeps_the_finished_run(tmp_path):
    class InterruptedOnce(vp.Checkpoint):
        def _write(self, result):
            reasons.append(result.reason)
            if len(reasons) == 1:
                raise KeyboardInterrupt
            super()._write(result)

    reasons = []
    settings: dict[str, Any] = {"optimizer": vp.Adam(), "epochs": 3}
    settings["checkpoint"] = InterruptedOnce(tmp_path / "run.npz", every=1e9)
    with pytest.raises(KeyboardInterrupt):
        vp.train(NETWORK, NETWORK.init(0), X, T, **settings)
    assert reasons == ["epochs", "epochs"]
    assert vp.train(NETWORK, NETWORK.init(0), X, T, **settings).reason == "epochs"
