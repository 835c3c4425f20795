"""Forward and backward passes of dense layers: loops, blocks in registers, packed blocks, BLAS, and sparse rows.

A tile holds features x rows. A layer's inputs are followed by an additional feature,
which is always 1 and whose weight is the bias. So Z = [W; b]ᵀ [A; 1] and J = [J_W; J_b]
= [A; 1] deltaᵀ are single products. The ones are written before each product. BLAS may
read rows directly from the data, without this feature; the biases are then added in a
loop.

A tile of sparse rows holds references to the data, three words per row::

      tile      | address of its values, address of their columns, count | the next row's three words | ...

      values    | 0.5  1.0  0.2 | 0.7 | ...        the data, by rows
      columns   |   3    8   21 |   8 | ...        sorted within each row
"""

from enum import Enum
from functools import cache
from typing import Any

import numpy as np

from ..gemm.packed import packed_address
from ..gemm.products import (
    blas_address,
    blas_product,
    dots_of,
    multiply_address,
    multiply_of,
    transpose_of,
    uses_blocks,
)
from ..gemm.vectors import (
    COLUMN_BYTES,
    added_row_block,
    summed_rows_block,
    vector_bytes,
)
from ..jit import calls, inlined, inner
from ..jit.addresses import copy_bytes, numbers_at, put_ones, total, words_at
from ..jit.machine_code import address_of, addresses_of, filled_in

# Placeholders for a floating-point type: the type, the bytes of an element,
# `FEW_OUTPUTS`, products by blocks; for packed layers the functions by blocks, which
# handle few rows; for sparse rows the blocks of `gemm.vectors` and their width in
# numbers.
number: Any = float
size = few_outputs = width = 0
multiply: Any = None
multiply_blocks: Any = None
dots: Any = None
transpose: Any = None
blocks: Any = None
blocks_back: Any = None
sum_rows: Any = None
add_row: Any = None

LARGE = 2**18
"""The minimum number of weights of a layer whose matrices are packed; smaller
matrices are read faster in place.
"""

FEW_ROWS = 32
"""The minimum number of rows of a tile for packing in the backward pass; with fewer
rows, packing takes too long.
"""

WIDE = 512
"""The minimum number of weights for BLAS on a processor without wide vectors; below
it, loops are faster than calls.
"""

FEW_OUTPUTS = 8
"""The minimum number of outputs for computing the gradient by blocks; at least the
number of lanes of a vector.

Blocks of fewer outputs would be nearly empty, so the gradient is then computed by dot
products along the rows.
"""

SPARSE_ROW_WORDS = 3
"""The number of words per row in a tile of sparse rows."""

VECTORS = 4
"""The number of vectors of a block; wider blocks would be mostly empty for typical
numbers of outputs.
"""


class Algorithm(Enum):
    """The algorithm for the products of a layer."""

    LOOPS = "loops"
    BLOCKS = "blocks"
    PACKED = "packed blocks"
    BLAS = "BLAS"
    SPARSE = "sparse rows"

    @staticmethod
    def of(inputs: int, outputs: int) -> "Algorithm":
        """Return the fastest algorithm for a layer."""
        weights = inputs * outputs
        if uses_blocks():
            return Algorithm.PACKED if weights >= LARGE else Algorithm.BLOCKS
        return Algorithm.BLAS if weights >= WIDE else Algorithm.LOOPS


@inner
def _put_weighted_rows(out, rows, weights, stride, count):
    """Store Σ_k weights[k stride] rows[k] in out, four rows at a time to reduce accesses to out."""
    a = weights[0]
    A = rows[0]
    for s in range(out.size):
        out[s] = a * A[s]
    k = 1
    while k + 4 <= count:
        a = weights[k * stride]
        b = weights[(k + 1) * stride]
        c = weights[(k + 2) * stride]
        d = weights[(k + 3) * stride]
        A = rows[k]
        B = rows[k + 1]
        C = rows[k + 2]
        D = rows[k + 3]
        for s in range(out.size):
            out[s] += (a * A[s] + b * B[s]) + (c * C[s] + d * D[s])
        k += 4
    while k < count:  # the remaining rows
        a = weights[k * stride]
        A = rows[k]
        for s in range(out.size):
            out[s] += a * A[s]
        k += 1


def _loops(I, O, S, p, A, Z):
    """Compute Z = [W; b]ᵀ [A; 1]."""
    p = numbers_at(p, (I + 1) * O, number)
    Z = numbers_at(Z, O * S, number)
    put_ones(A + I * S * size, S, number(1))
    A = numbers_at(A, (I + 1) * S, number).reshape(I + 1, S)
    for o in range(O):
        _put_weighted_rows(Z[o * S : (o + 1) * S], A, p[o:], O, I + 1)


def _loops_back(I, O, S, p, A, delta, J, add, Z, h, workspace, before):
    """Compute J = [A; 1] deltaᵀ, or add it to J; compute ``before`` = W delta unless its address is 0.

    [A; 1] is (I + 1, S), delta (O, S), J (I + 1, O), W (I, O) and ``before`` (I, S).
    """
    A = numbers_at(A, (I + 1) * S, number).reshape(I + 1, S)
    delta = numbers_at(delta, O * S, number).reshape(O, S)
    J = numbers_at(J, (I + 1) * O, number)
    for k in range(I + 1):
        A_k = A[k]
        for o in range(O):
            delta_o = delta[o]
            J_ko = number(0)
            for s in range(S):
                J_ko += A_k[s] * delta_o[s]
            J[k * O + o] = J[k * O + o] + J_ko if add else J_ko
    if before:
        W = numbers_at(p, I * O, number)
        rows_before = numbers_at(before, I * S, number).reshape(I, S)
        for k in range(I):
            W_k = W[k * O :]
            _put_weighted_rows(rows_before[k], delta, W_k, 1, O)


def _multiply_here(product, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add):
    """Replace `calls.product` where `product` is not the address of a product by blocks."""
    multiply_blocks(M, N, K, A, A_m, A_k, B, B_k, C, C_m, add)


def _blocks(I, O, S, p, A, Z, h, workspace, by_rows, product):
    """Compute Z = [W; b]ᵀ [A; 1], where [W; b] is (I + 1, O), [A; 1] (I + 1, S) and Z (O, S)."""
    put_ones(A + I * S * size, S, number(1))
    if S == 1:
        # Zᵀ = [A; 1]ᵀ [W; b] has O columns to vectorize instead of one
        multiply(
            product,
            S,
            O,
            I + 1,
            A=A,
            A_m=size,
            A_k=size,
            B=p,
            B_k=O * size,
            C=Z,
            C_m=O * size,
            add=0,
        )
    else:
        multiply(
            product,
            O,
            S,
            I + 1,
            A=p,
            A_m=size,
            A_k=O * size,
            B=A,
            B_k=S * size,
            C=Z,
            C_m=S * size,
            add=0,
        )


def _blocks_back(
    I, O, S, p, A, delta, J, add, Z, h, workspace, before, transposed, by_rows, product
):
    """Compute J = [A; 1] deltaᵀ, or add it to J; compute ``before`` = W delta; skip results with address 0.

    [A; 1] is (I + 1, S), delta (O, S), J (I + 1, O), W (I, O) and ``before`` (I, S).
    Rows of S and of O numbers have ``row`` and ``column`` bytes.
    """
    row = S * size
    column = O * size
    if J and few_outputs <= O:
        transpose(O, S, delta, row, transposed, column)
        multiply(
            product,
            I + 1,
            O,
            S,
            A=A,
            A_m=row,
            A_k=size,
            B=transposed,
            B_k=column,
            C=J,
            C_m=column,
            add=add,
        )
    elif J:
        dots(I + 1, O, S, A, row, delta, row, J, column, add)
    if before and S == 1:
        dots(I, S, O, p, column, delta, column, before, row, 0)
    elif before:
        multiply(
            product,
            I,
            S,
            O,
            A=p,
            A_m=column,
            A_k=size,
            B=delta,
            B_k=row,
            C=before,
            C_m=row,
            add=0,
        )


def _packed(I, O, S, p, A, Z, h, workspace, by_rows, product):
    """Compute Z = [W; b]ᵀ [A; 1] like `_blocks`, with packed matrices."""
    row = S * size
    if S == 1:  # packing the weights would take longer than using them once
        blocks(I, O, S, p, A, Z, h, workspace, by_rows, product)
        return
    put_ones(A + I * row, S, number(1))
    calls.packed(
        product,
        O,
        S,
        I + 1,
        A=p,
        A_m=size,
        A_k=O * size,
        B=A,
        B_k=row,
        B_n=size,
        C=Z,
        C_m=row,
        add=0,
        workspace=workspace,
        is_packed=0,
    )


def _packed_back(
    I, O, S, p, A, delta, J, add, Z, h, workspace, before, transposed, by_rows, product
):
    """Compute J and ``before`` like `_blocks_back`, with packed matrices."""
    row = S * size
    column = O * size
    if S < FEW_ROWS:
        blocks_back(
            I,
            O,
            S,
            p,
            A,
            delta,
            J,
            add,
            Z,
            h,
            workspace,
            before,
            transposed,
            by_rows,
            product,
        )
        return
    if J:
        calls.packed(
            product,
            I + 1,
            O,
            S,
            A=A,
            A_m=row,
            A_k=size,
            B=delta,
            B_k=size,
            B_n=row,
            C=J,
            C_m=column,
            add=add,
            workspace=workspace,
            is_packed=0,
        )
    if before:
        calls.packed(
            product,
            I,
            S,
            O,
            A=p,
            A_m=column,
            A_k=size,
            B=delta,
            B_k=row,
            B_n=size,
            C=before,
            C_m=row,
            add=0,
            workspace=workspace,
            is_packed=0,
        )


def _through_blas(I, O, S, p, A, Z, h, workspace, by_rows, product):
    """Compute Z = Wᵀ A + b: store b in each column of Z (O, S), and add the product.

    A is (I, S), or its transpose if ``by_rows`` is set.
    """
    yes = np.int64(1)
    p = numbers_at(p, (I + 1) * O, number)
    A = numbers_at(A, I * S, number)
    Z = numbers_at(Z, O * S, number)
    for o in range(O):
        Z_o = Z[o * S : (o + 1) * S]
        bias = p[I * O + o]
        for s in range(S):
            Z_o[s] = bias
    blas_product(
        product,
        O,
        S,
        I,
        A=p,
        A_by_columns=yes,
        B=A,
        B_by_columns=by_rows,
        C=Z,
        add=yes,
    )


def _through_blas_back(
    I, O, S, p, A, delta, J, add, Z, h, workspace, before, transposed, by_rows, product
):
    """Compute J_W = A deltaᵀ, J_b = delta 1 (or add them) and ``before`` = W delta; skip results with address 0."""
    no = np.int64(0)
    p = numbers_at(p, I * O, number)
    A = numbers_at(A, I * S, number)
    delta = numbers_at(delta, O * S, number)
    if J:
        J = numbers_at(J, (I + 1) * O, number)
        for o in range(O):
            J_o = total(delta[o * S : (o + 1) * S])
            J[I * O + o] = J[I * O + o] + J_o if add else J_o
        blas_product(
            product,
            I,
            O,
            S,
            A=A,
            A_by_columns=by_rows,
            B=delta,
            B_by_columns=np.int64(1),
            C=J,
            add=add,
        )
    if before:
        blas_product(
            product,
            I,
            S,
            O,
            A=p,
            A_by_columns=no,
            B=delta,
            B_by_columns=no,
            C=numbers_at(before, I * S, number),
            add=no,
        )


def find_sparse_rows(
    X,
    row_bytes,
    places_at,
    n,
    columns,
    count,
    starts_at,
    first,
    features,
    by_rows,
    tile,
):
    """Write references to rows of the data into a tile, three words per row; see `calls.expand`."""
    indices = words_at(places_at, n)
    words = words_at(tile, SPARSE_ROW_WORDS * n)
    for s in range(n):
        ends = words_at(starts_at + 8 * indices[s], 2)
        words[SPARSE_ROW_WORDS * s] = X + size * ends[0]
        words[SPARSE_ROW_WORDS * s + 1] = columns + COLUMN_BYTES * ends[0]
        words[SPARSE_ROW_WORDS * s + 2] = ends[1] - ends[0]


@inlined
def _row(A, s):
    """Return the addresses of a sparse row's values and columns, and their count."""
    words = words_at(A + 8 * SPARSE_ROW_WORDS * s, SPARSE_ROW_WORDS)
    return words[0], words[1], words[2]


@inner
def _first_from(columns, count, least):
    """Return the position of the first column index that is at least `least`; columns are sorted."""
    columns = numbers_at(columns, count, np.int32)
    low = np.int64(0)
    high = count
    while low < high:
        middle = (low + high) // 2
        if columns[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


def multiply_sparse(I, O, S, p, A, Z, h, workspace):
    """Compute Z = [W; b]ᵀ [A; 1]: row s of Zᵀ is b + Σ_k A[k, s] W[k], over the stored elements of row s.

    The rows of Zᵀ (S, O) are computed in the workspace, ``width`` columns at a time.
    """
    row = O * size
    biases = p + I * row
    for s in range(S):
        values, columns, count = _row(A, s)
        Z_s = workspace + s * row
        copy_bytes(biases, Z_s, row)
        for o in range(0, O, width):
            sum_rows(
                O - o,
                count,
                a=values,
                columns=columns,
                B=p + o * size,
                B_k=row,
                y=Z_s + o * size,
            )
    transpose(S, O, workspace, row, Z, S * size)


def multiply_sparse_back(
    I, O, S, p, A, delta, J, add, Z, h, workspace, before, transposed, by_rows, product
):
    """Compute J = [A; 1] deltaᵀ, or add it to J."""
    calls.columns(product, 0, I + 1, I, O, S, A, delta, J, add, transposed)


def gradient_of_columns(low, high, I, O, S, A, delta, J, add, transposed):
    """Compute the rows low to high - 1 of J = [A; 1] deltaᵀ, or add them to J.

    Each stored element A[k, s] with low <= k < high adds A[k, s] deltaᵀ[s] to J[k]. Row
    I of J belongs to the biases: it is Σ_s deltaᵀ[s].
    """
    row = O * size
    if not add:
        J_part = numbers_at(J + low * row, (high - low) * O, number)
        for i in range(J_part.size):
            J_part[i] = 0
    transpose(O, S, delta, S * size, transposed, row)
    for s in range(S):
        values, columns, count = _row(A, s)
        first = _first_from(columns, count, low)
        end = _first_from(columns, count, high)
        for o in range(0, O, width):
            add_row(
                O - o,
                end - first,
                a=values + first * size,
                columns=columns + first * COLUMN_BYTES,
                B=J + o * size,
                B_k=row,
                y=transposed + s * row + o * size,
            )
    if high > I:
        J_b = numbers_at(J + I * row, O, number)
        delta_rows = numbers_at(transposed, S * O, number)
        for s in range(S):
            for o in range(O):
                J_b[o] += delta_rows[s * O + o]


def names_of_sparse(F: type) -> dict[str, Any]:
    """Return the blocks for type F and their width, by the names of the placeholders."""
    lanes = vector_bytes() // np.dtype(F).itemsize
    blocks = {
        "sum_rows": summed_rows_block(F, lanes, vectors=VECTORS),
        "add_row": added_row_block(F, lanes, vectors=VECTORS),
    }
    return {"width": VECTORS * lanes, "transpose": transpose_of(F), **blocks}


columns_address = addresses_of(gradient_of_columns, names=names_of_sparse)


sparse_rows_address = addresses_of(find_sparse_rows)


def _names(algorithm: Algorithm, F: type) -> dict[str, Any]:
    """Return the values of this module's placeholders for an algorithm and type F."""
    if algorithm is Algorithm.SPARSE:
        return names_of_sparse(F)
    if algorithm not in (Algorithm.BLOCKS, Algorithm.PACKED):
        return {}
    names: dict[str, Any] = {
        "few_outputs": max(FEW_OUTPUTS, vector_bytes() // np.dtype(F).itemsize),
        "multiply": calls.product,
        "dots": dots_of(F),
        "transpose": transpose_of(F),
    }
    if algorithm is Algorithm.PACKED:
        # tiles of few rows are not packed; `product` is then a packed product
        product = filled_in(_multiply_here, F, multiply_blocks=multiply_of(F))
        names["multiply"] = inlined(product)
        names["blocks"] = inner(filled_in(_blocks, F, **names))
        names["blocks_back"] = inner(filled_in(_blocks_back, F, **names))
    return names


@cache
def dense_addresses(algorithm: Algorithm, F: type) -> tuple[int, int]:
    """Return the addresses of a dense layer's forward and backward functions; see `calls.forward`."""
    names = _names(algorithm, F)
    forward, back = {
        Algorithm.LOOPS: (_loops, _loops_back),
        Algorithm.BLOCKS: (_blocks, _blocks_back),
        Algorithm.PACKED: (_packed, _packed_back),
        Algorithm.BLAS: (_through_blas, _through_blas_back),
        Algorithm.SPARSE: (multiply_sparse, multiply_sparse_back),
    }[algorithm]
    return address_of(forward, F, **names), address_of(back, F, **names)


def product_address(algorithm: Algorithm, F: type) -> int:
    """Return the address of the product that a dense layer calls, or 0 if it does not call one."""
    products = {
        Algorithm.BLOCKS: multiply_address,
        Algorithm.PACKED: packed_address,
        Algorithm.BLAS: blas_address,
        Algorithm.SPARSE: columns_address,
    }
    return products.get(algorithm, lambda F: 0)(F)
