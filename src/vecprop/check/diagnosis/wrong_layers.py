"""The layers and the loss whose backward pass is wrong: each is tried by itself against a complex step."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.counter_rng import RandomKey
from ...core.inputs import Batch
from ...core.layers import Activation, Layer
from ...core.network import Network
from ..complex_step import STEP
from ..point import random_signs
from .planted_faults import KNOWN, OtherDelta, wrong_deltas


def wrong_layers(network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None) -> list[str]:
    """Return, in words, the parts of a network whose backward pass is not the derivative of their forward pass.

    For each layer a random delta D is drawn, and the gradient of Σ D * forward(X) is compared along a random direction.
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
            """Return the derivative of the layer's outputs along a direction of its inputs and parameters."""
            return derivative_at_0(
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
        except Exception:  # a user's own layer may raise anything at other points
            continue
    try:
        return found + _loss_fault(network, outputs[-1], batch)
    except Exception:  # as above
        return found


def mixed_rows(network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None) -> str:
    """Return which part of a network computes a row's numbers from other rows, in words; empty if none does.

    The first half of the rows is computed by itself.
    """
    half = batch.rows // 2
    if not half:
        return ""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            whole, some = (network.forward(theta, X, noise)[0] for X in (batch.X, batch.X[:half]))
            losses = [network.loss_function.value(Z[-1], batch.T[: len(Z[-1])]) for Z in (whole, some)]
    except Exception:  # a user-defined layer may raise anything
        return ""
    names = [f"layer {number} ({type(layer).__name__})" for number, layer in enumerate(network.layers)]
    computed = zip([*whole, losses[0]], [*some, losses[1]], strict=True)
    for name, (every, own) in zip([*names, type(network.loss_function).__name__], computed, strict=True):
        if (np.abs(every[:half] - own) > 1e-5 * np.abs(own).max(initial=0)).any():
            return f"{name} computes a row's numbers from other rows too, but rows have to be independent of each other"
    return ""


def derivative_at_0(f: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Return the derivative of a function of one number at 0: by complex step if real differences confirm it.

    Examples
    --------
    >>> bool(abs(derivative_at_0(lambda t: np.abs(2 + t)) - 1) < 1e-9)
    True
    """
    h = 1e-3
    near, far = f(h) - f(-h), f(2 * h) - f(-2 * h)
    differences = (8 * near - far) / (12 * h)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            stepped = np.imag(f(1j * STEP)) / STEP
    except Exception:  # foreign code may raise anything when it is given complex numbers
        return differences
    return stepped if _agree(stepped, differences, 1e-5) else differences


def _size(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0)) or 1.0


def _of_layer(layer: Layer, X: np.ndarray, D: np.ndarray, saved: Any, delta_X: np.ndarray) -> str:
    """Return the mistake in an activation's derivative, or in the Jacobian of a layer that mixes a row's entries."""
    size = _size(X)
    true = (
        derivative_at_0(lambda t: layer.forward({}, X + size * t)[0]) / size if isinstance(layer, Activation) else None
    )
    if true is not None:
        derivative = delta_X / np.where(D == 0, 1, D)
        if _agree(derivative, np.ones_like(derivative)):
            return ": its derivative is missing"
        for other in KNOWN:
            if _agree(derivative, other.derivative(X, other.value(X))) or _agree(derivative, other.derivative(*saved)):
                return f": its derivative is that of {type(other).__name__}"
        if _agree(derivative, -true):
            return ": its derivative has the wrong sign"
        return ": its derivative() is not the derivative of its value()"
    if X.shape == D.shape:
        try:
            columns = [
                derivative_at_0(lambda t, e=e: layer.forward({}, X + size * t * e)[0]) for e in np.eye(X.shape[-1])
            ]
        except Exception:  # as in `wrong_layers`
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
    columns = [derivative_at_0(lambda t, e=e: loss.value(Z + size * t * e, T)) for e in np.eye(Z.shape[-1])]
    expected = np.stack(columns, axis=-1) / size
    if _agree(given, expected):
        return []
    what = f"the delta of {type(loss).__name__} at the output is not the derivative of its value"
    if _agree(given, -expected):
        return [f"{what}: its sign is wrong"]
    right = OtherDelta(loss, lambda Z, T: expected)
    for words, delta in wrong_deltas(right):  # pyright: ignore[reportArgumentType]
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
    """Return whether two arrays are equal up to rounding, except for 2 % of entries, which may be at ties."""
    return bool((np.abs(a - b) <= precision * np.max(np.abs(b), initial=1e-300)).mean() > 0.98)
