"""Progress reports during training, and a progress bar as a callback."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import numpy as np

from ..system.extras import imported
from .state import TrainingState


@dataclass(frozen=True)
class Progress:
    """The progress of a population's training.

    Parameters
    ----------
    ended, members : int
        The number of members that have ended, and the number of all members.
    share : float
        The fraction of all epochs that is done. If a member ends early, all of its epochs count as done.
    rows : int
        The number of rows seen so far, over all epochs.
    loss, validation_loss : float
        The median over the members of their latest losses; NaN if unknown.
    stage : int, default 1
        The current stage of a tabular model. Stage 0 is a short trial of networks; its rows and epochs do not count,
        and returning True does not stop it.
    best : float, default nan
        The loss of the tabular model before this stage, on rows that its networks were not trained on.
    epoch, epochs : int, default 0
        The current pass and the number of passes over rows that do not fit into memory; otherwise 0.

    Examples
    --------
    A function that prints the progress and stops training once the loss is low:

    >>> def show(progress):
    ...     print(f"{progress.ended} of {progress.members} ended, {progress.share:.0%} of all epochs")
    ...     return progress.loss < 0.01
    >>> show(Progress(ended=3, members=8, share=0.5, rows=6400, loss=0.02, validation_loss=0.03))
    3 of 8 ended, 50% of all epochs
    False
    """

    ended: int
    members: int
    share: float
    rows: int
    loss: float
    validation_loss: float
    stage: int = 1
    best: float = float("nan")
    epoch: int = 0
    epochs: int = 0


class ProgressBar:
    """A progress bar on standard error that shows the loss and the rows per second.

    Pass it to `train` in ``callbacks``.

    Parameters
    ----------
    description : str, default "training"
        The text before the bar.

    Raises
    ------
    ImportError
        If rich is not installed.

    Examples
    --------
    >>> bar = ProgressBar("the circles")  # then: train(..., callbacks=[bar])
    """

    def __init__(self, description: str = "training") -> None:
        self._rich = _rich("ProgressBar")
        self._description = description

    def __enter__(self) -> Self:
        """Show the bar; `train` calls this before the first epoch."""
        texts = ["{task.fields[losses]}", "{task.fields[pace]}"]
        self._progress = _bar(self._rich, [self._rich.BarColumn(), self._rich.MofNCompleteColumn()], texts)
        self._task = self._progress.add_task(self._description, total=None, losses="", pace="")
        self._began = time.perf_counter()
        self._before: int | None = None  # the number of rows seen before the bar was shown
        self._progress.start()
        return self

    def __call__(self, state: TrainingState) -> None:
        """Advance the bar to the current epoch or window."""
        known = {"loss": state.history.last_loss, "validation": state.history.last_validation_loss}
        losses = ", ".join(f"{name} {np.median(loss):.6g}" for name, loss in known.items() if loss is not None)
        under_way = state.under_way.get("rows", 0)
        seen = state.epoch * state.rows + under_way
        self._before = seen - (under_way or state.rows) if self._before is None else self._before
        pace = f"{(seen - self._before) / (time.perf_counter() - self._began):,.0f} rows/s"
        completed = state.epoch + under_way / state.rows
        self._progress.update(self._task, total=state.epochs, completed=completed, losses=losses, pace=pace)

    def __exit__(self, *error: object) -> None:
        """Stop the bar, which stays visible; `train` calls this at the end."""
        self._progress.stop()


def _rich(user: str) -> Any:
    return imported("rich.progress", user, "cli")


def _bar(rich: Any, bars: list[Any], texts: list[str]) -> Any:
    """Return a progress bar on standard error: description, bars, texts, elapsed time."""
    from rich.console import Console

    before, *after = map(rich.TextColumn, ["{task.description}", *texts])
    return rich.Progress(before, *bars, *after, rich.TimeElapsedColumn(), console=Console(stderr=True))


WIDTH = 8
"""The width of the bar in characters; it keeps the line within 80 characters."""

Show = Callable[[Progress], object]


@contextmanager
def progress_bar(description: str, quiet: bool) -> Iterator[Show | None]:
    """Yield a function that shows losses, rows per second and the number of networks that have ended.

    Yield None if quiet is set, or if standard error is neither a terminal nor a notebook.
    """
    if quiet:
        yield None
        return
    rich = _rich("A progress bar")
    bar = _bar(rich, [rich.BarColumn(WIDTH)], ["{task.fields[said]}"])
    if not (bar.console.is_terminal or bar.console.is_jupyter):
        yield None
        return
    with bar as progress:
        task, rows = progress.add_task(description, total=1, said=""), 0
        started = before = time.perf_counter()

        def show(now: Progress) -> None:
            nonlocal started, before, rows
            if now.rows < rows:  # a new training run has started
                started = before
            before, rows = time.perf_counter(), now.rows
            progress.update(task, completed=now.share, said=progress_as_text(now, before - started))

        yield show


def progress_as_text(now: Progress, seconds: float) -> str:
    """Return the progress of training as text; `seconds` is the elapsed time.

    Examples
    --------
    >>> progress_as_text(Progress(3, 8, 0.5, 90_000, loss=0.25, validation_loss=0.5), seconds=2.0)
    'loss 0.25, validation 0.5, 45,000 rows/s, 3 of 8 done'
    >>> progress_as_text(Progress(0, 8, 0.25, 90_000, 0.25, 0.5, epoch=2, epochs=6), seconds=60.0)
    'loss 0.25, validation 0.5, epoch 2 of 6, 90,000 rows, 0:03:00 left'
    >>> progress_as_text(Progress(3, 8, 0.5, 90_000, 0.25, 0.5, stage=4, best=0.4375), seconds=2.0)
    'stage 4, best 0.4375 so far, 45,000 rows/s, 3 of 8 done'
    >>> progress_as_text(Progress(1, 2, 0.0, 90_000, 0.25, 0.5, stage=0), seconds=2.0)
    'trial of networks, 45,000 rows/s, 1 of 2 done'
    """
    losses = {"loss": now.loss, "validation": now.validation_loss}
    known = [f"{name} {loss:.3g}" for name, loss in losses.items() if loss == loss]  # NaN is not equal to itself
    if now.stage == 0:
        known = ["trial of networks"]
    if now.stage > 1:
        known = [f"stage {now.stage}, best {now.best:.4g} so far"]
    if now.epochs:
        left = timedelta(seconds=round(seconds / now.share * (1 - now.share))) if now.share else "some time"
        return ", ".join([*known[:2], f"epoch {now.epoch} of {now.epochs}", f"{now.rows:,.0f} rows", f"{left} left"])
    return ", ".join([*known, f"{now.rows / seconds:,.0f} rows/s", f"{now.ended} of {now.members} done"])
