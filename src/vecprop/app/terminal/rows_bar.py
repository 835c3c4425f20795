"""A progress bar for work on rows, on standard error if it is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def rows_bar(description: str, quiet: bool) -> Iterator[Callable[[int, float], object] | None]:
    """Give a function that shows the number of rows and the share of the work that are done; None to show nothing."""
    from rich import progress as rich_progress
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.TextColumn("{task.fields[rows]:,} rows"),
        rich_progress.TimeRemainingColumn(),
    )
    with rich_progress.Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=1, rows=0)
        yield lambda rows, share: progress.update(task, completed=share, rows=rows)
