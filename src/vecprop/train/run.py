"""One call of training: the measurements after each epoch, and the reasons to stop."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from ..core.elementary import Array, namespace, on_host
from ..core.inputs import Batch
from ..core.network import Network
from ..core.scores import SCORES
from ..optimize.schedules import Schedule
from ..optimize.settings import TrainingLoss
from ..optimize.stopping import EarlyStopping, Stagnation, observed
from .state import DivergenceError, History, Reason, TrainingResult, TrainingState


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


Callback = Callable[[TrainingState], Any]


class Keeper(Protocol):
    """The contract of a checkpoint, see `vecprop.Checkpoint`."""

    def begin(
        self, network: Network, theta: Array, batches: Sequence[Batch | None], epochs: int, settings: Mapping[str, Any]
    ) -> TrainingResult | None:
        """Return how far a run has come, or None if it has not begun."""
        ...

    def after_epoch(self, result: TrainingResult) -> None:
        """Keep the result of training until now, if it is time."""
        ...

    def write(self, result: TrainingResult) -> None:
        """Keep a result of training."""
        ...


class Run:
    """The measurements, the best parameters and the callbacks of one call of training."""

    def __init__(
        self,
        state: TrainingState,
        early_stopping: EarlyStopping | Stagnation | None,
        callbacks: Sequence[Callback],
        remedy: str,
        checkpoint: Keeper | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.state = state
        self.callbacks = callbacks
        self.remedy = remedy
        self.best = Best(early_stopping, state) if early_stopping is not None else None
        self.last_finite = namespace(state.theta).asarray(state.theta, copy=True)
        self.goes_on = checkpoint is not None and len(state.history.time) > 0
        self.started = time.perf_counter() - (float(state.history.time[-1]) if self.goes_on else 0.0)

    @property
    def seconds(self) -> float:
        """Seconds since training began."""
        return time.perf_counter() - self.started

    def measure(self, loss: Array | None, validation_loss: Array | None, score: Array | None) -> None:
        """Record the losses and the validation score at the current parameters; the losses have to be finite."""
        self.require_finite_losses(loss, validation_loss)
        measured = {"loss": loss, "validation_loss": validation_loss, "validation_score": score}
        known = {name: on_host(value) for name, value in measured.items() if value is not None}
        self.state.history.measure(**known, time=self.seconds)

    def require_finite_losses(self, loss: Array | None, validation_loss: Array | None) -> None:
        """Raise a DivergenceError if a loss that is known is not finite."""
        for what, values in (("loss", loss), ("validation loss", validation_loss)):
            if values is not None:
                self.require_finite(what, on_host(values))

    def start(self, loss: Array | None, validation_loss: Array | None, score: Array | None) -> Reason | None:
        """Measure before the first epoch, as far as the losses are known; return a reason to take no step."""
        if not self.goes_on:
            self.measure(loss, validation_loss, score)
        if self.best is None:
            return None
        self.best.start(self.state.theta, self.state.history)
        return "early stopping" if self.best.continues and self.best.have_stopped.all() else None

    def after_epoch(
        self, loss: Array, validation_loss: Array | None, score: Array | None, schedule: Schedule | None = None
    ) -> Reason | None:
        """Measure, and return a reason to stop, if there is one."""
        self.measure(loss, validation_loss, score)
        self.last_finite[...] = self.state.theta
        stalled = self.best is not None and self.best.observe(self.state.theta, self.state.history)
        return self.reason_to_stop(stalled, schedule)

    def reason_to_stop(self, stalled: bool, schedule: Schedule | None = None) -> Reason | None:
        """Call the callbacks, also if early stopping ends training; return a reason to stop, if there is one.

        The schedule observes before that, so that callbacks meet a state from which training continues exactly.
        """
        if schedule is not None and self.state.schedule:
            schedule.observe(self.state.history.last_loss, self.state.schedule)
        try:
            asked = [callback(self.state) for callback in self.callbacks]
            is_over = any(isinstance(answer, bool | np.bool_) and answer for answer in asked)
            if self.checkpoint is not None and not (is_over or stalled):  # at the end it is written with the reason
                self.checkpoint.after_epoch(self.result("interrupted"))
        except Exception as error:
            with suppress(AttributeError):  # an error of a class that takes no attributes
                error.result = self.result("callback")  # type: ignore[attr-defined]
            raise
        if is_over:
            return "callback"
        return "early stopping" if stalled else None

    def was_moved(self) -> bool:
        """Return whether a callback has changed the parameters since they were measured."""
        xp = namespace(self.last_finite)
        return bool(xp.any(self.state.theta != self.last_finite))

    def require_finite(self, what: str, values: np.ndarray) -> None:
        """Raise a DivergenceError if a value, of one member or of each, is not finite."""
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
        self.state.theta[...] = self.last_finite  # engines differ in how far an epoch goes on that cannot be used
        raise DivergenceError(message, self.result("diverged"))

    def result(self, reason: Reason) -> TrainingResult:
        """Return the result of training that ended for this reason."""
        theta = self.state.theta
        if reason == "diverged":
            theta = self.last_finite
        elif self.best is not None and self.best.rule.restores:
            theta = self.best.theta
        return TrainingResult(theta, self.state.history, self.state, reason)


def check_score(
    name: Any, early_stopping: EarlyStopping | Stagnation | None, rows: int | None, weight: Array | None
) -> None:
    """Refuse a score that these validation rows do not have, or a rule of early stopping without its score."""
    if name is None:
        if early_stopping is not None and early_stopping.on == "validation_score":
            raise ValueError('early_stopping watches the validation score: name it, as in validation_score="accuracy".')
        return
    if name not in SCORES:
        raise ValueError(f"validation_score is {name!r}, but it is one of {', '.join(SCORES)}.")
    if rows is None:
        raise ValueError(f"validation_score is {name!r}, but there are no rows of validation: give them too.")
    if name == "r2" and rows < 2:
        raise ValueError("validation_score is 'r2', which needs at least 2 rows of validation.")
    if weight is not None and not namespace(weight).all(namespace(weight).any(weight > 0, axis=-1)):
        raise ValueError("The rows of validation all have weight 0, so that they have no score: weigh one.")


def is_running(training_loss: TrainingLoss, batch_size: int, rows: int) -> bool:
    """Return whether the recorded loss is the mean over the batches: asked for, or of mini-batches if nothing is."""
    return training_loss == "running" or (training_loss == "auto" and batch_size < rows)
