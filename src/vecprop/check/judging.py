"""From a point to a report: how its slopes are found, what rounding hides there and nearby, and the verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .diagnosis import diagnosed
from .directions import DIRECTIONS, judge_directions
from .engines import merged
from .function import FunctionPoint
from .judge import (
    Compared,
    How,
    Limit,
    Method,
    Row,
    hidden_share,
    judge_entries,
)
from .nearby import Doubts, nearby, require_finite
from .network import NetworkPoint
from .parameters import Part
from .point import Point
from .report import Report
from .suitability import confirmed, unsuited
from .taylor import taylor
from .verdict import Verdict

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""How many parameters a function has at most for all its entries to be judged: by complex step, and by differences."""


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
    with np.errstate(all="ignore"):
        return _judged_report(point, method, notes, movable, limit)


def _judged_report(point: Point, method: str, notes: list[str], movable: bool, limit: Limit) -> Report:
    givens = point.evaluated()
    require_finite(point, point.value, "The function")
    for number, given in enumerate(givens):
        if not point.breaks_ties_anew(number):
            require_finite(point, given, "The gradient")
        # Where the compiled engine alone has no finite gradient it is wrong: NaN agrees with nothing.
        given[~np.isfinite(given)] = np.nan
    moving = _moving(point, givens)
    judging, reason = _judging(point, method, limit)
    judged = judging.rows(point, dict(enumerate(givens)), point.parts)
    if not reason and judging.method == "complex step" and not point.is_followed:
        judged, reason = confirmed(point, judged)
        if reason:
            judging = replace(judging, method="ridders")
            judged = judging.rows(point, dict(enumerate(givens)), point.parts)
    if reason:
        kind = "network" if isinstance(point, NetworkPoint) else "function"
        notes = [f"The complex step does not suit this {kind}: {reason}", *notes]
    settled, elsewhere = [], []
    for number, (rows, found) in enumerate(judged):
        given = givens[number]
        rows = [replace(row, verdict=Verdict.NONDETERMINISTIC) if row.name in moving[number] else row for row in rows]
        doubts = Doubts(point, given, judging.method)
        names = [row.name for row in rows if doubts.asks(row)] if movable else []
        there = nearby(point, judging.rows, number, names)
        failed = {row.name for row in rows if row.verdict is Verdict.FAIL}  # what fails nearby alone shows nothing here
        rows = [doubts.settled(row, there.get(row.name)) for row in rows]
        settled.append(diagnosed(point, number, given, rows, failed, found, judging.method))
        elsewhere.append(there)
    rows, nearby_rows, worst = merged(point, settled, elsewhere)
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


def _doubted(row: Row, found: Compared, roughness: np.ndarray) -> Row:
    """Return a row that failed, inconclusive where the function's own rounding could explain all of its errors."""
    if (np.abs(found.given - found.expected) > roughness)[found.wrong].any():
        return row
    hidden = max(row.hidden, hidden_share(roughness, found.expected))
    return replace(row, verdict=Verdict.INCONCLUSIVE, hidden=hidden, note="the function's own rounding may explain it")


def _moving(point: Point, givens: list[np.ndarray]) -> list[set[str]]:
    """Return, for each gradient, the parts of which two runs differ by more than rounding can explain."""
    if not point.may_be_random:
        return [set() for _ in givens]
    value, again = point.value, point.evaluated()
    change, point.value = np.abs(point.value - value), value
    # Threads may sum in another order each time.
    usual = np.where(point.noise.near < 1e-6 * np.abs(value), 8 * point.noise.near, 0) if change.any() else 0
    if (change > np.maximum(1e-12 * np.abs(value), usual)).any():
        return [{part.name for part in point.parts} for _ in givens]
    moving = []
    for given, second in zip(givens, again, strict=True):
        changes = np.abs(second - given)
        parts = [part for part in point.parts if changes[:, part.span].any()]
        wild = [part for part in parts if (changes > 8 * point.bound.gradient)[:, part.span].any()]
        moving.append({part.name for part in wild})
    return moving
