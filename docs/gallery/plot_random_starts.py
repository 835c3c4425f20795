"""
Random starts
=============

The picture shows the final losses of many random starts for two optimizers.
"""

import numpy as np
from sklearn.datasets import make_circles

from vecprop import (
    Dense,
    GradientDescent,
    Logistic,
    Member,
    Momentum,
    Network,
    SoftmaxCrossEntropy,
    train_population,
)
from vecprop.learn import plot_random_starts

X, t = make_circles(n_samples=100, factor=0.3, noise=0.1, random_state=0)
network = Network(
    2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum")
)
starts = 0.1 * np.random.default_rng(1).normal(size=(200, 17))
optimizers = {
    "gradient descent": GradientDescent(0.02),
    "momentum": Momentum(0.02, 0.9),
}
losses = {
    name: train_population(
        [Member(network, theta, optimizer, epochs=300) for theta in starts], X, t
    ).last_loss
    for name, optimizer in optimizers.items()
}
plot_random_starts(losses, threshold=5)
