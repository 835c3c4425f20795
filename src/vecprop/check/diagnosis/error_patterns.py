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


def same(a: ndarray, b: ndarray, precision: float):
    """Return whether two arrays are equal up to a precision relative to the largest entry, ignoring NaN."""
    is_known = np.isfinite(a) & np.isfinite(b)
    size = max(abs(a[is_known]).max(initial=0), abs(b[is_known]).max(initial=0))
    return bool(is_known.any() and (abs(a - b)[is_known] <= precision * size).all())


def count_large(entries: ndarray):
    """Return the number of entries that are not much smaller than the largest one."""
    sizes = abs(entries)
    return int((sizes > 1e-3 * sizes.max()).sum())


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

    def is_near(self, value: float, any_sign: bool = False):
        """Return whether the ratio is equal to a value up to its precision."""
        ratio = self.value
        if any_sign:
            ratio = abs(ratio)
        return abs(ratio - value) <= self.precision * abs(value)


def ratio_in_words(r: float, rows: Iterable[int], precision: float, entries: int = FEW):
    """Explain a constant ratio of given to expected entries; return an empty string for a possible coincidence.

    ``rows`` lists the possible values of N. ``entries`` counts the entries with this
    ratio.

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
    simple = _nearest_simple_number(abs(r))
    is_simple = ratio.is_near(simple, any_sign=True)
    is_precise = ratio.precision < 1e-5 and 1 / SIMPLE < simple < SIMPLE
    if entries < FEW and not (is_simple and is_precise):
        return ""
    words = f"the gradient is {number(r)} times the expected one"
    if ratio.is_near(simple) and simple > SMALL and not counts:
        words += f": perhaps a sum over {simple} rows is not divided by {simple}"
    return words


def _nearest_simple_number(r: float):
    """Return the nearest integer to a number above 1, or the nearest inverse of an integer to another number."""
    if r > 1:
        return round(r)
    return 1 / round(min(1 / r, 2 * SIMPLE))


def _wrong_divisor(ratio: Ratio, counts: list[int]):
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


def _simple_factor(ratio: Ratio, counts: list[int]):
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


def _multiple_of_rows(ratio: Ratio, counts: list[int]):
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


def number(r: float):
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
):
    """Describe the pattern of the errors of one part, or return an empty string.

    ``wrong`` says which entries are wrong; by default, they are found.

    Examples
    --------
    >>> J = np.arange(9.0)
    >>> pattern(J.reshape(3, 3).T.ravel(), J, (3, 3), [], 1e-9)
    'it is transposed'
    """
    if precision > COARSE:
        return ""
    known = expected[np.isfinite(expected)]
    constant = ratio(given, expected, precision)
    if constant is not None:
        return ratio_in_words(constant, rows, precision, count_large(known))
    offsets = given - expected
    errors = abs(offsets)
    tolerance = precision * abs(known).max(initial=0)
    is_too_small = errors.max() <= 10 * tolerance
    if known.size < expected.size or is_too_small:
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


def _matrix_pattern(given: ndarray, expected: ndarray, precision: float):
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
):
    """Describe what entries with the indices ``wrong`` have in common, or return an empty string."""
    if not 0 < wrong.size < given.size:
        return ""
    given_entries = given[wrong]
    expected_entries = expected[wrong]
    if wrong.size == 2 and same(given_entries[::-1], expected_entries, precision):
        # swapping two equal entries has no effect
        clear_difference = 100 * precision * abs(expected).max()
        if np.ptp(expected_entries) > clear_difference:
            first, second = (list(unraveled(index, shape)) for index in wrong)
            return f"the entries {first} and {second} are swapped"
    if not given_entries.any():
        return f"{wrong.size} of {given.size} entries are 0 by mistake"
    if wrong.size == 1:
        return f"one entry of {given.size} is wrong"
    if wrong.size < FEW:
        return ""
    constant = ratio(given_entries, expected_entries, precision)
    if constant is None:
        return ""
    return (
        f"{wrong.size} of {given.size} entries are wrong, all of them"
        f" {number(constant)} times the expected ones"
    )
