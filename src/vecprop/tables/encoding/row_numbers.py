"""Row numbers: columns that count the rows, and so say nothing of other rows."""

import re
from collections.abc import Container
from typing import Any

import numpy as np

from ..kinds.values import as_numbers
from ..reading.frames import Frame

FEWEST_ROWS = 20
"""Fewer whole numbers than this may be consecutive and yet be amounts."""
_FIRST = 100
"""Whole numbers are looked for in this number of rows first, which rules out most columns in no time."""
_NO_NAME = re.compile(r"|index|Unnamed: \d+|column \d+|level_\d+")
"""The names that programs give to a column without one."""


def row_numbers(frame: Frame, but: Container[Any] = ()) -> dict[str, str]:
    """Return the columns that count the rows, each with the reason why it is not an input; none if no other is left.

    These are whole numbers in steps of exactly 1 over the whole table, in any order; and columns without a name whose
    whole numbers rise from row to row, as they do in a part of a table.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": range(1000, 1030), "x": 0.5})
    >>> row_numbers(frame)
    {'id': 'it counts the rows; call it a number if it is one'}
    """
    found = {name: reason for name in frame.columns if name not in but and (reason := _reason(frame[name], name))}
    return found if len(found) < frame.shape[1] else {}


def _reason(series: Any, name: str) -> str | None:
    if len(series) < FEWEST_ROWS or _rising(series.iloc[:_FIRST]) is None:
        return None
    rising = _rising(series)
    if rising is None:
        return None
    if rising[0] + len(rising) - 1 == rising[-1]:
        return "it counts the rows; call it a number if it is one"
    if _NO_NAME.fullmatch(name) and (as_numbers(series)[0] == rising).all():
        return "it has no name and numbers the rows; call it a number if it is one"
    return None


def _rising(series: Any) -> np.ndarray | None:
    """Return the values of a column of distinct whole numbers in rising order, or None for another."""
    x, unread = as_numbers(series)
    if unread or not np.isfinite(x).all() or (x != np.floor(x)).any():
        return None
    x = np.sort(x)
    return x if (x[1:] > x[:-1]).all() else None
