"""Composite layers: sequences, residual connections and branches on columns.

A network expands composite layers to one list of layers and joints; see `joints`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..system.suggestions import wrong_part
from .joints import Add, Branch, Concatenate, Fork, Select


@dataclass(frozen=True, init=False, repr=False)
class Composite:
    """The base class of composite layers."""

    _layers: tuple[Any, ...]

    def __init__(self, *layers: Any):
        name = type(self).__name__
        if not layers:
            raise ValueError(f"{name} needs at least one layer, for example Dense(3).")
        if isinstance(layers[0], list | tuple):
            raise TypeError(
                f"The layers of {name} are separate arguments, not a list: write"
                f" {name}(Dense(3), ReLU())."
            )
        for number, layer in enumerate(layers):
            require_layer(layer, f"Layer {number} of {name}")
        object.__setattr__(self, "_layers", layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._layers))})"

    def _expanded(self) -> tuple[Any, ...]:
        """Return the layers of the network that this layer stands for."""
        return expanded(self._layers)


def require_layer(layer, name: str):
    """Raise a TypeError if an object is not a layer."""
    if not isinstance(layer, Composite):
        require_methods(layer, name, "layer", ("parameters", "forward", "backward"))


def require_methods(part, name: str, role: str, methods: tuple[str, ...]):
    """Raise a TypeError if a part of a network is not an instance with the methods of its role."""
    examples = {
        "layer": "Dense(3) or ReLU()",
        "loss": "SquaredError()",
        "penalty": "L2(0.0001)",
    }
    example = f"a {role} such as {examples[role]}"
    if isinstance(part, type | str):
        raise TypeError(wrong_part(name, part, example))
    for method in methods:
        if not callable(getattr(part, method, None)):
            raise TypeError(
                f"{name} is {part!r}, which lacks the method {method} of a {role}: pass"
                f" {example}."
            )


class Sequential(Composite):
    """Layers in sequence, as one layer.

    Parameters
    ----------
    *layers : Layer
        The layers, in order.

    Examples
    --------
    >>> block = Sequential(Dense(3), ReLU())
    >>> len(Network(2, [block, block, Dense(1)], SquaredError()).layers)
    5
    """


class Residual(Composite):
    """A residual connection: layers whose inputs are added to their outputs (He et al., 2016).

    .. math:: Y = X + f(X)

    Parameters
    ----------
    *layers : Layer
        The layers of f, in order. The number of outputs must equal the number of
        inputs.

    Examples
    --------
    >>> block = Residual(Dense(3), Tanh())
    >>> network = Network(2, [Dense(3), block, block, Dense(1)], SquaredError())
    >>> X, T = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[1.0], [2.0]])
    >>> print(check_gradients(network, network.init(seed=0), X, T).verdict)
    PASS
    """

    def _expanded(self):
        return Fork(), *super()._expanded(), Add()


class Parallel(Composite):
    """Branches that take the same inputs, and whose outputs are concatenated.

    Parameters
    ----------
    *branches : Layer
        The branches. Use `Sequential` for a branch of several layers, and `Columns` for
        a branch that takes only some of the inputs.

    Examples
    --------
    >>> branches = Parallel(Columns(0), Columns([1, 2], Dense(4)))
    >>> Network(3, [branches, Dense(1)], SquaredError()).summary()
    layer             output  parameters            operations per row
    input             (N, 3)
    0 Fork()          (N, 3)                                         0
    1 Select((0,))    (N, 1)                                         0
    2 Branch()        (N, 3)                                         0
    3 Select((1, 2))  (N, 2)                                         0
    4 Dense(4)        (N, 4)  W (2, 4), b (4,)  12                  16
    5 Concatenate()   (N, 5)                                         0
    6 Dense(1)        (N, 1)  W (5, 1), b (1,)   6                  10
    SquaredError()    (N, 1)
    total                                       18                  26
    """

    def _expanded(self):
        layers = ()
        for branch in self._layers:
            joint = Branch() if layers else Fork()
            layers += (joint, *expanded([branch]))
        if len(self._layers) == 1:
            return layers[1:]
        return *layers, Concatenate()


class Columns(Sequential):
    """Layers that take only some of the inputs.

    Parameters
    ----------
    columns : int, range or sequence of int
        The indices of the inputs. Negative indices count from the last input.
    *layers : Layer
        The layers, in order. Without layers, the output contains the selected inputs.

    Examples
    --------
    >>> network = Network(3, [Columns([0, 2], Dense(4))], SquaredError())
    >>> network.layout
    Layout(layer 1 (Dense) W (2, 4), layer 1 (Dense) b (4,))
    """

    def __init__(self, columns: Any, *layers: Any):
        super().__init__(Select(_indices(columns)), *layers)

    def __repr__(self) -> str:
        select, *layers = self._layers
        arguments = [repr(list(select.columns)), *map(repr, layers)]
        return f"Columns({', '.join(arguments)})"


def _indices(columns) -> tuple[int, ...]:
    """Return column indices as a tuple of integers."""
    if isinstance(columns, int | np.integer):
        columns = [columns]
    indices = tuple(columns) if isinstance(columns, Iterable) else ()
    for index in indices:
        if not isinstance(index, int | np.integer) or isinstance(index, bool):
            indices = ()
            break
    if not indices:
        raise ValueError(
            "The columns of Columns must be at least one integer, for example [0, 2] or"
            f" range(3, 16), got {columns!r}."
        )
    return tuple(map(int, indices))


def expanded(layers: Iterable[Any]) -> tuple[Any, ...]:
    """Return layers with composite layers replaced by the layers and joints that they stand for."""
    flat: tuple[Any, ...] = ()
    for layer in layers:
        if isinstance(layer, Composite):
            flat += layer._expanded()
        else:
            flat += (layer,)
    return flat
