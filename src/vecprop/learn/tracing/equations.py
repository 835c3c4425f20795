"""The equations of layers, losses and optimizers as Python, with roles in braces.

``sum`` sums over the rows. ``total`` and ``mean`` reduce each row. Words such as
``epsilon`` are replaced by numbers.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ...core import Activation, Array, Dense, Dropout, LayerNorm, losses
from ...core.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Logistic,
    ReLU,
    SiLU,
    Softplus,
    Tanh,
    logistic,
)
from ...core.joints import Add, Branch, Concatenate, Fork, Select
from ...optimize.optimizers import (
    Adam,
    AdamW,
    GradientDescent,
    Momentum,
    Nesterov,
    RMSProp,
)


@dataclass(frozen=True)
class LayerEquations:
    """The equation of each role of a layer, in order.

    Roles are the input X, the output Y, their gradients dX and dY, parameter names, J_
    with a parameter name for its gradient, and saved values. Custom layers have
    symbolic function names.
    """

    letter: str = "F"
    forward: Mapping[str, str] = field(default_factory=dict)
    backward: Mapping[str, str] = field(default_factory=dict)
    saved: tuple[str, ...] = ()


@dataclass(frozen=True)
class LossEquations:
    """The equations of the predictions Y, the row losses l and their errors d = ∂l/∂Z."""

    Y: str = "link({Z})"
    l: str = "loss({Z}, {T})"
    d: str = "loss′({Z}, {T})"


def _activation(value, slope):
    return LayerEquations("H", {"Y": value}, {"S": slope, "dX": "{S} * {dY}"})


DENSE = LayerEquations(
    "Z",
    {"Y": "{X} @ {W} + {b}"},
    {"J_W": "{X}.T @ {dY}", "J_b": "sum({dY})", "dX": "{dY} @ {W}.T"},
)
LAYER_NORM = LayerEquations(
    "N",
    {
        "s": "sqrt(mean(({X} - mean({X}))**2) + epsilon)",
        "U": "({X} - mean({X})) / {s}",
        "Y": "{g} * {U} + {b}",
    },
    {
        "J_g": "sum({dY} * {U})",
        "J_b": "sum({dY})",
        "dU": "{g} * {dY}",
        "dX": "({dU} - mean({dU}) - {U} * mean({dU} * {U})) / {s}",
    },
    ("U", "s"),
)
DROPOUT = LayerEquations("D", {"Y": "{X} * {mask}"}, {"dX": "{dY} * {mask}"}, ("mask",))
NO_DROPOUT = LayerEquations("D", {"Y": "{X}"}, {"dX": "{dY}"})

LAYERS: dict[type, LayerEquations] = {
    Fork: LayerEquations("K", {"Y": "{X}"}, {"dX": "{dY} + {deltas}"}),
    Branch: LayerEquations("K", {"Y": "{X}"}, {"dX": "{dY}"}),
    Add: LayerEquations("A", {"Y": "{X} + {X1}"}, {"dX": "{dY}", "dX1": "{dY}"}),
    Dense: DENSE,
    LayerNorm: LAYER_NORM,
    Identity: _activation("{X}", "1 + 0 * {X}"),
    Logistic: _activation("1 / (1 + exp(-{X}))", "{Y} * (1 - {Y})"),
    Tanh: _activation("tanh({X})", "1 - {Y}**2"),
    ReLU: _activation("max({X}, 0)", "({X} > 0)"),
    LeakyReLU: _activation(
        "where({X} > 0, {X}, leak * {X})", "where({X} > 0, 1, leak)"
    ),
    ELU: _activation(
        "where({X} > 0, {X}, alpha * (exp({X}) - 1))", "where({X} > 0, 1, {Y} + alpha)"
    ),
    GELU: _activation("gelu({X})", "gelu′({X})"),
    SiLU: _activation(
        "{X} * logistic({X})", "logistic({X}) + {Y} * (1 - logistic({X}))"
    ),
    Softplus: _activation("log(1 + exp({X}))", "logistic({X})"),
}
LOSSES: dict[type, LossEquations] = {
    losses.SoftmaxCrossEntropy: LossEquations(
        "softmax({Z})", "-total({T} * log({Y}))", "{Y} - {T}"
    ),
    losses.BinaryCrossEntropy: LossEquations(
        "1 / (1 + exp(-{Z}))",
        "-total({T} * log({Y}) + (1 - {T}) * log(1 - {Y}))",
        "{Y} - {T}",
    ),
    losses.SquaredError: LossEquations("{Z}", "total(({Y} - {T})**2) / 2", "{Y} - {T}"),
    losses.AbsoluteError: LossEquations(
        "{Z}", "total(abs({Y} - {T}))", "sign({Y} - {T})"
    ),
    losses.Huber: LossEquations(
        "{Z}", "total(huber({Y} - {T}))", "clip({Y} - {T}, -threshold, threshold)"
    ),
    losses.Quantile: LossEquations(
        "{Z}",
        "total(max((1 - level) * ({Y} - {T}), level * ({T} - {Y})))",
        "where({Y} > {T}, 1 - level, where({Y} < {T}, -level, 0))",
    ),
    losses.Poisson: LossEquations("exp({Z})", "total({Y} - {T} * {Z})", "{Y} - {T}"),
}
OPTIMIZERS: dict[type, dict[str, str]] = {
    GradientDescent: {"theta": "{old} - rate * {J}"},
    Momentum: {"M": "momentum * {M_old} - rate * {J}", "theta": "{old} + {M}"},
    Nesterov: {
        "M": "momentum * {M_old} - rate * {J}",
        "theta": "{old} + momentum * {M} - rate * {J}",
    },
    RMSProp: {
        "v": "decay * {v_old} + (1 - decay) * {J}**2",
        "theta": "{old} - rate * {J} / (sqrt({v}) + epsilon)",
    },
    Adam: {
        "m": "beta1 * {m_old} + (1 - beta1) * {J}",
        "v": "beta2 * {v_old} + (1 - beta2) * {J}**2",
        "theta": (
            "{old} - rate * ({m} / (1 - beta1**t)) / (sqrt({v} / (1 - beta2**t)) +"
            " epsilon)"
        ),
    },
}
OPTIMIZERS[AdamW] = OPTIMIZERS[Adam] | {
    "theta": (
        OPTIMIZERS[Adam]["theta"].replace("{old}", "(1 - rate * weight_decay) * {old}")
    )
}


def layer_equations(layer, p: Mapping, saved) -> LayerEquations:
    """Return the equations of a layer."""
    if type(layer) is Dropout:
        return NO_DROPOUT if saved is None else DROPOUT
    if type(layer) is Select:
        selected = f"{{X}}[:, {list(layer.columns)}]"
        return LayerEquations("K", {"Y": selected}, {"dX": "backward({dY})"})
    if type(layer) is Concatenate:
        return _concatenation(saved)
    if type(layer) in LAYERS:
        return LAYERS[type(layer)]
    if isinstance(layer, Activation):
        return _activation("f({X})", "f′({X})")
    parameters = "".join(f", {{{name}}}" for name in p)
    backward = {f"J_{name}": "" for name in p}
    backward["dX"] = f"backward({{dY}}{parameters})"
    return LayerEquations("F", {"Y": f"f({{X}}{parameters})"}, backward)


def _concatenation(ends) -> LayerEquations:
    """Return the equations of the concatenation of branches, given the first column of each branch and the end."""
    inputs = []
    backward = {}
    for branch, (first, end) in enumerate(pairwise(ends)):
        role = f"X{branch or ''}"
        inputs.append(f"{{{role}}}")
        backward[f"d{role}"] = f"{{dY}}[:, {first}:{end}]"
    return LayerEquations("C", {"Y": f"concatenate({', '.join(inputs)})"}, backward)


INFINITE = 1e12


def _log(a):
    return np.where(a > 0, np.log(a), -INFINITE)  # makes 0 * log(0) equal to 0


def _gelu_slope(z):
    return GELU().derivative(z, GELU().value(z))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "clip": np.clip,
    "concatenate": lambda *arrays: np.concatenate(arrays, axis=-1),
    "exp": np.exp,
    "gelu": GELU().value,
    "gelu_slope": _gelu_slope,
    "log": _log,
    "logistic": logistic,
    "max": np.maximum,
    "mean": partial(np.mean, axis=-1, keepdims=True),
    "sign": np.sign,
    "softmax": losses.SoftmaxCrossEntropy().predict,
    "sqrt": np.sqrt,
    "sum": partial(np.sum, axis=0),
    "tanh": np.tanh,
    "total": partial(np.sum, axis=-1),
    "where": np.where,
}


def computed(name: str, equation: str, values: Mapping[str, Array], loss=None):
    """Evaluate the right-hand side of an equation; the names in braces are keys of values."""
    arrays = dict(values)
    if name.startswith("delta") and np.ndim(arrays.get("w", 0)) == 1:
        arrays["w"] = arrays["w"][:, None]  # one factor per row
    scope = {"__builtins__": {}, "value_of": arrays, **FUNCTIONS}
    if isinstance(loss, losses.Huber):
        scope["huber"] = lambda d: loss.element(d, 0 * d)
    code = re.sub(r"\{([^}]+)\}", r"value_of['\1']", equation).replace("′", "_slope")
    with np.errstate(all="ignore"):
        return eval(code, scope)
