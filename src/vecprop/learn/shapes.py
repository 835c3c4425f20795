"""Networks of teaching by their shape, such as 2-3-2."""

import re

from .. import catalog
from ..core.layers import Dense, Layer
from ..core.losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy, SquaredError
from ..core.network import Network

LOSSES: dict[str, type[Loss]] = {
    "softmax": SoftmaxCrossEntropy,
    "logistic": BinaryCrossEntropy,
    "squared_error": SquaredError,
}
"""The losses by the name of their link."""


def network_of_shape(shape: str, activation: str = "logistic", loss: str = "softmax") -> Network:
    """Return a network with an activation between its dense layers, and a loss that is summed over rows.

    Raises
    ------
    ValueError
        If there is no such network.

    Examples
    --------
    >>> network_of_shape("2-3-2").layers
    (Dense(outputs=3, initializer=Glorot()), Logistic(), Dense(outputs=2, initializer=Glorot()))
    """
    if not re.fullmatch(r"[1-9]\d{0,2}(-[1-9]\d{0,2}){1,9}", shape):
        raise ValueError(f"The shape {shape!r} is not one such as 2-3-2, of 2 to 10 numbers from 1 to 999.")
    activations = catalog.named(catalog.ACTIVATIONS)
    if activation not in activations:
        raise ValueError(f"There is no activation {activation!r}: take one of {', '.join(activations)}.")
    if loss not in LOSSES:
        raise ValueError(f"There is no loss {loss!r}: take one of {', '.join(LOSSES)}.")
    inputs, *widths = map(int, shape.split("-"))
    if loss == "softmax" and widths[-1] == 1:
        raise ValueError("A softmax needs at least 2 outputs: for one take the loss logistic.")
    layers: list[Layer] = []
    for width in widths:
        layers += [Dense(width), activations[activation]()]
    return Network(inputs, layers[:-1], LOSSES[loss](reduction="sum"))
