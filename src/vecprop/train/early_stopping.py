"""Early stopping: training ends when the loss stops falling, and goes back to the best parameters."""

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

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not self.patience >= 1:
            raise ValueError(f"EarlyStopping needs a patience of at least 1 epoch, not {self.patience!r}.")
        if not self.tolerance >= 0:
            raise ValueError(f"EarlyStopping needs a tolerance of at least 0, not {self.tolerance!r}.")


class Best:
    """The best parameters so far of each member, and how long ago they were found.

    Parameters
    ----------
    rule : EarlyStopping
        When to stop.
    theta : array (*M, P)
        The parameters at the start.
    """

    def __init__(self, rule: EarlyStopping, theta: Array) -> None:
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
        progress = loss < self._progress_at - self.rule.tolerance
        xp = namespace(theta)
        mask = xp.asarray(better, device=theta.device)
        self.theta[...] = xp.where(mask[..., None], theta, self.theta)
        self.loss = np.where(better, loss, self.loss)
        self._progress_at = np.where(progress, loss, self._progress_at)
        self._stalled = np.where(progress, 0, self._stalled + 1)
        self._stopped |= self._stalled >= self.rule.patience
        return bool(self._stopped.all())
