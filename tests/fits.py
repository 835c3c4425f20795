"""A small fit that the tests of training share."""

import numpy as np

import vecprop as vp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
T = np.sin(X @ RNG.normal(size=(3, 2)))
VALIDATION = (RNG.normal(size=(10, 3)), RNG.normal(size=(10, 2)))
NETWORK = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError(), vp.L2(1e-3))
DROPPING = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dropout(0.3), vp.Dense(2)], vp.SquaredError())
THETA = NETWORK.init(1)


def fit(network=NETWORK, theta=THETA, **arguments):
    defaults = {"optimizer": vp.Momentum(0.1), "epochs": 5, "engine": "reference"}
    return vp.train(network, theta, X, T, **{**defaults, **arguments})
