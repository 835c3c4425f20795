"""Products of large matrices, packed as in a BLAS.

Consecutive rows of large matrices lie on different memory pages. Pieces of A and B, at most `PIECE_DEPTH` deep, are
therefore copied into panels, which are read sequentially. A block of C is the product of a panel of A and one of B::

      A, 38 panels of 14 rows                 B, 32 panels of two vectors' columns
      +-----------------------------+         +------+------+---
      | k=0: a a a ... a (14 rows)  |         | k=0  | k=0  |
      | k=1: a a a ... a            |  panel  | k=1  | k=1  |   each panel: K rows of two vectors
      | ...                         |         | ...  | ...  |
      +-----------------------------+         +------+------+---
      | next 14 rows                |           ^
                                                one panel stays in the L1 cache while all of A is read

Both pieces share the L2 cache. The workspace holds the piece of A, followed by the piece of B.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from ..jit import INNER
from ..jit.addresses import numbers_at
from ..jit.machine_code import address_of, filled_in
from ..jit.tracing import larger, smaller
from .vectors import copied_block, packed_block, transposed_block, vector_bytes

# Placeholders for a floating-point type: the type, its block functions, the block sizes, and the bytes of an element.
number: Any = float
whole: Any = None
edge: Any = None
copied: Any = None
transposed: Any = None
pack_left: Any = None
pack_right: Any = None
width = columns = lanes = size = 0

PIECE_DEPTH = 264
"""The maximum depth of a piece: a panel of B then takes at most 34 kB and stays in the L1 cache."""

PANEL_ROWS = 14 if vector_bytes() == 64 else 6
"""The rows of a panel of A: 14 x 2 sums use 28 of 32 registers, 6 x 2 sums 12 of 16; the others hold A and B."""

PIECE_ROWS, PIECE_PANELS = 38 * PANEL_ROWS, 32
"""The maximum rows of a piece of A and the maximum panels of a piece of B; both pieces share the L2 cache."""


@njit(**INNER)
def piece_depth(K):
    """Return the depth of pieces that divide a depth K about equally."""
    pieces = max(-(-K // PIECE_DEPTH), 1)
    return max(-(-K // pieces), 1)


def pack(M, K, A, A_m, A_k, out):
    """Copy A (M, K) into panels of ``width`` rows, stored column by column.

    A is contiguous along one axis. Entries beyond the last row stay uninitialized; masks exclude them.
    """
    complete = M // width * width
    if A_m == size:  # columns of A are contiguous: copy whole vectors
        for k in range(K):
            column, panel = A + k * A_k, out + k * width * size
            for m in range(0, complete, width):
                copied(column + m * size, panel + m * K * size)
            source = numbers_at(column + complete * size, M - complete, number(0))
            target = numbers_at(panel + complete * K * size, M - complete, number(0))
            for m in range(M - complete):
                target[m] = source[m]
        return
    for m in range(0, M, width):  # rows of A are contiguous: transpose square blocks
        for i in range(0, smaller(width, M - m), lanes):
            for k in range(0, K, lanes):
                rows, place = smaller(width, M - m) - i, out + (m * K + k * width + i) * size
                transposed(rows, K - k, A + (m + i) * A_m + k * size, A_m, place, np.int64(width * size), np.int64(0))


def multiply(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, workspace, is_packed):
    """Compute C = A B, or C += A B, for C (M, N), A (M, K) and B (K, N).

    A, B and C are addresses, and A_m is the stride in bytes between rows of A. A and B must each be contiguous along
    one axis, and C must be in row-major order. If ``is_packed`` is set, the workspace still holds A from the previous
    call; A must then fit into one piece.
    """
    left, right, depth = workspace, workspace + PIECE_ROWS * PIECE_DEPTH * size, piece_depth(K)
    # A piece of B stays in the L2 cache and one of its panels in the L1 cache, while A is streamed.
    for n in range(0, N, PIECE_PANELS * columns):
        N_here = smaller(PIECE_PANELS * columns, N - n)
        for k in range(0, larger(K, 1), depth):
            K_here, adds = smaller(depth, K - k), np.int64(add != 0 or k > 0)
            pack_right(N_here, K_here, B + n * B_n + k * B_k, B_n, B_k, right)
            for m in range(0, M, PIECE_ROWS):
                M_here = smaller(PIECE_ROWS, M - m)
                if not is_packed:
                    pack_left(M_here, K_here, A + m * A_m + k * A_k, A_m, A_k, left)
                for n_of in range(0, N_here, columns):
                    for m_of in range(0, M_here, PANEL_ROWS):
                        rows, places = M_here - m_of, N_here - n_of
                        A_at, B_at = left + m_of * K_here * size, right + n_of * K_here * size
                        C_at = C + (m + m_of) * C_m + (n + n_of) * size
                        if rows >= PANEL_ROWS and places >= columns:
                            whole(rows, places, K_here, A_at, B_at, C_at, C_m, adds)
                        else:
                            edge(rows, places, K_here, A_at, B_at, C_at, C_m, adds)


def _columns(F: type) -> int:
    """Return the number of columns of a panel of B: two vectors."""
    return 2 * vector_bytes() // np.dtype(F).itemsize


def packing_size(F: type) -> int:
    """Return the number of elements in the workspace of `multiply`."""
    return PIECE_DEPTH * (PIECE_ROWS + PIECE_PANELS * _columns(F))


def _pack_of(F: type, width: int) -> Any:
    """Return `pack` as a compiled function for panels of ``width`` rows of type F."""
    lanes = _columns(F) // 2
    blocks = {"copied": copied_block(F, lanes, width), "transposed": transposed_block(F, lanes, indexed=False)}
    return njit(filled_in(pack, F, width=width, lanes=lanes, **blocks), **INNER)


@cache
def packed_address(F: type) -> int:
    """Return the address of `multiply` for type F; see `calls.packed`."""
    whole, edge = (packed_block(F, _columns(F) // 2, PANEL_ROWS, 2, whole=whole) for whole in (True, False))
    packs = {"pack_left": _pack_of(F, PANEL_ROWS), "pack_right": _pack_of(F, _columns(F))}
    return address_of(multiply, F, whole=whole, edge=edge, columns=_columns(F), **packs)
