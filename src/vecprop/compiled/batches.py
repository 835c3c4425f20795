"""The gradient of a whole batch where wide layers are cut into parts or slices, which all workers find together.

Layers that are whole go by shards of rows, and each worker has its own shards; a layer in parts of its outputs, or the
gradient of one in slices of its inputs, goes by these, for the rows of all shards, and each worker has its own. Where
one kind follows on the other the workers wait for each other. See `parts`.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from .arrays import doubles_at, numbers_at, total, words_at
from .context import SLOTS, Slot
from .formulas import ONCE
from .kernels import IN_TILE, find_in_data, gather_inputs, gather_targets, loss_of_tile, weigh
from .layers import COLUMNS, ROW, Column, Kind, backward, dense_part, dense_part_back, forward, inputs_at
from .machine_code import address_of
from .pointers import product, wait_for_all

# What `address_of` fills in: the floating type, and how many bytes its numbers have.
number: Any = float
size = 8


@njit(**ONCE)
def _rows(c, rows, shard):
    """Return a shard's rows of those of a batch."""
    return rows[shard * rows.size // c[Slot.SHARDS] : (shard + 1) * rows.size // c[Slot.SHARDS]]


@njit(**ONCE)
def _tile(c, worker, shard, like):
    """Return a worker's copy of a shard's inputs."""
    room, place = (c[Slot.INPUTS] + 1) * c[Slot.TILE_ROWS], worker * c[Slot.SHARDS] + shard
    return numbers_at(c[Slot.TILE] + place * like.itemsize * room, room, like)


@njit(**ONCE)
def _work(c, shard, like):
    """Return what the layers leave of a shard."""
    return numbers_at(c[Slot.WORK] + shard * like.itemsize * c[Slot.WORK_SIZE], c[Slot.WORK_SIZE], like)


@njit(**ONCE)
def _delta(c, shard, which, like):
    """Return one of the two deltas of a shard."""
    place = 2 * shard + which
    return numbers_at(c[Slot.DELTAS] + place * like.itemsize * c[Slot.DELTA_SIZE], c[Slot.DELTA_SIZE], like)


@njit(**ONCE)
def _of_rows(c, slot, shard, count, like):
    """Return a shard's memory for so many numbers a row."""
    room = count * c[Slot.TILE_ROWS]
    return numbers_at(c[slot] + shard * like.itemsize * room, room, like)


@njit(**ONCE)
def _gather(c, worker, rows, scale, like):
    """Gather inputs, targets and weights of a worker's shards, and the inputs of all where the first layer is cut."""
    first = words_at(c[Slot.TABLE], COLUMNS)
    for shard in range(c[Slot.SHARDS]):
        own, some = shard % c[Slot.WORKERS] == worker, _rows(c, rows, shard)
        place = worker * c[Slot.SHARDS] + shard
        places = words_at(c[Slot.PLACES_OF_TILE] + 8 * place * c[Slot.TILE_ROWS], some.size)
        if own or first[Column.PART] < first[Column.OUTPUTS]:  # copies of one's own: to read another's takes longer
            find_in_data(c, np.int64(0), some, places)
            gather_inputs(c, np.int64(0), places, _tile(c, worker, shard, like))
        if own:
            gather_targets(c, np.int64(0), places, _of_rows(c, Slot.TARGETS, shard, c[Slot.OUTPUTS], like))
            weigh(c, np.int64(0), places, scale, _of_rows(c, Slot.ROW_WEIGHTS, shard, 1, like))


@njit(**ONCE)
def _forward_by_parts(c, layer, worker, rows, like):
    """Compute a worker's parts of a layer for all shards, whose inputs have to be there; all wait for all."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    part = row[Column.PART]
    if layer:
        wait_for_all(barrier, c[Slot.WORKERS])
    for first in range(worker * part, row[Column.OUTPUTS], c[Slot.WORKERS] * part):
        for shard in range(c[Slot.SHARDS]):
            S = _rows(c, rows, shard).size
            dense_part(c, layer, first, _tile(c, worker, shard, like), S, _work(c, shard, like))
    wait_for_all(barrier, c[Slot.WORKERS])


@njit(**ONCE)
def _backward_by_parts(c, layer, worker, rows, here, turned, like):
    """Find the delta before a layer for a worker's shards, and the gradient of its parts from all; all wait for all."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    part, O, none = row[Column.PART], row[Column.OUTPUTS], np.int64(0)
    for shard in range(worker if layer else c[Slot.SHARDS], c[Slot.SHARDS], c[Slot.WORKERS]):
        S, tile, work = _rows(c, rows, shard).size, _tile(c, worker, shard, like), _work(c, shard, like)
        delta, before = _delta(c, shard, here, like), _delta(c, shard, 1 - here, like).ctypes.data
        for first in range(0, O, part):
            dense_part_back(c, layer, first, tile, S, work, delta, none, none, before, turned)
    wait_for_all(barrier, c[Slot.WORKERS])
    for first in range(worker * part, O, c[Slot.WORKERS] * part):
        for shard in range(c[Slot.SHARDS]):
            S, tile, work = _rows(c, rows, shard).size, _tile(c, worker, shard, like), _work(c, shard, like)
            delta, add = _delta(c, shard, here, like), np.int64(shard > 0)
            dense_part_back(c, layer, first, tile, S, work, delta, c[Slot.GRADIENTS], add, none, turned)
    if layer:
        wait_for_all(barrier, c[Slot.WORKERS])  # the layer before it writes where this one's delta is


@njit(**ONCE)
def _backward_by_slices(c, layer, worker, rows, here, turned, like):
    """Find what `_backward_by_parts` does, with the gradient by slices of the inputs, and the biases' by shards."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    I, O, slice, none = row[Column.INPUTS], row[Column.OUTPUTS], row[Column.SLICE], np.int64(0)
    for shard in range(worker, c[Slot.SHARDS], c[Slot.WORKERS]):
        S, tile, work = _rows(c, rows, shard).size, _tile(c, worker, shard, like), _work(c, shard, like)
        delta, before = _delta(c, shard, here, like), _delta(c, shard, 1 - here, like).ctypes.data
        J_b = numbers_at(c[Slot.GRADIENTS], (shard + 1) * c[Slot.P], like)[
            shard * c[Slot.P] + row[Column.START] + I * O :
        ]
        for o in range(O):
            J_b[o] = total(delta[o * S : (o + 1) * S])
        if layer:
            dense_part_back(c, layer, none, tile, S, work, delta, none, none, before, turned)
    wait_for_all(barrier, c[Slot.WORKERS])
    for first in range(worker * slice, I, c[Slot.WORKERS] * slice):
        J = numbers_at(c[Slot.GRADIENTS], c[Slot.P], like)[row[Column.START] + first * O :]
        height = min(slice, I - first)
        for shard in range(c[Slot.SHARDS]):
            S, tile, work = (
                _rows(c, rows, shard).size,
                _tile(c, shard % c[Slot.WORKERS], shard, like),
                _work(c, shard, like),
            )
            A = numbers_at(inputs_at(c, layer, tile, work), I * S, like)[first * S :]
            delta, add = _delta(c, shard, here, like), np.int64(shard > 0)
            product(row[Column.BLAS], A, none, delta, np.int64(1), add, J, height, O, S)
    if layer:
        wait_for_all(barrier, c[Slot.WORKERS])  # the layer before it writes where this one's delta is


def gradient_of_batch(context, worker, rows_address, B, scale, step):
    """Put each shard's Σ scale weight ℓ into PARTIAL, and their gradients into GRADIENTS; a step of -1 has no noise.

    The gradients of layers that are cut stand in the first shard's, for all rows.
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
        else:
            for shard in range(worker, shards, workers):
                some, tile, work = _rows(c, rows, shard), _tile(c, worker, shard, theta), _work(c, shard, theta)
                forward(c, layer, tile, some.size, noisy, step, some, work)
    here = np.int64(0)
    for shard in range(worker, shards, workers):
        targets = _of_rows(c, Slot.TARGETS, shard, c[Slot.OUTPUTS], theta)
        weights, losses = _of_rows(c, Slot.ROW_WEIGHTS, shard, 1, theta), _of_rows(c, Slot.ROW_LOSSES, shard, 1, theta)
        work, delta, S = _work(c, shard, theta), _delta(c, shard, here, theta), _rows(c, rows, shard).size
        partial[shard] = loss_of_tile(c, S, S, work, targets, weights, delta, losses)
    for layer in range(c[Slot.LAYERS] - 1, -1, -1):
        row = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS)
        if row[Column.PART] < row[Column.OUTPUTS]:
            _backward_by_parts(c, layer, worker, rows, here, turned, theta)
        elif row[Column.SLICE] < row[Column.INPUTS]:
            _backward_by_slices(c, layer, worker, rows, here, turned, theta)
        else:
            for shard in range(worker, shards, workers):
                S, tile, work = _rows(c, rows, shard).size, _tile(c, worker, shard, theta), _work(c, shard, theta)
                delta, before = _delta(c, shard, here, theta), _delta(c, shard, 1 - here, theta)
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
