"""The reference engine: the formulas of ``core`` in plain Python, for the arrays of any library."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from ..core import Array, Batch, RandomKey, namespace, on_host, permutation, score
from ..optimize import Constant, EpochResults
from .engine import Engine
from .run import Run, Steps, results_of_epoch, was_moved


class ReferenceSteps(Steps):
    """Take the steps of an optimizer one by one in Python.

    An epoch changes copies of the parameters and of the optimizer's state. If an error
    or Ctrl-C ends the epoch, the run is still in the state before it, so that a resumed
    run is bit-identical.
    """

    def __init__(self, run: Run, batch: Batch):
        """Check the inputs, and copy the parameters."""
        super().__init__(run)
        if self.validation_batch is not None:
            self.validation_batch = self.validation_batch.gathered()
        self.batch = batch.gathered()
        self.batch.require_finite_inputs()
        self.is_full = self.plan.batch_size == self.batch.rows
        # during an epoch
        self.theta = namespace(run.state.theta).asarray(run.state.theta, copy=True)
        self.optimizer_state: dict = {}
        self.step = self.state.step
        self.running_loss = None  # the sum of the epoch's losses so far
        self.norms = []  # the gradient norms of the epoch's steps
        self.sizes = []
        # of all rows at theta, if it was computed together with the loss
        self.next_gradient = None

    def measure(self, window, interrupts: list) -> EpochResults:
        """Return the losses before the first step."""
        return results_of_epoch(**self.losses())

    def advance(self, window, most: float, interrupts: list) -> EpochResults:
        """Train for one epoch."""
        self.begin_epoch()
        for rows in self.batches():
            gradient = self.batch_gradient(rows)
            norms = length(gradient)
            norms_on_host = on_host(norms)
            self.norms.append(norms_on_host)
            if not np.isfinite(norms_on_host).all():
                self.keep()
                return EpochResults(
                    epochs=0,
                    steps=0,
                    diverged=True,
                    gradient_diverged=True,
                    norms=norms_on_host[None],
                )
            self.take_step(gradient, norms)
            if interrupts:
                self.next_gradient = None
                return EpochResults(epochs=0, steps=0, stopped=True)
        results = results_of_epoch(
            **self.losses(),
            norms=np.mean(self.norms, axis=0),
            sizes=np.mean(self.sizes, axis=0),
        )
        self.keep()
        if results.epochs:
            self.run.last_finite[...] = self.state.theta
        return results

    def begin_epoch(self):
        """Copy the state, which the epoch must not change before its end."""
        if self.run.callbacks and was_moved(self.run):
            self.next_gradient = None
        self.theta[...] = self.state.theta
        copy_values(self.optimizer_state, self.state.optimizer)
        self.step = self.state.step
        self.norms = []
        self.sizes = []
        self.running_loss = None

    def keep(self):
        """Store the state after an epoch, or after the step that diverged."""
        self.run.is_whole = False
        self.state.step = self.step
        self.state.theta[...] = self.theta
        copy_values(self.state.optimizer, self.optimizer_state)

    def losses(self) -> dict[str, Array]:
        """Return the training loss, the validation loss and the validation score, by their names in the results."""
        losses = {"losses": self.loss()}
        validation = self.validation_batch
        if validation is not None:
            losses["validation_losses"] = self.network._batch_loss(
                self.theta, validation
            )
            if self.plan.score is not None:
                losses["validation_scores"] = score(
                    self.plan.score, self.network, self.theta, validation
                )
        return losses

    def loss(self) -> Array | None:
        """Return the loss for the history: the running loss of the latest epoch, or the loss on all rows.

        A running loss is None before the first epoch, and NaN if theta is not finite.
        On full batches, the gradient is computed together with the loss and used in the
        next step.
        """
        if self.plan.running:
            if self.running_loss is None:
                return None
            xp = namespace(self.theta)
            is_finite = xp.all(xp.isfinite(self.theta), axis=-1)
            return xp.where(is_finite, self.running_loss, xp.nan)
        if self.is_full and not self.network._random:
            loss, self.next_gradient = self.network._batch_loss_and_gradient(
                self.theta, self.batch
            )
            return loss
        return self.network._batch_loss(self.theta, self.batch)

    def batches(self) -> Iterator[ndarray | None]:
        """Yield the row indices of each batch; None stands for all rows in their order."""
        if self.is_full:
            yield None
            return
        order = np.arange(self.batch.rows)
        if self.plan.shuffle:
            order = permutation(self.plan.seed, self.state.epoch, self.batch.rows)
        for start in range(0, self.batch.rows, self.plan.batch_size):
            yield order[start : start + self.plan.batch_size]

    def batch_gradient(self, rows: ndarray | None) -> Array:
        """Return the gradient of the loss on these rows, with the noise of this step."""
        if self.next_gradient is not None:
            gradient = self.next_gradient
            self.next_gradient = None
            return gradient
        batch = self.batch if rows is None else self.batch.take(rows)
        noise = None
        if self.network._random:
            noise = RandomKey(self.plan.seed, self.step, rows)
        loss, gradient = self.network._batch_loss_and_gradient(self.theta, batch, noise)
        if self.plan.running:
            loss = self.part_of_loss(loss, batch)
            if self.running_loss is not None:
                loss = self.running_loss + loss
            self.running_loss = loss
        return gradient

    def part_of_loss(self, loss: Array, batch: Batch) -> Array:
        """Return the contribution of a batch's loss to the loss of all rows.

        If the loss is a mean, the contribution is the batch's share of the rows or of
        their weights. Each batch's loss contains the whole penalty.
        """
        network = self.network
        penalty = network._penalty(self.theta, batch) if network.penalties else 0.0
        loss_of_rows = loss - penalty
        share = batch.rows / self.batch.rows
        if network.reduction == "mean":
            if batch.weight is not None:
                xp = namespace(batch.weight)
                total = xp.sum(self.batch.weight, axis=-1)
                share = xp.sum(batch.weight, axis=-1) / total
            loss_of_rows = loss_of_rows * share
        return loss_of_rows + penalty * share

    def take_step(self, gradient: Array, norms: Array):
        """Clip the gradient and take one step."""
        run = self.run
        theta = self.theta
        xp = namespace(theta)
        clip_norm = self.plan.clip_norm
        if clip_norm is not None and clip_norm < xp.finfo(gradient.dtype).max:
            factor = clip_norm / xp.clip(norms, clip_norm, None)
            gradient = gradient * factor[..., None]
        optimizer: Any = run.settings.optimizer
        schedule = run.settings.schedule
        if schedule is not None and not isinstance(schedule, Constant):
            factor = schedule.factor(self.step, run.total_steps, self.state.schedule)
            rate = np.asarray(optimizer.learning_rate) * factor
            optimizer = replace(optimizer, learning_rate=rate)
        before = xp.asarray(theta, copy=True)
        optimizer.step(theta, gradient, self.optimizer_state)
        # stopped members keep their parameters
        if run.best is not None and theta.ndim > 1:
            has_stopped = xp.asarray(run.best.have_stopped, device=theta.device)
            theta[...] = xp.where(has_stopped[..., None], before, theta)
        self.step += 1
        self.sizes.append(on_host(length(theta - before)))


class Reference(Engine):
    """Compute and train any network, also with custom parts, step by step in Python."""

    name = "reference"
    steps_class = ReferenceSteps


def copy_values(target: dict, values: Mapping):
    """Copy values to a dictionary; arrays that it already contains are overwritten in place."""
    for name, value in values.items():
        if name in target and getattr(value, "ndim", 0):
            target[name][...] = value
        else:
            target[name] = deepcopy(value)


def length(vectors: Array) -> Array:
    """Return the Euclidean norm of each member's vector, (*M,), without overflow."""
    xp = namespace(vectors)
    if not vectors.shape[-1]:  # a network without parameters
        return xp.sum(vectors, axis=-1)
    largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)
    scaled = vectors / xp.where(largest > 0, largest, 1)
    return largest[..., 0] * xp.sqrt(xp.sum(scaled * scaled, axis=-1))
