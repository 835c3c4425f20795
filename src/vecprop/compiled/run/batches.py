"""The gradient of a whole batch where workers share wide layers.

Other layers go by shards of rows, and each worker has its own shards; of a layer that they share each worker has some
outputs or inputs, for the rows of all shards. Where one kind follows on the other the workers wait for each other. See
`sharing`.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..jit.arrays import doubles_at, numbers_at, words_at
from ..jit.machine_code import address_of
from ..jit.options import ONCE
from ..jit.record import fit_at
from .by_inputs import backward_by_inputs, forward_by_inputs, gather_by_inputs
from .joint import backward_together, forward_together
from .kernels import IN_TILE, find_in_data, gather_inputs, gather_targets, loss_of_tile, weigh
from .layers import Kind, backward, forward, layer_at
from .shards import delta_of, memory_of, rows_of, tile_of, work_of
from .sharing import Sharing

# What `address_of` fills in: the floating type, and how many bytes its numbers have.
number: Any = float
size = 8


@njit(**ONCE)
def _gather(c, worker, rows, scale, like):
    """Gather what a worker's shards have; of inputs that workers share its own ones, of all shards."""
    by_inputs = layer_at(c, 0).sharing == Sharing.BY_INPUTS
    for shard in range(c.shards):
        own, some = shard % c.workers == worker, rows_of(c, rows, shard)
        if not (own or by_inputs):
            continue
        places = words_at(c.tile_places + 8 * worker * c.tile_rows, some.size)
        find_in_data(c.training, some, places)
        if by_inputs:
            gather_by_inputs(c, worker, shard, places, like)
        if not own:
            continue
        if not by_inputs:
            gather_inputs(c, c.training, places, tile_of(c, shard, like))
        gather_targets(c, c.training, places, memory_of(c, c.targets, shard, c.outputs, like))
        weigh(c.training, places, scale, memory_of(c, c.row_weights, shard, 1, like))


def gradient_of_batch(context, worker, rows_address, B, scale, step):
    """Put each shard's Σ scale weight ℓ into PARTIAL, and their gradients into GRADIENTS; a step of -1 has no noise.

    The gradients of layers that workers share stand in the first shard's, for all rows.
    """
    c, rows = fit_at(context), words_at(rows_address, B)
    workers, shards, noisy = c.workers, c.shards, step >= 0
    theta, partial = numbers_at(c.theta, c.p, number(0)), doubles_at(c.partial_losses, shards)
    turned = c.transposed + worker * size * c.delta_size
    words_at(c.tile_contents + IN_TILE * worker, 1)[0] = 0  # no full batch stands in the tile any more
    _gather(c, worker, rows, scale, theta)
    for layer in range(c.layers):
        row = layer_at(c, layer)
        if row.sharing == Sharing.BY_INPUTS:
            forward_by_inputs(c, layer, worker, rows, theta)
        elif row.sharing == Sharing.JOINT:
            forward_together(c, layer, worker, rows, theta)
        else:
            for shard in range(worker, shards, workers):
                some, tile, work = rows_of(c, rows, shard), tile_of(c, shard, theta), work_of(c, shard, theta)
                forward(c, layer, tile, some.size, noisy, step, some, work)
    here = np.int64(0)
    for shard in range(worker, shards, workers):
        targets = memory_of(c, c.targets, shard, c.outputs, theta)
        weights, losses = (
            memory_of(c, c.row_weights, shard, 1, theta),
            memory_of(c, c.row_losses, shard, 1, theta),
        )
        work, delta, S = work_of(c, shard, theta), delta_of(c, shard, here, theta), rows_of(c, rows, shard).size
        partial[shard] = loss_of_tile(c, S, S, work, targets, weights, delta, losses)
    for layer in range(c.layers - 1, -1, -1):
        row = layer_at(c, layer)
        if row.sharing == Sharing.BY_INPUTS:
            backward_by_inputs(c, layer, worker, rows, here, turned, theta)
        elif row.sharing == Sharing.JOINT:
            backward_together(c, layer, worker, rows, here, theta)
        else:
            for shard in range(worker, shards, workers):
                S, tile, work = rows_of(c, rows, shard).size, tile_of(c, shard, theta), work_of(c, shard, theta)
                delta, before = delta_of(c, shard, here, theta), delta_of(c, shard, 1 - here, theta)
                gradient = c.gradients + shard * size * c.p
                backward(c, layer, tile, S, noisy, work, delta, before, turned, gradient, np.int64(0))
        if row.kind == Kind.DENSE:
            here = 1 - here


@cache
def batch_address(F: type) -> int:
    """Return the address of `gradient_of_batch` for numbers of type F; see `calls.call_batch`."""
    word = types.intp
    signature = types.void(word, word, word, word, types.float64, word)
    return address_of(gradient_of_batch, signature, F.__name__, number=F, size=np.dtype(F).itemsize)
