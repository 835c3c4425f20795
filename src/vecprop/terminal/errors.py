"""Errors of commands: one sentence and an exit code; readers that have ended, and Ctrl-C while results are written."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ..tables.reading.file_lists import missing

FAILURE, USAGE, BAD_DATA, DIVERGED, WRONG_GRADIENT, INTERRUPTED = 1, 2, 3, 4, 5, 130


class UsageError(Exception):
    """The options of a command do not fit together, or not with its files."""


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
    if isinstance(error, TableError | FileError | FileNotFoundError | IsADirectoryError):
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
    if isinstance(error, FileNotFoundError) and error.filename:
        return missing(Path(error.filename))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this."
    text = str(error) or type(error).__name__
    if type(error).__name__ in ("KeyError", "AttributeError", "AssertionError", "IndexError"):
        return f"{type(error).__name__}: {text}. This is a fault of vecprop's: --debug shows where."
    return text


def reader_has_ended() -> bool:
    """Return whether nobody reads standard output or error any more, as after ``| head``; then drop what is left."""
    if not hasattr(select, "poll"):  # on Windows
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        poll.register(stream.fileno(), 0)
    ended = [number for number, events in poll.poll(0) if events & (select.POLLERR | select.POLLHUP)]
    for number in ended:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return bool(ended)


@contextmanager
def held_back_interrupts() -> Iterator[list[int]]:
    """Hold Ctrl-C back in the block, so that it ends as it should; a second one ends it at once.

    The block gets a list, which has an entry once Ctrl-C has come.

    Examples
    --------
    >>> with held_back_interrupts() as received:
    ...     signal.raise_signal(signal.SIGINT)
    >>> len(received)
    1
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, receive)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
