"""Compare given with expected derivatives, within a tolerance for rounding errors.

The exact mode compares every entry of a part. The fast mode compares the derivatives
<g, u> along three random directions u and, if one fails, searches for a wrong entry.
The entries of u are ±U(0.5, 1): no entry is small, so that no error is missed, and no
two entries are equal, so that errors do not cancel by symmetry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import EPS, NOISE_FACTOR, SAFETY
from .arithmetic.tangents import OneSided
from .derivatives import Derivatives, Method, derivatives_along, derivatives_of_group
from .points.function import Point, random_signs
from .points.network import NetworkPoint
from .points.parameters import Directions, NamedPart, unraveled
from .report import Row, Verdict


class Comparison(NamedTuple):
    """Given and expected derivatives along K directions; all arrays have shape (outputs, K)."""

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

    def numbers(self, output: int, direction: int):
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
    def ranks(self):
        """The severity of each verdict, from 0 (PASS) to 3 (FAIL)."""
        # the expected derivative is unknown
        is_unknown = ~np.isfinite(self.tolerance) & ~self.wrong
        return np.select([self.wrong, is_unknown, self.kink], [3, 2, 1])

    def row(
        self, point: Point, part: NamedPart, output: int, direction: int, **attributes
    ):
        """Return a row for a part that shows the numbers of one output and direction."""
        verdicts = (Verdict.PASS, Verdict.KINK, Verdict.INCONCLUSIVE, Verdict.FAIL)
        return Row(
            part.name,
            shape=(*point.outputs, *part.shape),
            verdict=verdicts[self.ranks.max()],
            **self.numbers(output, direction),
            **attributes,
        )


@dataclass(frozen=True)
class Limit:
    """The error that the user allows in addition to rounding errors: atol + rtol |derivative|."""

    rtol: float = 0.0
    atol: float = 0.0

    def allowed(self, expected: ndarray, U: ndarray):
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

    def change(self, row: Row, verdict: Verdict, note: str = ""):
        """Replace the verdict and the note of a row."""
        self.rows[row.name] = replace(row, verdict=verdict, note=note)


@dataclass(frozen=True)
class _Bounds:
    """The derivatives that a correct gradient may have: from low to high, within a tolerance.

    ``gap`` is the largest difference between one-sided derivatives.
    """

    expected: ndarray
    low: ndarray
    high: ndarray
    gap: ndarray
    tolerance: ndarray

    def with_sides(self, sides: OneSided, are_separate: bool):
        """Return bounds for one-sided derivatives; ``are_separate`` if each kink has its own side."""
        is_known = np.isfinite(sides.usual + sides.low + sides.high)
        low = sides.low
        high = sides.high
        if are_separate:
            low = sides.least
            high = sides.largest
        return _Bounds(
            expected=np.where(is_known, sides.usual, 0),
            low=low,
            high=high,
            gap=np.where(is_known, sides.largest - sides.least, 0),
            tolerance=np.where(is_known, self.tolerance, np.inf),
        )

    def wrong(self, products: ndarray):
        """Return which products are wrong; NaN is wrong."""
        low = self.low - self.tolerance
        high = self.high + self.tolerance
        agrees = (low <= products) & (products <= high)
        agrees |= abs(products - self.expected) <= self.tolerance
        return ~agrees


def compare(
    point: Point,
    directions: Directions,
    products: ndarray,
    *,
    tolerance: ndarray,
    derivatives: Derivatives,
    claim: Claim,
):
    """Compare products <g, u> with expected derivatives along the rows of U, within a tolerance for rounding errors."""
    part, U = directions
    bounds = _expected_bounds(U, tolerance, derivatives, claim.limit)
    is_by_steps = claim.method == "complex step"
    # Numbers that are equal in the reference engine in float64 may differ by rounding
    # in other code, which breaks ties.
    rounds_differently = claim.engine == "compiled" or point.dtype != np.float64
    if point.bound.tied and is_by_steps:
        sides = point.one_sided(part, U)
        bounds = bounds.with_sides(sides, are_separate=rounds_differently)
    kink = bounds.gap > 2 * bounds.tolerance
    may_round_differently = rounds_differently or not claim.engine
    if isinstance(point, NetworkPoint) and may_round_differently:
        bounds = _with_other_rounding(bounds, products, point, directions, claim)
    if is_by_steps and not point.has_tangents and bounds.wrong(products).any():
        jitter = _jitter(point, directions, bounds.expected)
        enough = bounds.tolerance + NOISE_FACTOR * jitter
        bounds = replace(bounds, tolerance=np.where(kink, bounds.tolerance, enough))
    wrong = bounds.wrong(products)
    return Comparison(
        products, bounds.expected, bounds.tolerance, kink=kink & ~wrong, wrong=wrong
    )


def _expected_bounds(
    U: ndarray, tolerance: ndarray, derivatives: Derivatives, limit: Limit
):
    """Return bounds from one side of a jump to the other; the tolerance is infinite for unknown derivatives."""
    is_known = np.isfinite(derivatives.value + derivatives.error)
    expected = np.where(np.isfinite(derivatives.value), derivatives.value, 0)
    tolerance = (
        tolerance
        + SAFETY * 8 * EPS * abs(expected)
        + np.where(is_known, derivatives.error, np.inf)
        + limit.allowed(expected, U)
    )
    half = abs(derivatives.jump) / 2
    low = expected - half
    high = expected + half
    return _Bounds(expected, low, high, gap=high - low, tolerance=tolerance)


def _with_other_rounding(
    bounds: _Bounds,
    products: ndarray,
    point: NetworkPoint,
    directions: Directions,
    claim: Claim,
):
    """Raise the tolerance of wrong products to the rounding errors of code that rounds differently."""
    wrong = bounds.wrong(products)
    if not wrong.any():
        return bounds
    part, U = directions
    rounding = point.bound_elsewhere.gradient[:, part.span] @ abs(U.T)
    enough = np.fmax(bounds.tolerance, SAFETY * rounding)
    tolerance = np.where(wrong, enough, bounds.tolerance)
    bounds = replace(bounds, tolerance=tolerance)
    # a given gradient may round like the reference engine, and be wrong
    if not claim.engine:
        is_undecided = wrong & ~bounds.wrong(products)
        tolerance[is_undecided] = np.inf
    return bounds


def _jitter(point: Point, directions: Directions, expected: ndarray):
    """Return how much derivatives change if parameters change by a few units in the last place."""
    part, U = directions
    jitter = np.zeros(expected.shape)
    for neighbor in point.jittered:
        change = abs(neighbor.by_complex_step(part, U).T - expected)
        jitter = np.fmax(jitter, change)
    return jitter


def hidden_share(tolerance: ndarray, expected: ndarray, sizes: ndarray | float = 1.0):
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
    claims: list[Claim],
    indices: ndarray | None = None,
):
    """Compare every entry of a part, or only the entries with these indices, for each claim."""
    if indices is None:
        indices = np.arange(part.size)
    pieces: list[list[Comparison]] = [[] for _ in claims]
    for piece in point.pieces(part, indices):
        unit_vectors = np.zeros((piece.size, part.size))
        unit_vectors[np.arange(piece.size), piece] = 1
        directions = Directions(part, unit_vectors)
        derivatives = derivatives_along(point, directions, claims[0].method)
        columns = part.start + piece
        tolerance = SAFETY * point.bound.gradient[:, columns]
        for comparisons, claim in zip(pieces, claims, strict=True):
            comparison = compare(
                point,
                directions,
                claim.gradient[:, columns],
                tolerance=tolerance,
                derivatives=derivatives,
                claim=claim,
            )
            comparisons.append(comparison)
    return [_joined(comparisons) for comparisons in pieces]


def _joined(comparisons: list[Comparison]) -> Comparison:
    arrays = zip(*comparisons, strict=True)
    return Comparison(*(np.concatenate(pieces, axis=1) for pieces in arrays))


def judge_entries(point: Point, part: NamedPart, judgements: list[Judgement]):
    """Add a row and a comparison of all entries of a part to each judgement."""
    claims = [judgement.claim for judgement in judgements]
    comparisons = compare_entries(point, part, claims)
    for judgement, comparison in zip(judgements, comparisons, strict=True):
        allowed = judgement.claim.limit.allowed(
            comparison.expected, np.ones((part.size, 1))
        )
        rounding = comparison.tolerance - allowed
        # The row shows the entry with the worst verdict or, among equal verdicts, the
        # entry with the largest ratio.
        order = np.lexsort((comparison.ratios.ravel(), comparison.ranks.ravel()))
        output, entry = unraveled(order[-1], comparison.given.shape)
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
    point: Point, directions: Directions, derivatives: Derivatives, claim: Claim
):
    """Compare <g, u> with the derivative along each row of U.

    The bound on the rounding error of g is expensive, so it is computed only if the
    rounding error of the product <g, u> does not explain the difference, if there may
    be ties, or if g is 0.
    """
    part, U = directions
    gradient = claim.gradient[:, part.span]
    products = gradient @ U.T
    product_rounding = abs(gradient) @ (_DEVIATIONS * EPS * abs(U.T))
    differs = ~(abs(products - derivatives.value) <= product_rounding)
    is_exact = not derivatives.tied and not derivatives.error.any()
    if is_exact and gradient.any() and not differs.any():
        return Comparison(
            products, derivatives.value, product_rounding, kink=differs, wrong=differs
        )
    # √Σ (u e)² for the bounds e, scaled so that squares do not underflow
    bound = SAFETY * point.bound.gradient[:, part.span]
    size = abs(bound).max(initial=0) or 1.0
    deviation = size * np.sqrt((bound / size) ** 2 @ (U * U).T)
    # a measured error already includes a safety factor
    deviations = _DEVIATIONS if point.bound.running else 1
    return compare(
        point,
        directions,
        products,
        tolerance=product_rounding + deviations * deviation,
        derivatives=derivatives,
        claim=claim,
    )


def judge_directions(
    point: Point, parts: Sequence[NamedPart], judgements: list[Judgement]
):
    """Add a row to each judgement for each part, judged along three random directions."""
    # The last direction moves each parameter in proportion to its size.
    draw = np.random.default_rng(0)
    method = judgements[0].claim.method
    for parts_of_group in _groups(point, parts):
        group = []
        for part in parts_of_group:
            U = random_signs(draw, (DIRECTIONS, part.size))
            sizes = point.sizes(part)
            U[-1] *= sizes / sizes.max()
            group.append(Directions(part, U))
        derivatives_of_parts = derivatives_of_group(point, group, method)
        for directions, derivatives in zip(group, derivatives_of_parts, strict=True):
            for judgement in judgements:
                row = _judge_part(point, directions, derivatives, judgement.claim)
                judgement.rows[row.name] = row


def _groups(point: Point, parts: Sequence[NamedPart]) -> Iterator[Sequence[NamedPart]]:
    """Yield groups of parts, as large as memory allows, to differentiate in one pass."""
    while parts:
        count = max(1, point.points_at_once(parts[0]) // DIRECTIONS)
        yield parts[:count]
        parts = parts[count:]


def _judge_part(
    point: Point, directions: Directions, derivatives: Derivatives, claim: Claim
):
    """Judge a part along directions; if one of them fails, search for a wrong entry."""
    part, U = directions
    comparison = _compare_products(point, directions, derivatives, claim)
    worst = _worst(comparison.ratios, comparison.wrong)
    output, direction = unraveled(worst, comparison.given.shape)
    row = comparison.row(
        point,
        part,
        output,
        direction=direction,
        index=None,
        hidden=_hidden_along(directions, comparison, claim),
        largest_error=float(comparison.errors[comparison.wrong].max(initial=0)),
    )
    if row.verdict is not Verdict.FAIL:
        return row
    entry = _wrong_entry(point, part, U[direction], output=output, claim=claim)
    [comparison] = compare_entries(point, part, [claim], indices=np.array([entry]))
    if not comparison.wrong[output, 0]:
        return row  # along u, many errors within the tolerance add up
    index = unraveled(output, point.outputs) + part.index(entry)
    return replace(row, index=index, **comparison.numbers(output, 0))


def _hidden_along(directions: Directions, comparison: Comparison, claim: Claim):
    """Return the largest share of the terms of <g, u> that the tolerance hides along a direction."""
    part, U = directions
    rounding = comparison.tolerance - claim.limit.allowed(comparison.expected, U)
    shares = []
    for column, u in enumerate(U):
        terms = claim.gradient[:, part.span] * u
        shares.append(hidden_share(rounding[:, column], terms))
    return max(shares)


def _wrong_entry(
    point: Point, part: NamedPart, u: ndarray, *, output: int, claim: Claim
):
    """Find a wrong entry: repeatedly split a direction u that fails and continue with the worst piece."""
    # Differences require many values, so use two pieces. By complex step, each piece
    # requires a copy of the part.
    pieces = 2
    if claim.method == "complex step":
        pieces = min(_PIECES, max(2, point.points_at_once(part)))
    start = 0
    end = part.size
    while end - start > 1:
        edges = np.linspace(start, end, min(pieces, end - start) + 1).astype(int)
        intervals = list(pairwise(np.unique(edges).tolist()))
        U = np.zeros((len(intervals), part.size))
        for row, (low, high) in zip(U, intervals, strict=True):
            row[low:high] = u[low:high]
        directions = Directions(part, U)
        derivatives = derivatives_along(point, directions, claim.method)
        comparison = _compare_products(point, directions, derivatives, claim)
        worst = _worst(comparison.ratios[output], comparison.wrong[output])
        start, end = intervals[worst]
    return start


def _worst(ratios: ndarray, wrong: ndarray):
    """Return the index of the largest ratio, ignoring correct derivatives unless all are correct."""
    if wrong.any():
        ratios = np.where(wrong, ratios, -1.0)
    return int(np.argmax(ratios))
