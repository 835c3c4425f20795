"""The errors and notes of this package, and helpers for their messages and for shown numbers."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, Self
from unicodedata import category

LONGEST = 500
"""The largest number of characters in a message."""
NoteKind = Literal[
    "trust",  # a reason not to trust the scores
    "missing values",  # a value that may stand for missing values
    "interrupted",
    "no test",
    "refitted",
    "reading",  # how a table was read
    "encoding",  # a guessed encoding
    "unused",  # rows or columns that are not used
]
_FIRST = ("trust", "missing values", "interrupted", "no test")
"""The kinds of the most important notes."""


class Note(str):
    """A sentence about a table or a model.

    Examples
    --------
    >>> Note("Column 'a' is not used: empty.", "unused", "a").column
    'a'
    """

    kind: NoteKind
    column: str | None

    def __new__(
        cls, text: str, kind: NoteKind = "reading", column: str | None = None
    ) -> Self:
        """Create a note; a kind other than "reading" sets its rank."""
        note = super().__new__(cls, text)
        note.kind = kind
        note.column = column
        return note


def kind_of_note(note: str) -> NoteKind:
    """Return the kind of a note. Models of earlier versions have plain text as notes."""
    return note.kind if isinstance(note, Note) else "reading"


def joined_notes(notes: Iterable[str]) -> Note:
    """Join notes on a value with semicolons. The first kind that differs from "reading" is the kind of all."""
    notes = [note for note in notes if note]
    text = "; ".join(notes)
    for note in notes:
        kind = kind_of_note(note)
        if kind != "reading":
            return Note(text, kind)
    return Note(text)


def note_about(subject: str, note: str, column: str | None = None) -> Note:
    """Return a sentence of a subject, such as a column, and a note on it."""
    return Note(f"{subject}: {note}.", kind_of_note(note), column)


def ranked(notes: Iterable[str]) -> list[str]:
    """Return distinct notes sorted by importance: first on trust, then on reading, then on unused columns.

    Examples
    --------
    >>> ranked([Note("Column 'a' is not used: empty.", "unused"), "a.csv: hidden rows.", Note("Too easy.", "trust")])
    ['Too easy.', 'a.csv: hidden rows.', "Column 'a' is not used: empty."]
    """

    def rank(note: str) -> int:
        kind = kind_of_note(note)
        if kind in _FIRST:
            return 0
        return 2 if kind == "unused" else 1

    return sorted(dict.fromkeys(notes), key=rank)


class TableError(ValueError):
    """A table cannot be read, or a model cannot be fitted to it or used with it.

    Examples
    --------
    >>> issubclass(TableError, ValueError)
    True
    """

    def __init__(self, message: str = ""):
        super().__init__(one_line(message))


class RequestError(TableError):
    """A request does not fit the model or the table."""


def printable(text: str) -> str:
    r"""Escape control characters in a text, except newlines, so that it is safe to print to a terminal.

    Examples
    --------
    >>> print(printable("a\x1b[31mred"))
    a\x1b[31mred
    """
    if text.isprintable():
        return text
    control = {
        sign
        for sign in text
        if sign != "\n" and (category(sign)[0] == "C" or category(sign) in ("Zl", "Zp"))
    }
    return text.translate({ord(sign): ascii(sign)[1:-1] for sign in control})


def one_line(text: str) -> str:
    r"""Convert a message to one printable line, and cut its middle if it has more than 500 characters.

    Examples
    --------
    >>> one_line("two\nlines"), len(one_line("a long story " * 1000))
    ('two lines', 500)
    """
    line = printable(" ".join(text.split()))
    if len(line) > LONGEST:
        return f"{line[:300]} … {line[303 - LONGEST :]}"
    return line


def with_encoding(message: str, notes: Iterable[str]) -> str:
    """Add a note on a guessed encoding to an error about a missing column."""
    for note in notes:
        if kind_of_note(note) == "encoding":
            return f"{message[:-1]} ({note[:-1]}){message[-1]}"
    return message


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message without its period, or its class name if it has no message.

    Examples
    --------
    >>> first_line(ValueError("no table.\nSee the manual.")), first_line(EOFError())
    ('no table', 'EOFError')
    """
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__


def pandas() -> Any:
    """Return the pandas module, or raise an error that explains how to install it."""
    try:
        import pandas
    except ImportError:
        raise ImportError(
            'Tables require pandas and pyarrow: pip install "vecprop[tables]".'
        ) from None
    return pandas


def figures(value: float, count: int = 4, sign: str = "") -> str:
    """Return a number with ``count`` significant digits, and an exponent only if it is very small or large.

    With the sign "+", positive numbers have a sign too.

    Examples
    --------
    >>> figures(15123.4, sign="+"), figures(0.00012345), figures(-0.5), figures(1.5e20)
    ('+15,120', '0.0001234', '-0.5', '1.5e+20')
    """
    text = f"{value:{sign}.{count}g}"
    return f"{Decimal(text):{sign},f}" if 1e-6 <= abs(value) < 1e12 else text
