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
    word = ir.IntType(32)
    pointer = ir.IntType(8).as_pointer()
    builder = address.builder
    function_type = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
    function = builder.module.declare_intrinsic("llvm.prefetch.p0", (), function_type)
    builder.call(
        function, [builder.inttoptr(address.value, pointer), word(0), word(3), word(1)]
    )


@inlined_in_order
def _convert(rows, count, offset, like, inputs, first, stride):
    """Convert one number per row, given the addresses of the rows."""
    rounded = inputs.dtype.type
    if stride == 1:
        for s in range(count):
            inputs[first + s] = rounded(numbers_at(rows[s] + offset, 1, like)[0])
    else:
        for s in range(count):
            inputs[first + s * stride] = rounded(
                numbers_at(rows[s] + offset, 1, like)[0]
            )


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
    """Write several inputs of the rows to a tile of features x rows, or of rows x features if ``by_rows`` is set."""
    indices = words_at(places_at, n)
    inputs = numbers_at(tile, n * features, number(0))
    step, stride = (1, features) if by_rows else (n, 1)
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
                column_bytes * k,
                source(0),
                inputs,
                start * stride + k * step,
                stride,
            )


@cache
def convert_address(F: type, dtype: np.dtype) -> int:
    """Return the address of `convert` to type F from another dtype; see `calls.expand`."""
    kind = np.uint8 if dtype == np.bool_ else dtype.type
    return address_of(convert, F, f"_of_{kind.__name__}", source=kind)
