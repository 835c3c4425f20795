"""Read a table in parts, one at a time and in any order: row groups of Parquet files or fragments of a data set."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any, TypeVar
from weakref import finalize

import numpy as np

from ..error import TableError, pandas
from . import arrow_files
from .arrow_streams import is_stream
from .file_lists import files_of, is_path
from .frames import Frame, as_frame
from .reading import is_dataset, may_be_in_parts, read_chunks

JOINED = 8192
"""Small parts are joined until they have this number of rows."""
IN_MEMORY = 2**23
"""The largest number of bytes of joined parts that are cached in memory."""
ON_DISK = 2**30
"""The largest number of bytes of joined parts that are cached in a temporary file."""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class TablePart:
    """A part of a table, or several joined parts.

    Parameters
    ----------
    read : callable
        Returns the part as an Arrow table, and compares it with the file's footer if
        the argument is True.
    """

    path: Path
    label: str
    rows: int
    read: Callable[[bool], Any]
    parts: Sequence["TablePart"] = ()

    def table(self, is_checked: bool):
        """Return the part as an Arrow table."""
        with arrow_files.one_line_errors(self.path, self.label):
            table = self.read(is_checked)
        if len(table) != self.rows:
            raise TableError(
                f"{self.label} changed while it was read: it has {len(table)} rows"
                f" instead of {self.rows}."
            )
        return table

    def frame(self, is_checked: bool = False) -> Frame:
        """Return the part as a data frame."""
        return as_frame(arrow_files.as_frame(self.path, self.table(is_checked)))

    def having(self, work: Callable[[Frame], T], frame: Frame) -> T:
        """Return ``work(frame)``. Errors name the part that contains the invalid value."""
        try:
            return work(frame)
        except TableError as error:
            for part in self.parts:
                part.having(work, part.frame())
            raise TableError(f"In {self.label}: {error}") from None


class _Cache:
    """A cache of joined parts in a temporary file."""

    def __init__(self):
        self.file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (closed by `finalize`)
        self.slices: dict[int, tuple[int, int]] = {}
        self.room = ON_DISK
        self.lock = Lock()
        finalize(self, self.file.close)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the contents, because other processes read the parts themselves."""
        return type(self), ()

    def read(self, parts: Sequence[TablePart], number: int, is_checked: bool):
        """Return joined parts as one table, which is cached under a number."""
        import pyarrow as pa

        with self.lock:
            if number in self.slices:
                start, size = self.slices[number]
                self.file.seek(start)
                return pa.ipc.open_stream(self.file.read(size)).read_all()
            table = (
                pa.concat_tables([part.table(True) for part in parts])
                .unify_dictionaries()
                .combine_chunks()
            )
            if table.nbytes <= self.room:
                self.room -= table.nbytes
                # the disk may be full
                with suppress(OSError), pa.BufferOutputStream() as stream:
                    with pa.ipc.new_stream(stream, table.schema) as writer:
                        writer.write_table(table)
                    start = self.file.seek(0, os.SEEK_END)
                    self.slices[number] = (start, self.file.write(stream.getvalue()))
        return table


@dataclass(frozen=True, eq=False)
class TableParts:
    """The nonempty parts of a table.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.DataFrame({"a": [1, 2, 3]}).to_parquet(f"{folder}/a.parquet", row_group_size=2)
    ...     parts = TableParts.of(folder)
    ...     parts.sizes.tolist(), parts.parts[1].frame()["a"].tolist()
    ([2, 1], [3])
    """

    parts: Sequence[TablePart]
    names: list[str]
    source: Any = None
    """The table, whose temporary files exist as long as it does."""

    @classmethod
    def of(cls, table) -> "TableParts":
        """Return the parts of Parquet or Arrow files, or of a data set.

        Raises
        ------
        TableError
            If files have different columns or types, or the table has no rows.
        """
        if is_dataset(table):
            schema = table.schema
            parts = []
            with arrow_files.one_line_errors(Path("The data set")):
                fragments = list(_fragments(table))
            for fragment, rows in fragments:
                path = Path(getattr(fragment, "path", "A table in memory"))
                read = partial(_of_fragment, fragment, schema)
                parts.append(TablePart(path, f"{path} of the data set", rows, read))
        else:
            files = files_of(table)
            footers: dict[Path, Any] = {}
            schema = arrow_files.common_schema(files, footers)
            parts = []
            for file in files:
                for number, (rows, read) in enumerate(
                    arrow_files.groups_of(file, schema, footers.get(file))
                ):
                    parts.append(
                        TablePart(file, f"{file}, row group {number}", rows, read)
                    )
        parts = [part for part in parts if part.rows]
        if not parts:
            raise TableError("The table has no rows.")
        return cls(parts, list(schema.names), table)

    def joined(self, most: int = JOINED) -> "TableParts":
        """Join small parts with their neighbors, up to a number of rows."""
        runs: list[list[TablePart]] = []
        room = 0
        for part in self.parts:
            is_large = part.rows >= arrow_files.SMALL
            if is_large or part.rows > room:
                runs.append([])
                room = most
            runs[-1].append(part)
            room = 0 if is_large else room - part.rows
        cache = _Cache()
        joined = []
        for number, run in enumerate(runs):
            first = run[0]
            if len(run) > 1:
                label = f"{first.label} and the next {len(run) - 1} part(s)"
                rows = sum(part.rows for part in run)
                first = TablePart(
                    first.path, label, rows, partial(cache.read, run, number), run
                )
            joined.append(first)
        return replace(self, parts=joined)

    @property
    def sizes(self) -> np.ndarray:
        """The number of rows of each part."""
        return np.array([part.rows for part in self.parts])

    def __iter__(self) -> Iterator[Frame]:
        """Yield the parts as data frames, indexed by the row numbers of the table."""
        start = 0
        for part in self.parts:
            frame = part.frame(is_checked=True)
            frame.index = pandas().RangeIndex(start, start + len(frame))
            yield frame
            start += len(frame)


def _fragments(dataset) -> Iterator[tuple[Any, int]]:
    """Yield the fragments of a data set with their row counts, and split Parquet files into row groups."""
    for fragment in dataset.get_fragments():
        if hasattr(fragment, "split_by_row_group"):
            for group in fragment.split_by_row_group():
                # count_rows() would count all row groups of the file
                yield group, group.row_groups[0].num_rows
        else:
            yield fragment, fragment.count_rows()


def _of_fragment(fragment, schema, is_checked: bool):
    return fragment.to_table(schema=schema)


def frames_of(
    table, estimator=None, target: str | None = None, classes: Sequence[str] = ()
) -> Iterable[Frame]:
    """Return a table as an iterable of data frames: its parts, if it has any, or the whole table.

    See `as_frame` for the arguments.

    Examples
    --------
    >>> [len(frame) for frame in frames_of(np.eye(3))]
    [3]
    """
    if may_be_in_parts(table):
        return TableParts.of(table).joined()
    return [as_frame(table, estimator, target, classes)]


def chunks_if_several(table) -> Iterator[Frame] | None:
    """Return a table's chunks, with unchanged text, if it has several files or can be read in parts."""
    is_several = (
        may_be_in_parts(table)
        or is_stream(table)
        or (is_path(table) and len(files_of(table)) > 1)
    )
    return read_chunks(table, as_text=True) if is_several else None
