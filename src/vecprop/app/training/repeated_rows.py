"""Rows of the test that training has seen: a test of these tells what a model remembers, not what it has learned."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...tables.arrow_files import ARROW, PARQUET
from ...tables.error import TableError, pandas
from ...tables.excel import EXCEL
from ...tables.reading import Separated
from ..models.known_rows import Frame
from ..terminal.errors import UsageError

if TYPE_CHECKING:
    from .dividing import Parts, Request


def refuse_the_same_file(table: Path, test: Path) -> None:
    """Refuse a file of test rows that is the table of training."""
    if table.exists() and test.exists() and table.samefile(test):
        raise UsageError(f"--test {test} is the table of training itself: give other rows, or leave --test out.")


def repeated_rows(parts: "Parts", request: "Request") -> list[str]:
    """Return a note on rows of the test that are alike in training, with all values and the target, if there are any.

    Columns that are set aside, such as row numbers and weights, do not count.

    Parameters
    ----------
    parts : Parts
        The table, divided; the index of its rows counts those of their file from 0.
    request : Request
        The request, for the names of files and of the column of groups.

    Raises
    ------
    TableError
        If a file of test rows holds the rows of training and no others.
    """
    table, test, aside = request.table, request.test, parts.X.attrs["aside"].keys() - {request.split.group}
    names = [name for name in parts.X.columns if name not in aside and name in parts.X_test.columns]
    train, tested = (_digests(X[names], y) for X, y in ((parts.X, parts.y), (parts.X_test, parts.y_test)))
    again = np.isin(tested, train)
    if not again.any():
        return []
    if test is not None and np.array_equal(np.sort(train), np.sort(tested)):
        raise TableError(
            f"{test} has the rows of {table} and no others: give --test rows that training has not seen, or leave it "
            "out."
        )
    place = int(np.flatnonzero(again)[0])
    twin = int(np.flatnonzero(train == tested[place])[0])
    here = line_named(test or table, int(parts.X_test.index[place]))
    there = line_named(table, int(parts.X.index[twin]))
    return [
        f"{int(again.sum())} of the test's {len(again)} rows are in training too, with all values and the target, such "
        f"as {here}, which is {there} there: the test is easier for these than for new rows."
    ]


def line_named(path: Path, row: int) -> str:
    """Return the name of a row, counted from 0, in a file: its line in a text file."""
    if not path.is_file() or path.suffix.lower() in PARQUET | ARROW | EXCEL:
        return f"row {row + 1} of {path.name}"
    rows = Separated.of(path).rows()
    _, lines, _ = next(islice(rows, row + 1, None))
    rows.close()
    return f"line {lines[0]} of {path.name}"


def _digests(X: Frame, y: np.ndarray) -> np.ndarray:
    """Return a number for each row that is equal for rows that are alike, whatever the types of columns."""
    columns = {number: _plain(X[name]) for number, name in enumerate(X.columns)}
    frame = pandas().DataFrame({**columns, "target": _plain(pandas().Series(y, index=X.index))}, index=X.index)
    return pandas().util.hash_pandas_object(frame, index=False).to_numpy()


def _plain(series: Any) -> Any:
    """Return a column as numbers if it holds any, else as text."""
    types = pandas().api.types
    return series.astype(float) if types.is_numeric_dtype(series.dtype) else series.astype(str)
