"""Progress reports during training, and a progress bar as a callback."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, NamedTuple, Self

import numpy as np

from .state import TrainingState


@dataclass(frozen=True)
class Progress:
    """The progress of a population's training.

    Parameters
    ----------
    ended, members : int
        The number of members that have ended, and the number of all members.
    share : float
        The fraction of all epochs that is done. If a member ends early, all of its
        epochs count as done.
    rows : int, default 0
        The number of rows seen so far, over all epochs.
    loss, validation_loss : float, default nan
        The median of the latest losses of the members, or NaN if it is unknown.
    epoch, epochs : int, default 0
        The current pass and the number of passes over rows that do not fit into memory;
        otherwise 0.

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
    epoch: int = 0
    epochs: int = 0


def finished_epochs(state: TrainingState) -> float:
    """Return the number of finished epochs, which includes a part of the current one."""
    return state.epoch + state.under_way.get("rows", 0) / max(state.rows, 1)


class MemberProgress(NamedTuple):
    """The progress of a member, or of several members as arrays (M,). Unknown losses are NaN."""

    has_ended: Any
    share: Any
    rows: Any
    loss: Any
    validation_loss: Any

    @classmethod
    def from_state(cls, state: TrainingState, has_ended: bool) -> Self:
        """Return the progress of a member; the losses of several are averaged."""
        epochs = finished_epochs(state)
        return cls(
            has_ended,
            share=1 if has_ended else epochs / state.epochs,
            rows=epochs * state.rows,
            loss=_mean(state.history.last_loss),
            validation_loss=_mean(state.history.last_validation_loss),
        )


def _mean(losses) -> float:
    """Return the mean of the losses, or NaN if there are none."""
    return np.nan if losses is None else float(np.mean(losses))


def progress_of(parts: Sequence[MemberProgress], total: int, **passes: int) -> Progress:
    """Return the progress of some members, or of parts with several members, out of all."""
    columns = [np.hstack(column) for column in zip(*parts, strict=True)]
    members = MemberProgress(*columns)
    return Progress(
        int(members.has_ended.sum()),
        total,
        share=members.share.sum() / total,
        rows=int(members.rows.sum()),
        loss=_median(members.loss),
        validation_loss=_median(members.validation_loss),
        **passes,
    )


def _median(losses: np.ndarray) -> float:
    """Return the median of the known losses, or NaN."""
    measured = losses[~np.isnan(losses)]
    return float(np.median(measured)) if len(measured) else np.nan


class ProgressBar:
    """A progress bar with the elapsed and the remaining time, the rows per second and the loss.

    Pass it to `train` in ``callbacks``. The bar is one line on standard error, or one
    output of a notebook cell. If standard error is a file, or if rich is not installed,
    lines are added less and less often. A bar within another one is hidden.

    Parameters
    ----------
    description : str, default "training"
        The text before the bar.

    Examples
    --------
    >>> bar = ProgressBar("the circles")  # then: train(..., callbacks=[bar])
    """

    def __init__(self, description: str = "training"):
        self._line = ProgressLine(description)

    def __enter__(self) -> Self:
        """Show the bar; `train` calls this before the first epoch."""
        self._line.__enter__()
        return self

    def __call__(self, state: TrainingState):
        """Advance the bar to the current epoch or window."""
        history = state.history
        texts = [
            *loss_texts(history.last_loss, history.last_validation_loss),
            f"epoch {state.epoch:,} of {state.epochs:,}",
        ]
        epochs = finished_epochs(state)
        rows = round(epochs * state.rows)
        self._line.update(rows, epochs / max(state.epochs, 1), texts)

    def __exit__(self, *error: object):
        """Stop the bar, which stays visible; `train` calls this at the end."""
        self._line.__exit__()


WIDTH = 8
"""The width of the bar in characters."""

LONGEST_NAME = 20
"""The maximum number of characters of the description."""

PAUSE = 10.0
"""The minimum number of seconds between two lines in a file."""

NOTEBOOK_PAUSE = 0.2
"""The number of seconds between two updates in a notebook."""

_shown: list["ProgressLine"] = []
"""The line that is shown, if any. In a terminal, a second line would garble it."""


class Update(NamedTuple):
    """The time of an update, and the counted units and the finished share of the task."""

    seconds: float
    units: int
    share: float


class ProgressLine:
    """A line that shows the progress of a task in a ``with`` block; ``unit`` is the plural of the counted unit.

    A block may contain several tasks, one after the other. Rich updates the line in a
    terminal, and IPython's display in a notebook. Otherwise, lines are printed.
    """

    def __init__(self, description: str, unit: str = "rows"):
        self.name = " ".join(description.split())
        if len(self.name) > LONGEST_NAME:
            self.name = self.name[: LONGEST_NAME - 3].rstrip() + "..."
        self.unit = unit

    def __enter__(self) -> Self:
        """Show the line, unless another line is shown."""
        self.started = time.perf_counter()
        # of the current task: its start, its first update, and the latest one
        self.start = Update(self.started, units=0, share=0.0)
        self.first = self.start
        self.latest = self.start
        self.next_write = self.started + PAUSE
        self.texts = ()
        self.printed = ""
        self.has_ended = False
        self.live = None
        self.output = None
        if not _shown:
            _shown.append(self)
            with suppress(ImportError):  # without rich, lines are printed
                self._open()
        return self

    def _open(self):
        """Open a line in a terminal or an output in a notebook, unless standard error is a file."""
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(stderr=True)
        if console.is_jupyter:
            display = import_module("IPython.display").display
            self.output = display({"text/plain": self.name}, raw=True, display_id=True)
            self.next_write = self.started
        elif console.is_terminal and not console.is_dumb_terminal:
            self.live = Live(
                console=console,
                get_renderable=lambda: Text(
                    self.text(), no_wrap=True, overflow="ellipsis"
                ),
                redirect_stdout=sys.stdout.isatty(),
            )
            self.live.start()

    def update(self, count: int, share: float, texts: Sequence[str] = ()):
        """Set the count, the finished share of the task, and the texts after the times."""
        update = Update(time.perf_counter(), count, share)
        # In a block with several tasks, a new task begins with a smaller count.
        is_new_task = self.latest is self.start or count < self.latest.units
        if is_new_task:
            self.start = Update(self.latest.seconds, 0, self.latest.share)
            self.first = update
        self.latest = update
        self.texts = texts
        if update.seconds >= self.next_write:
            self._write()

    def _write(self):
        """Write the line to a notebook or file, and decide when to write it again; rich writes it to terminals."""
        present = time.perf_counter()
        text = self.text()
        if self.output is not None:
            self.output.update({"text/plain": text}, raw=True)
            self.next_write = present + NOTEBOOK_PAUSE
            return
        is_printed = self in _shown and self.live is None
        if is_printed and self.latest is not self.start and text != self.printed:
            with suppress(OSError):  # nobody reads the line
                print(text, file=sys.stderr, flush=True)
            self.printed = text
            # longer and longer pauses keep the file short
            self.next_write = present + max(PAUSE, (present - self.started) / 4)

    def __exit__(self, *error: object):
        self.has_ended = True
        if self.live is not None:
            self.live.stop()
        self._write()
        if self in _shown:
            _shown.remove(self)

    def text(self) -> str:
        """Return the line, with the less important parts at its end, where a terminal may cut it."""
        present = time.perf_counter()
        latest = self.latest
        parts = [
            f"{self.name} {_bar(latest.share)} {latest.share:.0%}"
            f" {clock(present - self.started)}"
        ]
        # The pace is measured from the first update on, because kernels may be compiled
        # before. There may be only one update.
        earlier = self.first
        if latest.seconds <= earlier.seconds:
            earlier = self.start
        seconds = max(latest.seconds - earlier.seconds, 1e-9)
        if earlier.share < latest.share < 1 and not self.has_ended:
            share_per_second = (latest.share - earlier.share) / seconds
            end = latest.seconds + (1 - latest.share) / share_per_second
            parts.append(f"{clock(end - present)} left")
        if latest.units > earlier.units:
            pace = (latest.units - earlier.units) / seconds
            number = f"{pace / 1e6:.1f}M" if pace >= 1e6 else f"{pace:,.0f}"
            parts.append(f"{number} {self.unit}/s")
        return ", ".join([*parts, *self.texts])


def _bar(share: float) -> str:
    """Draw a share as a bar, such as "━━      "."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    mark = "━" if encoding.lower().startswith("utf") else "#"
    return (mark * int(WIDTH * share)).ljust(WIDTH)


def clock(seconds: float) -> str:
    """Format a duration, such as 1:15 or 12:03:15."""
    return (
        str(timedelta(seconds=round(min(max(seconds, 0), 1e9))))
        .removeprefix("0:")
        .removeprefix("0")
    )


@contextmanager
def progress_bar(
    description: str, quiet: bool
) -> Iterator[Callable[[Progress], object] | None]:
    """Yield a function that shows the progress of a population, or None if quiet is set."""
    if quiet:
        yield None
        return
    with ProgressLine(description) as line:
        yield lambda progress: line.update(
            progress.rows, progress.share, texts_of(progress)
        )


def loss_texts(loss, validation_loss) -> list[str]:
    """Return texts with the medians of the losses, unless they are None or NaN."""
    texts = []
    for name, losses in {"loss": loss, "validation": validation_loss}.items():
        median = np.nan if losses is None else np.median(losses)
        if not np.isnan(median):
            texts.append(f"{name} {median:.4g}")
    return texts


def texts_of(progress: Progress) -> list[str]:
    """Return the texts of a report, for `ProgressLine.update`.

    Examples
    --------
    >>> texts_of(Progress(0, 8, 0.25, 90_000, 0.25, 0.5, epoch=2, epochs=6))
    ['loss 0.25', 'validation 0.5', 'epoch 2 of 6', '90,000 rows']
    """
    losses = loss_texts(progress.loss, progress.validation_loss)
    if progress.epochs:
        return [
            *losses,
            f"epoch {progress.epoch} of {progress.epochs}",
            f"{progress.rows:,.0f} rows",
        ]
    return [*losses, f"{progress.ended:,} of {progress.members:,} done"]
