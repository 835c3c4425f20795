"""Tables whose rows do not fit into memory: a scan of all rows, a sample, and blocks for training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ...core import Batch, counter_bits, counter_uniform
from ..encoding.encoder import VIEWS, Encoder, View
from ..encoding.folds import folds_of_time, times
from ..error import TableError, pandas
from ..kinds.ambiguities import ColumnOptions
from ..kinds.formats import DateReading, NumberReading
from ..kinds.kinds import as_whole, kind_of
from ..kinds.values import as_names
from ..reading.delimited import require_columns
from ..reading.file_lists import is_path
from ..reading.frames import Frame
from ..reading.reading import is_dataset
from ..reading.table_parts import TableParts
from ..rows import COUNTS_ROWS, Roles, RowFilter
from .memory_plan import PROGRAM, SHARE_OF_WINDOWS, as_bytes, parts_if_larger, sampled_rows

SAMPLE, TEST, TEST_OF_GROUP, FOLD, TIME = 16, 17, 18, 19, 20
"""Streams of the counter-based random generator, different from the streams of training."""
BUCKETS = 2**16
MAX_VALUES = 1000
"""Up to this number of distinct targets, the sample contains the first two rows of each."""
AT_ONCE = 2**20
"""Number of rows that are assigned to folds at once."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """A table in chunks, with a sample of its rows."""

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
    target_range: tuple[float, float] | None
    are_equal: bool

    @classmethod
    def of(
        cls, table, roles: Roles, seed: Callable[[], int], memory, asked: ColumnOptions, refusal=None
    ) -> "Streamed | None":
        """Scan the rows of files or a data set. Return None for tables that fit into memory or have another type.

        If they do not fit and ``refusal`` is given, it is raised.
        """
        if not (is_path(table) or is_dataset(table)):
            if memory is not None:
                as_bytes(memory)
            return None
        if (found := parts_if_larger(table, memory, asked, [str(roles.target), *roles.reasons])) is None:
            return None
        if refusal is not None:
            raise refusal
        parts, limit, sizes = found
        require_columns(parts.names, [str(roles.target)])
        roles.require(parts.names)
        return _Scan(parts, roles, seed(), limit, sampled_rows(limit - PROGRAM, sizes, parts), asked).streamed()

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return int(sum(np.bitwise_count(bits).sum() for bits in self.used))

    @property
    def notes(self) -> list[str]:
        """Notes on the training rows."""
        return [
            *self.of_rows,
            f"The table does not fit into memory: networks are trained on its {self.rows} rows block by block, and "
            f"columns, validation and calibration use a random sample of {len(self.frame)} rows "
            f"(memory={self.memory} reproduces the model).",
        ]

    def folds(self, count: int) -> "StreamedFolds":
        """Return at most ``count`` folds of rows, by index, group or time."""
        if self.roles.time is None or self.buckets is None:
            return StreamedFolds(self.seed, count, self.buckets, None)
        time = self.buckets[self.numbers].astype(float)
        fold = folds_of_time(time, count)
        starts = np.array([time[fold == number].min() for number in range(fold.max() + 1)])
        if not len(starts):
            raise TableError("All training rows have the same time, but validation needs later rows.")
        return StreamedFolds(self.seed, len(starts), self.buckets, starts)

    def whole(self) -> "Streamed":
        """Return the table with the test rows added to the training rows, and without folds."""
        frame = pandas().concat([self.frame, self.test])
        return replace(
            self,
            roles=replace(self.roles, group=None, time=None),
            used=[own | test for own, test in zip(self.used, self.in_test, strict=True)],
            in_test=list(map(np.zeros_like, self.in_test)),
            buckets=None,
            frame=frame,
            numbers=np.arange(len(frame)),
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
        """Whether folds are consecutive in time."""
        return self.starts is not None

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the folds of the rows with the given indices, with -1 for rows that are earlier than all folds."""
        if self.buckets is None:
            return (counter_uniform(self.seed, FOLD, numbers) * self.count).astype(np.intp)
        buckets = self.buckets[numbers]
        if self.starts is None:
            return buckets.astype(np.intp) * self.count // BUCKETS
        return np.searchsorted(self.starts, buckets, side="right") - 1

    def trains(self, folds: np.ndarray, fold: int) -> np.ndarray:
        """Return whether a fold's network is trained on each row, given the folds of the rows."""
        return folds < fold if self.is_time else folds != fold


class _Scan:
    """A scan of all rows of a table."""

    def __init__(
        self, parts: TableParts, roles: Roles, seed: int, memory: int, sampled: int, asked: ColumnOptions
    ) -> None:
        self.parts, self.roles, self.seed, self.memory, self.asked = parts, roles, seed, memory, asked
        self.target, self.total = str(roles.target), int(parts.sizes.sum())
        self.share = sampled / self.total
        self.test_share = min(roles.test, sampled / 4 / self.total) if roles.test < 1 else roles.test / self.total
        self.reading: NumberReading | DateReading | None = None
        self.values: dict[Any, int] | None = {}
        self.whole: dict[str, tuple[int, int]] = {}
        self.target_range = np.inf, -np.inf
        self.rows = RowFilter(roles.target, roles.weight)

    def streamed(self) -> Streamed:
        """Scan the rows and return the table."""
        roles, edges = self.roles, self._edges()
        frames, tests, used, in_test, buckets, numbers, start, trained = [], [], [], [], [], [], 0, 0
        for part in self.parts.parts:
            frame = part.frame(is_checked=True).reset_index(drop=True)  # errors name the row within the chunk
            counts, time = part.having(self._seen, frame)
            frame.index = pandas().RangeIndex(start, start + len(frame))
            if time is not None:
                assert edges is not None
                is_test, bucket = time >= edges[-1], np.searchsorted(edges[:-1], time, side="right")
            elif roles.group is not None:
                is_test = (self._of_groups(frame, TEST_OF_GROUP) >> np.uint64(11)) * 2.0**-53 < self.test_share
                bucket = self._of_groups(frame, FOLD) >> np.uint64(48)
            else:
                is_test, bucket = counter_uniform(self.seed, TEST, frame.index.to_numpy()) < self.test_share, None
            of_test, learned = counts & is_test, counts & ~is_test
            chosen = learned & (counter_uniform(self.seed, SAMPLE, frame.index.to_numpy()) < self.share)
            chosen |= self._first_of_values(frame[self.target], learned)
            frames.append(frame[chosen])
            tests.append(frame[of_test])
            numbers.append(trained + np.cumsum(learned)[chosen] - 1)
            if bucket is not None:
                buckets.append(bucket[learned].astype(np.uint16))
            used.append(np.packbits(learned))
            in_test.append(np.packbits(of_test))
            self._update_ranges(frame, counts)
            start, trained = start + len(frame), trained + int(learned.sum())
        notes = self.rows.notes()
        if not trained:
            raise TableError("No training rows are left, because all rows are test rows: change --test-size.")
        sample, test = pandas().concat(frames), pandas().concat(tests)
        if self.rows.without_target:  # missing targets turn integers into floats
            sample, test = (own.assign(**{self.target: as_whole(own[self.target])}) for own in (sample, test))
        sample.attrs["aside"] = self._aside(sample)
        ends = self.target_range if np.isfinite(self.target_range).all() else None
        places = np.concatenate(numbers)
        buckets = np.concatenate(buckets) if buckets else None
        whole = self.parts, roles, self.seed, self.memory, used, in_test, buckets
        return Streamed(*whole, sample, places, test, notes, ends, self.rows.are_equal)

    def _seen(self, frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
        """Return which rows of a chunk are used, and their times if there is a time column."""
        roles = self.roles
        counts, _ = self.rows.see(frame[self.target], None if roles.weight is None else frame[roles.weight])
        return counts, None if roles.time is None else self._times(frame)

    def _edges(self) -> np.ndarray | None:
        """Return the boundaries of time buckets, followed by the first time of the test rows."""
        name = self.roles.time
        if name is None:
            return None
        found, start = [], 0
        for part in self.parts.parts:
            frame = part.frame()
            self.reading = self.reading or kind_of(frame[name], name, self.asked).reading
            is_chosen = counter_uniform(self.seed, TIME, np.arange(start, start + len(frame))) < 10 * self.share
            found.append(self._times(frame[is_chosen]))
            start += len(frame)
        known = np.sort(np.concatenate(found))
        edges = np.unique(np.quantile(known, np.linspace(0, 1, 1025)[1:-1], method="higher"))
        late = known[-max(round(self.test_share * len(known)), 1)] if self.test_share else np.inf
        return np.append(edges, late)

    def _times(self, frame: Frame) -> np.ndarray:
        return times(frame[self.roles.time], self.roles.time, self.asked, self.reading)

    def _of_groups(self, frame: Frame, purpose: int) -> np.ndarray:
        """Return random bits for each row, determined by its group."""
        names = as_names(frame[self.roles.group])
        return counter_bits(self.seed, purpose, pandas().util.hash_array(names, categorize=True))

    def _first_of_values(self, target, learned: np.ndarray) -> np.ndarray:
        """Return a mask of the first two rows with each target, or an all-False mask if there are many targets."""
        chosen, places = np.zeros(len(target), bool), np.flatnonzero(learned)
        codes, values = pandas().factorize(target[learned])
        if self.values is None or len(values) + len(self.values) > 2 * MAX_VALUES:
            self.values = None
            return chosen
        for code, value in enumerate(values):
            if (count := self.values.get(value, 0)) < 2:
                first = places[np.flatnonzero(codes == code)[: 2 - count]]
                chosen[first] = True
                self.values[value] = count + len(first)
        return chosen

    def _update_ranges(self, frame: Frame, counts: np.ndarray) -> None:
        """Update the minimum and maximum of integer columns and of the target."""
        for name in frame.columns:
            if isinstance(frame[name].dtype, np.dtype) and frame[name].dtype.kind in "iu":
                own = int(frame[name].min()), int(frame[name].max())
                low, high = self.whole.get(name, own)
                self.whole[name] = min(low, own[0]), max(high, own[1])
        target = frame[self.target][counts]
        if pandas().api.types.is_numeric_dtype(target.dtype) and len(target):
            low, high = self.target_range
            self.target_range = min(low, float(target.min())), max(high, float(target.max()))

    def _aside(self, sample: Frame) -> dict[str, str]:
        """Return the columns that are not inputs, including integer columns that only count the rows."""
        inputs = [name for name in self.parts.names if name != self.target and name not in self.roles.reasons]
        counting = []
        for name, (low, high) in self.whole.items():
            is_meant = name not in inputs or name == self.roles.time or name in self.asked.columns
            if not is_meant and high - low + 1 == self.total and sample[name].is_unique:
                counting.append(name)
        return self.roles.reasons | (dict.fromkeys(counting, COUNTS_ROWS) if len(counting) < len(inputs) else {})


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """All training rows of an ensemble, encoded block by block.

    The function ``encoded`` converts n targets to the networks' targets, (n, O), and to factors of the sample weights,
    (n,), or to None if all factors are equal.
    """

    table: Streamed
    encoder: Encoder
    encoded: Callable[[Any], tuple[np.ndarray, np.ndarray | None]]
    outputs: int
    folds: StreamedFolds | None
    _last: dict[int, Frame] = field(default_factory=dict, init=False)
    """A cache of the last chunk, because its slices are read one after the other."""

    def without_sample(self) -> "StreamedRows":
        """Return a copy for other processes, without the sample and the test rows."""
        table = self.table
        return replace(
            self, table=replace(table, frame=table.frame[:0], test=table.test[:0], numbers=table.numbers[:0])
        )

    @cached_property
    def window(self) -> int:
        """Maximum number of rows of a window, given that two windows are in memory at once."""
        width = sum(len(self.encoder.of_view(view)) for view in VIEWS)
        row = 4 * (width + len(VIEWS) * (self.outputs + 1)) + 8 + 24
        return max(int(SHARE_OF_WINDOWS * (self.table.memory - PROGRAM) / (2 * row)), 4096)

    @cached_property
    def slices(self) -> list[tuple[int, int, int]]:
        """The nonempty blocks as tuples of chunk index, start and end. Large chunks are divided."""
        slices = []
        for part, rows in enumerate(self.table.parts.sizes.tolist()):
            count = -(-rows // max(self.window // 16, min(-(-rows // 8), self.window // 4), 1024))
            cuts = np.linspace(0, rows, count + 1).astype(int).tolist()
            slices += [(part, first, end) for first, end in pairwise(cuts) if self._used(part, first, end).any()]
        return slices

    @cached_property
    def sizes(self) -> np.ndarray:
        """The number of rows of each block."""
        return np.array([int(self._used(*each).sum()) for each in self.slices])

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.sizes.sum())

    def _used(self, part: int, first: int, end: int) -> np.ndarray:
        return np.unpackbits(self.table.used[part])[first:end].astype(bool)

    @cached_property
    def _rows_of_folds(self) -> np.ndarray:
        """The number of rows before all folds, followed by the number of rows of each fold."""
        assert self.folds is not None
        counts = np.zeros(self.folds.count + 1, np.int64)
        for first in range(0, self.rows, AT_ONCE):
            fold = self.folds.of(np.arange(first, min(first + AT_ONCE, self.rows)))
            counts += np.bincount(fold + 1, minlength=len(counts))
        return counts

    def rows_of(self, fold: int) -> int:
        """Return the number of training rows of a fold's member."""
        if self.folds is None:
            return self.rows
        counts = self._rows_of_folds
        return int(counts[: fold + 1].sum() if self.folds.is_time else counts.sum() - counts[fold + 1])

    def batches(self, number: int, views: Sequence[View]) -> list[Batch]:
        """Return the rows of a block, encoded for each view."""
        number, first, end = self.slices[number]
        part = self.table.parts.parts[number]
        if number not in self._last:
            self._last.clear()  # frees memory for the next chunk
            self._last[number] = part.frame()
        try:
            frame = self._last[number].iloc[first:end]
            frame = frame[self._used(number, first, end)]
            T, weight = self.encoded(self.table.roles.targets(frame))
            given = self.table.roles.weights(frame)
            weight = weight if weight is None or given is None else weight * given
            encoded = dict(zip(VIEWS, self.encoder.of_views(frame, as_arrays=True), strict=True))
        except TableError as error:
            raise TableError(f"In {part.place}: {error}") from None
        weight = None if weight is None else weight.astype(np.float32)
        return [Batch(encoded[view], T, weight) for view in views]
