"""Metrics of a test, each with a bootstrap interval.

A metric here is a function of the rows' counts. Its value is that with every row counted once; its interval comes from
counts of random draws with replacement, the same draws for all metrics. So a difference of two metrics is a metric too,
whose interval is that of paired draws.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

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
