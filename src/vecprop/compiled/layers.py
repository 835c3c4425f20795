"""A network as a table of numbers, one row a layer, and its layers forward and back over a tile.

So one compilation serves every width, depth and choice of activation. A tile holds features × rows, with the rows as
the fast axis: what is elementwise, the softmax and the normalization all run along contiguous rows.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from .arrays import copy, numbers_at, words_at
from .context import Slot
from .formulas import INNER, ONCE
from .pointers import call_dense, call_dense_back, call_drop, call_map, call_norm, call_norm_back, call_slope


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
    PART = 9
    JOINT = 10


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


@njit(**INNER)
def dense_part(c, number, first, tile, S, work):
    """Compute a part of a dense layer's outputs, from its first on; a layer that is not cut is one part."""
    layer, A = words_at(c[Slot.TABLE] + ROW * number, COLUMNS), inputs_at(c, number, tile, work)
    I, O = layer[Column.INPUTS], min(layer[Column.PART], layer[Column.OUTPUTS] - first)
    p = c[Slot.THETA] + tile.itemsize * (layer[Column.START] + first * (I + 1))
    out = work[layer[Column.OUTPUT_AT] + first * S :].ctypes.data
    by_rows = c[Slot.BY_ROWS] if number == 0 else 0
    room = work[layer[Column.EXTRA_AT] :].ctypes.data
    call_dense(layer[Column.VALUE], (I, O, S, p, A, out, by_rows, layer[Column.PRODUCT], room))


@njit(**INNER)
def dense_part_back(c, number, first, tile, S, work, delta, gradient, add, before, turned):
    """Put or add the gradient of a part of a dense layer, and its share of the delta before the layer; 0 is neither."""
    layer, A = words_at(c[Slot.TABLE] + ROW * number, COLUMNS), inputs_at(c, number, tile, work)
    I, O = layer[Column.INPUTS], min(layer[Column.PART], layer[Column.OUTPUTS] - first)
    start = tile.itemsize * (layer[Column.START] + first * (I + 1))
    p, J, by_rows = c[Slot.THETA] + start, gradient + start, c[Slot.BY_ROWS]
    if not gradient:
        J = 0
    if number:
        by_rows = 0
    add_before = np.int64(first > 0)
    call_dense_back(
        layer[Column.SLOPE],
        (
            *(I, O, S, p, A, delta[first * S :].ctypes.data, J, add),
            *(before, add_before, turned, by_rows, layer[Column.PRODUCT], work[layer[Column.EXTRA_AT] :].ctypes.data),
        ),
    )


@njit(**ONCE)
def forward(c, number, tile, S, noisy, step, rows, work):
    """Run a layer over a tile; it leaves its output in work. Dropout takes part where noisy."""
    layer, A = words_at(c[Slot.TABLE] + ROW * number, COLUMNS), inputs_at(c, number, tile, work)
    h, I, kind = c[Slot.H] + 64 * number, layer[Column.INPUTS], layer[Column.KIND]
    at, extra = layer[Column.OUTPUT_AT], work[layer[Column.EXTRA_AT] :].ctypes.data
    out = work[at : at + layer[Column.OUTPUTS] * S]
    if kind == Kind.DENSE:
        for first in range(0, layer[Column.OUTPUTS], layer[Column.PART]):
            dense_part(c, number, first, tile, S, work)
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
        before_at = before.ctypes.data if number else 0
        for first in range(0, O, layer[Column.PART]):
            dense_part_back(c, number, first, tile, S, work, delta, gradient, add, before_at, turned)
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
