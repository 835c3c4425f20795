"""The threshold of a decision between two classes, chosen on predictions of rows that networks have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..error import TableError

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
    """Return the index of the positive class of two; models of earlier versions and other estimators take the second.

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
