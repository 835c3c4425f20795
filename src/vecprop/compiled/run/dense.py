"""Dense layers, forward and back: by loops, by blocks in registers, by blocks of what is packed, and through BLAS.

A tile holds features × rows. Behind a layer's inputs there is room for one feature more, which is always 1: the bias is
its weight, so that Z = [W; b]ᵀ [A; 1] and [J_W; J_b] = [A; 1] deltaᵀ are one product each. Only BLAS, to which rows may
go as they lie in the data, has biases added by themselves.
"""

from enum import Enum
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..gemm.blas import blas_address, blas_product
from ..gemm.packed import packed_address
from ..gemm.products import dots_of, has_vectors, multiply_of, transpose_of
from ..gemm.vectors import vector_bytes
from ..jit.arrays import numbers_at, put_ones, total
from ..jit.calls import call_packed
from ..jit.machine_code import address_of, filled_in
from ..jit.options import INNER, OPTIONS

# What `address_of` fills in: the floating type, how many bytes its numbers have, how many outputs are few, products of
# blocks of numbers, and the way by blocks, for few rows.
number: Any = float
size = few_outputs = 0
multiply: Any = None
dots: Any = None
transpose: Any = None
blocks: Any = None
blocks_back: Any = None

LARGE = 2**18
"""From how many weights on it is faster to pack what is read."""

FEW_ROWS = 32
"""Below how many rows the way back goes faster without."""

WIDE = 512
"""From how many weights on BLAS is faster than loops, where the processor has no vectors for blocks."""

FEW_OUTPUTS = 8
"""Below how many outputs a gradient is found by sums of products, since blocks of it would be nearly empty; where a
vector holds more numbers, below as many."""


class Way(Enum):
    """How a layer's products are computed."""

    LOOPS = "loops"
    BLOCKS = "blocks"
    PACKED = "packed blocks"
    BLAS = "BLAS"

    @staticmethod
    def of(inputs: int, outputs: int) -> "Way":
        """Return the fastest way for a layer."""
        weights = inputs * outputs
        if has_vectors():
            return Way.PACKED if weights >= LARGE else Way.BLOCKS
        return Way.BLAS if weights >= WIDE else Way.LOOPS


@njit(**OPTIONS)
def _put_weighted_rows(out, rows, weights, stride, count):
    """Put Σ_k weights[k stride] rows[k] into out: the first row, and then four at a time."""
    a, A = weights[0], rows[0]
    for s in range(out.size):
        out[s] = a * A[s]
    k = 1
    while k + 4 <= count:
        a, b, c, d = (
            weights[k * stride],
            weights[(k + 1) * stride],
            weights[(k + 2) * stride],
            weights[(k + 3) * stride],
        )
        A, B, C, D = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        for s in range(out.size):
            out[s] += (a * A[s] + b * B[s]) + (c * C[s] + d * D[s])
        k += 4
    while k < count:
        a, A = weights[k * stride], rows[k]
        for s in range(out.size):
            out[s] += a * A[s]
        k += 1


def _loops(I, O, S, p, A, Z, by_rows, product, room):
    """Z = [W; b]ᵀ [A; 1]."""
    zero = number(0)
    p, Z = numbers_at(p, (I + 1) * O, zero), numbers_at(Z, O * S, zero)
    put_ones(A + I * S * size, S, zero)
    A = numbers_at(A, (I + 1) * S, zero).reshape(I + 1, S)
    for o in range(O):
        _put_weighted_rows(Z[o * S : (o + 1) * S], A, p[o:], O, I + 1)


def _loops_back(I, O, S, p, A, delta, J, add, before, turned, by_rows, product, room):
    """[J_W; J_b] = [A; 1] deltaᵀ, put or added into J; before = W delta, if it is asked for."""
    zero = number(0)
    A, delta = (
        numbers_at(A, (I + 1) * S, zero).reshape(I + 1, S),
        numbers_at(delta, O * S, zero).reshape(O, S),
    )
    J = numbers_at(J, (I + 1) * O, zero)
    for k in range(I + 1):
        A_k = A[k]
        for o in range(O):
            delta_o, J_ko = delta[o], zero
            for s in range(S):
                J_ko += A_k[s] * delta_o[s]
            J[k * O + o] = J[k * O + o] + J_ko if add else J_ko
    if before:
        p, before_of = numbers_at(p, I * O, zero), numbers_at(before, I * S, zero)
        for k in range(I):
            _put_weighted_rows(before_of[k * S : (k + 1) * S], delta, p[k * O :], np.int64(1), O)


def _blocks(I, O, S, p, A, Z, by_rows, product, room):
    """Z = [W; b]ᵀ [A; 1]."""
    put_ones(A + I * S * size, S, number(0))
    M, N, left, left_m, left_k, right, right_k = O, S, p, np.int64(size), O * size, A, S * size
    if S == 1:  # Zᵀ = [A; 1]ᵀ [W; b] is the same, and fills the vectors
        M, N, left, left_k, right, right_k = S, O, A, np.int64(size), p, O * size
    multiply(M, N, I + 1, left, left_m, left_k, right, right_k, Z, N * size, np.int64(0))


def _blocks_back(I, O, S, p, A, delta, J, add, before, turned, by_rows, product, room):
    """[J_W; J_b] = [A; 1] deltaᵀ, put or added into J; before = W delta; where they are asked for."""
    row, column, one = S * size, O * size, np.int64(size)
    if J and few_outputs <= O:
        transpose(O, S, delta, row, turned, column)
        multiply(I + 1, O, S, A, row, one, turned, column, J, column, add)
    elif J:
        dots(I + 1, O, S, A, row, delta, row, J, column, add)
    if before and S == 1:
        dots(I, S, O, p, column, delta, column, before, row, np.int64(0))
    elif before:
        multiply(I, S, O, p, column, one, delta, row, before, row, np.int64(0))


def _packed(I, O, S, p, A, Z, by_rows, product, room):
    """Z = [W; b]ᵀ [A; 1]."""
    row, one, none = S * size, np.int64(size), np.int64(0)
    if S == 1:  # packing the weights would take longer
        blocks(I, O, S, p, A, Z, by_rows, product, room)
        return
    put_ones(A + I * row, S, number(0))
    call_packed(product, (O, S, I + 1, p, one, O * size, A, row, one, Z, row, none, room, none))


def _packed_back(I, O, S, p, A, delta, J, add, before, turned, by_rows, product, room):
    """[J_W; J_b] = [A; 1] deltaᵀ, put or added into J; before = W delta; where they are asked for."""
    row, column, one, none = S * size, O * size, np.int64(size), np.int64(0)
    if S < FEW_ROWS:
        blocks_back(I, O, S, p, A, delta, J, add, before, turned, by_rows, product, room)
        return
    if J:
        call_packed(product, (I + 1, O, S, A, row, one, delta, one, row, J, column, add, room, none))
    if before:
        call_packed(product, (I, S, O, p, column, one, delta, row, one, before, row, none, room, none))


def _through_blas(I, O, S, p, A, Z, by_rows, product, room):
    """Z = Wᵀ A + b."""
    zero, one = number(0), np.int64(1)
    p, A, Z = numbers_at(p, (I + 1) * O, zero), numbers_at(A, I * S, zero), numbers_at(Z, O * S, zero)
    for o in range(O):
        Z_o, bias = Z[o * S : (o + 1) * S], p[I * O + o]
        for s in range(S):
            Z_o[s] = bias
    blas_product(product, p, one, A, by_rows, one, Z, O, S, I)


def _through_blas_back(I, O, S, p, A, delta, J, add, before, turned, by_rows, product, room):
    """J_W = A deltaᵀ and J_b = delta 1, put or added into J; before = W delta; where they are asked for."""
    zero = number(0)
    p, A, delta = numbers_at(p, I * O, zero), numbers_at(A, I * S, zero), numbers_at(delta, O * S, zero)
    if J:
        J = numbers_at(J, (I + 1) * O, zero)
        for o in range(O):
            J_o = total(delta[o * S : (o + 1) * S])
            J[I * O + o] = J[I * O + o] + J_o if add else J_o
        blas_product(product, A, by_rows, delta, np.int64(1), add, J, I, O, S)
    if before:
        blas_product(product, p, np.int64(0), delta, np.int64(0), np.int64(0), numbers_at(before, I * S, zero), I, S, O)


@cache
def dense_addresses(way: Way, F: type) -> tuple[int, int]:
    """Return the addresses of a dense layer, forward and back; see `calls.call_dense`."""
    names: dict[str, Any] = {"number": F, "size": np.dtype(F).itemsize}
    kind = F.__name__
    if way in (Way.BLOCKS, Way.PACKED):
        names["few_outputs"] = max(FEW_OUTPUTS, vector_bytes() // names["size"])
        names |= {"multiply": multiply_of(F), "dots": dots_of(F), "transpose": transpose_of(F)}
    if way is Way.PACKED:
        blocks, blocks_back = (njit(filled_in(each, kind, **names), **INNER) for each in (_blocks, _blocks_back))
        names |= {"blocks": blocks, "blocks_back": blocks_back}
    forward, back = {
        Way.LOOPS: (_loops, _loops_back),
        Way.BLOCKS: (_blocks, _blocks_back),
        Way.PACKED: (_packed, _packed_back),
        Way.BLAS: (_through_blas, _through_blas_back),
    }[way]
    return (
        address_of(forward, types.void(*[types.intp] * 9), kind, **names),
        address_of(back, types.void(*[types.intp] * 13), kind, **names),
    )


def product_address(way: Way, F: type) -> int:
    """Return the address of the product that a dense layer calls, or 0 where it calls none."""
    return {Way.PACKED: packed_address, Way.BLAS: blas_address}.get(way, lambda F: 0)(F)
