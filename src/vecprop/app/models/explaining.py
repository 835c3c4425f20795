"""Explanations of some rows of a table, which are named by their lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...tables.error import TableError, pandas
from ...tables.explaining.contributions import Explanations
from ...tables.file_lists import STANDARD_INPUT
from ...tables.frames import as_frame
from ...tables.table_model import TableModel
from ...tables.table_parts import TableParts, may_be_in_parts
from ..terminal.errors import UsageError
from .predicting import notes_on


def explained_rows(
    model: Any, table: Path, numbers: Sequence[int], background: Path | None
) -> tuple[Explanations, list[str]]:
    """Return why rows of a table are predicted so, and notes on what of them is unlike training.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The model.
    table : Path
        The table.
    numbers : sequence of int
        The lines of the rows in a text file, their rows in an Excel sheet, or their numbers from 0 in another file or
        folder.
    background : Path or None
        A table of rows to compare with.

    Raises
    ------
    TableError
        If the table has no such row.
    UsageError
        If the model is not one of tables, or the table is a folder of text, which has a line 2 in each file.
    """
    if not isinstance(model, TableModel):
        raise UsageError(
            f"The file holds a {type(model).__name__}: only models of tables, as `vecprop train` writes them, are "
            "explained."
        )
    numbers = list(dict.fromkeys(numbers))
    if table.is_dir():
        rows = _rows_of_folder(table, numbers)
    else:
        frame = as_frame(table)
        rows = frame.iloc[[place_of(frame.index, number, table) for number in numbers]]
    return model.explain(rows, background), notes_on(model, rows.drop(columns=model.target or [], errors="ignore"))


def _rows_of_folder(table: Path, numbers: Sequence[int]) -> Any:
    """Return rows of a folder, of which no other parts are read."""
    if not may_be_in_parts(table):
        raise UsageError(f"{table} is a folder: name the file in it that has the rows.")
    parts = TableParts.of(table)
    ends = np.cumsum(parts.sizes)
    if max(numbers) >= ends[-1]:
        raise _no_row(str(table), max(numbers), ends[-1] - 1)
    found = []
    for number in numbers:
        part = int(np.searchsorted(ends, number, side="right"))
        frame = parts.parts[part].frame(is_checked=True)
        found.append(frame.iloc[[number - ends[part]]].set_axis([number]))  # counted from the end of the part
    return pandas().concat(found)


def _no_row(said: str, number: int, last: int) -> TableError:
    return TableError(f"{said} has no row {number}: its rows are counted from 0 to {last}.")


def place_of(index: Any, number: int, table: Path) -> int:
    """Return the place of the row of this line or number, or refuse a number of no row.

    Examples
    --------
    >>> import pandas as pd
    >>> place_of(pd.Index([2, 3, 6], name="line"), 6, Path("people.csv"))
    2
    """
    place = int(np.searchsorted(index, number))
    if place < len(index) and index[place] == number:
        return place
    said = "standard input" if table == STANDARD_INPUT else str(table)
    if index.name != "line":
        raise _no_row(said, number, index[-1])
    if not 0 < place < len(index):
        raise TableError(
            f"{said} has no row in line {number}: its rows are in the lines {index[0]} to {index[-1]}, after the line "
            "of names."
        )
    raise TableError(
        f"{said} has no row that ends in line {number}, which is blank or goes on: the rows around it end in the lines "
        f"{index[place - 1]} and {index[place]}."
    )
