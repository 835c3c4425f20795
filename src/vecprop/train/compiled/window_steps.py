"""Training steps of one network on the windows of data larger than memory."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.rows.inputs import Batch
from ...optimize import EpochResults
from ..run import assumed_seconds
from ..state import EPOCH_START
from . import CompiledSteps

if TYPE_CHECKING:
    from ..blocks.windows import Window

MEANS = {
    "loss": ("losses", "weight"),
    "gradient_norm": ("norms", "steps"),
    "step_size": ("sizes", "steps"),
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

    left: tuple[Batch, np.ndarray] | None = None
    """The carried rows, and their indices among all rows."""

    def measure(self, window: "Window | None", interrupts: list[Any]) -> EpochResults:
        """Return the validation losses before the first window."""
        if window is None:
            assert self.validation_batch is not None  # otherwise, nothing is measured
            self._prepare(self.validation_batch)
        else:
            self._prepare(window.batch)
        return self.epochs.measure(interrupts.__len__)

    def has_taken(self, window: "Window") -> bool:
        """Return whether training has used the rows of a window."""
        return (window.epoch, window.number) < (
            self.state.epoch,
            self.state.under_way.get("windows", 0),
        )

    def skip(self, window: "Window") -> None:
        """Carry over the last rows of a window that was used before training resumed."""
        self._keep(window, self._places(window))

    def advance(
        self, window: "Window", most: float, interrupts: list[Any]
    ) -> EpochResults:
        """Take the steps of a window. The last window of an epoch returns the results of the epoch."""
        state, B = self.state, self.run.plan.batch_size
        if not self.epochs:
            self._prepare(window.batch)
        places = self._places(window)
        count = len(places) if window.is_last else len(places) // B * B
        steps = -(-count // B)
        results = measured = EpochResults(0, 0)
        if count:
            results = measured = self._run(window, places[:count], steps, interrupts)
            if results.stopped and not results.epochs:
                return results
            if results.diverged:
                state.step += results.steps
                return results
        # no rows for this network
        elif window.is_last and self.validation_batch is not None:
            self.epochs.let_validate(self.validation_batch.rows)
            measured = self.epochs.measure(interrupts.__len__)
            if measured.stopped:
                return measured
        self.run.is_whole = False
        self._keep(window, places)
        state.under_way = self._progress(window, results, steps)
        state.step += steps
        state.optimizer["t"] += steps
        if not window.is_last:
            return EpochResults(0, steps)
        return self._results_of_epoch(measured)

    def _prepare(self, batch: Batch) -> None:
        # windows are already shuffled
        self.prepare(batch, replace(self.run.plan, shuffle=False))

    def _results_of_epoch(self, measured: EpochResults) -> EpochResults:
        """Return the means over the windows of an epoch, with these validation losses, and start the next epoch."""
        state, progress = self.state, self.state.under_way
        state.under_way = {}
        if not progress["weight"] and self.network.reduction == "mean":
            raise ValueError(
                "sample_weight is 0 in every row: at least one weight must be positive."
            )
        means = {
            name: np.array([progress[mean]], state.theta.dtype)
            for mean, (name, _) in MEANS.items()
        }
        results = measured._replace(epochs=1, stalled=None, stopped=False, **means)
        losses = [
            results.losses[0],
            results.validation_losses[0] if self.run.validates else 0.0,
        ]
        if not np.isfinite(losses).all():
            return results._replace(epochs=0, diverged=True)
        self.run.last_finite[...] = state.theta
        return results

    def _places(self, window: "Window") -> np.ndarray:
        """Copy the carried rows to the front of a window, and return the row positions in training order."""
        if self.left is None:
            return window.order
        batch, numbers = self.left
        memory, front = window.batch, slice(window.front, window.front + len(numbers))
        memory.X[front] = batch.X
        memory.T[front] = batch.T
        window.numbers[front] = numbers
        if memory.weight is not None:
            memory.weight[front] = batch.weight
        return np.concatenate([np.arange(front.start, front.stop), window.order])

    def _keep(self, window: "Window", places: np.ndarray) -> None:
        """Carry over the last rows of a window that do not fill a batch."""
        over = (
            0
            if window.is_last
            else min(window.seen % self.run.plan.batch_size, len(places))
        )
        self.left = None
        if over:
            tail = places[len(places) - over :]
            self.left = window.batch.take(tail), window.numbers[tail]

    def _run(
        self, window: "Window", places: np.ndarray, steps: int, interrupts: list[Any]
    ) -> EpochResults:
        """Run the steps on the rows at these positions."""
        batch, epochs, own = window.batch, self.epochs, window.own
        places = np.ascontiguousarray(places)
        numbers = window.numbers[places] if self.network._random else None
        rows = (
            len(window.order) if self.network.reduction == "mean" else self.state.rows
        )
        epochs.take(batch, places, numbers, own, rows)
        validated = (
            self.validation_batch.rows
            if self.validation_batch and window.is_last
            else 0
        )
        epochs.let_validate(validated)
        seconds = assumed_seconds((len(places) + validated) * epochs.operations, steps)
        state = self.state
        rates = self.run.settings.rates(
            self.run.total_steps, steps, state.step, state.schedule
        )
        return self.run_epochs(1, seconds, rates, interrupts)

    def _progress(
        self, window: "Window", results: EpochResults, steps: int
    ) -> dict[str, Any]:
        """Return the progress of the epoch, including this window: the counts, and the means so far.

        Each mean is updated by the window's share, so that the mean over a single
        window is exactly the window's mean.
        """
        rows, weights = len(window.order), window.batch.weight
        weight = float(
            rows if weights is None else weights[window.own].sum(dtype=float)
        )
        progress: dict[str, Any] = EPOCH_START | self.state.under_way
        progress["windows"] += 1
        progress["rows"] += rows
        progress["steps"] += steps
        progress["weight"] += weight
        shares = {
            "weight": weight / progress["weight"] if progress["weight"] else 0.0,
            "steps": steps / max(progress["steps"], 1),
        }
        for mean, (name, share_name) in MEANS.items():
            value = float(getattr(results, name)[0]) if steps else 0.0
            if mean == "loss" and self.network.reduction == "sum":
                progress[mean] += value
            else:
                share = shares[share_name]
                progress[mean] = progress[mean] * (1 - share) + value * share
        return progress
