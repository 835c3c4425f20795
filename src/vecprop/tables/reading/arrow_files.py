"""Read Parquet, Arrow and Feather files as Arrow tables, and check them for damage."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ...system.memory import limit_reservation
from ..error import TableError, first_line, pandas
from .bounds import (
    require_room_for_buffers,
    require_room_for_rows,
    require_room_for_values,
)
from .file_lists import ARROW, PARQUET, require_equal_columns

limit_reservation()
SMALL = 1024
"""Row groups with fewer rows are read by one thread, which is faster than starting
others.
"""


def tables_of(files: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
    """Yield each file of a table with its Arrow tables, which all have the columns of the first file."""
    schema = common_schema(files) if len(files) > 1 else None
    for file in files:
        for table in arrow_tables(file, schema):
            yield file, table


def common_schema(files: Sequence[Path], footers: dict[Path, Any] | None = None):
    """Return a common schema for all files.

    If a mapping is given, it receives the footers of Parquet files.

    Raises
    ------
    TableError
        If files differ in their columns, or a column has incompatible types.
    """
    from pyarrow import ArrowException, unify_schemas

    footers = {} if footers is None else footers
    with one_line_errors(files[0]):
        schema = _schema(files[0], footers)
    names = schema.names
    for file in files[1:]:
        with one_line_errors(file):
            file_schema = _schema(file, footers)
        require_equal_columns(file_schema.names, file, names, files[0])
        try:
            schema = unify_schemas([schema, file_schema], promote_options="permissive")
        except ArrowException:
            name = next(
                name
                for name in names
                if not _go_together(schema.field(name), file_schema.field(name))
            )
            raise TableError(
                f"{file}: column {name!r} has type {file_schema.field(name).type}, but"
                f" {schema.field(name).type} in {files[0]}: write all files of a table"
                " with the same types."
            ) from None
    return schema


def _schema(path: Path, footers: dict[Path, Any]):
    if path.suffix.lower() in PARQUET:
        from pyarrow.parquet import read_metadata

        footers[path] = read_metadata(path)
        return footers[path].schema.to_arrow_schema()
    from pyarrow import OSFile, ipc

    with OSFile(str(path)) as file:
        return ipc.open_file(file).schema


def _go_together(field, second_field) -> bool:
    """Return whether two columns have a common type."""
    from pyarrow import ArrowException, schema, unify_schemas

    try:
        unify_schemas(
            [schema([field]), schema([second_field])], promote_options="permissive"
        )
    except ArrowException:
        return False
    return True


def arrow_tables(path: Path, schema=None) -> Iterator[Any]:
    """Yield the row groups of a Parquet file, or a whole Arrow or Feather file, as Arrow tables.

    Pages are compared with their checksums, and row groups with the statistics in the
    footer, if there are any. A schema determines the order and types of the columns.

    Raises
    ------
    TableError
        If the file has another format or is damaged.
    """

    def in_schema(table):
        return table if schema is None else table.select(schema.names).cast(schema)

    if path.suffix.lower() in ARROW:
        from pyarrow import feather

        with one_line_errors(path):
            require_room_for_buffers(path)
            table = _valid(feather.read_table(path))
            require_room_for_values(path, table)
            yield in_schema(table)
        return
    from pyarrow.parquet import ParquetFile

    with (
        one_line_errors(path),
        ParquetFile(path, page_checksum_verification=True) as file,
    ):
        _require_one_name(file)
        if not file.num_row_groups:
            yield in_schema(file.schema_arrow.empty_table())
        for number in range(file.num_row_groups):
            yield in_schema(_row_group(path, file, number))


def as_frame(path: Path, table):
    """Convert an Arrow table to a data frame, and an index that pandas stored to columns."""
    with one_line_errors(path):
        frame = with_index(_exact(table)).reset_index(drop=True)
    frame.attrs.pop("index", None)
    return frame


def with_index(frame):
    """Move the index levels of a data frame to columns, except row numbers and existing columns."""
    levels: dict[str, Any] = {}
    for number, name in enumerate(frame.index.names):
        level = frame.index.get_level_values(number)
        column = str(name)
        if name is None:
            if level.inferred_type == "integer":
                continue  # row numbers, or a subset of them
            column = "index" if frame.index.nlevels == 1 else f"level_{number}"
        if column not in frame.columns:
            levels.setdefault(column, level)
    if not levels:
        return frame
    combined = frame.assign(**levels)[[*levels, *frame.columns]]
    combined.attrs["index"] = list(levels)
    return combined


def _exact(table):
    """Convert an Arrow table to a data frame without losing digits of integers in columns with missing values."""
    from pyarrow import int64, uint64

    pd = pandas()
    frame = table.to_pandas()
    if frame.columns.nlevels > 1:
        return frame
    types = {int64(): pd.Int64Dtype(), uint64(): pd.UInt64Dtype()}
    for name in frame.columns.intersection(table.column_names):
        column = table.column(name)
        if (
            column.type in types
            and frame[name].dtype.kind == "f"
            and frame[name].abs().max() >= 2**53
        ):
            frame[name] = column.to_pandas(types_mapper=types.get).array
    return frame


def as_stored(path: Path, table, names: list[str]):
    """Convert columns of an Arrow table to a data frame with Arrow types, which keep all values unchanged."""
    with one_line_errors(path):
        return table.select(names).to_pandas(
            types_mapper=pandas().ArrowDtype, ignore_metadata=True
        )


def _valid(table):
    """Validate an Arrow table and return it. Damage may make its offsets or lengths invalid."""
    table.validate(full=True)
    return table


def _require_one_name(file):
    """Raise an error if the pandas metadata of a file contains another name for a column."""
    metadata = json.loads((file.metadata.metadata or {}).get(b"pandas", b"{}"))
    for column in metadata.get("columns", []):
        _require_equal_names(column.get("field_name"), column.get("name"))


def _require_equal_names(column: str | None, name: str | None):
    if None not in (column, name) and column != name:
        raise ValueError(
            f"column {column!r} has another name, {name!r}, in the file's metadata"
        )


def _row_group(path: Path, file, number: int):
    """Read a row group, and raise an error if it does not match the footer."""
    described = file.metadata.row_group(number)
    require_room_for_rows(path, file, number)
    table = _valid(file.read_row_group(number, use_threads=described.num_rows >= SMALL))
    if len(table) != described.num_rows:
        raise ValueError(
            f"row group {number} has {len(table)} rows instead of {described.num_rows}"
        )
    require_room_for_values(path, table)
    for index in range(described.num_columns):
        column = described.column(index)
        name = column.path_in_schema
        _require_equal_names(file.schema.column(index).path, name)
        if name in table.column_names and not _fits(
            table.column(name), column.statistics
        ):
            raise ValueError(
                f"the values of column {name!r} do not match the file's statistics"
            )
    return table


def _fits(column, statistics) -> bool:
    """Return whether the minimum, maximum and number of missing values of a column match its statistics.

    Statistics of text may be truncated, so they are only bounds.
    """
    from pyarrow import compute, types

    if statistics is None:
        return True
    if statistics.has_null_count and statistics.null_count != column.null_count:
        return False
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = str(column.type) in ("string", "large_string", "binary", "large_binary")
    is_number = re.match(
        r"u?int\d|float|double|bool|decimal|date32|timestamp", str(column.type)
    )
    if not statistics.has_min_max or not (is_text or is_number):
        return True
    ends = compute.min_max(column)  # type: ignore[attr-defined]
    low = ends["min"].as_py()
    high = ends["max"].as_py()
    if low is None:
        return False
    if is_text:
        return statistics.min <= low and high <= statistics.max
    return (low, high) == (statistics.min, statistics.max)


@contextmanager
def one_line_errors(path: Path, label: str = "") -> Iterator[None]:
    """Convert errors of Parquet and Arrow readers to one-line messages that name the file."""
    from pyarrow import ArrowException

    limit_reservation()
    try:
        yield
    except FileNotFoundError as error:
        raise TableError(
            f"{label or path} no longer exists: do not move files while they are read."
        ) from error
    except (
        ArrowException,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        MemoryError,
    ) as error:
        # Arrow's KeyboardInterrupt is an ArrowException, too
        if isinstance(error, TableError | KeyboardInterrupt):
            raise
        reason = first_line(error).replace(f" '{path}'", "")
        if isinstance(error, MemoryError) or "bad_alloc" in reason:
            raise TableError(
                f"There is not enough memory to read {label or path}, unless it is"
                " damaged."
            ) from error
        kind = f" as a {path.suffix[1:]} file" if path.suffix else ""
        raise TableError(f"{label or path} cannot be read{kind}: {reason}.") from error


Read = Callable[[bool], Any]
"""A function that reads a part of a file, and compares it with the file's footer if
the argument is True.
"""


def groups_of(path: Path, schema, footer) -> list[tuple[int, Read]]:
    """Return the number of rows and a reader for each row group (Parquet) or batch (Arrow) of a file."""
    if footer is not None:
        sizes = [
            footer.row_group(number).num_rows for number in range(footer.num_row_groups)
        ]
    else:
        with one_line_errors(path):
            sizes = _batch_sizes(path)
    return [
        (rows, partial(_group, path, schema, footer, number))
        for number, rows in enumerate(sizes)
    ]


def _batch_sizes(path: Path) -> list[int]:
    from pyarrow import ipc, memory_map

    require_room_for_buffers(path, is_whole=False)
    with memory_map(str(path)) as file:
        batches = ipc.open_file(file)
        return [
            batches.get_batch(number).num_rows
            for number in range(batches.num_record_batches)
        ]


def _group(path: Path, schema, footer, number: int, is_checked: bool):
    """Read a row group of a Parquet file with this footer, or a batch of an Arrow file, and apply a schema."""
    from pyarrow import Table, ipc, memory_map
    from pyarrow.parquet import ParquetFile

    if footer is None:
        with memory_map(str(path)) as file:
            table = Table.from_batches([ipc.open_file(file).get_batch(number)])
            if is_checked:
                require_room_for_values(path, _valid(table))
    else:
        with ParquetFile(
            path, metadata=footer, page_checksum_verification=True
        ) as file:
            if is_checked:
                _require_one_name(file)
                table = _row_group(path, file, number)
            else:
                table = file.read_row_group(number)
    return table if table.schema == schema else table.select(schema.names).cast(schema)
