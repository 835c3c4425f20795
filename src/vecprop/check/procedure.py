"""Check the gradients of a point and return a report; `check/__init__.py` lists the steps."""

import warnings
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import SAFETY, coarse_type
from .comparison import (
    DIRECTIONS,
    Claim,
    Comparison,
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
from .wrong_line import find_wrong_line

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""All entries of a function's gradient are checked up to this number of parameters, by
complex step and by finite differences. An entry requires one function value by complex
step, and dozens by finite differences.
"""

FLOAT32_ERRORS = (3e-9, 1e-6)
"""The range of relative errors that indicates a computation in float32."""

AGREEMENT = 0.1
"""The largest difference, relative to an error, between two values that confirm it."""

VETO = 1.2
"""The slope of the Taylor remainder below which finite differences replace the complex
step. The slope is 2 for a correct gradient, and 1 for a wrong gradient.
"""


@dataclass(frozen=True)
class _Procedure:
    """The method of a check: how to compute derivatives, and which errors to allow.

    ``along`` says whether parts are judged along random directions instead of by entry.
    """

    method: Method
    along: bool
    limit: Limit

    def judge(
        self, point: Point, gradients: dict[int, ndarray], parts: Iterable[NamedPart]
    ):
        """Judge the gradients with these indices."""
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
        return judgements

    def reason_for_doubt(self, point: Point, judgements: list[Judgement]):
        """Return a reason not to trust the complex step, or an empty string.

        A verdict changes from FAIL to INCONCLUSIVE if finite differences do not confirm
        the error.
        """
        if self.method != "complex step" or point.has_tangents:
            return ""
        return _confirm_errors(point, judgements)

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
        exact_judgements = exact.judge(point, gradients, parts)
        note = (
            "exact derivatives do not confirm the error that finite differences found"
        )
        for judgement, exact_judgement in zip(
            judgements, exact_judgements, strict=True
        ):
            for row in judgement.failed():
                exact_row = exact_judgement.rows[row.name]
                if exact_row.verdict is not Verdict.FAIL:
                    judgement.change(row, Verdict.INCONCLUSIVE, note)

    def judge_elsewhere(
        self, point: Point, gradients: dict[int, ndarray], parts: list[NamedPart]
    ):
        """Judge gradients at another point, with finite differences if the complex step is not reliable there."""
        judgements = self.judge(point, gradients, parts)
        if self.reason_for_doubt(point, judgements):
            by_differences = replace(self, method="ridders")
            return by_differences.judge(point, gradients, parts)
        return judgements

    def description(self, point: Point):
        """Describe the method, the dtypes and the engines."""
        words = self.method
        if self.method == "ridders":
            words = "Ridders' extrapolated central differences"
        if self.along:
            words += f" along {DIRECTIONS} random directions per part, not every entry"
        else:
            words += ", every entry"
        if point.dtype != np.float64:
            words += f"; a {point.dtype} gradient compared with float64"
        if self.limit != Limit():
            words += (
                f"; errors up to rtol={self.limit.rtol:g}, atol={self.limit.atol:g} are"
                " allowed"
            )
        engines = list(dict.fromkeys(filter(None, point.engines)))
        if engines:
            noun = "engines" if len(engines) > 1 else "engine"
            words += f"; {' and '.join(engines)} {noun}"
        return words


def _procedure(point: Point, method: str, derivatives: Method, limit: Limit):
    """Return the procedure for a method of `check_gradients` and a method to compute derivatives."""
    most_entries = ENTRIES_BY_DIFFERENCES
    if derivatives == "complex step":
        # for networks see `gradients.WORK`
        most_entries = np.inf if point.has_tangents else ENTRIES
    has_many_entries = point.theta.size > most_entries
    along = method == "directions" or (method == "auto" and has_many_entries)
    return _Procedure(derivatives, along, limit)


def _failed_names(judgement: Judgement) -> set[str]:
    return {row.name for row in judgement.failed()}


def judged_report(
    point: Point, method: str, notes: list[str], can_move: bool, limit: Limit
) -> Report:
    """Judge the gradients of a point; if rounding hides too much, also judge them at random points nearby.

    ``can_move`` says whether the gradients can be computed at other points.
    """
    # At points other than theta, warnings are expected.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        gradients = _finite_gradients(point)
        unstable = _nondeterministic(point, gradients)
        check = _Check(point, gradients, unstable, can_move)
        kind = "network" if isinstance(point, NetworkPoint) else "function"
        reason = ""
        derivatives: Method = "complex step"
        if method in ("ridders", "central differences"):
            derivatives = cast(Method, method)
        elif not point.has_tangents:
            reason = obstacle(point)
        if reason:
            if method == "complex step":
                raise ValueError(
                    f'method="complex step" does not work for this {kind}: {reason};'
                    ' use method="ridders".'
                )
            derivatives = "ridders"
        report, doubt = check.report(_procedure(point, method, derivatives, limit))
        if doubt:  # finite differences replace all complex steps
            reason = doubt
            report, _ = check.report(_procedure(point, method, "ridders", limit))
    wrong_line = None
    if point.code is not None and report.verdict is Verdict.FAIL:
        wrong_names = {row.name for row in report.rows if row.verdict is Verdict.FAIL}
        wrong_line = find_wrong_line(point, wrong_names, is_complex=not reason)
    if reason:
        notes = [f"The complex step does not work for this {kind}: {reason}", *notes]
    return replace(report, notes=tuple(notes), wrong_line=wrong_line)


def _finite_gradients(point: Point):
    """Return the gradients; raise a ValueError if the value or a gradient is not finite.

    A gradient of the compiled engine may contain NaN, which is an error in the report:
    NaN never agrees with the expected value.
    """
    gradients = point.evaluated()
    require_finite(point, point.value, "The value")
    for engine, gradient in zip(point.engines, gradients, strict=True):
        if engine != "compiled":
            require_finite(point, gradient, "The gradient")
        gradient[~np.isfinite(gradient)] = np.nan
    return gradients


@dataclass(frozen=True)
class _Check:
    """The gradients of a point, and for each the names of the parts that differ between two runs."""

    point: Point
    gradients: list[ndarray]
    unstable: list[set[str]]
    can_move: bool

    def report(self, procedure: _Procedure):
        """Return the report, and a reason not to trust the complex step, which is usually empty."""
        point = self.point
        gradients = dict(enumerate(self.gradients))
        judgements = procedure.judge(point, gradients, point.parts)
        reason = procedure.reason_for_doubt(point, judgements)
        if reason:
            return Report((), ""), reason
        doubts_by_gradient = self._doubts(judgements)
        judge_nearby(point, procedure.judge_elsewhere, doubts_by_gradient)
        for doubts in doubts_by_gradient:
            _complete_rows(point, doubts)
        merged = _merged(point, doubts_by_gradient)
        verdict = Verdict._worst([row.verdict for row in merged.rows])
        opinion = taylor(point, self.gradients[merged.worst_gradient])
        is_by_steps = procedure.method == "complex step" and not point.has_tangents
        is_rough = opinion.slope is not None and opinion.slope < VETO
        if is_by_steps and is_rough and verdict is Verdict.PASS:
            reason = "the Taylor remainder does not shrink quadratically"
        report = Report(
            merged.rows,
            procedure.description(point),
            merged.nearby,
            taylor=reconciled(opinion, verdict),
        )
        return report, reason

    def _doubts(self, judgements: list[Judgement]):
        """Mark unstable parts, and find the parts of each gradient that require a second point."""
        doubts_by_gradient = []
        for judgement, names in zip(judgements, self.unstable, strict=True):
            for name in names & judgement.rows.keys():
                row = judgement.rows[name]
                judgement.change(row, Verdict.NONDETERMINISTIC, row.note)
            doubts = Doubts(self.point, judgement)
            if self.can_move:
                doubts.find()
            doubts_by_gradient.append(doubts)
        return doubts_by_gradient


def _complete_rows(point: Point, doubts: Doubts):
    """Replace the rows of a gradient by the final rows, with notes and diagnoses."""
    judgement = doubts.judgement
    # A part that fails only at a point nearby has no errors to explain at theta.
    failed = _failed_names(judgement)
    for name, row in judgement.rows.items():
        final_row = doubts.final_row(row)
        judgement.rows[name] = _with_precision(point, judgement, final_row)
    diagnose(point, judgement, failed)


def _with_precision(point: Point, judgement: Judgement, row: Row):
    """Add a note to a row if a float64 gradient only has the precision of float32 or float16."""
    if point.dtype != np.float64:
        return row
    claim = judgement.claim
    gradient = claim.gradient[:, point.part(row.name).span]
    comparison = judgement.comparisons.get(row.name)
    if comparison is not None:
        errors = comparison.errors
        sizes = abs(comparison.expected)
    else:  # along a direction, errors add up like independent random numbers
        errors = np.array([row.error])
        sizes = np.array([np.linalg.norm(gradient)])
    has_passed = row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    notes = [row.note] if row.note else []
    dtype = coarse_type(gradient, errors, sizes)
    if dtype:
        ending = " and were judged at that precision" if has_passed else ""
        notes.append(f"its entries are rounded to {dtype}{ending}")
    elif has_passed and claim.method == "complex step" and sizes.any():
        # Finite differences have errors of this size, too.
        relative_error = np.median((errors / sizes)[sizes > 0])
        low, high = FLOAT32_ERRORS
        if low < relative_error < high:
            notes.append(
                "it was judged at the precision of float32, since its relative error"
                f" is about {relative_error:.0e}"
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
        is_unexplained = comparison.errors > roughness
        if is_unexplained[comparison.wrong].any():
            continue
        if _long_steps_confirm(point, part, comparison):
            continue
        hidden = hidden_share(roughness, comparison.expected, point.sizes(part))
        judgement.rows[row.name] = replace(
            row,
            verdict=Verdict.INCONCLUSIVE,
            hidden=max(row.hidden, hidden),
            note="rounding of the value may explain the error",
        )


def _long_steps_confirm(point: Point, part: NamedPart, comparison: Comparison):
    """Return whether finite differences over long steps confirm the expected derivative of the worst entry."""
    output, entry = comparison.worst
    difference = differences_over_long_steps(point, part, part.unit(entry))
    derivative = difference.value[0, output]
    gap = abs(derivative - comparison.expected[output, entry])
    gap += DISTRUST * difference.error[0, output]
    is_close = gap < AGREEMENT * comparison.errors[output, entry]
    # a constant value may be the result of cancellation
    return bool(is_close and derivative != 0)


def _nondeterministic(point: Point, gradients: list[ndarray]):
    """Return, for each gradient, the names of the parts that differ between two runs."""
    if not point.may_be_random:
        return [set() for _ in gradients]
    repeated_point = copy(point)
    repeated_gradients = repeated_point.evaluated()
    value = point.value
    if (abs(repeated_point.value - value) > _reordered(value) * abs(value)).any():
        return [{part.name for part in point.parts} for _ in gradients]
    unstable = []
    for gradient, repeated in zip(gradients, repeated_gradients, strict=True):
        size = np.fmax(point.scale(gradient), point.largest(gradient))
        is_unstable = abs(repeated - gradient) > _reordered(gradient) * size
        unstable_names = set()
        for part in point.parts:
            if is_unstable[:, part.span].any():
                unstable_names.add(part.name)
        unstable.append(unstable_names)
    return unstable


def _reordered(numbers: ndarray):
    """Return the relative difference that a different summation order may cause."""
    return 1e-5 if (numbers == numbers.astype(np.float32)).all() else 1e-12


def _confirm_errors(point: Point, judgements: list[Judgement]):
    """Compare the largest error of each failed part with finite differences.

    If they contradict the complex step, return a reason not to trust it, else an empty
    string. If they agree with the gradient, a verdict changes from FAIL to
    INCONCLUSIVE: an iteration may have converged for the value, but not for its complex
    step.
    """
    note = "finite differences do not confirm the error that the complex step found"
    for judgement in judgements:
        for row in judgement.failed():
            worst = _worst_entry(point, judgement, row)
            if worst is None:
                continue
            part = point.part(row.name)
            u = part.unit(worst.entry)
            difference = differences(point, part, u)
            reason = contradiction(
                point,
                part,
                u,
                derivative=point.by_complex_step(part, u),
                difference=difference,
            )
            if reason:
                return reason
            value = difference.value[0, worst.output]
            error = DISTRUST * difference.error[0, worst.output]
            error += BELIEVED * abs(value)
            if abs(worst.given - value) <= error:
                judgement.change(row, Verdict.INCONCLUSIVE, note)
    return ""


class _Entry(NamedTuple):
    """The index of an output, the index of an entry in a flattened part, and its given value."""

    output: int
    entry: int
    given: float


def _worst_entry(point: Point, judgement: Judgement, row: Row):
    """Return the entry with the largest error of a failed part, or None for many errors within the tolerance."""
    comparison = judgement.comparisons.get(row.name)
    if comparison is not None:
        output, entry = comparison.worst
        return _Entry(output, entry, comparison.given[output, entry])
    if row.index is None:
        return None
    axes = len(point.outputs)
    output = raveled(row.index[:axes], point.outputs)
    entry = raveled(row.index[axes:], point.part(row.name).shape)
    return _Entry(output, entry, row.given)


class _Merged(NamedTuple):
    """The worst row of each part, the rows nearby, and the index of the worst gradient."""

    rows: tuple[Row, ...]
    nearby: tuple[Row, ...]
    worst_gradient: int


def _merged(point: Point, doubts_by_gradient: list[Doubts]):
    """Merge the rows of all gradients."""
    first = doubts_by_gradient[0]
    if not isinstance(point, NetworkPoint) or not point.engines[0]:
        rows = tuple(first.judgement.rows.values())
        return _Merged(rows, tuple(first.nearby.values()), worst_gradient=0)
    rows = _losses(point)
    nearby_rows = []
    worst_ranks = []
    for name in first.judgement.rows:
        candidates = [doubts.judgement.rows[name] for doubts in doubts_by_gradient]
        ranks = list(map(_rank, candidates, point.engines))
        worst = ranks.index(min(ranks))
        worst_ranks.append((ranks[worst], worst))
        row = _merged_row(point, candidates, worst)
        rows.append(row)
        nearby = doubts_by_gradient[worst].nearby
        if name in nearby:
            nearby_rows.append(replace(nearby[name], engine=row.engine))
    _, worst_gradient = min(worst_ranks)
    return _Merged(tuple(rows), tuple(nearby_rows), worst_gradient)


def _rank(row: Row, engine: str):
    """Return a smaller tuple for a worse row.

    If several engines fail, the reference engine is first, because its layers can be
    checked separately.
    """
    has_layers = row.verdict is Verdict.FAIL and engine == "reference"
    return list(Verdict).index(row.verdict), not has_layers, -row.ratio


def _merged_row(point: NetworkPoint, candidates: Sequence[Row], worst: int):
    """Return the worst of a part's rows for several gradients, with the engines and gradients that agree with it."""
    row = candidates[worst]
    judged = point.judged[worst]
    # the engines of the rows with the same verdict
    engines = []
    for engine, other_row in zip(point.engines, candidates, strict=True):
        if other_row.verdict is row.verdict:
            engines.append(engine)
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


def _losses(point: NetworkPoint):
    """Return a FAIL row for each compiled loss that differs from the float64 loss of the reference engine."""
    expected = float(point.value[0])
    spacing = np.finfo(point.dtype).eps * abs(expected)
    rows = []
    for judged, loss in zip(point.judged, point.losses, strict=True):
        error = abs(float(loss) - expected)
        if judged.engine != "compiled" or error <= spacing:
            continue
        # the bound is expensive and rarely needed
        tolerance = SAFETY * point.bound_elsewhere.value
        if error > tolerance:
            row = Row(
                f"the loss of {judged.name}" if judged.name else "the loss",
                shape=(),
                verdict=Verdict.FAIL,
                error=error,
                tolerance=tolerance,
                index=(),
                given=float(loss),
                expected=expected,
                hidden=0.0,
                wrong=1,
                diagnosis="the compiled loss differs from the reference loss",
                engine="compiled",
            )
            rows.append(row)
    return rows
