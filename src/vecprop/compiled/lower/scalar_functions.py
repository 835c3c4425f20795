"""The functions of ``core/elementary.py``, and the logistic function, for scalars in compiled code.

Exponentials and logarithms are polynomials without branches or calls, so that loops over them are vectorized, unlike
loops over Numba's implementations. They are accurate to a few units in the last place. Results close to or below the
smallest normal number may be 0.
"""

from math import factorial
from typing import Any

import numpy as np
from numba import njit, types
from numpy.polynomial import Chebyshev, Polynomial

from ...core import elementary, logistic
from ..jit import INNER, intrinsic, larger, of_numbers, smaller
from ..jit.numba_internals import has_wide_vectors

# Numba's default error model checks each division for zero, which prevents vectorization. Only fusing a product and a
# sum is allowed; other optimizations would break these formulas, which rely on the order of roundings.
_EXACT: Any = {**INNER, "fastmath": {"contract"}, "forceinline": True}


@intrinsic
def _reinterpreted(typing, x):
    """Reinterpret the bits of an integer as a floating-point number, or vice versa."""
    pairs = {types.int32: types.float32, types.int64: types.float64}
    made = (pairs | {number: bits for bits, number in pairs.items()})[x]
    return made(x), lambda context, builder, signature, values: builder.bitcast(values[0], context.get_value_type(made))


@intrinsic
def quotient(typing, a, b):
    """Return a / b for nonzero, finite b, from an estimate of 1 / b where that is faster.

    A vector division takes as long as 32 other instructions; an estimate that is refined twice takes eight (see
    `use_widest_vectors`). With FMA, the result is rounded like a division in all but one of many millions of cases, so
    that results do not depend on which elements of a loop are vectorized. For the same reason, formulas divide by a
    number only once: the compiler could replace two divisions by multiplications, but only in some loops.
    """

    def generate(context, builder, signature, arguments):
        return builder.fdiv(*arguments, flags=("arcp", "ninf", "contract") if has_wide_vectors() else ())

    return a(a, a), generate


@njit(**_EXACT)
def ratio(a, b):
    """Return a / b, where b is a normal number or infinite; see `quotient`."""
    return a * type(a)(0) if b == np.inf else quotient(a, b)


def _near(series, low, high, degree, F):
    """Return a compiled polynomial that approximates Σ series(k) x^k between two bounds."""

    def sum_at(x) -> Any:
        return sum(series(k) * x**k for k in range(40, -1, -1))

    sums = Chebyshev.interpolate(sum_at, degree, [low, high])
    coefficients = [float(F(c)) for c in sums.convert(kind=Polynomial, domain=[-1, 1]).coef]  # in powers of x

    @of_numbers
    def horner(builder, x):
        *rest, result = (x.type(coefficient) for coefficient in coefficients)
        for coefficient in reversed(rest):
            result = builder.fadd(builder.fmul(result, x), coefficient)
        return result

    return horner


def _functions(F, I, mantissa, ln2_high, ln2_low, degree_of_exp, degree_of_log):
    """Return the functions that compiled code calls instead of `OWN`, for one floating-point type.

    ln 2 is split into two parts, so that k times the high part is exact for every exponent k.
    """
    information = np.finfo(F)
    zero, half, one, two, infinity, nan = F(0), F(0.5), F(1), F(2), F(np.inf), F(np.nan)
    log2_e, ln2_high, ln2_low = F(1 / np.log(2)), F(ln2_high), F(ln2_low)
    lowest, highest = F(np.log(information.smallest_normal)), F(np.log(information.max))
    lowest_normal, many, digits = information.smallest_normal, F(2.0**mantissa), F(mantissa)
    shift, root_half_bits = I(mantissa), I(F(0.5**0.5).view(I))
    rounding = F(1.5 * 2.0**mantissa)  # adding it rounds a number to an integer, stored in the last bits
    bias_of_half = I(information.maxexp - 2 - int(rounding.view(I)))
    # (exp(r) - 1 - r) / r², and (2 artanh(s) - 2 s) / s³ in s²
    exponential = _near(lambda k: 1 / factorial(k + 2), -np.log(2) / 2, np.log(2) / 2, degree_of_exp, F)
    arctangent = _near(lambda k: 2 / (2 * k + 3), 0, (2**0.5 - 1) ** 4, degree_of_log, F)

    @njit(**_EXACT)
    def reduced(x, most):
        """Clip x to the bounds, and return expm1(r) and 2^(k - 1) with x = k ln 2 + r and |r| at most ln 2 / 2.

        The power is 0 if it is not a normal number.
        """
        bounded = smaller(larger(x, lowest), most)
        rounded = bounded * log2_e + rounding
        k = rounded - rounding
        r = (bounded - k * ln2_high) - k * ln2_low
        power = _reinterpreted(I((_reinterpreted(rounded) + bias_of_half) << shift))
        return exponential(r) * r * r + r, power

    @njit(**_EXACT)
    def exp(x):
        p, power = reduced(x, highest + one)  # above the highest x, the power is infinite
        return (two * p + two) * power  # not (p + 1) 2^k: that power overflows before the result does

    @njit(**_EXACT)
    def expm1(x):
        p, power = reduced(x, highest)
        y = two * (p * power + (power - half))
        return infinity if x > highest else y

    @njit(**_EXACT)
    def log(x):
        small = x < lowest_normal
        bits = _reinterpreted(x * many if small else x)
        k = I(I(bits - root_half_bits) >> shift)  # Numba subtracts in 64 bits, so the result is cast
        m = _reinterpreted(I(bits - (k << shift)))  # between √½ and √2
        s = (m - one) / (m + one)
        e = F(k) - (digits if small else zero)
        s2 = s * s
        y = e * ln2_high + (two * s + (arctangent(s2) * s2 * s + e * ln2_low))
        special = x if x > zero else -infinity if x == zero else nan
        return y if zero < x < infinity else special

    @njit(**_EXACT)
    def log1p(x):
        u = one + x
        return x if u == infinity else log(u) + (x - (u - one)) / u

    @njit(**_EXACT)
    def tanh(x):
        e = expm1(-two * abs(x))
        return quotient(e if x < zero else -e, two + e)

    @njit(**_EXACT)
    def logistic(x):
        e = exp(-abs(x))
        return quotient(e if x < zero else one, one + e)

    return dict(zip(OWN, (exp, expm1, log, log1p, tanh, logistic), strict=True))


def _in_llvm(name):
    """Return an intrinsic for LLVM's own function of a number."""
    return of_numbers(lambda builder, z: builder.call(builder.module.declare_intrinsic(name, [z.type]), [z]))


@of_numbers
def _clip(builder, z, low, high):
    z = builder.select(builder.fcmp_ordered(">", low, z), low, z)  # this order preserves NaN
    return builder.select(builder.fcmp_ordered("<", high, z), high, z)


OWN = (elementary.exp, elementary.expm1, elementary.log, elementary.log1p, elementary.tanh, logistic)
"""The functions that have separate formulas in compiled code."""

_SHARED = {elementary.clip: _clip, elementary.where: of_numbers(lambda builder, is_a, a, b: builder.select(is_a, a, b))}
_SHARED |= {elementary.sqrt: _in_llvm("llvm.sqrt"), elementary.absolute: _in_llvm("llvm.fabs")}
_SHARED |= {elementary.real: njit(lambda z: z, **_EXACT), elementary.one: njit(lambda z: type(z)(1), **_EXACT)}
_SHARED[elementary.sign] = njit(lambda z: type(z)(np.sign(z)), **_EXACT)


COMPILED: dict[type, dict[Any, Any]] = {
    np.float64: _SHARED
    | _functions(np.float64, np.int64, 52, 0.693147180369123816490, 1.90821492927058770002e-10, 9, 6),
    np.float32: _SHARED | _functions(np.float32, np.int32, 23, 0.693359375, -2.12194440e-4, 4, 2),
}
"""The replacements of functions in compiled code, for each floating-point type."""
