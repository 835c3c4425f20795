"""Pairs of arrays, values and companions, that pass through NumPy code together.

The companion is a bound on the rounding error (`running_error.py`) or a directional
derivative (`tangents.py`). These modules define the rules of arithmetic; this module
makes NumPy use them.
"""

import sys
from functools import partial, partialmethod
from importlib import import_module
from operator import attrgetter, itemgetter, methodcaller
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.mixins import NDArrayOperatorsMixin

COMPARISONS = (
    np.greater,
    np.greater_equal,
    np.less,
    np.less_equal,
    np.equal,
    np.not_equal,
)

ATTRIBUTES = (np.real, np.shape, np.ndim, np.size)
"""Functions that return the attribute of the same name."""

MOVES = (np.ravel, np.transpose, np.matrix_transpose, np.squeeze, np.expand_dims, np.broadcast_to, np.take, np.copy,
         np.swapaxes, np.moveaxis)  # fmt: skip
"""Functions that only move entries of their first argument."""


class ArrayPair(NDArrayOperatorsMixin):
    """A real array and a companion of the same shape.

    Notes
    -----
    Subclasses define a method for each supported NumPy function, with the name of the
    function. Methods for several operands, such as `add` and `where`, get all operands,
    and at least one of them is a pair. A function without a method raises a TypeError,
    so that no companion is silently lost.
    """

    def __init__(self, value: ndarray, companion: ndarray):
        self.value = value
        self.companion = companion

    def like(self, value, companion):
        return type(self)(value, companion)

    def apply(self, function):
        """Apply a function to both arrays; the function may only move entries."""
        return self.like(function(self.value), function(self.companion))

    def move(self, function, *args, **kwargs):
        return self.apply(lambda part: function(part, *args, **kwargs))

    def pair(self, operand) -> tuple[ndarray, Any]:
        """Return the value and the companion of an operand; the companion of plain numbers is 0."""
        if isinstance(operand, ArrayPair):
            return operand.value, operand.companion
        return np.asarray(operand), 0.0

    @property
    def special(self):
        """SciPy's special functions, which few rules need and which load slowly."""
        return import_module("scipy.special")

    # The protocols that NumPy uses to find the rules.

    def _rule(self, function):
        for module in (np, sys.modules.get("scipy.special")):
            if getattr(module, function.__name__, None) is function:
                return getattr(self, function.__name__, None)
        return None

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        """Apply the rule of a universal function; ``out`` must be a pair."""
        rule = self._rule(ufunc)
        if ufunc in COMPARISONS:
            rule = partial(self.compare, ufunc)
        if rule is None or method != "__call__" or kwargs:
            return NotImplemented
        # NumPy also calls this method if only out= is a pair
        if not any(isinstance(operand, ArrayPair) for operand in inputs):
            return NotImplemented
        operands = inputs if ufunc.nin > 1 else ()
        result = rule(*operands)
        if out is None:
            return result
        [target] = out
        if not isinstance(target, ArrayPair):
            return NotImplemented
        target[...] = result
        return target

    def __array_function__(self, function, types, args, kwargs):
        """Apply the rule of another NumPy function."""
        if function is np.dot:
            return np.matmul(*args, **kwargs)
        if function is np.where:
            return self.where(*args, **kwargs)
        if function is np.concatenate:
            return self.concatenate(*args, **kwargs)
        # the pair may be another argument, such as out=
        if not args or args[0] is not self:
            return NotImplemented
        options = args[1:]
        if function in MOVES:
            return self.move(function, *options, **kwargs)
        if function is np.reshape:
            return self._reshaped(*options, **kwargs)
        rule = self._rule(function)
        if function not in ATTRIBUTES:
            return NotImplemented if rule is None else rule(*options, **kwargs)
        if options or kwargs:
            return NotImplemented
        return rule

    def __array_namespace__(self, api_version: str | None = None) -> "Namespace":
        return Namespace(self)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "An array pair cannot be converted to a plain array, since its companion"
            " would be lost."
        )

    __float__ = __int__ = __complex__ = __array__

    def __bool__(self):
        return bool(self.value)

    # Attributes and methods of arrays.

    shape = property(attrgetter("value.shape"))
    ndim = property(attrgetter("value.ndim"))
    size = property(attrgetter("value.size"))
    dtype = property(attrgetter("value.dtype"))
    device = property(attrgetter("value.device"))

    @property
    def real(self):
        return self

    @property
    def T(self):
        return self.apply(np.transpose)

    @property
    def mT(self):
        return self.apply(np.matrix_transpose)

    def __len__(self):
        return len(self.value)

    def __getitem__(self, index):
        return self.apply(itemgetter(index))

    def __setitem__(self, index, operand):
        self.value[index], self.companion[index] = self.pair(operand)

    def astype(self, dtype, copy: bool = True):
        """Return the pair itself, since its arrays are always float64."""
        return self

    def reshape(self, *shape, **options):
        return self.apply(methodcaller("reshape", *shape, **options))

    def _reshaped(self, shape, order="C", copy=None):
        """Reshape by the arguments of the function, which differ from the arguments of the method."""
        return self.reshape(shape) if order == "C" else NotImplemented

    ravel = partialmethod(move, np.ravel)
    copy = partialmethod(move, np.copy)

    # Rules that subclasses share or replace.

    def compare(self, comparison, x, y):
        raise NotImplementedError

    def where(self, condition, x, y):
        raise NotImplementedError

    def concatenate(self, arrays, axis):
        values = []
        companions = []
        for value, companion in map(self.pair, arrays):
            values.append(value)
            companions.append(np.broadcast_to(companion, value.shape))
        return self.like(np.concatenate(values, axis), np.concatenate(companions, axis))

    def positive(self):
        return self

    def absolute(self):
        return np.where(self < 0, -self, self)

    def isfinite(self) -> ndarray:
        return np.isfinite(self.value)

    def maximum(self, x, y):
        return np.where(np.greater(x, y), x, y)

    def minimum(self, x, y):
        return np.where(np.less(x, y), x, y)

    def mean(self, axis=None, keepdims=False):
        total = np.sum(self, axis=axis, keepdims=keepdims)
        return total / (self.size // max(total.size, 1))

    def dot(self, other):
        return np.matmul(self, other)

    def ones_like(self, **options) -> ndarray:
        return np.ones(self.shape)

    def zeros_like(self, **options):
        return self.like(np.zeros(self.shape), np.zeros(self.shape))


class Namespace:
    """NumPy with array creation functions that return pairs."""

    __name__ = "carried"

    def __init__(self, pair: ArrayPair):
        self._pair = pair

    def __getattr__(self, name: str):
        return getattr(np, name)

    def zeros(self, shape, dtype=None, device=None) -> ArrayPair:
        return self._pair.like(np.zeros(shape), np.zeros(shape))
