"""Every public part of a network or of training, for tests that go through them all.

`test_catalog.py` fails where a public part is missing here.
"""

from dataclasses import dataclass

import numpy as np

import vecprop as vp

SCORES = ("accuracy", "subset_accuracy", "r2")

ACTIVATIONS = [
    vp.Identity(),
    vp.Logistic(),
    vp.Tanh(),
    vp.ReLU(),
    vp.LeakyReLU(),
    vp.LeakyReLU(leak=0.3),
    vp.ELU(),
    vp.ELU(alpha=0.7),
    vp.GELU(),
    vp.SiLU(),
    vp.Softplus(),
]

LAYERS = [
    *ACTIVATIONS,
    vp.Dense(4),
    vp.Dense(1, vp.Normal(0.1)),
    vp.Dropout(0.4),
    vp.LayerNorm(),
    vp.LayerNorm(epsilon=0.1),
]

CLASS_LOSSES = [vp.SoftmaxCrossEntropy(), vp.SoftmaxCrossEntropy(reduction="sum")]
LOSSES = [
    *CLASS_LOSSES,
    vp.BinaryCrossEntropy(),
    vp.SquaredError(),
    vp.SquaredError(reduction="sum"),
    vp.AbsoluteError(),
    vp.Huber(),
    vp.Huber(threshold=0.3),
    vp.Quantile(),
    vp.Quantile(level=0.9),
    vp.Poisson(),
]

PENALTIES = [vp.L2(0.1), vp.L1(0.1)]
INITIALIZERS = [vp.Normal(0.3), vp.Glorot(), vp.He()]
OPTIMIZERS = [
    vp.GradientDescent(0.1),
    vp.Momentum(0.05),
    vp.Nesterov(0.05),
    vp.RMSProp(0.02),
    vp.Adam(0.05),
    vp.AdamW(0.05, weight_decay=1e-4),
]
SCHEDULES = [
    vp.Constant(),
    vp.InverseScaling(),
    vp.Adaptive(),
    vp.Cosine(),
    vp.Cosine(final=0.1),
    vp.OneCycle(),
    vp.WarmUp(3),
    vp.WarmUp(3, vp.Cosine()),
]

PARTS = [
    *LAYERS,
    *LOSSES,
    *PENALTIES,
    *INITIALIZERS,
    *OPTIMIZERS,
    *SCHEDULES,
    vp.LBFGS(),
]


def name(part):
    """Return a readable test id."""
    return repr(part).replace("'", "")


def targets(loss, rng, *shape):
    """Return random targets that the loss takes, of a shape (*M, N, O)."""
    if isinstance(loss, vp.SoftmaxCrossEntropy):
        T = rng.uniform(0.1, 1, shape)
        return T / T.sum(-1, keepdims=True)
    if isinstance(loss, vp.BinaryCrossEntropy):
        return rng.integers(0, 2, shape).astype(float)
    if isinstance(loss, vp.Poisson):
        return rng.integers(0, 5, shape).astype(float)
    return rng.normal(size=shape)


@dataclass
class Problem:
    """A network with parameters and data that suit it."""

    network: vp.Network
    theta: np.ndarray
    X: np.ndarray
    T: np.ndarray
    weight: np.ndarray
    noise: vp.extend.RandomKey


BOTH = (vp.L2(0.1), vp.L1(0.01))


def problem(layer, loss, members=(), penalty=BOTH, rows=6, seed=0):
    """Return a network 3-5-layer-3 with random parameters (biases and gains too), data, weights and noise."""
    rng = np.random.default_rng(seed)
    network = vp.Network(3, [vp.Dense(5), layer, vp.Dense(3)], loss, penalty)
    theta = rng.normal(size=(*members, network.layout.size))
    X = rng.normal(size=(rows, 3))
    return Problem(
        network,
        theta,
        X,
        targets(loss, rng, rows, 3),
        rng.uniform(0.1, 2, rows),
        vp.extend.RandomKey(seed=5),
    )
