"""The fast mode: each part is judged along three random directions; if one fails, a wrong entry is searched for.

The derivative along u is <g, u>, one number for the whole part. The entries of u are ±U(0.5, 1): none is small, so that
no entry's error is missed, and no two are equal, so that errors cannot cancel by symmetry.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from .comparison import SAFETY, Comparison, Criteria, Given, compare, hidden_share
from .derivatives import Derivatives, Method, derivatives_along, exact_derivatives
from .entries import entries
from .noise import EPS
from .parameters import NamedPart
from .point import Point, random_signs
from .verdict import Row, Verdict

DIRECTIONS = 3
"""The number of directions for each part: errors may cancel along one, but hardly along three."""

_PIECES = 16
"""The number of pieces that a failing direction is cut into at a time, which are moved in one pass."""

_DEVIATIONS = 8
"""The number of standard deviations that the tolerance allows. The signs of u are independent of the rounding errors e,
so |Σ u e| exceeds 8 √Σ (u e)² with a probability of less than 2 exp(-8²/2), or 3e-14 (Hoeffding, 1963)."""


def _along(
    point: Point, part: NamedPart, given: np.ndarray, U: np.ndarray, found: Derivatives, tied: bool, criteria: Criteria
) -> Comparison:
    """Compare <g, u> with the derivative along each row of U.

    If the rounding of the product <g, u> alone explains the differences, they agree. The bound on the rounding of g
    takes longer to compute, so it is needed only if they do not, or if there may be ties, or if g is 0.
    """
    product = given @ U.T
    tolerance = np.abs(given) @ (_DEVIATIONS * EPS * np.abs(U.T))
    expected, error, _ = found
    if not tied and given.any() and (np.abs(product - expected) <= tolerance).all() and not error.any():
        none = np.zeros(product.shape, bool)
        return Comparison(product, expected, tolerance, none, none)
    deviations = _DEVIATIONS if point.bound.running else 1  # a measured error includes such a factor
    tolerance += deviations * _root_of_squares(SAFETY * point.bound.gradient[:, part.span], U)
    return compare(point, part, U, product, tolerance, found, criteria)


def _root_of_squares(terms: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Return √Σ (term u)² for each output and direction, scaled so that no square underflows."""
    size = np.max(np.abs(terms), initial=0) or 1.0
    return size * np.sqrt((terms / size) ** 2 @ (U * U).T)


def judge_directions(point: Point, parts: Sequence[NamedPart], givens: list[Given]) -> list[list[Row]]:
    """Judge parts along three random directions each, for each of the given gradients."""
    draw = np.random.default_rng(0)
    rows: list[list[Row]] = [[] for _ in givens]
    for group in _together(point, parts) if point.is_followed else ([part] for part in parts):
        moves = [(part, _directions(draw, point.sizes(part))) for part in group]
        for part, U, found, tied in _derivatives_of(point, moves, givens[0][1].method):
            for own, (given, criteria) in zip(rows, givens, strict=True):
                own.append(_judged(point, part, given[:, part.span], U, found, tied, criteria))
    return rows


def _directions(draw: np.random.Generator, sizes: np.ndarray) -> np.ndarray:
    """Return the directions of a part. The last one moves each parameter in proportion to its size."""
    U = random_signs(draw, (DIRECTIONS, sizes.size))
    U[-1] *= sizes / sizes.max()
    return U


def _derivatives_of(
    point: Point, moves: list[tuple[NamedPart, np.ndarray]], method: Method
) -> Iterator[tuple[NamedPart, np.ndarray, Derivatives, bool]]:
    """Yield each part with its directions, the derivatives along them, and whether there may be ties."""
    if method != "complex step":
        for part, U in moves:
            yield part, U, derivatives_along(point, part, U, method), True
        return
    expected, tied = exact_derivatives(point, moves)
    for (part, U), along in zip(moves, np.split(expected, len(moves), axis=1), strict=True):
        zero = np.zeros(along.shape)
        yield part, U, (along, zero, zero), tied


def _together(point: Point, parts: Sequence[NamedPart]) -> Iterator[list[NamedPart]]:
    """Yield the parts in groups, as large as memory allows, whose derivatives are computed in one pass."""
    group: list[NamedPart] = []
    for part in parts:
        if group and DIRECTIONS * (len(group) + 1) > point.at_once(group[0]):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _judged(
    point: Point, part: NamedPart, given: np.ndarray, U: np.ndarray, found: Derivatives, tied: bool, criteria: Criteria
) -> Row:
    """Judge a part along directions and, if one of them fails, by a wrong entry."""
    along = _along(point, part, given, U, found, tied, criteria)
    error = np.abs(along.given - along.expected)
    ratio = error / np.maximum(along.tolerance, np.finfo(np.float64).tiny)
    output, worst = np.unravel_index(_worst(ratio, along.wrong), ratio.shape)
    verdict = along.verdict
    rounding = along.tolerance - criteria.limit.of(along.expected, U)
    row = Row(
        part.name,
        (*point.outputs, *part.shape),
        verdict,
        float(error[output, worst]),
        float(along.tolerance[output, worst]),
        None,
        float(along.given[output, worst]),
        float(along.expected[output, worst]),
        max(hidden_share(along, given * u, np.ones(1)) for along, u in zip(rounding.T, U, strict=True)),
        largest_error=float(error[along.wrong].max(initial=0)),
    )
    if verdict is not Verdict.FAIL:
        return row
    entry = wrong_entry(point, part, given, U[worst], int(output), criteria)
    [at] = entries(point, part, [(given, criteria)], np.array([entry]))
    if not at.wrong[output, 0]:
        return row  # many errors add up along u, each of them within the tolerance
    index = (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(entry))
    g, n, tolerance = (float(values[output, 0]) for values in (at.given, at.expected, at.tolerance))
    shape = (*point.outputs, *part.shape)
    return Row(
        part.name, shape, verdict, abs(g - n), tolerance, index, g, n, row.hidden, largest_error=row.largest_error
    )


def wrong_entry(
    point: Point, part: NamedPart, given: np.ndarray, u: np.ndarray, output: int, criteria: Criteria
) -> int:
    """Return a wrong entry, given a direction u that fails: cut u into pieces and keep the one that fails the most."""
    low, high = 0, part.size
    pieces = min(_PIECES, max(2, point.at_once(part)))  # each piece moves a copy of a large part
    if criteria.method != "complex step":
        pieces = 2  # a difference needs many values
    while high - low > 1:
        edges = np.unique(np.linspace(low, high, min(pieces, high - low) + 1).astype(int))
        U = np.zeros((len(edges) - 1, part.size))
        for row, (start, end) in enumerate(pairwise(edges)):
            U[row, start:end] = u[start:end]
        [(_, _, found, tied)] = _derivatives_of(point, [(part, U)], criteria.method)
        along = _along(point, part, given, U, found, tied, criteria)
        error = np.abs(along.given - along.expected)[output]
        keep = _worst(error / np.maximum(along.tolerance[output], np.finfo(np.float64).tiny), along.wrong[output])
        low, high = int(edges[keep]), int(edges[keep + 1])
    return low


def _worst(ratio: np.ndarray, wrong: np.ndarray) -> int:
    """Return the index of the largest ratio, among the wrong ones if there are any."""
    return int(np.argmax(np.where(wrong, ratio, -1.0) if wrong.any() else ratio))
