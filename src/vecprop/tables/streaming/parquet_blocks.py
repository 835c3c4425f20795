"""Row groups of Parquet files as blocks of rows."""

import ctypes
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from ...system.extras import imported
from ...system.suggestions import missing_file, suggestion
from ...system.threads import usable_threads
from ...train.trainer import can_compile
from ..error import TableError
from ..reading.arrow_files import PARQUET, one_line_errors
from ..reading.file_lists import require_all_columns, several_paths

ROWS_AT_ONCE = 2048
"""The number of rows that are stacked at a time, so that they stay in the cache."""


class ParquetBlocks:
    """Blocks of Parquet files. Each row group is a block.

    All columns must be numeric, without missing values. For tables with text, dates or
    missing values, use `TabularClassifier` or `TabularRegressor`.

    Parameters
    ----------
    source : path or sequence of path
        Files, or a folder whose Parquet files (including subfolders) are read in the
        order of their names.
    target : str or sequence of str
        The name of the target column, or several names. Integer targets may be classes.
    inputs : sequence of str, optional
        The names of the input columns. By default, all other columns are inputs.
    weight : str, optional
        The name of the column with sample weights.

    Attributes
    ----------
    files : list of Path
        The files.
    columns : list of str
        The names of the inputs.
    inputs : int
        The number of inputs.
    sizes : ndarray of int
        The number of rows of each block.

    Raises
    ------
    TableError
        If no file is found, a file lacks a column, or a column is not numeric.
    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in range(2):
    ...         frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "y": [part, part]})
    ...         frame.to_parquet(os.path.join(folder, f"part-{part}.parquet"))
    ...     blocks = ParquetBlocks(folder, "y")
    ...     X, T = blocks.read(1)
    >>> blocks.columns, blocks.sizes.tolist()
    (['a', 'b'], [2, 2])
    >>> X, T
    (array([[1., 3.],
           [2., 4.]]), array([1, 1]))
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        target: str | Sequence[str],
        *,
        inputs: Sequence[str] | None = None,
        weight: str | None = None,
    ):
        read_metadata = imported(
            "pyarrow.parquet", "ParquetBlocks", "tables"
        ).read_metadata
        self.files = parquet_files(source)
        self.weight = weight
        self.columns = [] if inputs is None else list(inputs)
        self._targets = names_of_targets(target)
        self._is_single = isinstance(target, str | int)
        self._others = list(self._targets)
        if weight is not None:
            self._others.append(weight)
        self._groups: list[tuple[Path, Any, int]] = []
        sizes = []
        for path in self.files:
            with one_line_errors(path):
                footer = read_metadata(path)
            schema = footer.schema.to_arrow_schema()
            if path == self.files[0] and inputs is None:
                self.columns = [
                    name for name in schema.names if name not in self._others
                ]
            for name in (*self.columns, *self._others):
                _require_numbers(path, schema, name)
            for group in range(footer.num_row_groups):
                rows = footer.row_group(group).num_rows
                if rows:
                    self._groups.append((path, footer, group))
                    sizes.append(rows)
        if not self.columns:
            names = ", ".join(map(repr, self._others))
            raise TableError(
                f"{self.files[0]} has no columns other than {names}: pass inputs=."
            )
        if not sizes:
            raise TableError(f"{source} has no rows.")
        self.sizes = np.array(sizes)

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        return len(self.columns)

    def place(self, number: int) -> str:
        """Return the file and row group of a block."""
        path, _, group = self._groups[number]
        return f"{path}, row group {group}"

    def read(self, number: int) -> tuple[Any, ...]:
        """Return a block's inputs and targets, and its weights if there are any."""
        from pyarrow.parquet import ParquetFile

        path, footer, group = self._groups[number]
        names = [*self.columns, *self._others]
        with (
            one_line_errors(path),
            ParquetFile(path, metadata=footer, page_checksum_verification=True) as file,
        ):
            table = file.read_row_group(
                group, columns=names, use_threads=usable_threads() > 1
            )
        if len(table) != self.sizes[number]:
            raise TableError(
                f"{self.place(number)} changed from {self.sizes[number]} to"
                f" {len(table)} rows."
            )
        values = {}
        for name in names:
            values[name] = self._numbers(table.column(name), name, number)
        X = columns_as_array([values[name] for name in self.columns], np.float32)
        targets = [values[name] for name in self._targets]
        T = targets[0]
        if not self._is_single:
            T = columns_as_array(targets)
        if self.weight is None:
            return X, T
        return X, T, values[self.weight]

    def digest(self) -> str:
        """Return a digest of the columns' statistics, which changes with the rows."""
        settings = repr((self.columns, self._targets, self.weight))
        digest = hashlib.sha256(settings.encode())
        names = {*self.columns, *self._others}
        for _, footer, group in self._groups:
            metadata = footer.row_group(group)
            for column in map(metadata.column, range(metadata.num_columns)):
                name = column.path_in_schema
                if name not in names:
                    continue
                statistics = column.statistics
                if statistics is not None:
                    statistics = (statistics.min, statistics.max, statistics.null_count)
                size = (
                    column.total_compressed_size,
                    column.total_uncompressed_size,
                    column.physical_type,
                )
                summary = repr((name, metadata.num_rows, size, statistics))
                digest.update(summary.encode())
        return digest.hexdigest()

    def _numbers(self, column, name: str, number: int) -> ndarray:
        """Return a column as an array, or raise if a value is missing or not finite."""
        values = column.to_numpy()
        kind = values.dtype.kind
        is_invalid = np.zeros(1, bool)
        if column.null_count:
            is_invalid = column.is_null().to_numpy()
        elif kind == "b":
            values = values.astype(np.int64)
        elif kind == "f" and not np.isfinite(values.sum()):  # the sum may overflow
            is_invalid = ~np.isfinite(values)
        if not is_invalid.any():
            return values
        row = np.argmax(is_invalid)
        problem = "missing" if column.null_count else values[row]
        raise TableError(
            f"In {self.place(number)}: column {name!r} is {problem} in row {row};"
            " fill or drop it."
        )


def parquet_files(source) -> list[Path]:
    """Return the Parquet files of a folder, sorted by name, or the listed files.

    Names that start with a dot or an underscore are skipped, because other programs use
    them for metadata.
    """
    if not isinstance(source, str | os.PathLike):
        files = [Path(path) for path in several_paths(source)]
    elif not Path(source).is_dir():
        files = [Path(source)]
    else:
        folder = Path(source)
        files = []
        for path in sorted(folder.rglob("*")):
            is_hidden = any(part[0] in "._" for part in path.relative_to(folder).parts)
            if path.suffix.lower() in PARQUET and not is_hidden and path.is_file():
                remedy = "write it into the files, or list them to leave it out"
                require_all_columns(path, folder, remedy)
                files.append(path)
    if not files:
        raise TableError(
            f"{source} contains no Parquet files (with names ending in"
            f" {' or '.join(sorted(PARQUET))})."
        )
    for path in files:
        if not path.exists():
            raise TableError(missing_file(path))
        if not path.is_file():
            raise TableError(f"{path} is not a file.")
    return files


def names_of_targets(target) -> list[Any]:
    """Return the names of the target columns, or raise an error."""
    names = []
    if isinstance(target, str | int):
        names = [target]
    elif isinstance(target, Iterable):
        names = list(target)
    if not names or not all(isinstance(name, str | int) for name in names):
        raise TypeError(
            "target must be a column name or a list of names, got a"
            f" {type(target).__name__}."
        )
    return names


def _require_numbers(path: Path, schema, name: str):
    """Raise an error unless a file has a numeric column with this name."""
    from pyarrow import types

    count = schema.names.count(name)
    if count > 1:
        raise TableError(f"{path} has {count} columns named {name!r}: rename them.")
    if not count:
        names = ", ".join(schema.names[:20])
        if len(schema.names) > 20:
            names += ", …"
        advice = suggestion(str(name), schema.names) or f"; its columns are {names}"
        raise TableError(f"{path} has no column {name!r}{advice}.")
    kind = schema.field(name).type
    if not (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    ):
        raise TableError(
            f"Column {name!r} of {path} has type {kind}, which is not numeric: leave it"
            " out with inputs=, or use TabularClassifier or TabularRegressor, which"
            " encode it."
        )


def columns_as_array(columns: list[ndarray], least: type = np.bool_) -> ndarray:
    """Stack columns to a row-major array.

    A kernel addresses each column by its distance from the first one, in elements.
    Unaligned columns, such as Arrow buffers from a network, are copied, because their
    distance need not be an integer.
    """
    kind = np.result_type(least, *(column.dtype for column in columns))
    if kind not in (np.float32, np.float64) or not can_compile():
        return np.stack(columns, axis=1).astype(kind, copy=False)
    from ...compiled.gemm.products import gather_address
    from ...compiled.jit.fit_record import address_of_array

    columns = [np.require(column, kind, ["C", "A"]) for column in columns]
    stacked = np.empty((len(columns[0]), len(columns)), kind)
    addresses = np.array(list(map(address_of_array, columns)))
    first_column = addresses[0]
    distances = (addresses - first_column) // kind.itemsize
    gather = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(gather_address(kind.type))
    for first_row in range(0, len(stacked), ROWS_AT_ONCE):
        part = stacked[first_row : first_row + ROWS_AT_ONCE]
        gather(
            len(columns),
            len(part),
            first_column + first_row * kind.itemsize,
            kind.itemsize,
            part.ctypes.data,
            part.strides[0],
            address_of_array(distances),
        )
    return stacked
