"""Products and transposes of the matrices of a tile, block by block; see `vectors`.

A BLAS packs its operands and plans each call. That pays for large matrices, but costs as much as the product itself for
those of one tile.
"""

from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit, types

from .formulas import OPTIONS
from .machine_code import address_of
from .vectors import dots_block, product_block, transposed_block, vector_bytes

# What is filled in for a type of numbers: what a block does, its sizes, and that of a number in bytes.
block: Any = None
low_block: Any = None
rows = columns = low_rows = low_columns = size = 0


def multiply(M, N, K, A, A_m, A_k, B, B_k, C, C_m, add):
    """C = A B, or C += A B, for C (M, N), A (M, K) and B (K, N): addresses, and steps along their axes in bytes."""
    for m in range(0, M, rows):
        A_at, C_at = A + m * A_m, C + m * C_m
        if M - m <= low_rows:
            for n in range(0, N, low_columns):
                low_block(M - m, N - n, K, A_at, A_m, A_k, B + n * size, B_k, C_at + n * size, C_m, add)
        else:
            for n in range(0, N, columns):
                block(M - m, N - n, K, A_at, A_m, A_k, B + n * size, B_k, C_at + n * size, C_m, add)


def dots(M, K, A, A_m, b, c):
    """Put A b into c, for A (M, K): addresses, and the step from row to row in bytes."""
    for m in range(0, M, rows):
        block(M - m, K, A + m * A_m, A_m, b, c + m * size)


def transpose(M, N, A, A_m, B, B_n):
    """B = Aᵀ, for A (M, N) and B (N, M): addresses, and steps from row to row in bytes."""
    for m in range(0, M, rows):
        for n in range(0, N, columns):
            block(M - m, N - n, A + m * A_m + n * size, A_m, B + n * B_n + m * size, B_n)


def gather(M, N, A, A_m, B, B_n, numbers):
    """B = Aᵀ of the rows of A that have these numbers."""
    for m in range(0, M, rows):
        for n in range(0, N, columns):
            block(M - m, N - n, A + n * size, A_m, B + n * B_n + m * size, B_n, numbers + 8 * m)


def has_vectors() -> bool:
    """Return whether the processor has vectors that blocks are made for."""
    return vector_bytes() > 16


def _lanes(F: type) -> int:
    return vector_bytes() // np.dtype(F).itemsize


def _compiled(template: FunctionType, F: type, **names: Any) -> Any:
    names["size"] = np.dtype(F).itemsize
    function = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    return njit(function, **OPTIONS)


@cache
def multiply_of(F: type) -> Any:
    """Return `multiply` for numbers of type F, for compiled code."""
    lanes, rows, low_rows = _lanes(F), 8 if vector_bytes() == 64 else 4, 2  # sums fill half of the registers
    return _compiled(
        multiply,
        F,
        block=product_block(F, lanes, rows, 2),
        rows=rows,
        columns=2 * lanes,
        low_block=product_block(F, lanes, low_rows, rows // 2),
        low_rows=low_rows,
        low_columns=rows // 2 * lanes,
    )


@cache
def dots_of(F: type) -> Any:
    """Return `dots` for numbers of type F, for compiled code."""
    return _compiled(dots, F, block=dots_block(F, _lanes(F)), rows=_lanes(F))


@cache
def transpose_of(F: type) -> Any:
    """Return `transpose` for numbers of type F, for compiled code."""
    lanes = _lanes(F)
    return _compiled(transpose, F, block=transposed_block(F, lanes, numbered=False), rows=lanes, columns=lanes)


@cache
def gather_address(F: type) -> int:
    """Return the address of `gather` for numbers of type F; see `pointers.call_gather`."""
    lanes = _lanes(F)
    names = {"rows": lanes, "columns": lanes, "size": np.dtype(F).itemsize}
    block = transposed_block(F, lanes, numbered=True)
    kind = f"{F.__name__}_{vector_bytes()}"
    return address_of(gather, types.void(*[types.intp] * 7), kind, block=block, **names)
