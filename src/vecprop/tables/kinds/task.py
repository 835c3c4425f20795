"""The task that a target asks for: classification or regression."""

from typing import Any, Literal

import numpy as np

from ..error import pandas
from .kinds import are_codes
from .values import as_numbers, texts_of

MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are rather amounts than classes."""


def as_whole(y: Any) -> Any:
    """Return floating-point numbers as integers if all are whole: missing values, now left out, have made them floats.

    Examples
    --------
    >>> as_whole(pandas().Series([1.0, 0.0])).tolist(), as_whole(pandas().Series([0.5])).tolist()
    ([1, 0], [0.5])
    """
    numbers = y.to_numpy(float, na_value=np.nan) if y.dtype.kind == "f" else np.array([np.nan])
    is_whole = bool(((numbers % 1 == 0) & (np.abs(numbers) < 2**53)).all())
    return y.astype(np.int64) if is_whole else y


def guess_task(y: Any) -> Literal["classification", "regression"]:
    """Return the task that a target asks for.

    Text, categories, truth values, and digits that begin with 0 are classes. Numbers are classes if they are whole and
    have at most two distinct values, or at most 20 that occur in 10 rows each on average. Text among more than 20
    distinct numbers is taken for a mistake if it is in at most one of ten rows.

    Parameters
    ----------
    y : array or Series (N,)
        The target; missing values do not count.

    Returns
    -------
    {"classification", "regression"}

    Examples
    --------
    >>> guess_task(["yes", "no", "yes"]), guess_task([1.5, 2.25, 3.0]), guess_task([0, 1, 1])
    ('classification', 'regression', 'classification')
    """
    pd = pandas()
    series = pd.Series(y).dropna()
    if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype == bool or are_codes(texts_of(series)):
        return "classification"
    numbers, unread = as_numbers(series)
    numbers = numbers[~np.isnan(numbers)]
    distinct = np.unique(numbers)
    if unread:
        return "regression" if len(distinct) > MOST_CLASSES and unread <= 0.1 * len(series) else "classification"
    is_whole = bool(np.all(numbers == np.floor(numbers)))
    few = len(distinct) <= 2 or (len(distinct) <= MOST_CLASSES and len(numbers) >= 10 * len(distinct))
    return "classification" if is_whole and few else "regression"
