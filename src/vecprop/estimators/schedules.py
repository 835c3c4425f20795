"""scikit-learn's schedules: the learning rate stays as it is within an epoch, and falls between epochs."""

from dataclasses import dataclass
from typing import Any

from ..optimize.schedules import Schedule, State


@dataclass(frozen=True)
class SampleScaling(Schedule):
    """A learning rate that falls as a power of the number of rows seen before the epoch, 1 / (1 + rows)^power.

    Examples
    --------
    >>> schedule = SampleScaling(rows=3, power=0.5)
    >>> state = schedule.init()
    >>> schedule.observe(1.0, state)
    >>> schedule.factor(step=1, steps=10, state=state)
    0.5
    """

    rows: int
    power: float

    def init(self) -> State:
        """Return a state that has seen no row."""
        return {"seen": 0}

    def observe(self, loss: Any, state: State) -> None:
        """Count the epoch's rows."""
        state["seen"] += self.rows

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return 1 / (1 + rows)^power."""
        return (1 + state["seen"]) ** -self.power


@dataclass(frozen=True)
class Cuts(Schedule):
    """A learning rate that is cut from outside, by a callback.

    Examples
    --------
    >>> state = Cuts().init()
    >>> Cuts().cut(state)
    >>> Cuts().factor(step=1, steps=10, state=state)
    0.2
    """

    def init(self) -> State:
        """Return a state without cuts."""
        return {"factor": 1.0}

    def cut(self, state: State) -> None:
        """Divide the learning rate by 5."""
        state["factor"] /= 5

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return the product of the cuts so far."""
        return state["factor"]
