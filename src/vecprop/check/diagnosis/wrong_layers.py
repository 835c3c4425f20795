"""Find the layers and the losses that have a wrong backward pass.

Known mistakes are planted in a network one at a time. A mistake explains a wrong
gradient if the faulty network has the same gradient. In addition, each layer is
compared separately with a complex step.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray

from ... import catalog
from ...core import Activation, Identity, Layer, Loss, Network, logistic, one_hot
from ..arithmetic.steps import STEP
from ..points.function import random_signs
from ..points.network import Changed, NetworkPoint
from .error_patterns import ratio_in_words

BUILT_IN: tuple[Activation, ...] = tuple(part.cls() for part in catalog.ACTIVATIONS)

Faults = Iterator[tuple[str, Any]]
"""Descriptions of known mistakes, and the arrays that result from them."""


def layer_names(network: Network) -> list[str]:
    return [
        f"layer {number} ({type(layer).__name__})"
        for number, layer in enumerate(network.layers)
    ]


def planted_faults(point: NetworkPoint) -> Faults:
    """Yield a description and the resulting gradient, (P,), of each known mistake."""
    yield from _wrong_sums_over_rows(point)
    network = point.network
    batch = point.batch
    if point.noise_key is not None and any(map(_is_random, network.layers)):
        _, gradient = network._batch_loss_and_gradient(point.theta, batch, None)
        yield "the dropout masks are not applied", gradient
    if network.penalties:
        yield from _wrong_penalties(point)
    outputs, saved = network.forward(point.theta, batch.X, point.noise_key)
    for number, name in enumerate(layer_names(network)):
        for words, slope in _wrong_slopes(network, number, name, saved[number]):
            layers: list[Any] = list(network.layers)
            layers[number] = Changed(layers[number], backward=partial(_scaled, slope))
            yield words, _gradient(point, layers=layers)
    loss = network.loss_function
    Z = outputs[-1]
    for words, delta in _wrong_deltas(loss, Z, batch.T, loss.delta(Z, batch.T)):
        faulty_loss = Changed(loss, delta=partial(_first, delta))
        gradient = _gradient(point, loss=faulty_loss)
        yield f"{words} (delta, the error at the output)", gradient


def _wrong_sums_over_rows(point: NetworkPoint) -> Faults:
    """Yield known mistakes in the weights and the divisor of the sum over rows."""
    network = point.network
    batch = point.batch
    loss = network.loss_function
    if hasattr(loss, "__dataclass_fields__") and hasattr(loss, "reduction"):
        divisor = f"N = {batch.rows}"
        if batch.weight is not None:
            divisor = "the sum of the weights"
        if network.reduction == "mean":
            gradient = _gradient(point, loss=replace(loss, reduction="sum"))
            yield f"the sum over rows is not divided by {divisor}", gradient
        else:
            gradient = _gradient(point, loss=replace(loss, reduction="mean"))
            yield f"the sum over rows is divided by {divisor}", gradient
    if batch.weight is not None:
        unweighted = replace(batch, weight=None)
        _, gradient = point._loss_and_gradient(point.theta, unweighted)
        yield "the sample weights are ignored", gradient
        gradient = point.reference_gradient[0] * batch.weight.mean()
        yield "the weighted sum is divided by the number of rows", gradient


def _first(value, *arguments):
    """Return the first argument; as a partial function, a constant."""
    return value


def _gradient(point: NetworkPoint, **changes):
    """Return the gradient of the network with other layers or another loss or penalty."""
    network = point.network
    arguments = {
        "layers": network.layers,
        "loss": network.loss_function,
        "penalty": network.penalties,
        **changes,
    }
    faulty = Network(network.inputs, **arguments)
    _, gradient = faulty._batch_loss_and_gradient(
        point.theta, point.batch, point.noise_key
    )
    return gradient


def _is_random(layer: Layer):
    return getattr(layer, "random", False)


def _scaled(slope, p, saved, delta: ndarray, J):
    """Return delta times a slope; a wrong backward pass of a layer."""
    return slope * delta


def _wrong_penalties(point: NetworkPoint) -> Faults:
    network = point.network
    rows = point.batch.rows
    gradient = point.reference_gradient[0]
    unpenalized = _gradient(point, penalty=[])
    on_weights = gradient - unpenalized
    on_biases = np.zeros_like(point.theta)
    for tensor in network.layout.tensors:
        if tensor.name != "b":
            continue
        for penalty in network.penalties:
            slope = penalty.gradient(point.theta[tensor.span])
            on_biases[tensor.span] += slope / point.penalty_divisor(penalty)
    yield "the penalty is missing", unpenalized
    yield "the penalty is added twice", 2 * gradient - unpenalized
    yield "the penalty is also applied to biases", gradient + on_biases
    yield "the penalty has the wrong sign", 2 * unpenalized - gradient
    yield f"the penalty is divided by N = {rows}", unpenalized + on_weights / rows
    yield f"the penalty is multiplied by N = {rows}", unpenalized + on_weights * rows


def _wrong_slopes(network: Network, number: int, name: str, saved) -> Faults:
    """Yield known mistakes in the backward pass of a layer, with the factor that replaces its derivative."""
    layer = network.layers[number]
    if _is_random(layer):
        yield f"the mask of {name} is missing in the backward pass", 1.0
    if not isinstance(layer, Activation):
        return
    z, y = saved
    yield f"the derivative of {name} is missing", 1.0
    yield f"{name} multiplies delta by its output instead of its derivative", y
    of_network = [part for part in network.layers if isinstance(part, Activation)]
    for activation in dict.fromkeys([*BUILT_IN, *of_network]):
        if activation == layer or type(activation) is Identity:
            continue
        words = f"{name} has the derivative of {type(activation).__name__}"
        yield words, activation.derivative(z, activation.value(z))
        yield f"{words} (as a function of the output)", activation.derivative(z, y)
    words = (
        f"the derivative of {name} is computed at its output y instead of its input z"
    )
    yield words, layer.derivative(y, layer.value(y))
    yield f"the derivative of {name} is applied twice", layer.derivative(z, y) ** 2


def _wrong_deltas(loss: Loss, Z: ndarray, T: ndarray, delta: ndarray) -> Faults:
    """Yield a description and the resulting delta of each known mistake in a loss, given its correct delta."""
    target = one_hot(T, Z)
    yield "the targets T are missing", delta + target
    Y = loss.predict(Z)
    if Y.shape == Z.shape:
        words = (
            "delta is multiplied by the derivative Y (1 - Y) of the link, which the"
            " loss cancels"
        )
        yield words, Y * (1 - Y) * delta
    for words, link in _WRONG_LINKS.items():
        prediction = link(Z)
        if not np.array_equal(prediction, Y):
            yield words, prediction - target


def _softmax(Z: ndarray, axis: int | None = -1):
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


_WRONG_LINKS: dict[str, Callable[[ndarray], ndarray]] = {
    "the softmax is computed over the rows instead of the classes": partial(
        _softmax, axis=0
    ),
    "the softmax is not normalized": np.exp,
    "the softmax is normalized over all rows and classes": partial(_softmax, axis=None),
    "the logistic is used instead of the softmax": logistic,
    "the softmax is used instead of the logistic": _softmax,
    "the link is missing: Z - T instead of Y - T": np.positive,
}
"""Links that are used instead of a loss's own link, by the description of the
mistake.
"""


def wrong_layers(point: NetworkPoint):
    """Describe the parts of a network, layers or loss, whose backward pass is wrong.

    For each layer, the gradient of Σ D * forward(X) with a random delta D is compared
    along a random direction.
    """
    mistakes = []
    draw = np.random.default_rng(0)
    network = point.network
    outputs, saved = network.forward(point.theta, point.batch.X, point.noise_key)
    names = layer_names(network)
    for number in reversed(range(len(names))):
        if len(network._sources[number]) > 1:
            continue
        D = draw.standard_normal(outputs[number].shape)
        # a user-defined layer may raise any exception at other points
        with suppress(Exception):
            for mistake in _layer_mistakes(point, number, saved[number], D, draw):
                mistakes.append(f"{names[number]} {mistake}")
    with suppress(Exception):  # as above
        mistakes += _loss_mistake(network.loss_function, outputs[-1], point.batch.T)
    return mistakes


def _layer_mistakes(
    point: NetworkPoint, number: int, saved, D: ndarray, draw: np.random.Generator
) -> Iterator[str]:
    """Yield the mistakes in the backward pass of a layer for a delta D, (N, outputs)."""
    layer = point.network.layers[number]
    p = point.network.layout.views(point.theta)[number]
    X = point._inputs[number]
    key = point._noise_at(number)

    def outputs(X, p):
        Y, _ = layer.forward(p, X, key)
        return Y

    gradients = {name: np.zeros_like(values) for name, values in p.items()}
    delta = layer.backward(p, saved, D, gradients)
    # If X moves along U, the products of U with delta must equal Σ D * dY.
    U = _size(X) * random_signs(draw, X.shape)
    dY = _derivative(partial(outputs, p=p), X, U)
    if not _agree(np.sum(delta * U, axis=-1), np.sum(D * dY, axis=-1)):
        yield f"passes back a wrong delta{_explanation(layer, X, D, saved, delta)}"

    def outputs_for(values, name: str):
        return outputs(X, {**p, name: values})

    for name, values in p.items():
        U = _size(values) * random_signs(draw, values.shape)
        dY = _derivative(partial(outputs_for, name=name), values, U)
        if not _agree(np.sum(gradients[name] * U), np.sum(D * dY)):
            yield f"computes a wrong gradient of its parameter {name}"


def mixed_rows(point: NetworkPoint):
    """Name a layer or loss that mixes rows, or return an empty string."""
    # Compare the first half of the rows with and without the second half.
    network = point.network
    half = point.batch.rows // 2
    if not half:
        return ""

    def values(rows: int):
        """Return the outputs of each layer, and the losses, for the first rows."""
        X = point.batch.X[:rows]
        outputs, _ = network.forward(point.theta, X, point.noise_key)
        loss = network.loss_function.value(outputs[-1], point.batch.T[:rows])
        return [*outputs, loss]

    try:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            all_values = values(point.batch.rows)
            half_values = values(half)
    except Exception:  # a user-defined layer may raise any exception
        return ""
    names = [*layer_names(network), type(network.loss_function).__name__]
    for name, value, expected in zip(names, all_values, half_values, strict=True):
        tolerance = 1e-5 * abs(expected).max(initial=0)
        if (abs(value[:half] - expected) > tolerance).any():
            return (
                f"{name} computes outputs that depend on several rows, but rows must be"
                " independent"
            )
    return ""


def derivative_at_0(f: Callable[[Any], ndarray]):
    """Return the derivative of a function at 0, by complex step if finite differences confirm it.

    Examples
    --------
    >>> bool(abs(derivative_at_0(lambda t: np.abs(2 + t)) - 1) < 1e-9)
    True
    """
    # the central difference of order 4
    h = 1e-3
    near = f(h) - f(-h)
    far = f(2 * h) - f(-2 * h)
    difference = (8 * near - far) / (12 * h)
    try:
        derivative = np.imag(f(1j * STEP)) / STEP
    except Exception:  # user code may raise any exception for complex numbers
        return difference
    return derivative if _agree(derivative, difference, 1e-5) else difference


def _derivative(f: Callable[[ndarray], ndarray], X: ndarray, U):
    """Return the derivative of a function at X along U."""
    return derivative_at_0(lambda t: f(X + t * U))


def _jacobian(f: Callable[[ndarray], ndarray], X: ndarray):
    """Return the derivatives of a function of independent rows, (inputs, rows, …)."""
    size = _size(X)
    columns = [_derivative(f, X, size * unit) for unit in np.eye(X.shape[-1])]
    return np.stack(columns) / size


def _size(values: ndarray):
    return float(abs(values).max(initial=0)) or 1.0


def _explanation(layer: Layer, X: ndarray, D: ndarray, saved, delta: ndarray):
    """Explain the wrong delta that a layer returns for D, or return an empty string."""

    def outputs(X):
        return layer.forward({}, X)[0]

    if isinstance(layer, Activation):
        derivative = delta / np.where(D == 0, 1, D)
        size = _size(X)
        expected = _derivative(outputs, X, size) / size
        return _explained_slope(derivative, expected, X, saved)
    if X.shape != D.shape:
        return ""
    try:
        jacobian = _jacobian(outputs, X)  # (inputs, rows, outputs)
    except Exception:  # as in `wrong_layers`
        return ""
    if _agree(delta, np.einsum("iri->ri", jacobian) * D):
        return (
            ": only the diagonal of its Jacobian is right, the off-diagonal terms are"
            " missing (for a softmax, -y_i y_j)"
        )
    if _agree(delta, np.einsum("iro,ri->ro", jacobian, D)):
        return ": its Jacobian is transposed"
    return ""


def _explained_slope(derivative: ndarray, expected: ndarray, X: ndarray, saved):
    """Explain the wrong derivative of an activation at X."""
    if _agree(derivative, np.ones_like(derivative)):
        return ": its derivative is missing"
    for activation in BUILT_IN:
        at_input = activation.derivative(X, activation.value(X))
        if _agree(derivative, at_input) or _agree(
            derivative, activation.derivative(*saved)
        ):
            return f": it has the derivative of {type(activation).__name__}"
    if _agree(derivative, -expected):
        return ": its derivative has the wrong sign"
    return ": its derivative() is not the derivative of its value()"


def _loss_mistake(loss: Loss, Z: ndarray, T: ndarray):
    """Describe the mistake in the delta of a loss; the list is empty if the delta is correct."""
    delta = loss.delta(Z, T)
    expected = np.moveaxis(_jacobian(lambda Z: loss.value(Z, T), Z), 0, -1)
    if _agree(delta, expected):
        return []
    mistake = (
        f"the delta of {type(loss).__name__} at the output is not the derivative of its"
        " value"
    )
    explanation = _explained_delta(loss, Z, T, delta=delta, expected=expected)
    return [f"{mistake}: {explanation}" if explanation else mistake]


def _explained_delta(
    loss: Loss, Z: ndarray, T: ndarray, *, delta: ndarray, expected: ndarray
):
    """Explain a wrong delta of a loss, or return an empty string."""
    if _agree(delta, -expected):
        return "its sign is wrong"
    with suppress(TypeError, ValueError):
        for words, wrong_delta in _wrong_deltas(loss, Z, T, expected):
            if _agree(delta, wrong_delta):
                return words
    ratios = delta[expected != 0] / expected[expected != 0]
    if not ratios.size or not _agree(ratios, ratios[0]):
        return ""
    words = ratio_in_words(float(ratios[0]), [Z.shape[-2]], 1e-6)
    words = words.replace("the gradient", "it")
    return words.replace("the expected one", "the derivative")


def _agree(a, b, precision: float = 1e-6):
    """Return whether 98 % of the entries are equal up to rounding errors; the others may be at ties."""
    tolerance = precision * np.max(abs(b), initial=1e-300)
    return bool((abs(a - b) <= tolerance).mean() > 0.98)
