"""Columns as inputs: of numbers, of dates, of categories and of short text.

Each class below says how one column becomes inputs of a network: made by ``of`` from the column of training and its
reading, called with any column of that name, and asked with ``missed`` what of a column it does not take as it is.
"""

from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from scipy.special import ndtri

from ...core.elementary import Array, namespace
from ...train.engines import can_compile
from ..error import pandas
from ..kinds.dates import DateReading
from ..kinds.kinds import CATEGORIES
from ..kinds.number_formats import NumberReading
from ..kinds.values import MISSING, as_names, read_days, read_numbers, texts_of
from .target_means import TargetMeans

PIECES = 4
"""The number of pieces that a column of numbers is divided into by default, each with as many rows."""
LIMIT = 3.0
"""Scaled numbers and normal scores stay within this: an outlier then weighs no more than an unusual value."""
WAVES = 6
"""The number of waves in which the time of day is told: the shortest one takes four hours."""
LARGEST_SCALED = 1e6
"""Scaled numbers are clipped here before they are squared, so that no square overflows."""
MOST_DEVIATIONS = 8.0
"""Standardised numbers are clipped here: an outlier keeps its weight, within bounds."""
COMPILED_FROM = 4096
"""Blocks of this many rows are encoded by a kernel: for fewer, NumPy takes less time than loading the kernel does."""

MOST_CATEGORIES = 512
"""At most this many have one: more would make the first layer by far the largest."""
FEWEST_ROWS = 2
"""A category needs this many rows for an input of its own: of a single row no weight can be learned."""
ROWS_OF_MANY = 4
"""Beyond `CATEGORIES` it needs this many rows: of fewer, its mean target tells as much."""
BUCKETS = 32
"""The number of inputs that all other categories share if some of them have `FEWEST_ROWS`."""


@dataclass(frozen=True)
class Missed:
    """Values of a column that are not taken as they are; as text it is the end of a sentence.

    Examples
    --------
    >>> one, other = Missed("no numbers", 2, "'x' in line 5"), Missed("no numbers", 3, "'y' in line 9")
    >>> str(one.plus(other))
    "5 value(s), such as 'x' in line 5, are no numbers"
    """

    what: str
    count: int = 0
    first: str = ""
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.names:
            return f"{', '.join(self.names[:3])}{' and others' if len(self.names) > 3 else ''}: {self.what}"
        return f"{self.count} value(s), such as {self.first}, are {self.what}" if self.count else self.what

    def plus(self, other: "Missed") -> "Missed":
        """Return the same of both of two parts of a column."""
        names = tuple(dict.fromkeys(self.names + other.names))[:4]
        return replace(self, count=self.count + other.count, names=names)


@dataclass(frozen=True, eq=False)
class NumberInputs:
    """How a column of numbers becomes inputs.

    With z = (x - centre) / scale, the first input is z / √(1 + (z / 3)²), which is nearly z for ordinary values and
    never beyond ±3 (robust scaling with smooth clipping: Holzmüller et al., 2024). There is one more input for each
    piece between two quantiles: the share of the piece that lies below x, minus ½ (piecewise linear encoding:
    Gorishniy et al., 2022), so that the first layer can bend at each quantile. If values were missing in training, one
    more input marks them. Then comes the standardised number (x - mean) / deviation, clipped to ±8, and where there are
    pieces, the normal score of x: the quantile of the standard normal distribution at the rank of x among the values of
    training, interpolated between the edges of the pieces, which spreads out what is crowded in a skewed column. A
    missing value has the inputs of the median.

    Some networks take them all, others all but the first input and the pieces.

    Examples
    --------
    >>> pd = pandas()
    >>> numbers = NumberInputs.of(pd.Series([1.0, 2.0, 3.0, 4.0, None]))
    >>> numbers.centre, numbers(pd.Series([2.5, None]))[:, [0, -3, -2, -1]].tolist()
    (2.5, [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    """

    centre: float
    scale: float
    edges: np.ndarray
    marks_missing: bool
    reading: NumberReading | None = None
    standard: tuple[float, float] | None = None
    scores: np.ndarray | None = None

    kind = "numbers"

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES, reading: NumberReading | None = None) -> "NumberInputs":
        """Return how a column becomes inputs; it has at least one finite number."""
        reading = reading or NumberReading.of(texts_of(series))
        return cls.of_array(read_numbers(series, reading)[0], pieces, reading)

    @classmethod
    def of_array(cls, x: np.ndarray, pieces: int, reading: NumberReading | None = None) -> "NumberInputs":
        """Return how numbers become inputs; nan is missing."""
        finite = ordinary(x[np.isfinite(x)])
        rising = np.sort(finite)  # of which quantiles are found in a fraction of the time
        low, first, centre, third, high = np.quantile(rising, [0, 0.25, 0.5, 0.75, 1]).tolist()
        scale = (third - first) / 1.349 or (high - low) / 2 or 1.0
        edges = np.unique(np.quantile(rising, np.linspace(0, 1, pieces + 1)))
        standard = float(finite.mean()), float(finite.std()) if low < high else 1.0
        edges = edges if len(edges) > 2 else edges[:0]
        scores = normal_scores(edges, rising) if len(edges) else None
        return cls(centre, scale, edges, bool(np.isnan(x).any()), reading, standard, scores)

    @property
    def bends(self) -> int:
        """The number of inputs that are the scaled number and its pieces, which are the first."""
        return 1 + max(len(self.edges) - 1, 0)

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.bends + self.marks_missing + (self.standard is not None) + (self.scores is not None)

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(self.read(series))

    def write(self, series: Any, inputs: np.ndarray) -> None:
        """Write the inputs of a column to columns of an array, (N, width) in float32: of many rows by a kernel."""
        x = self.read(series)
        if len(x) < COMPILED_FROM or not can_compile():
            inputs[:] = self.of_values(x)
            return
        from ...compiled.number_columns import encode_numbers

        limits = LIMIT, LARGEST_SCALED, MOST_DEVIATIONS
        how = self.centre, self.scale, *(self.standard or (0.0, 1.0)), *limits
        encode_numbers(x, self.edges, self.scores, how, self.marks_missing, self.standard is not None, inputs)

    def read(self, series: Any) -> np.ndarray:
        """Return a column as numbers, (N,); nan is missing."""
        return self._read(series)[0]

    def _read(self, series: Any) -> tuple[np.ndarray, np.ndarray]:
        return read_numbers(series, self.reading or NumberReading.of(texts_of(series)))

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
        if self.standard is not None:
            mean, deviation = self.standard
            inputs.append(np.clip((x - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS))
        if self.scores is not None:
            inputs.append(np.interp(x, self.edges, self.scores))
        return np.hstack(inputs)

    def missed(self, series: Any) -> Missed | None:
        """Return a note on values that are not finite numbers, or not numbers as training read them, or None."""
        x, is_unread = self._read(series)
        if is_unread.any():
            how = "" if self.reading in (None, NumberReading()) else f" as training read them ({self.reading})"
            return _missed(series, is_unread, f"not numbers{how} and count as missing")
        is_infinite = np.isinf(x)
        if is_infinite.any():
            return _missed(series, is_infinite, "infinite and count as the largest there are")
        has_type = pandas().api.types.is_float_dtype(series.dtype)
        if has_type and self.reading and not self.reading.is_plain and np.any(x % 1 > 0):
            how = f"({self.reading}): give a file's path, not its frame"
            return Missed(f"numbers came as such, but training read text {how}")
        return None


def _missed(series: Any, is_meant: np.ndarray, what: str) -> Missed:
    """Return a note on some values of a column, if there are any."""
    return Missed(what, int(is_meant.sum()), first_of(series, is_meant))


def first_of(series: Any, is_meant: np.ndarray) -> str:
    """Return the first of some values of a column, and its row.

    Examples
    --------
    >>> first_of(pandas().Series(["a", "b"]), np.array([False, True]))
    "'b' in row 1"
    """
    place = int(np.flatnonzero(is_meant)[0])
    return f"{shortened(repr(series.iloc[[place]].tolist()[0]))} in {row_named(series.index, place)}"


def shortened(text: str) -> str:
    """Return a text of at most 40 characters.

    Examples
    --------
    >>> shortened("short"), shortened("x" * 50)[-3:]
    ('short', 'xx…')
    """
    return text if len(text) <= 40 else f"{text[:39]}…"


def row_named(index: Any, place: int) -> str:
    """Return the name of the row at a place: its line in a file, or its label in a frame.

    Examples
    --------
    >>> row_named(pandas().RangeIndex(3), 2), row_named(pandas().RangeIndex(2, 5, name="line"), 0)
    ('row 2', 'line 2')
    """
    return f"{'line' if index.name == 'line' else 'row'} {index[place]}"


def normal_scores(edges: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the quantiles of the standard normal distribution at the mean ranks of edges among rising numbers.

    Examples
    --------
    >>> normal_scores(np.array([1.0, 2.0, 8.0]), np.array([1.0, 2.0, 2.0, 8.0])).round(2)
    array([-1.15,  0.  ,  1.15])
    """
    ranks = (np.searchsorted(x, edges, "left") + np.searchsorted(x, edges, "right")) / (2 * len(x))
    return np.clip(ndtri(ranks), -LIMIT, LIMIT)


def ordinary(x: np.ndarray) -> np.ndarray:
    """Return numbers clipped to ±1e100, and 0 instead of those below 1e-100, so that quotients do not overflow."""
    return np.where(np.abs(x) < 1e-100, 0.0, np.clip(x, -1e100, 1e100))


@dataclass(frozen=True, eq=False)
class Dates:
    """How a column of dates becomes inputs.

    The inputs are: those of the days since 1970, see `NumberInputs`; a point on a circle, (sin, cos), for the year and
    the month; if there are times, also for the day and its half, third and so on, so that a network sees the hours of
    a day that is not one slow wave; and one input for each weekday from Monday.

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
    reading: DateReading | None = None
    waves: int = 1

    kind = "dates"

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES, reading: DateReading | None = None) -> "Dates":
        """Return how a column becomes inputs."""
        reading = reading or DateReading.of(texts_of(series)) or DateReading()
        days = read_days(series, reading)[0]
        known = days[~np.isnan(days)]
        return cls(NumberInputs.of_array(days, pieces), False, bool(np.any(known % 1)), reading, WAVES)

    @property
    def day_waves(self) -> int:
        """The number of circles for the day."""
        return self.waves if self.has_times else 0

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.days.width + 4 + 2 * self.day_waves + 7

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(self.read(series))

    def read(self, series: Any) -> np.ndarray:
        """Return a column as days since 1970, (N,); nan is missing."""
        return self._read(series)[0]

    def _read(self, series: Any) -> tuple[np.ndarray, np.ndarray]:
        return read_days(series, self.reading or DateReading.guessing(self.day_first))

    def of_values(self, days: np.ndarray) -> np.ndarray:
        """Return the inputs of days since 1970 (N,), (N, width); nan, a missing one, is at each circle's centre."""
        return np.hstack([self.days.of_values(days), calendar_inputs(days, self.day_waves)])

    def missed(self, series: Any) -> Missed | None:
        """Return a note on values that are no dates as training read them, or None."""
        _, is_unread = self._read(series)
        how = f" as training read them ({self.reading})" if self.reading and self.reading != DateReading() else ""
        return _missed(series, is_unread, f"not dates{how} and count as missing") if is_unread.any() else None


def calendar_inputs(days: np.ndarray, day_waves: int) -> np.ndarray:
    """Return the year, month and day as (sin, cos), and weekdays, of days since 1970 (N,); all 0 where they are nan.

    The day is turned once, twice and so on, `day_waves` times.
    """
    is_known = ~np.isnan(days)[:, None]
    (year, month, day), weekday = calendar(np.where(np.isnan(days), 0, days)[:, None])
    turns = 2 * np.pi * np.hstack([year, month, day * np.arange(1, day_waves + 1)])
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


@dataclass(frozen=True, eq=False)
class Categories:
    """How a column of categories becomes inputs of 0 and 1, and if many share inputs, what they tell of the target.

    Parameters
    ----------
    buckets : int
        The number of inputs that all other categories share, seen in training or not. The bucket of a category is the
        CRC-32 of its name modulo this number.
    means : TargetMeans or None
        The categories' mean targets, which are the last inputs; see `Encoder.with_means`. Some networks take all
        inputs, others the means alone.

    Examples
    --------
    >>> pd = pandas()
    >>> categories = Categories.of(pd.Series(["red", "blue", "red", "blue", "green"]))
    >>> categories.names.tolist(), categories(pd.Series(["red", "pink"])).tolist()
    (['blue', 'red'], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """

    names: np.ndarray
    buckets: int
    means: TargetMeans | None = None

    kind = "categories"

    @classmethod
    def of(cls, series: Any, most: int = MOST_CATEGORIES) -> "Categories":
        """Return how a column becomes inputs, with at most this many categories that have their own."""
        names, counts = np.unique(as_names(series).astype(str), return_counts=True)
        frequent = np.flatnonzero(counts >= FEWEST_ROWS)
        by_count = frequent[np.argsort(-counts[frequent], kind="stable")]
        least = np.where(np.arange(len(by_count)) < CATEGORIES, FEWEST_ROWS, ROWS_OF_MANY)
        own = by_count[counts[by_count] >= least][:most]
        return cls(names[np.sort(own)], BUCKETS if len(own) < len(frequent) else 1)

    @property
    def marks(self) -> int:
        """The number of inputs of 0 and 1, which are the first."""
        return len(self.names) + self.buckets

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.marks + (0 if self.means is None else self.means.width)

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(self.read(series))

    def read(self, series: Any) -> np.ndarray:
        """Return the names of a column's categories, (N,)."""
        return as_names(series).astype(str)

    def of_values(self, names: np.ndarray) -> np.ndarray:
        """Return the inputs of names (N,), (N, width)."""
        marks = (self.places(names)[:, None] == np.arange(self.marks)).astype(float)
        return marks if self.means is None else np.hstack([marks, self.means(names)])

    def places(self, names: np.ndarray) -> np.ndarray:
        """Return for each of some names (N,) which of the inputs of 0 and 1 is 1, (N,)."""
        codes, names = pandas().factorize(names)
        names = names.astype(str)
        places = np.searchsorted(self.names, names)
        is_known = np.zeros(len(names), bool)
        if len(self.names):
            is_known = self.names[np.minimum(places, len(self.names) - 1)] == names
        shared = [len(self.names) + crc32(name.encode()) % self.buckets for name in names]
        return np.where(is_known, places, shared)[codes]

    def missed(self, series: Any) -> Missed | None:
        """Return a note on categories that have no input of their own, or None."""
        if self.buckets > 1:
            return None
        others = np.setdiff1d(as_names(series).astype(str), self.names)[:4]
        names = tuple("missing" if name == MISSING else repr(str(name)) for name in others)
        what = "fewer than 2 rows of training have these; they count as one category"
        return Missed(what, names=names) if names else None
