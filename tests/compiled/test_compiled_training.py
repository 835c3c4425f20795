"""Training by the compiled engine equals that of the reference engine up to rounding."""

import ctypes
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import registry
import vecprop as vp
from vecprop import catalog
from vecprop.compiled.lower.row_loops import LOOPS
from vecprop.compiled.run.measures import CHUNK
from vecprop.core.counter_rng import permutation
from vecprop.core.scores import SCORES
from vecprop.optimize.settings import Plan

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
T = np.sin(X @ RNG.normal(size=(6, 3)))
t = T.argmax(axis=1)
W = RNG.uniform(0.1, 2, 150)
VALIDATION = (RNG.normal(size=(40, 6)), RNG.normal(size=(40, 3)))
PENALTY = (vp.L2(1e-3), vp.L1(1e-4))


def both(network, targets=T, F=np.float64, **arguments):
    """Return the results of both engines."""
    theta = network.init(1, dtype=F)
    arguments = {"optimizer": vp.Momentum(0.05), "epochs": 6, **arguments}
    return tuple(
        vp.train(network, theta, X, targets, engine=engine, **arguments)
        for engine in ("compiled", "reference")
    )


def assert_same(compiled, reference, *, tolerance=1e-10):
    assert compiled.theta.dtype == reference.theta.dtype
    scale = np.abs(reference.theta).max()
    assert np.abs(compiled.theta - reference.theta).max() <= tolerance * scale
    for name in ("loss", "validation_loss", "gradient_norm", "step_size"):
        found, expected = (
            getattr(compiled.history, name),
            getattr(reference.history, name),
        )
        assert found.shape == expected.shape, name
        assert found.dtype == expected.dtype, name
        np.testing.assert_allclose(found, expected, rtol=1e3 * tolerance, err_msg=name)
    assert compiled.history.time.shape == reference.history.time.shape
    assert (compiled.state.epoch, compiled.state.step) == (
        reference.state.epoch,
        reference.state.step,
    )
    assert compiled.state.optimizer["t"] == reference.state.optimizer["t"]
    assert compiled.reason == reference.reason


def network(
    layer: vp.extend.Layer = vp.Tanh(),  # noqa: B008
    loss: vp.extend.Loss = vp.SquaredError(),  # noqa: B008
    penalty=PENALTY,
    width=9,
):
    return vp.Network(6, [vp.Dense(width), layer, vp.Dense(3)], loss, penalty)


def assert_reference_takes(network, notice, **settings):
    """Assert that training runs on the reference engine with a warning; return its result."""
    theta, settings = (
        network.init(0),
        {"optimizer": vp.Momentum(0.05), "epochs": 4, **settings},
    )
    with pytest.warns(
        UserWarning, match=f"reference engine, which is slower: {notice}"
    ):
        found = vp.train(network, theta, X, T, **settings)
    expected = vp.train(network, theta, X, T, engine="reference", **settings)
    np.testing.assert_array_equal(found.theta, expected.theta)
    with pytest.raises(ValueError, match=f"cannot train this network: {notice}"):
        vp.train(network, theta, X, T, engine="compiled", **settings)
    return found


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
@pytest.mark.parametrize(
    ("batch_size", "layer"), [(None, vp.Tanh()), (32, vp.Dropout(0.3))], ids=str
)
def test_every_optimizer(optimizer, batch_size, layer):
    assert_same(*both(network(layer), optimizer=optimizer, batch_size=batch_size))


@pytest.mark.parametrize("loss", registry.LOSSES, ids=registry.name)
def test_every_loss(loss):
    targets = registry.targets(loss, np.random.default_rng(0), 150, 3)
    assert_same(
        *both(
            network(loss=loss),
            targets,
            optimizer=vp.Adam(0.003),
            batch_size=32,
            sample_weight=W,
        )
    )


@pytest.mark.parametrize("layer", registry.LAYERS, ids=registry.name)
@pytest.mark.parametrize(
    "F", [np.float64, pytest.param(np.float32, marks=pytest.mark.long)]
)
def test_every_layer(layer, F):
    # A float32 step of Adam turns the last digits of a small gradient into a step of
    # full length.
    results = both(network(layer), F=F, optimizer=vp.Momentum(0.01), batch_size=50)
    assert_same(*results, tolerance=1e-10 if F is np.float64 else 2e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 1, "epochs": 2, "optimizer": vp.GradientDescent(0.005)},
        {"batch_size": 149},
        {"batch_size": 1000},
        {"clip_norm": 0.1, "batch_size": 32},
        {"clip_norm": 0.1},
        {"validation": VALIDATION, "batch_size": 32},
        {"validation": VALIDATION, "optimizer": vp.Adam(0.05)},
        {
            "validation": VALIDATION,
            "batch_size": 32,
            "early_stopping": vp.EarlyStopping(patience=2),
            "epochs": 100,
        },
        {"schedule": vp.WarmUp(5, vp.Cosine()), "batch_size": 32},
        {"schedule": vp.Adaptive(patience=1, tolerance=0.1), "batch_size": 32},
        {"seed": -5, "batch_size": 32},
        {"seed": 2**70 + 3, "batch_size": 32},
        {"epochs": 0},
        {"epochs": 0, "training_loss": "running"},
        {"training_loss": "running"},
        {"training_loss": "running", "batch_size": 32, "clip_norm": 0.5},
        {
            "training_loss": "running",
            "batch_size": 32,
            "sample_weight": W,
            "validation": VALIDATION,
        },
        {
            "training_loss": "running",
            "batch_size": 32,
            "early_stopping": vp.EarlyStopping("loss", 0.05, 2),
            "epochs": 99,
        },
        {"shuffle": False, "batch_size": 32},
        {"shuffle": False, "batch_size": 32, "training_loss": "running"},
        pytest.param({"callbacks": [lambda state: state.epoch == 3]}, id="callback"),
    ],
    ids=str,
)
def test_every_argument(arguments):
    assert_same(*both(network(), **arguments))


@pytest.mark.parametrize("layer", [vp.Tanh(), vp.Dropout(0.3)], ids=registry.name)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [None, 32])
def test_averaged_penalties_and_running_losses(layer, reduction, batch_size):
    penalty = (vp.L2(0.3, averaged=True), vp.L1(0.2, averaged=True), *PENALTY)
    penalized = network(layer, vp.SquaredError(reduction=reduction), penalty, width=70)
    arguments = {
        "optimizer": vp.GradientDescent(1e-4),
        "sample_weight": W,
        "training_loss": "running",
    }
    assert_same(*both(penalized, batch_size=batch_size, **arguments))


def test_batches_of_weight_0_do_not_change_theta():
    weight = np.where(np.arange(150) < 75, 0.0, W)
    arguments = {
        "sample_weight": weight,
        "shuffle": False,
        "batch_size": 25,
        "training_loss": "running",
    }
    assert_same(*both(network(penalty=vp.L2(0.1, averaged=True)), **arguments))


@pytest.mark.parametrize("width", [1, 3, 17, 100, 1000])
def test_widths_and_shards(width):
    assert_same(
        *both(
            network(width=width),
            optimizer=vp.GradientDescent(0.002),
            batch_size=128,
            sample_weight=W,
        )
    )


def test_integer_classes_and_sums():
    deep = vp.Network(
        6,
        [
            vp.LayerNorm(),
            vp.Dense(60),
            vp.GELU(),
            vp.Dropout(0.2),
            vp.Dense(70),
            vp.LayerNorm(),
            vp.Dense(3),
        ],
        vp.SoftmaxCrossEntropy(reduction="sum"),
        PENALTY,
    )
    assert_same(
        *both(deep, t, optimizer=vp.GradientDescent(1e-4), batch_size=100),
        tolerance=1e-9,
    )
    assert_same(*both(deep, t, optimizer=vp.GradientDescent(1e-4)), tolerance=1e-9)


def test_more_rows_than_a_chunk():
    rows = 2 * CHUNK + 7
    X, T = RNG.normal(size=(rows, 2)), RNG.normal(size=(rows, 1))
    narrow = vp.Network(2, [vp.Dense(3), vp.ReLU(), vp.Dense(1)], vp.AbsoluteError())
    theta = narrow.init(0)
    for batch_size in (None, 500):
        arguments = {
            "optimizer": vp.Momentum(0.01),
            "epochs": 3,
            "batch_size": batch_size,
            "validation": (X, T),
        }
        found, expected = (
            vp.train(narrow, theta, X, T, engine=e, **arguments)
            for e in ("compiled", "reference")
        )
        assert_same(found, expected)


# of 300,000 keys some share their first 32 bits
@pytest.mark.parametrize("rows", [2, 3, 100, 1000, 4097, 300_000])
def test_rows_are_ordered_by_the_permutation(rows):
    from vecprop.compiled.fits import Epochs

    single = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
    batch = single._batch(np.zeros(2), np.ones((rows, 1)), np.zeros(rows))
    plan = Plan(rows // 2, shuffle=True, seed=7, clip_norm=None, running=False)
    epochs = Epochs(
        single, np.zeros(2), batch, None, vp.GradientDescent(0.1), [], np.zeros(2), plan
    )
    epochs.run(1, 3, 0, 0, np.full(3, 0.1))
    order = (ctypes.c_int64 * rows).from_address(int(epochs.context.record["order"][0]))
    np.testing.assert_array_equal(order, permutation(7, 3, rows))


LOGITS = vp.BinaryCrossEntropy()
SCORED = {
    "accuracy": (vp.SoftmaxCrossEntropy(), t),
    "accuracy of rows of probabilities": (vp.SoftmaxCrossEntropy(), np.eye(3)[t]),
    "accuracy of two classes": (LOGITS, T[:, :1] > 0),
    "accuracy of classes of one output": (vp.SoftmaxCrossEntropy(), np.zeros(150, int)),
    "subset_accuracy": (LOGITS, T > 0),
    "subset_accuracy of classes": (vp.SoftmaxCrossEntropy(), t),
    "r2": (vp.SquaredError(), T),
    "r2 of constants": (vp.Huber(), np.c_[T[:, :2], np.full(150, 0.1)]),
    "r2 of counts": (vp.Poisson(), np.abs(T)),
}


@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize(
    "F", [np.float64, pytest.param(np.float32, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("name", SCORED)
def test_validation_scores_equal_scores_of_predictions(name, F, weight):
    """With more rows than a tile, any number of threads, both engines, and L-BFGS."""
    loss, targets = SCORED[name]
    outputs = 1 if "one output" in name or "two" in name else 3
    scored = vp.Network(6, [vp.Dense(30), vp.Tanh(), vp.Dense(outputs)], loss)
    validation = (X, targets) if weight is None else (X, targets, weight)
    theta, score = scored.init(0, F), name.split()[0]
    for optimizer in (vp.Momentum(0.1), vp.LBFGS()):
        settings = {
            "optimizer": optimizer,
            "validation": validation,
            "validation_score": score,
            "epochs": 3,
        }
        if isinstance(optimizer, vp.Momentum):
            settings |= {"batch_size": 40, "training_loss": "running"}
        found, expected = (
            vp.train(scored, theta, X, targets, engine=e, **settings)
            for e in ("auto", "reference")
        )
        assert found.history.validation_score.dtype == float
        assert (
            found.history.validation_score.shape == found.history.validation_loss.shape
        )
        np.testing.assert_allclose(
            found.history.validation_score,
            expected.history.validation_score,
            rtol=1e-3 if F is np.float32 else 1e-9,
        )
        last = SCORES[score](
            scored.predict(found.theta, X.astype(F)), np.asarray(targets), weight
        )
        np.testing.assert_allclose(
            found.history.validation_score[-1],
            last,
            rtol=1e-4 if F is np.float32 else 1e-9,
        )


def test_every_loop_of_a_score_is_tested():
    assert {name.split()[0] for name in SCORED} == set(LOOPS)


def largest_error(Y, T, weight=None):
    return -abs(Y - T).max(axis=(-2, -1))


def test_a_score_without_a_kernel_uses_the_reference_engine(monkeypatch):
    monkeypatch.setitem(SCORES, "largest_error", largest_error)
    settings: dict[str, Any] = {
        "validation_score": "largest_error",
        "validation": VALIDATION,
    }
    stopping = vp.EarlyStopping("validation_score", patience=2)
    theta, notice = network().init(0), "the score 'largest_error' has no kernel"
    found = assert_reference_takes(
        network(), notice, early_stopping=stopping, **settings
    )
    assert found.history.validation_score[0] == largest_error(
        network().predict(theta, VALIDATION[0]), VALIDATION[1]
    )
    scored: dict[str, Any] = {
        "validation_score": "largest_error",
        "validation_rows": np.arange(100, 150),
    }
    member = vp.Member(
        network(), theta, vp.Momentum(0.05), epochs=4, rows=np.arange(100), **scored
    )
    with pytest.warns(UserWarning, match=notice):
        (of_population,) = vp.train_population([member], X, T)
    settings |= {"validation": (X[100:], T[100:]), "engine": "reference"}
    expected = vp.train(
        network(),
        theta,
        X[:100],
        T[:100],
        optimizer=vp.Momentum(0.05),
        epochs=4,
        **settings,
    )
    np.testing.assert_array_equal(
        of_population.history.validation_score, expected.history.validation_score
    )


@dataclass(frozen=True)
class Uncompiled(vp.Adam):
    moments = ("m", "v", "largest")

    def update(self, theta, J, rate, t, *moments):
        m, v, largest = moments
        theta, m, v = super().update(theta, J, rate, t, m, v)
        return theta + J % 1, m, v, np.maximum(v, largest)


def test_an_optimizer_that_cannot_be_compiled():
    settings = {"optimizer": Uncompiled(0.05), "epochs": 4}
    theta, notice = network().init(0), "the formula Uncompiled.update cannot"
    found = assert_reference_takes(network(), notice, **settings)
    assert found.state.optimizer["largest"].any()
    with pytest.warns(UserWarning, match=notice):
        (of_population,) = vp.train_population(
            [vp.Member(network(), theta, **settings)], X, T
        )
    np.testing.assert_array_equal(of_population.theta, found.theta)
    ends = {"tol": 10.0, "n_iter_no_change": 2, "random_state": 0}
    model = vp.MLPRegressor(hidden_layer_sizes=4, solver=Uncompiled(0.05), **ends)
    with pytest.warns(UserWarning, match=notice):
        model.fit(X, T[:, 0])
    assert model.n_iter_ == 4


@pytest.mark.parametrize(
    "cls", [vp.LayerNorm, vp.Tanh, vp.SquaredError, vp.L1, vp.Adam]
)
def test_a_built_in_part_without_a_kernel_uses_the_reference_engine(monkeypatch, cls):
    monkeypatch.setitem(catalog.BY_CLASS, cls, catalog.Part(cls, kernel=False))
    every = vp.Network(
        6,
        [vp.Dense(4), vp.LayerNorm(), vp.Tanh(), vp.Dense(3)],
        vp.SquaredError(),
        vp.L1(0.01),
    )
    assert_reference_takes(
        every, f"{cls.__name__} has no kernel", optimizer=vp.Adam(0.01)
    )


def test_early_stopping_ends_several_threads_at_the_same_epoch(monkeypatch):
    wide = network(width=300)
    settings = {
        "optimizer": vp.Momentum(0.2),
        "validation": VALIDATION,
        "epochs": 200,
        "batch_size": 128,
    }
    settings |= {
        "validation_score": "r2",
        "early_stopping": vp.EarlyStopping("validation_score", patience=2),
    }
    found = []
    for threads in (1, 2):
        monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
        # a callback sees each epoch
        every_epoch: dict[str, Any] = {"callbacks": [lambda state: None]}
        found += [
            vp.train(wide, wide.init(0), X, T, **settings, **each)
            for each in ({}, every_epoch)
        ]
    for one in found:
        assert one.reason == "early stopping"
        assert one.state.epoch == one.history.validation_score.argmax() + 2
        np.testing.assert_array_equal(one.theta, found[0].theta)
        np.testing.assert_array_equal(
            one.history.validation_score, found[0].history.validation_score
        )


@pytest.mark.parametrize("width", [3, 200])
def test_rows_in_the_order_of_the_data_are_recognized_at_any_address(width):
    from vecprop.compiled.fits import Epochs

    any_width = network(width=width)
    batch, found = any_width._batch(any_width.init(0), X[:60], T[:60]), []
    for beside in (False, True):
        theta = any_width.init(0)
        plan = Plan(7, shuffle=True, seed=7, clip_norm=None, running=False)
        epochs = Epochs(
            any_width,
            theta,
            batch,
            batch,
            vp.GradientDescent(0.1),
            [],
            theta.copy(),
            plan,
        )
        if beside:
            both = np.tile(np.arange(60), 2)
            epochs.context.set(all_rows=both[:60], order=both[60:])
        epochs.run(3, 0, 0, 0, np.full(27, 0.1))
        found.append(theta)
    np.testing.assert_array_equal(*found)


def test_training_continues_exactly_where_it_stopped():
    dropping = network(vp.Dropout(0.3))
    arguments = {
        "optimizer": vp.Adam(0.01),
        "batch_size": 32,
        "engine": "compiled",
        "training_loss": "exact",
    }
    whole = vp.train(dropping, dropping.init(0), X, T, epochs=6, **arguments)
    part = vp.train(dropping, dropping.init(0), X, T, epochs=2, **arguments)
    for _ in range(2):
        state = pickle.loads(pickle.dumps(part.state))
        part = vp.train(dropping, part.theta, X, T, epochs=2, state=state, **arguments)
    np.testing.assert_array_equal(part.theta, whole.theta)
    np.testing.assert_array_equal(part.history.loss, whole.history.loss[-3:])


def test_engines_continue_each_other():
    arguments = {"optimizer": vp.Adam(0.01), "batch_size": 32, "epochs": 3}
    whole = vp.train(
        network(),
        network().init(0),
        X,
        T,
        **{**arguments, "epochs": 6},
        engine="reference",
    )
    first = vp.train(network(), network().init(0), X, T, **arguments, engine="compiled")
    second = vp.train(
        network(), first.theta, X, T, **arguments, engine="reference", state=first.state
    )
    np.testing.assert_allclose(second.theta, whole.theta, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 32])
@pytest.mark.parametrize("rate", [1e6, 1e200])
def test_divergence_equals_that_of_the_reference_engine(batch_size, rate):
    steps = []
    for engine in ("compiled", "reference"):
        arguments = {
            "optimizer": vp.GradientDescent(rate),
            "epochs": 400,
            "batch_size": batch_size,
            "engine": engine,
        }
        arguments["training_loss"] = "exact"
        with pytest.raises(
            vp.DivergenceError, match="Training diverged: after step"
        ) as caught:
            vp.train(network(), network().init(1), X, T, **arguments)
        result = caught.value.result
        steps.append(result.state.step)
        assert np.isfinite(result.history.loss).all()
        assert network().loss(result.theta, X, T) == pytest.approx(
            result.history.loss[-1], rel=1e-9
        )
    # The compiled engine sums squares, which overflow at the root of the largest
    # number; the reference continues.
    assert steps[0] <= steps[1] <= 2 * steps[0]


@pytest.mark.parametrize(
    ("dtype", "members", "reason"),
    [
        (np.float16, 1, "it supports only float32 and float64"),
        (float, 2, "members with the same rows, at a time"),
    ],
)
def test_unsupported_arguments_are_errors(dtype, members, reason):
    plain, rows = network(), np.stack([X] * members)
    theta = np.zeros((members, plain.layout.size), dtype)
    with pytest.raises(ValueError, match=reason):
        vp.train(
            plain, theta, rows, T, optimizer=vp.Momentum(), epochs=1, engine="compiled"
        )
    assert (
        vp.train(plain, theta, rows, T, optimizer=vp.Momentum(), epochs=1).theta.shape
        == theta.shape
    )


@pytest.mark.parametrize("clip", [1, np.int64(1), np.float32(1), np.array(1.0), True])
def test_any_clip_norm_works(clip):
    expected = both(network(), clip_norm=1.0)
    for found in both(network(), clip_norm=clip):
        assert_same(found, expected[1])
    assert not np.array_equal(expected[0].theta, network().init(1))


# a step takes a microsecond at least
@pytest.mark.parametrize(("validation_rows", "most"), [(0, 50), (10**6, 30)])
def test_python_can_see_ctrl_c_every_twentieth_of_a_second(
    monkeypatch, validation_rows, most
):
    from vecprop.compiled.fits import Epochs

    def run(self, count, *arguments):
        counts.append(count)
        return run_epochs(self, count, *arguments)

    counts, run_epochs = [], Epochs.run
    monkeypatch.setattr(Epochs, "run", run)
    tiny = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
    X, T = np.ones((1000, 1)), np.ones(1000)
    options = {
        "optimizer": vp.Momentum(1e-6),
        "training_loss": "running",
        "engine": "compiled",
    }
    validation = (
        (np.ones((validation_rows, 1)), np.ones(validation_rows))
        if validation_rows
        else None
    )
    vp.train(
        tiny,
        np.zeros(2),
        X,
        T,
        batch_size=1,
        epochs=60,
        validation=validation,
        **options,
    )
    # with rows of validation their first loss is measured before
    first = counts[1 if validation_rows else 0]
    assert 1 <= first <= most


@pytest.mark.parametrize("F", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [4, 8, 9, 12, 16, 24, 40])
def test_a_perfect_fit_does_not_change(F, rows):
    """Quotients of equal numbers must be exactly 1 in all parts of a loop, or Adam would amplify the difference."""
    X, T = (
        np.tile(np.array([[-400], [400]], F), (rows, 1))[:rows],
        np.tile([0, 1], rows)[:rows],
    )
    fitted, theta = (
        vp.Network(1, [vp.Dense(2)], vp.SoftmaxCrossEntropy()),
        np.array([-1, 1, 0, 0], F),
    )
    result = vp.train(
        fitted, theta, X, T, optimizer=vp.Adam(0.01), epochs=20, engine="compiled"
    )
    np.testing.assert_array_equal(result.theta, theta)


@pytest.mark.parametrize("training_loss", ["exact", "running"])
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_loss_that_overflows_in_its_dtype_diverges(training_loss, engine):
    network, theta = (
        vp.Network(3, [vp.Dense(1)], vp.BinaryCrossEntropy(reduction="sum")),
        [1e38, 1e38, 1e38, 0],
    )
    # the sum is finite as a double
    X, T = np.ones((8, 3), np.float32), np.zeros((8, 1), np.float32)
    settings = {"optimizer": vp.GradientDescent(1e-3), "epochs": 2, "engine": engine}
    with pytest.raises(vp.DivergenceError):
        vp.train(
            network,
            np.array(theta, np.float32),
            X,
            T,
            training_loss=training_loss,
            **settings,
        )
