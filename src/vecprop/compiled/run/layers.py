"""A network as a table of numbers, one row a layer, and its layers forward and back over a tile.

So one compilation serves every width, depth and choice of activation. A tile holds features × rows, with the rows as
the fast axis: what is elementwise, the softmax and the normalization all run along contiguous rows.
"""

from enum import IntEnum

from numba import njit

from ..jit.arrays import copy, numbers_at, put_ones, words_at
from ..jit.options import INNER, ONCE
from ..jit.pointers import call_dense, call_dense_back, call_drop, call_map, call_norm, call_norm_back, call_slope
from ..jit.record import Slot
from .quarters import multiply_quarter, sum_quarters
from .sharing import QUARTERS, Sharing


class Column(IntEnum):
    """The columns of a network's table."""

    KIND = 0
    INPUTS = 1
    OUTPUTS = 2
    START = 3
    PRODUCT = 4
    VALUE = 5
    SLOPE = 6
    OUTPUT_AT = 7
    EXTRA_AT = 8
    SHARING = 9


class Kind(IntEnum):
    """The kinds of layers."""

    DENSE = 0
    ACTIVATION = 1
    DROPOUT = 2
    LAYER_NORM = 3


COLUMNS = len(Column)
ROW = 8 * COLUMNS


@njit(**INNER)
def inputs_at(c, number, tile, work):
    """Return where a layer's inputs are: what the layer before it has left in work, or the tile.

    Those of the layer after the last are the network's outputs.
    """
    if number == 0:
        return tile.ctypes.data
    return work[words_at(c[Slot.TABLE] + ROW * (number - 1), COLUMNS)[Column.OUTPUT_AT] :].ctypes.data


@njit(**ONCE)
def forward(c, number, tile, S, noisy, step, rows, work):
    """Run a layer over a tile; it leaves its output in work. Dropout takes part where noisy."""
    layer, A = words_at(c[Slot.TABLE] + ROW * number, COLUMNS), inputs_at(c, number, tile, work)
    h, I, kind = c[Slot.H] + 64 * number, layer[Column.INPUTS], layer[Column.KIND]
    at, extra = layer[Column.OUTPUT_AT], work[layer[Column.EXTRA_AT] :].ctypes.data
    out = work[at : at + layer[Column.OUTPUTS] * S]
    if kind == Kind.DENSE:
        O, p = layer[Column.OUTPUTS], c[Slot.THETA] + tile.itemsize * layer[Column.START]
        by_rows = c[Slot.BY_ROWS] if number == 0 else 0
        if layer[Column.SHARING] == Sharing.BY_INPUTS:  # as it is computed together
            put_ones(A + I * S * tile.itemsize, S, tile)
            for quarter in range(QUARTERS):
                multiply_quarter(layer[Column.PRODUCT], quarter, (I, O, S), p, A, extra, tile.itemsize)
            sum_quarters(work[layer[Column.EXTRA_AT] :], out)
        else:
            call_dense(layer[Column.VALUE], (I, O, S, p, A, out.ctypes.data, by_rows, layer[Column.PRODUCT], extra))
    elif kind == Kind.ACTIVATION:
        call_map(layer[Column.VALUE], (I * S, A, out.ctypes.data, h))
    elif kind == Kind.LAYER_NORM:
        p = c[Slot.THETA] + tile.itemsize * layer[Column.START]
        call_norm(layer[Column.VALUE], (I, S, p, A, extra, out.ctypes.data, h))
    elif noisy:
        mask, seed = extra, c[Slot.SEED]
        call_drop(
            layer[Column.VALUE],
            (I, S, A, out.ctypes.data, mask, rows.ctypes.data, h, seed, step, number),
        )
    else:
        copy(numbers_at(A, I * S, tile), out)


@njit(**ONCE)
def backward(c, number, tile, S, noisy, work, delta, before, turned, gradient, add):
    """Run a layer backwards: put or add its gradient, and turn delta into that before the layer.

    A dense layer puts that one into another buffer, unless it is the first: nothing asks for the inputs' own.
    """
    layer, A = words_at(c[Slot.TABLE] + ROW * number, COLUMNS), inputs_at(c, number, tile, work)
    h, I, O, kind = c[Slot.H] + 64 * number, layer[Column.INPUTS], layer[Column.OUTPUTS], layer[Column.KIND]
    extra = work[layer[Column.EXTRA_AT] :]
    if kind == Kind.DENSE:
        start = tile.itemsize * layer[Column.START]
        by_rows, before_at = (0, before.ctypes.data) if number else (c[Slot.BY_ROWS], 0)
        operands = c[Slot.THETA] + start, A, delta.ctypes.data, gradient + start, add, before_at, turned
        call_dense_back(layer[Column.SLOPE], (I, O, S, *operands, by_rows, layer[Column.PRODUCT], extra.ctypes.data))
    elif kind == Kind.ACTIVATION:
        out = work[layer[Column.OUTPUT_AT] :].ctypes.data
        call_slope(layer[Column.SLOPE], (O * S, A, out, delta.ctypes.data, h))
    elif kind == Kind.LAYER_NORM:
        start = tile.itemsize * layer[Column.START]
        call_norm_back(
            layer[Column.SLOPE],
            (I, S, c[Slot.THETA] + start, extra.ctypes.data, delta.ctypes.data, gradient + start, add),
        )
    elif noisy:
        for i in range(I * S):
            delta[i] *= extra[i]
