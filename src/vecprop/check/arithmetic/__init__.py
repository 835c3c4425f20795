"""Pairs of arrays, values and companions, that pass through NumPy code together.

The companion is a bound on the rounding error (`running_error.py`) or a directional derivative (`tangents.py`). These
modules define the rules of arithmetic; this module makes NumPy use them.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: function(self, *args, **kwargs)


class ArrayPair(NDArrayOperatorsMixin):
    """A real array and a companion of the same shape.

    Notes
    -----
    Subclasses define `ufuncs` and `functions`, which map NumPy functions to the rules that replace them. At least one
    operand of a rule is a pair. A function without a rule raises a TypeError, so that no companion is silently lost.
    """

    ufuncs: ClassVar[dict[Any, Callable[..., Any]]] = {}
    functions: ClassVar[dict[Any, Callable[..., Any]]] = {}

    def __init__(self, value: np.ndarray, companion: np.ndarray) -> None:
        self.value, self.companion = value, companion

    def like(self, value: np.ndarray, companion: np.ndarray) -> Self:
        return type(self)(value, companion)

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Apply a function to both arrays; the function may only move entries."""
        return self.like(function(self.value), function(self.companion))

    def pair(self, operand: Any) -> tuple[np.ndarray, Any]:
        """Return the value and the companion of an operand; the companion of plain numbers is 0."""
        return (operand.value, operand.companion) if isinstance(operand, ArrayPair) else (np.asarray(operand), 0.0)

    # The protocols that NumPy uses to find the rules.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        rule = self.ufuncs.get(ufunc)
        if rule is None or method != "__call__" or kwargs:
            return NotImplemented
        result = rule(self, *inputs)
        if out is None:
            return result
        if not isinstance(out[0], ArrayPair):
            return NotImplemented
        out[0][...] = result
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = self.functions.get(function)
        return NotImplemented if rule is None else rule(self, *args, **kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return Namespace(self)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("An array pair cannot be converted to a plain array, since its companion would be lost.")

    __float__ = __int__ = __complex__ = __array__

    def __bool__(self) -> bool:
        return bool(self.value)

    # Attributes and methods of arrays.

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    device = property(lambda self: self.value.device)
    real = property(lambda self: self)
    T = property(lambda self: self.each(lambda part: part.T))
    mT = property(lambda self: self.each(lambda part: part.mT))

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Self:
        return self.each(lambda part: part[index])

    def __setitem__(self, index: Any, operand: Any) -> None:
        self.value[index], self.companion[index] = self.pair(operand)

    def reshape(self, *shape: Any) -> Self:
        return self.like(self.value.reshape(*shape), self.companion.reshape(*shape))

    def astype(self, dtype: Any, copy: bool = True) -> Self:
        """Return the pair itself, since its arrays are always float64."""
        return self

    ravel, copy, sum, mean, max, dot = map(_method, (np.ravel, np.copy, np.sum, np.mean, np.max, np.matmul))


class Namespace:
    """NumPy with array creation functions that return pairs."""

    __name__ = "carried"

    def __init__(self, like: ArrayPair) -> None:
        self._like = like

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def zeros(self, shape: Any, dtype: Any = None, device: Any = None) -> ArrayPair:
        return self._like.like(np.zeros(shape), np.zeros(shape))


def _moving(function: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """Return a rule for a function that only moves entries of its first argument."""
    return lambda like, array, *args, **kwargs: array.each(lambda part: function(part, *args, **kwargs))


def _mean(like: ArrayPair, array: ArrayPair, axis: Any = None, keepdims: bool = False) -> Any:
    total = np.sum(array, axis=axis, keepdims=keepdims)
    return total / (array.size // max(total.size, 1))


COMPARISONS = (np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)

SHARED_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.positive: lambda like, x: x,
    np.absolute: lambda like, x: np.where(x < 0, -x, x),
    np.maximum: lambda like, x, y: np.where(np.greater(x, y), x, y),
    np.minimum: lambda like, x, y: np.where(np.less(x, y), x, y),
    np.isfinite: lambda like, x: np.isfinite(x.value),
}
SHARED_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{f: _moving(f) for f in (np.reshape, np.ravel, np.transpose, np.matrix_transpose, np.squeeze, np.expand_dims)},
    **{f: _moving(f) for f in (np.broadcast_to, np.take, np.copy, np.swapaxes, np.moveaxis)},
    np.real: lambda like, array: array,
    np.ones_like: lambda like, array, **kwargs: np.ones(array.shape),
    np.zeros_like: lambda like, array, **kwargs: like.like(np.zeros(array.shape), np.zeros(array.shape)),
    np.mean: _mean,
    np.dot: lambda like, a, b: np.matmul(a, b),
    np.shape: lambda like, array: array.shape,
    np.ndim: lambda like, array: array.ndim,
    np.size: lambda like, array: array.size,
}
