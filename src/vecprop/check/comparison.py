"""Compare given with expected derivatives, within a tolerance for rounding errors.

The exact mode compares every entry of a part. The fast mode compares the derivatives <g, u> along three random
directions u and, if one fails, searches for a wrong entry. The entries of u are ±U(0.5, 1): no entry is small, so that
no error is missed, and no two entries are equal, so that errors do not cancel by symmetry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .arithmetic.rounding import EPS, SAFETY
from .derivatives import Derivatives, Method, Move, derivatives_along
from .points.function import Point, random_signs
from .points.network import NetworkPoint
from .points.parameters import NamedPart
from .report import Row, Verdict


class Comparison(NamedTuple):
    """Given and expected derivatives along K directions; all arrays have shape (outputs, K)."""

    given: np.ndarray
    expected: np.ndarray
    tolerance: np.ndarray
    kink: np.ndarray
    wrong: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return np.abs(self.given - self.expected)

    @property
    def ratios(self) -> np.ndarray:
        infinite = np.where(self.errors > 0, np.inf, 0.0)
        return np.divide(self.errors, self.tolerance, out=infinite, where=self.tolerance > 0)

    @property
    def worst(self) -> tuple[int, int]:
        """The indices of the output and the direction with the largest error outside the tolerance."""
        errors = self.errors * self.wrong
        output, direction = np.unravel_index(np.argmax(errors), errors.shape)
        return int(output), int(direction)

    def shown(self, output: int, direction: int) -> dict[str, Any]:
        arrays = {"error": self.errors, "tolerance": self.tolerance, "given": self.given, "expected": self.expected}
        return {name: float(values[output, direction]) for name, values in arrays.items()}

    @property
    def ranks(self) -> np.ndarray:
        """The severity of each verdict, from 0 (PASS) to 3 (FAIL)."""
        unknown = ~np.isfinite(self.tolerance) & ~self.wrong  # the expected derivative is unknown
        return np.select([self.wrong, unknown, self.kink], [3, 2, 1])

    def row(self, point: Point, part: NamedPart, hidden: float, output: int, direction: int) -> Row:
        verdict = (Verdict.PASS, Verdict.KINK, Verdict.INCONCLUSIVE, Verdict.FAIL)[self.ranks.max()]
        shape, shown = (*point.outputs, *part.shape), self.shown(output, direction)
        return Row(part.name, shape, verdict, index=None, hidden=hidden, **shown)


Compared = dict[str, Comparison]
"""The comparison of each part, by name."""


@dataclass(frozen=True)
class Limit:
    """The error that the user allows in addition to rounding errors: atol + rtol |derivative|."""

    rtol: float = 0.0
    atol: float = 0.0

    def of(self, expected: np.ndarray, U: np.ndarray) -> np.ndarray:
        """Return the allowed error of the derivatives along the rows of U, (outputs, K)."""
        return self.rtol * np.abs(expected) + self.atol * np.abs(U).sum(axis=1)


@dataclass(frozen=True)
class Criteria:
    """How to compute the expected derivatives and which errors to allow.

    A given gradient has no engine.
    """

    method: Method
    limit: Limit = Limit()
    engine: str = ""


Given = tuple[np.ndarray, Criteria]
"""A gradient to judge, (outputs, P), and its criteria."""


def compare(
    point: Point, move: Move, given: np.ndarray, tolerance: np.ndarray, found: Derivatives, criteria: Criteria
) -> Comparison:
    """Compare given with expected derivatives along the rows of U, within a tolerance for rounding errors."""
    part, U = move
    expected, error, jump, _ = found
    error = np.where(np.isfinite(expected + error), error, np.inf)
    expected = np.where(np.isfinite(expected), expected, 0)
    tolerance = tolerance + SAFETY * 8 * EPS * np.abs(expected) + error + criteria.limit.of(expected, U)
    low, high = expected - np.abs(jump) / 2, expected + np.abs(jump) / 2
    # Numbers that are equal in the reference engine in float64 may differ by rounding elsewhere, which breaks ties.
    rounds_differently = criteria.engine == "compiled" or point.dtype != np.float64
    gap = high - low
    if point.bound.tied and criteria.method == "complex step":
        at = point.one_sided(part, U)
        is_finite = np.isfinite(at.usual + at.low + at.high).T
        tolerance = np.where(is_finite, tolerance, np.inf)
        expected, gap = np.where(is_finite, at.usual.T, 0), np.where(is_finite, (at.largest - at.least).T, 0)
        low, high = (at.least.T, at.largest.T) if rounds_differently else (at.low.T, at.high.T)
    kink = gap > 2 * tolerance

    def within() -> np.ndarray:
        between = (low - tolerance <= given) & (given <= high + tolerance)
        return (np.abs(given - expected) <= tolerance) | between

    agrees = within()
    if isinstance(point, NetworkPoint) and (rounds_differently or not criteria.engine) and not agrees.all():
        unsettled = ~agrees
        tolerance = np.fmax(
            tolerance, unsettled * SAFETY * (point.bound_elsewhere.gradient[:, part.span] @ np.abs(U.T))
        )
        agrees = within()
        if not criteria.engine:  # a given gradient may round like the reference engine, and be wrong
            tolerance[unsettled & agrees] = np.inf
    if criteria.method == "complex step" and not point.has_tangents and not agrees.all():
        # The derivatives may change if parameters change by a few units in the last place.
        spread = [np.abs(other.stepped(part, U).T - expected) for other in point.jittered]
        jitter = 16 * np.fmax.reduce([np.zeros(expected.shape), *spread])
        tolerance = np.where(kink, tolerance, tolerance + jitter)
        agrees = within()
    return Comparison(given, expected, tolerance, kink & agrees, ~agrees)


def hidden_share(tolerance: np.ndarray, expected: np.ndarray, sizes: np.ndarray) -> float:
    """Return the ratio of the tolerance to the largest entry, or infinity if all entries are 0."""
    # Use the larger of two ratios: for the entries, and for their products with the sizes of the parameters.
    shares = []
    for unit in (1.0, sizes):
        largest = float(np.abs(expected * unit).max(initial=0))
        shares.append(float(np.max(tolerance * unit, initial=0)) / largest if largest else np.inf)
    return max(shares)


def entries(point: Point, part: NamedPart, givens: list[Given], chosen: np.ndarray | None = None) -> list[Comparison]:
    """Compare every entry of a part, or only the chosen entries, for each given gradient."""
    chosen = np.arange(part.size) if chosen is None else chosen
    pieces: list[list[Comparison]] = [[] for _ in givens]
    for some in np.array_split(chosen, -(-chosen.size // point.at_once(part))):
        U = np.zeros((some.size, part.size))
        U[np.arange(some.size), some] = 1
        [found] = derivatives_along(point, [(part, U)], givens[0][1].method)
        places = part.start + some
        for own, (given, criteria) in zip(pieces, givens, strict=True):
            tolerance = SAFETY * point.bound.gradient[:, places]
            own.append(compare(point, (part, U), given[:, places], tolerance, found, criteria))
    return [Comparison(*(np.concatenate(arrays, axis=1) for arrays in zip(*own, strict=True))) for own in pieces]


def _index(point: Point, part: NamedPart, output: int, entry: int) -> tuple[int, ...]:
    return (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(entry))


def judge_entries(point: Point, part: NamedPart, givens: list[Given]) -> list[tuple[Row, Comparison]]:
    """Judge all entries of a part, for each given gradient."""
    judged = []
    for found, (_, criteria) in zip(entries(point, part, givens), givens, strict=True):
        rounding = found.tolerance - criteria.limit.of(found.expected, np.ones((part.size, 1)))
        hidden = hidden_share(rounding, found.expected, point.sizes(part))
        # The row shows the entry with the worst verdict or, among equal verdicts, the entry with the largest ratio.
        place = np.lexsort((found.ratios.ravel(), found.ranks.ravel()))[-1]
        output, entry = (int(i) for i in np.unravel_index(place, found.given.shape))
        row = found.row(point, part, hidden, output, entry)
        wrong, largest = int(found.wrong.sum()), float(found.errors.max())
        row = replace(row, index=_index(point, part, output, entry), wrong=wrong, largest_error=largest)
        judged.append((row, found))
    return judged


DIRECTIONS = 3
"""The number of directions per part. Errors may cancel along one direction, but rarely along three."""

_PIECES = 16
"""The number of pieces into which the search for a wrong entry splits a direction in each step."""

_DEVIATIONS = 8
"""The number of standard deviations that the tolerance allows. The signs of u are independent of the rounding errors e,
so |Σ u e| exceeds 8 √Σ (u e)² with a probability below 2 exp(-8²/2), or 3e-14 (Hoeffding, 1963)."""


def _along(
    point: Point, part: NamedPart, given: np.ndarray, U: np.ndarray, found: Derivatives, criteria: Criteria
) -> Comparison:
    """Compare <g, u> with the derivative along each row of U.

    The bound on the rounding error of g is expensive, so it is computed only if the rounding error of the product <g,
    u> does not explain the difference, if there may be ties, or if g is 0.
    """
    product = given @ U.T
    tolerance = np.abs(given) @ (_DEVIATIONS * EPS * np.abs(U.T))
    agree = (np.abs(product - found.value) <= tolerance).all() and not found.error.any()
    if not found.tied and given.any() and agree:
        none = np.zeros(product.shape, bool)
        return Comparison(product, found.value, tolerance, none, none)
    deviations = _DEVIATIONS if point.bound.running else 1  # a measured error already includes a safety factor
    bound = SAFETY * point.bound.gradient[:, part.span]
    size = np.max(np.abs(bound), initial=0) or 1.0  # scaled so that squares do not underflow
    tolerance += deviations * (size * np.sqrt((bound / size) ** 2 @ (U * U).T))
    return compare(point, (part, U), product, tolerance, found, criteria)


def judge_directions(point: Point, parts: Sequence[NamedPart], givens: list[Given]) -> list[list[Row]]:
    """Judge each part along three random directions, for each given gradient."""
    # The last direction moves each parameter in proportion to its size.
    draw = np.random.default_rng(0)
    rows: list[list[Row]] = [[] for _ in givens]
    for group in _together(point, parts):
        moves = []
        for part in group:
            U, sizes = random_signs(draw, (DIRECTIONS, part.size)), point.sizes(part)
            U[-1] *= sizes / sizes.max()
            moves.append((part, U))
        for (part, U), found in zip(moves, derivatives_along(point, moves, givens[0][1].method), strict=True):
            for own, given in zip(rows, givens, strict=True):
                own.append(_judged(point, part, U, found, given))
    return rows


def _together(point: Point, parts: Sequence[NamedPart]) -> Iterator[Sequence[NamedPart]]:
    """Yield groups of parts, as large as memory allows, to differentiate in one pass."""
    while parts:
        most = max(1, point.at_once(parts[0]) // DIRECTIONS)
        yield parts[:most]
        parts = parts[most:]


def _judged(point: Point, part: NamedPart, U: np.ndarray, found: Derivatives, judged: Given) -> Row:
    """Judge a part along directions; if one of them fails, search for a wrong entry."""
    given, criteria = judged[0][:, part.span], judged[1]
    along = _along(point, part, given, U, found, criteria)
    rounding = along.tolerance - criteria.limit.of(along.expected, U)
    hidden = max(hidden_share(own, given * u, np.ones(1)) for own, u in zip(rounding.T, U, strict=True))
    output, worst = (int(i) for i in np.unravel_index(_worst(along.ratios, along.wrong), along.given.shape))
    largest = float(along.errors[along.wrong].max(initial=0))
    row = replace(along.row(point, part, hidden, output, worst), largest_error=largest)
    if row.verdict is not Verdict.FAIL:
        return row
    entry = wrong_entry(point, part, given, U[worst], output, criteria)
    [at] = entries(point, part, [judged], np.array([entry]))
    if not at.wrong[output, 0]:
        return row  # along u, many errors within the tolerance add up
    return replace(row, index=_index(point, part, output, entry), **at.shown(output, 0))


def wrong_entry(
    point: Point, part: NamedPart, given: np.ndarray, u: np.ndarray, output: int, criteria: Criteria
) -> int:
    """Find a wrong entry: repeatedly split a direction u that fails and continue with the worst piece."""
    low, high = 0, part.size
    # Each piece requires a copy of the part, and differences require many values.
    pieces = min(_PIECES, max(2, point.at_once(part))) if criteria.method == "complex step" else 2
    while high - low > 1:
        edges = np.unique(np.linspace(low, high, min(pieces, high - low) + 1).astype(int))
        U = np.zeros((len(edges) - 1, part.size))
        for row, (start, end) in enumerate(pairwise(edges)):
            U[row, start:end] = u[start:end]
        [found] = derivatives_along(point, [(part, U)], criteria.method)
        along = _along(point, part, given, U, found, criteria)
        keep = _worst(along.ratios[output], along.wrong[output])
        low, high = int(edges[keep]), int(edges[keep + 1])
    return low


def _worst(ratios: np.ndarray, wrong: np.ndarray) -> int:
    """Return the index of the largest ratio, ignoring correct derivatives unless all are correct."""
    return int(np.argmax(np.where(wrong, ratios, -1.0) if wrong.any() else ratios))
