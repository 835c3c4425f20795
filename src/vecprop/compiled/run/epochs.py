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

from ..jit import calls, inlined, inner
from ..jit.addresses import (
    clear_bytes,
    copy_bytes,
    doubles_at,
    numbers_at,
    part,
    record_at,
    total,
    words_at,
)
from ..jit.fit_record import FIT, fields, fit_at
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
    compiled_range,
    if_then,
    is_finite,
    larger,
    of_numbers,
    portion,
    smaller,
    where,
)
from .measures import Watched, look_for_stop, scale_of, stopping_at
from .parallelism import QUARTERS, quarters_of
from .steps import are_finite, block_at, is_of, length, move_block, square_of

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


OUTCOME = np.dtype(fields("epochs steps gradient_diverged ended"))
"""The outcome of a fit: the number of epochs with a finite loss, the number of steps,
whether a gradient was not finite, and why the fit ended early (0 or `Ended`).
"""

_outcome_at = record_at(OUTCOME)
_queue_at = record_at(np.dtype(fields("taken stops")))


@of_numbers
def _gradient_of_shard(fit, worker, shard, rows, B, scale, step, size) -> None:
    """Compute the loss and the gradient of a shard: the rows low to high of B rows."""
    has_shards = fit.shards > 1
    # The divisions of `portion` would take as long as a small layer.
    low = branch(
        has_shards, lambda: portion(B, shard, fit.shards), lambda: B.constant(0)
    )
    high = branch(has_shards, lambda: portion(B, shard + 1, fit.shards), lambda: B)
    gradient_bytes = fit.p * size
    gradient = fit.gradients + shard * gradient_bytes
    with if_then(high.equals(low)):
        clear_bytes(gradient, gradient_bytes)
    loss = calls.rows(
        fit.gradient_of_rows,
        fit,
        worker,
        is_validation=0,
        rows=rows + low * 8,
        n=high - low,
        scale=scale,
        step=step,
        gradient=gradient,
    )
    fit.partial_losses.store(shard, loss)


@of_numbers
def _gradients_of_shards(fit, worker, first, end, rows, B, scale, step, size) -> None:
    """Compute the losses and gradients of a worker's shards of B rows: first to end - 1."""
    for number in compiled_range(end - first):
        _gradient_of_shard(
            fit,
            worker,
            shard=first + number,
            rows=rows,
            B=B,
            scale=scale,
            step=step,
            size=size,
        )
    with if_then(fit.in_pairs > 0):
        for pair in compiled_range((end - first + 1) // 2):
            calls.sum_shards(
                fit.sum_shards, fit, 0, fit.p, first + pair * 2, distance=1
            )


def _penalty(fit, block, scale, gradient):
    """Return the penalty of a block, or add its gradient to a gradient in memory."""
    return calls.penalize(
        fit.penalize, fit, block.low, block.high, scale, gradient=gradient
    )


@of_numbers
def _sum_block(fit, block, number, scale, J, shard, needed) -> None:
    """Sum a block's gradients of shards, and add the gradient of the penalty.

    The other gradients are added to the gradient of ``shard``, at the address ``J``.
    Also store the penalty of the block, which has this number, if it is needed.
    """
    with if_then((fit.sum_shards > 0) & block.is_single.equals(0)):
        calls.sum_shards(
            fit.sum_shards, fit, block.low, block.high, shard, distance=fit.next_shard
        )
    with if_then(fit.penalize > 0):
        _penalty(fit, block, scale, gradient=J)
        with if_then(needed > 0):
            penalty = _penalty(fit, block, scale, gradient=0)
            fit.penalties.store(number, penalty)


def _moments(fit):
    """Return the addresses of the optimizer's moments, each with the address of its copy."""
    return (fit.first, fit.first_kept), (fit.second, fit.second_kept)


@of_numbers
def _keep_moments(fit, start, size, bytes) -> None:
    """Copy a part of the optimizer's moments, so that the epoch can be undone; a moment has this number of bytes."""
    for moment, copy in _moments(fit):
        with if_then(moment > 0):
            copy_bytes(moment + start, copy + start, size)
    for k in compiled_range(fit.further_count):
        copy = fit.further_kept + k * bytes
        copy_bytes(fit.further.load(k) + start, copy + start, size)


@of_numbers
def _restore(fit, size) -> None:
    """Restore the parameters and the optimizer's moments at the start of the epoch."""
    copy_bytes(fit.last_finite, fit.theta, size)
    for moment, copy in _moments(fit):
        with if_then(moment > 0):
            copy_bytes(copy, moment, size)
    for k in compiled_range(fit.further_count):
        copy_bytes(fit.further_kept + k * size, fit.further.load(k), size)


@of_numbers
def _keep_block(fit, block, size) -> None:
    """Copy a block of parameters with a finite loss to ``last_finite``."""
    start = block.low * size
    copy_bytes(fit.theta + start, fit.last_finite + start, block.high * size - start)


_shortening = of_numbers(
    lambda clip, slope: where(clip > 0, where(clip < slope, clip / slope, 1.0), 1.0)
)


def run_epochs(fit, worker):
    """Run a worker's share of the epochs; theta and the results are complete when all workers have returned."""
    barrier = words_at(fit.barrier, BARRIER_WORDS)
    workers = fit.workers
    shards = fit.shards
    N = fit.training.rows
    P = fit.p
    full = fit.full
    running = fit.running
    carried = fit.carried
    bytes = P * size
    moved_parameters = fit.moved + worker * fit.largest_block * size
    rows_of_epoch = fit.order if fit.shuffle else fit.all_rows
    # 0 epochs: measure the losses once
    recorded = larger(fit.epochs, 1)
    N_here = N * smaller(fit.epochs, 1)
    losses = numbers_at(fit.losses, recorded, number)
    norms = numbers_at(fit.norms, recorded, number)
    sizes = numbers_at(fit.sizes, recorded, number)
    first, end = quarters_of(worker, workers)
    # if no layers are split
    shard = portion(shards, first, QUARTERS)
    next_shard = portion(shards, end, QUARTERS)
    # the shard in which the worker sums gradients; see `steps`
    summed_shard = 0 if fit.gradient_of_batch else shard
    J = numbers_at(fit.gradients + summed_shard * bytes, P, number)
    outcome = _outcome_at(fit.done)
    blocks = fit.block_count
    shard_losses = doubles_at(fit.partial_losses, shards)
    squares = doubles_at(fit.squares, blocks)
    moves = doubles_at(fit.moves, blocks)
    penalties = doubles_at(fit.penalties, blocks)
    step = 0
    clear_bytes(fit.penalties, 8 * blocks)
    share = portion(P, worker, workers) * size
    share_bytes = portion(P, worker + 1, workers) * size - share
    for epoch in range(recorded):
        if not full:  # copy a worker's share of the optimizer's moments
            _keep_moments(fit, share, share_bytes, bytes)
        if fit.shuffle and worker == 0:
            calls.shuffle(
                fit.shuffle,
                fit.seed,
                fit.first_epoch + epoch,
                N,
                0,
                fit.keys,
                fit.places,
                fit.order,
            )
        wait_for_all(fit)  # A
        if is_abandoned(fit):
            return
        first_step = step
        stopped = False
        running_loss = 0.0
        norm = 0.0
        moved_by = 0.0
        for start in range(0, N_here, fit.batch_size):
            rows = rows_of_epoch + 8 * start
            B = smaller(fit.batch_size, N - start)
            scale = scale_of(fit, fit.training, rows, B)
            step_number = fit.first_step + step if fit.noisy else -1
            # The gradients of the shards.
            if fit.gradient_of_batch:
                calls.batch(
                    fit.gradient_of_batch, fit, worker, rows, B, scale, step_number
                )
            else:
                _gradients_of_shards(
                    fit, worker, shard, next_shard, rows, B, scale, step_number, size
                )
            wait_for_all(fit)  # B
            if worker == 0:
                look_for_stop(fit)
            loss = total(shard_losses)
            # theta is updated only if its loss is finite
            judged = (carried != 0) & (epoch > 0)
            waits = judged | (fit.clip != 0)
            counted = judged | (running != 0)
            # Sum the worker's blocks, and update them if the step depends on nothing
            # else.
            rate = doubles_at(fit.rates, step + 1)[step * fit.rate_stride]
            t = np.float64(fit.steps_before + step + 1)
            for number_of_block in range(blocks):
                block = block_at(fit.blocks, number_of_block)
                if not is_of(block, first, end):
                    continue
                _sum_block(
                    fit,
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
                        fit, J, block.low, block.high, rate, t, 1.0, moved_parameters
                    )
            wait_for_all(fit)  # C
            slope = length(squares)
            penalty = total(penalties)
            finite = True
            # A loss or gradient that is not finite ends the epochs; last_finite holds
            # the parameters before it.
            if judged:
                finite = is_finite(number(loss + penalty))  # in the recorded type
                if worker == 0:
                    losses[epoch - 1] = loss + penalty
                    outcome.epochs = epoch - 1 + np.int64(finite)
            if not (finite & is_finite(number(slope))):
                if worker == 0:
                    norms[epoch] = slope
                    outcome.steps = step
                    outcome.gradient_diverged = finite
                return
            # Update the blocks that had to wait.
            if waits:
                shorten = _shortening(fit.clip, slope)
                for number_of_block in range(blocks):
                    block = block_at(fit.blocks, number_of_block)
                    if not is_of(block, first, end):
                        continue
                    if judged:
                        _keep_block(fit, block, size)
                    moves[number_of_block] = move_block(
                        fit,
                        J,
                        block.low,
                        block.high,
                        rate,
                        t,
                        shorten,
                        moved_parameters,
                    )
                wait_for_all(fit)  # D
            # Add the step to the means of the epoch.
            step += 1
            moved = length(moves)
            if running:
                running_loss += _running(fit, loss, penalty, scale, B)
                if not (
                    is_finite(moved) or are_finite(numbers_at(fit.theta, P, number))
                ):
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
            outcome.steps = step
            if running:
                losses[epoch] = running_loss
        last = (epoch >= fit.epochs - 1) | (barrier[STOPPED] != 0)
        is_measured = (running != 0) | (
            (carried != 0) & (not last) & (fit.stopping == 0)
        )
        finite = True
        if not stopped and (fit.validation.rows or not is_measured):
            all_finite = calls.measure(fit.measure, fit, worker, epoch, is_measured)
            finite = all_finite != 0
            stopped = barrier[STOPPED] > full
        if stopped:  # restore the state at the start of the epoch
            if worker == 0:
                _restore(fit, bytes)
                outcome.steps = first_step
                outcome.ended = Ended.INTERRUPTED
            return
        if not (finite & is_finite(number(running_loss))):
            return
        if worker == 0 and (last or not carried or fit.stopping):
            copy_bytes(fit.theta, fit.last_finite, bytes)
            outcome.epochs = epoch + 1
        if fit.stopping:
            if worker == 0 and calls.judge(fit.judge, fit, epoch):
                outcome.ended = Ended.STALLED
            wait_for_all(fit)
            if outcome.ended:
                return
        if barrier[STOPPED]:
            if worker == 0:
                outcome.ended = Ended.INTERRUPTED
            return


@inlined
def _running(fit, loss, penalty, scale, rows):
    """Return a batch's part of the epoch's running loss, as in `train.reference`."""
    if not fit.mean:
        return loss + penalty * rows / fit.rows_of_all
    return (loss + penalty) * (fit.scale_of_all / scale) if scale > 0 else 0.0


epochs_address = addresses_of(run_epochs)


@inlined
def _measure_start(fit, run_epochs):
    """Measure the losses at the initial parameters: run 0 epochs.

    Early stopping is disabled meanwhile if its rule ignores the initial loss, or if
    that loss is not measured because training losses are running means.
    """
    epochs = fit.epochs
    stopping = fit.stopping
    fit.epochs = 0
    if stopping:
        rule = stopping_at(stopping)
        is_unmeasured = fit.running and np.int64(rule.watched) == Watched.LOSS
        if rule.compares_to_best != 0 or is_unmeasured:
            fit.stopping = 0
    calls.epochs(run_epochs, fit, worker=0)
    fit.epochs = epochs
    fit.stopping = stopping


@inner
def _fit(fit, measures, run_epochs, size):
    """Measure the initial losses, if requested, and run the epochs."""
    outcome = _outcome_at(fit.done)
    outcome.ended = 0
    if measures and (not fit.running or fit.validation.rows):
        _measure_start(fit, run_epochs)
        if outcome.ended == Ended.INTERRUPTED:
            outcome.ended = Ended.NOT_STARTED
        elif outcome.epochs == 0:  # the losses are not finite
            outcome.ended = Ended.AT_START
        if outcome.ended:
            return
        outcome.epochs = 0
        # The initial losses are the first entries; the epochs write the next entries.
        fit.validation_losses += size
        fit.validation_scores += 8
        if fit.kept_predictions:
            fit.kept_predictions += size * fit.validation.rows * fit.outputs
        if not fit.running:
            fit.losses += size
    if fit.epochs or not measures:
        calls.epochs(run_epochs, fit, worker=0)


def run_members(
    records, order, count, queue, scratch, fields, offsets, measures, run_epochs
):
    """Run fits in this order, until all ``count`` fits are taken from the queue or its stop flag is set.

    Each thread calls this. ``records`` is the address of all fits' records, and
    ``order`` the address of their indices. ``scratch`` holds the addresses of the thread's
    memory, one for each of the record's fields at these ``offsets``, and two words for
    the clock. A thread writes these addresses into the record of its current fit.
    """
    shared = _queue_at(queue)
    numbers = words_at(order, count)
    memory = words_at(scratch, fields)
    offsets = words_at(offsets, fields)
    clock = scratch + 8 * fields
    while not shared.stops:
        taken = atomic_add(queue, 1)
        if taken >= count:
            return
        address = records + _FIT_BYTES * numbers[taken]
        fit = fit_at(address)
        record = words_at(address, _FIT_BYTES // 8)
        for field in range(fields):
            record[offsets[field]] = memory[field]
        # the tile may hold rows of the previous fit
        words_at(fit.tile_contents, 2)[0] = 0
        seconds = doubles_at(fit.seconds, 1)
        seconds[0] = -now(clock)
        _fit(fit, measures, run_epochs, size)
        seconds[0] += now(clock)


members_address = addresses_of(run_members)
