"""Early stopping: training ends when a loss or score gets no better; and the best parameters on the way there."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..core.elementary import Array, namespace
from .history import History

Watched = Literal["loss", "validation_loss", "validation_score"]
"""What a rule watches, by the names of `History`."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss has not fallen for a while, and restore the best parameters.

    Each member of a population stops by itself: what it does after that does not count, and training ends when all have
    stopped.

    Parameters
    ----------
    patience : int, default 10
        How many epochs in a row without progress end training.
    tolerance : float, default 0.0
        By how much the loss must fall below the best so far to count as progress, in units of the loss.
    on : {"validation_loss", "validation_score", "loss"}, default "validation_loss"
        What it watches: the validation loss, or the training loss where there is no validation data; the validation
        score, which rises as a loss falls; or the training loss.

    Raises
    ------
    ValueError
        Where patience is less than 1, tolerance less than 0 or on is none of these.

    Examples
    --------
    >>> EarlyStopping(patience=3, on="validation_score")
    EarlyStopping(patience=3, tolerance=0.0, on='validation_score')
    """

    patience: int = 10
    tolerance: float = 0.0
    on: Watched = "validation_loss"

    from_start = True
    """Whether it looks at the initial parameters too."""
    restores = True
    """Whether training returns the best parameters, not the last."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check(self)

    def progresses(self, loss: np.ndarray, lowest: np.ndarray, progress_at: np.ndarray) -> np.ndarray:
        """Return where a loss is progress, beside the lowest so far and that of the latest progress."""
        return loss < progress_at - self.tolerance


@dataclass(frozen=True)
class Stagnation:
    """Stop when the training loss stagnates, and keep the last parameters: scikit-learn's rule.

    Progress is counted from the lowest loss so far, from the first epoch on, so that many steps that are each smaller
    than the tolerance are none. Where it watches rows of validation, it restores the best parameters.

    Parameters
    ----------
    patience : int, default 10
        Training ends when there was no progress in this many epochs in a row, the last of them included.
    tolerance : float, default 0.0001
        By how much the loss must be below the lowest so far to be progress, in units of the loss.
    on : {"loss", "validation_loss", "validation_score"}, default "loss"
        What it watches, see `EarlyStopping`.

    Raises
    ------
    ValueError
        Where patience is less than 1, tolerance less than 0 or on is none of these.

    Examples
    --------
    >>> Stagnation(patience=11)
    Stagnation(patience=11, tolerance=0.0001, on='loss')
    """

    patience: int = 10
    tolerance: float = 1e-4
    on: Watched = "loss"

    from_start = False

    @property
    def restores(self) -> bool:
        """Whether training returns the best parameters, not the last."""
        return self.on != "loss"

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check(self)

    def progresses(self, loss: np.ndarray, lowest: np.ndarray, progress_at: np.ndarray) -> np.ndarray:
        """Return where a loss is progress, beside the lowest so far and that of the latest progress."""
        return ~(loss > lowest - self.tolerance)


def as_numbers(rule: EarlyStopping | Stagnation) -> tuple[float, ...]:
    """Return a rule as the compiled engine has it, see `compiled.run.epochs.STOPPING`."""
    return rule.patience, rule.tolerance, isinstance(rule, Stagnation), get_args(Watched).index(rule.on)


def _check(rule: EarlyStopping | Stagnation) -> None:
    name = type(rule).__name__
    if not rule.patience >= 1:
        raise ValueError(f"{name} needs a patience of at least 1 epoch, not {rule.patience!r}.")
    if not rule.tolerance >= 0:
        raise ValueError(f"{name} needs a tolerance of at least 0, not {rule.tolerance!r}.")
    if rule.on not in get_args(Watched):
        raise ValueError(f"{name} watches one of {', '.join(get_args(Watched))}, not {rule.on!r}.")


class Best:
    """The best parameters so far of each member, and how long ago they were found.

    Parameters
    ----------
    rule : EarlyStopping or Stagnation
        When to stop.
    theta : array (*M, P)
        The parameters at the start.

    Attributes
    ----------
    theta : array (*M, P)
        The best parameters.
    memory : ndarray (3, *M)
        The lowest loss, that of the latest progress, and how many epochs ago that was. The compiled engine goes on from
        here; see `compiled.run.epochs`.
    """

    def __init__(self, rule: EarlyStopping | Stagnation, theta: Array) -> None:
        self.rule = rule
        self.theta = namespace(theta).asarray(theta, copy=True)
        members = tuple(theta.shape[:-1])
        self.memory = np.array([np.full(members, np.inf), np.full(members, np.inf), np.zeros(members)])
        self._stopped = np.zeros(members, bool)

    def start(self, theta: Array, history: History) -> None:
        """Take note of the initial parameters, where the rule does and what it watches is known of them."""
        if self.rule.from_start and self._watched(history) is not None:
            self.observe(theta, history)

    def observe(self, theta: Array, history: History) -> bool:
        """Take note of parameters and of what was measured last; return whether all members have stopped."""
        loss = self._watched(history)
        lowest, progress_at, stalled = self.memory
        better = (loss < lowest) & ~self._stopped
        progress = self.rule.progresses(loss, lowest, progress_at)
        xp = namespace(theta)
        mask = xp.asarray(better, device=theta.device)
        self.theta[...] = xp.where(mask[..., None], theta, self.theta)
        stalled = np.where(progress, 0, stalled + 1)
        self.memory[...] = np.where(better, loss, lowest), np.where(progress, loss, progress_at), stalled
        self._stopped |= stalled >= self.rule.patience
        return bool(self._stopped.all())

    def _watched(self, history: History) -> Any:
        """Return the latest of the losses that the rule watches, in float64, or None before there is one."""
        if self.rule.on == "validation_score":
            return None if history.last_validation_score is None else -history.last_validation_score
        loss = history.last_loss
        if self.rule.on == "validation_loss" and history.last_validation_loss is not None:
            loss = history.last_validation_loss
        return None if loss is None else loss.astype(float)
