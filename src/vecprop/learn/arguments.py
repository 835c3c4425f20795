"""The arguments of the tutorial's functions: arrays or lists; a sentence says which shapes do not fit together."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from ..core.elementary import Array

Function = TypeVar("Function", bound=Callable[..., Any])

AXES = {
    "X": ("rows", "inputs"),
    "Wh": ("inputs", "hidden units"),
    "bh": ("hidden units",),
    "H": ("rows", "hidden units"),
    "Eh": ("rows", "hidden units"),
    "Wo": ("hidden units", "outputs"),
    "bo": ("outputs",),
    "Y": ("rows", "outputs"),
    "T": ("rows", "outputs"),
    "Eo": ("rows", "outputs"),
}
"""The last axes of each argument; a single row may be without its axis, and a bias may have one of length 1."""


def as_array(values: Any, name: str) -> Array:
    """Return an array as it is, and lists of numbers as an array."""
    if hasattr(values, "ndim"):
        return values
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is no array of numbers, with rows of equal length: {values!r}.") from None


def takes_arrays(function: Function) -> Function:
    """Return a function that checks its arguments by `AXES`, and takes lists too."""
    names = signature(function)

    @wraps(function)
    def checked(*arguments: Any, **named: Any) -> Any:
        bound, known = names.bind(*arguments, **named), {}
        for name, value in bound.arguments.items():
            if name in AXES or name == "z":
                bound.arguments[name] = array = as_array(value, name)
                _agree(name, array, AXES.get(name, ()), known)
        return function(*bound.args, **bound.kwargs)

    return checked  # type: ignore[return-value]


def _agree(name: str, array: Array, axes: tuple[str, ...], known: dict[str, tuple[str, Array, int]]) -> None:
    """Raise a ValueError if an axis of an array has another length than in an array before."""
    shape = tuple(array.shape)
    is_bias, is_weight = len(axes) == 1, name in ("Wh", "Wo")
    if (is_bias and shape[-2:-1] not in ((), (1,))) or len(shape) < (2 if is_weight else min(len(axes), 1)):
        raise ValueError(f"{name} has shape {shape}, but it is ({', '.join((*['1'] * is_bias, *axes))}).")
    for axis, length in zip(reversed(axes), reversed(shape), strict=False):
        other, before, expected = known.setdefault(axis, (name, array, length))
        if length != expected and not (axis == "rows" and 1 in (length, expected)):
            raise ValueError(
                f"{name} has shape {shape}, and {other} {tuple(before.shape)}: {name} is ({', '.join(axes)}), "
                f"{other} ({', '.join(AXES[other])}), and they have {length} and {expected} {axis}."
            )
