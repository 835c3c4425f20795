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
from ..jit.record import SLOTS, Slot
from .by_inputs import backward_by_inputs, forward_by_inputs, gather_by_inputs
from .joint import backward_together, forward_together
from .kernels import IN_TILE, find_in_data, gather_inputs, gather_targets, loss_of_tile, weigh
from .layers import COLUMNS, ROW, Column, Kind, backward, forward
from .shards import delta_of, memory_of, rows_of, tile_of, work_of
from .sharing import Sharing

# What `address_of` fills in: the floating type, and how many bytes its numbers have.
number: Any = float
size = 8


@njit(**ONCE)
def _gather(c, worker, rows, scale, like):
    """Gather what a worker's shards have; of inputs that workers share its own ones, of all shards."""
    by_inputs = words_at(c[Slot.TABLE], COLUMNS)[Column.SHARING] == Sharing.BY_INPUTS
    for shard in range(c[Slot.SHARDS]):
        own, some = shard % c[Slot.WORKERS] == worker, rows_of(c, rows, shard)
        if not (own or by_inputs):
            continue
        places = words_at(c[Slot.PLACES_OF_TILE] + 8 * worker * c[Slot.TILE_ROWS], some.size)
        find_in_data(c, np.int64(0), some, places)
        if by_inputs:
            gather_by_inputs(c, worker, shard, places, like)
        if not own:
            continue
        if not by_inputs:
            gather_inputs(c, np.int64(0), places, tile_of(c, shard, like))
        gather_targets(c, np.int64(0), places, memory_of(c, Slot.TARGETS, shard, c[Slot.OUTPUTS], like))
        weigh(c, np.int64(0), places, scale, memory_of(c, Slot.ROW_WEIGHTS, shard, 1, like))


def gradient_of_batch(context, worker, rows_address, B, scale, step):
    """Put each shard's Σ scale weight ℓ into PARTIAL, and their gradients into GRADIENTS; a step of -1 has no noise.

    The gradients of layers that workers share stand in the first shard's, for all rows.
    """
    c, rows = words_at(context, SLOTS), words_at(rows_address, B)
    workers, shards, noisy = c[Slot.WORKERS], c[Slot.SHARDS], step >= 0
    theta, partial = numbers_at(c[Slot.THETA], c[Slot.P], number(0)), doubles_at(c[Slot.PARTIAL], shards)
    turned = c[Slot.TURNED] + worker * size * c[Slot.DELTA_SIZE]
    words_at(c[Slot.IN_TILE] + IN_TILE * worker, 1)[0] = 0  # no full batch stands in the tile any more
    _gather(c, worker, rows, scale, theta)
    for layer in range(c[Slot.LAYERS]):
        row = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS)
        if row[Column.SHARING] == Sharing.BY_INPUTS:
            forward_by_inputs(c, layer, worker, rows, theta)
        elif row[Column.SHARING] == Sharing.JOINT:
            forward_together(c, layer, worker, rows, theta)
        else:
            for shard in range(worker, shards, workers):
                some, tile, work = rows_of(c, rows, shard), tile_of(c, shard, theta), work_of(c, shard, theta)
                forward(c, layer, tile, some.size, noisy, step, some, work)
    here = np.int64(0)
    for shard in range(worker, shards, workers):
        targets = memory_of(c, Slot.TARGETS, shard, c[Slot.OUTPUTS], theta)
        weights, losses = (
            memory_of(c, Slot.ROW_WEIGHTS, shard, 1, theta),
            memory_of(c, Slot.ROW_LOSSES, shard, 1, theta),
        )
        work, delta, S = work_of(c, shard, theta), delta_of(c, shard, here, theta), rows_of(c, rows, shard).size
        partial[shard] = loss_of_tile(c, S, S, work, targets, weights, delta, losses)
    for layer in range(c[Slot.LAYERS] - 1, -1, -1):
        row = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS)
        if row[Column.SHARING] == Sharing.BY_INPUTS:
            backward_by_inputs(c, layer, worker, rows, here, turned, theta)
        elif row[Column.SHARING] == Sharing.JOINT:
            backward_together(c, layer, worker, rows, here, theta)
        else:
            for shard in range(worker, shards, workers):
                S, tile, work = rows_of(c, rows, shard).size, tile_of(c, shard, theta), work_of(c, shard, theta)
                delta, before = delta_of(c, shard, here, theta), delta_of(c, shard, 1 - here, theta)
                gradient = c[Slot.GRADIENTS] + shard * size * c[Slot.P]
                backward(c, layer, tile, S, noisy, work, delta, before, turned, gradient, np.int64(0))
        if row[Column.KIND] == Kind.DENSE:
            here = 1 - here


@cache
def batch_address(F: type) -> int:
    """Return the address of `gradient_of_batch` for numbers of type F; see `pointers.call_batch`."""
    word = types.intp
    signature = types.void(word, word, word, word, types.float64, word)
    return address_of(gradient_of_batch, signature, F.__name__, number=F, size=np.dtype(F).itemsize)
