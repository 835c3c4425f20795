"""The best parameters so far, and whether a rule of early stopping has ended training."""

from typing import Any

import numpy as np

from ..core.elementary import Array, namespace
from ..optimize.stopping import EarlyStopping, Stagnation, observed
from .history import History


class Best:
    """The best parameters so far of each member, and how long ago they were found.

    Parameters
    ----------
    rule : EarlyStopping or Stagnation
        The rule.
    theta : array (*M, P)
        The parameters at the start.

    Attributes
    ----------
    theta : array (*M, P)
        The best parameters.
    memory : ndarray (3, *M)
        The lowest loss, the loss of the latest progress, and the number of epochs since then. The compiled engine
        updates it in place; see `compiled.run.epochs`.
    """

    def __init__(self, rule: EarlyStopping | Stagnation, theta: Array) -> None:
        self.rule = rule
        self.theta = namespace(theta).asarray(theta, copy=True)
        members = tuple(theta.shape[:-1])
        self.memory = np.array([np.full(members, np.inf), np.full(members, np.inf), np.zeros(members)])
        self._stopped = np.zeros(members, bool)

    def start(self, theta: Array, history: History) -> None:
        """Observe the initial parameters, if the rule does and the watched loss is known of them."""
        if self.rule.from_start and self._watched(history) is not None:
            self.observe(theta, history)

    def observe(self, theta: Array, history: History) -> bool:
        """Compare parameters, whose loss was measured last, with the best; return whether all members have stopped."""
        rule, loss = self.rule, self._watched(history)
        better = (loss < self.memory[0]) & ~self._stopped
        xp = namespace(theta)
        mask = xp.asarray(better, device=theta.device)
        self.theta[...] = xp.where(mask[..., None], theta, self.theta)
        for member in np.ndindex(loss.shape):
            own = (slice(None), *member)
            lowest, progress_at, stalled = self.memory[own]
            self.memory[own] = observed(loss[member], lowest, progress_at, stalled, rule.tolerance, rule.from_lowest)
        self._stopped |= self.memory[2] >= rule.patience
        return bool(self._stopped.all())

    def _watched(self, history: History) -> Any:
        """Return the latest of the losses that the rule watches, in float64, or None before there is one."""
        if self.rule.on == "validation_score":
            return None if history.last_validation_score is None else -history.last_validation_score
        loss = history.last_loss
        if self.rule.on == "validation_loss" and history.last_validation_loss is not None:
            loss = history.last_validation_loss
        return None if loss is None else loss.astype(float)
