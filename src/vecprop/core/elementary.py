"""Elementary functions for arrays of any library that follows the array API standard, real or complex.

Every formula of the library is written with them. On complex arrays they are the analytic continuations that the
complex step needs: comparisons use the real part alone, so that ``absolute`` and ``clip`` have a derivative.
"""

from functools import lru_cache
from math import inf
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""An array of any library that follows the array API standard."""


def namespace(*arrays: Array) -> Any:
    """Return the library that the arrays belong to; Python numbers belong to NumPy."""
    if len(arrays) == 1 and type(arrays[0]) is np.ndarray:
        return np
    if len(arrays) == 1 and hasattr(arrays[0], "__array_namespace__"):
        return arrays[0].__array_namespace__()
    if all(isinstance(array, np.ndarray | np.generic | int | float | complex) for array in arrays):
        return np
    from array_api_compat import array_namespace

    return array_namespace(*arrays)


def is_of(kinds: str | tuple[str, ...], array: Array) -> bool:
    """Return whether an array's dtype is of a kind, or of one of several, by their names in the array API standard."""
    return _is_of(kinds, namespace(array), array.dtype)


@lru_cache
def _is_of(kinds: str | tuple[str, ...], xp: Any, dtype: Any) -> bool:
    return xp.isdtype(dtype, kinds)  # takes a microsecond, and is called often


def exp(z: Array) -> Array:
    """Return e to the power z."""
    return namespace(z).exp(z)


def expm1(z: Array) -> Array:
    """Return exp(z) - 1, accurate near z = 0."""
    return namespace(z).expm1(z)


def log(z: Array) -> Array:
    """Return the natural logarithm of z."""
    return namespace(z).log(z)


def log1p(z: Array) -> Array:
    """Return log(1 + z), accurate near z = 0."""
    return namespace(z).log1p(z)


def tanh(z: Array) -> Array:
    """Return the hyperbolic tangent of z."""
    return namespace(z).tanh(z)


def sqrt(z: Array) -> Array:
    """Return the square root of z."""
    return namespace(z).sqrt(z)


def real(z: Array) -> Array:
    """Return the real part of z: z itself if z is real."""
    return namespace(z).real(z)


def is_within(value: Any, low: float, high: float = inf, ends: Literal["[]", "[)", "(]", "()"] = "[)") -> bool:
    """Return whether a setting is a number, no text or truth value, between ends that brackets include."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    is_above = low <= value if ends[0] == "[" else low < value
    return bool(is_above and (value <= high if ends[1] == "]" else value < high))


Range: TypeAlias = tuple[str, float, float, Literal["[]", "[)", "(]", "()"]]
"""The range of a setting: what an error says, with braces for its name, and the arguments of `is_within`."""

FINITE: Range = ("a finite {}", -inf, inf, "()")
POSITIVE: Range = ("a positive {}", 0, inf, "()")
AT_LEAST_0: Range = ("a {} of at least 0", 0, inf, "[)")
PATIENCE: Range = ("a {} of at least 1 epoch", 1, inf, "[]")
SHARE: Range = ("a {} of at least 0 and less than 1", 0, 1, "[)")


class Ranged:
    """The base of frozen dataclasses some of whose fields have ranges."""

    _ranges: ClassVar[dict[str, Range]] = {}

    def __post_init__(self, ranges: dict[str, Range] | None = None) -> None:
        """Refuse settings out of these ranges, by default those of the class."""
        for name, (words, low, high, ends) in (self._ranges if ranges is None else ranges).items():
            if not is_within(value := getattr(self, name), low, high, ends):
                raise ValueError(f"{type(self).__name__} needs {words.format(name)}, not {value!r}.")


def where(condition: Array, a: Array, b: Array) -> Array:
    """Return a where the condition holds and b elsewhere; if one of them is a number, the other's type counts."""
    return namespace(condition).where(condition, a, b)


def one(z: Array) -> Array:
    """Return 1 in z's own type."""
    xp = namespace(z)
    return xp.ones_like(z)


def absolute(z: Array) -> Array:
    """Return -z where the real part of z is negative, else z."""
    return where(real(z) < 0, -z, z)


def sign(z: Array) -> Array:
    """Return -1, 0 or 1 where the real part of z is negative, zero or positive."""
    xp = namespace(z)
    return xp.sign(real(z))


def clip(z: Array, low: float, high: float) -> Array:
    """Return z where its real part lies between low and high, else the nearer bound."""
    return where(real(z) < low, low, where(real(z) > high, high, z))


def on_host(array: Array) -> np.ndarray:
    """Return the array as a NumPy array in the computer's main memory."""
    if not isinstance(array, np.ndarray | np.generic | int | float | complex):
        from array_api_compat import is_cupy_array, is_torch_array, to_device

        if is_cupy_array(array) or is_torch_array(array):
            array = to_device(array, "cpu")
    return np.asarray(array)
