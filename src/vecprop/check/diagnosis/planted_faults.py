"""Known mistakes in backward passes, planted in a network one at a time.

A mistake explains a wrong gradient if the faulty network's gradient is the one that was given.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ... import catalog
from ...core.activations import Identity, logistic
from ...core.counter_rng import RandomKey
from ...core.inputs import Batch
from ...core.layers import Activation, Layer
from ...core.losses import Loss, one_hot
from ...core.network import Network
from ..network_point import penalty_divisor

KNOWN: tuple[Activation, ...] = tuple(part.cls() for part in catalog.ACTIVATIONS)


@dataclass(frozen=True)
class _OtherBackward:
    """A layer, with another backward pass."""

    layer: Layer
    other: Callable[[Any, np.ndarray], np.ndarray]

    def parameters(self, inputs: int) -> Any:
        return self.layer.parameters(inputs)

    def forward(self, p: Any, X: Any, noise: RandomKey | None = None) -> Any:
        return self.layer.forward(p, X, noise)

    def backward(self, p: Any, saved: Any, delta: Any, J: Any) -> Any:
        return self.other(saved, delta)


@dataclass(frozen=True)
class OtherDelta:
    """A loss, with another delta."""

    loss: Loss
    other: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def reduction(self) -> str:
        """The loss's own."""
        return self.loss.reduction

    def predict(self, Z: Any) -> Any:
        """Return the loss's predictions."""
        return self.loss.predict(Z)

    def value(self, Z: Any, T: Any) -> Any:
        """Return each row's loss."""
        return self.loss.value(Z, T)

    def delta(self, Z: Any, T: Any) -> Any:
        """Return the other delta."""
        return self.other(Z, T)


def planted_faults(
    network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each mistake, in words, with the gradient that it leads to, (P,)."""

    def gradient(of: Network, weight: Any = batch.weight, key: RandomKey | None = noise) -> np.ndarray:
        return of.batch_loss_and_gradient(theta, Batch(batch.X, batch.T, weight), key)[1]

    def network_with(layers: Any = network.layers, loss: Any = network.loss_function, penalty: Any = None) -> Network:
        return Network(network.inputs, layers, loss, network.penalties if penalty is None else penalty)

    loss, rows = network.loss_function, batch.rows
    if hasattr(loss, "__dataclass_fields__") and hasattr(loss, "reduction"):
        other = "sum" if network.reduction == "mean" else "mean"
        by = f"N = {rows}" if batch.weight is None else "the sum of the weights"
        word = f"the rows' sum is not divided by {by}" if other == "sum" else f"the rows' sum is divided by {by}"
        yield word, gradient(network_with(loss=replace(loss, reduction=other)))
    if batch.weight is not None:
        yield "the rows' weights are left out", gradient(network, None)
        yield "the rows are weighted, but divided by their number", gradient(network) * batch.weight.mean()
    if noise is not None and any(getattr(layer, "random", False) for layer in network.layers):
        yield "the dropout masks are left out of the whole pass", gradient(network, key=None)
    own = gradient(network)
    if network.penalties:
        bare = gradient(network_with(penalty=[]))
        yield "the penalty is left out", bare
        yield "the penalty is added twice", 2 * own - bare
        yield "the penalty is applied to biases too", own + _on_biases(network, theta, batch)
        yield "the penalty's sign is wrong", 2 * bare - own
        yield f"the penalty is divided by N = {rows}", bare + (own - bare) / rows
        yield f"the penalty is multiplied by N = {rows}", bare + (own - bare) * rows
    known = dict.fromkeys((*KNOWN, *(layer for layer in network.layers if isinstance(layer, Activation))))
    for number, layer in enumerate(network.layers):
        name = f"layer {number} ({type(layer).__name__})"
        for words, backward in _wrong_backwards(layer, name, known):
            layers = [*network.layers[:number], _OtherBackward(layer, backward), *network.layers[number + 1 :]]
            yield words, gradient(network_with(layers=layers))
    for words, delta in wrong_deltas(loss):
        yield f"{words} (delta, the error at the output)", gradient(network_with(loss=OtherDelta(loss, delta)))


def _on_biases(network: Network, theta: np.ndarray, batch: Batch) -> np.ndarray:
    added = np.zeros_like(theta)
    for tensor in network.layout.tensors:
        if tensor.name == "b":
            added[tensor.span] = sum(
                penalty.gradient(theta[tensor.span]) / penalty_divisor(network, penalty, batch)
                for penalty in network.penalties
            )
    return added


def _wrong_backwards(
    layer: Layer, name: str, known: Iterable[Activation]
) -> Iterator[tuple[str, Callable[[Any, np.ndarray], np.ndarray]]]:
    if isinstance(layer, Activation):
        yield f"the derivative of {name} is missing", lambda saved, delta: delta
        yield f"{name} passes its output back instead of its derivative", lambda saved, delta: saved[1] * delta
        for other in known:
            if other != layer and type(other) is not Identity:
                yield (
                    f"{name} has the derivative of {type(other).__name__}",
                    lambda saved, delta, other=other: other.derivative(saved[0], other.value(saved[0])) * delta,
                )
                yield (
                    f"{name} has the derivative of {type(other).__name__} (as a function of its own output)",
                    lambda saved, delta, other=other: other.derivative(*saved) * delta,
                )
        yield f"the derivative of {name} is taken at its output y instead of z", _derivative_at_output(layer)
        yield f"the derivative of {name} is applied twice", lambda saved, delta: layer.derivative(*saved) ** 2 * delta
    elif getattr(layer, "random", False):
        yield f"the mask of {name} is missing in the backward pass", lambda saved, delta: delta


def _derivative_at_output(layer: Activation) -> Callable[[Any, np.ndarray], np.ndarray]:
    return lambda saved, delta: layer.derivative(saved[1], layer.value(saved[1])) * delta


def wrong_deltas(loss: Loss) -> Iterator[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
    """Yield each mistake in a loss's delta, in words, with the delta that it leads to."""

    def target(Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return one_hot(T, Z) if T.ndim < Z.ndim or T.dtype.kind in "iub" else T

    def derivative(Z: np.ndarray) -> np.ndarray:
        Y = loss.predict(Z)
        return Y * (1 - Y)

    yield "the targets T are left out", lambda Z, T: loss.delta(Z, T) + target(Z, T)
    yield (
        "the link's derivative Y (1 - Y) is applied although the loss contains it",
        lambda Z, T: derivative(Z) * loss.delta(Z, T),
    )
    yield "the softmax is taken over the rows instead of the classes", lambda Z, T: _softmax(Z, 0) - target(Z, T)
    yield "the softmax is not divided by its sum", lambda Z, T: np.exp(Z) - target(Z, T)
    yield "the softmax is divided by the sum over everything", lambda Z, T: _softmax(Z, None) - target(Z, T)
    yield "the logistic is taken instead of the softmax", lambda Z, T: logistic(Z) - target(Z, T)
    yield "the softmax is taken instead of the logistic", lambda Z, T: _softmax(Z, -1) - target(Z, T)
    yield "the link is left out, Z - T instead of Y - T", lambda Z, T: Z - target(Z, T)


def _softmax(Z: np.ndarray, axis: int | None) -> np.ndarray:
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)
