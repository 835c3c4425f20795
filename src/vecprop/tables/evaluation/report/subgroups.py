"""Subgroups of rows that are predicted worse than others."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np

from ...encoding.column import Column
from ...encoding.columns import Dates
from ...error import printable
from ...explaining.importance import loss_name
from ...kinds.values import MISSING
from ..measured import Measured
from ..metrics import figures
from .columns import leading_columns, losses_of
from .drawings import groups_by
from .markup import Html, parts, shown

FEWEST, MOST = 30, 5
"""The fewest rows of a subgroup, and the most subgroups that are shown."""
NUMBERS, BINS = 10, 5
"""How many of the leading columns of numbers are divided, and into how many groups of equal size."""


def worse_subgroups(measured: Measured) -> Html:
    """Return a table of the subgroups whose loss is surely higher than that of all rows.

    A sum of excess losses is compared with the root of their sum of squares, which is safe for skewed losses, at 5 %
    divided by the number of subgroups. Of squared errors the roots are compared, in which outliers count less.
    """
    from scipy.stats import norm

    encoder, name, root = measured.model.encoder_, loss_name(measured.model), float
    losses, weight, whole = losses_of(measured)
    if name == "squared error":
        name, root = "RMSE", sqrt
    judged = losses if root is float else np.sqrt(losses)
    excess = weight * (judged - np.average(judged, weights=weight))
    units = np.arange(len(losses)) if measured.groups is None else measured.groups
    held, found = dict(zip(encoder.names, encoder.parts, strict=True)), []
    numbers = [column for column in leading_columns(measured) if held[column].holds == "numbers"][:NUMBERS]
    for column in [*(column for column, part in held.items() if part.holds == "names"), *numbers]:
        for values, rows in _divided(held[column], measured.X[column]):
            if FEWEST <= len(rows) < len(losses) and weight[rows].any():
                sums, loss = np.bincount(units[rows], excess[rows]), np.average(losses[rows], weights=weight[rows])
                deviation = sqrt((sums**2).sum() * (1 - len(rows) / len(losses))) or np.inf
                more = root(loss / whole) - 1 if whole else 0.0
                cells = printable(column), values, f"{len(rows):,}", figures(root(loss), 3), f"+{more:.0%}"
                found.append((sums.sum() / deviation if more > 0 else 0.0, cells))
    least = norm.isf(0.05 / max(len(found), 1))
    worse = [cells for surely, cells in sorted(found, reverse=True) if surely > least][:MOST]
    return parts().subgroups(name, figures(root(whole), 3), worse)


def _divided(part: Column, series: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the values and the rows of each category, or of each group by a number."""
    values = part.read(series)
    if part.holds == "names":
        for name in np.unique(values):
            yield "missing" if name == MISSING else shown(str(name)), np.flatnonzero(values == name)
        return
    known = np.flatnonzero(~np.isnan(values))
    for group in groups_by(values[known], BINS) if len(known) else ():
        ends = np.quantile(values[known[group]], (0, 1))
        low, high = map(shown, ends.astype("datetime64[D]") if isinstance(part, Dates) else ends)
        yield low if low == high else f"{low} to {high}", known[group]
    yield "missing", np.flatnonzero(np.isnan(values))
