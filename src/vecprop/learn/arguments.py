"""The arguments of the tutorial's functions: arrays or lists; a sentence says which shapes do not fit together."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from ..core.elementary import Array

Function = TypeVar("Function", bound=Callable[..., Any])

AXES = {
    "X": ("rows", "inputs"),
    "Wh": ("inputs", "hidden units"),
    "bh": ("1", "hidden units"),
    "H": ("rows", "hidden units"),
    "Eh": ("rows", "hidden units"),
    "Wo": ("hidden units", "outputs"),
    "bo": ("1", "outputs"),
    "Y": ("rows", "outputs"),
    "T": ("rows", "outputs"),
    "Eo": ("rows", "outputs"),
}
"""The last axes of each argument; a single row may be without its axis. Biases are added as NumPy adds them: (3,), a
number, or one for each row too."""


def as_array(values: Any, name: str) -> Array:
    """Return an array as it is, and lists, data frames and matrices as NumPy arrays."""
    known = hasattr(values, "__array_namespace__") or type(values).__module__.partition(".")[0] in ("torch", "cupy")
    if known and not isinstance(values, np.ndarray):
        return values
    try:
        if values is None:
            raise TypeError
        return np.asarray(values) if known else np.asarray(values, float)
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
    is_bias, is_weight = name in ("bh", "bo"), name in ("Wh", "Wo")
    if len(shape) < (2 if is_weight else 0 if is_bias else min(len(axes), 1)):
        raise ValueError(f"{name} has shape {shape}, but it is ({', '.join(axes)}).")
    for axis, length in zip(reversed(axes), reversed(shape), strict=False):
        axis = "rows" if axis == "1" else axis
        if is_bias and length == 1:
            continue
        other, before, expected = known.setdefault(axis, (name, array, length))
        if length != expected and not (axis == "rows" and 1 in (length, expected)):
            raise ValueError(
                f"{name} has shape {shape}, and {other} {tuple(before.shape)}: {name} is ({', '.join(axes)}), "
                f"{other} ({', '.join(AXES[other])}), and they have {length} and {expected} {axis}."
            )


def checked_lists(ls_of_params: Any, Ms: Any) -> tuple[list[Array], list[Array]]:
    """Return parameters and moments, of the same shapes, as lists of arrays; or say what does not fit."""
    arrays = []
    for name, values in (("ls_of_params", ls_of_params), ("Ms", Ms)):
        if not isinstance(values, Iterable):
            raise TypeError(f"{name} is a list of arrays, such as [Wh, bh, Wo, bo], not {type(values).__name__}.")
        arrays.append([as_array(value, f"{name}[{k}]") for k, value in enumerate(values)])
    parameters, moments = arrays
    if len(moments) != len(parameters):
        count = f"ls_of_params has {len(parameters)}"
        raise ValueError(f"Ms has {len(moments)} arrays, but {count}: give one for each.")
    for k, (P, M) in enumerate(zip(parameters, moments, strict=True)):
        if any(p != m and 1 not in (p, m) for p, m in zip(reversed(P.shape), reversed(M.shape), strict=False)):
            raise ValueError(
                f"Ms[{k}] has shape {tuple(M.shape)}, but ls_of_params[{k}] has {tuple(P.shape)}: a parameter and its "
                "moment have the same shape."
            )
    return parameters, moments
