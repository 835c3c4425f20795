"""A network as a table of numbers, one row a layer, and its layers forward and back over a tile.

So one compilation serves every width, depth and choice of activation. A tile holds features × rows, with the rows as
the fast axis: what is elementwise, the softmax and the normalization all run along contiguous rows.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from ..jit.arrays import copy, numbers_at, put_ones, record_at
from ..jit.calls import call_dense, call_dense_back, call_derivative, call_drop, call_map, call_norm, call_norm_back
from ..jit.options import INNER, ONCE
from .quarters import multiply_quarter, sum_quarters
from .sharing import QUARTERS, Sharing

LAYER = np.dtype(
    [
        ("kind", np.int64),  # see `Kind`
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("start", np.int64),  # of its parameters in theta
        ("product", np.int64),  # addresses of what it calls
        ("value", np.int64),
        ("derivative", np.int64),
        ("output_at", np.int64),  # where its output is in a tile's work, and what it keeps beside it
        ("extra_at", np.int64),
        ("sharing", np.int64),  # see `sharing.Sharing`
    ],
    align=True,
)
"""A layer, as a row of a network's table."""

_at = record_at(LAYER)
SIZE = LAYER.itemsize


class Kind(IntEnum):
    """The kinds of layers."""

    DENSE = 0
    ACTIVATION = 1
    DROPOUT = 2
    LAYER_NORM = 3


@njit(**INNER)
def layer_at(c, number):
    """Return a layer's row of the network's table."""
    return _at(c.table + SIZE * number)


@njit(**INNER)
def inputs_at(c, number, tile, work):
    """Return where a layer's inputs are: what the layer before it has left in work, or the tile.

    Those of the layer after the last are the network's outputs.
    """
    if number == 0:
        return tile.ctypes.data
    return work[layer_at(c, number - 1).output_at :].ctypes.data


@njit(**ONCE)
def forward(c, number, tile, S, noisy, step, rows, work):
    """Run a layer over a tile; it leaves its output in work. Dropout takes part where noisy."""
    layer, A = layer_at(c, number), inputs_at(c, number, tile, work)
    h, I, kind = c.h + 64 * number, layer.inputs, layer.kind
    at, extra = layer.output_at, work[layer.extra_at :].ctypes.data
    out = work[at : at + layer.outputs * S]
    if kind == Kind.DENSE:
        O, p = layer.outputs, c.theta + tile.itemsize * layer.start
        by_rows = c.by_rows if number == 0 else 0
        if layer.sharing == Sharing.BY_INPUTS:  # as it is computed together
            put_ones(A + I * S * tile.itemsize, S, tile)
            for quarter in range(QUARTERS):
                multiply_quarter(layer.product, quarter, (I, O, S), p, A, extra, tile.itemsize)
            sum_quarters(work[layer.extra_at :], out)
        else:
            call_dense(layer.value, (I, O, S, p, A, out.ctypes.data, by_rows, layer.product, extra))
    elif kind == Kind.ACTIVATION:
        call_map(layer.value, (I * S, A, out.ctypes.data, h))
    elif kind == Kind.LAYER_NORM:
        p = c.theta + tile.itemsize * layer.start
        call_norm(layer.value, (I, S, p, A, extra, out.ctypes.data, h))
    elif noisy:
        mask, seed = extra, c.seed
        call_drop(
            layer.value,
            (I, S, A, out.ctypes.data, mask, rows.ctypes.data, h, seed, step, number),
        )
    else:
        copy(numbers_at(A, I * S, tile), out)


@njit(**ONCE)
def backward(c, number, tile, S, noisy, work, delta, before, turned, gradient, add):
    """Run a layer backwards: put or add its gradient, and turn delta into that before the layer.

    A dense layer puts that one into another buffer, unless it is the first: nothing asks for the inputs' own.
    """
    layer, A = layer_at(c, number), inputs_at(c, number, tile, work)
    h, I, O, kind = c.h + 64 * number, layer.inputs, layer.outputs, layer.kind
    extra = work[layer.extra_at :]
    if kind == Kind.DENSE:
        start = tile.itemsize * layer.start
        by_rows, before_at = (0, before.ctypes.data) if number else (c.by_rows, 0)
        operands = c.theta + start, A, delta.ctypes.data, gradient + start, add, before_at, turned
        call_dense_back(layer.derivative, (I, O, S, *operands, by_rows, layer.product, extra.ctypes.data))
    elif kind == Kind.ACTIVATION:
        out = work[layer.output_at :].ctypes.data
        call_derivative(layer.derivative, (O * S, A, out, delta.ctypes.data, h))
    elif kind == Kind.LAYER_NORM:
        start = tile.itemsize * layer.start
        call_norm_back(
            layer.derivative,
            (I, S, c.theta + start, extra.ctypes.data, delta.ctypes.data, gradient + start, add),
        )
    elif noisy:
        for i in range(I * S):
            delta[i] *= extra[i]
