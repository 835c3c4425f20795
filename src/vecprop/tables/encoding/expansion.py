"""Expand packed rows to the inputs of a tile; see `packed_rows`.

A few rows are expanded at a time, column by column, so that each step loops over
adjacent numbers::

      a packed row          | x0 | x1 | place |            8 bytes per number

      a tile of rows        feature 0      [ scaled x0 ....... ]
      (features x rows)     features 1 ..  [ pieces of x0 .... ]
                            ...
                            feature k ..   [ scaled x1 ....... ]

The kernel computes in double precision and in NumPy's order of operations, so that
results are bit-identical.
"""

import ctypes
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from ...compiled.jit import inlined_in_order, use_widest_vectors
from ...compiled.jit.addresses import doubles_at, numbers_at, record_at, words_at
from ...compiled.jit.fit_record import address_of_array
from ...compiled.jit.machine_code import address_of
from ...compiled.lower.conversion import AT_ONCE, LINE_BYTES, prefetch, room
from ...core.rows.selection import Expansion
from .column import COLUMN, Storage

# A placeholder for the floating type, which `address_of` fills in.
number: Any = float

_COLUMN_BYTES = COLUMN.itemsize
_INPUTS = int(Storage.INPUTS)
_PLACE = int(Storage.PLACE)
_WIDE = int(Storage.WIDE_NUMBER)

column_at = record_at(COLUMN)


@inlined_in_order
def _read(rows, at, like, x):
    """Read the stored values of a column, given the addresses of rows."""
    for s in range(AT_ONCE):
        x[s] = numbers_at(rows[s] + at, 1, like)[0]


@inlined_in_order
def _put(values, rows, inputs, at, stride):
    """Write one input of all rows."""
    if stride == 1:
        for s in range(rows):
            inputs[at + s] = values[s]
    else:
        for s in range(rows):
            inputs[at + s * stride] = values[s]


@inlined_in_order
def _scaled(x, column, scaled):
    centre = column.centre
    scale = column.scale
    limit = column.limit
    largest = column.largest
    for s in range(AT_ONCE):
        z = min(max((x[s] - centre) / scale, -largest), largest)
        share = z / limit
        scaled[s] = z / np.sqrt(1 + share * share)


@inlined_in_order
def _find_intervals(x, edges, intervals):
    """Find the interval between two edges that contains each number."""
    for s in range(AT_ONCE):
        intervals[s] = 0
    for interval in range(1, edges.size):
        edge = edges[interval]
        for s in range(AT_ONCE):
            if x[s] >= edge:
                intervals[s] = interval


@inlined_in_order
def _shares(x, intervals, edges, widths, below, shares):
    """Compute the fraction of its interval below each number, minus ½."""
    for s in range(AT_ONCE):
        interval = intervals[s]
        shares[s] = max(x[s] - edges[interval], 0.0) / widths[interval] - 0.5
        below[s] = interval


@inlined_in_order
def _put_pieces(first, end, below, shares, rows, inputs, at, step, stride):
    """Write one input per interval: its fraction below the number, minus ½."""
    half = inputs.dtype.type(0.5)
    if stride == 1:
        for piece in range(first, end):
            start = at + piece * step
            number = below.dtype.type(piece)
            for s in range(rows):
                share = half if number < below[s] else -half
                inputs[start + s] = shares[s] if number == below[s] else share
    else:
        for s in range(rows):
            start = at + s * stride
            interval = np.int64(below[s])
            for piece in range(first, end):
                inputs[start + piece] = 0.5 if piece < interval else -0.5
            if first <= interval < end:
                inputs[start + interval] = shares[s]


@inlined_in_order
def _standardized(x, column, standardized):
    mean = column.mean
    deviation = column.deviation
    limit = column.most
    for s in range(AT_ONCE):
        standardized[s] = min(max((x[s] - mean) / deviation, -limit), limit)


@inlined_in_order
def _interpolate(x, intervals, edges, scores, slopes, values):
    """Interpolate the normal scores of the edges."""
    for s in range(AT_ONCE):
        interval = intervals[s]
        values[s] = (
            slopes[interval] * max(x[s] - edges[interval], 0.0) + scores[interval]
        )


def expand(
    X, row_bytes, places_at, n, columns, count, edges_at, first, features, by_rows, tile
):
    """Write ``features`` inputs of rows, starting with the input ``first``, to a tile.

    ``X``, ``places_at``, ``columns``, ``edges_at`` and ``tile`` are addresses.
    """
    places = words_at(places_at, n)
    inputs = numbers_at(tile, n * features, number)
    step = n
    stride = 1
    if by_rows:
        step = 1
        stride = features
    use_widest_vectors()
    at_rows = room(np.int64(0))
    intervals = room(np.int64(0))
    x = room(0.0)
    missing = room(0.0)
    below = room(number(0))
    values = room(number(0))
    for start in range(0, n, AT_ONCE):
        rows = min(AT_ONCE, n - start)
        for s in range(AT_ONCE):  # pad an incomplete block with its last row
            at_rows[s] = X + row_bytes * places[start + min(s, rows - 1)]
        for s in range(rows):
            # so that the loops below do not wait for memory
            for line in range(0, row_bytes, LINE_BYTES):
                prefetch(at_rows[s] + line)
        for index in range(count):
            column = column_at(columns + _COLUMN_BYTES * index)
            if column.first >= first + features or column.first + column.width <= first:
                continue
            # The range of the column's inputs in the tile.
            low = max(first - column.first, 0)
            high = min(first + features - column.first, column.width)
            # the first input may be outside of the tile
            at = (column.first - first) * step + start * stride
            if column.storage == _INPUTS:
                for k in range(low, high):
                    _read(at_rows, column.at + 4 * k, np.float32, x)
                    _put(x, rows, inputs, at + k * step, stride)
                continue
            if column.storage == _PLACE:
                _read(at_rows, column.at, np.int32, x)
                for k in range(low, high):
                    for s in range(rows):
                        inputs[at + k * step + s * stride] = 1 if x[s] == k else 0
                continue
            if column.storage == _WIDE:
                _read(at_rows, column.at, np.float64, x)
            else:
                _read(at_rows, column.at, np.float32, x)
            if column.marks_missing:
                for s in range(AT_ONCE):
                    missing[s] = x[s] != x[s]
            centre = column.centre
            for s in range(AT_ONCE):
                x[s] = centre if x[s] != x[s] else x[s]
            table = column.pieces + 1
            tables = edges_at + 8 * column.edges
            edges = doubles_at(tables, table)
            if column.pieces:
                _find_intervals(x, edges, intervals)
            k = 0
            if column.has_bends:
                if low == 0:
                    _scaled(x, column, values)
                    _put(values, rows, inputs, at, stride)
                if column.pieces:
                    _shares(
                        x,
                        intervals,
                        edges,
                        doubles_at(tables + 8 * table, table),
                        below,
                        values,
                    )
                    end = min(high - 1, column.pieces)
                    _put_pieces(
                        max(low - 1, 0),
                        end,
                        below,
                        values,
                        rows,
                        inputs,
                        at + step,
                        step,
                        stride,
                    )
                k = table
            if column.marks_missing:
                if low <= k < high:
                    _put(missing, rows, inputs, at + k * step, stride)
                k += 1
            if column.has_standard:
                if low <= k < high:
                    _standardized(x, column, values)
                    _put(values, rows, inputs, at + k * step, stride)
                k += 1
            if column.has_scores and low <= k < high:
                scores = doubles_at(tables + 16 * table, table)
                _interpolate(
                    x,
                    intervals,
                    edges,
                    scores,
                    doubles_at(tables + 24 * table, table),
                    values,
                )
                _put(values, rows, inputs, at + k * step, stride)


@cache
def expand_address(F: type) -> int:
    """Return the address of `expand` for inputs of dtype F; see `calls.expand`."""
    return address_of(expand, F)


EXPAND = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 11)
"""The C type of the kernel, see `calls.expand`."""


class TableExpansion(Expansion):
    """A function that expands packed rows to inputs."""

    def __call__(self, X):
        """Convert packed rows of shape (N, bytes) to float32 inputs of shape (N, I)."""
        X = np.ascontiguousarray(X)
        rows = np.arange(len(X))
        inputs = np.empty((len(X), self.inputs), np.float32)
        call = EXPAND(expand_address(np.float32))
        call(
            address_of_array(X),
            X.shape[1],
            address_of_array(rows),
            len(X),
            self.columns.ctypes.data,
            len(self.columns),
            address_of_array(self.edges),
            0,
            self.inputs,
            1,
            address_of_array(inputs),
        )
        return inputs

    def address(self, F):
        return expand_address(F)


def kernels() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each kernel and a function that compiles or loads it."""
    for F in (np.float32, np.float64):
        yield f"{F.__name__} expansion", partial(expand_address, F)
