"""A second point: if rounding hides errors, or a failure is slight, a part is judged at random points nearby too.

The Taylor remainder is another second opinion, which needs only values of the function:
R(t) = |f(theta + t v) - f(theta) - t <g, v>| shrinks like t² if g is the gradient, and like t if it is not. So its
slope in a log-log plot is 2 when right, and towards 1 when wrong.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np

from .arithmetic.rounding import EPS
from .comparison import Compared, Limit
from .derivatives import Method, derivatives_along, exact_derivatives, is_independent_of
from .points.function import Point, random_signs
from .points.parameters import NamedPart, named_entry
from .report import Row, Taylor, Verdict

Judgements = list[tuple[list[Row], Compared]]
"""For each gradient, its rows and the comparisons of the parts whose entries were compared."""

HIDDEN, HIDDEN_IN_FLOAT32 = 1e-4, 1e-3
"""The shares of a part's largest entry that rounding may hide before the verdict is INCONCLUSIVE, in float64 and in
shorter types: a mistake in code rarely makes a smaller error."""

RESOLUTION = 1e-7
"""The share of a part's largest entry that rounding may hide before the part is judged at a second point too."""

TRUSTED = {"complex step": 2e-8, "ridders": 5e-7, "central differences": 0.0}
"""The share of a gradient's largest entry below which no error of a function is believed, for each method.

The value and gradient of a function that iterates until it converges, or solves a linear system, may be off by as much.
"""

SLIGHT = 1e-5
"""The share of a part's largest entry below which an error has to be found at a second point too, if the rounding error
was measured: the experiment may have missed some of it."""

WEAK = 1e3
"""The multiple of its tolerance below which the same holds for an error found by differences, whose own error is an
estimate."""

VISIBLE = 0.1
"""The share of an entry that rounding may hide at a second point, if it was hidden at the first."""

STEADY = 8
"""A derivative is more than rounding if it exceeds its standard deviation at points next to theta by this factor."""

LENGTHS = (1.0, 0.83, 0.71, 0.59)
"""The lengths of the steps at points next to theta."""

MOVES = ((1.0, 0.1), (0.5, 0.3), (0.1, 0.1), (1.0, 0.01), (1.0, 1e-3))
"""The moves to second points: the factor on theta, and the size of the random change relative to each parameter.

Factors below 1 take units out of saturation; small changes stay within a narrow domain.
"""


class Doubts:
    """The doubts about the rows of one gradient, and how a second point settles them."""

    def __init__(self, point: Point, number: int, given: np.ndarray, method: Method, limit: Limit) -> None:
        self.point, self.number, self.given, self.limit = point, number, given, limit
        self.method: Method = method
        self.resolution = _resolution(point)

    @cached_property
    def scale(self) -> np.ndarray:
        """The largest of all entries in the unit of each, (outputs, P)."""
        return self.point.scale(self.given)

    def asks(self, row: Row) -> bool:
        """Return whether a part has to be judged at a second point."""
        if row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE):
            return row.hidden > self.resolution
        return self._is_slight(row)

    def _is_seen(self, row: Row) -> bool:
        """Return whether rounding hides so little of a part that a mistake would be noticed."""
        is_long = max(self.point.eps, np.finfo(self.point.dtype).eps) <= EPS
        return row.hidden <= (HIDDEN if is_long else HIDDEN_IN_FLOAT32)

    def _size(self, row: Row) -> float:
        """Return the size that entries of a part can be expected to have: rounding far below it does not matter."""
        part = self.point.part(row.name)
        by_value = np.abs(self.point.value).max() / self.point.sizes(part).max()
        return float(max(self.scale[:, part.span].max(), by_value))

    def _is_slight(self, row: Row) -> bool:
        """Return whether a failure is so slight that it may be rounding that the experiment has missed."""
        if row.verdict is not Verdict.FAIL or (self.point.is_followed and self.point.bound.running):
            return False
        return row.largest_error <= SLIGHT * self._size(row) or (self.method == "ridders" and row.ratio < WEAK)

    def settled(self, here: Row, there: Row | None) -> Row:
        """Return a row, given that of the second point; it is INCONCLUSIVE if rounding hides errors at both points."""
        if there and there.verdict is Verdict.PASS and self._is_seen(there) and self._is_slight(here):
            return _open(here, "it fails by little here, and passes nearby")
        if here.verdict is Verdict.FAIL and not self.point.is_followed:
            of_outputs = self.scale[:, self.point.part(here.name).span].max(axis=1)
            if here.largest_error <= TRUSTED[self.method] * min(of_outputs[of_outputs > 0], default=0.0):
                return _open(here, "so small an error may be rounding")
        if here.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE):
            return here
        if there and there.verdict is Verdict.FAIL and self._is_slight(there):
            return _open(here, "rounding hides errors here, and it fails by little nearby")
        if there and there.verdict is Verdict.FAIL:
            return replace(here, verdict=Verdict.FAIL, note="rounding hides errors here, but it fails nearby")
        if here.verdict is Verdict.INCONCLUSIVE or here.hidden <= self.resolution:
            return here
        return self._of_hidden(here, there)

    def _of_hidden(self, here: Row, there: Row | None) -> Row:
        """Return the row of a part that passes, but in which rounding hides much."""
        if there and self._is_seen(there):
            why = "all its entries are 0 here" if not here.given and not here.expected else "rounding hides errors here"
            said = self._visible(min(here.hidden, there.hidden))
            return replace(here, note=f"{why}; a random point nearby settles it{said}")
        if self._is_seen(here):
            return replace(here, note=f"rounding hides errors here{self._visible(here.hidden)}")
        part = self.point.part(here.name)
        given = float(np.nan_to_num(np.abs(self.given[:, part.span])).max())
        tolerance = here.tolerance - self.limit.atol - self.limit.rtol * abs(here.expected)
        still = not given and is_independent_of(self.point, part, self.point.sizes(part)[None]).all()
        seen = still or self.method == "complex step"  # differences do not see terms that a large value hides
        if not (given or here.expected or here.error) and seen and tolerance <= HIDDEN * self._size(here):
            return replace(here, note="all its entries are exactly 0, as they should be")
        if self._is_not_zero(part):
            return _open(here, "its derivatives are not 0, but rounding could hide an error in them")
        if still and tolerance <= 1e-12 * self._size(here):
            return replace(here, note="it is 0 up to rounding")
        largest = self.scale[:, part.span].max()
        if max(given, tolerance) <= (self.resolution if there else 1e-12) * largest:
            return replace(here, note="it is 0 up to the rounding of the other entries")
        return _open(here, here.note)

    def _visible(self, hidden: float) -> str:
        return f", except those below {hidden:.0e} of its largest entry" if hidden > self.resolution else ""

    def _is_not_zero(self, part: NamedPart) -> bool:
        """Return whether a derivative by a part is a number that the parameters next to theta confirm.

        A derivative of 0 is computed as rounding errors, which are others at each point and for each length of a step.
        """
        draw = np.random.default_rng(2)
        U = self.point.sizes(part) * random_signs(draw, (3, part.size))
        theta = self.point.theta
        near = [self.point.at(theta * (1 + 1e-9 * draw.uniform(-1, 1, theta.shape))) for _ in LENGTHS]
        if self.method == "complex step":
            along = [exact_derivatives(other, [(part, c * U)])[0] / c for other, c in zip(near, LENGTHS, strict=True)]
        else:
            [found] = derivatives_along(self.point, [(part, U)], self.method)
            if (np.abs(found.value) > found.error).any():
                return True
            along = [other.evaluated()[self.number][:, part.span] @ U.T for other in near]
        return bool((np.abs(np.mean(along, axis=0)) > STEADY * np.std(along, axis=0)).any())


def _open(row: Row, note: str) -> Row:
    return replace(row, verdict=Verdict.INCONCLUSIVE, note=note)


def _resolution(point: Point) -> float:
    return RESOLUTION if point.dtype == np.float64 else 1e-4


def nearby(
    point: Point, judge: Callable[..., Judgements], doubtful: list[set[str]], here: list[Compared]
) -> list[dict[str, Row]]:
    """Judge doubtful parts of gradients at random points nearby, until rounding hides little of them."""
    draw, least = np.random.default_rng(1), _resolution(point)
    judged: list[dict[str, Row]] = [{} for _ in doubtful]
    for factor, spread in MOVES:
        asked = [number for number, names in enumerate(doubtful) if names and (spread >= 0.1 or not judged[number])]
        if not asked:
            break
        other = point.at(factor * point.theta + spread * point.all_sizes * draw.standard_normal(point.theta.shape))
        try:
            givens = other.evaluated()
            for number in asked:
                require_finite(other, givens[number], "The gradient")
            require_finite(other, other.value, "The function")
        except Exception:  # outside the function's domain, where foreign code may raise anything
            continue
        names = set().union(*(doubtful[number] for number in asked))
        parts = [part for part in point.parts if part.name in names]
        for number, (rows, found) in zip(asked, judge(other, {n: givens[n] for n in asked}, parts), strict=True):
            rows = [row if _shows(here[number], found, row.name) else replace(row, hidden=np.inf) for row in rows]
            for row in rows:  # the best is kept, a failure above all
                known = judged[number].get(row.name)
                failed = known is not None and known.verdict is Verdict.FAIL
                better = known is None or row.hidden < known.hidden or row.verdict is Verdict.FAIL
                if row.name in doubtful[number] and better and not failed:
                    judged[number][row.name] = row
            known = judged[number].values()
            doubtful[number] -= {row.name for row in known if row.hidden <= least or row.verdict is Verdict.FAIL}
    return judged


def _shows(here: Compared, there: Compared, name: str) -> bool:
    """Return whether each entry of a part that rounding hides here, and that is not 0, can be seen at another point."""
    # At the other point an entry may be 0, and so stay hidden, although the largest entry is not.
    if name not in here or name not in there:
        return True
    size, size_there = (np.fmax(np.abs(own.given), np.abs(own.expected)) for own in (here[name], there[name]))
    least = HIDDEN * np.nan_to_num(size).max()
    asked = (here[name].tolerance > least) & (size > least)
    return not (asked & (there[name].tolerance > VISIBLE * size_there)).any()


def require_finite(point: Point, values: np.ndarray, what: str) -> None:
    """Raise a ValueError that names the first value or entry of a gradient that is not finite."""
    wrong = np.argwhere(~np.isfinite(values))
    if wrong.size:
        place = f" of {named_entry(point.parts, int(wrong[0][1]))}" if values.ndim == 2 else ""
        raise ValueError(f"{what}{place} is {values[tuple(wrong[0])]} at theta: check it where it is finite.")


STEPS = 10.0 ** np.arange(-1.0, -6.0, -1.0)
"""The steps t, as shares of the parameters: rounding hides t² at much shorter ones."""

BETWEEN = 1.5
"""The slope between those of a right gradient and those of a wrong one."""


def taylor(point: Point, gradient: np.ndarray) -> Taylor:
    """Return the Taylor remainder of a function along a random direction."""
    v = point.all_sizes * random_signs(np.random.default_rng(0), point.theta.shape)
    values = point.values(point.theta + STEPS[:, None] * v)  # NaN outside the function's domain
    remainder = np.abs(values - point.value - STEPS[:, None] * (gradient @ v)).sum(axis=1)
    noise = 50 * float(point.rounding.sum())
    clear = np.isfinite(remainder) & (remainder > noise)
    slope, remark = None, "0 up to rounding, since the function is linear here"
    if clear.sum() >= 3:
        # The slope is a limit for small steps, so the smallest ones above the rounding are used.
        x, y = np.log(STEPS[clear][-4:]), np.log(remainder[clear][-4:])
        slope, remark = float((x - x.mean()) @ y / np.sum((x - x.mean()) ** 2)), ""
    elif clear.any() or not np.isfinite(remainder).all():
        remark = "it says nothing, since rounding or the function's domain leaves too few steps"
    return Taylor(tuple(STEPS.tolist()), tuple(remainder.tolist()), noise, slope, remark)


def reconciled(opinion: Taylor, verdict: Verdict) -> Taylor:
    """Return the second opinion, without its slope if it contradicts the verdict.

    The verdict rests on better evidence. Its slope differs if there are kinks between the steps, or if an error is too
    small to show at them; the remark then says so.
    """
    slope, why = opinion.slope, ""
    if verdict is Verdict.PASS and slope is not None and slope < BETWEEN:
        why = ", since the function bends between its steps"
    elif verdict is Verdict.FAIL and (slope is None or slope > BETWEEN):
        why = ", since the error is too small to show in it"
    elif verdict not in (Verdict.PASS, Verdict.FAIL):
        why = ", since there is a kink" if verdict is Verdict.KINK else " here"
    return replace(opinion, slope=None, remark=f"it says nothing{why}") if why else opinion
