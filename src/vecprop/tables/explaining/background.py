"""The rows that a row is compared with: what its columns would be if one did not know them."""

from typing import Any

import numpy as np

from ..encoding.column import Column
from ..error import pandas
from ..kinds.values import MISSING
from ..reading.frames import Frame
from .drift import QUANTILES, Profile


def background_inputs(model: Any, frame: Frame | None, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the inputs of about `count` background rows.

    Parameters
    ----------
    frame : DataFrame or None
        The rows to draw from; None for columns that are drawn one by one, as they are distributed in training.

    Raises
    ------
    TableError
        If no rows are given for a model of an earlier version, which has not kept how its columns are distributed.
    """
    if frame is not None:
        rows = rng.permutation(len(frame))[:count]
        return np.tile(model.encoder_(frame.iloc[rows]), (max(count // len(rows), 1), 1))
    pairs = zip(model.encoder_.parts, model.profiles_, strict=True)
    columns = [part.of_values(drawn(part, profile, count, rng)) for part, profile in pairs]
    return np.hstack(columns, dtype=np.float32, casting="same_kind")


def drawn(part: Column, profile: Profile, count: int, rng: np.random.Generator) -> np.ndarray:
    r"""Return values of a column as it was distributed in training, in random order: at evenly spaced quantiles.

    Text is missing, and so are categories that were too many to be kept.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.Series(["red", "red", "blue", None])
    >>> from vecprop.tables.encoding.columns import Categories
    >>> part = Categories.of(series)
    >>> sorted(drawn(part, Profile.of(part, series), 8, np.random.default_rng(0)).tolist())
    ['\x00missing', '\x00missing', 'blue', 'blue', 'red', 'red', 'red', 'red']
    """
    if part.holds == "other":
        return part.read(pandas().Series([None] * count, dtype=object))
    rank = (rng.permutation(count) + 0.5) / count * profile.rows
    if part.holds == "names":
        names, at_most = np.append(profile.values, MISSING), np.cumsum(profile.counts)
        return names[np.searchsorted(at_most, rank, side="right")]
    known = profile.counts[-1]
    return np.where(rank < known, _numbers(np.minimum(rank, known - 0.5), profile.counts, profile.values), np.nan)


def _numbers(rank: np.ndarray, at_most: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the numbers of these ranks, by kept quantiles and the number of rows at most at each.

    A quantile to which more than its share of the rows belongs is taken to be the number of all of these. Between two
    others numbers are evenly distributed, and in both tails exponentially, which ends at the outermost. Whole numbers
    stay whole.
    """
    if len(values) == 1:
        return np.full(len(rank), values[0])
    place = np.searchsorted(at_most, rank, side="right")
    is_frequent = np.diff(at_most, prepend=0)[place] > 1.5 * at_most[-1] / QUANTILES
    x = np.interp(rank, at_most, values)
    for inner, outer, is_beyond in ((1, 0, rank < at_most[1]), (-2, -1, rank > at_most[-2])):
        rows = abs(at_most[outer] - at_most[inner])
        share = np.clip((rank[is_beyond] - at_most[inner]) / (at_most[outer] - at_most[inner]), 0, 1)
        reach = -np.log1p(-share * (1 - 1 / rows)) / np.log(rows) if rows > 1 else share
        x[is_beyond] = values[inner] + reach * (values[outer] - values[inner])
    x = np.where(is_frequent, values[place], x)
    return np.ceil(x) if np.all(values == np.ceil(values)) else x
