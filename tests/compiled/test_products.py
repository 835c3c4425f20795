"""Products, transposes and gathered rows of a tile are NumPy's, at every size, and nothing beyond them is touched."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cfunc, types

from vecprop.compiled.gemm import products
from vecprop.compiled.gemm.vectors import vector_bytes

WIDTHS = [width for width in (32, 64) if width <= vector_bytes()]
SIZES = st.integers(1, 40)
BEYOND = 7.0
"""The numbers in memory beyond a result."""


@pytest.fixture(
    params=[
        (np.float32, WIDTHS[-1]),
        *(pytest.param((np.float32, width), marks=pytest.mark.long) for width in WIDTHS[:-1]),
        *(pytest.param((np.float64, width), marks=pytest.mark.long) for width in WIDTHS),
    ],
    scope="module",
)
def machine(request):
    """Return a type, and a function that calls a compiled function for vectors of one width."""
    F, width = request.param
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "vector_bytes", lambda: width)
        for name, count in (("multiply", 11), ("dots", 10), ("transpose", 6)):
            function, arguments = getattr(products, f"{name}_of").__wrapped__(F), ", ".join("abcdefghijk"[:count])
            code = eval(f"lambda {arguments}: function({arguments})", {"function": function})
            made[name] = cfunc(types.void(*[types.intp] * count))(code)
        address = {name: code.address for name, code in made.items()}
        address["gather"] = products.gather_address.__wrapped__(F)

    def call(name, *arguments):
        words = [a.ctypes.data if isinstance(a, np.ndarray) else int(a) for a in arguments]
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(words))(address[name])(*words)

    yield F, call
    made.clear()


def random(seed, F, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(F)


@given(
    M=SIZES,
    N=st.integers(1, 140),
    K=st.integers(0, 40) | st.sampled_from([150, 600]),
    by_columns=st.booleans(),
    add=st.booleans(),
)
@settings(max_examples=30)
def test_multiply(machine, M, N, K, by_columns, add):
    F, call = machine
    A, B, C = random(0, F, M, K), random(1, F, K, N + 3), np.full((M + 1, N + 2), BEYOND, F)
    A = np.asfortranarray(A) if by_columns else A
    C[:M, :N] = random(2, F, M, N)
    expected = A @ B[:, :N] + (C[:M, :N] if add else 0)
    call("multiply", M, N, K, A, *A.strides, B, B.strides[0], C, C.strides[0], add)
    np.testing.assert_allclose(C[:M, :N], expected, rtol=0, atol=(200 + 2 * K) * np.finfo(F).eps)
    assert (C[M] == BEYOND).all()
    assert (C[:, N:] == BEYOND).all()


@given(M=SIZES, N=st.integers(60, 140), cut=st.integers(1, 599))
@settings(max_examples=30)
def test_the_cut_of_the_depth_does_not_change_the_order_of_sums(machine, M, N, cut):
    F, call = machine
    A, B, whole, in_two = random(0, F, M, 600), random(1, F, 600, N), np.empty((M, N), F), np.empty((M, N), F)
    assert B.nbytes > products.B_BYTES
    call("multiply", M, N, 600, A, *A.strides, B, B.strides[0], whole, whole.strides[0], 0)
    for columns, add in ((slice(cut), 0), (slice(cut, None), 1)):
        some, rows = A[:, columns], B[columns]
        call("multiply", M, N, some.shape[1], some, *A.strides, rows, B.strides[0], in_two, in_two.strides[0], add)
    np.testing.assert_array_equal(in_two, whole)


@given(M=SIZES, N=st.integers(1, 9), K=st.integers(0, 140), more=st.integers(0, 2), add=st.booleans())
@settings(max_examples=40)
def test_dots(machine, M, N, K, more, add):
    F, call = machine
    more = 0 if N == 1 else more  # a single column is all of the matrix
    A, B, C = random(0, F, M, K + 3), random(1, F, N, K + 1), np.full((M + 1, N + more), BEYOND, F)
    C[:M, :N] = random(2, F, M, N)
    expected = A[:, :K] @ B[:, :K].T + (C[:M, :N] if add else 0)
    call("dots", M, N, K, A, A.strides[0], B, B.strides[0], C, C.strides[0], add)
    np.testing.assert_allclose(C[:M, :N], expected, rtol=0, atol=200 * np.finfo(F).eps)
    assert (C[M] == BEYOND).all()
    assert (C[:, N:] == BEYOND).all()


@given(M=SIZES, N=SIZES)
@settings(max_examples=30)
def test_transpose(machine, M, N):
    F, call = machine
    A, B = random(0, F, M, N + 2), np.full((N + 1, M + 3), BEYOND, F)
    call("transpose", M, N, A, A.strides[0], B, B.strides[0])
    np.testing.assert_array_equal(B[:N, :M], A[:, :N].T)
    assert (B[N] == BEYOND).all()
    assert (B[:, M:] == BEYOND).all()


@given(M=SIZES, N=SIZES, seed=st.integers(0, 9))
@settings(max_examples=30)
def test_gather(machine, M, N, seed):
    F, call = machine
    A, B = random(0, F, 25, N), np.full((N, M + 1), BEYOND, F)
    rows = np.random.default_rng(seed).integers(25, size=M)
    call("gather", M, N, A, A.strides[0], B, B.strides[0], rows)
    np.testing.assert_array_equal(B[:, :M], A[rows].T)
    assert (B[:, M] == BEYOND).all()
