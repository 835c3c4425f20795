"""Equations of a trace, computed from other values than its own."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...core.activations import GELU, logistic
from ...core.losses import Huber, SoftmaxCrossEntropy


def _gelu(z: Any) -> Any:
    return GELU().value(z)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "where": np.where,
    "max": np.maximum,
    "abs": np.abs,
    "sign": np.sign,
    "clip": np.clip,
    "logistic": logistic,
    "gelu": _gelu,
    "gelu_slope": lambda z: GELU().derivative(z, _gelu(z)),
    "softmax": SoftmaxCrossEntropy().predict,
    "sum": lambda a: np.sum(a, axis=0),
    "total": lambda a: np.sum(a, axis=-1),
    "mean": lambda a: np.mean(a, axis=-1, keepdims=True),
}


def computed(name: str, equation: str, values: Mapping[str, np.ndarray], loss: Any = None) -> Any:
    """Return the right side of an equation, with the values of the names in it.

    Examples
    --------
    >>> computed("Z1", "{X} @ {W1} + {b1}", {"X": np.ones((1, 2)), "W1": np.ones((2, 2)), "b1": np.ones(2)})
    array([[3., 3.]])
    """
    known = dict(values)
    if name.startswith("delta") and np.ndim(known.get("w", 0)) == 1:
        known["w"] = known["w"][:, None]  # a factor for each row
    code = re.sub(r"\{([^}]+)\}", lambda found: f"value_of[{found[1]!r}]", equation).replace("′", "_slope")
    huber = {"huber": lambda d: loss.element(d, 0 * d)} if isinstance(loss, Huber) else {}
    with np.errstate(all="ignore"):
        return eval(code, {"__builtins__": {}, "value_of": known, **FUNCTIONS, **huber})
