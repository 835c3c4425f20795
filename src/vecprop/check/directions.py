"""The fast mode: three random directions a part, and the entry that is wrong where one of them fails.

Along u the slope is <g, u>, one number for the whole part. The entries of u are ±U(0.5, 1): none is small, so that no
entry's error goes unseen, and no two are equal, so that errors cannot cancel by symmetry.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from .judge import SAFETY, Compared, Point, Row, compare, entries, exact_slopes, hidden_share
from .parameters import Part
from .verdict import Verdict

DIRECTIONS = 3
_PIECES = 16

_DEVIATIONS = 8
"""The signs of u are independent of the rounding errors, so Σ u e exceeds this many times √Σ (u e)² with probability
2 exp(-8²/2), which is less than 1e-13 (Hoeffding, 1963)."""


def random_directions(generator: np.random.Generator, size: int) -> np.ndarray:
    """Return directions with entries ±U(0.5, 1).

    Examples
    --------
    >>> U = random_directions(np.random.default_rng(0), 5)
    >>> U.shape, bool((abs(U) >= 0.5).all() and (abs(U) <= 1).all())
    ((3, 5), True)
    """
    u = generator.uniform(-0.5, 0.5, (DIRECTIONS, size))
    return u + np.copysign(0.5, u)


def _along(point: Point, part: Part, given: np.ndarray, U: np.ndarray, slopes: np.ndarray, tied: bool) -> Compared:
    """Compare <g, u> with the slope along each row of U.

    A difference that the product's own rounding explains is none. How far rounding reaches in g takes longer to find,
    and is asked only where there is more than that, or a tie, or nothing to compare with.
    """
    product = given @ U.T
    tolerance = np.abs(given) @ (_DEVIATIONS * np.finfo(np.float64).eps * np.abs(U.T))
    if not tied and given.any() and (np.abs(product - slopes) <= tolerance).all():
        none = np.zeros(product.shape, bool)
        return Compared(product, slopes, tolerance, none, none)
    tolerance += _DEVIATIONS * _root_of_squares(SAFETY * point.bound.gradient[:, part.span], U)
    zero = np.zeros(product.shape)
    return compare(point, part, U, product, tolerance, (slopes, zero, zero), "complex step")


def _root_of_squares(terms: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Return √Σ (term u)² for each output and direction, scaled so that no square underflows."""
    size = np.max(np.abs(terms), initial=0) or 1.0
    return size * np.sqrt((terms / size) ** 2 @ (U * U).T)


def judge_directions(
    point: Point, parts: Sequence[Part], given: np.ndarray, generator: np.random.Generator
) -> list[Row]:
    """Judge parts, each by three random directions."""
    rows = []
    for group in _together(point, parts):
        moves = [(part, random_directions(generator, part.size)) for part in group]
        slopes, tied = exact_slopes(point, moves)
        for (part, U), along in zip(moves, np.split(slopes, len(group), axis=1), strict=True):
            rows.append(_judged(point, part, given[:, part.span], U, along, tied))
    return rows


def _together(point: Point, parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield the parts in groups whose slopes are found in one pass, as far as there is room."""
    group: list[Part] = []
    for part in parts:
        if group and DIRECTIONS * (len(group) + 1) > point.at_once(group[0]):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _judged(point: Point, part: Part, given: np.ndarray, U: np.ndarray, slopes: np.ndarray, tied: bool) -> Row:
    """Judge a part by directions and, where one of them fails, by an entry that is wrong."""
    found = _along(point, part, given, U, slopes, tied)
    error = np.abs(found.given - found.expected)
    ratio = error / np.maximum(found.tolerance, np.finfo(np.float64).tiny)
    output, worst = np.unravel_index(np.argmax(np.where(found.wrong, ratio + 1, ratio)), ratio.shape)
    verdict = Verdict.FAIL if found.wrong.any() else Verdict.KINK if found.kink.any() else Verdict.PASS
    # An error in one entry moves <g, u> by at least half of it.
    largest = np.abs(given)
    row = Row(
        part.name,
        (*point.outputs, *part.shape),
        verdict,
        float(error[output, worst]),
        float(found.tolerance[output, worst]),
        None,
        float(found.given[output, worst]),
        float(found.expected[output, worst]),
        hidden_share(2 * found.tolerance, largest),
    )
    if verdict is not Verdict.FAIL:
        return row
    entry = wrong_entry(point, part, given, U[worst], int(output))
    at = entries(point, part, given, "complex step", np.array([entry]))
    if not at.wrong[output, 0]:
        return row  # many errors below what one entry could show, that add up along u
    index = (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(entry))
    g, n, tolerance = (float(values[output, 0]) for values in (at.given, at.expected, at.tolerance))
    shape = (*point.outputs, *part.shape)
    return Row(part.name, shape, verdict, abs(g - n), tolerance, index, g, n, row.hidden)


def wrong_entry(point: Point, part: Part, given: np.ndarray, u: np.ndarray, output: int) -> int:
    """Return an entry that is wrong, where u fails: cut u into pieces and keep the one that fails the most."""
    low, high = 0, part.size
    pieces = min(_PIECES, max(2, point.at_once(part)))  # a large part's copies fill the memory
    while high - low > 1:
        edges = np.unique(np.linspace(low, high, min(pieces, high - low) + 1).astype(int))
        U = np.zeros((len(edges) - 1, part.size))
        for row, (start, end) in enumerate(pairwise(edges)):
            U[row, start:end] = u[start:end]
        found = _along(point, part, given, U, *exact_slopes(point, [(part, U)]))
        error = np.abs(found.given - found.expected)[output] * np.maximum(found.wrong[output], 1e-3)
        keep = int(np.argmax(error / np.maximum(found.tolerance[output], np.finfo(np.float64).tiny)))
        low, high = int(edges[keep]), int(edges[keep + 1])
    return low
