"""The procedure of a check, from a point to a report; its steps are listed in `check/__init__.py`."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from .arithmetic.rounding import SAFETY, coarse_type
from .comparison import DIRECTIONS, Comparison, Criteria, Limit, hidden_share, judge_directions, judge_entries
from .derivatives import BELIEVED, DISTRUST, Method, contradiction, differences, differences_over_long_steps, unsuited
from .diagnosis import diagnosed
from .points.function import Point
from .points.network import BOTH, NetworkPoint
from .points.parameters import NamedPart
from .report import Report, Row, Verdict
from .second_point import Doubts, Judgements, nearby, reconciled, require_finite, taylor

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""The largest numbers of parameters of a function whose entries are all judged, by complex step and by differences. A
complex step takes one value of the function for each entry, differences take dozens."""

COARSE, ALMOST = 3e-9, 1e-6
"""Errors between these shares of the entries are typical of a computation in float32."""

VETO = 1.2
"""The slope of the Taylor remainder below which a gradient that passes by complex step is judged by differences too: a
right gradient has 2, a wrong one 1."""


@dataclass(frozen=True)
class _Procedure:
    """How one check is done."""

    method: Method
    along: bool
    limit: Limit

    def judge(
        self, point: Point, gradients: dict[int, np.ndarray], parts: Iterable[NamedPart]
    ) -> tuple[Judgements, str]:
        """Judge gradients of a point, by number; return why complex steps cannot be believed there, if they cannot."""
        parts = [part for part in parts if part.size]
        criteria = [Criteria(self.method, self.limit, point.engines[number] == "compiled") for number in gradients]
        givens = list(zip(gradients.values(), criteria, strict=True))
        judged: Judgements = [([], {}) for _ in givens]
        if self.along:
            judged = [(rows, {}) for rows in judge_directions(point, parts, givens)]
        for part in [] if self.along else parts:
            for (rows, found), (row, compared) in zip(judged, judge_entries(point, part, givens), strict=True):
                if row.verdict is Verdict.FAIL and not isinstance(point, NetworkPoint):
                    row = _doubted(point, part, row, compared)
                rows.append(row)
                found[part.name] = compared
        is_stepped = self.method == "complex step" and not point.is_followed
        return judged, _unconfirmed(point, judged) if is_stepped else ""

    def judge_elsewhere(self, point: Point, gradients: dict[int, np.ndarray], parts: list[NamedPart]) -> Judgements:
        """Judge gradients at another point: by differences if complex steps cannot be believed there."""
        judged, doubt = self.judge(point, gradients, parts)
        if doubt:
            judged, _ = replace(self, method="ridders").judge(point, gradients, parts)
        return judged

    def description(self, point: Point) -> str:
        """Return the method, the types and the engines in words."""
        words = "Ridders' extrapolated central differences" if self.method == "ridders" else self.method
        words += f" along {DIRECTIONS} random directions a part, not every entry" if self.along else ", every entry"
        if point.dtype != np.float64:
            words += f"; a {point.dtype} gradient against float64"
        if self.limit != Limit():
            words += f"; errors up to rtol={self.limit.rtol:g}, atol={self.limit.atol:g} are allowed"
        engines = list(dict.fromkeys(filter(None, point.engines)))
        return f"{words}; {' and '.join(engines)} engine{'s' if len(engines) > 1 else ''}" if engines else words


def judged_report(point: Point, method: str, notes: list[str], movable: bool, limit: Limit) -> Report:
    """Judge the gradients of a point, there and, if rounding hides too much, at random points nearby."""
    # The user has seen warnings at theta; elsewhere they are expected.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        givens = point.evaluated()
        require_finite(point, point.value, "The function")
        for engine, given in zip(point.engines, givens, strict=True):
            if engine != "compiled":
                require_finite(point, given, "The gradient")
            # If only the compiled engine's gradient is not finite, that is an error to report: NaN agrees with nothing.
            given[~np.isfinite(given)] = np.nan
        moving = _nondeterministic(point, givens)
        what = f"this {'network' if isinstance(point, NetworkPoint) else 'function'}"
        by_differences = method in ("ridders", "central differences")
        reason = "" if by_differences or point.is_followed else unsuited(point)
        if reason and method == "complex step":
            raise ValueError(f'method="complex step" does not suit {what}: {reason}; take "ridders".')

        def report_by(kind: str, most: float = np.inf) -> tuple[Report, str]:
            along = method == "directions" or (method == "auto" and point.theta.size > most)
            return _report(point, _Procedure(cast(Method, kind), along, limit), givens, moving, movable)

        if by_differences or reason:
            report, doubt = report_by(method if by_differences else "ridders", ENTRIES_BY_DIFFERENCES)
        else:
            # For networks see `gradients.WORK`.
            report, doubt = report_by("complex step", np.inf if point.is_followed else ENTRIES)
        if doubt:  # no complex step can be believed, so differences judge everything
            reason = doubt
            report, _ = report_by("ridders", ENTRIES_BY_DIFFERENCES)
    said = [f"The complex step does not suit {what}: {reason}"] if reason else []
    return replace(report, notes=(*said, *notes))


def _report(
    point: Point, procedure: _Procedure, givens: list[np.ndarray], moving: list[set[str]], movable: bool
) -> tuple[Report, str]:
    """Return the report, and why the complex steps that it rests on cannot be believed, if they cannot."""
    judged, doubt = procedure.judge(point, dict(enumerate(givens)), point.parts)
    if doubt:
        return Report((), ""), doubt
    every, doubtful = [], []
    for number, (given, own, (rows, _)) in enumerate(zip(givens, moving, judged, strict=True)):
        rows[:] = [replace(row, verdict=Verdict.NONDETERMINISTIC) if row.name in own else row for row in rows]
        doubts = Doubts(point, number, given, procedure.method, procedure.limit)
        every.append(doubts)
        doubtful.append({row.name for row in rows if doubts.asks(row)} if movable else set())
    elsewhere = nearby(point, procedure.judge_elsewhere, doubtful, [found for _, found in judged])
    settled = []
    for number, (rows, found) in enumerate(judged):
        # A part that fails nearby alone has no errors here to explain.
        failed = {row.name for row in rows if row.verdict is Verdict.FAIL}
        rows = [every[number].settled(row, elsewhere[number].get(row.name)) for row in rows]
        rows = [_with_precision(point, givens[number], row, found.get(row.name), procedure.method) for row in rows]
        own = point.engines[number] == "reference"
        settled.append(diagnosed(point, own, givens[number], rows, failed, found, procedure.method))
    rows, nearby_rows, worst = merged(point, settled, elsewhere)
    verdict = Verdict.worst([row.verdict for row in rows])
    opinion = taylor(point, givens[worst])
    is_stepped = procedure.method == "complex step" and not point.is_followed
    if is_stepped and verdict is Verdict.PASS and opinion.slope is not None and opinion.slope < VETO:
        doubt = "the Taylor remainder does not shrink as it should"
    return Report(rows, procedure.description(point), nearby_rows, reconciled(opinion, verdict)), doubt


def _with_precision(point: Point, given: np.ndarray, row: Row, found: Comparison | None, method: Method) -> Row:
    """Return a row with a note if a gradient in float64 has the precision of a shorter type."""
    # Differences have errors of that size too, so they show it only if float32 or float16 holds all numbers exactly.
    if point.dtype != np.float64:
        return row
    own = given[:, point.part(row.name).span]
    if found is None:  # the errors of a part add up along a direction as their squares
        error, sizes = np.array([row.error]), np.array([np.linalg.norm(own)])
    else:
        error, sizes = found.errors, np.abs(found.expected)
    share = np.median((error / sizes)[sizes > 0]) if sizes.any() else 0.0
    passed = row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    said = ""
    if name := coarse_type(own, error, sizes):
        said = f"its entries are rounded to {name}" + (", and were judged at that precision" if passed else "")
    elif passed and method == "complex step" and COARSE < share < ALMOST:
        agrees = f"it agrees with the derivative up to {share:.0e} of its entries"
        said = f"it was judged at the precision of float32: {agrees}"
    return replace(row, note="; ".join(filter(None, (row.note, said))))


def _doubted(point: Point, part: NamedPart, row: Row, found: Comparison) -> Row:
    """Return a row that failed, as INCONCLUSIVE if the function's own rounding could explain all of its errors.

    It cannot if differences over long steps show the largest error too, as they do unless digits are lost: the bound on
    a value's rounding grows with each step of a recurrence, and may be far above the actual error.
    """
    roughness = point.roughness(part)
    if (found.errors > roughness)[found.wrong].any():
        return row
    output, entry = found.worst
    given, expected = found.given[output, entry], found.expected[output, entry]
    derivative, error, _ = (v[0, output] for v in differences_over_long_steps(point, part, part.unit(entry)))
    agrees = abs(derivative - expected) + DISTRUST * error < 0.1 * abs(given - expected)
    if agrees and derivative != 0:  # a value that does not change may have lost all its digits
        return row
    hidden = max(row.hidden, hidden_share(roughness, found.expected, point.sizes(part)))
    return replace(row, verdict=Verdict.INCONCLUSIVE, hidden=hidden, note="the function's own rounding may explain it")


def _nondeterministic(point: Point, givens: list[np.ndarray]) -> list[set[str]]:
    """Return, for each gradient, the names of the parts that differ between two runs by more than the order of sums."""
    if not point.may_be_random:
        return [set() for _ in givens]
    value, again = point.value, point.evaluated()
    second, point.value = point.value, value
    if (np.abs(second - value) > _reordered(value) * np.abs(value)).any():
        return [{part.name for part in point.parts} for _ in givens]
    moving = []
    for given, second in zip(givens, again, strict=True):
        size = np.fmax(point.scale(given), point.largest(given))
        wild = np.abs(second - given) > _reordered(given) * size
        moving.append({part.name for part in point.parts if wild[:, part.span].any()})
    return moving


def _reordered(numbers: np.ndarray) -> float:
    """Return the relative change of numbers that threads may cause by summing in another order."""
    return 1e-5 if (numbers == numbers.astype(np.float32)).all() else 1e-12


def _unconfirmed(point: Point, judged: Judgements) -> str:
    """Return why complex steps cannot be believed, if they cannot; failures that differences do not see become open.

    Differences are computed for the entry with the largest error of each part that fails. A function that iterates
    until its value converges may stop before the complex step has converged.
    """
    for rows, found in judged:
        for place, row in enumerate(rows):
            if row.verdict is not Verdict.FAIL:
                continue
            part, lead = point.part(row.name), len(point.outputs)
            if row.name in found:
                output, entry = found[row.name].worst
                given = found[row.name].given[output, entry]
            elif row.index is not None:
                indices = ((row.index[:lead], point.outputs), (row.index[lead:], part.shape))
                output, entry = (int(np.ravel_multi_index(index, shape)) if shape else 0 for index, shape in indices)
                given = row.given
            else:
                continue  # many small errors, none of which shows alone
            u = part.unit(entry)
            differing = differences(point, part, u)
            if reason := contradiction(point, part, u, point.stepped(part, u), differing):
                return reason
            value, error, _ = (values[0, output] for values in differing)
            if abs(given - value) <= DISTRUST * error + BELIEVED * abs(value):
                note = "differences do not see the error that the complex step shows"
                rows[place] = replace(row, verdict=Verdict.INCONCLUSIVE, note=note)
    return ""


def merged(
    point: Point, judged: list[list[Row]], nearby: list[dict[str, Row]]
) -> tuple[tuple[Row, ...], tuple[Row, ...], int]:
    """Return the worst row for each part, the rows nearby, and the number of the gradient that is the worst of all."""
    # If the engines have the same verdict on a part, its row says "both".
    if not isinstance(point, NetworkPoint) or not point.engines[0]:
        return tuple(judged[0]), tuple(nearby[0].values()), 0

    def rank(row: Row) -> tuple[int, float]:
        return list(Verdict).index(row.verdict), -row.ratio

    rows, rows_nearby, worst = [], [], []
    for column in zip(*judged, strict=True):
        number = min(range(len(column)), key=lambda k: rank(column[k]))
        row, own = column[number], point.judged[number]
        alike = [engine for engine, other in zip(point.engines, column, strict=True) if other.verdict is row.verdict]
        engine = BOTH if len(alike) == len(column) and len(set(alike)) > 1 else own.engine
        diagnosis = ""
        if row.verdict is Verdict.FAIL:
            said = [f"in the {own.engine} engine alone"] if set(alike) < set(point.engines) else []
            said += [f"in {own.name}"] if own.name and len(alike) == 1 else []
            diagnosis = "; ".join(filter(None, (row.diagnosis, ", and there ".join(said))))
        rows.append(replace(row, engine=engine, diagnosis=diagnosis))
        worst.append((*rank(row), number))
        if row.name in nearby[number]:
            rows_nearby.append(replace(nearby[number][row.name], engine=engine))
    return (*_losses(point), *rows), tuple(rows_nearby), min(worst)[2]


def _losses(point: NetworkPoint) -> list[Row]:
    """Return a row that fails for each compiled loss that is not the reference's in float64."""
    expected = float(point.value[0])
    rows = []
    for own, loss in zip(point.judged, point.losses, strict=True):
        error = abs(float(loss) - expected)
        if own.engine != "compiled" or error <= np.finfo(point.dtype).eps * abs(expected):
            continue
        tolerance = SAFETY * point.bound.value  # takes longer to compute, and is rarely needed
        if error > tolerance:
            name = f"the loss{f' of {own.name}' if own.name else ''}"
            said = "the compiled engine's loss is not the reference's"
            numbers = (error, tolerance, (), float(loss), expected, 0.0)
            rows.append(Row(name, (), Verdict.FAIL, *numbers, wrong=1, diagnosis=said, engine="compiled"))
    return rows
