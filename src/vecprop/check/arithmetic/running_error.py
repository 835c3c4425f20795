"""Numbers with a bound on their rounding error: running error analysis (Wilkinson, 1963; Higham, 2002, 3.3).

The bound of a sum grows with the absolute values of its terms, so it remains valid if terms cancel. In a product, the
bound of each factor is multiplied by the absolute value of the other. If rounding could change a comparison, the bound
covers both branches.

The bounds hold for the reference engine and for the compiled one, which rounds differently. Let u be the unit roundoff.

- Sums may be computed in any order. In each order, the error of a sum of n terms is at most (n - 1) u Σ|x|.
- A kernel may multiply by a reciprocal. Then a quotient is fl(x fl(1 / d)) = x / d (1 + δ) (1 + ε) with |δ|, |ε| <= u,
  so it has two rounding errors.
- A kernel may fuse a product with a sum, which omits the rounding error of the product.
- Inputs are exact, but numbers computed from them are not. The mean of equal numbers, for example, may differ from them
  in one engine only. Therefore the bounds start at the inputs, as if they depended on the parameters.
"""

from functools import partial
from typing import Any

import numpy as np

from . import COMPARISONS, SHARED_FUNCTIONS, SHARED_UFUNCS, ArrayPair
from .steps import STEP


class Arithmetic:
    """The rounding errors of a floating-point dtype. ``tied`` becomes true if equal numbers are compared.

    ``elsewhere``, equal numbers may differ by rounding, so the bound covers both branches of a tie.
    """

    def __init__(self, dtype: Any = np.float64, branching: bool = True, elsewhere: bool = False) -> None:
        information = np.finfo(dtype)
        self.dtype, self.branching = information.dtype, branching
        self.elsewhere = elsewhere
        self.unit = float(information.eps) / 2
        # The error of underflow. A complex step divides derivatives and their errors by the step.
        self.tiny = max(float(information.tiny), float(np.finfo(np.float64).smallest_subnormal) / STEP)
        self.tied = False

    def sum_error(self, terms: int) -> float:
        """Return the error of a sum relative to the sum of the absolute values of its terms.

        In the worst case, each term adds one rounding error. In a sum of many terms, the errors have different signs
        (Higham and Mary, 2019), and products are summed in blocks.
        """
        return min(terms, 8 * terms**0.5) * self.unit


class Bounded(ArrayPair):
    """Real numbers with error bounds, or Booleans with flags for values that rounding could change."""

    def __init__(self, value: np.ndarray, companion: np.ndarray, arithmetic: Arithmetic) -> None:
        if np.iscomplexobj(value):
            raise TypeError("Error bounds of complex numbers are not supported.")
        is_too_large = np.abs(value) > np.finfo(arithmetic.dtype).max
        if is_too_large.any():  # copy the errors only then, since they may be a view
            companion = np.where(is_too_large, np.inf, companion)
        super().__init__(value, companion)
        self.arithmetic = arithmetic

    def like(self, value: np.ndarray, companion: np.ndarray) -> "Bounded":
        return Bounded(value, companion, self.arithmetic)

    def pair(self, operand: Any) -> tuple[np.ndarray, Any]:
        """Return the value and the error of an operand; plain arrays are exact, Python numbers are rounded."""
        value, error = super().pair(operand)
        if isinstance(operand, float):
            error = abs(operand - float(self.arithmetic.dtype.type(operand))) if abs(operand) < np.inf else 0.0
        return value, error

    def astype(self, dtype: Any, copy: bool = True) -> "Bounded":
        """Return the pair itself, or raise a TypeError if the dtype is less precise than the arithmetic."""
        if np.dtype(dtype).itemsize < self.arithmetic.dtype.itemsize:
            raise TypeError(f"Rounding {self.arithmetic.dtype} numbers to {np.dtype(dtype)} is not supported.")
        return self

    dtype = property(lambda self: self.value.dtype if self.value.dtype == bool else self.arithmetic.dtype)

    def rounded(self, value: np.ndarray, error: np.ndarray, units: float = 1) -> Any:
        """Return a result with the error of its operands plus its rounding error, including underflow."""
        size = np.abs(value)
        own = units * self.arithmetic.unit * size
        if (size < self.arithmetic.tiny / self.arithmetic.unit).any():
            own = own + self.arithmetic.tiny
        return self.like(value, error + own)


def _add(like: Bounded, x: Any, y: Any, sign: int = 1) -> Any:
    (a, ea), (b, eb) = like.pair(x), like.pair(y)
    # a and b are exact in the dtype, so the rounding error is at most min(|a|, |b|). Sums do not underflow.
    total = a + b if sign > 0 else a - b
    own = np.minimum(like.arithmetic.unit * np.abs(total), np.minimum(np.abs(a), np.abs(b)))
    return like.like(total, ea + eb + own)


def _multiply(like: Bounded, x: Any, y: Any) -> Any:
    (a, ea), (b, eb) = like.pair(x), like.pair(y)
    A, B = np.abs(a), np.abs(b)
    return like.rounded(a * b, (A + ea) * eb + ea * B)


def _divide(like: Bounded, x: Any, y: Any) -> Any:
    (a, ea), (b, eb) = like.pair(x), like.pair(y)
    q, B = a / b, np.abs(b)
    least = B - eb  # the smallest possible divisor; if not positive, the divisor may be 0
    error = np.where(least > 0, (ea + np.abs(q) * eb) / least, np.inf)
    quotient = like.rounded(q, error, units=2)
    # Division by 1 is exact. For example, the logistic computes 1 / 1 far from 0.
    return like.like(q, np.where(B == 1, error, quotient.companion))


def _matmul(like: Bounded, x: Any, y: Any) -> Any:
    (a, ea), (b, eb) = like.pair(x), like.pair(y)
    A, B = np.abs(a), np.abs(b)
    error = (like.arithmetic.sum_error(a.shape[-1]) * A + ea) @ B
    if np.any(eb):  # parameters are exact
        error = error + (A + ea) @ eb
    return like.like(a @ b, error)


def _sum(like: Bounded, x: Bounded, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    total = np.sum(x.value, axis=axis, keepdims=keepdims)
    terms = x.size // max(np.size(total), 1)
    errors = x.companion + like.arithmetic.sum_error(terms - 1) * np.abs(x.value)
    return like.like(np.asarray(total), np.asarray(np.sum(errors, axis=axis, keepdims=keepdims)))


def _logarithm(like: Bounded, y: np.ndarray, argument: np.ndarray, error: np.ndarray) -> Any:
    share = error / argument
    return like.rounded(y, np.where(share < 1, -np.log1p(-np.minimum(share, 0.9999)), np.inf), units=4)


def _tanh(like: Bounded, x: Bounded) -> Any:
    size = np.abs(x.value)
    steepest = 1 - np.tanh(np.maximum(size - x.companion, 0)) ** 2
    y = np.tanh(x.value)
    # Far from 0, tanh rounds to ±1 with a known error.
    away = 4 * np.exp(-2 * size)
    error = np.minimum(steepest * x.companion, 2)
    rounded = like.rounded(y, error, units=4).companion
    return like.like(y, np.where(away < like.arithmetic.unit / 64, np.minimum(rounded, error + away), rounded))


def _power(like: Bounded, x: Any, exponent: Any) -> Any:
    if isinstance(exponent, Bounded):
        return NotImplemented
    y = np.power(x.value, exponent)
    size = np.abs(x.value)
    steepest = np.where(np.less(exponent, 1), np.maximum(size - x.companion, 0), size + x.companion)
    error = np.abs(exponent * np.power(steepest, np.subtract(exponent, 1.0))) * x.companion
    return like.rounded(y, error, units=4)


def _compare(function: Any, like: Bounded, x: Any, y: Any) -> Any:
    (a, ea), (b, eb) = like.pair(x), like.pair(y)
    close = np.abs(a - b) <= ea + eb
    if not close.any():
        return function(a, b)
    equal = a == b  # exact equality is a tie, not a rounding error
    like.arithmetic.tied |= bool(equal.any())
    is_exact = equal & ~(like.arithmetic.elsewhere & (ea + eb > 0))
    return like.like(function(a, b), close & ~is_exact & like.arithmetic.branching)


def _logical(function: Any, like: Bounded, x: Any, y: Any) -> Any:
    (a, unsure_a), (b, unsure_b) = like.pair(x), like.pair(y)
    truth = function(a, b)
    return like.like(truth, np.broadcast_to((unsure_a != 0) | (unsure_b != 0), truth.shape))


def _where(like: Bounded, condition: Any, x: Any, y: Any) -> Any:
    chosen = condition.value if isinstance(condition, Bounded) else condition
    (a, ea), (b, eb) = like.pair(x), like.pair(y)
    value, error = np.where(chosen, a, b), np.where(chosen, ea, eb)
    if isinstance(condition, Bounded):
        error = np.where(condition.companion, np.maximum(ea, eb) + np.abs(a - b), error)
    return like.like(value, np.broadcast_to(error, value.shape))


def _sign(like: Bounded, x: Bounded) -> Any:
    like.arithmetic.tied |= bool((x.value == 0).any())
    is_exact = (x.value == 0) & ~(like.arithmetic.elsewhere & (x.companion > 0))
    unsure = (np.abs(x.value) <= x.companion) & ~is_exact & like.arithmetic.branching
    return like.like(np.sign(x.value), np.where(unsure, 2.0, 0.0))


def _max(like: Bounded, x: Bounded, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    top = np.max(x.value, axis=axis, keepdims=True)
    like.arithmetic.tied |= bool((np.sum(x.value == top, axis=axis) > 1).any())
    error = np.max(x.companion, axis=axis, keepdims=keepdims)
    return like.like(np.max(x.value, axis=axis, keepdims=keepdims), error)


Bounded.ufuncs = {
    **SHARED_UFUNCS,
    np.add: _add,
    np.subtract: lambda like, x, y: _add(like, x, y, sign=-1),
    np.multiply: _multiply,
    np.divide: _divide,
    np.matmul: _matmul,
    np.negative: lambda like, x: like.like(-x.value, x.companion),
    np.square: lambda like, x: x * x,
    np.power: _power,
    np.sqrt: lambda like, x: like.rounded(
        y := np.sqrt(x.value), x.companion / np.where(y > 0, y, np.sqrt(like.arithmetic.tiny))
    ),
    # This bound exceeds exp(x + e) - exp(x), and is faster to compute than with expm1.
    np.exp: lambda like, x: like.rounded(y := np.exp(x.value), y * x.companion * np.exp(x.companion), units=4),
    np.expm1: lambda like, x: like.rounded(np.expm1(x.value), np.exp(x.value) * np.expm1(x.companion), units=4),
    np.log: lambda like, x: _logarithm(like, np.log(x.value), x.value, x.companion),
    np.log1p: lambda like, x: _logarithm(like, np.log1p(x.value), 1 + x.value, x.companion),
    np.tanh: _tanh,
    np.sin: lambda like, x: like.rounded(np.sin(x.value), np.minimum(x.companion, 2), units=4),
    np.cos: lambda like, x: like.rounded(np.cos(x.value), np.minimum(x.companion, 2), units=4),
    np.sign: _sign,
    **{f: partial(_compare, f) for f in COMPARISONS},
    **{f: partial(_logical, f) for f in (np.logical_and, np.logical_or, np.bitwise_and, np.bitwise_or)},
    **dict.fromkeys((np.invert, np.logical_not), lambda like, x: like.like(~x.value, x.companion)),
}
Bounded.functions = {**SHARED_FUNCTIONS, np.sum: _sum, np.where: _where, np.max: _max}
