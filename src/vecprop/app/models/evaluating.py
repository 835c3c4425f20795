"""Evaluation: a model's metrics on a table whose target is known."""

from pathlib import Path
from typing import Any

import numpy as np

from .estimates import Estimate, estimates
from .known_rows import class_numbers, counting, known_rows, numbers_of, target_of, weights_of
from .metrics import metrics_of_classes, metrics_of_numbers, metrics_of_quantiles
from .predicting import decisions, errors_of_steps, notes_on, rows_for
from .quantiles import levels_of, quantiles_of


def evaluation(
    model: Any, table: Path, target: str | None, weight: str | None
) -> tuple[int, dict[str, Estimate], list[str]]:
    """Return the number of rows whose target is known, the model's metrics on them, and notes.

    Parameters
    ----------
    model : estimator or Pipeline
        The model.
    table : Path
        A file with a column of the target.
    target : str or None
        Its name; None for the one that the model was trained on.
    weight : str or None
        A column of weights of the rows.

    Raises
    ------
    TableError
        If the table does not fit the model.
    UsageError
        If neither the model nor the user names the target.
    """
    frame, target, notes = known_rows(model, table, target)
    counts = weights_of(frame, weight)
    is_counting, left_out = counting(counts, weight, table)
    frame, counts = frame[is_counting], counts[is_counting]
    X = frame.drop(columns=[target] if weight is None else [target, weight])
    notes = list(dict.fromkeys([*notes, *left_out, *notes_on(model, X)]))
    if not hasattr(model, "predict_proba"):
        y = numbers_of(frame[target], target, getattr(model, "target_reading_", None))
        rows, levels = rows_for(model, X), levels_of(model)
        with errors_of_steps(model):
            predicted = quantiles_of(model, rows) if levels else np.asarray(model.predict(rows))
        metrics = metrics_of_quantiles(y, predicted, levels) if levels else metrics_of_numbers(y, predicted)
        return len(y), estimates(metrics, counts), notes
    y = class_numbers(target_of(frame, target, "classification"), model.classes_)
    unknown = int((y < 0).sum())
    if unknown:
        notes.append(f"{unknown} rows are of classes that the model does not know, and count as wrong.")
    rows = rows_for(model, X)
    with errors_of_steps(model):
        P = model.predict_proba(rows)
    return len(y), estimates(metrics_of_classes(y, P, decisions(model, P), counts), counts), notes
