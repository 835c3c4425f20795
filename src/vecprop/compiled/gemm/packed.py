"""Products of large matrices, as a BLAS has them: packed, so that what is read again and again lies near and together.

A piece of B is laid into panels of a few columns, one of which stays next to the processor, and a piece of A into
panels of a few rows, which pass by it; a block of C is a panel of each, and its sums stay in registers. A number of C
is summed in an order that depends on the depth of the pieces alone: so products may be cut along rows and columns.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..jit.arrays import numbers_at
from ..jit.machine_code import address_of, filled_in
from ..jit.options import INNER, OPTIONS
from .vectors import copied_block, packed_block, transposed_block, vector_bytes

# What is filled in for a type of numbers: what blocks do, their sizes, and that of a number in bytes.
number: Any = float
whole: Any = None
edge: Any = None
copied: Any = None
transposed: Any = None
pack_left: Any = None
pack_right: Any = None
width = columns = lanes = size = 0

DEPTH = 264
"""How many columns of A and rows of B are packed at once at most: a panel of B is to fit into the nearest cache."""

PANEL = 14 if vector_bytes() == 64 else 6
"""How many rows of A a panel has: the sums of a block leave a few registers free."""

AT_ONCE, PANELS_AT_ONCE = 38 * PANEL, 32
"""How many rows of A, and how many panels of B, are packed at once at most: they share the second cache."""


@njit(**INNER)
def depth_of(K):
    """Return how many of K columns are packed at once: pieces are about as deep as each other."""
    pieces = max(-(-K // DEPTH), 1)
    return max(-(-K // pieces), 1)


def pack(M, K, A, A_m, A_k, out):
    """Lay A (M, K) into panels of some of its rows, each column by column: an address, and steps in bytes.

    One of the steps is a number's size. What is beyond the last row is not initialized.
    """
    complete = M // width * width
    if A_m == size:  # columns are contiguous
        for k in range(K):
            column, panel = A + k * A_k, out + k * width * size
            for m in range(0, complete, width):
                copied(column + m * size, panel + m * K * size)
            some = numbers_at(column + complete * size, M - complete, number(0))
            to = numbers_at(panel + complete * K * size, M - complete, number(0))
            for m in range(M - complete):
                to[m] = some[m]
        return
    for m in range(0, M, width):
        for i in range(0, min(width, M - m), lanes):
            for k in range(0, K, lanes):
                rows, place = min(width, M - m) - i, out + (m * K + k * width + i) * size
                transposed(rows, K - k, A + (m + i) * A_m + k * size, A_m, place, np.int64(width * size))


def multiply(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, room, kept):
    """C = A B, or C += A B, for C (M, N), A (M, K) and B (K, N): addresses, and steps along their axes in bytes.

    One of the steps of A and one of B is a number's size, and C lies by rows. Room is for what is packed. Kept says
    that A is still there from the call before: no more of it than is packed at once.
    """
    left, right, depth = room, room + AT_ONCE * DEPTH * size, depth_of(K)
    for n in range(0, N, PANELS_AT_ONCE * columns):
        N_here = min(PANELS_AT_ONCE * columns, N - n)
        for k in range(0, max(K, 1), depth):
            K_here, adds = min(depth, K - k), np.int64(add != 0 or k > 0)
            pack_right(N_here, K_here, B + n * B_n + k * B_k, B_n, B_k, right)
            for m in range(0, M, AT_ONCE):
                M_here = min(AT_ONCE, M - m)
                if not kept:
                    pack_left(M_here, K_here, A + m * A_m + k * A_k, A_m, A_k, left)
                for n_of in range(0, N_here, columns):
                    for m_of in range(0, M_here, PANEL):
                        rows, places = M_here - m_of, N_here - n_of
                        A_at, B_at = left + m_of * K_here * size, right + n_of * K_here * size
                        C_at = C + (m + m_of) * C_m + (n + n_of) * size
                        if rows >= PANEL and places >= columns:
                            whole(rows, places, K_here, A_at, B_at, C_at, C_m, adds)
                        else:
                            edge(rows, places, K_here, A_at, B_at, C_at, C_m, adds)


def _columns(F: type) -> int:
    """Return how many columns of B a panel has: those of two vectors."""
    return 2 * vector_bytes() // np.dtype(F).itemsize


def room_of(F: type) -> int:
    """Return how many numbers are packed at once at most."""
    return DEPTH * (AT_ONCE + PANELS_AT_ONCE * _columns(F))


def _pack_of(F: type, width: int) -> Any:
    """Return `pack` for panels of so many numbers of type F, for compiled code."""
    lanes = _columns(F) // 2
    names: dict[str, Any] = {"number": F, "size": np.dtype(F).itemsize, "width": width, "lanes": lanes}
    blocks = {"copied": copied_block(F, lanes, width), "transposed": transposed_block(F, lanes, numbered=False)}
    return njit(filled_in(pack, f"{F.__name__}_{width}", **names, **blocks), **OPTIONS)


@cache
def packed_address(F: type) -> int:
    """Return the address of `multiply` for numbers of type F; see `pointers.call_packed`."""
    whole, edge = (packed_block(F, _columns(F) // 2, PANEL, 2, whole=whole) for whole in (True, False))
    return address_of(
        multiply,
        types.void(*[types.intp] * 14),
        f"packed_{F.__name__}_{vector_bytes()}",
        whole=whole,
        edge=edge,
        pack_left=_pack_of(F, PANEL),
        pack_right=_pack_of(F, _columns(F)),
        columns=_columns(F),
        size=np.dtype(F).itemsize,
    )
