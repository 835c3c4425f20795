"""A network's layers as NumPy source."""

import numpy as np

from ...core.layers import Activation, Dense, Dropout, LayerNorm
from ...core.network import Network
from ..error import FileError
from .python_file import Source

_LAYER_NORM = '''\
def layer_norm(X, g, b, epsilon):
    """Return rows of mean 0 and variance 1, times g plus b."""
    centred = X - X.mean(axis=1, keepdims=True)
    return g * centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + epsilon) + b
'''


_FINITE = [
    "if not np.isfinite(X).all():",
    '    raise ValueError("X is not finite: fill or drop missing and infinite values.")',
]


def layers(network: Network, theta: np.ndarray, source: Source) -> list[str]:
    """Return the lines that turn inputs X into outputs; parameters, with axes of members in front, become constants.

    Raises
    ------
    FileError
        If a layer is the user's own.
    """
    lines = [f"X = np.asarray(X, np.{theta.dtype})", *_FINITE]
    for number, (layer, p) in enumerate(zip(network.layers, network.layout.views(theta), strict=True)):
        named = {name: source.constant(f"{name}{number}", values) for name, values in p.items()}
        match layer:
            case Dense() if type(layer) is Dense:
                lines.append(f"X = X @ {named['W']} + {named['b']}")
            case LayerNorm() if type(layer) is LayerNorm:
                source.helper("layer_norm", _LAYER_NORM)
                lines.append(f"X = layer_norm(X, {named['g']}, {named['b']}, {layer.epsilon!r})")
            case Activation():
                lines += _applied(source.formulas.method(layer, "value"))
            case Dropout() if type(layer) is Dropout:
                pass
            case _:
                raise FileError(f"Layer {number}, {layer!r}, is not one of vecprop's own, which alone become source.")
    return lines + _applied(source.formulas.method(network.loss_function, "predict"))


def network_function(network: Network, thetas: np.ndarray, source: Source) -> str:
    """Add the function of one of many networks with parameters (M, P); return the names of the parameters."""
    parameters = ", ".join(f"{name}{number}" for number, p in enumerate(network.layout.views(thetas[0])) for name in p)
    source.function(
        "network",
        '"""Return the outputs of one network, (N, O)."""',
        *layers(network, thetas, source),
        "return X",
        arguments=f"X, {parameters}",
    )
    return parameters


def _applied(function: str | None) -> list[str]:
    return [] if function is None else [f"X = {function}(X)"]
