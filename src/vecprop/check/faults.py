"""The ways to get a network's gradient wrong, computed: a network with one fault planted in its backward pass.

A fault explains a wrong gradient where the faulty network's gradient is the one that was given. And where it is the
network's own backward pass that is wrong, each of its parts is tried by itself against a complex step.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core import activations
from ..core.activations import logistic
from ..core.counted import Noise
from ..core.inputs import Batch
from ..core.layers import Activation, Layer
from ..core.losses import Loss, one_hot
from ..core.network import Network
from .complex_step import STEP
from .network import penalty_divisor
from .point import random_signs

KNOWN: tuple[Activation, ...] = (
    activations.Identity(),
    activations.Logistic(),
    activations.Tanh(),
    activations.ReLU(),
    activations.LeakyReLU(),
    activations.ELU(),
    activations.GELU(),
    activations.SiLU(),
    activations.Softplus(),
)


@dataclass(frozen=True)
class _OtherBackward:
    """A layer, with another backward pass."""

    layer: Layer
    other: Callable[[Any, np.ndarray], np.ndarray]

    def parameters(self, inputs: int) -> Any:
        return self.layer.parameters(inputs)

    def forward(self, p: Any, X: Any, noise: Noise | None = None) -> Any:
        return self.layer.forward(p, X, noise)

    def backward(self, p: Any, saved: Any, delta: Any, J: Any) -> Any:
        return self.other(saved, delta)


@dataclass(frozen=True)
class _OtherDelta:
    """A loss, with another delta."""

    loss: Loss
    other: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def reduction(self) -> str:
        return self.loss.reduction

    def predict(self, Z: Any) -> Any:
        return self.loss.predict(Z)

    def value(self, Z: Any, T: Any) -> Any:
        return self.loss.value(Z, T)

    def delta(self, Z: Any, T: Any) -> Any:
        return self.other(Z, T)


def faults(network: Network, theta: np.ndarray, batch: Batch, noise: Noise | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may have been done wrong, in words, with the gradient that comes of it, (P,)."""

    def gradient(of: Network, weight: Any = batch.weight, key: Noise | None = noise) -> np.ndarray:
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
    for words, delta in _wrong_deltas(loss):
        yield f"{words} (delta, the error at the output)", gradient(network_with(loss=_OtherDelta(loss, delta)))


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
        yield f"the slope of {name} is missing", lambda saved, delta: delta
        for other in known:
            if other != layer and type(other) is not activations.Identity:
                yield (
                    f"{name} has the slope of {type(other).__name__}",
                    lambda saved, delta, other=other: other.slope(saved[0], other.value(saved[0])) * delta,
                )
                yield (
                    f"{name} has the slope of {type(other).__name__} (as a function of its own output)",
                    lambda saved, delta, other=other: other.slope(*saved) * delta,
                )
        yield f"the slope of {name} is taken at its output y instead of z", _slope_at_output(layer)
        yield f"the slope of {name} is applied twice", lambda saved, delta: layer.slope(*saved) ** 2 * delta
        yield f"{name} passes its output back instead of its slope", lambda saved, delta: saved[1] * delta
    elif getattr(layer, "random", False):
        yield f"the mask of {name} is missing in the backward pass", lambda saved, delta: delta


def _slope_at_output(layer: Activation) -> Callable[[Any, np.ndarray], np.ndarray]:
    return lambda saved, delta: layer.slope(saved[1], layer.value(saved[1])) * delta


def _wrong_deltas(loss: Loss) -> Iterator[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
    def target(Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return one_hot(T, Z) if T.ndim < Z.ndim or T.dtype.kind in "iub" else T

    def slope(Z: np.ndarray) -> np.ndarray:
        Y = loss.predict(Z)
        return Y * (1 - Y)

    yield "the targets T are left out", lambda Z, T: loss.delta(Z, T) + target(Z, T)
    yield (
        "the link's slope Y (1 - Y) is applied although the loss contains it",
        lambda Z, T: slope(Z) * loss.delta(Z, T),
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


def own_faults(network: Network, theta: np.ndarray, batch: Batch, noise: Noise | None) -> list[str]:
    """Return which parts of a network have a backward pass that is not the derivative of their forward pass.

    Each layer is tried by itself: with a random delta D, the gradient of Σ D * forward(X) along a random direction.
    """
    found = []
    draw = np.random.default_rng(0)
    outputs, saved = network.forward(theta, batch.X, noise)
    views = network.layout.views(theta)
    for number in reversed(range(len(network.layers))):
        layer, p = network.layers[number], views[number]
        X = outputs[number - 1] if number else batch.X
        key = noise and noise.at_layer(number)
        D = draw.standard_normal(outputs[number].shape)
        J = {name: np.zeros_like(values) for name, values in p.items()}
        name = f"layer {number} ({type(layer).__name__})"

        def along(U: Any, V: dict[str, Any], layer: Any = layer, p: Any = p, X: Any = X, key: Any = key) -> np.ndarray:
            """Return the slope of the layer's outputs along a direction of its inputs and parameters."""
            return slope_at_0(
                lambda t: layer.forward({n: v + t * V.get(n, 0) for n, v in p.items()}, X + t * U, key)[0]
            )

        try:
            delta_X = layer.backward(p, saved[number], D, J)
            U = _size(X) * random_signs(draw, X.shape)
            if not _agree(np.sum(delta_X * U, axis=-1), np.sum(D * along(U, {}), axis=-1)):
                found.append(f"{name} passes a wrong delta back{_of_layer(layer, X, D, saved[number], delta_X)}")
            for parameter, values in p.items():
                V = _size(values) * random_signs(draw, values.shape)
                if not _agree(np.sum(J[parameter] * V), np.sum(D * along(0.0, {parameter: V}))):
                    found.append(f"{name} gives a wrong gradient of its own {parameter}")
        except Exception:  # a user's own layer may raise anything beside the point where it was checked
            continue
    try:
        return found + _loss_fault(network, outputs[-1], batch)
    except Exception:  # as above
        return found


def slope_at_0(f: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Return the derivative of a function of one number at 0: by complex step, unless real differences deny it.

    Examples
    --------
    >>> bool(abs(slope_at_0(lambda t: np.abs(2 + t)) - 1) < 1e-9)
    True
    """
    h = 1e-3
    near, far = f(h) - f(-h), f(2 * h) - f(-2 * h)
    differences = (8 * near - far) / (12 * h)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            stepped = np.imag(f(1j * STEP)) / STEP
    except Exception:  # whatever a stranger's code raises when it is given complex numbers
        return differences
    return stepped if _agree(stepped, differences, 1e-5) else differences


def _size(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0)) or 1.0


def _of_layer(layer: Layer, X: np.ndarray, D: np.ndarray, saved: Any, delta_X: np.ndarray) -> str:
    """Return what is wrong with an elementwise layer's slope, or with a layer that mixes a row's entries."""
    size = _size(X)
    true = slope_at_0(lambda t: layer.forward({}, X + size * t)[0]) / size if isinstance(layer, Activation) else None
    if true is not None:
        slope = delta_X / np.where(D == 0, 1, D)
        if _agree(slope, np.ones_like(slope)):
            return ": its slope is missing"
        for other in KNOWN:
            if _agree(slope, other.slope(X, other.value(X))) or _agree(slope, other.slope(*saved)):
                return f": its slope is that of {type(other).__name__}"
        if _agree(slope, -true):
            return ": its slope has the wrong sign"
        return ": its slope is not the derivative of its value"
    if X.shape == D.shape:
        try:
            columns = [slope_at_0(lambda t, e=e: layer.forward({}, X + size * t * e)[0]) for e in np.eye(X.shape[-1])]
        except Exception:  # as in `own_faults`
            return ""
        jacobian = np.stack(columns) / size  # (inputs, rows, outputs)
        if _agree(delta_X, np.einsum("iri->ri", jacobian) * D):
            missing = "the terms between outputs are missing (for a softmax -y_i y_j)"
            return f": only the diagonal of its Jacobian is there, {missing}"
        if _agree(delta_X, np.einsum("iro,ri->ro", jacobian, D)):
            return ": its Jacobian is transposed"
    return ""


def _loss_fault(network: Network, Z: np.ndarray, batch: Batch) -> list[str]:
    loss, T = network.loss_function, batch.T
    given = loss.delta(Z, T)
    size = _size(Z)
    columns = [slope_at_0(lambda t, e=e: loss.value(Z + size * t * e, T)) for e in np.eye(Z.shape[-1])]
    expected = np.stack(columns, axis=-1) / size
    if _agree(given, expected):
        return []
    what = f"the delta of {type(loss).__name__} at the output is not the derivative of its value"
    if _agree(given, -expected):
        return [f"{what}: its sign is wrong"]
    right = _OtherDelta(loss, lambda Z, T: expected)
    for words, delta in _wrong_deltas(right):  # pyright: ignore[reportArgumentType]
        try:
            if _agree(given, delta(Z, T)):
                return [f"{what}: {words}"]
        except (TypeError, ValueError):
            continue
    shares = given[expected != 0] / expected[expected != 0]
    if shares.size and np.ptp(shares) <= 1e-6 * np.abs(shares).max():
        return [f"{what}: it is {shares[0]:.6g} times that"]
    return [what]


def _agree(a: Any, b: Any, precision: float = 1e-6) -> bool:
    """Return whether two arrays are equal for all that rounding and ties leave to be seen."""
    return bool((np.abs(a - b) <= precision * np.max(np.abs(b), initial=1e-300)).mean() > 0.98)
