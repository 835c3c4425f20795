"""Subgroups of rows with significantly worse predictions."""

from math import sqrt
from typing import NamedTuple

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

MIN_ROWS = 30
"""Minimum number of rows in a subgroup."""
MAX_SUBGROUPS = 5
"""Maximum number of subgroups shown."""
MAX_NUMBERS = 10
"""Maximum number of numeric columns to divide into groups."""
BINS = 5
"""Number of groups per numeric column."""


class Subgroup(NamedTuple):
    """A subgroup of rows with the test statistic and the loss of its rows."""

    score: float
    column: str
    label: str
    rows: int
    loss: float


def worse_subgroups(measured: Measured) -> Html:
    """Return a table of the subgroups whose loss is significantly above the mean loss."""
    from scipy.stats import norm

    subgroups, mean_loss = subgroups_of(measured)
    least = np.inf
    if measured.units > 1 and subgroups:
        least = norm.isf(0.05 / len(subgroups))
    worse = []
    for subgroup in sorted(subgroups, reverse=True):
        if subgroup.score > least and subgroup.loss > mean_loss:
            worse.append(subgroup)
    worse = worse[:MAX_SUBGROUPS]
    losses = [mean_loss, *(subgroup.loss for subgroup in worse)]
    mean_text, *texts = compared(list(map(Estimate, losses)))
    rows = []
    for subgroup, text in zip(worse, texts, strict=True):
        column = printable(subgroup.column)
        label = printable(shortened(subgroup.label))
        increase = f"+{subgroup.loss / mean_loss - 1:.0%}"
        rows.append((column, label, f"{subgroup.rows:,}", text.value, increase))
    name = loss_name(measured.model)
    if name == "squared error":
        name = "RMSE"
    return parts().subgroups(name, mean_text.value, rows)


def subgroups_of(measured: Measured) -> tuple[list[Subgroup], float]:
    """Return the subgroups of rows by category or range of numbers, and the mean loss.

    The test divides the sum of excess losses by the root of their sum of squares, which
    is robust for skewed losses. Its level is 5 %, Bonferroni-corrected. Absolute errors
    replace squared errors, to limit the effect of outliers.
    """
    power = 1.0
    if loss_name(measured.model) == "squared error":
        power = 0.5
    losses, weight, mean_loss = losses_of(measured)
    errors = losses**power
    excess = weight * (errors - np.average(errors, weights=weight))
    units = measured.groups
    if units is None:
        units = np.arange(len(losses))
    parts_by_name = dict(measured.model.encoder_.columns)
    subgroups = []
    for column in _columns_to_divide(measured):
        labels = _labels(parts_by_name[column], measured.X[column])
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            share = len(rows) / len(losses)
            if len(rows) < MIN_ROWS or share == 1 or not weight[rows].any():
                continue
            unit_sums = np.bincount(units[rows], excess[rows])
            spread = sqrt((unit_sums**2).sum() * (1 - share))
            score = 0.0
            if spread:
                score = unit_sums.sum() / spread
            loss = np.average(losses[rows], weights=weight[rows]) ** power
            subgroups.append(Subgroup(score, column, label, len(rows), loss))
    return subgroups, mean_loss**power


def _columns_to_divide(measured: Measured) -> list[str]:
    """Return the columns of categories, and the most important columns of numbers."""
    kinds = {name: part.holds for name, part in measured.model.encoder_.columns}
    names = [name for name in kinds if kinds[name] == "names"]
    leading = leading_columns(measured)
    numbers = [name for name in leading if kinds[name] == "numbers"]
    return names + numbers[:MAX_NUMBERS]


def _labels(part: Column, series) -> np.ndarray:
    """Return the category of each row, or the range of its group of numbers."""
    values = part.read(series)
    if part.holds == "names":
        return np.where(values == MISSING, "missing", values)
    labels = np.full(len(values), "missing", object)
    present = np.flatnonzero(~np.isnan(values))
    if not len(present):
        return labels
    for group in groups_by(values[present], BINS):
        rows = present[group]
        ends = np.quantile(values[rows], (0, 1))
        if isinstance(part, Dates):
            ends = ends.astype("datetime64[D]")
        labels[rows] = " to ".join(dict.fromkeys(map(shown, ends)))
    return labels
