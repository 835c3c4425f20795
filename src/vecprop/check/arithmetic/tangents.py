"""Numbers with tangents: forward-mode differentiation, equivalent to a complex step in real arithmetic.

A tangent d of a number x corresponds to the complex number x + i h d. For h = 1e-20,
products of two imaginary parts are lost in rounding, so exp(x + i h d) equals exp(x) (1
+ i h d), and other functions have similar rules. The values are computed once for all
directions. A chain of elementwise functions requires only one product per direction.

There are rules for elementary functions, sums and products. The derivatives of layers
are not used, since they are under test.

`Tied` numbers compute one-sided derivatives at kinks. A tie is a comparison of two
equal numbers. At relu(0), for example, the derivative is 1 if the number increases
along the direction, and 0 if it decreases. If the tangents break the ties, the result
is the exact one-sided derivative. Alternatively, all ties are treated as less or all as
greater.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from . import ArrayPair

LESS, BY_TANGENT, GREATER = -1, 0, 1
"""The outcome of a comparison of equal numbers: less, greater, or decided by the
tangents.
"""


@dataclass
class Ties:
    """The rule for breaking ties in comparisons, and whether any ties occurred."""

    broken: int = BY_TANGENT
    met: bool = False


class Tangent(ArrayPair):
    """Numbers and their derivatives along several directions: outer times seed, from the direction ``first`` on."""

    def __init__(
        self,
        value: ndarray,
        seed: ndarray,
        outer: Any = 1.0,
        first: int = 0,
        ties: Ties | None = None,
    ):
        super().__init__(value, seed)
        self.outer = outer
        self.first = first
        self.ties = ties or Ties()

    def new(self, value, seed, outer: Any = 1.0, first: int = 0):
        return type(self)(value, seed, outer, first, self.ties)

    def like(self, value, companion):
        return self.new(value, companion, first=self.first)

    @property
    def tangent(self):
        """The derivatives by the chain rule, outer times seed, (K, *shape)."""
        product = self.companion
        if not isinstance(self.outer, float) or self.outer != 1:
            product = self.outer * product
        shape = (product.shape[0], *self.shape[1:])
        return product if product.shape == shape else np.broadcast_to(product, shape)

    @property
    def span(self):
        """The directions of the derivatives among all directions."""
        return slice(self.first, self.first + len(self.companion))

    @property
    def real(self):
        """The numbers with derivatives of 0, like the real part of a complex number."""
        return self.new(self.value, np.empty((0, *self.shape[1:])))

    def pair(self, operand) -> tuple[ndarray, Any]:
        if isinstance(operand, Tangent):
            return operand.value, operand.tangent
        return super().pair(operand)

    def apply(self, function):
        """Apply a function that preserves the first axis, the axis of the directions."""
        value = function(self.value)
        tangent = function(self.tangent)
        lengths = [part.shape[:1] for part in (value, tangent)]
        expected = [part.shape[:1] for part in (self.value, self.companion)]
        if lengths != expected or value.shape[1:] != tangent.shape[1:]:
            raise TypeError("A function of tangents must preserve the first axis.")
        return self.like(value, tangent)

    def reshape(self, *shape):  # pyright: ignore[reportIncompatibleMethodOverride]
        """Reshape all axes except the first."""
        if isinstance(shape[0], tuple):
            [shape] = shape
        return self.apply(lambda part: part.reshape((part.shape[0], *shape[1:])))

    def __setitem__(self, index, operand):
        raise TypeError(
            "Tangents do not support assignment, because it would not change their"
            " views."
        )

    def chained(self, value: ndarray, *terms: tuple[Any, Any]):
        """Return a value with its derivatives by the chain rule: Σ factor · derivatives of the operand.

        Each term consists of an operand and its factor. Operands without tangents are
        constants. The derivatives of an operand are ``outer`` times its companion, the
        seed. If all operands have the same seed, only their outer factors are added.
        """
        tangents = []
        factors = []
        for operand, factor in terms:
            if isinstance(operand, Tangent):
                tangents.append(operand)
                factors.append(operand.outer * factor)
        if any(tangent.companion.ndim != value.ndim for tangent in tangents):
            raise TypeError(
                "Operands of tangents must have the same number of dimensions."
            )
        seed = tangents[0].companion
        if all(tangent.companion is seed for tangent in tangents):
            outer = sum(factors[1:], start=factors[0])
            return self.new(value, seed, outer, tangents[0].first)
        return self._with_new_seed(value, tangents, factors)

    def _with_new_seed(self, value: ndarray, tangents: list[Any], factors):
        """Return a value whose seed is Σ factor · seed, (K, *shape).

        A tangent has derivatives along its directions from ``first`` on, and along all
        other directions its derivatives are 0.
        """
        first = min(tangent.first for tangent in tangents)
        end = max(tangent.span.stop for tangent in tangents)
        total = np.zeros((end - first, *value.shape[1:]))
        for tangent, factor in zip(tangents, factors, strict=True):
            start = tangent.first - first
            rows = slice(start, start + len(tangent.companion))
            total[rows] += factor * tangent.companion
        return self.new(value, total, first=first)

    # Rules for functions of several operands.

    def add(self, x, y):
        return self.chained(_value(x) + _value(y), (x, 1.0), (y, 1.0))

    def subtract(self, x, y):
        return self.chained(_value(x) - _value(y), (x, 1.0), (y, -1.0))

    def multiply(self, x, y):
        return self.chained(_value(x) * _value(y), (x, _value(y)), (y, _value(x)))

    def divide(self, x, y):
        divisor = _value(y)
        quotient = _value(x) / divisor
        return self.chained(quotient, (x, 1 / divisor), (y, -quotient / divisor))

    def matmul(self, x, y):
        # d(a @ b) = da @ b + a @ db
        a = _value(x)
        b = _value(y)
        terms = []
        if isinstance(x, Tangent):
            terms.append((x.like(a, _product(x.tangent, b)), 1.0))
        if isinstance(y, Tangent):
            terms.append((y.like(b, a @ y.tangent), 1.0))
        return self.chained(a @ b, *terms)

    def power(self, x, exponent):
        if isinstance(exponent, Tangent):
            return NotImplemented
        slope = exponent * np.power(x.value, exponent - 1)
        return self.chained(np.power(x.value, exponent), (x, slope))

    def logaddexp(self, x, y):
        a = _value(x)
        b = _value(y)
        terms = (x, self.special.expit(a - b)), (y, self.special.expit(b - a))
        return self.chained(np.logaddexp(a, b), *terms)

    def compare(self, comparison, x, y) -> ndarray:
        a = _value(x)
        b = _value(y)
        self.ties.met |= bool(np.equal(a, b).any())
        return comparison(a, b)

    def where(self, condition, x, y):
        value = np.where(condition, _value(x), _value(y))
        selected_x = _selected(x, condition)
        selected_y = _selected(y, ~np.asarray(condition))
        return self.chained(value, (selected_x, 1.0), (selected_y, 1.0))

    # Rules for functions of one operand.

    def concatenate(self, arrays, axis):
        """Concatenate along the last axis: the sum of arrays that are 0 in the columns of the others."""
        if axis != -1:
            raise TypeError("Tangents are concatenated only along the last axis.")
        values = []
        for array in arrays:
            value = np.asarray(_value(array))
            # constants may have no axis of the directions
            values.append(value[None] if value.ndim < self.ndim else value)
        value = np.concatenate(values, axis)
        terms = []
        end = 0
        for array in arrays:
            start = end
            end = start + array.shape[-1]
            if isinstance(array, Tangent):
                seed = np.zeros((len(array.companion), *value.shape[1:]))
                seed[..., start:end] = array.tangent
                terms.append((array.new(value, seed, first=array.first), 1.0))
        return self.chained(value, *terms)

    def negative(self):
        return self.chained(-self.value, (self, -1.0))

    def square(self):
        return self.chained(np.square(self.value), (self, 2 * self.value))

    def sqrt(self):
        root = np.sqrt(self.value)
        return self.chained(root, (self, 0.5 / root))

    def exp(self):
        y = np.exp(self.value)
        return self.chained(y, (self, y))

    def expm1(self):
        return self.chained(np.expm1(self.value), (self, np.exp(self.value)))

    def log(self):
        return self.chained(np.log(self.value), (self, 1 / self.value))

    def log1p(self):
        return self.chained(np.log1p(self.value), (self, 1 / (1 + self.value)))

    def tanh(self):
        # 1 - tanh² suffers from cancellation near 1
        slope = np.cosh(self.value) ** -2.0
        return self.chained(np.tanh(self.value), (self, slope))

    def sin(self):
        return self.chained(np.sin(self.value), (self, np.cos(self.value)))

    def cos(self):
        return self.chained(np.cos(self.value), (self, -np.sin(self.value)))

    def erf(self):
        slope = 2 / np.pi**0.5 * np.exp(-np.square(self.value))
        return self.chained(self.special.erf(self.value), (self, slope))

    def expit(self):
        y = self.special.expit(self.value)
        return self.chained(y, (self, y * self.special.expit(-self.value)))

    def log_expit(self):
        return self.chained(
            self.special.log_expit(self.value), (self, self.special.expit(-self.value))
        )

    def gammaln(self):
        return self.chained(
            self.special.gammaln(self.value), (self, self.special.digamma(self.value))
        )

    def sign(self) -> ndarray:
        sign = np.sign(self.value)
        self.ties.met |= not sign.all()
        return sign

    def sum(self, axis=None, keepdims=False, **_):
        return self.apply(
            lambda part: np.asarray(part.sum(axis=axis, keepdims=keepdims))
        )

    def max(self, **options):
        # If the maximum is not unique, the derivatives may differ.
        if len(self.companion):
            raise TypeError("The derivative of a maximum depends on ties.")
        return self.value.max(**options)


def _value(operand):
    return operand.value if isinstance(operand, Tangent) else operand


def _selected(operand, condition):
    """Return an operand whose derivatives are 0 where the condition is false."""
    if not isinstance(operand, Tangent):
        return operand
    # A derivative that is not selected may be infinite, so do not multiply it by 0.
    outer = np.where(condition, operand.outer, 0.0)
    return operand.new(operand.value, operand.companion, outer, operand.first)


def _product(A: ndarray, b: ndarray):
    """Return A @ b, as one product of two matrices if b is a single matrix."""
    is_matrix = b.size == b.shape[-1] * b.shape[-2]
    if not is_matrix:
        return A @ b
    rows = A.reshape(-1, A.shape[-1]) @ b.reshape(b.shape[-2:])
    return rows.reshape(*A.shape[:-1], b.shape[-1])


class OneSided(NamedTuple):
    """The one-sided derivatives along K directions, each (outputs, K).

    The derivatives of the whole function are between ``low`` and ``high``. If the sides
    of several kinks are selected separately, the sum is between ``least`` and
    ``largest``. ``usual`` is the derivative that most code returns.
    """

    usual: ndarray
    low: ndarray
    high: ndarray
    least: ndarray
    largest: ndarray


class Tied(Tangent):
    """Numbers that use their tangents to break ties. All operands have the same directions."""

    @property
    def real(self):
        return self

    def _order(self, x, y):
        """Return 1, 0 or -1 if x is greater than, equal to or less than y, after breaking ties."""
        x, x_tangent = self.pair(x)
        y, y_tangent = self.pair(y)
        broken = self.ties.broken or np.sign(x_tangent - y_tangent)
        return np.where(x == y, broken, np.sign(x - y))

    def compare(self, comparison, x, y) -> ndarray:
        return comparison(self._order(x, y), 0)

    def sign(self) -> ndarray:
        return self._order(self, 0)

    def max(self, axis=None, keepdims=False, **_):  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the maximum; among equal numbers, select the largest tangent, or the smallest for LESS."""
        top = self.value.max(axis=axis, keepdims=True)
        sign = -1 if self.ties.broken == LESS else 1
        tangents = np.where(self.value == top, sign * self.tangent, -np.inf)
        tangent = sign * tangents.max(axis=axis, keepdims=keepdims)
        return self.like(self.value.max(axis=axis, keepdims=keepdims), tangent)
