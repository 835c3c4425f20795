"""Quantiles and intervals: how far off an ensemble is on rows that its members have not seen."""

from dataclasses import dataclass

import numpy as np

QUANTILES = 200
"""At most this many residuals of a member are kept: enough for intervals of up to 99 %, small enough for a file."""
_ROWS_AT_ONCE = 4096
"""Intervals are made for this many rows at a time, which bounds the memory of (rows, M, R) moved predictions."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """The residuals of each member on rows that it has not seen, from which CV+ makes intervals.

    If members predict one number y, a residual is |t - y| (Barber et al., 2021). If they predict two ends, it is
    max(low - t, t - high), which is negative between them (Romano et al., 2019).

    Examples
    --------
    >>> residuals = Residuals.of([np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])], [np.ones(3), np.ones(3)])
    >>> each = np.array([[10.0], [10.0]])
    >>> residuals.interval(each, each, coverage=0.5)
    array([[ 8., 12.]])
    """

    sizes: np.ndarray
    groups: float = float("inf")

    @classmethod
    def of(cls, distances: list[np.ndarray], weights: list[np.ndarray], groups: float = float("inf")) -> "Residuals":
        """Return quantiles of each member's residuals, given the weights of their rows."""
        count = min(QUANTILES, *map(len, distances))
        levels = (np.arange(count) + 0.5) / count
        each = zip(distances, weights, strict=True)
        return cls(np.stack([weighted_quantiles(of_member, levels, weight) for of_member, weight in each]), groups)

    def interval(self, low: np.ndarray, high: np.ndarray, coverage: float) -> np.ndarray:
        """Return the ends of intervals, (N, 2), given the members' predictions low and high, (M, N) each.

        If R_i is the residual of row i, and low_i and high_i are the predictions of the member that has not seen row i,
        the ends are the quantile of all low_i - R_i at 1 - level and that of all high_i + R_i at this level, see
        `level_for`. The targets of about the share ``coverage`` of new rows of the same kind lie between them, and at
        least 2 coverage - 1 of them, whatever the distribution.
        """
        level = level_for(coverage, self.groups)
        ends = [_quantiles(low, -self.sizes, 1 - level), _quantiles(high, self.sizes, level)]
        return np.stack(ends, axis=1)


def level_for(coverage: float, groups: float) -> float:
    """Return the level of the quantile of residuals for a coverage: (1 + 1/G) coverage with G groups, at most 1.

    A new group is one more beside the G whose residuals are known (Dunn et al., 2022; split conformal prediction).

    Examples
    --------
    >>> level_for(0.75, groups=3), level_for(0.75, groups=float("inf")), level_for(0.9, groups=2)
    (1.0, 0.75, 1.0)
    """
    require_share(coverage)
    return min(coverage * (1 + 1 / groups), 1.0)


def require_share(coverage: float) -> None:
    """Refuse a coverage that intervals cannot have."""
    if not (isinstance(coverage, float | np.floating) and 0.5 <= coverage < 1):
        raise ValueError(f"coverage={coverage!r} is not a share of at least ½ and less than 1.")


def _quantiles(each: np.ndarray, moves: np.ndarray, level: float) -> np.ndarray:
    """Return a quantile, for each row, of all sums of a member's prediction (M, N) and one of its moves (M, R)."""
    place, of_rows = place_of(level, moves.size), np.ascontiguousarray(each.T)
    found = np.empty(len(of_rows))
    for first in range(0, len(of_rows), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        moved = (of_rows[part, :, None] + moves).reshape(-1, moves.size)
        moved.partition(place, axis=1)
        found[part] = moved[:, place]
    return found


def place_of(level: float, count: int) -> int:
    """Return the index of a quantile among ``count`` sorted numbers: the first i with (i + 1) / count >= level.

    Examples
    --------
    >>> place_of(0.5, 4), place_of(0.51, 4), place_of(0.0, 4)
    (1, 2, 0)
    """
    return max(int(np.ceil(level * count)), 1) - 1


def weighted_quantiles(values: np.ndarray, levels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return quantiles of weighted values, interpolated between the middles of the weights: Hazen's if all are equal.

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 3.0]), np.array([0.5]), weights=np.array([1.0, 1.0, 2.0]))
    array([2.33333333])
    """
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return np.interp(levels, (cumulative - weights[order] / 2) / cumulative[-1], values[order])
