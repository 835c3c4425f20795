"""One training run: its state, its history, its callbacks, and the loop that trains several runs on the same rows."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from functools import partial
from math import ceil, isfinite
from typing import Any

import numpy as np

from ..core import Array, Network, namespace, on_host
from ..optimize import LBFGS, EpochResults, TrainingSettings
from ..system.threads import SecondInterrupt, defer_sigint
from .state import (
    Best,
    DivergenceError,
    Reason,
    TrainingResult,
    TrainingState,
    continued,
    new_state,
)

Callback = Callable[[TrainingState], Any]


class Steps(ABC):
    """Trains the parameters of a run in place, window by window. Rows in memory are one window of all epochs.

    The steps also update the optimizer's state, the number of steps and
    `Run.last_finite`. Before they change one of them, they set `Run.is_whole` to False.
    They never call the run.
    """

    def __init__(self, run: "Run"):
        self.run = run
        self.state = run.state
        self.network = run.network
        self.plan = run.plan
        self.validation_batch = run.validation_batch

    @abstractmethod
    def measure(self, window: Any, interrupts: list) -> EpochResults:
        """Return the losses before the first step. If there is no window, only validation losses are measured."""

    @abstractmethod
    def advance(self, window: Any, most: float, interrupts: list) -> EpochResults:
        """Take the steps of a window, or of at most `most` epochs in memory; stop if `interrupts` is not empty."""

    def has_taken(self, window) -> bool:
        """Return whether all steps on a window are done."""
        return self.state.epoch >= self.state.epochs

    def skip(self, window: Any):  # noqa: B027 (rows in memory are never skipped)
        """Handle a window whose steps were done before training resumed."""


class Interruption(AbstractContextManager):
    """A block that Ctrl-C ends without an error. A second Ctrl-C is raised."""

    error: KeyboardInterrupt | None = None

    def __exit__(self, kind, error, traceback) -> bool:
        """Store Ctrl-C; other errors are raised."""
        is_second = isinstance(error, SecondInterrupt)
        if is_second or not isinstance(error, KeyboardInterrupt):
            return False
        self.error = error
        return True


def held(checkpoint, is_folder: bool = True) -> AbstractContextManager[None]:
    """Return a context that locks any checkpoint and treats SIGTERM like Ctrl-C."""
    return nullcontext() if checkpoint is None else checkpoint._held(is_folder)


@contextmanager
def saved_on_failure(
    save: Callable, unless: tuple[type[BaseException], ...] = ()
) -> Iterator[None]:
    """Call save() if the block raises an error, `unless` it is of one of these classes.

    If saving fails, too, a note is added to the error.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if not isinstance(error, unless):
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


class RowSource(ABC):
    """The rows that a run is trained on, which come in windows."""

    theta: Array
    """The initial parameters, which training changes."""
    rows: int
    """The number of rows of an epoch."""
    batch: Any = None
    """The rows, if they are in memory."""
    validation_batch: Any = None
    identity: dict[str, Any]
    """What determines the results, besides the settings and the rows in memory."""

    @abstractmethod
    def steps(self, run: "Run") -> Steps:
        """Check the rows, and return the steps that train a run on them."""

    @abstractmethod
    def windows(self, runs: "Sequence[Run]") -> Generator[list]:
        """Yield a window for each run, until all runs have ended or training is stopped."""


@dataclass(eq=False)
class Run:
    """A training run of a network, or of all members of theta.

    The run records what its `steps` have computed, and calls the early stopping rule,
    the schedule and the callbacks. For ``keeps_predictions`` and ``metric``, see
    `Member`.
    """

    network: Network
    settings: TrainingSettings
    source: RowSource
    callbacks: Sequence[Callback] = ()
    state: Any = None
    checkpoint: Any = None
    keeps_predictions: bool = False
    metric: Callable[[np.ndarray], float] | None = None

    def __post_init__(self):
        """Prepare to train, or to continue from the state or from a checkpoint of the same settings and data."""
        source = self.source
        self.validation_batch = source.validation_batch
        self.plan = self.settings.plan(source.rows)
        self.per_epoch = ceil(source.rows / self.plan.batch_size)
        self.steps: Any = None
        self.result: TrainingResult | None = None
        saved: TrainingResult | None = None
        if self.checkpoint is not None:
            identity = {**self.settings.identity(source.rows), **source.identity}
            saved = self.checkpoint._begin(
                self.network,
                source.theta,
                (source.batch, source.validation_batch),
                self.settings.epochs,
                identity,
            )
        if saved is None:
            new = new_state(self.network, source.theta, self.settings, source.rows)
            if self.state is not None:
                new = continued(self.state, new)
            self.state = new
        else:
            self.state = saved.state
            needs_more_epochs = self.state.epoch != self.settings.epochs
            is_longer = saved.reason == "epochs" and needs_more_epochs
            if saved.reason != "interrupted" and not is_longer:
                self.result = saved
        state = self.state
        # An epoch that is under way begins at an earlier step.
        epoch_start = state.step - state.under_way.get("steps", 0)
        self.total_steps = epoch_start + (state.epochs - state.epoch) * self.per_epoch
        self.best: Best | None = None
        if self.settings.early_stopping is not None:
            self.best = Best(self.settings.early_stopping, state)
        self.last_finite = namespace(state.theta).asarray(state.theta, copy=True)
        # the state belongs to a complete epoch or window
        self.is_whole = self.result is None
        self.has_started = False
        self.is_resumed = saved is not None and len(state.history.time) > 0
        self.began = time.perf_counter()
        if self.is_resumed:
            self.began -= float(state.history.time[-1])

    def take(self, window):
        """Train on a window of rows, unless training has ended.

        A resumed run skips the windows that it was trained on before.
        """
        if self.result is not None:
            return
        if not self.has_started:
            self.start(window)
        if self.result is None and self.steps.has_taken(window):
            self.steps.skip(window)
        while self.result is None and not self.steps.has_taken(window):
            self.end_by(defer_sigint(partial(self.advance, window)))

    def start(self, window):
        """Measure and record the losses before the first epoch. A run that is resumed has recorded them before."""
        if not self.is_resumed:
            results = self.initial_results(window)
            if not self.plan.running:
                self.require_finite("loss", results.losses[0])
            if self.validation_batch is not None:
                self.require_finite("validation loss", results.validation_losses[0])
            seconds = np.array([time.perf_counter() - self.began])
            self.extend_history(results, 1, seconds, is_start=True)
        self.has_started = True
        self.end_by(None if self.best is None else self.best.start(self.state))

    def initial_results(self, window) -> EpochResults:
        """Return the losses before the first epoch; without validation rows, running losses have none."""
        if self.plan.running and self.validation_batch is None:
            return EpochResults(epochs=0, steps=0)
        while True:
            results = defer_sigint(partial(self.steps.measure, window))
            # Ctrl-C may stop the measurement, and its handler let training continue.
            if not results.stopped:
                return results

    def end_by(self, reason: Reason | None):
        """End training if there is a reason to stop, or after the last epoch."""
        if reason is None and self.state.epoch >= self.state.epochs:
            reason = "epochs"
        if reason is not None:
            self.end(self.result_so_far(reason))

    def advance(self, window, interrupts: list) -> Reason | None:
        """Take steps, and record completed epochs; return a reason to stop, if any.

        Raises
        ------
        DivergenceError
            If training diverged in the epoch after them.
        """
        began = time.perf_counter()
        # Python code may have to run after so many epochs
        most_epochs = self.state.epochs - self.state.epoch
        if self.state.schedule or self.keeps_predictions or self.metric is not None:
            most_epochs = 1
        for callback in self.callbacks:
            most_epochs = min(most_epochs, getattr(callback, "interval", 1))
        results = self.steps.advance(window, most_epochs, interrupts)
        reason = None
        if results.epochs:
            self.record_epochs(results, began)
            reason = self.notify(results)
        elif not results.stopped and not results.diverged:  # a window has ended
            reason = self.notify(None)
        if results.diverged:
            self.record_divergence(results)
        return reason

    def record_epochs(self, results: EpochResults, began: float):
        """Add complete epochs to the state. The times of their ends are interpolated."""
        count = results.epochs
        seconds_per_epoch = (time.perf_counter() - began) / count
        ends = began - self.began + seconds_per_epoch * np.arange(1, count + 1)
        self.state.epoch += count
        self.extend_history(results, count, ends)
        if results.diverged:
            # the next epoch has changed theta
            self.state.theta[...] = self.last_finite

    def record_divergence(self, results: EpochResults):
        """Raise DivergenceError for the epoch after the complete epochs."""
        count = results.epochs
        if count:
            # The state contains the steps of the complete epochs. The results contain
            # these steps, too, and the steps until divergence.
            self.state.step += results.steps - count * self.per_epoch
        if results.gradient_diverged:
            self.require_finite("gradient's norm", results.norms[count])
        self.require_finite("loss", results.losses[count])
        if self.validation_batch is not None:
            self.require_finite("validation loss", results.validation_losses[count])

    def extend_history(
        self,
        results: EpochResults,
        count: int,
        seconds: np.ndarray,
        is_start: bool = False,
    ):
        """Add the values of epochs to the history."""
        history = self.state.history
        if self.keeps_predictions:
            history._validation_predictions.append(self.predictions()[None])
        if self.metric is not None:
            loss = -self.metric(self.predictions())
            if not isfinite(loss):
                raise ValueError(
                    f"The metric is {-loss} for the validation rows of a network:"
                    " choose another metric."
                )
            results = results._replace(validation_losses=np.array([loss]))
        history._time.append(seconds)
        if not is_start or not self.plan.running:
            history._loss.append(results.losses[:count])
        if self.validation_batch is not None:
            history._validation_loss.append(results.validation_losses[:count])
        if self.plan.score:
            history._validation_score.append(results.validation_scores[:count])
        if not is_start:
            history._gradient_norm.append(results.norms[:count])
            history._step_size.append(results.sizes[:count])

    def predictions(self) -> np.ndarray:
        """Return the current predictions of the validation rows."""
        X = self.validation_batch.gathered().X
        return on_host(self.network.predict(self.state.theta, X))

    def notify(self, results: EpochResults | None) -> Reason | None:
        """Notify the callbacks after a window or after epochs, which also have results; return a reason to stop.

        If several of them end training, the reason of the last one is returned.
        """
        self.is_whole = results is None or not results.diverged
        state = self.state
        reason: Reason | None = None
        try:
            if results is not None and self.best is not None:
                stalled = None if self.metric is not None else results.stalled
                if self.best.has_stalled(state, stalled):
                    reason = "early stopping"
            if results is not None and state.schedule:
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


def train_runs(runs: Sequence[Run], rows: Generator[Sequence]) -> list[TrainingResult]:
    """Train each run on its windows of the rows.

    ``rows`` yields the windows of all runs, and returns when all runs have ended or
    when training is stopped. Ctrl-C ends training. KeyboardInterrupt is raised if no
    run has started, or if all runs have already ended. If training fails, the runs are
    saved.
    """
    for run in runs:
        if run.result is None:
            run.steps = run.source.steps(run)

    # Overflow leads to a loss that is not finite, which raises DivergenceError.
    with (
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        ExitStack() as contexts,
    ):
        for run in runs:
            # The steps refer to the run; removing them frees their memory at once.
            contexts.callback(vars(run).pop, "steps", None)
            if run.checkpoint is not None:
                saving = saved_on_failure(
                    run.save_on_failure, unless=(DivergenceError, SecondInterrupt)
                )
                contexts.enter_context(saving)
            for callback in run.callbacks:
                if isinstance(callback, AbstractContextManager):
                    contexts.enter_context(callback)
        with Interruption() as interruption, closing(rows):
            for windows in rows:
                # runs that workers train have no windows
                for run, window in zip(runs, windows, strict=False):
                    run.take(window)
        unfinished = [run for run in runs if run.result is None]
        if interruption.error is not None:
            have_started = any(run.has_started or run.result for run in runs)
            if not unfinished or not have_started:
                raise interruption.error
        for run in unfinished:
            run.end(run.result_so_far("interrupted"))
    return [run.result for run in runs if run.result is not None]


def was_moved(run: Run) -> bool:
    """Return whether a callback has changed theta since the losses were last recorded."""
    return bool(namespace(run.last_finite).any(run.state.theta != run.last_finite))


def results_of_epoch(**values: Array | None) -> EpochResults:
    """Return the results of one epoch, or of the initial parameters, given its values by their names in the results."""
    arrays = {}
    for name, value in values.items():
        if value is not None:
            arrays[name] = np.asarray(on_host(value))[None]
    is_finite = True
    for name in ("losses", "validation_losses"):
        if name in arrays and not np.isfinite(arrays[name]).all():
            is_finite = False
    return EpochResults(
        epochs=int(is_finite), steps=0, diverged=not is_finite, **arrays
    )
