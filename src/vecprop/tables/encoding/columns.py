"""The encoders of numeric, date and category columns; see `Column`."""

from dataclasses import astuple, dataclass
from zlib import crc32

import numpy as np
from numpy import ndarray
from scipy.special import ndtri

from ...core.elementary import Array, namespace, where
from ..error import pandas
from ..kinds.formats import (
    ONE_MEANING,
    SECONDS,
    DateReading,
    NumberReading,
    days_of,
    number_before,
    number_of,
    seconds_of,
)
from ..kinds.kinds import CATEGORIES
from ..kinds.values import (
    MISSING,
    as_names,
    category_name,
    read_days,
    read_numbers,
    texts_of,
)
from . import helper_sources as helpers
from .column import Column, Misfit, Storage
from .folds import TargetMeans

PLAIN = NumberReading()
"""Python's number format."""
PIECES = 4
"""The default number of quantile bins of a numeric column."""
LIMIT = 3.0
"""The limit of scaled numbers and normal scores, which bounds the effect of
outliers.
"""
WAVES = 6
"""The number of sine waves that encode the time of day. The shortest wave has a
period of four hours.
"""
WEEKDAYS = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
]
LARGEST_SCALED = 1e6
"""Scaled numbers are clipped to this limit before they are squared, so that the
squares do not overflow.
"""
MAX_DEVIATIONS = 8.0
"""Standardized numbers are clipped to this limit, so that outliers remain visible
but bounded.
"""

MAX_CATEGORIES = 512
"""The largest number of categories with separate inputs. More inputs would dominate
the first layer.
"""
MIN_ROWS = 2
"""A category needs this number of rows for a separate input, because one row is not
enough to learn a weight.
"""
ROWS_OF_MANY = 4
"""A category after the `CATEGORIES` most frequent ones needs this number of rows for
a separate input.
"""
BUCKETS = 32
"""The number of inputs that all other categories share if some of them have
`MIN_ROWS` rows.
"""
CALENDAR, MEANS = " calendar", " means"
"""The suffixes of packed fields: calendar features of dates, and mean targets."""


@dataclass(frozen=True, eq=False)
class NumberInputs(Column):
    """Encoder of numeric columns.

    With z = (x - centre) / scale, the first input is z / √(1 + (z / 3)²), which is
    close to z for ordinary values and stays within ±3 (robust scaling with smooth
    clipping: Holzmüller et al., 2024). The next inputs are a piecewise linear encoding
    (Gorishniy et al., 2022): for each interval between two quantiles, the fraction of
    the interval below x, minus ½. If training values were missing, another input marks
    missing values. The next input is the standardized number (x - mean) / deviation,
    clipped to ±8. If there are intervals, the last input is the normal score of x: the
    standard normal quantile at the rank of x among the training values, interpolated
    between the quantiles. This score spreads out the dense part of a skewed column.
    Missing values are encoded like the median.

    The view "pieces" has all inputs. The other view lacks the first input and the
    piecewise linear encoding.

    Examples
    --------
    >>> pd = pandas()
    >>> numbers = NumberInputs.of(pd.Series([1.0, 2.0, 3.0, 4.0, None]))
    >>> numbers.centre, numbers(pd.Series([2.5, None]))[:, [0, -3, -2, -1]].tolist()
    (2.5, [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    """

    centre: float
    scale: float
    edges: ndarray
    marks_missing: bool
    reading: NumberReading
    standard: tuple[float, float]
    scores: ndarray | None = None

    kind = "numbers"
    holds = "numbers"

    @classmethod
    def learned(cls, series, kind, pieces, categories, is_declared):
        assert isinstance(kind.reading, NumberReading)
        x, is_unread = read_numbers(series, kind.reading)
        reason = _uninformative(x, is_unread, kind.reading)
        if reason:
            return reason
        return cls.of(x, pieces, kind.reading)

    @classmethod
    def of(
        cls, values, pieces: int = PIECES, reading: NumberReading = PLAIN
    ) -> "NumberInputs":
        """Fit an encoder to numbers with at least one finite number; nan is missing."""
        x = np.asarray(values, float)
        finite = ordinary(x[np.isfinite(x)])
        ranked = np.sort(finite)  # quantiles of sorted numbers are much faster
        shares = [0, 0.25, 0.5, 0.75, 1]
        low, first_quartile, centre, third_quartile, high = np.quantile(
            ranked, shares
        ).tolist()
        # The quartiles of a normal distribution are 1.349 deviations apart.
        scale = (third_quartile - first_quartile) / 1.349 or (high - low) / 2 or 1.0
        deviation = 1.0
        if low < high:
            deviation = float(finite.std())
        edges = np.unique(np.quantile(ranked, np.linspace(0, 1, pieces + 1)))
        scores = None
        if len(edges) <= 2:  # too few for an interval
            edges = edges[:0]
        else:
            below = np.searchsorted(ranked, edges)
            at_most = np.searchsorted(ranked, edges, "right")
            scores = np.clip(
                ndtri((below + at_most) / (2 * len(ranked))), -LIMIT, LIMIT
            )
        return cls(
            centre,
            scale,
            edges,
            marks_missing=bool(np.isnan(x).any()),
            reading=reading,
            standard=(float(finite.mean()), deviation),
            scores=scores,
        )

    @property
    def bends(self) -> int:
        """The number of inputs of the scaled number and its piecewise encoding."""
        return 1 + max(len(self.edges) - 1, 0)

    @property
    def width(self):
        width = self.bends + 1
        if self.marks_missing:
            width += 1
        if self.scores is not None:
            width += 1
        return width

    @property
    def input_names(self):
        names = ["clipped"] + ["piece"] * (self.bends - 1)
        if self.marks_missing:
            names.append("missing")
        names.append("standardized")
        if self.scores is not None:
            names.append("rank")
        return names

    def read(self, series):
        return read_numbers(series, self.reading)[0]

    def of_values(self, x):
        """Convert numbers (N,), where nan is missing, to inputs (N, width)."""
        is_missing = np.isnan(x)
        x = np.where(is_missing, self.centre, ordinary(x))[:, None]
        z = np.clip((x - self.centre) / self.scale, -LARGEST_SCALED, LARGEST_SCALED)
        inputs = [z / np.sqrt(1 + (z / LIMIT) ** 2)]
        if len(self.edges):
            low = self.edges[:-1]
            high = self.edges[1:]
            inputs.append((np.clip(x, low, high) - low) / (high - low) - 0.5)
        if self.marks_missing:
            inputs.append(is_missing[:, None])
        mean, deviation = self.standard
        inputs.append(np.clip((x - mean) / deviation, -MAX_DEVIATIONS, MAX_DEVIATIONS))
        if self.scores is not None:
            inputs.append(np.interp(x, self.edges, self.scores))
        return np.hstack(inputs)

    def misfit(self, series):
        x, is_unread = read_numbers(series, self.reading)
        if is_unread.any():
            return _unread(series, is_unread, "numbers", self.reading)
        is_infinite = np.isinf(x)
        if is_infinite.any():
            return Misfit.of(
                series, is_infinite, "infinite and are treated as very large numbers"
            )
        is_float = pandas().api.types.is_float_dtype(series.dtype)
        if is_float and not self.reading.is_plain and np.any(x % 1 > 0):
            return Misfit(
                f"the values are numeric, but training parsed text ({self.reading}):"
                " pass the path of the file instead of a data frame"
            )
        return None

    def in_view(self, view):
        if view == "standardised":
            return np.arange(self.width) >= self.bends
        return np.ones(self.width, bool)

    @property
    def has_unusual_format(self):
        return self.reading != PLAIN

    def for_trees(self, series):
        return ordinary(self.read(series))[:, None]

    def packed_types(self, series):
        dtype = series.dtype
        is_exact = isinstance(dtype, np.dtype) and np.can_cast(dtype, np.float32)
        # infinite numbers become 1e100
        if is_exact and not np.isinf(series.to_numpy()).any():
            return {"": (np.float32, ())}
        return {"": (np.float64, ())}

    def pack(self, series, target_encoded):
        return {"": ordinary(self.read(series))}

    def entries(self, is_taken, types):
        mean, deviation = self.standard
        dtype, _ = types[""]
        storage = Storage.NUMBER
        if dtype is np.float64:
            storage = Storage.WIDE_NUMBER
        entries = {
            "storage": storage,
            "has_bends": is_taken[0],
            "marks_missing": self.marks_missing and is_taken[self.bends],
            "has_standard": is_taken[self.bends + self.marks_missing],
            "has_scores": self.scores is not None and is_taken[-1],
            "pieces": self.bends - 1,
            "edges": self._tables(),
            "centre": self.centre,
            "scale": self.scale,
            "mean": mean,
            "deviation": deviation,
            "limit": LIMIT,
            "largest": LARGEST_SCALED,
            "most": MAX_DEVIATIONS,
        }
        yield "", entries, int(is_taken.sum())

    def _tables(self) -> ndarray:
        """Return edges, and the widths, scores and slopes of intervals."""
        edges = self.edges
        if not len(edges):
            return edges
        scores = self._scores_of_edges
        widths = np.diff(edges)
        slopes = np.diff(scores) / widths
        return np.concatenate([edges, widths, [1], scores, slopes, [0]])

    @property
    def _scores_of_edges(self) -> ndarray:
        """The normal scores of the edges, or zeros if the encoding has no scores."""
        if self.scores is None:
            return np.zeros(len(self.edges))
        return self.scores

    @property
    def onnx_type(self):
        """The float type of the graph, which reads numeric columns together."""
        return float

    def to_source(self, name, source):
        source.helper("WORDS", helpers.WORDS)
        source.helper("numbers", helpers.NUMBERS)
        source.formulas.function(number_of)
        settings = astuple(self.reading)
        reading = ""
        if self.reading.spellings:
            function = source.formulas.function(number_before)
            reading = f", {settings!r}, {function}"
        elif self.reading.unit == SECONDS:
            source.helper("TIMES", helpers.TIMES, module="re")
            reading = f", (), {source.formulas.function(seconds_of)}"
        elif self.has_unusual_format:
            reading = f", {settings[:3]!r}"
        return f"numbers(table[{name!r}], {self.settings_in_source(source)}{reading})"

    def settings_in_source(self, source) -> str:
        """Return the arguments of the formula, and add it to the source."""
        fields = ["centre", "scale", "edges", "marks_missing", "standard", "scores"]
        source.formulas.function(NumberInputs.of_values, "number_inputs", fields)
        scores = None if self.scores is None else self.scores.tolist()
        mean, deviation = self.standard
        return (
            f"{float(self.centre)!r}, {float(self.scale)!r}, {self.edges.tolist()},"
            f" {self.marks_missing}, ({float(mean)!r}, {float(deviation)!r}), {scores}"
        )

    def is_consistent(self):
        scores = self._scores_of_edges
        values = np.concatenate(
            [self.edges, scores, [self.centre, self.scale, *self.standard]]
        )
        return (
            self.edges.ndim == 1
            and scores.shape == self.edges.shape
            and len(self.standard) == 2
            and bool(np.isfinite(values).all() and (np.diff(self.edges) > 0).all())
            and min(self.scale, self.standard[1]) > 0
        )


def _uninformative(
    x: ndarray, is_unread: ndarray, reading: NumberReading | DateReading
) -> str:
    """Return why numbers or dates are uninformative, or "" if they are not."""
    finite = x[np.isfinite(x)]
    if not len(finite):
        if is_unread.any():
            return f"no value can be read as {reading}"
        return "all values are infinite or missing"
    if finite.min() < finite.max() or np.isnan(x).any():
        return ""
    return "all values are the same"


def _unread(
    series, mask: ndarray, kind: str, reading: NumberReading | DateReading
) -> Misfit:
    """Return a note on values that are not numbers or dates in the training format."""
    message = f"not {kind}"
    if reading != type(reading)():
        message += f" in the training format ({reading})"
    return Misfit.of(series, mask, f"{message} and are treated as missing")


def ordinary(x: ndarray) -> ndarray:
    """Clip numbers to ±1e100 and round tiny ones to 0, to avoid overflow."""
    return np.where(np.abs(x) < 1e-100, 0.0, np.clip(x, -1e100, 1e100))


@dataclass(frozen=True, eq=False)
class Dates(Column):
    """Encoder of date columns.

    The first inputs encode the days since 1970 as numbers, see `NumberInputs`. The next
    inputs are (sin, cos) of the position in the year and in the month, and in columns
    with times also (sin, cos) of the time of day and its harmonics, so that networks
    can distinguish hours. The last inputs are one indicator for each weekday, from
    Monday.

    Examples
    --------
    >>> pd = pandas()
    >>> dates = Dates.of(pd.Series(["2024-01-01", "2024-01-02", "2024-03-15"]))
    >>> dates(pd.Series(["2024-01-02"]))[0, -7:]
    array([0., 1., 0., 0., 0., 0., 0.])
    """

    days: NumberInputs
    has_times: bool
    reading: DateReading

    kind = "dates"
    holds = "numbers"

    @classmethod
    def learned(cls, series, kind, pieces, categories, is_declared):
        assert isinstance(kind.reading, DateReading)
        days, is_unread = read_days(series, kind.reading)
        reason = _uninformative(days, is_unread, kind.reading)
        if reason:
            return reason
        return cls.of(series, pieces, kind.reading)

    @classmethod
    def of(
        cls, series, pieces: int = PIECES, reading: DateReading | None = None
    ) -> "Dates":
        """Fit an encoder to a column."""
        reading = reading or DateReading.from_texts(texts_of(series)) or DateReading()
        days = read_days(series, reading)[0]
        has_times = bool(np.any(days % 1 > 0))
        return cls(NumberInputs.of(days, pieces), has_times, reading)

    @property
    def day_waves(self) -> int:
        """The number of (sin, cos) pairs of the time of day."""
        return WAVES if self.has_times else 0

    @property
    def width(self):
        return self.days.width + 4 + 2 * self.day_waves + 7

    @property
    def input_names(self):
        waves = ["year", "month"] + ["day"] * self.day_waves
        return self.days.input_names + waves + waves + ["weekday"] * 7

    def read(self, series):
        return read_days(series, self.reading)[0]

    def of_values(self, days):
        """Convert N days since 1970 to inputs of shape (N, width)."""
        calendar = calendar_inputs(days, self.day_waves)
        return np.hstack([self.days.of_values(days), calendar])

    def misfit(self, series):
        _, is_unread = read_days(series, self.reading)
        if not is_unread.any():
            return None
        return _unread(series, is_unread, "dates", self.reading)

    def in_view(self, view):
        calendar = np.ones(self.width - self.days.width, bool)
        return np.append(self.days.in_view(view), calendar)

    @property
    def has_unusual_format(self):
        forms = [(), *((form,) for form in ONE_MEANING)]
        return self.reading not in map(DateReading, forms)

    def shown(self, value):
        return str(np.datetime64(int(np.floor(value)), "D"))

    def for_trees(self, series):
        days = self.read(series)
        return np.hstack([days[:, None], calendar_inputs(days, self.day_waves)])

    def packed_types(self, series):
        types = self.days.packed_types(series)
        return types | {CALENDAR: (np.float32, (self.width - self.days.width,))}

    def pack(self, series, target_encoded):
        days = self.read(series)
        return {"": ordinary(days), CALENDAR: calendar_inputs(days, self.day_waves)}

    def entries(self, is_taken, types):
        yield from self.days.entries(is_taken[: self.days.width], types)
        yield CALENDAR, {"storage": Storage.INPUTS}, self.width - self.days.width

    @property
    def onnx_type(self):
        """The graph takes days since 1970."""
        return np.float64

    def to_onnx(self, column):
        """Return the symbol of `calendar_inputs`. The days are written as numbers."""
        graph = column.graph
        is_missing = graph.elementwise("IsNaN", column, dtype=bool)
        (year, month, day), weekday = calendar(where(is_missing, 0.0, column))
        waves = (day * float(number) for number in range(1, self.day_waves + 1))
        angles = 2 * np.pi * graph.concatenate([year, month, *waves])
        is_weekday = graph.cast(
            graph.elementwise("Equal", weekday, np.arange(7.0), dtype=bool), np.float64
        )
        # All runtimes support Sin in float64, but some lack Cos.
        points = graph.elementwise(
            "Sin", graph.concatenate([angles, angles + np.pi / 2])
        )
        return where(is_missing, 0.0, graph.concatenate([points, is_weekday]))

    def to_source(self, name, source):
        source.helper("FORMS", helpers.FORMS, module="re")
        source.helper("dates", helpers.DATES, module="datetime")
        source.formulas.function(calendar_inputs)
        source.formulas.function(days_of)
        reading = ""
        if self.reading != DateReading():
            reading = f", {list(self.reading.forms)!r}, {self.reading.format!r}"
        return (
            f"dates(table[{name!r}], {self.days.settings_in_source(source)},"
            f" {self.day_waves}{reading})"
        )


def calendar_inputs(days: ndarray, day_waves: int) -> ndarray:
    """Return calendar features of days since 1970. The features of nan are 0.

    They are (sin, cos) of year, month and time of day with ``day_waves`` harmonics, and
    the weekdays.
    """
    is_missing = np.isnan(days)[:, None]
    (year, month, day), weekday = calendar(np.where(is_missing, 0, days[:, None]))
    turns = 2 * np.pi * np.hstack([year, month, day * np.arange(1, day_waves + 1)])
    features = np.hstack([np.sin(turns), np.cos(turns), weekday == np.arange(7)])
    return np.where(is_missing, 0.0, features)


def calendar(days: Array) -> tuple[list[Array], Array]:
    """Return the elapsed shares of year, month and day, and the weekday from 0.

    Years start in March here, so that a leap day is the last day of its year. The
    calendar repeats every 400 years.

    Examples
    --------
    >>> (year, month, day), weekday = calendar(np.array([59.25]))      # 1 March 1970, a Sunday, 6:00
    >>> (366 * year).round(6), 31 * month, day, weekday
    (array([59.]), array([0.]), array([0.25]), array([6.]))
    """
    xp = namespace(days)
    day = xp.floor(days)
    since = day + 719468  # days since 1 March of the year 0
    era_day = since - 146097 * xp.floor(since / 146097)
    leap_days = (
        xp.floor(era_day / 1460)
        - xp.floor(era_day / 36524)
        + xp.floor(era_day / 146096)
    )
    year = xp.floor((era_day - leap_days) / 365)
    year_day = era_day - (365 * year + xp.floor(year / 4) - xp.floor(year / 100))
    month = xp.floor((5 * year_day + 2) / 153)
    month_day = year_day - xp.floor((153 * month + 2) / 5)
    is_leap = sum(
        sign * (xp.floor(year / n) - xp.floor((year - 1) / n))
        for sign, n in ((1, 4), (-1, 100), (1, 400))
    )
    # from January
    year_day = xp.where(year_day < 306, year_day + 59 + is_leap, year_day - 306)
    weekday = day + 3 - 7 * xp.floor((day + 3) / 7)
    return [year_day / 366, month_day / 31, days - day], weekday


@dataclass(frozen=True, eq=False)
class Categories(Column):
    """Encoder of category columns: one-hot encoding and mean targets.

    Parameters
    ----------
    buckets : int
        The number of inputs shared by all categories without a separate input,
        including unseen ones. The input of such a category is the CRC-32 of its name
        modulo ``buckets``.
    means : TargetMeans or None
        The mean targets of the categories, which are the last inputs; see
        `Encoder.with_means`. The view "pieces" has all inputs, and the other view has
        only the mean targets.

    Examples
    --------
    >>> pd = pandas()
    >>> categories = Categories.of(pd.Series(["red", "blue", "red", "blue", "green"]))
    >>> categories.names.tolist(), categories(pd.Series(["red", "pink"])).tolist()
    (['blue', 'red'], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """

    names: ndarray
    buckets: int
    means: TargetMeans | None = None

    kind = "categories"
    holds = "names"

    @classmethod
    def learned(cls, series, kind, pieces, categories, is_declared):
        values = series.dropna().astype(str)
        distinct = values.nunique()
        if distinct == 1 and len(values) == len(series):
            return "all values are the same"
        if distinct == len(values) > 20 and not is_declared:
            return "all values are distinct, so they say nothing about other rows"
        return cls.of(series, categories)

    @classmethod
    def of(cls, series, most: int = MAX_CATEGORIES) -> "Categories":
        """Fit an encoder to a column, with at most ``most`` separate inputs."""
        names, counts = np.unique(as_names(series).astype(str), return_counts=True)
        frequent = np.flatnonzero(counts >= MIN_ROWS)
        by_count = frequent[np.argsort(-counts[frequent], kind="stable")]
        ranks = np.arange(len(by_count))
        required_rows = np.where(ranks < CATEGORIES, MIN_ROWS, ROWS_OF_MANY)
        selected = by_count[counts[by_count] >= required_rows][:most]
        buckets = 1
        if len(selected) < len(frequent):
            buckets = BUCKETS
        return cls(names[np.sort(selected)], buckets)

    @property
    def marks(self) -> int:
        """The number of one-hot inputs, which precede the mean targets."""
        return len(self.names) + self.buckets

    @property
    def width(self):
        if self.means is None:
            return self.marks
        return self.marks + self.means.width

    @property
    def input_names(self):
        names = [name.lstrip(MISSING[0]) for name in self.names.tolist()]
        names += ["other"] * self.buckets
        return names + ["mean"] * (self.width - self.marks)

    def read(self, series):
        return as_names(series).astype(str)

    def of_values(self, names):
        """Convert N category names to inputs of shape (N, width)."""
        marks = (self.places(names)[:, None] == np.arange(self.marks)).astype(float)
        if self.means is None:
            return marks
        return np.hstack([marks, self.means(names)])

    def places(self, names: ndarray) -> ndarray:
        """Return the index of each name's one-hot input, as an array of shape (N,)."""
        codes, distinct = pandas().factorize(names)
        indices = {name: index for index, name in enumerate(self.names.tolist())}
        inputs = np.empty(len(distinct), np.int64)
        for number, name in enumerate(distinct):
            bucket = crc32(name.encode()) % self.buckets
            inputs[number] = indices.get(name, len(self.names) + bucket)
        return inputs[codes]

    def misfit(self, series):
        if self.buckets > 1:
            return None
        values = self.read(series)
        unknown = values[self.places(values) == len(self.names)]
        if not len(unknown):
            return None
        names = []
        for name in np.unique(unknown)[:4].tolist():
            names.append("missing" if name == MISSING else repr(name))
        message = "fewer than 2 training rows contain these; they form one category"
        return Misfit(message, len(unknown), names=tuple(names))

    def in_view(self, view):
        is_taken = np.ones(self.width, bool)
        if self.means is not None and view == "standardised":
            is_taken[: self.marks] = False
        return is_taken

    def simulated(self, count, rng):
        """Return inputs of categories that are too many to be counted."""
        names = getattr(self.means, "names", self.names)
        return self.of_values(rng.choice(np.append(names, MISSING), count))

    def for_trees(self, series):
        names = self.read(series)
        if self.means is None:
            return self.places(names)[:, None].astype(float)
        return self.means(names)

    def packed_types(self, series):
        types = {"": (np.int32, ())}
        if self.means is None:
            return types
        return types | {MEANS: (np.float32, (self.means.width,))}

    def pack(self, series, target_encoded):
        names = self.read(series)
        fields = {"": self.places(names)}
        if target_encoded is not None:
            fields[MEANS] = target_encoded
        elif self.means is not None:
            fields[MEANS] = self.means(names)
        return fields

    def entries(self, is_taken, types):
        if is_taken[0]:
            yield "", {"storage": Storage.PLACE}, self.marks
        if self.means is not None:
            yield MEANS, {"storage": Storage.INPUTS}, self.means.width

    @property
    def onnx_type(self):
        """The graph takes text if there is one bucket, since ONNX lacks checksums."""
        return object if self.buckets == 1 else None

    def to_onnx(self, column):
        """Return the symbol of the one-hot inputs."""
        graph = column.graph
        count = len(self.names)
        indices = {name: index for index, name in enumerate(self.names.tolist())}
        missing = indices.pop(MISSING, count)
        indices.setdefault("", missing)
        index = graph.node(
            "LabelEncoder",
            [column],
            column.shape,
            np.int64,
            domain="ai.onnx.ml",
            keys_strings=list(indices),
            values_int64s=list(indices.values()),
            default_int64=count,
        )
        inputs = graph.constant(np.arange(self.width), np.int64)
        return graph.elementwise("Equal", index, inputs, dtype=bool)

    def to_source(self, name, source):
        source.helper("categories", helpers.CATEGORIES, module="zlib")
        source.formulas.function(category_name)
        names = ", ".join(
            "MISSING" if name == MISSING else repr(name) for name in self.names.tolist()
        )
        arguments = f"table[{name!r}], [{names}], {self.buckets}"
        if self.means is not None:
            means = dict(
                zip(self.means.names.tolist(), self.means.means.tolist(), strict=True)
            )
            arguments += f", {[0.0] * self.means.width}, {means}"
        return f"categories({arguments})"

    def is_consistent(self):
        return are_sorted(self.names) and self.buckets > 0


def are_sorted(names: ndarray) -> bool:
    """Return whether an array contains distinct names in order."""
    return (
        names.ndim == 1
        and names.dtype.kind == "U"
        and bool(np.all(names[1:] > names[:-1]))
    )
