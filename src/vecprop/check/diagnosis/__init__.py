"""The explanation of the parts that failed: the first that fits, of those that the modules of `diagnosis` find."""

from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..comparison import Comparison, Criteria, entries, judge_directions
from ..derivatives import Method
from ..points.network import NetworkPoint
from ..points.parameters import NamedPart
from ..report import Row, Verdict
from ..second_point import TRUSTED
from .error_patterns import COARSE, pattern, ratio, ratio_in_words, same
from .wrong_layers import mixed_rows, planted_faults, wrong_layers

SAMPLE = 64
"""The number of entries whose derivatives are computed for the diagnosis of a part that was judged along directions."""


def diagnosed(
    point: Any,
    number: int,
    given: np.ndarray,
    rows: list[Row],
    candidates: set[str],
    found: dict[str, Comparison],
    method: Method,
) -> list[Row]:
    """Return the rows, with a diagnosis of those that failed."""
    failed = {row.name for row in rows if row.verdict is Verdict.FAIL} & candidates
    parts = {part.name: part for part in point.parts if part.name in failed}
    if not failed:
        return rows
    is_network = isinstance(point, NetworkPoint)
    own = is_network and point.engines[number] == "reference"
    expected = {name: _expected(point, part, given, found, own, method) for name, part in parts.items()}
    least = 1e-8 if point.is_followed else TRUSTED[method]
    precision = max(
        least, 2 * max(_unsure(row, expected[row.name], found.get(row.name)) for row in rows if row.name in failed)
    )
    texts = {
        name: pattern(
            given[:, part.span].ravel(),
            expected[name].ravel(),
            _shape(point, part),
            point.rows,
            precision,
            found[name].wrong.ravel() if name in found else None,
        )
        for name, part in parts.items()
    }
    named = ""
    if is_network:
        if own:
            of = point.network, point.theta, point.batch, point.noise_key
            named = mixed_rows(*of) or "; ".join(wrong_layers(*of))
        else:
            with suppress(Exception):  # a user's own layer may raise anything beside a faulty one
                named = "" if precision > COARSE else _fault(point, given[0], expected, parts, precision)
    common = named or _common(point, given, expected, parts, rows, precision)
    where = _where(point, rows) if is_network and not named else ""
    diagnoses = {}
    for name, text in texts.items():
        said = common or text
        diagnoses[name] = f"{said}; {where}" if said and where else said or where
    return [replace(row, diagnosis=diagnoses.get(row.name, "")) for row in rows]


def _shape(point: Any, part: NamedPart) -> tuple[int, ...]:
    """Return the shape in which patterns of a part's gradient are sought: a Jacobian is (outputs, entries)."""
    return (int(np.prod(point.outputs)), part.size) if point.outputs else part.shape


def _unsure(row: Row, expected: np.ndarray, found: Comparison | None) -> float:
    """Return the uncertainty of the entries of a part, as a share of the largest."""
    largest = np.max(np.abs(expected[np.isfinite(expected)]), initial=0)
    tolerance = row.tolerance if found is None else float(np.max(found.tolerance))
    return min(tolerance / largest, 1e-2) if largest else 0.0


def _expected(
    point: Any, part: NamedPart, given: np.ndarray, found: dict[str, Comparison], own: bool, method: Method
) -> np.ndarray:
    """Return the expected gradient of a part, (outputs, size); NaN for unknown entries."""
    if part.name in found:
        return found[part.name].expected
    if hasattr(point, "own_gradient") and not own:
        [[row]] = judge_directions(point, [part], [(point.own_gradient, Criteria(method))])
        if row.verdict is not Verdict.FAIL:
            return point.own_gradient[:, part.span]
    expected = np.full((given.shape[0], part.size), np.nan)
    count = SAMPLE if method == "complex step" else SAMPLE // 8  # a difference needs many values
    chosen = np.sort(np.random.default_rng(3).permutation(part.size)[:count])
    [some] = entries(point, part, [(given, Criteria(method))], chosen)
    expected[:, chosen] = some.expected
    if chosen.size == part.size:
        found[part.name] = some
    return expected


def _common(
    point: Any,
    given: np.ndarray,
    expected: dict[str, np.ndarray],
    parts: dict[str, NamedPart],
    rows: list[Row],
    precision: float,
) -> str:
    """Return the constant ratio that all parts have in common, in words, if every part has failed."""
    some_are_right = any(row.verdict is not Verdict.FAIL and row.hidden < np.inf for row in rows)
    if precision > COARSE or len(parts) < 2 or some_are_right:
        return ""
    ratios = [ratio(given[:, part.span], expected[name], precision) for name, part in parts.items()]
    known = [r for r in ratios if r is not None]
    if len(known) == len(ratios) and np.ptp(known) <= max(precision, 1e-9) * np.abs(known).max():
        count = sum(int((np.abs(e) > 1e-3 * np.abs(e).max()).sum()) for e in expected.values())
        return ratio_in_words(known[0], point.rows, precision, count)
    return ""


def _fault(
    point: NetworkPoint,
    given: np.ndarray,
    expected: dict[str, np.ndarray],
    parts: dict[str, NamedPart],
    precision: float,
) -> str:
    """Return the known fault that turns the network's gradient into the given one; empty if there is none."""
    with np.errstate(all="ignore"):
        for words, faulty in planted_faults(point.network, point.theta, point.batch, point.noise_key):
            explains = all(same(given[part.span], faulty[part.span], precision) for part in point.parts)
            changes = any(not same(faulty[part.span], expected[name][0], precision) for name, part in parts.items())
            if explains and changes:
                return words
    return ""


def _where(point: NetworkPoint, rows: list[Row]) -> str:
    """Return the first wrong layer of the backward pass, as the failed parts show it; empty if they do not."""
    judged = {row.name: row.verdict is Verdict.FAIL for row in rows}
    wrong = [part for part in point.parts if judged.get(part.name)]
    right = [part for part in point.parts if not judged.get(part.name, True)]
    layers = point.network.layers
    last, first_right = max(p.layer or 0 for p in wrong), min((p.layer or 0 for p in right), default=None)
    if all(part.name.endswith(" b") for part in wrong) and len(wrong) > 0 and any(p.name.endswith(" W") for p in right):
        return "only biases are wrong" if len(wrong) > 1 else "only this bias is wrong"
    # Most entries of a part are wrong if a wrong delta has reached its layer.
    throughout = all(row.wrong is None or 2 * row.wrong > prod(row.shape) for row in rows if judged[row.name])
    if first_right is not None and first_right > last and throughout:
        between = [f"layer {n} ({type(layers[n]).__name__})" for n in range(last + 1, first_right)]
        start = between[-1] if between else f"layer {last} ({type(layers[last]).__name__})"
        return (
            f"the backward pass is right down to layer {first_right} ({type(layers[first_right]).__name__}) and wrong "
            f"from {start} on: look at its derivative, or at the delta that layer {first_right} passes back"
        )
    return ""
