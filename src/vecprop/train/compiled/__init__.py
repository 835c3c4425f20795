"""The compiled engine, and its training loop for one network. The kernels are imported on first use."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from ...core import (
    Array,
    Batch,
    Dense,
    Network,
    RandomKey,
    SparseBatch,
    SparseDense,
    SparseNetwork,
)
from ...optimize import LBFGS, EpochResults, Plan
from ..engine import Engine, Gradient, Unsupported
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

CALL = 20
"""The estimated time of a call of a Python formula, relative to the time of a step."""

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


def stop_check(interrupts: list, seconds: float) -> Callable | None:
    """Return a function that is true after an interrupt, or None if work of this length cannot be stopped."""
    if seconds > LONG:
        return interrupts.__len__
    return None


def _unsupported_arrays(theta: Array, batches: list[Batch], optimizer) -> str | None:
    """Return the reason why the kernels do not support these arrays, if any."""
    arrays = [theta]
    for batch in batches:
        if not isinstance(batch, SparseBatch):
            arrays.append(batch.X)
    if not all(isinstance(array, ndarray) for array in arrays):
        return "it supports only NumPy arrays"
    if theta.dtype not in (np.float32, np.float64):
        return f"it supports only float32 and float64, not {theta.dtype}"
    takes_steps = batches and optimizer and not isinstance(optimizer, LBFGS)
    members = theta.shape[:-1]
    trains_members = not members or (takes_steps and theta.size)
    if not trains_members or any(batch.members for batch in batches):
        return "it trains one network, or members with the same rows, at a time"
    if np.shape(getattr(optimizer, "learning_rate", 0.0)) not in ((), members):
        return "it supports one learning rate, or one per member"
    return None


def _unsupported_noise(noise: RandomKey | None) -> str | None:
    """Return the reason why the kernels cannot draw this noise, if any."""
    if noise is None:
        return None
    is_plain = isinstance(noise.seed, int | np.integer) and noise.step >= 0
    if is_plain and noise.rows is None:
        return None
    return (
        "noise needs an integer seed, a step of at least 0, and all rows in their order"
    )


def _unsupported_parts(
    network: Network, theta: Array, optimizer, score: str | None
) -> str | None:
    """Return the reason why a part has no kernel, or why its kernel fails, if any."""
    from ...compiled.program import failure, unsupported

    F = np.dtype(theta.dtype).type
    if isinstance(optimizer, LBFGS):  # it is not compiled, and measures in Python
        optimizer = score = None
    reason = unsupported(network, F, optimizer, score)
    if not reason:
        reason = failure(network, F, optimizer)
        if reason:
            missing.cache_clear()  # perhaps no kernel can run any more
    return reason


class CompiledSteps(Steps):
    """Base class of training with kernels, on rows in memory or on windows."""

    epochs: Any = None
    """The kernels, once they are prepared."""

    def prepare(self, batch: Batch, plan: Plan):
        """Prepare the kernels for batches like this one."""
        run = self.run
        theta = self.state.theta
        optimizer: Any = run.settings.optimizer
        if theta.ndim > 1:
            from ...compiled.in_step import MembersEpochs

            self.epochs = MembersEpochs(run, batch, self.validation_batch)
            return
        from ...compiled.fits import Epochs

        self.epochs = Epochs(
            self.network,
            theta,
            batch,
            validation_batch=self.validation_batch,
            optimizer=optimizer,
            moments=[self.state.optimizer[name] for name in optimizer.moments],
            last_finite=run.last_finite,
            plan=plan,
        )

    def run_epochs(
        self, count: int, seconds: float, rates: ndarray, interrupts: list
    ) -> EpochResults:
        """Run several epochs. If they are estimated to take long, interrupts stop them between batches.

        An unfinished epoch is undone. The kernels then restore the parameters that they
        know, so changes by callbacks are restored here.
        """
        state = self.state
        is_stopped = stop_check(interrupts, seconds)
        moved_theta = None
        if is_stopped and self.run.callbacks and was_moved(self.run):
            moved_theta = state.theta.copy()
        self.run.is_whole = False
        results = self.epochs.run(
            count, state.epoch, state.step, state.optimizer["t"], rates, is_stopped
        )
        if moved_theta is not None and results.stopped and not results.epochs:
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

    def __init__(self, run: Run, batch: Batch):
        """Check the inputs and prepare the kernels."""
        super().__init__(run)
        self.batch = batch
        takes_steps = self.state.epoch < self.state.epochs
        has_dense_inputs = type(run.network.layers[0]) in (Dense, SparseDense)
        # The gradient is NaN if an input of a dense layer is not finite.
        shows_in_gradient = takes_steps and has_dense_inputs
        is_cheap = batch.X.size < MUCH
        # Callbacks should not open files before training fails.
        if is_cheap or run.callbacks or not shows_in_gradient:
            batch.require_finite_inputs()
        self.prepare(batch, run.plan)
        best = run.best
        if best is not None and run.metric is None and run.state.theta.ndim == 1:
            self.epochs.stop_by(best.rule._as_numbers(), best.memory, best.theta)
        rows = batch.rows
        if self.validation_batch is not None:
            rows += self.validation_batch.rows
        # an estimate until the first epochs are measured
        steps = run.per_epoch * (1 + CALL * self.epochs.calls_per_tile)
        self.seconds_per_epoch = assumed_seconds(rows * self.epochs.operations, steps)

    def measure(self, window, interrupts: list) -> EpochResults:
        """Return the losses and the score before the first step."""
        results = self.epochs.measure(stop_check(interrupts, self.seconds_per_epoch))
        losses = [results.losses, results.validation_losses]
        if not results.stopped and not np.isfinite(losses).all():
            self.batch.require_finite_inputs()
        return results

    def advance(self, window, most: float, interrupts: list) -> EpochResults:
        """Run as many epochs as fit into one kernel call."""
        run = self.run
        state = self.state
        count = int(min(max(SECONDS / self.seconds_per_epoch, 1), most))
        seconds = count * self.seconds_per_epoch
        rates = run.settings.rates(
            run.total_steps, count * run.per_epoch, state.step, state.schedule
        )
        began = time.perf_counter()
        results = self.run_epochs(count, seconds, rates, interrupts)
        duration = time.perf_counter() - began
        self.seconds_per_epoch = duration / max(results.epochs, 1)
        steps = results.epochs * run.per_epoch
        state.optimizer["t"] += steps
        state.step += steps
        if results.diverged:
            if not results.epochs:
                state.step += results.steps
            self.batch.require_finite_inputs()
        return results


class Compiled(Engine):
    """Compute and train networks whose parts have kernels, in float32 or float64."""

    name = "compiled"
    steps_class = StepsInMemory

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
        reason = _unsupported_arrays(theta, list(batches), optimizer)
        reason = reason or _unsupported_noise(noise)
        if reason:
            return Unsupported(reason, warns=False)
        reason = missing() or _unsupported_parts(network, theta, optimizer, score)
        if reason:
            return Unsupported(reason, warns=True)
        return None

    @staticmethod
    def called_formulas(network: Network, theta: Array) -> list[str]:
        """Return the reasons why formulas that could be compiled are called in Python."""
        from ...compiled.program import called_formulas

        return called_formulas(network, np.dtype(theta.dtype).type)

    @property
    def group_class(self) -> "type[CompiledGroup]":
        """The class that trains many members at once."""
        from .group import CompiledGroup

        return CompiledGroup

    def evaluation(
        self, theta: ndarray, batch: Batch, noise: RandomKey | None = None
    ) -> "BatchLoss":
        """Return an object that computes the loss and the gradient of a batch at any theta."""
        from ...compiled.compiled_network import BatchLoss

        return BatchLoss(self.network, theta.dtype.type, batch, noise)

    def predictor(self, theta: ndarray) -> Callable[[Array], ndarray]:
        """Return a fast function that predicts rows."""
        # SciPy's sparse products run at memory speed
        if isinstance(self.network, SparseNetwork):
            return partial(self.network.predict, theta)
        from ...compiled.compiled_network import CompiledNetwork

        return CompiledNetwork(self.network).predictor(theta, copy=False)

    def gradients(self, noise: RandomKey | None) -> Mapping[str, Gradient]:
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
