"""Training ends by early stopping, callbacks, Ctrl-C or divergence."""

import os
import pickle
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.metrics import r2_score

import registry
import vecprop as vp
from fits import NETWORK, THETA, VALIDATION, T, X, fit

SUMMED = vp.Network(3, NETWORK.layers, vp.SquaredError(reduction="sum"))


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_running_loss_stops_where_the_last_step_diverges(engine):
    arguments = {
        "optimizer": vp.GradientDescent(1e308),
        "training_loss": "running",
        "engine": engine,
    }
    with pytest.raises(
        vp.DivergenceError, match="after step 1 the loss is nan"
    ) as caught:
        vp.train(NETWORK, THETA, X, 1000 * T, epochs=1, **arguments)
    np.testing.assert_array_equal(caught.value.result.theta, THETA)


def test_early_stopping_restores_the_best():
    result = fit(
        optimizer=vp.Adam(0.1),
        epochs=400,
        validation=VALIDATION,
        early_stopping=vp.EarlyStopping(patience=5),
    )
    losses = result.history.validation_loss
    assert result.reason == "early stopping"
    assert len(losses) < 400
    assert np.argmin(losses) == len(losses) - 6
    assert NETWORK.loss(result.theta, *VALIDATION) == losses.min()


def test_early_stopping_counts_progress_beyond_min_delta():
    result = fit(
        epochs=200, early_stopping=vp.EarlyStopping(min_delta=10.0, patience=3)
    )
    # nothing falls by 10: the patience runs out after 3 epochs
    assert len(result.history.loss) == 4
    assert NETWORK.loss(result.theta, X, T) == result.history.loss.min()


@pytest.mark.parametrize("training_loss", ["exact", "running"])
def test_stagnation_counts_from_the_lowest_training_loss_and_keeps_the_last_parameters(
    training_loss,
):
    """With small steps each epoch is better than all before, but none by the tolerance; loss_k > lowest - tolerance."""
    slow = {
        "optimizer": vp.GradientDescent(1e-4),
        "epochs": 50,
        "training_loss": training_loss,
    }
    stagnation = partial(
        vp.EarlyStopping, "loss", patience=3, restore_best=False, compare_to="best"
    )
    # steps are 0.7 of min_delta
    result = fit(
        early_stopping=stagnation(min_delta=1e-4), validation=VALIDATION, **slow
    )
    assert result.state.epoch == 4  # the first is the lowest so far
    assert result.reason == "early stopping"
    np.testing.assert_array_equal(result.theta, result.state.theta)
    rule = vp.EarlyStopping(min_delta=1e-4, patience=3)
    assert fit(early_stopping=rule, **slow).state.epoch == 50  # two steps are progress
    assert fit(early_stopping=stagnation(min_delta=0), **slow).state.epoch == 50


@pytest.mark.parametrize("compare_to", ["progress", "best"])
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_early_stopping_may_return_the_last_parameters(engine, compare_to):
    settings = {
        "optimizer": vp.Adam(0.1),
        "epochs": 400,
        "validation": VALIDATION,
        "engine": engine,
    }
    restored, last = (
        fit(
            early_stopping=vp.EarlyStopping(
                patience=5, restore_best=best, compare_to=compare_to
            ),
            **settings,
        )
        for best in (True, False)
    )
    np.testing.assert_array_equal(last.history.loss, restored.history.loss)
    np.testing.assert_array_equal(last.theta, restored.state.theta)
    assert (last.theta != restored.theta).any()


def test_callbacks_see_each_epoch_and_may_stop():
    seen = []

    def callback(state):
        seen.append((state.epoch, state.step, len(state.history.loss), state.epochs))
        np.testing.assert_allclose(
            state.history.loss[-1], NETWORK.loss(state.theta, X, T)
        )
        return state.epoch == 3

    result = fit(epochs=10, batch_size=15, training_loss="exact", callbacks=[callback])
    assert result.reason == "callback"
    assert seen == [(1, 2, 2, 10), (2, 4, 3, 10), (3, 6, 4, 10)]
    answer_of_numpy = lambda state: state.history.last_loss < 100  # noqa: E731
    assert fit(epochs=10, callbacks=[answer_of_numpy]).reason == "callback"


def test_a_callback_with_an_interval_is_called_once_in_that_number_of_epochs():
    class Seldom:
        interval = 4
        calls, losses = 0, 0

        def __call__(self, state):
            self.calls += 1
            self.losses += len(state.history._latest("loss"))
            assert not len(state.history._latest("validation_loss")) + len(
                state.history._latest("validation_score")
            )
            return state.epoch >= 12

    for engine, least in (("compiled", 3), ("reference", 12)):
        seldom = Seldom()
        result = fit(
            epochs=50,
            batch_size=15,
            training_loss="exact",
            callbacks=[seldom],
            engine=engine,
        )
        assert least <= seldom.calls <= 12
        assert seldom.losses == result.state.epoch == 12
        assert len(result.history.loss) == 13
    whole = fit(epochs=12, batch_size=15, engine="compiled")
    assert (
        whole.theta
        == fit(epochs=50, batch_size=15, callbacks=[Seldom()], engine="compiled").theta
    ).all()


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
def test_ctrl_c_between_epochs_returns_the_result_so_far(optimizer):
    def interrupt(state):
        if state.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    result = fit(optimizer=optimizer, epochs=50, callbacks=[interrupt])
    assert result.reason == "interrupted"
    assert len(result.history.loss) == 3
    assert result.history.loss[-1] == NETWORK.loss(result.theta, X, T)


def test_ctrl_c_within_an_epoch_returns_the_last_complete_epoch():
    class Interrupting(vp.Tanh):
        calls = 0

        def derivative(self, z, y):
            type(self).calls += 1
            if type(self).calls == 7:
                raise KeyboardInterrupt
            return super().derivative(z, y)

    network = vp.Network(
        3, [vp.Dense(4), Interrupting(), vp.Dense(2)], vp.SquaredError()
    )
    result = fit(network, epochs=50, batch_size=10, training_loss="exact")
    assert result.reason == "interrupted"
    # the seventh backward pass is the third epoch's first
    assert (result.state.epoch, result.state.step) == (2, 6)
    history = result.history
    assert (len(history.loss), len(history.gradient_norm), len(history.time)) == (
        3,
        2,
        3,
    )

    # the fifth pass is the second of its epoch; the epoch's first step is undone
    Interrupting.calls = 2
    result = fit(network, epochs=50, batch_size=10, training_loss="exact")
    assert (result.state.epoch, result.state.step) == (1, 3)
    assert len(result.history.loss) == 2
    assert result.history.loss[-1] == pytest.approx(network.loss(result.theta, X, T))
    rest = fit(network, result.theta, epochs=4, batch_size=10, state=result.state)
    np.testing.assert_array_equal(
        rest.theta, fit(network, epochs=5, batch_size=10).theta
    )


@pytest.mark.parametrize("batch_size", [None, 10])
def test_divergence_stops_and_keeps_the_last_finite_parameters(batch_size):
    with pytest.raises(
        vp.DivergenceError,
        match=r"Training diverged: after .*Lower the learning rate \(now 1000",
    ) as e:
        fit(
            optimizer=vp.GradientDescent(1000.0),
            epochs=1000,
            batch_size=batch_size,
            training_loss="exact",
        )
    result = e.value.result
    assert result.reason == "diverged"
    assert np.isfinite(result.history.loss).all()
    assert NETWORK.loss(result.theta, X, T) == result.history.loss[-1]
    assert len(result.history.loss) < 200


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_callbacks_see_the_last_complete_epoch_before_a_divergence(engine, tmp_path):
    states = []

    def watch(state):
        states.append(
            (
                state.epoch,
                state.step,
                state.optimizer["t"],
                np.isfinite(state.theta).all(),
            )
        )

    watch.interval = 1000  # pyright: ignore[reportFunctionMemberAccess]
    checkpoint = vp.Checkpoint(tmp_path / "run.npz", every=0)
    settings = {
        "batch_size": 10,
        "training_loss": "exact",
        "callbacks": [watch],
        "checkpoint": checkpoint,
    }
    with pytest.raises(vp.DivergenceError) as caught:
        fit(
            optimizer=vp.GradientDescent(1000.0), epochs=1000, engine=engine, **settings
        )
    epoch, step, steps_of_optimizer, is_finite = states[-1]
    assert is_finite
    assert (
        step
        == steps_of_optimizer
        == epoch * -(-len(X) // 10)
        <= caught.value.result.state.step
    )


def test_divergence_names_the_members():
    thetas = np.stack([THETA] * 8)
    rates = [0.1, 0.1, 1e5, 0.1, 0.1, 1e5, 0.1, 0.1]
    with pytest.raises(vp.DivergenceError, match=r"of 2 of 8 members \(2, 5\)"):
        fit(theta=thetas, optimizer=vp.GradientDescent(rates), epochs=1000)


def test_a_loss_that_is_not_finite_before_the_first_step_is_named():
    with pytest.raises(
        vp.DivergenceError,
        match="loss is inf before the first step: scale inputs and targets",
    ):
        vp.train(NETWORK, THETA, X, 1e300 * T, optimizer=vp.Momentum(0.1))
    with pytest.raises(vp.DivergenceError, match="validation loss is inf"):
        fit(validation=(VALIDATION[0], 1e300 * VALIDATION[1]))


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_callback_may_change_theta(engine):
    def reset(state):
        state.theta[...] = 0

    result = fit(callbacks=[reset], engine=engine)
    gradient = NETWORK.loss_and_gradient(np.zeros_like(THETA), X, T)[1]
    assert result.history.gradient_norm[-1] == pytest.approx(np.linalg.norm(gradient))


def test_a_divergence_error_can_be_pickled():
    with pytest.raises(vp.DivergenceError) as caught:
        fit(optimizer=vp.GradientDescent(1e200))
    copied = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(caught.value)
    np.testing.assert_array_equal(copied.result.theta, caught.value.result.theta)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_the_validation_score_may_stop_training(engine):
    pytest.importorskip("pandas")
    settings = {
        "optimizer": vp.Momentum(0.3),
        "validation": VALIDATION,
        "validation_score": "r2",
        "epochs": 300,
    }
    rule = vp.EarlyStopping("validation_score", min_delta=0.01, patience=4)
    result = fit(early_stopping=rule, engine=engine, **settings)
    scores = result.history.validation_score
    assert result.reason == "early stopping"
    assert len(scores) == len(result.history.validation_loss) == result.state.epoch + 1
    np.testing.assert_allclose(
        r2_score(VALIDATION[1], NETWORK.predict(result.theta, VALIDATION[0])),
        scores.max(),
        rtol=1e-12,
    )
    progress, since = scores[0], 0
    for score in scores[1:]:
        since = 0 if score > progress + 0.01 else since + 1
        progress = score if since == 0 else progress
    assert since == 4
    assert "validation_score" in result.history.to_frame()


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_stagnation_of_the_score_is_scikit_learns_rule(engine):
    """The initial parameters do not count, an equal score is progress, and the best parameters are restored."""
    settings = {
        "optimizer": vp.Momentum(0.3),
        "validation": VALIDATION,
        "validation_score": "r2",
        "epochs": 300,
    }
    rule = vp.EarlyStopping("validation_score", 0.01, 5, compare_to="best")
    result = fit(early_stopping=rule, engine=engine, **settings)
    scores, best, since = result.history.validation_score, -np.inf, []
    for score in scores[1:]:
        since.append(
            since[-1] + 1 if since and score < best + 0.01 else int(score < best + 0.01)
        )
        best = max(best, score)
    assert since[-1] == 5
    assert max(since[:-1]) < 5
    np.testing.assert_allclose(
        r2_score(VALIDATION[1], NETWORK.predict(result.theta, VALIDATION[0])),
        best,
        rtol=1e-12,
    )
    flat = {"optimizer": vp.GradientDescent(1e-300), "epochs": 3}
    rule = replace(rule, min_delta=0, patience=1)
    again = fit(early_stopping=rule, engine=engine, **settings | flat)
    assert again.reason == "epochs"


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"validation_score": "r2"}, "needs validation rows"),
        (
            {
                "validation_score": "r2",
                "validation": (*VALIDATION, np.zeros(10)),
                "network": SUMMED,
            },
            "All validation rows have weight 0, so their score is undefined",
        ),
        (
            {"validation_score": "r2", "validation": tuple(a[:1] for a in VALIDATION)},
            "at least 2 validation",
        ),
    ],
)
def test_invalid_scores_are_refused(arguments, pattern):
    with pytest.raises(ValueError, match=pattern):
        fit(**arguments)
    with pytest.raises(
        ValueError,
        match=r"monitor of EarlyStopping must be one of .*, got 'accuracy'",
    ):
        vp.EarlyStopping("accuracy")  # pyright: ignore[reportArgumentType]


class Now:
    def __init__(self, interval):
        self.interval = interval

    def __call__(self, state):
        return False


@pytest.mark.parametrize("interval", [0, -1, "x", None, np.nan])
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_intervals_are_one_epoch_at_least(interval, engine):
    with pytest.raises(ValueError, match="must be at least 1 epoch"):
        fit(callbacks=[Now(interval)], engine=engine)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_the_best_parameters_are_those_of_the_lowest_loss_however_small_the_progress(
    engine,
):
    # no epoch is progress by that much
    rule = vp.EarlyStopping(min_delta=1.0, patience=6)
    result = fit(
        optimizer=vp.Momentum(0.5),
        epochs=50,
        validation=(X, T),
        early_stopping=rule,
        engine=engine,
    )
    losses = result.history.validation_loss
    assert losses.min() < losses[-1] < losses[0]
    assert NETWORK.loss(result.theta, X, T) == pytest.approx(losses.min(), rel=1e-12)
