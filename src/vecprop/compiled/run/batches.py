"""The gradient of a whole batch if threads split the weights of some layers; `parallelism` says which these are.

All workers compute a split layer together, for the rows of all shards. Other layers are computed shard by shard: worker
w has the shards w, w + workers, and so on. There is one gradient of a split layer, in the first shard's. What other
workers write is read behind a barrier only; barriers are in the functions of split layers alone.

- Split by inputs: each worker multiplies some quarters of the inputs, Z = (W0ᵀ A0 + W1ᵀ A1) + (W2ᵀ A2 + [W3; b]ᵀ [A3;
  1]), and the shard's worker sums the parts in this order. In a first layer each worker reads its own columns alone.
- Split by columns: of a layer on sparse rows each worker computes the gradient of some quarters of the columns.
- Split by results: each worker computes some rows of each product: outputs in the forward pass, inputs in the backward
  pass and in the gradient. The weights that it packs serve the rows of all shards. Rows are shared in whole panels.

A layer reads its delta from one buffer of the shard, and a dense layer writes the delta before it to the other.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..gemm.packed import PANEL_ROWS, PIECE_ROWS, piece_depth
from ..jit import INNER, ONCE, calls
from ..jit.addresses import doubles_at, numbers_at, put_ones, words_at
from ..jit.fit_record import fit_at
from ..jit.machine_code import address_of
from ..jit.threads import BARRIER_WORDS, wait_for_all
from .parallelism import QUARTERS, WeightSplit, inputs_of, multiply_quarter, quarters_of, sum_quarters
from .tiles import (
    TILE_CONTENTS,
    LayerType,
    backward,
    expand_inputs,
    find_in_data,
    forward,
    gather_inputs,
    gather_targets,
    gather_weights,
    inputs_at,
    layer_at,
    loss_of_tile,
    scale_inputs,
)

# The rows of a shard, and its part of the memory that the record points to.


@njit(**ONCE)
def rows_of(c, rows, shard):
    """Return a shard's rows of a batch."""
    return rows[shard * rows.size // c.shards : (shard + 1) * rows.size // c.shards]


@njit(**ONCE)
def memory_of(c, address, shard, features, like):
    """Return a shard's part of the memory at an address, which has this number of features for each row of a tile."""
    count = features * c.tile_rows
    return numbers_at(address + shard * like.itemsize * count, count, like)


@njit(**ONCE)
def tile_of(c, shard, like):
    """Return a shard's inputs."""
    return memory_of(c, c.tile, shard, c.tile_features, like)


@njit(**ONCE)
def workspace_of(c, shard, like):
    """Return a shard's workspace, in which the worker of the same number packs matrices."""
    return numbers_at(c.workspace + shard * like.itemsize * c.workspace_size, c.workspace_size, like)


@njit(**ONCE)
def delta_of(c, shard, which, like):
    """Return one of the two deltas of a shard."""
    number = 2 * shard + which
    return numbers_at(c.deltas + number * like.itemsize * c.delta_size, c.delta_size, like)


@njit(**INNER)
def _layer_inputs(c, layer, shard, like):
    """Return the address of a layer's inputs of a shard."""
    return inputs_at(c, layer, tile_of(c, shard, like), workspace_of(c, shard, like))


# Layers that are split by inputs.


@njit(**ONCE)
def gather_own_inputs(c, worker, shard, places, like):
    """Gather the inputs in a worker's quarters, of the rows of a shard."""
    I, S, size, tile = c.inputs, places.size, like.itemsize, tile_of(c, shard, like)
    first, end = quarters_of(worker, c.workers)
    low, high = inputs_of(first, I), min(inputs_of(end, I), I)
    if c.training.expander:
        expand_inputs(c.training, places, low, high - low, np.int64(0), tile[low * S :])
    else:
        to = tile[low * S :].ctypes.data
        calls.gather(c.gather, (S, high - low, c.training.x + low * size, I * size, to, S * size, places.ctypes.data))
    scale_inputs(c.training, low, high - low, S, np.int64(0), tile[low * S :])


@njit(**ONCE)
def forward_by_inputs(c, layer, worker, rows, like):
    """Compute a layer's outputs: a worker's part is the products of its quarters, and the sums of its own shards."""
    row, barrier = layer_at(c, layer), words_at(c.barrier, BARRIER_WORDS)
    I, O, size, workers = row.inputs, row.outputs, like.itemsize, c.workers
    p, (first, end) = c.theta + row.start * size, quarters_of(worker, workers)
    if layer:
        wait_for_all(barrier, workers)  # the layer before has its outputs of all shards
    for shard in range(c.shards):
        S, workspace = rows_of(c, rows, shard).size, workspace_of(c, shard, like)
        A, products = _layer_inputs(c, layer, shard, like), workspace[row.extra_at :].ctypes.data
        if end == QUARTERS:
            put_ones(A + I * S * size, S, like)
        for quarter in range(first, end):
            multiply_quarter(row.product, quarter, (I, O, S), p, A, products, size)
    wait_for_all(barrier, workers)  # a shard has the products of all workers
    for shard in range(worker, c.shards, workers):
        S, workspace, at = rows_of(c, rows, shard).size, workspace_of(c, shard, like), row.output_at
        sum_quarters(workspace[row.extra_at :], workspace[at : at + O * S])


@njit(**ONCE)
def backward_by_inputs(c, layer, worker, rows, current, transposed, like):
    """Compute the gradient of a worker's quarters, and their part of the delta before the layer, from all shards."""
    row, barrier = layer_at(c, layer), words_at(c.barrier, BARRIER_WORDS)
    I, O, size, none = row.inputs, row.outputs, like.itemsize, np.int64(0)
    first, end = quarters_of(worker, c.workers)
    low, high = inputs_of(first, I), inputs_of(end, I)
    start = (row.start + low * O) * size
    wait_for_all(barrier, c.workers)  # the deltas of all shards are there
    for shard in range(c.shards):
        S, delta = rows_of(c, rows, shard).size, delta_of(c, shard, current, like).ctypes.data
        A = _layer_inputs(c, layer, shard, like) + low * S * size
        # The quarters are a dense layer of high - low features. Its last feature is taken for the ones of the biases.
        operands, add = (O, S, none, A, delta, c.gradients + start), np.int64(shard > 0)
        calls.dense_back(row.backward, (high - low - 1, *operands, add, none, transposed, none, row.product, none))
        if layer:
            before = delta_of(c, shard, 1 - current, like)[low * S :].ctypes.data
            operands = O, S, c.theta + start, A, delta, none, none, before
            calls.dense_back(row.backward, (min(high, I) - low, *operands, transposed, none, row.product, none))
    if layer:
        wait_for_all(barrier, c.workers)  # the layer before overwrites this delta, and reads all parts of its own


# Layers that are split by columns.


@njit(**ONCE)
def backward_by_columns(c, layer, worker, rows, current, transposed, like):
    """Compute the gradient of a worker's quarters of the columns, from the rows of all shards."""
    row, size = layer_at(c, layer), like.itemsize
    I, O, J = row.inputs, row.outputs, c.gradients + row.start * size
    first, end = quarters_of(worker, c.workers)
    low, high = inputs_of(first, I), inputs_of(end, I)
    wait_for_all(words_at(c.barrier, BARRIER_WORDS), c.workers)  # the rows and deltas of all shards are there
    for shard in range(c.shards):
        S, delta = rows_of(c, rows, shard).size, delta_of(c, shard, current, like).ctypes.data
        A, add = tile_of(c, shard, like).ctypes.data, np.int64(shard > 0)
        calls.columns(row.product, (low, high, I, O, S, A, delta, J, add, transposed))


# Layers that are split by results.


@njit(**INNER)
def _own_rows(count, worker, workers):
    """Return a worker's first row of a product's, and that of the next worker: whole panels."""
    panels = -(-count // PANEL_ROWS)
    return worker * panels // workers * PANEL_ROWS, min((worker + 1) * panels // workers * PANEL_ROWS, count)


@njit(**INNER)
def _packing_workspace(c, layer, worker, like):
    """Return the address where a worker may pack."""
    return workspace_of(c, worker, like)[layer_at(c, layer).extra_at :].ctypes.data


@njit(**INNER)
def _operands(c, layer, shard, current, back, like):
    """Return the addresses of a shard's operand and result of a product with weights: A and Z, or both deltas."""
    if back:
        return delta_of(c, shard, current, like).ctypes.data, delta_of(c, shard, 1 - current, like).ctypes.data
    at = layer_at(c, layer).output_at
    return _layer_inputs(c, layer, shard, like), workspace_of(c, shard, like)[at:].ctypes.data


@njit(**INNER)
def _multiply_weights(c, layer, worker, rows, current, back, like):
    """Compute a worker's rows of Z = [W; b]ᵀ [A; 1] or, in the backward pass, of before = W delta.

    A piece of the weights is packed for the first shard with rows, and serves the others: ``is_packed``.
    """
    row, size, workspace = layer_at(c, layer), like.itemsize, _packing_workspace(c, layer, worker, like)
    M, K, stride_m, stride_k = row.outputs, row.inputs + 1, size, row.outputs * size
    if back:
        M, K, stride_m, stride_k = row.inputs, row.outputs, stride_k, stride_m
    low, high = _own_rows(M, worker, c.workers)
    depth = piece_depth(K)
    for first in range(low, high, PIECE_ROWS):
        for k in range(0, K, depth):
            W, is_packed = c.theta + row.start * size + first * stride_m + k * stride_k, False
            for shard in range(c.shards):
                S, (right, out) = rows_of(c, rows, shard).size, _operands(c, layer, shard, current, back, like)
                sizes = min(PIECE_ROWS, high - first), S, min(depth, K - k)
                operands = W, stride_m, stride_k, right + k * S * size, S * size, size, out + first * S * size, S * size
                calls.packed(row.product, (*sizes, *operands, np.int64(k > 0), workspace, np.int64(is_packed)))
                is_packed = is_packed or S > 0


@njit(**ONCE)
def _put_gradient(c, layer, worker, rows, current, like):
    """Store a worker's rows of [J_W; J_b] = [A; 1] deltaᵀ, summed over shards, in the first shard's gradient."""
    row, size, workspace = layer_at(c, layer), like.itemsize, _packing_workspace(c, layer, worker, like)
    I, O = row.inputs, row.outputs
    low, high = _own_rows(I + 1, worker, c.workers)
    J = c.gradients + row.start * size
    for first in range(low, high, PIECE_ROWS):
        for shard in range(c.shards):
            S, delta = rows_of(c, rows, shard).size, delta_of(c, shard, current, like).ctypes.data
            sizes, A = (min(PIECE_ROWS, high - first), O, S), _layer_inputs(c, layer, shard, like)
            operands = A + first * S * size, S * size, size, delta, size, S * size, J + first * O * size, O * size
            calls.packed(row.product, (*sizes, *operands, np.int64(shard > 0), workspace, np.int64(0)))


@njit(**ONCE)
def forward_by_results(c, layer, worker, rows, like):
    """Compute a worker's share of a layer's outputs."""
    barrier = words_at(c.barrier, BARRIER_WORDS)
    I = layer_at(c, layer).inputs
    for shard in range(worker, c.shards, c.workers):
        S = rows_of(c, rows, shard).size
        put_ones(_layer_inputs(c, layer, shard, like) + I * S * like.itemsize, S, like)
    wait_for_all(barrier, c.workers)  # inputs and ones of all shards are there
    _multiply_weights(c, layer, worker, rows, np.int64(0), False, like)
    wait_for_all(barrier, c.workers)  # the next layer reads outputs of all workers


@njit(**ONCE)
def backward_by_results(c, layer, worker, rows, current, like):
    """Compute a worker's share of the delta before a layer and of the layer's gradient."""
    barrier = words_at(c.barrier, BARRIER_WORDS)
    wait_for_all(barrier, c.workers)  # the deltas of all shards are there
    if layer:
        _multiply_weights(c, layer, worker, rows, current, True, like)
    _put_gradient(c, layer, worker, rows, current, like)
    wait_for_all(barrier, c.workers)  # the layer before overwrites this delta, and reads all parts of its own


# Placeholders, filled in by `address_of`: the floating type, and the bytes of an element.
number: Any = float
size = 8


@njit(**ONCE)
def _gather(c, worker, rows, scale, like):
    """Gather the data of a worker's shards; if the first layer is split by inputs, its own inputs of all shards."""
    by_inputs = layer_at(c, 0).split == WeightSplit.INPUTS
    for shard in range(c.shards):
        own, some = shard % c.workers == worker, rows_of(c, rows, shard)
        if not (own or by_inputs):
            continue
        places = words_at(c.tile_places + 8 * worker * c.tile_rows, some.size)
        find_in_data(c.training, some, places)
        if by_inputs:
            gather_own_inputs(c, worker, shard, places, like)
        if not own:
            continue
        if not by_inputs:
            gather_inputs(c, c.training, places, tile_of(c, shard, like))
        gather_targets(c, c.training, places, memory_of(c, c.targets, shard, c.outputs, like))
        gather_weights(c.training, places, scale, memory_of(c, c.row_weights, shard, 1, like))


def gradient_of_batch(context, worker, rows_address, B, scale, step):
    """Store each shard's Σ scale weight ℓ in partial_losses, and gradients, of split layers in the first shard's."""
    c, rows = fit_at(context), words_at(rows_address, B)
    workers, shards, noisy = c.workers, c.shards, step >= 0
    theta, partial = numbers_at(c.theta, c.p, number(0)), doubles_at(c.partial_losses, shards)
    transposed = c.transposed + worker * size * c.delta_size
    words_at(c.tile_contents + TILE_CONTENTS * worker, 1)[0] = 0  # a full batch of `tiles` is overwritten here
    _gather(c, worker, rows, scale, theta)
    for layer in range(c.layers):
        row = layer_at(c, layer)
        if row.split == WeightSplit.INPUTS:
            forward_by_inputs(c, layer, worker, rows, theta)
        elif row.split == WeightSplit.RESULTS:
            forward_by_results(c, layer, worker, rows, theta)
        else:
            for shard in range(worker, shards, workers):
                some, tile, workspace = rows_of(c, rows, shard), tile_of(c, shard, theta), workspace_of(c, shard, theta)
                forward(c, layer, tile, some.size, noisy, step, some, workspace)
    current = np.int64(0)
    for shard in range(worker, shards, workers):
        targets = memory_of(c, c.targets, shard, c.outputs, theta)
        weights, losses = memory_of(c, c.row_weights, shard, 1, theta), memory_of(c, c.row_losses, shard, 1, theta)
        workspace, delta = workspace_of(c, shard, theta), delta_of(c, shard, current, theta)
        S = rows_of(c, rows, shard).size
        partial[shard] = loss_of_tile(c, S, S, workspace, targets, weights, delta, losses)
    for layer in range(c.layers - 1, -1, -1):
        row = layer_at(c, layer)
        if row.split == WeightSplit.INPUTS:
            backward_by_inputs(c, layer, worker, rows, current, transposed, theta)
        elif row.split == WeightSplit.COLUMNS:
            backward_by_columns(c, layer, worker, rows, current, transposed, theta)
        elif row.split == WeightSplit.RESULTS:
            backward_by_results(c, layer, worker, rows, current, theta)
        else:
            for shard in range(worker, shards, workers):
                S, tile = rows_of(c, rows, shard).size, tile_of(c, shard, theta)
                workspace = workspace_of(c, shard, theta)
                delta, before = delta_of(c, shard, current, theta), delta_of(c, shard, 1 - current, theta)
                gradient = c.gradients + shard * size * c.p
                backward(c, layer, tile, S, noisy, workspace, delta, before, transposed, gradient, np.int64(0))
        if row.type == LayerType.DENSE:
            current = 1 - current


@cache
def batch_address(F: type) -> int:
    """Return the address of `gradient_of_batch` for numbers of type F; see `calls.batch`."""
    return address_of(gradient_of_batch, F, signature=types.void(*[types.intp] * 4, types.float64, types.intp))
