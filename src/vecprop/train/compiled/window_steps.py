"""Training steps of one network on the windows of data larger than memory."""

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy import ndarray

from ...core.rows.inputs import Batch
from ...optimize import EpochResults
from ..run import assumed_seconds
from ..state import EPOCH_START
from . import CompiledSteps

if TYPE_CHECKING:
    from ..blocks.windows import Window


class Mean(NamedTuple):
    """A mean over the windows of an epoch: its name in `EpochResults`, and the count that weighs a window."""

    result_name: str
    weight_name: str


MEANS = {
    "loss": Mean("losses", "weight"),
    "gradient_norm": Mean("norms", "steps"),
    "step_size": Mean("sizes", "steps"),
}
"""The means over the windows of an epoch, by their names in `EPOCH_START`."""


class CarriedRows(NamedTuple):
    """The last rows of a window, which do not fill a batch, and their indices among all rows."""

    batch: Batch
    numbers: ndarray


class WindowSteps(CompiledSteps):
    """Train one network on windows; several networks may use each window in turn.

    The last rows of a window may not fill a batch. They are carried over: they are
    copied to position ``Window.front``, before the rows of the next window. The state
    is consistent after each window. Another object can continue from this state after
    it has skipped the windows that contain the carried rows.
    """

    carried: CarriedRows | None = None

    def measure(self, window: "Window | None", interrupts: list) -> EpochResults:
        """Return the validation losses before the first window."""
        batch = self.validation_batch if window is None else window.batch
        assert batch is not None  # without validation rows, nothing is measured
        self._prepare(batch)
        return self.epochs.measure(interrupts.__len__)

    def has_taken(self, window: "Window") -> bool:
        """Return whether training has used the rows of a window."""
        windows = self.state.under_way.get("windows", 0)
        return (window.epoch, window.number) < (self.state.epoch, windows)

    def skip(self, window: "Window"):
        """Carry over the last rows of a window that was used before training resumed."""
        self._carry(window, self._with_carried(window))

    def advance(self, window: "Window", most: float, interrupts: list) -> EpochResults:
        """Take the steps of a window. The last window of an epoch returns the results of the epoch.

        If the steps are interrupted or diverge, the state is unchanged except for its
        number of steps.
        """
        state = self.state
        if not self.epochs:
            self._prepare(window.batch)
        positions = self._with_carried(window)
        count = len(positions)
        if not window.is_last:  # the other rows are carried over
            count -= count % self.plan.batch_size
        steps = ceil(count / self.plan.batch_size)
        if steps:
            results = self._run(window, positions[:count], steps, interrupts)
        else:
            results = self._results_without_steps(window, interrupts)
        if results.stopped and not results.epochs:
            return results
        if steps and results.diverged:
            state.step += results.steps
            return results
        self.run.is_whole = False
        self._carry(window, positions)
        state.under_way = self._progress(window, results, steps)
        state.step += steps
        state.optimizer["t"] += steps
        if window.is_last:
            return self._results_of_epoch(results)
        return EpochResults(epochs=0, steps=steps)

    def _results_without_steps(
        self, window: "Window", interrupts: list
    ) -> EpochResults:
        """Return the results of a window without rows for this network, or with too few rows for a step."""
        if not window.is_last or self.validation_batch is None:
            return EpochResults(epochs=0, steps=0)
        self.epochs.let_validate(self.validation_batch.rows)
        return self.epochs.measure(interrupts.__len__)

    def _prepare(self, batch: Batch):
        # windows are already shuffled
        self.prepare(batch, replace(self.plan, shuffle=False))

    def _results_of_epoch(self, measured: EpochResults) -> EpochResults:
        """Return the means over all windows with the measured validation values, and start the next epoch."""
        state = self.state
        progress = state.under_way
        state.under_way = {}
        if not progress["weight"] and self.network.reduction == "mean":
            raise ValueError(
                "sample_weight is 0 in every row: at least one weight must be positive."
            )
        means = {}
        for name, mean in MEANS.items():
            means[mean.result_name] = np.array([progress[name]], state.theta.dtype)
        results = measured._replace(epochs=1, stalled=None, stopped=False, **means)
        is_finite = np.isfinite(results.losses[0])
        if self.validation_batch is not None:
            is_finite = is_finite and np.isfinite(results.validation_losses[0])
        if not is_finite:
            return results._replace(epochs=0, diverged=True)
        self.run.last_finite[...] = state.theta
        return results

    def _with_carried(self, window: "Window") -> ndarray:
        """Copy the carried rows before the rows of a window, and return the positions of all rows in training order."""
        carried = self.carried
        if carried is None:
            return window.order
        batch = window.batch
        end = window.front + len(carried.numbers)
        front = slice(window.front, end)
        batch.X[front] = carried.batch.X
        batch.T[front] = carried.batch.T
        if batch.weight is not None:
            batch.weight[front] = carried.batch.weight
        window.numbers[front] = carried.numbers
        return np.concatenate([np.arange(window.front, end), window.order])

    def _carry(self, window: "Window", positions: ndarray):
        """Carry over the last rows of a window that do not fill a batch."""
        count = min(window.seen % self.plan.batch_size, len(positions))
        self.carried = None
        if count and not window.is_last:
            rows = positions[-count:]
            self.carried = CarriedRows(window.batch.take(rows), window.numbers[rows])

    def _run(
        self, window: "Window", positions: ndarray, steps: int, interrupts: list
    ) -> EpochResults:
        """Run the steps on the rows at these positions, and validate after the last window of an epoch."""
        run = self.run
        state = self.state
        positions = np.ascontiguousarray(positions)
        numbers = None
        if self.network._random:  # each row has its own noise
            numbers = window.numbers[positions]
        # A mean loss is averaged over the window, and a sum is scaled to the epoch.
        averaged_rows = state.rows
        if self.network.reduction == "mean":
            averaged_rows = len(window.order)
        self.epochs.take(
            window.batch, positions, numbers, window.positions, averaged_rows
        )
        validation_rows = 0
        if self.validation_batch is not None and window.is_last:
            validation_rows = self.validation_batch.rows
        self.epochs.let_validate(validation_rows)
        operations = (len(positions) + validation_rows) * self.epochs.operations
        seconds = assumed_seconds(operations, steps)
        rates = run.settings.rates(run.total_steps, steps, state.step, state.schedule)
        return self.run_epochs(1, seconds, rates, interrupts)

    def _progress(self, window: "Window", results: EpochResults, steps: int) -> dict:
        """Return the progress of the epoch, including this window: the counts, and the means so far.

        Each mean is updated by the window's share, so that the mean over a single
        window is exactly the window's mean: mean ← mean · (1 - share) + value · share.
        """
        weight = float(len(window.order))
        if window.batch.weight is not None:
            weights = window.batch.weight[window.positions]
            weight = float(weights.sum(dtype=float))
        counts = {
            "windows": 1,
            "rows": len(window.order),
            "steps": steps,
            "weight": weight,
        }
        progress = EPOCH_START | self.state.under_way
        for name, count in counts.items():
            progress[name] += count
        for name, mean in MEANS.items():
            value = 0.0
            if steps:
                value = float(getattr(results, mean.result_name)[0])
            if name == "loss" and self.network.reduction == "sum":
                progress[name] += value
                continue
            total = progress[mean.weight_name] or 1
            share = counts[mean.weight_name] / total
            progress[name] = progress[name] * (1 - share) + value * share
        return progress
