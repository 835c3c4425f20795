"""From a table to its parts: the rows of training and of the test, their targets and weights."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..tables.columns import as_numbers
from ..tables.error import TableError, pandas
from ..tables.frames import as_frame, column_of
from ..tables.task import guess_task
from .splitting import Split

Frame = Any
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Request:
    """What is to be trained.

    Parameters
    ----------
    table : Path
        The file.
    target : str
        The column to predict.
    split : Split
        Which rows are the test.
    test : Path or None
        A file of test rows, in the place of a split.
    task : "classification", "regression" or None
        What the target is; None finds out.
    weight : str or None
        A column that says what each row counts, and is no input.
    settings : dict
        Settings of `TabularClassifier` or `TabularRegressor` that are not their defaults.
    """

    table: Path
    target: str
    split: Split
    test: Path | None = None
    task: Task | None = None
    weight: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Parts:
    """A table, divided.

    Parameters
    ----------
    task : str
        What is to be learned.
    X, X_test : DataFrame
        The columns of inputs.
    y, y_test : ndarray
        The target.
    weight, weight_test : ndarray
        What each row counts.
    notes : list of str
        What was done to the table, in sentences.
    """

    task: Task
    X: Frame
    y: np.ndarray
    weight: np.ndarray
    X_test: Frame
    y_test: np.ndarray
    weight_test: np.ndarray
    notes: list[str]


def divided(request: Request) -> Parts:
    """Return a table's rows for training and for the test."""
    frame, notes = with_target(as_frame(request.table), request.target)
    task = request.task or guess_task(frame[request.target])
    y = target_of(frame, request.target, task)
    weight = weights_of(frame, request.weight)
    X = frame.drop(columns=request.target)
    for name, what in ((request.split.group, "tells groups apart"), (request.weight, "weighs rows")):
        if name is not None:
            column_of(frame, name)
            if name == request.target:
                raise TableError(f"Column {name!r} is the target: it cannot be what {what}.")
            X = X.drop(columns=name)
            notes.append(f"Column {name!r} {what} and is no input.")
    if request.test is not None:
        other, more = with_target(as_frame(request.test), request.target)
        y_test, weight_test = target_of(other, request.target, task), weights_of(other, request.weight)
        X_test = other.drop(columns=[request.target] if request.weight is None else [request.target, request.weight])
        parts = Parts(task, X, y, weight, X_test, y_test, weight_test, notes + more)
    else:
        train, test = request.split.numbers(frame, y, task == "classification")
        parts = Parts(task, X.iloc[train], y[train], weight[train], X.iloc[test], y[test], weight[test], notes)
    _require_weight(request.weight, training=parts.weight, test=parts.weight_test)
    return parts


def with_target(frame: Frame, target: str) -> tuple[Frame, list[str]]:
    """Return the rows of a table whose target is known, with notes on the table; refuse it where there are none."""
    notes = list(frame.attrs.get("notes", []))
    known = column_of(frame, target).notna()
    if not known.any():
        raise TableError(f"Column {target!r}, the target, has no values: all {len(frame)} are missing.")
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(frame)} rows have no target and are left out.")
        frame = frame[known].reset_index(drop=True)
    return frame, notes


def target_of(frame: Frame, target: str, task: Task) -> np.ndarray:
    """Return the target of rows: classes as they are if they are numbers or truth values, and else text; or numbers."""
    y = frame[target]
    if task == "regression":
        return numbers_of(y, target)
    types = pandas().api.types
    is_plain = types.is_numeric_dtype(y.dtype) or types.is_bool_dtype(y.dtype)
    return y.to_numpy() if is_plain else y.astype(str).to_numpy(dtype=str)


def numbers_of(y: Any, target: str) -> np.ndarray:
    """Return a target as numbers, or say what it is instead."""
    numbers, unread = as_numbers(pandas().Series(y))
    wrong = int((~np.isfinite(numbers)).sum())
    if wrong:
        what = "not numbers" if unread else "infinite"
        raise TableError(
            f"Column {target!r}, the target, has {wrong} value(s) that are {what}: mend them, or give --task "
            "classification if they are classes."
        )
    return numbers


def weights_of(frame: Frame, name: str | None) -> np.ndarray:
    """Return what each row of a table counts, by the column that says so; 1 where there is none."""
    if name is None:
        return np.ones(len(frame))
    weight, _ = as_numbers(column_of(frame, name))
    wrong = int((~((weight >= 0) & np.isfinite(weight))).sum())
    if wrong:
        raise TableError(f"Column {name!r}, the weights, has {wrong} value(s) that are no numbers of at least 0.")
    return weight


def _require_weight(name: str | None, **parts: np.ndarray) -> None:
    """Refuse a part of a table in which no row counts."""
    for part, weight in parts.items():
        if not weight.any():
            raise TableError(f"Column {name!r}, the weights, is 0 in all rows of the {part}, so that none counts.")


def class_numbers(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the number of each row's class, -1 where it is none of the classes, which are sorted.

    Examples
    --------
    >>> class_numbers(np.array(["b", "a", "c"]), np.array(["a", "b"]))
    array([ 1,  0, -1])
    """
    if not {y.dtype.kind, classes.dtype.kind} <= set("biuf"):
        numbers = {name: number for number, name in enumerate(_as_text(classes))}
        return np.array([numbers.get(name, -1) for name in _as_text(y)])
    places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[places] == y, places, -1)


def _as_text(labels: np.ndarray) -> np.ndarray:
    """Return labels as text; whole numbers are written without a point."""
    is_whole = labels.dtype.kind == "f" and np.all(labels == np.floor(labels))
    return (labels.astype(np.int64) if is_whole else labels).astype(str)
