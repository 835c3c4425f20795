"""Learning-rate schedules: a factor of the learning rate for each step."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import cos, inf, pi
from typing import Any, ClassVar

import numpy as np

from ..core.elementary import AT_LEAST_0, PATIENCE, Range, Ranged

State = dict[str, Any]


class Schedule(Ranged, ABC):
    """The base class of schedules. A custom schedule is a frozen dataclass that inherits from this class.

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
        """Return the factor of the learning rate: one number, or one per member.

        Parameters
        ----------
        step : int
            The index of the step, from 0.
        steps : int
            The total number of steps.
        state : dict
            The state from `init`, updated by `observe`.
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
    """A constant learning rate.

    Examples
    --------
    >>> Constant().factor(step=7, steps=10, state={})
    1.0
    """

    def factor(self, step, steps, state):
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class InverseScaling(Schedule):
    r"""A learning rate that decreases as a power of the step.

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

    def factor(self, step, steps, state):
        """Return 1 / (1 + step)^power."""
        return (1 + step) ** -self.power


@dataclass(frozen=True)
class Adaptive(Schedule):
    """A learning rate that is reduced when the training loss stops decreasing.

    The rate of a member is multiplied by ``cut`` after ``patience`` consecutive epochs
    without progress.

    Parameters
    ----------
    cut : float, default 0.2
        The factor of each reduction, between 0 and 1.
    patience : int, default 2
        The number of consecutive epochs without progress before the rate is reduced.
    tolerance : float, default 1e-4
        The decrease below the best loss so far that counts as progress, in units of the
        loss.

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
    _ranges: ClassVar[dict[str, Range]] = {
        "cut": _BETWEEN,
        "patience": PATIENCE,
        "tolerance": AT_LEAST_0,
    }

    def init(self):
        """Return the state before the first loss."""
        return {"best": np.inf, "stalled": 0, "factor": 1.0}

    def observe(self, loss, state):
        """Count the epochs without progress; reduce the rate after ``patience`` of them."""
        better = loss < np.asarray(state["best"]) - self.tolerance
        stalled = np.where(better, 0, np.asarray(state["stalled"]) + 1)
        cut = stalled >= self.patience
        state["best"] = np.minimum(state["best"], loss)
        state["stalled"] = np.where(cut, 0, stalled)
        state["factor"] = np.where(cut, self.cut, 1.0) * state["factor"]

    def factor(self, step, steps, state):
        """Return the product of all reductions so far."""
        return state["factor"]


@dataclass(frozen=True)
class Cosine(Schedule):
    r"""A learning rate that decreases along a half cosine from factor 1 to f (Loshchilov and Hutter, 2017).

    At step s of S, counted from 0, the factor is

    .. math:: f + (1 - f) \frac{1 + \cos(π s / S)}{2}

    Parameters
    ----------
    final : float, default 0.0
        The final factor f, between 0 and 1.

    Examples
    --------
    >>> [round(Cosine().factor(step, 4, {}), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """

    final: float = 0.0
    _ranges: ClassVar[dict[str, Range]] = {"final": _FACTOR}

    def factor(self, step, steps, state):
        """Return final + (1 - final) (1 + cos(π step / steps)) / 2."""
        return _half_cosine(1.0, self.final, min(step / steps, 1))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """A learning rate that rises to its full value and then decreases, along half cosines (Smith and Topin, 2018).

    Parameters
    ----------
    rise : float, default 0.3
        The share of the steps with a rising rate, between 0 and 1.
    start : float, default 0.04
        The initial factor.
    final : float, default 4e-6
        The final factor.

    Examples
    --------
    >>> [round(OneCycle(rise=0.5, start=0.1, final=0.0).factor(step, 4, {}), 3) for step in range(4)]
    [0.1, 0.55, 1.0, 0.5]
    """

    rise: float = 0.3
    start: float = 0.04
    final: float = 4e-6
    _ranges: ClassVar[dict[str, Range]] = {
        "rise": _BETWEEN,
        "start": _FACTOR,
        "final": _FACTOR,
    }

    def factor(self, step, steps, state):
        """Return the factor on the rising or the decreasing half cosine."""
        share = min(step / steps, 1)
        if share < self.rise:
            return _half_cosine(self.start, 1.0, share / self.rise)
        return _half_cosine(1.0, self.final, (share - self.rise) / (1 - self.rise))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A learning rate that rises linearly, and then follows another schedule.

    Parameters
    ----------
    steps : int
        The number of steps with a rising rate. The last of these steps has the full
        rate.
    after : Schedule, default Constant()
        The schedule after the warm-up, as if training started there.

    Examples
    --------
    >>> [WarmUp(steps=4).factor(step, 10, {}) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    steps: int
    after: Schedule = field(default_factory=Constant)
    _ranges: ClassVar[dict[str, Range]] = {
        "steps": ("a number of {} of at least 1", 1, inf, "[)")
    }

    def __post_init__(self):
        """Validate the number of steps and the next schedule."""
        super().__post_init__()
        if not isinstance(self.after, Schedule):
            raise ValueError(
                f"WarmUp needs a schedule as its argument after, not {self.after!r}."
            )

    def init(self):
        """Return the initial state of the next schedule."""
        return self.after.init()

    def observe(self, loss, state):
        """Pass the loss to the next schedule."""
        self.after.observe(loss, state)

    def factor(self, step, steps, state):
        """Return (step + 1) / steps in the warm-up, then the factor of the next schedule."""
        if step < self.steps:
            return (step + 1) / self.steps
        return self.after.factor(step - self.steps, max(steps - self.steps, 1), state)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * share)) / 2


def has_horizon(schedule: Schedule) -> bool:
    """Return whether a schedule depends on the total number of steps."""
    state = schedule.init()
    total = 2**20
    # includes steps after most warm-ups
    for step in (0, *(2**k for k in range(20)), total - 1):
        factor = schedule.factor(step, total, state)
        if factor != schedule.factor(step, 2 * total, state):
            return True
    return False
