"""The reference engine: the formulas of ``core`` in plain Python, for the arrays of any library."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from ..core import Array, Batch, RandomKey, namespace, on_host, permutation, score
from ..optimize.schedules import Constant
from ..system.threads import SecondInterrupt, check_cancelled, defer_sigint
from .engine import Engine
from .run import Run
from .state import DivergenceError, Reason


class Reference(Engine):
    """Compute and train any network, also with custom parts, step by step in Python."""

    name = "reference"

    def training(self, run: Run, batch: Batch, validation_batch: Batch | None) -> Callable[[], Reason]:
        """Return a function that trains one network."""
        return ReferenceTrainingLoop(run, batch, validation_batch).descend


class ReferenceTrainingLoop:
    """Take the steps of an optimizer one by one in Python."""

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None) -> None:
        self.run, self.state, self.network, self.plan = run, run.state, run.network, run.plan
        self.optimizer: Any = run.settings.optimizer
        self.batch = batch.gathered()
        self.validation_batch = None if validation_batch is None else validation_batch.gathered()
        self.batch.require_finite_inputs()
        self.full = self.plan.batch_size == self.batch.rows
        self.gradient: Array = None  # full-batch gradient at theta, if it was already computed with the loss
        self.running: Array | None = None  # the sum of the epoch's losses so far
        self.norms: list[np.ndarray] = []  # gradient norms of the current epoch's steps
        self.sizes: list[np.ndarray] = []
        self.kept: dict[str, Any] = {}

    def descend(self) -> Reason:
        """Train until all epochs are done or training is stopped; return the reason."""
        reason: Reason | None = self.run.start(*self.measured())
        self.keep()
        try:
            while reason is None and self.state.epoch < self.state.epochs:
                self.run.is_whole = False
                self.epoch()
                measured = self.measured()
                reason = defer_sigint(lambda received: self.record(*measured))  # noqa: B023
            return reason or "epochs"
        except (KeyboardInterrupt, Exception) as error:  # a custom layer may raise any exception
            if not isinstance(error, SecondInterrupt | DivergenceError):
                # Restore the state before the unfinished epoch, so that a resumed run is bit-identical.
                self.state.theta[...] = self.kept.pop("theta")
                self.state.optimizer, self.state.step = self.kept, self.kept_step
                self.run.is_whole = True
            raise

    def record(self, *measured: Array | None) -> Reason | None:
        """Record the losses of an epoch; return a reason to stop, if any."""
        steps = {"gradient_norm": np.mean(self.norms, axis=0), "step_size": np.mean(self.sizes, axis=0)}
        self.norms, self.sizes = [], []
        try:
            reason = self.run.after_epoch(*measured, **steps)
        finally:  # a callback may change theta and then raise KeyboardInterrupt, which still returns a result
            self.keep()
        if self.run.callbacks and self.run.was_moved():
            self.gradient = None
        return reason

    def keep(self) -> None:
        """Store copies of the values that an epoch changes."""
        moved = {"theta": self.state.theta, **self.state.optimizer}
        for name, value in moved.items():
            if name in self.kept and getattr(value, "ndim", 0):
                self.kept[name][...] = value
            else:
                self.kept[name] = deepcopy(value)
        self.kept_step = self.state.step

    def measured(self) -> tuple[Array | None, Array | None, Array | None]:
        """Return the training loss, the validation loss and the validation score at the current parameters."""
        theta, rows, name = self.state.theta, self.validation_batch, self.plan.score
        if rows is None:
            return self.loss(), None, None
        return self.loss(), self.network._batch_loss(theta, rows), name and score(name, self.network, theta, rows)

    def loss(self) -> Array | None:
        """Return the loss for the history: the running loss of the latest epoch, or the loss on all rows.

        A running loss is None before the first epoch, and NaN if theta is not finite. On full batches, the gradient is
        computed together with the loss and used in the next step.
        """
        if self.plan.running:
            total, self.running, theta = self.running, None, self.state.theta
            xp = namespace(theta)
            return None if total is None else xp.where(xp.all(xp.isfinite(theta), axis=-1), total, xp.nan)
        if self.full and not self.network._random:
            loss, self.gradient = self.network._batch_loss_and_gradient(self.state.theta, self.batch)
            return loss
        return self.network._batch_loss(self.state.theta, self.batch)

    def epoch(self) -> None:
        """Take a step for each batch."""
        for rows in self.batches():
            self.step(self.batch_gradient(rows))
            check_cancelled()

    def batches(self) -> Iterator[np.ndarray | None]:
        """Yield the row indices of each batch; None stands for all rows in their order."""
        if self.full:
            yield None
            return
        order = np.arange(self.batch.rows)
        if self.plan.shuffle:
            order = permutation(self.plan.seed, self.state.epoch, self.batch.rows)
        for start in range(0, self.batch.rows, self.plan.batch_size):
            yield order[start : start + self.plan.batch_size]

    def batch_gradient(self, rows: np.ndarray | None) -> Array:
        """Return the gradient of the loss on these rows, with the noise of this step."""
        if self.gradient is not None:
            gradient, self.gradient = self.gradient, None
            return gradient
        batch = self.batch if rows is None else self.batch.take(rows)
        noise = RandomKey(self.plan.seed, self.state.step, rows) if self.network._random else None
        loss, gradient = self.network._batch_loss_and_gradient(self.state.theta, batch, noise)
        if self.plan.running:
            part = self.part_of_loss(loss, batch)
            self.running = part if self.running is None else self.running + part
        return gradient

    def part_of_loss(self, loss: Array, batch: Batch) -> Array:
        """Return the contribution of a batch's loss to the loss of all rows."""
        mean, share = self.network.reduction == "mean", batch.rows / self.batch.rows
        if mean and batch.weight is not None:
            xp = namespace(batch.weight)
            share = xp.sum(batch.weight, axis=-1) / xp.sum(self.batch.weight, axis=-1)
        penalty = self.network._penalty(self.state.theta, batch) if self.network.penalties else 0.0
        return (loss - penalty) * (share if mean else 1) + penalty * share

    def step(self, gradient: Array) -> None:
        """Clip the gradient and take one step."""
        state = self.state
        xp = namespace(state.theta)
        length = norm(gradient)
        self.run.require_finite("gradient's norm", length)
        if self.plan.clip_norm is not None and self.plan.clip_norm < xp.finfo(gradient.dtype).max:
            gradient = gradient * (self.plan.clip_norm / xp.clip(length, self.plan.clip_norm, None))[..., None]
        before, optimizer = xp.asarray(state.theta, copy=True), self.optimizer
        if not isinstance(self.run.schedule, Constant):
            factor = self.run.schedule.factor(state.step, self.run.steps, state.schedule)
            optimizer = replace(optimizer, learning_rate=np.asarray(optimizer.learning_rate) * factor)
        optimizer.step(state.theta, gradient, state.optimizer)
        if self.run.best is not None and state.theta.ndim > 1:  # stopped members keep their parameters
            has_stopped = xp.asarray(self.run.best.have_stopped, device=state.theta.device)
            state.theta[...] = xp.where(has_stopped[..., None], before, state.theta)
        state.step += 1
        self.norms.append(on_host(length))
        self.sizes.append(on_host(norm(state.theta - before)))


def norm(vectors: Array) -> Array:
    """Return the Euclidean norm of each member's vector, (*M,), without overflow."""
    xp = namespace(vectors)
    if not vectors.shape[-1]:  # a network without parameters
        return xp.sum(vectors, axis=-1)
    largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)
    scaled = vectors / xp.where(largest > 0, largest, 1)
    return largest[..., 0] * xp.sqrt(xp.sum(scaled * scaled, axis=-1))
