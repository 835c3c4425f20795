"""The compiled engine, and its training loop for one network. The kernels are imported on first use."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import Array, Batch, Dense, Network, RandomKey, SparseBatch, SparseNetwork
from ...optimize import LBFGS, Plan
from ...system.threads import defer_sigint
from ..engine import Engine, Unsupported
from ..run import Run, assumed_seconds
from ..state import Reason

if TYPE_CHECKING:
    from ...compiled.compiled_network import BatchLoss
    from ...compiled.fits import EpochResults
    from .group import CompiledGroup

SECONDS = 0.05
"""The target duration of one kernel call; several short epochs are run in one call."""

LONG = 0.01
"""Kernel calls that are estimated to take at least this many seconds can be stopped between batches. They run in
another thread, which is too slow for shorter calls."""

MUCH = 2**16
"""The size of X from which finiteness is not checked before training. Checking a smaller X takes microseconds."""


@cache
def missing() -> str | None:
    """Return the reason why no kernel can run on this machine, if any, as the end of a sentence."""
    try:
        from ...compiled.jit import trial
    except ImportError as error:
        return str(error)
    return trial.missing()


class Compiled(Engine):
    """Compute and train networks whose parts have kernels, in float32 or float64."""

    name = "compiled"

    @staticmethod
    def unsupported_reason(
        network: Network,
        theta: Array,
        batches: Iterable[Batch] = (),
        optimizer: Any = None,
        noise: RandomKey | None = None,
        score: str | None = None,
    ) -> Unsupported | None:
        """Return the reason why the kernels do not support these arguments, if any."""
        batches = list(batches)
        arrays = theta, *(batch.X for batch in batches if not isinstance(batch, SparseBatch))
        if not all(isinstance(array, np.ndarray) for array in arrays):
            return Unsupported("it supports only NumPy arrays", warns=False)
        if theta.dtype not in (np.float32, np.float64):
            return Unsupported(f"it supports only float32 and float64, not {theta.dtype}", warns=False)
        members, rates = theta.shape[:-1], np.shape(getattr(optimizer, "learning_rate", 0.0))
        trains = batches and optimizer is not None and not isinstance(optimizer, LBFGS)
        if any(batch.members for batch in batches) or (members and not (trains and theta.size)):
            return Unsupported("it trains one network, or members with the same rows, at a time", warns=False)
        if rates not in ((), members):
            return Unsupported("it supports one learning rate, or one per member", warns=False)
        if noise is not None and (
            noise.rows is not None or not isinstance(noise.seed, int | np.integer) or noise.step < 0
        ):
            reason = "noise needs an integer seed, a step of at least 0, and all rows in their order"
            return Unsupported(reason, warns=False)
        if reason := missing():
            return Unsupported(reason, warns=True)
        from ...compiled.program import failure, unsupported

        F: type = np.dtype(theta.dtype).type
        needed = (None, None) if isinstance(optimizer, LBFGS) else (optimizer, score)
        if not (reason := unsupported(network, F, *needed)) and (reason := failure(network, F, needed[0])):
            missing.cache_clear()
        return Unsupported(reason, warns=True) if reason else None

    def training(self, run: Run, batch: Batch, validation_batch: Batch | None) -> Callable[[], Reason]:
        """Return a function that trains one network, or several members in lockstep."""
        return CompiledTrainingLoop(run, batch, validation_batch).descend

    @property
    def group_class(self) -> "type[CompiledGroup]":
        """The class that trains many members at once."""
        from .group import CompiledGroup

        return CompiledGroup

    def evaluation(self, theta: np.ndarray, batch: Batch, noise: RandomKey | None = None) -> "BatchLoss":
        """Return an object that computes the loss and the gradient of a batch at any theta."""
        from ...compiled.compiled_network import BatchLoss

        return BatchLoss(self.network, theta.dtype.type, batch, noise)

    def predictor(self, theta: np.ndarray) -> Callable[[Array], np.ndarray]:
        """Return a fast function that predicts rows."""
        if isinstance(self.network, SparseNetwork):  # SciPy's sparse products run at memory speed
            return partial(self.network.predict, theta)
        from ...compiled.compiled_network import CompiledNetwork

        return CompiledNetwork(self.network).predictor(theta, copy=False)

    def gradients(self, noise: RandomKey | None) -> Mapping[str, Callable[[np.ndarray, Batch], tuple[Any, np.ndarray]]]:
        """Return functions for the gradient of a batch and of a training step, which use different kernels."""
        from ...compiled.compiled_network import CompiledNetwork, gradient_of_a_step

        kernels = CompiledNetwork(self.network)
        return {
            "": lambda theta, batch: kernels._batch_loss_and_gradient(theta, batch, noise),
            "a step of training": lambda theta, batch: gradient_of_a_step(self.network, theta, batch, noise),
        }


class CompiledSteps:
    """Base class of training with kernels, on rows in memory or on windows."""

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None, plan: Plan) -> None:
        from ...compiled.fits import Epochs
        from ...compiled.in_step import MembersEpochs

        self.run, self.state, self.network, self.plan = run, run.state, run.network, run.plan
        self.optimizer: Any = run.settings.optimizer
        self.validation_batch = validation_batch
        moments = [self.state.optimizer[name] for name in self.optimizer.moments]
        parts = (self.network, self.state.theta, batch, self.validation_batch, self.optimizer, moments)
        self.in_step = self.state.theta.ndim > 1  # members
        data = batch, validation_batch
        self.epochs: Any = MembersEpochs(run, *data) if self.in_step else Epochs(*parts, run.last_finite, plan)

    def first_losses(self, is_long: bool) -> "EpochResults":
        """Return the losses and the score before the first step."""
        known = None
        while known is None or known.stopped:  # measure again if a handler of Ctrl-C lets training continue
            known = defer_sigint(lambda received: self.epochs.measure(received.__len__ if is_long else None))
        return known

    def validated(self, results: "EpochResults") -> tuple[Any, Any]:
        """Return the first loss and score of the validation rows; a missing value is None."""
        score = results.validation_scores[0] if self.plan.score else None
        return results.validation_losses[0] if self.validation_batch else None, score

    def run_epochs(self, count: int, seconds: float, rates: np.ndarray, interrupts: list[Any]) -> "EpochResults":
        """Run several epochs, which can be stopped between batches unless they are very short."""
        state, is_stopped = self.state, interrupts.__len__ if seconds > LONG else None
        moved = state.theta.copy() if is_stopped and self.run.callbacks and self.run.was_moved() else None
        results = self.epochs.run(count, state.epoch, state.step, state.optimizer["t"], rates, is_stopped)
        if moved is not None and results.stopped and not results.epochs:
            state.theta[...] = moved  # changed by a callback; the kernel does not see this when it rolls back
        return results

    def diverged(self, results: "EpochResults") -> None:
        """Raise DivergenceError for the first gradient or loss that is not finite."""
        done = results.epochs
        self.state.step += results.steps - done * self.run.per_epoch
        if results.gradient_diverged:
            self.run.require_finite("gradient's norm", results.norms[done])
        self.run.require_finite("loss", results.losses[done])
        self.run.require_finite("validation loss", results.validation_losses[done])


class CompiledTrainingLoop(CompiledSteps):
    """Take the steps of an optimizer. Results agree with the reference engine up to rounding.

    Callbacks, and schedules that depend on the loss, are called after each epoch. If there are none, or if their
    interval is longer, several short epochs run in one kernel call, and the recorded times are interpolated.

    Checking that a large X is finite takes a tenth of an epoch. The check is skipped if the first layer is dense: its
    gradient J_W = Xᵀ δ is NaN if an input is not finite, even where δ is 0, because 0 · ∞ is NaN. If the gradient is
    NaN, X is checked, so that the error names the row.
    """

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None) -> None:
        shows = run.state.epoch < run.state.epochs and isinstance(run.network.layers[0], Dense)
        if batch.X.size < MUCH or run.callbacks or not shows:  # fail before callbacks open files
            batch.require_finite_inputs()
        super().__init__(run, batch, validation_batch, run.plan)
        self.batch = batch
        if (best := self.run.best) is not None and not self.in_step:
            self.epochs.stop_by(best.rule._as_numbers(), best.memory, best.theta)
        rows = self.batch.rows + (self.validation_batch.rows if self.validation_batch else 0)
        self.pace = assumed_seconds(rows * self.epochs.operations, self.run.per_epoch)  # an estimate until measured

    def descend(self) -> Reason:
        """Train until all epochs are done or training is stopped; return the reason."""
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
            rates = self.run.settings.rates(self.run.steps, steps, state.step, state.schedule)
            reason = defer_sigint(lambda received: self.some_epochs(count, rates, received))  # noqa: B023
        return reason or "epochs"

    def some_epochs(self, count: int, rates: np.ndarray, interrupts: list[Any]) -> Reason | None:
        """Run several epochs and record the completed ones; return a reason to stop, if any."""
        state, began = self.state, self.run.seconds
        self.run.is_whole = False
        progress = self.run_epochs(count, count * self.pace, rates, interrupts)
        done = progress.epochs
        self.pace = (self.run.seconds - began) / max(done, 1)
        state.epoch, state.step = state.epoch + done, state.step + done * self.run.per_epoch
        state.optimizer["t"] += done * self.run.per_epoch
        reason = None
        if done:
            known: dict[str, Any] = {"loss": progress.losses[:done], "time": began + self.pace * np.arange(1, done + 1)}
            known |= {"gradient_norm": progress.norms[:done], "step_size": progress.sizes[:done]}
            known["validation_loss"] = progress.validation_losses[:done] if self.validation_batch else None
            known["validation_score"] = progress.validation_scores[:done] if self.plan.score else None
            state.history._extend(**known)
            if self.run.best is not None:
                self.run.best.stalled = progress.stalled
            reason = self.run.call_hooks()
        if done < count and not (progress.stalled or progress.stopped):
            self.batch.require_finite_inputs()
            self.diverged(progress)
        return reason
