"""Evaluation: a model's metrics on a table whose target is known."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...tables.ensemble.threshold import decided, positive_of
from ...tables.error import pandas
from ...tables.evaluation.metrics import (
    Estimate,
    estimates,
    levels_of,
    metrics_of_classes,
    metrics_of_numbers,
    metrics_of_quantiles,
    quantiles_of,
)
from ...tables.explaining.drift import Watch
from ...tables.reading.delimited import require_columns
from ...tables.reading.frames import twice
from ...tables.reading.table_parts import frames_of
from ...tables.rows import Roles, UsedRows
from ...tables.streaming.memory_plan import require_room
from .describing import positive_class
from .known_rows import (
    Frame,
    class_numbers,
    classes_of,
    numbers_of,
    target_named,
    target_of,
)
from .predicting import errors_of_steps, rows_for


def evaluation(
    model: Any, table: Path, target: str | None, weight: str | None
) -> tuple[int, dict[str, Estimate], list[str], Any]:
    """Return the number of rows whose target is known, the model's metrics on them, notes, and the positive class.

    Parameters
    ----------
    table : Path
        A file, or a folder, with a column of the target. Parquet and Arrow files are read part by part, so that only
        targets, weights and predictions of all rows are in memory.

    Raises
    ------
    TableError
        If the table does not fit the model.
    UsageError
        If neither the model nor the user names the target.
    """
    target = target_named(model, target)
    require_room(table)
    frames = frames_of(table, target=target, classes=classes_of(model))
    roles = Roles(target, weight)
    columns = [target] if weight is None else [target, weight]
    each = []
    for frame in frames:
        require_columns(frame.columns, [target])
        roles.require(frame.columns)
        each.append(frame[columns])
    used = UsedRows.of(pandas().concat(each), roles)
    known, counts, levels, watch = used.frame, used.weight, levels_of(model), Watch(model)
    is_classifier = hasattr(model, "predict_proba")
    if is_classifier:
        y = class_numbers(target_of(known, target, "classification"), model.classes_)
    else:
        y = numbers_of(known[target], target, getattr(model, "target_reading_", None))

    def predicted(rows: Frame) -> np.ndarray:
        watch.see(rows)
        several = rows_for(model, twice(rows))
        with errors_of_steps(model):
            if is_classifier:
                Y = model.predict_proba(several)
            else:
                Y = quantiles_of(model, several) if levels else np.asarray(model.predict(several))
        return Y[: len(rows)]

    Y = np.concatenate([predicted(rows) for rows in _inputs(frames, columns, used.counts)])
    if is_classifier:
        metrics = metrics_of_classes(
            y, Y, decided(Y, getattr(model, "threshold_", None), model), counts, positive_of(model)
        )
    else:
        metrics = metrics_of_quantiles(y, Y, levels) if levels else metrics_of_numbers(y, Y)
    notes = list(dict.fromkeys([*used.notes, *watch.notes()]))
    if is_classifier and (unknown := int((y < 0).sum())):
        notes.append(f"{unknown} rows are of classes that the model does not know, and count as wrong.")
    return len(y), estimates(metrics, counts), notes, positive_class(model)


def _inputs(frames: Iterable[Frame], columns: Sequence[str], is_used: np.ndarray) -> Iterator[Frame]:
    """Yield the other columns of the rows that are used."""
    first = 0
    for frame in frames:
        own = is_used[first : first + len(frame)]
        first += len(frame)
        if own.any():
            yield frame[own].drop(columns=columns)
