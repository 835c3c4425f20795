"""A progress bar for populations on standard error, if it is a terminal, or in a notebook."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from .progress import Progress

WIDTH = 8
"""The width of the bar, so that the line has at most 80 characters."""

Show = Callable[[Progress], object]


@contextmanager
def progress_bar(description: str, quiet: bool) -> Iterator[Show | None]:
    """Give a function that shows the progress of training: losses, rows per second, and networks that have ended.

    Parameters
    ----------
    quiet : bool
        Whether to show no bar. None is shown either if standard error is neither a terminal nor in a notebook.

    Raises
    ------
    ImportError
        If a bar is to be shown, and rich is not installed.
    """
    if quiet:
        yield None
        return
    try:
        from rich import progress as rich_progress
        from rich.console import Console
    except ImportError:
        raise ImportError('A progress bar needs rich: pip install "vecprop[cli]".') from None
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield None
        return
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(WIDTH),
        rich_progress.TextColumn("{task.fields[said]}"),
        rich_progress.TimeElapsedColumn(),
    )
    with rich_progress.Progress(*columns, console=console) as progress:
        task, rows = progress.add_task(description, total=1, said=""), 0
        started = before = time.perf_counter()

        def show(now: Progress) -> None:
            nonlocal started, before, rows
            if now.rows < rows:  # another training has begun: the first stage, or that of all rows after a sample's
                started = before
            before, rows = time.perf_counter(), now.rows
            progress.update(task, completed=now.share, said=progress_as_text(now, before - started))

        yield show


def progress_as_text(now: Progress, seconds: float) -> str:
    """Return the progress of training after a number of seconds, as text.

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
    known = [f"{name} {loss:.3g}" for name, loss in losses.items() if loss == loss]  # nan is not equal to itself
    if now.stage == 0:
        known = ["trial of networks"]
    if now.stage > 1:
        known = [f"stage {now.stage}, best {now.best:.4g} so far"]
    if now.epochs:
        left = seconds / now.share * (1 - now.share) if now.share else float("nan")
        known = [*known[:2], f"epoch {now.epoch} of {now.epochs}"]
        return ", ".join([*known, f"{now.rows:,.0f} rows", f"{_time(left)} left"])
    return ", ".join([*known, f"{now.rows / seconds:,.0f} rows/s", f"{now.ended} of {now.members} done"])


def _time(seconds: float) -> str:
    """Return a time in hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds))) if seconds == seconds else "some time"
