"""Progress reports during training, and a progress bar as a callback."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from operator import itemgetter
from typing import Self

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
    rows : int, default 0
        The number of rows seen so far, over all epochs.
    loss, validation_loss : float, default nan
        The median of the members' latest losses; NaN if unknown.
    stage : int, default 1
        0 during the short trial of networks of a tabular model. Its rows and epochs do not count, and returning True
        does not stop it.
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
    rows: int = 0
    loss: float = float("nan")
    validation_loss: float = float("nan")
    stage: int = 1
    epoch: int = 0
    epochs: int = 0


class ProgressBar:
    """A progress bar with the elapsed and the remaining time, the rows per second and the loss.

    Pass it to `train` in ``callbacks``. The bar is one line on standard error, or one output of a notebook cell. If
    standard error is a file, lines are added less and less often. A bar within another one is hidden.

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
        self._line = ProgressLine(description)

    def __enter__(self) -> Self:
        """Show the bar; `train` calls this before the first epoch."""
        self._line.has_ended = False
        self._line.__enter__()
        return self

    def __call__(self, state: TrainingState) -> None:
        """Advance the bar to the current epoch or window."""
        known = {"loss": state.history.last_loss, "validation": state.history.last_validation_loss}
        losses = {name: float(np.median(loss)) for name, loss in known.items() if loss is not None}
        under_way = state.under_way.get("rows", 0)
        share = (state.epoch + under_way / max(state.rows, 1)) / max(state.epochs, 1)
        rows = state.epoch * state.rows + under_way
        self._line.update(rows, share, losses, [f"epoch {state.epoch:,} of {state.epochs:,}"])

    def __exit__(self, *error: object) -> None:
        """Stop the bar, which stays visible; `train` calls this at the end."""
        self._line.has_ended = True
        self._line.__exit__()


WIDTH = 8
"""The width of the bar in characters."""

PAUSE = 10.0
"""The minimum number of seconds between two lines in a file."""

_shown: list["ProgressLine"] = []
"""The line that is shown, if any. In a terminal, a second line would garble it."""


class ProgressLine:
    """A line that shows the progress of a task in a ``with`` block; ``unit`` is the plural of the counted unit."""

    def __init__(self, description: str, unit: str = "rows") -> None:
        imported("rich", "A progress bar", "cli")
        self.description, self.unit = " ".join(description.split()), unit
        self.losses: Mapping[str, float] = {}
        self.texts: Sequence[str] = ()
        self.has_ended = False  # then no time is left, even if the share is below 1

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._console, self._live, self._output = Console(stderr=True), None, None
        self._began = time.perf_counter()
        # The time, count and share at the start, at the first update and at the latest update.
        self._start = self._first = self._latest = (self._began, 0, 0.0)
        self._due, self._printed = self._began + PAUSE, ""
        if _shown:
            return self
        _shown.append(self)
        if self._console.is_jupyter:
            display = import_module("IPython.display").display
            self._output = display({"text/plain": self.description}, raw=True, display_id=True)
            self._due = self._began
        elif self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=lambda: Text(self.text(self._console.width), no_wrap=True, overflow="crop"),
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()
        return self

    def update(
        self, count: int, share: float, losses: Mapping[str, float] | None = None, texts: Sequence[str] = ()
    ) -> None:
        """Set the count, the finished share of the task, the losses (NaN if unknown) and further texts."""
        now = time.perf_counter(), count, share
        if self._latest is self._start or count < self._latest[1]:  # a new task begins with a smaller count
            self._start, self._first = (self._latest[0], 0, self._latest[2]), now
        self._latest, self.losses, self.texts = now, losses or {}, texts
        if now[0] >= self._due:
            self._write()

    def _write(self) -> None:
        """Write the line to a notebook or file, and decide when to write it again."""
        if self not in _shown or self._live is not None or (self._output is None and self._latest is self._start):
            return
        now = time.perf_counter()
        if self._output is None:
            if (text := self.text(width=1000)) != self._printed:
                with suppress(OSError):  # nobody reads the line
                    print(text, file=self._console.file, flush=True)
            self._printed = text
            self._due = now + max(PAUSE, (now - self._began) / 4)
        else:
            self._output.update({"text/plain": self.text(self._console.width)}, raw=True)
            self._due = now + 0.2

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()
        self._write()
        if self in _shown:
            _shown.remove(self)

    def text(self, width: int) -> str:
        """Return the line. If it would be wider than width, less important parts are left out."""
        from rich.cells import cell_len, set_cell_size

        now, (latest, count, share) = time.perf_counter(), self._latest
        since, counted, done = self._first if latest > self._first[0] else self._start
        seconds = max(latest - since, 1e-9)
        left = pace = ""
        if count > counted:
            number = (count - counted) / seconds
            pace = f", {f'{number / 1e6:.1f}M' if number >= 1e6 else f'{number:,.0f}'} {self.unit}/s"
        if done < share < 1 and not self.has_ended:
            left = f", {clock((1 - share) / (share - done) * seconds - (now - latest))} left"
        name, longest = self.description, max(width // 4, 8)
        if cell_len(name) > longest:
            name = set_cell_size(name, longest - 3).rstrip() + "..."
        mark = "━" if self._console.encoding.startswith("utf") else "#"
        # Texts and their places in the line, the most important first.
        parts = [(clock(now - self._began), 3), (left, 4), (pace, 5)]
        parts += [(f"{share:.0%} ", 2), (f"{name} ", 0)]
        parts += [(f", {kind} {loss:.4g}", 6) for kind, loss in self.losses.items() if loss == loss]  # unless NaN
        parts += [((mark * int(WIDTH * share)).ljust(WIDTH + 1), 1), *((f", {text}", 7) for text in self.texts)]
        kept: list[tuple[str, int]] = []
        for part in parts:
            if sum(cell_len(text) for text, _ in [*kept, part]) <= width:
                kept.append(part)
        return "".join(text for text, _ in sorted(kept, key=itemgetter(1)))


def clock(seconds: float) -> str:
    """Format a duration, such as 1:15 or 12:03:15."""
    return str(timedelta(seconds=round(min(max(seconds, 0), 1e9)))).removeprefix("0:").removeprefix("0")


@contextmanager
def progress_bar(description: str, quiet: bool) -> Iterator[Callable[[Progress], object] | None]:
    """Yield a function that shows the progress of a population, or None if quiet is set."""
    if quiet:
        yield None
        return
    with ProgressLine(description) as line:
        yield lambda now: line.update(now.rows, now.share, *parts_of(now))


def parts_of(now: Progress) -> tuple[dict[str, float], list[str]]:
    """Return the losses and the further texts of a report, for `ProgressLine.update`.

    Examples
    --------
    >>> parts_of(Progress(0, 8, 0.25, 90_000, 0.25, 0.5, epoch=2, epochs=6))
    ({'loss': 0.25, 'validation': 0.5}, ['epoch 2 of 6', '90,000 rows'])
    >>> parts_of(Progress(1, 2, 0.0, 90_000, 0.25, 0.5, stage=0))
    ({}, ['trial of networks', '1 of 2 done'])
    """
    losses = {"loss": now.loss, "validation": now.validation_loss}
    texts = [f"{now.ended:,} of {now.members:,} done"]
    if now.stage == 0:
        losses, texts = {}, ["trial of networks", *texts]
    if now.epochs:
        texts = [f"epoch {now.epoch} of {now.epochs}", f"{now.rows:,.0f} rows"]
    return losses, texts
