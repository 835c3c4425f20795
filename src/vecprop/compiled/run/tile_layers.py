"""A network as a table of numbers, one row for each layer, and the forward and backward pass of a layer over a tile.

One compilation serves every width, depth and choice of activation. A tile holds features x rows, with the rows as
the fast axis: elementwise formulas, the softmax and the normalization all run along contiguous rows. The workspace of a
tile has each layer's output, and behind it what the layer keeps for the backward pass::

      workspace, in features (each of ``tile_rows`` numbers)
      +-----------+---------------+-------+---------------+---------------+-----------------+----
      | to pack   | Dense: O      | ones  | Dropout: I    | ones  | mask  | LayerNorm: I    | ...
      +-----------+---------------+-------+---------------+---------------+-----------------+----
                    ^                                               ^
                    output_at of layer 0                            extra_at of layer 1

The ones behind an output are the feature whose weights are the biases, in case the next layer is dense.
"""

from enum import IntEnum

import numpy as np
from numba import njit

from ..jit.arrays import copy, numbers_at, part, put_ones, record_at
from ..jit.calls import call_dense, call_dense_back, call_derivative, call_drop, call_map, call_norm, call_norm_back
from ..jit.numba_options import INNER, ONCE
from ..lower.formulas import H_SIZE
from .parallelism import QUARTERS, WeightSplit, multiply_quarter, sum_quarters

LAYER = np.dtype(
    [
        ("type", np.int64),  # see `LayerType`
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("start", np.int64),  # of its parameters in theta
        ("product", np.int64),  # addresses: the product that a dense layer calls, the layer forward and back
        ("forward", np.int64),
        ("backward", np.int64),
        ("output_at", np.int64),  # offsets in the workspace: its output, and what it keeps beside it
        ("extra_at", np.int64),
        ("split", np.int64),  # see `parallelism.WeightSplit`
    ],
    align=True,
)
"""A row of a network's table: one layer."""

H_BYTES = 8 * H_SIZE
"""The bytes of a layer's hyperparameters, the vector h of `formulas.hyperparameters`."""

_row_at = record_at(LAYER)
_ROW_BYTES = LAYER.itemsize


class LayerType(IntEnum):
    """The types of layers."""

    DENSE = 0
    ACTIVATION = 1
    DROPOUT = 2
    LAYER_NORM = 3


@njit(**INNER)
def layer_at(c, number):
    """Return a layer's row of the network's table."""
    return _row_at(c.table + _ROW_BYTES * number)


@njit(**INNER)
def inputs_at(c, number, tile, workspace):
    """Return the address of a layer's inputs: the output of the layer before it, or the tile.

    The inputs of the layer after the last are the network's outputs.
    """
    if number == 0:
        return tile.ctypes.data
    return workspace.ctypes.data + workspace.itemsize * layer_at(c, number - 1).output_at


@njit(**ONCE)
def forward(c, number, tile, S, noisy, step, rows, workspace):
    """Compute a layer's output over a tile, in the workspace. Dropout drops only if ``noisy``."""
    layer, A = layer_at(c, number), inputs_at(c, number, tile, workspace)
    h, I, type = c.h + H_BYTES * number, layer.inputs, layer.type
    at, extra = layer.output_at, workspace.ctypes.data + workspace.itemsize * layer.extra_at
    out = part(workspace, at, at + layer.outputs * S)
    if type == LayerType.DENSE:
        O, p = layer.outputs, c.theta + tile.itemsize * layer.start
        by_rows = c.by_rows if number == 0 else 0
        if layer.split == WeightSplit.INPUTS:  # the order of sums is that of `model_parallel`, so the bits are too
            put_ones(A + I * S * tile.itemsize, S, tile)
            for quarter in range(QUARTERS):
                multiply_quarter(layer.product, quarter, (I, O, S), p, A, extra, tile.itemsize)
            sum_quarters(part(workspace, layer.extra_at, workspace.size), out)
        else:
            call_dense(layer.forward, (I, O, S, p, A, out.ctypes.data, by_rows, layer.product, extra))
    elif type == LayerType.ACTIVATION:
        call_map(layer.forward, (I * S, A, out.ctypes.data, h))
    elif type == LayerType.LAYER_NORM:
        p = c.theta + tile.itemsize * layer.start
        call_norm(layer.forward, (I, S, p, A, extra, out.ctypes.data, h))
    elif noisy:
        mask, seed = extra, c.seed
        # Rows that have numbers of their own lie in the record's list of all rows.
        numbers = rows.ctypes.data + (c.numbers - c.all_rows if c.numbers else np.int64(0))
        call_drop(
            layer.forward,
            (I, S, A, out.ctypes.data, mask, numbers, h, seed, step, number),
        )
    else:
        copy(numbers_at(A, I * S, tile), out)


@njit(**ONCE)
def backward(c, number, tile, S, noisy, workspace, delta, before, transposed, gradient, add):
    """Store or add a layer's gradient, and turn its delta into the delta of the layer before it.

    A dense layer writes the delta before it into another buffer, or not at all if it is the first: the gradient of the
    network's inputs is not needed.
    """
    layer, A = layer_at(c, number), inputs_at(c, number, tile, workspace)
    h, I, O, type = c.h + H_BYTES * number, layer.inputs, layer.outputs, layer.type
    extra = part(workspace, layer.extra_at, workspace.size)
    if type == LayerType.DENSE:
        start = tile.itemsize * layer.start
        by_rows, before_at = (0, before.ctypes.data) if number else (c.by_rows, 0)
        operands = c.theta + start, A, delta.ctypes.data, gradient + start, add, before_at, transposed
        call_dense_back(layer.backward, (I, O, S, *operands, by_rows, layer.product, extra.ctypes.data))
    elif type == LayerType.ACTIVATION:
        out = workspace.ctypes.data + workspace.itemsize * layer.output_at
        call_derivative(layer.backward, (O * S, A, out, delta.ctypes.data, h))
    elif type == LayerType.LAYER_NORM:
        start = tile.itemsize * layer.start
        call_norm_back(
            layer.backward,
            (I, S, c.theta + start, extra.ctypes.data, delta.ctypes.data, gradient + start, add),
        )
    elif noisy:
        for i in range(I * S):
            delta[i] *= extra[i]
