"""Compare given with expected derivatives, within a tolerance for rounding errors.

The exact mode compares every entry of a part. The fast mode compares the derivatives
<g, u> along three random directions u and, if one fails, searches for a wrong entry.
The entries of u are ±U(0.5, 1): no entry is small, so that no error is missed, and no
two entries are equal, so that errors do not cancel by symmetry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import EPS, SAFETY
from .arithmetic.tangents import OneSided
from .derivatives import Derivatives, Method, derivatives_along
from .points.function import Point, random_signs
from .points.network import NetworkPoint
from .points.parameters import Move, NamedPart, unraveled
from .report import Row, Verdict


class Comparison(NamedTuple):
    """Claim and expected derivatives along K directions; all arrays have shape (outputs, K)."""

    given: ndarray
    expected: ndarray
    tolerance: ndarray
    kink: ndarray
    wrong: ndarray

    @property
    def errors(self) -> ndarray:
        return abs(self.given - self.expected)

    @property
    def ratios(self) -> ndarray:
        infinite = np.where(self.errors > 0, np.inf, 0.0)
        return np.divide(
            self.errors, self.tolerance, out=infinite, where=self.tolerance > 0
        )

    @property
    def worst(self) -> tuple[int, ...]:
        """The indices of the output and the direction with the largest error outside the tolerance."""
        return unraveled(np.argmax(self.errors * self.wrong), self.given.shape)

    def numbers(self, output: int, direction: int) -> dict[str, float]:
        """Return the numbers that a row shows."""
        arrays = {
            "error": self.errors,
            "tolerance": self.tolerance,
            "given": self.given,
            "expected": self.expected,
        }
        return {
            name: float(values[output, direction]) for name, values in arrays.items()
        }

    @property
    def ranks(self) -> ndarray:
        """The severity of each verdict, from 0 (PASS) to 3 (FAIL)."""
        # the expected derivative is unknown
        is_unknown = ~np.isfinite(self.tolerance) & ~self.wrong
        return np.select([self.wrong, is_unknown, self.kink], [3, 2, 1])

    def row(
        self, point: Point, part: NamedPart, output: int, direction: int, **attributes
    ) -> Row:
        """Return a row for a part that shows the numbers of one output and direction."""
        verdict = (Verdict.PASS, Verdict.KINK, Verdict.INCONCLUSIVE, Verdict.FAIL)[
            self.ranks.max()
        ]
        shape = (*point.outputs, *part.shape)
        return Row(
            part.name, shape, verdict, **self.numbers(output, direction), **attributes
        )


@dataclass(frozen=True)
class Limit:
    """The error that the user allows in addition to rounding errors: atol + rtol |derivative|."""

    rtol: float = 0.0
    atol: float = 0.0

    def allowed(self, expected: ndarray, U: ndarray) -> ndarray:
        """Return the allowed error of the derivatives along the rows of U, (outputs, K)."""
        return self.rtol * abs(expected) + self.atol * abs(U).sum(axis=1)


@dataclass(frozen=True)
class Claim:
    """A gradient to judge, (outputs, P), the method for the expected derivatives, and the errors to allow.

    ``number`` is its index among the gradients of the point. A gradient that the user
    passed has no engine.
    """

    gradient: ndarray
    method: Method
    limit: Limit = Limit()
    engine: str = ""
    number: int = 0


@dataclass
class Judgement:
    """The row of each part of a gradient, and the comparison of each part whose entries were all compared."""

    claim: Claim
    rows: dict[str, Row] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)

    def failed(self) -> list[Row]:
        return [row for row in self.rows.values() if row.verdict is Verdict.FAIL]

    def change(self, row: Row, verdict: Verdict, note: str = "") -> None:
        """Replace the verdict and the note of a row."""
        self.rows[row.name] = replace(row, verdict=verdict, note=note)


@dataclass
class _Bounds:
    """The derivatives that a correct gradient may have: from low to high, within a tolerance."""

    products: ndarray
    expected: ndarray
    low: ndarray
    high: ndarray
    tolerance: ndarray

    def use_sides(self, sides: OneSided, rounds_differently: bool) -> ndarray:
        """Use one-sided derivatives, which may be unknown, and return their largest differences."""
        is_finite = np.isfinite(sides.usual + sides.low + sides.high)
        self.tolerance = np.where(is_finite, self.tolerance, np.inf)
        self.expected = np.where(is_finite, sides.usual, 0)
        self.low = sides.low
        self.high = sides.high
        if rounds_differently:
            self.low = sides.least
            self.high = sides.largest
        return np.where(is_finite, sides.largest - sides.least, 0)

    def wrong(self) -> ndarray:
        """Return which products are wrong; NaN is wrong."""
        low = self.low - self.tolerance
        high = self.high + self.tolerance
        agrees = (low <= self.products) & (self.products <= high)
        agrees |= abs(self.products - self.expected) <= self.tolerance
        return ~agrees


def compare(
    point: Point,
    move: Move,
    products: ndarray,
    *,
    tolerance: ndarray,
    derivatives: Derivatives,
    claim: Claim,
) -> Comparison:
    """Compare products <g, u> with expected derivatives along the rows of U, within a tolerance for rounding errors."""
    part, U = move
    by_steps = claim.method == "complex step"
    is_known = np.isfinite(derivatives.value + derivatives.error)
    expected = np.where(np.isfinite(derivatives.value), derivatives.value, 0)
    tolerance = tolerance + SAFETY * 8 * EPS * abs(expected)
    tolerance = tolerance + np.where(is_known, derivatives.error, np.inf)
    tolerance = tolerance + claim.limit.allowed(expected, U)
    half = abs(derivatives.jump) / 2
    low = expected - half
    high = expected + half
    gap = high - low
    bounds = _Bounds(products, expected, low, high, tolerance)
    # Numbers that are equal in the reference engine in float64 may differ by rounding
    # elsewhere, which breaks ties.
    rounds_differently = claim.engine == "compiled" or point.dtype != np.float64
    if point.bound.tied and by_steps:
        gap = bounds.use_sides(point.one_sided(part, U), rounds_differently)
    kink = gap > 2 * bounds.tolerance
    wrong = bounds.wrong()
    rounds_elsewhere = rounds_differently or not claim.engine
    if isinstance(point, NetworkPoint) and rounds_elsewhere and wrong.any():
        rounding = point.bound_elsewhere.gradient[:, part.span] @ abs(U.T)
        enough = np.fmax(bounds.tolerance, SAFETY * rounding)
        bounds.tolerance = np.where(wrong, enough, bounds.tolerance)
        was_wrong = wrong
        wrong = bounds.wrong()
        # a given gradient may round like the reference engine, and be wrong
        if not claim.engine:
            bounds.tolerance[was_wrong & ~wrong] = np.inf
    if by_steps and not point.has_tangents and wrong.any():
        # The derivatives may change if parameters change by a few units in the last
        # place.
        jitter = np.zeros(expected.shape)
        for neighbor in point.jittered:
            change = abs(neighbor.stepped(part, U).T - bounds.expected)
            jitter = np.fmax(jitter, change)
        enough = bounds.tolerance + 16 * jitter
        bounds.tolerance = np.where(kink, bounds.tolerance, enough)
        wrong = bounds.wrong()
    return Comparison(
        products, bounds.expected, bounds.tolerance, kink=kink & ~wrong, wrong=wrong
    )


def hidden_share(tolerance: ndarray, expected: ndarray, sizes: Any = 1.0) -> float:
    """Return the ratio of the tolerance to the largest entry, or infinity if all entries are 0."""
    # Use the larger of two ratios: for the entries, and for their products with the
    # sizes of the parameters.
    shares = []
    for unit in (1.0, sizes):
        largest = float(abs(expected * unit).max(initial=0))
        if not largest:
            return np.inf
        shares.append(float((tolerance * unit).max(initial=0)) / largest)
    return max(shares)


def compare_entries(
    point: Point,
    part: NamedPart,
    gradients: list[Claim],
    indices: ndarray | None = None,
) -> list[Comparison]:
    """Compare every entry of a part, or only the entries with these indices, for each gradient."""
    if indices is None:
        indices = np.arange(part.size)
    pieces: list[list[Comparison]] = [[] for _ in gradients]
    for piece in point.pieces(part, indices):
        U = np.zeros((piece.size, part.size))
        U[np.arange(piece.size), piece] = 1
        [derivatives] = derivatives_along(point, [(part, U)], gradients[0].method)
        columns = part.start + piece
        for comparisons, claim in zip(pieces, gradients, strict=True):
            tolerance = SAFETY * point.bound.gradient[:, columns]
            entries = claim.gradient[:, columns]
            comparison = compare(
                point,
                (part, U),
                entries,
                tolerance=tolerance,
                derivatives=derivatives,
                claim=claim,
            )
            comparisons.append(comparison)
    return [_joined(comparisons) for comparisons in pieces]


def _joined(comparisons: list[Comparison]) -> Comparison:
    arrays = zip(*comparisons, strict=True)
    return Comparison(*(np.concatenate(pieces, axis=1) for pieces in arrays))


def judge_entries(point: Point, part: NamedPart, judgements: list[Judgement]) -> None:
    """Add a row and a comparison of all entries of a part to each judgement."""
    gradients = [judgement.claim for judgement in judgements]
    comparisons = compare_entries(point, part, gradients)
    for judgement, comparison in zip(judgements, comparisons, strict=True):
        rounding = comparison.tolerance - judgement.claim.limit.allowed(
            comparison.expected, np.ones((part.size, 1))
        )
        # The row shows the entry with the worst verdict or, among equal verdicts, the
        # entry with the largest ratio.
        worst = np.lexsort((comparison.ratios.ravel(), comparison.ranks.ravel()))[-1]
        output, entry = unraveled(worst, comparison.given.shape)
        judgement.comparisons[part.name] = comparison
        judgement.rows[part.name] = comparison.row(
            point,
            part,
            output,
            direction=entry,
            index=unraveled(output, point.outputs) + part.index(entry),
            hidden=hidden_share(rounding, comparison.expected, point.sizes(part)),
            wrong=int(comparison.wrong.sum()),
            largest_error=float(comparison.errors.max()),
        )


DIRECTIONS = 3
"""The number of directions per part. Errors may cancel along one direction, but
rarely along three.
"""

_PIECES = 16
"""The number of pieces into which the search for a wrong entry splits a direction in
each step.
"""

_DEVIATIONS = 8
"""The number of standard deviations that the tolerance allows. The signs of u are
independent of the rounding errors e, so |Σ u e| exceeds 8 √Σ (u e)² with a probability
below 2 exp(-8²/2), or 3e-14 (Hoeffding, 1963).
"""


def _compare_products(
    point: Point, move: Move, derivatives: Derivatives, claim: Claim
) -> Comparison:
    """Compare <g, u> with the derivative along each row of U.

    The bound on the rounding error of g is expensive, so it is computed only if the
    rounding error of the product <g, u> does not explain the difference, if there may
    be ties, or if g is 0.
    """
    part, U = move
    gradient = claim.gradient[:, part.span]
    products = gradient @ U.T
    tolerance = abs(gradient) @ (_DEVIATIONS * EPS * abs(U.T))
    if gradient.any() and not derivatives.tied and not derivatives.error.any():
        is_wrong = ~(abs(products - derivatives.value) <= tolerance)
        if not is_wrong.any():
            return Comparison(
                products, derivatives.value, tolerance, kink=is_wrong, wrong=is_wrong
            )
    bound = SAFETY * point.bound.gradient[:, part.span]
    # scaled so that squares do not underflow
    size = abs(bound).max(initial=0) or 1.0
    # a measured error already includes a safety factor
    deviations = _DEVIATIONS if point.bound.running else 1
    tolerance += deviations * (size * np.sqrt((bound / size) ** 2 @ (U * U).T))
    return compare(
        point, move, products, tolerance=tolerance, derivatives=derivatives, claim=claim
    )


def judge_directions(
    point: Point, parts: Sequence[NamedPart], judgements: list[Judgement]
) -> None:
    """Add a row to each judgement for each part, judged along three random directions."""
    # The last direction moves each parameter in proportion to its size.
    draw = np.random.default_rng(0)
    method = judgements[0].claim.method
    for group in _groups(point, parts):
        moves = []
        for part in group:
            U = random_signs(draw, (DIRECTIONS, part.size))
            sizes = point.sizes(part)
            U[-1] *= sizes / sizes.max()
            moves.append((part, U))
        derivatives_of_group = derivatives_along(point, moves, method)
        for move, derivatives in zip(moves, derivatives_of_group, strict=True):
            for judgement in judgements:
                row = _judge_directions(point, move, derivatives, judgement.claim)
                judgement.rows[row.name] = row


def _groups(point: Point, parts: Sequence[NamedPart]) -> Iterator[Sequence[NamedPart]]:
    """Yield groups of parts, as large as memory allows, to differentiate in one pass."""
    while parts:
        count = max(1, point.at_once(parts[0]) // DIRECTIONS)
        yield parts[:count]
        parts = parts[count:]


def _judge_directions(
    point: Point, move: Move, derivatives: Derivatives, claim: Claim
) -> Row:
    """Judge a part along directions; if one of them fails, search for a wrong entry."""
    part, U = move
    comparison = _compare_products(point, move, derivatives, claim)
    rounding = comparison.tolerance - claim.limit.allowed(comparison.expected, U)
    terms = claim.gradient[:, None, part.span] * U  # (outputs, K, size)
    shares = [hidden_share(rounding[:, k], terms[:, k]) for k in range(len(U))]
    worst = _worst(comparison.ratios, comparison.wrong)
    output, direction = unraveled(worst, comparison.given.shape)
    row = comparison.row(
        point,
        part,
        output,
        direction=direction,
        index=None,
        hidden=max(shares),
        largest_error=float(comparison.errors[comparison.wrong].max(initial=0)),
    )
    if row.verdict is not Verdict.FAIL:
        return row
    entry = _wrong_entry(point, (part, U[direction]), output, claim=claim)
    [comparison] = compare_entries(point, part, [claim], indices=np.array([entry]))
    if not comparison.wrong[output, 0]:
        return row  # along u, many errors within the tolerance add up
    index = unraveled(output, point.outputs) + part.index(entry)
    return replace(row, index=index, **comparison.numbers(output, 0))


def _wrong_entry(point: Point, move: Move, output: int, *, claim: Claim) -> int:
    """Find a wrong entry: repeatedly split a direction u that fails and continue with the worst piece."""
    part, u = move
    start = 0
    end = part.size
    pieces = 2
    # differences require many values, so that two pieces are enough
    if claim.method == "complex step":
        # each piece requires a copy of the part
        pieces = min(_PIECES, max(2, point.at_once(part)))
    while end - start > 1:
        edges = np.linspace(start, end, min(pieces, end - start) + 1).astype(int)
        intervals = list(pairwise(np.unique(edges).tolist()))
        U = np.zeros((len(intervals), part.size))
        for row, (low, high) in zip(U, intervals, strict=True):
            row[low:high] = u[low:high]
        [derivatives] = derivatives_along(point, [(part, U)], claim.method)
        comparison = _compare_products(point, (part, U), derivatives, claim)
        worst = _worst(comparison.ratios[output], comparison.wrong[output])
        start, end = intervals[worst]
    return start


def _worst(ratios: ndarray, wrong: ndarray) -> int:
    """Return the index of the largest ratio, ignoring correct derivatives unless all are correct."""
    if wrong.any():
        ratios = np.where(wrong, ratios, -1.0)
    return int(np.argmax(ratios))
