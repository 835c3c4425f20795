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
    return _lines(network, _constants(network, theta, source), theta.dtype, source)


def _constants(network: Network, theta: np.ndarray, source: Source) -> list[dict[str, str]]:
    """Add the parameters of each layer as constants, and return their names in the source by their own names."""
    return [
        {name: source.constant(f"{name}{number}", values) for name, values in p.items()}
        for number, p in enumerate(network.layout.views(theta))
    ]


def _lines(network: Network, constants: list[dict[str, str]], dtype: np.dtype, source: Source) -> list[str]:
    lines = [f"X = np.asarray(X, np.{dtype})", *_FINITE]
    for number, (layer, named) in enumerate(zip(network.layers, constants, strict=True)):
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


def network_function(name: str, network: Network, thetas: np.ndarray, source: Source) -> str:
    """Add a function of one of many networks with parameters (M, P); return the names of the parameters."""
    constants = _constants(network, thetas, source)
    parameters = ", ".join(name for of_layer in constants for name in of_layer.values())
    source.function(
        name,
        '"""Return the outputs of one network, (N, O)."""',
        *_lines(network, constants, thetas.dtype, source),
        "return X",
        arguments=f"X, {parameters}",
    )
    return parameters


def _applied(function: str | None) -> list[str]:
    return [] if function is None else [f"X = {function}(X)"]
