"""The accuracy, the typical error or the coverage of a model in plain words."""

from typing import Any

import numpy as np

from ...system.estimates import Estimate, compared, percents
from ..ensemble.calibration import positive_of, score_of
from ..objectives import levels_of, objective_of
from .baselines import NAIVE
from .verdict import How

SEEN: dict[How, str] = {
    "table": "rows",
    "test": "unseen rows",
    "out of fold": "rows, each predicted by networks that were trained without it",
    "cross-validation": "rows, each predicted by a model that was trained without it",
}
"""How the rows of a summary were predicted."""
RARE = 0.2
"""For a positive class below this share of the rows, the summary also counts hits
and false alarms.
"""


def summary_of(measured) -> str:
    """Return the accuracy, the typical error or the coverage of a model in plain words."""
    count = len(measured.truth)
    rows = f"{count:,} {SEEN[measured.how]}"
    if count == 1:
        rows = rows.replace("rows", "row")
    if measured.trained_on:
        rows += f" ({measured.trained_on:,} of them duplicate training rows)"
    if measured.is_classifier:
        summary = _summary_of_classes(measured, rows)
    elif "share_below" in measured.metrics:
        share, wanted = percents(
            measured.metrics["share_below"].value, levels_of(measured.model)[0]
        )
        summary = (
            f"Of {rows}, {share} have a target of at most the predicted quantile, and"
            f" {wanted} should."
        )
    else:
        summary = _summary_of_numbers(measured, rows)
    metric = getattr(measured.model, "metric", None)
    if metric is not None:
        summary += f" The metric {_name_of(metric)} is {_score(measured):.3g}."
    has_weights = measured.weight.min() < measured.weight.max()
    return f"{summary} Rows count by their weight." if has_weights else summary


def _summary_of_classes(measured, rows: str) -> str:
    names = measured.model.classes_.tolist()
    is_known = measured.truth >= 0
    counts = np.bincount(
        measured.truth[is_known], measured.weight[is_known], minlength=len(names)
    )
    right, guess = percents(
        measured.metrics["accuracy"].value, counts.max() / measured.weight.sum()
    )
    summary = (
        f"Of {rows}, {right} are classified correctly; always predicting"
        f" {names[counts.argmax()]!r} gets {guess}."
    )
    if len(names) > 2:
        return summary
    positive = positive_of(measured.model)
    if not 0 < counts[positive] <= RARE * counts.sum():
        return summary
    is_positive = measured.truth == positive
    is_alarm = measured.decided == positive
    hits = (
        f"{np.sum(is_positive & is_alarm):,} of {is_positive.sum():,} rows of class"
        f" {names[positive]!r} are found"
    )
    false_alarms = np.sum(is_alarm & ~is_positive)
    alarms = "1 false alarm" if false_alarms == 1 else f"{false_alarms:,} false alarms"
    return f"{summary} {hits}, with {alarms}."


def _summary_of_numbers(measured, rows: str) -> str:
    is_interval = "coverage" in measured.metrics
    objective = objective_of(measured.model)
    constant = "median" if is_interval else objective.words.constant
    error, naive_error = compared([measured.metrics["mae"], _naive_error(measured)])
    errors = (
        f"predictions are off by {error.value} on average; always predicting the"
        f" {constant} is off by {naive_error.value}."
    )
    if "d2" in measured.metrics:
        errors += (
            f" The mean {objective.words.loss} is {measured.metrics[measured._loss]},"
            f" with a D² of {measured.metrics['d2']}."
        )
    if not is_interval:
        return f"On {rows}, {errors}"
    low, _, high = levels_of(measured.model)
    share, wanted = percents(measured.metrics["coverage"].value, high - low)
    return (
        f"Of {rows}, {share} have a target within the predicted interval, which should"
        f" contain {wanted}. The {errors}"
    )


def _naive_error(measured) -> Estimate:
    """Return the mean absolute error of the naive baseline, or else of the best constant for the scored rows."""
    if NAIVE in measured.baselines:
        return measured.baselines[NAIVE]["mae"]
    truth = measured.truth
    constant = objective_of(measured.model).best_constant(truth, measured.weight)
    errors = np.abs(truth - constant)
    return Estimate(float(np.average(errors, weights=measured.weight)))


def _name_of(metric: Any) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", "")


def _score(measured) -> float:
    """Return the metric of a model for the scored rows of known classes."""
    model = measured.model
    truth = measured.truth
    is_known = np.full(len(truth), True)
    if measured.is_classifier:
        is_known = truth >= 0
        truth = model.classes_[truth]
    weight = measured.weight[is_known]
    threshold = getattr(model, "threshold_", None)
    predicted = measured.predicted[is_known]
    return score_of(model, truth[is_known], predicted, weight, threshold)
