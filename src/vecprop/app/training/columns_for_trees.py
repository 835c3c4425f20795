"""The columns of a table as trees take them: numbers in which values may be missing, and numbers of categories."""

from typing import Any

import numpy as np

from ...tables.encoding.columns import Categories, Dates, NumberInputs, calendar_inputs, ordinary
from ...tables.encoding.encoder import Encoder, Inputs


def columns_for_trees(encoder: Encoder, frame: Any) -> tuple[np.ndarray, list[bool]]:
    """Return the columns of a table for trees, (N, K), and whether each holds the numbers of categories.

    Numbers are as they are, and nan where they are missing. A date is the days since 1970 and its place in the year,
    the month and the week; a text has the inputs of networks.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, None, 40.0], "town": list("aba")})
    >>> columns_for_trees(Encoder.of(frame)[0], frame)
    (array([[20.,  0.], [nan,  1.], [40.,  0.]]), [False, True])
    """
    parts = [(part, _columns(part, frame[name])) for name, part in zip(encoder.names, encoder.parts, strict=True)]
    is_category = [isinstance(part, Categories) for part, columns in parts for _ in columns.T]
    return np.hstack([columns for _, columns in parts]), is_category


def _columns(part: Inputs, series: Any) -> np.ndarray:
    if isinstance(part, NumberInputs):
        return ordinary(part.read(series))[:, None]
    if isinstance(part, Dates):
        days = part.read(series)
        return np.hstack([days[:, None], calendar_inputs(days, part.day_waves)])
    return part(series).argmax(axis=1)[:, None] if isinstance(part, Categories) else part(series)
