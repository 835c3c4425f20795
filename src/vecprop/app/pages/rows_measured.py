"""How the rows were chosen that a model is measured on, as sentences."""

import numpy as np

from ...tables.encoding.folds import times
from ...tables.error import pandas
from ..training.dividing import Parts, Request
from ..training.measured import Measured
from .markup import Html, element, html, join


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
