"""The inputs of a tile's rows, converted from numbers of another type, or of columns that lie one after the other.

The type of the numbers is that of X, as a memory map may have it; each is rounded as NumPy's ``astype`` rounds it.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..jit import ONCE_IN_ORDER
from ..jit.addresses import numbers_at, words_at
from ..jit.machine_code import address_of
from .expansion import AT_ONCE, LINE_BYTES, prefetch, room

# Placeholders, filled in by `address_of`: the floating type, and the type of the numbers.
number: Any = float
given: Any = float


@njit(**ONCE_IN_ORDER)
def _convert(rows, count, at, like, inputs, first, stride):
    """Convert a number of each row, given the rows' addresses."""
    rounded = inputs.dtype.type
    if stride == 1:
        for s in range(count):
            inputs[first + s] = rounded(numbers_at(rows[s] + at, 1, like)[0])
    else:
        for s in range(count):
            inputs[first + s * stride] = rounded(numbers_at(rows[s] + at, 1, like)[0])


def convert(X, row_bytes, places_at, n, nothing, column_bytes, none, first, features, by_rows, tile):
    """Write some inputs of rows to a tile of features x rows, or of rows x features if ``by_rows``.

    X, the places of the rows and the tile are addresses; the strides of X are in bytes.
    """
    places, inputs = words_at(places_at, n), numbers_at(tile, n * features, number(0))
    step, stride = (1, features) if by_rows else (n, 1)
    rows = room(np.int64(0))
    for start in range(0, n, AT_ONCE):
        count = min(AT_ONCE, n - start)
        for s in range(count):
            rows[s] = X + row_bytes * places[start + s] + column_bytes * first
            if column_bytes < row_bytes:
                for line in range(0, column_bytes * features, LINE_BYTES):  # or else the loops below wait for memory
                    prefetch(rows[s] + line)
        for k in range(features):
            _convert(rows, count, column_bytes * k, given(0), inputs, start * stride + k * step, stride)


@cache
def convert_address(F: type, of_numbers: np.dtype) -> int:
    """Return the address of `convert` for inputs of type F and numbers of another type; see `addresses.call_expand`."""
    kind = np.uint8 if of_numbers == np.bool_ else of_numbers.type
    names = {"number": F, "given": kind}
    return address_of(convert, types.void(*[types.intp] * 11), f"{F.__name__}_of_{kind.__name__}", **names)
