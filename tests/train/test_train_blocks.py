"""Training on blocks of rows is bit-identical to training in memory."""

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from conditions import Killed
from fits import require_same
from vecprop.core.counter_rng import permutation
from vecprop.system.threads import limit_threads
from vecprop.train.blocks.windows import CheckedBlocks, Windows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(330, 4))
T = (X[:, 0] + RNG.normal(0, 0.3, 330) > 0).astype(int)
W = RNG.uniform(0, 2, 330) * (RNG.random(330) < 0.7)
VALIDATION: dict[str, Any] = {
    "validation": (X[:60], T[:60]),
    "validation_score": "accuracy",
}


def network(*layers, reduction: Any = "mean"):
    every: Any = [vp.Dense(8), vp.Tanh(), *layers, vp.Dense(2)]
    return vp.Network(
        4, every, vp.SoftmaxCrossEntropy(reduction=reduction), vp.L2(1e-3)
    )


PLAIN, DROPPING = network(), network(vp.LayerNorm(), vp.Dropout(0.3))
LONG = VALIDATION | {"epochs": 30}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"network": DROPPING, "schedule": vp.Cosine(), "clip_norm": 0.5},
    "sums": {
        "network": network(reduction="sum"),
        "weight": W,
        "optimizer": vp.Momentum(0.001),
    },
    "weights": {"network": DROPPING, "weight": W} | VALIDATION,
    "early stopping": (
        {
            "early_stopping": vp.EarlyStopping(patience=2),
            "optimizer": vp.Adam(0.3),
        }
        | LONG
    ),
    "adaptive": {"schedule": vp.Adaptive(patience=1, tolerance=0.1), "epochs": 9},
    "as they lie": {"shuffle": False},
    "full batches": {"batch_size": 330},
}


def start(network, dtype=np.float64):
    return network.init(1, dtype=dtype)


def fit(
    network=PLAIN,
    weight=None,
    rows=20,
    dtype=np.float64,
    blocks=None,
    theta=None,
    **changes,
):
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(0.01),
        "epochs": 3,
        "batch_size": 50,
        "seed": 3,
    }
    blocks = (
        vp.blocks.ArrayBlocks(X, T, weight, rows=rows) if blocks is None else blocks
    )
    theta = start(network, dtype) if theta is None else theta
    return vp.blocks.train_blocks(network, theta, blocks, **settings | changes)


def in_memory(network=PLAIN, weight=None, dtype=np.float64, **changes):
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(0.01),
        "epochs": 3,
        "batch_size": 50,
        "seed": 3,
    }
    settings |= {"sample_weight": weight, "training_loss": "running"}
    return vp.train(network, start(network, dtype), X, T, **settings | changes)


def mixed(**changes):
    """Train on several windows, which intentionally have few blocks."""
    with pytest.warns(UserWarning, match="A window has"):
        return fit(window=120, **changes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", SETTINGS)
def test_one_window_is_bit_identical_to_a_fit_in_memory(settings, dtype):
    require_same(
        fit(**SETTINGS[settings], dtype=dtype),
        in_memory(**SETTINGS[settings], dtype=dtype),
    )


@pytest.mark.parametrize("shape", [(784, 128, 10), (1024, 1024, 1024)], ids=str)
@pytest.mark.long
def test_layers_split_between_threads_are_bit_identical(shape):
    I, hidden, O = shape
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(700, I)).astype(np.float32), rng.integers(0, O, 700)
    network = vp.Network(
        I, [vp.Dense(hidden), vp.ReLU(), vp.Dense(O)], vp.SoftmaxCrossEntropy()
    )
    theta, settings = (
        network.init(0, dtype=np.float32),
        {"optimizer": vp.Adam(), "epochs": 2, "batch_size": 256},
    )
    streamed = vp.blocks.train_blocks(
        network, theta, vp.blocks.ArrayBlocks(X, t, rows=64), **settings
    )
    require_same(
        streamed, vp.train(network, theta, X, t, training_loss="running", **settings)
    )


@pytest.mark.parametrize("batch_size", [7, 50, 110])
def test_several_windows_equal_a_fit_in_memory_in_their_order(batch_size):
    """A batch may span several windows, and a window may be smaller than a batch."""
    sizes = [20, 100, 7, 3, 120, 50, 30]
    blocks = Pieces(sizes)
    windows = Windows(sizes, lambda block: [], window=120, shuffle=True, seed=3, room=0)
    order = np.concatenate([windows_order(windows, epoch) for epoch in range(2)])
    streamed = mixed(blocks=blocks, batch_size=batch_size, epochs=2, clip_norm=0.5)
    theta, state, losses = start(PLAIN), None, []
    for epoch in range(2):
        rows = order[330 * epoch : 330 * (epoch + 1)]
        assert sorted(rows) == list(range(330))
        settings: dict[str, Any] = {
            "batch_size": batch_size,
            "shuffle": False,
            "training_loss": "running",
        }
        whole = vp.train(
            PLAIN,
            theta,
            X[rows],
            T[rows],
            optimizer=vp.Adam(0.01),
            epochs=1,
            clip_norm=0.5,
            state=state,
            **settings,
        )
        theta, state = whole.theta, whole.state
        losses.append(
            [
                whole.history.loss[0],
                whole.history.gradient_norm[0],
                whole.history.step_size[0],
            ]
        )
    np.testing.assert_array_equal(streamed.theta, theta, strict=True)
    curves = (
        streamed.history.loss,
        streamed.history.gradient_norm,
        streamed.history.step_size,
    )
    np.testing.assert_allclose(np.transpose(curves), losses, rtol=1e-12)


def windows_order(windows, epoch):
    """Return the order of all rows in an epoch; each window has the order of a fit in memory."""
    everyone = permutation(3, epoch, windows.rows)
    parts = []
    for blocks in windows.of_epoch(epoch):
        rows = np.concatenate(
            [np.arange(windows.starts[b], windows.starts[b + 1]) for b in blocks]
        )
        assert len(rows) <= 120
        parts.append(everyone[np.isin(everyone, rows)])
    return np.concatenate(parts)


class Pieces:
    """Custom blocks of any sizes."""

    inputs = 4

    def __init__(self, sizes, X=X, T=T, weight=None):
        self.sizes, self.arrays = sizes, [X, T, *([] if weight is None else [weight])]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])

    def read(self, number):
        return tuple(
            array[self.starts[number] : self.starts[number + 1]]
            for array in self.arrays
        )


def test_means_over_windows_equal_means_over_all_rows():
    for reduction in ("mean", "sum"):
        own = network(reduction=reduction)
        still: dict[str, Any] = {
            "network": own,
            "weight": W,
            "optimizer": vp.GradientDescent(0.0),
            "epochs": 1,
        }
        np.testing.assert_allclose(
            mixed(**still).history.loss,
            in_memory(**still).history.loss,
            rtol=1e-12,
            err_msg=reduction,
        )


@pytest.mark.parametrize("settings", ["dropout", "weights", "early stopping"])
def test_bits_do_not_depend_on_threads_or_the_source_of_rows(settings, tmp_path):
    whole = mixed(**SETTINGS[settings])
    with limit_threads(1):
        require_same(mixed(**SETTINGS[settings]), whole)
    maps: Any = []
    for name, array in (("X", X), ("T", T), ("W", W)):
        np.save(tmp_path / name, array)
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    weight = maps[2] if "weight" in SETTINGS[settings] else None
    require_same(
        mixed(
            **SETTINGS[settings]
            | {"blocks": vp.blocks.ArrayBlocks(maps[0], maps[1], weight, rows=20)}
        ),
        whole,
    )


def wait_until(is_so, seconds=10):
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.001)
    return is_so()


@pytest.mark.parametrize("settings", ["dropout", "weights", "early stopping"])
def test_a_fit_stopped_after_any_window_resumes_bit_identically(
    settings, tmp_path, limit
):
    limit("checkpoint: share of the time", np.inf)
    whole, path = mixed(**SETTINGS[settings]), tmp_path / "run.npz"
    kept = []
    for kill in (2, 1, 3, 1):
        calls = iter(range(kill))

        def end(state, calls=calls):
            kept.append(dict(state.under_way))
            if next(calls, None) is None:
                raise Killed

        with pytest.raises(Killed):
            mixed(
                **SETTINGS[settings],
                callbacks=[end],
                checkpoint=vp.Checkpoint(path, every=0),
            )
    assert {way.get("windows") for way in kept} == {None, 1, 2}
    require_same(mixed(**SETTINGS[settings], checkpoint=vp.Checkpoint(path)), whole)
    # it has ended
    require_same(
        fit(**SETTINGS[settings], window=120, checkpoint=vp.Checkpoint(path)), whole
    )


def test_a_fit_continues_from_a_state_within_an_epoch():
    calls = []

    def stop(state):
        calls.append(state)
        return len(calls) == 4

    whole, begun = mixed(), mixed(callbacks=[stop])
    assert (begun.reason, begun.state.epoch, begun.state.under_way["windows"]) == (
        "callback",
        1,
        1,
    )
    rest = mixed(theta=begun.theta, state=begun.state, epochs=2)
    np.testing.assert_array_equal(rest.theta, whole.theta)
    np.testing.assert_array_equal(rest.history.loss, whole.history.loss[1:])
    with pytest.raises(ValueError, match="middle of an epoch of train_blocks"):
        in_memory(state=begun.state)
    with pytest.raises(ValueError, match="middle of an epoch of other windows"):
        fit(rows=30, state=begun.state)


def test_rows_of_an_unfinished_batch_are_read_again():
    blocks = Pieces([20, 100, 7, 3, 120, 50, 30])
    settings: dict[str, Any] = {"blocks": blocks, "batch_size": 110, "epochs": 1}
    ways: list[dict[str, Any]] = []
    whole = mixed(**settings, callbacks=[lambda state: ways.append(state.under_way)])
    for count, way in enumerate(ways[:-1], start=1):
        assert way["windows"] == count
        begun = mixed(
            **settings,
            callbacks=[
                lambda state, count=count: state.under_way.get("windows") == count
            ],
        )
        rest = mixed(**settings, theta=begun.theta, state=begun.state)
        np.testing.assert_array_equal(rest.theta, whole.theta)
        np.testing.assert_array_equal(rest.history.loss, whole.history.loss)


def test_ctrl_c_keeps_finished_windows(tmp_path):
    def press(state):
        if state.under_way.get("windows") == 2:
            raise KeyboardInterrupt

    checkpoint = vp.Checkpoint(tmp_path / "run.npz")
    begun = mixed(callbacks=[press], checkpoint=checkpoint)
    assert (begun.reason, begun.state.under_way["windows"]) == ("interrupted", 2)
    require_same(mixed(checkpoint=checkpoint), mixed())


def test_a_block_may_be_read_during_the_check_for_sorted_rows(monkeypatch):
    checked: Any = CheckedBlocks(
        PLAIN, start(PLAIN), vp.blocks.ArrayBlocks(X, T, rows=330)
    )
    moments = checked._moments

    def told_meanwhile(batch):
        checked.moments = None
        return moments(batch)

    monkeypatch.setattr(checked, "_moments", told_meanwhile)
    assert checked.read(0)[0].rows == 330


def test_the_next_window_is_read_during_training():
    read, met = [], []

    class Watched(Pieces):
        def read(self, number):
            read.append(number)
            return super().read(number)

    def look(state):
        if not met:
            met.append(wait_until(lambda: len(read) >= 12))

    mixed(blocks=Watched([20] * 16 + [10]), callbacks=[look], epochs=1)
    assert met == [True]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"blocks": vp.blocks.ArrayBlocks(X, T, rows=30)},
            "its division into blocks and its rows differ",
        ),
        ({"blocks": vp.blocks.ArrayBlocks(X, 1 - T, rows=20)}, "its rows differs"),
        ({"window": 100}, "its window differs"),
        ({"batch_size": 20, "seed": 1}, "its batch_size and its seed differ"),
    ],
    ids=["division", "rows", "window", "settings"],
)
def test_the_checkpoint_of_another_run_is_refused(changes, named, tmp_path):
    checkpoint = vp.Checkpoint(tmp_path / "run.npz")
    fit(window=330, checkpoint=checkpoint)
    with pytest.raises(ValueError, match=f"is the checkpoint of another run: {named}"):
        fit(**{"window": 330} | changes, checkpoint=checkpoint)


class Returning:
    sizes, inputs = [20] * 16, 4

    def __init__(self, what):
        self.what = what

    def read(self, number):
        return self.what


def test_lists_and_frames_are_converted_to_arrays():
    pd = pytest.importorskip("pandas")
    like = fit(weight=W)
    # a slice of its labels is not one of its rows
    frame = pd.DataFrame(X, index=np.arange(330.0)[::-1])
    for own, targets in (
        (X.tolist(), T.tolist()),
        (frame, pd.Series(T, index=frame.index)),
    ):
        np.testing.assert_array_equal(
            fit(blocks=vp.blocks.ArrayBlocks(own, targets, W, rows=20)).theta,
            like.theta,
        )


def spoiled(array, value, row=25):
    array = array.copy()
    array[row] = value
    return array


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"blocks": Pieces([20] * 16 + [10], spoiled(X, np.nan))},
            "In block 1: X is not finite: row 5, column 0 is n",
        ),
        (
            {"blocks": Pieces([20] * 16 + [10], T=spoiled(T, 2))},
            "In block 1: T has class 2 in row 5",
        ),
        (
            {"blocks": Pieces([20] * 16 + [10], weight=-W)},
            "In block .*: sample_weight is -.* in row",
        ),
        (
            {"blocks": Pieces([340])},
            r"In block 0: expected inputs .* got inputs of shape \(330, 4\)",
        ),
        (
            {"window": 49},
            "window must be an integer of at least batch_size=50 rows, got 49",
        ),
        (
            {"window": 60, "rows": 100},
            (
                "window is 60 rows, but block 0 has 100: use a larger window or smaller"
                " blocks .see rows= of copy_blocks"
            ),
        ),
        (
            {"network": vp.Network(3, [vp.Dense(2)], vp.SoftmaxCrossEntropy())},
            "have 4 inputs, but the network takes 3",
        ),
        ({"batch_size": None}, "batch_size must be an integer, got None"),
        ({"optimizer": vp.LBFGS()}, "LBFGS uses all rows in each step"),
        ({"weight": np.zeros(330)}, "sample_weight is 0 in every row"),
        (
            {"blocks": X},
            (
                r"^blocks must be an object such as ArrayBlocks\(X, T\), got a ndarray"
                r" without sizes"
            ),
        ),
        (
            {"blocks": Returning(None)},
            r"read\(\d+\) must return a tuple .* got NoneType",
        ),
        (
            {"blocks": Returning((X[:20] + 1j, T[:20]))},
            r"In block \d+: X has dtype complex128, but",
        ),
        (
            {"blocks": Pieces([20.0] * 16)},
            r"blocks.sizes must be a sequence .* got \[20.0, .*\.\.\.\]",
        ),
        ({"blocks": Pieces([])}, r"blocks.sizes .* got \[\]"),
        ({"epochs": 1.5}, "epochs must be an integer of at least 0, got 1.5"),
        ({"optimizer": vp.GradientDescent(1e200)}, "Training diverged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_blocks_are_reported_in_one_sentence(changes, says):
    with pytest.raises((ValueError, TypeError, ArithmeticError), match=says):
        fit(**changes)


@pytest.mark.parametrize(
    ("X", "T", "changes", "says"),
    [
        (X[0], T, {}, r"X must have shape \(N, I\) .* got \(4,\)"),
        (X, T[:5], {}, r"T must have one entry per row of X \(330\), got shape \(5,\)"),
        (X, T, {"rows": 0}, "rows must be a positive integer, got 0"),
    ],
)
def test_invalid_arrays_are_refused(X, T, changes, says):
    with pytest.raises(ValueError, match=says):
        vp.blocks.ArrayBlocks(X, T, **changes)


def test_poorly_shuffled_rows_warn(limit):
    order = np.argsort(T, kind="stable")
    with pytest.warns(UserWarning, match="Rows are sorted by the target") as told:
        mixed(blocks=Pieces([20] * 16 + [10], X[order], T[order]))
    assert [warning.filename for warning in told] == [__file__]
    limit("blocks: few", 2)
    fit(window=120)  # random rows are not sorted


def test_windows_of_few_blocks_warn():
    with pytest.warns(
        UserWarning, match=r"A window has only 15\.5 blocks, .* with at least 16,"
    ):
        fit(
            blocks=vp.blocks.ArrayBlocks(X[:310], T[:310], rows=10),
            epochs=1,
            window=160,
        )


def test_memory_use_is_logged_and_checked(limit, caplog):
    with caplog.at_level("INFO", "vecprop"):
        fit()
        assert "one window of 330 rows x 4 inputs and a block take 0 MB" in caplog.text
        fit(
            blocks=vp.blocks.ArrayBlocks(
                np.zeros((2**16, 4)), np.zeros(2**16, int), rows=2**11
            ),
            epochs=0,
            window=2**15,
        )
    assert "two windows of 32,768 rows x 4 inputs and a block take 6 MB" in caplog.text
    limit("available memory of blocks", lambda: 10_000)
    with pytest.raises(
        MemoryError,
        match=r"one window of 330 rows .* but only 0 MB are available: use a smaller",
    ):
        fit()


def test_windows_take_blocks_in_a_new_order_each_epoch():
    windows = Windows(
        [5, 5, 5, 5, 5, 4], lambda block: [], window=11, shuffle=True, seed=0, room=0
    )
    epochs = [windows.of_epoch(epoch) for epoch in range(4)]
    for parts in epochs:
        assert sorted(np.concatenate(parts)) == list(range(6))
        assert all(windows.sizes[part].sum() <= 11 for part in parts)
        assert all((np.diff(part) > 0).all() for part in parts)
    assert all(
        [*map(list, one)] != [*map(list, other)] for one, other in pairwise(epochs)
    )


@pytest.mark.long
def test_estimators_work_in_dasks_incremental():
    """Dask-ML passes the blocks of an array through `partial_fit`."""
    wrappers = pytest.importorskip("dask_ml.wrappers")
    da = pytest.importorskip("dask.array")
    model = wrappers.Incremental(
        vp.MLPClassifier(random_state=0), shuffle_blocks=False, assume_equal_chunks=True
    )
    model.fit(
        da.from_array(X, chunks=(110, 4)), da.from_array(T, chunks=110), classes=[0, 1]
    )
    alone = vp.MLPClassifier(random_state=0)
    for first in range(0, 330, 110):
        alone.partial_fit(
            X[first : first + 110], T[first : first + 110], classes=[0, 1]
        )
    np.testing.assert_array_equal(
        model.estimator_.predict_proba(X), alone.predict_proba(X)
    )
