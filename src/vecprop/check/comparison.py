"""The comparison of given derivatives with expected ones, within a tolerance for rounding.

In the exact mode every entry of a part is compared with its derivative. In the fast mode each part is judged along
three random directions; if one fails, a wrong entry is searched for. The derivative along u is <g, u>, one number for
the whole part. The entries of u are ±U(0.5, 1): none is small, so that no entry's error is missed, and no two are
equal, so that errors cannot cancel by symmetry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .arithmetic.rounding import EPS
from .derivatives import Derivatives, Method, derivatives_along, exact_derivatives
from .points import Point, random_signs
from .points.parameters import NamedPart
from .report import Row, Verdict

SAFETY = 4
"""The factor on the rounding bound. The bound is of first order and of one gradient, but two are compared, and foreign
code may round more often than vecprop's."""


@dataclass(frozen=True)
class Comparison:
    """Derivatives along K directions, given and expected; all arrays have shape (outputs, K)."""

    given: np.ndarray
    expected: np.ndarray
    tolerance: np.ndarray
    kink: np.ndarray
    wrong: np.ndarray

    @property
    def worst(self) -> tuple[int, int]:
        """The output and the direction of the largest wrong error."""
        errors = np.abs(self.given - self.expected) * self.wrong
        output, direction = np.unravel_index(np.argmax(errors), errors.shape)
        return int(output), int(direction)

    @property
    def unknown(self) -> np.ndarray:
        """Whether no derivative could be found, so that nothing can be said."""
        return ~np.isfinite(self.tolerance) & ~self.wrong

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all."""
        found = ((self.wrong, Verdict.FAIL), (self.unknown, Verdict.INCONCLUSIVE), (self.kink, Verdict.KINK))
        return next((verdict for mask, verdict in found if mask.any()), Verdict.PASS)


@dataclass(frozen=True)
class Limit:
    """The error that the user allows in addition to rounding, atol + rtol |derivative|, as in ``numpy.isclose``."""

    rtol: float = 0.0
    atol: float = 0.0

    def of(self, expected: np.ndarray, U: np.ndarray) -> np.ndarray:
        """Return the error allowed for the derivatives along the rows of U, (outputs, K)."""
        return self.rtol * np.abs(expected) + self.atol * np.abs(U).sum(axis=1)


@dataclass(frozen=True)
class Criteria:
    """How the expected derivatives are computed, and how far a given gradient may be from them.

    Parameters
    ----------
    any_side : bool, default False
        Whether ties may have been broken either way, as by an engine that rounds differently and may not meet them.
    """

    method: Method
    limit: Limit = Limit()
    any_side: bool = False


Given = tuple[np.ndarray, Criteria]
"""A gradient to judge, (outputs, size), and its criteria."""


def _jitter(point: Point, part: NamedPart, U: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the change of complex-step derivatives when parameters move by a few units in the last place, times 16."""
    spread = np.zeros(expected.shape)
    for other in point.jittered:
        spread = np.fmax(spread, np.abs(other.stepped(part, U).T - expected))
    return 16 * spread


def compare(
    point: Point,
    part: NamedPart,
    U: np.ndarray,
    given: np.ndarray,
    tolerance: np.ndarray,
    found: Derivatives,
    criteria: Criteria,
) -> Comparison:
    """Compare the derivatives given along the rows of U with the expected ones, within a tolerance for rounding."""
    expected, error, jump = found
    error = np.where(np.isfinite(expected + error), error, np.inf)
    expected = np.where(np.isfinite(expected), expected, 0)
    tolerance = tolerance + SAFETY * 8 * EPS * np.abs(expected) + error + criteria.limit.of(expected, U)
    low, high = expected - np.abs(jump) / 2, expected + np.abs(jump) / 2
    gap = high - low
    if point.bound.tied and criteria.method == "complex step":
        at = point.one_sided(part, U)
        known = np.isfinite(at.usual + at.low + at.high).T
        tolerance = np.where(known, tolerance, np.inf)
        expected, gap = np.where(known, at.usual.T, 0), np.where(known, (at.largest - at.least).T, 0)
        low, high = (at.least.T, at.largest.T) if criteria.any_side else (at.low.T, at.high.T)
    kink = gap > 2 * tolerance

    def within() -> np.ndarray:
        between = (low - tolerance <= given) & (given <= high + tolerance)
        return (np.abs(given - expected) <= tolerance) | between

    agrees = within()
    if criteria.method == "complex step" and not point.is_followed and not agrees.all():
        tolerance = np.where(kink, tolerance, tolerance + _jitter(point, part, U, expected))
        agrees = within()
    return Comparison(given, expected, tolerance, kink & agrees, ~agrees)


def hidden_share(tolerance: np.ndarray, expected: np.ndarray, sizes: np.ndarray) -> float:
    """Return the share of the largest entry that the tolerance hides; infinite if all entries are 0.

    The share is computed of the entries, and of their products with the parameters' sizes. The larger one counts.
    """
    shares = []
    for unit in (1.0, sizes):
        largest = float(np.abs(expected * unit).max(initial=0))
        shares.append(float(np.max(tolerance * unit, initial=0)) / largest if largest else np.inf)
    return max(shares)


def entries(point: Point, part: NamedPart, givens: list[Given], chosen: np.ndarray | None = None) -> list[Comparison]:
    """Compare every entry of a part, or the chosen ones, for each of the given gradients."""
    chosen = np.arange(part.size) if chosen is None else chosen
    tolerance = SAFETY * point.bound.gradient[:, part.span]
    pieces: list[list[Comparison]] = [[] for _ in givens]
    for some in np.array_split(chosen, max(1, -(-chosen.size // point.at_once(part)))):
        U = np.zeros((some.size, part.size))
        U[np.arange(some.size), some] = 1
        found = derivatives_along(point, part, U, givens[0][1].method)
        for own, (given, criteria) in zip(pieces, givens, strict=True):
            own.append(compare(point, part, U, given[:, some], tolerance[:, some], found, criteria))
    return [_joined(own) for own in pieces]


def _joined(pieces: list[Comparison]) -> Comparison:
    names = Comparison.__annotations__
    return Comparison(*(np.concatenate([getattr(piece, name) for piece in pieces], axis=1) for name in names))


def judge_entries(point: Point, part: NamedPart, givens: list[Given]) -> list[tuple[Row, Comparison]]:
    """Judge a part by all of its entries, for each of the given gradients."""
    found = entries(point, part, givens)
    return [
        (_row(point, part, given, own, criteria), own) for (given, criteria), own in zip(givens, found, strict=True)
    ]


def _row(point: Point, part: NamedPart, given: np.ndarray, found: Comparison, criteria: Criteria) -> Row:
    error = np.abs(given - found.expected)
    ratio = np.divide(error, found.tolerance, out=np.where(error > 0, np.inf, 0.0), where=found.tolerance > 0)
    # The row shows the entry with the worst verdict, and among those the one with the largest ratio.
    rank = np.select([found.wrong, found.unknown, found.kink], [3.0, 2.0, 1.0], 0.0)
    worst = np.lexsort((ratio.ravel(), rank.ravel()))[-1]
    output, entry = np.unravel_index(worst, ratio.shape)
    rounding = found.tolerance - criteria.limit.of(found.expected, np.ones((part.size, 1)))
    return Row(
        part.name,
        (*point.outputs, *part.shape),
        found.verdict,
        float(error.flat[worst]),
        float(found.tolerance.flat[worst]),
        (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(int(entry))),
        float(given.flat[worst]),
        float(found.expected.flat[worst]),
        hidden_share(rounding, found.expected, point.sizes(part)),
        int(found.wrong.sum()),
        largest_error=float(error.max()),
    )


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
    rounding = along.tolerance - criteria.limit.of(along.expected, U)
    row = Row(
        part.name,
        (*point.outputs, *part.shape),
        along.verdict,
        float(error[output, worst]),
        float(along.tolerance[output, worst]),
        None,
        float(along.given[output, worst]),
        float(along.expected[output, worst]),
        max(hidden_share(along, given * u, np.ones(1)) for along, u in zip(rounding.T, U, strict=True)),
        largest_error=float(error[along.wrong].max(initial=0)),
    )
    if row.verdict is not Verdict.FAIL:
        return row
    entry = wrong_entry(point, part, given, U[worst], int(output), criteria)
    [at] = entries(point, part, [(given, criteria)], np.array([entry]))
    if not at.wrong[output, 0]:
        return row  # many errors add up along u, each of them within the tolerance
    index = (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(entry))
    g, n, tolerance = (float(values[output, 0]) for values in (at.given, at.expected, at.tolerance))
    return replace(row, error=abs(g - n), tolerance=tolerance, index=index, given=g, expected=n)


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
