"""Check that files fit in memory before decoding them."""

import re
import zipfile
from operator import mul
from pathlib import Path

import numpy as np

from ...system.memory import available_memory
from ..error import TableError

SMALL = 2**29
"""Even small files may decode to this number of bytes."""
EXPANSION = 200
"""The largest ratio of the decoded size to the file size of larger tables.
Compressed text rarely exceeds 20.
"""
PART = 1 / 3
"""The share of the free memory that a decoded table may use. Models and data frames
need the rest.
"""
CELL = 100
"""The estimated number of bytes per workbook cell."""
_MERGED = re.compile(rb'<mergeCell [^>]*ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')


def require_room(path: Path, size: float, *, is_whole: bool = True) -> None:
    """Raise an error if the decoded size exceeds the limit for the file's size or, for whole files, the free memory."""
    if size < SMALL / 500:  # reading so little is faster than querying the free memory
        return
    limit = max(SMALL, EXPANSION * path.stat().st_size)
    advice = "if you trust it, save it as CSV without compression"
    free = available_memory() if is_whole else None
    if free is not None and PART * free < limit:
        limit = PART * free
        advice = "read it in chunks with read_chunks, or fit with memory="
    if size > limit:
        raise TableError(
            f"{path} needs more than {limit / 1e9:.2g} GB of memory,"
            f" {limit / path.stat().st_size:.3g} times its size: {advice}."
        )


def require_room_for_stream(size: int) -> None:
    """Raise an error if the rows of a stream take too much of the free memory."""
    free = available_memory() if size > SMALL else None
    if free is not None and size > PART * free:
        raise TableError(
            f"The stream needs more than {size / 1e9:.2g} GB of memory, but"
            f" {free / 1e9:.2g} GB are free: read it in chunks with read_chunks, or fit"
            " with memory=."
        )


def require_room_for_members(path: Path) -> None:
    """Raise an error if the members of a zip file take too much memory."""
    with zipfile.ZipFile(path) as file:
        require_room(
            path, sum(member.file_size for member in file.infolist()), is_whole=False
        )


def require_room_for_workbook(path: Path) -> None:
    """Raise an error if the XML or the merged cells of a workbook take too much memory."""
    require_room_for_members(path)
    with zipfile.ZipFile(path) as book:
        for name in book.namelist():
            if name.startswith("xl/worksheets/"):
                for left, top, right, bottom in _MERGED.findall(book.read(name)):
                    cells = (_column(right) - _column(left) + 1) * (
                        int(bottom) - int(top) + 1
                    )
                    require_room(path, CELL * cells)


def _column(letters: bytes) -> int:
    """Return the one-based index of a sheet's column, such as 28 for AB."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def require_room_for_rows(path: Path, file, group: int) -> None:
    """Raise an error if the values of a Parquet file's row group take too much memory.

    Footers contain the number of values of each column. Dictionaries are read first,
    because a text column may repeat a long entry.
    """
    from pyarrow.parquet import ParquetFile

    row_group = file.metadata.row_group(group)
    size = 0
    counts = {}
    nested = []
    for index in range(row_group.num_columns):
        column = row_group.column(index)
        schema = file.schema.column(index)
        if column.physical_type != "BYTE_ARRAY":
            size += column.num_values * max(schema.length or 0, 8)
            continue
        size += column.total_uncompressed_size
        if column.num_values * column.total_uncompressed_size <= SMALL:
            continue
        if schema.max_repetition_level or "DELTA_BYTE_ARRAY" in column.encodings:
            nested.append(column)
        elif any("DICTIONARY" in encoding for encoding in column.encodings):
            counts[column.path_in_schema] = column.num_values
    require_room(path, size)
    if counts:
        names = list(counts)
        with ParquetFile(
            path, read_dictionary=names, metadata=file.metadata
        ) as dictionaries:
            first = next(
                dictionaries.iter_batches(1, row_groups=[group], columns=names)
            )
            longest = [_lengths(column).max(initial=0) for column in first.columns]
            try:
                require_room(path, sum(map(mul, longest, counts.values())))
            except TableError:
                require_room_for_values(
                    path, dictionaries.read_row_group(group, columns=names)
                )
    for column in nested:
        rows = 1000 * row_group.num_rows // column.num_values
        if not rows:  # a single row may exceed the limit
            require_room(path, column.num_values * column.total_uncompressed_size)
        size = 0
        for part in file.iter_batches(
            max(rows, 1), row_groups=[group], columns=[column.path_in_schema]
        ):
            size += part.nbytes
            require_room(path, size)


def require_room_for_buffers(path: Path, *, is_whole: bool = True) -> None:
    """Raise an error if the compressed buffers of an Arrow file take too much memory.

    Buffers start at multiples of 8 bytes, with their decoded size and a frame of
    Zstandard or LZ4. Sizes of at least 2⁴⁷ bytes, which cannot be allocated, are
    ignored: they are other data.
    """
    count = path.stat().st_size // 8
    if count < 2:
        return
    words = np.memmap(path, "<u8", "r", shape=(count,))
    size = 0.0
    step = 2**17
    for first in range(0, count, step):
        chunk = words[first : first + step + 1]
        marks = chunk[1:] & 0xFFFFFFFF
        sizes = chunk[:-1][(marks == 0xFD2FB528) | (marks == 0x184D2204)]
        size += float(sizes[sizes < 2**47].sum())
        require_room(path, size, is_whole=is_whole)


def require_room_for_values(path: Path, table) -> None:
    """Raise an error if an Arrow table repeats long texts, lists or nulls so often that it takes too much memory."""
    size = 0.0
    for column in table.columns:
        for chunk in column.chunks:
            size += _repeated(chunk)
            require_room(path, size)


def _repeated(values) -> float:
    """Return the decoded size of the parts of an Arrow array that are stored once but may occur many times."""
    from pyarrow import types

    kind = values.type
    if types.is_struct(kind):
        return sum(map(_repeated, values.flatten()))
    if types.is_nested(kind) and str(kind).startswith(("list_view", "large_list_view")):
        return 8.0 * values.sizes.to_numpy().sum(dtype=float)
    if types.is_nested(kind) and hasattr(values, "values"):
        return _repeated(values.values)
    if types.is_null(kind) or types.is_run_end_encoded(kind):
        return 8.0 * len(values)
    if str(kind).endswith("_view"):
        # which begin with the length
        views = np.frombuffer(values.buffers()[1], "<i4").reshape(-1, 4)
        return views[values.offset : values.offset + len(values), 0].sum(dtype=float)
    if not _is_named(kind):
        return 0.0
    return _lengths(values)[values.indices.drop_null().to_numpy()].sum()


def _lengths(column) -> np.ndarray:
    """Return the length in bytes of each entry of a column's dictionary, or an empty array if it has none."""
    from pyarrow import compute

    if not _is_named(column.type):
        return np.zeros(0)
    return np.nan_to_num(
        compute.call_function("binary_length", [column.dictionary]).to_numpy(
            zero_copy_only=False
        )
    )


def _is_named(type) -> bool:
    """Return whether a type is a dictionary of text."""
    from pyarrow import types

    texts = ("string", "large_string", "binary")
    return types.is_dictionary(type) and str(type.value_type) in texts
