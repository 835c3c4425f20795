"""Sections of a page: the metrics, the rows predicted worst, and how training went."""

from math import exp, isfinite
from statistics import mean, stdev
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ....check import Report, check_gradients
from ...encoding.column import shortened
from ...error import printable
from ..measured import Measured
from ..metrics import Estimate, title
from ..targets import positive_class
from .drawings import begun, draw_losses
from .markup import Html, code_in, element, figures, folded, join, picture, table

ROWS = 200
"""The largest number of rows that a gradient check takes, evenly spaced: an error in a gradient shows on few rows."""


def metrics(measured: Measured, chosen: str, refit: str, *, is_measured: bool) -> Html:
    """Return the metrics of the model and of the baselines, and which rows they are measured on."""
    how = element("p", code_in(chosen)) if chosen else _how(measured)
    if not is_measured:
        return join([element("p", "Nothing was measured, since Ctrl-C came before."), how])
    scores, positive = measured.scores, positive_class(measured.model)
    heads = {"": ""} | dict.fromkeys(scores, "number")
    rows = [
        [title(metric, positive), *(_stacked(of_model[metric]) for of_model in scores.values())]
        for metric in measured.metrics
    ]
    told = "Below each value is its 95 % interval, from bootstrap samples of the rows."
    told += " Naive ignores the inputs." if measured.margins else ""
    parts = [how, table(heads, rows), element("p", told)]
    if positive is not None:
        above = figures(getattr(measured.model, "threshold_", 0.5))
        parts.append(element("p", f"The class {positive} is predicted if its probability is above {above}."))
    return join([*parts, element("p", refit) if refit else Html(), _folds(measured, positive)])


def _how(measured: Measured) -> Html:
    """Return a sentence on the rows of a table that may be any."""
    rows = f"The metrics are of {len(measured.truth):,} rows"
    if not measured.margins:
        return element("p", f"{rows}.")
    if measured.learned is None:
        return element("p", f"{rows}. Each is predicted by baselines that have learned from other rows of the table.")
    return element("p", f"{rows}. Baselines have learned from the {measured.learned.rows:,} rows of training.")


def _folds(measured: Measured, positive: object) -> Html:
    """Return the mean and the spread of the metrics over the folds of a cross-validation."""
    if not measured.folds:
        return Html()
    folds = measured.metrics_of_folds
    rows = [
        [title(metric, positive), *(_spread(of_model[metric]) for of_model in folds.values())]
        for metric in next(iter(folds.values()))
    ]
    head = element("h3", "The folds: mean and standard deviation")
    return join([head, table({"": ""} | dict.fromkeys(folds, "number"), rows)])


def _spread(values: list[float]) -> str:
    found = spread(values)
    return f"{figures(found[0])} ± {figures(found[1], 2)}" if found else ""


def spread(values: list[float]) -> tuple[float, float] | None:
    """Return the mean and the standard deviation of finite values, None of fewer than two.

    A deviation that is rounding alone is 0.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0, float("nan")]), spread([1.0])
    ((2.0, 1.0), None)
    >>> spread([0.1, 0.1 + 2e-17, 0.3 - 0.2])
    (0.1, 0.0)
    """
    finite = [value for value in values if isfinite(value)]
    if len(finite) < 2:
        return None
    middle, deviation = mean(finite), stdev(finite)
    return middle, deviation if deviation > 1e-12 * abs(middle) else 0.0


def _stacked(score: Estimate) -> Html:
    return join([figures(score.value), element("small", f"{figures(score.low)} to {figures(score.high)}")])


def table_of_worst_rows(measured: Measured, explain: str) -> Html:
    """Return a table of the ten rows with the largest loss, and the command that tells why they are predicted so."""
    found = measured.worst_rows
    if not found:
        return Html()
    if measured.is_classifier:
        told, kind, last = "The rows whose class had the lowest probabilities.", "name", "its probability"
        rows = [[each.row, *_names(each.truth, each.predicted), f"{exp(-each.loss):.2%}"] for each in found]
    else:
        told, kind, last = "The rows with the largest errors, true − predicted.", "number", "error"
        numbers = [(each.row, each.truth, each.predicted, each.truth - each.predicted) for each in found]
        rows = [[row, *map(figures, of_row)] for row, *of_row in numbers]
    parts = [
        element("p", f"{told} Look at them first: either the model has not learned them, or the table is wrong."),
        table({"": "row", "true": kind, "predicted": kind, last: "number"}, rows),
    ]
    if explain:
        parts.append(element("p", "This tells why the first of them is predicted so: ", element("code", explain)))
    return join(parts)


def _names(*classes: object) -> list[str]:
    return [printable(shortened(str(name))) for name in classes]


def training(measured: Measured, seconds: float | None) -> Html:
    """Return the sizes and times of training, its losses, and a gradient check."""
    model = measured.model
    networks, parameters = sum(map(len, model.ensembles)), sum(each.theta.size for each in model.ensembles)
    time = "" if seconds is None else f" in {seconds:.1f} s"
    told = (
        f"{networks} networks with {parameters:,} parameters in all learned from {model.trained_rows_.rows:,} rows"
        f"{time}. Each leaves out some rows, whose loss is its validation loss, and keeps the parameters with which it "
        "is lowest."
    )
    curves = begun(model)
    drawn = [picture("The losses of each network, up to its last epoch.", draw_losses, curves)] if curves else []
    return join([element("p", told), *drawn, _gradients(measured)])


def _gradients(measured: Measured) -> Html:
    """Return the verdict of a gradient check on rows of training as a line, with the whole report behind it."""
    X, y = (measured.X, measured.truth) if measured.learned is None else measured.learned[:2]
    if measured.is_classifier and (y < 0).all():
        return element("p", "No gradients are checked: the model knows none of the classes of these rows.")
    with threadpool_limits(1, "blas"):  # which is faster for products this small
        report = check_of_first_network(measured.model, X, y, method="directions").text()
    verdict = report.rpartition("\n\n")[2].partition("\n")[0]
    return folded(f"The gradients of the first network: {verdict}", element("pre", report))


def check_of_first_network(model: Any, X: Any, y: np.ndarray, **settings: Any) -> Report:
    """Return a gradient check of a model's first network, on rows with their targets as the model learns them."""
    rows = np.unique(np.linspace(0, len(y) - 1, ROWS).astype(int))
    X, y = X.iloc[rows], y[rows]
    view = model.ensemble_.views[0]
    inputs = np.take(model.encoder_(X), view.inputs, axis=1).astype(float)
    if not hasattr(model, "classes_"):
        return check_gradients(view.network, view.thetas[0], inputs, model.targets_.encode(y[:, None]), **settings)
    return check_gradients(view.network, view.thetas[0], inputs[y >= 0], y[y >= 0], **settings)
