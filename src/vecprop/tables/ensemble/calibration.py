"""Calibration on out-of-fold predictions: temperatures, weights of views, thresholds and intervals."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize_scalar
from sklearn.metrics import get_scorer

from ..error import TableError
from ..kinds.values import category_name
from .ensemble import MIN_PROBABILITY, temperature_scaled

LARGEST_GAIN = 0.03
"""The largest assumed decrease of the networks' loss when the networks of all folds are
averaged, relative to the loss.
"""
SMALLEST_SHARE = 0.05
"""Linear models with a smaller weight are left out."""
PRIOR_ROWS = 16
"""Pseudo-count prior for the weights of a classifier's views, so that no weight
becomes 0 on small tables.
"""


def best_inverse_temperature(
    P: ndarray,
    classes: ndarray,
    weight: ndarray | None = None,
    most: float = 4.0,
) -> float:
    """Return the most probable inverse temperature s between e^-2 and ``most`` (Guo et al., 2017).

    The prior of log s is normal with mean -2 and variance 1. It prevents overconfidence
    on small tables.

    Examples
    --------
    >>> P = np.array([[[0.9, 0.1]]] * 4000)
    >>> round(best_inverse_temperature(P, np.arange(4000) // 3000), 2)
    0.5
    """
    log_P = np.log(np.maximum(P, MIN_PROBABILITY))

    def loss(a: float) -> float:
        scaled = np.empty(len(P))
        for rows in _row_blocks(len(P)):
            powers = np.exp(np.exp(a) * log_P[rows])  # a faster `temperature_scaled`
            shares = _of_classes(powers, classes[rows]) / powers.sum(axis=2)
            scaled[rows] = shares.mean(axis=1)
        return float(np.average(-np.log(scaled), weights=weight)) + (a + 2) ** 2 / (
            2 * len(P)
        )

    result: Any = minimize_scalar(
        loss, bounds=(-2, np.log(most)), method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(result.x))


def scaled_of_classes(
    P: ndarray, classes: ndarray, inverse_temperature: float
) -> ndarray:
    """Return the mean scaled probability of each row's class, (N,), given probabilities (N, J, C).

    Examples
    --------
    >>> scaled_of_classes(np.array([[[0.8, 0.2]]]), np.array([1]), inverse_temperature=0.5).round(3)
    array([0.333])
    """
    p = np.empty(len(P))
    for rows in _row_blocks(len(P)):
        scaled = temperature_scaled(P[rows], inverse_temperature)
        p[rows] = _of_classes(scaled, classes[rows]).mean(axis=1)
    return p


def _of_classes(P: ndarray, classes: ndarray) -> ndarray:
    """Return the numbers of each row's class, (n, J), given numbers (n, J, C)."""
    return P[np.arange(len(P)), :, classes]


def likeliest_shares(
    p_of_classes: Sequence[ndarray],
    weight: ndarray | None = None,
    networks: int | None = None,
) -> list[float]:
    """Return positive weights for averaging probabilities of the true classes, with the lowest log loss of the average.

    If the last of these arrays comes from linear models, ``networks`` is the number of
    the others; see `with_linear`.

    Examples
    --------
    >>> np.round(likeliest_shares([np.full(160, 0.9), np.full(160, 0.1)]), 2).tolist()
    [0.91, 0.09]
    """
    rows = len(p_of_classes[0])
    weight = np.ones(rows) if weight is None else weight
    p_of_networks = p_of_classes[:networks]
    prior = np.repeat(np.eye(len(p_of_networks)), PRIOR_ROWS, axis=1)
    counts = np.append(weight, np.full(prior.shape[1], weight.mean()))

    def log_loss(p: ndarray) -> float:
        losses = np.maximum(p, MIN_PROBABILITY)
        np.negative(np.log(losses, out=losses), out=losses)
        return float(np.average(losses, weights=counts[: len(p)]))

    shares = best_shares(list(np.hstack([p_of_networks, prior])), log_loss)
    return with_linear(shares, p_of_classes, log_loss)


def best_shares(
    predictions: Sequence[ndarray], loss: Callable[[ndarray], float]
) -> list[float]:
    """Return nonnegative weights that sum to 1 and approximately minimize the convex loss of the weighted average.

    Predictions are added one at a time, and each step optimizes one weight.

    Examples
    --------
    >>> low, high, truth = np.zeros(3), np.full(3, 4.0), np.ones(3)
    >>> np.round(best_shares([low, high], lambda Y: np.mean((Y - truth) ** 2)), 3).tolist()
    [0.75, 0.25]
    """
    total = predictions[0]
    shares = np.ones(1)
    for Y in predictions[1:]:
        change = Y - total
        share = best_share(partial(_loss_of_share, loss, total, change))
        total = total + share * change
        shares = np.append((1 - share) * shares, share)
    return shares.tolist()


def _loss_of_share(
    loss: Callable[[ndarray], float], total: ndarray, change: ndarray, share: float
) -> float:
    Y = share * change
    Y += total
    return loss(Y)


def best_share(loss: Callable[[float], float]) -> float:
    """Return the weight between 0 and 1 that approximately minimizes a convex loss."""
    result: Any = minimize_scalar(loss, bounds=(0, 1), method="bounded")
    return result.x


def with_linear(
    shares: list[float],
    predictions: Sequence[ndarray],
    loss: Callable[[ndarray], float],
) -> list[float]:
    """Return the weights of all predictions, given the weights without the linear models, which come last, if any.

    The average of the networks of all folds has a smaller loss than each network, but
    out-of-fold predictions lack this decrease. It is estimated by the decrease when
    views are averaged. Linear models of different folds are too similar for a decrease.

    Examples
    --------
    >>> networks, linear, truth = np.zeros(3), np.full(3, 4.0), np.full(3, 3.0)
    >>> np.round(with_linear([1.0], [networks, linear], lambda Y: np.mean((Y - truth) ** 2)), 3).tolist()
    [0.25, 0.75]
    """
    networks = predictions[: len(shares)]
    average = np.tensordot(shares, networks, axes=1)
    gain = float(np.mean(list(map(loss, networks)))) - loss(np.mean(networks, axis=0))
    gain = min(gain, LARGEST_GAIN * loss(average))
    count = len(shares)
    for linear in predictions[count:]:
        share_of_networks = sum(shares[:count])
        share = share_of_linear(average, linear, loss, gain=gain * share_of_networks**2)
        average = average + share * (linear - average)
        shares = np.append((1 - share) * np.array(shares), share).tolist()
    return shares


def share_of_linear(
    average: ndarray, linear: ndarray, loss: Callable[[ndarray], float], gain: float
) -> float:
    """Return the weight of linear models in addition to an average with an expected gain."""
    change = linear - average
    share = best_share(
        lambda share: (
            _loss_of_share(loss, average, change, share) - gain * (1 - share) ** 2
        )
    )
    if share < SMALLEST_SHARE:
        return 0.0
    return share


def extended(
    range_: tuple[float, float],
    T: ndarray,
    unseen: Sequence[tuple[ndarray, ndarray]],
    weight: ndarray | None,
    margin: float,
) -> tuple[float, float]:
    """Extend a range of predictions by a margin at the ends where limits would not reduce squared errors.

    The limits are the ends of the targets in the other folds.

    Examples
    --------
    >>> T = np.array([0.0, 0.0, 1.0, 2.0])
    >>> unseen = [(np.array([0, 3]), np.array([-0.2, 1.8])), (np.array([1, 2]), np.array([-0.1, 1.0]))]
    >>> extended((0.0, 2.0), T, unseen, weight=None, margin=0.5)
    (0.0, 2.5)
    """
    low, high = range_
    gain_below = gain_above = 0.0
    for indices, Y in unseen:
        T_outside = np.delete(T, indices)
        clipped = np.clip(Y, T_outside.min(), T_outside.max())
        gains = (clipped - T[indices]) ** 2 - (Y - T[indices]) ** 2
        if weight is not None:
            gains = gains * weight[indices]
        gain_below += gains[clipped > Y].sum()
        gain_above += gains[clipped < Y].sum()
    if gain_below > 0:
        low -= margin
    if gain_above > 0:
        high += margin
    return low, high


def union(
    first: tuple[float, float], second: tuple[float, float]
) -> tuple[float, float]:
    """Return the smallest range that contains two ranges."""
    return min(first[0], second[0]), max(first[1], second[1])


QUANTILES = 200
"""Maximum number of stored residuals per member, which is enough for intervals with
a coverage of up to 99 %.
"""
_ROWS_AT_ONCE = 4096
"""Number of rows per block, which bounds the memory of temporary arrays."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """The out-of-fold residuals of each member, for CV+ prediction intervals.

    If members predict a number y, the residual of a target t is |t - y| (Barber et al.,
    2021). If they predict two quantiles, the residual is max(low - t, t - high),
    negative for t between low and high (Romano et al., 2019). With the power ½, targets
    and predictions y are replaced by √(y + ¼), because the variance of such a root of a
    count hardly depends on its mean (Anscombe, 1948). The ends of intervals of counts
    are rounded: many counts are equal, and an end that is slightly above or below a
    count would include or exclude all of them.

    Examples
    --------
    >>> residuals = Residuals.of([np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])], [np.ones(3), np.ones(3)])
    >>> each = np.array([[10.0], [10.0]])
    >>> residuals.interval(each, each, coverage=0.5)
    array([[ 8., 12.]])
    """

    sizes: ndarray
    groups: float = float("inf")
    power: float = 1.0
    is_count: bool = False

    @classmethod
    def of(
        cls,
        distances: list[ndarray],
        weights: list[ndarray],
        groups: float = float("inf"),
        **settings: Any,
    ) -> "Residuals":
        """Return weighted quantiles of each member's residuals."""
        count = min(QUANTILES, *map(len, distances))
        levels = (np.arange(count) + 0.5) / count
        sizes = []
        for distances_of_member, weight in zip(distances, weights, strict=True):
            sizes.append(weighted_quantiles(distances_of_member, levels, weight))
        return cls(np.stack(sizes), groups, **settings)

    def interval(self, low: ndarray, high: ndarray, coverage: float) -> ndarray:
        """Return the ends of N intervals, (N, 2), given the predictions low and high of M members, (M, N) each.

        R_i is the residual of row i. low_i and high_i are the predictions of the member
        that has not seen row i. The lower end is the quantile of all low_i - R_i at 1 -
        level, and the upper end is the quantile of all high_i + R_i at the level of
        `level_for`. The coverage is about ``coverage``, and at least ``2 * coverage -
        1`` for any distribution of exchangeable rows.
        """
        level = level_for(coverage, self.groups)
        low = stabilized(low, self.power)
        lower_end = _quantiles(low, -self.sizes, 1 - level)
        upper_end = _quantiles(stabilized(high, self.power), self.sizes, level)
        ends = np.stack([lower_end, upper_end], axis=1)
        if self.power == 1:
            return ends
        ends = np.maximum(ends, 0.5) ** (1 / self.power) - 0.25
        return np.round(ends) if self.is_count else ends


def stabilized(y: ndarray, power: float) -> ndarray:
    """Return numbers whose variance hardly depends on their mean, see `Residuals`."""
    if power == 1:
        return y
    return (y + 0.25) ** power


def level_for(coverage: float, groups: float) -> float:
    """Return the quantile level of residuals for a coverage, ``min((1 + 1 / G) * coverage, 1)`` with G groups.

    The correction accounts for the new group (Dunn et al., 2022; split conformal
    prediction).

    Examples
    --------
    >>> level_for(0.75, groups=3), level_for(0.75, groups=float("inf")), level_for(0.9, groups=2)
    (1.0, 0.75, 1.0)
    """
    require_share(coverage)
    return min(coverage * (1 + 1 / groups), 1.0)


def require_share(coverage: float):
    """Raise an error unless the coverage is at least 0.5 and less than 1."""
    if not (isinstance(coverage, float | np.floating) and 0.5 <= coverage < 1):
        raise ValueError(
            f"coverage must be at least 0.5 and less than 1, got {coverage!r}."
        )


def _quantiles(predictions: ndarray, shifts: ndarray, level: float) -> ndarray:
    """For each row, return a quantile of the predictions of M members, each shifted by the member's R shifts."""
    rank = place_of(level, shifts.size)
    predictions = np.ascontiguousarray(predictions.T)
    quantiles = np.empty(len(predictions))
    for rows in _row_blocks(len(predictions)):
        shifted = (predictions[rows, :, None] + shifts).reshape(-1, shifts.size)
        shifted.partition(rank, axis=1)
        quantiles[rows] = shifted[:, rank]
    return quantiles


def _row_blocks(count: int) -> list[slice]:
    """Split rows into blocks."""
    starts = range(0, count, _ROWS_AT_ONCE)
    return [slice(first, first + _ROWS_AT_ONCE) for first in starts]


def place_of(level: float, count: int) -> int:
    """Return the index of a quantile among ``count`` sorted numbers: the first i with (i + 1) / count >= level.

    Examples
    --------
    >>> place_of(0.5, 4), place_of(0.51, 4), place_of(0.0, 4)
    (1, 2, 0)
    """
    return max(int(np.ceil(level * count)), 1) - 1


def weighted_quantiles(values: ndarray, levels: ndarray, weights: ndarray) -> ndarray:
    """Return quantiles of weighted values, interpolated between midpoints of weights (Hazen's for equal weights).

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 3.0]), np.array([0.5]), weights=np.array([1.0, 1.0, 2.0]))
    array([2.33333333])
    """
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return np.interp(
        levels, (cumulative - weights[order] / 2) / cumulative[-1], values[order]
    )


YES = {"1", "true", "yes", "y"}
"""Case-insensitive names of classes that are positive by default."""
_LIMITS = {
    "probability": [1.0],
    "f1": [],
    "recall": [np.nextafter(1, 2)],
    "cost": [np.inf, np.inf],
}
"""Exclusive upper limits for the numbers of each threshold rule; the lower limit is
0.
"""


@dataclass(frozen=True)
class ThresholdRule:
    """The criterion that selects a threshold."""

    goal: str
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, setting) -> "ThresholdRule":
        """Parse a setting, and raise an error if it is invalid.

        Examples
        --------
        >>> ThresholdRule.of("cost:5,1"), ThresholdRule.of(0.3)
        (ThresholdRule(goal='cost', numbers=(5.0, 1.0)), ThresholdRule(goal='probability', numbers=(0.3,)))
        """
        text = setting if isinstance(setting, str) else f"probability:{setting}"
        goal, _, text = text.partition(":")
        with suppress(KeyError, ValueError):
            numbers = ()
            if text:
                numbers = tuple(map(float, text.split(",")))
            pairs = zip(numbers, _LIMITS[goal], strict=True)
            if all(0 < number < limit for number, limit in pairs):
                return cls(goal, numbers)
        words = '"f1", a recall such as "recall:0.9", or costs such as "cost:5,1"'
        raise ValueError(
            f"threshold must be a probability between 0 and 1, {words}, got"
            f" {setting!r}."
        )

    def best(self, p: ndarray, is_positive: ndarray, weight: ndarray) -> float:
        """Return the best threshold for these rows, or nan if all rows have the same class.

        Examples
        --------
        >>> p, is_positive = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
        >>> ThresholdRule("recall", (0.5,)).best(p, is_positive, np.ones(4)).__round__(3)
        0.35
        """
        if self.goal == "probability":
            return self.numbers[0]
        if not 0 < is_positive.sum() < len(is_positive):
            return np.nan
        order = np.argsort(-p, kind="stable")
        p = p[order]
        is_positive = is_positive[order]
        weight = weight[order]
        # ends of groups with equal probability
        ends = np.flatnonzero(np.append(np.diff(p) != 0, True))
        hits = np.append(0, np.cumsum(weight * is_positive)[ends])
        alarms = np.append(0, np.cumsum(weight * ~is_positive)[ends])
        bounds = np.concatenate([[1.0], p[ends], [0.0]])
        positives = hits[-1]
        if self.goal == "f1":
            score = 2 * hits / (hits + alarms + positives)
        elif self.goal == "recall":
            score = hits >= self.numbers[0] * positives - 1e-9 * positives
        else:
            cost_of_miss, cost_of_alarm = self.numbers
            score = -(cost_of_miss * (positives - hits) + cost_of_alarm * alarms)
        best = np.argmax(score)
        return float((bounds[best] + bounds[best + 1]) / 2)

    def of_other_half(
        self,
        p: ndarray,
        is_positive: ndarray,
        weight: ndarray,
        fold: ndarray,
    ) -> ndarray:
        """Return a threshold for each row, chosen on the other half of the folds, or nan if that half is empty.

        Examples
        --------
        >>> p, is_positive = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
        >>> ThresholdRule("cost", (1.0, 1.0)).of_other_half(p, is_positive, np.ones(4), fold=np.array([0, 0, 1, 1]))
        array([0.35, 0.35, 0.15, 0.15])
        """
        thresholds = np.full(len(p), np.nan)
        half = fold % 2
        for number in (0, 1):
            in_other_half = (half != number) & ~np.isnan(p)
            threshold = self.best(
                p[in_other_half], is_positive[in_other_half], weight[in_other_half]
            )
            thresholds[half == number] = threshold
        return thresholds


def positive_index(
    classes: ndarray, counts: Sequence[int], asked=None, target: str = "The target"
) -> int:
    """Return the index of the positive class: by default 1, True or "yes" if it exists, or else the rarer class.

    Examples
    --------
    >>> fraud = np.array(["fraud", "ok"])
    >>> positive_index(fraud, [3, 90]), positive_index(fraud, [3, 90], asked="ok"), positive_index(np.arange(2), [3, 3])
    (0, 1, 1)
    """
    names = classes.tolist()
    texts = [category_name(name).casefold() for name in names]
    if asked is None:
        is_positive = [text in YES for text in texts]
        if sum(is_positive) == 1:
            return is_positive.index(True)
        return 1 if counts[1] <= counts[0] else 0
    if asked in names:
        return names.index(asked)
    text = category_name(asked).casefold()
    if texts.count(text) == 1:
        return texts.index(text)
    raise TableError(
        f"{target} has the classes {names[0]!r} and {names[1]!r}, but positive is"
        f" {asked!r}: choose one of them (--positive)."
    )


def positive_of(model) -> int:
    """Return the index of the positive class of a binary classifier, by default the second class."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return getattr(last, "_positive", 1)


def decided(P: ndarray, threshold: float | ndarray | None, model=None) -> ndarray:
    """Return the index of the predicted class of each row: the most probable class unless a threshold is given.

    The threshold applies to the probability of the model's positive class. It can be an
    array with one value per row.

    Examples
    --------
    >>> decided(np.array([[0.6, 0.4]]), None), decided(np.array([[0.6, 0.4]]), 0.3)
    (array([0]), array([1]))
    """
    if threshold is None:
        return P.argmax(axis=1)
    positive = positive_of(model)
    return np.where(P[:, positive] > threshold, positive, 1 - positive)


def score_of(
    model: Any,
    y: ndarray,
    predicted: ndarray,
    weight: ndarray | None,
    threshold: float | None = None,
) -> float:
    """Return the metric of a model for targets or classes, and predictions or probabilities."""
    known = copy(model)
    classes = getattr(model, "classes_", None)
    if classes is not None and len(classes) == 2 and isinstance(model.metric, str):
        positive = positive_of(model)
        y = (y == classes[positive]).astype(int)
        predicted = predicted[:, [1 - positive, positive]]
        known._positive = 1
        classes = np.arange(2)
    known.classes_ = classes

    # scikit-learn reads the names of these functions
    def predict_proba(P):
        return P

    def predict(Y):
        return Y if classes is None else classes[decided(Y, threshold, known)]

    known.predict_proba = predict_proba
    known.predict = predict
    scorer = get_scorer(model.metric)
    options = {}
    takes_weights = "sample_weight" in signature(scorer).parameters
    if takes_weights and weight is not None and np.ptp(weight) > 0:
        options["sample_weight"] = weight
    return float(scorer(known, predicted, y, **options))


@dataclass(frozen=True)
class MetricRule(ThresholdRule):
    """The criterion that a threshold has the best metric of a model."""

    model: Any = None

    def best(self, p: ndarray, is_positive: ndarray, weight: ndarray) -> float:
        """Return the best of at most 100 thresholds, or nan if all have the same score."""
        positive = positive_of(self.model)
        classes = np.where(is_positive, positive, 1 - positive)
        P = np.stack([1 - p, p] if positive else [p, 1 - p], axis=1)
        thresholds = np.unique(np.quantile(p, np.linspace(0.005, 0.995, 100)))
        scores = []
        for threshold in thresholds:
            scores.append(
                score_of(self.model, self.model.classes_[classes], P, weight, threshold)
            )
        if np.ptp(scores) == 0:
            return np.nan
        return float(thresholds[np.argmax(scores)])
