"""The best parameters so far, and whether a rule of early stopping has ended training."""

from typing import Any

import numpy as np

from ..core.elementary import Array, namespace
from ..optimize.stopping import EarlyStopping, Stagnation, observed
from .history import History
from .state import TrainingState


class Best:
    """The best parameters so far of each member, and how long ago they were found.

    Parameters
    ----------
    state : TrainingState
        The state of training. Its `early_stopping` holds what is known: that of earlier calls, if their rule watched
        the same, and else nothing yet.

    Attributes
    ----------
    memory : ndarray (3, *M)
        The lowest loss, the loss of the latest progress, and the number of epochs since then. The compiled engine
        updates it in place; see `compiled.run.epochs`.
    """

    def __init__(self, rule: EarlyStopping | Stagnation, state: TrainingState) -> None:
        self.rule, theta = rule, state.theta
        members = tuple(theta.shape[:-1])
        self.continues = state.early_stopping.get("on") == rule.on
        if not self.continues:
            state.early_stopping = {
                "on": rule.on,
                "theta": namespace(theta).asarray(theta, copy=True),
                "memory": np.stack([np.full(members, np.inf), np.full(members, np.inf), np.zeros(members)]),
            }
        self.theta, self.memory = state.early_stopping["theta"], state.early_stopping["memory"]

    @property
    def have_stopped(self) -> np.ndarray:
        """Whether each member has stopped, (*M,)."""
        return self.memory[2] >= self.rule.patience

    def start(self, theta: Array, history: History) -> None:
        """Observe the initial parameters, if the rule does, none came before, and the watched loss is known of them."""
        if self.rule.from_start and not self.continues and self._watched(history) is not None:
            self.observe(theta, history)

    def observe(self, theta: Array, history: History) -> bool:
        """Compare parameters, whose loss was measured last, with the best; return whether all members have stopped."""
        rule, loss = self.rule, self._watched(history)
        go_on = ~self.have_stopped
        better = (loss < self.memory[0]) & go_on
        xp = namespace(theta)
        mask = xp.asarray(better, device=theta.device)
        self.theta[...] = xp.where(mask[..., None], theta, self.theta)
        for member in map(tuple, np.argwhere(go_on)):
            own = (slice(None), *member)
            lowest, progress_at, stalled = self.memory[own]
            self.memory[own] = observed(loss[member], lowest, progress_at, stalled, rule.tolerance, rule.from_lowest)
        return bool(self.have_stopped.all())

    def _watched(self, history: History) -> Any:
        """Return the latest of the losses that the rule watches, in float64, or None before there is one."""
        if self.rule.on == "validation_score":
            return None if history.last_validation_score is None else -history.last_validation_score
        loss = history.last_loss
        if self.rule.on == "validation_loss" and history.last_validation_loss is not None:
            loss = history.last_validation_loss
        return None if loss is None else loss.astype(float)
