"""Columns as inputs: of numbers, of dates and of categories; see `Column`."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any
from zlib import crc32

import numpy as np
from scipy.special import ndtri

from ...core.elementary import Array, namespace, where
from ...train.trainer import can_compile
from ..error import pandas
from ..kinds.kinds import CATEGORIES, Kind
from ..kinds.values import MISSING, as_names, category_name, read_days, read_numbers, texts_of
from ..kinds.written import ONE_MEANING, SECONDS, DateReading, NumberReading, days_of, number_of, seconds_of
from . import helper_sources as helpers
from .column import Column, Kept, Missed, View
from .folds import TargetMeans

PLAIN = NumberReading()
"""Numbers as Python writes them."""
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
CALENDAR, MEANS = " calendar", " means"
"""The ends of the names of kept fields: the inputs that a date has beside those of its days, and mean targets."""


@dataclass(frozen=True, eq=False)
class NumberInputs(Column):
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
    reading: NumberReading
    standard: tuple[float, float]
    scores: np.ndarray | None = None

    kind = "numbers"
    holds = "numbers"

    @classmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_asked: bool) -> "NumberInputs | str":
        assert isinstance(kind.reading, NumberReading)
        x, is_unread = read_numbers(series, kind.reading)
        return _uninformative(x, is_unread, kind.reading) or cls.of_array(x, pieces, kind.reading)

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES, reading: NumberReading | None = None) -> "NumberInputs":
        """Return how a column becomes inputs; it has at least one finite number."""
        reading = reading or NumberReading.of(texts_of(series))
        return cls.of_array(read_numbers(series, reading)[0], pieces, reading)

    @classmethod
    def of_array(cls, x: np.ndarray, pieces: int, reading: NumberReading = PLAIN) -> "NumberInputs":
        """Return how numbers become inputs; nan is missing."""
        finite = ordinary(x[np.isfinite(x)])
        rising = np.sort(finite)  # of which quantiles are found in a fraction of the time
        low, first, centre, third, high = np.quantile(rising, [0, 0.25, 0.5, 0.75, 1]).tolist()
        scale = (third - first) / 1.349 or (high - low) / 2 or 1.0
        edges = np.unique(np.quantile(rising, np.linspace(0, 1, pieces + 1)))
        standard = float(finite.mean()), float(finite.std()) if low < high else 1.0
        edges = edges if len(edges) > 2 else edges[:0]
        ranks = (np.searchsorted(rising, edges, "left") + np.searchsorted(rising, edges, "right")) / (2 * len(rising))
        scores = np.clip(ndtri(ranks), -LIMIT, LIMIT) if len(edges) else None
        return cls(centre, scale, edges, bool(np.isnan(x).any()), reading, standard, scores)

    @property
    def bends(self) -> int:
        """The number of inputs that are the scaled number and its pieces, which are the first."""
        return 1 + max(len(self.edges) - 1, 0)

    @property
    def width(self) -> int:
        return self.bends + self.marks_missing + 1 + (self.scores is not None)

    def write(self, series: Any, inputs: np.ndarray) -> None:
        x = self.read(series)
        if len(x) < COMPILED_FROM or not can_compile():
            inputs[:] = self.of_values(x)
            return
        from .kernels.numbers import encode_numbers

        how = self.centre, self.scale, *self.standard, LIMIT, LARGEST_SCALED, MOST_DEVIATIONS
        encode_numbers(x, self.edges, self.scores, how, self.marks_missing, inputs)

    def read(self, series: Any) -> np.ndarray:
        return read_numbers(series, self.reading)[0]

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
        mean, deviation = self.standard
        inputs.append(np.clip((x - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS))
        if self.scores is not None:
            inputs.append(np.interp(x, self.edges, self.scores))
        return np.hstack(inputs)

    def missed(self, series: Any) -> Missed | None:
        x, is_unread = read_numbers(series, self.reading)
        if is_unread.any():
            how = "" if self.reading == NumberReading() else f" as training read them ({self.reading})"
            return Missed.of(series, is_unread, f"not numbers{how} and count as missing")
        if (is_infinite := np.isinf(x)).any():
            return Missed.of(series, is_infinite, "infinite and count as the largest there are")
        has_type = pandas().api.types.is_float_dtype(series.dtype)
        if has_type and not self.reading.is_plain and np.any(x % 1 > 0):
            how = f"({self.reading}): give a file's path, not its frame"
            return Missed(f"numbers came as such, but training read text {how}")
        return None

    def taken_by(self, view: View) -> np.ndarray:
        """Return whether a view has each of the inputs: the standardised one lacks the scaled number and its pieces."""
        return np.arange(self.width) >= (self.bends if view == "standardised" else 0)

    @property
    def is_read_unlike_it_looks(self) -> bool:
        return self.reading != NumberReading()

    def for_trees(self, series: Any) -> np.ndarray:
        return ordinary(self.read(series))[:, None]

    def kept_types(self, series: Any) -> dict[str, Any]:
        is_plain = isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf"
        is_exact = is_plain and np.can_cast(series.dtype, np.float32) and not np.isinf(series.to_numpy()).any()
        return {"": (np.float32 if is_exact else np.float64, ())}  # infinite numbers are kept as large ones

    def keep(self, series: Any, told: np.ndarray | None) -> dict[str, np.ndarray]:
        return {"": ordinary(self.read(series))}

    def entries(self, is_taken: np.ndarray, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], int]]:
        flags, (mean, deviation) = iter(is_taken[self.bends :]), self.standard
        kept = Kept.WIDE_NUMBER if types[""][0] is np.float64 else Kept.NUMBER
        entries = {"kept": kept, "has_bends": is_taken[0], "marks_missing": self.marks_missing and next(flags)}
        entries |= {"has_standard": next(flags), "has_scores": self.scores is not None and next(flags)}
        entries |= {"pieces": self.bends - 1, "edges": self._tables(), "centre": self.centre, "scale": self.scale}
        entries |= {"mean": mean, "deviation": deviation}
        entries |= {"limit": LIMIT, "largest": LARGEST_SCALED, "most": MOST_DEVIATIONS}
        yield "", entries, int(is_taken.sum())

    def _tables(self) -> np.ndarray:
        """Return the tables of the pieces, one after the other; see `Expansion`."""
        edges = self.edges
        if not len(edges):
            return edges
        scores, widths = np.zeros(len(edges)) if self.scores is None else self.scores, np.diff(edges)
        numbers, slopes = np.arange(len(edges), dtype=float), np.append(np.diff(scores) / widths, 0)
        each = [edges, numbers, np.append(widths, 1), scores, slopes]
        return np.concatenate([np.pad(of, (0, -len(widths) % 4), constant_values=np.inf) for of in each])

    @property
    def onnx_type(self) -> type:
        """A graph takes the numbers in its own type; `files.onnx` writes all columns of numbers together."""
        return float

    def to_source(self, name: str, source: Any) -> str:
        source.helper("WORDS", helpers.WORDS)
        source.helper("numbers", helpers.NUMBERS)
        source.formulas.function(number_of)
        signs = "" if self.reading == NumberReading() else f", {astuple(self.reading)!r}"
        if self.reading.unit == SECONDS:
            source.helper("TIMES", helpers.TIMES, module="re")
            signs = f", (), {source.formulas.function(seconds_of)}"
        return f"numbers(table[{name!r}], {self.settings_in_source(source)}{signs})"

    def settings_in_source(self, source: Any) -> str:
        """Return the fields as arguments, and add the formula."""
        fields = ["centre", "scale", "edges", "marks_missing", "standard", "scores"]
        source.formulas.function(NumberInputs.of_values, "number_inputs", fields)
        scores, standard = None if self.scores is None else self.scores.tolist(), tuple(map(float, self.standard))
        of_pieces = f"{float(self.centre)!r}, {float(self.scale)!r}, {self.edges.tolist()}"
        return f"{of_pieces}, {self.marks_missing}, {standard!r}, {scores}"

    def is_consistent(self) -> bool:
        scores = np.zeros(len(self.edges)) if self.scores is None else self.scores
        values = np.concatenate([self.edges, scores, [self.centre, self.scale, *self.standard]])
        return (
            self.edges.ndim == 1
            and scores.shape == self.edges.shape
            and len(self.standard) == 2
            and bool(np.isfinite(values).all() and (np.diff(self.edges) > 0).all())
            and min(self.scale, self.standard[1]) > 0
        )


def _uninformative(x: np.ndarray, is_unread: np.ndarray, reading: NumberReading | DateReading) -> str:
    """Return why numbers or dates say nothing, if they do not; beside missing values, a constant is informative."""
    finite = x[np.isfinite(x)]
    if not len(finite):
        return f"no value can be read as {reading}" if is_unread.any() else "all values are infinite or missing"
    return "" if finite.min() < finite.max() or np.isnan(x).any() else "all values are the same"


def ordinary(x: np.ndarray) -> np.ndarray:
    """Return numbers clipped to ±1e100, and 0 instead of those below 1e-100, so that quotients do not overflow."""
    return np.where(np.abs(x) < 1e-100, 0.0, np.clip(x, -1e100, 1e100))


@dataclass(frozen=True, eq=False)
class Dates(Column):
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
    has_times: bool
    reading: DateReading

    kind = "dates"
    holds = "numbers"

    @classmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_asked: bool) -> "Dates | str":
        assert isinstance(kind.reading, DateReading)
        reason = _uninformative(*read_days(series, kind.reading), kind.reading)
        return reason or cls.of(series, pieces, kind.reading)

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES, reading: DateReading | None = None) -> "Dates":
        """Return how a column becomes inputs."""
        reading = reading or DateReading.of(texts_of(series)) or DateReading()
        days = read_days(series, reading)[0]
        known = days[~np.isnan(days)]
        return cls(NumberInputs.of_array(days, pieces), bool(np.any(known % 1)), reading)

    @property
    def day_waves(self) -> int:
        """The number of circles for the day."""
        return WAVES if self.has_times else 0

    @property
    def width(self) -> int:
        return self.days.width + 4 + 2 * self.day_waves + 7

    def read(self, series: Any) -> np.ndarray:
        return read_days(series, self.reading)[0]

    def of_values(self, days: np.ndarray) -> np.ndarray:
        """Return the inputs of days since 1970 (N,), (N, width); nan, a missing one, is at each circle's centre."""
        return np.hstack([self.days.of_values(days), calendar_inputs(days, self.day_waves)])

    def missed(self, series: Any) -> Missed | None:
        _, is_unread = read_days(series, self.reading)
        how = f" as training read them ({self.reading})" if self.reading != DateReading() else ""
        return Missed.of(series, is_unread, f"not dates{how} and count as missing") if is_unread.any() else None

    def taken_by(self, view: View) -> np.ndarray:
        """Return whether a view has each of the inputs: of the days as of numbers, and all of the calendar."""
        return np.append(self.days.taken_by(view), np.ones(self.width - self.days.width, bool))

    @property
    def is_read_unlike_it_looks(self) -> bool:
        return self.reading not in (DateReading(), *(DateReading((form,)) for form in ONE_MEANING))

    def shown(self, value: Any) -> str:
        return str(np.datetime64(int(np.floor(value)), "D"))

    def for_trees(self, series: Any) -> np.ndarray:
        days = self.read(series)
        return np.hstack([days[:, None], calendar_inputs(days, self.day_waves)])

    def kept_types(self, series: Any) -> dict[str, Any]:
        return self.days.kept_types(series) | {CALENDAR: (np.float32, (self.width - self.days.width,))}

    def keep(self, series: Any, told: np.ndarray | None) -> dict[str, np.ndarray]:
        days = self.read(series)
        return {"": ordinary(days), CALENDAR: calendar_inputs(days, self.day_waves)}

    def entries(self, is_taken: np.ndarray, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], int]]:
        yield from self.days.entries(is_taken[: self.days.width], types)
        yield CALENDAR, {"kept": Kept.INPUTS}, self.width - self.days.width

    @property
    def onnx_type(self) -> type:
        """A graph takes days since 1970."""
        return np.float64

    def to_onnx(self, column: Any) -> Any:
        """Return the symbol of the inputs of the calendar, see `calendar_inputs`; those of the days are of numbers."""
        graph = column.graph
        is_missing = graph.elementwise("IsNaN", column, dtype=bool)
        (year, month, day), weekday = calendar(where(is_missing, 0.0, column))
        waves = (day * float(number) for number in range(1, self.day_waves + 1))
        angles = 2 * np.pi * graph.beside([year, month, *waves])
        is_weekday = graph.cast(graph.elementwise("Equal", weekday, np.arange(7.0), dtype=bool), np.float64)
        # Runtimes have a sine in float64, but not all a cosine.
        points = graph.elementwise("Sin", graph.beside([angles, angles + np.pi / 2]))
        return where(is_missing, 0.0, graph.beside([points, is_weekday]))

    def to_source(self, name: str, source: Any) -> str:
        source.helper("FORMS", helpers.FORMS, module="re")
        source.helper("dates", helpers.DATES, module="datetime")
        source.formulas.function(calendar_inputs)
        source.formulas.function(days_of)
        how = "" if self.reading == DateReading() else f", {list(self.reading.forms)!r}, {self.reading.format!r}"
        return f"dates(table[{name!r}], {self.days.settings_in_source(source)}, {self.day_waves}{how})"


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
class Categories(Column):
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
    holds = "names"

    @classmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_asked: bool) -> "Categories | str":
        known = series.dropna()
        distinct = known.astype(str).nunique()
        if distinct + (len(known) < len(series)) == 1:
            return "all values are the same"
        if distinct == len(known) > 20 and not is_asked:
            return "each row has a value of its own, which says nothing of other rows"
        return cls.of(series, categories)

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
        return self.marks + (0 if self.means is None else self.means.width)

    def read(self, series: Any) -> np.ndarray:
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
        if self.buckets > 1:
            return None
        others = np.setdiff1d(as_names(series).astype(str), self.names)[:4]
        names = tuple("missing" if name == MISSING else repr(str(name)) for name in others)
        what = "fewer than 2 rows of training have these; they count as one category"
        return Missed(what, names=names) if names else None

    def taken_by(self, view: View) -> np.ndarray:
        """Return whether a view has each of the inputs: the standardised one has mean targets alone, if any."""
        is_without_marks = self.means is not None and view == "standardised"
        return np.arange(self.width) >= (self.marks if is_without_marks else 0)

    def for_trees(self, series: Any) -> np.ndarray:
        names = self.read(series)
        return self.places(names)[:, None].astype(float) if self.means is None else self.means(names)

    def kept_types(self, series: Any) -> dict[str, Any]:
        return {"": (np.int32, ())} | ({} if self.means is None else {MEANS: (np.float32, (self.means.width,))})

    def keep(self, series: Any, told: np.ndarray | None) -> dict[str, np.ndarray]:
        names = self.read(series)
        means = {} if self.means is None else {MEANS: self.means(names) if told is None else told}
        return {"": self.places(names)} | means

    def entries(self, is_taken: np.ndarray, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], int]]:
        if is_taken[0]:
            yield "", {"kept": Kept.PLACE}, self.marks
        if self.means is not None:
            yield MEANS, {"kept": Kept.INPUTS}, self.means.width

    @property
    def onnx_type(self) -> type | None:
        """A graph takes text, and cannot compute checksums."""
        return object if self.buckets == 1 else None

    def to_onnx(self, column: Any) -> Any:
        """Return the symbol of the inputs of a column of text."""
        graph, others = column.graph, len(self.names)
        places = {name: place for place, name in enumerate(self.names.tolist())}
        missing = places.pop(MISSING, others)
        places.setdefault("", missing)
        labels = {"keys_strings": list(places), "values_int64s": list(places.values()), "default_int64": others}
        place = graph.node("LabelEncoder", [column], column.shape, np.int64, domain="ai.onnx.ml", **labels)
        return graph.elementwise("Equal", place, graph.constant(np.arange(self.width), np.int64), dtype=bool)

    def to_source(self, name: str, source: Any) -> str:
        source.helper("categories", helpers.CATEGORIES, module="zlib")
        source.formulas.function(category_name)
        names = ", ".join("MISSING" if known == MISSING else repr(known) for known in self.names.tolist())
        if self.means is None:
            return f"categories(table[{name!r}], [{names}], {self.buckets})"
        means = dict(zip(self.means.names.tolist(), self.means.means.tolist(), strict=True))
        return f"categories(table[{name!r}], [{names}], {self.buckets}, {[0.0] * self.means.width}, {means})"

    def is_consistent(self) -> bool:
        names = self.names
        is_sorted = names.ndim == 1 and names.dtype.kind == "U" and bool(np.all(names[1:] > names[:-1]))
        return is_sorted and self.buckets > 0
