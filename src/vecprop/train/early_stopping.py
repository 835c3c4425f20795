"""Early stopping: training ends when the loss stops falling; and the best parameters on the way there."""

from dataclasses import dataclass

import numpy as np

from ..core.elementary import Array, namespace


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss has not fallen for a while, and restore the best parameters.

    It watches the validation loss, or the training loss where there is no validation data. Each member of a population
    stops by itself: what it does after that does not count, and training ends when all have stopped.

    Parameters
    ----------
    patience : int, default 10
        How many epochs in a row without progress end training.
    tolerance : float, default 0.0
        By how much the loss must fall below the best so far to count as progress, in units of the loss.

    Raises
    ------
    ValueError
        Where patience is less than 1 or tolerance less than 0.

    Examples
    --------
    >>> EarlyStopping(patience=3)
    EarlyStopping(patience=3, tolerance=0.0)
    """

    patience: int = 10
    tolerance: float = 0.0

    restores = True

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check(self)

    def progresses(self, loss: np.ndarray, lowest: np.ndarray, progress_at: np.ndarray) -> np.ndarray:
        """Return where a loss is progress, beside the lowest so far and that of the latest progress."""
        return loss < progress_at - self.tolerance


@dataclass(frozen=True)
class Stagnation:
    """Stop when the training loss stagnates, and keep the last parameters: scikit-learn's rule.

    It watches the training loss, also where there is validation data. Progress is counted from the lowest loss so far,
    so that many steps that are each smaller than the tolerance are none.

    Parameters
    ----------
    patience : int, default 10
        Training ends when there was no progress in this many epochs in a row, the last of them included.
    tolerance : float, default 0.0001
        By how much the loss must be below the lowest so far to be progress, in units of the loss.

    Raises
    ------
    ValueError
        Where patience is less than 1 or tolerance less than 0.

    Examples
    --------
    >>> Stagnation(patience=11)
    Stagnation(patience=11, tolerance=0.0001)
    """

    patience: int = 10
    tolerance: float = 1e-4

    restores = False

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        _check(self)

    def progresses(self, loss: np.ndarray, lowest: np.ndarray, progress_at: np.ndarray) -> np.ndarray:
        """Return where a loss is progress, beside the lowest so far and that of the latest progress."""
        return ~(loss > lowest - self.tolerance)


def _check(rule: EarlyStopping | Stagnation) -> None:
    name = type(rule).__name__
    if not rule.patience >= 1:
        raise ValueError(f"{name} needs a patience of at least 1 epoch, not {rule.patience!r}.")
    if not rule.tolerance >= 0:
        raise ValueError(f"{name} needs a tolerance of at least 0, not {rule.tolerance!r}.")


class Best:
    """The best parameters so far of each member, and how long ago they were found.

    Parameters
    ----------
    rule : EarlyStopping or Stagnation
        When to stop.
    theta : array (*M, P)
        The parameters at the start.
    """

    def __init__(self, rule: EarlyStopping | Stagnation, theta: Array) -> None:
        self.rule = rule
        self.theta = namespace(theta).asarray(theta, copy=True)
        members = tuple(theta.shape[:-1])
        self.loss = np.full(members, np.inf)
        self._progress_at = self.loss  # the loss that progress is counted from
        self._stalled = np.zeros(members, int)
        self._stopped = np.zeros(members, bool)

    def observe(self, theta: Array, loss: np.ndarray) -> bool:
        """Take note of parameters and their loss; return whether all members have stopped."""
        better = (loss < self.loss) & ~self._stopped
        progress = self.rule.progresses(loss, self.loss, self._progress_at)
        xp = namespace(theta)
        mask = xp.asarray(better, device=theta.device)
        self.theta[...] = xp.where(mask[..., None], theta, self.theta)
        self.loss = np.where(better, loss, self.loss)
        self._progress_at = np.where(progress, loss, self._progress_at)
        self._stalled = np.where(progress, 0, self._stalled + 1)
        self._stopped |= self._stalled >= self.rule.patience
        return bool(self._stopped.all())
