"""Convert the inputs of a tile's rows from another dtype or from column-major order.

The source dtype is the dtype of X, which may be a memory map. Numbers are rounded as in
NumPy's ``astype``.
"""

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from ..jit import inlined_in_order, intrinsic
from ..jit.addresses import array_of, numbers_at, words_at
from ..jit.machine_code import address_of
from ..jit.tracing import of_numbers, smaller

# Placeholders, filled in by `address_of`: the floating-point type and the source type.
number: Any = float
source: Any = float


AT_ONCE = 64
"""The number of rows that are converted at a time; their intermediate values stay in
the L1 cache.
"""

LINE_BYTES = 64
"""The size of a cache line in bytes."""


@intrinsic
def room(typing, like):
    """Return an array of AT_ONCE numbers on the stack, of the same type as `like`."""
    array_type, generate = array_of(like, 1)

    def reserve(context, builder, signature, values):
        size = ir.Constant(ir.IntType(64), AT_ONCE)
        with builder.goto_entry_block():  # allocate once, even if the call is in a loop
            data = builder.alloca(context.get_data_type(like), size)
        return generate(context, builder, signature, (data, size))

    return array_type(like), reserve


@of_numbers
def prefetch(address) -> None:
    """Prefetch the cache line at an address."""
    integer = ir.IntType(32)
    pointer = ir.IntType(8).as_pointer()
    builder = address.builder
    kinds = [pointer, integer, integer, integer]
    function_type = ir.FunctionType(ir.VoidType(), kinds)
    function = builder.module.declare_intrinsic("llvm.prefetch.p0", (), function_type)
    target = builder.inttoptr(address.value, pointer)
    is_write = integer(0)
    stays_in_cache = integer(3)
    is_data = integer(1)
    builder.call(function, [target, is_write, stays_in_cache, is_data])


@inlined_in_order
def _convert(rows, count, offset, like, inputs, first, stride):
    """Convert one number per row to the inputs first, first + stride and so on, given the addresses of the rows.

    The number lies ``offset`` bytes after the address and has the type of ``like``.
    """
    rounded = inputs.dtype.type
    if stride == 1:  # a separate loop, which is vectorized
        for s in range(count):
            x = numbers_at(rows[s] + offset, 1, like)[0]
            inputs[first + s] = rounded(x)
    else:
        for s in range(count):
            x = numbers_at(rows[s] + offset, 1, like)[0]
            inputs[first + s * stride] = rounded(x)


def convert(
    X,
    row_bytes,
    places_at,
    n,
    nothing,
    column_bytes,
    none,
    first,
    features,
    by_rows,
    tile,
):
    """Write the inputs first to first + features - 1 of n rows to a tile; see `calls.expand`.

    The tile has features x rows, or rows x features if ``by_rows`` is set: ``step`` and
    ``stride`` are the distances between two features and between two rows. Rows and
    columns of X are ``row_bytes`` and ``column_bytes`` apart. ``nothing`` and ``none``
    are not used.
    """
    indices = words_at(places_at, n)
    inputs = numbers_at(tile, n * features, number)
    step = n
    stride = 1
    if by_rows:
        step = 1
        stride = features
    rows = room(np.int64(0))
    for start in range(0, n, AT_ONCE):
        count = smaller(AT_ONCE, n - start)
        for s in range(count):
            rows[s] = X + row_bytes * indices[start + s] + column_bytes * first
            if column_bytes < row_bytes:
                # hides the latency of memory
                for line in range(0, column_bytes * features, LINE_BYTES):
                    prefetch(rows[s] + line)
        for k in range(features):
            _convert(
                rows,
                count,
                offset=column_bytes * k,
                like=source,
                inputs=inputs,
                first=start * stride + k * step,
                stride=stride,
            )


@cache
def convert_address(F: type, dtype: np.dtype) -> int:
    """Return the address of `convert` to type F from another dtype; see `calls.expand`."""
    kind = np.uint8 if dtype == np.bool_ else dtype.type
    return address_of(convert, F, f"_of_{kind.__name__}", source=kind)
