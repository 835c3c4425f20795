"""Calibration on rows that networks have not seen: the temperature, shares of views and thresholds of classes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from ..error import TableError
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


YES = {"1", "true", "yes", "y"}
"""A class with one of these names, in upper or lower case, is positive by default."""
FORMS = 'a probability between 0 and 1, "f1", a recall such as "recall:0.9", or costs such as "cost:5,1"'


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
        try:
            rule = cls(goal, tuple(float(number) for number in text.split(",")) if text else ())
        except ValueError:
            rule = cls("")
        if not rule._is_right:
            raise ValueError(f"The threshold is {setting!r}, but it must be {FORMS}.")
        return rule

    @property
    def _is_right(self) -> bool:
        numbers = self.numbers
        return {
            "probability": len(numbers) == 1 and all(0 < number < 1 for number in numbers),
            "f1": not numbers,
            "recall": len(numbers) == 1 and all(0 < number <= 1 for number in numbers),
            "cost": len(numbers) == 2 and all(0 < number < np.inf for number in numbers),
        }.get(self.goal, False)

    def best(self, p: np.ndarray, is_positive: np.ndarray, weight: np.ndarray) -> float:
        """Return the best threshold on some rows: a row is predicted positive if its probability is above it.

        Examples
        --------
        >>> p, is_positive = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
        >>> ThresholdRule("recall", (0.5,)).best(p, is_positive, np.ones(4)).__round__(3)
        0.35
        """
        if self.goal == "probability":
            return self.numbers[0]
        order = np.argsort(-p, kind="stable")
        p, is_positive, weight = p[order], is_positive[order], weight[order]
        ends = np.flatnonzero(np.append(np.diff(p) != 0, True))  # of rows of one probability
        right = np.append(0, np.cumsum(weight * is_positive)[ends])
        alarms = np.append(0, np.cumsum(weight * ~is_positive)[ends])
        bounds = np.concatenate([[1.0], p[ends], [0.0]])
        place = int(np.argmax(self._worth(right, alarms, right[-1])))
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
            if self.goal == "probability" or 0 < is_positive[others].sum() < others.sum():
                found[half == number] = self.best(p[others], is_positive[others], weight[others])
        return found

    def _worth(self, right: np.ndarray, alarms: np.ndarray, there: float) -> np.ndarray:
        """Return how good thresholds are, the highest first, from the rows above them, right ones and false alarms."""
        if self.goal == "f1":
            return 2 * right / (right + alarms + there)
        if self.goal == "recall":
            return right >= self.numbers[0] * there - 1e-9 * there
        missed, alarm = self.numbers
        return -(missed * (there - right) + alarm * alarms)


def positive_index(classes: np.ndarray, counts: Sequence[int], asked: Any = None, target: str = "The target") -> int:
    """Return the index of the positive class of two: by default 1, True or "yes", else the one with fewer rows.

    Examples
    --------
    >>> fraud = np.array(["fraud", "ok"])
    >>> positive_index(fraud, [3, 90]), positive_index(fraud, [3, 90], asked="ok"), positive_index(np.arange(2), [3, 3])
    (0, 1, 1)
    """
    names = classes.tolist()
    texts = [_as_text(name) for name in names]
    if asked is None:
        said = [index for index, text in enumerate(texts) if text in YES]
        return said[0] if len(said) == 1 else int(counts[1] <= counts[0])
    found = [index for index, name in enumerate(names) if name == asked]
    found = found or [index for index, text in enumerate(texts) if text == _as_text(asked)]
    if len(found) != 1:
        raise TableError(
            f"{target} has the classes {names[0]!r} and {names[1]!r}, but positive is {asked!r}: give one of the two "
            "(--positive)."
        )
    return found[0]


def positive_of(model: Any) -> int:
    """Return the index of the positive class of two; the second one for estimators that do not choose it.

    Examples
    --------
    >>> positive_of(TabularClassifier())
    1
    """
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return getattr(last, "_positive", 1)


def _as_text(name: Any) -> str:
    return (f"{name:.17g}" if isinstance(name, float) else str(name)).strip().casefold()


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
