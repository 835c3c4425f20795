"""Metrics of predictions, each with a bootstrap interval.

A metric here is a function of the rows' counts. Its value is that with every row counted once; its interval comes from
counts of random draws with replacement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.losses import Quantile

ENTRIES = 10_000_000
"""The largest number of counts, draws times rows, that are drawn, which bounds the time of a bootstrap."""
SMALLEST = 1e-15
"""Probabilities are at least this in the log loss, which would else be infinite for one wrong row."""

TITLES = {
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "pinball_loss": "quantile loss",
    "share_below": "share below",
    "coverage": "coverage",
    "width": "width",
}

Metric = Callable[[np.ndarray], np.ndarray]
"""From counts of rows (B, N) to values (B,)."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Parameters
    ----------
    value : float
        The metric on all rows.
    low, high : float
        The 95 % interval, from 1,000 bootstrap samples of the rows, or fewer, at least 200, of many rows.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


Scores = dict[str, dict[str, Estimate]]
"""The metrics of each model or baseline, by their names."""


def scores_of_classes(
    y: np.ndarray, P: np.ndarray, weight: np.ndarray | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Return the metrics of probabilities.

    Parameters
    ----------
    y : ndarray of int (N,)
        The number of each row's class; -1 for a class that the model does not know.
    P : ndarray (N, C)
        The probability of each class.
    weight : ndarray (N,), optional
        The rows' weights; 1 by default.
    seed : int, default 0
        Fixes the bootstrap.

    Returns
    -------
    dict of str to Estimate
        "log_loss" in nats, "accuracy", "balanced_accuracy" (the mean over the classes of the test of the share of rows
        that are right), and for two classes "roc_auc".

    Examples
    --------
    >>> scores = scores_of_classes(np.array([0, 1, 1]), np.array([[0.5, 0.5], [0.0, 1.0], [0.75, 0.25]]))
    >>> {name: round(score.value, 4) for name, score in scores.items()}
    {'log_loss': 0.6931, 'accuracy': 0.6667, 'balanced_accuracy': 0.75, 'roc_auc': 0.5}
    """
    known = np.where(y < 0, 0, y)
    chance = np.where(y < 0, 0.0, P[np.arange(len(y)), known])
    right = P.argmax(axis=1) == y
    metrics: dict[str, Metric] = {
        "log_loss": _mean(-np.log(np.clip(chance, SMALLEST, 1))),
        "accuracy": _mean(right),
        "balanced_accuracy": _mean_of_classes(right, y),
    }
    if P.shape[1] == 2 and set(np.unique(y)) == {0, 1}:
        metrics["roc_auc"] = _area(P[:, 1], y == 1)
    return _estimates(metrics, np.ones(len(y)) if weight is None else weight, seed)


def scores_of_numbers(
    y: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Return the metrics of predicted numbers.

    Parameters
    ----------
    y, prediction : ndarray (N,)
        The numbers, and what was predicted.
    weight : ndarray (N,), optional
        The rows' weights; 1 by default.
    seed : int, default 0
        Fixes the bootstrap.

    Returns
    -------
    dict of str to Estimate
        "rmse", "mae" and "r2".

    Examples
    --------
    >>> scores = scores_of_numbers(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]))
    >>> {name: round(score.value, 4) for name, score in scores.items()}
    {'rmse': 1.1547, 'mae': 0.6667, 'r2': -1.0}
    """
    error = y - prediction
    squares = _mean(error**2)
    metrics: dict[str, Metric] = {
        "rmse": lambda counts: np.sqrt(squares(counts)),
        "mae": _mean(np.abs(error)),
        "r2": lambda counts: 1 - squares(counts) / _variance(y, counts),
    }
    return _estimates(metrics, np.ones(len(y)) if weight is None else weight, seed)


def scores_of_quantiles(
    y: np.ndarray, Y: np.ndarray, levels: Sequence[float], weight: np.ndarray | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """Return the metrics of predicted quantiles.

    Parameters
    ----------
    y : ndarray (N,)
        The numbers.
    Y : ndarray (N, L)
        The predicted quantile of each level.
    levels : sequence of float
        One level, or three in rising order: the lower end of intervals, the prediction, and the upper end.
    weight : ndarray (N,), optional
        The rows' weights; 1 by default.
    seed : int, default 0
        Fixes the bootstrap.

    Returns
    -------
    dict of str to Estimate
        "pinball_loss", the mean quantile loss over rows and levels; for one level "share_below", the share of the
        numbers that are not above the prediction; for three levels "mae" of the middle one, "coverage", the share of
        the numbers within intervals, and their mean "width".

    Examples
    --------
    >>> Y = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    >>> scores = scores_of_quantiles(np.array([1.0, 3.0]), Y, levels=[0.1, 0.5, 0.9])
    >>> {name: round(score.value, 4) for name, score in scores.items()}
    {'pinball_loss': 0.4, 'mae': 1.0, 'coverage': 0.5, 'width': 2.0}
    """
    losses = [Quantile(level).element(of, y) for of, level in zip(Y.T, levels, strict=True)]
    metrics = {"pinball_loss": _mean(np.mean(losses, axis=0))}
    if len(levels) == 1:
        metrics["share_below"] = _mean(y <= Y[:, 0])
    else:
        low, middle, high = Y.T
        metrics |= {
            "mae": _mean(np.abs(y - middle)),
            "coverage": _mean((low <= y) & (y <= high)),
            "width": _mean(high - low),
        }
    return _estimates(metrics, np.ones(len(y)) if weight is None else weight, seed)


def _estimates(metrics: dict[str, Metric], weight: np.ndarray, seed: int) -> dict[str, Estimate]:
    rng, rows = np.random.default_rng(seed), len(weight)
    draws = min(max(ENTRIES // rows, 200), 1000)
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    at_once = max(2_000_000 // rows, 1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may lack a class, or have one value alone
        for first in range(0, draws, at_once):
            drawn = [
                np.bincount(rng.integers(rows, size=rows), minlength=rows) for _ in range(min(at_once, draws - first))
            ]
            counts = np.stack(drawn) * weight
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


def _mean(values: np.ndarray) -> Metric:
    return lambda counts: counts @ values / counts.sum(axis=1)


def _mean_of_classes(right: np.ndarray, y: np.ndarray) -> Metric:
    """Return the metric of balanced accuracy: the mean over classes of the share of rows that are right."""
    of_class = [np.flatnonzero(y == one) for one in np.unique(y)]

    def metric(counts: np.ndarray) -> np.ndarray:
        shares = [counts[:, rows] @ right[rows] / counts[:, rows].sum(axis=1) for rows in of_class]
        is_there = ~np.isnan(shares)
        return np.nansum(shares, axis=0) / is_there.sum(axis=0)

    return metric


def _area(score: np.ndarray, is_positive: np.ndarray) -> Metric:
    """Return the area under the ROC curve: the chance that a positive row scores above a negative one, ties halved."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    place = np.empty(len(order), np.intp)  # of each row among the distinct scores
    place[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)

    def area(counts: np.ndarray) -> float:
        negative = np.bincount(place[negatives], counts[negatives], minlength=len(starts))
        below = np.cumsum(negative) - negative / 2
        return counts[positives] @ below[place[positives]] / (counts[positives].sum() * negative.sum())

    return lambda counts: np.array([area(of_draw) for of_draw in counts])


def _variance(y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    mean = _mean(y)(counts)[:, None]
    return (counts * (y - mean) ** 2).sum(axis=1) / counts.sum(axis=1)


def scores_as_text(scores: Scores, where: str) -> str:
    """Return a table of text with a row for each metric and a column for each model or baseline."""
    names = list(scores)
    first = next(iter(scores.values()))
    rows = [[f"{where} (95 % interval)", *names]]
    rows += [[TITLES[metric], *(str(scores[name][metric]) for name in names)] for metric in first]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
