"""Numbers with a bound on their rounding error: running error analysis (Wilkinson, 1963; Higham, 2002, 3.3).

The bound of a sum grows with the absolute values of its terms, so it remains valid if
terms cancel. In a product, the bound of each factor is multiplied by the absolute value
of the other. If rounding could change a comparison, the bound covers both branches.

The bounds hold for the reference engine and for the compiled one, which rounds
differently. Let u be the unit roundoff.

- Sums may be computed in any order. In each order, the error of a sum of n terms is at
  most (n - 1) u Σ|x|.
- A kernel may multiply by a reciprocal. Then a quotient is fl(x fl(1 / d)) = x / d (1 +
  δ) (1 + ε) with |δ|, |ε| <= u, so it has two rounding errors.
- A kernel may fuse a product with a sum, which omits the rounding error of the product.
- Inputs are exact, but numbers computed from them are not. The mean of equal numbers,
  for example, may differ from them in one engine only. Therefore the bounds start at
  the inputs, as if they depended on the parameters.
"""

from functools import partialmethod
from typing import Any

import numpy as np
from numpy import ndarray

from . import ArrayPair
from .steps import STEP


class Arithmetic:
    """The rounding errors of a floating-point dtype. ``tied`` becomes true if equal numbers are compared.

    If ``covers_branches``, the bound covers both outcomes of a comparison that rounding
    could change. In code that ``rounds_differently``, equal numbers may differ by
    rounding, so the bound also covers both branches of a tie.
    """

    def __init__(
        self,
        dtype: Any = np.float64,
        covers_branches: bool = True,
        rounds_differently: bool = False,
    ):
        information = np.finfo(dtype)
        self.dtype = information.dtype
        self.covers_branches = covers_branches
        self.rounds_differently = rounds_differently
        self.unit_roundoff = float(information.eps) / 2
        # A complex step divides derivatives, and so their underflow, by the step.
        smallest = float(np.finfo(np.float64).smallest_subnormal)
        self.underflow_error = max(float(information.tiny), smallest / STEP)
        self.tied = False

    def sum_error(self, terms: int):
        """Return the error of a sum relative to the sum of the absolute values of its terms.

        In the worst case, each term adds one rounding error. In a sum of many terms,
        the errors have different signs (Higham and Mary, 2019), and products are summed
        in blocks.
        """
        return min(terms, 8 * terms**0.5) * self.unit_roundoff

    def is_exact(self, equal: ndarray, error: ndarray):
        """Return which numbers are equal in every engine, and record the tie."""
        self.tied |= bool(equal.any())
        if self.rounds_differently:
            return equal & ~(error > 0)
        return equal


class Bounded(ArrayPair):
    """Real numbers with error bounds, or Booleans with flags for values that rounding could change."""

    def __init__(self, value: ndarray, companion: ndarray, arithmetic: Arithmetic):
        if np.iscomplexobj(value):
            raise TypeError("Error bounds of complex numbers are not supported.")
        is_too_large = abs(value) > np.finfo(arithmetic.dtype).max
        if is_too_large.any():  # copy the errors only then, since they may be a view
            companion = np.where(is_too_large, np.inf, companion)
        super().__init__(value, companion)
        self.arithmetic = arithmetic

    def like(self, value, companion):
        return type(self)(value, companion, self.arithmetic)

    def pair(self, operand) -> tuple[ndarray, Any]:
        """Return the value and the error of an operand; plain arrays are exact, Python numbers are rounded."""
        value, error = super().pair(operand)
        if isinstance(operand, float) and abs(operand) < np.inf:
            error = abs(operand - float(self.arithmetic.dtype.type(operand)))
        return value, error

    def astype(self, dtype, copy: bool = True):
        """Return the pair itself, or raise a TypeError if the dtype is less precise than the arithmetic."""
        if np.dtype(dtype).itemsize < self.arithmetic.dtype.itemsize:
            raise TypeError(
                f"Rounding {self.arithmetic.dtype} numbers to {np.dtype(dtype)} is not"
                " supported."
            )
        return self

    @property
    def dtype(self) -> np.dtype:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.value.dtype if self.value.dtype == bool else self.arithmetic.dtype

    def rounded(self, value: ndarray, error: ndarray, units: float = 1):
        """Return a result whose bound is the error of its operands plus a rounding error of this many units."""
        size = abs(value)
        unit_roundoff = self.arithmetic.unit_roundoff
        underflow_error = self.arithmetic.underflow_error
        rounding = units * unit_roundoff * size
        if (size < underflow_error / unit_roundoff).any():
            rounding = rounding + underflow_error
        return self.like(value, error + rounding)

    # Rules for functions of several operands: x ± x_error, y ± y_error.

    def _add(self, add, x, y):
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        total = add(x, y)
        # x and y are exact in the dtype, so the rounding error is at most min(|x|,
        # |y|). Sums do not underflow.
        smaller = np.minimum(abs(x), abs(y))
        rounding = np.minimum(self.arithmetic.unit_roundoff * abs(total), smaller)
        return self.like(total, x_error + y_error + rounding)

    add = partialmethod(_add, np.add)
    subtract = partialmethod(_add, np.subtract)

    def multiply(self, x, y):
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        # |(x + dx)(y + dy) - x y| <= (|x| + |dx|) |dy| + |dx| |y|
        error = (abs(x) + x_error) * y_error + x_error * abs(y)
        return self.rounded(x * y, error)

    def divide(self, x, y):
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        quotient = x / y
        size = abs(y)
        # the smallest possible divisor; if not positive, the divisor may be 0
        least = size - y_error
        error = np.where(least > 0, (x_error + abs(quotient) * y_error) / least, np.inf)
        rounded = self.rounded(quotient, error, units=2)
        # Division by 1 is exact. For example, the logistic computes 1 / 1 far from 0.
        return self.like(quotient, np.where(size == 1, error, rounded.companion))

    def matmul(self, x, y):
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        # as in multiply, plus the rounding error of the sum of products
        size = abs(x)
        error = (self.arithmetic.sum_error(x.shape[-1]) * size + x_error) @ abs(y)
        if np.any(y_error):  # parameters are exact
            error = error + (size + x_error) @ y_error
        return self.like(x @ y, error)

    def power(self, x, exponent):
        if isinstance(exponent, Bounded):
            return NotImplemented
        # The error is at most |n| s^(n - 1) x_error. Here s is the end of the interval
        # from |x| - x_error to |x| + x_error where the slope is steepest.
        size = abs(x.value)
        smallest = np.maximum(size - x.companion, 0)
        s = np.where(np.less(exponent, 1), smallest, size + x.companion)
        slope = abs(exponent * np.power(s, np.subtract(exponent, 1.0)))
        return self.rounded(np.power(x.value, exponent), slope * x.companion, units=4)

    def logaddexp(self, x, y):
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        # the slopes by x and y are positive, and their sum is 1
        error = np.maximum(x_error, y_error)
        return self.rounded(np.logaddexp(x, y), error, units=8)

    def compare(self, comparison, x, y):
        """Return the outcome; if rounding could change it, return a pair with flags for those entries."""
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        error = x_error + y_error
        is_close = abs(x - y) <= error
        outcome = comparison(x, y)
        if not is_close.any():
            return outcome
        # exact equality is a tie, not a rounding error
        is_exact = self.arithmetic.is_exact(x == y, error)
        return self.like(outcome, self._is_unsure(is_close, is_exact))

    def _is_unsure(self, is_close: ndarray, is_exact: ndarray):
        """Return which comparisons of close numbers rounding could change."""
        return is_close & ~is_exact & self.arithmetic.covers_branches

    def _combine(self, function, x, y):
        x, x_is_unsure = self.pair(x)
        y, y_is_unsure = self.pair(y)
        truth = function(x, y)
        is_unsure = (x_is_unsure != 0) | (y_is_unsure != 0)
        return self.like(truth, np.broadcast_to(is_unsure, truth.shape))

    logical_and = bitwise_and = partialmethod(_combine, np.logical_and)
    logical_or = bitwise_or = partialmethod(_combine, np.logical_or)

    def where(self, condition, x, y):
        """Select x or y. Where rounding could change the condition, the bound covers both."""
        condition, is_unsure = self.pair(condition)
        x, x_error = self.pair(x)
        y, y_error = self.pair(y)
        value = np.where(condition, x, y)
        error = np.where(condition, x_error, y_error)
        if np.any(is_unsure):
            error_of_both = np.maximum(x_error, y_error) + abs(x - y)
            error = np.where(is_unsure, error_of_both, error)
        return self.like(value, np.broadcast_to(error, value.shape))

    # Rules for functions of one operand.

    def negative(self):
        return self.like(-self.value, self.companion)

    def invert(self):
        return self.like(~self.value, self.companion)

    logical_not = invert

    def square(self):
        return self * self

    def sqrt(self):
        root = np.sqrt(self.value)
        least = np.sqrt(self.arithmetic.underflow_error)
        return self.rounded(root, self.companion / np.where(root > 0, root, least))

    def exp(self):
        y = np.exp(self.value)
        # This bound exceeds exp(x + e) - exp(x), and is faster to compute than with
        # expm1.
        return self.rounded(y, y * self.companion * np.exp(self.companion), units=4)

    def expm1(self):
        error = np.exp(self.value) * np.expm1(self.companion)
        return self.rounded(np.expm1(self.value), error, units=4)

    def log(self):
        return self._logarithm(np.log(self.value), self.value)

    def log1p(self):
        return self._logarithm(np.log1p(self.value), 1 + self.value)

    def _logarithm(self, logarithm, argument):
        share = self.companion / argument
        error = np.where(share < 1, -np.log1p(-np.minimum(share, 0.9999)), np.inf)
        return self.rounded(logarithm, error, units=4)

    def tanh(self):
        y = np.tanh(self.value)
        # The error is at most the error of x times the steepest slope, and at most 2.
        size = abs(self.value)
        nearest_to_0 = np.maximum(size - self.companion, 0)
        steepest = 1 - np.tanh(nearest_to_0) ** 2
        error = np.minimum(steepest * self.companion, 2)
        rounded = self.rounded(y, error, units=4).companion
        # Far from 0, tanh rounds to ±1, and 1 - |tanh x| is below 4 exp(-2|x|).
        distance_from_1 = 4 * np.exp(-2 * size)
        is_far = distance_from_1 < self.arithmetic.unit_roundoff / 64
        error_far = np.minimum(rounded, error + distance_from_1)
        return self.like(y, np.where(is_far, error_far, rounded))

    def erf(self):
        nearest_to_0 = np.maximum(abs(self.value) - self.companion, 0)
        steepest = 2 / np.pi**0.5 * np.exp(-np.square(nearest_to_0))
        error = np.minimum(steepest * self.companion, 2)
        return self.rounded(self.special.erf(self.value), error, units=16)

    def expit(self):
        y = self.special.expit(self.value)
        # The slope is at most y, and grows at most by the factor exp(e) over a distance e.
        slope = np.minimum(
            y * self.special.expit(-self.value) * np.exp(self.companion), 0.25
        )
        return self.rounded(y, np.minimum(slope * self.companion, 1), units=8)

    def log_expit(self):
        # the slope expit(-x) is steepest at the smallest x
        slope = self.special.expit(self.companion - self.value)
        return self.rounded(
            self.special.log_expit(self.value), slope * self.companion, units=8
        )

    def gammaln(self):
        low = self.value - self.companion
        high = self.value + self.companion
        # The slope grows between two poles, which are at 0, -1, -2, ...
        slope = np.maximum(
            abs(self.special.digamma(low)), abs(self.special.digamma(high))
        )
        has_pole = np.ceil(low) <= np.minimum(np.floor(high), 0)
        error = np.where(has_pole, np.inf, slope * self.companion)
        y = self.special.gammaln(self.value)
        # the error of terms that cancel near 1 and 2
        cancelled = 100 * self.arithmetic.unit_roundoff
        return self.rounded(y, error + cancelled, units=100)

    def sin(self):
        return self.rounded(np.sin(self.value), np.minimum(self.companion, 2), units=4)

    def cos(self):
        return self.rounded(np.cos(self.value), np.minimum(self.companion, 2), units=4)

    def sign(self):
        is_exact = self.arithmetic.is_exact(self.value == 0, self.companion)
        is_close = abs(self.value) <= self.companion
        is_unsure = self._is_unsure(is_close, is_exact)
        return self.like(np.sign(self.value), np.where(is_unsure, 2.0, 0.0))

    def sum(self, axis=None, keepdims=False, **_):
        total = self.value.sum(axis=axis, keepdims=keepdims)
        terms = self.size // max(np.size(total), 1)
        rounding = self.arithmetic.sum_error(terms - 1) * abs(self.value)
        error = (self.companion + rounding).sum(axis=axis, keepdims=keepdims)
        return self.like(np.asarray(total), np.asarray(error))

    def max(self, axis=None, keepdims=False, **_):
        is_top = self.value == self.value.max(axis=axis, keepdims=True)
        self.arithmetic.tied |= bool((is_top.sum(axis=axis) > 1).any())
        return self.apply(lambda part: part.max(axis=axis, keepdims=keepdims))
