from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import make_circles

from vecprop import Dense, Logistic, Momentum, Network, SoftmaxCrossEntropy

matplotlib.use("Agg")


@pytest.fixture(scope="session")
def circles() -> tuple[Network, np.ndarray, np.ndarray, np.ndarray]:
    """Return a network for two circles, trained parameters, X and t."""
    X, t = map(
        np.asarray,
        make_circles(
            n_samples=100, shuffle=False, factor=0.3, noise=0.1, random_state=1
        ),
    )
    network = Network(
        2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(reduction="sum")
    )
    theta = 0.1 * np.random.default_rng(1).standard_normal(network.layout.size)
    optimizer = Momentum(0.02, 0.9)
    state = optimizer.init(theta)
    for _ in range(300):
        optimizer.step(theta, network.loss_and_gradient(theta, X, t)[1], state)
    return network, theta, X, t


@pytest.fixture(scope="session")
def wide() -> tuple[Network, np.ndarray, np.ndarray, np.ndarray]:
    """Return a network with five features, ten hidden units and three classes, and theta, X and t."""
    generator = np.random.default_rng(0)
    network = Network(5, [Dense(10), Logistic(), Dense(3)], SoftmaxCrossEntropy())
    return (
        network,
        3 * generator.standard_normal(93),
        generator.standard_normal((60, 5)),
        np.arange(60) % 3,
    )


@pytest.fixture
def legend() -> Callable[..., list[str]]:
    """Return the texts of a legend."""
    return lambda ax: [text.get_text() for text in ax.get_legend().get_texts()]
