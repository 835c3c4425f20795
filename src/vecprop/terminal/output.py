"""What commands write to standard output and error: results as text or JSON, notes, and a progress bar for rows."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Any

from ..tables.error import one_line, printable


def say(text: str) -> None:
    """Write a message to standard error, as one printable line of at most 500 characters."""
    print(one_line(text), file=sys.stderr)


def show(text: str) -> None:
    """Write a result to standard output, with what would steer a terminal as escapes."""
    print(printable(text))


def say_notes(notes: Iterable[str]) -> None:
    """Write notes to standard error, the first 20 of them."""
    notes = list(notes)
    for note in notes[:20]:
        say(f"Note: {note}")
    if len(notes) > 20:
        say(f"Note: and {len(notes) - 20} more; --json lists all.")


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return a result as JSON; dataclasses become objects, and numbers that are not finite become null.

    Examples
    --------
    >>> print(to_json({"r2": float("nan"), "rows": [1]}))
    {
      "r2": null,
      "rows": [
        1
      ]
    }
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _finite(asdict(value))
    if isinstance(value, dict):
        return {name: _finite(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(of) for of in value]
    return None if isinstance(value, float) and not isfinite(value) else value


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
