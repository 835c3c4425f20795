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
    has_several_targets,
    known_rows,
    plain_target,
    positive_class,
    rows_for,
)
from ..tables.explaining.contributions import Explanations
from ..tables.explaining.importance import (
    Importance,
    as_texts,
    importances,
    influences,
    loss_name,
)
from ..tables.reading.file_lists import STANDARD_INPUT
from ..tables.reading.frames import Frame, as_frame
from ..tables.reading.reading import may_be_in_parts
from ..tables.reading.table_parts import TableParts
from ..tables.rows import Roles, UsedRows
from ..tables.table_model import TableModel
from ..terminal.messages import UsageError


def described(model, document: dict) -> dict:
    """Return a description of a model and of the document in its file.

    Examples
    --------
    >>> network = Network(2, [Dense(1)], SquaredError())
    >>> described(TrainedNetwork(network, network.init(seed=0)), {})["model"]
    'TrainedNetwork'
    """
    if hasattr(model, "steps"):
        model = model[-1]
    description: dict = {"model": type(model).__name__}
    if hasattr(model, "ensemble_"):
        description |= {
            "target": model.target,
            "networks": sum(map(len, model._ensembles)),
        }
    if hasattr(model, "classes_") and not has_several_targets(model):
        description["classes"] = model.classes_.tolist()
    positive = positive_class(model)
    if positive is not None:
        description["positive"] = positive
    if hasattr(model, "threshold_"):
        description["threshold"] = model.threshold_
    for note in getattr(model, "notes_", []):
        if kind_of_note(note) in ("refitted", "no test"):
            description["note"] = note
    for name in ("columns", "metrics"):
        if document.get(name):
            description[name] = dict(document[name])
    if isinstance(model, TableModel):
        network = model.ensemble_.views[0].network
    elif isinstance(model, TrainedNetwork):
        network = model.network
    else:
        network = model.network_
    description["network"] = str(network.summary())
    if document.get("written by"):
        description["written by"] = document["written by"]
    return description


def check_model(model, table: Path, target: str | None) -> Report:
    """Check the training gradients of a model, or of an ensemble's first network, on a table."""
    if has_several_targets(model):
        model._require_one_target("be checked")
    frame, target, _ = known_rows(model, table, target)
    sample = np.unique(np.linspace(0, len(frame) - 1, ROWS).astype(int))
    frame = frame.iloc[sample]
    X = rows_for(model, frame.drop(columns=target))
    if hasattr(model, "steps"):
        pipeline = model
        with errors_of_steps(pipeline):
            X = pipeline[:-1].transform(X)
        model = pipeline[-1]
    if not isinstance(model, TableModel):
        return model.check_gradients(X, frame[target].to_numpy())
    y = as_learned(model, plain_target(model, frame, target))
    # negative: not a class of the model
    if hasattr(model, "classes_") and (y < 0).all():
        classes = ", ".join(classes_of(model, repr)[:5])
        raise TableError(
            f"The target column {target!r} has none of the model's classes, such as"
            f" {classes}."
        )
    return check_of_first_network(model, X, y)


def check_function(name: str, size: int, seed: int) -> Report:
    """Check the gradient of a function given as ``module:function``.

    Parameters
    ----------
    name : str
        The function, as MODULE:FUNCTION; it takes theta, and returns its value and its
        gradient. The module is searched in the current folder first.
    """
    module_name, _, function_name = name.partition(":")
    sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise UsageError(
            f"The module {module_name!r} is neither in this folder nor installed: give"
            " MODULE:FUNCTION, without .py."
        ) from None
    finally:
        sys.path.remove("")
    if not callable(function):
        raise UsageError(
            f"The module {module_name!r} has no function {function_name!r}: give the"
            " name of a function of this file."
        )
    return check_gradients(function, np.random.default_rng(seed).normal(size=size))


def explained_rows(
    model, table: Path, numbers: Sequence[int], background: Path | None
) -> tuple[Explanations, list[str]]:
    """Explain the predictions of some rows of a table; also return notes on drift from the training data.

    Parameters
    ----------
    numbers : sequence of int
        The lines of the rows in a text file, the rows of an Excel sheet, or indices
        from 0 in other files or folders.

    Raises
    ------
    TableError
        If the table does not have a row.
    UsageError
        If the model is not tabular, or the table is a folder of text files, where lines
        are ambiguous.
    """
    _require_table_model(model)
    numbers = list(dict.fromkeys(numbers))
    if not table.is_dir():
        frame = as_frame(table)
        positions = [position_of(frame.index, number, table) for number in numbers]
        rows = frame.iloc[positions]
    elif not may_be_in_parts(table):
        raise UsageError(
            f"{table} is a folder: give the file in it that contains the rows."
        )
    else:
        rows = _rows_of_parts(table, numbers)
    return model.explain(rows, background), model.detect_drift(rows)


def _rows_of_parts(table: Path, numbers: list[int]) -> Frame:
    """Return some rows of a folder; only the parts that contain the rows are read."""
    parts = TableParts.of(table)
    ends = np.cumsum(parts.sizes)
    starts = ends - parts.sizes
    if max(numbers) >= ends[-1]:
        raise _no_row(str(table), max(numbers), ends[-1] - 1)
    frames = []
    for number in numbers:
        part = int(np.searchsorted(ends, number, side="right"))
        frame = parts.parts[part].frame(is_checked=True)
        row = frame.iloc[[number - starts[part]]]
        frames.append(row.set_axis([number]))
    return pandas().concat(frames)


SHUFFLED = "when a column is shuffled"


class ExplainedModel(NamedTuple):
    """The importance of each column of a model."""

    measure: str
    importances: list[Importance]

    def __repr__(self) -> str:
        rows = [["column", "importance", "95 % interval"]]
        texts = as_texts(self.importances)
        for group in self.importances:
            for importance in (group, *group.alone):
                name = printable(" and ".join(importance.columns))
                if importance is not group:
                    name = f"  {name}"
                text = texts[importance.columns]
                interval = "none"
                if text.low:
                    interval = f"{text.low} to {text.high}"
                rows.append([name, text.value, interval])
        return f"{self.measure}\n{columns_of_text(rows)}"

    def to_frame(self) -> Any:
        """Return the importances as a data frame."""
        rows = []
        for importance in self.importances:
            name = " and ".join(importance.columns)
            rows.append((name, importance.rise, importance.low, importance.high))
        columns = ["column", "importance", "low", "high"]
        return pandas().DataFrame(rows, columns=columns)


def explained_model(model, table: Path | None) -> tuple[ExplainedModel, list[str]]:
    """Return the importance of each column for a model, and notes on the table.

    If the table has the target, the importance is the rise of the loss when the column
    is shuffled. Otherwise the importance is the change of the predictions, on rows of
    the table or rows drawn from the training distributions.
    """
    _require_table_model(model)
    frame = None
    notes = []
    rows = "rows drawn from the training distributions"
    if table is not None:
        frame = as_frame(table, target=model.target, classes=classes_of(model))
        rows = f"{len(frame)} rows of {table}"
        if model.target in frame.columns:
            return _importances_of_rows(model, frame, table)
        notes = model.detect_drift(frame)
    output, changes = influences(model, frame)
    change = f"Mean change of the {output.removeprefix('the ')} on {rows} {SHUFFLED}:"
    return ExplainedModel(change, changes), notes


def _importances_of_rows(
    model: TableModel, frame: Frame, table: Path
) -> tuple[ExplainedModel, list[str]]:
    """Return the importance of each column for rows with a target, and notes on the rows."""
    target = str(model.target)
    require_inputs(model.encoder_.names, frame)
    rows = UsedRows.of(frame, Roles(target))
    X = rows.frame.drop(columns=target)
    y = plain_target(model, rows.frame, target)
    # rows that the model was trained on
    duplicates = model.trained_rows_.count(model.encoder_, X, y)
    _, duplicate_notes = model.trained_rows_.not_by_chance(duplicates, len(X))
    notes = ranked([*rows.notes, *duplicate_notes, *model.detect_drift(X)])
    measure = f"Rise of the {loss_name(model)} on {len(X)} rows of {table} {SHUFFLED}:"
    columns = importances(model, X, as_learned(model, y))
    return ExplainedModel(measure, columns), notes


def _require_table_model(model):
    if not isinstance(model, TableModel):
        raise UsageError(
            f"The file contains a {type(model).__name__}: only tabular models, as"
            " written by `vecprop train`, can be explained."
        )
    model._require_one_target("be explained")


def _no_row(table: str, number: int, last: int) -> TableError:
    return TableError(
        f"{table} has no row {number}: --row must be between 0 and {last}."
    )


def position_of(index, number: int, table: Path) -> int:
    """Return the position of the row with this line or index.

    Examples
    --------
    >>> import pandas as pd
    >>> position_of(pd.Index([2, 3, 6], name="line"), 6, Path("people.csv"))
    2
    """
    position = int(np.searchsorted(index, number))
    if position < len(index) and index[position] == number:
        return position
    name = "standard input" if table == STANDARD_INPUT else str(table)
    if index.name != "line":
        raise _no_row(name, number, index[-1])
    if not 0 < position < len(index):
        raise TableError(
            f"{name} has no row on line {number}: --row must be a line from {index[0]}"
            f" to {index[-1]}."
        )
    raise TableError(
        f"{name} has no row that ends in line {number} (blank, or continued on the next"
        f" line): the nearest rows end in lines {index[position - 1]} and"
        f" {index[position]}."
    )
