"""Columns of dates and times: when it was, and where in the year, the month, the week and the day."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .error import pandas
from .numbers import PIECES, Numbers

DAY = 86_400
_MOMENT = "datetime64[ms]"
_LOOKS_LIKE_A_DATE = r"\s*\d{1,4}\s*[-/. ]\s*(?:\d{1,2}|[A-Za-z]{3,9})\s*[-/. ]\s*\d{1,4}.*"


@dataclass(frozen=True, eq=False)
class Dates:
    """How a column of dates becomes inputs.

    They are: the days since 1970 as numbers, see `Numbers`; for the year, the month and, where there are times, the day
    a point on a circle, (sin, cos); and one input for each weekday from Monday.

    Parameters
    ----------
    days : Numbers
        The inputs of the days since 1970.
    day_first : bool
        Whether 1/2 is the first of February.
    has_times : bool
        Whether there are other times than midnight.

    Examples
    --------
    >>> pd = pandas()
    >>> dates = Dates.of(pd.Series(["2024-01-01", "2024-01-02", "2024-03-15"]))
    >>> dates(pd.Series(["2024-01-02"]))[0, -7:]
    array([0., 1., 0., 0., 0., 0., 0.])
    """

    days: Numbers
    day_first: bool
    has_times: bool

    kind = "dates"

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES) -> "Dates":
        """Return the inputs of a column."""
        day_first = _is_day_first(series)
        days = as_days(series, day_first)
        known = days[~np.isnan(days)]
        return cls(Numbers.of_array(days, pieces), day_first, bool(np.any(known % 1)))

    @property
    def width(self) -> int:
        """How many inputs there are."""
        return self.days.width + 4 + 2 * self.has_times + 7

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width); a missing date is at the centre of each circle."""
        days = as_days(series, self.day_first)
        is_known = ~np.isnan(days)[:, None]
        moments = np.where(is_known[:, 0], days, 0.0) * (1000 * DAY)
        times = pandas().DatetimeIndex(moments.round().astype(np.int64).astype(_MOMENT))
        shares = [(times.day_of_year - 1) / 366, (times.day - 1) / 31, *([days % 1] if self.has_times else [])]
        turns = 2 * np.pi * np.nan_to_num(np.stack(shares, axis=1).astype(float))
        weekdays = np.asarray(times.day_of_week)[:, None] == np.arange(7)
        return np.hstack([self.days.of_values(days), is_known * np.hstack([np.sin(turns), np.cos(turns), weekdays])])

    def missed(self, series: Any) -> str | None:
        """Return how many values of a column are no dates."""
        unread = int((np.isnan(as_days(series, self.day_first)) & series.notna().to_numpy()).sum())
        return f"{unread} value(s) are not dates and count as missing" if unread else None


def as_days(series: Any, day_first: bool) -> np.ndarray:
    """Return the days since 1970, with the time as their fraction; nan where there is no date.

    Examples
    --------
    >>> as_days(pandas().Series(["2.1.1970 12:00", "soon"]), day_first=True)
    array([1.5, nan])
    """
    pd = pandas()
    if pd.api.types.is_numeric_dtype(series.dtype):
        return np.full(len(series), np.nan)
    if not pd.api.types.is_datetime64_any_dtype(series.dtype):
        series = series.astype(object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of dates that are clear whatever comes first
        times = pd.to_datetime(series, errors="coerce", dayfirst=day_first, format="mixed", utc=True)
    moments = times.dt.tz_localize(None).to_numpy(_MOMENT)
    return np.where(np.isnat(moments), np.nan, moments.astype(float) / (1000 * DAY))


def are_dates(series: Any) -> bool:
    """Return whether nearly all values of a column are dates, or are written as dates are.

    Examples
    --------
    >>> pd = pandas()
    >>> are_dates(pd.Series(["2024-01-31", "2024-02-01"])), are_dates(pd.Series(["1.5", "may"]))
    (True, False)
    """
    pd = pandas()
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return True
    known = series.dropna()
    if pd.api.types.is_numeric_dtype(series.dtype) or not len(known):
        return False
    distinct = pd.Series(known.astype(str).unique())
    if distinct.str.fullmatch(_LOOKS_LIKE_A_DATE).mean() < 0.9:
        return False
    return bool(np.isnan(as_days(distinct, _is_day_first(distinct))).mean() <= 0.1)


def _is_day_first(series: Any) -> bool:
    """Return whether the day comes before the month: where no number beyond 12 says so, before points alone."""
    if pandas().api.types.is_datetime64_any_dtype(series.dtype):
        return False
    parts = series.dropna().astype(str).str.extract(r"^\s*(\d{1,2})\s*([-/.])\s*(\d{1,2})\s*[-/.]").dropna()
    beyond = [(parts[place].astype(int) > 12).sum() for place in (0, 2)]
    return bool(beyond[0] > beyond[1] or (beyond[0] == beyond[1] and (parts[1] == ".").any()))
