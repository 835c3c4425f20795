"""Sections of a page: the metrics, the rows predicted worst, and how training went."""

from math import exp
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ....check import Report, check_gradients
from ...encoding.column import shortened
from ...error import printable
from ..measured import Measured
from ..metrics import figures, spread, title
from ..targets import positive_class
from . import drawings as draw
from .markup import Html, code_in, parts, picture

ROWS = 200
"""The largest number of rows that a gradient check takes, evenly spaced: an error in a gradient shows on few rows."""


def metrics(measured: Measured, chosen: str, refit: str, *, is_measured: bool) -> Html:
    """Return the metrics of the model and of the baselines, and which rows they are measured on."""
    how = f"The metrics are of {len(measured.truth):,} rows."
    if chosen:
        how = code_in(chosen)
    elif measured.margins and measured.learned is None:
        how += " Each is predicted by baselines that have learned from other rows of the table."
    elif measured.learned is not None and measured.margins:
        how += f" Baselines have learned from the {measured.learned.rows:,} rows of training."
    if not is_measured:
        return parts().metrics(how)
    scores, folds, positive = measured.scores, measured.metrics_of_folds, positive_class(measured.model)

    def table_of(each: dict[str, dict[str, Any]], cell: Any) -> tuple[dict[str, str], list[list[Any]]]:
        of_metrics = [[title(of, positive), *(cell(each[name][of]) for name in each)] for of in measured.metrics]
        return {"": ""} | dict.fromkeys(each, "number"), of_metrics

    decided = ""
    if positive is not None:
        above = figures(getattr(measured.model, "threshold_", 0.5))
        decided = f"The class {positive} is predicted if its probability is above {above}."
    of_scores = table_of(scores, parts().stacked)
    if measured.margins:
        of_scores[1].insert(1, ["higher than ours by", "", *map(parts().stacked, measured.margins.values())])
    of_folds = table_of(folds, _spread) if folds else None
    return parts().metrics(how, of_scores, bool(measured.margins), decided, refit, of_folds)


def _spread(values: list[float]) -> str:
    found = spread(values)
    return f"{figures(found[0])} ± {figures(found[1], 2)}" if found else ""


def worst_rows(measured: Measured, explain: str) -> Html:
    """Return a table of the ten rows with the largest loss, and the command that tells why they are predicted so."""
    found = measured.worst_rows
    if not found:
        return ""
    if measured.is_classifier:
        told, kind, last = "The rows whose class had the lowest probabilities.", "name", "its probability"
        rows = [[each.row, *map(name_of, (each.truth, each.predicted)), f"{exp(-each.loss):.2%}"] for each in found]
    else:
        told, kind, last = "The rows with the largest errors, true − predicted.", "number", "error"
        numbers = [(each.row, each.truth, each.predicted, each.truth - each.predicted) for each in found]
        rows = [[row, *map(figures, of_row)] for row, *of_row in numbers]
    heads = {"": "row", "true": kind, "predicted": kind, last: "number"}
    return parts().worst_rows(told, heads, rows, explain)


def name_of(of_class: object) -> str:
    """Return the name of a class as it is shown."""
    return printable(shortened(str(of_class)))


def training(measured: Measured, seconds: float | None) -> Html:
    """Return the sizes and times of training, its losses, and the verdict of a gradient check on rows of training."""
    model = measured.model
    networks, parameters = sum(map(len, model.ensembles)), sum(each.theta.size for each in model.ensembles)
    time = "" if seconds is None else f" in {seconds:.1f} s"
    told = f"{networks} networks with {parameters:,} parameters in all learned from {model.trained_rows_.rows:,} rows"
    each = "Each leaves out some rows, whose loss is its validation loss, and keeps the parameters with which it is"
    told = f"{told}{time}. {each} lowest."
    curves = draw.begun(model)
    losses = picture("The losses of each network, up to its last epoch.", draw.losses, curves) if curves else ""
    X, y = (measured.X, measured.truth) if measured.learned is None else measured.learned[:2]
    if measured.is_classifier and (y < 0).all():
        unknown = "No gradients are checked: the model knows none of the classes of these rows."
        return parts().training(told, losses, unknown, "")
    with threadpool_limits(1, "blas"):  # which is faster for products this small
        report = check_of_first_network(model, X, y, method="directions").text()
    return parts().training(told, losses, report.rpartition("\n\n")[2].partition("\n")[0], report)


def check_of_first_network(model: Any, X: Any, y: np.ndarray, **settings: Any) -> Report:
    """Return a gradient check of a model's first network, on rows with their targets as the model learns them."""
    rows = np.unique(np.linspace(0, len(y) - 1, ROWS).astype(int))
    X, y = X.iloc[rows], y[rows]
    view = model.ensemble_.views[0]
    inputs = np.take(model.encoder_(X), view.inputs, axis=1).astype(float)
    if not hasattr(model, "classes_"):
        return check_gradients(view.network, view.thetas[0], inputs, model.targets_.encode(y[:, None]), **settings)
    return check_gradients(view.network, view.thetas[0], inputs[y >= 0], y[y >= 0], **settings)
