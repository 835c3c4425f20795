"""Products and transposes of the matrices of a tile, block by block, without packing.

A BLAS packs its operands and plans each call. For the matrices of one tile, this costs
as much as the product. SciPy's BLAS is therefore used only on processors without wide
vectors.
"""

import os
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types

from ..jit import inlined, inner, intrinsic
from ..jit.machine_code import address_of, addresses_of, filled_in
from ..jit.numba_internals import has_wide_vectors
from ..jit.tracing import larger, smaller
from .vectors import dots_block, product_block, transposed_block, vector_bytes

# Placeholders for a floating-point type: its block functions, the block sizes, and the
# bytes of an element.
block: Any = None
rows = columns = lanes = size = 0

B_BYTES = 2**15
LEAST_DEPTH = 32
"""The maximum bytes of a part of B that stays in the L1 cache, and the minimum number
of rows of a part.

With fewer rows, loading and storing C would take longer than reading B from a slower
cache.
"""


def multiply(M, N, K, A, A_m, A_k, B, B_k, C, C_m, add):
    """Compute C = A B, or C += A B unless ``add`` is 0, for C (M, N), A (M, K) and B (K, N).

    A, B and C are addresses, and A_m is the stride in bytes between rows of A. If B is
    large and C is not, the depth K is divided, so that a part of B stays in the cache;
    the elements of C are still summed in the order of k.
    """
    depth = larger(K, 1)
    if M < K and K * N * size > B_BYTES:
        depth = larger(B_BYTES // (N * size), LEAST_DEPTH)
    for k in range(0, larger(K, 1), depth):
        for m in range(0, M, rows):
            # blocks of few rows have twice as many columns, see `product_block`
            step = 2 * columns if M - m <= rows // 2 else columns
            for n in range(0, N, step):
                block(
                    M - m,
                    N - n,
                    smaller(depth, K - k),
                    A + m * A_m + k * A_k,
                    A_m,
                    A_k,
                    B + k * B_k + n * size,
                    B_k,
                    C + m * C_m + n * size,
                    C_m,
                    add != 0 or k > 0,
                )


def dots(M, N, K, A, A_m, B, B_n, C, C_m, add):
    """Compute C = A Bᵀ, or C += A Bᵀ, for a narrow C (M, N), A (M, K) and B (N, K); see `multiply`.

    A and B are read along their rows, so each element of C is a sum over vectors. A
    block has as many elements as a vector has lanes, in 1, 2 or 4 columns.
    """
    block_columns = 4 if N > 2 else N
    for m in range(0, M, lanes // block_columns):
        for n in range(0, N, block_columns):
            block(
                block_columns,
                M - m,
                N - n,
                K,
                A + m * A_m,
                A_m,
                B + n * B_n,
                B_n,
                C + m * C_m + n * size,
                C_m,
                add,
            )


def transpose(M, N, A, A_m, B, B_n):
    """Store B = Aᵀ, for A (M, N) and B (N, M), block by block."""
    for m in range(0, M, rows):
        for n in range(0, N, columns):
            block(
                M - m,
                N - n,
                A + m * A_m + n * size,
                A_m,
                B + n * B_n + m * size,
                B_n,
                0,
            )


def gather(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices]ᵀ, block by block; `indices` is the address of M words."""
    for m in range(0, M, rows):
        for n in range(0, N, columns):
            block(
                M - m,
                N - n,
                A + n * size,
                A_m,
                B + n * B_n + m * size,
                B_n,
                indices + 8 * m,
            )


@cache
def uses_blocks() -> bool:
    """Return whether to compute products by blocks rather than by loops and BLAS; VECPROP_PRODUCTS overrides this.

    Blocks are faster on processors with wide vectors. The decision depends only on the
    processor and not on timings, because the two methods round differently and fits
    must be repeatable.
    """
    chosen = os.environ.get("VECPROP_PRODUCTS") or "auto"
    if chosen not in ("auto", "blocks", "BLAS"):
        raise ValueError(
            f'VECPROP_PRODUCTS must be "auto", "blocks" or "BLAS", got {chosen!r}.'
        )
    return has_wide_vectors() if chosen == "auto" else chosen == "blocks"


def _lanes(F: type) -> int:
    return vector_bytes() // np.dtype(F).itemsize


def _names_of_multiply(F: type) -> dict[str, Any]:
    """Return the values of the placeholders of `multiply`."""
    lanes = _lanes(F)
    rows = vector_bytes() // 8  # 16 or 8 sums use half of the registers
    return {
        "block": product_block(F, lanes, rows=rows),
        "rows": rows,
        "columns": 2 * lanes,
    }


@cache
def multiply_of(F: type):
    """Return `multiply` as a compiled function for type F."""
    return inner(filled_in(multiply, F, **_names_of_multiply(F)))


multiply_address = addresses_of(multiply, names=_names_of_multiply)


@cache
def dots_of(F: type):
    """Return `dots` as a compiled function for type F."""
    lanes = _lanes(F)
    return inner(filled_in(dots, F, lanes=lanes, block=dots_block(F, lanes)))


@cache
def transpose_of(F: type):
    """Return `transpose` as a compiled function for type F."""
    lanes = _lanes(F)
    block = transposed_block(F, lanes, indexed=False)
    return inlined(filled_in(transpose, F, block=block, rows=lanes, columns=lanes))


@cache
def gather_address(F: type) -> int:
    """Return the address of `gather` for type F; see `calls.gather`."""
    lanes = _lanes(F)
    return address_of(
        gather,
        F,
        block=transposed_block(F, lanes, indexed=True),
        rows=lanes,
        columns=lanes,
    )


def blas_address(F):
    """Return the address of SciPy's matrix product for type F, which `blas_product` calls."""
    from numba.extending import get_cython_function_address

    return get_cython_function_address(
        "scipy.linalg.cython_blas", "sgemm" if F is np.float32 else "dgemm"
    )


@intrinsic
def _gemm(typing, address, transposed, sizes, beta, like, A, B, C):
    """Call BLAS, which takes the addresses of its arguments: 32-bit integers, and matrices in column-major order."""

    def generate(context, builder, signature, values):
        address, transposed, sizes, beta, _, A, B, C = values
        integer = ir.IntType(32)
        letter = ir.IntType(8)
        pointer = letter.as_pointer()

        def stored(value):
            address = builder.alloca(value.type)
            builder.store(value, address)
            return builder.bitcast(address, pointer)

        def flag(index):  # 84 is "T", 78 is "N"
            return stored(
                builder.select(
                    builder.extract_value(transposed, index), letter(84), letter(78)
                )
            )

        def size(index):
            return stored(builder.trunc(builder.extract_value(sizes, index), integer))

        one = stored(ir.Constant(context.get_value_type(like), 1.0))
        A, B, C = (builder.inttoptr(matrix, pointer) for matrix in (A, B, C))
        m, n, k, ld_a, ld_b, ld_c = map(size, range(6))
        arguments = [
            flag(0),
            flag(1),
            m,
            n,
            k,
            one,
            A,
            ld_a,
            B,
            ld_b,
            stored(beta),
            C,
            ld_c,
        ]
        function = ir.FunctionType(
            ir.VoidType(), [pointer] * len(arguments)
        ).as_pointer()
        builder.call(builder.inttoptr(address, function), arguments)
        return context.get_dummy_value()

    return (
        types.void(
            types.intp,
            types.UniTuple(types.boolean, 2),
            types.UniTuple(types.intp, 6),
            like,
            like,
            *[types.intp] * 3,
        ),
        generate,
    )


@njit(nogil=True, error_model="numpy")
def blas_product(blas, M, N, K, A, A_by_columns, B, B_by_columns, C, add):
    """Compute C = A B, or C += A B, for flat arrays in row-major order; A and B may also be column-major."""
    # BLAS reads a row-major matrix as its transpose, so it computes Cᵀ = Bᵀ Aᵀ, where
    # Cᵀ is (N, M), and the first factor Bᵀ is (N, K).
    leading_of_B = K if B_by_columns else N
    leading_of_A = M if A_by_columns else K
    zero = A.dtype.type(0)
    _gemm(
        blas,
        transposed=(B_by_columns != 0, A_by_columns != 0),
        sizes=(N, M, K, leading_of_B, leading_of_A, N),
        beta=zero + add,
        like=zero,
        A=B.ctypes.data,
        B=A.ctypes.data,
        C=C.ctypes.data,
    )
