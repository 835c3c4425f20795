"""The inputs of a tile's rows, converted from numbers of another type, or of columns that lie one after the other.

The type of the numbers is that of X, as a memory map may have it; each is rounded as NumPy's ``astype`` rounds it.
"""

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types

from ..jit import ONCE_IN_ORDER, intrinsic, smaller
from ..jit.addresses import array_of, numbers_at, words_at
from ..jit.machine_code import address_of

# Placeholders, filled in by `address_of`: the floating type, and the type of the numbers.
number: Any = float
given: Any = float


AT_ONCE = 64
"""The rows whose inputs are made at a time: what is kept of them stays in the first-level cache."""

LINE_BYTES = 64
"""The bytes that a processor fetches at once."""


@intrinsic
def room(typing, like):
    """Return room on the stack for a number of each of the rows that are expanded at a time, of the type of another."""
    array_type, generate = array_of(like, 1)

    def reserve(context, builder, signature, values):
        size = ir.Constant(ir.IntType(64), AT_ONCE)
        with builder.goto_entry_block():  # once, though the call may be in a loop
            data = builder.alloca(context.get_data_type(like), size)
        return generate(context, builder, signature, (data, size))

    return array_type(like), reserve


@intrinsic
def prefetch(typing, address):
    """Fetch the cache line at an address before it is needed."""

    def generate(context, builder, signature, values):
        word, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function_type = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch.p0", (), function_type)
        builder.call(function, [builder.inttoptr(values[0], pointer), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


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
    """Write some inputs of rows to a tile of features x rows, or of rows x features if ``by_rows``."""
    places, inputs = words_at(places_at, n), numbers_at(tile, n * features, number(0))
    step, stride = (1, features) if by_rows else (n, 1)
    rows = room(np.int64(0))
    for start in range(0, n, AT_ONCE):
        count = smaller(AT_ONCE, n - start)
        for s in range(count):
            rows[s] = X + row_bytes * places[start + s] + column_bytes * first
            if column_bytes < row_bytes:
                for line in range(0, column_bytes * features, LINE_BYTES):  # or else the loops below wait for memory
                    prefetch(rows[s] + line)
        for k in range(features):
            _convert(rows, count, column_bytes * k, given(0), inputs, start * stride + k * step, stride)


@cache
def convert_address(F: type, of_numbers: np.dtype) -> int:
    """Return the address of `convert` for inputs of type F and numbers of another type; see `calls.expand`."""
    kind = np.uint8 if of_numbers == np.bool_ else of_numbers.type
    return address_of(convert, F, f"_of_{kind.__name__}", given=kind)
