"""Rows of a table whose target is known: the target as classes or numbers, and the weights."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...tables.encoding.columns import first_of
from ...tables.error import TableError, pandas
from ...tables.kinds.number_formats import NumberReading
from ...tables.kinds.values import read_numbers, texts_of
from ...tables.reading.frames import as_frame
from ...tables.reading.reading import as_classes
from ...tables.rows import Roles, UsedRows
from ...terminal.errors import UsageError

Frame = Any
Task = Literal["classification", "regression"]


def known_rows(model: Any, table: Path, target: str | None) -> tuple[Frame, str, list[str]]:
    """Return the rows of a table whose target is known, the name of the target, and notes on the table.

    Raises
    ------
    UsageError
        If neither the model nor the user names the target.
    """
    target = target_named(model, target)
    used = UsedRows.of(as_frame(table, target=target, classes=classes_of(model)), Roles(target))
    return used.frame, target, used.notes


def target_named(model: Any, target: str | None) -> str:
    """Return the name of the target: the one that is given, or else the model's own; see `known_rows`."""
    target = target or getattr(model, "target", None)
    if target is None:
        raise UsageError("The model does not say which column is its target: give --target.")
    if target in getattr(model, "feature_names_in_", ()):
        raise UsageError(f"--target is {target!r}, but the model has this column as an input: name another column.")
    return target


def classes_of(model: Any) -> list[str]:
    """Return the classes of a model as text; none of a regressor."""
    return [str(name) for name in getattr(model, "classes_", ())]


def target_of(frame: Frame, target: str, task: Task, reading: NumberReading | None = None) -> np.ndarray:
    """Return the target: numbers for regression; for classification numbers and truth values as they are, else text."""
    if task == "regression":
        return numbers_of(frame[target], target, reading)
    y = as_classes(frame[target])
    types = pandas().api.types
    is_plain = types.is_numeric_dtype(y.dtype) or types.is_bool_dtype(y.dtype)
    return y.to_numpy() if is_plain else y.astype(str).to_numpy(dtype=str)


def numbers_of(y: Any, target: str, reading: NumberReading | None = None) -> np.ndarray:
    """Return a target as numbers, read as in training or as its own values tell, or refuse values that are none."""
    y = pandas().Series(y)
    reading = reading or NumberReading.of(texts_of(y))
    numbers, is_unread = read_numbers(y, reading)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        what = f"not {reading}" if is_unread.any() else "infinite"
        raise TableError(
            f"Column {target!r}, the target, has {int(wrong.sum())} value(s) that are {what}, such as "
            f"{first_of(y, wrong)}: fix them, or "
            "give --task classification if they are classes."
        )
    return numbers


def class_numbers(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the index of each row's class among the sorted classes, -1 for other classes.

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
