"""The threshold of a decision between two classes, chosen on predictions of rows that networks have not seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np

FORMS = 'a probability between 0 and 1, "f1", a recall such as "recall:0.9", or costs such as "cost:5,1"'


@dataclass(frozen=True)
class ThresholdRule:
    """What a threshold is chosen for.

    Parameters
    ----------
    goal : "probability", "f1", "recall" or "cost"
        The probability that is given; the highest F1; the highest threshold with a recall; or the lowest cost.
    numbers : tuple of float
        The probability, or the recall, or the costs of a row of the second class that is missed, and of a false alarm.
    """

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

    def best(self, p: np.ndarray, is_second: np.ndarray, weight: np.ndarray) -> float:
        """Return the best threshold on some rows: a row is of the second class if its probability is above it.

        Parameters
        ----------
        p : ndarray (N,)
            The probability of the second class.
        is_second : ndarray of bool (N,)
            Whether it is the class of the row.
        weight : ndarray (N,)
            What the rows count.

        Examples
        --------
        >>> p, is_second = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
        >>> ThresholdRule("recall", (0.5,)).best(p, is_second, np.ones(4)).__round__(3)
        0.35
        """
        if self.goal == "probability":
            return self.numbers[0]
        order = np.argsort(-p, kind="stable")
        p, is_second, weight = p[order], is_second[order], weight[order]
        ends = np.flatnonzero(np.append(np.diff(p) != 0, True))  # of rows of one probability
        right = np.append(0, np.cumsum(weight * is_second)[ends])
        alarms = np.append(0, np.cumsum(weight * ~is_second)[ends])
        bounds = np.concatenate([[1.0], p[ends], [0.0]])
        place = int(np.argmax(self._worth(right, alarms, right[-1])))
        return float((bounds[place] + bounds[place + 1]) / 2)

    def _worth(self, right: np.ndarray, alarms: np.ndarray, there: float) -> np.ndarray:
        """Return how good thresholds are, the highest first, from the rows above them, right ones and false alarms."""
        if self.goal == "f1":
            return 2 * right / (right + alarms + there)
        if self.goal == "recall":
            return right >= self.numbers[0] * there - 1e-9 * there
        missed, alarm = self.numbers
        return -(missed * (there - right) + alarm * alarms)


def decided(P: np.ndarray, threshold: float | np.ndarray | None) -> np.ndarray:
    """Return the number of the class that is predicted for each row: the most probable one, or by a threshold.

    Rows may have thresholds of their own, (N,).

    Examples
    --------
    >>> decided(np.array([[0.6, 0.4]]), None), decided(np.array([[0.6, 0.4]]), 0.3)
    (array([0]), array([1]))
    """
    return P.argmax(axis=1) if threshold is None else (P[:, 1] > threshold).astype(int)
