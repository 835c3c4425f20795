"""Sections of a page for each task: the metrics, the rows predicted worst, and how training went."""

import shlex
from math import exp
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ... import check_gradients
from ...tables.encoding.columns import shortened
from ...tables.encoding.folds import times
from ...tables.error import pandas, printable
from ...tables.evaluation.metrics import Estimate, title
from ...tables.explaining.worst_rows import worst_rows
from ...tables.reading.file_lists import file_and_line
from ..models.checking import ROWS, network_rows
from ..models.describing import network_of
from ..training.dividing import Parts, Request
from ..training.measured import Measured
from ..training.outcome import spread
from ..training.train_on_table import Trained
from .drawings import begun, draw_losses
from .markup import Html, element, figures, folded, html, join, picture, table


def how_chosen(request: Request, parts: Parts, measured: Measured) -> Html:
    """Return sentences on which rows the model is measured on, and whether they are as hard as what it is for."""
    return _without_test(request, measured) if measured.how != "test" else _test(request, parts)


def _without_test(request: Request, measured: Measured) -> Html:
    """Return sentences on rows of training that are predicted by who has not seen them."""
    together = ""
    if request.split.group is not None:
        together = f" Rows of one group of the column {request.split.group!r} are in one fold."
    elif request.split.time is not None:
        together = f" Each fold is predicted from what is earlier by the column {request.split.time!r}."
    if measured.how == "cross-validation":
        return html(
            f"There is no test: each of {len(measured.folds)} folds of the rows was predicted by a whole model that "
            f"was trained on others.{together}"
        )
    return html(
        f"There is no test: {len(measured.truth):,} training rows were predicted by networks that were neither "
        f"trained on them nor stopped by them.{together}"
    )


def _test(request: Request, parts: Parts) -> Html:
    split, rows = request.split, f"{len(parts.y_test):,} rows"
    share = f"{rows}, {len(parts.y_test) / (parts.rows + len(parts.y_test)):.0%} of all"
    if request.test is not None:
        said = [f"The test is the file {request.test} with {rows}; training has the {parts.rows:,} rows of the table."]
    elif split.time is not None:
        first = _first_time(request, parts)
        said = [
            f"The test is the latest {share}, by the column {split.time!r}: those from {first} on. Training ends "
            "before them, as it does when later rows are predicted."
        ]
    elif split.group is not None:
        groups = parts.X_test[split.group].nunique(dropna=False)
        said = [
            f"The test is {share}: those of {groups:,} groups of the column {split.group!r}, drawn at random (seed "
            f"{split.seed}). No group is in both parts, so that the metrics are for new groups."
        ]
    else:
        how = ", stratified by class where each class has enough rows" if parts.task == "classification" else ""
        said = [
            f"The test is {share}, drawn at random (seed {split.seed}){how}. Such a test is too easy if rows belong "
            "together, as those of one patient do, or if later rows are to be predicted: choose it by ",
            *(element("code", "--group"), " or ", element("code", "--time"), " then."),
        ]
    return join(said)


def _first_time(request: Request, parts: Parts) -> str:
    """Return the earliest time of the test, as the file has it."""
    name = request.split.time or ""
    both = pandas().concat([parts.X[name], parts.X_test[name]])  # which are read as one column
    of_test = times(both, name, request.split.asked)[len(parts.X) :]
    return str(parts.X_test[name].iloc[int(np.argmin(of_test))])


def metrics(trained: Trained, result: dict[str, Any]) -> Html:
    """Return the metrics of the model and of the baselines, and which rows they are measured on."""
    chosen = element("p", how_chosen(trained.request, trained.parts, trained.measured))
    if "scores" not in result:
        return join([element("p", "Nothing was measured, since Ctrl-C came before."), chosen])
    scores, heads = result["scores"], {"": ""} | dict.fromkeys(result["scores"], "number")
    rows = [
        [title(metric, result.get("positive")), *(_stacked(of_model[metric]) for of_model in scores.values())]
        for metric in next(iter(scores.values()))
    ]
    told = "Below each value is its 95 % interval, from bootstrap samples of the rows. Naive ignores the inputs."
    return join([chosen, table(heads, rows), element("p", told), _positive(result), _refit(result), _folds(result)])


def _positive(result: dict[str, Any]) -> Html:
    if "positive" not in result:
        return Html()
    above = figures(result["threshold"])
    return element("p", f"The class {result['positive']} is predicted if its probability is above {above}.")


def _refit(result: dict[str, Any]) -> Html:
    if "refit" not in result:
        return Html()
    all_rows, rows = result["refit"]["rows"], result["rows"]["train"]
    told = f"The model's file holds one that was trained anew on all {all_rows:,} rows, the test's too. "
    return element("p", f"{told}The page is about the first model, which was trained on {rows:,} rows.")


def _folds(result: dict[str, Any]) -> Html:
    """Return the mean and the spread of the metrics over the folds of a cross-validation."""
    if "folds" not in result:
        return Html()
    folds = result["folds"]
    rows = [
        [title(metric, result.get("positive")), *(_spread(of_model[metric]) for of_model in folds.values())]
        for metric in next(iter(folds.values()))
    ]
    head = element("h3", "The folds: mean and standard deviation")
    return join([head, table({"": ""} | dict.fromkeys(folds, "number"), rows)])


def _spread(values: list[float]) -> str:
    found = spread(values)
    return f"{figures(found[0])} ± {figures(found[1], 2)}" if found else ""


def _stacked(score: Estimate) -> Html:
    return join([figures(score.value), element("small", f"{figures(score.low)} to {figures(score.high)}")])


def table_of_worst_rows(trained: Trained, result: dict[str, Any]) -> Html:
    """Return a table of the ten rows with the largest loss, and the command that tells why they are predicted so."""
    found = worst_rows(trained.model, trained.measured.X.index, trained.truth, trained.predicted)
    if not found:
        return Html()
    if trained.is_classifier:
        told, kind, last = "The rows whose class had the lowest probabilities.", "name", "its probability"
        rows = [[each.row, *_names(each.truth, each.predicted), f"{exp(-each.loss):.2%}"] for each in found]
    else:
        told, kind, last = "The rows with the largest errors, true − predicted.", "number", "error"
        numbers = [(each.row, each.truth, each.predicted, each.truth - each.predicted) for each in found]
        rows = [[row, *map(figures, of_row)] for row, *of_row in numbers]
    file = trained.request.test or trained.request.table
    kind_of_row, _, first = found[0].row.partition(" ")
    if kind_of_row == "line":
        file, first = file_and_line(file, first)
    command = shlex.join(["vecprop", "explain", result["model"], str(file), "--row", first])
    return join(
        [
            element("p", f"{told} Look at them first: either the model has not learned them, or the table is wrong."),
            table({"": "row", "true": kind, "predicted": kind, last: "number"}, rows),
            element("p", "This tells why the first of them is predicted so: ", element("code", command)),
        ]
    )


def _names(*classes: object) -> list[str]:
    return [printable(shortened(str(name))) for name in classes]


def training(trained: Trained, result: dict[str, Any]) -> Html:
    """Return the sizes and times of training, its losses, and a gradient check."""
    rows, seconds = result["rows"], result["seconds"]
    told = (
        f"{result['networks']} networks with {result['parameters']:,} parameters in all learned from {rows['train']:,} "
        f"rows in {seconds['training']:.1f} s. Each leaves out some rows, whose loss is its validation loss, and keeps "
        "the parameters with which it is lowest."
    )
    curves = begun(trained.model)
    drawn = [picture("The losses of each network, up to its last epoch.", draw_losses, curves)] if curves else []
    return join([element("p", told), *drawn, _gradients(trained)])


def _gradients(trained: Trained) -> Html:
    """Return the verdict of a gradient check on rows of training as a line, with the whole report behind it."""
    model, parts, target = trained.model, trained.parts, trained.request.target
    rows = np.unique(np.linspace(0, len(parts.y) - 1, ROWS).astype(int))
    X = parts.X.iloc[rows]
    inputs, T = network_rows(model, X, X.assign(**{target: parts.y[rows]}), target)
    with threadpool_limits(1, "blas"):  # which is faster for products this small
        report = check_gradients(*network_of(model), inputs, T, method="directions").text()
    verdict = report.rpartition("\n\n")[2].partition("\n")[0]
    return folded(f"The gradients of the first network: {verdict}", element("pre", report))
