"""Rows of the test that training has seen: a test of these tells what a model remembers, not what it has learned."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...tables.encoding.columns import row_named
from ...tables.error import TableError, pandas
from ...tables.kinds.values import as_names, own_reading, read_numbers
from ...terminal.errors import UsageError

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
        The table, divided; the index of its rows is their lines in a text file, else it counts them from 0.

    Raises
    ------
    TableError
        If a file of test rows holds the rows of training and no others.
    """
    table, test, aside = request.table, request.test, parts.X.attrs["aside"].keys() - {request.split.group}
    names = [name for name in parts.X.columns if name not in aside and name in parts.X_test.columns]
    pairs = [(parts.X[name], parts.X_test[name]) for name in names]
    pairs.append((pandas().Series(parts.y), pandas().Series(parts.y_test)))
    train, tested = map(_digests, zip(*(_in_like_terms(*pair) for pair in pairs), strict=True))
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
    here = f"{row_named(parts.X_test.index, place)} of {(test or table).name}"
    there = f"{row_named(parts.X.index, twin)} of {table.name}"
    return [
        f"{int(again.sum())} of the test's {len(again)} rows are in training too, with all values and the target, such "
        f"as {here}, which is {there} there: the test is easier for these than for new rows."
    ]


def known_groups(parts: "Parts", name: str | None) -> list[str]:
    """Return a note on rows of the test whose group training has, if there are any; the name is that of the column."""
    if name is None or name not in parts.X_test.columns:
        return []
    groups, of_training = (pandas().Series(as_names(part[name])) for part in (parts.X_test, parts.X))
    count = int(groups.isin(of_training).sum())
    if not count:
        return []
    return [
        f"{count} of the test's {len(parts.y_test)} rows are of groups (column {name!r}) that training has: the test "
        "is easier for these than for those of new groups."
    ]


def _digests(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return a number for each row that is equal for rows that are alike."""
    return pandas().util.hash_pandas_object(pandas().DataFrame(dict(enumerate(columns))), index=False).to_numpy()


def _in_like_terms(train: Any, test: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a column of both parts as numbers, by the signs of training, or else as text, whatever its types."""
    reading = own_reading(train)
    (x, is_unread), (x_test, is_unread_in_test) = (read_numbers(series, reading) for series in (train, test))
    if not (is_unread.any() or is_unread_in_test.any()):
        return x, x_test
    return train.astype(str).to_numpy(dtype=object), test.astype(str).to_numpy(dtype=object)
