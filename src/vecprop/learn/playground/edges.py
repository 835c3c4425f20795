"""A network's weights as edges between its units, as they are drawn."""

from dataclasses import dataclass

import numpy as np

from ...core.network import Network


@dataclass(frozen=True, slots=True)
class Edge:
    """A weight, or a bias."""

    layer: int
    source: int | None
    target: int
    index: int
    value: float


def edges(network: Network, theta: np.ndarray) -> list[Edge]:
    """Return the weights and biases of the dense layers, in the order of theta.

    Examples
    --------
    >>> from vecprop import Dense, Network, SquaredError
    >>> edges(Network(2, [Dense(1)], SquaredError()), np.array([0.5, -0.5, 2.0]))[1:]
    [Edge(layer=0, source=1, target=0, index=1, value=-0.5), Edge(layer=0, source=None, target=0, index=2, value=2.0)]
    """
    found, layer = [], -1
    for tensor in network.layout.tensors:
        if tensor.name not in ("W", "b"):
            continue
        if tensor.kind != "Dense":
            continue
        layer += tensor.name == "W"
        for index, place in enumerate(np.ndindex(tensor.shape), tensor.start):
            source, target = place if tensor.name == "W" else (None, *place)
            found.append(Edge(layer, source, target, index, float(theta[index])))
    return found
