"""Parquet, Arrow and Feather files as Arrow tables, which are checked as far as the files allow it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from .error import TableError, first_line, pandas

PARQUET, ARROW = {".parquet", ".pq"}, {".feather", ".arrow", ".ipc"}

T = TypeVar("T")


def arrow_tables(path: Path) -> Iterator[Any]:
    """Yield the row groups of a Parquet file, or all of an Arrow or Feather file, as Arrow tables.

    Pages are compared with their checksums, and row groups with the statistics of the file's footer, if it has any.

    Raises
    ------
    TableError
        If the file is no such file, or is damaged.
    """
    if path.suffix.lower() in ARROW:
        yield one_line_errors(path, lambda: _valid(_feather(path)))
        return
    from pyarrow.parquet import ParquetFile

    with one_line_errors(path, lambda: ParquetFile(path, page_checksum_verification=True)) as file:
        one_line_errors(path, lambda: _require_one_name(file))
        if not file.num_row_groups:
            yield file.schema_arrow.empty_table()
        for number in range(file.num_row_groups):
            yield one_line_errors(path, lambda number=number: _row_group(file, number))


def as_frame(path: Path, table: Any) -> Any:
    """Return an Arrow table as a data frame; columns that pandas has stored as an index are columns."""

    def read() -> Any:
        frame = _exact(table)
        return frame.reset_index() if any(name is not None for name in frame.index.names) else frame

    return one_line_errors(path, read)


def _exact(table: Any) -> Any:
    """Return an Arrow table as a data frame that keeps all digits of whole numbers, also beside missing values."""
    from pyarrow import int64, uint64

    frame, pd = table.to_pandas(), pandas()
    types = {int64(): pd.Int64Dtype(), uint64(): pd.UInt64Dtype()}
    for name in () if frame.columns.nlevels > 1 else frame.columns.intersection(table.column_names):
        column = table.column(name)
        if column.type in types and frame[name].dtype.kind == "f" and frame[name].abs().max() >= 2**53:
            frame[name] = column.to_pandas(types_mapper=types.get).array
    return frame


def as_stored(path: Path, table: Any, names: list[str]) -> Any:
    """Return columns of an Arrow table as a data frame with Arrow's types, so that each value is the file's."""
    return one_line_errors(
        path, lambda: table.select(names).to_pandas(types_mapper=pandas().ArrowDtype, ignore_metadata=True)
    )


def _feather(path: Path) -> Any:
    from pyarrow import feather

    return feather.read_table(path)


def _valid(table: Any) -> Any:
    """Return an Arrow table after a check of its offsets and lengths, which damage makes wrong."""
    table.validate(full=True)
    return table


def _require_one_name(file: Any) -> None:
    """Refuse a file in which pandas has noted a column under another name than the column has."""
    noted = json.loads((file.metadata.metadata or {}).get(b"pandas", b"{}"))
    for column in noted.get("columns", []):
        name, of_column = column.get("name"), column.get("field_name")
        if name is not None and of_column is not None and name != of_column:
            raise ValueError(f"the column {of_column!r} is named {name!r} elsewhere in the file")


def _row_group(file: Any, number: int) -> Any:
    """Return a row group, or refuse one that is not what the footer says."""
    table, described = _valid(file.read_row_group(number)), file.metadata.row_group(number)
    if len(table) != described.num_rows:
        raise ValueError(f"row group {number} has {len(table)} rows instead of {described.num_rows}")
    for place in range(described.num_columns):
        name, of_schema = described.column(place).path_in_schema, file.schema.column(place).path
        if name != of_schema:
            raise ValueError(f"the column {of_schema!r} is named {name!r} elsewhere in the file")
        if name in table.column_names and not _fits(table.column(name), described.column(place).statistics):
            raise ValueError(f"the values of the column {name!r} are not those of which the file has statistics")
    return table


def _fits(column: Any, statistics: Any) -> bool:
    """Return whether a column has the missing values, the smallest and the largest value of its statistics.

    Those of text may be shortened, so that they are bounds only.
    """
    from pyarrow import compute, types

    if statistics is None:
        return True
    if statistics.has_null_count and statistics.null_count != column.null_count:
        return False
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    texts = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    numbers = (types.is_integer, types.is_float32, types.is_float64, types.is_boolean, types.is_decimal)
    times = (types.is_date32, types.is_timestamp)
    is_text = any(is_kind(column.type) for is_kind in texts)
    if not statistics.has_min_max or not (is_text or any(is_kind(column.type) for is_kind in numbers + times)):
        return True
    found = compute.min_max(column)  # type: ignore[attr-defined]
    low, high = found["min"].as_py(), found["max"].as_py()
    if low is None:
        return False
    least, most = statistics.min, statistics.max
    return (least <= low and high <= most) if is_text else (low, high) == (least, most)


def one_line_errors(path: Path, read: Callable[[], T]) -> T:
    """Return the result of a reader of Parquet or Arrow; its errors become sentences."""
    from pyarrow import ArrowException

    try:
        return read()
    except (ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise TableError(f"{path} cannot be read as a {path.suffix.lstrip('.')} file: {first_line(error)}.") from error
