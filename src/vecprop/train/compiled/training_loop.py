"""The loops of the compiled engine: over the epochs of one network, several at a time, and of a cohort of members."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...compiled import fits
from ...compiled.fits import EpochResults, Epochs
from ...core.layers import Dense
from ...core.rows.inputs import Batch, checked_theta, require_weight
from ...optimize.optimizers import Optimizer
from ...optimize.schedules import Constant, Schedule
from ...optimize.settings import Plan
from ...system.threads import PressedAgain, holding_back_interrupts
from ..members import CURVES, REASONS, CohortResults, Data, Member, checked_row_numbers
from ..run import Run, assumed_seconds
from ..state import Reason

SECONDS = 0.05
"""The longest time that several short epochs run as one."""

LONG = 0.01
"""The assumed seconds of a run from which it can be stopped between batches. Shorter ones do not pay the waking of the
thread that runs them while this one looks for Ctrl-C."""

MUCH = 2**16
"""The size of X from which it is not checked before training: a check of fewer numbers takes some microseconds."""


def rates_of(
    optimizer: Any, schedule: Schedule, total: int, count: int, first: int = 0, state: dict[str, Any] | None = None
) -> np.ndarray:
    """Return the learning rates of as many steps, from the first one on, of so many in all; or one rate for all."""
    if isinstance(schedule, Constant):
        return np.array([optimizer.learning_rate], float)
    factors = [schedule.factor(step, total, state or {}) for step in range(first, first + count)]
    return np.asarray(optimizer.learning_rate) * np.array(factors, float)


class CompiledSteps:
    """Steps that kernels take: what training on rows in memory and in windows share."""

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None, plan: Plan) -> None:
        self.run, self.state, self.network, self.plan = run, run.state, run.network, run.plan
        self.optimizer: Any = run.settings.optimizer
        self.schedule, self.validation_batch = run.schedule, validation_batch
        moments = [self.state.optimizer[name] for name in self.optimizer.moments]
        parts = (self.network, self.state.theta, batch, self.validation_batch, self.optimizer, moments)
        self.epochs = Epochs(*parts, self.run.last_finite, plan)

    def first_losses(self, is_long: bool) -> EpochResults:
        """Return what is measured before the first step."""
        known = None
        while known is None or known.stopped:  # by Ctrl-C, whose handler lets training go on
            known = holding_back_interrupts(lambda received: self.epochs.measure(received.__len__ if is_long else None))
        return known

    def validated(self, results: EpochResults) -> tuple[Any, Any]:
        """Return the first loss and score of the validation rows, None for one that is not measured."""
        score = results.validation_scores[0] if self.plan.score else None
        return results.validation_losses[0] if self.validation_batch else None, score

    def run_epochs(self, count: int, seconds: float, rates: np.ndarray, interrupts: list[Any]) -> EpochResults:
        """Run some epochs, which can be stopped between batches if they take longer than some milliseconds."""
        state, is_stopped = self.state, interrupts.__len__ if seconds > LONG else None
        moved = state.theta.copy() if is_stopped and self.run.callbacks and self.run.was_moved() else None
        results = self.epochs.run(count, state.epoch, state.step, state.optimizer["t"], rates, is_stopped)
        if moved is not None and results.stopped and not results.epochs:
            state.theta[...] = moved  # by a callback, of which the kernel does not know when it goes back
        return results

    def diverged(self, results: EpochResults) -> None:
        """Raise an error that names what was not finite after the epochs that ended well: the gradient or a loss."""
        done = results.epochs
        self.state.step += results.steps - done * self.run.per_epoch
        if results.gradient_diverged:
            self.run.require_finite("gradient's norm", results.norms[done])
        self.run.require_finite("loss", results.losses[done])
        self.run.require_finite("validation loss", results.validation_losses[done])


class CompiledTrainingLoop(CompiledSteps):
    """The steps of an optimizer, to rounding those of the reference engine.

    Callbacks, and schedules that watch the loss, are called after each epoch. Without them, or if a callback's interval
    is longer, several short epochs run as one, and the times of their losses are spread evenly.

    A check that a large X is finite takes a tenth of an epoch, so it is left out if the first layer is dense: an input
    that is not finite makes the layer's gradient NaN, J_W = Xᵀ δ, whatever δ is, for 0 · ∞ is NaN. X is then checked to
    name the row.
    """

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None) -> None:
        shows = run.state.epoch < run.state.epochs and isinstance(run.network.layers[0], Dense)
        if batch.X.size < MUCH or run.callbacks or not shows:  # callbacks may open files before they run
            batch.require_finite_inputs()
        super().__init__(run, batch, validation_batch, run.plan)
        self.batch = batch
        if (best := self.run.best) is not None:
            self.epochs.stop_early(best.rule.as_numbers(), best.memory, best.theta)
        rows = self.batch.rows + (self.validation_batch.rows if self.validation_batch else 0)
        self.pace = assumed_seconds(rows * self.epochs.operations, self.run.per_epoch)  # until an epoch has been timed

    def descend(self) -> Reason:
        """Move theta until the epochs are done or something ends them; return the reason."""
        state = self.state
        if self.plan.running and not self.validation_batch:
            reason: Reason | None = self.run.start(None, None, None)
        else:
            known = self.first_losses(self.pace > LONG)
            if not np.isfinite([known.losses, known.validation_losses]).all():
                self.batch.require_finite_inputs()
            reason = self.run.start(None if self.plan.running else known.losses[0], *self.validated(known))
        while reason is None and state.epoch < state.epochs:
            intervals = (hook.interval for hook in self.run.hooks)
            count = int(min(max(SECONDS / self.pace, 1), state.epochs - state.epoch, *intervals))
            steps = count * self.run.per_epoch
            rates = rates_of(self.optimizer, self.schedule, self.run.steps, steps, state.step, state.schedule)
            reason = holding_back_interrupts(lambda received: self.some_epochs(count, rates, received))  # noqa: B023
        return reason or "epochs"

    def some_epochs(self, count: int, rates: np.ndarray, interrupts: list[Any]) -> Reason | None:
        """Run some epochs and record those that are done; return a reason to stop, if there is one."""
        state, began = self.state, self.run.seconds
        self.run.is_whole = False
        progress = self.run_epochs(count, count * self.pace, rates, interrupts)
        done = progress.epochs
        self.pace = (self.run.seconds - began) / max(done, 1)
        state.epoch, state.step = state.epoch + done, state.step + done * self.run.per_epoch
        state.optimizer["t"] += done * self.run.per_epoch
        reason = None
        if done:
            state.history.extend(
                loss=progress.losses[:done],
                validation_loss=progress.validation_losses[:done] if self.validation_batch else None,
                validation_score=progress.validation_scores[:done] if self.plan.score else None,
                gradient_norm=progress.norms[:done],
                step_size=progress.sizes[:done],
                time=began + self.pace * np.arange(1, done + 1),
            )
            if self.run.best is not None:
                self.run.best.stalled = progress.stalled
            reason = self.run.ask()
        if done < count and not (progress.stalled or progress.stopped):
            self.batch.require_finite_inputs()
            self.diverged(progress)
        return reason


EPOCHS = REASONS.index("epochs")
OF_END = np.full(5, REASONS.index("diverged"))
"""The place in `REASONS` of each end of a fit; all epochs done are no end of their own."""
OF_END[fits.Ended.STALLED] = REASONS.index("early stopping")
OF_END[[fits.Ended.INTERRUPTED, fits.Ended.NOT_STARTED]] = REASONS.index("interrupted")


OF_FITS = ("thetas", "last_finite", "best", "memory", *CURVES)
"""The arrays of results that are those in which members are trained."""


class CompiledCohort:
    """Members that differ in their initial parameters and seeds alone.

    Threads train them one after the other, without Python between their steps.
    """

    def __init__(self, numbers: Sequence[int], members: Sequence[Member], data: Data) -> None:
        self.numbers, self.member = numbers, members[0]
        assert isinstance(self.member.optimizer, Optimizer)  # optimizers with a kernel are
        self.optimizer = self.member.optimizer
        member, batch, settings = self.member, data.batch(self.member), self.member.settings
        validation_batch, rule = None, settings.early_stopping
        if member.validation_rows is not None:
            validation_batch = _chosen(member.validation_rows, batch, member)
            settings.check_score(validation_batch)
        if member.rows is not None:
            batch = _chosen(member.rows, batch, member)
        plan = settings.plan(batch.rows)
        self.rows, self.per_epoch, self.running = batch.rows, -(-batch.rows // plan.batch_size), plan.running
        steps = max(int(member.epochs) * self.per_epoch, 1)
        self.fits = fits.MemberFits(
            member.network,
            checked_theta(member.network, np.concatenate([each.theta for each in members]).reshape(len(members), -1)),
            batch,
            validation_batch,
            self.optimizer,
            plan,
            [member.seed for member in members],
            int(member.epochs),
            rates_of(self.optimizer, member.schedule or Constant(), steps, steps),
            None if rule is None else rule.as_numbers(),
            member.keeps_predictions and validation_batch is not None,
        )

    @classmethod
    def run(cls, cohorts: Sequence[Any], monitor: Any) -> None:
        """Train the members of all cohorts, each floating type in one program, until the monitor stops them."""
        try:
            for F in (np.float64, np.float32):
                own = [cohort.fits for cohort in cohorts if cohort.fits.F is F]
                if own and not monitor.stopped:
                    fits.run(own, monitor.look)
        except PressedAgain:
            raise
        except KeyboardInterrupt:  # the results of the others have "interrupted" as their reason
            monitor.stopped = monitor.interrupted = True
        for cohort in cohorts:
            cohort.fits.release()

    def progress(self) -> np.ndarray:
        """Return the progress of each member while they run, (5, M); see `CohortResults.progress`."""
        return self.results().progress()

    def results(self) -> CohortResults:
        """Return the results, with views of the arrays in which members are trained, perhaps still."""
        member, own = self.member, self.fits
        seconds = own.seconds.copy()  # read first: one that ends now would count as ended, with a reason from before
        done, steps, why = own.done[:, [0, 1, 3]].T
        reasons = np.where((why == 0) & (done == own.epochs), EPOCHS, OF_END[why])
        return CohortResults(
            self.numbers,
            member.network,
            type(self.optimizer).__name__,
            member.early_stopping,
            own.epochs,
            self.rows,
            self.per_epoch,
            self.running,
            own.moments,
            done=done,
            steps=steps,
            reasons=reasons,
            measured=(why != fits.Ended.NOT_STARTED) & (why != fits.Ended.AT_START),
            seconds=seconds,
            **{name: getattr(own, name) for name in OF_FITS},
        )


def _chosen(rows: np.ndarray, batch: Batch, member: Member) -> Batch:
    """Return the chosen rows of a batch, checked with their weights."""
    chosen = replace(batch, chosen=checked_row_numbers(rows, batch.rows))
    require_weight(chosen, member.network.reduction)
    return chosen
