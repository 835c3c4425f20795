"""The error of everything in this folder, and helpers for its sentences."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any
from unicodedata import category

LONGEST = 500
"""The largest number of characters of a message."""


class TableError(ValueError):
    """A table cannot be read, or a model cannot be fitted to it or used with it.

    Examples
    --------
    >>> issubclass(TableError, ValueError)
    True
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class RequestError(TableError):
    """What is asked for does not fit the model or the table."""


def printable(text: str) -> str:
    r"""Return text in which characters that steer a terminal are shown as escapes; ends of lines stay.

    Examples
    --------
    >>> print(printable("a\x1b[31mred"))
    a\x1b[31mred
    """
    if text.isprintable():
        return text
    steering = {sign for sign in text if sign != "\n" and (category(sign)[0] == "C" or category(sign) in ("Zl", "Zp"))}
    return text.translate({ord(sign): ascii(sign)[1:-1] for sign in steering})


def one_line(text: str) -> str:
    r"""Return a message as one printable line of at most 500 characters, without the middle of a longer one.

    Examples
    --------
    >>> one_line("two\nlines"), len(one_line("a long story " * 1000))
    ('two lines', 500)
    """
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[:300]} … {line[-(LONGEST - 303) :]}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the most similar of some names; empty if none is similar.

    Examples
    --------
    >>> nearest("Age", ["age", "income"]), nearest("colour", ["age"])
    (": did you mean 'age'?", '')
    """
    known = {each.casefold().strip(): each for each in names}
    close = get_close_matches(name.casefold().strip(), known, n=1, cutoff=0.6)
    return f": did you mean {known[close[0]]!r}?" if close else ""


def first_line(error: BaseException) -> str:
    r"""Return the first line of another library's error, without its full stop; its class if it says nothing.

    Examples
    --------
    >>> first_line(ValueError("no table.\nSee the manual.")), first_line(EOFError())
    ('no table', 'EOFError')
    """
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def pandas() -> Any:
    """Return the module pandas, or an error that says how to install it."""
    try:
        import pandas
    except ImportError:
        raise ImportError('Tables are read with pandas and pyarrow: pip install "vecprop[tables]".') from None
    return pandas
