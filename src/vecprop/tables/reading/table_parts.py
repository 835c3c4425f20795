"""A table in parts that are read one at a time and in any order: row groups of Parquet files, or of a data set."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..error import TableError, pandas
from . import arrow_files
from .file_lists import files_of
from .frames import Frame, as_frame
from .reading import is_dataset, may_be_in_parts


@dataclass(frozen=True, eq=False)
class TablePart:
    """A part of a table.

    Parameters
    ----------
    read : callable
        Returns it as an Arrow table; its argument says whether it is compared with what the file tells of it.
    """

    place: str
    rows: int
    read: Callable[[bool], Any]

    def frame(self, is_checked: bool = False) -> Frame:
        """Return the part as a data frame, compared with what its file tells of it unless that was done before."""
        path = Path(self.place)
        return as_frame(arrow_files.as_frame(path, arrow_files.one_line_errors(path, lambda: self.read(is_checked))))


@dataclass(frozen=True, eq=False)
class TableParts:
    """A table in parts, of which empty ones are left out.

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

    @classmethod
    def of(cls, table: Any) -> "TableParts":
        """Return the parts of Parquet or Arrow files, or of a data set.

        Raises
        ------
        TableError
            If files do not go together, or there are no rows.
        """
        if is_dataset(table):
            schema, parts = table.schema, []
            for fragment in table.get_fragments():
                place = f"{getattr(fragment, 'path', 'A table in memory')} of the data set"
                groups = fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]
                for of in groups:
                    read = partial(of.to_table, schema=schema)
                    parts.append(TablePart(place, of.count_rows(), lambda is_checked, read=read: read()))
        else:
            files = files_of(table)
            schema = arrow_files.common_schema(files)
            parts = [
                TablePart(f"{file}, row group {number}", rows, read)
                for file in files
                for number, (rows, read) in enumerate(arrow_files.groups_of(file, schema))
            ]
        parts = [part for part in parts if part.rows]
        if not parts:
            raise TableError("The table has no rows.")
        return cls(parts, list(schema.names))

    @property
    def sizes(self) -> np.ndarray:
        """The number of rows of each part."""
        return np.array([part.rows for part in self.parts])

    def __iter__(self) -> Iterator[Frame]:
        """Yield the parts as data frames, whose rows are named by their numbers in the table."""
        start = 0
        for part in self.parts:
            frame = part.frame(is_checked=True)
            frame.index = pandas().RangeIndex(start, start + len(frame))
            yield frame
            start += len(frame)


def frames_of(
    table: Any, estimator: Any = None, target: str | None = None, classes: Sequence[str] = ()
) -> Iterable[Frame]:
    """Return a table as data frames, which can be gone through again: its parts, if it has any, or all of it.

    The arguments are those of `as_frame`.

    Examples
    --------
    >>> [len(frame) for frame in frames_of(np.eye(3))]
    [3]
    """
    return TableParts.of(table) if may_be_in_parts(table) else [as_frame(table, estimator, target, classes)]
