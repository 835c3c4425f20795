"""The progress of training while it runs, and a progress bar as a callback."""

import time
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .state import TrainingState


@dataclass(frozen=True)
class Progress:
    """The progress of a population's training.

    Parameters
    ----------
    ended, members : int
        The number of members that have ended, and of all.
    share : float
        The share of all epochs that is done; a member that has ended is done with all of its own.
    rows : int
        The number of rows that were trained on, over all epochs.
    loss, validation_loss : float
        The medians over the members of their latest losses; nan if none is known.
    stage : int, default 1
        The number of the stage that is trained, of a model of a table. It is 0 during a short trial of networks before
        the first, whose rows and epochs do not count, and which no answer ends.
    best : float, default nan
        The loss, on rows that its networks have not seen, of such a model before this stage.
    epoch, epochs : int, default 0
        The pass over rows that do not fit into memory, and the number of passes; 0 of other training.

    Examples
    --------
    A function that shows the progress, and stops training once the loss is low:

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
    """A progress bar on the terminal's error stream, with the loss and the rows that are trained on each second.

    Give it to `train` in callbacks.

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
        try:
            import rich.progress
        except ImportError:
            raise ImportError('ProgressBar needs rich: pip install "vecprop[cli]".') from None
        self._description = description
        self._progress: Any = None
        self._before: int | None = None  # the rows that were trained on before the bar was shown
        self._rich = rich.progress

    def __enter__(self) -> Self:
        """Show the bar; `train` does it before the first epoch."""
        from rich.console import Console

        self._progress = self._rich.Progress(
            self._rich.TextColumn("{task.description}"),
            self._rich.BarColumn(),
            self._rich.MofNCompleteColumn(),
            self._rich.TextColumn("{task.fields[losses]}"),
            self._rich.TextColumn("{task.fields[pace]}"),
            self._rich.TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(self._description, total=None, losses="", pace="")
        self._began, self._before = time.perf_counter(), None
        self._progress.start()
        return self

    def __call__(self, state: TrainingState) -> None:
        """Move the bar to the epoch, or to the window of one."""
        known = {"loss": state.history.last_loss, "validation": state.history.last_validation_loss}
        losses = ", ".join(f"{name} {np.median(loss):.6g}" for name, loss in known.items() if loss is not None)
        under_way = state.under_way.get("rows", 0)
        seen = state.epoch * state.rows + under_way
        self._before = seen - (under_way or state.rows) if self._before is None else self._before
        pace = f"{(seen - self._before) / (time.perf_counter() - self._began):,.0f} rows/s"
        completed = state.epoch + under_way / state.rows
        self._progress.update(self._task, total=state.epochs, completed=completed, losses=losses, pace=pace)

    def __exit__(self, *error: object) -> None:
        """Stop the bar, which stays visible; `train` does it at the end."""
        self._progress.stop()
