"""Calibration on rows that networks have not seen: temperatures, shares of views, thresholds and intervals."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from ..error import TableError
from .ensemble import SMALLEST_PROBABILITY

ROWS_OF_ITS_OWN = 16
"""Of classifiers, each view is granted this many rows that it alone predicts, so that few rows rule no view out."""


def best_inverse_temperature(
    P: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None, most: float = 4.0
) -> float:
    """Return the most probable inverse temperature s between e^-2 and a largest one (Guo et al., 2017).

    The prior of log s, normal with mean -2 and variance 1, matters in small tables, whose random labels can look
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

    return float(np.exp(_lowest(loss, -2, np.log(most), xatol=1e-3)))


def _lowest(loss: Callable[[float], float], low: float, high: float, **options: float) -> float:
    """Return where a function of one number is lowest."""
    found: Any = minimize_scalar(loss, bounds=(low, high), method="bounded", options=options)
    return float(found.x)


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
        change = Y - total
        share = _lowest(lambda share, one=total, change=change: loss(one + share * change), 0, 1)
        total, shares = total + share * change, np.append((1 - share) * shares, share)
    return shares.tolist()


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


YES = {"1", "true", "yes", "y"}
"""A class with one of these names, in upper or lower case, is positive by default."""
_LIMITS = {"probability": [1.0], "f1": [], "recall": [np.nextafter(1, 2)], "cost": [np.inf, np.inf]}
"""What the numbers of a rule for a threshold are below; they are above 0."""


@dataclass(frozen=True)
class ThresholdRule:
    """What a threshold is chosen for."""

    goal: str
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, setting: Any) -> "ThresholdRule":
        """Return the rule that a setting describes, or refuse it.

        Examples
        --------
        >>> ThresholdRule.of("cost:5,1"), ThresholdRule.of(0.3)
        (ThresholdRule(goal='cost', numbers=(5.0, 1.0)), ThresholdRule(goal='probability', numbers=(0.3,)))
        """
        goal, _, text = setting.partition(":") if isinstance(setting, str) else ("probability", "", str(setting))
        with suppress(KeyError, ValueError):
            numbers = tuple(map(float, text.split(","))) if text else ()
            if all(0 < number < limit for number, limit in zip(numbers, _LIMITS[goal], strict=True)):
                return cls(goal, numbers)
        words = '"f1", a recall such as "recall:0.9", or costs such as "cost:5,1"'
        raise ValueError(f"The threshold is {setting!r}, but it must be a probability between 0 and 1, {words}.")

    def best(self, p: np.ndarray, is_positive: np.ndarray, weight: np.ndarray) -> float:
        """Return the best threshold on some rows, above which a probability is positive; nan if all are of one class.

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
        p, is_positive, weight = p[order], is_positive[order], weight[order]
        ends = np.flatnonzero(np.append(np.diff(p) != 0, True))  # of rows of one probability
        right = np.append(0, np.cumsum(weight * is_positive)[ends])
        alarms = np.append(0, np.cumsum(weight * ~is_positive)[ends])
        bounds = np.concatenate([[1.0], p[ends], [0.0]])
        there = right[-1]
        if self.goal == "f1":
            worth = 2 * right / (right + alarms + there)
        elif self.goal == "recall":
            worth = right >= self.numbers[0] * there - 1e-9 * there
        else:
            missed, alarm = self.numbers
            worth = -(missed * (there - right) + alarm * alarms)
        place = int(np.argmax(worth))
        return float((bounds[place] + bounds[place + 1]) / 2)

    def of_other_half(self, p: np.ndarray, is_positive: np.ndarray, weight: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """Return the best threshold for each row by the rows of the other half of the folds, (N,); nan without any.

        Examples
        --------
        >>> p, is_positive = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
        >>> ThresholdRule("cost", (1.0, 1.0)).of_other_half(p, is_positive, np.ones(4), fold=np.array([0, 0, 1, 1]))
        array([0.35, 0.35, 0.15, 0.15])
        """
        found, half = np.full(len(p), np.nan), fold % 2
        for number in (0, 1):
            others = (half != number) & ~np.isnan(p)
            found[half == number] = self.best(p[others], is_positive[others], weight[others])
        return found


def positive_index(classes: np.ndarray, counts: Sequence[int], asked: Any = None, target: str = "The target") -> int:
    """Return the index of the positive class of two: by default 1, True or "yes", else the one with fewer rows.

    Examples
    --------
    >>> fraud = np.array(["fraud", "ok"])
    >>> positive_index(fraud, [3, 90]), positive_index(fraud, [3, 90], asked="ok"), positive_index(np.arange(2), [3, 3])
    (0, 1, 1)
    """
    names = classes.tolist()
    *texts, wanted = (
        (f"{name:.17g}" if isinstance(name, float) else str(name)).strip().casefold() for name in (*names, asked)
    )
    if asked is None:
        said = [index for index, text in enumerate(texts) if text in YES]
        return said[0] if len(said) == 1 else int(counts[1] <= counts[0])
    found = [index for index, name in enumerate(names) if name == asked]
    found = found or [index for index, text in enumerate(texts) if text == wanted]
    if len(found) != 1:
        advice = "give one of the two (--positive)."
        raise TableError(f"{target} has the classes {names[0]!r} and {names[1]!r}, but positive is {asked!r}: {advice}")
    return found[0]


def positive_of(model: Any) -> int:
    """Return the index of the positive class of two; the second one for estimators that do not choose it."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return getattr(last, "_positive", 1)


def decided(P: np.ndarray, threshold: float | np.ndarray | None, model: Any = None) -> np.ndarray:
    """Return the index of the class that is predicted for each row: the most probable one, or by a threshold.

    The threshold is on the probability of the model's positive class. Rows may have different thresholds, (N,).

    Examples
    --------
    >>> decided(np.array([[0.6, 0.4]]), None), decided(np.array([[0.6, 0.4]]), 0.3)
    (array([0]), array([1]))
    """
    if threshold is None:
        return P.argmax(axis=1)
    positive = positive_of(model)
    return np.where(P[:, positive] > threshold, positive, 1 - positive)
