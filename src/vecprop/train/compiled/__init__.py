"""The compiled engine, and its training loop for one network. The kernels are imported on first use."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import Array, Batch, Dense, Network, RandomKey, SparseBatch, SparseNetwork
from ...optimize import LBFGS, EpochResults, Plan
from ..engine import Engine, Unsupported
from ..run import Run, Steps, assumed_seconds, was_moved

if TYPE_CHECKING:
    from ...compiled.compiled_network import BatchLoss
    from .group import CompiledGroup

SECONDS = 0.05
"""The target duration of one kernel call; several short epochs are run in one call."""

LONG = 0.01
"""Kernel calls that are estimated to take at least this many seconds can be stopped
between batches. They run in another thread, which is too slow for shorter calls.
"""

MUCH = 2**16
"""The size of X from which finiteness is not checked before training. Checking a
smaller X takes microseconds.
"""


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
        optimizer=None,
        noise: RandomKey | None = None,
        score: str | None = None,
    ) -> Unsupported | None:
        """Return the reason why the kernels do not support these arguments, if any."""
        batches = list(batches)
        arrays = (
            theta,
            *(batch.X for batch in batches if not isinstance(batch, SparseBatch)),
        )
        if not all(isinstance(array, np.ndarray) for array in arrays):
            return Unsupported("it supports only NumPy arrays", warns=False)
        if theta.dtype not in (np.float32, np.float64):
            return Unsupported(
                f"it supports only float32 and float64, not {theta.dtype}", warns=False
            )
        members, rates = (
            theta.shape[:-1],
            np.shape(getattr(optimizer, "learning_rate", 0.0)),
        )
        trains = batches and optimizer is not None and not isinstance(optimizer, LBFGS)
        if any(batch.members for batch in batches) or (
            members and not (trains and theta.size)
        ):
            return Unsupported(
                "it trains one network, or members with the same rows, at a time",
                warns=False,
            )
        if rates not in ((), members):
            return Unsupported(
                "it supports one learning rate, or one per member", warns=False
            )
        if noise is not None and (
            noise.rows is not None
            or not isinstance(noise.seed, int | np.integer)
            or noise.step < 0
        ):
            reason = (
                "noise needs an integer seed, a step of at least 0, and all rows in"
                " their order"
            )
            return Unsupported(reason, warns=False)
        if reason := missing():
            return Unsupported(reason, warns=True)
        from ...compiled.program import failure, unsupported

        F: type = np.dtype(theta.dtype).type
        needed = (None, None) if isinstance(optimizer, LBFGS) else (optimizer, score)
        if not (reason := unsupported(network, F, *needed)) and (
            reason := failure(network, F, needed[0])
        ):
            missing.cache_clear()
        return Unsupported(reason, warns=True) if reason else None

    def steps(
        self, run: Run, batch: Batch, validation_batch: Batch | None
    ) -> "StepsInMemory":
        """Return an object that trains one network, or several members in lockstep."""
        return StepsInMemory(run, batch, validation_batch)

    @property
    def group_class(self) -> "type[CompiledGroup]":
        """The class that trains many members at once."""
        from .group import CompiledGroup

        return CompiledGroup

    def evaluation(
        self, theta: np.ndarray, batch: Batch, noise: RandomKey | None = None
    ) -> "BatchLoss":
        """Return an object that computes the loss and the gradient of a batch at any theta."""
        from ...compiled.compiled_network import BatchLoss

        return BatchLoss(self.network, theta.dtype.type, batch, noise)

    def predictor(self, theta: np.ndarray) -> Callable[[Array], np.ndarray]:
        """Return a fast function that predicts rows."""
        # SciPy's sparse products run at memory speed
        if isinstance(self.network, SparseNetwork):
            return partial(self.network.predict, theta)
        from ...compiled.compiled_network import CompiledNetwork

        return CompiledNetwork(self.network).predictor(theta, copy=False)

    def gradients(
        self, noise: RandomKey | None
    ) -> Mapping[str, Callable[[np.ndarray, Batch], tuple[Any, np.ndarray]]]:
        """Return functions for the gradient of a batch and of a training step, which use different kernels."""
        from ...compiled.compiled_network import CompiledNetwork, gradient_of_a_step

        kernels = CompiledNetwork(self.network)
        return {
            "": lambda theta, batch: kernels._batch_loss_and_gradient(
                theta, batch, noise
            ),
            "a step of training": lambda theta, batch: gradient_of_a_step(
                self.network, theta, batch, noise
            ),
        }


class CompiledSteps(Steps):
    """Base class of training with kernels, on rows in memory or on windows."""

    epochs: Any = None
    """The kernels, once they are prepared."""

    def __init__(self, run: Run, validation_batch: Batch | None) -> None:
        self.run, self.state, self.network = run, run.state, run.network
        self.validation_batch = validation_batch

    def prepare(self, batch: Batch, plan: Plan) -> None:
        """Prepare the kernels for batches like this one."""
        run, theta = self.run, self.state.theta
        optimizer: Any = run.settings.optimizer
        if theta.ndim > 1:
            from ...compiled.in_step import MembersEpochs

            self.epochs = MembersEpochs(run, batch, self.validation_batch)
            return
        from ...compiled.fits import Epochs

        moments = [self.state.optimizer[name] for name in optimizer.moments]
        data = (self.network, theta, batch, self.validation_batch)
        self.epochs = Epochs(*data, optimizer, moments, run.last_finite, plan)

    def run_epochs(
        self, count: int, seconds: float, rates: np.ndarray, interrupts: list[Any]
    ) -> EpochResults:
        """Run several epochs, which can be stopped between batches unless they are very short."""
        state, is_stopped = self.state, interrupts.__len__ if seconds > LONG else None
        moved_theta = None
        if is_stopped and self.run.callbacks and was_moved(self.run):
            moved_theta = state.theta.copy()
        self.run.is_whole = False
        results = self.epochs.run(
            count, state.epoch, state.step, state.optimizer["t"], rates, is_stopped
        )
        if moved_theta is not None and results.stopped and not results.epochs:
            # the kernel does not see the change when it rolls back
            state.theta[...] = moved_theta
        return results


class StepsInMemory(CompiledSteps):
    """Take the steps of an optimizer. Results agree with the reference engine up to rounding.

    Callbacks, and schedules that depend on the loss, are called after each epoch. If
    there are none, or if their interval is longer, several short epochs run in one
    kernel call, and the recorded times are interpolated.

    Checking that a large X is finite takes a tenth of an epoch. The check is skipped if
    the first layer is dense: its gradient J_W = Xᵀ δ is NaN if an input is not finite,
    even where δ is 0, because 0 · ∞ is NaN. If the gradient is NaN, X is checked, so
    that the error names the row.
    """

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None) -> None:
        super().__init__(run, validation_batch)
        self.batch = batch
        shows_in_loss = not self.has_taken(None) and isinstance(
            run.network.layers[0], Dense
        )
        # fail before callbacks open files
        if batch.X.size < MUCH or run.callbacks or not shows_in_loss:
            batch.require_finite_inputs()
        self.prepare(batch, run.plan)
        best, rows = run.best, batch.rows
        if best is not None and run.state.theta.ndim == 1:
            self.epochs.stop_by(best.rule._as_numbers(), best.memory, best.theta)
        if validation_batch is not None:
            rows += validation_batch.rows
        # an estimate until measured
        self.pace = assumed_seconds(rows * self.epochs.operations, run.per_epoch)

    def measure(self, window, interrupts: list[Any]) -> EpochResults:
        """Return the losses and the score before the first step."""
        results = self.epochs.measure(interrupts.__len__ if self.pace > LONG else None)
        if not (
            results.stopped
            or np.isfinite([results.losses, results.validation_losses]).all()
        ):
            self.batch.require_finite_inputs()
        return results

    def advance(self, window, most: float, interrupts: list[Any]) -> EpochResults:
        """Run as many epochs as fit into one kernel call."""
        run, state = self.run, self.state
        count = int(min(max(SECONDS / self.pace, 1), most))
        rates = run.settings.rates(
            run.total_steps, count * run.per_epoch, state.step, state.schedule
        )
        began = time.perf_counter()
        results = self.run_epochs(count, count * self.pace, rates, interrupts)
        self.pace = (time.perf_counter() - began) / max(results.epochs, 1)
        steps = results.epochs * run.per_epoch
        state.optimizer["t"] += steps
        state.step += steps
        if results.diverged:
            if not results.epochs:
                state.step += results.steps
            self.batch.require_finite_inputs()
        return results
