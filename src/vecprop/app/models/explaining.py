"""Explanations of a model, and of some rows of a table, which are named by their lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...tables.error import TableError, pandas, printable
from ...tables.evaluation.metrics import columns_of_text
from ...tables.explaining.contributions import Explanations
from ...tables.explaining.importance import Importance, importances, influences
from ...tables.explaining.losses import loss_name
from ...tables.reading.file_lists import STANDARD_INPUT
from ...tables.reading.frames import as_frame
from ...tables.reading.table_parts import TableParts, may_be_in_parts
from ...tables.rows import Roles, UsedRows
from ...tables.table_model import TableModel
from ...terminal.errors import UsageError
from .known_rows import class_numbers, classes_of, numbers_of, target_of
from .predicting import notes_on


def explained_rows(
    model: Any, table: Path, numbers: Sequence[int], background: Path | None
) -> tuple[Explanations, list[str]]:
    """Return why rows of a table are predicted so, and notes on what of them is unlike training.

    Parameters
    ----------
    numbers : sequence of int
        The lines of the rows in a text file, their rows in an Excel sheet, or their numbers from 0 in another file or
        folder.

    Raises
    ------
    TableError
        If the table has no such row.
    UsageError
        If the model is not one of tables, or the table is a folder of text, which has a line 2 in each file.
    """
    _require_table_model(model)
    numbers = list(dict.fromkeys(numbers))
    if table.is_dir():
        rows = _rows_of_folder(table, numbers)
    else:
        frame = as_frame(table)
        rows = frame.iloc[[place_of(frame.index, number, table) for number in numbers]]
    return model.explain(rows, background), notes_on(model, rows.drop(columns=model.target or [], errors="ignore"))


class ExplainedModel(NamedTuple):
    """How much each column of a model matters."""

    measure: str
    importances: list[Importance]

    def __repr__(self) -> str:
        rows = [["column", "importance", "95 % interval"]]
        for of in self.importances:
            for indent, each in [("", of), *(("  ", alone) for alone in of.alone)]:
                ends = f"{each.low:.4g} to {each.high:.4g}"
                rows.append([indent + printable(" and ".join(each.columns)), f"{each.rise:.4g}", ends])
        return f"{self.measure}\n{columns_of_text(rows)}"

    def to_frame(self) -> Any:
        """Return the importances as a data frame."""
        columns = ["column", "importance", "low", "high"]
        rows = [(" and ".join(each.columns), each.rise, each.low, each.high) for each in self.importances]
        return pandas().DataFrame(rows, columns=columns)


def explained_model(model: Any, table: Path | None) -> tuple[ExplainedModel, list[str]]:
    """Return how much each column matters to a model, and notes on a table.

    With a table that has the target, that is how much the loss rises when a column is shuffled; else how much the
    predictions change, on the table's rows or on rows that are drawn as each column is distributed in training.
    """
    _require_table_model(model)
    shuffled = "when the values of a column are shuffled"
    frame = None if table is None else as_frame(table, target=model.target, classes=classes_of(model))
    if frame is not None and model.target in frame.columns:
        frame, _, _, notes = UsedRows.of(frame, Roles(model.target))
        X, y = frame.drop(columns=model.target), frame[model.target]
        if hasattr(model, "classes_"):
            truth = class_numbers(target_of(frame, model.target, "classification"), model.classes_)
        else:
            truth = numbers_of(y, model.target, getattr(model, "target_reading_", None))
        rise = f"How much the {loss_name(model)} of {len(frame)} rows of {table} rises {shuffled}:"
        return ExplainedModel(rise, importances(model, X, truth)), notes + notes_on(model, X)
    notes = [] if frame is None else [*frame.attrs.get("notes", []), *notes_on(model, frame)]
    rows = "rows drawn as in training" if frame is None else f"{len(frame)} rows of {table}"
    output, found = influences(model, frame)
    return ExplainedModel(f"How much the {output} of {rows} changes on average {shuffled}:", found), notes


def _require_table_model(model: Any) -> None:
    if not isinstance(model, TableModel):
        raise UsageError(
            f"The file holds a {type(model).__name__}: only models of tables, as `vecprop train` writes them, are "
            "explained."
        )


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
