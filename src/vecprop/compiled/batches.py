"""The gradient of a whole batch where workers share wide layers.

Other layers go by shards of rows, and each worker has its own shards; of a layer that they share each worker has some
outputs or inputs, for the rows of all shards. Where one kind follows on the other the workers wait for each other. See
`parts`.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from .arrays import doubles_at, numbers_at, words_at
from .context import SLOTS, Slot
from .formulas import ONCE
from .joint import backward_together, forward_together
from .kernels import IN_TILE, find_in_data, gather_inputs, gather_targets, loss_of_tile, weigh
from .layers import COLUMNS, ROW, Column, Kind, backward, dense_part, dense_part_back, forward
from .machine_code import address_of
from .pointers import wait_for_all
from .shards import delta_of, memory_of, rows_of, tile_of, work_of

# What `address_of` fills in: the floating type, and how many bytes its numbers have.
number: Any = float
size = 8


@njit(**ONCE)
def _gather(c, worker, rows, scale, like):
    """Gather inputs, targets and weights of a worker's shards, and the inputs of all where the first layer is cut."""
    first = words_at(c[Slot.TABLE], COLUMNS)
    for shard in range(c[Slot.SHARDS]):
        own, some = shard % c[Slot.WORKERS] == worker, rows_of(c, rows, shard)
        place = worker * c[Slot.SHARDS] + shard
        places = words_at(c[Slot.PLACES_OF_TILE] + 8 * place * c[Slot.TILE_ROWS], some.size)
        if own or first[Column.PART] < first[Column.OUTPUTS]:  # copies of one's own: to read another's takes longer
            find_in_data(c, np.int64(0), some, places)
            gather_inputs(c, np.int64(0), places, tile_of(c, worker, shard, like))
        if own:
            gather_targets(c, np.int64(0), places, memory_of(c, Slot.TARGETS, shard, c[Slot.OUTPUTS], like))
            weigh(c, np.int64(0), places, scale, memory_of(c, Slot.ROW_WEIGHTS, shard, 1, like))


@njit(**ONCE)
def _forward_by_parts(c, layer, worker, rows, like):
    """Compute a worker's parts of a layer for all shards, whose inputs have to be there; all wait for all."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    part = row[Column.PART]
    if layer:
        wait_for_all(barrier, c[Slot.WORKERS])
    for first in range(worker * part, row[Column.OUTPUTS], c[Slot.WORKERS] * part):
        for shard in range(c[Slot.SHARDS]):
            S = rows_of(c, rows, shard).size
            dense_part(c, layer, first, tile_of(c, worker, shard, like), S, work_of(c, shard, like))
    wait_for_all(barrier, c[Slot.WORKERS])


@njit(**ONCE)
def _backward_by_parts(c, layer, worker, rows, here, turned, like):
    """Find the delta before a layer for a worker's shards, and the gradient of its parts from all; all wait for all."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    part, O, none = row[Column.PART], row[Column.OUTPUTS], np.int64(0)
    for shard in range(worker if layer else c[Slot.SHARDS], c[Slot.SHARDS], c[Slot.WORKERS]):
        S, tile, work = rows_of(c, rows, shard).size, tile_of(c, worker, shard, like), work_of(c, shard, like)
        delta, before = delta_of(c, shard, here, like), delta_of(c, shard, 1 - here, like).ctypes.data
        for first in range(0, O, part):
            dense_part_back(c, layer, first, tile, S, work, delta, none, none, before, turned)
    wait_for_all(barrier, c[Slot.WORKERS])
    for first in range(worker * part, O, c[Slot.WORKERS] * part):
        for shard in range(c[Slot.SHARDS]):
            S, tile, work = rows_of(c, rows, shard).size, tile_of(c, worker, shard, like), work_of(c, shard, like)
            delta, add = delta_of(c, shard, here, like), np.int64(shard > 0)
            dense_part_back(c, layer, first, tile, S, work, delta, c[Slot.GRADIENTS], add, none, turned)
    if layer:
        wait_for_all(barrier, c[Slot.WORKERS])  # the layer before it writes where this one's delta is


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
        if row[Column.PART] < row[Column.OUTPUTS]:
            _forward_by_parts(c, layer, worker, rows, theta)
        elif row[Column.JOINT]:
            forward_together(c, layer, worker, rows, theta)
        else:
            for shard in range(worker, shards, workers):
                some, tile, work = rows_of(c, rows, shard), tile_of(c, worker, shard, theta), work_of(c, shard, theta)
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
        if row[Column.PART] < row[Column.OUTPUTS]:
            _backward_by_parts(c, layer, worker, rows, here, turned, theta)
        elif row[Column.JOINT]:
            backward_together(c, layer, worker, rows, here, theta)
        else:
            for shard in range(worker, shards, workers):
                S, tile, work = rows_of(c, rows, shard).size, tile_of(c, worker, shard, theta), work_of(c, shard, theta)
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
