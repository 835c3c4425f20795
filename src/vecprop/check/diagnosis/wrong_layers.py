"""Find the layers and the losses that have a wrong backward pass.

Known mistakes are planted in a network one at a time. A mistake explains a wrong gradient if the faulty network has the
same gradient. In addition, each layer is compared separately with a complex step.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ... import catalog
from ...core import Activation, Batch, Identity, Layer, Loss, Network, RandomKey, logistic, one_hot
from ..arithmetic.steps import STEP
from ..points.function import random_signs
from ..points.network import Changed, penalty_divisor
from .error_patterns import ratio_in_words

KNOWN: tuple[Activation, ...] = tuple(part.cls() for part in catalog.ACTIVATIONS)


def layer_names(network: Network) -> list[str]:
    return [f"layer {number} ({type(layer).__name__})" for number, layer in enumerate(network.layers)]


def planted_faults(
    network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a description and the resulting gradient, (P,), of each known mistake."""

    def gradient(of: Network, weight: Any = batch.weight, key: RandomKey | None = noise) -> np.ndarray:
        return of._batch_loss_and_gradient(theta, Batch(batch.X, batch.T, weight), key)[1]

    def network_with(layers: Any = network.layers, loss: Any = network.loss_function, penalty: Any = None) -> Network:
        return Network(network.inputs, layers, loss, network.penalties if penalty is None else penalty)

    loss, rows = network.loss_function, batch.rows
    if hasattr(loss, "__dataclass_fields__") and hasattr(loss, "reduction"):
        other = "sum" if network.reduction == "mean" else "mean"
        by = f"N = {rows}" if batch.weight is None else "the sum of the weights"
        word = "is not" if other == "sum" else "is"
        yield f"the sum over rows {word} divided by {by}", gradient(network_with(loss=replace(loss, reduction=other)))
    if batch.weight is not None:
        yield "the sample weights are ignored", gradient(network, None)
        yield "the weighted sum is divided by the number of rows", gradient(network) * batch.weight.mean()
    if noise is not None and any(getattr(layer, "random", False) for layer in network.layers):
        yield "the dropout masks are not applied", gradient(network, key=None)
    own = gradient(network)
    if network.penalties:
        bare = gradient(network_with(penalty=[]))
        yield "the penalty is missing", bare
        yield "the penalty is added twice", 2 * own - bare
        on_biases = np.zeros_like(theta)
        for span in [tensor.span for tensor in network.layout.tensors if tensor.name == "b"]:
            for penalty in network.penalties:
                on_biases[span] += penalty.gradient(theta[span]) / penalty_divisor(network, penalty, batch)
        yield "the penalty is also applied to biases", own + on_biases
        yield "the penalty has the wrong sign", 2 * bare - own
        yield f"the penalty is divided by N = {rows}", bare + (own - bare) / rows
        yield f"the penalty is multiplied by N = {rows}", bare + (own - bare) * rows
    known = dict.fromkeys((*KNOWN, *(layer for layer in network.layers if isinstance(layer, Activation))))
    for number, (layer, name) in enumerate(zip(network.layers, layer_names(network), strict=True)):
        for words, backward in _wrong_backwards(layer, name, known):
            layers: list[Any] = [*network.layers]
            layers[number] = Changed(layer, backward=lambda p, saved, delta, J, wrong=backward: wrong(saved, delta))
            yield words, gradient(network_with(layers=layers))
    outputs, _ = network.forward(theta, batch.X, noise)
    for words, delta in wrong_deltas(loss, outputs[-1]):
        yield f"{words} (delta, the error at the output)", gradient(network_with(loss=Changed(loss, delta=delta)))


def _wrong_backwards(
    layer: Layer, name: str, known: Iterable[Activation]
) -> Iterator[tuple[str, Callable[[Any, np.ndarray], np.ndarray]]]:
    if getattr(layer, "random", False):
        yield f"the mask of {name} is missing in the backward pass", lambda saved, delta: delta
    if not isinstance(layer, Activation):
        return
    yield f"the derivative of {name} is missing", lambda saved, delta: delta
    yield f"{name} multiplies delta by its output instead of its derivative", lambda saved, delta: saved[1] * delta
    for other in known:
        if other != layer and type(other) is not Identity:
            words = f"{name} has the derivative of {type(other).__name__}"
            yield words, lambda saved, delta, own=other: own.derivative(saved[0], own.value(saved[0])) * delta
            words += " (as a function of the output)"
            yield words, lambda saved, delta, own=other: own.derivative(*saved) * delta
    words = f"the derivative of {name} is computed at its output y instead of its input z"
    yield words, lambda saved, delta: layer.derivative(saved[1], layer.value(saved[1])) * delta
    yield f"the derivative of {name} is applied twice", lambda saved, delta: layer.derivative(*saved) ** 2 * delta


def wrong_deltas(
    loss: Loss, outputs: np.ndarray
) -> Iterator[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
    """Yield a description and the resulting delta of each known mistake in a loss, given outputs of the last layer."""

    def target(Z: np.ndarray, T: np.ndarray) -> np.ndarray:
        return one_hot(T, Z) if T.ndim < Z.ndim or T.dtype.kind in "iub" else T

    yield "the targets T are missing", lambda Z, T: loss.delta(Z, T) + target(Z, T)
    words = "delta is multiplied by the derivative Y (1 - Y) of the link, which the loss cancels"
    yield words, lambda Z, T: (Y := loss.predict(Z)) * (1 - Y) * loss.delta(Z, T)
    predictions = loss.predict(outputs)
    for words, link in _WRONG_LINKS.items():
        if not np.array_equal(link(outputs), predictions):
            yield words, lambda Z, T, link=link: link(Z) - target(Z, T)


def _softmax(Z: np.ndarray, axis: int | None = -1) -> np.ndarray:
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


_WRONG_LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the softmax is computed over the rows instead of the classes": partial(_softmax, axis=0),
    "the softmax is not normalized": np.exp,
    "the softmax is normalized over all rows and classes": partial(_softmax, axis=None),
    "the logistic is used instead of the softmax": logistic,
    "the softmax is used instead of the logistic": _softmax,
    "the link is missing: Z - T instead of Y - T": lambda Z: Z,
}
"""Links that are used instead of a loss's own link, by the description of the mistake."""


def wrong_layers(network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None) -> list[str]:
    """Describe the parts of a network, layers or loss, whose backward pass is wrong.

    For each layer, the gradient of Σ D * forward(X) with a random delta D is compared along a random direction.
    """
    found = []
    draw = np.random.default_rng(0)
    outputs, saved = network.forward(theta, batch.X, noise)
    views, names = network.layout.views(theta), layer_names(network)
    for number in reversed(range(len(network.layers))):
        layer, p, name = network.layers[number], views[number], names[number]
        X = outputs[number - 1] if number else batch.X
        key = noise and noise._at_layer(number)
        D = draw.standard_normal(outputs[number].shape)
        J = {parameter: np.zeros_like(values) for parameter, values in p.items()}

        def along(U: Any, V: dict[str, Any], layer: Any = layer, p: Any = p, X: Any = X, key: Any = key) -> np.ndarray:
            """Return the derivative of the outputs along a direction of the inputs and the parameters."""
            moved = lambda t: {name: values + t * V.get(name, 0) for name, values in p.items()}  # noqa: E731
            return derivative_at_0(lambda t: layer.forward(moved(t), X + t * U, key)[0])

        with suppress(Exception):  # a user-defined layer may raise any exception at other points
            delta_X = layer.backward(p, saved[number], D, J)
            U = _size(X) * random_signs(draw, X.shape)
            if not _agree(np.sum(delta_X * U, axis=-1), np.sum(D * along(U, {}), axis=-1)):
                found.append(f"{name} passes back a wrong delta{_layer_mistake(layer, X, D, saved[number], delta_X)}")
            for parameter, values in p.items():
                V = _size(values) * random_signs(draw, values.shape)
                if not _agree(np.sum(J[parameter] * V), np.sum(D * along(0.0, {parameter: V}))):
                    found.append(f"{name} computes a wrong gradient of its parameter {parameter}")
    with suppress(Exception):  # as above
        found += _loss_mistake(network, outputs[-1], batch)
    return found


def mixed_rows(network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None) -> str:
    """Name a layer or loss that mixes rows, or return an empty string."""
    # Compare the first half of the rows with and without the second half.
    half = batch.rows // 2
    if not half:
        return ""
    try:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            whole, some = (network.forward(theta, X, noise)[0] for X in (batch.X, batch.X[:half]))
            losses = [network.loss_function.value(Z[-1], batch.T[: len(Z[-1])]) for Z in (whole, some)]
    except Exception:  # a user-defined layer may raise any exception
        return ""
    names = [*layer_names(network), type(network.loss_function).__name__]
    for name, every, own in zip(names, [*whole, losses[0]], [*some, losses[1]], strict=True):
        if (np.abs(every[:half] - own) > 1e-5 * np.abs(own).max(initial=0)).any():
            return f"{name} computes outputs that depend on several rows, but rows must be independent"
    return ""


def derivative_at_0(f: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Return the derivative of a function at 0, by complex step if finite differences confirm it.

    Examples
    --------
    >>> bool(abs(derivative_at_0(lambda t: np.abs(2 + t)) - 1) < 1e-9)
    True
    """
    h = 1e-3
    near, far = f(h) - f(-h), f(2 * h) - f(-2 * h)
    differences = (8 * near - far) / (12 * h)
    try:
        stepped = np.imag(f(1j * STEP)) / STEP
    except Exception:  # user code may raise any exception for complex numbers
        return differences
    return stepped if _agree(stepped, differences, 1e-5) else differences


def _size(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0)) or 1.0


def _layer_mistake(layer: Layer, X: np.ndarray, D: np.ndarray, saved: Any, delta_X: np.ndarray) -> str:
    """Describe a mistake in the derivative of an activation or in the Jacobian of another layer."""
    size = _size(X)
    if isinstance(layer, Activation):
        true = derivative_at_0(lambda t: layer.forward({}, X + size * t)[0]) / size
        derivative = delta_X / np.where(D == 0, 1, D)
        if _agree(derivative, np.ones_like(derivative)):
            return ": its derivative is missing"
        for other in KNOWN:
            if _agree(derivative, other.derivative(X, other.value(X))) or _agree(derivative, other.derivative(*saved)):
                return f": it has the derivative of {type(other).__name__}"
        if _agree(derivative, -true):
            return ": its derivative has the wrong sign"
        return ": its derivative() is not the derivative of its value()"
    if X.shape == D.shape:
        try:
            units = np.eye(X.shape[-1])
            columns = [derivative_at_0(lambda t, e=e: layer.forward({}, X + size * t * e)[0]) for e in units]
        except Exception:  # as in `wrong_layers`
            return ""
        jacobian = np.stack(columns) / size  # (inputs, rows, outputs)
        if _agree(delta_X, np.einsum("iri->ri", jacobian) * D):
            missing = "the off-diagonal terms are missing (for a softmax, -y_i y_j)"
            return f": only the diagonal of its Jacobian is right, {missing}"
        if _agree(delta_X, np.einsum("iro,ri->ro", jacobian, D)):
            return ": its Jacobian is transposed"
    return ""


def _loss_mistake(network: Network, Z: np.ndarray, batch: Batch) -> list[str]:
    loss, T = network.loss_function, batch.T
    given = loss.delta(Z, T)
    size = _size(Z)
    columns = [derivative_at_0(lambda t, e=e: loss.value(Z + size * t * e, T)) for e in np.eye(Z.shape[-1])]
    expected = np.stack(columns, axis=-1) / size
    if _agree(given, expected):
        return []
    what = f"the delta of {type(loss).__name__} at the output is not the derivative of its value"
    if _agree(given, -expected):
        return [f"{what}: its sign is wrong"]
    right: Any = Changed(loss, delta=lambda Z, T: expected)
    for words, delta in wrong_deltas(right, Z):
        try:
            if _agree(given, delta(Z, T)):
                return [f"{what}: {words}"]
        except (TypeError, ValueError):
            continue
    shares = given[expected != 0] / expected[expected != 0]
    if shares.size and _agree(shares, shares[0]):
        words = ratio_in_words(float(shares[0]), [Z.shape[-2]], 1e-6)
        return [f"{what}: {words.replace('the gradient', 'it').replace('the expected one', 'the derivative')}"]
    return [what]


def _agree(a: Any, b: Any, precision: float = 1e-6) -> bool:
    """Return whether 98 % of the entries are equal up to rounding errors; the others may be at ties."""
    return bool((np.abs(a - b) <= precision * np.max(np.abs(b), initial=1e-300)).mean() > 0.98)
