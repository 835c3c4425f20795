"""A dense layer on sparse rows, the first of a network: its products skip the zeros, and nothing is made dense.

A tile of sparse rows holds no numbers, but says where each row lies in the data: three words for each row::

      tile      | address of its values, address of their columns, count | the next row's three words | ...

      values    | 0.5  1.0  0.2 | 0.7 | ...        the data, by rows
      columns   |   3    8   21 |   8 | ...        rising in each row

Rows of W are then read, and rows of J_W written, where a column names them; each is contiguous. Threads share the
outputs by rows, and the gradient by columns, so each writes rows of its own, in one order.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..gemm.products import transpose_of
from ..gemm.vectors import added_row_block, summed_rows_block, vector_bytes
from ..jit.arrays import copy, numbers_at, words_at
from ..jit.calls import call_columns
from ..jit.machine_code import address_of
from ..jit.numba_options import INNER, ONCE

# Placeholders, filled in for a floating type: the type, the bytes of an element, a transpose, and the blocks of
# `gemm.vectors` with their width in numbers.
number: Any = float
size = width = 0
transpose: Any = None
sum_rows: Any = None
add_row: Any = None

SPARSE_ROW_WORDS = 3
"""The words of a row in a tile of sparse rows."""

VECTORS = 4
"""The vectors of a block: wider ones would mostly be empty for the usual numbers of outputs."""

_COLUMN_BYTES = 4


@njit(**ONCE)
def find_sparse_rows(data, places, tile):
    """Write where rows lie in the data into a tile."""
    starts, words = (
        words_at(data.starts, data.data_rows + 1),
        words_at(tile.ctypes.data, SPARSE_ROW_WORDS * places.size),
    )
    for s in range(places.size):
        start, end = starts[places[s]], starts[places[s] + 1]
        words[SPARSE_ROW_WORDS * s] = data.x + tile.itemsize * start
        words[SPARSE_ROW_WORDS * s + 1] = data.columns + _COLUMN_BYTES * start
        words[SPARSE_ROW_WORDS * s + 2] = end - start


@njit(**ONCE)
def _row(A, s):
    """Return the addresses of a row's values and columns, and their count."""
    words = words_at(A + 8 * SPARSE_ROW_WORDS * s, SPARSE_ROW_WORDS)
    return words[0], words[1], words[2]


@njit(**INNER)
def _first_from(columns, count, least):
    """Return the place of the first of rising columns that is at least this number."""
    columns, low, high = numbers_at(columns, count, np.int32(0)), np.int64(0), count
    while low < high:
        middle = (low + high) // 2
        if columns[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


def multiply_sparse(I, O, S, p, A, Z, by_rows, product, workspace):
    """Z = [W; b]ᵀ [A; 1]. The rows of Zᵀ are computed in the workspace."""
    zero, row = number(0), O * size
    bias, outputs = numbers_at(p + I * row, O, zero), numbers_at(workspace, S * O, zero)
    for s in range(S):
        values, columns, count = _row(A, s)
        copy(bias, outputs[s * O : (s + 1) * O])
        for o in range(0, O, width):
            sum_rows(O - o, count, values, columns, p + o * size, row, workspace + s * row + o * size)
    transpose(S, O, workspace, row, Z, S * size)


def multiply_sparse_back(I, O, S, p, A, delta, J, add, before, transposed, by_rows, product, workspace):
    """J = [J_W; J_b] = [A; 1] deltaᵀ, or J += it."""
    call_columns(product, (np.int64(0), I + 1, I, O, S, A, delta, J, add, transposed))


def gradient_of_columns(low, high, I, O, S, A, delta, J, add, transposed):
    """Compute the rows of J from ``low`` to ``high``, as `multiply_sparse_back` does all; row I is that of biases."""
    zero, row = number(0), O * size
    if not add:
        own = numbers_at(J + low * row, (high - low) * O, zero)
        for i in range(own.size):
            own[i] = 0
    transpose(O, S, delta, S * size, transposed, row)
    for s in range(S):
        values, columns, count = _row(A, s)
        first, end = _first_from(columns, count, low), _first_from(columns, count, high)
        values, columns = values + first * size, columns + first * _COLUMN_BYTES
        for o in range(0, O, width):
            add_row(O - o, end - first, values, columns, J + o * size, row, transposed + s * row + o * size)
    if high > I:
        bias, delta_rows = numbers_at(J + I * row, O, zero), numbers_at(transposed, S * O, zero)
        for s in range(S):
            for o in range(O):
                bias[o] += delta_rows[s * O + o]


def names_of_sparse(F: type) -> dict[str, Any]:
    """Return the blocks for numbers of type F and their width, by the names of the placeholders."""
    lanes = vector_bytes() // np.dtype(F).itemsize
    return {
        "width": VECTORS * lanes,
        "transpose": transpose_of(F),
        "sum_rows": summed_rows_block(F, lanes, VECTORS),
        "add_row": added_row_block(F, lanes, VECTORS),
    }


@cache
def columns_address(F: type) -> int:
    """Return the address of `gradient_of_columns` for numbers of type F; see `calls.call_columns`."""
    names = {"number": F, "size": np.dtype(F).itemsize, **names_of_sparse(F)}
    return address_of(gradient_of_columns, types.void(*[types.intp] * 10), F.__name__, **names)
