"""Copy Arrow streams to memory, or to temporary files if a fit would need more memory."""

import shutil
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

from ..error import Note, TableError, first_line
from ..kinds.ambiguities import ColumnOptions
from ..reading.arrow_streams import (
    AT_ONCE,
    frame_of_stream,
    is_stream,
    tables_of_stream,
)
from ..reading.frames import as_frame
from .memory_plan import LOOKED_AT, PROGRAM, RowSizes, memory_of


def local_table(
    table: Any, memory: int | str | None, asked: ColumnOptions
) -> tuple[Any, list[Note]]:
    """Return a stream as a data frame or, if a fit would need more memory, as a data set of temporary files, and notes.

    Other tables are returned unchanged.
    """
    if not is_stream(table):
        return table, []
    limit = memory_of(memory)
    tables = tables_of_stream(table)
    first = next(tables)
    sizes = RowSizes.of(as_frame(first.slice(0, LOOKED_AT)), (), asked)
    rows = 0
    in_memory = []
    for part in chain([first], tables):
        in_memory.append(part)
        rows += len(part)
        if limit is not None and sizes.of_fit(rows) > limit - PROGRAM:
            return _spooled(chain(in_memory, tables))
    return frame_of_stream(in_memory), []


def _spooled(tables: Iterable[Any]) -> tuple[Any, list[Note]]:
    """Return a data set of a temporary file, which exists as long as the data set, and a note."""
    from pyarrow import dataset

    folder = mkdtemp(prefix="vecprop-")
    path = Path(folder, "stream.parquet")
    try:
        rows = _write(path, tables)
        copy = dataset.dataset(path, format="parquet")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise TableError(
            f"The stream cannot be copied to {folder}: {first_line(error)}; set TMPDIR"
            " to a folder with enough space."
        ) from error
    finalize(copy, shutil.rmtree, folder, ignore_errors=True)
    note = Note(
        f"The stream was copied to a temporary Parquet file of {rows} rows and"
        f" {path.stat().st_size / 1e9:.2g} GB, because training reads it several times."
    )
    return copy, [note]


def _write(path: Path, tables: Iterable[Any]) -> int:
    """Write tables to a Parquet file with row groups of about 32 MB, and return the number of rows."""
    from pyarrow.parquet import ParquetWriter

    rows = 0
    writer = None
    try:
        for table in tables:
            if writer is None:
                writer = ParquetWriter(path, table.schema)
            rows_at_once = AT_ONCE * len(table) // max(table.nbytes, 1)
            writer.write_table(table, row_group_size=max(rows_at_once, 1))
            rows += len(table)
    finally:
        if writer is not None:
            writer.close()
    return rows
