"""Check the gradients of a point and return a report; `check/__init__.py` lists the steps."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import SAFETY, coarse_type
from .comparison import (
    DIRECTIONS,
    Comparison,
    Given,
    Limit,
    hidden_share,
    judge_directions,
    judge_entries,
)
from .derivatives import (
    BELIEVED,
    DISTRUST,
    Method,
    contradiction,
    differences,
    differences_over_long_steps,
    obstacle,
)
from .diagnosis import diagnosed
from .points.function import Point
from .points.network import BOTH, NetworkPoint
from .points.parameters import NamedPart, raveled
from .report import Report, Row, Verdict
from .second_point import Doubts, Judgements, nearby, reconciled, require_finite, taylor

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""All entries of a function's gradient are checked up to this number of parameters, by
complex step and by finite differences. An entry requires one function value by complex
step, and dozens by finite differences.
"""

COARSE, ALMOST = 3e-9, 1e-6
"""The range of relative errors that indicates a computation in float32."""

VETO = 1.2
"""The slope of the Taylor remainder below which finite differences replace the complex
step. The slope is 2 for a correct gradient, and 1 for a wrong gradient.
"""


@dataclass(frozen=True)
class _Procedure:
    """The method of a check: how to compute derivatives, and which errors to allow."""

    method: Method
    along: bool
    limit: Limit

    def judge(
        self, point: Point, gradients: dict[int, ndarray], parts: Iterable[NamedPart]
    ) -> tuple[Judgements, str]:
        """Judge the gradients with these indices; return a reason (usually empty) not to trust the complex step."""
        parts = [part for part in parts if part.size]
        givens = [
            self.given(point, number, gradient)
            for number, gradient in gradients.items()
        ]
        judged: Judgements
        if self.along:
            judged = [(rows, {}) for rows in judge_directions(point, parts, givens)]
        else:
            judged = [([], {}) for _ in givens]
            for part in parts:
                for judgement, (row, comparison) in zip(
                    judged, judge_entries(point, part, givens), strict=True
                ):
                    if row.verdict is Verdict.FAIL and not isinstance(
                        point, NetworkPoint
                    ):
                        row = _explained_by_rounding(point, part, row, comparison)
                    judgement[0].append(row)
                    judgement[1][part.name] = comparison
        if self.method != "complex step":
            self._compare_with_exact_derivatives(point, gradients, parts, judged)
        elif not point.has_tangents:
            return judged, _unconfirmed(point, judged)
        return judged, ""

    def given(self, point: Point, number: int, gradient: ndarray) -> Given:
        return Given(gradient, self.method, self.limit, point.engines[number])

    def _compare_with_exact_derivatives(
        self,
        point: Point,
        gradients: dict[int, ndarray],
        parts: list[NamedPart],
        judged: Judgements,
    ) -> None:
        """Change FAIL to INCONCLUSIVE where a network's exact derivatives agree with the gradient.

        A network may vary over distances much smaller than the steps, for example
        between saturated units. Finite differences for all steps then agree on another
        slope, so no error estimate that is based on them is a bound.
        """
        failed = set().union(*(_failed(rows) for rows, _ in judged))
        if not failed or not point.has_tangents:
            return
        exact = replace(self, method="complex step")
        exactly_judged, _ = exact.judge(
            point, gradients, [part for part in parts if part.name in failed]
        )
        note = (
            "exact derivatives do not confirm the error that finite differences found"
        )
        for (rows, _), (exact_rows, _) in zip(judged, exactly_judged, strict=True):
            wrong = _failed(exact_rows)
            for number, row in enumerate(rows):
                if row.verdict is Verdict.FAIL and row.name not in wrong:
                    rows[number] = replace(row, verdict=Verdict.INCONCLUSIVE, note=note)

    def judge_elsewhere(
        self, point: Point, gradients: dict[int, ndarray], parts: list[NamedPart]
    ) -> Judgements:
        """Judge gradients at another point, with finite differences if the complex step is not reliable there."""
        judged, doubt = self.judge(point, gradients, parts)
        if doubt:
            judged, _ = replace(self, method="ridders").judge(point, gradients, parts)
        return judged

    def description(self, point: Point) -> str:
        """Describe the method, the dtypes and the engines."""
        words = self.method
        if self.method == "ridders":
            words = "Ridders' extrapolated central differences"
        words += (
            f" along {DIRECTIONS} random directions per part, not every entry"
            if self.along
            else ", every entry"
        )
        if point.dtype != np.float64:
            words += f"; a {point.dtype} gradient compared with float64"
        if self.limit != Limit():
            words += (
                f"; errors up to rtol={self.limit.rtol:g}, atol={self.limit.atol:g} are"
                " allowed"
            )
        engines = list(dict.fromkeys(filter(None, point.engines)))
        if engines:
            words += (
                f"; {' and '.join(engines)}"
                f" {'engines' if len(engines) > 1 else 'engine'}"
            )
        return words


def _failed(rows: list[Row]) -> set[str]:
    return {row.name for row in rows if row.verdict is Verdict.FAIL}


def judged_report(
    point: Point, method: str, notes: list[str], movable: bool, limit: Limit
) -> Report:
    """Judge the gradients of a point; if rounding hides too much, also judge them at random points nearby."""
    # At points other than theta, warnings are expected.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        gradients = _finite_gradients(point)
        moving = _nondeterministic(point, gradients)
        kind = "network" if isinstance(point, NetworkPoint) else "function"
        by_differences = method in ("ridders", "central differences")
        reason = "" if by_differences or point.has_tangents else obstacle(point)
        if reason and method == "complex step":
            raise ValueError(
                f'method="complex step" does not work for this {kind}: {reason}; use'
                ' method="ridders".'
            )

        def report_by(derivatives: Method) -> tuple[Report, str]:
            entries = ENTRIES_BY_DIFFERENCES
            if derivatives == "complex step":  # for networks see `gradients.WORK`
                entries = np.inf if point.has_tangents else ENTRIES
            along = method == "directions" or (
                method == "auto" and point.theta.size > entries
            )
            return _report(
                point, _Procedure(derivatives, along, limit), gradients, moving, movable
            )

        derivatives = "ridders" if reason else "complex step"
        if by_differences:
            derivatives = cast(Method, method)
        report, doubt = report_by(derivatives)
        if doubt:  # finite differences replace all complex steps
            reason = doubt
            report, _ = report_by("ridders")
    if reason:
        notes = [f"The complex step does not work for this {kind}: {reason}", *notes]
    return replace(report, notes=tuple(notes))


def _finite_gradients(point: Point) -> list[ndarray]:
    """Return the gradients; raise a ValueError if the value or a gradient of other code than a kernel is not finite."""
    gradients = point.evaluated()
    require_finite(point, point.value, "The value")
    for engine, gradient in zip(point.engines, gradients, strict=True):
        if engine != "compiled":
            require_finite(point, gradient, "The gradient")
        # Report a non-finite gradient of the compiled engine as an error: NaN never
        # agrees with the expected value.
        gradient[~np.isfinite(gradient)] = np.nan
    return gradients


def _report(
    point: Point,
    procedure: _Procedure,
    gradients: list[ndarray],
    moving: list[set[str]],
    movable: bool,
) -> tuple[Report, str]:
    """Return the report, and a reason not to trust the complex step, which is usually empty."""
    judged, reason = procedure.judge(point, dict(enumerate(gradients)), point.parts)
    if reason:
        return Report((), ""), reason
    doubts = [
        Doubts(point, k, procedure.given(point, k, gradient))
        for k, gradient in enumerate(gradients)
    ]
    doubtful: list[set[str]] = []
    for doubt, names, (rows, _) in zip(doubts, moving, judged, strict=True):
        for number, row in enumerate(rows):
            if row.name in names:
                rows[number] = replace(row, verdict=Verdict.NONDETERMINISTIC)
        doubtful.append(
            {row.name for row in rows if movable and doubt.needs_second_point(row)}
        )
    elsewhere = nearby(
        point,
        procedure.judge_elsewhere,
        doubtful,
        [comparisons for _, comparisons in judged],
    )
    settled = []
    for doubt, rows_nearby, (rows, comparisons) in zip(
        doubts, elsewhere, judged, strict=True
    ):
        # A part that fails only at a point nearby has no errors to explain at theta.
        failed = _failed(rows)
        final_rows = []
        for row in rows:
            row = doubt.final_row(row, rows_nearby.get(row.name))
            final_rows.append(
                _with_precision(point, doubt.given, row, comparisons.get(row.name))
            )
        settled.append(diagnosed(point, doubt.given, final_rows, failed, comparisons))
    rows, nearby_rows, worst = merged(point, settled, elsewhere)
    verdict = Verdict._worst([row.verdict for row in rows])
    opinion = taylor(point, gradients[worst])
    is_stepped = procedure.method == "complex step" and not point.has_tangents
    if (
        is_stepped
        and verdict is Verdict.PASS
        and opinion.slope is not None
        and opinion.slope < VETO
    ):
        reason = "the Taylor remainder does not shrink quadratically"
    return (
        Report(
            rows,
            procedure.description(point),
            nearby_rows,
            reconciled(opinion, verdict),
        ),
        reason,
    )


def _with_precision(
    point: Point, given: Given, row: Row, comparison: Comparison | None
) -> Row:
    """Add a note to a row if a float64 gradient only has the precision of float32 or float16."""
    # Finite differences have errors of this size, so with them only check whether all
    # entries are rounded.
    if point.dtype != np.float64:
        return row
    gradient = given.gradient[:, point.part(row.name).span]
    # along a direction, errors add up like independent random numbers
    if comparison is None:
        errors = np.array([row.error])
        sizes = np.array([np.linalg.norm(gradient)])
    else:
        errors = comparison.errors
        sizes = np.abs(comparison.expected)
    passed = row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    notes = [row.note] if row.note else []
    dtype = coarse_type(gradient, errors, sizes)
    if dtype:
        ending = " and were judged at that precision" if passed else ""
        notes.append(f"its entries are rounded to {dtype}{ending}")
    elif passed and given.method == "complex step" and sizes.any():
        share = np.median((errors / sizes)[sizes > 0])
        if COARSE < share < ALMOST:
            notes.append(
                "it was judged at the precision of float32, since its relative error"
                f" is about {share:.0e}"
            )
    return replace(row, note="; ".join(notes))


def _explained_by_rounding(
    point: Point, part: NamedPart, row: Row, comparison: Comparison
) -> Row:
    """Change FAIL to INCONCLUSIVE if rounding errors of the function's value could explain all errors.

    The verdict remains FAIL if finite differences over long steps confirm the largest
    error: in a recurrence, the bound on the rounding error may be far above the actual
    error.
    """
    roughness = point.roughness(part)
    if (comparison.errors > roughness)[comparison.wrong].any():
        return row
    output, entry = comparison.worst
    expected = comparison.expected[output, entry]
    difference = differences_over_long_steps(point, part, part.unit(entry))
    derivative = difference.value[0, output]
    apart = abs(derivative - expected) + DISTRUST * difference.error[0, output]
    agrees = apart < 0.1 * comparison.errors[output, entry]
    if agrees and derivative != 0:  # a constant value may be the result of cancellation
        return row
    hidden = max(
        row.hidden, hidden_share(roughness, comparison.expected, point.sizes(part))
    )
    return replace(
        row,
        verdict=Verdict.INCONCLUSIVE,
        hidden=hidden,
        note="rounding of the value may explain the error",
    )


def _nondeterministic(point: Point, gradients: list[ndarray]) -> list[set[str]]:
    """Return, for each gradient, the names of the parts that differ between two runs."""
    if not point.may_be_random:
        return [set() for _ in gradients]
    value = point.value
    repeated = point.evaluated()
    repeated_value = point.value
    point.value = value
    if (np.abs(repeated_value - value) > _reordered(value) * np.abs(value)).any():
        return [{part.name for part in point.parts} for _ in gradients]
    moving = []
    for gradient, second in zip(gradients, repeated, strict=True):
        size = np.fmax(point.scale(gradient), point.largest(gradient))
        is_moving = np.abs(second - gradient) > _reordered(gradient) * size
        moving.append(
            {part.name for part in point.parts if is_moving[:, part.span].any()}
        )
    return moving


def _reordered(numbers: ndarray) -> float:
    """Return the relative difference that a different summation order may cause."""
    return 1e-5 if (numbers == numbers.astype(np.float32)).all() else 1e-12


def _unconfirmed(point: Point, judged: Judgements) -> str:
    """Return a reason not to trust the complex step; change FAIL to INCONCLUSIVE where differences do not confirm it.

    Finite differences are computed for the entry with the largest error of each failed
    part. If a function iterates until its value converges, its complex step may not
    have converged.
    """
    for rows, comparisons in judged:
        for number, row in enumerate(rows):
            if row.verdict is not Verdict.FAIL:
                continue
            part = point.part(row.name)
            lead = len(point.outputs)
            if row.name in comparisons:
                output, entry = comparisons[row.name].worst
                given = comparisons[row.name].given[output, entry]
            elif row.index is not None:
                output = raveled(row.index[:lead], point.outputs)
                entry = raveled(row.index[lead:], part.shape)
                given = row.given
            else:
                continue  # many small errors, each within the tolerance
            u = part.unit(entry)
            difference = differences(point, part, u)
            reason = contradiction(point, part, u, point.stepped(part, u), difference)
            if reason:
                return reason
            value = difference.value[0, output]
            if abs(given - value) <= DISTRUST * difference.error[
                0, output
            ] + BELIEVED * abs(value):
                note = (
                    "finite differences do not confirm the error that the complex step"
                    " found"
                )
                rows[number] = replace(row, verdict=Verdict.INCONCLUSIVE, note=note)
    return ""


def merged(
    point: Point, judged: list[list[Row]], nearby: list[dict[str, Row]]
) -> tuple[tuple[Row, ...], tuple[Row, ...], int]:
    """Return the worst row of each part, the rows nearby, and the index of the worst gradient."""
    if not isinstance(point, NetworkPoint) or not point.engines[0]:
        return tuple(judged[0]), tuple(nearby[0].values()), 0
    rows: list[Row] = []
    rows_nearby = []
    worst = []
    for candidates in zip(*judged, strict=True):
        ranks = [
            (list(Verdict).index(row.verdict), -row.ratio, number)
            for number, row in enumerate(candidates)
        ]
        number = min(ranks)[-1]
        row = _merged_row(point, candidates, number)
        rows.append(row)
        worst.append(min(ranks))
        if row.name in nearby[number]:
            rows_nearby.append(replace(nearby[number][row.name], engine=row.engine))
    return (*_losses(point), *rows), tuple(rows_nearby), min(worst)[-1]


def _merged_row(point: NetworkPoint, candidates: Sequence[Row], number: int) -> Row:
    """Add the engine to the worst row, and to its diagnosis the engines and gradients that are wrong."""
    row = candidates[number]
    judged = point.judged[number]
    engines = [
        engine
        for engine, other in zip(point.engines, candidates, strict=True)
        if other.verdict is row.verdict
    ]
    engine = judged.engine
    if len(engines) == len(candidates) and len(set(engines)) > 1:
        engine = BOTH
    if row.verdict is not Verdict.FAIL:
        return replace(row, engine=engine, diagnosis="")
    origin = []
    if set(engines) < set(point.engines):
        origin.append(f"only in the {judged.engine} engine")
    if judged.name and len(engines) == 1:
        origin.append(f"in {judged.name}")
    diagnosis = "; ".join(filter(None, (row.diagnosis, ", ".join(origin))))
    return replace(row, engine=engine, diagnosis=diagnosis)


def _losses(point: NetworkPoint) -> list[Row]:
    """Return a FAIL row for each compiled loss that differs from the float64 loss of the reference engine."""
    expected = float(point.value[0])
    rows = []
    for judged, loss in zip(point.judged, map(float, point.losses), strict=True):
        error = abs(loss - expected)
        if judged.engine != "compiled" or error <= np.finfo(point.dtype).eps * abs(
            expected
        ):
            continue
        # this is expensive and rarely needed
        tolerance = SAFETY * point.bound_elsewhere.value
        if error > tolerance:
            row = Row(
                f"the loss of {judged.name}" if judged.name else "the loss",
                shape=(),
                verdict=Verdict.FAIL,
                error=error,
                tolerance=tolerance,
                index=(),
                given=loss,
                expected=expected,
                hidden=0.0,
                wrong=1,
                diagnosis="the compiled loss differs from the reference loss",
                engine="compiled",
            )
            rows.append(row)
    return rows
