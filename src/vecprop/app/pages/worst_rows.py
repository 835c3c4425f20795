"""The rows of the test that are predicted worst."""

import shlex
from math import exp
from typing import Any

from ...tables.encoding.columns import shortened
from ...tables.error import printable
from ...tables.explaining.worst_rows import worst_rows
from ...tables.reading.file_lists import file_and_line
from ..training.train_on_table import Trained
from .markup import Html, element, figures, join, table


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
