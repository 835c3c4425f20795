"""Leaks: columns that predict the target so well that they may have been made from it."""

from typing import Any

import numpy as np

from .columns import ordinary
from .error import pandas
from .frames import Frame
from .values import as_numbers

FEWEST_ROWS = 50
"""With fewer rows than this, a column may determine the target by chance."""


def leaks(frame: Frame, target: np.ndarray) -> list[str]:
    """Return a note for each column that alone determines the target, if there are at least 50 rows.

    A column of categories does so if each value occurs with one target only, and values and targets occur five times on
    average. A column of numbers does so if its correlation with the target is beyond ±0.9999.

    Examples
    --------
    >>> frame = pandas().DataFrame({"age": np.arange(60) % 7, "pounds": 2.2 * np.arange(60)})
    >>> leaks(frame, np.arange(60.0))
    ["Column 'pounds' tells the target almost exactly: leave it out if it would not be known when predicting."]
    """
    if len(frame) < FEWEST_ROWS:
        return []
    codes, targets = pandas().factorize(target)
    numbers = np.asarray(target, float) if target.dtype.kind in "iufb" else None
    found = [name for name in frame.columns if _tells(frame[name], codes, len(targets), numbers)]
    return [
        f"Column {name!r} tells the target almost exactly: leave it out if it would not be known when predicting."
        for name in found
    ]


def _tells(series: Any, codes: np.ndarray, count: int, numbers: np.ndarray | None) -> bool:
    values, distinct = pandas().factorize(series)
    if len(distinct) >= count > 1 and 5 * len(distinct) <= len(codes) and 5 * count <= len(codes):
        pairs = np.unique(values * count + codes)
        return len(pairs) <= len(np.unique(values))
    if numbers is None or count < FEWEST_ROWS:
        return False
    x = as_numbers(series)[0]
    is_known = np.isfinite(x)
    x, numbers = ordinary(x), ordinary(numbers)
    if is_known.sum() < FEWEST_ROWS or np.ptp(x[is_known]) == 0 or np.ptp(numbers[is_known]) == 0:
        return False
    return bool(abs(np.corrcoef(x[is_known], numbers[is_known])[0, 1]) > 0.9999)
