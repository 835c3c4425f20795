"""Shares of rows with their intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...pictures.style import colour


def interval(count: int, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    Examples
    --------
    >>> [round(end, 2) for end in interval(9, 10)]
    [0.6, 0.98]
    """
    from scipy.stats import binomtest

    found = binomtest(count, rows).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def groups_by(x: np.ndarray, most: int) -> list[np.ndarray]:
    """Return the indices of rows in groups by a number, of about equal sizes; equal numbers are in one group.

    There are at most ``most`` groups, and ten rows for each.

    Examples
    --------
    >>> [group.tolist() for group in groups_by(np.repeat([3.0, 1.0], 10), 5)]
    [[10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    """
    count = min(most, max(len(x) // 10, 1))
    starts = np.quantile(x, np.arange(1, count) / count, method="higher")
    numbers = np.searchsorted(starts, x, side="right")
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def draw_shares(ax: Any, x: Sequence[float], counts: Sequence[int], rows: Sequence[int]) -> None:
    """Draw shares of rows as points with error bars."""
    shares = np.array(counts) / rows
    low, high = np.array([interval(count, of) for count, of in zip(counts, rows, strict=True)]).T
    ends = np.maximum([shares - low, high - shares], 0)
    ax.errorbar(x, shares, ends, marker="o", markersize=4, color=colour(1), linewidth=1.2, elinewidth=1)
