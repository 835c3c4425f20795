"""Columns as inputs: of numbers, of dates, of categories and of short text.

Each class below says how one column becomes inputs of a network: made by ``of`` from the column of training, called
with any column of that name, and asked with ``missed`` what of a column it does not take as it is.
"""

import warnings
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from ..core.elementary import Array, namespace
from .error import pandas

PIECES = 4
"""The number of pieces that a column of numbers is divided into by default, each with as many rows."""
LIMIT = 3.0
"""Scaled numbers stay below this, however large they are: an outlier then weighs no more than an unusual value."""
LARGEST_SCALED = 1e6
"""Scaled numbers are clipped here before they are squared, so that no square overflows."""

CATEGORIES = 64
"""At most this many categories have an input of their own: more would make the first layer the largest."""
FEWEST_ROWS = 2
"""A category needs this many rows for an input of its own: of a single row no weight can be learned."""
BUCKETS = 32
"""The number of inputs that all other categories share if they are more than `CATEGORIES`."""
MISSING = "\0missing"
"""The name of the category of missing values, which no text of a file has."""

HASHES = 256
"""The number of inputs of a column of text: few enough for the first layer, many enough that common words differ."""

DAY = 86_400
_MOMENT = "datetime64[ms]"
_LOOKS_LIKE_A_DATE = r"\s*\d{1,4}\s*[-/. ]\s*(?:\d{1,2}|[A-Za-z]{3,9})\s*[-/. ]\s*\d{1,4}.*"
_DECIMAL_COMMA = r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+"
_THOUSANDS = r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"
_WORD = r"[^\s,;|/]+"


@dataclass(frozen=True, eq=False)
class NumberInputs:
    """How a column of numbers becomes inputs.

    With z = (x - centre) / scale, the first input is z / √(1 + (z / 3)²), which is nearly z for ordinary values and
    never beyond ±3 (robust scaling with smooth clipping: Holzmüller et al., 2024). There is one more input for each
    piece between two quantiles: the share of the piece that lies below x, minus ½ (piecewise linear encoding:
    Gorishniy et al., 2022), so that the first layer can bend at each quantile. A missing value has the inputs of the
    median; if values were missing in training, one last input marks it.

    Parameters
    ----------
    centre, scale : float
        The median, and the distance of the quartiles in units of a normal distribution's standard deviation.
    edges : ndarray (pieces + 1,)
        The quantiles that divide the pieces, rising; empty if fewer than three of them are distinct.
    marks_missing : bool
        Whether there is an input that marks missing values.

    Examples
    --------
    >>> pd = pandas()
    >>> numbers = NumberInputs.of(pd.Series([1.0, 2.0, 3.0, 4.0, None]))
    >>> numbers.centre, numbers(pd.Series([2.5, None]))[:, [0, -1]].tolist()
    (2.5, [[0.0, 0.0], [0.0, 1.0]])
    """

    centre: float
    scale: float
    edges: np.ndarray
    marks_missing: bool

    kind = "numbers"

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES) -> "NumberInputs":
        """Return how a column becomes inputs; it has at least one finite number."""
        return cls.of_array(as_numbers(series)[0], pieces)

    @classmethod
    def of_array(cls, x: np.ndarray, pieces: int) -> "NumberInputs":
        """Return how numbers become inputs; nan is missing."""
        finite = ordinary(x[np.isfinite(x)])
        low, first, centre, third, high = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1]).tolist()
        scale = (third - first) / 1.349 or (high - low) / 2 or 1.0
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, pieces + 1)))
        return cls(centre, scale, edges if len(edges) > 2 else edges[:0], bool(np.isnan(x).any()))

    @property
    def width(self) -> int:
        """The number of inputs."""
        return 1 + max(len(self.edges) - 1, 0) + self.marks_missing

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(as_numbers(series)[0])

    def of_values(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs of numbers (N,), (N, width); nan is missing."""
        is_missing = np.isnan(x)
        x = np.where(is_missing, self.centre, ordinary(x))[:, None]
        z = np.clip((x - self.centre) / self.scale, -LARGEST_SCALED, LARGEST_SCALED)
        inputs = [z / np.sqrt(1 + (z / LIMIT) ** 2)]
        if len(self.edges):
            low, high = self.edges[:-1], self.edges[1:]
            inputs.append((np.clip(x, low, high) - low) / (high - low) - 0.5)
        if self.marks_missing:
            inputs.append(is_missing[:, None])
        return np.hstack(inputs)

    def missed(self, series: Any) -> str | None:
        """Return a note on values that are not finite numbers, or None."""
        x, unread = as_numbers(series)
        if unread:
            return f"{unread} value(s) are not numbers and count as missing"
        infinite = int(np.isinf(x).sum())
        return f"{infinite} value(s) are infinite and count as the largest there are" if infinite else None


def ordinary(x: np.ndarray) -> np.ndarray:
    """Return numbers clipped to ±1e100, and 0 instead of those below 1e-100, so that quotients do not overflow."""
    return np.where(np.abs(x) < 1e-100, 0.0, np.clip(x, -1e100, 1e100))


def as_numbers(series: Any) -> tuple[np.ndarray, int]:
    """Return a column as floating-point numbers, with nan for missing values, and the number of unreadable values.

    Text is read as truth values, 1 and 0, or as numbers. Of the text that is no number as it stands, most decides
    whether commas are decimal (1.234,5) or separate thousands (1,234.5).

    Examples
    --------
    >>> as_numbers(pandas().Series(["1,5", "2", None, "?"]))
    (array([1.5, 2. , nan, nan]), 1)
    """
    pd = pandas()
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=float, na_value=np.nan), 0
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return np.full(len(series), np.nan), int(series.notna().sum())
    try:
        numbers = pd.to_numeric(series.astype(object), errors="coerce")
    except OverflowError:
        numbers = pd.to_numeric(series.astype(object).map(_not_too_large), errors="coerce")
    unread = numbers.isna() & series.notna()
    if unread.any():
        text = series[unread].astype(str).str.strip()
        numbers = numbers.astype(float)
        truth = text.str.lower().map({"true": 1.0, "false": 0.0})
        numbers[unread] = truth.fillna(pd.to_numeric(_without_commas(text), errors="coerce").astype(float))
        unread = numbers.isna() & series.notna()
    return numbers.to_numpy(dtype=float, na_value=np.nan), int(unread.sum())


def _not_too_large(value: Any) -> Any:
    """Return a value, or infinity instead of a whole number that is larger than any floating-point number."""
    if isinstance(value, int) and abs(value) >= 2**1023:
        return np.inf if value > 0 else -np.inf
    return value


def _without_commas(text: Any) -> Any:
    """Return text with decimal points and no commas between thousands; the more frequent notation decides."""
    thousands = text.str.fullmatch(_THOUSANDS).mean()
    if text.str.fullmatch(_DECIMAL_COMMA).mean() > thousands:
        return text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return text.str.replace(",", "", regex=False) if thousands > 0.5 else text


@dataclass(frozen=True, eq=False)
class Dates:
    """How a column of dates becomes inputs.

    The inputs are: those of the days since 1970, see `NumberInputs`; a point on a circle, (sin, cos), for the year, the
    month and, if there are times, the day; and one input for each weekday from Monday.

    Parameters
    ----------
    days : NumberInputs
        The inputs of the days since 1970.
    day_first : bool
        Whether 1/2 is the first of February.
    has_times : bool
        Whether there are times other than midnight.

    Examples
    --------
    >>> pd = pandas()
    >>> dates = Dates.of(pd.Series(["2024-01-01", "2024-01-02", "2024-03-15"]))
    >>> dates(pd.Series(["2024-01-02"]))[0, -7:]
    array([0., 1., 0., 0., 0., 0., 0.])
    """

    days: NumberInputs
    day_first: bool
    has_times: bool

    kind = "dates"

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES) -> "Dates":
        """Return how a column becomes inputs."""
        day_first = is_day_first(series)
        days = as_days(series, day_first)
        known = days[~np.isnan(days)]
        return cls(NumberInputs.of_array(days, pieces), day_first, bool(np.any(known % 1)))

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.days.width + 4 + 2 * self.has_times + 7

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width); a missing date is at the centre of each circle."""
        days = as_days(series, self.day_first)
        return np.hstack([self.days.of_values(days), calendar_inputs(days, self.has_times)])

    def missed(self, series: Any) -> str | None:
        """Return a note on values that are no dates, or None."""
        unread = int((np.isnan(as_days(series, self.day_first)) & series.notna().to_numpy()).sum())
        return f"{unread} value(s) are not dates and count as missing" if unread else None


def calendar_inputs(days: np.ndarray, has_times: bool) -> np.ndarray:
    """Return the year, month and day as (sin, cos), and weekdays, of days since 1970 (N,); all 0 where they are nan."""
    is_known = ~np.isnan(days)[:, None]
    turns, weekday = calendar(np.where(np.isnan(days), 0, days)[:, None])
    turns = 2 * np.pi * np.hstack(turns[: 2 + has_times])
    return is_known * np.hstack([np.sin(turns), np.cos(turns), weekday == np.arange(7)])


def calendar(days: Array) -> tuple[list[Array], Array]:
    """Return the shares of the year, the month and the day that are over, and the weekday from Monday, 0, to 6.

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
    """Return the days since 1970, with the time as their fraction, and nan for values that are no dates.

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
    """Return whether at least 90 % of a column's values are dates or text that looks like dates.

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
    return bool(np.isnan(as_days(distinct, is_day_first(distinct))).mean() <= 0.1)


def is_day_first(series: Any) -> bool:
    """Return whether the day comes before the month: numbers beyond 12 decide, and if there are none, points."""
    if pandas().api.types.is_datetime64_any_dtype(series.dtype):
        return False
    parts = series.dropna().astype(str).str.extract(r"^\s*(\d{1,2})\s*([-/.])\s*(\d{1,2})\s*[-/.]").dropna()
    beyond = [(parts[place].astype(int) > 12).sum() for place in (0, 2)]
    return bool(beyond[0] > beyond[1] or (beyond[0] == beyond[1] and (parts[1] == ".").any()))


@dataclass(frozen=True, eq=False)
class Categories:
    """How a column of categories becomes inputs of 0 and 1.

    Parameters
    ----------
    names : ndarray of str (C,)
        The categories with an input of their own; missing values are one of them if there are enough.
    buckets : int
        The number of inputs that all other categories share, seen in training or not. The bucket of a category is the
        CRC-32 of its name modulo this number.

    Examples
    --------
    >>> pd = pandas()
    >>> categories = Categories.of(pd.Series(["red", "blue", "red", "blue", "green"]))
    >>> categories.names.tolist(), categories(pd.Series(["red", "pink"])).tolist()
    (['blue', 'red'], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """

    names: np.ndarray
    buckets: int

    kind = "categories"

    @classmethod
    def of(cls, series: Any) -> "Categories":
        """Return how a column becomes inputs."""
        names, counts = np.unique(as_names(series), return_counts=True)
        frequent = np.flatnonzero(counts >= FEWEST_ROWS)
        frequent = frequent[np.argsort(-counts[frequent], kind="stable")][:CATEGORIES]
        others = len(names) - len(frequent)
        return cls(names[np.sort(frequent)], BUCKETS if others > CATEGORIES else 1)

    @property
    def width(self) -> int:
        """The number of inputs."""
        return len(self.names) + self.buckets

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        codes, names = pandas().factorize(as_names(series))
        names = names.astype(str)
        places = np.searchsorted(self.names, names)
        is_known = np.zeros(len(names), bool)
        if len(self.names):
            is_known = self.names[np.minimum(places, len(self.names) - 1)] == names
        shared = [len(self.names) + crc32(name.encode()) % self.buckets for name in names]
        column = np.where(is_known, places, shared)[codes]
        return (column[:, None] == np.arange(self.width)).astype(float)

    def missed(self, series: Any) -> str | None:
        """Return a note on categories that have no input of their own, or None."""
        if self.buckets > 1:
            return None
        others = np.setdiff1d(as_names(series), self.names)
        if not len(others):
            return None
        shown = ", ".join("missing" if name == MISSING else repr(str(name)) for name in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        return f"{shown}{more}: fewer than 2 rows of training have these; they count as one category"


def as_names(series: Any) -> np.ndarray:
    r"""Return the names of a column's categories, (N,), see `category_name`.

    Examples
    --------
    >>> as_names(pandas().Series([1.0, None, "a "], dtype=object)).tolist()
    ['1', '\x00missing', 'a']
    """
    pd = pandas()
    series = series.astype(object)
    if pd.api.types.infer_dtype(series) != "string":  # 1 and True are equal, but have two names
        series = series.map(category_name, na_action="ignore")
    codes, values = pd.factorize(series)
    names = np.array([*map(category_name, values), MISSING], dtype=object)
    return names[codes].astype(str)


def category_name(value: Any) -> str:
    """Return the name of a category; whole numbers are written without a point."""
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value) if is_whole else value).strip()


@dataclass(frozen=True, eq=False)
class Texts:
    """How a column of text becomes inputs without a vocabulary: words and pairs of words are counted by their hash.

    Parameters
    ----------
    hashes : int, default 256
        The number of inputs. The counts of a row are scaled to length 1, or all 0 if there is no text.

    Examples
    --------
    >>> inputs = Texts(16)(pandas().Series(["a short text", None]))
    >>> inputs.shape, float((inputs[0] ** 2).sum().round(6)), float(inputs[1].sum())
    ((2, 16), 1.0, 0.0)
    """

    hashes: int = HASHES

    kind = "text"

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.hashes

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, hashes)."""
        vectorizer = HashingVectorizer(n_features=self.hashes, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
        counts: Any = vectorizer.transform(series.astype(object).where(series.notna(), "").astype(str))
        return counts.toarray()

    def missed(self, series: Any) -> None:
        """Return None: any text is taken."""


def are_texts(series: Any) -> bool:
    """Return whether a column holds text rather than categories: most values differ and have two words on average.

    Words are separated by spaces, commas and the like, not by hyphens or points, so that an identifier is one word.

    Examples
    --------
    >>> pd = pandas()
    >>> are_texts(pd.Series(["a red hat", "a blue hat"])), are_texts(pd.Series(["red", "red", "blue"]))
    (True, False)
    >>> are_texts(pd.Series(["id-0001-a", "id-0002-b"]))
    False
    """
    known = series.dropna().astype(str)
    return bool(known.nunique() > len(known) / 2 and known.str.count(_WORD).mean() >= 2)
