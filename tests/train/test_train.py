import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import registry
import vecprop as vp
from fits import DROPPING, NETWORK, RNG, THETA, VALIDATION, T, X, fit
from sampled import sampled


def test_full_batch_steps_equal_those_of_the_optimizer():
    result = fit(epochs=4)
    theta, optimizer = THETA.copy(), vp.Momentum(0.1)
    state, losses, norms, sizes = optimizer.init(theta), [], [], []
    for _ in range(4):
        loss, J = NETWORK.loss_and_gradient(theta, X, T)
        before = theta.copy()
        optimizer.step(theta, J, state)
        losses.append(loss)
        norms.append(np.linalg.norm(J))
        sizes.append(np.linalg.norm(theta - before))
    losses.append(NETWORK.loss(theta, X, T))
    np.testing.assert_array_equal(result.theta, theta)
    np.testing.assert_array_equal(result.history.loss, losses)
    np.testing.assert_allclose(result.history.gradient_norm, norms, rtol=1e-14)
    np.testing.assert_allclose(result.history.step_size, sizes, rtol=1e-14)
    assert result.reason == "epochs"
    assert (result.state.epoch, result.state.step) == (4, 4)


ORDERS = [
    [
        *(18, 28, 22, 3, 5, 6, 8, 17, 25, 0, 21, 10, 7, 27, 26),
        *(2, 16, 19, 12, 23, 9, 14, 15, 24, 13, 4, 29, 1, 20, 11),
    ],
    [
        *(2, 29, 26, 3, 16, 27, 24, 4, 17, 12, 11, 9, 13, 28, 20),
        *(8, 10, 25, 19, 22, 6, 18, 14, 0, 21, 1, 15, 7, 5, 23),
    ],
]
"""The order of 30 rows in the first two epochs with seed 9."""


def test_mini_batches_follow_the_counter_based_permutation():
    result = fit(DROPPING, epochs=2, batch_size=8, seed=9, training_loss="exact")
    theta, optimizer, step = THETA.copy(), vp.Momentum(0.1), 0
    state, losses = optimizer.init(theta), [DROPPING.loss(theta, X, T)]
    for epoch in range(2):
        order = np.array(ORDERS[epoch])
        for rows in (order[:8], order[8:16], order[16:24], order[24:]):
            noise = vp.extend.RandomKey(9, step, rows)
            optimizer.step(
                theta,
                DROPPING.loss_and_gradient(theta, X[rows], T[rows], noise=noise)[1],
                state,
            )
            step += 1
        losses.append(DROPPING.loss(theta, X, T))
    np.testing.assert_array_equal(result.theta, theta)
    np.testing.assert_array_equal(result.history.loss, losses)


def test_mini_batches_record_the_running_loss_and_full_batches_the_exact_one():
    for engine in ("compiled", "reference"):
        for batch_size, same in ((8, "running"), (30, "exact"), (None, "exact")):
            settings = {"batch_size": batch_size, "epochs": 2, "engine": engine}
            losses = fit(**settings).history.loss
            np.testing.assert_array_equal(
                losses, fit(**settings, training_loss=same).history.loss
            )
            member = vp.Member(
                NETWORK, THETA, vp.Momentum(0.1), epochs=2, batch_size=batch_size
            )
            (result,) = vp.train_population([member], X, T, engine=engine)
            np.testing.assert_array_equal(result.history.loss, losses)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_running_loss_is_the_mean_of_batch_losses_before_each_step(reduction):
    network = vp.Network(
        3, [vp.Dense(2)], vp.SquaredError(reduction=reduction), vp.L2(0.1)
    )
    weight = RNG.uniform(0.5, 2, 30)
    arguments = {
        "optimizer": vp.GradientDescent(1e-3),
        "batch_size": 20,
        "sample_weight": weight,
        "shuffle": False,
    }
    theta = network.init(0)
    result = fit(network, theta, epochs=2, training_loss="running", **arguments)
    losses = []
    for _ in range(2):
        data, penalty = 0.0, 0.0
        for rows in (slice(20), slice(20, 30)):
            # only the penalty
            of_weights = network.loss(theta, X[:1], network.hidden(theta, X[:1], -1))
            total, J = network.loss_and_gradient(theta, X[rows], T[rows], weight[rows])
            share = (
                weight[rows].sum() / weight.sum()
                if reduction == "mean"
                else len(X[rows]) / 30
            )
            data += (total - of_weights) * (share if reduction == "mean" else 1)
            penalty += of_weights * share
            theta = theta - 1e-3 * J
        losses.append(data + penalty)
    np.testing.assert_allclose(result.theta, theta, rtol=1e-12)
    np.testing.assert_allclose(result.history.loss, losses, rtol=1e-12)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_the_kind_of_training_loss_does_not_change_steps(engine):
    pytest.importorskip("pandas")
    exact = fit(batch_size=8, engine=engine, validation=VALIDATION)
    running = fit(
        batch_size=8, engine=engine, validation=VALIDATION, training_loss="running"
    )
    np.testing.assert_array_equal(running.theta, exact.theta)
    np.testing.assert_array_equal(
        running.history.validation_loss, exact.history.validation_loss
    )
    assert running.history.loss.shape == (5,)
    assert running.history.to_frame().loss.isna().tolist() == [False] * 5 + [True]
    full = [
        fit(engine=engine, training_loss=kind).history.loss
        for kind in ("running", "exact")
    ]
    np.testing.assert_array_equal(full[0], full[1][:-1])


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
@pytest.mark.parametrize("batch_size", sampled([7, None]))
@pytest.mark.parametrize(
    "schedule", [None, vp.InverseScaling(), vp.Adaptive(patience=1, tolerance=0.01)]
)
def test_training_continues_exactly_where_it_stopped(optimizer, batch_size, schedule):
    arguments = {"optimizer": optimizer, "batch_size": batch_size, "schedule": schedule}
    whole = fit(DROPPING, epochs=6, **arguments)
    result = fit(DROPPING, THETA, epochs=2, **arguments)
    for _ in range(2):
        result = fit(
            DROPPING,
            result.theta,
            epochs=2,
            state=pickle.loads(pickle.dumps(result.state)),
            **arguments,
        )
    np.testing.assert_array_equal(result.theta, whole.theta)
    assert (result.state.epoch, result.state.step) == (
        whole.state.epoch,
        whole.state.step,
    )
    np.testing.assert_array_equal(result.history.loss[-1], whole.history.loss[-1])


def test_continuing_does_not_change_the_earlier_result():
    first = fit()
    kept = copy.deepcopy(first.state)
    fit(theta=first.theta, state=first.state)
    np.testing.assert_array_equal(first.state.optimizer["M"], kept.optimizer["M"])
    np.testing.assert_array_equal(first.theta, kept.theta)
    assert len(first.history.loss) == 6


@pytest.mark.parametrize(
    "arguments", [{}, {"batch_size": 7}, {"clip_norm": 0.1}, {"validation": VALIDATION}]
)
def test_members_are_trained_as_if_separate(arguments):
    thetas = DROPPING.init(range(3))
    arguments = {
        "early_stopping": vp.EarlyStopping(min_delta=0.05, patience=2),
        "epochs": 20,
        **arguments,
    }
    together = fit(DROPPING, thetas, **arguments)
    assert together.history.loss.shape[1:] == (3,)
    for k in range(3):
        alone = fit(DROPPING, thetas[k], **arguments)
        np.testing.assert_allclose(
            together.theta[k], alone.theta, rtol=1e-9, atol=1e-12
        )


def test_schedules_change_the_learning_rate_of_each_step():
    result = fit(
        optimizer=vp.GradientDescent(0.2), epochs=3, schedule=vp.WarmUp(2, vp.Cosine())
    )
    theta = THETA.copy()
    for rate in (0.1, 0.2, 0.2):
        theta = theta - rate * NETWORK.loss_and_gradient(theta, X, T)[1]
    np.testing.assert_allclose(result.theta, theta, rtol=1e-13)


def test_clipping_limits_the_gradient_of_each_member():
    steep = vp.Network(3, [vp.Dense(2)], vp.SquaredError(reduction="sum"))
    theta = np.stack([np.zeros(8), np.full(8, 50.0)])
    result = fit(
        steep, theta, optimizer=vp.GradientDescent(0.1), epochs=1, clip_norm=2.0
    )
    lengths = np.linalg.norm(result.theta - theta, axis=-1)
    np.testing.assert_allclose(
        lengths, 0.1 * np.minimum(result.history.gradient_norm[0], 2.0)
    )
    assert result.history.gradient_norm[0, 1] > 2


def test_validation_loss_is_measured_after_each_epoch():
    result = fit(validation=VALIDATION)
    assert result.history.validation_loss.shape == (6,)
    assert result.history.validation_loss[-1] == NETWORK.loss(result.theta, *VALIDATION)
    weighted = fit(validation=(*VALIDATION, np.arange(10.0)))
    assert weighted.history.validation_loss[0] == NETWORK.loss(
        THETA, *VALIDATION, np.arange(10.0)
    )


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"clip_norm": 1e150}, {"batch_size": 2}, {"training_loss": "running"}],
)
# two blocks overflow only together at 2e152
@pytest.mark.parametrize(("size", "outputs"), [(2e152, 3000), (1e300, 1)])
def test_training_continues_if_squares_of_gradients_overflow(
    size, outputs, settings, engine
):
    network = vp.Network(2, [vp.Dense(outputs)], vp.AbsoluteError())
    X, T = size * np.array([[3.0, 4.0]] * 6), np.zeros((6, outputs))
    # the norm of the gradient; the biases contribute almost nothing
    length = 5 * size * np.sqrt(outputs)
    settings = {
        "epochs": 1,
        "engine": engine,
        "optimizer": vp.GradientDescent(1e-10 / length),
    } | settings
    result = vp.train(network, np.full(network.layout.size, 1e-9), X, T, **settings)
    moved = 1e-10 * min(settings.get("clip_norm", np.inf) / length, 1)
    np.testing.assert_allclose(result.history.gradient_norm, length)
    np.testing.assert_allclose(result.history.step_size, moved, atol=1e-22)
    steps = 6 // settings.get("batch_size", 6)
    np.testing.assert_allclose(
        result.theta[0], 1e-9 - 0.6 * moved * steps / np.sqrt(outputs)
    )


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize(
    ("settings", "step", "epoch"),
    [
        ({}, 1, 1),
        ({"batch_size": 4}, 1, 0),
        ({"batch_size": 4, "clip_norm": 1.0}, 1, 0),
    ],
)
def test_engines_leave_the_same_state_if_a_gradient_is_not_finite(
    settings, step, epoch, engine
):
    network = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
    X, T = np.full((8, 1), 2e19, np.float32), np.zeros(8)
    settings = {
        "optimizer": vp.GradientDescent(1.0),
        "epochs": 9,
        "training_loss": "running",
        **settings,
    }
    with pytest.raises(
        vp.DivergenceError, match=r"gradient's norm is (inf|nan)"
    ) as caught:
        vp.train(
            network, np.array([1e-3, 0.0], np.float32), X, T, engine=engine, **settings
        )
    result = caught.value.result
    assert (result.state.step, result.state.epoch) == (step, epoch)
    np.testing.assert_array_equal(result.state.theta, result.theta)
    np.testing.assert_allclose(
        result.theta, [-4e35, -2e16] if epoch else [1e-3, 0], rtol=1e-6
    )


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_gradient_norm_that_overflows_is_a_divergence(engine):
    network = vp.Network(4, [vp.Dense(1)], vp.AbsoluteError())
    X, theta = np.full((4, 4), 2e38, np.float32), np.full(5, 1e-9, np.float32)
    with pytest.raises(vp.DivergenceError, match="gradient's norm is inf"):
        vp.train(
            network,
            theta,
            X,
            np.zeros(4),
            optimizer=vp.GradientDescent(1e-40),
            epochs=1,
            engine=engine,
        )


def test_lbfgs_finds_least_squares():
    linear = vp.Network(3, [vp.Dense(2)], vp.SquaredError())
    result = fit(
        linear,
        np.zeros(8),
        optimizer=vp.LBFGS(tolerance=1e-9),
        epochs=200,
        validation=VALIDATION,
    )
    A = np.column_stack([X, np.ones(30)])
    np.testing.assert_allclose(
        result.theta.reshape(4, 2), np.linalg.lstsq(A, T, rcond=None)[0], atol=1e-7
    )
    assert result.reason == "converged"
    history = result.history
    assert result.state.step == result.state.epoch == len(history.step_size)
    lengths = [
        len(curve)
        for curve in (history.loss, history.validation_loss, history.gradient_norm)
    ]
    assert lengths == [
        result.state.epoch + 1,
        result.state.epoch + 1,
        result.state.epoch,
    ]
    assert (np.diff(history.loss) <= 0).all()
    assert history.gradient_norm[0] == pytest.approx(
        np.linalg.norm(linear.loss_and_gradient(np.zeros(8), X, T)[1])
    )


def test_lbfgs_keeps_float32_and_stops_early():
    result = fit(theta=THETA.astype(np.float32), optimizer=vp.LBFGS(), epochs=10)
    assert result.theta.dtype == np.float32
    assert result.history.loss[-1] < result.history.loss[0]
    stopped = fit(
        optimizer=vp.LBFGS(),
        epochs=500,
        validation=VALIDATION,
        early_stopping=vp.EarlyStopping(patience=2),
    )
    assert stopped.reason == "early stopping"
    assert (
        NETWORK.loss(stopped.theta, *VALIDATION)
        == stopped.history.validation_loss.min()
    )


def test_zero_epochs_measure_and_change_nothing():
    for optimizer in (vp.Momentum(0.1), vp.LBFGS()):
        result = fit(optimizer=optimizer, epochs=0)
        np.testing.assert_array_equal(result.theta, THETA)
        assert result.history.loss.shape == (1,)


def test_history_converts_to_a_data_frame():
    pytest.importorskip("pandas")
    frame = fit(validation=VALIDATION).history.to_frame()
    assert list(frame.columns) == [
        "loss",
        "validation_loss",
        "gradient_norm",
        "step_size",
        "time",
    ]
    assert frame.index.name == "epoch"
    assert len(frame) == 6
    assert frame.gradient_norm.isna().tolist() == [False] * 5 + [True]
    assert frame.time.is_monotonic_increasing
    result = fit(theta=np.stack([THETA, 2 * THETA]))
    frame = result.history.to_frame()
    assert frame.index.names == ["epoch", "member"]
    assert frame.loss.loc[(3, 1)] == result.history.loss[3, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "pattern"),
    [
        ({"validation": X}, ValueError, "validation must be a tuple"),
        (
            {"validation": (X[:, :2], T)},
            ValueError,
            r"In the validation data: X has shape \(30, 2\)",
        ),
        ({"optimizer": vp.LBFGS(), "batch_size": 5}, ValueError, "omit batch_size"),
        ({"callbacks": print}, TypeError, "a list of functions"),
        ({"state": fit()}, TypeError, r"result\.state of an earlier call"),
        (
            {"validation": (np.stack([X, X]), T)},
            ValueError,
            r"validation data have members of shape \(2,\)",
        ),
    ],
)
def test_invalid_arguments_are_refused(arguments, error, pattern):
    with pytest.raises(error, match=pattern):
        fit(**arguments)


def test_arguments_in_the_wrong_order_are_refused():
    with pytest.raises(TypeError, match="network must be a Network, got ndarray"):
        vp.train(THETA, NETWORK, X, T, optimizer=vp.Adam())  # pyright: ignore[reportArgumentType]


def test_a_result_is_shown_in_one_line():
    result = fit()
    assert (
        repr(result) == "<TrainingResult after 5 epochs, ended by 'epochs'; loss"
        f" {result.history.loss[-1]:.6g}>"
    )
    result = fit(theta=np.stack([THETA, 2 * THETA]), epochs=1)
    assert repr(result).startswith(
        "<TrainingResult after 1 epoch, ended by 'epochs'; lowest loss "
    )


def test_a_custom_optimizer():
    class SignDescent:
        def init(self, theta):
            return {}

        def step(self, theta, gradient, state):
            theta -= 0.01 * np.sign(gradient)

    assert (
        fit(optimizer=SignDescent(), epochs=50).history.loss[-1]
        < fit(epochs=0).history.loss[0]
    )


def test_float32_training_stays_float32():
    result = fit(
        DROPPING,
        THETA.astype(np.float32),
        optimizer=replace(vp.Adam(), learning_rate=0.01),
        batch_size=7,
    )
    assert result.theta.dtype == result.state.optimizer["m"].dtype == np.float32
    assert result.history.loss.dtype == np.float32


@pytest.mark.parametrize("rows", [2, 3])
def test_integer_classes_of_members_in_a_batch_of_as_many_rows(rows):
    """A batch of as many rows as there are members and classes could be taken for one-hot rows."""
    network = vp.Network(3, [vp.Dense(rows)], vp.SoftmaxCrossEntropy())
    classes = RNG.integers(0, rows, (rows, 30))
    thetas = network.init(range(rows))
    arguments = {
        "optimizer": vp.GradientDescent(1.0),
        "epochs": 2,
        "batch_size": 30 - rows,
    }
    together = vp.train(network, thetas, X, classes, **arguments)
    for k in range(rows):
        alone = vp.train(
            network, thetas[k], X, classes[k], **arguments, engine="reference"
        )
        np.testing.assert_allclose(together.theta[k], alone.theta, rtol=1e-10)


def test_members_only_of_the_data():
    several = np.stack([T, -T])
    together = fit(NETWORK, THETA, epochs=3)
    result = vp.train(NETWORK, THETA, X, several, optimizer=vp.Momentum(0.1), epochs=3)
    assert result.theta.shape == (2, THETA.size)
    np.testing.assert_allclose(result.theta[0], together.theta, rtol=1e-12)
    weights = np.stack([np.ones(30), np.arange(30.0)])
    assert (
        vp.train(
            NETWORK, THETA, X, T, optimizer=vp.Adam(), epochs=1, sample_weight=weights
        ).theta.ndim
        == 2
    )
