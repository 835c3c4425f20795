"""The names of ``core/elementary.py`` for scalars inside compiled code.

Exponentials and logarithms are polynomials without branches or calls, so that a loop over them is vectorized, where the
call that Numba would make is not. Each is accurate to a few units in the last place.
"""

from math import factorial

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from ..core import elementary

# Numba's default error model tests every division for zero, which stops vectorization. Products may be contracted into
# sums; nothing else is allowed to change, since these formulas count on the order of their roundings.
_EXACT = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "forceinline": True}


@intrinsic
def _float_of_bits(typing, bits):
    made, kind = {types.int32: (types.float32, ir.FloatType()), types.int64: (types.float64, ir.DoubleType())}[bits]
    return made(bits), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], kind)


@intrinsic
def _bits_of_float(typing, x):
    made, kind = {types.float32: (types.int32, ir.IntType(32)), types.float64: (types.int64, ir.IntType(64))}[x]
    return made(x), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], kind)


def _horner(coefficients):
    """Return a compiled polynomial from its coefficients, the highest first, as one expression."""
    names = {f"c{place}": value for place, value in enumerate(coefficients)}
    expression = "c0"
    for name in list(names)[1:]:
        expression = f"({expression}) * x + {name}"
    return njit(eval(f"lambda x: {expression}", names), **_EXACT)


def _functions(F, I, mantissa, ln2_high, ln2_low, taylor, series):
    """Return exp, expm1, log and log1p for one floating type, and with them tanh.

    ln 2 is given in two parts, so that k times the high one is exact for every exponent k; taylor and series say how
    many terms the two polynomials need.
    """
    information = np.finfo(F)
    zero, half, one, two, infinity = F(0), F(0.5), F(1), F(2), F(np.inf)
    bias, shift = I(information.maxexp - 1), I(mantissa)
    log2_e, ln2_high, ln2_low = F(1 / np.log(2)), F(ln2_high), F(ln2_low)
    lowest, highest = F(np.log(information.smallest_normal)), F(np.log(information.max))
    lowest_normal, many, log_many = information.smallest_normal, F(2.0**mantissa), F(mantissa * np.log(2))
    root_half_bits = I(F(0.5**0.5).view(I))
    exponential = _horner([F(1 / factorial(k)) for k in range(taylor, 1, -1)])  # (exp(r) - 1 - r) / r²
    arctangent = _horner([F(2 / (2 * k + 1)) for k in range(series, 0, -1)])  # (2 artanh(s) - 2 s) / s³ in s²

    @njit(**_EXACT)
    def power_of_two(k):
        return _float_of_bits(I((I(k) + bias) << shift))  # sums of small integers are wide ones

    @njit(**_EXACT)
    def reduced(x):
        """Return the exponent k and expm1(r) for x = k ln 2 + r with |r| at most ln 2 / 2."""
        c = min(max(x, lowest), highest)
        k = np.floor(c * log2_e + half)
        r = (c - k * ln2_high) - k * ln2_low
        return k, exponential(r) * r * r + r

    @njit(**_EXACT)
    def exp(x):
        k, p = reduced(x)
        y = (p + one) * two * power_of_two(k - one)  # 2^k itself would overflow just below the largest number
        y = infinity if x > highest else y
        y = zero if x < lowest else y
        return x if x != x else y

    @njit(**_EXACT)
    def expm1(x):
        k, p = reduced(x)
        scale = power_of_two(k - one)
        y = two * (scale * p + (scale - half))
        y = infinity if x > highest else y
        y = -one if x < lowest else y
        return x if x != x else y

    @njit(**_EXACT)
    def log(x):
        small = x < lowest_normal
        bits = _bits_of_float(x * many if small else x)
        k = I((bits - root_half_bits) >> shift)
        m = _float_of_bits(I(bits - (k << shift)))  # between √½ and √2
        s = (m - one) / (m + one)
        e = F(k)
        y = e * ln2_high + (two * s + (arctangent(s * s) * s * s * s + e * ln2_low))
        y = y - log_many if small else y
        y = x if x == infinity else y
        y = -infinity if x == zero else y
        return F(np.nan) if not x >= zero else y

    @njit(**_EXACT)
    def log1p(x):
        u = one + x
        return x if u == infinity else log(u) + (x - (u - one)) / u

    @njit(**_EXACT)
    def tanh(x):
        e = expm1(-two * abs(x))
        t = -e / (two + e)
        return -t if x < zero else t

    return {"exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "tanh": tanh}


_FUNCTIONS = {
    types.float64: _functions(np.float64, np.int64, 52, 0.693147180369123816490, 1.90821492927058770002e-10, 13, 11),
    types.float32: _functions(np.float32, np.int32, 23, 0.693359375, -2.12194440e-4, 7, 5),
}


def _overload_for_scalars(name):
    @overload(getattr(elementary, name), inline="never", jit_options=_EXACT)
    def scalar(z):
        function = _FUNCTIONS[z][name] if z in _FUNCTIONS else None
        return None if function is None else lambda z: function(z)


for _name in ("exp", "expm1", "log", "log1p", "tanh"):
    _overload_for_scalars(_name)


@overload(elementary.sqrt, jit_options=_EXACT)
def _sqrt(z):
    return lambda z: np.sqrt(z)


@overload(elementary.real, jit_options=_EXACT)
def _real(z):
    return lambda z: z


@overload(elementary.where, jit_options=_EXACT)
def _where(condition, a, b):
    return lambda condition, a, b: a if condition else b


@overload(elementary.one, jit_options=_EXACT)
def _one(z):
    F = {types.float32: np.float32, types.float64: np.float64}[z]
    return lambda z: F(1)


@overload(elementary.absolute, jit_options=_EXACT)
def _absolute(z):
    return lambda z: abs(z)


@overload(elementary.sign, jit_options=_EXACT)
def _sign(z):
    F = {types.float32: np.float32, types.float64: np.float64}[z]
    return lambda z: F(np.sign(z))


@overload(elementary.clip, jit_options=_EXACT)
def _clip(z, low, high):
    return lambda z, low, high: low if z < low else (high if z > high else z)
