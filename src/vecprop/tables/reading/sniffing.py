"""How a text table is laid out, judged by its beginning: its encoding, its separator, and whether it has names."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import isfinite
from typing import Any

from ..error import TableError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"}
_BEGINNINGS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def encoding_of(start: bytes) -> str | None:
    r"""Return the encoding of a text by its first bytes, or None if it is no text.

    Examples
    --------
    >>> encoding_of("naïve".encode()), encoding_of("naïve".encode("cp1252")), encoding_of(b"\x00\x01")
    ('utf-8', 'cp1252', None)
    """
    for mark, encoding in _BEGINNINGS.items():
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        return None
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if "end of data" not in error.reason:  # where a character is cut off
            return "cp1252"
    return "utf-8"


def separator_of(lines: list[str]) -> str:
    """Return the separator that divides most lines into as many values as the first; of equals, into the most values.

    Where none divides the first line, spaces separate if they divide all lines into as many values, some of them
    numbers.

    Examples
    --------
    >>> separator_of(["a;b", "1,5;2", "3,25;4"]), separator_of(["a"]), separator_of(["a  b", "1  2"])
    (';', ',', ' ')
    """
    lines = lines[:200]

    def worth(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
        alike = sum(width == widths[0] for width in widths) / len(widths)
        return (alike if widths[0] > 1 else 0.0, widths[0])

    with long_values():
        best = max(SEPARATORS, key=worth)
        if worth(best)[1] > 1:
            return best
        rows = rows_of(lines, " ")
    are_equal = len({len(row) for row in rows}) == 1 and len(rows[0]) > 1
    return " " if are_equal and any(is_number(value) for row in rows[1:] for value in row) else best


def names_are_values(rows: list[list[str]]) -> bool:
    """Return whether the first row of a text table looks like one of its rows rather than like names of columns.

    It does if numbers stand in it above numbers and nowhere else, and are no years or indices, which are whole and
    evenly spaced; or if its texts are values of their columns.

    Examples
    --------
    >>> names_are_values([["5.1", "3", "setosa"], ["4.9", "3", "setosa"]])
    True
    >>> names_are_values([["town", "2020", "2021"], ["Rome", "1.5", "2.5"]])
    False
    """
    names, *others = [row for row in rows if len(row) == len(rows[0])]
    columns = [
        (name, [value for value in values if value not in _MISSING])
        for name, *values in zip(names, *(row for row in others if row != names), strict=True)
        if name not in _MISSING and not _MISSING.issuperset(values)
    ]
    if any(is_number(name) != (sum(map(is_number, values)) > 0.9 * len(values)) for name, values in columns):
        return False
    numbers = [float(name) for name, _ in columns if is_number(name)]
    texts = [name in values for name, values in columns if not is_number(name)]
    return any(texts) if numbers and _are_marks(numbers) else bool(numbers) or (bool(texts) and all(texts))


def _are_marks(numbers: list[float]) -> bool:
    """Return whether numbers are years or indices: whole, and evenly spaced; of two, consecutive."""
    steps = {b - a for a, b in pairwise(numbers)}
    are_even = len(steps) < 2 and (len(numbers) != 2 or steps == {1})
    return are_even and all(number.is_integer() for number in numbers)


def is_number(text: str) -> bool:
    """Return whether a text is a finite number with a decimal point, if any.

    Examples
    --------
    >>> is_number("-1.5e3"), is_number("1,5"), is_number("nan")
    (True, False, False)
    """
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def rows_of(lines: list[str], separator: str) -> list[list[str]]:
    """Return the values of lines, without the spaces around them."""
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    return [[value.strip() for value in row] for row in rows]


def require_distinct(names: list[Any], where: str) -> None:
    """Refuse a name that occurs twice."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        first, second = [number for number, name in enumerate(names, 1) if name == twice][:2]
        raise TableError(f"{where} has two columns named {twice!r}, the {first}. and the {second}.: rename one.")


@contextmanager
def long_values() -> Iterator[None]:
    """Let the module csv read values of any length, as pandas does, instead of at most 131,072 characters."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
