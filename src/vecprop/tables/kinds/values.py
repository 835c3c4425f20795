"""Convert a column of any type to numbers, days since 1970 or names."""

from collections.abc import Callable
from contextlib import suppress
from math import isnan
from typing import Any

import numpy as np
from numpy import ndarray

from ..error import pandas
from .formats import EXCEL, DateReading, NumberReading

DAY = 86_400
MISSING = "\0missing"
"""The name of the category of missing values, which does not occur in files."""
_DATETIME = "datetime64[ms]"
WRITTEN = (str, bool, int, float, np.number)
"""The types that are parsed with the format of a date column; values of other types
are converted by pandas.
"""

Values = tuple[ndarray, ndarray]
"""An array of numbers with nan for missing values, and a mask of invalid values."""


def texts_of(series) -> list[str]:
    """Return the distinct values of a column that are text.

    Examples
    --------
    >>> texts_of(pandas().Series(["b", 1, None, "a", "b"]))
    ['b', 'a']
    """
    types = pandas().api.types
    if types.is_numeric_dtype(series) or types.is_datetime64_any_dtype(series):
        return []
    values = series.dropna().astype(object).unique()
    return [value for value in values if isinstance(value, str)]


def read_numbers(series, reading: NumberReading) -> Values:
    """Convert a column to numbers, and return a mask of invalid values.

    The number format applies only to text.

    Examples
    --------
    >>> read_numbers(pandas().Series(["1,5", "2", None, "?", 2.5]), NumberReading(","))
    (array([1.5, 2. , nan, nan, 2.5]), array([False, False, False,  True, False]))
    """
    pd = pandas()
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=float, na_value=np.nan), np.zeros(
            len(series), bool
        )
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return np.full(len(series), np.nan), series.notna().to_numpy()
    if reading.is_plain and getattr(series.dtype, "storage", "") == "pyarrow":
        import pyarrow as pa

        # plain text is converted ten times faster than by pandas.to_numeric
        with suppress(pa.ArrowInvalid):
            x = pa.array(series).cast(pa.float64()).to_numpy(zero_copy_only=False)
            return np.array(x), np.zeros(len(series), bool)
    return _by_distinct(series, lambda values: _numbers_of(values, reading))


def _numbers_of(values, reading: NumberReading) -> list[float | None]:
    """Convert values of any type to numbers, with None for invalid values."""
    pd = pandas()
    plain = values
    if not reading.is_plain:
        plain = np.array(
            [None if isinstance(value, str) else value for value in values], object
        )
    try:
        numbers = pd.to_numeric(plain, errors="coerce")
    except OverflowError:  # raised for integers that exceed the largest float
        numbers = pd.to_numeric(
            np.array(list(map(_bounded, plain)), object), errors="coerce"
        )

    def exact(value, number: float) -> float | None:
        if isnan(number):
            return reading.value(str(value))
        try:
            # in pandas before 3 the last bit may be wrong
            return float(value) if isinstance(value, str) else number
        except ValueError:
            return number

    return list(map(exact, values, np.asarray(numbers, float).tolist()))


def _bounded(value) -> Any:
    """Return an infinity for an integer that exceeds the largest float, and any other value unchanged."""
    if isinstance(value, int) and abs(value) >= 2**1023:
        return np.inf if value > 0 else -np.inf
    return value


def _by_distinct(series, read: Callable[[Any], list[float | None]]) -> Values:
    """Convert a column to numbers, reading each distinct value once."""
    codes, distinct = pandas().factorize(series.astype(object))
    numbers = read(distinct)
    is_unread = np.array([*(number is None for number in numbers), False])
    x = np.array([*numbers, None], float)  # the last for missing values
    return x[codes], is_unread[codes]


def number_reading(series) -> NumberReading:
    """Infer the number format of a column from its values.

    Examples
    --------
    >>> number_reading(pandas().Series(["1,5", "2"])).decimal
    ','
    """
    plain = NumberReading()
    return (
        NumberReading.from_texts(texts_of(series))
        if read_numbers(series, plain)[1].any()
        else plain
    )


def as_numbers(series) -> tuple[ndarray, int]:
    """Convert a column to numbers in the inferred format, and return the number of invalid values.

    Examples
    --------
    >>> as_numbers(pandas().Series(["1,5", "2", None, "?"]))
    (array([1.5, 2. , nan, nan]), 1)
    """
    x, is_unread = read_numbers(series, number_reading(series))
    return x, int(is_unread.sum())


def read_days(series, reading: DateReading) -> Values:
    """Convert a column to days since 1970 (times are fractions), and return a mask of invalid values.

    Examples
    --------
    >>> read_days(pandas().Series(["2.1.1970 12:00", "soon"]), DateReading(["day.month.year"]))
    (array([1.5, nan]), array([False,  True]))
    """
    pd = pandas()
    is_number = pd.api.types.is_numeric_dtype(series.dtype)
    if is_number and reading.format == EXCEL:
        return series.to_numpy(dtype=float, na_value=np.nan) - 25569, np.zeros(
            len(series), bool
        )
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return _days_of_datetimes(series), np.zeros(len(series), bool)
    return _by_distinct(series, lambda values: _days_of(values, reading))


def _days_of(values, reading: DateReading) -> list[float | None]:
    """Convert values of any type to days since 1970, with None for invalid values.

    Date objects are converted together, which is a hundred times faster. Dates that
    fail, such as the year 9999 among nanoseconds, are converted one by one.
    """
    pd = pandas()
    objects = pd.Series(
        [value for value in values if not isinstance(value, WRITTEN)], dtype=object
    )
    days_of_objects = _days_of_datetimes(
        pd.to_datetime(objects, errors="coerce", utc=True)
    )
    for k in np.flatnonzero(np.isnan(days_of_objects)):
        date = pd.to_datetime(objects.iloc[[k]], errors="coerce", utc=True)
        days_of_objects[k] = _days_of_datetimes(date)[0]
    remaining = iter(days_of_objects.tolist())
    days: list[float | None] = []
    for value in values:
        if isinstance(value, bool):
            days.append(None)
        elif isinstance(value, WRITTEN):
            days.append(reading.days(category_name(value)))
        else:
            day = next(remaining)
            days.append(None if isnan(day) else day)
    return days


def _days_of_datetimes(series) -> ndarray:
    datetimes = (
        pandas().to_datetime(series, utc=True).dt.tz_localize(None).to_numpy(_DATETIME)
    )
    return np.where(np.isnat(datetimes), np.nan, datetimes.astype(float) / (1000 * DAY))


def as_names(series) -> ndarray:
    r"""Return the category name of each value of a column; see `category_name`.

    The array has dtype object, because fixed-width strings with one long text could
    fill the memory.

    Examples
    --------
    >>> as_names(pandas().Series([1.0, None, "a "], dtype=object)).tolist()
    ['1', '\x00missing', 'a']
    """
    pd = pandas()
    series = series.astype(object)
    # 1 and True are equal but have different names
    if pd.api.types.infer_dtype(series) != "string":
        series = series.map(category_name, na_action="ignore")
    codes, values = pd.factorize(series)
    names = np.array([*map(category_name, values), MISSING], dtype=object)
    return names[codes]


def as_texts(series) -> ndarray:
    """Return the values of a column as an array of text, with "" for missing values."""
    return (
        series.astype(object)
        .where(series.notna(), "")
        .astype(str)
        .to_numpy(dtype=object)
    )


def category_name(value) -> str:
    """Return the name of a category. The names of integers have no decimal point."""
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value) if is_whole else value).strip()
