"""Gradient checks of a model on a table, and of a user's own function."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ... import check_gradients
from ...check import Report
from ...tables.error import TableError
from ...tables.table_model import TableModel
from ...terminal.errors import UsageError
from .describing import network_of
from .known_rows import class_numbers, known_rows, numbers_of, target_of
from .predicting import errors_of_steps, rows_for

ROWS = 200
"""The largest number of rows that a check takes, evenly spaced: an error in a gradient shows on few rows too."""


def check_model(model: Any, table: Path, target: str | None) -> Report:
    """Check the gradients of a model's training, by both engines, on a table; of an ensemble, the first network's."""
    frame, target, _ = known_rows(model, table, target)
    frame = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, ROWS).astype(int))]
    X, last = rows_for(model, frame.drop(columns=target)), model
    if hasattr(model, "steps"):
        with errors_of_steps(model):
            X, last = model[:-1].transform(X), model[-1]
    if not isinstance(last, TableModel):
        return last.check_gradients(X, frame[target].to_numpy())
    X, T = network_rows(last, X, frame, target)
    return check_gradients(*network_of(last), X, T)


def network_rows(model: Any, X: Any, frame: Any, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the first network's inputs and targets, of the rows of a table whose target the model knows."""
    inputs = np.take(model.encoder_(X), model.ensemble_.views[0].inputs, axis=1).astype(float)
    if not hasattr(model, "classes_"):
        y = numbers_of(frame[target], target, getattr(model, "target_reading_", None))
        return inputs, model._targets.encode(y[:, None])
    T = class_numbers(target_of(frame, target, "classification"), model.classes_)
    if (T < 0).all():
        known = ", ".join(map(repr, model.classes_[:5].tolist()))
        raise TableError(
            f"Column {target!r}, the target, has none of the classes that the model knows, such as {known}."
        )
    return inputs[T >= 0], T[T >= 0]


def check_function(name: str, size: int, seed: int) -> Report:
    """Check the gradient of a function that is named as ``module:function``.

    Parameters
    ----------
    name : str
        The function, as MODULE:FUNCTION; f(theta) returns its value and its gradient. The module is looked for in the
        current folder first.
    """
    module_name, _, function_name = name.partition(":")
    sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise UsageError(f"There is no module {module_name!r} here, and none is installed.") from None
    finally:
        sys.path.remove("")
    if not callable(function):
        raise UsageError(f"The module {module_name!r} has no function {function_name!r}.")
    return check_gradients(function, np.random.default_rng(seed).normal(size=size))
