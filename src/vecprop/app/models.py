"""Describe, check and explain trained models, for commands."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..check import Report, check_gradients
from ..files.networks import TrainedNetwork
from ..tables.encoding.encoder import require_inputs
from ..tables.error import TableError, kind_of_note, pandas, printable, ranked
from ..tables.evaluation.metrics import columns_of_text
from ..tables.evaluation.report.sections import ROWS, check_of_first_network
from ..tables.evaluation.targets import (
    as_learned,
    classes_of,
    errors_of_steps,
    known_rows,
    plain_target,
    positive_class,
    rows_for,
)
from ..tables.explaining.contributions import Explanations
from ..tables.explaining.importance import Importance, as_texts, importances, influences, loss_name
from ..tables.reading.file_lists import STANDARD_INPUT
from ..tables.reading.frames import as_frame
from ..tables.reading.reading import may_be_in_parts
from ..tables.reading.table_parts import TableParts
from ..tables.rows import Roles, UsedRows
from ..tables.table_model import TableModel
from ..terminal.messages import UsageError


def described(model, document: dict[str, Any]) -> dict[str, Any]:
    """Return a description of a model and of the document in its file.

    Examples
    --------
    >>> network = Network(2, [Dense(1)], SquaredError())
    >>> described(TrainedNetwork(network, network.init(seed=0)), {})["model"]
    'TrainedNetwork'
    """
    last: Any = model.steps[-1][1] if hasattr(model, "steps") else model
    said: dict[str, Any] = {"model": type(last).__name__}
    if hasattr(last, "ensemble_"):
        said |= {"target": last.target, "networks": sum(map(len, last._ensembles))}
    if hasattr(last, "classes_"):
        said["classes"] = last.classes_.tolist()
    if (positive := positive_class(last)) is not None:
        said["positive"] = positive
    if hasattr(last, "threshold_"):
        said["threshold"] = last.threshold_
    for note in getattr(last, "notes_", []):
        if kind_of_note(note) in ("refitted", "no test"):
            said["note"] = note
    said |= {name: dict(document[name]) for name in ("columns", "metrics") if document.get(name)}
    if isinstance(last, TableModel):
        network = last.ensemble_.views[0].network
    else:
        network = last.network if isinstance(last, TrainedNetwork) else last.network_
    said["network"] = str(network.summary())
    if document.get("written by"):
        said["written by"] = document["written by"]
    return said


def check_model(model, table: Path, target: str | None) -> Report:
    """Check the training gradients of a model, or of an ensemble's first network, on a table."""
    frame, target, _ = known_rows(model, table, target)
    frame = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, ROWS).astype(int))]
    X, last = rows_for(model, frame.drop(columns=target)), model
    if hasattr(model, "steps"):
        with errors_of_steps(model):
            X, last = model[:-1].transform(X), model[-1]
    if not isinstance(last, TableModel):
        return last.check_gradients(X, frame[target].to_numpy())
    y = as_learned(last, plain_target(last, frame, target))
    classes = getattr(last, "classes_", None)
    if classes is not None and (y < 0).all():
        known = ", ".join(map(repr, classes[:5].tolist()))
        classes = f"the model's classes, such as {known}"
        raise TableError(f"The target column {target!r} has none of {classes}.")
    return check_of_first_network(last, X, y)


def check_function(name: str, size: int, seed: int) -> Report:
    """Check the gradient of a function given as ``module:function``.

    Parameters
    ----------
    name : str
        The function, as MODULE:FUNCTION; it takes theta, and returns its value and its gradient. The module is searched
        in the current folder first.
    """
    module_name, _, function_name = name.partition(":")
    sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        advice = "give MODULE:FUNCTION, without .py"
        raise UsageError(f"The module {module_name!r} is neither in this folder nor installed: {advice}.") from None
    finally:
        sys.path.remove("")
    if not callable(function):
        advice = "give the name of a function of this file"
        raise UsageError(f"The module {module_name!r} has no function {function_name!r}: {advice}.")
    return check_gradients(function, np.random.default_rng(seed).normal(size=size))


def explained_rows(
    model, table: Path, numbers: Sequence[int], background: Path | None
) -> tuple[Explanations, list[str]]:
    """Explain the predictions of some rows of a table; also return notes on drift from the training data.

    Parameters
    ----------
    numbers : sequence of int
        The lines of the rows in a text file, the rows of an Excel sheet, or indices from 0 in other files or folders.

    Raises
    ------
    TableError
        If the table does not have a row.
    UsageError
        If the model is not tabular, or the table is a folder of text files, where lines are ambiguous.
    """
    _require_table_model(model)
    numbers = list(dict.fromkeys(numbers))
    if not table.is_dir():
        frame = as_frame(table)
        rows = frame.iloc[[place_of(frame.index, number, table) for number in numbers]]
    elif not may_be_in_parts(table):
        raise UsageError(f"{table} is a folder: give the file in it that contains the rows.")
    else:
        parts = TableParts.of(table)  # reads only the parts that contain the rows
        ends = np.cumsum(parts.sizes)
        if max(numbers) >= ends[-1]:
            raise _no_row(str(table), max(numbers), ends[-1] - 1)
        found = []
        for number in numbers:
            part = int(np.searchsorted(ends, number, side="right"))
            frame = parts.parts[part].frame(is_checked=True)
            found.append(frame.iloc[[number - ends[part]]].set_axis([number]))  # negative: from the end of the part
        rows = pandas().concat(found)
    return model.explain(rows, background), model.detect_drift(rows)


class ExplainedModel(NamedTuple):
    """The importance of each column of a model."""

    measure: str
    importances: list[Importance]

    def __repr__(self) -> str:
        rows = [["column", "importance", "95 % interval"]]
        texts = as_texts(self.importances)
        for group in self.importances:
            for importance in (group, *group.alone):
                indent = "" if importance is group else "  "
                text = texts[importance.columns]
                interval = f"{text.low} to {text.high}" if text.low else "none"
                rows.append([indent + printable(" and ".join(importance.columns)), text.value, interval])
        return f"{self.measure}\n{columns_of_text(rows)}"

    def to_frame(self) -> Any:
        """Return the importances as a data frame."""
        columns = ["column", "importance", "low", "high"]
        rows = [(" and ".join(each.columns), each.rise, each.low, each.high) for each in self.importances]
        return pandas().DataFrame(rows, columns=columns)


def explained_model(model, table: Path | None) -> tuple[ExplainedModel, list[str]]:
    """Return the importance of each column for a model, and notes on the table.

    If the table has the target, the importance is the rise of the loss when the column is shuffled. Otherwise the
    importance is the change of the predictions, on rows of the table or rows drawn from the training distributions.
    """
    _require_table_model(model)
    shuffled = "when a column is shuffled"
    frame = None if table is None else as_frame(table, target=model.target, classes=classes_of(model))
    if frame is not None and model.target in frame.columns:
        require_inputs(list(model.feature_names_in_), frame)
        frame, _, _, notes = UsedRows.of(frame, Roles(model.target))
        X, y, trained = frame.drop(columns=model.target), plain_target(model, frame, model.target), model.trained_rows_
        notes += trained.not_by_chance(trained.count(model.encoder_, X, y), len(X))[1]
        rise = f"Rise of the {loss_name(model)} on {len(frame)} rows of {table} {shuffled}:"
        return ExplainedModel(rise, importances(model, X, as_learned(model, y))), ranked(
            [*notes, *model.detect_drift(X)]
        )
    notes = [] if frame is None else model.detect_drift(frame)
    rows = "rows drawn from the training distributions" if frame is None else f"{len(frame)} rows of {table}"
    output, found = influences(model, frame)
    change = f"Mean change of the {output.removeprefix('the ')} on {rows} {shuffled}:"
    return ExplainedModel(change, found), notes


def _require_table_model(model) -> None:
    if not isinstance(model, TableModel):
        rule = "only tabular models, as written by `vecprop train`, can be explained."
        raise UsageError(f"The file contains a {type(model).__name__}: {rule}")


def _no_row(said: str, number: int, last: int) -> TableError:
    return TableError(f"{said} has no row {number}: --row must be between 0 and {last}.")


def place_of(index, number: int, table: Path) -> int:
    """Return the position of the row with this line or index.

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
        raise TableError(f"{said} has no row on line {number}: --row must be a line from {index[0]} to {index[-1]}.")
    others = f"the nearest rows end in lines {index[place - 1]} and {index[place]}."
    raise TableError(f"{said} has no row that ends in line {number} (blank, or continued on the next line): {others}")
