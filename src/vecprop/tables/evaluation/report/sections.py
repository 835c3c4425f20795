"""The sections of a report on metrics, worst predictions and training."""

from math import exp
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ....check import Report, check_gradients
from ....system.estimates import Estimate, NumberFormat
from ...encoding.column import shortened
from ...error import figures, printable
from ...explaining.contributions import Explanation, explanations
from ...explaining.importance import loss_name
from ..measured import Measured
from ..targets import positive_class
from . import drawings as draw
from .columns import leading_columns
from .markup import Html, code_in, parts, picture, shown
from .subgroups import worse_subgroups

ROWS = 200
"""Maximum number of evenly spaced rows for the gradient check, because few rows suffice to find an error."""
VALUES, DRIVERS = 4, 3
"""Maximum numbers of column values and of contributions to show for each of the worst predictions."""
DRAWN, MAX_INPUTS = 6_000_000, 5_000_000
"""Number of inputs to sample per explanation, and the limit of the product of inputs and columns."""


def metrics(measured: Measured, chosen: str, refit: str, *, is_measured: bool) -> Html:
    """Return the metrics of the model and the baselines, and a description of the scored rows."""
    how = f"The metrics were computed on {len(measured.truth):,} rows."
    if chosen:
        how = code_in(chosen)
    elif measured.margins and measured.learned is None:
        how += " The baselines were cross-validated on these rows."
    elif measured.learned is not None and measured.margins:
        how += f" The baselines were fitted on the {measured.learned.rows:,} training rows."
    if not is_measured:
        return parts().metrics(how)
    positive = positive_class(measured.model)
    scores = table_of_scores(measured)
    decided = ""
    if positive is not None:
        above = figures(getattr(measured.model, "threshold_", 0.5))
        decided = f"Class {positive} is predicted if its probability is above {above}."
        if measured.thresholds is not None and len(np.unique(measured.thresholds)) > 1:
            decided += " For the metrics, this threshold was chosen on other rows."
    of_folds = (scores[0], measured._rows_of_folds()) if measured.folds else None
    judged = [(judgement.note, *table_of_scores(judgement.measured)) for judgement in measured.judgements]
    return parts().metrics(how, scores, measured, decided, refit, of_folds, judged)


def table_of_scores(measured: Measured) -> tuple[dict[str, str], list[list[Html]]]:
    """Return the heads and rows of a table with the metrics of the model and the baselines."""
    return {"": "name"} | dict.fromkeys(measured.scores, "number"), measured._rows_of_metrics(shown=parts().stacked)


def worst_rows(measured: Measured, explain: str) -> Html:
    """Return the ten rows with the largest loss, the columns that drove them, and worse subgroups."""
    if not (found := measured.worst_rows):
        return ""
    if measured.is_classifier:
        text, kind, last = "These rows had the lowest probabilities of their true class.", "name", "P(true class)"
        rows = [[each.row, *map(name_of, (each.truth, each.predicted)), f"{exp(-each.loss):.2%}"] for each in found]
    else:
        of_loss = "errors" if loss_name(measured.model) == "squared error" else "quantile loss"
        text, kind, last = f"These rows had the largest {of_loss} (error: true − predicted).", "number", "error"
        worst, errors = found[0], [Estimate(found[0].truth - found[0].predicted)]
        form = NumberFormat.of([Estimate(worst.predicted), Estimate(worst.truth)], errors)
        rows = [
            [row.row, form(row.truth), form(row.predicted), form.difference(row.truth, row.predicted)] for row in found
        ]
    encoder, X = measured.model.encoder_, measured.X.iloc[[each.place for each in found]]
    heads = {"": "row", "true": kind, "predicted": kind, last: "number"}
    for name in (leading_columns(measured) or encoder.names)[:VALUES]:
        is_number = encoder.parts[encoder.names.index(name)].holds == "numbers"
        heads |= {f"{printable(name)} ": "number value" if is_number else "value"}  # a blank: it can be "predicted"
        for row, value in zip(rows, X[name] if is_number else X[name].astype("string"), strict=True):
            row.append(shown(value))
    if encoder.width * len(encoder.names) < MAX_INPUTS:
        output = "the probability of the predicted class" if measured.is_classifier else "the prediction"
        text += f" The last column lists which inputs moved {output} most, up (+) or down (-) from its mean."
        text += "" if measured.has_test else " It explains the final model, which was trained on these rows too."
        heads |= {"main drivers": "examples drivers"}
        rows = [[*row, drivers(of)] for row, of in zip(rows, explanations(measured.model, X, most=DRAWN), strict=True)]
    return parts().worst_rows(text, heads, rows, explain, worse_subgroups(measured))


def drivers(of: Explanation) -> Html:
    """Return the largest contributions that exceed 5 % of the first one and their sampling errors."""
    least = 0.05 * abs(of.contributions[0].contribution)
    moved = [of for of in of.contributions[:DRIVERS] if abs(of.contribution) > max(2 * of.error, least)]
    return parts().examples(
        [f"{printable(of.column)} {'+' * (of.contribution > 0)}{figures(of.contribution, 2)}" for of in moved]
    )


def name_of(of_class: object) -> str:
    """Return a printable, shortened class name."""
    return printable(shortened(str(of_class)))


def training(measured: Measured, seconds: float | None) -> Html:
    """Return the size and duration of training, its losses, and a gradient check on training rows."""
    model = measured.model
    networks, parameters = sum(map(len, model._ensembles)), sum(each.theta.size for each in model._ensembles)
    time = "" if seconds is None else f" in {seconds:.1f} s"
    rows = f"{model.trained_rows_.rows:,} rows"
    text = f"An ensemble of {networks} networks ({parameters:,} parameters) was trained on {rows}{time}."
    text += " Each network holds out some rows and keeps the parameters with the lowest loss on them."
    curves = model._histories
    losses = picture("Losses of each network up to its last epoch.", draw.losses, curves) if curves else ""
    X, y = (measured.X, measured.truth) if measured.learned is None else measured.learned[:2]
    if measured.is_classifier and (y < 0).all():
        unknown = "Gradients were not checked: the model knows none of the classes of these rows."
        return parts().training(text, losses, unknown, "")
    with threadpool_limits(1, "blas"):  # one thread is faster for products this small
        report = check_of_first_network(model, X, y, method="directions").text()
    return parts().training(text, losses, report.rpartition("\n\n")[2].partition("\n")[0], report)


def check_of_first_network(model: Any, X: Any, y: np.ndarray, **settings: Any) -> Report:
    """Return a gradient check of a model's first network; y contains encoded targets."""
    rows = np.unique(np.linspace(0, len(y) - 1, ROWS).astype(int))
    X, y = X.iloc[rows], y[rows]
    view = model.ensemble_.views[0]
    inputs = np.take(model.encoder_(X), view.inputs, axis=1).astype(float)
    if not hasattr(model, "classes_"):
        return check_gradients(view.network, view.thetas[0], inputs, model.targets_.encode(y[:, None]), **settings)
    return check_gradients(view.network, view.thetas[0], inputs[y >= 0], y[y >= 0], **settings)
