"""The procedure of a check, from a point to a report; its steps are listed in `check/__init__.py`."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from .arithmetic.rounding import coarse_type
from .arithmetic.steps import Difference
from .comparison import DIRECTIONS, SAFETY, Comparison, Criteria, Limit, hidden_share, judge_directions, judge_entries
from .derivatives import (
    BELIEVED,
    DISTRUST,
    Method,
    contradiction,
    differences,
    differences_over_long_steps,
    exact_derivatives,
    unsuited,
)
from .diagnosis import diagnosed
from .points import Point
from .points.function import FunctionPoint
from .points.network import BOTH, NetworkPoint
from .points.parameters import NamedPart
from .report import Report, Row, Verdict
from .second_point import Doubts, nearby, reconciled, require_finite, taylor

ENTRIES, ENTRIES_BY_DIFFERENCES = 400, 64
"""The largest numbers of parameters of a function whose entries are all judged, by complex step and by differences. A
complex step takes one value of the function for each entry, differences take dozens."""

COARSE, ALMOST = 3e-9, 1e-6
"""Errors between these shares of the entries are typical of a computation in float32."""

VETO = 1.2
"""The slope of the Taylor remainder below which a gradient that passes by complex step is judged by differences too: a
right gradient has 2, a wrong one 1."""


Judgements = list[tuple[list[Row], dict[str, Comparison]]]
"""For each gradient, its rows and the comparisons of the parts whose entries were compared."""


@dataclass(frozen=True)
class _Procedure:
    """How one check is done."""

    method: Method
    along: bool
    limit: Limit

    def rows(
        self, point: Point, gradients: dict[int, np.ndarray], parts: Iterable[NamedPart]
    ) -> tuple[Judgements, str]:
        """Judge gradients of a point, by number; return why complex steps cannot be believed there, if they cannot."""
        judged = self._rows(point, gradients, [part for part in parts if part.size])
        if self.method != "complex step" or point.is_followed:
            return judged, ""
        return judged, _unconfirmed(point, judged)

    def elsewhere(self, point: Point, gradients: dict[int, np.ndarray], parts: list[NamedPart]) -> Judgements:
        """Judge gradients at another point: by differences if complex steps cannot be believed there."""
        judged, doubt = self.rows(point, gradients, parts)
        if doubt:
            judged, _ = replace(self, method="ridders").rows(point, gradients, parts)
        return judged

    def _rows(self, point: Point, gradients: dict[int, np.ndarray], parts: list[NamedPart]) -> Judgements:
        criteria = (Criteria(self.method, self.limit, point.breaks_ties_anew(number)) for number in gradients)
        givens = list(zip(gradients.values(), criteria, strict=True))
        if self.along:
            return [(rows, {}) for rows in judge_directions(point, parts, givens)]
        judged: Judgements = [([], {}) for _ in givens]
        for part in parts:
            own = judge_entries(point, part, [(given[:, part.span], criteria) for given, criteria in givens])
            for (rows, found), (row, compared) in zip(judged, own, strict=True):
                if row.verdict is Verdict.FAIL and isinstance(point, FunctionPoint):
                    row = _doubted(point, part, row, compared)
                rows.append(row)
                found[part.name] = compared
        return judged

    def description(self, point: Point) -> str:
        """Return the method, the types and the engines in words."""
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
    """Judge the gradients of a point, there and, if rounding hides too much, at random points nearby."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the user has seen warnings at theta; elsewhere they are expected
        givens = _finite(point)
        moving = _nondeterministic(point, givens)
        procedure, reason = _procedure(point, method, limit)
        if reason and method == "complex step":
            raise ValueError(f'method="complex step" does not suit this {_kind(point)}: {reason}; take "ridders".')
        report, doubt = _report(point, procedure, givens, moving, movable)
        if not reason and doubt:
            # No complex step can be believed, so differences judge everything.
            reason, procedure = doubt, _by_differences(point, method, limit)
            report, _ = _report(point, procedure, givens, moving, movable)
    said = [f"The complex step does not suit this {_kind(point)}: {reason}"] if reason else []
    return replace(report, notes=(*said, *notes))


def _kind(point: Point) -> str:
    return "network" if isinstance(point, NetworkPoint) else "function"


def _finite(point: Point) -> list[np.ndarray]:
    """Return the gradients of a point; raise a ValueError if they or the value are not finite."""
    givens = point.evaluated()
    require_finite(point, point.value, "The function")
    for number, given in enumerate(givens):
        if not point.breaks_ties_anew(number):
            require_finite(point, given, "The gradient")
        # If only the compiled engine's gradient is not finite, that is an error to report: NaN agrees with nothing.
        given[~np.isfinite(given)] = np.nan
    return givens


def _report(
    point: Point, procedure: _Procedure, givens: list[np.ndarray], moving: list[set[str]], movable: bool
) -> tuple[Report, str]:
    """Return the report, and why the complex steps that it rests on cannot be believed, if they cannot."""
    judged, doubt = procedure.rows(point, dict(enumerate(givens)), point.parts)
    if doubt:
        return Report((), ""), doubt
    every = []
    for number, (given, own, (rows, _)) in enumerate(zip(givens, moving, judged, strict=True)):
        rows[:] = [replace(row, verdict=Verdict.NONDETERMINISTIC) if row.name in own else row for row in rows]
        every.append(Doubts(point, number, given, procedure.method, procedure.limit))
    doubtful = [
        {row.name for row in rows if doubts.asks(row)} if movable else set()
        for doubts, (rows, _) in zip(every, judged, strict=True)
    ]
    elsewhere = nearby(point, procedure.elsewhere, doubtful, [found for _, found in judged])
    settled = []
    for number, (rows, found) in enumerate(judged):
        # A part that fails nearby alone has no errors here to explain.
        failed = {row.name for row in rows if row.verdict is Verdict.FAIL}
        rows = [every[number].settled(row, elsewhere[number].get(row.name)) for row in rows]
        rows = [_with_precision(point, givens[number], row, found.get(row.name), procedure.method) for row in rows]
        settled.append(diagnosed(point, number, givens[number], rows, failed, found, procedure.method))
    rows, nearby_rows, worst = merged(point, settled, elsewhere)
    verdict = Verdict.worst([row.verdict for row in rows])
    opinion = taylor(point, givens[worst])
    is_exact = procedure.method == "complex step" and not point.is_followed
    if is_exact and verdict is Verdict.PASS and opinion.slope is not None and opinion.slope < VETO:
        doubt = "the Taylor remainder does not shrink as it should"
    return Report(rows, procedure.description(point), nearby_rows, reconciled(opinion, verdict)), doubt


def _with_precision(point: Point, given: np.ndarray, row: Row, found: Comparison | None, method: Method) -> Row:
    """Return a row with a note if a gradient in float64 has the precision of a shorter type.

    Differences have errors of that size too, so they show it only if float32 or float16 holds all numbers exactly.
    """
    if point.dtype != np.float64:
        return row
    own = given[:, point.part(row.name).span]
    if found is None:  # the errors of a part add up along a direction as their squares
        error, sizes = np.array([row.error]), np.array([np.linalg.norm(own)])
    else:
        error, sizes = np.abs(found.given - found.expected), np.abs(found.expected)
    share = np.median((error / sizes)[sizes > 0]) if sizes.any() else 0.0
    passed = row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    said = ""
    if name := coarse_type(own, error, sizes):
        said = f"its entries are rounded to {name}" + (", and were judged at that precision" if passed else "")
    elif passed and method == "complex step" and COARSE < share < ALMOST:
        said = (
            f"it was judged at the precision of float32: it agrees with the derivative up to {share:.0e} of its entries"
        )
    return replace(row, note="; ".join(text for text in (row.note, said) if text))


def _by_differences(point: Point, method: str, limit: Limit) -> _Procedure:
    along = method == "directions" or (method == "auto" and point.theta.size > ENTRIES_BY_DIFFERENCES)
    return _Procedure("ridders", along, limit)


def _procedure(point: Point, method: str, limit: Limit) -> tuple[_Procedure, str]:
    """Return how the check is done, and why complex numbers do not suit the function, if they do not."""
    if method in ("ridders", "central differences"):
        return _Procedure(method, False, limit), ""  # pyright: ignore[reportArgumentType]
    reason = "" if point.is_followed else unsuited(point)
    if reason:
        return _by_differences(point, method, limit), reason
    many = point.theta.size > ENTRIES and not point.is_followed  # for networks see `gradients.WORK`
    return _Procedure("complex step", method == "directions" or (method == "auto" and many), limit), ""


def _doubted(point: FunctionPoint, part: NamedPart, row: Row, found: Comparison) -> Row:
    """Return a row that failed, as INCONCLUSIVE if the function's own rounding could explain all of its errors."""
    roughness = point.roughness(part)
    if (np.abs(found.given - found.expected) > roughness)[found.wrong].any() or _is_seen_over_long_steps(
        point, part, found
    ):
        return row
    hidden = max(row.hidden, hidden_share(roughness, found.expected, point.sizes(part)))
    return replace(row, verdict=Verdict.INCONCLUSIVE, hidden=hidden, note="the function's own rounding may explain it")


def _is_seen_over_long_steps(point: Point, part: NamedPart, found: Comparison) -> bool:
    """Return whether differences over long steps show the largest error too, as they do unless digits are lost.

    The bound on a value's rounding grows with each step of a recurrence, and may be far above the actual error.
    """
    output, entry = found.worst
    given, expected = found.given[output, entry], found.expected[output, entry]
    derivative, error, _ = (v[0, output] for v in differences_over_long_steps(point, part, part.unit(entry)))
    agrees = abs(derivative - expected) + DISTRUST * error < 0.1 * abs(given - expected)
    return bool(agrees and derivative != 0)  # a value that does not change may have lost all its digits


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

    A function that iterates until its value converges may stop before the complex step has converged.
    """
    for rows, found in judged:
        for place, row in enumerate(rows):
            doubt, reason = _doubt(point, row, found.get(row.name)) if row.verdict is Verdict.FAIL else ("", "")
            if reason:
                return reason
            if doubt:
                rows[place] = replace(row, verdict=Verdict.INCONCLUSIVE, note=doubt)
    return ""


def _doubt(point: Point, row: Row, found: Comparison | None) -> tuple[str, str]:
    """Return why a part that fails by complex step may still be right, and why no complex step can be believed.

    Both are empty if differences confirm the failure. They are computed for the entry with the largest error.
    """
    part = point.part(row.name)
    if found is not None:
        output, entry = found.worst
        given = found.given[output, entry]
    elif row.index is not None:
        lead = len(point.outputs)
        output, entry = _place(row.index[:lead], point.outputs), _place(row.index[lead:], part.shape)
        given = row.given
    else:
        return "", ""  # many small errors, none of which shows alone
    u = part.unit(entry)
    differing = differences(point, part, u)
    reason = contradiction(point, part, u, exact_derivatives(point, [(part, u)])[0].T, differing)
    if reason:
        return "", reason
    difference = Difference(*(values[0, output] for values in differing))
    if abs(given - difference.value) <= DISTRUST * difference.error + BELIEVED * abs(difference.value):
        return "differences do not see the error that the complex step shows", ""
    return "", ""


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0


def merged(
    point: Point, judged: list[list[Row]], nearby: list[dict[str, Row]]
) -> tuple[tuple[Row, ...], tuple[Row, ...], int]:
    """Return the worst row for each part, the rows nearby, and the number of the gradient that is the worst of all.

    If the engines have the same verdict on a part, its row says "both".
    """
    if not isinstance(point, NetworkPoint) or not point.judged[0].engine:
        return tuple(judged[0]), tuple(nearby[0].values()), 0
    order = list(Verdict)
    rows, rows_nearby, worst = [], [], []
    engines = {own.engine for own in point.judged}
    for column in zip(*judged, strict=True):
        number = min(range(len(column)), key=lambda k: (order.index(column[k].verdict), -column[k].ratio))
        row, own = column[number], point.judged[number]
        same = {column[k].verdict for k in range(len(column))} == {row.verdict}
        failed = {point.judged[k].engine for k in range(len(column)) if column[k].verdict is row.verdict}
        alone = row.verdict is Verdict.FAIL and len(failed) < len(engines)
        others_fail = any(column[k].verdict is Verdict.FAIL for k in range(len(column)) if k != number)
        said = [f"in the {own.engine} engine alone"] if alone else []
        said += [f"in {own.name}"] if own.name and not others_fail else []
        diagnosis = "; ".join(text for text in (row.diagnosis, ", and there ".join(said)) if text)
        engine = BOTH if same and len(engines) > 1 else own.engine
        rows.append(replace(row, engine=engine, diagnosis=diagnosis if row.verdict is Verdict.FAIL else ""))
        worst.append((order.index(row.verdict), -row.ratio, number))
        if row.name in nearby[number]:
            rows_nearby.append(replace(nearby[number][row.name], engine=engine))
    number = min(worst)[2]
    return (*_losses(point), *rows), tuple(rows_nearby), number


def _losses(point: NetworkPoint) -> list[Row]:
    """Return a row that fails for each compiled loss that is not the reference's in float64."""
    expected = float(point.value[0])
    rows = []
    for own, loss in zip(point.judged, point.losses, strict=True):
        error = abs(float(loss) - expected)
        if own.engine != "compiled" or error <= np.finfo(point.dtype).eps * abs(expected):
            continue
        tolerance = SAFETY * point.bound.value  # takes longer to compute, and is rarely needed
        if error <= tolerance:
            continue
        name = f"the loss{f' of {own.name}' if own.name else ''}"
        said = "the compiled engine's loss is not the reference's"
        row = Row(name, (), Verdict.FAIL, error, tolerance, (), float(loss), expected, 0.0, 1, said, engine="compiled")
        rows.append(row)
    return rows
