"""Progress on standard error, where there is a terminal to show it on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], object]
"""Called with how many networks have ended, and of how many."""


@contextmanager
def progress_bar(description: str, rows: int, quiet: bool) -> Iterator[Progress | None]:
    """Give what shows how many networks have been trained, and the rows of the table that were used each second.

    Parameters
    ----------
    description : str
        What stands before the bar.
    rows : int
        How many rows there are.
    quiet : bool
        Whether there is to be no bar; there is none either where standard error is no terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("networks"))
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[pace]}"), console=console) as progress:
        task, started = progress.add_task(description, total=None, pace=""), time.perf_counter()

        def show(done: int, of: int) -> None:
            pace = f"{done * rows / (time.perf_counter() - started):,.0f} rows/s" if done else ""
            progress.update(task, completed=done, total=of, pace=pace)

        yield show
