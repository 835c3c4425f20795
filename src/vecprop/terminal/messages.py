"""The output of commands: results, notes, error messages, and the handling of Ctrl-C."""

import json
import os
import select
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from math import isfinite
from pathlib import Path
from types import FrameType

from ..system.suggestions import missing_file
from ..tables.error import one_line, printable

FAILURE, USAGE, BAD_DATA, DIVERGED, WRONG_GRADIENT, INTERRUPTED = 1, 2, 3, 4, 5, 130


class UsageError(Exception):
    """Raised when the options of a command contradict each other or the given files."""


def code_of(error: Exception) -> int:
    """Return the exit code of an error.

    Examples
    --------
    >>> code_of(UsageError()), code_of(OSError())
    (2, 1)
    """
    from ..files import FileError
    from ..tables.error import RequestError, TableError
    from ..train.state import DivergenceError

    if isinstance(error, UsageError | RequestError):
        return USAGE
    if isinstance(
        error, TableError | FileError | FileNotFoundError | IsADirectoryError
    ):
        return BAD_DATA
    if isinstance(error.__cause__, DivergenceError):
        return DIVERGED
    return FAILURE


def sentence(error: Exception) -> str:
    """Return the message of an error as one sentence.

    Examples
    --------
    >>> sentence(OSError(28, "No space left on device", "model.npz"))
    'model.npz: No space left on device.'
    """
    if isinstance(error, OSError) and error.filename:
        if isinstance(error, FileNotFoundError):
            return missing_file(Path(error.filename))
        if isinstance(error, IsADirectoryError):
            return f"{error.filename} is a folder: give the name of a file in it."
        if isinstance(error, PermissionError):
            return (
                f"{error.filename} is not accessible: change its permissions, or give"
                " another file."
            )
        if error.strerror:
            return f"{error.filename}: {error.strerror}."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    if isinstance(error, MemoryError):
        return "There is not enough memory."
    kind = type(error).__name__
    text = str(error) or kind
    if kind in ("KeyError", "AttributeError", "AssertionError", "IndexError"):
        return f"{kind}: {text}. This is a bug in vecprop: --debug shows the traceback."
    return text


def reader_has_ended() -> bool:
    """Return whether the reader of standard output has exited, as after ``| head``; if so, discard further output."""
    if hasattr(select, "poll"):  # not on Windows
        file = sys.stdout.fileno()
        poll = select.poll()
        poll.register(file, 0)
        events_by_file = dict(poll.poll(0))
        is_closed = events_by_file.get(file, 0) & (select.POLLERR | select.POLLHUP)
        if not is_closed:
            return False
    discard(sys.stdout)
    return True


def discard(stream):
    """Discard the further output of a stream and its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def held_back_interrupts() -> Iterator[list[int]]:
    """Delay Ctrl-C until the block ends; a second Ctrl-C interrupts the block at once.

    The block receives a list that is empty until the user presses Ctrl-C.

    Examples
    --------
    >>> with held_back_interrupts() as received:
    ...     signal.raise_signal(signal.SIGINT)
    >>> len(received)
    1
    """
    received = []

    def receive(number: int, frame: FrameType | None):
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, receive)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def say(text: str):
    """Write a message to standard error, as one printable line of at most 500 characters."""
    try:
        print(one_line(text), file=sys.stderr)
    # the reader has exited, or the disk is full, which must not end the work
    except OSError:
        discard(sys.stderr)


def show(text: str):
    """Write a result to standard output, with control characters escaped."""
    print(printable(text))


def say_notes(notes: Iterable[str], *, are_in_json: bool = True):
    """Write the first 20 notes to standard error, and say whether ``--json`` lists the others."""
    notes = list(notes)
    for note in notes[:20]:
        say(f"Note: {note}")
    if len(notes) > 20:
        ending = ""
        if are_in_json:
            ending = "; --json lists all"
        say(f"Note: and {len(notes) - 20} more{ending}.")


def to_json(value, indent: int | None = 2) -> str:
    """Return a result as JSON; dataclasses become objects, and non-finite numbers become null.

    Examples
    --------
    >>> to_json({"r2": float("nan"), "rows": [1]}, indent=None)
    '{"r2": null, "rows": [1]}'
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False, default=str)


def _finite(value):
    """Replace dataclasses by dicts, and non-finite numbers by None."""
    if is_dataclass(value) and not isinstance(value, type):
        return _finite(asdict(value))
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
