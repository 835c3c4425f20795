import copy
import os
import pickle
import signal
from dataclasses import replace

import numpy as np
import pytest

import registry
import vecprop as vp
from vecprop.core.counted import permutation
from vecprop.core.scores import r2

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
T = np.sin(X @ RNG.normal(size=(3, 2)))
HELD_OUT = (RNG.normal(size=(10, 3)), RNG.normal(size=(10, 2)))
NETWORK = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError(), vp.L2(1e-3))
DROPPING = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dropout(0.3), vp.Dense(2)], vp.SquaredError())
THETA = NETWORK.init(1)


def fit(network=NETWORK, theta=THETA, **arguments):
    defaults = {"optimizer": vp.Momentum(0.1), "epochs": 5, "engine": "reference"}
    return vp.train(network, theta, X, T, **{**defaults, **arguments})


def test_full_batches_are_the_optimizer_s_steps():
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


def test_mini_batches_are_the_counted_order():
    result = fit(DROPPING, epochs=2, batch_size=8, seed=9)
    theta, optimizer, step = THETA.copy(), vp.Momentum(0.1), 0
    state, losses = optimizer.init(theta), [DROPPING.loss(theta, X, T)]
    for epoch in range(2):
        order = permutation(9, epoch, 30)
        for rows in (order[:8], order[8:16], order[16:24], order[24:]):
            noise = vp.Noise(9, step, rows)
            optimizer.step(theta, DROPPING.loss_and_gradient(theta, X[rows], T[rows], noise=noise)[1], state)
            step += 1
        losses.append(DROPPING.loss(theta, X, T))
    np.testing.assert_array_equal(result.theta, theta)
    np.testing.assert_array_equal(result.history.loss, losses)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_running_loss_is_the_mean_over_batches_as_they_were_met(reduction):
    network = vp.Network(3, [vp.Dense(2)], vp.SquaredError(reduction=reduction), vp.L2(0.1))
    weight = RNG.uniform(0.5, 2, 30)
    arguments = {"optimizer": vp.GradientDescent(1e-3), "batch_size": 20, "sample_weight": weight, "shuffle": False}
    theta = network.init(0)
    result = fit(network, theta, epochs=2, training_loss="running", **arguments)
    losses = []
    for _ in range(2):
        data, penalty = 0.0, 0.0
        for rows in (slice(20), slice(20, 30)):
            of_weights = network.loss(theta, X[:1], network.hidden(theta, X[:1], -1))  # nothing but the penalty
            total, J = network.loss_and_gradient(theta, X[rows], T[rows], weight[rows])
            share = weight[rows].sum() / weight.sum() if reduction == "mean" else len(X[rows]) / 30
            data += (total - of_weights) * (share if reduction == "mean" else 1)
            penalty += of_weights * share
            theta = theta - 1e-3 * J
        losses.append(data + penalty)
    np.testing.assert_allclose(result.theta, theta, rtol=1e-12)
    np.testing.assert_allclose(result.history.loss, losses, rtol=1e-12)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_what_the_history_records_changes_no_step(engine):
    exact = fit(batch_size=8, engine=engine, validation=HELD_OUT)
    running = fit(batch_size=8, engine=engine, validation=HELD_OUT, training_loss="running")
    np.testing.assert_array_equal(running.theta, exact.theta)
    np.testing.assert_array_equal(running.history.validation_loss, exact.history.validation_loss)
    assert running.history.loss.shape == (5,)
    assert running.history.to_frame().loss.isna().tolist() == [False] * 5 + [True]
    full = [fit(engine=engine, training_loss=kind).history.loss for kind in ("running", "exact")]
    np.testing.assert_array_equal(full[0], full[1][:-1])


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_running_loss_stops_where_the_last_step_diverges(engine):
    arguments = {"optimizer": vp.GradientDescent(1e308), "training_loss": "running", "engine": engine}
    with pytest.raises(vp.DivergenceError, match="after step 1 the loss is nan") as caught:
        vp.train(NETWORK, THETA, X, 1000 * T, epochs=1, **arguments)
    np.testing.assert_array_equal(caught.value.result.theta, THETA)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    one, two, other = (fit(DROPPING, batch_size=7, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.theta, two.theta)
    assert (one.theta != other.theta).any()


def test_the_start_is_not_changed():
    kept = THETA.copy()
    fit()
    np.testing.assert_array_equal(THETA, kept)


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("schedule", [None, vp.InverseScaling(), vp.Adaptive(patience=1, tolerance=0.01)])
def test_training_goes_on_exactly_where_it_stopped(optimizer, batch_size, schedule):
    arguments = {"optimizer": optimizer, "batch_size": batch_size, "schedule": schedule}
    whole = fit(DROPPING, epochs=6, **arguments)
    part, state = THETA, None
    for _ in range(3):
        result = fit(DROPPING, part, epochs=2, state=pickle.loads(pickle.dumps(state)), **arguments)
        part, state = result.theta, result.state
    np.testing.assert_array_equal(part, whole.theta)
    assert (state.epoch, state.step) == (whole.state.epoch, whole.state.step)
    np.testing.assert_array_equal(result.history.loss[-1], whole.history.loss[-1])


def test_going_on_does_not_change_the_earlier_result():
    first = fit()
    kept = copy.deepcopy(first.state)
    fit(theta=first.theta, state=first.state)
    np.testing.assert_array_equal(first.state.optimizer["M"], kept.optimizer["M"])
    np.testing.assert_array_equal(first.theta, kept.theta)
    assert len(first.history.loss) == 6


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 7}, {"clip": 0.1}, {"validation": HELD_OUT}])
def test_members_are_trained_as_alone(arguments):
    thetas = DROPPING.init(range(3))
    together = fit(DROPPING, thetas, early_stopping=vp.EarlyStopping(2, tolerance=0.05), epochs=20, **arguments)
    assert together.history.loss.shape[1:] == (3,)
    for k in range(3):
        alone = fit(DROPPING, thetas[k], early_stopping=vp.EarlyStopping(2, tolerance=0.05), epochs=20, **arguments)
        np.testing.assert_allclose(together.theta[k], alone.theta, rtol=1e-9, atol=1e-12)


def test_schedules_move_the_learning_rate_of_each_step():
    result = fit(optimizer=vp.GradientDescent(0.2), epochs=3, schedule=vp.WarmUp(2, vp.Cosine()))
    theta = THETA.copy()
    for rate in (0.1, 0.2, 0.2):
        theta = theta - rate * NETWORK.loss_and_gradient(theta, X, T)[1]
    np.testing.assert_allclose(result.theta, theta, rtol=1e-13)


def test_clipping_shortens_the_gradient_of_each_member():
    steep = vp.Network(3, [vp.Dense(2)], vp.SquaredError(reduction="sum"))
    theta = np.stack([np.zeros(8), np.full(8, 50.0)])
    result = fit(steep, theta, optimizer=vp.GradientDescent(0.1), epochs=1, clip=2.0)
    lengths = np.linalg.norm(result.theta - theta, axis=-1)
    np.testing.assert_allclose(lengths, 0.1 * np.minimum(result.history.gradient_norm[0], 2.0))
    assert result.history.gradient_norm[0, 1] > 2


def test_validation_loss_is_measured_with_the_training_loss():
    result = fit(validation=HELD_OUT)
    assert result.history.validation_loss.shape == (6,)
    assert result.history.validation_loss[-1] == NETWORK.loss(result.theta, *HELD_OUT)
    weighted = fit(validation=(*HELD_OUT, np.arange(10.0)))
    assert weighted.history.validation_loss[0] == NETWORK.loss(THETA, *HELD_OUT, np.arange(10.0))


def test_early_stopping_restores_the_best():
    result = fit(optimizer=vp.Adam(0.1), epochs=400, validation=HELD_OUT, early_stopping=vp.EarlyStopping(patience=5))
    losses = result.history.validation_loss
    assert result.reason == "early stopping"
    assert len(losses) < 400
    assert np.argmin(losses) == len(losses) - 6
    assert NETWORK.loss(result.theta, *HELD_OUT) == losses.min()


def test_early_stopping_counts_progress_beyond_the_tolerance():
    result = fit(epochs=200, early_stopping=vp.EarlyStopping(patience=3, tolerance=10.0))
    assert len(result.history.loss) == 4  # nothing falls by 10: the patience runs out after 3 epochs
    assert NETWORK.loss(result.theta, X, T) == result.history.loss.min()


@pytest.mark.parametrize("training_loss", ["exact", "running"])
def test_stagnation_counts_from_the_lowest_training_loss_and_keeps_the_last_parameters(training_loss):
    """With small steps each epoch is better than all before, but none by the tolerance; loss_k > lowest - tolerance."""
    slow = {"optimizer": vp.GradientDescent(1e-4), "epochs": 50, "training_loss": training_loss}
    result = fit(early_stopping=vp.Stagnation(3), validation=HELD_OUT, **slow)  # steps are 0.7 of the tolerance
    assert result.state.epoch == 4  # the first is the lowest so far
    assert result.reason == "early stopping"
    np.testing.assert_array_equal(result.theta, result.state.theta)
    assert fit(early_stopping=vp.EarlyStopping(3, tolerance=1e-4), **slow).state.epoch == 50  # two of them are progress
    assert fit(early_stopping=vp.Stagnation(3, tolerance=0), **slow).state.epoch == 50


def test_callbacks_see_each_epoch_and_may_stop():
    seen = []

    def callback(state):
        seen.append((state.epoch, state.step, len(state.history.loss), state.epochs))
        np.testing.assert_allclose(state.history.loss[-1], NETWORK.loss(state.theta, X, T))
        return state.epoch == 3

    result = fit(epochs=10, batch_size=15, callbacks=[callback])
    assert result.reason == "callback"
    assert seen == [(1, 2, 2, 10), (2, 4, 3, 10), (3, 6, 4, 10)]


def test_a_callback_with_an_interval_is_called_once_in_so_many_epochs():
    class Seldom:
        interval = 4
        calls, losses = 0, 0

        def __call__(self, state):
            self.calls += 1
            self.losses += len(state.history.latest_losses)
            return state.epoch >= 12

    for engine, least in (("compiled", 3), ("reference", 12)):
        seldom = Seldom()
        result = fit(epochs=50, batch_size=15, callbacks=[seldom], engine=engine)
        assert least <= seldom.calls <= 12
        assert seldom.losses == result.state.epoch == 12
        assert len(result.history.loss) == 13
    whole = fit(epochs=12, batch_size=15, engine="compiled")
    assert (whole.theta == fit(epochs=50, batch_size=15, callbacks=[Seldom()], engine="compiled").theta).all()


def test_callbacks_that_are_context_managers_are_entered_and_left():
    class Recorder(list):
        def __enter__(self):
            self.append("enter")

        def __call__(self, state):
            self.append(state.epoch)

        def __exit__(self, *error):
            self.append("exit")

    recorder = Recorder()
    fit(epochs=2, callbacks=[recorder])
    assert recorder == ["enter", 1, 2, "exit"]
    with pytest.raises(vp.DivergenceError):
        fit(optimizer=vp.GradientDescent(1e6), epochs=100, callbacks=[recorder])
    assert recorder[-1] == "exit"


@pytest.mark.parametrize("optimizer", [vp.Momentum(0.1), vp.LBFGS()], ids=registry.name)
def test_ctrl_c_between_epochs_returns_what_has_been_trained(optimizer):
    def interrupt(state):
        if state.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    result = fit(optimizer=optimizer, epochs=50, callbacks=[interrupt])
    assert result.reason == "interrupted"
    assert len(result.history.loss) == 3
    assert result.history.loss[-1] == NETWORK.loss(result.theta, X, T)


def test_ctrl_c_within_an_epoch_returns_what_has_been_trained():
    class Interrupting(vp.Tanh):
        calls = 0

        def slope(self, z, y):
            type(self).calls += 1
            if type(self).calls == 7:
                raise KeyboardInterrupt
            return super().slope(z, y)

    network = vp.Network(3, [vp.Dense(4), Interrupting(), vp.Dense(2)], vp.SquaredError())
    result = fit(network, epochs=50, batch_size=10)
    assert result.reason == "interrupted"
    assert (result.state.epoch, result.state.step) == (2, 6)  # the seventh backward pass is the third epoch's first
    history = result.history
    assert (len(history.loss), len(history.gradient_norm), len(history.time)) == (3, 2, 3)

    Interrupting.calls = 2  # the fifth is the second of its epoch, whose first step counts
    result = fit(network, epochs=50, batch_size=10)
    assert (result.state.epoch, result.state.step) == (2, 4)
    assert len(result.history.loss) == 3
    history = result.history
    assert history.loss[-1] == pytest.approx(network.loss(result.theta, X, T))


@pytest.mark.parametrize("batch_size", [None, 10])
def test_divergence_stops_and_keeps_the_last_finite_parameters(batch_size):
    with pytest.raises(
        vp.DivergenceError, match=r"Training diverged: after step .*Lower the learning rate \(now 1000"
    ) as e:
        fit(optimizer=vp.GradientDescent(1000.0), epochs=1000, batch_size=batch_size)
    result = e.value.result
    assert result.reason == "diverged"
    assert np.isfinite(result.history.loss).all()
    assert NETWORK.loss(result.theta, X, T) == result.history.loss[-1]
    assert len(result.history.loss) < 200


def test_divergence_names_the_members():
    thetas = np.stack([THETA] * 8)
    rates = [0.1, 0.1, 1e5, 0.1, 0.1, 1e5, 0.1, 0.1]
    with pytest.raises(vp.DivergenceError, match=r"of 2 of 8 members \(2, 5\)"):
        fit(theta=thetas, optimizer=vp.GradientDescent(rates), epochs=1000)


def test_divergence_before_the_first_step_is_told_apart():
    with pytest.raises(vp.DivergenceError, match="loss is inf before the first step: scale inputs and targets"):
        vp.train(NETWORK, THETA, X, 1e300 * T, optimizer=vp.Momentum(0.1))


def test_divergence_of_the_validation_loss_is_named():
    with pytest.raises(vp.DivergenceError, match="validation loss is inf"):
        fit(validation=(HELD_OUT[0], 1e300 * HELD_OUT[1]))


def test_a_gradient_whose_squares_overflow_has_a_norm():
    from vecprop.train.descent import norm

    np.testing.assert_allclose(norm(np.array([[3e200, 4e200], [0.0, 0.0], [3e-200, 4e-200]])), [5e200, 0, 5e-200])


def test_lbfgs_finds_least_squares():
    linear = vp.Network(3, [vp.Dense(2)], vp.SquaredError())
    result = fit(linear, np.zeros(8), optimizer=vp.LBFGS(tolerance=1e-9), epochs=200, validation=HELD_OUT)
    A = np.column_stack([X, np.ones(30)])
    np.testing.assert_allclose(result.theta.reshape(4, 2), np.linalg.lstsq(A, T, rcond=None)[0], atol=1e-7)
    assert result.reason == "converged"
    history = result.history
    assert (
        len(history.loss)
        == len(history.validation_loss)
        == len(history.gradient_norm) + 1
        == len(history.step_size) + 1
    )
    assert (np.diff(history.loss) <= 0).all()
    assert history.gradient_norm[0] == pytest.approx(np.linalg.norm(linear.loss_and_gradient(np.zeros(8), X, T)[1]))


def test_lbfgs_keeps_float32_and_stops_early():
    result = fit(theta=THETA.astype(np.float32), optimizer=vp.LBFGS(), epochs=10)
    assert result.theta.dtype == np.float32
    assert result.history.loss[-1] < result.history.loss[0]
    stopped = fit(optimizer=vp.LBFGS(), epochs=500, validation=HELD_OUT, early_stopping=vp.EarlyStopping(2))
    assert stopped.reason == "early stopping"
    assert NETWORK.loss(stopped.theta, *HELD_OUT) == stopped.history.validation_loss.min()


def test_zero_epochs_measure_and_change_nothing():
    for optimizer in (vp.Momentum(0.1), vp.LBFGS()):
        result = fit(optimizer=optimizer, epochs=0)
        np.testing.assert_array_equal(result.theta, THETA)
        assert result.history.loss.shape == (1,)


def test_history_turns_into_a_frame():
    frame = fit(validation=HELD_OUT).history.to_frame()
    assert list(frame.columns) == ["loss", "validation_loss", "gradient_norm", "step_size", "time"]
    assert frame.index.name == "epoch"
    assert len(frame) == 6
    assert frame.gradient_norm.isna().tolist() == [False] * 5 + [True]
    assert frame.time.is_monotonic_increasing
    result = fit(theta=np.stack([THETA, 2 * THETA]))
    frame = result.history.to_frame()
    assert frame.index.names == ["epoch", "member"]
    assert frame.loss.loc[(3, 1)] == result.history.loss[3, 1]


def test_the_progress_bar_shows_the_loss(capsys):
    fit(epochs=3, validation=HELD_OUT, callbacks=[vp.ProgressBar("sines")])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "sines" in shown.err
    assert "3/3" in shown.err
    assert "validation" in shown.err
    assert "rows/s" in shown.err


@pytest.mark.parametrize(
    ("arguments", "error", "pattern"),
    [
        ({"optimizer": "adam"}, TypeError, "The optimizer is 'adam'"),
        ({"optimizer": vp.Adam}, TypeError, "The optimizer is <class"),
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size is 2.5"),
        ({"clip": 0}, ValueError, "clip is 0"),
        ({"engine": "quantum"}, ValueError, "engine is 'quantum'"),
        ({"training_loss": "rough"}, ValueError, "training_loss is 'rough'"),
        ({"shuffle": "yes"}, TypeError, "shuffle is 'yes'"),
        ({"validation": X}, ValueError, "validation is a tuple"),
        ({"validation": (X[:, :2], T)}, ValueError, r"In the validation data: X has shape \(30, 2\)"),
        ({"theta": THETA + 0j}, TypeError, "complex128, but training moves real parameters"),
        ({"theta": np.stack([THETA, THETA]), "optimizer": vp.LBFGS()}, ValueError, "LBFGS trains one network"),
        ({"network": DROPPING, "optimizer": vp.LBFGS()}, ValueError, "LBFGS needs a loss that stays the same"),
        ({"optimizer": vp.LBFGS(), "batch_size": 5}, ValueError, "leave out batch_size"),
        ({"clip": np.inf}, ValueError, "positive and finite"),
        ({"seed": "a"}, TypeError, "seed is 'a'"),
        ({"early_stopping": 5}, TypeError, "early_stopping is 5"),
        ({"schedule": vp.Cosine}, TypeError, "schedule is <class"),
        ({"callbacks": print}, TypeError, "a list of functions"),
        ({"state": fit()}, TypeError, r"result\.state of an earlier call"),
        ({"state": fit().state, "schedule": vp.Adaptive()}, ValueError, "The state does not fit Adaptive"),
        ({"validation": (np.stack([X, X]), T)}, ValueError, r"validation data have the members \(2,\)"),
        ({"optimizer": vp.Adam(), "state": fit().state}, ValueError, "The state does not fit Adam"),
    ],
)
def test_bad_arguments(arguments, error, pattern):
    with pytest.raises(error, match=pattern):
        fit(**arguments)


@pytest.mark.parametrize("rule", [{"patience": 0}, {"tolerance": -1}])
def test_bad_early_stopping(rule):
    with pytest.raises(ValueError, match="EarlyStopping needs"):
        vp.EarlyStopping(**rule)


def test_an_optimizer_of_ones_own():
    class SignDescent:
        def init(self, theta):
            return {}

        def step(self, theta, gradient, state):
            theta -= 0.01 * np.sign(gradient)

    assert fit(optimizer=SignDescent(), epochs=50).history.loss[-1] < fit(epochs=0).history.loss[0]


def test_float32_training_stays_float32():
    result = fit(DROPPING, THETA.astype(np.float32), optimizer=replace(vp.Adam(), learning_rate=0.01), batch_size=7)
    assert result.theta.dtype == result.state.optimizer["m"].dtype == np.float32
    assert result.history.loss.dtype == np.float32


@pytest.mark.parametrize("rows", [2, 3])
def test_integer_classes_of_members_in_a_batch_of_as_many_rows(rows):
    """A batch of as many rows as there are members and classes could be taken for one-hot rows."""
    network = vp.Network(3, [vp.Dense(rows)], vp.SoftmaxCrossEntropy())
    classes = RNG.integers(0, rows, (rows, 30))
    thetas = network.init(range(rows))
    arguments = {"optimizer": vp.GradientDescent(1.0), "epochs": 2, "batch_size": 30 - rows}
    together = vp.train(network, thetas, X, classes, **arguments)
    for k in range(rows):
        alone = vp.train(network, thetas[k], X, classes[k], **arguments, engine="reference")
        np.testing.assert_allclose(together.theta[k], alone.theta, rtol=1e-10)


def test_members_of_the_data_alone():
    several = np.stack([T, -T])
    together = fit(NETWORK, THETA, epochs=3)
    result = vp.train(NETWORK, THETA, X, several, optimizer=vp.Momentum(0.1), epochs=3)
    assert result.theta.shape == (2, THETA.size)
    np.testing.assert_allclose(result.theta[0], together.theta, rtol=1e-12)
    weights = np.stack([np.ones(30), np.arange(30.0)])
    assert vp.train(NETWORK, THETA, X, T, optimizer=vp.Adam(), epochs=1, sample_weight=weights).theta.ndim == 2


def test_a_callback_may_answer_with_a_numpy_bool():
    assert fit(epochs=10, callbacks=[lambda state: state.history.last_loss < 100]).reason == "callback"


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_callback_may_move_theta(engine):
    def reset(state):
        state.theta[...] = 0

    result = fit(callbacks=[reset], engine=engine)
    gradient = NETWORK.loss_and_gradient(np.zeros_like(THETA), X, T)[1]
    assert result.history.gradient_norm[-1] == pytest.approx(np.linalg.norm(gradient))


def test_a_divergence_passes_between_processes():
    with pytest.raises(vp.DivergenceError) as caught:
        fit(optimizer=vp.GradientDescent(1e200))
    copied = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(caught.value)
    np.testing.assert_array_equal(copied.result.theta, caught.value.result.theta)


def test_an_optimizer_without_a_learning_rate_has_no_schedule():
    class SignDescent:
        def init(self, theta):
            return {}

        def step(self, theta, gradient, state):
            theta -= 0.01 * np.sign(gradient)

    with pytest.raises(TypeError, match="SignDescent is not"):
        fit(optimizer=SignDescent(), schedule=vp.Cosine())


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_the_validation_score_may_stop_training(engine):
    settings = {"optimizer": vp.Momentum(0.3), "validation": HELD_OUT, "validation_score": "r2", "epochs": 300}
    rule = vp.EarlyStopping(4, 0.01, on="validation_score")
    result = fit(early_stopping=rule, engine=engine, **settings)
    scores = result.history.validation_score
    assert result.reason == "early stopping"
    assert len(scores) == len(result.history.validation_loss) == result.state.epoch + 1
    np.testing.assert_allclose(r2(NETWORK.predict(result.theta, HELD_OUT[0]), HELD_OUT[1]), scores.max(), rtol=1e-12)
    progress, since = scores[0], 0
    for score in scores[1:]:
        since = 0 if score > progress + 0.01 else since + 1
        progress = score if since == 0 else progress
    assert since == 4
    assert "validation_score" in result.history.to_frame()


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_stagnation_of_the_score_is_scikit_learns_rule(engine):
    """The initial parameters do not count, an equal score is progress, and the best parameters are restored."""
    settings = {"optimizer": vp.Momentum(0.3), "validation": HELD_OUT, "validation_score": "r2", "epochs": 300}
    result = fit(early_stopping=vp.Stagnation(5, 0.01, on="validation_score"), engine=engine, **settings)
    scores, best, since = result.history.validation_score, -np.inf, []
    for score in scores[1:]:
        since.append(since[-1] + 1 if since and score < best + 0.01 else int(score < best + 0.01))
        best = max(best, score)
    assert since[-1] == 5
    assert max(since[:-1]) < 5
    np.testing.assert_allclose(r2(NETWORK.predict(result.theta, HELD_OUT[0]), HELD_OUT[1]), best, rtol=1e-12)
    flat = {"optimizer": vp.GradientDescent(1e-300), "epochs": 3}
    again = fit(early_stopping=vp.Stagnation(1, 0, on="validation_score"), engine=engine, **settings | flat)
    assert again.reason == "epochs"


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"validation_score": "f1", "validation": HELD_OUT}, "validation_score is 'f1', but it is one of accuracy, su"),
        ({"validation_score": "r2"}, "no rows of validation"),
        ({"validation_score": "r2", "validation": tuple(a[:1] for a in HELD_OUT)}, "at least 2 rows"),
        ({"early_stopping": vp.Stagnation(on="validation_score"), "validation": HELD_OUT}, "name it, as in"),
    ],
)
def test_scores_that_cannot_be(arguments, pattern):
    with pytest.raises(ValueError, match=pattern):
        fit(**arguments)
    with pytest.raises(ValueError, match="watches one of loss, validation_loss, validation_score, not 'accuracy'"):
        vp.EarlyStopping(on="accuracy")
