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
from ..jit import calls, inlined, inner
from ..jit.addresses import doubles_at, numbers_at, put_ones, words_at
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
def _first_row(fit, B, shard):
    """Return the first row of a shard in a batch of B rows."""
    return portion(B, shard, fit.shards)


@inner
def _rows(fit, B, shard):
    """Return the number of rows of a shard in a batch of B rows."""
    return _first_row(fit, B, shard + 1) - _first_row(fit, B, shard)


@inner
def _layer_inputs(fit, layer, shard):
    """Return the address of a layer's inputs in a shard."""
    return inputs_at(fit, layer, shard, tile_of(fit, shard))


# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8

# Layers that are split by inputs.


def forward_by_inputs(fit, layer, worker, B):
    """Compute a layer's outputs: each worker multiplies its quarters of the inputs and sums its shards' products."""
    row = layer_at(fit.table, layer)
    I = row.inputs
    O = row.outputs
    p = fit.theta + row.start
    first, end = quarters_of(worker, fit.workers)
    if layer:
        # the outputs of the preceding layer are complete
        wait_for_all(fit)
    for shard in range(fit.shards):
        S = _rows(fit, B, shard)
        A = _layer_inputs(fit, layer, shard)
        products = workspace_of(fit, shard) + row.extra_at
        if end == QUARTERS:
            put_ones(A + I * S * size, S, number(1))
        for quarter in range(first, end):
            multiply_quarter(row.product, quarter, I, O, S, p, A, products, size)
    wait_for_all(fit)  # the products of all workers are complete
    for shard in range(worker, fit.shards, fit.workers):
        count = O * _rows(fit, B, shard)
        workspace = workspace_of(fit, shard)
        products = numbers_at(workspace + row.extra_at, QUARTERS * count, number)
        Z = numbers_at(workspace + row.output_at, count, number)
        sum_quarters(products, Z)


@inlined
def _backward(row, I, O, S, p, A, delta, J, add, before, transposed):
    """Compute J = [A; 1] deltaᵀ and ``before`` = W delta for I inputs of a dense layer; skip results with address 0."""
    calls.backward(
        row.backward,
        I,
        O,
        S,
        p,
        A,
        delta,
        J,
        add,
        Z=0,
        h=0,
        extra=0,
        before=before,
        transposed=transposed,
        by_rows=0,
        product=row.product,
        step=0,
    )


def backward_by_inputs(fit, layer, worker, B, current):
    """Compute a worker's quarters of the gradient and of the preceding layer's delta, for all shards."""
    row = layer_at(fit.table, layer)
    transposed = transposed_of(fit, worker)
    I = row.inputs
    O = row.outputs
    first, end = quarters_of(worker, fit.workers)
    low = inputs_of(first, I)
    high = inputs_of(end, I)
    p = fit.theta + row.start + low * O * size
    J = fit.gradients + row.start + low * O * size
    wait_for_all(fit)  # the deltas of all shards are complete
    for shard in range(fit.shards):
        S = _rows(fit, B, shard)
        delta = delta_of(fit, shard, current)
        A = _layer_inputs(fit, layer, shard) + low * S * size
        # the last feature takes the role of the ones
        features = high - low - 1
        add = shard > 0
        _backward(row, features, O, S, p, A, delta, J, add, 0, transposed)
        if layer:
            before = delta_of(fit, shard, 1 - current) + low * S * size
            features = smaller(high, I) - low
            _backward(row, features, O, S, p, A, delta, 0, False, before, transposed)
    if layer:
        # the preceding layer overwrites this delta and reads its whole delta
        wait_for_all(fit)


def backward_by_columns(fit, layer, worker, B, current):
    """Compute the gradient of a worker's columns of a sparse layer, from the rows of all shards."""
    row = layer_at(fit.table, layer)
    I = row.inputs
    first, end = quarters_of(worker, fit.workers)
    # the rows and deltas of all shards are complete
    wait_for_all(fit)
    for shard in range(fit.shards):
        calls.columns(
            row.product,
            low=inputs_of(first, I),
            high=inputs_of(end, I),
            I=I,
            O=row.outputs,
            rows=_rows(fit, B, shard),
            A=tile_of(fit, shard),
            delta=delta_of(fit, shard, current),
            J=fit.gradients + row.start,
            add=shard > 0,
            transposed=transposed_of(fit, worker),
        )


# Layers that are split by results.


@inner
def _rows_of_worker(count, worker, workers):
    """Return the first row of a worker and of the next worker in a product; rows are divided into whole panels."""
    panels = -(-count // PANEL_ROWS)
    first = worker * panels // workers * PANEL_ROWS
    end = (worker + 1) * panels // workers * PANEL_ROWS
    return first, smaller(end, count)


@inner
def _multiply_weights(fit, layer, worker, B, current, back, size):
    """Compute a worker's rows of Z = [W; b]ᵀ [A; 1] or, in the backward pass, of ``before`` = W delta.

    Each piece of the weights is packed for the first shard that has rows, and reused
    for the others.
    """
    row = layer_at(fit.table, layer)
    M = row.outputs
    K = row.inputs + 1
    stride_m = size
    stride_k = row.outputs * size
    if back:
        M, K, stride_m, stride_k = row.inputs, row.outputs, stride_k, stride_m
    low, high = _rows_of_worker(M, worker, fit.workers)
    depth = piece_depth(K)
    for m in range(low, high, PIECE_ROWS):
        for k in range(0, K, depth):
            is_packed = np.int64(0)
            for shard in range(fit.shards):
                right = delta_of(fit, shard, current)
                result = delta_of(fit, shard, 1 - current)
                if not back:
                    right = _layer_inputs(fit, layer, shard)
                    result = workspace_of(fit, shard) + row.output_at
                S = _rows(fit, B, shard)
                row_bytes = S * size
                calls.packed(
                    row.product,
                    smaller(PIECE_ROWS, high - m),
                    S,
                    smaller(depth, K - k),
                    A=fit.theta + row.start + m * stride_m + k * stride_k,
                    A_m=stride_m,
                    A_k=stride_k,
                    B=right + k * row_bytes,
                    B_k=row_bytes,
                    B_n=size,
                    C=result + m * row_bytes,
                    C_m=row_bytes,
                    add=k > 0,
                    workspace=workspace_of(fit, worker) + row.extra_at,
                    is_packed=is_packed,
                )
                is_packed = larger(is_packed, np.int64(S > 0))


def forward_by_results(fit, layer, worker, B):
    """Compute a worker's share of the outputs of all shards: rows of Z = [W; b]ᵀ [A; 1]."""
    I = layer_at(fit.table, layer).inputs
    for shard in range(worker, fit.shards, fit.workers):
        S = _rows(fit, B, shard)
        put_ones(_layer_inputs(fit, layer, shard) + I * S * size, S, number(1))
    wait_for_all(fit)  # inputs and ones of all shards are complete
    _multiply_weights(fit, layer, worker, B, np.int64(0), False, size)
    wait_for_all(fit)  # the next layer reads outputs of all workers


def backward_by_results(fit, layer, worker, B, current):
    """Compute a worker's share of the preceding layer's delta and of the gradient [J_W; J_b] = [A; 1] deltaᵀ."""
    row = layer_at(fit.table, layer)
    O = row.outputs
    wait_for_all(fit)  # the deltas of all shards are complete
    if layer:
        _multiply_weights(fit, layer, worker, B, current, True, size)
    low, high = _rows_of_worker(row.inputs + 1, worker, fit.workers)
    for m in range(low, high, PIECE_ROWS):
        for shard in range(fit.shards):
            S = _rows(fit, B, shard)
            calls.packed(
                row.product,
                smaller(PIECE_ROWS, high - m),
                O,
                S,
                A=_layer_inputs(fit, layer, shard) + m * S * size,
                A_m=S * size,
                A_k=size,
                B=delta_of(fit, shard, current),
                B_k=size,
                B_n=S * size,
                C=fit.gradients + row.start + m * O * size,
                C_m=O * size,
                add=shard > 0,
                workspace=workspace_of(fit, worker) + row.extra_at,
                is_packed=0,
            )
    # the preceding layer overwrites this delta and reads its whole delta
    wait_for_all(fit)


# All layers.


def gradient_of_batch(fit, worker, rows_address, B, scale: float, step):
    """Store the gradients, and Σ scale weight ℓ of each shard in partial_losses; see the module's docstring."""
    zero = number(0)
    workers = fit.workers
    shards = fit.shards
    data = fit.training
    I = fit.inputs
    partial = doubles_at(fit.partial_losses, shards)
    transposed = transposed_of(fit, worker)
    # the tile is overwritten
    words_at(fit.tile_contents + TILE_CONTENTS * worker, 1)[0] = 0
    # A worker gathers the data of its shards or, if the first layer is split by inputs,
    # its inputs of all shards.
    low = np.int64(0)
    high = I
    by_inputs = layer_at(fit.table, 0).split == WeightSplit.INPUTS
    if by_inputs:
        first, end = quarters_of(worker, workers)
        low = inputs_of(first, I)
        high = smaller(inputs_of(end, I), I)
    for shard in range(shards):
        is_worker_shard = shard % workers == worker
        first_row = _first_row(fit, B, shard)
        S = _rows(fit, B, shard)
        if is_worker_shard or by_inputs:
            indices = fit.tile_places + 8 * worker * fit.tile_rows
            O = fit.outputs
            tile_offset = shard * size * fit.tile_rows
            weights = fit.row_weights + tile_offset  # the same from each worker
            find_rows(
                data, rows_address + 8 * first_row, S, scale, indices, S, weights, zero
            )
            gather_inputs(
                fit, data, indices, S, low, high - low, tile_of(fit, shard), size
            )
            if is_worker_shard:
                gather_targets(
                    fit, data, indices, S, fit.targets + tile_offset * O, size, zero
                )
    for layer in range(fit.layers):
        if layer_at(fit.table, layer).forward_of_all:
            calls.forward_of_all(
                layer_at(fit.table, layer).forward_of_all, fit, layer, worker, B
            )
        else:
            for shard in range(worker, shards, workers):
                S = _rows(fit, B, shard)
                rows = rows_address + 8 * _first_row(fit, B, shard)
                forward(fit, layer, shard, tile_of(fit, shard), S, step, rows)
    current = np.int64(0)
    for shard in range(worker, shards, workers):
        S = _rows(fit, B, shard)
        tile_offset = shard * size * fit.tile_rows
        partial[shard] = calls.loss(
            fit.loss,
            S,
            fit.outputs,
            S,
            _layer_inputs(fit, fit.layers, shard),
            fit.targets + tile_offset * fit.outputs,
            fit.row_weights + tile_offset,
            delta_of(fit, shard, current),
            fit.row_losses + tile_offset,
            fit.loss_h,
        )
    for layer in range(fit.layers - 1, -1, -1):
        row = layer_at(fit.table, layer)
        if row.backward_of_all:
            calls.backward_of_all(row.backward_of_all, fit, layer, worker, B, current)
        else:
            for shard in range(worker, shards, workers):
                S = _rows(fit, B, shard)
                J = fit.gradients + shard * size * fit.p
                tile = tile_of(fit, shard)
                add = np.int64(0)
                backward(fit, layer, shard, transposed, tile, S, step, current, J, add)
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
