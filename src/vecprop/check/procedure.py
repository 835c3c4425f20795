"""Check the gradients of a point and return a report; `check/__init__.py` lists the steps."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from .arithmetic.rounding import SAFETY, coarse_type
from .comparison import DIRECTIONS, Comparison, Criteria, Limit, hidden_share, judge_directions, judge_entries
from .derivatives import BELIEVED, DISTRUST, Method, contradiction, differences, differences_over_long_steps, obstacle
from .diagnosis import diagnosed
from .points.function import Point
from .points.network import BOTH, NetworkPoint
from .points.parameters import NamedPart
from .report import Report, Row, Verdict
from .second_point import Doubts, Judgements, nearby, reconciled, require_finite, taylor

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""All entries of a function's gradient are checked up to this number of parameters, by complex step and by finite
differences. An entry requires one function value by complex step, and dozens by finite differences."""

COARSE, ALMOST = 3e-9, 1e-6
"""The range of relative errors that indicates a computation in float32."""

VETO = 1.2
"""The slope of the Taylor remainder below which finite differences replace the complex step. The slope is 2 for a
correct gradient, and 1 for a wrong gradient."""


@dataclass(frozen=True)
class _Procedure:
    """The method of a check: how to compute derivatives, and which errors to allow."""

    method: Method
    along: bool
    limit: Limit

    def judge(
        self, point: Point, gradients: dict[int, np.ndarray], parts: Iterable[NamedPart]
    ) -> tuple[Judgements, str]:
        """Judge the gradients with these indices; return a reason (usually empty) not to trust the complex step."""
        parts = [part for part in parts if part.size]
        criteria = [Criteria(self.method, self.limit, point.engines[number]) for number in gradients]
        givens = list(zip(gradients.values(), criteria, strict=True))
        judged: Judgements = [([], {}) for _ in givens]
        if self.along:
            judged = [(rows, {}) for rows in judge_directions(point, parts, givens)]
        for part in [] if self.along else parts:
            for (rows, found), (row, compared) in zip(judged, judge_entries(point, part, givens), strict=True):
                if row.verdict is Verdict.FAIL and not isinstance(point, NetworkPoint):
                    row = _explained_by_rounding(point, part, row, compared)
                rows.append(row)
                found[part.name] = compared
        if self.method != "complex step":
            self._compare_with_exact_derivatives(point, gradients, parts, judged)
        is_stepped = self.method == "complex step" and not point.has_tangents
        return judged, _unconfirmed(point, judged) if is_stepped else ""

    def _compare_with_exact_derivatives(
        self, point: Point, gradients: dict[int, np.ndarray], parts: list[NamedPart], judged: Judgements
    ) -> None:
        """Change FAIL to INCONCLUSIVE where a network's exact derivatives agree with the gradient.

        A network may vary over distances much smaller than the steps, for example between saturated units. Finite
        differences for all steps then agree on another slope, so no error estimate that is based on them is a bound.
        """
        failed = {row.name for rows, _ in judged for row in rows if row.verdict is Verdict.FAIL}
        if not failed or not point.has_tangents:
            return
        exact = replace(self, method="complex step")
        exactly_judged, _ = exact.judge(point, gradients, [part for part in parts if part.name in failed])
        note = "exact derivatives do not confirm the error that finite differences found"
        for (rows, _), (exact_rows, _) in zip(judged, exactly_judged, strict=True):
            wrong = {row.name for row in exact_rows if row.verdict is Verdict.FAIL}
            for number, row in enumerate(rows):
                if row.verdict is Verdict.FAIL and row.name not in wrong:
                    rows[number] = replace(row, verdict=Verdict.INCONCLUSIVE, note=note)

    def judge_elsewhere(self, point: Point, gradients: dict[int, np.ndarray], parts: list[NamedPart]) -> Judgements:
        """Judge gradients at another point, with finite differences if the complex step is not reliable there."""
        judged, doubt = self.judge(point, gradients, parts)
        if doubt:
            judged, _ = replace(self, method="ridders").judge(point, gradients, parts)
        return judged

    def description(self, point: Point) -> str:
        """Describe the method, the dtypes and the engines."""
        words = "Ridders' extrapolated central differences" if self.method == "ridders" else self.method
        words += f" along {DIRECTIONS} random directions per part, not every entry" if self.along else ", every entry"
        if point.dtype != np.float64:
            words += f"; a {point.dtype} gradient compared with float64"
        if self.limit != Limit():
            words += f"; errors up to rtol={self.limit.rtol:g}, atol={self.limit.atol:g} are allowed"
        engines = list(dict.fromkeys(filter(None, point.engines)))
        return f"{words}; {' and '.join(engines)} engine{'s' if len(engines) > 1 else ''}" if engines else words


def judged_report(point: Point, method: str, notes: list[str], movable: bool, limit: Limit) -> Report:
    """Judge the gradients of a point; if rounding hides too much, also judge them at random points nearby."""
    # At points other than theta, warnings are expected.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        givens = point.evaluated()
        require_finite(point, point.value, "The value")
        for engine, given in zip(point.engines, givens, strict=True):
            if engine != "compiled":
                require_finite(point, given, "The gradient")
            # Report a non-finite gradient of the compiled engine as an error: NaN never agrees with the expected value.
            given[~np.isfinite(given)] = np.nan
        moving = _nondeterministic(point, givens)
        what = f"this {'network' if isinstance(point, NetworkPoint) else 'function'}"
        by_differences = method in ("ridders", "central differences")
        reason = "" if by_differences or point.has_tangents else obstacle(point)
        if reason and method == "complex step":
            raise ValueError(f'method="complex step" does not work for {what}: {reason}; use method="ridders".')

        def report_by(kind: str, most: float = np.inf) -> tuple[Report, str]:
            along = method == "directions" or (method == "auto" and point.theta.size > most)
            return _report(point, _Procedure(cast(Method, kind), along, limit), givens, moving, movable)

        if by_differences or reason:
            report, doubt = report_by(method if by_differences else "ridders", ENTRIES_BY_DIFFERENCES)
        else:
            # For networks see `gradients.WORK`.
            report, doubt = report_by("complex step", np.inf if point.has_tangents else ENTRIES)
        if doubt:  # finite differences replace all complex steps
            reason = doubt
            report, _ = report_by("ridders", ENTRIES_BY_DIFFERENCES)
    why = [f"The complex step does not work for {what}: {reason}"] if reason else []
    return replace(report, notes=(*why, *notes))


def _report(
    point: Point, procedure: _Procedure, givens: list[np.ndarray], moving: list[set[str]], movable: bool
) -> tuple[Report, str]:
    """Return the report, and a reason not to trust the complex step, which is usually empty."""
    judged, doubt = procedure.judge(point, dict(enumerate(givens)), point.parts)
    if doubt:
        return Report((), ""), doubt
    every, doubtful = [], []
    for number, (given, own, (rows, _)) in enumerate(zip(givens, moving, judged, strict=True)):
        rows[:] = [replace(row, verdict=Verdict.NONDETERMINISTIC) if row.name in own else row for row in rows]
        doubts = Doubts(point, number, given, procedure.method, procedure.limit)
        every.append(doubts)
        doubtful.append({row.name for row in rows if doubts.needs_second_point(row)} if movable else set())
    elsewhere = nearby(point, procedure.judge_elsewhere, doubtful, [found for _, found in judged])
    settled = []
    for number, (rows, found) in enumerate(judged):
        # A part that fails only at a point nearby has no errors to explain at theta.
        failed = {row.name for row in rows if row.verdict is Verdict.FAIL}
        rows = [every[number].final_row(row, elsewhere[number].get(row.name)) for row in rows]
        rows = [_with_precision(point, givens[number], row, found.get(row.name), procedure.method) for row in rows]
        own = point.engines[number] == "reference"
        settled.append(diagnosed(point, own, givens[number], rows, failed, found, procedure.method))
    rows, nearby_rows, worst = merged(point, settled, elsewhere)
    verdict = Verdict._worst([row.verdict for row in rows])
    opinion = taylor(point, givens[worst])
    is_stepped = procedure.method == "complex step" and not point.has_tangents
    if is_stepped and verdict is Verdict.PASS and opinion.slope is not None and opinion.slope < VETO:
        doubt = "the Taylor remainder does not shrink quadratically"
    return Report(rows, procedure.description(point), nearby_rows, reconciled(opinion, verdict)), doubt


def _with_precision(point: Point, given: np.ndarray, row: Row, found: Comparison | None, method: Method) -> Row:
    """Add a note to a row if a float64 gradient only has the precision of float32 or float16."""
    # Finite differences have errors of this size, so with them only check whether all entries are rounded.
    if point.dtype != np.float64:
        return row
    own = given[:, point.part(row.name).span]
    if found is None:  # along a direction, errors add up like independent random numbers
        error, sizes = np.array([row.error]), np.array([np.linalg.norm(own)])
    else:
        error, sizes = found.errors, np.abs(found.expected)
    share = np.median((error / sizes)[sizes > 0]) if sizes.any() else 0.0
    passed = row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    note = ""
    if name := coarse_type(own, error, sizes):
        note = f"its entries are rounded to {name}" + (" and were judged at that precision" if passed else "")
    elif passed and method == "complex step" and COARSE < share < ALMOST:
        note = f"it was judged at the precision of float32, since its relative error is about {share:.0e}"
    return replace(row, note="; ".join(filter(None, (row.note, note))))


def _explained_by_rounding(point: Point, part: NamedPart, row: Row, found: Comparison) -> Row:
    """Change FAIL to INCONCLUSIVE if rounding errors of the function's value could explain all errors.

    The verdict remains FAIL if finite differences over long steps confirm the largest error: in a recurrence, the bound
    on the rounding error may be far above the actual error.
    """
    roughness = point.roughness(part)
    if (found.errors > roughness)[found.wrong].any():
        return row
    output, entry = found.worst
    given, expected = found.given[output, entry], found.expected[output, entry]
    derivative, error, _ = (v[0, output] for v in differences_over_long_steps(point, part, part.unit(entry)))
    agrees = abs(derivative - expected) + DISTRUST * error < 0.1 * abs(given - expected)
    if agrees and derivative != 0:  # a constant value may be the result of cancellation
        return row
    hidden = max(row.hidden, hidden_share(roughness, found.expected, point.sizes(part)))
    return replace(row, verdict=Verdict.INCONCLUSIVE, hidden=hidden, note="rounding of the value may explain the error")


def _nondeterministic(point: Point, givens: list[np.ndarray]) -> list[set[str]]:
    """Return, for each gradient, the names of the parts that differ between two runs."""
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
    """Return the relative difference that a different summation order may cause."""
    return 1e-5 if (numbers == numbers.astype(np.float32)).all() else 1e-12


def _unconfirmed(point: Point, judged: Judgements) -> str:
    """Return a reason not to trust the complex step; change FAIL to INCONCLUSIVE where differences do not confirm it.

    Finite differences are computed for the entry with the largest error of each failed part. If a function iterates
    until its value converges, its complex step may not have converged.
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
                continue  # many small errors, each within the tolerance
            u = part.unit(entry)
            differing = differences(point, part, u)
            if reason := contradiction(point, part, u, point.stepped(part, u), differing):
                return reason
            value, error, _ = (values[0, output] for values in differing)
            if abs(given - value) <= DISTRUST * error + BELIEVED * abs(value):
                note = "finite differences do not confirm the error that the complex step found"
                rows[place] = replace(row, verdict=Verdict.INCONCLUSIVE, note=note)
    return ""


def merged(
    point: Point, judged: list[list[Row]], nearby: list[dict[str, Row]]
) -> tuple[tuple[Row, ...], tuple[Row, ...], int]:
    """Return the worst row of each part, the rows nearby, and the index of the worst gradient."""
    # If the verdicts of the engines are equal, the engine of the row is "both".
    if not isinstance(point, NetworkPoint) or not point.engines[0]:
        return tuple(judged[0]), tuple(nearby[0].values()), 0

    def rank(row: Row) -> tuple[int, float]:
        return list(Verdict).index(row.verdict), -row.ratio

    rows, rows_nearby, worst = [], [], []
    for column in zip(*judged, strict=True):
        number = min(range(len(column)), key=lambda k: rank(column[k]))
        row, own = column[number], point.judged[number]
        same = [engine for engine, other in zip(point.engines, column, strict=True) if other.verdict is row.verdict]
        engine = BOTH if len(same) == len(column) and len(set(same)) > 1 else own.engine
        diagnosis = ""
        if row.verdict is Verdict.FAIL:
            where = [f"only in the {own.engine} engine"] if set(same) < set(point.engines) else []
            where += [f"in {own.name}"] if own.name and len(same) == 1 else []
            diagnosis = "; ".join(filter(None, (row.diagnosis, ", ".join(where))))
        rows.append(replace(row, engine=engine, diagnosis=diagnosis))
        worst.append((*rank(row), number))
        if row.name in nearby[number]:
            rows_nearby.append(replace(nearby[number][row.name], engine=engine))
    return (*_losses(point), *rows), tuple(rows_nearby), min(worst)[2]


def _losses(point: NetworkPoint) -> list[Row]:
    """Return a FAIL row for each compiled loss that differs from the float64 loss of the reference engine."""
    expected = float(point.value[0])
    rows = []
    for own, loss in zip(point.judged, point.losses, strict=True):
        error = abs(float(loss) - expected)
        if own.engine != "compiled" or error <= np.finfo(point.dtype).eps * abs(expected):
            continue
        tolerance = SAFETY * point.bound_elsewhere.value  # this is expensive and rarely needed
        if error > tolerance:
            name = f"the loss{f' of {own.name}' if own.name else ''}"
            diagnosis = "the compiled loss differs from the reference loss"
            numbers = (error, tolerance, (), float(loss), expected, 0.0)
            rows.append(Row(name, (), Verdict.FAIL, *numbers, wrong=1, diagnosis=diagnosis, engine="compiled"))
    return rows
