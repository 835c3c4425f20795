"""Read text with Arrow, which is faster than pandas, where both must find the same values.

In doubt, the functions of this module raise ValueError, as Arrow does for rows that
have too few or too many values, and for text that is not a number.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..error import pandas

BLOCK = 1 << 20
"""The number of characters that are parsed at once."""
EXAMPLES = 16
"""The number of values that usually show that a column is text."""
_MAY_BE_PLAIN = re.compile(
    r"\s*[+-]?([.\d]*(e[+-]?\d*)?|inf|infinity|nan)\s*|true|false|none", re.IGNORECASE
)
"""Numbers, Booleans and missing values, and some other texts."""
_LEADING_ZERO = re.compile(rb"[+-]?0[0-9]")
_PLUS_SIGN = re.compile(rb"\+")


def parser(
    names: Sequence[str],
    separator: str,
    requests: Sequence[tuple[Sequence[str], Collection[str]]],
) -> Callable[[bytes], list[Any]]:
    """Return a function that parses whole lines to Arrow tables of text.

    Each request has the names of the columns of a table, and their missing values. A
    request without columns is ignored.
    """
    import pyarrow as pa
    from pyarrow import csv

    reading = csv.ReadOptions(
        column_names=names, block_size=2 * BLOCK, use_threads=False
    )
    parsing = csv.ParseOptions(delimiter=separator)
    conversions = [
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()),
            null_values=list(missing),
            strings_can_be_null=True,
            check_utf8=False,
            include_columns=columns,
        )
        for columns, missing in requests
        if columns
    ]

    def parse(lines: bytes) -> list[Any]:
        if not lines.endswith((b"\n", b"\r")):
            lines += b"\n"
        require_plain(lines, separator)
        if lines.startswith(BOM_UTF8):
            raise ValueError  # Arrow skips this mark
        tables = [
            csv.read_csv(
                pa.BufferReader(lines),
                read_options=reading,
                parse_options=parsing,
                convert_options=conversion,
            )
            for conversion in conversions
        ]
        if len(tables[0]) != lines.count(b"\n"):
            raise ValueError  # a line is empty, or a value spans lines
        return tables

    return parse


def require_plain(lines: bytes, separator: str) -> None:
    """Raise ValueError if lines have signs or spaces that Arrow and pandas may read differently."""
    if b"\0" in lines or b"\r" in lines.replace(b"\r\n", b"") or separator in ' "':
        raise ValueError
    characters = np.frombuffer(lines, np.uint8)
    boundaries = np.frombuffer(f"{separator}\r\n".encode(), np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    # the sign before the first line is the end of the last one
    opening = np.isin(characters[quotes[::2] - 1], boundaries).sum()
    closing = np.isin(characters[quotes[1::2] + 1], boundaries).sum()
    # a doubled mark closes a value and opens it again
    doubled = (quotes[1:-1:2] + 1 == quotes[2::2]).sum()
    if not opening == closing == len(quotes) / 2 - doubled:
        raise ValueError  # a quotation mark is inside a value, or is not closed
    for blank in {" ", "\t"} - {separator}:
        places = np.flatnonzero(characters == ord(blank))
        starts = places[np.isin(characters[places - 1], boundaries)]
        # an odd number of quotation marks is before a sign in quotes
        if not (np.searchsorted(quotes, starts) % 2).all():
            raise ValueError  # pandas skips spaces at the start of values


def text_frame(table):
    """Convert an Arrow table of text to a data frame as pandas would have read it."""
    dtype = pandas().Series(dtype=str).dtype
    if getattr(dtype, "storage", "") != "pyarrow":
        raise ValueError  # in pandas before 3
    return table.to_pandas(types_mapper=lambda arrow_type: dtype)


def typed_column(series) -> Any:
    """Convert a column of text like `plain_values`, with "None" as a missing value.

    Text is returned unchanged.

    Raises
    ------
    ValueError
        If `plain_values` may find other values.

    Examples
    --------
    >>> typed_column(pandas().Series(["1", None, "2.5"], dtype="str"))
    array([1. , nan, 2.5])
    """
    import pyarrow as pa

    if series.dtype != "str":
        raise ValueError
    texts = pa.array(series.array)
    first_values = texts.drop_null()[:EXAMPLES].to_pylist()
    if not first_values:
        return np.full(len(texts), np.nan)
    if not all(map(_MAY_BE_PLAIN.fullmatch, first_values)):
        return series
    if first_values[0].lower() in ("true", "false"):
        return _truths(texts)
    return _numbers(texts, series)


def _truths(texts) -> np.ndarray:
    """Convert Booleans. No value may be missing."""
    from pyarrow import compute

    words = compute.utf8_lower(texts)  # type: ignore[attr-defined]
    if not set(words.unique().to_pylist()) <= {"true", "false"}:
        raise ValueError
    return np.array(compute.equal(words, "true"))  # type: ignore[attr-defined]


def _numbers(texts, series) -> Any:
    """Convert numbers and missing values. Return the series if a number has leading zeros."""
    import pyarrow as pa
    from pyarrow import compute

    starts = compute.binary_slice(texts.cast(pa.large_binary()), 0, 3)  # type: ignore[attr-defined]
    starts = starts.unique().drop_null().to_pylist()
    if any(map(_LEADING_ZERO.match, starts)):
        return series
    if any(map(_PLUS_SIGN.match, starts)):
        raise ValueError  # Arrow reads no integers with a plus sign
    numbers = np.array(texts.cast(pa.float64()))
    if not texts.null_count and (numbers == np.floor(numbers)).all():
        with suppress(ValueError):
            texts[:EXAMPLES].cast(pa.int64())  # fails faster than the whole column
            return np.array(texts.cast(pa.int64()))
    is_certain = np.abs(numbers) < 1e15  # larger integers may lose digits as floats
    if is_certain.sum() + texts.null_count < len(numbers):
        raise ValueError
    return numbers
