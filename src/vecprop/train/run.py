"""One call of training: what is measured after each epoch, and when to stop."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.elementary import Array, namespace, on_host
from ..core.inputs import Batch
from ..core.network import Network
from .early_stopping import Best, EarlyStopping
from .state import DivergenceError, Reason, TrainingResult, TrainingState

Callback = Callable[[TrainingState], Any]


class Run:
    """The measurements, the best parameters and the callbacks of one call of training.

    Parameters
    ----------
    network : Network
        What is trained.
    state : TrainingState
        Where training stands; whatever moves theta moves it there.
    held_out : Batch or None
        The validation rows.
    early_stopping : EarlyStopping or None
        When to stop.
    callbacks : sequence of callable
        What is called after each epoch.
    remedy : str
        What to try when training diverges.
    """

    def __init__(
        self,
        network: Network,
        state: TrainingState,
        held_out: Batch | None,
        early_stopping: EarlyStopping | None,
        callbacks: Sequence[Callback],
        remedy: str,
    ) -> None:
        self.network = network
        self.state = state
        self.held_out = held_out
        self.early_stopping = early_stopping
        self.callbacks = callbacks
        self.remedy = remedy
        self.best: Best | None = None
        self.last_finite = namespace(state.theta).asarray(state.theta, copy=True)
        self.started = time.perf_counter()

    def measure(self, loss: Array) -> None:
        """Record the losses at the current parameters, given that of training; they have to be finite."""
        state, history = self.state, self.state.history
        training_loss, validation_loss = on_host(loss), None
        self.require_finite("loss", training_loss)
        if self.held_out is not None:
            validation_loss = on_host(self.network.batch_loss(state.theta, self.held_out))
            self.require_finite("validation loss", validation_loss)
        history.measure(training_loss, validation_loss, time.perf_counter() - self.started)
        self.last_finite[...] = state.theta
        if self.early_stopping is not None and self.best is None:
            self.best = Best(self.early_stopping, state.theta, self._watched())

    def after_epoch(self, loss: Array) -> Reason | None:
        """Measure, and return a reason to stop, if there is one."""
        self.measure(loss)
        stalled = self.best is not None and self.best.observe(self.state.theta, self._watched())
        asked = [callback(self.state) for callback in self.callbacks]
        if any(answer is True for answer in asked):
            return "callback"
        return "early stopping" if stalled else None

    def _watched(self) -> np.ndarray:
        """Return the loss that early stopping watches."""
        validation_loss = self.state.history.last_validation_loss
        return self.state.history.last_loss if validation_loss is None else validation_loss

    def require_finite(self, what: str, values: np.ndarray) -> None:
        """Raise a DivergenceError where a value, of one member or of each, is not finite."""
        wrong = np.argwhere(~np.isfinite(values))
        if not len(wrong):
            return
        value = values[tuple(wrong[0])]
        members = ""
        if values.ndim:
            first = ", ".join(str(i[0] if len(i) == 1 else tuple(i)) for i in wrong[:5].tolist())
            members = f" of {len(wrong)} of {values.size} members ({first}{', …' if len(wrong) > 5 else ''})"
        if self.state.step == 0:
            message = (
                f"The {what}{members} is {value} before the first step: "
                "scale inputs and targets to about 1, or start from smaller parameters."
            )
        else:
            message = (
                f"Training diverged: after step {self.state.step} the {what}{members} is {value}. {self.remedy} "
                "The last parameters with a finite loss are in the error's result.theta."
            )
        raise DivergenceError(message, self.result("diverged"))

    def result(self, reason: Reason) -> TrainingResult:
        """Return what has been trained."""
        theta = self.state.theta
        if reason == "diverged":
            theta = self.last_finite
        elif self.best is not None:
            theta = self.best.theta
        return TrainingResult(theta, self.state.history, self.state, reason)
