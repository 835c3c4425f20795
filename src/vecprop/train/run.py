"""One training run: its state, its history, its callbacks, and the loop that trains several runs on the same rows."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any

import numpy as np

from ..core import Array, Batch, Network, namespace, on_host
from ..optimize import LBFGS, EarlyStopping, EpochResults, TrainingSettings, observed
from ..system.threads import SecondInterrupt, defer_sigint
from .state import DivergenceError, History, Reason, TrainingResult, TrainingState

Callback = Callable[[TrainingState], Any]


class Steps(ABC):
    """Trains the parameters of a run in place, window by window. Rows in memory are one window of all epochs.

    The steps also update the optimizer's state, the number of steps and
    `Run.last_finite`. Before they change one of them, they set `Run.is_whole` to False.
    They never call the run.
    """

    def __init__(self, run: "Run", validation_batch: Batch | None):
        self.run = run
        self.state = run.state
        self.network = run.network
        self.plan = run.plan
        self.validation_batch = validation_batch

    @abstractmethod
    def measure(self, window: Any, interrupts: list[Any]) -> EpochResults:
        """Return the losses before the first step. If there is no window, only validation losses are measured."""

    @abstractmethod
    def advance(self, window: Any, most: float, interrupts: list[Any]) -> EpochResults:
        """Take the steps of a window, or of at most `most` epochs in memory; stop if `interrupts` is not empty."""

    def has_taken(self, window) -> bool:
        """Return whether all steps on a window are done."""
        return self.state.epoch >= self.state.epochs

    def skip(self, window: Any):  # noqa: B027 (rows in memory are never skipped)
        """Handle a window whose steps were done before training resumed."""


def interruption_of(work: Callable[[], object]) -> KeyboardInterrupt | None:
    """Call work(), and return the Ctrl-C that ended it, if any. A second Ctrl-C is raised."""
    try:
        work()
    except KeyboardInterrupt as error:
        if isinstance(error, SecondInterrupt):
            raise
        return error
    return None


def held(checkpoint, is_folder: bool = True) -> AbstractContextManager[None]:
    """Return a context that locks any checkpoint and treats SIGTERM like Ctrl-C."""
    return nullcontext() if checkpoint is None else checkpoint._held(is_folder)


@contextmanager
def saved_on_failure(
    save: Callable[[], None], unless: tuple[type[BaseException], ...] = ()
) -> Iterator[None]:
    """Call save() if the block raises an error, `unless` it is of one of these classes.

    If saving fails, too, a note is added to the error.
    """
    try:
        yield
    except unless:
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        try:
            save()
        except Exception as failure:
            error.add_note(f"The training state could not be saved: {failure}")
        raise


def assumed_seconds(operations: float, steps: float) -> float:
    """Estimate the seconds that one core needs for arithmetic and steps. Results do not depend on the estimate."""
    return operations / 5e10 + steps / 1e6


def is_true(answer) -> bool:
    """Return whether a callback has returned True, and not merely a truthy value."""
    return isinstance(answer, bool | np.bool_) and bool(answer)


class Best:
    """Track the best parameters of each member for early stopping.

    Tracking continues from the state if the earlier rule monitored the same value.
    ``memory`` has shape (3, *M): the lowest loss, the loss at the latest improvement,
    and the number of epochs since then. The compiled engine updates ``memory`` in
    place; see `compiled.run.measures`.
    """

    def __init__(self, rule: EarlyStopping, state: TrainingState):
        self.rule = rule
        self.continues = state.early_stopping.get("monitor") == rule.monitor
        if not self.continues:
            theta = state.theta
            memory = np.zeros((3, *theta.shape[:-1]))
            memory[:2] = np.inf
            state.early_stopping = {
                "monitor": rule.monitor,
                "theta": namespace(theta).asarray(theta, copy=True),
                "memory": memory,
            }
        self.theta = state.early_stopping["theta"]
        self.memory = state.early_stopping["memory"]

    @property
    def have_stopped(self) -> np.ndarray:
        """Whether each member has stopped, (*M,)."""
        return self.memory[2] >= self.rule.patience

    def start(self, state: TrainingState) -> Reason | None:
        """Compare the initial loss if it was measured and the rule uses it; return a reason to stop, if any."""
        if self.continues:
            return "early stopping" if self.have_stopped.all() else None
        uses_loss = self.rule.compare_to == "progress"
        if uses_loss and self._watched(state.history) is not None:
            self.observe(state)
        return None

    def has_stalled(self, state: TrainingState, stalled: bool | None) -> bool:
        """Return whether all members have stopped; compare the latest loss unless a kernel has compared it."""
        if stalled is not None:
            return stalled
        self.observe(state)
        return bool(self.have_stopped.all())

    def observe(self, state: TrainingState):
        """Compare the latest loss with the best, and store the parameters of members that improved."""
        rule = self.rule
        theta = state.theta
        loss = self._watched(state.history)
        is_active = ~self.have_stopped
        xp = namespace(theta)
        is_better = xp.asarray((loss < self.memory[0]) & is_active, device=theta.device)
        self.theta[...] = xp.where(is_better[..., None], theta, self.theta)
        for member in map(tuple, np.argwhere(is_active)):
            self.memory[:, *member] = observed(
                loss[member],
                *self.memory[:, *member],
                min_delta=rule.min_delta,
                compares_to_best=rule.compare_to == "best",
            )

    def _watched(self, history: History) -> Any:
        """Return the latest value of the monitored loss in float64, or None if none was measured."""
        monitor = self.rule.monitor
        values = getattr(history, f"last_{monitor}")
        if values is None:  # there are no validation rows
            values = history.last_loss
        if values is None:
            return None
        return -values if monitor == "validation_score" else values.astype(float)


class Run:
    """A training run of a network, or of all members of theta.

    The run records what its `steps` have computed, and calls the early stopping rule,
    the schedule and the callbacks.
    """

    steps: Steps
    """Set by the creator of the run."""

    def __init__(
        self,
        network: Network,
        theta: Array,
        settings: TrainingSettings,
        rows: int,
        *,
        batches: tuple[Batch | None, Batch | None],
        callbacks: Sequence[Callback] = (),
        state: TrainingState | None = None,
        checkpoint: Any = None,
        source: Mapping[str, Any],
    ):
        """Prepare a run, or continue from a state or from a checkpoint of the same settings and data.

        The batches are the training rows in memory and the validation rows. ``source``
        describes where the rows come from.
        """
        self.network = network
        self.settings = settings
        self.validates = batches[1] is not None
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.plan = settings.plan(rows)
        self.per_epoch = -(-rows // self.plan.batch_size)
        self.result: TrainingResult | None = None
        saved: TrainingResult | None = None
        if checkpoint is not None:
            identity = {**settings.identity(rows), **source}
            saved = checkpoint._begin(
                network, theta, batches, settings.epochs, identity
            )
        if saved is not None:
            self.state = saved.state
            has_all_epochs = saved.state.epoch == settings.epochs
            if saved.reason != "interrupted" and (
                saved.reason != "epochs" or has_all_epochs
            ):
                self.result = saved
        elif state is not None:
            self.state = continued(state, network, theta, settings, rows)
        else:
            self.state = new_state(network, theta, settings, rows)
        state = self.state
        steps_of_epoch = state.under_way.get("steps", 0)
        steps_left = (state.epochs - state.epoch) * self.per_epoch
        self.total_steps = state.step - steps_of_epoch + steps_left
        self.best: Best | None = None
        if settings.early_stopping is not None:
            self.best = Best(settings.early_stopping, state)
        self.last_finite = namespace(theta).asarray(state.theta, copy=True)
        # the state belongs to a complete epoch or window
        self.is_whole = self.result is None
        self.has_started = False
        self.is_resumed = saved is not None and len(state.history.time) > 0
        self.began = time.perf_counter()
        if self.is_resumed:
            self.began -= float(state.history.time[-1])

    def take(self, window):
        """Train on a window of rows, unless training has ended."""
        if self.result is not None:
            return
        if not self.has_started:
            self.start(window)
        if self.steps.has_taken(window):
            self.steps.skip(window)
        while self.result is None and not self.steps.has_taken(window):
            self.end_by(
                defer_sigint(lambda interrupts: self.advance(window, interrupts))
            )

    def start(self, window, results: EpochResults | None = None):
        """Measure the losses before the first epoch, unless they are given, and record them.

        An earlier process may have recorded them.
        """
        if not self.is_resumed:
            if self.plan.running and not self.validates:
                results = EpochResults(epochs=0, steps=0)
            # measure again if a handler of Ctrl-C lets training continue
            while results is None or results.stopped:
                results = defer_sigint(
                    lambda interrupts: self.steps.measure(window, interrupts)
                )
            if not self.plan.running:
                self.require_finite("loss", results.losses[0])
            if self.validates:
                self.require_finite("validation loss", results.validation_losses[0])
            seconds = np.array([time.perf_counter() - self.began])
            self.extend_history(results, 1, seconds, is_start=True)
        self.has_started = True
        self.end_by(None if self.best is None else self.best.start(self.state))

    def end_by(self, reason: Reason | None):
        """End training if there is a reason to stop, or after the last epoch."""
        if reason is None and self.state.epoch >= self.state.epochs:
            reason = "epochs"
        if reason is not None:
            self.end(self.result_so_far(reason))

    def advance(self, window, interrupts: list[Any]) -> Reason | None:
        """Take steps, and record completed epochs; return a reason to stop, if any."""
        began = time.perf_counter()
        most = self.state.epochs - self.state.epoch
        if self.state.schedule:
            most = 1
        for callback in self.callbacks:
            most = min(most, getattr(callback, "interval", 1))
        results = self.steps.advance(window, most, interrupts)
        return self.record(results, began)

    def record(self, results: EpochResults, began: float) -> Reason | None:
        """Record epochs that began at this time; return a reason to stop, if any."""
        reason: Reason | None = None
        state = self.state
        count = results.epochs
        if count:
            seconds = (time.perf_counter() - began) / count
            state.epoch += count
            times = began - self.began + seconds * np.arange(1, count + 1)
            self.extend_history(results, count, times)
            if results.diverged:
                state.theta[...] = self.last_finite  # of these epochs
            reason = self.notify(results)
            if results.diverged:
                state.step += results.steps - count * self.per_epoch
        elif not results.stopped and not results.diverged:
            reason = self.notify(None)
        if results.diverged:
            if results.gradient_diverged:
                self.require_finite("gradient's norm", results.norms[count])
            self.require_finite("loss", results.losses[count])
            if self.validates:
                self.require_finite("validation loss", results.validation_losses[count])
        return reason

    def extend_history(
        self,
        results: EpochResults,
        count: int,
        seconds: np.ndarray,
        is_start: bool = False,
    ):
        """Add the values of epochs to the history."""
        history = self.state.history
        history._time.append(seconds)
        if not is_start or not self.plan.running:
            history._loss.append(results.losses[:count])
        if self.validates:
            history._validation_loss.append(results.validation_losses[:count])
        if self.plan.score:
            history._validation_score.append(results.validation_scores[:count])
        if not is_start:
            history._gradient_norm.append(results.norms[:count])
            history._step_size.append(results.sizes[:count])

    def notify(self, results: EpochResults | None) -> Reason | None:
        """Call early stopping and the schedule after epochs, and callbacks also after windows.

        If several of them end training, the reason of the last one is returned.
        """
        state = self.state
        self.is_whole = results is None or not results.diverged
        reason: Reason | None = None
        try:
            if results is not None:
                if self.best is not None and self.best.has_stalled(
                    state, results.stalled
                ):
                    reason = "early stopping"
                if state.schedule:
                    schedule: Any = self.settings.schedule
                    schedule.observe(state.history.last_loss, state.schedule)
            for callback in self.callbacks:
                if is_true(callback(state)):
                    reason = "callback"
            if self.checkpoint is not None and self.is_whole and reason is None:
                self.checkpoint._after_epoch(self.result_so_far("interrupted"))
        except Exception as error:
            # some exception classes do not allow attributes
            with suppress(AttributeError):
                error.result = self.result_so_far("callback")  # type: ignore[attr-defined]
            raise
        return reason

    def end(self, result: TrainingResult):
        """Store and save the result."""
        self.result = result
        if self.checkpoint is not None:
            self.checkpoint._write(result)
        self.is_whole = False  # a later error must not save the result as interrupted

    def save_on_failure(self):
        """Save the state after the last complete epoch or window, so that training can resume."""
        if self.is_whole:
            self.checkpoint._write(self.result or self.result_so_far("interrupted"))

    def require_finite(self, name: str, values: Array):
        """Raise DivergenceError if a value, or the value of a member, is not finite."""
        values = on_host(values)
        if np.isfinite(values).all():
            return
        wrong = np.argwhere(~np.isfinite(values))  # this takes as long as a small epoch
        value = values[tuple(wrong[0])]
        subject = name
        if values.ndim:
            members = []
            for index in wrong[:5].tolist():
                members.append(str(index[0] if len(index) == 1 else tuple(index)))
            if len(wrong) > 5:
                members.append("…")
            subject += (
                f" of {len(wrong)} of {values.size} members ({', '.join(members)})"
            )
        # engines stop at different steps of a diverging epoch
        self.state.theta[...] = self.last_finite
        result = self.result_so_far("diverged")
        step = self.state.step
        if step == 0:
            raise DivergenceError(
                f"The {subject} is {value} before the first step: scale inputs and targets to"
                " about 1, or start from smaller parameters.",
                result,
            )
        remedy = "Scale inputs and targets, or start from smaller parameters."
        if not isinstance(self.settings.optimizer, LBFGS):
            rate = getattr(self.settings.optimizer, "learning_rate", "unknown")
            remedy = (
                f"Lower the learning rate (now {rate}), clip the gradient or scale inputs"
                " and targets."
            )
        raise DivergenceError(
            f"Training diverged: after step {step} the {subject} is {value}. {remedy} The last"
            " parameters with a finite loss are in the error's result.theta.",
            result,
        )

    def result_so_far(self, reason: Reason) -> TrainingResult:
        """Return the result with this stop reason."""
        theta = self.state.theta
        if reason == "diverged":
            theta = self.last_finite
        elif self.best is not None and self.best.rule.restore_best:
            theta = self.best.theta
        return TrainingResult(theta, self.state.history, self.state, reason)


def train_runs(
    runs: Sequence[Run], rows: Generator[Sequence[Any]]
) -> list[TrainingResult]:
    """Train each run on its rows.

    ``rows`` yields one window for each run, and returns when all runs have ended or
    when training is stopped.
    """

    def work():
        with closing(rows):
            for windows in rows:
                for run, window in zip(runs, windows, strict=True):
                    run.take(window)
        for run in runs:
            if run.result is None and not run.has_started:  # there were no windows
                run.start(None)

    return watched(runs, work)


def watched(runs: Sequence[Run], work: Callable[[], None]) -> list[TrainingResult]:
    """Call work(), which trains all runs, and return their results.

    Ctrl-C ends training. KeyboardInterrupt is raised if no run has started, or if all
    runs have already ended. If training fails, the runs are saved.
    """
    # Overflow leads to a loss that is not finite, which raises DivergenceError.
    with (
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        ExitStack() as contexts,
    ):
        for run in runs:
            # they refer to the run; this frees their memory at once
            contexts.callback(vars(run).pop, "steps", None)
            if run.checkpoint is not None:
                saving = saved_on_failure(
                    run.save_on_failure, unless=(DivergenceError, SecondInterrupt)
                )
                contexts.enter_context(saving)
            for callback in run.callbacks:
                if isinstance(callback, AbstractContextManager):
                    contexts.enter_context(callback)
        interruption = interruption_of(work)
        unfinished = [run for run in runs if run.result is None]
        is_lost = not unfinished or not any(
            run.has_started or run.result for run in runs
        )
        if interruption is not None and is_lost:
            raise interruption
        for run in unfinished:
            run.end(run.result_so_far("interrupted"))
    return [run.result for run in runs if run.result is not None]


def was_moved(run: Run) -> bool:
    """Return whether a callback has changed theta since the losses were last recorded."""
    return bool(namespace(run.last_finite).any(run.state.theta != run.last_finite))


def results_of_epoch(**values: Array | None) -> EpochResults:
    """Return the results of one epoch, or of the initial parameters, given its values by their names in the results."""
    arrays: dict[str, Any] = {}
    is_finite = True
    for name, value in values.items():
        if value is not None:
            arrays[name] = np.asarray(on_host(value))[None]
            if name in ("losses", "validation_losses"):
                is_finite &= bool(np.isfinite(arrays[name]).all())
    return EpochResults(
        epochs=int(is_finite), steps=0, diverged=not is_finite, **arrays
    )


def new_state(
    network: Network, theta: Array, settings: TrainingSettings, rows: int
) -> TrainingState:
    """Return the state before the first epoch."""
    state = TrainingState(
        theta, optimizer={}, schedule={}, epochs=int(settings.epochs), rows=rows
    )
    optimizer = settings.optimizer
    if not isinstance(optimizer, LBFGS):
        state.optimizer = optimizer.init(theta)
        state.network = network
        state.optimizer_class = type(optimizer).__name__
        if settings.schedule is not None:
            state.schedule = settings.schedule.init()
    return state


def continued(
    state: TrainingState,
    network: Network,
    theta: Array,
    settings: TrainingSettings,
    rows: int,
) -> TrainingState:
    """Return a copy of the state to continue from; raise ValueError if it does not fit."""
    new = new_state(network, theta, settings, rows)
    optimizer_class = state.optimizer_class or new.optimizer_class
    for name, saved, expected in (
        ("theta of shape", tuple(state.theta.shape), tuple(theta.shape)),
        ("theta of dtype", state.theta.dtype, theta.dtype),
        ("the optimizer", optimizer_class, new.optimizer_class),
        ("the network", state.network or network, network),
        ("an optimizer with", _shapes(state.optimizer), _shapes(new.optimizer)),
        ("a schedule with", list(state.schedule), list(new.schedule)),
    ):
        if saved != expected:
            raise ValueError(
                f"The state comes from {name} {saved}, not {expected}: pass the same"
                " arguments."
            )
    return state._continued(theta, new.epochs, rows)


def _shapes(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
