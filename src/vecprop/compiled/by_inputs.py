"""Layers of whose inputs each worker has some quarters, for the rows of all shards; see `sharing`.

The products of a quarter's inputs with its weights are kept apart until all are there, and summed in the quarters'
order: so the bits do not depend on who computed them.
"""

import numpy as np
from numba import njit

from .arrays import put_ones, words_at
from .context import Slot
from .formulas import INNER, ONCE
from .layers import COLUMNS, ROW, Column, inputs_at
from .pointers import call_dense_back, call_gather, call_product, wait_for_all
from .shards import delta_of, quarters_of, rows_of, tile_of, work_of
from .sharing import QUARTERS


@njit(**INNER)
def _inputs_of(quarter, I):
    """Return the first input of a quarter; after the inputs comes the one that is always 1."""
    return quarter * (I + 1) // QUARTERS


@njit(**ONCE)
def gather_by_inputs(c, worker, shard, places, like):
    """Gather a worker's inputs of the rows of a shard."""
    I, S, one, tile = c[Slot.INPUTS], places.size, like.itemsize, tile_of(c, shard, like)
    first, end = quarters_of(worker, c[Slot.WORKERS])
    low, high = _inputs_of(first, I), min(_inputs_of(end, I), I)
    to = tile[low * S :].ctypes.data
    call_gather(c[Slot.GATHER], (S, high - low, c[Slot.X] + low * one, I * one, to, S * one, places.ctypes.data))


@njit(**ONCE)
def forward_by_inputs(c, layer, worker, rows, like):
    """Compute a layer's outputs together: a worker's share is products of some inputs, and sums of its own shards."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    I, O, one, workers = row[Column.INPUTS], row[Column.OUTPUTS], like.itemsize, c[Slot.WORKERS]
    products_at, (first, end) = row[Column.EXTRA_AT], quarters_of(worker, workers)
    if layer:
        wait_for_all(barrier, workers)
    for shard in range(c[Slot.SHARDS]):
        S, work = rows_of(c, rows, shard).size, work_of(c, shard, like)
        A = inputs_at(c, layer, tile_of(c, shard, like), work)
        if end == QUARTERS:
            put_ones(A + I * S * one, S, like)
        for quarter in range(first, end):
            low, high = _inputs_of(quarter, I), _inputs_of(quarter + 1, I)
            W, products = c[Slot.THETA] + (row[Column.START] + low * O) * one, work[products_at + quarter * O * S :]
            operands = W, np.int64(one), O * one, A + low * S * one, S * one, products.ctypes.data, S * one
            call_product(row[Column.PRODUCT], (O, S, high - low, *operands, np.int64(0)))
    wait_for_all(barrier, workers)
    for shard in range(worker, c[Slot.SHARDS], workers):
        S, work = rows_of(c, rows, shard).size, work_of(c, shard, like)
        Z, products, n = work[row[Column.OUTPUT_AT] :], work[products_at:], O * S
        for i in range(n):
            Z[i] = (products[i] + products[n + i]) + (products[2 * n + i] + products[3 * n + i])


@njit(**ONCE)
def backward_by_inputs(c, layer, worker, rows, here, turned, like):
    """Find a worker's share of a layer's gradient, and of the delta before it, from all shards; all wait for all."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    I, O, one, none = row[Column.INPUTS], row[Column.OUTPUTS], like.itemsize, np.int64(0)
    first, end = quarters_of(worker, c[Slot.WORKERS])
    low, high = _inputs_of(first, I), _inputs_of(end, I)
    start = (row[Column.START] + low * O) * one
    wait_for_all(barrier, c[Slot.WORKERS])
    for shard in range(c[Slot.SHARDS]):
        S, delta = rows_of(c, rows, shard).size, delta_of(c, shard, here, like).ctypes.data
        A = inputs_at(c, layer, tile_of(c, shard, like), work_of(c, shard, like)) + low * S * one
        operands, add = (O, S, none, A, delta, c[Slot.GRADIENTS] + start), np.int64(shard > 0)
        call_dense_back(row[Column.SLOPE], (high - low - 1, *operands, add, none, turned, none, none, none))
        if layer:
            before = delta_of(c, shard, 1 - here, like)[low * S :].ctypes.data
            operands = O, S, c[Slot.THETA] + start, A, delta, none, none, before
            call_dense_back(row[Column.SLOPE], (min(high, I) - low, *operands, turned, none, none, none))
    if layer:
        wait_for_all(barrier, c[Slot.WORKERS])  # the layer before it writes where this one's delta is
