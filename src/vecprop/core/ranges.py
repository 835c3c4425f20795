"""The ranges of settings."""

from math import inf
from typing import Any, Literal

import numpy as np


def is_within(value: Any, low: float, high: float = inf, ends: Literal["[]", "[)", "(]", "()"] = "[)") -> bool:
    """Return whether a setting is a number between two ends, which brackets include and parentheses do not.

    Text, truth values and lists are no numbers.

    Examples
    --------
    >>> is_within(0, 0, 1), is_within(1, 0, 1), is_within(float("nan"), 0), is_within("0.5", 0, 1), is_within(True, 0)
    (True, False, False, False, False)
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    is_above = low <= value if ends[0] == "[" else low < value
    return bool(is_above and (value <= high if ends[1] == "]" else value < high))
