"""Elementary functions for real and complex arrays of any library that follows the array API standard.

All formulas of vecprop use these functions. For complex arrays, they return analytic
continuations, which complex-step differentiation needs: comparisons use only the real
part, so that ``absolute`` and ``clip`` have a derivative.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from inspect import signature
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
from numpy import ndarray

from ..system.suggestions import SuggestsNames, unknown_keyword

Array: TypeAlias = Any
"""An array of any library that follows the array API standard."""

Function = TypeVar("Function", bound=Callable[..., Any])


def namespace(array) -> Any:
    """Return the library of an array, which is NumPy for Python numbers."""
    if type(array) is ndarray:
        return np
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    if isinstance(array, np.generic | int | float | complex):
        return np
    from array_api_compat import array_namespace

    return array_namespace(array)


def is_of(kinds: str | tuple[str, ...], array) -> bool:
    """Return whether an array's dtype has one of these kinds of the array API standard."""
    return _is_of(kinds, namespace(array), array.dtype)


@lru_cache
def _is_of(kinds: str | tuple[str, ...], xp, dtype) -> bool:
    # cached, since it takes a microsecond and is called often
    return xp.isdtype(dtype, kinds)


def exp(z):
    """Return e to the power z."""
    return namespace(z).exp(z)


def expm1(z):
    """Return exp(z) - 1, accurate near z = 0."""
    return namespace(z).expm1(z)


def log(z):
    """Return the natural logarithm of z."""
    return namespace(z).log(z)


def log1p(z):
    """Return log(1 + z), accurate near z = 0."""
    return namespace(z).log1p(z)


def tanh(z):
    """Return the hyperbolic tangent of z."""
    return namespace(z).tanh(z)


def sqrt(z):
    """Return the square root of z."""
    return namespace(z).sqrt(z)


def real(z):
    """Return the real part of z, which is z itself if z is real."""
    return namespace(z).real(z)


def is_within(
    value, low: float, high: float = inf, ends: Literal["[]", "[)", "(]", "()"] = "[)"
) -> bool:
    """Return whether a value is a number, not a Boolean, in the interval from low to high."""
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return False
    if value == low:
        return ends[0] == "["
    if value == high:
        return ends[1] == "]"
    return bool(low < value < high)


Range: TypeAlias = tuple[str, float, float, Literal["[]", "[)", "(]", "()"]]
"""The range of a setting: an error text with braces for the name, and the arguments
of `is_within`.
"""

FINITE: Range = ("a finite {}", -inf, inf, "()")
POSITIVE: Range = ("a positive {}", 0, inf, "()")
AT_LEAST_0: Range = ("a {} of at least 0", 0, inf, "[)")
PATIENCE: Range = ("a {} of at least 1 epoch", 1, inf, "[]")
SHARE: Range = ("a {} of at least 0 and less than 1", 0, 1, "[)")


def suggests_keywords(function: Function) -> Function:
    """Let a function suggest a name for an unknown keyword argument."""
    names = signature(function).parameters.keys()

    @wraps(function)
    def checked(*args, **keywords):
        if not keywords.keys() <= names:
            _refuse_unknown(function, keywords, args[0] if "self" in names else None)
        return function(*args, **keywords)

    return checked  # pyright: ignore[reportReturnType]


class SuggestsKeywords(SuggestsNames):
    """The base class of classes that suggest a name for an unknown keyword argument."""

    if not TYPE_CHECKING:  # type checkers read the parameters of __init__

        def __new__(cls, *_, **keywords):  # noqa: D102
            if not keywords.keys() <= getattr(cls, "__dataclass_fields__", {}).keys():
                _refuse_unknown(cls, keywords)
            return super().__new__(cls)


def _refuse_unknown(called, keywords: Iterable[str], owner=None):
    """Raise an error for the first keyword argument that is not a parameter."""
    parameters = signature(
        called.__init__ if isinstance(called, type) else called
    ).parameters
    if any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    ):
        return
    for name in keywords:
        if name not in parameters:
            raise TypeError(unknown_keyword(called, name, [*parameters], owner))


class Ranged(SuggestsKeywords):
    """The base class of frozen dataclasses that check the ranges and choices of their fields."""

    _ranges: ClassVar[dict[str, Range]] = {}
    _choices: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def __post_init__(self, ranges: dict[str, Range] | None = None):
        """Raise a ValueError if a field is out of range, by default of the class, or not a listed value."""
        for name, choices in self._choices.items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(
                    f"The {name} of {type(self).__name__} must be one of"
                    f" {', '.join(map(repr, choices))}, got {value!r}."
                )
        if ranges is None:
            ranges = self._ranges
        for name, (text, low, high, ends) in ranges.items():
            value = getattr(self, name)
            if not is_within(value, low, high, ends):
                raise ValueError(
                    f"{type(self).__name__} needs {text.format(name)}, not {value!r}."
                )


def where(condition, a, b):
    """Return a where the condition is true, else b; Python numbers adopt the dtype of the other argument."""
    return namespace(condition).where(condition, a, b)


def one(z):
    """Return an array of ones with the shape and dtype of z."""
    xp = namespace(z)
    return xp.ones_like(z)


def absolute(z):
    """Return -z where the real part of z is negative, else z."""
    return where(real(z) < 0, -z, z)


def sign(z):
    """Return -1, 0 or 1 where the real part of z is negative, zero or positive."""
    xp = namespace(z)
    return xp.sign(real(z))


def clip(z, low: float, high: float):
    """Return z where its real part lies between low and high, else the nearer bound."""
    return where(real(z) < low, low, where(real(z) > high, high, z))


def on_host(array) -> ndarray:
    """Return the array as a NumPy array in main memory."""
    if not isinstance(array, ndarray | np.generic | int | float | complex):
        from array_api_compat import is_cupy_array, is_torch_array, to_device

        if is_cupy_array(array) or is_torch_array(array):
            array = to_device(array, "cpu")
    return np.asarray(array)
