"""Columns of dates and times: when it was, and where in the year, the month, the week and the day."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.elementary import Array, namespace
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
        return np.hstack([self.days.of_values(days), calendar_inputs(days, self.has_times)])

    def missed(self, series: Any) -> str | None:
        """Return how many values of a column are no dates."""
        unread = int((np.isnan(as_days(series, self.day_first)) & series.notna().to_numpy()).sum())
        return f"{unread} value(s) are not dates and count as missing" if unread else None


def calendar_inputs(days: np.ndarray, has_times: bool) -> np.ndarray:
    """Return where in the year, the month, the day and the week days since 1970 (N,) are; all 0 where they are nan."""
    is_known = ~np.isnan(days)[:, None]
    turns, weekday = calendar(np.where(np.isnan(days), 0, days)[:, None])
    turns = 2 * np.pi * np.hstack(turns[: 2 + has_times])
    return is_known * np.hstack([np.sin(turns), np.cos(turns), weekday == np.arange(7)])


def calendar(days: Array) -> tuple[list[Array], Array]:
    """Return which share of the year, the month and the day is over, and the weekday from Monday, 0, to 6.

    Years are counted from March, so that a leap day is the last of its year, in eras of 400 years.

    Examples
    --------
    >>> (year, month, day), weekday = calendar(np.array([59.25]))      # the first of March 1970, a Sunday, at 6
    >>> (366 * year).round(6), 31 * month, day, weekday
    (array([59.]), array([0.]), array([0.25]), array([6.]))
    """
    xp = namespace(days)
    day = xp.floor(days)
    since = day + 719468  # the first of March of the year 0
    of_era = since - 146097 * xp.floor(since / 146097)
    leap_days = xp.floor(of_era / 1460) - xp.floor(of_era / 36524) + xp.floor(of_era / 146096)
    year = xp.floor((of_era - leap_days) / 365)
    of_year = of_era - (365 * year + xp.floor(year / 4) - xp.floor(year / 100))
    month = xp.floor((5 * of_year + 2) / 153)
    of_month = of_year - xp.floor((153 * month + 2) / 5)
    is_leap = sum(sign * (xp.floor(year / n) - xp.floor((year - 1) / n)) for sign, n in ((1, 4), (-1, 100), (1, 400)))
    of_year = xp.where(of_year < 306, of_year + 59 + is_leap, of_year - 306)  # from January
    weekday = day + 3 - 7 * xp.floor((day + 3) / 7)
    return [of_year / 366, of_month / 31, days - day], weekday


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
