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
block: Any = None
copied: Any = None
transposed: Any = None
pack_left: Any = None
pack_right: Any = None
pieces: Any = None
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

    Row i of the panel that starts with row m of A is row m + i of A, and its element k
    has the position m K + k width + i in ``out``. A is contiguous along one axis; A_m
    and A_k are its strides in bytes. Elements beyond the last row stay uninitialized;
    masks exclude them.
    """
    if A_m == size:  # columns of A are contiguous: copy whole vectors
        complete = M // width * width
        left = M - complete
        for k in range(K):
            column = A + k * A_k
            first_panel = out + k * width * size
            for m in range(0, complete, width):
                copied(column + m * size, first_panel + m * K * size)
            last_panel = first_panel + complete * K * size
            source = numbers_at(column + complete * size, left, number)
            target = numbers_at(last_panel, left, number)
            for i in range(left):
                target[i] = source[i]
        return
    for m in range(0, M, width):  # rows of A are contiguous: transpose square blocks
        panel_rows = smaller(width, M - m)
        for i in range(0, panel_rows, lanes):
            for k in range(0, K, lanes):
                transposed(
                    panel_rows - i,
                    K - k,
                    A + (m + i) * A_m + k * size,
                    A_m,
                    out + (m * K + k * width + i) * size,
                    width * size,
                    0,
                )


def multiply_pieces(M, N, K, left, right, C, C_m, add):
    """Compute C = A B, or C += A B, from packed pieces: A (M, K) at ``left`` and B (K, N) at ``right``.

    A panel of A has `PANEL_ROWS` rows, a panel of B ``columns`` columns, and their
    product is a block of C.
    """
    for n in range(0, N, columns):
        for m in range(0, M, PANEL_ROWS):
            block(
                M - m,
                N - n,
                K,
                left + m * K * size,
                right + n * K * size,
                C + m * C_m + n * size,
                C_m,
                add,
            )


def multiply(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, workspace, is_packed):
    """Compute C = A B, or C += A B unless ``add`` is 0, for C (M, N), A (M, K) and B (K, N).

    A, B and C are addresses, and A_m is the stride in bytes between rows of A. A and B
    must each be contiguous along one axis, and C must be in row-major order. If
    ``is_packed`` is set, the workspace still holds A from the previous call; A must
    then fit into one piece.
    """
    left = workspace
    right = workspace + PIECE_ROWS * PIECE_DEPTH * size
    depth = piece_depth(K)
    # A piece of B stays in the L2 cache and one of its panels in the L1 cache, while A
    # is streamed.
    for n in range(0, N, PIECE_PANELS * columns):
        N_piece = smaller(PIECE_PANELS * columns, N - n)
        for k in range(0, larger(K, 1), depth):
            K_piece = smaller(depth, K - k)
            adds = add != 0 or k > 0
            pack_right(N_piece, K_piece, B + n * B_n + k * B_k, B_n, B_k, right)
            for m in range(0, M, PIECE_ROWS):
                M_piece = smaller(PIECE_ROWS, M - m)
                if not is_packed:
                    A_piece = A + m * A_m + k * A_k
                    pack_left(M_piece, K_piece, A_piece, A_m, A_k, left)
                pieces(
                    M_piece,
                    N_piece,
                    K_piece,
                    left,
                    right,
                    C + m * C_m + n * size,
                    C_m,
                    adds,
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
    packing = filled_in(
        pack,
        F,
        width=width,
        lanes=lanes,
        copied=copied_block(F, lanes, count=width),
        transposed=transposed_block(F, lanes, indexed=False),
    )
    return inner(packing)


@cache
def packed_address(F: type) -> int:
    """Return the address of `multiply` for type F; see `calls.packed`."""
    columns = _columns(F)
    block = packed_block(F, columns // 2, rows=PANEL_ROWS, vectors=2)
    pieces = filled_in(multiply_pieces, F, block=block, columns=columns)
    return address_of(
        multiply,
        F,
        columns=columns,
        pack_left=_pack_of(F, PANEL_ROWS),
        pack_right=_pack_of(F, columns),
        pieces=inner(pieces),
    )
