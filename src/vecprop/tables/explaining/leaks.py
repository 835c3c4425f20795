"""Leaks: columns that predict the target so well that they may have been made from it, or after it."""

from typing import Any

import numpy as np

from ..encoding.columns import ordinary
from ..error import pandas
from ..kinds.kinds import MOST_CLASSES
from ..kinds.values import as_names, as_numbers
from ..reading.frames import Frame

FEWEST_ROWS = 50
"""With fewer rows than this, a column may determine the target by chance."""
MOST_ROWS = 100_000
"""Of more rows than this a random sample is judged."""
EXPLAINED = 0.98
"""A column that explains this share of the target's variance tells it almost exactly."""
CHANCE = 1e-6
"""What would happen by chance with a smaller probability than this is no chance."""


def leaks(frame: Frame, target: np.ndarray) -> list[str]:
    """Return a note for each column that alone tells the target, or is filled for one class only; from 50 rows on.

    A column tells the target if it explains 98 % of its variance, see `explained`, so that noise or another scale hides
    no copy. Columns of text count if they have a fifth as many values as rows, or fewer.

    Examples
    --------
    >>> frame = pandas().DataFrame({"age": np.arange(60) % 7, "pounds": 2.2 * np.arange(60)})
    >>> leaks(frame, np.arange(60.0))
    ["Column 'pounds' tells the target almost exactly: leave it out if it would not be known when predicting."]
    """
    if len(frame) < FEWEST_ROWS:
        return []
    rows = np.random.default_rng(0).permutation(len(frame))[:MOST_ROWS]
    of_rows = np.asarray(target)[rows]
    classes, codes = np.unique(of_rows, return_inverse=True)
    is_classes = of_rows.dtype.kind not in "iuf" or len(classes) <= MOST_CLASSES
    y = codes.astype(float) if is_classes else ordinary(of_rows.astype(float))
    if y.min() == y.max():
        return []
    notes = []
    for name in frame.columns:
        series = frame[name].iloc[rows]
        x = _as_values(series)
        if x is not None and explained(x, y, is_classes=is_classes) >= EXPLAINED:
            notes.append(
                f"Column {name!r} tells the target almost exactly: leave it out if it would not be known when "
                "predicting."
            )
        elif is_classes and (what := _filled_for(series.isna().to_numpy(), y)):
            number, is_missing = what
            state, label = "is missing" if is_missing else "has values", np.unique(target)[number]
            notes.append(
                f"Column {name!r} {state} only where the target is {label}: leave it out if it is filled in when the "
                "target is known."
            )
    return notes


def explained(x: np.ndarray, y: np.ndarray, *, is_classes: bool) -> float:
    """Return the share of a target's variance that is not between rows whose values of a column are neighbours.

    Rows are sorted by the column. Half the mean squared difference of neighbours estimates the variance that a function
    of the column would leave (von Neumann, 1941); of classes, numbered from 0, it is the share of neighbours that
    differ, beyond the borders that each order of classes has. Missing values are neighbours of each other. Values that
    are few are sorted by their mean target.

    Examples
    --------
    >>> x = np.arange(100.0)
    >>> explained(x, np.sin(x / 20), is_classes=False) > 0.99, explained(x, x % 2, is_classes=True)
    (True, 0.0)
    """
    values, codes = np.unique(x, return_inverse=True)
    if 5 * len(values) <= len(x):
        means = np.bincount(codes, y) / np.bincount(codes)
        codes = means[codes]
    y = y[np.argsort(codes, kind="stable")]
    if not is_classes:
        return max(1 - float(np.mean(np.diff(y) ** 2) / (2 * y.var())), 0.0)
    shares = np.bincount(y.astype(int)) / len(y)
    borders = np.count_nonzero(np.diff(y)) - (np.count_nonzero(shares) - 1)
    return max(1 - float(borders / (len(y) - 1) / (1 - shares @ shares)), 0.0)


def _as_values(series: Any) -> np.ndarray | None:
    """Return a column as numbers, in which equal values are equal, or None if they say nothing of other rows."""
    x, unread = as_numbers(series)
    if not unread:
        return ordinary(x)
    codes, names = pandas().factorize(as_names(series))
    return codes.astype(float) if 5 * len(names) <= len(codes) else None


def _filled_for(is_missing: np.ndarray, y: np.ndarray) -> tuple[int, bool] | None:
    """Return the class that all rows with values have, or all without, if that is no chance, and whether without."""
    for rows, what in ((~is_missing, False), (is_missing, True)):
        if rows.any() and not rows.all() and np.ptp(y[rows]) == 0:
            number = int(y[rows][0])
            if np.mean(y == number) ** rows.sum() < CHANCE:
                return number, what
    return None
