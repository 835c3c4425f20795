"""Training steps of one network on the windows of data larger than memory."""

from dataclasses import replace
from typing import Any

import numpy as np

from ...compiled.fits import EpochResults
from ...core.rows.inputs import Batch
from ...system.threads import defer_sigint
from ..blocks.windows import Window
from ..run import Run, assumed_seconds
from ..state import NO_WAY, Reason
from . import CompiledSteps


class WindowSteps(CompiledSteps):
    """Train one network on windows; several networks may use each window in turn.

    The last rows of a window may not fill a batch. They are carried over: they are copied to position ``front``, before
    the rows of the next window. The state is consistent after each window. Another object can continue from this state
    after it has skipped the windows that contain the carried rows.
    """

    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None, view: int = 0, front: int = 0) -> None:
        super().__init__(run, batch, validation_batch, replace(run.plan, shuffle=False))  # windows are already shuffled
        self.view, self.front = view, front
        self.left: tuple[Batch, np.ndarray] | None = None

    def start(self) -> Reason | None:
        """Record the losses before the first window; return a reason to stop, if any."""
        if self.validation_batch is None or self.run.is_resumed:
            return self.run.start(None, None, None)
        return self.run.start(None, *self.validated(self.first_losses(is_long=True)))

    def skip(self, window: Window) -> None:
        """Skip a window that was already trained on, but carry its last rows over."""
        self._keep(window, self._places(window))

    def take(self, window: Window) -> Reason | None:
        """Train on a window; return a reason to stop, if any."""
        while True:
            done, reason = defer_sigint(lambda received: self._steps(window, received))
            if done:
                return reason

    def _places(self, window: Window) -> np.ndarray:
        """Copy the carried rows to the front of a window, and return the row positions in training order."""
        if self.left is None:
            return window.order
        batch, numbers = self.left
        front, mine = slice(self.front, self.front + len(numbers)), window.batches[self.view]
        mine.X[front], mine.T[front], window.numbers[front] = batch.X, batch.T, numbers
        if mine.weight is not None:
            mine.weight[front] = batch.weight
        return np.concatenate([np.arange(front.start, front.stop), window.order])

    def _keep(self, window: Window, places: np.ndarray) -> None:
        """Carry over the last rows of a window that do not fill a batch."""
        over = 0 if window.is_last else min(window.seen % self.plan.batch_size, len(places))
        self.left = None
        if over:
            tail = places[len(places) - over :]
            self.left = window.batches[self.view].take(tail), window.numbers[tail]

    def _steps(self, window: Window, interrupts: list[Any]) -> tuple[bool, Reason | None]:
        """Take the steps of a window and record them; return whether they are done, and a reason to stop, if any."""
        state, B = self.state, self.plan.batch_size
        batch, own = window.batches[self.view], window.own
        places = self._places(window)
        count = len(places) if window.is_last else len(places) // B * B
        results, steps = None, -(-count // B)
        self.run.is_whole = False
        if count:
            results = self._run(window, places[:count], steps, interrupts)
            if results.stopped and not results.epochs:
                return False, None
            if not results.epochs:
                self.diverged(results)
        measured = results
        if results is None and window.is_last and self.validation_batch is not None:  # no rows for this network
            self.epochs.let_validate(self.validation_batch.rows)
            measured = self.epochs.measure(interrupts.__len__)
            if measured.stopped:
                return False, None
        rows = len(window.order)
        self._keep(window, places)
        weight = float(rows if batch.weight is None else batch.weight[own].sum(dtype=float))
        state.under_way = way = self._way(results, rows, steps, weight)
        state.step, state.optimizer["t"] = state.step + steps, state.optimizer["t"] + steps
        if not window.is_last:
            return True, self.run.call_hooks("after_window")
        state.under_way = {}
        if not way["weight"] and self.network.reduction == "mean":
            raise ValueError("sample_weight is 0 in every row: at least one weight must be positive.")
        F = state.theta.dtype.type
        of_steps = {name: F(way[name]) for name in ("gradient_norm", "step_size")}
        validated = self.validated(measured) if measured else (None, None)
        return True, self.run.after_epoch(F(way["loss"]), *validated, **of_steps)

    def _run(self, window: Window, places: np.ndarray, steps: int, interrupts: list[Any]) -> EpochResults:
        """Run the steps on the rows at these positions."""
        batch, epochs, own = window.batches[self.view], self.epochs, window.own
        places = np.ascontiguousarray(places)
        numbers = window.numbers[places] if self.network._random else None
        rows = len(window.order) if self.network.reduction == "mean" else self.state.rows
        epochs.take(batch, places, numbers, own, rows)
        validated = self.validation_batch.rows if self.validation_batch and window.is_last else 0
        epochs.let_validate(validated)
        seconds = assumed_seconds((len(places) + validated) * epochs.operations, steps)
        state = self.state
        rates = self.run.settings.rates(self.run.steps, steps, state.step, state.schedule)
        return self.run_epochs(1, seconds, rates, interrupts)

    def _way(self, results: EpochResults | None, rows: int, steps: int, weight: float) -> dict[str, Any]:
        """Return the progress of the epoch, including this window: the counts, and the means so far.

        Each mean is updated by the window's share, so that the mean over a single window is exactly the window's mean.
        """
        way: dict[str, Any] = NO_WAY | self.state.under_way
        way["windows"] += 1
        way["rows"] += rows
        way["steps"] += steps
        way["weight"] += weight
        by_weight = weight / way["weight"] if way["weight"] else 0.0
        by_steps = steps / max(way["steps"], 1)
        for name, curve, share in (
            ("loss", "losses", by_weight),
            ("gradient_norm", "norms", by_steps),
            ("step_size", "sizes", by_steps),
        ):
            own = 0.0 if results is None else float(getattr(results, curve)[0])
            is_sum = name == "loss" and self.network.reduction == "sum"
            way[name] = way[name] + own if is_sum else way[name] * (1 - share) + own * share
        return way
