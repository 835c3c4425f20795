"""Training runs, which record losses after each epoch, and hooks, which observe a run and may end it.

Callbacks, early stopping, schedules that depend on the loss, checkpoints and progress reports of populations are hooks.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from math import inf
from typing import Any, Self

import numpy as np

from ..core import Array, Batch, Network, namespace, on_host
from ..optimize import LBFGS, Constant, EarlyStopping, Schedule, TrainingSettings, observed
from ..system.threads import SecondInterrupt
from .state import DivergenceError, History, Reason, TrainingResult, TrainingState

Callback = Callable[[TrainingState], Any]


class Hook:
    """Observe training. Subclasses override the methods that they need; the defaults do nothing.

    Hooks are entered before the first losses are measured, and exited when training ends or fails. If several hooks
    return a reason to end training, the last reason is used.
    """

    interval: float = inf
    """The maximum number of epochs between two calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def start(self, run: "Run") -> Reason | None:
        """Handle the start of training, after the first losses are measured."""

    def after_epoch(self, run: "Run") -> Reason | None:
        """Handle the end of one or several epochs."""

    def after_window(self, run: "Run") -> Reason | None:
        """Handle the end of a window, in training on data larger than memory."""

    def poll(self, monitor: Any) -> Reason | None:
        """Inspect a population several times a second while it is trained."""

    def after_members(self, part: Any) -> None:
        """Handle the results of members that were trained one by one or in another process."""

    def end(self, training: Any, result: Any) -> None:
        """Handle the result of training."""

    def failed(self, training: Any, error: BaseException) -> None:
        """Handle an error that ends training."""


@contextmanager
def watched(training: Any) -> Iterator[None]:
    """Run a block with active hooks. If it raises, hooks are notified, and errors of hooks are added as notes."""
    try:
        with ExitStack() as stack:
            for hook in training.hooks:
                stack.enter_context(hook)
            yield
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        for hook in training.hooks:
            try:
                hook.failed(training, error)
            except Exception as other:
                error.add_note(f"The training state could not be saved: {other}")
        raise


def assumed_seconds(operations: float, steps: float) -> float:
    """Estimate the seconds that one core needs for arithmetic and steps. Results do not depend on the estimate."""
    return operations / 5e10 + steps / 1e6


def is_true(answer: Any) -> bool:
    """Return whether a callback has returned True, and not merely a truthy value."""
    return isinstance(answer, bool | np.bool_) and bool(answer)


class Observation(Hook):
    """Pass the loss to a schedule, before callbacks are called."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    interval = 1

    def after_epoch(self, run: "Run") -> None:
        """Pass the latest loss to the schedule."""
        self.schedule.observe(run.state.history.last_loss, run.state.schedule)


class Call(Hook):
    """Call a callback with the training state."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    @property
    def interval(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The maximum number of epochs between two calls."""
        return getattr(self.callback, "interval", 1)

    def __enter__(self) -> Self:
        if isinstance(self.callback, AbstractContextManager):
            self.callback.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self.callback.__exit__(*error) if isinstance(self.callback, AbstractContextManager) else None

    def after_epoch(self, run: "Run") -> Reason | None:
        """Return the reason "callback" if the callback returns True."""
        answer = self.callback(run.state)
        return "callback" if answer is not None and is_true(answer) else None

    after_window = after_epoch


class SaveCheckpoint(Hook):
    """Save training to a checkpoint."""

    def __init__(self, checkpoint: Any) -> None:
        self.checkpoint = checkpoint

    def after_epoch(self, run: "Run") -> None:
        """Save the state if a save is due, unless training has just ended."""
        if run.reason is None:
            self.checkpoint._after_epoch(run.result("interrupted"))

    after_window = after_epoch

    def end(self, training: "Run", result: TrainingResult) -> None:
        """Save the result."""
        self.checkpoint._write(result)

    def failed(self, training: "Run", error: BaseException) -> None:
        """Save the state after the last complete epoch, so that training can resume."""
        if training.is_whole and not isinstance(error, DivergenceError | SecondInterrupt):
            self.checkpoint._write(training.result("interrupted"))


class Best(Hook):
    """Track the best parameters of each member for early stopping.

    Tracking continues from the state if the earlier rule monitored the same value. ``memory`` has shape (3, *M): the
    lowest loss, the loss at the latest improvement, and the number of epochs since then. The compiled engine updates
    ``memory`` in place; see `compiled.run.measures`.
    """

    stalled: bool | None = None
    """Whether all members have stopped, as reported by the kernels; None if no kernel compares the losses."""

    def __init__(self, rule: EarlyStopping, state: TrainingState) -> None:
        self.rule, theta = rule, state.theta
        members = tuple(theta.shape[:-1])
        self.continues = state.early_stopping.get("monitor") == rule.monitor
        if not self.continues:
            best = namespace(theta).asarray(theta, copy=True)
            memory = np.stack([np.full(members, np.inf), np.full(members, np.inf), np.zeros(members)])
            state.early_stopping = {"monitor": rule.monitor, "theta": best, "memory": memory}
        self.theta, self.memory = state.early_stopping["theta"], state.early_stopping["memory"]

    @property
    def have_stopped(self) -> np.ndarray:
        """Whether each member has stopped, (*M,)."""
        return self.memory[2] >= self.rule.patience

    def start(self, run: "Run") -> Reason | None:
        """Compare the initial loss if it was measured and the rule uses it; return a reason to stop, if any."""
        if self.continues:
            return "early stopping" if self.have_stopped.all() else None
        if self.rule.compare_to == "progress" and self._watched(run.state.history) is not None:
            self.observe(run.state)
        return None

    def after_epoch(self, run: "Run") -> Reason | None:
        """Compare the latest loss with the best; return a reason to stop if all members have stopped."""
        if self.stalled is None:
            self.observe(run.state)
        stalled = self.have_stopped.all() if self.stalled is None else self.stalled
        return "early stopping" if stalled else None

    def observe(self, state: TrainingState) -> None:
        """Compare the latest loss with the best, and store the parameters of members that improved."""
        rule, theta, loss = self.rule, state.theta, self._watched(state.history)
        go_on = ~self.have_stopped
        better = (loss < self.memory[0]) & go_on
        xp = namespace(theta)
        mask = xp.asarray(better, device=theta.device)
        self.theta[...] = xp.where(mask[..., None], theta, self.theta)
        for member in map(tuple, np.argwhere(go_on)):
            own = (slice(None), *member)
            lowest, progress_at, stalled = self.memory[own]
            how = rule.min_delta, rule.compare_to == "best"
            self.memory[own] = observed(loss[member], lowest, progress_at, stalled, *how)

    def _watched(self, history: History) -> Any:
        """Return the latest value of the monitored loss in float64, or None if none was measured."""
        if self.rule.monitor == "validation_score":
            return None if history.last_validation_score is None else -history.last_validation_score
        loss = history.last_loss
        if self.rule.monitor == "validation_loss" and history.last_validation_loss is not None:
            loss = history.last_validation_loss
        return None if loss is None else loss.astype(float)


class Run:
    """A training run of a network, or of all members of theta, with its settings, history and hooks."""

    def __init__(
        self,
        network: Network,
        theta: Array,
        settings: TrainingSettings,
        rows: int,
        callbacks: Sequence[Callback] = (),
        state: TrainingState | None = None,
        checkpoint: Any = None,
        batches: Sequence[Batch | None] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Start a run, or continue from a state or from a checkpoint of the same settings and data."""
        self.network, self.settings, self.plan = network, settings, settings.plan(rows)
        self.schedule, self.callbacks, rule = settings.schedule or Constant(), callbacks, settings.early_stopping
        self.ended: TrainingResult | None = None  # the result, if an earlier process has finished the run
        begun: TrainingResult | None = None
        if checkpoint is not None:
            known = settings.identity(rows) | dict(more or {})
            begun = checkpoint._begin(network, theta, batches, settings.epochs, known)
        if begun is not None:
            state = begun.state
            if begun.reason != "interrupted" and (begun.reason != "epochs" or state.epoch == settings.epochs):
                self.ended = begun
        elif state is None:
            state = new_state(network, theta, settings, rows)
        else:
            state = continued(state, network, theta, settings, rows)
        self.state: TrainingState = state
        self.best, self.reason = None if rule is None else Best(rule, state), None
        self.is_whole = True  # the state belongs to a complete epoch or window
        self.has_started = False
        self.hooks: list[Hook] = [] if self.best is None else [self.best]
        self.hooks += [Observation(self.schedule)] if state.schedule else []
        self.hooks += map(Call, callbacks)
        self.hooks += [] if checkpoint is None else [SaveCheckpoint(checkpoint)]
        self.per_epoch = -(-rows // self.plan.batch_size)
        begun_at = state.step - state.under_way.get("steps", 0)  # the first step of the epoch
        self.steps = begun_at + (state.epochs - state.epoch) * self.per_epoch
        self.last_finite = namespace(state.theta).asarray(state.theta, copy=True)
        self.is_resumed = begun is not None and len(state.history.time) > 0
        self.started = time.perf_counter() - (float(state.history.time[-1]) if self.is_resumed else 0.0)

    @property
    def seconds(self) -> float:
        """Seconds since training started."""
        return time.perf_counter() - self.started

    def measure(self, loss: Array | None, validation_loss: Array | None, score: Array | None, **steps: Any) -> None:
        """Record the losses and the validation score; raise DivergenceError if a loss is not finite."""
        self.require_finite("loss", loss)
        self.require_finite("validation loss", validation_loss)
        measured = {"loss": loss, "validation_loss": validation_loss, "validation_score": score}
        known = {name: on_host(value) for name, value in measured.items() if value is not None}
        self.state.history._measure(**known, **steps, time=self.seconds)

    def start(self, loss: Array | None, validation_loss: Array | None, score: Array | None) -> Reason | None:
        """Record the losses before the first epoch; return a reason to stop, if any."""
        if not self.is_resumed:
            self.measure(loss, validation_loss, score)
        self.has_started = True
        return self.call_hooks("start")

    def after_epoch(self, *measured: Any, **steps: Any) -> Reason | None:
        """Record the losses of an epoch and count it; return a reason to stop, if any."""
        self.measure(*measured, **steps)
        self.state.epoch += 1
        self.last_finite[...] = self.state.theta
        return self.call_hooks()

    def call_hooks(self, event: str = "after_epoch") -> Reason | None:
        """Call a method of all hooks; return the last reason to stop, if any."""
        self.reason, self.is_whole = None, True
        try:
            for hook in self.hooks:
                self.reason = getattr(hook, event)(self) or self.reason
        except Exception as error:
            with suppress(AttributeError):  # some exception classes do not allow attributes
                error.result = self.result("callback")  # type: ignore[attr-defined]
            raise
        return self.reason

    def train(self, move: Callable[[], Reason]) -> TrainingResult:
        """Train theta by calling move() while the hooks are active, and return the result."""
        errors = np.errstate(over="ignore", invalid="ignore", divide="ignore")
        with errors, watched(self) if self.hooks else nullcontext():
            # Overflow leads to a loss that is not finite, which raises DivergenceError.
            try:
                reason = move()
            except KeyboardInterrupt as error:
                if isinstance(error, SecondInterrupt) or not self.has_started:
                    raise
                reason = "interrupted"
            result = self.result(reason)
            for hook in self.hooks:
                hook.end(self, result)
        return result

    def was_moved(self) -> bool:
        """Return whether a callback has changed theta since the losses were last recorded."""
        return bool(namespace(self.last_finite).any(self.state.theta != self.last_finite))

    def require_finite(self, what: str, values: Array | None) -> None:
        """Raise DivergenceError if a value, or the value of a member, is not finite."""
        if values is None or np.isfinite(values := on_host(values)).all():
            return
        wrong = np.argwhere(~np.isfinite(values))  # this takes as long as a small epoch
        value = values[tuple(wrong[0])]
        members = ""
        if values.ndim:
            first = ", ".join(str(i[0] if len(i) == 1 else tuple(i)) for i in wrong[:5].tolist())
            members = f" of {len(wrong)} of {values.size} members ({first}{', …' if len(wrong) > 5 else ''})"
        if self.state.step == 0:
            remedy = "scale inputs and targets to about 1, or start from smaller parameters"
            message = f"The {what}{members} is {value} before the first step: {remedy}."
        else:
            remedy = "Scale inputs and targets, or start from smaller parameters."
            if not isinstance(self.settings.optimizer, LBFGS):
                rate = getattr(self.settings.optimizer, "learning_rate", "unknown")
                remedy = f"Lower the learning rate (now {rate}), clip the gradient or scale inputs and targets."
            left = "The last parameters with a finite loss are in the error's result.theta."
            diverged = f"Training diverged: after step {self.state.step} the {what}{members} is {value}"
            message = f"{diverged}. {remedy} {left}"
        self.state.theta[...] = self.last_finite  # engines stop at different steps of a diverging epoch
        raise DivergenceError(message, self.result("diverged"))

    def result(self, reason: Reason) -> TrainingResult:
        """Return the result with this stop reason."""
        theta = self.state.theta
        if reason == "diverged":
            theta = self.last_finite
        elif self.best is not None and self.best.rule.restore_best:
            theta = self.best.theta
        return TrainingResult(theta, self.state.history, self.state, reason)


def new_state(network: Network, theta: Array, settings: TrainingSettings, rows: int) -> TrainingState:
    """Return the state before the first epoch."""
    optimizer, schedule, epochs = settings.optimizer, settings.schedule, int(settings.epochs)
    if isinstance(optimizer, LBFGS):
        return TrainingState(theta, {}, {}, epochs=epochs, rows=rows)
    own, name = (optimizer.init(theta), {} if schedule is None else schedule.init()), type(optimizer).__name__
    return TrainingState(theta, *own, epochs=epochs, rows=rows, network=network, optimizer_class=name)


def continued(
    state: TrainingState, network: Network, theta: Array, settings: TrainingSettings, rows: int
) -> TrainingState:
    """Return a copy of the state to continue from; raise ValueError if it does not fit."""
    needed = new_state(network, theta, settings, rows)
    for part, own, given in (
        ("theta of shape", tuple(state.theta.shape), tuple(theta.shape)),
        ("theta of dtype", state.theta.dtype, theta.dtype),
        ("the optimizer", state.optimizer_class or needed.optimizer_class, needed.optimizer_class),
        ("the network", state.network or network, network),
        ("an optimizer with", _shapes(state.optimizer), _shapes(needed.optimizer)),
        ("a schedule with", [*state.schedule], [*needed.schedule]),
    ):
        if own != given:
            raise ValueError(f"The state comes from {part} {own}, not {given}: pass the same arguments.")
    return state._continued(theta, needed.epochs, rows)


def _shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
