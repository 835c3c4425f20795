"""Predictions of a table's rows as columns of a new table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...files.networks import TrainedNetwork
from ...tables.ensemble.threshold import decided
from ...tables.error import TableError, first_line, nearest, pandas
from ...tables.explaining.drift import Watch
from ...tables.reading.frames import twice
from ...tables.reading.reading import typed
from ...tables.table_model import TableModel
from ...terminal.errors import UsageError

Frame = Any


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
    UsageError
        If the model takes no table, or has no intervals.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> frame = pandas().DataFrame({"x": range(20), "y": range(20)})
    >>> model = TabularRegressor("y", n_members=2, max_iter=2, random_state=0).fit(frame)
    >>> predictions(model, frame, coverage=0.9).columns.tolist()
    ['prediction', 'low', 'high']
    """
    rows = rows_for(model, twice(frame))
    with errors_of_steps(model):
        return _predicted(model, rows, coverage).iloc[: len(frame)]


def _predicted(model: Any, rows: Any, coverage: float | None) -> Frame:
    if hasattr(model, "predict_proba"):
        if coverage is not None:
            raise UsageError("Intervals are of numbers, but this model predicts classes with their probabilities.")
        P = model.predict_proba(rows)
        columns = {f"probability of {name}": P[:, number] for number, name in enumerate(model.classes_)}
        numbers = decided(P, getattr(model, "threshold_", None), model)
        return pandas().DataFrame({"prediction": np.asarray(model.classes_)[numbers], **columns})
    columns = {"prediction": np.asarray(model.predict(rows)).reshape(len(rows), -1)[:, 0]}
    if coverage is not None:
        if not hasattr(model, "predict_interval"):
            raise UsageError(f"A {type(model).__name__} knows no intervals: train one with `vecprop train`.")
        columns["low"], columns["high"] = model.predict_interval(rows, coverage).T
    return pandas().DataFrame(columns)


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
    if isinstance(model, TrainedNetwork):
        raise UsageError("The file holds a bare network, which knows no columns: load it in Python with vecprop.load.")
    if isinstance(model, TableModel):
        return frame
    frame = typed(frame)
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return frame.to_numpy()
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise TableError(
            f"The table has no column {missing[0]!r}, which the model needs{nearest(missing[0], frame.columns) or '.'}"
        )
    return frame[list(names)]


def notes_on(model: Any, frame: Frame) -> list[str]:
    """Return sentences on what of a table is unlike the model's training."""
    watch = Watch(model)
    watch.see(frame)
    return watch.notes()
