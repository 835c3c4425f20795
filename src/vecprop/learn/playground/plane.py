"""What a network shows over the plane: its predictions, and the output of each of its units."""

from dataclasses import dataclass

import numpy as np

from ...compiled.compiled_network import compile
from ...core.network import Network
from .parts import features

Limits = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Map:
    """What a network says over the plane."""

    values: np.ndarray
    x: tuple[float, float]
    y: tuple[float, float]


def grid(limits: Limits, size: int) -> np.ndarray:
    """Return the places of a grid row by row, (size * size, 2), from the least y to the most.

    Examples
    --------
    >>> grid(((0, 1), (5, 6)), 2).tolist()
    [[0.0, 5.0], [1.0, 5.0], [0.0, 6.0], [1.0, 6.0]]
    """
    return np.stack(np.meshgrid(*(np.linspace(*limit, size) for limit in limits)), axis=-1).reshape(-1, 2)


def map_of(network: Network, theta: np.ndarray, names: tuple[str, ...], limits: Limits, size: int) -> Map:
    """Return the network's predictions on a grid."""
    Y = compile(network).predict(theta, features(names, grid(limits, size)))
    return Map(Y.reshape(size, size, -1), *limits)


def units_of(
    network: Network, theta: np.ndarray, names: tuple[str, ...], limits: Limits, size: int
) -> list[np.ndarray]:
    """Return the inputs, each hidden layer's outputs and the predictions on a grid, (units, size, size) each."""
    X = features(names, grid(limits, size))
    outputs, _ = network.forward(theta, X)
    shown = [X, *(outputs[number] for number in network.activations), network.loss_function.predict(outputs[-1])]
    return [values.T.reshape(-1, size, size) for values in shown]
