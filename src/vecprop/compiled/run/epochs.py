"""Whole epochs without Python: batches, shards, the optimizer's steps and the losses between epochs.

Each batch's rows are cut into shards, a number that depends on the problem alone. A shard is computed by one thread;
the shards' gradients are summed in one order, block of parameters by block; wide layers have one gradient, see
`sharing`. So the bits are the same whatever the number of threads. Threads are the host's own: each runs `run_epochs`
under its number, and they meet at a barrier.
"""

from enum import IntEnum
from functools import cache

import numpy as np
from numba import njit, types

from ..jit.arrays import add, copy, doubles_at, numbers_at, total, words_at
from ..jit.machine_code import address_of
from ..jit.options import INNER, ONCE
from ..jit.pointers import call_batch, call_rows, call_score, call_shuffle, wait_for_all
from ..jit.record import SLOTS, Slot
from .shards import quarters_of
from .sharing import QUARTERS
from .steps import BLOCK, block_at, in_pairs, move_block, penalty_of, sum_block

CHUNK = 1024
"""How many rows' losses are summed as one."""

number = float
"""The floating type, which `address_of` fills in."""


class Ended(IntEnum):
    """Why epochs ended early."""

    STALLED = 1
    INTERRUPTED = 2
    AT_START = 3


class Stopping(IntEnum):
    """A rule of early stopping, in an array of doubles."""

    PATIENCE = 0
    TOLERANCE = 1
    STAGNATION = 2
    WATCHED = 3


class Watched(IntEnum):
    """What a rule watches."""

    LOSS = 0
    HELD_LOSS = 1
    HELD_SCORE = 2


class Memory(IntEnum):
    """What early stopping remembers of a fit, in an array of doubles."""

    LOWEST = 0
    AT = 1
    STALLED = 2


STOPPING, MEMORY = len(Stopping), len(Memory)


@njit(**INNER)
def _scale(c, distance, rows, like):
    """Return what the rows' losses are multiplied by beside their weights: 1 / Σ w for a mean, 1 for a sum."""
    if not c[Slot.MEAN]:
        return 1.0
    if not c[Slot.WEIGHT + distance]:
        return 1 / rows.size
    weight, total = numbers_at(c[Slot.WEIGHT + distance], c[Slot.DATA_ROWS + distance], like), 0.0
    chosen = words_at(c[Slot.CHOSEN + distance], c[Slot.ROWS + distance])
    for row in rows:
        total += weight[chosen[row] if c[Slot.CHOSEN + distance] else row]
    return 1 / total if total > 0 else 0.0


@njit(**INNER)
def _shards_of(c, worker):
    """Return a worker's first shard and that of the next worker, where no layers are shared."""
    first, end = quarters_of(worker, c[Slot.WORKERS])
    return first * c[Slot.SHARDS] // QUARTERS, end * c[Slot.SHARDS] // QUARTERS


@njit(**ONCE)
def _gradients_of_shards(context, c, worker, own_shards, rows, scale, step, gradients):
    """Find the losses and gradients of a worker's shards of some rows, from its first to the next worker's."""
    B, P, shards = rows.size, c[Slot.P], c[Slot.SHARDS]
    partial, (first, end) = doubles_at(c[Slot.PARTIAL], shards), own_shards
    for shard in range(first, end):
        own, some = gradients[shard * P :], rows
        if shards > 1:  # to divide takes as long as a small layer
            some = rows[shard * B // shards : (shard + 1) * B // shards]
        if not some.size:
            for p in range(P):
                own[p] = 0
        partial[shard] = call_rows(
            c[Slot.GRADIENT_OF_ROWS],
            (context, worker, 0, some.ctypes.data, some.size, scale, step, own.ctypes.data),
        )
    if in_pairs(c):
        for shard in range(first, end, 2):
            add(gradients[(shard + 1) * P : (shard + 2) * P], gradients[shard * P : (shard + 1) * P])


def run_epochs(context, worker):
    """Run a worker's part of some epochs; results and theta are complete when all workers have returned."""
    c, zero = words_at(context, SLOTS), number(0)
    barrier, workers, shards = words_at(c[Slot.BARRIER], 16), c[Slot.WORKERS], c[Slot.SHARDS]
    N, P, full, noisy = c[Slot.ROWS], c[Slot.P], c[Slot.FULL], c[Slot.NOISY]
    theta = numbers_at(c[Slot.THETA], P, zero)
    gradients = numbers_at(c[Slot.GRADIENTS], shards * P, zero)
    own_moved = numbers_at(c[Slot.MOVED], (worker + 1) * BLOCK, zero)[worker * BLOCK :]
    last_finite, rates, clip = numbers_at(c[Slot.LAST_FINITE], P, zero), c[Slot.RATES], doubles_at(c[Slot.CLIP], 1)[0]
    order, everyone = words_at(c[Slot.ORDER], N), words_at(c[Slot.EVERYONE], N)
    losses = numbers_at(c[Slot.LOSSES], c[Slot.EPOCHS], zero)
    norms, sizes = numbers_at(c[Slot.NORMS], c[Slot.EPOCHS], zero), numbers_at(c[Slot.SIZES], c[Slot.EPOCHS], zero)
    first, end = quarters_of(worker, workers)
    first_shard, end_shard = _shards_of(c, worker)
    own = 0 if c[Slot.GRADIENT_OF_BATCH] else first_shard  # a worker sums in memory of its own
    J = gradients[own * P :]
    done = words_at(c[Slot.DONE], 4)  # epochs with a finite loss; steps; was it a gradient that diverged; why it ended
    blocks, partial = c[Slot.BLOCK_COUNT], doubles_at(c[Slot.PARTIAL], shards)
    squares, moves = doubles_at(c[Slot.SQUARES], blocks), doubles_at(c[Slot.MOVES], blocks)
    costs = doubles_at(c[Slot.COSTS], blocks)
    running = c[Slot.RUNNING]
    carried = full and not noisy and not running  # a step's own loss is that of the epoch before it
    everything = _scale(c, np.int64(0), everyone[:N], theta) if running else 0.0
    step = 0
    for epoch in range(max(c[Slot.EPOCHS], 1)):  # no epoch at all measures the losses
        if c[Slot.STOP] and words_at(c[Slot.STOP], 1)[0]:  # for a worker that is alone
            done[3] = Ended.INTERRUPTED
            return
        if c[Slot.SHUFFLE] and worker == 0:
            call_shuffle(
                c[Slot.SHUFFLE],
                (c[Slot.SEED], c[Slot.FIRST_EPOCH] + epoch, N, c[Slot.KEYS], c[Slot.PLACES], c[Slot.ORDER]),
            )
        wait_for_all(barrier, workers)
        first_step, loss, met, norm, size = step, 0.0, 0.0, 0.0, 0.0
        for start in range(0, N if c[Slot.EPOCHS] else 0, c[Slot.BATCH_SIZE]):
            rows = (order if c[Slot.SHUFFLE] else everyone)[start : min(start + c[Slot.BATCH_SIZE], N)]
            B, scale = rows.size, _scale(c, np.int64(0), rows, theta)
            step_number = c[Slot.FIRST_STEP] + step if noisy else -1
            if c[Slot.GRADIENT_OF_BATCH]:
                call_batch(c[Slot.GRADIENT_OF_BATCH], (context, worker, rows.ctypes.data, B, scale, step_number))
            else:
                own_shards = first_shard, end_shard
                _gradients_of_shards(context, c, worker, own_shards, rows, scale, step_number, gradients)
            wait_for_all(barrier, workers)
            loss = total(partial)
            judged = carried and epoch > 0  # the loss decides first whether theta moves
            at_once = clip == 0 and not judged  # a block moves while it is near the processor
            rate = doubles_at(rates, step + 1)[step * c[Slot.RATE_STRIDE]]
            t = np.float64(c[Slot.STEPS_BEFORE] + step + 1)
            for block in range(blocks):
                low, high, quarter, alone = block_at(c, block)
                if not first <= quarter < end:
                    continue
                squares[block] = sum_block(c, theta, gradients, alone, low, high, scale, own)
                costs[block] = penalty_of(c, theta, low, high, scale) if judged or running else 0.0
                if at_once:
                    moves[block] = move_block(c, theta, J, low, high, rate, t, 1.0, own_moved)
            wait_for_all(barrier, workers)
            square, cost, finite = total(squares), total(costs), True
            if judged:
                finite = np.isfinite(theta.dtype.type(loss + cost))  # as it is recorded
                if worker == 0:
                    losses[epoch - 1] = loss + cost
                    done[0] = epoch if finite else epoch - 1
            if not (finite and np.isfinite(square)):
                if worker == 0:
                    norms[epoch], done[1], done[2] = np.sqrt(square), step, finite
                return
            if not at_once:
                shorten = clip / np.sqrt(square) if clip > 0 and square > clip * clip else 1.0
                for block in range(blocks):
                    low, high, quarter, _ = block_at(c, block)
                    if not first <= quarter < end:
                        continue
                    if judged:
                        copy(theta[low:high], last_finite[low:high])
                    moves[block] = move_block(c, theta, J, low, high, rate, t, shorten, own_moved)
                wait_for_all(barrier, workers)
            step += 1
            moved = total(moves)
            if running:
                met += _running(c, loss, cost, everything, scale, B)
                if not (np.isfinite(moved) or _is_finite(theta)):
                    met = np.nan
            norm += np.sqrt(square)
            size += np.sqrt(moved)
        if worker == 0:
            norms[epoch], sizes[epoch] = norm / max(step - first_step, 1), size / max(step - first_step, 1)
            done[1] = step
            if running:
                losses[epoch] = met
        last = epoch >= c[Slot.EPOCHS] - 1
        known = running or (carried and not last and not c[Slot.STOPPING])
        if not (_measured(context, c, worker, epoch, known, theta) and np.isfinite(theta.dtype.type(met))):
            return
        if worker == 0 and (last or not carried or c[Slot.STOPPING]):
            copy(theta, last_finite)
            done[0] = epoch + 1
        if c[Slot.STOPPING]:
            if worker == 0 and _has_stalled(c, epoch, theta):
                done[3] = Ended.STALLED
            wait_for_all(barrier, workers)
            if done[3]:
                return


@njit(**INNER)
def _has_stalled(c, epoch, theta):
    """Return whether early stopping ends training, as `train.early_stopping` has it, and keep the best parameters."""
    rule, memory = doubles_at(c[Slot.STOPPING], STOPPING), doubles_at(c[Slot.MEMORY], MEMORY)
    tolerance, watched = rule[Stopping.TOLERANCE], np.int64(rule[Stopping.WATCHED])
    if watched == Watched.HELD_SCORE:
        loss = -doubles_at(c[Slot.HELD_SCORES], epoch + 1)[epoch]
    else:
        by_held = watched == Watched.HELD_LOSS and c[Slot.HELD_ROWS] > 0
        loss = np.float64(numbers_at(c[Slot.HELD_LOSSES if by_held else Slot.LOSSES], epoch + 1, theta)[epoch])
    if rule[Stopping.STAGNATION]:
        progresses = not loss > memory[Memory.LOWEST] - tolerance
    else:
        progresses = loss < memory[Memory.AT] - tolerance
    if loss < memory[Memory.LOWEST]:
        memory[Memory.LOWEST] = loss
        copy(theta, numbers_at(c[Slot.BEST], theta.size, theta))
    if progresses:
        memory[Memory.AT], memory[Memory.STALLED] = loss, 0
    else:
        memory[Memory.STALLED] += 1
    return memory[Memory.STALLED] >= rule[Stopping.PATIENCE]


@njit(**INNER)
def _running(c, loss, penalty, everything, scale, rows):
    """Return a batch's part in the epoch's running loss, as `train.running_loss` has it."""
    if not c[Slot.MEAN]:
        return loss + penalty * rows / c[Slot.ROWS]
    return (loss + penalty) * (everything / scale) if scale > 0 else 0.0


@njit(**INNER)
def _is_finite(values):
    for value in values:  # noqa: SIM110 (Numba knows no all() of a generator)
        if not np.isfinite(value):
            return False
    return True


@njit(**INNER)
def _measured(context, c, worker, epoch, known, theta):
    """Record losses and score at the current parameters, that of training unless it is known.

    Return whether the losses are finite.
    """
    finite = True
    for held in range(2):
        N, losses = c[Slot.HELD_ROWS if held else Slot.ROWS], c[Slot.HELD_LOSSES if held else Slot.LOSSES]
        if N == 0 or (known and not held):
            continue
        parts = (N + CHUNK - 1) // CHUNK
        if c[Slot.FULL] and not c[Slot.NOISY] and not held:
            parts = c[Slot.SHARDS]  # as the steps sum it, so that its bits do not depend on who asks
        loss = _loss(context, c, worker, held, N, parts, theta)
        finite = finite and np.isfinite(theta.dtype.type(loss))
        if worker == 0:
            numbers_at(losses, epoch + 1, theta)[epoch] = loss
            if held and c[Slot.SCORE]:
                scores = doubles_at(c[Slot.HELD_SCORES], epoch + 1)
                scores[epoch] = call_score(c[Slot.SCORE_OF_HELD_ROWS], (context,))
    return finite


@njit(**INNER)
def _loss(context, c, worker, held, N, parts, theta):
    """Return the loss of rows that are cut into parts, with the penalty; all workers return the same."""
    barrier, workers, rows = words_at(c[Slot.BARRIER], 16), c[Slot.WORKERS], words_at(c[Slot.EVERYONE], N)
    partial = doubles_at(c[Slot.PARTIAL], parts)
    scale = _scale(c, Slot.HELD_X - Slot.X if held else 0, rows, theta)
    wait_for_all(barrier, workers)  # partial is free
    for part in range(worker, parts, workers):
        some = rows[part * N // parts : (part + 1) * N // parts]
        partial[part] = call_rows(
            c[Slot.GRADIENT_OF_ROWS], (context, worker, held, some.ctypes.data, some.size, scale, -1, 0)
        )
    blocks, costs = c[Slot.BLOCK_COUNT], doubles_at(c[Slot.COSTS], c[Slot.BLOCK_COUNT])
    first, end = quarters_of(worker, workers)
    for block in range(blocks):  # by blocks, as the steps do, so that the bits are the same
        low, high, quarter, _ = block_at(c, block)
        if first <= quarter < end:
            costs[block] = penalty_of(c, theta, low, high, scale)
    wait_for_all(barrier, workers)
    return total(partial) + total(costs)


@cache
def epochs_address(F: type) -> int:
    """Return the address of `run_epochs` for numbers of type F."""
    signature = types.void(types.intp, types.intp)
    return address_of(run_epochs, signature, F.__name__, number=F)
