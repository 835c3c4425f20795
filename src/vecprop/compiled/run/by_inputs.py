"""Layers of whose inputs each worker has some quarters, for the rows of all shards; see `sharing`.

A worker's products are kept apart, and summed by the worker that has the shard when all are there; see `quarters`.
"""

import numpy as np
from numba import njit

from ..jit.arrays import put_ones, words_at
from ..jit.barrier import BARRIER_WORDS, wait_for_all
from ..jit.calls import call_dense_back, call_gather
from ..jit.options import ONCE
from .layers import inputs_at, layer_at
from .quarters import inputs_of, multiply_quarter, sum_quarters
from .shards import delta_of, quarters_of, rows_of, tile_of, work_of
from .sharing import QUARTERS


@njit(**ONCE)
def gather_by_inputs(c, worker, shard, places, like):
    """Gather a worker's inputs of the rows of a shard."""
    I, S, one, tile = c.inputs, places.size, like.itemsize, tile_of(c, shard, like)
    first, end = quarters_of(worker, c.workers)
    low, high = inputs_of(first, I), min(inputs_of(end, I), I)
    to = tile[low * S :].ctypes.data
    call_gather(c.gather, (S, high - low, c.training.x + low * one, I * one, to, S * one, places.ctypes.data))


@njit(**ONCE)
def forward_by_inputs(c, layer, worker, rows, like):
    """Compute a layer's outputs together: a worker's share is products of some inputs, and sums of its own shards."""
    row, barrier = layer_at(c, layer), words_at(c.barrier, BARRIER_WORDS)
    I, O, one, workers = row.inputs, row.outputs, like.itemsize, c.workers
    p, (first, end) = c.theta + row.start * one, quarters_of(worker, workers)
    if layer:
        wait_for_all(barrier, workers)
    for shard in range(c.shards):
        S, work = rows_of(c, rows, shard).size, work_of(c, shard, like)
        A, products = inputs_at(c, layer, tile_of(c, shard, like), work), work[row.extra_at :].ctypes.data
        if end == QUARTERS:
            put_ones(A + I * S * one, S, like)
        for quarter in range(first, end):
            multiply_quarter(row.product, quarter, (I, O, S), p, A, products, one)
    wait_for_all(barrier, workers)
    for shard in range(worker, c.shards, workers):
        S, work, at = rows_of(c, rows, shard).size, work_of(c, shard, like), row.output_at
        sum_quarters(work[row.extra_at :], work[at : at + O * S])


@njit(**ONCE)
def backward_by_inputs(c, layer, worker, rows, here, turned, like):
    """Find a worker's share of a layer's gradient, and of the delta before it, from all shards; all wait for all."""
    row, barrier = layer_at(c, layer), words_at(c.barrier, BARRIER_WORDS)
    I, O, one, none = row.inputs, row.outputs, like.itemsize, np.int64(0)
    first, end = quarters_of(worker, c.workers)
    low, high = inputs_of(first, I), inputs_of(end, I)
    start = (row.start + low * O) * one
    wait_for_all(barrier, c.workers)
    for shard in range(c.shards):
        S, delta = rows_of(c, rows, shard).size, delta_of(c, shard, here, like).ctypes.data
        A = inputs_at(c, layer, tile_of(c, shard, like), work_of(c, shard, like)) + low * S * one
        operands, add = (O, S, none, A, delta, c.gradients + start), np.int64(shard > 0)
        call_dense_back(row.derivative, (high - low - 1, *operands, add, none, turned, none, none, none))
        if layer:
            before = delta_of(c, shard, 1 - here, like)[low * S :].ctypes.data
            operands = O, S, c.theta + start, A, delta, none, none, before
            call_dense_back(row.derivative, (min(high, I) - low, *operands, turned, none, none, none))
    if layer:
        wait_for_all(barrier, c.workers)  # the layer before it writes where this one's delta is
