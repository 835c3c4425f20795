"""Calibration on rows that networks have not seen: the temperature of probabilities, and the shares of views."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from .ensemble import SMALLEST_PROBABILITY

ROWS_OF_ITS_OWN = 16
"""Of classifiers, each view is granted this many rows that it alone predicts, so that few rows rule no view out."""


def log_loss(P: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the weighted mean of -log p of the right classes.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])), 3)
    0.49
    """
    right = np.maximum(P[np.arange(len(P)), classes], SMALLEST_PROBABILITY)
    return float(np.average(-np.log(right), weights=weight))


def best_inverse_temperature(
    P: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None, most: float = 4.0
) -> float:
    """Return the most probable inverse temperature s between e^-2 and a largest one (Guo et al., 2017).

    The prior of log s is normal with mean -2 and variance 1. It matters in small tables, where random labels can look
    predictable.

    Examples
    --------
    >>> P = np.array([[[0.9, 0.1]]] * 4000)
    >>> round(best_inverse_temperature(P, np.arange(4000) // 3000), 2)
    0.5
    """
    log_P, right = np.log(np.maximum(P, SMALLEST_PROBABILITY)), (np.arange(len(P)), slice(None), classes)

    def loss(a: float) -> float:
        powers = np.exp(np.exp(a) * log_P)  # those of `temperature_scaled`, faster
        scaled = (powers[right] / powers.sum(axis=2)).mean(axis=1)
        return float(np.average(-np.log(scaled), weights=weight)) + (a + 2) ** 2 / (2 * len(P))

    found: Any = minimize_scalar(loss, bounds=(-2, np.log(most)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def likeliest_shares(
    probabilities: Iterable[np.ndarray], classes: np.ndarray, weight: np.ndarray | None = None
) -> list[float]:
    """Return the shares with which a sum of probabilities, (N, C) each, has the lowest log loss; each view keeps some.

    Examples
    --------
    >>> right, wrong = np.tile([0.9, 0.1], (160, 1)), np.tile([0.1, 0.9], (160, 1))
    >>> np.round(likeliest_shares([right, wrong], np.zeros(160, int)), 2).tolist()
    [0.91, 0.09]
    """
    weight = np.ones(len(classes)) if weight is None else weight
    of_classes = [P[np.arange(len(P)), classes] for P in probabilities]
    granted = np.repeat(np.eye(len(of_classes)), ROWS_OF_ITS_OWN, axis=1)
    right = [np.append(p, alone) for p, alone in zip(of_classes, granted, strict=True)]
    counts = np.append(weight, np.full(granted.shape[1], weight.mean()))
    return best_shares(right, lambda p: float(np.average(-np.log(np.maximum(p, SMALLEST_PROBABILITY)), weights=counts)))


def best_shares(predictions: Sequence[np.ndarray], loss: Callable[[np.ndarray], float]) -> list[float]:
    """Return the shares of a sum of predictions with the lowest loss, which is convex; each is at least 0, their sum 1.

    One prediction after the other is added to the sum of those before it.

    Examples
    --------
    >>> low, high, truth = np.zeros(3), np.full(3, 4.0), np.ones(3)
    >>> np.round(best_shares([low, high], lambda Y: np.mean((Y - truth) ** 2)), 3).tolist()
    [0.75, 0.25]
    """
    total, shares = predictions[0], np.ones(1)
    for Y in predictions[1:]:
        share = _best_share(total, Y, loss)
        total, shares = total + share * (Y - total), np.append((1 - share) * shares, share)
    return shares.tolist()


def _best_share(one: np.ndarray, other: np.ndarray, loss: Callable[[np.ndarray], float]) -> float:
    """Return the share of the other prediction with the lowest loss."""
    change = other - one
    found: Any = minimize_scalar(lambda share: loss(one + share * change), bounds=(0, 1), method="bounded")
    return float(found.x)
