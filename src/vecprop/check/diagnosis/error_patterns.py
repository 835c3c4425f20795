"""Find patterns in the errors of one part, such as a constant ratio, a transpose or two swapped entries."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from ..points.parameters import unraveled

FEW = 3
"""A constant ratio of fewer entries may be a coincidence."""

SIMPLE = 1000
"""With fewer entries, a ratio is reported only if it is an integer below this
number, or the inverse of one.
"""

SMALL = 4
"""Up to this number of rows N, a factor of N may have another cause, such as a
missing factor of 2.
"""

COARSE, COARSE_COUNT = 1e-3, 1e-5
"""The coarsest precisions for reporting patterns and for counting wrong entries."""


def same(a: ndarray, b: ndarray, precision: float) -> bool:
    """Return whether two arrays are equal up to a precision relative to the largest entry, ignoring NaN."""
    is_known = np.isfinite(a) & np.isfinite(b)
    size = max(abs(a[is_known]).max(initial=0), abs(b[is_known]).max(initial=0))
    return bool(is_known.any() and (abs(a - b)[is_known] <= precision * size).all())


def ratio(given: ndarray, expected: ndarray, precision: float) -> float | None:
    """Return the constant r ≠ 1 with given = r * expected, or None if no such constant exists.

    Examples
    --------
    >>> ratio(np.array([2.0, 4.0]), np.array([1.0, 2.0]), 1e-9)
    2.0
    """
    is_known = np.isfinite(expected)
    square = float((expected[is_known] ** 2).sum())
    if not square:
        return None
    if not given.any():
        return 0.0
    r = float((given[is_known] * expected[is_known]).sum()) / square
    if abs(r - 1) > 10 * precision and same(given, r * expected, precision):
        return r
    return None


class Ratio(NamedTuple):
    """The ratio of given to expected entries, and its relative precision."""

    value: float
    precision: float

    def is_near(self, value: float, any_sign: bool = False) -> bool:
        """Return whether the ratio is equal to a value up to its precision."""
        ratio = self.value
        if any_sign:
            ratio = abs(ratio)
        return abs(ratio - value) <= self.precision * abs(value)


def ratio_in_words(
    r: float, rows: Iterable[int], precision: float, entries: int = FEW
) -> str:
    """Explain a constant ratio of given to expected entries; return an empty string for a possible coincidence.

    Examples
    --------
    >>> ratio_in_words(12.0, [12], 1e-9)
    'the gradient is N = 12 times the expected one: the sum over rows is not divided by N'
    >>> ratio_in_words(0.5, [12], 1e-9)
    'the gradient is 1/2 of the expected one: a factor of 2 is missing'
    >>> ratio_in_words(24.0, [12], 1e-9)
    'the gradient is 24 times the expected one (2 N for N = 12 rows)'
    >>> ratio_in_words(20.0, [], 1e-9)
    'the gradient is 20 times the expected one: perhaps a sum over 20 rows is not divided by 20'
    """
    ratio = Ratio(r, max(precision, 1e-9))
    counts = [n for n in rows if n > 1]
    words = (
        _wrong_divisor(ratio, counts)
        or _simple_factor(ratio, counts)
        or _multiple_of_rows(ratio, counts)
    )
    if words:
        return words
    nearest = round(abs(r))
    if abs(r) <= 1:
        nearest = 1 / round(min(1 / abs(r), 2 * SIMPLE))
    words = f"the gradient is {number(r)} times the expected one"
    if ratio.is_near(nearest) and nearest > SMALL and not counts:
        words += f": perhaps a sum over {nearest} rows is not divided by {nearest}"
    is_simple = (
        ratio.precision < 1e-5
        and 1 / SIMPLE < nearest < SIMPLE
        and ratio.is_near(nearest, any_sign=True)
    )
    if is_simple or entries >= FEW:
        return words
    return ""


def _wrong_divisor(ratio: Ratio, counts: list[int]) -> str:
    """Explain a ratio of N or 1/N, or return an empty string."""
    for n in counts:
        if n <= SMALL:
            continue
        for sign, ending in ((1, ""), (-1, ", and its sign is wrong")):
            if ratio.is_near(sign * n):
                return (
                    f"the gradient is N = {n} times the expected one: the sum over rows"
                    f" is not divided by N{ending}"
                )
            if ratio.is_near(sign / n):
                return (
                    f"the gradient is 1/N = 1/{n} of the expected one: a sum over rows"
                    f" is divided by N{ending}"
                )
    return ""


FACTORS = {
    0.0: "the gradient is 0 everywhere",
    -1.0: "its sign is wrong",
    2.0: "the gradient is 2 times the expected one: it has an extra factor of 2",
    0.5: "the gradient is 1/2 of the expected one: a factor of 2 is missing",
    -2.0: (
        "the gradient is -2 times the expected one: its sign is wrong, and it has an"
        " extra factor of 2"
    ),
    -0.5: (
        "the gradient is -1/2 of the expected one: its sign is wrong, and a factor of 2"
        " is missing"
    ),
}


def _simple_factor(ratio: Ratio, counts: list[int]) -> str:
    """Explain a ratio that is one of the most frequent factors, or return an empty string."""
    for factor, words in FACTORS.items():
        if not ratio.is_near(factor):
            continue
        if 2 in counts and abs(factor) == 2:
            words += ", or the sum over the N = 2 rows is not divided by N"
        elif 2 in counts and abs(factor) == 0.5:
            words += ", or the sum over the N = 2 rows is divided by N"
        return words
    return ""


def _multiple_of_rows(ratio: Ratio, counts: list[int]) -> str:
    """Express a ratio by the number of rows N, or return an empty string."""
    sign = "-" if ratio.value < 0 else ""
    for n in counts:
        multiples = {
            "N": n,
            "1/N": 1 / n,
            "2 N": 2 * n,
            "2/N": 2 / n,
            "N/2": n / 2,
            "1/(2 N)": 1 / (2 * n),
        }
        for multiple, value in multiples.items():
            if ratio.is_near(value, any_sign=True):
                return (
                    f"the gradient is {number(ratio.value)} times the expected one"
                    f" ({sign}{multiple} for N = {n} rows)"
                )
    return ""


def number(r: float) -> str:
    """Format a ratio with enough digits to distinguish it from 1.

    Examples
    --------
    >>> number(1.37), number(1 + 1e-7)
    ('1.37', '1 + 1e-07')
    """
    if abs(abs(r) - 1) >= 1e-4:
        return f"{r:.6g}"
    sign = np.sign(r)
    operator = "+" if r > sign else "-"
    return f"{sign:.0f} {operator} {abs(r - sign):.2g}"


def pattern(
    given: ndarray,
    expected: ndarray,
    shape: tuple[int, ...],
    rows: Iterable[int],
    precision: float,
    wrong: ndarray | None = None,
) -> str:
    """Describe the pattern of the errors of one part, or return an empty string.

    Examples
    --------
    >>> J = np.arange(9.0)
    >>> pattern(J.reshape(3, 3).T.ravel(), J, (3, 3), [], 1e-9)
    'it is transposed'
    """
    if precision > COARSE:
        return ""
    is_known = np.isfinite(expected)
    size = abs(expected[is_known]).max(initial=0)
    constant = ratio(given, expected, precision)
    if constant is not None:
        entries = int((abs(expected[is_known]) > 1e-3 * size).sum())
        return ratio_in_words(constant, rows, precision, entries)
    offsets = given - expected
    errors = abs(offsets)
    tolerance = precision * size
    # too small to show a pattern
    if not is_known.all() or errors.max() <= 10 * tolerance:
        return ""
    text = ""
    if len(shape) == 2:
        text = _matrix_pattern(given.reshape(shape), expected.reshape(shape), precision)
    if text or precision > COARSE_COUNT:
        return text
    indices = np.flatnonzero(errors > tolerance if wrong is None else wrong)
    text = _common_property(given, expected, shape, wrong=indices, precision=precision)
    is_constant = np.ptp(offsets) <= tolerance and errors.min() >= 100 * tolerance
    if not text and offsets.size >= FEW and is_constant:
        return f"every entry is off by the same amount, {float(offsets[0]):.6g}"
    return text


def _matrix_pattern(given: ndarray, expected: ndarray, precision: float) -> str:
    """Describe how two matrices differ as a whole, or return an empty string."""
    rows, columns = expected.shape
    if rows == columns and same(given.T, expected, precision):
        return "it is transposed"
    if same(given.ravel(), expected.T.ravel(), precision):
        return (
            f"it is transposed: its entries are in the order of a {columns} ×"
            f" {rows} array"
        )
    diagonal = np.diag(given)
    if (
        rows == columns
        and same(diagonal, np.diag(expected), precision)
        and not (given - np.diag(diagonal)).any()
    ):
        return (
            "only its diagonal is right, and the rest is 0: the off-diagonal terms"
            " are missing (for a softmax, -y_i y_j)"
        )
    return ""


def _common_property(
    given: ndarray,
    expected: ndarray,
    shape: tuple[int, ...],
    wrong: ndarray,
    precision: float,
) -> str:
    """Describe what the wrong entries of a part have in common, or return an empty string."""
    if not 0 < wrong.size < given.size:
        return ""
    clear = 100 * precision * abs(expected).max()
    is_swapped = wrong.size == 2 and same(
        given[wrong[::-1]], expected[wrong], precision
    )
    if is_swapped and np.ptp(expected[wrong]) > clear:
        first, second = (list(unraveled(index, shape)) for index in wrong)
        return f"the entries {first} and {second} are swapped"
    if not given[wrong].any():
        return f"{wrong.size} of {given.size} entries are 0 by mistake"
    if wrong.size == 1:
        return f"one entry of {given.size} is wrong"
    if wrong.size < FEW:
        return ""
    constant = ratio(given[wrong], expected[wrong], precision)
    if constant is None:
        return ""
    return (
        f"{wrong.size} of {given.size} entries are wrong, all of them"
        f" {number(constant)} times the expected ones"
    )
