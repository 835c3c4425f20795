"""How a command ends: its exit code, and one sentence on standard error where it could not do what was asked."""

import functools
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import typer

from ..tables.reading import missing

FAILURE, USAGE, BAD_DATA, DIVERGED, WRONG_GRADIENT, INTERRUPTED = 1, 2, 3, 4, 5, 130

Command = TypeVar("Command", bound=Callable[..., Any])


class UsageError(Exception):
    """A command was asked for something that does not fit together."""


def in_words(command: Command) -> Command:
    """Have a command's errors said in one sentence, and its warnings in one each, with the exit codes of the docs.

    The command has a parameter ``debug``, with which errors keep their traceback.
    """

    @functools.wraps(command)
    def run(*arguments: Any, debug: bool = False, **options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _say_warning
                return command(*arguments, debug=debug, **options)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            if debug:
                traceback.print_exc()
            say("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever reads standard output has seen enough
            sys.stderr.close()
            raise typer.Exit(FAILURE) from None
        except Exception as error:
            if debug:
                traceback.print_exc()
            say(sentence(error))
            raise typer.Exit(code_of(error)) from None

    return run  # type: ignore[return-value]


def code_of(error: Exception) -> int:
    """Return the exit code that stands for an error.

    Examples
    --------
    >>> code_of(UsageError()), code_of(OSError())
    (2, 1)
    """
    from ..files.error import FileError
    from ..tables.error import TableError
    from ..train.state import DivergenceError

    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, TableError | FileError | FileNotFoundError | IsADirectoryError):
        return BAD_DATA
    if isinstance(error.__cause__, DivergenceError):
        return DIVERGED
    return FAILURE


def sentence(error: Exception) -> str:
    """Return what an error says, in one sentence.

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
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__name__ in ("KeyError", "AttributeError", "AssertionError", "IndexError"):
        return f"{type(error).__name__}: {text}. This is a fault of vecprop's: --debug shows where."
    return text


def say(text: str) -> None:
    """Write a line to standard error."""
    print(text, file=sys.stderr)


def say_notes(notes: Iterable[str]) -> None:
    """Write notes to standard error, the first 20 of them."""
    notes = list(notes)
    for note in notes[:20]:
        say(f"Note: {note}")
    if len(notes) > 20:
        say(f"Note: and {len(notes) - 20} more; --json lists all.")


def _say_warning(message: Warning | str, *_: Any) -> None:
    say(f"Note: {' '.join(str(message).split())}")
