"""Convert two columns of a user's table to points, and a third column to targets."""

import os
import re
import tempfile
import zipfile
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...core import Array
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
from .session_settings import MOST_ROWS

MOST_BYTES, MOST_COLUMNS = 20_000_000, 1_000
MOST_CLASSES = 50
"""The maximum number of classes, and of categories on an axis."""

LONGEST_NAME = 60
"""The maximum number of characters of a displayed name."""

LOOKED_AT, MOST_EXAMINED = 100, 2_000
"""The number of columns considered as default axes, and the number of their rows
that are examined.
"""

FEW = 10
"""Default axes have more distinct values than this if possible. A default target
before the last column does not.
"""

TARGETS = (
    "target label labels survived outcome response diagnosis species churn class y"
)
"""Names of targets, most likely first."""

_IDENTIFIER = re.compile(
    r"(?i:(?:.*[\W_])?(?:id|index|idx|no|nr|key|code|zip|uuid))|.*[a-z](?:Id|ID|No|Nr)"
)
"""Names of columns that identify rows or groups."""


class PlaygroundTable:
    """A table with columns to draw.

    Raises
    ------
    TableError
        If the table has too many or too few rows or columns.
    """

    def __init__(self, frame):
        rows, columns = frame.shape
        _require_few(rows, columns)
        if rows < 4 or columns < 3:
            raise TableError(
                f"The table has {rows} rows and {columns} columns, but at least 4 rows"
                " and 3 columns are needed (two axes and the target)."
            )
        self.frame = frame
        self.columns = [str(name) for name in frame.columns]
        self.notes: list[str] = frame.attrs.get("notes", [])

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "PlaygroundTable":
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
    def from_upload(cls, name: str, content: bytes) -> "PlaygroundTable":
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
                raise TableError(
                    str(error).replace(str(path), shown).replace(path.name, shown)
                ) from None
        table.notes = [note.replace(path.name, shown) for note in table.notes]
        return table

    def chosen(self, columns: tuple[str, ...]) -> tuple[str, str, str]:
        """Return the columns for x, y and the target, by default the most suitable ones.

        The default target is a column with a typical name, or the last suitable column.
        The default axes are the numeric columns most related to the target, where dates
        count half. Identifiers, row numbers and columns with a single value come last.

        Raises
        ------
        TableError
            If a column does not exist or is chosen twice.
        """
        if not columns:
            return self._suggested
        require_columns(self.frame, columns)
        if len(columns) != 3 or len(set(columns)) < 3:
            raise TableError(
                "Expected three different columns for x, y and the target, got"
                f" {', '.join(columns)}."
            )
        x, y, target = columns
        return x, y, target

    @cached_property
    def _suggested(self):
        """The default columns for x, y and the target."""
        from ...tables.explaining.relations import explained

        # both import scikit-learn, which other data sets do not need
        from ...tables.rows import row_numbers

        step = -(-len(self.frame) // MOST_EXAMINED)
        sample = PlaygroundTable(self.frame.iloc[::step])
        counters = row_numbers(self.frame)
        target = sample._likely_target(counters)
        t = sample._examined(target, counters, is_target=True).column
        has_target = np.isfinite(t.numbers)
        _, ranks_of_targets = np.unique(t.numbers[has_target], return_inverse=True)
        y = ranks_of_targets.astype(float)
        other_columns = [name for name in self.columns if name != target]
        ranks = {}
        for name in other_columns[:LOOKED_AT]:
            x = sample._examined(name, counters)
            numbers = x.column.numbers
            relation = 0.0
            if y.any():
                is_classes = bool(t.categories)
                relation = explained(numbers[has_target], y, is_classes=is_classes)
            relation *= np.isfinite(numbers).mean()
            if x.column.has_dates:
                relation *= 0.5
            is_numeric = x.distinct > FEW and not x.column.categories
            ranks[name] = (x.is_suitable, is_numeric, relation)
        first, second, *_ = sorted(ranks, key=ranks.__getitem__, reverse=True)
        return first, second, target

    def _likely_target(self, counters):
        """Return the column with a typical name, or the last suitable column.

        A column without a typical name has few distinct values if possible.
        """
        names = {name.casefold(): name for name in reversed(self.columns)}
        likely = [names[name] for name in TARGETS.split() if name in names]
        if "x" in names and "y" in names:
            likely.remove(names["y"])  # it is an axis
        likely.append(self.columns[-1])
        last_columns = self.columns[::-1][:LOOKED_AT]
        for most in (FEW, np.inf):
            for name in likely + last_columns:
                x = self._examined(name, counters, is_target=True)
                if x.is_suitable and (name in likely or x.distinct <= most):
                    return name
        return self.columns[-1]

    def _examined(self, name, counters, is_target=False):
        """Return a column and whether it is a suitable default; `counters` are row numbers."""
        try:
            column = self._values(name, is_target)
        except ValueError:  # the column cannot be drawn
            return ExaminedColumn(ColumnValues(np.full(len(self.frame), np.nan)))
        numbers = column.numbers
        distinct = len(np.unique(numbers[np.isfinite(numbers)]))
        if column.categories:
            identifies_rows = distinct == len(numbers)
        else:
            before = numbers[:-1]
            after = numbers[1:]
            is_monotonic = (before < after).all() or (before > after).all()
            identifies_rows = is_monotonic and (numbers == np.floor(numbers)).all()
        is_identifier = (
            _IDENTIFIER.fullmatch(name) or name in counters or identifies_rows
        )
        return ExaminedColumn(column, distinct, distinct > 1 and not is_identifier)

    def points(self, columns: tuple[str, ...], test: float, seed: int) -> Points:
        """Convert the rows to points, skipping rows with missing or unreadable values.

        Raises
        ------
        TableError
            If a column cannot be drawn or used as a target.
        """
        x, y, target = self.chosen(columns)
        values = {
            x: self._values(x),
            y: self._values(y),
            target: self._values(target, is_target=True),
        }
        complete = np.isfinite([column.numbers for column in values.values()]).all(
            axis=0
        )
        self.notes = list(
            dict.fromkeys(self.notes + self._notes_on_target(target, values[target]))
        )
        if complete.sum() < 4:
            raise TableError(
                f"Only {complete.sum()} rows have a value in each of {x!r}, {y!r} and"
                f" {target!r}, but 4 are needed: choose other columns."
            )
        axes = []
        positions = []
        for name, (numbers, categories, has_dates) in values.items():
            axis = Axis.from_values(
                _shown(name), numbers[complete], categories, has_dates
            )
            axes.append(axis)
            positions.append(axis.place(numbers[complete]))
        x_axis, y_axis, target_axis = axes
        XY = np.stack(positions[:2], axis=1)
        t = positions[2]
        classes = target_axis.categories
        if classes:
            t = values[target].numbers[complete].astype(int)
        return Points.drawn(
            XY, t, classes, (x_axis, y_axis), target_axis, test=test, seed=seed
        )

    def _notes_on_target(self, target, column):
        """Return notes on odd targets."""
        from ...tables.explaining.column_notes import odd_classes, odd_targets

        has_value = np.isfinite(column.numbers)
        subject = f"The target {target!r}"
        if not column.categories:
            return odd_targets(
                self.frame[has_value], column.numbers[has_value], subject
            )
        return odd_classes(
            as_classes(self.frame[target][has_value]).to_numpy(), subject
        )

    def _values(self, name, is_target=False):
        series = self.frame[name]
        if not series.notna().any():
            another = "another target" if is_target else "another"
            raise TableError(f"Column {name!r} has no values: choose {another}.")
        reading = self._reading(series, name, is_target)
        if isinstance(reading, NumberReading):
            numbers, *_ = read_numbers(series, reading)
            return ColumnValues(numbers)
        if isinstance(reading, DateReading):
            days, *_ = read_days(series, reading)
            return ColumnValues(days, has_dates=True)
        names = as_names(series)
        categories = sorted(set(names) - {MISSING})
        if len(categories) > MOST_CLASSES:
            raise TableError(
                f"Column {name!r} has {len(categories):,} categories, but the limit is"
                f" {MOST_CLASSES}: choose another."
            )
        indices = {category: index for index, category in enumerate(categories)}
        numbers = np.array([indices.get(category, np.nan) for category in names], float)
        return ColumnValues(numbers, tuple(map(_shown, categories)))

    def _reading(self, series, name, is_target):
        """Return how a column is read as numbers or dates, or another value for categories."""
        if not is_target:
            kind = kind_of(
                series,
                name,
                NO_OPTIONS,
                decimal=lambda: common_decimal(self.frame, NO_OPTIONS),
            )
            return kind.reading
        if guess_task(series) == "regression":
            reading, *_ = target_reading(series, name, self.frame, NO_OPTIONS)
            return reading
        return None


class ColumnValues(NamedTuple):
    """A column as numbers or as indices of categories, with the names of the categories."""

    numbers: Array
    categories: tuple[str, ...] = ()
    has_dates: bool = False


class ExaminedColumn(NamedTuple):
    """A column, the number of its distinct values, and whether it is a suitable default."""

    column: ColumnValues
    distinct: int = 0
    is_suitable: bool = False


def _require_small(file):
    """Raise if a file or its uncompressed content is too large."""
    kind = file.suffix.lower()
    if not file.is_file() or is_compressed(file) or kind in ARROW:
        raise TableError(
            f"{file} has an unsupported file type: save it as CSV, Parquet or Excel."
        )
    size = file.stat().st_size
    if kind in EXCEL and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as parts:
            size = sum(part.file_size for part in parts.infolist())
    if kind in PARQUET and size <= MOST_BYTES:
        from pyarrow.parquet import read_metadata

        with one_line_errors(file):
            metadata = read_metadata(file)
        _require_few(metadata.num_rows, metadata.num_columns)
        size = sum(
            metadata.row_group(number).total_byte_size
            for number in range(metadata.num_row_groups)
        )
    if size > MOST_BYTES:
        raise TableError(
            f"{file} has {size:,} bytes, but the limit is {MOST_BYTES:,}: use a part"
            " of it."
        )


def _require_few(rows, columns):
    if rows > MOST_ROWS:
        raise TableError(
            f"The table has more than {MOST_ROWS:,} rows: use a part of it."
        )
    if columns > MOST_COLUMNS:
        raise TableError(
            f"The table has {columns:,} columns, but the limit is {MOST_COLUMNS:,}:"
            " remove some."
        )


def _shown(name):
    """Format a name for display: printable, on one line, truncated."""
    line = printable(" ".join(name.split()))
    return line if len(line) <= LONGEST_NAME else f"{line[:LONGEST_NAME]}…"
