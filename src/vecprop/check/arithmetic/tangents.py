"""Numbers with tangents: forward-mode differentiation, equivalent to a complex step in real arithmetic.

A tangent d of a number x corresponds to the complex number x + i h d. For h = 1e-20, products of two imaginary parts
are lost in rounding, so exp(x + i h d) equals exp(x) (1 + i h d), and other functions have similar rules. The values
are computed once for all directions. A chain of elementwise functions requires only one product per direction.

There are rules for elementary functions, sums and products. The derivatives of layers are not used, since they are
under test.

`Tied` numbers compute one-sided derivatives at kinks. A tie is a comparison of two equal numbers. At relu(0), for
example, the derivative is 1 if the number increases along the direction, and 0 if it decreases. If the tangents break
the ties, the result is the exact one-sided derivative. Alternatively, all ties are treated as less or all as greater.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from . import COMPARISONS, SHARED_FUNCTIONS, SHARED_UFUNCS, ArrayPair

LESS, BY_TANGENT, GREATER = -1, 0, 1
"""The outcome of a comparison of equal numbers: less, greater, or decided by the tangents."""


@dataclass
class Ties:
    """The rule for breaking ties in comparisons, and whether any ties occurred."""

    broken: int = BY_TANGENT
    met: bool = False


class Tangent(ArrayPair):
    """Numbers and their derivatives along several directions."""

    def __init__(
        self, value: np.ndarray, seed: np.ndarray, outer: Any = 1.0, first: int = 0, ties: Ties | None = None
    ) -> None:
        super().__init__(value, seed)
        self.outer, self.first, self.ties = outer, first, ties or Ties()

    def new(self, value: np.ndarray, seed: np.ndarray, outer: Any = 1.0, first: int = 0) -> Self:
        return type(self)(value, seed, outer, first, self.ties)

    def like(self, value: np.ndarray, companion: np.ndarray) -> Self:
        return self.new(value, companion, first=self.first)

    @property
    def tangent(self) -> np.ndarray:
        """The derivatives by the chain rule, outer times seed, (K, *shape)."""
        product = self.companion if isinstance(self.outer, float) and self.outer == 1 else self.outer * self.companion
        shape = (product.shape[0], *self.value.shape[1:])
        return product if product.shape == shape else np.broadcast_to(product, shape)

    @property
    def real(self) -> Any:
        """The numbers with derivatives of 0, like the real part of a complex number."""
        return self.new(self.value, np.empty((0, *self.value.shape[1:])))

    def pair(self, operand: Any) -> tuple[np.ndarray, Any]:
        return (operand.value, operand.tangent) if isinstance(operand, Tangent) else super().pair(operand)

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Apply a function that preserves the first axis, the axis of the directions."""
        value, tangent = function(self.value), function(self.tangent)
        heads = (value.shape[:1], tangent.shape[:1])
        if heads != (self.value.shape[:1], self.companion.shape[:1]) or value.shape[1:] != tangent.shape[1:]:
            raise TypeError("A function of tangents must preserve the first axis.")
        return self.like(value, tangent)

    def reshape(self, *shape: Any) -> Self:
        """Reshape all axes except the first."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return self.each(lambda part: part.reshape((part.shape[0], *shape[1:])))

    def __setitem__(self, index: Any, operand: Any) -> None:
        raise TypeError("Tangents do not support assignment, because it would not change their views.")

    def chained(self, value: np.ndarray, *terms: tuple[Any, Any]) -> Self:
        """Return a value with its derivatives by the chain rule: Σ factor · derivatives of the operand."""
        moving = [(x, x.outer * factor) for x, factor in terms if isinstance(x, Tangent)]
        if any(x.companion.ndim != value.ndim for x, _ in moving):
            raise TypeError("Operands of tangents must have the same number of dimensions.")
        (x, outer), *others = moving
        if all(other.companion is x.companion for other, _ in others):
            return self.new(value, x.companion, sum((another for _, another in others), outer), x.first)
        # The operands have different seeds, so the sum of their derivatives becomes the new seed.
        first = min(x.first for x, _ in moving)
        last = max(x.first + len(x.companion) for x, _ in moving)
        total = np.zeros((last - first, *value.shape[1:]))
        for x, outer in moving:
            total[x.first - first : x.first - first + len(x.companion)] += outer * x.companion
        return self.new(value, total, first=first)


def _value(operand: Any) -> Any:
    return operand.value if isinstance(operand, Tangent) else operand


def _divide(like: Tangent, x: Any, y: Any) -> Any:
    a, b = _value(x), _value(y)
    q = a / b
    return like.chained(q, (x, 1 / b), (y, -q / b))


def _matmul(like: Tangent, x: Any, y: Any) -> Any:
    a, b = _value(x), _value(y)
    terms = []
    if isinstance(x, Tangent):
        A = x.tangent
        if b.size == b.shape[-1] * b.shape[-2]:  # one matrix
            product = (A.reshape(-1, A.shape[-1]) @ b.reshape(b.shape[-2:])).reshape(*A.shape[:-1], b.shape[-1])
        else:
            product = A @ b
        terms.append((like.new(x.value, product, first=x.first), 1.0))
    if isinstance(y, Tangent):
        terms.append((like.new(y.value, a @ y.tangent, first=y.first), 1.0))
    return like.chained(a @ b, *terms)


def _power(like: Tangent, x: Any, exponent: Any) -> Any:
    if isinstance(exponent, Tangent):
        return NotImplemented
    return like.chained(np.power(x.value, exponent), (x, exponent * np.power(x.value, exponent - 1)))


def _where(like: Tangent, condition: np.ndarray, x: Any, y: Any) -> Any:
    # A derivative that is not selected may be infinite, so replace it by 0 instead of multiplying by 0.
    terms = [
        (like.new(z.value, z.companion, np.where(taken, z.outer, 0.0), z.first), 1.0)
        for z, taken in ((x, condition), (y, ~np.asarray(condition)))
        if isinstance(z, Tangent)
    ]
    return like.chained(np.where(condition, _value(x), _value(y)), *terms)


def _compare(function: Any, like: Tangent, x: Any, y: Any) -> np.ndarray:
    a, b = _value(x), _value(y)
    like.ties.met |= bool(np.equal(a, b).any())
    return function(a, b)


def _sign(like: Tangent, x: Tangent) -> np.ndarray:
    sign = np.sign(x.value)
    like.ties.met |= not sign.all()
    return sign


Tangent.ufuncs = {
    **SHARED_UFUNCS,
    np.add: lambda like, x, y: like.chained(_value(x) + _value(y), (x, 1.0), (y, 1.0)),
    np.subtract: lambda like, x, y: like.chained(_value(x) - _value(y), (x, 1.0), (y, -1.0)),
    np.multiply: lambda like, x, y: like.chained(_value(x) * _value(y), (x, _value(y)), (y, _value(x))),
    np.divide: _divide,
    np.matmul: _matmul,
    np.negative: lambda like, x: like.chained(-x.value, (x, -1.0)),
    np.power: _power,
    np.sign: _sign,
    **{f: partial(_compare, f) for f in COMPARISONS},
    **{
        f: lambda like, x, f=f, derivative=derivative: like.chained(y := f(x.value), (x, derivative(x.value, y)))
        for f, derivative in (  # the derivatives at (x, y), y = f(x)
            (np.square, lambda x, y: 2 * x),
            (np.sqrt, lambda x, y: 0.5 / y),
            (np.exp, lambda x, y: y),
            (np.expm1, lambda x, y: np.exp(x)),
            (np.log, lambda x, y: 1 / x),
            (np.log1p, lambda x, y: 1 / (1 + x)),
            (np.tanh, lambda x, y: np.cosh(x) ** -2.0),  # 1 - y² suffers from cancellation near y = 1
            (np.sin, lambda x, y: np.cos(x)),
            (np.cos, lambda x, y: -np.sin(x)),
        )
    },
}
Tangent.functions = {
    **SHARED_FUNCTIONS,
    np.reshape: lambda like, array, shape: array.reshape(shape),
    np.real: lambda like, array: array.real,
    # If the maximum is not unique, the derivatives may differ.
    np.max: lambda like, x, **options: NotImplemented if len(x.companion) else np.max(x.value, **options),
    np.sum: lambda like, x, axis=None, keepdims=False, **_: x.each(
        lambda part: np.asarray(np.sum(part, axis=axis, keepdims=keepdims))
    ),
    np.where: _where,
}


class OneSided(NamedTuple):
    """The one-sided derivatives along K directions, each (K, outputs)."""

    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    largest: np.ndarray


class Tied(Tangent):
    """Numbers that use their tangents to break ties. All operands have the same directions."""

    real = property(lambda self: self)  # type: ignore[assignment]


def _order(like: Tied, x: Any, y: Any) -> np.ndarray:
    """Return 1, 0 or -1 if x is greater than, equal to or less than y, after breaking ties."""
    (a, da), (b, db) = like.pair(x), like.pair(y)
    broken = like.ties.broken or np.sign(da - db)
    return np.where(a == b, broken, np.sign(a - b))


def _max_with_ties(like: Tied, x: Tied, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    """Return the maximum; among equal numbers, select the largest tangent, or the smallest for LESS."""
    top = np.max(x.value, axis=axis, keepdims=True)
    sign = -1 if like.ties.broken == LESS else 1
    tangent = sign * np.max(np.where(x.value == top, sign * x.tangent, -np.inf), axis=axis, keepdims=keepdims)
    return like.like(np.max(x.value, axis=axis, keepdims=keepdims), tangent)


Tied.ufuncs = {
    **Tangent.ufuncs,
    np.sign: lambda like, x: _order(like, x, 0),
    **{f: lambda like, x, y, f=f: f(_order(like, x, y), 0) for f in COMPARISONS},
}
Tied.functions = {**Tangent.functions, np.real: lambda like, array: array, np.max: _max_with_ties}
