"""Tables whose rows do not fit into memory: one look at all rows, and a sample of them from which a model learns."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.counter_rng import counter_bits, counter_uniform
from ..encoding.column import first_of
from ..encoding.folds import folds_of_time
from ..error import TableError, pandas
from ..kinds.ambiguities import Asked
from ..kinds.kinds import as_whole, kind_of
from ..kinds.values import as_names, read_days, read_numbers
from ..kinds.written import DateReading, NumberReading
from ..reading.delimited import require_columns
from ..reading.frames import Frame
from ..reading.table_parts import TableParts
from ..rows import COUNTS_ROWS, Roles, RowFilter
from .memory_plan import PROGRAM, RowSizes, sampled_rows

SAMPLE, TEST, TEST_OF_GROUP, FOLD, TIME = 16, 17, 18, 19, 20
"""The purposes of counted random numbers, unlike those of training."""
BUCKETS = 2**16
MOST_VALUES = 1000
"""Of a target with at most this many values, the first two rows of each are in the sample."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """A table in parts, with a sample of its rows."""

    parts: TableParts
    roles: Roles
    seed: int
    memory: int
    used: list[np.ndarray]
    in_test: list[np.ndarray]
    buckets: np.ndarray | None
    frame: Frame
    numbers: np.ndarray
    test: Frame
    of_rows: list[str]
    aside: dict[str, str]
    target_range: tuple[float, float] | None
    are_equal: bool

    @classmethod
    def of(cls, parts: TableParts, roles: Roles, seed: int, memory: int, sizes: RowSizes, asked: Asked) -> "Streamed":
        """Return a table after a look at all of its rows.

        Raises
        ------
        TableError
            If a column is missing, a weight or a time cannot be read, or no row has a target.
        """
        require_columns(parts.names, [str(roles.target)])
        roles.require(parts.names)
        return _Look(parts, roles, seed, memory, sizes, asked).streamed()

    @property
    def rows(self) -> int:
        """The number of rows that are trained on."""
        return int(sum(np.bitwise_count(bits).sum() for bits in self.used))

    def used_of(self, number: int) -> np.ndarray:
        """Return whether each row of a part is trained on."""
        return np.unpackbits(self.used[number], count=self.parts.parts[number].rows).astype(bool)

    @property
    def notes(self) -> list[str]:
        """Sentences on the rows that a model learns from."""
        return [
            *self.of_rows,
            f"The table does not fit into memory: networks are trained on its {self.rows} rows block by block, and "
            f"what columns are, validation and calibration come from a random sample of {len(self.frame)} of them; "
            f"memory={self.memory} makes the same model again.",
        ]

    def folds(self, count: int) -> "StreamedFolds":
        """Return the folds of rows, by their number, their group or their time, of which there are as many or fewer."""
        starts = None
        if self.roles.time is not None:
            assert self.buckets is not None
            time = self.buckets[self.numbers].astype(float)
            fold = folds_of_time(time, count)
            starts = np.array([time[fold == number].min() for number in range(fold.max() + 1)])
            if not len(starts):
                raise TableError("All rows to train on are of one time: networks are validated on those of others.")
            count = len(starts)
        return StreamedFolds(self.seed, count, self.buckets, starts)

    def whole(self) -> "Streamed":
        """Return the table with the rows of the test among those that are trained on."""
        used = [own | test for own, test in zip(self.used, self.in_test, strict=True)]
        none = [np.zeros_like(test) for test in self.in_test]
        frame = pandas().concat([self.frame, self.test])
        roles = replace(self.roles, group=None, time=None)  # which tell folds apart, of which there are none
        numbers = np.arange(len(frame))
        return replace(
            self,
            roles=roles,
            used=used,
            in_test=none,
            buckets=None,
            frame=frame,
            numbers=numbers,
            test=self.test[:0],
        )


@dataclass(frozen=True, eq=False)
class StreamedFolds:
    """The fold of each row of a table.

    Examples
    --------
    >>> np.bincount(StreamedFolds(0, 4, None, None).of(np.arange(1000))).tolist()
    [253, 264, 241, 242]
    """

    seed: int
    count: int
    buckets: np.ndarray | None
    starts: np.ndarray | None

    @property
    def is_time(self) -> bool:
        """Whether folds follow each other in time."""
        return self.starts is not None

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the folds of rows with these numbers; -1 before all folds of time."""
        if self.buckets is None:
            return (counter_uniform(self.seed, FOLD, numbers) * self.count).astype(np.intp)
        buckets = self.buckets[numbers]
        if self.starts is None:
            return buckets.astype(np.intp) * self.count // BUCKETS
        return np.searchsorted(self.starts, buckets, side="right") - 1

    def learns(self, numbers: np.ndarray, fold: int) -> np.ndarray:
        """Return whether the member of a fold is trained on each of these rows."""
        own = self.of(numbers)
        return own < fold if self.is_time else own != fold


class _Look:
    """One look at all rows of a table."""

    def __init__(self, parts: TableParts, roles: Roles, seed: int, memory: int, sizes: RowSizes, asked: Asked) -> None:
        self.parts, self.roles, self.seed, self.memory, self.asked = parts, roles, seed, memory, asked
        self.target, self.weight = str(roles.target), roles.weight
        self.total = int(parts.sizes.sum())
        sampled = sampled_rows(memory - PROGRAM, sizes, parts)
        self.share = sampled / self.total
        self.test_share = min(roles.test, sampled / 4 / self.total) if roles.test < 1 else roles.test / self.total
        self.reading: NumberReading | DateReading | None = None
        self.values: dict[Any, int] | None = {}
        self.whole: dict[str, list[int]] = {}
        self.target_range = [np.inf, -np.inf]
        self.rows = RowFilter(roles.target, roles.weight)

    def streamed(self) -> Streamed:
        edges = self._edges()
        frames, tests, used, in_test, buckets, numbers, start, trained = [], [], [], [], [], [], 0, 0
        for part in self.parts.parts:
            frame = part.frame(is_checked=True).reset_index(drop=True)  # errors name a part, and the row in it
            try:
                counts, _ = self.rows.see(frame[self.target], None if self.weight is None else frame[self.weight])
                times = None if edges is None else self._times(frame[self.roles.time])
            except TableError as error:
                raise TableError(f"In {part.place}: {error}") from None
            frame.index = pandas().RangeIndex(start, start + len(frame))
            of_test = counts & self._is_test(frame, times, edges)
            learned = counts & ~of_test
            chosen = learned & (counter_uniform(self.seed, SAMPLE, frame.index.to_numpy()) < self.share)
            chosen |= self._first_of_values(frame[self.target], learned)
            frames.append(frame[chosen])
            tests.append(frame[of_test])
            numbers.append(trained + np.cumsum(learned)[chosen] - 1)
            if times is not None and edges is not None:
                buckets.append(np.searchsorted(edges[:-1], times[learned], side="right").astype(np.uint16))
            elif self.roles.group is not None:
                buckets.append((self._of_groups(frame, FOLD)[learned] >> np.uint64(48)).astype(np.uint16))
            used.append(np.packbits(learned))
            in_test.append(np.packbits(of_test))
            self._count(frame, counts)
            start, trained = start + len(frame), trained + int(learned.sum())
        notes = self.rows.notes()
        if not trained:
            raise TableError("All rows that count are rows of the test: change --test-size.")
        sample, test = pandas().concat(frames), pandas().concat(tests)
        if self.rows.without_target:  # which have made whole numbers floats, as in a frame
            sample, test = (own.assign(**{self.target: as_whole(own[self.target])}) for own in (sample, test))
        return Streamed(
            self.parts,
            self.roles,
            self.seed,
            self.memory,
            used,
            in_test,
            np.concatenate(buckets) if buckets else None,
            sample,
            np.concatenate(numbers),
            test,
            notes,
            self._aside(sample),
            (self.target_range[0], self.target_range[1]) if np.isfinite(self.target_range).all() else None,
            self.rows.are_equal,
        )

    def _edges(self) -> np.ndarray | None:
        """Return the ends of buckets of times, and at last the first time of the test, by a look at times alone."""
        name = self.roles.time
        if name is None:
            return None
        found, start = [], 0
        for part in self.parts.parts:
            frame = part.frame()
            if self.reading is None:
                self.reading = kind_of(frame[name], name, self.asked).reading
            is_chosen = counter_uniform(self.seed, TIME, np.arange(start, start + len(frame))) < 10 * self.share
            found.append(self._times(frame[name][is_chosen]))
            start += len(frame)
        known = np.sort(np.concatenate(found))
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 1025)[1:-1], method="higher"))
        late = known[-max(round(self.test_share * len(known)), 1)] if self.test_share else np.inf
        return np.append(edges, late)

    def _times(self, series: Any) -> np.ndarray:
        reading = self.reading
        if isinstance(reading, NumberReading):
            found, _ = read_numbers(series, reading)
        else:
            found, _ = read_days(series, reading or DateReading())
        wrong = np.isnan(found)
        if wrong.any():
            raise TableError(
                f"Column {self.roles.time!r} has {int(wrong.sum())} value(s) that are no time, such as "
                f"{first_of(series, wrong)}: fix or drop them, or give the format of dates (--date-format)."
            )
        return found

    def _of_groups(self, frame: Frame, purpose: int) -> np.ndarray:
        """Return random bits for each row that are those of its group."""
        names = as_names(frame[self.roles.group])
        return counter_bits(self.seed, purpose, pandas().util.hash_array(names, categorize=True))

    def _is_test(self, frame: Frame, times: np.ndarray | None, edges: np.ndarray | None) -> np.ndarray:
        if times is not None:
            assert edges is not None
            return times >= edges[-1]
        if self.roles.group is not None:
            return (self._of_groups(frame, TEST_OF_GROUP) >> np.uint64(11)) * 2.0**-53 < self.test_share
        return counter_uniform(self.seed, TEST, frame.index.to_numpy()) < self.test_share

    def _first_of_values(self, target: Any, learned: np.ndarray) -> np.ndarray:
        """Return which rows are the first two of a value of the target, if there are few values."""
        chosen = np.zeros(len(target), bool)
        if self.values is None:
            return chosen
        places = np.flatnonzero(learned)
        codes, values = pandas().factorize(target[learned])
        if len(values) + len(self.values) > 2 * MOST_VALUES:
            self.values = None
            return chosen
        for code, value in enumerate(values):
            if (count := self.values.get(value, 0)) < 2:
                first = places[np.flatnonzero(codes == code)[: 2 - count]]
                chosen[first] = True
                self.values[value] = count + len(first)
        return chosen

    def _count(self, frame: Frame, counts: np.ndarray) -> None:
        """Keep the ends of columns of whole numbers, and of the target."""
        for name in frame.columns:
            if frame[name].dtype.kind in "iu" and isinstance(frame[name].dtype, np.dtype):
                low, high = int(frame[name].min()), int(frame[name].max())
                ends = self.whole.setdefault(name, [low, high])
                self.whole[name] = [min(ends[0], low), max(ends[1], high)]
        target = frame[self.target][counts]
        if pandas().api.types.is_numeric_dtype(target.dtype) and len(target):
            low, high = float(target.min()), float(target.max())
            self.target_range = [min(self.target_range[0], low), max(self.target_range[1], high)]

    def _aside(self, sample: Frame) -> dict[str, str]:
        """Return the columns that are no inputs: also those of whole numbers over a range of as many as the rows."""
        inputs = [name for name in self.parts.names if name != self.target and name not in self.roles.reasons]
        meant = [self.roles.time, *self.asked.columns]
        ends = {name: self.whole[name] for name in inputs if name in self.whole and name not in meant}
        counting = [
            name for name, (low, high) in ends.items() if high - low + 1 == self.total and sample[name].is_unique
        ]
        return self.roles.reasons | (dict.fromkeys(counting, COUNTS_ROWS) if len(counting) < len(inputs) else {})
