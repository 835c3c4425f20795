"""Read Arrow streams: DuckDB relations, Polars lazy frames, Arrow readers, database cursors and Ibis expressions."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...system.extras import imported
from ..error import TableError, first_line
from .arrow_files import as_frame
from .bounds import require_room_for_stream

AT_ONCE = 2**25
"""The number of bytes of a table. Smaller record batches are joined."""
READERS = ("fetch_record_batch", "to_pyarrow_batches", "collect_batches")
"""Methods of streams: of cursors (ADBC) and connections (DuckDB), of Ibis expressions,
and of Polars lazy frames.
"""


def is_stream(table) -> bool:
    """Return whether a table is an Arrow stream, which is not in memory."""
    cls = type(table)
    if any(hasattr(cls, method) for method in READERS):
        return True
    is_in_memory = hasattr(cls, "to_pandas") or hasattr(cls, "__array__")
    return hasattr(cls, "__arrow_c_stream__") and not is_in_memory


def tables_of_stream(stream: Any) -> Iterator[Any]:
    """Yield the rows of a stream as Arrow tables of about 32 MB.

    Raises
    ------
    TableError
        If the stream raises an error or has no rows.
    """
    from pyarrow import Table

    batches = []
    size = 0
    is_empty = True
    for batch in _batches(stream):
        if not len(batch):
            continue
        is_empty = False
        batches.append(batch)
        size += batch.nbytes
        if size >= AT_ONCE:
            yield Table.from_batches(batches)
            batches = []
            size = 0
    if batches:
        yield Table.from_batches(batches)
    if is_empty:
        raise TableError(
            f"The {type(stream).__name__} has no rows: most streams can be read only"
            " once."
        )


def frame_of_stream(tables: Iterable[Any]) -> Any:
    """Return Arrow tables as one data frame, and raise an error if memory is too small."""
    from pyarrow import concat_tables

    in_memory = []
    size = 0
    for table in tables:
        size += table.nbytes
        require_room_for_stream(size)
        in_memory.append(table)
    return as_frame(Path("The stream"), concat_tables(in_memory))


def _batches(stream) -> Iterator[Any]:
    """Yield the record batches of a stream. Its errors become one sentence."""
    imported("pyarrow", "Reading Arrow streams", "tables")
    try:
        for reader in _readers(stream):
            yield from reader
    # databases and query engines have their own errors
    except Exception as error:
        raise TableError(
            f"The {type(stream).__name__} cannot be read: {first_line(error)}."
        ) from error


def _readers(stream) -> Iterator[Any]:
    from pyarrow import RecordBatchReader

    if hasattr(stream, "collect_batches"):
        for frame in stream.collect_batches(maintain_order=True):
            yield RecordBatchReader.from_stream(frame)
    elif hasattr(stream, "__arrow_c_stream__"):
        yield RecordBatchReader.from_stream(stream)
    else:
        yield stream.fetch_record_batch()
