"""Large layers, of which each worker has a share of the outputs or inputs for the rows of all shards.

So what it packs of the weights serves all rows, and there is one gradient instead of one a shard. See `sharing`.
"""

import numpy as np
from numba import njit

from ..gemm.packed import PANEL_ROWS, PIECE_ROWS, piece_depth
from ..jit.arrays import put_ones, words_at
from ..jit.barrier import BARRIER_WORDS, wait_for_all
from ..jit.calls import call_packed
from ..jit.options import INNER, ONCE
from .layers import inputs_at, layer_at
from .shards import delta_of, rows_of, tile_of, work_of


@njit(**INNER)
def _share(count, worker, workers):
    """Return a worker's share of so many outputs or inputs: whole panels, as they are packed."""
    panels = -(-count // PANEL_ROWS)
    return worker * panels // workers * PANEL_ROWS, min((worker + 1) * panels // workers * PANEL_ROWS, count)


@njit(**INNER)
def _inputs(c, layer, shard, like):
    """Return where the inputs of a layer are for a shard."""
    return inputs_at(c, layer, tile_of(c, shard, like), work_of(c, shard, like))


@njit(**INNER)
def _room(c, layer, worker, like):
    """Return where a worker may pack."""
    return work_of(c, worker, like)[layer_at(c, layer).extra_at :].ctypes.data


@njit(**INNER)
def _operands(c, layer, shard, here, back, like):
    """Return what of a shard is multiplied with a layer's weights, and where that goes: A and Z, or both deltas."""
    if back:
        return delta_of(c, shard, here, like).ctypes.data, delta_of(c, shard, 1 - here, like).ctypes.data
    at = layer_at(c, layer).output_at
    return _inputs(c, layer, shard, like), work_of(c, shard, like)[at:].ctypes.data


@njit(**INNER)
def _multiply_weights(c, layer, worker, rows, here, back, like):
    """Put a worker's share of [W; b]ᵀ [A; 1] into Z or, on the way back, of W delta into the delta before."""
    row, one, room = layer_at(c, layer), like.itemsize, _room(c, layer, worker, like)
    M, K, step_m, step_k = row.outputs, row.inputs + 1, one, row.outputs * one
    if back:
        M, K, step_m, step_k = row.inputs, row.outputs, step_k, step_m
    low, high = _share(M, worker, c.workers)
    depth = piece_depth(K)
    for first in range(low, high, PIECE_ROWS):
        for k in range(0, K, depth):
            W, kept = c.theta + row.start * one + first * step_m + k * step_k, False
            for shard in range(c.shards):
                S, (right, out) = rows_of(c, rows, shard).size, _operands(c, layer, shard, here, back, like)
                sizes = min(PIECE_ROWS, high - first), S, min(depth, K - k)
                operands = W, step_m, step_k, right + k * S * one, S * one, one, out + first * S * one, S * one
                call_packed(row.product, (*sizes, *operands, np.int64(k > 0), room, np.int64(kept)))
                kept = kept or S > 0


@njit(**ONCE)
def _put_gradient(c, layer, worker, rows, here, like):
    """Put a worker's share of [J_W; J_b] = [A; 1] deltaᵀ into the first shard's gradient."""
    row, one, room = layer_at(c, layer), like.itemsize, _room(c, layer, worker, like)
    I, O = row.inputs, row.outputs
    low, high = _share(I + 1, worker, c.workers)
    J = c.gradients + row.start * one
    for first in range(low, high, PIECE_ROWS):
        for shard in range(c.shards):
            S, delta = rows_of(c, rows, shard).size, delta_of(c, shard, here, like).ctypes.data
            sizes, A = (min(PIECE_ROWS, high - first), O, S), _inputs(c, layer, shard, like)
            operands = A + first * S * one, S * one, one, delta, one, S * one, J + first * O * one, O * one
            call_packed(row.product, (*sizes, *operands, np.int64(shard > 0), room, np.int64(0)))


@njit(**ONCE)
def forward_together(c, layer, worker, rows, like):
    """Compute a worker's share of a layer's outputs; all wait for all."""
    barrier = words_at(c.barrier, BARRIER_WORDS)
    I = layer_at(c, layer).inputs
    for shard in range(worker, c.shards, c.workers):
        S = rows_of(c, rows, shard).size
        put_ones(_inputs(c, layer, shard, like) + I * S * like.itemsize, S, like)
    wait_for_all(barrier, c.workers)
    _multiply_weights(c, layer, worker, rows, np.int64(0), False, like)
    wait_for_all(barrier, c.workers)


@njit(**ONCE)
def backward_together(c, layer, worker, rows, here, like):
    """Find a worker's share of the delta before a layer and of the layer's gradient; all wait for all."""
    barrier = words_at(c.barrier, BARRIER_WORDS)
    wait_for_all(barrier, c.workers)
    if layer:
        _multiply_weights(c, layer, worker, rows, here, True, like)
    _put_gradient(c, layer, worker, rows, here, like)
    wait_for_all(barrier, c.workers)
