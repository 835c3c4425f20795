"""Subgroups of rows with significantly worse predictions."""

from math import sqrt
from typing import Any

import numpy as np

from ....system.estimates import Estimate, compared
from ...encoding.column import Column, shortened
from ...encoding.columns import Dates
from ...error import printable
from ...explaining.importance import loss_name
from ...kinds.values import MISSING
from ..measured import Measured
from .columns import leading_columns, losses_of
from .drawings import groups_by
from .markup import Html, parts, shown

MIN_ROWS, MAX_SUBGROUPS = 30, 5
"""Minimum number of rows in a subgroup, and maximum number of subgroups shown."""
MAX_NUMBERS, BINS = 10, 5
"""Maximum number of numeric columns to divide into groups, and number of groups per column."""


def worse_subgroups(measured: Measured) -> Html:
    """Return a table of the subgroups whose loss is significantly higher than the loss of all rows.

    The test divides the sum of excess losses by the root of their sum of squares, which is robust for skewed losses.
    Its level is 5 %, Bonferroni-corrected. Absolute errors replace squared errors, to limit the effect of outliers.
    """
    from scipy.stats import norm

    name = loss_name(measured.model)
    name, power = ("RMSE", 0.5) if name == "squared error" else (name, 1.0)
    losses, weight, whole = losses_of(measured)
    excess = weight * (losses**power - np.average(losses**power, weights=weight))
    units = np.arange(len(losses)) if measured.groups is None else measured.groups
    columns, found = dict(zip(measured.model.encoder_.names, measured.model.encoder_.parts, strict=True)), []
    numbers = [column for column in leading_columns(measured) if columns[column].holds == "numbers"][:MAX_NUMBERS]
    for column in [*(column for column, part in columns.items() if part.holds == "names"), *numbers]:
        labels = _labels(columns[column], measured.X[column])
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            if MIN_ROWS <= len(rows) < len(losses) and weight[rows].any():
                sums, loss = np.bincount(units[rows], excess[rows]), np.average(losses[rows], weights=weight[rows])
                score = sums.sum() / (sqrt((sums**2).sum() * (1 - len(rows) / len(losses))) or np.inf)
                more = f"+{(loss / whole) ** power - 1:.0%}" if loss > whole else ""
                cells = printable(column), printable(shortened(label)), f"{len(rows):,}", loss**power, more
                found.append((score if more else 0.0, cells))
    least = norm.isf(0.05 / max(len(found), 1)) if measured.units > 1 else np.inf
    worse = [cells for score, cells in sorted(found, reverse=True) if score > least][:MAX_SUBGROUPS]
    of_all, *texts = compared([Estimate(whole**power), *(Estimate(loss) for _, _, _, loss, _ in worse)])
    rows = [(*cells[:3], text.value, cells[4]) for cells, text in zip(worse, texts, strict=True)]
    return parts().subgroups(name, of_all.value, rows)


def _labels(part: Column, series: Any) -> np.ndarray:
    """Return the category of each row, or the range of its group of numbers."""
    values = part.read(series)
    if part.holds == "names":
        return np.where(values == MISSING, "missing", values)
    labels, known = np.full(len(values), "missing", object), np.flatnonzero(~np.isnan(values))
    for group in groups_by(values[known], BINS) if len(known) else ():
        ends = np.quantile(values[known[group]], (0, 1))
        dates_or_numbers = ends.astype("datetime64[D]") if isinstance(part, Dates) else ends
        labels[known[group]] = " to ".join(dict.fromkeys(map(shown, dates_or_numbers)))
    return labels
