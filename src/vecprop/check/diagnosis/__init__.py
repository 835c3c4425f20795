"""Explain why parts of a gradient failed."""

from contextlib import suppress
from dataclasses import replace
from math import prod

import numpy as np
from numpy import ndarray

from ..comparison import Claim, Judgement, compare_entries, judge_directions
from ..points.function import Point
from ..points.network import NetworkPoint
from ..points.parameters import NamedPart
from ..report import Verdict
from ..second_point import TRUSTED
from .error_patterns import COARSE, count_large, pattern, ratio, ratio_in_words, same
from .wrong_layers import layer_names, mixed_rows, planted_faults, wrong_layers

SAMPLE = 64
"""The number of entries that are checked to diagnose a part that was judged along
directions.
"""

EXACT = 1e-8
"""The smallest relative error that is assumed for exact derivatives."""

MOST_INEXACT = 1e-2
"""The largest relative error that is assumed for derivatives."""

Expected = dict[str, ndarray]
"""The expected gradient of each failed part, (outputs, size), with NaN for unknown
entries.
"""


def diagnose(point: Point, judgement: Judgement, candidates: set[str]):
    """Add a diagnosis to each failed row with a name among the candidates."""
    failed = [row for row in judgement.failed() if row.name in candidates]
    if not failed:
        return
    claim = judgement.claim
    expected = {}
    for row in failed:
        expected[row.name] = _expected(point, point.part(row.name), judgement)
    precision = _precision(point, judgement, expected)
    cause = ""
    location = ""
    if isinstance(point, NetworkPoint):
        cause = _cause(point, claim, expected, precision)
        if not cause:
            location = _location(point, judgement)
    # rounding does not hide all errors of a right part
    has_right_part = any(
        row.verdict is not Verdict.FAIL and row.hidden < np.inf
        for row in judgement.rows.values()
    )
    if not cause and precision <= COARSE and len(failed) > 1 and not has_right_part:
        cause = _common_ratio(point, claim, expected, precision)
    for row in failed:
        entries = expected[row.name]
        text = cause or _pattern(point, row.name, judgement, entries, precision)
        diagnosis = "; ".join(filter(None, (text, location)))
        judgement.rows[row.name] = replace(row, diagnosis=diagnosis)


def _precision(point: Point, judgement: Judgement, expected: Expected):
    """Return the relative error of the expected entries: twice the largest ratio of a tolerance to an entry."""
    least = EXACT if point.has_tangents else TRUSTED[judgement.claim.method]
    precisions = [least]
    for name, entries in expected.items():
        tolerance = judgement.rows[name].tolerance
        if name in judgement.comparisons:
            tolerance = judgement.comparisons[name].tolerance.max()
        largest = abs(entries[np.isfinite(entries)]).max(initial=0)
        if largest:
            relative_error = float(min(tolerance / largest, MOST_INEXACT))
            precisions.append(2 * relative_error)
    return max(precisions)


def _expected(point: Point, part: NamedPart, judgement: Judgement):
    """Return the expected gradient of a part, (outputs, size), with NaN for unknown entries."""
    claim = judgement.claim
    if part.name in judgement.comparisons:
        return judgement.comparisons[part.name].expected
    # If the gradient of the reference engine is right, it is the expected gradient.
    if isinstance(point, NetworkPoint) and claim.engine != "reference":
        reference = Judgement(Claim(point.reference_gradient, claim.method))
        judge_directions(point, [part], [reference])
        if not reference.failed():
            return point.reference_gradient[:, part.span]
    expected = np.full((len(claim.gradient), part.size), np.nan)
    # differences require many values
    count = SAMPLE if claim.method == "complex step" else SAMPLE // 8
    indices = np.sort(np.random.default_rng(3).permutation(part.size)[:count])
    unlimited = Claim(claim.gradient, claim.method)
    [comparison] = compare_entries(point, part, [unlimited], indices)
    expected[:, indices] = comparison.expected
    if indices.size == part.size:
        judgement.comparisons[part.name] = comparison
    return expected


def _pattern(
    point: Point, name: str, judgement: Judgement, expected: ndarray, precision: float
):
    """Describe the pattern of the errors of a part, or return an empty string."""
    part = point.part(name)
    # A Jacobian has shape (outputs, entries).
    shape = (prod(point.outputs), part.size) if point.outputs else part.shape
    wrong = None
    if name in judgement.comparisons:
        wrong = judgement.comparisons[name].wrong.ravel()
    return pattern(
        judgement.claim.gradient[:, part.span].ravel(),
        expected.ravel(),
        shape,
        rows=point.rows,
        precision=precision,
        wrong=wrong,
    )


def _common_ratio(point: Point, claim: Claim, expected: Expected, precision: float):
    """Describe the ratio of given to expected entries if all parts have the same ratio, or return an empty string."""
    ratios = []
    large_entries = 0
    for name, entries in expected.items():
        given = claim.gradient[:, point.part(name).span]
        constant = ratio(given, entries, precision)
        if constant is None:
            return ""
        ratios.append(constant)
        large_entries += count_large(entries)
    if np.ptp(ratios) > max(precision, 1e-9) * np.abs(ratios).max():
        return ""
    return ratio_in_words(ratios[0], point.rows, precision, large_entries)


def _cause(point: NetworkPoint, claim: Claim, expected: Expected, precision: float):
    """Describe the mistake in the network that causes the errors, or return an empty string."""
    if claim.engine == "reference":
        return mixed_rows(point) or "; ".join(wrong_layers(point))
    if precision <= COARSE:
        with suppress(Exception):  # a user-defined layer may raise any exception
            return _fault(point, claim.gradient[0], expected, precision)
    return ""


def _fault(point: NetworkPoint, given: ndarray, expected: Expected, precision: float):
    """Describe the known mistake that reproduces the given gradient, or return an empty string."""
    for words, faulty in planted_faults(point):
        is_reproduced = all(
            same(given[part.span], faulty[part.span], precision) for part in point.parts
        )
        if not is_reproduced:
            continue
        # a mistake without an effect on the failed parts explains nothing
        for name, entries in expected.items():
            if not same(faulty[point.part(name).span], entries[0], precision):
                return words
    return ""


def _location(point: NetworkPoint, judgement: Judgement):
    """Describe where the backward pass goes wrong, based on the failed parts, or return an empty string."""
    wrong = []
    right = []
    for row in judgement.rows.values():
        parts = wrong if row.verdict is Verdict.FAIL else right
        parts.append(point.part(row.name))
    only_biases = all(part.name.endswith(" b") for part in wrong)
    if only_biases and any(part.name.endswith(" W") for part in right):
        return "only biases are wrong" if len(wrong) > 1 else "only this bias is wrong"
    # a wrong delta makes most entries of a part wrong
    for row in judgement.failed():
        if row.wrong is not None and 2 * row.wrong <= prod(row.shape):
            return ""
    # The backward pass runs from the last layer to the first.
    last_wrong = max(part.layer or 0 for part in wrong)
    first_right = min((part.layer or 0 for part in right), default=0)
    if first_right <= last_wrong:
        return ""
    names = layer_names(point.network)
    first_suspect = names[max(first_right - 1, last_wrong)]
    return (
        f"the backward pass is right down to {names[first_right]} and wrong from"
        f" {first_suspect} on: check its derivative and the delta that layer"
        f" {first_right} passes back"
    )
