"""Products through SciPy's BLAS, for processors without the wide vectors that blocks are made for."""

import numpy as np
from llvmlite import ir
from numba import njit, types

from ..jit.numba_options import intrinsic


def blas_address(F):
    """Return the address of SciPy's matrix product for numbers of type F, which `blas_product` calls."""
    from numba.extending import get_cython_function_address

    return get_cython_function_address("scipy.linalg.cython_blas", "sgemm" if F is np.float32 else "dgemm")


@intrinsic
def _gemm(typing, address, transposed, sizes, beta, like, A, B, C):
    """Call BLAS, which takes each argument by its address, integers of 32 bits, and matrices by columns."""

    def generate(context, builder, signature, values):
        address, transposed, sizes, beta, _, A, B, C = values
        number = context.get_value_type(like)
        integer, letter = ir.IntType(32), ir.IntType(8)

        def stored(value):
            place = builder.alloca(value.type)
            builder.store(value, place)
            return builder.bitcast(place, letter.as_pointer())

        def flag(place):  # 84 is "T", 78 is "N"
            return stored(
                builder.select(
                    builder.extract_value(transposed, place), ir.Constant(letter, 84), ir.Constant(letter, 78)
                )
            )

        def size(place):
            return stored(builder.trunc(builder.extract_value(sizes, place), integer))

        one = stored(ir.Constant(number, 1.0))
        A, B, C = (builder.inttoptr(matrix, letter.as_pointer()) for matrix in (A, B, C))
        m, n, k, ld_a, ld_b, ld_c = (size(place) for place in range(6))
        arguments = [flag(0), flag(1), m, n, k, one, A, ld_a, B, ld_b, stored(beta), C, ld_c]
        function = ir.FunctionType(ir.VoidType(), [letter.as_pointer()] * len(arguments)).as_pointer()
        builder.call(builder.inttoptr(address, function), arguments)
        return context.get_dummy_value()

    signature = types.void(
        types.intp,
        types.UniTuple(types.boolean, 2),
        types.UniTuple(types.intp, 6),
        like,
        like,
        types.intp,
        types.intp,
        types.intp,
    )
    return signature, generate


@njit(nogil=True, error_model="numpy")
def blas_product(blas, A, A_by_columns, B, B_by_columns, add, C, M, N, K):
    """C = A B, or C += A B, for C (M, N), A (M, K) and B (K, N): flat arrays by rows, or A and B by columns."""
    zero = A.dtype.type(0)
    # BLAS reads matrices by columns, and a matrix by rows is then its transpose: so it computes Cᵀ = Bᵀ Aᵀ.
    _gemm(
        blas,
        (B_by_columns != 0, A_by_columns != 0),
        (N, M, K, K if B_by_columns else N, M if A_by_columns else K, N),
        zero + add,
        zero,
        B.ctypes.data,
        A.ctypes.data,
        C.ctypes.data,
    )
