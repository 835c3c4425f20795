"""Functions of `scipy.special`, and `numpy.logaddexp`, for scalars in compiled code; see `scalar_functions`."""

import sys
from collections.abc import Callable
from functools import cache
from math import erfc, factorial, log, pi
from math import exp as exponential
from typing import Any

import numpy as np

from ...core import elementary
from ..jit.tracing import Number, of_numbers, where
from .scalar_functions import FORMULAS, fitted, near

NAMES = "erf", "expit", "gammaln", "log_expit", "logaddexp"

STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
)
"""The coefficients of 1/y, 1/y³, 1/y⁵, ... in Stirling's series of log Γ(y)."""

SHIFT = 8
"""Stirling's series is used for numbers of at least this size."""


def special_module():
    """Return `scipy.special`, or None if it is not imported, because the import takes 0.1 s."""
    return sys.modules.get("scipy.special")


def special_name(function) -> str | None:
    """Return the name of a function that has a kernel here, or None."""
    name = getattr(function, "__name__", None)
    if name not in NAMES:
        return None
    for module in (np, special_module()):
        if getattr(module, name, None) is function:
            return name
    return None


@cache
def special_functions(F: type) -> dict[str, Any]:
    """Return the compiled functions for a floating-point type, by name."""
    formulas = _logistic(F) | {"erf": _erf(F), "gammaln": _gammaln(F)}
    return {name: of_numbers(formula) for name, formula in formulas.items()}


def _erf(F: type) -> Callable[[Number], Number]:
    """Return erf: x times a series in x² for |x| < 1, and 1 - exp(s(|x|) - x²) for larger |x|."""
    exp = FORMULAS[F][elementary.exp]
    largest = 6.0
    degree = 25
    degree_of_series = 10
    if F is np.float32:
        largest = 4.0
        degree = 8
        degree_of_series = 5
    slope = 2 / pi**0.5

    def term(k):
        """Return a coefficient of (erf(x) - slope x) / x³ in powers of x²."""
        return slope * (-1) ** (k + 1) / (factorial(k + 1) * (2 * k + 3))

    series = near(
        term,
        low=0,
        high=1,
        degree=degree_of_series,
        F=F,
    )

    def scaled_logarithms(numbers):
        """Return log(erfc(x)) + x²."""
        return [log(erfc(x) * exponential(x * x)) for x in numbers]

    s = fitted(scaled_logarithms, low=1, high=largest, degree=degree, F=F)

    def erf(x):
        size = x.by("llvm.fabs")
        size = where(size > largest, largest, size)
        square = size * size
        far = 1 - exp(s(size) - square)
        far = where(x < 0, -far, far)
        close = series(square) * square * x + slope * x
        # NaN is neither less nor greater
        return where(size < 1, close, where(size > 0, far, x))

    return erf


def _gammaln(F: type) -> Callable[[Number], Number]:
    """Return log |Γ(x)|, with Γ(x) Γ(1 - x) = π / sin(π x) for negative x.

    For 0 < y < 8, Γ(y) is Γ(y + 8) / (y (y + 1) ⋯ (y + 7)), since Stirling's series is
    accurate only for large numbers.
    """
    natural_log = FORMULAS[F][elementary.log]
    terms = 4 if F is np.float32 else len(STIRLING)
    rounding = float(1.5 / np.finfo(F).eps)
    largest_with_fraction = 0.5 / float(np.finfo(F).eps)

    def term(k):
        """Return a coefficient of sin(π d) / d in powers of d²."""
        return (-1) ** k * pi ** (2 * k + 1) / factorial(2 * k + 1)

    sine = near(
        term,
        low=0,
        high=0.25,
        degree=5 if F is np.float32 else 9,
        F=F,
    )

    def gammaln_above_0(y):
        is_small = y < SHIFT
        product = y
        for k in range(1, SHIFT):
            product = product * (y + k)
        y = where(is_small, y + SHIFT, y)
        inverse = 1 / y
        square = inverse * inverse
        correction = STIRLING[terms - 1]
        for coefficient in reversed(STIRLING[: terms - 1]):
            correction = correction * square + coefficient
        main = (y - 0.5) * natural_log(y) - y + log(2 * pi) / 2 + correction * inverse
        return main - natural_log(where(is_small, product, 1))

    def gammaln(x):
        is_negative = x < 0
        positive = gammaln_above_0(where(is_negative, 1 - x, x))
        # the distance to the nearest integer
        distance = x - ((x + rounding) - rounding)
        distance = where(
            x.by("llvm.fabs") > largest_with_fraction, distance * 0, distance
        )
        sine_of_pi_x = (sine(distance * distance) * distance).by("llvm.fabs")
        reflected = log(pi) - natural_log(sine_of_pi_x) - positive
        result = where(is_negative, reflected, positive)
        return where(x.by("llvm.fabs").equals(np.inf), x, result)

    return gammaln


def _logistic(F: type) -> dict[str, Callable[..., Number]]:
    """Return expit, 1 / (1 + exp(-x)), its logarithm, and logaddexp, log(exp(a) + exp(b)).

    A formula may call expit several times with the same number, so the division is not
    approximated; see `scalar_functions.quotient`.
    """
    exp = FORMULAS[F][elementary.exp]
    log1p = FORMULAS[F][elementary.log1p]

    def expit(x):
        e = exp(-x.by("llvm.fabs"))
        return where(x < 0, e, 1) / (1 + e)

    def log_expit(x):
        return where(x > 0, 0, x) - log1p(exp(-x.by("llvm.fabs")))

    def logaddexp(a, b):
        # equal infinities have no difference
        distance = where(a.equals(b), 0, (a - b).by("llvm.fabs"))
        return where(a > b, a, b) + log1p(exp(-distance))

    return {"expit": expit, "log_expit": log_expit, "logaddexp": logaddexp}
