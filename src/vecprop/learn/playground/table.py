"""Convert two columns of a user's table to points, and a third column to targets."""

import os
import re
import tempfile
import zipfile
from collections.abc import Container
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...tables.error import TableError, printable
from ...tables.kinds.ambiguities import NO_OPTIONS
from ...tables.kinds.formats import DateReading, NumberReading
from ...tables.kinds.kinds import common_decimal, guess_task, kind_of, target_reading
from ...tables.kinds.values import MISSING, as_names, read_days, read_numbers
from ...tables.reading.arrow_files import ARROW, PARQUET, one_line_errors
from ...tables.reading.delimited import DelimitedFile, require_columns
from ...tables.reading.file_lists import EXCEL, existing, is_compressed
from ...tables.reading.reading import as_classes, read_chunks
from .points import Axis, Points
from .settings import MOST_ROWS

MOST_BYTES, MOST_COLUMNS = 20_000_000, 1_000
MOST_CLASSES = 50
"""The maximum number of classes, and of categories on an axis."""

LONGEST_NAME = 60
"""The maximum number of characters of a displayed name."""

LOOKED_AT, MOST_EXAMINED = 100, 2_000
"""The number of columns considered as default axes, and the number of their rows that are examined."""

FEW = 10
"""Default axes have more distinct values than this if possible. A default target before the last column does not."""

TARGETS = "target label labels survived outcome response diagnosis species churn class y"
"""Names of targets, most likely first."""

_IDENTIFIER = re.compile(r"(?i:(?:.*[\W_])?(?:id|index|idx|no|nr|key|code|zip|uuid))|.*[a-z](?:Id|ID|No|Nr)")
"""Names of columns that identify rows or groups."""


class Table:
    """A table with columns to draw.

    Raises
    ------
    TableError
        If the table has too many or too few rows or columns.
    """

    def __init__(self, frame: Any) -> None:
        rows, columns = frame.shape
        _require_few(rows, columns)
        if rows < 4 or columns < 3:
            needed = "at least 4 rows and 3 columns are needed (two axes and the target)"
            raise TableError(f"The table has {rows} rows and {columns} columns, but {needed}.")
        self.frame, self.columns = frame, [str(name) for name in frame.columns]
        self.notes: list[str] = frame.attrs.get("notes", [])

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Table":
        """Read a table from a file.

        Raises
        ------
        TableError
            If the file is too large or cannot be read.
        """
        file = existing(Path(path))
        _require_small(file)
        if file.suffix.lower() not in (*PARQUET, *EXCEL):
            _require_few(0, len(DelimitedFile.of(file).names()))
        return cls(next(iter(read_chunks(path, MOST_ROWS + 1, as_text=True))))

    @classmethod
    def of_file(cls, name: str, content: bytes) -> "Table":
        """Read a table from the name and content of an uploaded file.

        Raises
        ------
        TableError
            If the file is too large or cannot be read.
        """
        shown = _shown(name)
        with tempfile.TemporaryDirectory() as folder:
            ending = Path(name).suffix.lower()
            is_plain = ending[1:].isalnum() and ending.isascii() and len(ending) <= 10
            path = Path(folder, "table").with_suffix(ending if is_plain else ".csv")
            path.write_bytes(content)
            try:
                table = cls.read(path)
            except TableError as error:
                raise TableError(str(error).replace(str(path), shown).replace(path.name, shown)) from None
        table.notes = [note.replace(path.name, shown) for note in table.notes]
        return table

    def chosen(self, columns: tuple[str, ...]) -> tuple[str, str, str]:
        """Return the columns for x, y and the target, by default the most suitable ones.

        The default target is a column with a typical name, or the last suitable column. The default axes are the
        numeric columns most related to the target, where dates count half. Identifiers, row numbers and columns with
        a single value come last.

        Raises
        ------
        TableError
            If a column does not exist or is chosen twice.
        """
        if not columns:
            return self._suggested
        require_columns(self.frame, columns)
        if len(columns) != 3 or len(set(columns)) < 3:
            raise TableError(f"Expected three different columns for x, y and the target, got {', '.join(columns)}.")
        x, y, target = columns
        return x, y, target

    @cached_property
    def _suggested(self) -> tuple[str, str, str]:
        """The default columns for x, y and the target."""
        from ...tables.explaining.relations import explained
        from ...tables.rows import row_numbers  # both import scikit-learn, which other data sets do not need

        some, counters = Table(self.frame.iloc[:: -(-len(self.frame) // MOST_EXAMINED)]), row_numbers(self.frame)
        target = some._likely_target(counters)
        t, classes, *_ = some._examined(target, counters, is_target=True)
        known = np.isfinite(t)
        y, ranks = np.unique(t[known], return_inverse=True)[1].astype(float), {}
        for name in [name for name in self.columns if name != target][:LOOKED_AT]:
            x, categories, has_dates, distinct, is_suitable = some._examined(name, counters)
            related = explained(x[known], y, is_classes=bool(classes)) if y.any() else 0.0
            share = np.isfinite(x).mean() * (0.5 if has_dates else 1.0)
            ranks[name] = is_suitable, distinct > FEW and not categories, related * share
        first, second, *_ = sorted(ranks, key=lambda name: ranks[name], reverse=True)
        return first, second, target

    def _likely_target(self, counters: Container[str]) -> str:
        """Return the column with a typical name, or the last suitable column, preferably with few distinct values."""
        names = {name.casefold(): name for name in reversed(self.columns)}
        first = [names[name] for name in TARGETS.split() if name in names and not (name == "y" and "x" in names)]
        first.append(self.columns[-1])
        for most in (FEW, np.inf):
            for name in [*first, *self.columns[: -LOOKED_AT - 1 : -1]]:
                *_, distinct, is_suitable = self._examined(name, counters, is_target=True)
                if is_suitable and (name in first or distinct <= most):
                    return name
        return self.columns[-1]

    def _examined(
        self, name: str, counters: Container[str], is_target: bool = False
    ) -> tuple[Any, Any, bool, int, bool]:
        """Return what `_values` returns, the number of distinct values, and whether to suggest the column."""
        try:
            values, categories, has_dates = self._values(name, is_target)
        except ValueError:  # the column cannot be drawn
            return np.full(len(self.frame), np.nan), (), False, 0, False
        distinct, before, after = len(np.unique(values[np.isfinite(values)])), values[:-1], values[1:]
        counts = (values == np.floor(values)).all() and ((before < after).all() or (before > after).all())
        identifies = _IDENTIFIER.fullmatch(name) or name in counters
        identifies = identifies or (distinct == len(values) if categories else counts)
        return values, categories, has_dates, distinct, distinct > 1 and not identifies

    def points(self, columns: tuple[str, ...], test: float, seed: int) -> Points:
        """Convert the rows to points, skipping rows with missing or unreadable values.

        Raises
        ------
        TableError
            If a column cannot be drawn or used as a target.
        """
        x, y, target = self.chosen(columns)
        read = [self._values(x), self._values(y), self._values(target, is_target=True)]
        complete = np.isfinite([values for values, *_ in read]).all(axis=0)
        self.notes = list(dict.fromkeys(self.notes + self._notes_on_target(target)))
        if complete.sum() < 4:
            few = f"Only {complete.sum()} rows have a value in each of {x!r}, {y!r} and {target!r}"
            raise TableError(f"{few}, but 4 are needed: choose other columns.")
        axes, places = [], []
        for name, (values, categories, has_dates) in zip((x, y, target), read, strict=True):
            axes.append(Axis.of(_shown(name), values[complete], categories, has_dates))
            places.append(axes[-1].place(values[complete]))
        classes = axes[2].categories
        t = read[2][0][complete].astype(int) if classes else places[2]
        XY = np.stack(places[:2], axis=1)
        return Points.drawn(XY, t, classes, (axes[0], axes[1]), axes[2], test=test, seed=seed)

    def _notes_on_target(self, target: str) -> list[str]:
        """Return notes on odd targets."""
        from ...tables.explaining.column_notes import odd_classes, odd_targets

        values, classes, _ = self._values(target, is_target=True)
        is_known = np.isfinite(values)
        named = f"The target {target!r}"
        if not classes:
            return odd_targets(self.frame[is_known], values[is_known], named)
        return odd_classes(as_classes(self.frame[target][is_known]).to_numpy(), named)

    def _values(self, name: str, is_target: bool = False) -> tuple[np.ndarray, tuple[str, ...], bool]:
        """Return a column as numbers, or as indices of categories; the categories' names; and whether it has dates."""
        series = self.frame[name]
        if not series.notna().any():
            raise TableError(f"Column {name!r} has no values: choose another{' target' if is_target else ''}.")
        if is_target:
            is_number = guess_task(series) == "regression"
            reading = target_reading(series, name, self.frame, NO_OPTIONS)[0] if is_number else None
        else:
            reading = kind_of(series, name, NO_OPTIONS, lambda: common_decimal(self.frame, NO_OPTIONS)).reading
        if isinstance(reading, NumberReading):
            return read_numbers(series, reading)[0], (), False
        if isinstance(reading, DateReading):
            return read_days(series, reading)[0], (), True
        names = as_names(series)
        categories = sorted(set(names) - {MISSING})
        if len(categories) > MOST_CLASSES:
            many = f"Column {name!r} has {len(categories):,} categories"
            raise TableError(f"{many}, but the limit is {MOST_CLASSES}: choose another.")
        numbers = {category: number for number, category in enumerate(categories)}
        return (
            np.array([numbers.get(each, np.nan) for each in names], dtype=float),
            tuple(map(_shown, categories)),
            False,
        )


def _require_small(file: Path) -> None:
    """Raise if a file or its uncompressed content is too large."""
    kind = file.suffix.lower()
    if not file.is_file() or is_compressed(file) or kind in ARROW:
        raise TableError(f"{file} has an unsupported file type: save it as CSV, Parquet or Excel.")
    size = file.stat().st_size
    if kind in EXCEL and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as parts:
            size = sum(part.file_size for part in parts.infolist())
    if kind in PARQUET and size <= MOST_BYTES:
        from pyarrow.parquet import read_metadata

        metadata = one_line_errors(file, lambda: read_metadata(file))
        _require_few(metadata.num_rows, metadata.num_columns)
        size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if size > MOST_BYTES:
        raise TableError(f"{file} has {size:,} bytes, but the limit is {MOST_BYTES:,}: use a part of it.")


def _require_few(rows: int, columns: int) -> None:
    if rows > MOST_ROWS:
        raise TableError(f"The table has more than {MOST_ROWS:,} rows: use a part of it.")
    if columns > MOST_COLUMNS:
        raise TableError(f"The table has {columns:,} columns, but the limit is {MOST_COLUMNS:,}: remove some.")


def _shown(name: str) -> str:
    """Format a name for display: printable, on one line, truncated."""
    line = printable(" ".join(name.split()))
    return line if len(line) <= LONGEST_NAME else f"{line[:LONGEST_NAME]}…"
