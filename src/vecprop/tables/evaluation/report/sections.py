"""The sections of a report on metrics, worst predictions and training."""

from collections.abc import Sequence
from math import exp
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ....check import Report, check_gradients
from ....system.estimates import Estimate, NumberFormat
from ...encoding.column import shortened
from ...error import figures, printable
from ...explaining.contributions import Explanation, explanations
from ...explaining.importance import WorstRow, loss_name
from ..measured import Measured
from ..targets import positive_class
from . import drawings as draw
from .columns import leading_columns
from .markup import Html, code_in, parts, picture, shown
from .subgroups import worse_subgroups

ROWS = 200
"""Maximum number of evenly spaced rows for the gradient check, because few rows
suffice to find an error.
"""
VALUES = 4
"""Maximum number of column values to show for each of the worst predictions."""
DRIVERS = 3
"""Maximum number of contributions to show for each of the worst predictions."""
DRAWN = 6_000_000
"""Number of inputs to sample per explanation."""
MAX_INPUTS = 1_000_000
"""Maximum product of inputs and columns for explanations, which bounds the time."""


def metrics(measured: Measured, run) -> Html:
    """Return the metrics of all models, and a description of the scored rows."""
    learned = measured.learned
    rows = f"The metrics were computed on {len(measured.truth):,} rows."
    if run.chosen:
        rows = code_in(run.chosen)
    elif measured.margins:
        rows += " The baselines were "
        if learned is None:
            rows += "cross-validated on these rows."
        else:
            rows += f"fitted on the {learned.rows:,} training rows."
    if not run.is_measured:
        return parts().metrics(rows)
    positive = positive_class(measured.model)
    scores = table_of_scores(measured)
    decided = ""
    if positive is not None:
        above = figures(getattr(measured.model, "threshold_", 0.5))
        decided = f"Class {positive} is predicted if its probability is above {above}."
        if measured.thresholds is not None and len(np.unique(measured.thresholds)) > 1:
            decided += " For the metrics, this threshold was chosen on other rows."
    folds = None
    if measured.folds:
        heads, _ = scores
        folds = (heads, measured._rows_of_folds())
    judged = []
    for judgement in measured.judgements:
        judged.append((judgement.note, *table_of_scores(judgement.measured)))
    return parts().metrics(rows, scores, measured, decided, run.refit, folds, judged)


def table_of_scores(measured: Measured) -> tuple[dict[str, str], list[list[Html]]]:
    """Return the heads and rows of a table with the metrics of all models."""
    heads = {"": "name", **dict.fromkeys(measured.scores, "number")}
    return heads, measured._rows_of_metrics(shown=parts().stacked)


def worst_rows(measured: Measured, explain: str) -> Html:
    """Return the ten rows with the largest loss, their main drivers, and worse subgroups."""
    worst = measured.worst_rows
    if not worst:
        return ""
    X = measured.X.iloc[[row.place for row in worst]]
    encoder = measured.model.encoder_
    if measured.is_classifier:
        text = "These rows had the lowest probabilities of their true class."
        heads = {"": "row", "true": "name", "predicted": "name"}
        heads["P(true class)"] = "number"
        rows = _rows_with_classes(worst)
        output = "the probability of the predicted class"
    else:
        loss = loss_name(measured.model).replace("squared error", "errors")
        text = f"These rows had the largest {loss} (error: true − predicted)."
        heads = {"": "row", "true": "number", "predicted": "number", "error": "number"}
        rows = _rows_with_errors(worst)
        output = "the prediction"
    columns = dict(encoder.columns)
    for name in (leading_columns(measured) or encoder.names)[:VALUES]:
        values = X[name]
        kind = "number value"
        if columns[name].holds != "numbers":
            values = values.astype("string")
            kind = "value"
        heads[f"{printable(name)} "] = kind  # a blank: it can be "predicted"
        for row, value in zip(rows, values, strict=True):
            row.append(shown(value))
    if encoder.width * len(encoder.names) < MAX_INPUTS:
        text += (
            f" The last column lists which inputs moved {output} most, up (+) or down"
            " (-) from its mean."
        )
        if not measured.has_test:
            text += " It explains the final model, which was trained on these rows too."
        heads["main drivers"] = "examples drivers"
        explained = explanations(measured.model, X, most=DRAWN)
        for row, explanation in zip(rows, explained, strict=True):
            row.append(drivers(explanation))
    return parts().worst_rows(text, heads, rows, explain, worse_subgroups(measured))


def _rows_with_classes(worst: Sequence[WorstRow]) -> list[list[Any]]:
    """Return the label, the classes and the probability of the true class of each row."""
    rows = []
    for row in worst:
        chance = f"{exp(-row.loss):.2%}"
        rows.append([row.row, name_of(row.truth), name_of(row.predicted), chance])
    return rows


def _rows_with_errors(worst: Sequence[WorstRow]) -> list[list[Any]]:
    """Return the label, target, prediction and error of each row with equal decimals."""
    first = worst[0]
    error = Estimate(first.truth - first.predicted)
    form = NumberFormat.of([Estimate(first.predicted), Estimate(first.truth)], [error])
    rows = []
    for row in worst:
        difference = form.difference(row.truth, row.predicted)
        rows.append([row.row, form(row.truth), form(row.predicted), difference])
    return rows


def drivers(explanation: Explanation) -> Html:
    """Return the largest contributions that exceed sampling errors and 5 % of the first."""
    leading = explanation.contributions[:DRIVERS]
    least = 0.05 * abs(leading[0].contribution)
    texts = []
    for contribution in leading:
        if abs(contribution.contribution) > max(2 * contribution.error, least):
            texts.append(
                f"{printable(contribution.column)}"
                f" {figures(contribution.contribution, 2, '+')}"
            )
    return parts().examples(texts)


def name_of(label: object) -> str:
    """Return a printable, shortened class name."""
    return printable(shortened(str(label)))


def training(measured: Measured, seconds: float | None) -> Html:
    """Return the size, the duration and the losses of training, and a gradient check."""
    model = measured.model
    networks = sum(map(len, model._ensembles))
    parameters = sum(ensemble.theta.size for ensemble in model._ensembles)
    time = ""
    if seconds is not None:
        time = f" in {seconds:.1f} s"
    text = (
        f"An ensemble of {networks} networks ({parameters:,} parameters) was trained on"
        f" {model.trained_rows_.rows:,} rows{time}."
        " Each network holds out some rows and keeps the parameters with the lowest"
        " loss on them."
    )
    losses = ""
    if model._histories:
        caption = "Losses of each network up to its last epoch."
        losses = picture(caption, draw.losses, model._histories)
    X = measured.X
    y = measured.truth
    if measured.learned is not None:
        X, y, _ = measured.learned
    if measured.is_classifier and (y < 0).all():
        unknown = (
            "Gradients were not checked: the model knows none of the classes of these"
            " rows."
        )
        return parts().training(text, losses, unknown, "")
    with threadpool_limits(1, "blas"):  # one thread is faster for products this small
        report = check_of_first_network(model, X, y, method="directions").text()
    _, _, conclusion = report.rpartition("\n\n")
    gradients, _, _ = conclusion.partition("\n")
    return parts().training(text, losses, gradients, report)


def check_of_first_network(model, X, y: np.ndarray, **settings) -> Report:
    """Return a gradient check of a model's first network; y contains encoded targets."""
    rows = np.unique(np.linspace(0, len(y) - 1, ROWS).astype(int))
    X = X.iloc[rows]
    y = y[rows]
    view = model.ensemble_.views[0]
    inputs = np.take(model.encoder_(X), view.inputs, axis=1).astype(float)
    if hasattr(model, "classes_"):
        inputs = inputs[y >= 0]
        targets = y[y >= 0]
    else:
        targets = model.targets_.encode(y[:, None])
    return check_gradients(view.network, view.thetas[0], inputs, targets, **settings)
