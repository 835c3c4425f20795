"""Second opinions on a verdict: random points nearby, and the Taylor remainder.

A part is judged at random points nearby if rounding hides errors or if it fails only
slightly.

The Taylor remainder R(t) = |f(theta + t v) - f(theta) - t <g, v>| requires only
function values. In a log-log plot its slope is 2 if g is the gradient, and near 1 if it
is not.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import EPS
from .comparison import Judgement
from .derivatives import derivatives_along, is_independent_of
from .points.function import Point, random_signs
from .points.parameters import Directions, NamedPart, named_entry
from .report import Row, Taylor, Verdict

HIDDEN = 1e-4
HIDDEN_IN_FLOAT32 = 1e-3
"""The verdict is INCONCLUSIVE if rounding hides errors above this fraction of a part's
largest entry, in float64 and in shorter dtypes. Mistakes in code rarely cause smaller
errors.
"""

RESOLUTION = 1e-7
"""A part is judged at a second point if rounding hides errors above this fraction of
its largest entry.
"""

TRUSTED = {"complex step": 2e-8, "ridders": 5e-7, "central differences": 0.0}
"""For each method, smaller errors relative to the largest entry of a function's
gradient are INCONCLUSIVE.

The value and the gradient of an iterative solver or a linear solver may have errors of
this size.
"""

SLIGHT = 1e-5
"""If the rounding error was measured, errors below this fraction of a part's largest
entry must also occur at a second point, since the measurement may be too small.
"""

WEAK = 1e3
"""If the method is "ridders", errors below this multiple of the tolerance must also
occur at a second point, since the error of the finite differences is only an estimate.
"""

VISIBLE = 0.1
"""The largest relative tolerance at a second point that still reveals an entry
hidden at theta.
"""

STEADY = 8
"""A derivative is not 0 if it exceeds its standard deviation over points next to theta
by this factor.

The factor is for three derivatives. For n derivatives it is (n / 3)^(1/3) times as
large, because the ratio of a rounding error to its standard deviation over four points
exceeds x with a probability proportional to x^-3.
"""

LENGTHS = (1.0, 0.83, 0.71, 0.59)
"""The step lengths at points next to theta."""

SECOND_POINTS = ((1.0, 0.1), (0.5, 0.3), (0.1, 0.1), (1.0, 0.01), (1.0, 1e-3))
"""The moves to second points: a factor on theta, and the relative size of a random
change of each parameter.

Factors below 1 take units out of saturation; small changes stay within a narrow domain.
"""

SMALL_CHANGE = 0.1
"""Second points with smaller changes are used only if a part has no row at another
second point.
"""

NEGLIGIBLE = 1e-12
"""Numbers below this fraction of the typical size are rounding errors in float64."""

NEXT_TO = 1e-9
"""The relative change of parameters at points next to theta."""


class Doubts:
    """The parts of a gradient that require a second point, and their rows there."""

    def __init__(self, point: Point, judgement: Judgement):
        self.point = point
        self.judgement = judgement
        self.claim = judgement.claim
        self.resolution = RESOLUTION if point.dtype == np.float64 else 1e-4
        self.doubtful: set[str] = set()
        self.nearby: dict[str, Row] = {}

    @cached_property
    def scale(self):
        """The largest entry of the gradient, converted to the unit of each entry, (outputs, P)."""
        return self.point.scale(self.claim.gradient)

    def find(self):
        """Find the parts that must be judged at a second point."""
        for row in self.judgement.rows.values():
            is_doubtful = self._is_slight(row)
            if row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE):
                is_doubtful = row.hidden > self.resolution
            if is_doubtful:
                self.doubtful.add(row.name)

    def add(self, judgement: Judgement):
        """Keep the better rows of doubtful parts from a judgement at a second point.

        A part is no longer doubtful if it fails there, or if rounding hides little.
        """
        for row in judgement.rows.values():
            if row.name not in self.doubtful:
                continue
            if not self._reveals_hidden(judgement, row.name):
                row = replace(row, hidden=np.inf)
            has_failed = row.verdict is Verdict.FAIL
            best = self.nearby.get(row.name)
            if best is None or has_failed or row.hidden < best.hidden:
                best = row
                self.nearby[row.name] = row
            if best.hidden <= self.resolution or best.verdict is Verdict.FAIL:
                self.doubtful.remove(row.name)

    def _reveals_hidden(self, judgement: Judgement, name: str):
        """Return whether all nonzero entries that rounding hides at theta are visible at another point."""
        comparison = self.judgement.comparisons.get(name)
        nearby = judgement.comparisons.get(name)
        if comparison is None or nearby is None:
            return True
        sizes = np.fmax(abs(comparison.given), abs(comparison.expected))
        nearby_sizes = np.fmax(abs(nearby.given), abs(nearby.expected))
        least = HIDDEN * np.nan_to_num(sizes).max()
        is_hidden = (comparison.tolerance > least) & (sizes > least)
        # An entry that is 0 at the other point remains hidden.
        is_hidden_nearby = nearby.tolerance > VISIBLE * nearby_sizes
        return not (is_hidden & is_hidden_nearby).any()

    def _hides_little(self, row: Row):
        """Return whether rounding hides only errors smaller than typical mistakes."""
        is_float64 = max(self.point.eps, np.finfo(self.point.dtype).eps) <= EPS
        return row.hidden <= (HIDDEN if is_float64 else HIDDEN_IN_FLOAT32)

    def _size(self, row: Row):
        """Return the typical size of the entries of a part, to judge rounding errors."""
        part = self.point.part(row.name)
        by_value = abs(self.point.value).max() / self.point.sizes(part).max()
        return float(max(self.scale[:, part.span].max(), by_value))

    def _is_slight(self, row: Row):
        """Return whether an error is so small that it may be an underestimated rounding error."""
        if row.verdict is not Verdict.FAIL:
            return False
        if self.point.has_tangents and self.point.bound.running:
            return False
        if row.largest_error <= SLIGHT * self._size(row):
            return True
        return self.claim.method == "ridders" and row.ratio < WEAK

    def final_row(self, row: Row):
        """Return the final row of a part, given its rows at theta and at the second point."""
        nearby = self.nearby.get(row.name)
        if row.verdict is Verdict.FAIL:
            return self._final_failed_row(row, nearby)
        if row.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE):
            return row
        if nearby and nearby.verdict is Verdict.FAIL:
            if self._is_slight(nearby):
                return _inconclusive(
                    row,
                    "rounding hides errors here, and the part fails by a small margin"
                    " nearby",
                )
            note = "rounding hides errors here, but the part fails nearby"
            return replace(row, verdict=Verdict.FAIL, note=note)
        if row.verdict is Verdict.INCONCLUSIVE or row.hidden <= self.resolution:
            return row
        if nearby and self._hides_little(nearby):
            return self._row_that_passes_nearby(row, nearby)
        if self._hides_little(row):
            note = f"rounding hides errors below {row.hidden:.0e} of its largest entry"
            return replace(row, note=note)
        return self._final_row_of_zeros(row, self.resolution if nearby else NEGLIGIBLE)

    def _final_failed_row(self, row: Row, nearby: Row | None):
        """Return the final row of a part that fails at theta: it may fail by rounding only."""
        passes_nearby = (
            nearby is not None
            and nearby.verdict is Verdict.PASS
            and self._hides_little(nearby)
        )
        if passes_nearby and self._is_slight(row):
            return _inconclusive(
                row, "the part fails by a small margin here and passes nearby"
            )
        if not self.point.has_tangents:
            largest = self.scale[:, self.point.part(row.name).span].max(axis=1)
            least = min(largest[largest > 0], default=0.0)
            if row.largest_error <= TRUSTED[self.claim.method] * least:
                return _inconclusive(row, "an error this small may be a rounding error")
        return row

    def _row_that_passes_nearby(self, row: Row, nearby: Row):
        """Add a note to the row of a part that passes at theta and at a second point."""
        note = "rounding hides errors here"
        if row.given == row.expected == 0:
            note = "all its entries are 0 here"
        note += "; the part passes at a random point nearby"
        hidden = min(row.hidden, nearby.hidden)
        if hidden > self.resolution:
            note += f"; errors below {hidden:.0e} of its largest entry are hidden"
        return replace(row, note=note)

    def _final_row_of_zeros(self, row: Row, share: float):
        """Return the final row of a part that passes, but could consist of rounding errors.

        The part passes if its gradient is 0 up to rounding errors: exactly, for a
        constant value, or below this share of the largest entry of the whole gradient.
        """
        part = self.point.part(row.name)
        largest = float(np.nan_to_num(abs(self.claim.gradient[:, part.span])).max())
        limit = self.claim.limit
        rounding = row.tolerance - limit.atol - limit.rtol * abs(row.expected)
        size = self._size(row)
        is_constant = False
        if not largest:
            u = self.point.sizes(part)[None]
            is_constant = bool(is_independent_of(self.point, part, u).all())
        is_zero = largest == row.expected == row.error == 0
        # Finite differences may miss small terms of a large value.
        is_exact = is_constant or self.claim.method == "complex step"
        if is_zero and is_exact and rounding <= HIDDEN * size:
            return replace(row, note="all its entries are exactly 0, as expected")
        if self._is_not_zero(part):
            return _inconclusive(
                row, "its derivatives are not 0, but rounding could hide an error"
            )
        if is_constant and rounding <= NEGLIGIBLE * size:
            return replace(row, note="it is 0 up to rounding errors")
        if max(largest, rounding) <= share * self.scale[:, part.span].max():
            note = "it is 0 up to rounding errors of the other entries"
            return replace(row, note=note)
        return _inconclusive(row, row.note)

    def _is_not_zero(self, part: NamedPart):
        """Return whether points next to theta confirm that some derivative is not 0.

        A derivative of 0 consists of rounding errors, which differ at each point and
        for each step length.
        """
        draw = np.random.default_rng(2)
        U = self.point.sizes(part) * random_signs(draw, (3, part.size))
        if self.claim.method != "complex step":
            directions = Directions(part, U)
            derivatives = derivatives_along(self.point, directions, self.claim.method)
            if (abs(derivatives.value) > derivatives.error).any():
                return True
        samples = []
        for length in LENGTHS:
            noise = draw.uniform(-1, 1, self.point.theta.shape)
            neighbor = self.point.at(self.point.theta * (1 + NEXT_TO * noise))
            samples.append(self._derivatives_at(neighbor, Directions(part, U), length))
        steady = STEADY * (samples[0].size / 3) ** (1 / 3)
        mean = np.mean(samples, axis=0)
        return bool((abs(mean) > steady * np.std(samples, axis=0)).any())

    def _derivatives_at(self, point: Point, directions: Directions, length: float):
        """Return the derivatives along the directions by complex steps of this length.

        If another method was chosen, return the products of the gradient with the
        directions.
        """
        part, U = directions
        if self.claim.method == "complex step":
            derivatives, _ = point.derivatives([Directions(part, length * U)])
            return derivatives / length
        gradient = point.evaluated()[self.claim.number]
        return gradient[:, part.span] @ U.T


def _inconclusive(row: Row, note: str):
    return replace(row, verdict=Verdict.INCONCLUSIVE, note=note)


def judge_nearby(
    point: Point,
    judge: Callable[..., list[Judgement]],
    doubts_by_gradient: list[Doubts],
):
    """Judge the doubtful parts of each gradient at random points nearby, until rounding no longer hides errors."""
    draw = np.random.default_rng(1)
    for factor, change in SECOND_POINTS:
        remaining = []
        for doubts in doubts_by_gradient:
            is_small_change = change < SMALL_CHANGE
            if doubts.doubtful and not (is_small_change and doubts.nearby):
                remaining.append(doubts)
        if not remaining:
            return
        noise = draw.standard_normal(point.theta.shape)
        neighbor = point.at(factor * point.theta + change * point.all_sizes * noise)
        numbers = [doubts.claim.number for doubts in remaining]
        try:
            gradients = _finite_gradients(neighbor, numbers)
        except Exception:  # outside the domain, user code may raise any exception
            continue
        names = set().union(*(doubts.doubtful for doubts in remaining))
        parts = [part for part in point.parts if part.name in names]
        judgements = judge(neighbor, gradients, parts)
        for doubts, judgement in zip(remaining, judgements, strict=True):
            doubts.add(judgement)


def _finite_gradients(point: Point, numbers: list[int]):
    """Return the gradients with these numbers, or raise a ValueError if they or the value are not finite."""
    gradients = point.evaluated()
    for number in numbers:
        require_finite(point, gradients[number], "The gradient")
    require_finite(point, point.value, "The value")
    return {number: gradients[number] for number in numbers}


def require_finite(point: Point, values: ndarray, what: str):
    """Raise a ValueError that names the first entry of a value, (outputs,), or gradient, (outputs, P), not finite."""
    is_finite = np.isfinite(values)
    if is_finite.all():
        return
    index = np.argwhere(~is_finite)[0]
    entry = ""
    if values.ndim == 2:
        entry = f" of {named_entry(point.parts, int(index[1]))}"
    raise ValueError(
        f"{what}{entry} is {values[tuple(index)]}: choose theta so that it is finite."
    )


STEPS = 10.0 ** np.arange(-1.0, -6.0, -1.0)
"""The steps t, relative to the parameters. At much shorter steps, rounding hides t²."""

BETWEEN = 1.5
"""The slope that separates correct from wrong gradients."""

FEWEST_STEPS, MOST_STEPS = 3, 4
"""The numbers of steps above the rounding error that determine the slope."""

BETWEEN = 1.5
"""The slope that separates correct from wrong gradients."""


def taylor(point: Point, gradient: ndarray):
    """Compute the Taylor remainder of a function along a random direction."""
    # R(t) = |f(theta + t v) - f(theta) - t <g, v>|, NaN outside the function's domain
    v = point.all_sizes * random_signs(np.random.default_rng(0), point.theta.shape)
    t = STEPS[:, None]
    values = point.values(point.theta + t * v)
    remainder = abs(values - point.value - t * (gradient @ v)).sum(axis=1)
    noise = 50 * float(point.rounding.sum())
    is_clear = np.isfinite(remainder) & (remainder > noise)
    slope = None
    remark = ""
    if is_clear.sum() >= FEWEST_STEPS:
        # The slope is a limit for small steps, so use the smallest steps above the
        # rounding error.
        x = np.log(STEPS[is_clear][-MOST_STEPS:])
        y = np.log(remainder[is_clear][-MOST_STEPS:])
        slope = float((x - x.mean()) @ y / np.sum((x - x.mean()) ** 2))
    elif is_clear.any() or not np.isfinite(remainder).all():
        remark = (
            "not conclusive, since rounding or the domain of the function leaves too"
            " few steps"
        )
    else:
        remark = "0 up to rounding errors, since the function is linear here"
    return Taylor(
        tuple(STEPS.tolist()), tuple(remainder.tolist()), noise, slope, remark
    )


def reconciled(opinion: Taylor, verdict: Verdict):
    """Replace the slope of the Taylor remainder by a remark if it contradicts the verdict.

    The verdict is more reliable, because kinks between the steps change the slope and
    small errors do not.
    """
    slope = opinion.slope
    if verdict is Verdict.PASS:
        if slope is None or slope >= BETWEEN:
            return opinion
        reason = ", since the function has kinks between the steps"
    elif verdict is Verdict.FAIL:
        if slope is not None and slope <= BETWEEN:
            return opinion
        reason = ", since the error is too small to affect it"
    elif verdict is Verdict.KINK:
        reason = ", since the function has a kink"
    else:
        reason = " here"
    return replace(opinion, slope=None, remark=f"not conclusive{reason}")
