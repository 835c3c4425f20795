"""Products, transposes and gathered rows equal NumPy's at all sizes, and write nothing outside of the result."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import cfunc, types

from conditions import limit_setter
from vecprop.compiled.gemm import packed, products
from vecprop.compiled.gemm.vectors import vector_bytes
from vecprop.compiled.jit.machine_code import filled_in

WIDTHS = [width for width in (64, 32) if width <= vector_bytes()]
pytestmark = pytest.mark.long  # layers of all widths also test products
MACHINES = [(F, width) for F in (np.float32, np.float64) for width in WIDTHS]
SIZES = st.integers(1, 40)
BEYOND = 7.0
"""The numbers in memory after a result."""


def random(seed, F, rows, columns, by_columns=False):
    matrix = np.random.default_rng(seed).standard_normal((rows, columns)).astype(F)
    return np.asfortranarray(matrix) if by_columns else matrix


@pytest.fixture(params=MACHINES, scope="module")
def machine(request):
    """Return a type, and a function that calls a compiled function for vectors of one width."""
    F, width = request.param
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        limit_setter(patch)("products: bytes of a vector", lambda: width)
        for name, count in (("multiply", 11), ("dots", 10), ("transpose", 6)):
            function, arguments = (
                getattr(products, f"{name}_of").__wrapped__(F),
                ", ".join("abcdefghijk"[:count]),
            )
            code = eval(
                f"lambda {arguments}: function({arguments})", {"function": function}
            )
            made[name] = cfunc(types.void(*[types.intp] * count))(code)
        address = {name: code.address for name, code in made.items()}
        address["gather"] = products.gather_address.__wrapped__(F)

    def call(name, *arguments):
        words = [
            a.ctypes.data if isinstance(a, np.ndarray) else int(a) for a in arguments
        ]
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(words))(address[name])(*words)

    yield F, call
    made.clear()


@given(
    M=SIZES,
    N=st.integers(1, 140),
    K=st.integers(0, 40) | st.sampled_from([150, 600]),
    by_columns=st.booleans(),
    add=st.booleans(),
)
def test_multiply(machine, M, N, K, by_columns, add):
    F, call = machine
    A, B, C = (
        random(0, F, M, K),
        random(1, F, K, N + 3),
        np.full((M + 1, N + 2), BEYOND, F),
    )
    A = np.asfortranarray(A) if by_columns else A
    C[:M, :N] = random(2, F, M, N)
    expected = A @ B[:, :N] + (C[:M, :N] if add else 0)
    call("multiply", M, N, K, A, *A.strides, B, B.strides[0], C, C.strides[0], add)
    np.testing.assert_allclose(
        C[:M, :N], expected, rtol=0, atol=(200 + 2 * K) * np.finfo(F).eps
    )
    assert (C[M] == BEYOND).all()
    assert (C[:, N:] == BEYOND).all()


@given(M=SIZES, N=st.integers(60, 140), cut=st.integers(1, 599))
def test_dividing_the_depth_does_not_change_the_order_of_sums(machine, M, N, cut):
    F, call = machine
    A, B, whole, in_two = (
        random(0, F, M, 600),
        random(1, F, 600, N),
        np.empty((M, N), F),
        np.empty((M, N), F),
    )
    assert B.nbytes > products.B_BYTES
    call(
        "multiply",
        M,
        N,
        600,
        A,
        *A.strides,
        B,
        B.strides[0],
        whole,
        whole.strides[0],
        0,
    )
    for columns, add in ((slice(cut), 0), (slice(cut, None), 1)):
        some, rows = A[:, columns], B[columns]
        call(
            "multiply",
            M,
            N,
            some.shape[1],
            some,
            *A.strides,
            rows,
            B.strides[0],
            in_two,
            in_two.strides[0],
            add,
        )
    np.testing.assert_array_equal(in_two, whole)


@given(
    M=SIZES,
    N=st.integers(1, 9),
    K=st.integers(0, 140),
    more=st.integers(0, 2),
    add=st.booleans(),
)
def test_dots(machine, M, N, K, more, add):
    F, call = machine
    more = 0 if N == 1 else more  # a single column is all of the matrix
    A, B, C = (
        random(0, F, M, K + 3),
        random(1, F, N, K + 1),
        np.full((M + 1, N + more), BEYOND, F),
    )
    C[:M, :N] = random(2, F, M, N)
    expected = A[:, :K] @ B[:, :K].T + (C[:M, :N] if add else 0)
    call("dots", M, N, K, A, A.strides[0], B, B.strides[0], C, C.strides[0], add)
    np.testing.assert_allclose(C[:M, :N], expected, rtol=0, atol=200 * np.finfo(F).eps)
    assert (C[M] == BEYOND).all()
    assert (C[:, N:] == BEYOND).all()


@given(M=SIZES, N=SIZES)
def test_transpose(machine, M, N):
    F, call = machine
    A, B = random(0, F, M, N + 2), np.full((N + 1, M + 3), BEYOND, F)
    call("transpose", M, N, A, A.strides[0], B, B.strides[0])
    np.testing.assert_array_equal(B[:N, :M], A[:, :N].T)
    assert (B[N] == BEYOND).all()
    assert (B[:, M:] == BEYOND).all()


@given(M=SIZES, N=SIZES, seed=st.integers(0, 9))
def test_gather(machine, M, N, seed):
    F, call = machine
    A, B = random(0, F, 25, N), np.full((N, M + 1), BEYOND, F)
    rows = np.random.default_rng(seed).integers(25, size=M)
    call("gather", M, N, A, A.strides[0], B, B.strides[0], rows)
    np.testing.assert_array_equal(B[:, :M], A[rows].T)
    assert (B[:, M] == BEYOND).all()


def compiled(patch, F, width, **constants):
    """Return a product for vectors of one width, with these constants instead of those of the module."""
    kept = []

    def address_of(template, F, **names):
        kept.append(
            cfunc(types.void(*[types.intp] * 14))(filled_in(template, F, **names))
        )
        return kept[-1].address

    patch.setattr(packed, "address_of", address_of)
    limit_setter(patch)("packed products: bytes of a vector", lambda: width)
    for name, value in constants.items():
        patch.setattr(packed, name, value)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 14)(
        packed.packed_address.__wrapped__(F)
    )
    workspace = np.full(packed.packing_size(F) + 100, BEYOND, F)

    def multiply(A, B, C, add=False, kept_from_before=False):
        (M, K), N, row = A.shape, B.shape[1], C.strides[0]
        numbers = (
            M,
            N,
            K,
            A.ctypes.data,
            *A.strides,
            B.ctypes.data,
            *B.strides,
            C.ctypes.data,
            row,
            add,
        )
        function(*numbers, workspace.ctypes.data, kept_from_before)
        assert (workspace[-100:] == BEYOND).all()
        assert kept  # the code lives as long as this function

    return multiply


@pytest.fixture(params=MACHINES, scope="module")
def small_pieces(request):
    """Return a type and a product of pieces so small that every product has several."""
    F, width = request.param
    panel = 14 if width == 64 else 6
    with pytest.MonkeyPatch.context() as patch:
        yield (
            F,
            compiled(
                patch, F, width, PANEL_ROWS=panel, PIECE_ROWS=2 * panel, PIECE_PANELS=2
            ),
        )


@given(
    M=st.integers(1, 70),
    N=st.integers(1, 140),
    K=st.sampled_from([0, 1, 2, 15, 16, 17, 40, 264, 265, 600]),
    orders=st.tuples(st.booleans(), st.booleans()),
    add=st.booleans(),
)
def test_packed_products(small_pieces, M, N, K, orders, add):
    F, multiply = small_pieces
    A, B = (
        random(seed, F, *shape, orders[seed])[:, :-1]
        for seed, shape in enumerate([(M + 2, K + 1), (K + 2, N + 1)])
    )
    A, B, C = A[:M], B[:K], np.full((M + 1, N + 2), BEYOND, F)
    C[:M, :N] = random(2, F, M, N)
    before = C[:M, :N].astype(float) * add
    multiply(A, B, C[:M, :N], add)
    errors = np.abs(C[:M, :N] - (A.astype(float) @ B + before))
    bound = np.abs(A).astype(float) @ np.abs(B) + np.abs(before)
    # a bound for any order of summation
    assert (errors <= (K + 1) * np.finfo(F).eps * bound).all()
    assert (C[M] == BEYOND).all()
    assert (C[:, N:] == BEYOND).all()


@given(cut=st.integers(1, 59), along=st.sampled_from(["rows", "columns"]))
def test_dividing_packed_products_does_not_change_bits(small_pieces, cut, along):
    F, multiply = small_pieces
    A, B, whole, cut_up = (
        random(0, F, 60, 500),
        random(1, F, 500, 60),
        *np.zeros((2, 60, 60), F),
    )
    multiply(A, B, whole)
    for part in (slice(cut), slice(cut, None)):
        if along == "rows":
            multiply(A[part], B, cut_up[part])
        else:
            multiply(A, B[:, part], cut_up[:, part])
    np.testing.assert_array_equal(cut_up, whole)


def test_packed_pieces_are_reused(small_pieces):
    F, multiply = small_pieces
    A, B, found, expected = (
        random(0, F, 12, 100),
        random(1, F, 100, 90),
        *np.zeros((2, 12, 90), F),
    )
    multiply(A, B, expected)
    for first in range(0, 90, 30):
        part = slice(first, first + 30)
        multiply(A, B[:, part], found[:, part], kept_from_before=first > 0)
        A[:] = np.nan  # it is not read again
    np.testing.assert_array_equal(found, expected)


@pytest.mark.long
@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_large_packed_matrices(F, monkeypatch):
    A, B, C = (
        random(0, F, 700, 530),
        random(1, F, 530, 1100, by_columns=True),
        np.zeros((700, 1100), F),
    )
    compiled(monkeypatch, F, vector_bytes())(A, B, C)
    np.testing.assert_allclose(C, A @ B, rtol=0, atol=1000 * np.finfo(F).eps)


@given(K=st.integers(0, 3000))
def test_pieces_are_equally_deep(K):
    depth = packed.piece_depth.py_func(K)
    assert 1 <= depth <= packed.PIECE_DEPTH
    pieces = [min(depth, K - first) for first in range(0, K, depth)]
    assert sum(pieces) == K
    assert not pieces or len(pieces) == -(-K // packed.PIECE_DEPTH)
