"""The weights of rows, as users give them."""

from typing import Any

import numpy as np

from .encoding.columns import row_named
from .error import TableError, first_line, pandas

LARGEST_WEIGHT = 1e30
"""The largest weight of a row, with room for sums in float32; weights below its inverse count as none."""


def weights(sample_weight: Any, rows: int) -> np.ndarray:
    """Return the weights of a number of rows as floats, or refuse them; weights too small for float32 are 0.

    Examples
    --------
    >>> weights([1, 1e-50, 2], rows=3)
    array([1., 0., 2.])
    """
    try:
        weight = np.asarray(sample_weight, float)
    except ValueError as error:
        raise TableError(f"sample_weight is not numbers: {first_line(error)}.") from None
    if weight.shape != (rows,):
        raise TableError(f"The table has {rows} rows, but sample_weight has the shape {weight.shape}: give one a row.")
    index = sample_weight.index if isinstance(sample_weight, pandas().Series) else pandas().RangeIndex(rows)
    wrong = np.flatnonzero(~((weight >= 0) & (weight <= LARGEST_WEIGHT)))
    if len(wrong):
        raise TableError(
            f"sample_weight has {len(wrong)} value(s) that are no weights, such as {weight[wrong[0]]} in "
            f"{row_named(index, wrong[0])}: weights are at least 0, and at most {LARGEST_WEIGHT:g}."
        )
    weight = np.where(weight < 1 / LARGEST_WEIGHT, 0.0, weight)
    if not weight.any():
        raise TableError(
            f"sample_weight is zero in all rows, or below {1 / LARGEST_WEIGHT:g}, so that no row counts: weigh at "
            "least two."
        )
    return weight
