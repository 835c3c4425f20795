"""Calibration: how sure an ensemble may be, by predictions of rows that its members have not seen."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

_SMALLEST = 1e-30
_ROWS_AT_ONCE = 4096
QUANTILES = 200
"""How many residuals of a member are kept at most."""


def tempered(P: np.ndarray, sharpness: float) -> np.ndarray:
    """Return probabilities p^s / Σ p^s: the softmax of s times the logits, less sure for s < 1.

    Examples
    --------
    >>> tempered(np.array([[0.8, 0.2]]), sharpness=0.5).round(3)
    array([[0.667, 0.333]])
    """
    powers = np.maximum(P, _SMALLEST) ** sharpness
    return powers / powers.sum(axis=1, keepdims=True)


def log_loss(P: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the mean of -log p of the right classes, where rows may have weights.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])), 3)
    0.49
    """
    return float(np.average(-np.log(np.maximum(P[np.arange(len(P)), classes], _SMALLEST)), weights=weight))


def best_sharpness(P: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the sharpness with which probabilities have the lowest log loss (Guo et al., 2017), from 1/7 to 4.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1]] * 4)
    >>> round(best_sharpness(P, np.array([0, 0, 0, 1])), 2)
    0.5
    """

    def loss(a: float) -> float:
        return log_loss(tempered(P, np.exp(a)), classes, weight)

    found = minimize_scalar(loss, bounds=(-2, 1.4), method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True, eq=False)
class Residuals:
    """How far targets lay outside of what each member predicts for rows that it has not seen, for intervals by CV+.

    Of a member that predicts one number y that is |t - y| (Barber et al., 2021). Of one that predicts two ends it is
    max(low - t, t - high), less than 0 within (Romano et al., 2019).

    Parameters
    ----------
    sizes : ndarray (M, R)
        Quantiles of the distances of each member, at (r + ½) / R.

    Examples
    --------
    >>> residuals = Residuals.of([np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])], [np.ones(3), np.ones(3)])
    >>> each = np.array([[10.0], [10.0]])
    >>> residuals.interval(each, each, coverage=0.5)
    array([[ 8., 12.]])
    """

    sizes: np.ndarray

    @classmethod
    def of(cls, distances: list[np.ndarray], weights: list[np.ndarray]) -> "Residuals":
        """Return the quantiles of each member's distances, of rows that have weights."""
        count = min(QUANTILES, *map(len, distances))
        levels = (np.arange(count) + 0.5) / count
        each = zip(distances, weights, strict=True)
        return cls(np.stack([weighted_quantiles(of_member, levels, weight) for of_member, weight in each]))

    def interval(self, low: np.ndarray, high: np.ndarray, coverage: float) -> np.ndarray:
        """Return the ends of intervals, (N, 2), around what each member predicts, from low to high, (M, N) each.

        With R_i how far off the member that has not seen row i was there, they are the quantiles at (1 - coverage) of
        all low_i - R_i and at coverage of all high_i + R_i. New rows of the same kind lie within in about this share of
        cases, and in 2 coverage - 1 of them at least, whatever the distribution.
        """
        require_share(coverage)
        ends = [_quantiles(low, -self.sizes, 1 - coverage), _quantiles(high, self.sizes, coverage)]
        return np.stack(ends, axis=1)


def require_share(coverage: float) -> None:
    """Refuse a share of targets that intervals cannot be made to hold."""
    if not 0.5 <= coverage < 1:
        raise ValueError(f"coverage={coverage!r} is not a share of at least ½ and less than 1.")


def _quantiles(each: np.ndarray, moves: np.ndarray, level: float) -> np.ndarray:
    """Return a quantile of each row's predictions (M, N), each moved by all moves of its member (M, R)."""
    place, of_rows = place_of(level, moves.size), np.ascontiguousarray(each.T)
    found = np.empty(len(of_rows))
    for first in range(0, len(of_rows), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        moved = (of_rows[part, :, None] + moves).reshape(-1, moves.size)
        moved.partition(place, axis=1)
        found[part] = moved[:, place]
    return found


def place_of(level: float, count: int) -> int:
    """Return the place, from 0, of the quantile of so many sorted numbers: the first that the share does not exceed.

    Examples
    --------
    >>> place_of(0.5, 4), place_of(0.51, 4), place_of(0.0, 4)
    (1, 2, 0)
    """
    return max(int(np.ceil(level * count)), 1) - 1


def weighted_quantiles(values: np.ndarray, levels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return quantiles: between the middles of the weights, so that with equal ones they are Hazen's.

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 3.0]), np.array([0.5]), weights=np.array([1.0, 1.0, 2.0]))
    array([2.33333333])
    """
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return np.interp(levels, (cumulative - weights[order] / 2) / cumulative[-1], values[order])


def pinball_loss(y: np.ndarray, Y: np.ndarray, level: float) -> np.ndarray:
    """Return each row's quantile loss, level (y - Y) where Y is below y, and (1 - level) (Y - y) where it is above.

    Examples
    --------
    >>> pinball_loss(np.array([2.0, 2.0]), np.array([1.0, 3.0]), level=0.75)
    array([0.75, 0.25])
    """
    return np.maximum(level * (y - Y), (1 - level) * (Y - y))
