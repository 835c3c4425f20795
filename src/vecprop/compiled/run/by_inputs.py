"""Layers of whose inputs each worker has some quarters, for the rows of all shards; see `sharing`.

A worker's products are kept apart, and summed by the worker that has the shard when all are there; see `quarters`.
"""

import numpy as np
from numba import njit

from ..jit.arrays import put_ones, words_at
from ..jit.options import ONCE
from ..jit.pointers import call_dense_back, call_gather, wait_for_all
from ..jit.record import Slot
from .layers import COLUMNS, ROW, Column, inputs_at
from .quarters import inputs_of, multiply_quarter, sum_quarters
from .shards import delta_of, quarters_of, rows_of, tile_of, work_of
from .sharing import QUARTERS


@njit(**ONCE)
def gather_by_inputs(c, worker, shard, places, like):
    """Gather a worker's inputs of the rows of a shard."""
    I, S, one, tile = c[Slot.INPUTS], places.size, like.itemsize, tile_of(c, shard, like)
    first, end = quarters_of(worker, c[Slot.WORKERS])
    low, high = inputs_of(first, I), min(inputs_of(end, I), I)
    to = tile[low * S :].ctypes.data
    call_gather(c[Slot.GATHER], (S, high - low, c[Slot.X] + low * one, I * one, to, S * one, places.ctypes.data))


@njit(**ONCE)
def forward_by_inputs(c, layer, worker, rows, like):
    """Compute a layer's outputs together: a worker's share is products of some inputs, and sums of its own shards."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    I, O, one, workers = row[Column.INPUTS], row[Column.OUTPUTS], like.itemsize, c[Slot.WORKERS]
    p, (first, end) = c[Slot.THETA] + row[Column.START] * one, quarters_of(worker, workers)
    if layer:
        wait_for_all(barrier, workers)
    for shard in range(c[Slot.SHARDS]):
        S, work = rows_of(c, rows, shard).size, work_of(c, shard, like)
        A, products = inputs_at(c, layer, tile_of(c, shard, like), work), work[row[Column.EXTRA_AT] :].ctypes.data
        if end == QUARTERS:
            put_ones(A + I * S * one, S, like)
        for quarter in range(first, end):
            multiply_quarter(row[Column.PRODUCT], quarter, (I, O, S), p, A, products, one)
    wait_for_all(barrier, workers)
    for shard in range(worker, c[Slot.SHARDS], workers):
        S, work, at = rows_of(c, rows, shard).size, work_of(c, shard, like), row[Column.OUTPUT_AT]
        sum_quarters(work[row[Column.EXTRA_AT] :], work[at : at + O * S])


@njit(**ONCE)
def backward_by_inputs(c, layer, worker, rows, here, turned, like):
    """Find a worker's share of a layer's gradient, and of the delta before it, from all shards; all wait for all."""
    row, barrier = words_at(c[Slot.TABLE] + ROW * layer, COLUMNS), words_at(c[Slot.BARRIER], 16)
    I, O, one, none = row[Column.INPUTS], row[Column.OUTPUTS], like.itemsize, np.int64(0)
    first, end = quarters_of(worker, c[Slot.WORKERS])
    low, high = inputs_of(first, I), inputs_of(end, I)
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
