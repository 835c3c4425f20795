"""Expand packed rows to the inputs of a tile; see `packed_rows`.

A few rows are expanded at a time, column by column, so that each step loops over adjacent numbers::

      a packed row          | x0 | x1 | place |            8 bytes per number

      a tile of rows        feature 0      [ scaled x0 ....... ]
      (features x rows)     features 1 ..  [ pieces of x0 .... ]
                            ...
                            feature k ..   [ scaled x1 ....... ]

The kernel computes in double precision and in NumPy's order of operations, so that results are bit-identical.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from ....compiled.jit import ONCE_IN_ORDER, use_widest_vectors
from ....compiled.jit.addresses import doubles_at, numbers_at, record_at, words_at
from ....compiled.jit.fit_record import address_of_array
from ....compiled.jit.machine_code import address_of
from ....compiled.lower.conversion import AT_ONCE, LINE_BYTES, prefetch, room
from ....core.rows.selection import Expansion
from ..column import COLUMN, Storage

# A placeholder for the floating type, which `address_of` fills in.
number: Any = float

_COLUMN_BYTES = COLUMN.itemsize
_INPUTS, _PLACE, _WIDE = int(Storage.INPUTS), int(Storage.PLACE), int(Storage.WIDE_NUMBER)

column_at = record_at(COLUMN)


@njit(**ONCE_IN_ORDER)
def _read(rows, at, like, x):
    """Read the stored values of a column, given the addresses of rows."""
    for s in range(AT_ONCE):
        x[s] = numbers_at(rows[s] + at, 1, like)[0]


@njit(**ONCE_IN_ORDER)
def _put(values, rows, inputs, at, stride):
    """Write one input of all rows."""
    if stride == 1:
        for s in range(rows):
            inputs[at + s] = values[s]
    else:
        for s in range(rows):
            inputs[at + s * stride] = values[s]


@njit(**ONCE_IN_ORDER)
def _scaled(x, column, scaled):
    centre, scale, limit, largest = column.centre, column.scale, column.limit, column.largest
    for s in range(AT_ONCE):
        z = min(max((x[s] - centre) / scale, -largest), largest)
        share = z / limit
        scaled[s] = z / np.sqrt(1 + share * share)


@njit(**ONCE_IN_ORDER)
def _find_piece(x, pieces, edges, firsts, seconds, edge, first, second):
    """Find the interval that contains each number, and write its lower edge and its entries in two tables.

    Four edges are compared at a time, so tables are padded with infinite edges; see `NumberInputs`.
    """
    for s in range(AT_ONCE):
        edge[s], first[s], second[s] = edges[0], firsts[0], seconds[0]
    for piece in range(1, pieces, 4):
        e0, e1, e2, e3 = edges[piece], edges[piece + 1], edges[piece + 2], edges[piece + 3]
        f0, f1, f2, f3 = firsts[piece], firsts[piece + 1], firsts[piece + 2], firsts[piece + 3]
        s0, s1, s2, s3 = seconds[piece], seconds[piece + 1], seconds[piece + 2], seconds[piece + 3]
        for s in range(AT_ONCE):
            value, e, f, g = x[s], edge[s], first[s], second[s]
            e, f, g = e0 if value >= e0 else e, f0 if value >= e0 else f, s0 if value >= e0 else g
            e, f, g = e1 if value >= e1 else e, f1 if value >= e1 else f, s1 if value >= e1 else g
            e, f, g = e2 if value >= e2 else e, f2 if value >= e2 else f, s2 if value >= e2 else g
            e, f, g = e3 if value >= e3 else e, f3 if value >= e3 else f, s3 if value >= e3 else g
            edge[s], first[s], second[s] = e, f, g


@njit(**ONCE_IN_ORDER)
def _shares(x, edge, width, below, places, shares):
    """For each number, compute the fraction of its interval that lies below it, minus ½."""
    for s in range(AT_ONCE):
        shares[s] = max(x[s] - edge[s], 0.0) / width[s] - 0.5
        places[s] = below[s]


@njit(**ONCE_IN_ORDER)
def _put_pieces(first, end, below, shares, rows, inputs, at, step, stride):
    """Write one input per interval: the fraction of the interval that lies below the number, minus ½."""
    half = inputs.dtype.type(0.5)
    if stride == 1:
        for piece in range(first, end):
            own, own_piece = at + piece * step, below.dtype.type(piece)
            for s in range(rows):
                share = half if own_piece < below[s] else -half
                inputs[own + s] = shares[s] if own_piece == below[s] else share
    else:
        for s in range(rows):
            own, whole = at + s * stride, np.int64(below[s])
            for piece in range(first, end):
                inputs[own + piece] = 0.5 if piece < whole else -0.5
            if first <= whole < end:
                inputs[own + whole] = shares[s]


@njit(**ONCE_IN_ORDER)
def _standardized(x, column, standardized):
    mean, deviation, most = column.mean, column.deviation, column.most
    for s in range(AT_ONCE):
        standardized[s] = min(max((x[s] - mean) / deviation, -most), most)


@njit(**ONCE_IN_ORDER)
def _scores(x, edge, score, slope, scores):
    """Interpolate the normal scores of the edges."""
    for s in range(AT_ONCE):
        scores[s] = slope[s] * max(x[s] - edge[s], 0.0) + score[s]


def expand(X, row_bytes, places_at, n, columns, count, edges_at, first, features, by_rows, tile):
    """Write ``features`` inputs of rows, starting with the input ``first``, to a tile.

    ``X``, ``places_at``, ``columns``, ``edges_at`` and ``tile`` are addresses.
    """
    places, inputs = words_at(places_at, n), numbers_at(tile, n * features, number(0))
    step, stride = (1, features) if by_rows else (n, 1)
    use_widest_vectors()
    at_rows, x, missing = room(np.int64(0)), room(0.0), room(0.0)
    edge, first_value, second_value = room(0.0), room(0.0), room(0.0)
    below, values = room(number(0)), room(number(0))
    for start in range(0, n, AT_ONCE):
        rows = min(AT_ONCE, n - start)
        for s in range(AT_ONCE):  # pad an incomplete block with its last row
            at_rows[s] = X + row_bytes * places[start + min(s, rows - 1)]
        for s in range(rows):
            for line in range(0, row_bytes, LINE_BYTES):  # so that the loops below do not wait for memory
                prefetch(at_rows[s] + line)
        for which in range(count):
            column = column_at(columns + _COLUMN_BYTES * which)
            if column.first >= first + features or column.first + column.width <= first:
                continue
            # The range of the column's inputs in the tile.
            low, high = max(first - column.first, 0), min(first + features - column.first, column.width)
            at = (column.first - first) * step + start * stride  # the first input may be outside of the tile
            if column.storage == _INPUTS:
                for k in range(low, high):
                    _read(at_rows, column.at + 4 * k, np.float32(0), x)
                    _put(x, rows, inputs, at + k * step, stride)
                continue
            if column.storage == _PLACE:
                _read(at_rows, column.at, np.int32(0), x)
                for k in range(low, high):
                    for s in range(rows):
                        inputs[at + k * step + s * stride] = 1 if x[s] == k else 0
                continue
            if column.storage == _WIDE:
                _read(at_rows, column.at, np.float64(0), x)
            else:
                _read(at_rows, column.at, np.float32(0), x)
            if column.marks_missing:
                for s in range(AT_ONCE):
                    missing[s] = x[s] != x[s]
            centre = column.centre
            for s in range(AT_ONCE):
                x[s] = centre if x[s] != x[s] else x[s]
            k, pieces = 0, column.pieces
            table = 1 + (pieces + 3) // 4 * 4
            at_edges = edges_at + 8 * column.edges
            edges, numbers = doubles_at(at_edges, table), doubles_at(at_edges + 8 * table, table)
            widths, scores = doubles_at(at_edges + 16 * table, table), doubles_at(at_edges + 24 * table, table)
            slopes = doubles_at(at_edges + 32 * table, table)
            if column.has_bends:
                if low == 0:
                    _scaled(x, column, values)
                    _put(values, rows, inputs, at, stride)
                if pieces:
                    _find_piece(x, table, edges, numbers, widths, edge, first_value, second_value)
                    _shares(x, edge, second_value, first_value, below, values)
                    _put_pieces(
                        max(low - 1, 0), min(high - 1, pieces), below, values, rows, inputs, at + step, step, stride
                    )
                k = 1 + pieces
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
                _find_piece(x, table, edges, scores, slopes, edge, first_value, second_value)
                _scores(x, edge, first_value, second_value, values)
                _put(values, rows, inputs, at + k * step, stride)


@cache
def expand_address(F: type) -> int:
    """Return the address of `expand` for inputs of dtype F; see `calls.expand`."""
    return address_of(expand, F)


EXPAND = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 11)
"""The C type of the kernel, see `calls.expand`."""


class TableExpansion(Expansion):
    """A function that expands packed rows to inputs."""

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Convert packed rows of shape (N, bytes) to float32 inputs of shape (N, I)."""
        X, places, columns = np.ascontiguousarray(X), np.arange(len(X)), self.columns
        inputs = np.empty((len(X), self.inputs), np.float32)
        rows = address_of_array(X), X.shape[1], address_of_array(places), len(X)
        how = columns.ctypes.data, len(columns), address_of_array(self.edges)
        EXPAND(expand_address(np.float32))(*rows, *how, 0, inputs.shape[1], 1, address_of_array(inputs))
        return inputs

    def address(self, F: type) -> int:
        return expand_address(F)
