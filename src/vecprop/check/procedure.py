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
    Claim,
    Judgement,
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
from .diagnosis import diagnose
from .points.function import Point
from .points.network import BOTH, NetworkPoint
from .points.parameters import NamedPart, raveled
from .report import Report, Row, Verdict
from .second_point import Doubts, judge_nearby, reconciled, require_finite, taylor

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
    ) -> tuple[list[Judgement], str]:
        """Judge the gradients with these indices; return a reason (usually empty) not to trust the complex step."""
        parts = [part for part in parts if part.size]
        judgements = []
        for number, gradient in gradients.items():
            engine = point.engines[number]
            claim = Claim(gradient, self.method, self.limit, engine, number)
            judgements.append(Judgement(claim))
        if self.along:
            judge_directions(point, parts, judgements)
        else:
            for part in parts:
                judge_entries(point, part, judgements)
            if not isinstance(point, NetworkPoint):
                _explain_by_rounding(point, judgements[0])
        if self.method != "complex step":
            self._compare_with_exact_derivatives(point, gradients, judgements)
        elif not point.has_tangents:
            return judgements, _unconfirmed(point, judgements)
        return judgements, ""

    def _compare_with_exact_derivatives(
        self, point: Point, gradients: dict[int, ndarray], judgements: list[Judgement]
    ):
        """Change FAIL to INCONCLUSIVE where a network's exact derivatives agree with the gradient.

        A network may vary over distances much smaller than the steps, for example
        between saturated units. Finite differences for all steps then agree on another
        slope, so no error estimate that is based on them is a bound.
        """
        failed = set().union(*map(_failed_names, judgements))
        if not failed or not point.has_tangents:
            return
        exact = replace(self, method="complex step")
        parts = [part for part in point.parts if part.name in failed]
        exact_judgements, _ = exact.judge(point, gradients, parts)
        note = (
            "exact derivatives do not confirm the error that finite differences found"
        )
        for judgement, confirmation in zip(judgements, exact_judgements, strict=True):
            for row in judgement.failed():
                if confirmation.rows[row.name].verdict is not Verdict.FAIL:
                    judgement.change(row, Verdict.INCONCLUSIVE, note)

    def judge_elsewhere(
        self, point: Point, gradients: dict[int, ndarray], parts: list[NamedPart]
    ) -> list[Judgement]:
        """Judge gradients at another point, with finite differences if the complex step is not reliable there."""
        judgements, doubt = self.judge(point, gradients, parts)
        if doubt:
            by_differences = replace(self, method="ridders")
            judgements, _ = by_differences.judge(point, gradients, parts)
        return judgements

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


def _failed_names(judgement: Judgement) -> set[str]:
    return {row.name for row in judgement.failed()}


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
    judgements, reason = procedure.judge(point, dict(enumerate(gradients)), point.parts)
    if reason:
        return Report((), ""), reason
    doubts_by_gradient = []
    for judgement, names in zip(judgements, moving, strict=True):
        for name in names & judgement.rows.keys():
            row = judgement.rows[name]
            judgement.change(row, Verdict.NONDETERMINISTIC, row.note)
        doubts = Doubts(point, judgement)
        if movable:
            doubts.find()
        doubts_by_gradient.append(doubts)
    judge_nearby(point, procedure.judge_elsewhere, doubts_by_gradient)
    for doubts in doubts_by_gradient:
        judgement = doubts.judgement
        # A part that fails only at a point nearby has no errors to explain at theta.
        failed = _failed_names(judgement)
        for name, row in judgement.rows.items():
            final_row = doubts.final_row(row)
            judgement.rows[name] = _with_precision(point, judgement, final_row)
        diagnose(point, judgement, failed)
    rows, nearby_rows, worst = merged(point, doubts_by_gradient)
    verdict = Verdict._worst([row.verdict for row in rows])
    opinion = taylor(point, gradients[worst])
    is_stepped = procedure.method == "complex step" and not point.has_tangents
    is_rough = opinion.slope is not None and opinion.slope < VETO
    if is_stepped and is_rough and verdict is Verdict.PASS:
        reason = "the Taylor remainder does not shrink quadratically"
    report = Report(
        rows,
        procedure.description(point),
        nearby_rows,
        taylor=reconciled(opinion, verdict),
    )
    return report, reason


def _with_precision(point: Point, judgement: Judgement, row: Row) -> Row:
    """Add a note to a row if a float64 gradient only has the precision of float32 or float16."""
    # Finite differences have errors of this size, so with them only check whether all
    # entries are rounded.
    if point.dtype != np.float64:
        return row
    claim = judgement.claim
    gradient = claim.gradient[:, point.part(row.name).span]
    if row.name in judgement.comparisons:
        comparison = judgement.comparisons[row.name]
        errors = comparison.errors
        sizes = abs(comparison.expected)
    else:  # along a direction, errors add up like independent random numbers
        errors = np.array([row.error])
        sizes = np.array([np.linalg.norm(gradient)])
    passed = row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    notes = [row.note] if row.note else []
    dtype = coarse_type(gradient, errors, sizes)
    if dtype:
        ending = " and were judged at that precision" if passed else ""
        notes.append(f"its entries are rounded to {dtype}{ending}")
    elif passed and claim.method == "complex step" and sizes.any():
        share = np.median((errors / sizes)[sizes > 0])
        if COARSE < share < ALMOST:
            notes.append(
                "it was judged at the precision of float32, since its relative error"
                f" is about {share:.0e}"
            )
    return replace(row, note="; ".join(notes))


def _explain_by_rounding(point: Point, judgement: Judgement):
    """Change FAIL to INCONCLUSIVE if rounding errors of the function's value could explain all errors of a part.

    The verdict remains FAIL if finite differences over long steps confirm the largest
    error: in a recurrence, the bound on the rounding error may be far above the actual
    error.
    """
    for row in judgement.failed():
        part = point.part(row.name)
        comparison = judgement.comparisons[row.name]
        roughness = point.roughness(part)
        if (comparison.errors > roughness)[comparison.wrong].any():
            continue
        output, entry = comparison.worst
        expected = comparison.expected[output, entry]
        difference = differences_over_long_steps(point, part, part.unit(entry))
        derivative = difference.value[0, output]
        gap = abs(derivative - expected) + DISTRUST * difference.error[0, output]
        agrees = gap < 0.1 * comparison.errors[output, entry]
        # a constant value may be the result of cancellation
        if agrees and derivative != 0:
            continue
        hidden = hidden_share(roughness, comparison.expected, point.sizes(part))
        judgement.rows[row.name] = replace(
            row,
            verdict=Verdict.INCONCLUSIVE,
            hidden=max(row.hidden, hidden),
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
    if (abs(repeated_value - value) > _reordered(value) * abs(value)).any():
        return [{part.name for part in point.parts} for _ in gradients]
    moving = []
    for gradient, second in zip(gradients, repeated, strict=True):
        size = np.fmax(point.scale(gradient), point.largest(gradient))
        is_moving = abs(second - gradient) > _reordered(gradient) * size
        moving.append(
            {part.name for part in point.parts if is_moving[:, part.span].any()}
        )
    return moving


def _reordered(numbers: ndarray) -> float:
    """Return the relative difference that a different summation order may cause."""
    return 1e-5 if (numbers == numbers.astype(np.float32)).all() else 1e-12


def _unconfirmed(point: Point, judgements: list[Judgement]) -> str:
    """Return a reason not to trust the complex step; change FAIL to INCONCLUSIVE where differences do not confirm it.

    Finite differences are computed for the entry with the largest error of each failed
    part. If a function iterates until its value converges, its complex step may not
    have converged.
    """
    note = "finite differences do not confirm the error that the complex step found"
    for judgement in judgements:
        for row in judgement.failed():
            part = point.part(row.name)
            if row.name in judgement.comparisons:
                comparison = judgement.comparisons[row.name]
                output, entry = comparison.worst
                given = comparison.given[output, entry]
            elif row.index is not None:
                axes = len(point.outputs)
                output = raveled(row.index[:axes], point.outputs)
                entry = raveled(row.index[axes:], part.shape)
                given = row.given
            else:
                continue  # many small errors, each within the tolerance
            u = part.unit(entry)
            difference = differences(point, part, u)
            stepped = point.stepped(part, u)
            reason = contradiction(point, part, u, stepped, difference)
            if reason:
                return reason
            value = difference.value[0, output]
            error = DISTRUST * difference.error[0, output] + BELIEVED * abs(value)
            if abs(given - value) <= error:
                judgement.change(row, Verdict.INCONCLUSIVE, note)
    return ""


def merged(
    point: Point, doubts_by_gradient: list[Doubts]
) -> tuple[tuple[Row, ...], tuple[Row, ...], int]:
    """Return the worst row of each part, the rows nearby, and the index of the worst gradient."""
    first = doubts_by_gradient[0]
    if not isinstance(point, NetworkPoint) or not point.engines[0]:
        rows = first.judgement.rows.values()
        return tuple(rows), tuple(first.nearby.values()), 0
    rows = _losses(point)
    nearby_rows = []
    worst = []
    for name in first.judgement.rows:
        candidates = [doubts.judgement.rows[name] for doubts in doubts_by_gradient]
        ranks = [
            (list(Verdict).index(row.verdict), -row.ratio, number)
            for number, row in enumerate(candidates)
        ]
        worst.append(min(ranks))
        number = worst[-1][-1]
        row = _merged_row(point, candidates, number)
        rows.append(row)
        nearby = doubts_by_gradient[number].nearby
        if name in nearby:
            nearby_rows.append(replace(nearby[name], engine=row.engine))
    return tuple(rows), tuple(nearby_rows), min(worst)[-1]


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
