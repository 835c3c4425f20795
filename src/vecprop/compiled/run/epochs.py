"""Whole fits without Python: batches, shards, the optimizer's steps, the losses between epochs, one fit after another.

Each thread runs `run_epochs` under its number, a worker. One worker computes a shard, and the shards' gradients are
summed in one order, block of parameters by block. Barriers order what one worker writes and another reads:

A  the order of the rows is written before anyone reads a batch;
B  the gradients and losses of all shards are written before a block sums them;
C  the blocks' squared norms and penalties are written before anyone clips by the norm or judges the loss, and all
   gradients are read before the next step overwrites them; a block moves before C, while it is in the cache, if neither
   clipping nor the loss decides about the move;
D  theta is written before the next step reads it, if it moves after C.

A fit that is to stop does so behind C or behind a measurement. An epoch of several batches that is not done then is
undone, so that training continues from there to the bit. A full batch is an epoch, which ends with its measurement.

In a population, each thread runs `run_members`, which takes fits from a queue and is the only worker of each.
"""

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from ..jit import INNER, ONCE, calls, larger, smaller
from ..jit.addresses import add, copy, doubles_at, numbers_at, part, total, words_at
from ..jit.fit_record import FIT, fit_at
from ..jit.machine_code import address_of
from ..jit.threads import BARRIER_WORDS, STOPPED, atomic_add, is_abandoned, now, wait_for_all
from .measures import Watched, scale_of, stop_requested, stopping_at
from .parallelism import QUARTERS, quarters_of
from .steps import BLOCK, are_finite, block_at, length, move_block, penalty_of, sum_block

# Placeholders, filled in by `address_of`: the floating type, and the bytes of an element.
number: Any = float
size = 8

_FIT_BYTES = FIT.itemsize


class Ended(IntEnum):
    """Why a fit ended early, or that no thread has taken it."""

    STALLED = 1
    INTERRUPTED = 2
    AT_START = 3
    NOT_STARTED = -1


@njit(**ONCE)
def _gradients_of_shards(context, c, worker, own_shards, rows, scale, step, gradients):
    """Compute the losses and gradients of a worker's shards of rows, from its first to the next worker's."""
    B, P, shards = rows.size, c.p, c.shards
    partial, (first, end) = doubles_at(c.partial_losses, shards), own_shards
    for shard in range(first, end):
        own, some = part(gradients, shard * P, gradients.size), rows
        if shards > 1:  # the divisions would take as long as a small layer
            some = part(rows, shard * B // shards, (shard + 1) * B // shards)
        if not some.size:
            for p in range(P):
                own[p] = 0
        partial[shard] = calls.rows(
            c.gradient_of_rows, (context, worker, 0, some.ctypes.data, some.size, scale, step, own.ctypes.data)
        )
    if c.in_pairs:
        for shard in range(first, end, 2):
            add(part(gradients, (shard + 1) * P, (shard + 2) * P), part(gradients, shard * P, (shard + 1) * P))


def run_epochs(context, worker):
    """Run a worker's part of the epochs; theta and the results are complete when all workers have returned."""
    c, zero = fit_at(context), number(0)
    barrier, workers, shards = words_at(c.barrier, BARRIER_WORDS), c.workers, c.shards
    N, P, full, noisy = c.training.rows, c.p, c.full, c.noisy
    theta = numbers_at(c.theta, P, zero)
    gradients = numbers_at(c.gradients, shards * P, zero)
    own_moved = part(numbers_at(c.moved, (worker + 1) * BLOCK, zero), worker * BLOCK, (worker + 1) * BLOCK)
    last_finite, rates, clip = numbers_at(c.last_finite, P, zero), c.rates, c.clip
    order, all_rows = words_at(c.order, N), words_at(c.all_rows, N)
    recorded = larger(c.epochs, 1)  # 0 epochs measure the losses, and write one of each
    losses = numbers_at(c.losses, recorded, zero)
    norms, sizes = numbers_at(c.norms, recorded, zero), numbers_at(c.sizes, recorded, zero)
    first, end = quarters_of(worker, workers)
    first_shard, end_shard = first * shards // QUARTERS, end * shards // QUARTERS  # if no layers are split
    own = 0 if c.gradient_of_batch else first_shard  # the shard in which the worker sums gradients; see `steps`
    J = part(gradients, own * P, gradients.size)
    done = words_at(c.done, 4)  # epochs with a finite loss; steps; whether a gradient diverged; an `Ended`
    blocks, partial = c.block_count, doubles_at(c.partial_losses, shards)
    squares, moves = doubles_at(c.squares, blocks), doubles_at(c.moves, blocks)
    penalties = doubles_at(c.penalties, blocks)
    running = c.running
    # In a full batch without noise, the loss of a step is the loss after the epoch before it: no measurement is needed.
    carried = full and not noisy and not running
    N_all, scale_of_all = N, 0.0
    if running:
        whole = c.whole if c.whole.rows else c.training
        N_all = whole.rows
        scale_of_all = scale_of(c, whole, words_at(c.all_rows, N_all), theta)
    step = np.int64(0)  # not of the type of the literal 0, for which functions would be compiled once more
    _keep_moments(c, worker, theta)
    for epoch in range(recorded):
        if c.shuffle and worker == 0:
            calls.shuffle(c.shuffle, (c.seed, c.first_epoch + epoch, N, np.int64(0), c.keys, c.places, c.order))
        wait_for_all(barrier, workers)  # A
        if workers > 1 and is_abandoned(barrier):
            return
        first_step, loss, running_loss, norm, size = step, 0.0, 0.0, 0.0, 0.0
        for start in range(0, N if c.epochs else 0, c.batch_size):
            rows = part(order if c.shuffle else all_rows, start, smaller(start + c.batch_size, N))
            B, scale = rows.size, scale_of(c, c.training, rows, theta)
            step_number = c.first_step + step if noisy else -1
            # The gradients of the shards.
            if c.gradient_of_batch:
                calls.batch(c.gradient_of_batch, (context, worker, rows.ctypes.data, B, scale, step_number))
            else:
                own_shards = first_shard, end_shard
                _gradients_of_shards(context, c, worker, own_shards, rows, scale, step_number, gradients)
            wait_for_all(barrier, workers)  # B
            if worker == 0:
                stop_requested(c, barrier)
            loss = total(partial)
            judged = carried and epoch > 0  # theta moves only if the loss at it is finite
            at_once = clip == 0 and not judged
            # The worker's blocks are summed, and moved if nothing else decides about the move.
            rate = doubles_at(rates, step + 1)[step * c.rate_stride]
            t = np.float64(c.steps_before + step + 1)
            for block in range(blocks):
                low, high, quarter, is_single = block_at(c, block)
                if not first <= quarter < end:
                    continue
                squares[block] = sum_block(c, theta, gradients, is_single, low, high, scale, own)
                penalties[block] = penalty_of(c, theta, low, high, scale) if judged or running else 0.0
                if at_once:
                    moves[block] = move_block(c, theta, J, low, high, rate, t, 1.0, own_moved)
            wait_for_all(barrier, workers)  # C
            slope, penalty, finite = length(squares), total(penalties), True
            # A loss or gradient that is not finite ends the epochs; last_finite has the parameters before it.
            if judged:
                finite = np.isfinite(theta.dtype.type(loss + penalty))  # in the type in which it is recorded
                if worker == 0:
                    losses[epoch - 1] = loss + penalty
                    done[0] = epoch if finite else epoch - 1
            if not (finite and np.isfinite(theta.dtype.type(slope))):
                if worker == 0:
                    norms[epoch], done[1], done[2] = slope, step, finite
                return
            # Blocks that had to wait move now.
            if not at_once:
                shorten = clip / slope if 0 < clip < slope else 1.0
                for block in range(blocks):
                    low, high, quarter, _ = block_at(c, block)
                    if not first <= quarter < end:
                        continue
                    if judged:
                        copy(part(theta, low, high), part(last_finite, low, high))
                    moves[block] = move_block(c, theta, J, low, high, rate, t, shorten, own_moved)
                wait_for_all(barrier, workers)  # D
            # The step's part of the epoch's means.
            step += 1
            moved = length(moves)
            if running:
                running_loss += _running(c, loss, penalty, scale_of_all, scale, B, N_all)
                if not (np.isfinite(moved) or are_finite(theta)):
                    running_loss = np.nan
            norm += slope
            size += moved
            if barrier[STOPPED] and not full:
                _undo_epoch(c, worker, theta, done, first_step)
                return
        # The epoch's results, its measured losses, and whether training ends.
        if worker == 0:
            norms[epoch], sizes[epoch] = norm / larger(step - first_step, 1), size / larger(step - first_step, 1)
            done[1] = step
            if running:
                losses[epoch] = running_loss
        last = epoch >= c.epochs - 1 or barrier[STOPPED] != 0
        known, finite = running or (carried and not last and not c.stopping), True
        if c.validation.rows or not known:
            finite = calls.measure(c.measure, (context, worker, epoch, np.int64(known))) != 0
        if barrier[STOPPED] and not full:
            _undo_epoch(c, worker, theta, done, first_step)
            return
        if not (finite and np.isfinite(theta.dtype.type(running_loss))):
            return
        if worker == 0 and (last or not carried or c.stopping):
            copy(theta, last_finite)
            done[0] = epoch + 1
        if c.stopping:
            if worker == 0 and calls.judge(c.judge, (context, epoch)):
                done[3] = Ended.STALLED
            wait_for_all(barrier, workers)
            if done[3]:
                return
        if barrier[STOPPED]:
            if worker == 0:
                done[3] = Ended.INTERRUPTED
            return
        if not last:
            _keep_moments(c, worker, theta)


@njit(**INNER)
def _keep_moments(c, worker, theta):
    """Keep a worker's share of the optimizer's moments, unless an epoch is a single step."""
    if c.full:
        return
    low, high = worker * theta.size // c.workers, (worker + 1) * theta.size // c.workers
    _copy_share(c.first, c.first_kept, low, high, theta)
    _copy_share(c.second, c.second_kept, low, high, theta)


@njit(**INNER)
def _copy_share(source, target, low, high, like):
    """Copy the numbers from ``low`` to ``high`` from one address to another; moments that are not there have 0."""
    if source and target:
        copy(part(numbers_at(source, high, like), low, high), part(numbers_at(target, high, like), low, high))


@njit(**INNER)
def _undo_epoch(c, worker, theta, done, first_step):
    """Go back to where an epoch of several batches began."""
    if worker == 0:
        zero = np.int64(0)
        _copy_share(c.last_finite, c.theta, zero, theta.size, theta)
        _copy_share(c.first_kept, c.first, zero, theta.size, theta)
        _copy_share(c.second_kept, c.second, zero, theta.size, theta)
        done[1], done[3] = first_step, Ended.INTERRUPTED


@njit(**ONCE)
def _running(c, loss, penalty, scale_of_all, scale, rows, N_all):
    """Return a batch's part in the epoch's running loss, as `train.reference.RunningLoss` has it."""
    if not c.mean:
        return loss + penalty * rows / N_all
    return (loss + penalty) * (scale_of_all / scale) if scale > 0 else 0.0


@cache
def epochs_address(F: type) -> int:
    """Return the address of `run_epochs` for numbers of type F."""
    return address_of(run_epochs, F)


@njit(**INNER)
def _fit(context, c, measures, run_epochs, size):
    """Measure the initial losses, if they are asked for, and run the epochs."""
    epochs, stopping, done = c.epochs, c.stopping, words_at(c.done, 4)
    done[3] = 0
    if measures and (not c.running or c.validation.rows):
        c.epochs = 0  # which measures the losses
        if stopping:
            rule = stopping_at(stopping)
            if rule.compares_to_best != 0 or (c.running and np.int64(rule.watched) == Watched.LOSS):
                c.stopping = 0  # it ignores the initial parameters, or their loss is not measured
        calls.epochs(run_epochs, (context, 0))
        c.epochs, c.stopping = epochs, stopping
        if done[3] == Ended.INTERRUPTED:
            done[3] = Ended.NOT_STARTED
        elif not done[0]:
            done[3] = Ended.AT_START
        if done[3]:
            return
        done[0] = 0
        # The measured losses are the first entries; the epochs write behind them.
        c.validation_losses += size
        c.validation_scores += 8
        if c.kept_predictions:
            c.kept_predictions += size * c.validation.rows * c.outputs
        if not c.running:
            c.losses += size
    if epochs or not measures:
        calls.epochs(run_epochs, (context, 0))


def run_members(contexts, numbers, count, queue, scratch, fields, offsets, measures, run_epochs):
    """Run fits until all are taken or the queue says to stop.

    ``scratch`` has the addresses of the thread's memory for these fields of a record, and two words for the clock.
    """
    state, own, offsets = words_at(queue, 2), words_at(scratch, fields), words_at(offsets, fields)
    clock = scratch + 8 * fields
    while not state[1]:
        taken = atomic_add(queue, np.int64(1))
        if taken >= count:
            return
        context = contexts + _FIT_BYTES * words_at(numbers, count)[taken]
        c, words = fit_at(context), words_at(context, _FIT_BYTES // 8)
        for field in range(fields):
            words[offsets[field]] = own[field]
        words_at(c.tile_contents, 2)[0] = 0  # the tile may hold rows of the fit before
        seconds = doubles_at(c.seconds, 1)
        seconds[0] = -now(clock)
        _fit(context, c, measures, run_epochs, size)
        seconds[0] += now(clock)


@cache
def members_address(F: type) -> int:
    """Return the address of `run_members` for numbers of type F."""
    return address_of(run_members, F)
