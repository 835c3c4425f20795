"""The schedules: factors of the learning rate from step to step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import cos, inf, pi
from typing import Any, ClassVar

import numpy as np

from ..core.elementary import AT_LEAST_0, PATIENCE, Range, Ranged

State = dict[str, Any]


class Schedule(Ranged, ABC):
    """The contract of a schedule. Derive a frozen dataclass from it to make your own.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Stairs(Schedule):
    ...     every: int
    ...
    ...     def factor(self, step, steps, state):
    ...         return 0.5 ** (step // self.every)
    >>> [Stairs(every=2).factor(step, 6, {}) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    @abstractmethod
    def factor(self, step: int, steps: int, state: State) -> Any:
        """Return the factor of the learning rate: a number, or one per member.

        Parameters
        ----------
        step : int
            The number of the step, from 0.
        steps : int
            The number of steps in all.
        state : dict
            The state from `init`, as `observe` has changed it.
        """

    def init(self) -> State:
        """Return the state before training."""
        return {}

    def observe(self, loss: Any, state: State) -> None:
        """Update the state with the training loss after an epoch, (*M,)."""


_BETWEEN: Range = ("a {} between 0 and 1", 0, 1, "()")
_FACTOR: Range = ("a {} factor between 0 and 1", 0, 1, "[]")


@dataclass(frozen=True)
class Constant(Schedule):
    """A learning rate that does not change.

    Examples
    --------
    >>> Constant().factor(step=7, steps=10, state={})
    1.0
    """

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class InverseScaling(Schedule):
    r"""A learning rate that falls as a power of the step.

    At step s, counted from 0, the factor is

    .. math:: \frac{1}{(1 + s)^p}

    Parameters
    ----------
    power : float, default 0.5
        The power p, at least 0.

    Examples
    --------
    >>> InverseScaling(power=0.5).factor(step=3, steps=10, state={})
    0.5
    """

    power: float = 0.5
    _ranges: ClassVar[dict[str, Range]] = {"power": AT_LEAST_0}

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return 1 / (1 + step)^power."""
        return (1 + step) ** -self.power


@dataclass(frozen=True)
class Adaptive(Schedule):
    """A learning rate that is cut whenever the training loss stops falling.

    For each member it is multiplied by cut after patience epochs in a row in which the loss did not fall below the best
    by tolerance.

    Parameters
    ----------
    cut : float, default 0.2
        The factor of each cut, between 0 and 1.
    patience : int, default 2
        The number of epochs in a row without progress after which the rate is cut.
    tolerance : float, default 1e-4
        The decrease that counts as progress, in units of the loss.

    Examples
    --------
    >>> schedule = Adaptive()
    >>> state = schedule.init()
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     schedule.observe(loss, state)
    >>> float(schedule.factor(step=4, steps=10, state=state))
    0.2
    """

    cut: float = 0.2
    patience: int = 2
    tolerance: float = 1e-4
    _ranges: ClassVar[dict[str, Range]] = {"cut": _BETWEEN, "patience": PATIENCE, "tolerance": AT_LEAST_0}

    def init(self) -> State:
        """Return a state that has seen no loss."""
        return {"best": np.inf, "stalled": 0, "factor": 1.0}

    def observe(self, loss: Any, state: State) -> None:
        """Count the epochs without progress, and cut the rate if there were enough."""
        better = loss < np.asarray(state["best"]) - self.tolerance
        stalled = np.where(better, 0, np.asarray(state["stalled"]) + 1)
        cut = stalled >= self.patience
        state["best"] = np.minimum(state["best"], loss)
        state["stalled"] = np.where(cut, 0, stalled)
        state["factor"] = np.where(cut, self.cut, 1.0) * state["factor"]

    def factor(self, step: int, steps: int, state: State) -> Any:
        """Return the product of the cuts so far."""
        return state["factor"]


@dataclass(frozen=True)
class Cosine(Schedule):
    r"""A learning rate that falls along half a cosine from 1 to f (Loshchilov and Hutter, 2017).

    At step s of S, counted from 0, the factor is

    .. math:: f + (1 - f) \frac{1 + \cos(π s / S)}{2}

    Parameters
    ----------
    final : float, default 0.0
        The factor f at the end, between 0 and 1.

    Examples
    --------
    >>> [round(Cosine().factor(step, 4, {}), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """

    final: float = 0.0
    _ranges: ClassVar[dict[str, Range]] = {"final": _FACTOR}

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return final + (1 - final) (1 + cos(π step / steps)) / 2."""
        return _half_cosine(1.0, self.final, min(step / steps, 1))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """A learning rate that rises to its full value and falls again, along two half cosines (Smith and Topin, 2018).

    Parameters
    ----------
    rise : float, default 0.3
        The share of the steps in which it rises, between 0 and 1.
    start : float, default 0.04
        The factor at the start.
    final : float, default 4e-6
        The factor at the end.

    Examples
    --------
    >>> [round(OneCycle(rise=0.5, start=0.1, final=0.0).factor(step, 4, {}), 3) for step in range(4)]
    [0.1, 0.55, 1.0, 0.5]
    """

    rise: float = 0.3
    start: float = 0.04
    final: float = 4e-6
    _ranges: ClassVar[dict[str, Range]] = {"rise": _BETWEEN, "start": _FACTOR, "final": _FACTOR}

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return the factor of the rising or the falling half cosine."""
        share = min(step / steps, 1)
        if share < self.rise:
            return _half_cosine(self.start, 1.0, share / self.rise)
        return _half_cosine(1.0, self.final, (share - self.rise) / (1 - self.rise))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A learning rate that rises in a straight line over the first steps, and then follows another schedule.

    Parameters
    ----------
    steps : int
        The number of steps in which it rises; the last of them has the full rate.
    after : Schedule, default Constant()
        The schedule from then on, as if training began there.

    Examples
    --------
    >>> [WarmUp(steps=4).factor(step, 10, {}) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    steps: int
    after: Schedule = field(default_factory=Constant)
    _ranges: ClassVar[dict[str, Range]] = {"steps": ("a number of {} of at least 1", 1, inf, "[)")}

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        if not isinstance(self.after, Schedule):
            raise ValueError(f"WarmUp needs a schedule to follow after, not {self.after!r}.")

    def init(self) -> State:
        """Return the state of the schedule that follows."""
        return self.after.init()

    def observe(self, loss: Any, state: State) -> None:
        """Pass the loss on to the schedule that follows."""
        self.after.observe(loss, state)

    def factor(self, step: int, steps: int, state: State) -> Any:
        """Return (step + 1) / steps during the rise, then the factor of the schedule that follows."""
        if step < self.steps:
            return (step + 1) / self.steps
        return self.after.factor(step - self.steps, max(steps - self.steps, 1), state)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * share)) / 2


def has_horizon(schedule: Schedule) -> bool:
    """Return whether a schedule depends on the number of steps in all."""
    state, steps = schedule.init(), 2**20
    looked_at = [0, *(2**k for k in range(20)), steps - 1]  # beyond any rise of fewer than half a million steps
    return any(schedule.factor(step, steps, state) != schedule.factor(step, 2 * steps, state) for step in looked_at)
