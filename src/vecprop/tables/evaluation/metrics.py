"""Metrics of predicted classes, numbers and quantiles, each with a bootstrap interval.

A set of metrics is a function from row counts to values. Metrics are evaluated with
each row counted once, and on bootstrap samples, which are the same for all metrics. The
interval of a difference of two metrics is therefore paired.
"""

import sys
from collections.abc import Callable, Hashable, Sequence
from math import isfinite
from shutil import get_terminal_size
from statistics import mean, stdev
from typing import TypeVar

import numpy as np
from numpy import ndarray
from scipy import sparse

from ...core.losses import Quantile
from ...system.estimates import Estimate, NumberFormat
from ..explaining.importance import MIN_LOSS_PROBABILITY
from ..objectives import SQUARED, Objective

ENTRIES = 10_000_000
"""Maximum number of bootstrap samples times rows, to bound the running time."""
AT_ONCE = 500_000
"""Maximum number of row counts in memory."""

ROUNDING = 1e-13
"""Targets whose standard deviation relative to the largest target is smaller are
constant except for rounding.
"""

Name = TypeVar("Name", bound=Hashable)
Metrics = Callable[[ndarray], dict[Name, ndarray]]
"""A function that maps the counts of N rows in B samples, (B, N), to the B values of
each metric.
"""


Scores = dict[str, dict[str, Estimate]]
"""The metrics of each model or baseline, by name."""


def estimates(
    metrics: Metrics[Name],
    weight: ndarray,
    seed: int = 0,
    groups: ndarray | None = None,
) -> dict[Name, Estimate]:
    """Return metrics of weighted rows with bootstrap intervals.

    Samples contain whole groups. ``groups`` contains a group number, from 0, for each row.

    Examples
    --------
    >>> metrics = metrics_of_numbers(np.zeros(100), np.arange(100) < 20)
    >>> print(estimates(metrics, np.ones(100))["mae"])
    0.20 (0.12 to 0.28)
    >>> print(estimates(metrics, np.ones(100), groups=np.arange(100) // 20)["mae"])
    0.2 (0.0 to 0.6)
    """
    rows = len(weight)
    units = rows if groups is None else groups.max() + 1
    samples = min(max(ENTRIES // rows, 200), 1000)
    samples_at_once = max(AT_ONCE // rows, 1)
    rng = np.random.default_rng(seed)
    chunks = []
    # a sample may lack a class, or be constant
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, samples, samples_at_once):
            size = min(samples_at_once, samples - start)
            drawn_units = rng.integers(units, size=(size, units))
            counts = np.stack(
                [np.bincount(sample, minlength=units) for sample in drawn_units]
            )
            if groups is not None:
                counts = counts[:, groups]
            chunks.append(metrics(counts * weight))
        values = metrics(weight[None])
    result = {}
    for name, (value,) in values.items():
        result[name] = Estimate(float(value))
        sampled = np.concatenate([chunk[name] for chunk in chunks])
        sampled = sampled[np.isfinite(sampled)]
        if units > 1 and np.isfinite(value) and len(sampled):
            low, high = np.quantile(sampled, (0.025, 0.975)).tolist()
            result[name] = Estimate(float(value), low, high)
    return result


TITLES = {
    "d2_log_loss": "D² of log loss",
    "roc_auc": "ROC AUC",
    "average_precision": "PR AUC",
    "f1": "F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "d2": "D²",
    "huber_loss": "Huber loss",
    "pinball_loss": "quantile loss",
}
"""Titles of metrics that differ from their names."""
OF_POSITIVE = {"average_precision", "f1", "precision", "recall"}
"""The metrics that depend on the choice of the positive class."""


def metrics_of_classes(
    y: ndarray,
    P: ndarray,
    predicted: ndarray | None = None,
    weight: ndarray | None = None,
    positive: int = 1,
) -> Metrics[str]:
    """Return the metrics of predicted probabilities.

    Returns
    -------
    callable
        "log_loss" in nats, "d2_log_loss" (its relative reduction compared with the
        class frequencies of these rows), "accuracy", "balanced_accuracy" (the mean
        recall); for two classes also "roc_auc" and "average_precision"; "f1",
        "precision" and "recall" of the positive class, or macro averages if there are
        more than two classes.

    Examples
    --------
    >>> y, P = np.array([0, 1, 1]), np.array([[0.5, 0.5], [0.0, 1.0], [0.75, 0.25]])
    >>> {name: values.round(4).item() for name, values in metrics_of_classes(y, P)(np.ones((1, 3))).items()}
    {'log_loss': 0.6931, 'd2_log_loss': -0.089, 'accuracy': 0.6667, 'balanced_accuracy': 0.75, 'roc_auc': 0.5,
     'average_precision': 0.8333, 'f1': 0.6667, 'precision': 1.0, 'recall': 0.5}
    """
    weight = np.ones(len(y)) if weight is None else weight
    chance = np.where(y < 0, 0.0, P[np.arange(len(y)), np.maximum(y, 0)])
    losses = -np.log(np.clip(chance, MIN_LOSS_PROBABILITY, 1))
    decided = P.argmax(axis=1) if predicted is None else predicted
    is_right = decided == y
    classes, numbers = np.unique(y, return_inverse=True)
    class_weight = np.bincount(numbers, weight)[numbers]
    naive_losses = -np.log(np.where(class_weight > 0, class_weight, 1) / weight.sum())
    if len(classes) == 1:
        # exactly, although the sum of weights is rounded
        naive_losses = np.zeros(len(y))
    sums = _sums(numbers, len(classes))
    more_metrics = [_decisions(y, decided)]
    if P.shape[1] == 2:
        more_metrics = [_decisions(y == positive, decided == positive)]
        if y.min() >= 0:
            more_metrics.insert(0, _ranks(P[:, positive], y == positive))

    def metrics(counts: ndarray) -> dict[str, ndarray]:
        rows = counts.sum(axis=1)
        log_loss = counts @ losses / rows
        recalls = sums(counts * is_right) / sums(counts)
        values = {
            "log_loss": log_loss,
            # no -0
            "d2_log_loss": (
                np.round(1 - log_loss / _if_above(counts @ naive_losses / rows), 12)
                + 0.0
            ),
            "accuracy": counts @ is_right / rows,
            "balanced_accuracy": (
                np.nansum(recalls, axis=1) / (~np.isnan(recalls)).sum(axis=1)
            ),
        }
        for function in more_metrics:
            values |= function(counts)
        return values

    return metrics


def metrics_of_numbers(
    y: ndarray,
    prediction: ndarray,
    objective: Objective = SQUARED,
    weight: ndarray | None = None,
) -> Metrics[str]:
    """Return the metrics of predicted numbers: "rmse", "mae" and "r2".

    For other objectives, the metrics are the mean loss, "d2" (its relative reduction
    compared with the best constant for these rows), "rmse" and "mae".

    Examples
    --------
    >>> metrics = metrics_of_numbers(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    >>> {name: values.round(4).item() for name, values in metrics(np.ones((1, 3))).items()}
    {'rmse': 1.1547, 'mae': 0.6667, 'r2': -1.0}
    """
    error = y - prediction
    constant = np.full(len(y), objective.best_constant(y, weight))
    losses = objective.row_losses(y, prediction)
    naive_losses = objective.row_losses(y, constant)
    least = (ROUNDING * np.abs(y).max()) ** 2

    def metrics(counts: ndarray) -> dict[str, ndarray]:
        rows = counts.sum(axis=1)
        mean_square = counts @ error**2 / rows
        mean = (counts @ y / rows)[:, None]
        variance = (counts * (y - mean) ** 2).sum(axis=1) / rows
        values = {
            "rmse": np.sqrt(mean_square),
            "mae": counts @ np.abs(error) / rows,
        }
        if objective == SQUARED:
            return values | {"r2": 1 - mean_square / _if_above(variance, least)}
        loss = counts @ losses / rows
        explained = 1 - loss / _if_above(counts @ naive_losses / rows)
        return {objective.words.metric: loss, "d2": explained} | values

    return metrics


def metrics_of_quantiles(
    y: ndarray, Y: ndarray, levels: Sequence[float]
) -> Metrics[str]:
    """Return the metrics of predicted quantiles.

    Returns
    -------
    callable
        "pinball_loss", the mean quantile loss over rows and levels. One level adds
        "share_below", the share of targets that do not exceed the prediction. Three
        levels add the "mae" of the middle level, and the "coverage" and mean "width" of
        the intervals.

    Examples
    --------
    >>> Y = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    >>> metrics = metrics_of_quantiles(np.array([1.0, 3.0]), Y, levels=[0.1, 0.5, 0.9])
    >>> {name: values.round(4).item() for name, values in metrics(np.ones((1, 2))).items()}
    {'pinball_loss': 0.4, 'mae': 1.0, 'coverage': 0.5, 'width': 2.0}
    """
    losses = [
        Quantile(level).element(quantile, y)
        for quantile, level in zip(Y.T, levels, strict=True)
    ]
    row_values = {"pinball_loss": np.mean(losses, axis=0)}
    if len(levels) == 1:
        row_values["share_below"] = y <= Y[:, 0]
    else:
        low, middle, high = Y.T
        row_values["mae"] = np.abs(y - middle)
        row_values["coverage"] = (low <= y) & (y <= high)
        row_values["width"] = high - low

    def metrics(counts: ndarray) -> dict[str, ndarray]:
        return {
            name: counts @ values / counts.sum(axis=1)
            for name, values in row_values.items()
        }

    return metrics


MAX_DENSE = 32
"""Above this number of labels, sums are computed with a sparse matrix."""


def _sums(labels: ndarray, count: int) -> Callable[[ndarray], ndarray]:
    """Return a function that sums row counts of shape (B, N) for each label and returns shape (B, count)."""
    if count <= MAX_DENSE:
        one_hot = (labels[:, None] == np.arange(count)).astype(float)
        return lambda counts: counts @ one_hot
    rows = np.arange(len(labels))
    sparse_one_hot = sparse.csr_array(
        (np.ones(len(labels)), (labels, rows)), shape=(count, len(labels))
    )
    return lambda counts: (sparse_one_hot @ counts.T).T


def _decisions(y: ndarray, predicted: ndarray) -> Metrics[str]:
    """Return F1, precision and recall, for the class True if y is Boolean and averaged over classes otherwise."""
    classes, numbers = np.unique(np.concatenate([y, predicted]), return_inverse=True)
    truth, decided = np.split(numbers, 2)
    sum_by_truth = _sums(truth, len(classes))
    sum_by_decision = _sums(decided, len(classes))
    is_averaged = np.ones(len(classes), bool)
    undefined = 0.0  # as in scikit-learn, averages count undefined values as 0
    if y.dtype == bool:
        is_averaged = classes.astype(bool)
        undefined = np.nan

    def metrics(counts: ndarray) -> dict[str, ndarray]:
        right = sum_by_truth(counts * (truth == decided))
        relevant = sum_by_truth(counts)
        retrieved = sum_by_decision(counts)
        ratios = {
            "f1": 2 * right / (relevant + retrieved),
            "precision": right / retrieved,
            "recall": right / relevant,
        }
        occurs = is_averaged & (relevant + retrieved > 0)
        means = {}
        for name, values in ratios.items():
            defined = np.where(np.isnan(values), undefined, values)
            means[name] = np.where(occurs, defined, 0).sum(axis=1) / occurs.sum(axis=1)
        return means

    return metrics


def _ranks(score: ndarray, is_positive: ndarray) -> Metrics[str]:
    """Return the metrics of a ranking by scores."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    is_positive = is_positive[order]

    def metrics(counts: ndarray) -> dict[str, ndarray]:
        counts = counts[:, order]
        # for each score, in descending order
        positive = np.add.reduceat(counts * is_positive, starts, axis=1)
        negative = np.add.reduceat(counts, starts, axis=1) - positive
        above = np.cumsum(positive, axis=1)
        # The probability that a positive row has a higher score than a negative one,
        # where ties count half.
        area = ((above - positive / 2) * negative).sum(axis=1) / (
            positive.sum(axis=1) * negative.sum(axis=1)
        )
        # The precision of each score as a threshold.
        share = np.nan_to_num(above / (above + np.cumsum(negative, axis=1)))
        return {
            "roc_auc": area,
            "average_precision": (positive * share).sum(axis=1) / above[:, -1],
        }

    return metrics


def _if_above(values: ndarray, least: float = 0.0) -> ndarray:
    """Replace values that are not above ``least`` by nan, so that ratios are undefined."""
    return np.where(values > least, values, np.nan)


def title(metric: str, positive=None) -> str:
    """Return the title of a metric, which names the positive class if the metric depends on it.

    Examples
    --------
    >>> title("f1", "fraud"), title("accuracy", "fraud"), title("f1")
    ("F1 of 'fraud'", 'accuracy', 'F1')
    """
    name = TITLES.get(metric, metric.replace("_", " "))
    if positive is not None and metric in OF_POSITIVE:
        name += f" of {positive!r}"
    return name


def spreads(folds: Sequence[list[float]]) -> list[str]:
    """Return the mean and the standard deviation of each model's values on folds, as text with equal decimals.

    Fewer than two finite values are undefined. A deviation within rounding errors
    becomes 0.

    Examples
    --------
    >>> spreads([[1.0, 2.0, 3.0, float("nan")], [1.0], [0.1, 0.1 + 2e-17, 0.3 - 0.2]])
    ['2.0 ± 1.0', 'undefined', '0.1 ± 0.0']
    """
    estimates = []
    for values in folds:
        finite = list(filter(isfinite, values))
        if len(finite) < 2:
            estimates.append(Estimate(float("nan")))
            continue
        center = mean(finite)
        deviation = stdev(finite)
        if deviation <= 1e-12 * abs(center):
            deviation = 0.0
        estimates.append(Estimate(center, center - deviation, center + deviation))
    form = NumberFormat.of(estimates)
    texts = []
    for estimate in estimates:
        text = form(estimate.value)
        if isfinite(estimate.value):
            text += f" ± {form(estimate.high - estimate.value)}"
        texts.append(text)
    return texts


def columns_of_text(rows: list[list[str]]) -> str:
    """Return rows of cells as text with aligned columns. In a narrow terminal, the last columns continue below.

    Examples
    --------
    >>> print(columns_of_text([["a", "b"], ["long", "c"]]))
    a     b
    long  c
    """
    line_width = sys.maxsize
    if sys.stdout.isatty():
        line_width = get_terminal_size().columns
    heading = ""
    if len(rows[0][0]) > line_width // 3:
        # the long heading of the first column gets a separate line
        heading = rows[0][0] + "\n"
        rows = [["", *rows[0][1:]], *rows[1:]]
    columns = []
    for cells in zip(*rows, strict=True):
        width = max(map(len, cells))
        columns.append([cell.ljust(width) for cell in cells])
    labels = columns[0]
    lines = labels
    blocks = []
    for column in columns[1:]:
        wider = ["  ".join(cells) for cells in zip(lines, column, strict=True)]
        if len(wider[0]) > line_width and lines is not labels:
            blocks.append(lines)
            wider = ["  ".join(cells) for cells in zip(labels, column, strict=True)]
        lines = wider
    blocks.append(lines)
    texts = ["\n".join(map(str.rstrip, block)) for block in blocks]
    return heading + "\n\n".join(texts)
