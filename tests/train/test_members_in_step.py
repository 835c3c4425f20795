"""Members of one theta train in lockstep and are bit-identical to separate training."""

import copy
import os
import signal
import threading
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from fits import DROPPING, NETWORK, VALIDATION, Own, T, X

CURVES = ("loss", "validation_loss", "validation_score", "gradient_norm", "step_size")
THETAS = DROPPING.init(range(3))
SCORED = {"validation": VALIDATION, "validation_score": "r2"}
LONG = {"epochs": 60}
SETTINGS: dict[str, dict[str, Any]] = {
    "full batches": {},
    "mini-batches": {
        "batch_size": 7,
        "seed": 5,
        "optimizer": vp.Adam(0.05),
        "clip_norm": 0.5,
    },
    "a schedule": {"schedule": vp.WarmUp(3, vp.Cosine()), "batch_size": 11, **SCORED},
    "early stopping": {
        "early_stopping": vp.EarlyStopping(min_delta=0.02, patience=2),
        "validation": VALIDATION,
        **LONG,
    },
    "the score": {
        "early_stopping": vp.EarlyStopping("validation_score", 0.01, 2),
        **SCORED,
        **LONG,
    },
    "stagnation": {
        "early_stopping": vp.EarlyStopping("loss", 0.01, 2, False, "best"),
        "batch_size": 10,
        **LONG,
    },
}


def fit(network=DROPPING, theta=THETAS, **settings):
    settings = {
        "optimizer": vp.Momentum(0.1),
        "epochs": 20,
        "engine": "compiled",
        **settings,
    }
    return vp.train(network, theta, X, T, **settings)


def require_members(together, alone):
    """Assert that members equal separately trained ones, which may have ended sooner."""
    for k, one in enumerate(alone):
        np.testing.assert_array_equal(
            together.theta.reshape(len(alone), -1)[k], one.theta, strict=True
        )
        for curve in CURVES:
            found, expected = (
                getattr(together.history, curve),
                getattr(one.history, curve),
            )
            found = found.reshape(len(found), -1)[:, k] if expected.size else found
            np.testing.assert_array_equal(found[: len(expected)], expected, strict=True)
            # after the member has stopped
            assert (found[len(expected) :] == expected[-1:]).all()


@pytest.mark.parametrize("settings", SETTINGS)
def test_members_are_bit_identical_to_a_population(settings):
    for theta in (THETAS, THETAS.astype(np.float32)):
        given = {"optimizer": vp.Momentum(0.1), "epochs": 20, **SETTINGS[settings]}
        together = fit(theta=theta, **given)
        data, validation = (X, T), given.pop("validation", None)
        if validation is not None:
            data = [
                np.concatenate(parts) for parts in zip(data, validation, strict=True)
            ]
            given |= {"rows": np.arange(30), "validation_rows": np.arange(30, 40)}
        alone = vp.train_population(
            [vp.Member(DROPPING, start, **given) for start in theta], *data
        )
        require_members(together, alone)
        assert together.state.epoch == max(one.state.epoch for one in alone)
        assert together.reason == (
            "early stopping" if "early_stopping" in given else "epochs"
        )
        # each stops separately
        assert ("early_stopping" in given) == (
            len({one.state.epoch for one in alone}) > 1
        )


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_engines_agree(settings):
    found, expected = (
        fit(**SETTINGS[settings], engine=engine) for engine in ("auto", "reference")
    )
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-9)
    np.testing.assert_allclose(found.state.theta, expected.state.theta, rtol=1e-9)
    assert (found.state.epoch, found.state.step) == (
        expected.state.epoch,
        expected.state.step,
    )


def test_axes_and_learning_rates_of_members():
    theta, rates = (
        np.asfortranarray(DROPPING.init(range(6)).reshape(2, 3, -1)),
        np.arange(6).reshape(2, 3) / 10,
    )
    for schedule in (None, vp.Cosine(), vp.Adaptive(patience=1, tolerance=0.05)):
        given = {"batch_size": 8, "schedule": schedule}
        starts = zip(theta.reshape(6, -1), np.ravel(rates), strict=True)
        alone = [
            fit(theta=start, optimizer=vp.Momentum(float(rate)), **given)
            for start, rate in starts
        ]
        require_members(
            fit(theta=theta, optimizer=vp.Momentum(rates.tolist()), **given), alone
        )


def test_callbacks_see_each_epoch_and_may_change_members():
    seen = []

    def move(state):
        seen.append(state.history.last_loss)
        state.theta[..., 0] += 0.01

    together = fit(batch_size=8, callbacks=[move])
    assert len(seen) == 20
    require_members(
        together, [fit(theta=start, batch_size=8, callbacks=[move]) for start in THETAS]
    )


@pytest.mark.parametrize(
    "settings", [name for name in SETTINGS if name != "a schedule"]
)
def test_training_resumes_where_it_stopped(settings):
    given, states = {"epochs": 20, **SETTINGS[settings]}, []
    whole = fit(**given, callbacks=[lambda state: states.append(copy.deepcopy(state))])
    rest = fit(
        **given | {"epochs": given["epochs"] - 3},
        theta=states[2].theta,
        state=states[2],
    )
    np.testing.assert_array_equal(rest.theta, whole.theta)
    assert rest.state.epoch == whole.state.epoch


@pytest.mark.parametrize("batch_size", [None, 10])
def test_the_first_divergence_ends_all_members(batch_size):
    settings = {
        "optimizer": vp.GradientDescent([0.1, 1e5, 0.1, 1e5, 3.0]),
        "batch_size": batch_size,
    }
    theta, errors = NETWORK.init([0, 1, 2, 1, 4]), []
    for engine in ("compiled", "reference"):
        with pytest.raises(
            vp.DivergenceError, match=r"of 2 of 5 members \(1, 3\)"
        ) as caught:
            fit(NETWORK, theta, epochs=1000, engine=engine, **settings)
        errors.append(caught.value)
    found, expected = (error.result for error in errors)
    assert (found.state.epoch, found.state.step) == (
        expected.state.epoch,
        expected.state.step,
    )
    np.testing.assert_array_equal(
        found.theta, fit(NETWORK, theta, epochs=found.state.epoch, **settings).theta
    )
    for curve in CURVES:
        np.testing.assert_allclose(
            *(getattr(of.history, curve) for of in (found, expected)), rtol=1e-6
        )


def test_only_the_first_nonfinite_gradients_are_named():
    with pytest.raises(
        vp.DivergenceError, match=r"the gradient's norm of 1 of 3 members \(1\) is "
    ):
        fit(
            NETWORK,
            NETWORK.init(range(3)),
            optimizer=vp.GradientDescent([1e30, 1e60, 0.1]),
            batch_size=1,
        )


class Press:
    """Presses Ctrl-C shortly after its second call, while several epochs run in one kernel call."""

    interval = 10**9

    def __init__(self):
        self.states = []

    def __call__(self, state):
        self.states.append(copy.deepcopy(state))
        if len(self.states) == 2:
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.mark.long
def test_a_handler_of_ctrl_c_may_let_members_continue():
    pressed, press, settings = (
        [],
        Press(),
        {"optimizer": vp.Adam(0.001), "batch_size": 1, "epochs": 4},
    )
    press.interval, data = 1, (np.tile(X, (800, 1)), np.tile(T, (800, 1)))
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(arguments))
    found = vp.train(DROPPING, THETAS, *data, **settings, callbacks=[press])
    assert len(pressed) == 1
    np.testing.assert_array_equal(
        found.theta, vp.train(DROPPING, THETAS, *data, **settings).theta
    )


@pytest.mark.parametrize("batch_size", [None, 8])
def test_ctrl_c_ends_all_after_the_same_epoch(batch_size):
    settings, press = {"batch_size": batch_size, "optimizer": vp.Adam(0.001)}, Press()
    found = fit(epochs=10**7, callbacks=[press], **settings)
    assert found.reason == "interrupted"
    before = press.states[1]
    rest = fit(
        epochs=found.state.epoch - before.epoch,
        theta=before.theta,
        state=before,
        **settings,
    )
    np.testing.assert_array_equal(rest.theta, found.theta)
    assert len(found.history.loss) == found.state.epoch + (batch_size is None)


def test_unsupported_settings_use_the_reference_engine():
    theta, settings = NETWORK.init(range(2)), {"epochs": 2, "engine": "auto"}
    several = fit(NETWORK, theta, sample_weight=np.ones((2, 30)), **settings)
    np.testing.assert_allclose(
        several.theta, fit(NETWORK, theta, **settings).theta, rtol=1e-12
    )
    (member,) = vp.train_population(
        [vp.Member(NETWORK, theta, vp.Momentum(0.1), epochs=2)], X, T
    )
    np.testing.assert_array_equal(member.theta, fit(NETWORK, theta, **settings).theta)
    own = vp.Network(3, [vp.Dense(4), Own(), vp.Dense(2)], vp.SquaredError())
    with pytest.warns(
        UserWarning, match="reference engine, which is slower: Own is a custom part"
    ):
        fit(own, own.init(range(2)), **settings)
    with pytest.raises(
        ValueError,
        match=(
            r"shape \(3,\), but theta has .* \(2,\): pass one rate, or one per member"
        ),
    ):
        fit(NETWORK, theta, optimizer=vp.Momentum([0.1, 0.2, 0.3]), **settings)
