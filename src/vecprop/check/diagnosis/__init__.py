"""Explain why parts of a gradient failed."""

from contextlib import suppress
from dataclasses import replace
from math import prod

import numpy as np

from ..comparison import Compared, Criteria, entries, judge_directions
from ..derivatives import Method
from ..points.function import Point
from ..points.network import NetworkPoint
from ..points.parameters import NamedPart
from ..report import Row, Verdict
from ..second_point import TRUSTED
from .error_patterns import COARSE, pattern, ratio, ratio_in_words, same
from .wrong_layers import layer_names, mixed_rows, planted_faults, wrong_layers

SAMPLE = 64
"""The number of entries that are checked to diagnose a part that was judged along directions."""


def diagnosed(
    point: Point, own: bool, given: np.ndarray, rows: list[Row], candidates: set[str], found: Compared, method: Method
) -> list[Row]:
    """Add a diagnosis to each failed row."""
    failed = {row.name: row for row in rows if row.verdict is Verdict.FAIL and row.name in candidates}
    if not failed:
        return rows
    parts = [part for part in point.parts if part.name in failed]
    expected = {part.name: _expected(point, part, given, found, own, method) for part in parts}
    precision = 1e-8 if point.has_tangents else TRUSTED[method]
    for name, row in failed.items():
        tolerance = float(np.max(found[name].tolerance)) if name in found else row.tolerance
        largest = np.max(np.abs(expected[name][np.isfinite(expected[name])]), initial=0)
        precision = max(precision, 2 * min(tolerance / largest, 1e-2) if largest else 0.0)
    named = where = ""
    if isinstance(point, NetworkPoint):
        of = point.network, point.theta, point.batch, point.noise_key
        if own:
            named = mixed_rows(*of) or "; ".join(wrong_layers(*of))
        elif precision <= COARSE:
            with suppress(Exception):  # a user-defined layer may raise any exception
                named = _fault(point, given[0], expected, parts, precision)
        where = "" if named else _where(point, rows)
    some_are_right = any(row.verdict is not Verdict.FAIL and row.hidden < np.inf for row in rows)
    if not named and precision <= COARSE and len(parts) > 1 and not some_are_right:
        named = _common(point, given, expected, parts, precision)
    diagnoses = {}
    for part in parts:
        # A Jacobian has shape (outputs, entries).
        shape = (prod(point.outputs), part.size) if point.outputs else part.shape
        wrong = found[part.name].wrong.ravel() if part.name in found else None
        numbers = given[:, part.span].ravel(), expected[part.name].ravel()
        text = named or pattern(*numbers, shape, point.rows, precision, wrong)
        diagnoses[part.name] = "; ".join(filter(None, (text, where)))
    return [replace(row, diagnosis=diagnoses.get(row.name, "")) for row in rows]


def _expected(
    point: Point, part: NamedPart, given: np.ndarray, found: Compared, own: bool, method: Method
) -> np.ndarray:
    """Return the expected gradient of a part, (outputs, size), with NaN for unknown entries."""
    if part.name in found:
        return found[part.name].expected
    if isinstance(point, NetworkPoint) and not own:
        [[row]] = judge_directions(point, [part], [(point.own_gradient, Criteria(method))])
        if row.verdict is not Verdict.FAIL:
            return point.own_gradient[:, part.span]
    expected = np.full((given.shape[0], part.size), np.nan)
    count = SAMPLE if method == "complex step" else SAMPLE // 8  # differences require many values
    chosen = np.sort(np.random.default_rng(3).permutation(part.size)[:count])
    [some] = entries(point, part, [(given, Criteria(method))], chosen)
    expected[:, chosen] = some.expected
    if chosen.size == part.size:
        found[part.name] = some
    return expected


def _common(
    point: Point, given: np.ndarray, expected: dict[str, np.ndarray], parts: list[NamedPart], precision: float
) -> str:
    """Describe the ratio of given to expected entries if all parts have the same ratio, or return an empty string."""
    ratios = [ratio(given[:, part.span], expected[part.name], precision) for part in parts]
    known = [r for r in ratios if r is not None]
    if len(known) == len(ratios) and np.ptp(known) <= max(precision, 1e-9) * np.abs(known).max():
        count = sum(int((np.abs(e) > 1e-3 * np.abs(e).max()).sum()) for e in expected.values())
        return ratio_in_words(known[0], point.rows, precision, count)
    return ""


def _fault(
    point: NetworkPoint, given: np.ndarray, expected: dict[str, np.ndarray], parts: list[NamedPart], precision: float
) -> str:
    """Describe the known mistake that reproduces the given gradient, or return an empty string."""
    for words, faulty in planted_faults(point.network, point.theta, point.batch, point.noise_key):
        explains = all(same(given[part.span], faulty[part.span], precision) for part in point.parts)
        if explains and any(not same(faulty[part.span], expected[part.name][0], precision) for part in parts):
            return words
    return ""


def _where(point: NetworkPoint, rows: list[Row]) -> str:
    """Describe where the backward pass goes wrong, based on the failed parts, or return an empty string."""
    judged = {row.name: row.verdict is Verdict.FAIL for row in rows}
    wrong = [part for part in point.parts if judged.get(part.name)]
    right = [part for part in point.parts if not judged.get(part.name, True)]
    if all(part.name.endswith(" b") for part in wrong) and any(part.name.endswith(" W") for part in right):
        return "only biases are wrong" if len(wrong) > 1 else "only this bias is wrong"
    last = max(part.layer or 0 for part in wrong)
    first_right = min((part.layer or 0 for part in right), default=0)
    # A wrong delta makes most entries of a part wrong.
    throughout = all(row.wrong is None or 2 * row.wrong > prod(row.shape) for row in rows if judged[row.name])
    if first_right <= last or not throughout:
        return ""
    names = layer_names(point.network)
    right, wrong = names[first_right], names[max(first_right - 1, last)]
    look = f"check its derivative and the delta that layer {first_right} passes back"
    return f"the backward pass is right down to {right} and wrong from {wrong} on: {look}"
