"""Whole fits in compiled code: batches, shards, optimizer steps, losses between epochs, and queues of fits.

Each thread runs `run_epochs` with its index as `worker`. Each shard is computed by one
worker. The gradients of the shards are summed in a fixed order, one block of parameters
at a time. Barriers separate the writes of one worker from the reads of another:

A  The order of the rows is written before batches are read. B  The gradients and losses
of all shards are written before they are summed. C  Squared norms and penalties of the
blocks are written before they are used for clipping and for checking the loss,
   and all gradients are read before the next step overwrites them. If a step depends
   neither on clipping nor on the loss, it updates each block before barrier C, while
   the block is in the cache.
D  If theta is updated after C, it is written before the next step reads it.

A fit stops only after barrier C or after the losses are computed at the end of an
epoch. An unfinished epoch of several batches is undone, so that a continued fit is
bit-identical. A full batch is a complete epoch.

In a population, each thread runs `run_members`, which takes fits from a queue and is
the only worker of each.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..jit import calls, inlined, inner
from ..jit.addresses import (
    clear_bytes,
    copy_bytes,
    doubles_at,
    numbers_at,
    part,
    total,
    words_at,
)
from ..jit.fit_record import FIT, fit_at
from ..jit.machine_code import addresses_of
from ..jit.threads import (
    BARRIER_WORDS,
    STOPPED,
    atomic_add,
    is_abandoned,
    now,
    wait_for_all,
)
from ..jit.tracing import (
    branch,
    each,
    is_finite,
    larger,
    of_numbers,
    portion,
    smaller,
    where,
)
from .measures import TRAINING, Watched, look_for_stop, scale_of, stopping_at
from .parallelism import QUARTERS, quarters_of
from .steps import BLOCK, are_finite, block_at, is_of, length, move_block, square_of

# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8

_FIT_BYTES = FIT.itemsize


class Ended(IntEnum):
    """The reason why a fit ended early, or NOT_STARTED."""

    STALLED = 1
    INTERRUPTED = 2
    AT_START = 3
    NOT_STARTED = -1


def _gradient_of_shard(context, c, worker, shard, rows, B, scale, step, gradient, row):
    def of_rows(first, n):
        return calls.rows.formula(
            c.gradient_of_rows, (context, worker, 0, first, n, scale, step, gradient)
        )

    def of_part():
        low = portion.formula(B, shard, c.shards)
        n = portion.formula(B, shard + 1, c.shards) - low
        with n.builder.if_then(n.equals(0).value):
            clear_bytes.formula(gradient, row)
        return of_rows(rows + low * 8, n)

    # The divisions would take as long as a small layer.
    c.partial_losses.store(
        shard, branch(c.shards > 1, of_part, lambda: of_rows(rows, B))
    )


@of_numbers
def _gradients_of_shards(
    context, c, worker, first, end, rows, B, scale, step, size
) -> None:
    """Compute the losses and gradients of a worker's shards of B rows."""
    row = c.p * size
    for number in each(end - first):
        shard = first + number
        _gradient_of_shard(
            context,
            c,
            worker,
            shard,
            rows,
            B,
            scale,
            step,
            c.gradients + shard * row,
            row,
        )
    with context.builder.if_then((c.in_pairs > 0).value):
        for pair in each((end - first + 1) // 2):
            calls.sum_shards.formula(
                c.sum_shards, (context, 0, c.p, first + pair * 2, 1)
            )


@of_numbers
def _sum_block(context, c, block, number, scale, J, shard, needed) -> None:
    """Sum a block's gradients of shards, add the gradient of the penalty, and store the penalty if it is needed."""
    if_then = context.builder.if_then
    bounds = (context, block.low, block.high)
    with if_then(((c.sum_shards > 0) & block.is_single.equals(0)).value):
        calls.sum_shards.formula(c.sum_shards, (*bounds, shard, c.next_shard))
    with if_then((c.penalize > 0).value):
        calls.penalize.formula(c.penalize, (*bounds, scale, J))
        with if_then(needed.value):
            c.penalties.store(
                number, calls.penalize.formula(c.penalize, (*bounds, scale, 0))
            )


def _copy_kept(c, start, size, restores):
    """Keep a part of the optimizer's moments; or restore it, and the parameters."""
    pairs = [(c.first, c.first_kept), (c.second, c.second_kept)]
    if restores:
        pairs = [(c.last_finite, c.theta), *(pair[::-1] for pair in pairs)]
    for source, target in pairs:
        with size.builder.if_then(((target if restores else source) > 0).value):
            copy_bytes.formula(source + start, target + start, size)


_keep_moments = of_numbers(
    lambda c, start, size: _copy_kept(c, start, size, False), types.void
)
_restore = of_numbers(lambda c, size: _copy_kept(c, size.of(0), size, True), types.void)
_rate = of_numbers(
    lambda c, step: c.rates.load(step * c.rate_stride, ir.DoubleType()), types.float64
)


@of_numbers
def _keep_block(c, block, size) -> None:
    offset = block.low * size
    copy_bytes.formula(
        c.theta + offset, c.last_finite + offset, block.high * size - offset
    )


_shortening = of_numbers(
    lambda clip, slope: where(clip > 0, where(clip < slope, clip / slope, 1.0), 1.0)
)


def run_epochs(context, worker):
    """Run a worker's share of the epochs; theta and the results are complete when all workers have returned."""
    # A literal 0 has a different type than `none`, so functions would be compiled
    # twice.
    c = fit_at(context)
    zero = number(0)
    none = np.int64(0)
    barrier = words_at(c.barrier, BARRIER_WORDS)
    workers = c.workers
    shards = c.shards
    N, P, full = c.training.rows, c.p, c.full
    running, carried = c.running, c.carried
    bytes = P * size
    moved_parameters = c.moved + worker * BLOCK * size
    rows_of_epoch = c.order if c.shuffle else c.all_rows
    # 0 epochs: measure the losses once
    recorded = larger(c.epochs, 1)
    N_here = N * smaller(c.epochs, 1)
    losses = numbers_at(c.losses, recorded, zero)
    norms = numbers_at(c.norms, recorded, zero)
    sizes = numbers_at(c.sizes, recorded, zero)
    first, end = quarters_of(worker, workers)
    # if no layers are split
    shard = portion(shards, first, QUARTERS)
    next_shard = portion(shards, end, QUARTERS)
    # the shard in which the worker sums gradients; see `steps`
    summed_shard = none if c.gradient_of_batch else shard
    J = numbers_at(c.gradients + summed_shard * bytes, P, zero)
    # epochs with a finite loss; steps; whether a gradient diverged; an `Ended`
    done = words_at(c.done, 4)
    blocks = c.block_count
    partial = doubles_at(c.partial_losses, shards)
    squares = doubles_at(c.squares, blocks)
    moves = doubles_at(c.moves, blocks)
    penalties = doubles_at(c.penalties, blocks)
    step = none
    clear_bytes(c.penalties, 8 * blocks)
    share = portion(P, worker, workers) * size
    share_bytes = portion(P, worker + 1, workers) * size - share
    for epoch in range(recorded):
        if not full:  # copy a worker's share of the optimizer's moments
            _keep_moments(c, share, share_bytes)
        if c.shuffle and worker == 0:
            calls.shuffle(
                c.shuffle,
                (c.seed, c.first_epoch + epoch, N, none, c.keys, c.places, c.order),
            )
        wait_for_all(c)  # A
        if is_abandoned(c):
            return
        first_step, stopped = step, False
        running_loss, norm, moved_by = 0.0, 0.0, 0.0
        for start in range(0, N_here, c.batch_size):
            rows = rows_of_epoch + 8 * start
            B = smaller(c.batch_size, N - start)
            scale = scale_of(c, c.training, context + TRAINING, rows, B)
            step_number = c.first_step + step if c.noisy else -1
            # The gradients of the shards.
            if c.gradient_of_batch:
                calls.batch(
                    c.gradient_of_batch, (context, worker, rows, B, scale, step_number)
                )
            else:
                _gradients_of_shards(
                    context,
                    c,
                    worker,
                    shard,
                    next_shard,
                    rows,
                    B,
                    scale,
                    step_number,
                    size,
                )
            wait_for_all(c)  # B
            if worker == 0:
                look_for_stop(c)
            loss = total(partial)
            # theta is updated only if its loss is finite
            judged = (carried != 0) & (epoch > 0)
            waits = judged | (c.clip != 0)
            counted = judged | (running != 0)
            # Sum the worker's blocks, and update them if the step depends on nothing
            # else.
            rate = _rate(c, step)
            t = np.float64(c.steps_before + step + 1)
            for number_of_block in range(blocks):
                block = block_at(c.blocks, number_of_block)
                if not is_of(block, first, end):
                    continue
                _sum_block(
                    context,
                    c,
                    block,
                    number_of_block,
                    scale,
                    J.ctypes.data,
                    summed_shard,
                    counted,
                )
                squares[number_of_block] = square_of(part(J, block.low, block.high))
                if not waits:
                    moves[number_of_block] = move_block(
                        c, J, block.low, block.high, rate, t, 1.0, moved_parameters
                    )
            wait_for_all(c)  # C
            slope = length(squares)
            penalty = total(penalties)
            finite = True
            # A loss or gradient that is not finite ends the epochs; last_finite holds
            # the parameters before it.
            if judged:
                finite = is_finite(number(loss + penalty))  # in the recorded type
                if worker == 0:
                    losses[epoch - 1] = loss + penalty
                    done[0] = epoch - 1 + np.int64(finite)
            if not (finite & is_finite(number(slope))):
                if worker == 0:
                    norms[epoch], done[1], done[2] = slope, step, finite
                return
            # Update the blocks that had to wait.
            if waits:
                shorten = _shortening(c.clip, slope)
                for number_of_block in range(blocks):
                    block = block_at(c.blocks, number_of_block)
                    if not is_of(block, first, end):
                        continue
                    if judged:
                        _keep_block(c, block, size)
                    moves[number_of_block] = move_block(
                        c, J, block.low, block.high, rate, t, shorten, moved_parameters
                    )
                wait_for_all(c)  # D
            # Add the step to the means of the epoch.
            step += 1
            moved = length(moves)
            if running:
                running_loss += _running(c, loss, penalty, scale, B)
                if not (is_finite(moved) or are_finite(numbers_at(c.theta, P, zero))):
                    running_loss = np.nan
            norm += slope
            moved_by += moved
            stopped = barrier[STOPPED] > full
            if stopped:
                break
        # Store the results of the epoch, measure the losses, and decide whether
        # training ends.
        if worker == 0:
            steps = larger(step - first_step, 1)
            norms[epoch] = norm / steps
            sizes[epoch] = moved_by / steps
            done[1] = step
            if running:
                losses[epoch] = running_loss
        last = (epoch >= c.epochs - 1) | (barrier[STOPPED] != 0)
        is_measured = (running != 0) | ((carried != 0) & (not last) & (c.stopping == 0))
        finite = True
        if not stopped and (c.validation.rows or not is_measured):
            finite = (
                calls.measure(
                    c.measure, (context, worker, epoch, np.int64(is_measured))
                )
                != 0
            )
            stopped = barrier[STOPPED] > full
        if stopped:  # restore the state at the start of the epoch
            if worker == 0:
                _restore(c, bytes)
                done[1], done[3] = first_step, Ended.INTERRUPTED
            return
        if not (finite & is_finite(number(running_loss))):
            return
        if worker == 0 and (last or not carried or c.stopping):
            copy_bytes(c.theta, c.last_finite, bytes)
            done[0] = epoch + 1
        if c.stopping:
            if worker == 0 and calls.judge(c.judge, (context, epoch)):
                done[3] = Ended.STALLED
            wait_for_all(c)
            if done[3]:
                return
        if barrier[STOPPED]:
            if worker == 0:
                done[3] = Ended.INTERRUPTED
            return


@inlined
def _running(c, loss, penalty, scale, rows):
    """Return a batch's part of the epoch's running loss, as in `train.reference`."""
    if not c.mean:
        return loss + penalty * rows / c.rows_of_all
    return (loss + penalty) * (c.scale_of_all / scale) if scale > 0 else 0.0


epochs_address = addresses_of(run_epochs)


@inner
def _fit(context, c, measures, run_epochs, size):
    """Measure the initial losses, if requested, and run the epochs."""
    epochs = c.epochs
    stopping = c.stopping
    done = words_at(c.done, 4)
    done[3] = 0
    if measures and (not c.running or c.validation.rows):
        c.epochs = 0  # only measure the losses
        if stopping:
            rule = stopping_at(stopping)
            if rule.compares_to_best != 0 or (
                c.running and np.int64(rule.watched) == Watched.LOSS
            ):
                # the rule ignores the initial loss, or that loss is not computed
                c.stopping = 0
        calls.epochs(run_epochs, (context, 0))
        c.epochs, c.stopping = epochs, stopping
        if done[3] == Ended.INTERRUPTED:
            done[3] = Ended.NOT_STARTED
        elif not done[0]:
            done[3] = Ended.AT_START
        if done[3]:
            return
        done[0] = 0
        # The initial losses are the first entries; the epochs write the next entries.
        c.validation_losses += size
        c.validation_scores += 8
        if c.kept_predictions:
            c.kept_predictions += size * c.validation.rows * c.outputs
        if not c.running:
            c.losses += size
    if epochs or not measures:
        calls.epochs(run_epochs, (context, 0))


def run_members(
    contexts, numbers, count, queue, scratch, fields, offsets, measures, run_epochs
):
    """Run fits until all are taken or the queue's stop flag is set.

    ``scratch`` holds the addresses of the thread's memory for these fields of a record,
    and two words for the clock.
    """
    state = words_at(queue, 2)
    memory = words_at(scratch, fields)
    offsets = words_at(offsets, fields)
    clock = scratch + 8 * fields
    while not state[1]:
        taken = atomic_add(queue, np.int64(1))
        if taken >= count:
            return
        context = contexts + _FIT_BYTES * words_at(numbers, count)[taken]
        c = fit_at(context)
        words = words_at(context, _FIT_BYTES // 8)
        for field in range(fields):
            words[offsets[field]] = memory[field]
        # the tile may hold rows of the previous fit
        words_at(c.tile_contents, 2)[0] = 0
        seconds = doubles_at(c.seconds, 1)
        seconds[0] = -now(clock)
        _fit(context, c, measures, run_epochs, size)
        seconds[0] += now(clock)


members_address = addresses_of(run_members)
