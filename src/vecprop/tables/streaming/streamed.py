"""Tables that do not fit into memory: a scan, a sample, and blocks for training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy import ndarray

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
from .memory_plan import (
    PROGRAM,
    SHARE_OF_WINDOWS,
    as_bytes,
    parts_if_larger,
    sampled_rows,
)

SAMPLE, TEST, TEST_OF_GROUP, FOLD, TIME = 16, 17, 18, 19, 20
"""Streams of the counter-based random generator, different from the streams of
training.
"""
BUCKETS = 2**16
MAX_VALUES = 1000
"""Up to this number of distinct targets, the sample contains the first two rows of
each.
"""
AT_ONCE = 2**20
"""Number of rows that are assigned to folds at once."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """A table in chunks, with a sample of its rows."""

    parts: TableParts
    roles: Roles
    seed: int
    memory: int
    used: list[ndarray]
    in_test: list[ndarray]
    buckets: ndarray | None
    frame: Frame
    numbers: ndarray
    test: Frame
    row_notes: list[str]
    target_range: tuple[float, float] | None
    are_equal: bool

    @classmethod
    def of(
        cls,
        table,
        roles: Roles,
        seed: Callable[[], int],
        memory,
        asked: ColumnOptions,
        refusal=None,
    ) -> "Streamed | None":
        """Scan the rows of files or a data set, or return None for other tables.

        The result is None for tables that fit into memory. If they do not fit and
        ``refusal`` is given, it is raised.
        """
        if not (is_path(table) or is_dataset(table)):
            if memory is not None:
                as_bytes(memory)
            return None
        aside = [str(roles.target), *roles.reasons]
        large_table = parts_if_larger(table, memory, asked, aside=aside)
        if large_table is None:
            return None
        if refusal is not None:
            raise refusal
        parts, limit, sizes = large_table
        require_columns(parts.names, [str(roles.target)])
        roles.require(parts.names)
        sampled = sampled_rows(limit - PROGRAM, sizes, parts)
        scan = _Scan(parts, roles, seed(), memory=limit, sampled=sampled, asked=asked)
        return scan.streamed()

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return int(sum(np.bitwise_count(bits).sum() for bits in self.used))

    @property
    def notes(self) -> list[str]:
        """Notes on the training rows."""
        return [
            *self.row_notes,
            (
                "The table does not fit into memory: networks are trained on its"
                f" {self.rows} rows block by block, and columns, validation and"
                f" calibration use a random sample of {len(self.frame)} rows"
                f" (memory={self.memory} reproduces the model)."
            ),
        ]

    def folds(self, count: int) -> "StreamedFolds":
        """Return at most ``count`` folds of rows, by index, group or time."""
        if self.roles.time is None or self.buckets is None:
            return StreamedFolds(self.seed, count, self.buckets, None)
        time = self.buckets[self.numbers].astype(float)
        fold = folds_of_time(time, count)
        starts = [time[fold == number].min() for number in range(fold.max() + 1)]
        if not starts:
            raise TableError(
                "All training rows have the same time, but validation needs later rows."
            )
        return StreamedFolds(self.seed, len(starts), self.buckets, np.array(starts))

    def whole(self) -> "Streamed":
        """Return the table with test rows as training rows, and without folds."""
        frame = pandas().concat([self.frame, self.test])
        return replace(
            self,
            roles=replace(self.roles, group=None, time=None),
            used=list(map(np.bitwise_or, self.used, self.in_test)),
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
    buckets: ndarray | None
    starts: ndarray | None

    @property
    def is_time(self) -> bool:
        """Whether folds are consecutive in time."""
        return self.starts is not None

    def of(self, numbers: ndarray) -> ndarray:
        """Return the folds of rows by index, or -1 for rows before all folds."""
        if self.buckets is None:
            uniform = counter_uniform(self.seed, FOLD, numbers)
            return (uniform * self.count).astype(np.intp)
        buckets = self.buckets[numbers]
        if self.starts is None:
            return buckets.astype(np.intp) * self.count // BUCKETS
        return np.searchsorted(self.starts, buckets, side="right") - 1

    def trains(self, folds: ndarray, fold: int) -> ndarray:
        """Return whether a fold's network is trained on rows in these folds."""
        if self.is_time:
            return folds < fold
        return folds != fold


@dataclass(eq=False)
class _Scan:
    """A scan of all rows of a table."""

    parts: TableParts
    roles: Roles
    seed: int
    memory: int
    sampled: int
    asked: ColumnOptions
    reading: NumberReading | DateReading | None = None
    values: dict[Any, int] | None = field(default_factory=dict)
    ranges: dict[str | None, tuple[float, float]] = field(default_factory=dict)
    """The smallest and largest value of integer columns, and of the target (None)."""

    def __post_init__(self):
        roles = self.roles
        self.target = str(roles.target)
        self.total = int(self.parts.sizes.sum())
        self.share = self.sampled / self.total
        if roles.test < 1:
            self.test_share = min(roles.test, self.share / 4)
        else:
            self.test_share = roles.test / self.total
        self.rows = RowFilter(roles.target, roles.weight)

    def streamed(self) -> Streamed:
        """Scan the rows and return the table."""
        edges = self._edges()
        samples = []
        tests = []
        used = []
        in_test = []
        buckets = []
        numbers = []
        start = 0
        trained = 0
        for part in self.parts.parts:
            # errors name the row within the chunk
            frame = part.frame(is_checked=True).reset_index(drop=True)
            is_used, time = part.having(self._seen, frame)
            frame.index = pandas().RangeIndex(start, start + len(frame))
            is_test, bucket = self._split(frame, time, edges)
            is_test &= is_used
            is_trained = is_used & ~is_test
            numbers_of_rows = frame.index.to_numpy()
            uniform = counter_uniform(self.seed, SAMPLE, numbers_of_rows)
            is_sampled = is_trained & (uniform < self.share)
            is_sampled |= self._first_of_values(frame[self.target], is_trained)
            samples.append(frame[is_sampled])
            tests.append(frame[is_test])
            numbers.append(trained + np.cumsum(is_trained)[is_sampled] - 1)
            if bucket is not None:
                buckets.append(bucket[is_trained].astype(np.uint16))
            used.append(np.packbits(is_trained))
            in_test.append(np.packbits(is_test))
            self._update_ranges(frame, is_used)
            start += len(frame)
            trained += int(is_trained.sum())
        notes = self.rows.notes()
        if not trained:
            raise TableError(
                "No training rows are left, because all rows are test rows: change"
                " --test-size."
            )
        sample = self._joined(samples)
        target_range = self.ranges.pop(None, None)
        if target_range is not None and not np.isfinite(target_range).all():
            target_range = None
        sample.attrs["aside"] = self._aside(sample)
        return Streamed(
            self.parts,
            self.roles,
            self.seed,
            self.memory,
            used=used,
            in_test=in_test,
            buckets=np.concatenate(buckets) if buckets else None,
            frame=sample,
            numbers=np.concatenate(numbers),
            test=self._joined(tests),
            row_notes=notes,
            target_range=target_range,
            are_equal=self.rows.are_equal,
        )

    def _joined(self, frames: list[Frame]) -> Frame:
        """Join parts of a table. Targets that became floats are integers again."""
        frame = pandas().concat(frames)
        if self.rows.without_target:
            frame = frame.assign(**{self.target: as_whole(frame[self.target])})
        return frame

    def _split(
        self, frame: Frame, time: ndarray | None, edges: ndarray | None
    ) -> tuple[ndarray, ndarray | None]:
        """Return a mask of the test rows, and the bucket of each group or time."""
        if time is not None and edges is not None:
            return time >= edges[-1], np.searchsorted(edges[:-1], time, side="right")
        if self.roles.group is None:
            uniform = counter_uniform(self.seed, TEST, frame.index.to_numpy())
            return uniform < self.test_share, None
        bits = self._bits_of_groups(frame, TEST_OF_GROUP)
        is_test = (bits >> np.uint64(11)) * 2.0**-53 < self.test_share
        return is_test, self._bits_of_groups(frame, FOLD) >> np.uint64(48)

    def _seen(self, frame: Frame) -> tuple[ndarray, ndarray | None]:
        """Return which rows of a chunk are used, and their times, if any."""
        roles = self.roles
        weight = None
        if roles.weight is not None:
            weight = frame[roles.weight]
        is_used, _ = self.rows.see(frame[self.target], weight)
        if roles.time is None:
            return is_used, None
        return is_used, self._times(frame)

    def _edges(self) -> ndarray | None:
        """Return the boundaries of time buckets, then the first time of test rows."""
        name = self.roles.time
        if name is None:
            return None
        samples = []
        start = 0
        for part in self.parts.parts:
            frame = part.frame()
            if self.reading is None:
                self.reading = kind_of(frame[name], name, self.asked).reading
            rows = np.arange(start, start + len(frame))
            is_sampled = counter_uniform(self.seed, TIME, rows) < 10 * self.share
            samples.append(self._times(frame[is_sampled]))
            start += len(frame)
        times = np.sort(np.concatenate(samples))
        shares = np.linspace(0, 1, 1025)[1:-1]
        edges = np.unique(np.quantile(times, shares, method="higher"))
        first_of_test = np.inf
        if self.test_share:
            first_of_test = times[-max(round(self.test_share * len(times)), 1)]
        return np.append(edges, first_of_test)

    def _times(self, frame: Frame) -> ndarray:
        return times(frame[self.roles.time], self.roles.time, self.asked, self.reading)

    def _bits_of_groups(self, frame: Frame, purpose: int) -> ndarray:
        """Return random bits for each row, determined by its group."""
        names = as_names(frame[self.roles.group])
        keys = pandas().util.hash_array(names, categorize=True)
        return counter_bits(self.seed, purpose, keys)

    def _first_of_values(self, target, is_trained: ndarray) -> ndarray:
        """Return a mask of the first two training rows with each target, or of no row if there are many targets."""
        is_first = np.zeros(len(target), bool)
        rows = np.flatnonzero(is_trained)
        codes, values = pandas().factorize(target[is_trained])
        if self.values is None or len(values) + len(self.values) > 2 * MAX_VALUES:
            self.values = None
            return is_first
        for code, value in enumerate(values):
            count = self.values.get(value, 0)
            if count < 2:
                first = rows[np.flatnonzero(codes == code)[: 2 - count]]
                is_first[first] = True
                self.values[value] = count + len(first)
        return is_first

    def _update_ranges(self, frame: Frame, is_used: ndarray):
        """Update the minimum and maximum of integer columns and of the target."""
        for name in frame.columns:
            series = frame[name]
            if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iu":
                self._widen_range(name, int(series.min()), int(series.max()))
        target = frame[self.target][is_used]
        if pandas().api.types.is_numeric_dtype(target.dtype) and len(target):
            self._widen_range(None, float(target.min()), float(target.max()))

    def _widen_range(self, name: str | None, low: float, high: float):
        lowest, highest = self.ranges.get(name, (np.inf, -np.inf))
        self.ranges[name] = min(lowest, low), max(highest, high)

    def _aside(self, sample: Frame) -> dict[str, str]:
        """Return the columns that are not inputs, such as row numbers."""
        reasons = self.roles.reasons
        inputs = set(self.parts.names) - {self.target, *reasons}
        undeclared = inputs - {self.roles.time, *self.asked.columns}
        row_numbers = []
        for name, (low, high) in self.ranges.items():
            is_range = high - low + 1 == self.total
            if name in undeclared and is_range and sample[name].is_unique:
                row_numbers.append(name)
        if len(row_numbers) < len(inputs):
            reasons |= dict.fromkeys(row_numbers, COUNTS_ROWS)
        return reasons


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """All training rows of an ensemble, encoded block by block.

    The function ``encoded`` converts n targets and their rows to the networks' targets, (n, O), and to
    factors of the sample weights, (n,), or to None if all factors are equal.
    """

    table: Streamed
    encoder: Encoder
    encoded: Callable[[Any, Frame], tuple[ndarray, ndarray | None]]
    outputs: int
    folds: StreamedFolds | None
    _last: dict[int, Frame] = field(default_factory=dict, init=False)
    """A cache of the last chunk, because its slices are read one after the other."""

    def without_sample(self) -> "StreamedRows":
        """Return a copy for other processes, without the sample and the test rows."""
        table = self.table
        return replace(
            self,
            table=replace(
                table,
                frame=table.frame[:0],
                test=table.test[:0],
                numbers=table.numbers[:0],
            ),
        )

    @cached_property
    def window(self) -> int:
        """Maximum number of rows of a window, if two windows are in memory."""
        width = sum(len(self.encoder.of_view(view)) for view in VIEWS)
        # Float32 inputs, targets and weights, then the indices of a row.
        bytes_of_row = 4 * (width + len(VIEWS) * (self.outputs + 1)) + 8 + 24
        memory = SHARE_OF_WINDOWS * (self.table.memory - PROGRAM)
        return max(int(memory / (2 * bytes_of_row)), 4096)

    @cached_property
    def slices(self) -> list[tuple[int, int, int]]:
        """The chunk, start and end of nonempty blocks. Large chunks are divided."""
        slices = []
        for part, rows in enumerate(self.table.parts.sizes.tolist()):
            eighth = min(ceil(rows / 8), self.window // 4)
            rows_of_slice = max(self.window // 16, eighth, 1024)
            cuts = np.linspace(0, rows, ceil(rows / rows_of_slice) + 1).astype(int)
            for first, end in pairwise(cuts.tolist()):
                if self._used(part, first, end).any():
                    slices.append((part, first, end))
        return slices

    @cached_property
    def sizes(self) -> ndarray:
        """The number of rows of each block."""
        return np.array(
            [self._used(part, first, end).sum() for part, first, end in self.slices]
        )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.sizes.sum())

    def _used(self, part: int, first: int, end: int) -> ndarray:
        """Return which rows of a slice are training rows."""
        return np.unpackbits(self.table.used[part])[first:end].astype(bool)

    @cached_property
    def _rows_of_folds(self) -> ndarray:
        """The number of rows before all folds, then of each fold."""
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
        if self.folds.is_time:
            return int(counts[: fold + 1].sum())
        return int(counts.sum() - counts[fold + 1])

    def batches(self, number: int, views: Sequence[View]) -> list[Batch]:
        """Return the rows of a block, encoded for each view."""
        chunk, first, end = self.slices[number]
        part = self.table.parts.parts[chunk]
        if chunk not in self._last:
            self._last.clear()  # frees memory for the next chunk
            self._last[chunk] = part.frame()
        try:
            frame = self._last[chunk].iloc[first:end]
            frame = frame[self._used(chunk, first, end)]
            T, weight = self.encoded(self.table.roles.targets(frame), frame)
            column_weight = self.table.roles.weights(frame)
            encoded = self.encoder.of_views(frame, as_arrays=True)
        except TableError as error:
            raise TableError(f"In {part.label}: {error}") from None
        inputs = dict(zip(VIEWS, encoded, strict=True))
        if weight is not None:
            if column_weight is not None:
                weight = weight * column_weight
            weight = weight.astype(np.float32)
        return [Batch(inputs[view], T, weight) for view in views]
