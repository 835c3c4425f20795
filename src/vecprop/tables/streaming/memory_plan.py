"""Estimate the memory that a fit needs, and divide the available memory."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...system.memory import available_memory
from ..encoding.encoder import PIECES, VIEWS, Encoder, pieces_for
from ..error import TableError
from ..kinds.ambiguities import ColumnOptions
from ..reading.delimited import SAMPLE, DelimitedFile, opened
from ..reading.file_lists import EXCEL, files_of, is_compressed, is_path
from ..reading.frames import Frame, as_frame
from ..reading.reading import is_dataset, may_be_in_parts
from ..reading.table_parts import TableParts

SHARE_OF_SAMPLE, SHARE_OF_WINDOWS, SHARE_OF_PARTS = 0.25, 0.3, 0.4
"""Fractions of the memory for the sample with its inputs, for two windows, and for
reading a row group.
"""
COPIES = 3
"""Number of copies of a row's values in memory while its columns are analyzed."""
MAX_SAMPLED, MIN_SAMPLED = 250_000, 2_000
"""Maximum and minimum number of sampled rows. More rows hardly change a model."""
LOOKED_AT = 5_000
"""Number of rows used to estimate the size of a row."""
PACKED = 4
"""Assumed compression ratio of compressed text."""
PROGRAM, MIN_MEMORY = 350_000_000, 600_000_000
"""Bytes of the program without a table, and minimum number of bytes for a fit."""
SAFE = 0.8
"""Default fraction of the available memory that a fit may use."""


def as_bytes(memory: int | str) -> int:
    """Parse an amount of memory and return it in bytes.

    Examples
    --------
    >>> as_bytes("4GB"), as_bytes("1.5 GiB"), as_bytes("2 T"), as_bytes(1000)
    (4000000000, 1610612736, 2000000000000, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?))?B?\s*", str(memory))
    if isinstance(memory, bool) or not match or not float(match[1]):
        raise ValueError(
            'memory must be a number of bytes or a string such as "4GB", got'
            f" {memory!r}."
        )
    base = 1024 if match[3] else 1000
    exponent = "BKMGT".index(match[2] or "B")
    return int(float(match[1]) * base**exponent)


@dataclass(frozen=True)
class RowSizes:
    """The number of bytes of a row, both as read and as inputs of all networks."""

    raw: float
    encoded: float
    columns: int

    @classmethod
    def of(cls, frame: Frame, aside: Sequence[str], asked: ColumnOptions) -> "RowSizes":
        """Estimate the sizes from the first rows of a table."""
        frame = frame.iloc[:LOOKED_AT]
        raw = float(frame.memory_usage(deep=True, index=False).sum()) / len(frame)
        columns = frame.drop(columns=list(aside), errors="ignore")
        declared = {
            name: kind for name, kind in asked.columns.items() if name in columns
        }
        width = PIECES * columns.shape[1]
        # The first rows may have no usable column.
        with suppress(TableError, ValueError):
            encoder, _ = Encoder.of(columns, ColumnOptions(declared))
            width = sum(len(encoder.of_view(view)) for view in VIEWS)
        return cls(raw, 4.0 * width + 32, columns.shape[1])

    def at_once(self, limit: int) -> float:
        """Return the maximum number of rows that can be read at once."""
        return SHARE_OF_PARTS * limit / (2.5 * self.raw)

    def of_fit(self, rows: int) -> float:
        """Return the number of bytes that a fit on rows in memory needs."""
        sampled = pieces_for(min(rows, LOOKED_AT), self.columns)
        share = pieces_for(rows, self.columns) / sampled  # is smaller for large tables
        encoded = max(share * self.encoded, 16.0 * self.columns)
        return rows * (1.5 * self.raw + 1.15 * encoded) + 1e8


def memory_of(memory: int | str | None) -> int | None:
    """Return the bytes that the program may use, or None if they are unknown."""
    if memory is None:
        free = available_memory()
        return None if free is None else PROGRAM + int(SAFE * free)
    total = as_bytes(memory)
    if total < MIN_MEMORY:
        raise TableError(
            f"{total / 1e9:.2g} GB of memory are not enough: the program itself takes"
            f" {PROGRAM / 1e9:.2g} GB; pass memory= of at least"
            f" {MIN_MEMORY / 1e9:.2g} GB."
        )
    return total


def parts_if_larger(
    table, memory: int | str | None, asked: ColumnOptions, aside: Sequence[str]
) -> tuple[TableParts, int, RowSizes] | None:
    """Return a table's row groups, its memory and its row sizes, or None if it fits.

    The default memory is rounded down to a power of two, so that small changes of the
    free memory do not change models. Raise an error for larger text and filtered data
    sets, because these cannot be read in random order.
    """
    total = memory_of(memory)
    files = [] if is_dataset(table) else files_of(table)
    if total is None or not all(map(Path.is_file, files)):
        return None
    limit = total - PROGRAM
    if files and 60 * sum(file.stat().st_size for file in files) < limit:
        return None
    if may_be_in_parts(table):
        groups = TableParts.of(table)
        parts = groups.joined()
        sizes = RowSizes.of(parts.parts[0].frame(), aside, asked)
        rows_at_once = int(sizes.at_once(limit))
        if parts.sizes.max() > rows_at_once:
            parts = groups.joined(rows_at_once)
        if sizes.of_fit(int(parts.sizes.sum())) <= limit:
            return None
        if memory is None:
            total = max(2 ** int(np.log2(total)), MIN_MEMORY)
        return parts, total, sizes
    if files:
        require_room_for_text(files, limit)
        return None
    rows = table.count_rows()
    if rows:  # reading an empty table raises later
        sizes = RowSizes.of(as_frame(table.head(LOOKED_AT)), aside, asked)
        needed = sizes.of_fit(rows)
        if needed > limit:
            raise TableError(
                f"A fit of the filtered data set of {rows} rows needs about"
                f" {needed / 1e9:.2g} GB of memory, but only {limit / 1e9:.2g} GB are"
                " free: write it to a folder, which can be read in chunks, with"
                ' pyarrow.dataset.write_dataset(data, folder, format="parquet").'
            )
    return None


def require_room(table):
    """Raise an error if text files are larger than the free memory."""
    memory = memory_of(None)
    if memory is None or not is_path(table) or may_be_in_parts(table):
        return
    files = files_of(table)
    if all(map(Path.is_file, files)):
        require_room_for_text(files, memory - PROGRAM)


def require_room_for_text(files: Sequence[Path], limit: int):
    """Raise an error if text files, except workbooks, exceed the memory limit."""
    if files[0].suffix.lower() in EXCEL:
        return
    size = 0
    for file in files:
        size += file.stat().st_size
        if is_compressed(file):
            size += (PACKED - 1) * file.stat().st_size
    columns = len(DelimitedFile.of(files[0]).names())
    with opened(files[0]) as file:
        start = file.read(SAMPLE)
    values = columns * size * start.count(b"\n") / len(start)
    # text, offsets of values, minimum of inputs
    needed = 1.2 * (size + 8 * values) + 16 * values
    if needed <= limit:
        return
    shown = files[0]
    if len(files) > 1:
        shown = shown.parent
    name = shown.name.partition(".")[0] or "table"
    raise TableError(
        f"{shown} contains {size / 1e9:.2g} GB of text, which need about"
        f" {needed / 1e9:.2g} GB as a table, but only {limit / 1e9:.2g} GB are free;"
        f" convert it to Parquet, which can be read in chunks: `vecprop convert {shown}"
        f" {name}-parquet`."
    )


def sampled_rows(limit: int, sizes: RowSizes, parts: TableParts) -> int:
    """Return the number of rows to sample. Too little memory is an error."""
    largest = max(parts.parts, key=lambda part: part.rows)
    if largest.rows > sizes.at_once(limit):
        needed = largest.rows / sizes.at_once(1)
        raise TableError(
            f"{largest.label} has {largest.rows} rows, which must be read at once:"
            f" allow {(needed + PROGRAM) / 1e9:.2g} GB of memory, or write files with"
            " smaller row groups."
        )
    rows = int(SHARE_OF_SAMPLE * limit / (sizes.encoded + COPIES * sizes.raw))
    if rows < MIN_SAMPLED:
        raise TableError(
            f"The memory holds a sample of only {rows} rows, but {MIN_SAMPLED} are"
            " needed: allow more memory."
        )
    return min(rows, MAX_SAMPLED)
