"""Any model with a table: its target, the rows in the form that it takes, and its predictions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from ..encoding.column import first_of
from ..encoding.encoder import require_inputs
from ..ensemble.calibration import decided, positive_of
from ..error import RequestError, TableError, first_line, pandas
from ..kinds.values import read_numbers, texts_of
from ..kinds.written import NumberReading
from ..reading.frames import Frame, as_frame, twice
from ..reading.reading import as_classes, typed
from ..rows import Roles, UsedRows
from ..table_model import TableModel

Task = Literal["classification", "regression"]


def known_rows(model: Any, table: Any, target: str | None) -> tuple[Frame, str, list[str]]:
    """Return the rows of a table whose target is known, the name of the target, and notes on the table."""
    target = target_named(model, target)
    used = UsedRows.of(as_frame(table, target=target, classes=classes_of(model)), Roles(target))
    return used.frame, target, used.notes


def target_named(model: Any, target: str | None) -> str:
    """Return the name of the target: the one that is given, or else the model's; refuse an input of the model."""
    target = target or getattr(model, "target", None)
    if target is None:
        raise RequestError("The model does not say which column is its target: give the target (--target).")
    if target in getattr(model, "feature_names_in_", ()):
        raise RequestError(f"The target is {target!r}, but the model has this column as an input: name another column.")
    return target


def classes_of(model: Any) -> list[str]:
    """Return the classes of a model as text; none of a regressor."""
    return [str(name) for name in getattr(model, "classes_", ())]


def positive_class(model: Any) -> Any:
    """Return the positive class of a classifier of two classes; None for other models."""
    classes = getattr(model, "classes_", ())
    return classes.tolist()[positive_of(model)] if len(classes) == 2 else None


def target_of(frame: Frame, target: str, task: Task, reading: NumberReading | None = None) -> np.ndarray:
    """Return the target: numbers for regression; for classification numbers and truth values as they are, else text."""
    y = frame[target]
    if task == "classification":
        y = as_classes(y)
        is_plain = pandas().api.types.is_numeric_dtype(y.dtype)  # truth values are too
        return y.to_numpy() if is_plain else y.astype(str).to_numpy(dtype=str)
    reading = reading or NumberReading.of(texts_of(y))
    numbers, is_unread = read_numbers(y, reading)
    if (wrong := ~np.isfinite(numbers)).any():
        what = f"not {reading}" if is_unread.any() else "infinite"
        found = f"{int(wrong.sum())} value(s) that are {what}, such as {first_of(y, wrong)}"
        advice = "fix them, or give --task classification if they are classes"
        raise TableError(f"Column {target!r}, the target, has {found}: {advice}.")
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


def plain_target(model: Any, frame: Frame, target: str) -> np.ndarray:
    """Return the target of rows, read as in training: numbers, or classes."""
    reading = getattr(model, "target_reading_", None)
    return target_of(frame, target, "classification" if hasattr(model, "classes_") else "regression", reading)


def as_learned(model: Any, y: np.ndarray) -> np.ndarray:
    """Return targets as a model learns them: numbers, or indices of its classes, -1 for others."""
    return class_numbers(y, model.classes_) if hasattr(model, "classes_") else y.astype(float)


def levels_of(model: Any) -> list[float]:
    """Return the levels of the quantiles that a model predicts, in rising order; none for other models.

    Examples
    --------
    >>> from vecprop import MLPRegressor, TabularRegressor
    >>> levels_of(TabularRegressor(loss="quantile", quantile=(0.05, 0.5, 0.95)))
    [0.05, 0.5, 0.95]
    >>> levels_of(MLPRegressor(loss="quantile", quantile=0.9)), levels_of(MLPRegressor())
    ([0.9], [])
    """
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return getattr(last, "levels", [last.quantile]) if getattr(last, "loss", None) == "quantile" else []


def predictions_of(model: Any, frame: Frame) -> np.ndarray:
    """Return a model's probabilities (N, C), predictions (N,), or quantiles of each level (N, L), of a table's rows.

    Of three quantiles, the outer ones are the ends of intervals.
    """
    rows, levels = rows_for(model, twice(frame)), levels_of(model)
    with errors_of_steps(model):
        if hasattr(model, "predict_proba"):
            return model.predict_proba(rows)[: len(frame)]
        predicted = np.asarray(model.predict(rows)).reshape(len(rows), -1)[: len(frame), 0]
        if len(levels) < 2:
            return predicted[:, None] if levels else predicted
        low, high = model.predict_interval(rows, levels[2] - levels[0])[: len(frame)].T
        return np.stack([low, predicted, high], axis=1)


@contextmanager
def errors_of_steps(model: Any) -> Iterator[None]:
    """Give the errors of a pipeline's steps, about rows that they cannot take, as one sentence about the table."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if isinstance(error, TableError) or not hasattr(model, "steps"):
            raise
        raise TableError(f"The steps of the model cannot take this table: {first_line(error)}.") from error


def rows_for(model: Any, frame: Frame) -> Any:
    """Return a table in the form that a model takes: the whole table, or the columns of training in their order."""
    if not hasattr(model, "fit"):
        raise RequestError("A bare network knows no columns, so that it takes no table: use it in Python.")
    if isinstance(model, TableModel):
        return frame
    frame = typed(frame)
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return frame.to_numpy()
    require_inputs(list(names), frame)
    return frame[list(names)]


def predictions(model: Any, frame: Frame, coverage: float | None = None) -> Frame:
    """Return the predictions of rows as a table.

    Returns
    -------
    DataFrame
        The column "prediction"; for a classifier also "probability of A" for each class A; for intervals also "low" and
        "high".

    Raises
    ------
    TableError
        If a column is missing.
    RequestError
        If the model takes no table, or has no intervals.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> frame = pandas().DataFrame({"x": range(20), "y": range(20)})
    >>> model = TabularRegressor("y", n_estimators=2, max_iter=2, random_state=0).fit(frame)
    >>> predictions(model, frame, coverage=0.9).columns.tolist()
    ['prediction', 'low', 'high']
    """
    rows = rows_for(model, twice(frame))
    with errors_of_steps(model):
        if hasattr(model, "predict_proba"):
            if coverage is not None:
                classes = "this model predicts classes with their probabilities"
                raise RequestError(f"Intervals are of numbers, but {classes}.")
            P = model.predict_proba(rows)
            columns = {"prediction": model.classes_[decided(P, getattr(model, "threshold_", None), model)]}
            columns |= {f"probability of {name}": P[:, number] for number, name in enumerate(model.classes_)}
        else:
            columns = {"prediction": np.asarray(model.predict(rows)).reshape(len(rows), -1)[:, 0]}
        if coverage is not None:
            if not hasattr(model, "predict_interval"):
                raise RequestError(f"A {type(model).__name__} knows no intervals: train one with `vecprop train`.")
            columns["low"], columns["high"] = model.predict_interval(rows, coverage).T
        return pandas().DataFrame(columns).iloc[: len(frame)]
