"""Targets, inputs and predictions of any fitted model on a table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy import ndarray

from ..encoding.column import first_of
from ..encoding.encoder import require_inputs
from ..ensemble.calibration import decided, positive_of
from ..error import RequestError, TableError, first_line, pandas
from ..kinds.formats import NumberReading
from ..kinds.values import read_numbers, texts_of
from ..objectives import levels_of
from ..reading.frames import Frame, as_frame, twice
from ..reading.reading import as_classes, typed
from ..rows import Roles, UsedRows
from ..table_model import TableModel

Task = Literal["classification", "regression"]


def known_rows(model, table, target: str | None) -> tuple[Frame, str, list[str]]:
    """Return the rows of a table with a known target, the name of the target, and notes."""
    target = target_named(model, target)
    used = UsedRows.of(
        as_frame(table, target=target, classes=classes_of(model)), Roles(target)
    )
    return used.frame, target, used.notes


def target_named(model, target: str | None) -> str:
    """Return the given or the model's target column, and raise an error if it is an input of the model."""
    target = target or getattr(model, "target", None)
    if target is None:
        raise RequestError(
            "The target column is unknown, because the model does not name it: pass"
            " target (--target)."
        )
    if target in getattr(model, "feature_names_in_", ()):
        raise RequestError(
            f"The target {target!r} is an input of the model: pass another column."
        )
    return target


def classes_of(model, as_text: Callable[[object], str] = str) -> list[str]:
    """Return the classes of a classifier as text, or an empty list."""
    return list(map(as_text, np.asarray(getattr(model, "classes_", ())).tolist()))


def positive_class(model):
    """Return the positive class of a binary classifier, or None for other models."""
    classes = getattr(model, "classes_", ())
    if len(classes) != 2 or has_several_targets(model):
        return None
    return classes.tolist()[positive_of(model)]


def target_of(
    frame: Frame, target: str, task: Task, reading: NumberReading | None = None
) -> ndarray:
    """Return the target as numbers for regression, or as numbers, Booleans or text for classification."""
    y = frame[target]
    if task == "classification":
        y = as_classes(y)
        is_plain = pandas().api.types.is_numeric_dtype(y.dtype)  # including Booleans
        return y.to_numpy() if is_plain else y.astype(str).to_numpy(dtype=str)
    reading = reading or NumberReading.from_texts(texts_of(y))
    numbers, is_unread = read_numbers(y, reading)
    is_wrong = ~np.isfinite(numbers)
    if is_wrong.any():
        problem = f"not {reading}" if is_unread.any() else "infinite"
        raise TableError(
            f"The target column {target!r} has {is_wrong.sum()} value(s) that are"
            f" {problem}, such as {first_of(y, is_wrong)}: fix them, or pass --task"
            " classification if they are classes."
        )
    return numbers


def class_numbers(y: ndarray, classes: ndarray) -> ndarray:
    """Return the index of each label in the sorted classes, or -1 for unknown labels.

    Examples
    --------
    >>> class_numbers(np.array(["b", "a", "c"]), np.array(["a", "b"]))
    array([ 1,  0, -1])
    """
    if not {y.dtype.kind, classes.dtype.kind} <= set("biuf"):
        numbers = {name: number for number, name in enumerate(_as_text(classes))}
        return np.array([numbers.get(name, -1) for name in _as_text(y)])
    indices = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[indices] == y, indices, -1)


def _as_text(labels: ndarray) -> ndarray:
    """Return labels as text; integral floats are written without a decimal point."""
    if labels.dtype.kind == "f" and np.all(labels == np.floor(labels)):
        labels = labels.astype(np.int64)
    return labels.astype(str)


def task_of(model) -> Task:
    """Return the task of a fitted model."""
    return "classification" if hasattr(model, "classes_") else "regression"


def plain_target(model, frame: Frame, target: str) -> ndarray:
    """Return the target of rows (numbers or classes), parsed as in training."""
    return target_of(
        frame, target, task_of(model), getattr(model, "target_reading_", None)
    )


def as_learned(model, y: ndarray) -> ndarray:
    """Return targets in the model's encoding: numbers, or class indices with -1 for unknown classes."""
    return (
        class_numbers(y, model.classes_)
        if hasattr(model, "classes_")
        else y.astype(float)
    )


def predictions_of(model, frame: Frame) -> ndarray:
    """Return a model's probabilities (N, C), predictions (N,) or quantiles (N, L) for the rows of a table.

    With three quantiles, the outer ones are the ends of prediction intervals.
    """
    rows = rows_for(model, twice(frame))
    levels = levels_of(model)
    count = len(frame)
    with errors_of_steps(model):
        if hasattr(model, "predict_proba"):
            return model.predict_proba(rows)[:count]
        predicted = _predicted(model, rows)[:count]
        if not levels:
            return predicted
        if len(levels) == 1:
            return predicted[:, None]
        low, high = model.predict_interval(rows, levels[2] - levels[0])[:count].T
        return np.stack([low, predicted, high], axis=1)


def _predicted(model, rows) -> ndarray:
    """Return a model's predictions as an array (N,)."""
    return np.asarray(model.predict(rows)).reshape(len(rows), -1)[:, 0]


@contextmanager
def errors_of_steps(model) -> Iterator[None]:
    """Convert errors of a pipeline's steps to a `TableError`."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if isinstance(error, TableError) or not hasattr(model, "steps"):
            raise
        raise TableError(
            f"A step of the pipeline failed on this table: {first_line(error)}."
        ) from error


def rows_for(model, frame: Frame):
    """Return the input of a model: the whole table, or the training columns in their order."""
    if not hasattr(model, "fit"):
        raise RequestError(
            "A bare network has no column names and cannot take a table: use it in"
            " Python."
        )
    if isinstance(model, TableModel):
        return frame
    frame = typed(frame)
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return frame.to_numpy()
    require_inputs(list(names), frame)
    return frame[list(names)]


def predictions(model, frame: Frame, coverage: float | None = None) -> Frame:
    """Return the predictions of rows as a table.

    Returns
    -------
    DataFrame
        The column "prediction", a column "probability of A" for each class A of a
        classifier, and, if ``coverage`` is given, the columns "low" and "high". For
        each of several targets A, the columns "prediction of A", "probability of A" of
        a classifier (of the second class), and "low of A" and "high of A".

    Raises
    ------
    TableError
        If a column is missing.
    RequestError
        If the model cannot take a table, or has no prediction intervals.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> frame = pandas().DataFrame({"x": range(20), "y": range(20)})
    >>> model = TabularRegressor("y", n_estimators=2, max_iter=2, random_state=0).fit(frame)
    >>> predictions(model, frame, coverage=0.9).columns.tolist()
    ['prediction', 'low', 'high']
    """
    rows = rows_for(model, twice(frame))
    if has_several_targets(model):
        return _predictions_of_targets(model, rows, coverage).iloc[: len(frame)]
    with errors_of_steps(model):
        if hasattr(model, "predict_proba"):
            _require_no_coverage(coverage)
            P = model.predict_proba(rows)
            classes = decided(P, getattr(model, "threshold_", None), model)
            columns = {"prediction": model.classes_[classes]}
            for number, name in enumerate(model.classes_):
                columns[f"probability of {name}"] = P[:, number]
        else:
            columns = {"prediction": _predicted(model, rows)}
        if coverage is not None:
            if not hasattr(model, "predict_interval"):
                raise RequestError(
                    f"{type(model).__name__} has no prediction intervals: use `vecprop"
                    " train`."
                )
            columns["low"], columns["high"] = model.predict_interval(rows, coverage).T
        return pandas().DataFrame(columns).iloc[: len(frame)]


def has_several_targets(model) -> bool:
    """Return whether a fitted model predicts several targets."""
    return isinstance(model, TableModel) and model._has_heads


def _predictions_of_targets(model, rows, coverage: float | None) -> Frame:
    """Return the predictions of several targets as a table."""
    columns = {}
    predicted = model.predict(rows)
    for number, single in enumerate(model.models_):
        columns[f"prediction of {single.target}"] = predicted[:, number]
    if hasattr(model, "predict_proba"):
        _require_no_coverage(coverage)
        P = model.predict_proba(rows)
        for number, single in enumerate(model.models_):
            columns[f"probability of {single.target}"] = P[:, number]
    elif coverage is not None:
        intervals = model.predict_interval(rows, coverage)
        for number, single in enumerate(model.models_):
            columns[f"low of {single.target}"] = intervals[:, number, 0]
            columns[f"high of {single.target}"] = intervals[:, number, 1]
    return pandas().DataFrame(columns)


def _require_no_coverage(coverage: float | None):
    """Raise an error if intervals of a classifier are requested."""
    if coverage is not None:
        raise RequestError(
            "Prediction intervals need a regressor, but this model is a classifier:"
            " leave out coverage (--interval)."
        )
