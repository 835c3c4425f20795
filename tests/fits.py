"""A small fit that the tests of training share."""

import numpy as np

import vecprop as vp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
T = np.sin(X @ RNG.normal(size=(3, 2)))
VALIDATION = (RNG.normal(size=(10, 3)), RNG.normal(size=(10, 2)))
NETWORK = vp.Network(
    3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError(), vp.L2(1e-3)
)
DROPPING = vp.Network(
    3, [vp.Dense(4), vp.Tanh(), vp.Dropout(0.3), vp.Dense(2)], vp.SquaredError()
)
THETA = NETWORK.init(1)


def fit(network=NETWORK, theta=THETA, **arguments):
    defaults = {"optimizer": vp.Momentum(0.1), "epochs": 5, "engine": "reference"}
    return vp.train(network, theta, X, T, **{**defaults, **arguments})


def require_same(one, whole):
    """Assert that two results have equal bits, but for their times."""
    assert (one.reason, one.state.epoch, one.state.step) == (
        whole.reason,
        whole.state.epoch,
        whole.state.step,
    )
    assert one.state.under_way == whole.state.under_way
    np.testing.assert_array_equal(one.theta, whole.theta, strict=True)
    np.testing.assert_array_equal(one.state.theta, whole.state.theta, strict=True)
    for states in ("optimizer", "schedule", "early_stopping"):
        known, own = getattr(one.state, states), getattr(whole.state, states)
        assert known.keys() == own.keys()
        for name in own:
            np.testing.assert_array_equal(known[name], own[name])
    for curve in (
        "loss",
        "validation_loss",
        "validation_score",
        "gradient_norm",
        "step_size",
    ):
        np.testing.assert_array_equal(
            getattr(one.history, curve), getattr(whole.history, curve), strict=True
        )
    assert len(one.history.time) == len(whole.history.time)
    assert (np.diff(one.history.time) >= 0).all()


class Cube(vp.extend.Activation):
    """An activation of a user's own, which a model file does not hold."""

    def value(self, z):
        return z**3

    def derivative(self, z, y):
        return 3 * z**2


class Own(vp.Tanh):
    """An activation that the compiled engine cannot call, because it defines equality."""

    def __eq__(self, other):
        return isinstance(other, Own)

    __hash__ = vp.Tanh.__hash__
