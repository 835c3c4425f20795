"""The gradient of a whole batch if threads split some layers' weights.

All workers compute a split layer together, for the rows of all shards. Other layers are computed shard by shard: worker
w has the shards w, w + workers, and so on. Barriers are in the functions of split layers alone; see `model_parallel`.

A layer reads its delta from one buffer of the shard, and a dense layer writes the delta before it to the other::

      delta 0   <- loss       Dense 2 reads                      Dense 1 writes     ...
      delta 1                 Dense 2 writes      Dense 1 reads                     ...
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..jit.arrays import doubles_at, numbers_at, words_at
from ..jit.fit_record import fit_at
from ..jit.machine_code import address_of
from ..jit.numba_options import ONCE
from .model_parallel import (
    backward_by_columns,
    backward_by_inputs,
    backward_by_results,
    delta_of,
    forward_by_inputs,
    forward_by_results,
    gather_own_inputs,
    memory_of,
    rows_of,
    tile_of,
    workspace_of,
)
from .parallelism import WeightSplit
from .tile_layers import LayerType, backward, forward, layer_at
from .tiles import TILE_CONTENTS, find_in_data, gather_inputs, gather_targets, gather_weights, loss_of_tile

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
    """Store each shard's Σ scale weight ℓ in the record's partial_losses, and the gradients in its gradients.

    The gradients of split layers are in the first shard's, for all rows. A step of -1 has no noise.
    """
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
        weights, losses = (
            memory_of(c, c.row_weights, shard, 1, theta),
            memory_of(c, c.row_losses, shard, 1, theta),
        )
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
                S, tile, workspace = (
                    rows_of(c, rows, shard).size,
                    tile_of(c, shard, theta),
                    workspace_of(c, shard, theta),
                )
                delta, before = delta_of(c, shard, current, theta), delta_of(c, shard, 1 - current, theta)
                gradient = c.gradients + shard * size * c.p
                backward(c, layer, tile, S, noisy, workspace, delta, before, transposed, gradient, np.int64(0))
        if row.type == LayerType.DENSE:
            current = 1 - current


@cache
def batch_address(F: type) -> int:
    """Return the address of `gradient_of_batch` for numbers of type F; see `calls.call_batch`."""
    word = types.intp
    signature = types.void(word, word, word, word, types.float64, word)
    return address_of(gradient_of_batch, signature, F.__name__, number=F, size=np.dtype(F).itemsize)
