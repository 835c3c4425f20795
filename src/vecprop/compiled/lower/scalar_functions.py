"""The functions of ``core/elementary.py``, and the logistic function, for scalars in compiled code.

Exponentials and logarithms are polynomials without branches or calls, so that loops
over them are vectorized, unlike loops over Numba's implementations. They are accurate
to a few units in the last place. Results close to or below the smallest normal number
may be 0.
"""

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.polynomial import Chebyshev, Polynomial

from ...core import elementary, logistic
from ..jit import inner
from ..jit.numba_internals import has_wide_vectors
from ..jit.tracing import Number, of_numbers, square_root, where


def _quotient(a: Number, b: Number) -> Number:
    """Return a / b for nonzero, finite b, from an estimate of 1 / b where that is faster.

    A vector division takes as long as 32 other instructions; an estimate that is
    refined twice takes eight (see `use_widest_vectors`). With FMA, the result is
    rounded like a division in all but one of many millions of cases, so that results do
    not depend on which elements of a loop are vectorized. For the same reason, formulas
    divide by a number only once: the compiler could replace two divisions by
    multiplications, but only in some loops.
    """
    flags = ("arcp", "ninf", "contract") if has_wide_vectors() else ()
    return Number(b.builder, b.builder.fdiv(b.constant(a).value, b.value, flags=flags))


quotient = of_numbers(_quotient)
ratio = of_numbers(lambda a, b: where(b.equals(np.inf), a * 0, _quotient(a, b)))
"""Return a / b, where b is a normal number or infinite; see `_quotient`."""


def fitted(function: Callable[[Any], Any], low, high, degree, F):
    """Return a polynomial of this degree that approximates a function between two bounds, in type F."""
    values = Chebyshev.interpolate(function, degree, [low, high])
    # in powers of x
    coefficients = [
        float(F(c)) for c in values.convert(kind=Polynomial, domain=[-1, 1]).coef
    ]

    def horner(x):
        *lower_coefficients, result = coefficients
        for coefficient in reversed(lower_coefficients):
            result = result * x + coefficient
        return result

    return horner


def near(series: Callable[[int], float], low, high, degree, F):
    """Return a polynomial of this degree that approximates Σ series(k) x^k between two bounds, in type F."""

    def sum_at(x) -> Any:
        return sum(series(k) * x**k for k in range(40, -1, -1))

    return fitted(sum_at, low, high, degree, F)


def _functions(F, I, mantissa, ln2_high, ln2_low, degree_of_exp, degree_of_log):
    """Return the functions that compiled code calls instead of `OWN`, for one floating-point type.

    ln 2 is split into two parts, so that k times the high part is exact for every
    exponent k.
    """
    information = np.finfo(F)
    integers, floats = (
        (ir.IntType(32), ir.FloatType())
        if F is np.float32
        else (ir.IntType(64), ir.DoubleType())
    )
    log2_e = F(1 / np.log(2))
    ln2_high = F(ln2_high)
    ln2_low = F(ln2_low)
    lowest = F(np.log(information.smallest_normal))
    highest = F(np.log(information.max))
    lowest_normal = information.smallest_normal
    many = F(2.0**mantissa)
    root_half_bits = I(F(0.5**0.5).view(I))
    # adding it rounds a number to an integer, stored in the last bits
    rounding = F(1.5 * 2.0**mantissa)
    bias_of_half = I(information.maxexp - 2 - int(rounding.view(I)))
    # (exp(r) - 1 - r) / r², and (2 artanh(s) - 2 s) / s³ in s²
    exponential = near(
        lambda k: 1 / factorial(k + 2), -np.log(2) / 2, np.log(2) / 2, degree_of_exp, F
    )
    arctangent = near(lambda k: 2 / (2 * k + 3), 0, (2**0.5 - 1) ** 4, degree_of_log, F)

    def reduced(x, most):
        """Clip x to the bounds, and return expm1(r) and 2^(k - 1) with x = k ln 2 + r and |r| at most ln 2 / 2.

        Then exp(x) = 2 (expm1(r) + 1) 2^(k - 1). The power is 0 if it is not a normal
        number. It is computed from its bits: the exponent of a float is stored after
        ``mantissa`` bits, with a bias.
        """
        bounded = where(x < lowest, lowest, x)
        bounded = where(bounded > most, most, bounded)
        # adding a large number rounds x / ln 2 to the integer k
        rounded = bounded * log2_e + rounding
        k = rounded - rounding
        r = (bounded - k * ln2_high) - k * ln2_low
        power = ((rounded.cast(integers, "bitcast") + bias_of_half) << mantissa).cast(
            floats, "bitcast"
        )
        return exponential(r) * r * r + r, power

    def exp(x):
        # above the highest x, the power is infinite
        p, power = reduced(x, highest + F(1))
        # not (p + 1) 2^k: that power overflows before the result does
        return (2 * p + 2) * power

    def expm1(x):
        p, power = reduced(x, highest)
        y = 2 * (p * power + (power - 0.5))
        return where(x > highest, np.inf, y)

    def log(x):
        """Return log(x) = e ln 2 + log(m) for x = m 2^e, with log(m) = 2 artanh(s) and s = (m - 1) / (m + 1)."""
        small = x < lowest_normal
        # numbers below the normal ones are scaled by 2^mantissa
        bits = where(small, x * many, x).cast(integers, "bitcast")
        # k is the exponent of x / √½, and m = x / 2^k is between √½ and √2
        k = (bits - root_half_bits) >> mantissa
        m = (bits - (k << mantissa)).cast(floats, "bitcast")
        s = (m - 1) / (m + 1)
        e = k.cast(floats, "sitofp") - where(small, x.constant(mantissa), 0)
        s2 = s * s
        y = e * ln2_high + (2 * s + (arctangent(s2) * s2 * s + e * ln2_low))
        special = where(x > 0, x, where(x.equals(0), x.constant(-np.inf), np.nan))
        return where(x > 0, where(x < np.inf, y, special), special)

    def log1p(x):
        u = 1 + x
        return where(u.equals(np.inf), x, log(u) + (x - (u - 1)) / u)

    def tanh(x):
        e = expm1(-2 * x.by("llvm.fabs"))
        return _quotient(where(x < 0, e, -e), 2 + e)

    def logistic(x):
        e = exp(-x.by("llvm.fabs"))
        return _quotient(where(x < 0, e, 1), 1 + e)

    return dict(zip(OWN, (exp, expm1, log, log1p, tanh, logistic), strict=True))


OWN = (
    elementary.exp,
    elementary.expm1,
    elementary.log,
    elementary.log1p,
    elementary.tanh,
    logistic,
)
"""The functions that have separate formulas in compiled code."""


def _clip(z: Number, low: Number, high: Number) -> Number:
    z = where(low > z, low, z)  # this order preserves NaN
    return where(high < z, high, z)


_SHARED: dict[Any, Any] = {
    elementary.clip: of_numbers(_clip),
    # compiled code passes a condition as a word
    elementary.where: of_numbers(lambda is_met, a, b: where(is_met > 0, a, b)),
    elementary.sqrt: square_root,
    elementary.absolute: of_numbers(lambda z: z.by("llvm.fabs")),
    elementary.real: of_numbers(lambda z: z),
    elementary.one: of_numbers(lambda z: z.constant(1)),
    elementary.sign: inner(lambda z: type(z)(np.sign(z))),
}


FORMULAS: dict[type, dict[Any, Callable[..., Any]]] = {
    np.float64: _functions(
        np.float64,
        np.int64,
        52,
        0.693147180369123816490,
        1.90821492927058770002e-10,
        9,
        6,
    ),
    np.float32: _functions(np.float32, np.int32, 23, 0.693359375, -2.12194440e-4, 4, 2),
}
"""Formulas of `Number`s for the functions in `OWN`, for each floating-point type."""

COMPILED: dict[type, dict[Any, Any]] = {}
"""The replacements of functions in compiled code, for each floating-point type."""

for _F, _formulas in FORMULAS.items():
    COMPILED[_F] = dict(_SHARED)
    for _function, _formula in _formulas.items():
        COMPILED[_F][_function] = of_numbers(_formula)
