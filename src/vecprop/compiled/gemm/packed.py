"""Products of large matrices, packed as in a BLAS.

Consecutive rows of large matrices lie on different memory pages. Pieces of A and B, at
most `PIECE_DEPTH` deep, are therefore copied into panels, which are read sequentially.
A block of C is the product of a panel of A and one of B::

      A, 38 panels of 14 rows                 B, 32 panels of two vectors' columns
      +-----------------------------+         +------+------+---
      | k=0: a a a ... a (14 rows)  |         | k=0  | k=0  |
      | k=1: a a a ... a            |  panel  | k=1  | k=1  |   each panel: K rows of two vectors
      | ...                         |         | ...  | ...  |
      +-----------------------------+         +------+------+---
      | next 14 rows                |           ^
                                                one panel stays in the L1 cache while all of A is read

Both pieces share the L2 cache. The workspace holds the piece of A, followed by the
piece of B.
"""

from functools import cache
from typing import Any

import numpy as np

from ..jit import inner
from ..jit.addresses import numbers_at
from ..jit.machine_code import address_of, filled_in
from ..jit.tracing import larger, smaller
from .vectors import copied_block, packed_block, transposed_block, vector_bytes

# Placeholders for a floating-point type: the type, its block functions, the block
# sizes, and the bytes of an element.
number: Any = float
whole_block: Any = None
edge_block: Any = None
copied: Any = None
transposed: Any = None
pack_left: Any = None
pack_right: Any = None
width = columns = lanes = size = 0

PIECE_DEPTH = 264
"""The maximum depth of a piece: a panel of B then takes at most 34 kB and stays in
the L1 cache.
"""

PANEL_ROWS = 14 if vector_bytes() == 64 else 6
"""The rows of a panel of A: 14 x 2 sums use 28 of 32 registers, 6 x 2 sums 12 of 16;
the others hold A and B.
"""

PIECE_ROWS = 38 * PANEL_ROWS
PIECE_PANELS = 32
"""The maximum rows of a piece of A and the maximum panels of a piece of B; both
pieces share the L2 cache.
"""


@inner
def piece_depth(K):
    """Return the depth of pieces that divide a depth K about equally."""
    pieces = max(-(-K // PIECE_DEPTH), 1)
    return max(-(-K // pieces), 1)


def pack(M, K, A, A_m, A_k, out):
    """Copy A (M, K) into panels of ``width`` rows, stored column by column.

    A is contiguous along one axis. Entries beyond the last row stay uninitialized;
    masks exclude them.
    """
    complete = M // width * width
    if A_m == size:  # columns of A are contiguous: copy whole vectors
        for k in range(K):
            column = A + k * A_k
            panel = out + k * width * size
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
                rows = smaller(width, M - m) - i
                target_address = out + (m * K + k * width + i) * size
                transposed(
                    rows,
                    K - k,
                    A + (m + i) * A_m + k * size,
                    A_m,
                    target_address,
                    np.int64(width * size),
                    np.int64(0),
                )


def multiply(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, workspace, is_packed):
    """Compute C = A B, or C += A B, for C (M, N), A (M, K) and B (K, N).

    A, B and C are addresses, and A_m is the stride in bytes between rows of A. A and B
    must each be contiguous along one axis, and C must be in row-major order. If
    ``is_packed`` is set, the workspace still holds A from the previous call; A must
    then fit into one piece.
    """
    packed_left = workspace
    packed_right = workspace + PIECE_ROWS * PIECE_DEPTH * size
    depth = piece_depth(K)
    # A piece of B stays in the L2 cache and one of its panels in the L1 cache, while A
    # is streamed.
    for n in range(0, N, PIECE_PANELS * columns):
        N_here = smaller(PIECE_PANELS * columns, N - n)
        for k in range(0, larger(K, 1), depth):
            K_here = smaller(depth, K - k)
            adds = np.int64(add != 0 or k > 0)
            pack_right(N_here, K_here, B + n * B_n + k * B_k, B_n, B_k, packed_right)
            for m in range(0, M, PIECE_ROWS):
                M_here = smaller(PIECE_ROWS, M - m)
                if not is_packed:
                    pack_left(
                        M_here, K_here, A + m * A_m + k * A_k, A_m, A_k, packed_left
                    )
                for n_of in range(0, N_here, columns):
                    for m_of in range(0, M_here, PANEL_ROWS):
                        rows = M_here - m_of
                        columns_here = N_here - n_of
                        A_at = packed_left + m_of * K_here * size
                        B_at = packed_right + n_of * K_here * size
                        C_at = C + (m + m_of) * C_m + (n + n_of) * size
                        if rows >= PANEL_ROWS and columns_here >= columns:
                            whole_block(
                                rows, columns_here, K_here, A_at, B_at, C_at, C_m, adds
                            )
                        else:
                            edge_block(
                                rows, columns_here, K_here, A_at, B_at, C_at, C_m, adds
                            )


def _columns(F: type) -> int:
    """Return the number of columns of a panel of B: two vectors."""
    return 2 * vector_bytes() // np.dtype(F).itemsize


def packing_size(F: type) -> int:
    """Return the number of elements in the workspace of `multiply`."""
    return PIECE_DEPTH * (PIECE_ROWS + PIECE_PANELS * _columns(F))


def _pack_of(F: type, width: int):
    """Return `pack` as a compiled function for panels of ``width`` rows of type F."""
    lanes = _columns(F) // 2
    transposed = transposed_block(F, lanes, indexed=False)
    packing = filled_in(
        pack,
        F,
        width=width,
        lanes=lanes,
        copied=copied_block(F, lanes, width),
        transposed=transposed,
    )
    return inner(packing)


@cache
def packed_address(F: type) -> int:
    """Return the address of `multiply` for type F; see `calls.packed`."""
    lanes = _columns(F) // 2
    whole_block = packed_block(F, lanes, PANEL_ROWS, 2, is_complete=True)
    edge_block = packed_block(F, lanes, PANEL_ROWS, 2, is_complete=False)
    return address_of(
        multiply,
        F,
        whole_block=whole_block,
        edge_block=edge_block,
        columns=2 * lanes,
        pack_left=_pack_of(F, PANEL_ROWS),
        pack_right=_pack_of(F, 2 * lanes),
    )
