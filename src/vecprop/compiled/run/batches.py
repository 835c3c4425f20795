"""The gradient of a batch if threads split the weights of some layers; `parallelism` decides which layers are split.

All workers compute a split layer together, for the rows of all shards. Other layers are
computed shard by shard: worker w computes the shards w, w + workers, and so on. A split
layer has a single gradient, stored with the first shard. Workers read results of other
workers only after a barrier; only the functions of split layers contain barriers.

- Split by inputs: each worker multiplies several quarters of the inputs, and the
  shard's worker sums the parts in the order Z = (W0ᵀ A0 + W1ᵀ A1) + (W2ᵀ A2 + [W3; b]ᵀ
  [A3; 1]). In a first layer, each worker reads only its columns.
- Split by columns: each worker computes the gradient of several quarters of the columns
  of a layer on sparse rows.
- Split by results: each worker computes several rows of each product: outputs in the
  forward pass, inputs in the backward pass and in the gradient. It packs its weights
  once for all shards. Rows are divided into whole panels.

A layer reads its delta from one buffer of the shard. A dense layer writes the preceding
layer's delta to the other.
"""

from functools import cache
from typing import Any

import numpy as np

from ..gemm.packed import PANEL_ROWS, PIECE_ROWS, piece_depth
from ..jit import calls, inner
from ..jit.addresses import doubles_at, numbers_at, put_ones, words_at
from ..jit.fit_record import fit_at
from ..jit.machine_code import address_of, addresses_of
from ..jit.threads import wait_for_all
from ..jit.tracing import larger, portion, smaller
from .parallelism import (
    QUARTERS,
    WeightSplit,
    inputs_of,
    multiply_quarter,
    quarters_of,
    sum_quarters,
)
from .tiles import (
    TILE_CONTENTS,
    backward,
    delta_of,
    find_rows,
    forward,
    gather_inputs,
    gather_targets,
    inputs_at,
    layer_at,
    tile_of,
    transposed_of,
    workspace_of,
)

# The rows of a shard, and the addresses of its memory.


@inner
def _first_row(c, B, shard):
    """Return the first row of a shard in a batch of B rows."""
    return portion(B, shard, c.shards)


@inner
def _rows(c, B, shard):
    """Return the number of rows of a shard in a batch of B rows."""
    return _first_row(c, B, shard + 1) - _first_row(c, B, shard)


@inner
def _layer_inputs(c, layer, shard):
    """Return the address of a layer's inputs in a shard."""
    return inputs_at(c, layer, shard, tile_of(c, shard))


# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8

# Layers that are split by inputs.


def forward_by_inputs(context, layer, worker, B):
    """Compute a layer's outputs: each worker multiplies its quarters and sums the products of its shards."""
    c = fit_at(context)
    zero = number(0)
    row = layer_at(c.table, layer)
    I, O, workers = row.inputs, row.outputs, c.workers
    p = c.theta + row.start
    first, end = quarters_of(worker, workers)
    if layer:
        # the outputs of the preceding layer are complete
        wait_for_all(c)
    for shard in range(c.shards):
        S = _rows(c, B, shard)
        A = _layer_inputs(c, layer, shard)
        if end == QUARTERS:
            put_ones(A + I * S * size, S, zero)
        for quarter in range(first, end):
            products = workspace_of(c, shard) + row.extra_at
            multiply_quarter(row.product, quarter, I, O, S, p, A, products, size)
    wait_for_all(c)  # the products of all workers are complete
    for shard in range(worker, c.shards, workers):
        count = O * _rows(c, B, shard)
        workspace = workspace_of(c, shard)
        products = numbers_at(workspace + row.extra_at, QUARTERS * count, zero)
        sum_quarters(products, numbers_at(workspace + row.output_at, count, zero))


def backward_by_inputs(context, layer, worker, B, current):
    """Compute a worker's quarters of the gradient and of the preceding layer's delta, for all shards."""
    c = fit_at(context)
    none = np.int64(0)
    row = layer_at(c.table, layer)
    transposed = transposed_of(c, worker)
    I = row.inputs
    O = row.outputs
    first, end = quarters_of(worker, c.workers)
    low = inputs_of(first, I)
    high = inputs_of(end, I)
    p = c.theta + row.start + low * O * size
    J = c.gradients + row.start + low * O * size
    wait_for_all(c)  # the deltas of all shards are complete
    for shard in range(c.shards):
        S = _rows(c, B, shard)
        delta = delta_of(c, shard, current)
        A = _layer_inputs(c, layer, shard) + low * S * size
        # Treat the quarters as a dense layer of high - low features, whose last feature
        # takes the role of the ones.
        operands = (O, S, p, A, delta)
        add = np.int64(shard > 0)
        unused = (none, none, none)
        scratch = transposed, none, row.product, none
        calls.backward(
            row.backward, (high - low - 1, *operands, J, add, *unused, none, *scratch)
        )
        if layer:
            before = delta_of(c, shard, 1 - current) + low * S * size
            calls.backward(
                row.backward,
                (
                    smaller(high, I) - low,
                    *operands,
                    none,
                    none,
                    *unused,
                    before,
                    *scratch,
                ),
            )
    if layer:
        # the preceding layer overwrites this delta and reads its whole delta
        wait_for_all(c)


def backward_by_columns(context, layer, worker, B, current):
    """Compute the gradient of a worker's columns, from the rows of all shards."""
    c = fit_at(context)
    row = layer_at(c.table, layer)
    transposed = transposed_of(c, worker)
    I = row.inputs
    O = row.outputs
    J = c.gradients + row.start
    first, end = quarters_of(worker, c.workers)
    low = inputs_of(first, I)
    high = inputs_of(end, I)
    # the rows and deltas of all shards are complete
    wait_for_all(c)
    for shard in range(c.shards):
        S = _rows(c, B, shard)
        delta = delta_of(c, shard, current)
        add = np.int64(shard > 0)
        calls.columns(
            row.product,
            (low, high, I, O, S, tile_of(c, shard), delta, J, add, transposed),
        )


# Layers that are split by results.


@inner
def _own_rows(count, worker, workers):
    """Return the first row of a worker and of the next worker in a product; rows are divided into whole panels."""
    panels = -(-count // PANEL_ROWS)
    return worker * panels // workers * PANEL_ROWS, smaller(
        (worker + 1) * panels // workers * PANEL_ROWS, count
    )


@inner
def _multiply_weights(c, layer, worker, B, current, back, size):
    """Compute a worker's rows of Z = [W; b]ᵀ [A; 1] or, in the backward pass, of ``before`` = W delta.

    Each piece of the weights is packed for the first shard that has rows, and reused
    for the others.
    """
    row = layer_at(c.table, layer)
    workspace = workspace_of(c, worker) + row.extra_at
    M = row.outputs
    K = row.inputs + 1
    stride_m = np.int64(size)
    stride_k = row.outputs * size
    if back:
        M, K, stride_m, stride_k = row.inputs, row.outputs, stride_k, stride_m
    low, high = _own_rows(M, worker, c.workers)
    depth = piece_depth(K)
    for first in range(low, high, PIECE_ROWS):
        for k in range(0, K, depth):
            W = c.theta + row.start + first * stride_m + k * stride_k
            is_packed = np.int64(0)
            for shard in range(c.shards):
                right = delta_of(c, shard, current)
                out = delta_of(c, shard, 1 - current)
                if not back:
                    right = _layer_inputs(c, layer, shard)
                    out = workspace_of(c, shard) + row.output_at
                S = _rows(c, B, shard)
                row_bytes = S * size
                calls.packed(
                    row.product,
                    (
                        smaller(PIECE_ROWS, high - first),
                        S,
                        smaller(depth, K - k),
                        W,
                        stride_m,
                        stride_k,
                        right + k * row_bytes,
                        row_bytes,
                        np.int64(size),
                        out + first * row_bytes,
                        row_bytes,
                        np.int64(k > 0),
                        workspace,
                        is_packed,
                    ),
                )
                is_packed = larger(is_packed, np.int64(S > 0))


def forward_by_results(context, layer, worker, B):
    """Compute a worker's share of a layer's outputs."""
    c = fit_at(context)
    I = layer_at(fit_at(context).table, layer).inputs
    for shard in range(worker, c.shards, c.workers):
        S = _rows(c, B, shard)
        put_ones(_layer_inputs(c, layer, shard) + I * S * size, S, number(0))
    wait_for_all(c)  # inputs and ones of all shards are complete
    _multiply_weights(c, layer, worker, B, np.int64(0), False, size)
    wait_for_all(c)  # the next layer reads outputs of all workers


def backward_by_results(context, layer, worker, B, current):
    """Compute a worker's share of the preceding layer's delta and of the gradient [J_W; J_b] = [A; 1] deltaᵀ."""
    c = fit_at(context)
    row = layer_at(c.table, layer)
    O = row.outputs
    J = c.gradients + row.start
    workspace = workspace_of(c, worker) + row.extra_at
    wait_for_all(c)  # the deltas of all shards are complete
    if layer:
        _multiply_weights(c, layer, worker, B, current, True, size)
    low, high = _own_rows(row.inputs + 1, worker, c.workers)
    for first in range(low, high, PIECE_ROWS):
        for shard in range(c.shards):
            S = _rows(c, B, shard)
            delta = delta_of(c, shard, current)
            item = np.int64(size)
            A = _layer_inputs(c, layer, shard) + first * S * size
            calls.packed(
                row.product,
                (
                    smaller(PIECE_ROWS, high - first),
                    O,
                    S,
                    A,
                    S * size,
                    item,
                    delta,
                    item,
                    S * size,
                    J + first * O * size,
                    O * size,
                    np.int64(shard > 0),
                    workspace,
                    np.int64(0),
                ),
            )
    # the preceding layer overwrites this delta and reads its whole delta
    wait_for_all(c)


# All layers.


def gradient_of_batch(context, worker, rows_address, B, scale: float, step):
    """Store the gradients, and Σ scale weight ℓ of each shard in partial_losses; see the module's docstring."""
    c = fit_at(context)
    zero = number(0)
    workers, shards, data, I = c.workers, c.shards, c.training, c.inputs
    partial = doubles_at(c.partial_losses, shards)
    transposed = transposed_of(c, worker)
    # the tile is overwritten
    words_at(c.tile_contents + TILE_CONTENTS * worker, 1)[0] = 0
    # A worker gathers the data of its shards or, if the first layer is split by inputs,
    # its inputs of all shards.
    low = np.int64(0)
    high = I
    by_inputs = layer_at(c.table, 0).split == WeightSplit.INPUTS
    if by_inputs:
        first, end = quarters_of(worker, workers)
        low = inputs_of(first, I)
        high = smaller(inputs_of(end, I), I)
    for shard in range(shards):
        is_worker_shard = shard % workers == worker
        first_row = _first_row(c, B, shard)
        S = _rows(c, B, shard)
        if is_worker_shard or by_inputs:
            indices = c.tile_places + 8 * worker * c.tile_rows
            O = c.outputs
            tile_offset = shard * size * c.tile_rows
            weights = c.row_weights + tile_offset  # the same from each worker
            find_rows(
                data, rows_address + 8 * first_row, S, scale, indices, S, weights, zero
            )
            gather_inputs(c, data, indices, S, low, high - low, tile_of(c, shard), size)
            if is_worker_shard:
                gather_targets(
                    c, data, indices, S, c.targets + tile_offset * O, size, zero
                )
    for layer in range(c.layers):
        if layer_at(c.table, layer).forward_of_all:
            calls.forward_of_all(
                layer_at(c.table, layer).forward_of_all, (context, layer, worker, B)
            )
        else:
            for shard in range(worker, shards, workers):
                S = _rows(c, B, shard)
                rows = rows_address + 8 * _first_row(c, B, shard)
                forward(c, layer, shard, tile_of(c, shard), S, step, rows)
    current = np.int64(0)
    for shard in range(worker, shards, workers):
        S = _rows(c, B, shard)
        Z = _layer_inputs(c, c.layers, shard)
        first_row = shard * size * c.tile_rows
        targets = c.targets + first_row * c.outputs
        weights = c.row_weights + first_row
        delta = delta_of(c, shard, current)
        losses = c.row_losses + first_row
        operands = S, c.outputs, S, Z, targets, weights, delta, losses, c.loss_h
        partial[shard] = calls.loss(c.loss, operands)
    for layer in range(c.layers - 1, -1, -1):
        row = layer_at(c.table, layer)
        if row.backward_of_all:
            calls.backward_of_all(
                row.backward_of_all, (context, layer, worker, B, current)
            )
        else:
            for shard in range(worker, shards, workers):
                S = _rows(c, B, shard)
                J = c.gradients + shard * size * c.p
                tile = tile_of(c, shard)
                add = np.int64(0)
                backward(c, layer, shard, transposed, tile, S, step, current, J, add)
        if row.is_dense:
            current = 1 - current


batch_address = addresses_of(gradient_of_batch)


@cache
def split_addresses(split: WeightSplit, F: type) -> tuple[int, int]:
    """Return the addresses of a split layer's two functions, or 0 for a missing one; see `calls.forward_of_all`."""
    forward, back = {
        WeightSplit.INPUTS: (forward_by_inputs, backward_by_inputs),
        WeightSplit.COLUMNS: (None, backward_by_columns),
        WeightSplit.RESULTS: (forward_by_results, backward_by_results),
    }[split]
    return address_of(forward, F) if forward else 0, address_of(back, F)
