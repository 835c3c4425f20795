"""Training steps of one network on the windows of data larger than memory."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """A mean over the windows of an epoch: its name in `EpochResults`, and the count that weights a window."""

    results: str
    weight: str


MEANS = {
    "loss": Mean("losses", "weight"),
    "gradient_norm": Mean("norms", "steps"),
    "step_size": Mean("sizes", "steps"),
}
"""The means over the windows of an epoch: the name in `EpochResults`, and the count
that weighs a window.
"""


class WindowSteps(CompiledSteps):
    """Train one network on windows; several networks may use each window in turn.

    The last rows of a window may not fill a batch. They are carried over: they are
    copied to position ``Window.front``, before the rows of the next window. The state
    is consistent after each window. Another object can continue from this state after
    it has skipped the windows that contain the carried rows.
    """

    carried: tuple[Batch, ndarray] | None = None
    """The carried rows, and their indices among all rows."""

    def measure(self, window: "Window | None", interrupts: list[Any]) -> EpochResults:
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

    def advance(
        self, window: "Window", most: float, interrupts: list[Any]
    ) -> EpochResults:
        """Take the steps of a window. The last window of an epoch returns the results of the epoch."""
        state = self.state
        B = self.plan.batch_size
        if not self.epochs:
            self._prepare(window.batch)
        positions = self._with_carried(window)
        count = len(positions)
        if not window.is_last:
            count -= count % B
        steps = -(-count // B)
        results = measured = EpochResults(0, 0)
        if count:
            results = measured = self._run(window, positions[:count], steps, interrupts)
        # no rows for this network
        elif window.is_last and self.validation_batch is not None:
            self.epochs.let_validate(self.validation_batch.rows)
            measured = self.epochs.measure(interrupts.__len__)
        if measured.stopped and not results.epochs:
            return measured
        if results.diverged:
            state.step += results.steps
            return results
        self.run.is_whole = False
        self._carry(window, positions)
        state.under_way = self._progress(window, results, steps)
        state.step += steps
        state.optimizer["t"] += steps
        if not window.is_last:
            return EpochResults(0, steps)
        return self._results_of_epoch(measured)

    def _prepare(self, batch: Batch):
        # windows are already shuffled
        self.prepare(batch, replace(self.plan, shuffle=False))

    def _results_of_epoch(self, measured: EpochResults) -> EpochResults:
        """Return the means over the windows of an epoch, with these validation losses, and start the next epoch."""
        state = self.state
        progress = state.under_way
        state.under_way = {}
        if not progress["weight"] and self.network.reduction == "mean":
            raise ValueError(
                "sample_weight is 0 in every row: at least one weight must be positive."
            )
        means = {}
        for name, mean in MEANS.items():
            means[mean.results] = np.array([progress[name]], state.theta.dtype)
        results = measured._replace(epochs=1, stalled=None, stopped=False, **means)
        losses = [results.losses[0]]
        if self.run.validates:
            losses.append(results.validation_losses[0])
        if not np.isfinite(losses).all():
            return results._replace(epochs=0, diverged=True)
        self.run.last_finite[...] = state.theta
        return results

    def _with_carried(self, window: "Window") -> ndarray:
        """Copy the carried rows to the front of a window, and return the row positions in training order."""
        if self.carried is None:
            return window.order
        carried, numbers = self.carried
        batch = window.batch
        front = slice(window.front, window.front + len(numbers))
        batch.X[front] = carried.X
        batch.T[front] = carried.T
        if batch.weight is not None:
            batch.weight[front] = carried.weight
        window.numbers[front] = numbers
        return np.concatenate([np.arange(front.start, front.stop), window.order])

    def _carry(self, window: "Window", positions: ndarray):
        """Carry over the last rows of a window that do not fill a batch."""
        count = min(window.seen % self.plan.batch_size, len(positions))
        self.carried = None
        if count and not window.is_last:
            rows = positions[-count:]
            self.carried = window.batch.take(rows), window.numbers[rows]

    def _run(
        self, window: "Window", positions: ndarray, steps: int, interrupts: list[Any]
    ) -> EpochResults:
        """Run the steps on the rows at these positions."""
        epochs = self.epochs
        state = self.state
        positions = np.ascontiguousarray(positions)
        numbers = window.numbers[positions] if self.network._random else None
        is_mean = self.network.reduction == "mean"
        rows = len(window.order) if is_mean else state.rows
        epochs.take(window.batch, positions, numbers, window.positions, rows)
        validated = 0
        if self.validation_batch and window.is_last:
            validated = self.validation_batch.rows
        epochs.let_validate(validated)
        operations = (len(positions) + validated) * epochs.operations
        rates = self.run.settings.rates(
            self.run.total_steps, steps, state.step, state.schedule
        )
        return self.run_epochs(1, assumed_seconds(operations, steps), rates, interrupts)

    def _progress(
        self, window: "Window", results: EpochResults, steps: int
    ) -> dict[str, Any]:
        """Return the progress of the epoch, including this window: the counts, and the means so far.

        Each mean is updated by the window's share, so that the mean over a single
        window is exactly the window's mean.
        """
        weight = float(len(window.order))
        if window.batch.weight is not None:
            weights = window.batch.weight[window.positions]
            weight = float(weights.sum(dtype=float))
        counts = {"weight": weight, "steps": steps}
        progress: dict[str, Any] = EPOCH_START | self.state.under_way
        progress["windows"] += 1
        progress["rows"] += len(window.order)
        for name, count in counts.items():
            progress[name] += count
        for name, mean in MEANS.items():
            value = float(getattr(results, mean.results)[0]) if steps else 0.0
            if name == "loss" and self.network.reduction == "sum":
                progress[name] += value
            else:
                share = counts[mean.weight] / (progress[mean.weight] or 1)
                progress[name] = progress[name] * (1 - share) + value * share
        return progress
