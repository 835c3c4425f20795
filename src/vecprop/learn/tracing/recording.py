"""The recording of one forward and backward pass: what goes into each layer and comes out of it, also inside layers.

The network itself computes; each of its layers, and its loss, is a twin of the given one that keeps what passes by.
"""

from copy import copy
from dataclasses import dataclass, field
from types import new_class
from typing import Any

from ...core.counter_rng import RandomKey
from ...core.elementary import Array
from ...core.layers import Layer
from ...core.network import Network
from ...core.rows.inputs import Batch
from .equations import LayerEquations


@dataclass
class LayerPass:
    """The values of one layer in a forward and backward pass, and the names of its roles in its equations."""

    layer: Layer
    p: dict[str, Array]
    X: Array
    Y: Array = None
    saved: Any = None
    delta: Array = None
    delta_X: Array = None
    J: dict[str, Array] = field(default_factory=dict)
    inside: list["LayerPass"] = field(default_factory=list)
    title: str = ""
    names: dict[str, str] = field(default_factory=dict)
    equations: LayerEquations = field(default_factory=LayerEquations)


def record(
    network: Network, theta: Array, batch: Batch, noise: RandomKey | None = None, row: int | None = None
) -> tuple[list[LayerPass], Array, Array, Array]:
    """Return the passes of the layers, the rows' losses, the loss and the gradient of a batch that has been checked.

    With a row, the gradient is the part of this one: all others pass a delta of 0 back.
    """
    top: list[LayerPass] = []
    row_losses: list[Array] = []
    layers = [_twin(layer, [top]) for layer in network.layers]
    twin = Network(network.inputs, layers, _loss_twin(network.loss_function, row_losses, row), network.penalties)
    loss, gradient = twin.batch_loss_and_gradient(theta, batch, noise)
    return top, row_losses[0], loss, gradient


def _twin(layer: Any, places: list[list[LayerPass]]) -> Any:
    """Return a layer that computes as the given one, of a class derived from its own, and keeps its passes.

    The last of the places is the list that the pass is appended to: that of the layer around it.
    """
    cls, passes = type(layer), []

    def forward(self: Any, p: dict[str, Array], X: Array, noise: RandomKey | None = None) -> tuple[Array, Any]:
        step = LayerPass(layer, p, X)
        places[-1].append(step)
        places.append(step.inside)
        step.Y, step.saved = cls.forward(self, p, X, noise)
        places.pop()
        passes.append(step)
        return step.Y, step.saved

    def backward(self: Any, p: dict[str, Array], saved: Any, delta: Array, J: dict[str, Array]) -> Array:
        step = passes.pop()  # a layer that is passed twice goes back in reverse order
        step.delta = delta
        step.delta_X = cls.backward(self, p, saved, delta, J)
        step.J = {name: copy(gradient) for name, gradient in J.items()}  # penalties are added to it later
        return step.delta_X

    def inside(value: Any) -> Any:
        """Return an attribute with twins in the place of the layers in it."""
        if isinstance(value, Layer):
            return _twin(value, places)
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            return type(value)(map(inside, value))
        return {name: inside(part) for name, part in value.items()} if type(value) is dict else value

    twin = _of_class(layer, {"forward": forward, "backward": backward})
    for name, value in vars(layer).items():
        object.__setattr__(twin, name, inside(value))  # the dataclass may be frozen
    return twin


def _loss_twin(loss: Any, row_losses: list[Array], row: int | None) -> Any:
    """Return a loss that keeps the rows' losses, and whose delta is 0 in all rows but one if a row is given."""
    cls = type(loss)

    def value(self: Any, Z: Array, T: Array) -> Array:
        row_losses.append(cls.value(self, Z, T))
        return row_losses[-1]

    def delta(self: Any, Z: Array, T: Array) -> Array:
        whole = cls.delta(self, Z, T)
        if row is None:
            return whole
        part = 0 * whole
        part[..., row, :] = whole[..., row, :]
        return part

    return _of_class(loss, {"value": value, "delta": delta})


def _of_class(part: Any, methods: dict[str, Any]) -> Any:
    """Return a copy of an object, of a class that is derived from its own and has other methods."""
    cls, twin = type(part), copy(part)
    derived = new_class(cls.__name__, (cls,), exec_body=lambda names: names.update(methods, __module__=cls.__module__))
    object.__setattr__(twin, "__class__", derived)
    return twin
