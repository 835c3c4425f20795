"""From a point to a report: how its slopes are found, what rounding hides there and nearby, and the verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .diagnosis import diagnosed
from .directions import DIRECTIONS, judge_directions
from .engines import merged
from .function import FunctionPoint
from .judge import (
    BELIEVED,
    DISTRUST,
    HIDDEN,
    Compared,
    How,
    Limit,
    Method,
    Row,
    differences,
    exact_slopes,
    hidden_share,
    judge_entries,
)
from .network import NetworkPoint
from .parameters import Part
from .point import Point
from .report import Report
from .ridders import Difference
from .suitability import contradicted, unsuited
from .taylor import taylor
from .verdict import Verdict

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""How many parameters a function has at most for all its entries to be judged: by complex step, and by differences."""

RESOLUTION = 1e-7
"""The share of a part's largest entry above which rounding sends the check to a second point."""

TRUSTED = {"complex step": 2e-8, "ridders": 1e-7, "central differences": 0.0}
"""The share of a gradient's largest entry below which no error of a function is believed, by how it was found.

What iterates until it stands still, or solves a linear system, may be off by as much in its value and its gradient.
"""

SLIGHT = 1e-5
"""The share of a part's largest entry below which an error has to be seen at a second point too, where what rounding
does was found by experiment."""

WEAK = 1e3
"""The multiple of its tolerance below which the same holds for an error found by differences."""

MOVES = ((1.0, 0.1), (0.5, 0.3), (0.1, 0.1), (1.0, 0.01), (1.0, 1e-3))
"""How theta is moved: by which factor, and how much of each parameter at random.

Small weights saturate nothing; small moves stay in a narrow domain.
"""


@dataclass(frozen=True)
class _Judging:
    """How slopes are found, and whether along directions instead of every entry."""

    method: Method
    along: bool
    limit: Limit

    def rows(
        self, point: Point, gradients: dict[int, np.ndarray], parts: Iterable[Part]
    ) -> list[tuple[list[Row], dict[str, Compared]]]:
        """Judge gradients of a point, by number: rows, and the comparisons of parts whose entries were compared."""
        parts = [part for part in parts if part.size]
        hows = (How(self.method, self.limit, point.breaks_ties_anew(number)) for number in gradients)
        givens = list(zip(gradients.values(), hows, strict=True))
        with np.errstate(all="ignore"):
            if self.along:
                return [(rows, {}) for rows in judge_directions(point, parts, givens)]
            judged: list[tuple[list[Row], dict[str, Compared]]] = [([], {}) for _ in givens]
            for part in parts:
                own = judge_entries(point, part, [(given[:, part.span], how) for given, how in givens])
                for (rows, found), (row, compared) in zip(judged, own, strict=True):
                    if row.verdict is Verdict.FAIL and isinstance(point, FunctionPoint):
                        row = _doubted(row, compared, point.roughness(part))
                    rows.append(row)
                    found[part.name] = compared
            return judged

    def in_words(self, point: Point) -> str:
        """Return how slopes were found, in which types, and whose gradients were judged."""
        words = {
            "complex step": "complex step",
            "central differences": "central differences",
            "ridders": "Ridders' extrapolated central differences",
        }[self.method]
        words += f" along {DIRECTIONS} random directions a part, not every entry" if self.along else ", every entry"
        if point.dtype != np.float64:
            words += f"; a {point.dtype} gradient against float64"
        if self.limit != Limit():
            words += f"; errors up to rtol={self.limit.rtol:g}, atol={self.limit.atol:g} are allowed"
        engines = list(dict.fromkeys(judged.engine for judged in getattr(point, "judged", ()) if judged.engine))
        return f"{words}; {' and '.join(engines)} engine{'s' if len(engines) > 1 else ''}" if engines else words


def judged_report(point: Point, method: str, notes: list[str], movable: bool, limit: Limit) -> Report:
    """Judge the gradients of a point, there and, where rounding hides too much, at random points nearby.

    Parameters
    ----------
    point : Point
        The function at its parameters.
    method : str
        One of `gradients.METHODS`.
    notes : list of str
        What the report is to say besides.
    movable : bool
        Whether the gradients are known at other parameters.
    limit : Limit
        The errors that the user allows.
    """
    loss, givens = point.evaluated()
    for number, given in enumerate(givens):
        if not point.breaks_ties_anew(number):  # where the compiled engine alone has none, it is wrong
            _finite(given, point, "The gradient")
    _finite(loss, point, "The function")
    loss_again, again = point.evaluated()
    judging, reason = _judging(point, method, limit)
    judged = judging.rows(point, dict(enumerate(givens)), point.parts)
    if not reason and judging.method == "complex step" and not point.is_followed:
        judged, reason = _confirmed(point, judged)
        if reason:
            judging = replace(judging, method="ridders")
            judged = judging.rows(point, dict(enumerate(givens)), point.parts)
    if reason:
        kind = "network" if isinstance(point, NetworkPoint) else "function"
        notes = [f"The complex step does not suit this {kind}: {reason}", *notes]
    settled, nearby = [], []
    for number, (rows, found) in enumerate(judged):
        given = givens[number]
        rows = _deterministic(rows, point, np.abs(again[number] - given), np.abs(loss_again - loss), loss)
        scale = _Scale(point, given, loss)
        there = _nearby(point, judging, number, _doubtful(rows, point, judging, scale)) if movable else {}
        least = 0.0 if point.is_followed else TRUSTED[judging.method] * scale.largest
        rows = [
            _settled(row, there.get(row.name), scale, _may_be_slight(row, point, judging, scale), least) for row in rows
        ]
        settled.append(diagnosed(point, number, given, rows, found, judging.method))
        nearby.append(there)
    rows, nearby_rows, worst = merged(point, settled, nearby)
    verdict = Verdict.worst([row.verdict for row in rows])
    opinion = taylor(point, givens[worst], verdict)
    return Report(rows, judging.in_words(point), nearby_rows, opinion, tuple(notes))


def _judging(point: Point, method: str, limit: Limit) -> tuple[_Judging, str]:
    """Return how slopes are to be found, and why complex numbers do not suit the function, if they do not."""
    if method in ("ridders", "central differences"):
        return _Judging(method, False, limit), ""  # pyright: ignore[reportArgumentType]
    reason = "" if point.is_followed else unsuited(point)
    if reason and method == "complex step":
        raise ValueError(f'method="complex step" does not suit this function: {reason}; take method="ridders".')
    most = ENTRIES_BY_DIFFERENCES if reason else ENTRIES
    along = method == "directions" or (method == "auto" and point.theta.size > most)
    return _Judging("ridders" if reason else "complex step", along, limit), reason


Judged = list[tuple[list[Row], dict[str, Compared]]]
"""For each gradient its rows, and the comparisons of those parts whose entries were compared."""


def _confirmed(point: Point, judged: Judged) -> tuple[Judged, str]:
    """Return the judgements by complex step, where real differences confirm what fails, or why they are not believed.

    What iterates until its value stands still has a complex step that is not yet right, to fewer digits.
    """
    confirmed = []
    for rows, found in judged:
        own = []
        for row in rows:
            doubt, reason = _doubt(point, row, found.get(row.name)) if row.verdict is Verdict.FAIL else ("", "")
            if reason:
                return judged, reason
            own.append(replace(row, verdict=Verdict.INCONCLUSIVE, note=doubt) if doubt else row)
        confirmed.append((own, found))
    return confirmed, ""


def _doubt(point: Point, row: Row, found: Compared | None) -> tuple[str, str]:
    """Return why a part that fails by complex step may be right all the same, and why no complex step is believed.

    The entry with the largest error is asked, where entries are known.
    """
    part = next(part for part in point.parts if part.name == row.name)
    if found is not None:
        errors = np.abs(found.given - found.expected) * found.wrong
        output, entry = (int(i) for i in np.unravel_index(np.argmax(errors), errors.shape))
        given, tolerance = found.given[output, entry], found.tolerance[output, entry]
    elif row.index is not None:
        output, entry = (
            _place(row.index[: len(point.outputs)], point.outputs),
            _place(row.index[len(point.outputs) :], part.shape),
        )
        given, tolerance = row.given, row.tolerance
    else:
        return "", ""  # of many small errors none shows by itself
    u = np.zeros((1, part.size))
    u[0, entry] = 1
    reason = contradicted(point, part, u, exact_slopes(point, [(part, u)])[0].T)
    if reason:
        return "", reason
    slope = Difference(*(values[0, output] for values in differences(point, part, u)))
    if abs(slope.jump) > tolerance:
        return "", f"there is a kink at {row.name}{list(part.index(entry)) or ''}"
    if abs(given - slope.value) <= DISTRUST * slope.error + BELIEVED * abs(slope.value):
        return "differences do not see the error that the complex step shows", ""
    return "", ""


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0


def _finite(values: np.ndarray, point: Point, what: str) -> np.ndarray:
    wrong = np.argwhere(~np.isfinite(values))
    if wrong.size:
        place = ""
        if values.ndim == 2:
            part = next(part for part in point.parts if part.start <= wrong[0][1] < part.start + part.size)
            place = f" of {part.name}{list(part.index(int(wrong[0][1] - part.start))) or ''}"
        raise ValueError(f"{what}{place} is {values[tuple(wrong[0])]} at theta: check it where it is finite.")
    return values


def _doubted(row: Row, found: Compared, roughness: np.ndarray) -> Row:
    """Return a row that failed, inconclusive where the function's own rounding could explain all of its errors."""
    if (np.abs(found.given - found.expected) > roughness)[found.wrong].any():
        return row
    hidden = max(row.hidden, hidden_share(roughness, found.expected))
    return replace(row, verdict=Verdict.INCONCLUSIVE, hidden=hidden, note="the function's own rounding may explain it")


def _deterministic(
    rows: list[Row], point: Point, gradient_change: np.ndarray, loss_change: np.ndarray, loss: np.ndarray
) -> list[Row]:
    """Return the rows, without a judgement where two runs differ by more than rounding can explain."""
    if not (gradient_change.any() or loss_change.any()):
        return rows
    # Threads may sum in another order each time.
    usual = np.where(point.noise.near < 1e-6 * np.abs(loss), 8 * point.noise.near, 0)
    loss_moves = bool((loss_change > np.maximum(1e-12 * np.abs(loss), usual)).any())
    parts = {part.name: part for part in point.parts}
    checked = []
    for row in rows:
        own = gradient_change[:, parts[row.name].span]
        moves = loss_moves or (own.any() and bool((own > 8 * point.bound.gradient[:, parts[row.name].span]).any()))
        checked.append(replace(row, verdict=Verdict.NONDETERMINISTIC) if moves else row)
    return checked


class _Scale:
    """How large the entries of a gradient may be thought to be: rounding far below that is nothing."""

    def __init__(self, point: Point, given: np.ndarray, loss: np.ndarray) -> None:
        self.largest = float(np.nan_to_num(np.abs(given)).max())
        values = float(np.abs(loss).max())
        sizes = {part.name: float(point.sizes(part).max()) for part in point.parts if part.size}
        self.of_part = {name: max(self.largest, values / size) for name, size in sizes.items()}


def _may_be_slight(row: Row, point: Point, judging: _Judging, scale: _Scale) -> bool:
    """Return whether a failure is so slight that it may be rounding which no experiment has shown."""
    if row.verdict is not Verdict.FAIL or point.is_followed:
        return False
    return row.largest_error <= SLIGHT * scale.of_part[row.name] or (judging.method == "ridders" and row.ratio < WEAK)


def _doubtful(rows: list[Row], point: Point, judging: _Judging, scale: _Scale) -> list[str]:
    """Return the parts that have to be judged at a second point."""
    resolution = RESOLUTION if point.dtype == np.float64 else 1e-4
    hidden = [
        row.name for row in rows if row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE) if row.hidden > resolution
    ]
    return hidden + [row.name for row in rows if _may_be_slight(row, point, judging, scale)]


def _nearby(point: Point, judging: _Judging, number: int, doubtful: list[str]) -> dict[str, Row]:
    """Judge parts of one of the gradients at random points ever farther away, until rounding hides little of them."""
    draw = np.random.default_rng(1)
    resolution = RESOLUTION if point.dtype == np.float64 else 1e-4
    judged: dict[str, Row] = {}
    for factor, spread in MOVES:
        if not doubtful or (spread < 0.1 and judged):
            break
        theta = factor * point.theta + spread * point.all_sizes * draw.standard_normal(point.theta.shape)
        other = point.at(theta)
        try:
            with np.errstate(all="ignore"):
                loss, givens = other.evaluated()
            given = _finite(givens[number], other, "The gradient")
            _finite(loss, other, "The function")
        except Exception:  # outside the function's domain, where a stranger's code may raise anything
            continue
        parts = [part for part in point.parts if part.name in doubtful]
        [(rows, _)] = judging.rows(other, {number: given}, parts)
        for row in rows:
            if row.name not in judged or row.hidden < judged[row.name].hidden or row.verdict is Verdict.FAIL:
                judged[row.name] = row
        doubtful = [name for name in doubtful if name not in judged or judged[name].hidden > resolution]
    return judged


def _settled(here: Row, there: Row | None, scale: _Scale, is_slight: bool, least: float) -> Row:
    """Return a row with what was found nearby, and inconclusive where it would pass though rounding hides errors."""
    if is_slight and there and there.verdict is Verdict.PASS and there.conclusive:
        return replace(here, verdict=Verdict.INCONCLUSIVE, note="it fails by little here, and passes nearby")
    if here.verdict is Verdict.FAIL and here.largest_error <= least:
        return replace(here, verdict=Verdict.INCONCLUSIVE, note="so small an error may be rounding")
    if here.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE):
        return here
    if there and there.verdict is Verdict.FAIL:
        return replace(here, verdict=Verdict.FAIL, note="rounding hides errors here, but it fails nearby")
    if here.verdict is Verdict.INCONCLUSIVE:
        return here
    if there and there.conclusive:
        why = "all its entries are 0 here" if not here.given and not here.expected else "rounding hides errors here"
        return replace(here, note=f"{why}; a random point nearby settles it")
    if here.conclusive:
        return here
    size = scale.of_part[here.name]
    if not (here.given or here.expected or here.error) and here.tolerance <= HIDDEN * size:
        return replace(here, note="all its entries are exactly 0, as they should be")
    if here.tolerance <= (RESOLUTION if there else 1e-12) * size:
        return replace(here, note="it is 0, but for what rounding leaves of the other entries")
    return replace(here, verdict=Verdict.INCONCLUSIVE)
