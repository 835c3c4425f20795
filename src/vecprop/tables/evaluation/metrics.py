"""Metrics of predictions, of classes, numbers and quantiles, each with a bootstrap interval.

A metric here is a function of the rows' counts. Its value is that with every row counted once; its interval comes from
counts of random draws with replacement, the same draws for all metrics. So a difference of two metrics is a metric too,
whose interval is that of paired draws.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

from ...core.losses import Quantile
from ..explaining.importance import SMALLEST

T = TypeVar("T")
ENTRIES = 10_000_000
"""The largest number of counts, draws times rows, that are drawn, which bounds the time of a bootstrap."""
AT_ONCE = 500_000
"""The largest number of counts that are in memory at once."""

Metric = Callable[[np.ndarray], np.ndarray]
"""From counts of rows (B, N) to values (B,)."""
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Parameters
    ----------
    low, high : float
        The 95 % interval, from 1,000 bootstrap samples of the rows, or fewer, at least 200, of many rows. Rows that
        belong together are drawn together.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "undefined"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def __neg__(self) -> "Estimate":
        return Estimate(-self.value, -self.high, -self.low)

    def overlaps(self, other: "Estimate") -> bool:
        """Return whether two intervals have a number in common.

        Examples
        --------
        >>> Estimate(1, 0, 2).overlaps(Estimate(3, 2, 4)), Estimate(1, 0, 2).overlaps(Estimate(4, 3, 5))
        (True, False)
        """
        return self.low <= other.high and other.low <= self.high


Scores = dict[str, dict[str, Estimate]]
"""The metrics of each model or baseline, by their names."""


def estimates(
    metrics: Mapping[Name, Metric], weight: np.ndarray, seed: int = 0, groups: np.ndarray | None = None
) -> dict[Name, Estimate]:
    """Return metrics of rows with their intervals.

    Examples
    --------
    >>> right = np.arange(100) < 80
    >>> print(estimates({"accuracy": mean(right)}, np.ones(100))["accuracy"])
    0.8 (0.72 to 0.88)
    >>> print(estimates({"accuracy": mean(right)}, np.ones(100), groups=np.arange(100) // 20)["accuracy"])
    0.8 (0.4 to 1)
    """
    rng, rows = np.random.default_rng(seed), len(weight)
    units = rows if groups is None else groups.max() + 1
    draws = min(max(ENTRIES // rows, 200), 1000)
    values: dict[Name, list[np.ndarray]] = {name: [] for name in metrics}
    at_once = max(AT_ONCE // rows, 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may lack a class, or have one value alone
        for first in range(0, draws, at_once):
            several = range(min(at_once, draws - first))
            drawn = np.stack([np.bincount(rng.integers(units, size=units), minlength=units) for _ in several])
            counts = (drawn if groups is None else drawn[:, groups]) * weight
            for name, metric in metrics.items():
                values[name].append(metric(counts))
        whole = {name: float(metric(weight[None])[0]) for name, metric in metrics.items()}
    return {name: Estimate(whole[name], *_interval(np.concatenate(values[name]))) for name in metrics}


def _interval(values: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def mean(values: np.ndarray) -> Metric:
    """Return the metric that is the mean of a number of each row."""
    return lambda counts: counts @ values / counts.sum(axis=1)


def difference(one: Metric, other: Metric) -> Metric:
    """Return the metric that is the difference of two."""
    return lambda counts: one(counts) - other(counts)


TITLES = {
    "log_loss": "log loss",
    "d2_log_loss": "D² of log loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "average_precision": "PR AUC",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "pinball_loss": "quantile loss",
    "share_below": "share below",
    "coverage": "coverage",
    "width": "width",
}
OF_POSITIVE = {"average_precision", "f1", "precision", "recall"}
"""The metrics that are about the positive class of two."""


def metrics_of_classes(
    y: np.ndarray,
    P: np.ndarray,
    predicted: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    positive: int = 1,
) -> dict[str, Metric]:
    """Return the metrics of probabilities.

    Returns
    -------
    dict of str to callable
        "log_loss" in nats, "d2_log_loss" (the share by which it is below that of the rows' own frequencies of classes),
        "accuracy", "balanced_accuracy" (the mean over the classes of the test of the share of rows that are right);
        for two classes "roc_auc" and "average_precision"; "f1", "precision" and "recall", of the positive class of two,
        or the mean over all classes.

    Examples
    --------
    >>> y, P = np.array([0, 1, 1]), np.array([[0.5, 0.5], [0.0, 1.0], [0.75, 0.25]])
    >>> {name: metric(np.ones((1, 3))).round(4).item() for name, metric in metrics_of_classes(y, P).items()}
    {'log_loss': 0.6931, 'd2_log_loss': -0.089, 'accuracy': 0.6667, 'balanced_accuracy': 0.75, 'roc_auc': 0.5,
     'average_precision': 0.8333, 'f1': 0.6667, 'precision': 1.0, 'recall': 0.5}
    """
    known = np.where(y < 0, 0, y)
    chance = np.where(y < 0, 0.0, P[np.arange(len(y)), known])
    decided = P.argmax(axis=1) if predicted is None else predicted
    right = decided == y
    log_loss = _remembered(mean(-np.log(np.clip(chance, SMALLEST, 1))))
    numbers = np.unique(y, return_inverse=True)[1]
    sums = np.bincount(numbers, weight)[numbers]
    frequency = np.where(sums > 0, sums, 1) / (len(y) if weight is None else weight.sum())
    null = mean(-np.log(frequency))
    metrics: dict[str, Metric] = {
        "log_loss": log_loss,
        "d2_log_loss": lambda counts: np.round(1 - log_loss(counts) / _if_any(null(counts)), 12) + 0.0,  # no -0
        "accuracy": mean(right),
        "balanced_accuracy": _mean_of_classes(right, y),
    }
    if P.shape[1] == 2 and y.min() >= 0:
        metrics |= _of_ranks(P[:, positive], y == positive)
    both = (y == positive, decided == positive) if P.shape[1] == 2 else (y, decided)
    return metrics | _of_decisions(*both)


def metrics_of_numbers(y: np.ndarray, prediction: np.ndarray) -> dict[str, Metric]:
    """Return the metrics of predicted numbers: "rmse", "mae" and "r2".

    Examples
    --------
    >>> metrics = metrics_of_numbers(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    >>> {name: metric(np.ones((1, 3))).round(4).item() for name, metric in metrics.items()}
    {'rmse': 1.1547, 'mae': 0.6667, 'r2': -1.0}
    """
    error = y - prediction
    squares = mean(error**2)

    def variance(counts: np.ndarray) -> np.ndarray:
        middle = mean(y)(counts)[:, None]
        return (counts * (y - middle) ** 2).sum(axis=1) / counts.sum(axis=1)

    return {
        "rmse": lambda counts: np.sqrt(squares(counts)),
        "mae": mean(np.abs(error)),
        "r2": lambda counts: 1 - squares(counts) / _if_any(variance(counts)),
    }


def metrics_of_quantiles(y: np.ndarray, Y: np.ndarray, levels: Sequence[float]) -> dict[str, Metric]:
    """Return the metrics of predicted quantiles.

    Returns
    -------
    dict of str to callable
        "pinball_loss", the mean quantile loss over rows and levels; for one level "share_below", the share of the
        numbers that are not above the prediction; for three levels "mae" of the middle one, "coverage", the share of
        the numbers within intervals, and their mean "width".

    Examples
    --------
    >>> Y = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    >>> metrics = metrics_of_quantiles(np.array([1.0, 3.0]), Y, levels=[0.1, 0.5, 0.9])
    >>> {name: metric(np.ones((1, 2))).round(4).item() for name, metric in metrics.items()}
    {'pinball_loss': 0.4, 'mae': 1.0, 'coverage': 0.5, 'width': 2.0}
    """
    losses = [Quantile(level).element(of, y) for of, level in zip(Y.T, levels, strict=True)]
    loss = {"pinball_loss": mean(np.mean(losses, axis=0))}
    if len(levels) == 1:
        return loss | {"share_below": mean(y <= Y[:, 0])}
    low, middle, high = Y.T
    return loss | {
        "mae": mean(np.abs(y - middle)),
        "coverage": mean((low <= y) & (y <= high)),
        "width": mean(high - low),
    }


MOST_DENSE = 32
"""Rows of more labels than this are summed by a sparse matrix."""


def _sums(labels: np.ndarray, count: int) -> Metric:
    """Return the function from counts of rows (B, N) to their sums over the rows of each label, (B, count)."""
    if count <= MOST_DENSE:
        is_of = (labels[:, None] == np.arange(count)).astype(float)
        return lambda counts: counts @ is_of
    rows = np.arange(len(labels))
    of_label = sparse.csr_array((np.ones(len(labels)), (labels, rows)), shape=(count, len(labels)))
    return lambda counts: (of_label @ counts.T).T


def _remembered(function: Callable[[np.ndarray], T]) -> Callable[[np.ndarray], T]:
    """Return a function that keeps its value for the latest counts, which several metrics need."""
    latest: list[Any] = [None, None]

    def value(counts: np.ndarray) -> T:
        if latest[0] is not counts:
            latest[:] = counts, function(counts)
        return latest[1]

    return value


def _mean_of_classes(right: np.ndarray, y: np.ndarray) -> Metric:
    """Return the metric of balanced accuracy: the mean over classes of the share of rows that are right."""
    classes, numbers = np.unique(y, return_inverse=True)
    sums = _sums(numbers, len(classes))

    def metric(counts: np.ndarray) -> np.ndarray:
        shares = sums(counts * right) / sums(counts)
        return np.nansum(shares, axis=1) / (~np.isnan(shares)).sum(axis=1)

    return metric


def _of_decisions(y: np.ndarray, predicted: np.ndarray) -> dict[str, Metric]:
    """Return the metrics of decisions: of True if they are truth values, else the mean over classes that are there."""
    classes, numbers = np.unique(np.concatenate([y, predicted]), return_inverse=True)
    truth, decided = np.split(numbers, 2)
    there, said = _sums(truth, len(classes)), _sums(decided, len(classes))
    is_meant = classes.astype(bool) if y.dtype == bool else np.ones(len(classes), bool)
    all_sums = _remembered(lambda counts: (there(counts * (truth == decided)), there(counts), said(counts)))

    def metric(of: Callable[..., np.ndarray]) -> Metric:
        def value(counts: np.ndarray) -> np.ndarray:
            sums = all_sums(counts)
            is_there = is_meant & (sums[1] + sums[2] > 0)
            return np.where(is_there, np.nan_to_num(of(*sums)), 0).sum(axis=1) / is_there.sum(axis=1)

        return value

    # From the sums of the rows of a class that are right, of its rows, and of those predicted so; 0 for 0 / 0.
    return {
        "f1": metric(lambda right, there, said: 2 * right / (there + said)),
        "precision": metric(lambda right, there, said: right / said),
        "recall": metric(lambda right, there, said: right / there),
    }


def _of_ranks(score: np.ndarray, is_positive: np.ndarray) -> dict[str, Metric]:
    """Return the metrics of how scores rank rows."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    is_positive = is_positive[order]

    def by_score(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positive and the negative rows of each score, from the highest on."""
        counts = counts[:, order]
        positive = np.add.reduceat(counts * is_positive, starts, axis=1)
        return positive, np.add.reduceat(counts, starts, axis=1) - positive

    both = _remembered(by_score)

    def area_under_roc(counts: np.ndarray) -> np.ndarray:
        """Return the chance that a positive row scores above a negative one, ties halved."""
        positive, negative = both(counts)
        above = np.cumsum(positive, axis=1) - positive / 2
        return (above * negative).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))

    def average_precision(counts: np.ndarray) -> np.ndarray:
        """Return the mean over positive rows of the share of positive ones among rows that score as high or higher."""
        positive, negative = both(counts)
        above = np.cumsum(positive, axis=1)
        share = np.nan_to_num(above / (above + np.cumsum(negative, axis=1)))
        return (positive * share).sum(axis=1) / above[:, -1]

    return {"roc_auc": area_under_roc, "average_precision": average_precision}


def _if_any(values: np.ndarray) -> np.ndarray:
    """Return what is to be explained; nan if there is nothing, so that no share of it is defined."""
    return np.where(values > 0, values, np.nan)


def title(metric: str, positive: Any = None) -> str:
    """Return the title of a metric, with the positive class that it is about; None if there are not two classes.

    Examples
    --------
    >>> title("f1", "fraud"), title("accuracy", "fraud"), title("f1")
    ("F1 of 'fraud'", 'accuracy', 'F1')
    """
    return TITLES[metric] + (f" of {positive!r}" if positive is not None and metric in OF_POSITIVE else "")


def columns_of_text(rows: list[list[str]]) -> str:
    """Return rows of cells as text in which columns stand below each other.

    Examples
    --------
    >>> print(columns_of_text([["a", "b"], ["long", "c"]]))
    a     b
    long  c
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
