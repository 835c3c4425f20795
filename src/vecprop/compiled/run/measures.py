"""Losses and scores between epochs, and early stopping; compiled only for fits that need them."""

from enum import IntEnum
from typing import Any

import numpy as np
from llvmlite import ir

from ...optimize.settings import observed
from ..jit import calls, inlined, inner
from ..jit.addresses import (
    copy_bytes,
    doubles_at,
    numbers_at,
    record_at,
    total,
    words_at,
)
from ..jit.fit_record import OFFSETS, ROWS, fields
from ..jit.machine_code import addresses_of
from ..jit.threads import STOPPED, wait_for_all
from ..jit.tracing import (
    branch,
    compiled_range,
    if_then,
    is_finite,
    of_numbers,
    portion,
    where,
)
from .parallelism import first_quarter
from .steps import block_at, is_of

CHUNK = 1024
"""The number of rows per part of a loss; it does not depend on the number of
threads, which keeps sums reproducible.
"""

# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8


STOPPING = np.dtype(fields("patience min_delta compares_to_best watched", np.float64))
"""A rule of early stopping, as a record of doubles; see
`optimize.settings.EarlyStopping.as_numbers`.
"""

stopping_at = record_at(STOPPING)


class Watched(IntEnum):
    """The values that a rule can monitor, in the order of `optimize.settings.Monitored`."""

    LOSS = 0
    VALIDATION_LOSS = 1
    VALIDATION_SCORE = 2


MEMORY = np.dtype(fields("lowest reference stalled", np.float64))
"""The state of early stopping, as a record of doubles; see `train.run.Best`."""

_memory_at = record_at(MEMORY)

_rows_at = record_at(ROWS)
TRAINING = 8 * OFFSETS["training"]["x"]
"""The offset of the training rows in a record, in bytes."""

_observed = inner(observed)


@of_numbers
def scale_of(fit, data, rows, n) -> float:
    """Return the factor of row losses: 1 / Σ w for a weighted mean, 1 / n for a mean, 1 for a sum."""
    without_weights = where(fit.mean > 0, 1 / n.cast(ir.DoubleType(), "sitofp"), 1.0)
    return branch(
        data.weigher > 0,
        lambda: calls.weigh(data.weigher, data, rows, n),
        lambda: without_weights,
    )


@inner
def _factor(data, rows, like):
    """Compute the result of `weigh` in a separate function, to fix the order of the sum."""
    weight = numbers_at(data.weight, data.data_rows, like)
    total = 0.0
    chosen = words_at(data.chosen, data.rows)
    for row in rows:
        total += weight[chosen[row] if data.chosen else row]
    return 1 / total if total > 0 else 0.0


def weigh(data, rows, n) -> float:
    """Return 1 / Σ w of n rows of data, or 0 if all weights are 0."""
    return _factor(_rows_at(data), words_at(rows, n), number)


weigh_address = addresses_of(weigh)


@of_numbers
def look_for_stop(fit) -> None:
    """Set the stop flag of all workers if a stop was requested."""
    with if_then(fit.stop.load(0) > 0):
        fit.barrier.store(STOPPED, fit.stop.load(0).constant(1))


@of_numbers
def _measure_rows(fit, worker, is_validation, N, parts, scale) -> None:
    """Store the losses of a worker's parts of N rows, unless the fit stops.

    The worker's parts are worker, worker + workers, worker + 2 workers and so on.
    """
    workers = fit.workers
    has_batches = fit.full.equals(0)
    for turn in compiled_range((parts - worker + workers - 1) // workers):
        part = worker + turn * workers
        with if_then(has_batches):
            look_for_stop(fit)
        is_stopped = has_batches & (fit.barrier.load(STOPPED) > 0)
        with if_then(is_stopped.equals(0)):
            low = portion(N, part, parts)
            high = portion(N, part + 1, parts)
            loss = calls.rows(
                fit.gradient_of_rows,
                fit,
                worker,
                is_validation,
                rows=fit.all_rows + low * 8,
                n=high - low,
                scale=scale,
                step=-1,
                gradient=0,
            )
            fit.partial_losses.store(part, loss)


@of_numbers
def _measure_penalties(fit, worker, scale) -> None:
    """Store the penalties of a worker's blocks of parameters, in the same order as in steps."""
    first = first_quarter(worker, fit.workers)
    end = first_quarter(worker + 1, fit.workers)
    with if_then(fit.penalize > 0):
        for number in compiled_range(fit.block_count):
            block = block_at(fit.blocks, number)
            with if_then(is_of(block, first, end)):
                penalty = calls.penalize(
                    fit.penalize, fit, block.low, block.high, scale, gradient=0
                )
                fit.penalties.store(number, penalty)


@inlined
def _loss(fit, worker, is_validation, N, parts):
    """Return the loss of N rows, with the penalty; it is summed in parts, and all workers return the same value."""
    data = fit.validation if is_validation else fit.training
    scale = scale_of(fit, data, fit.all_rows, N)
    wait_for_all(fit)  # all workers have read the previous sums
    _measure_rows(fit, worker, is_validation, N, parts, scale)
    _measure_penalties(fit, worker, scale)
    wait_for_all(fit)
    row_losses = doubles_at(fit.partial_losses, parts)
    penalties = doubles_at(fit.penalties, fit.block_count)
    return total(row_losses) + total(penalties)


@inlined
def _record_validation(fit, epoch, size):
    """Record the score and the predictions of the validation rows, if they are requested."""
    if fit.validation_score:
        scores = doubles_at(fit.validation_scores, epoch + 1)
        scores[epoch] = calls.score(fit.validation_score, fit)
    if fit.kept_predictions:
        bytes = fit.validation.rows * fit.outputs * size
        copy_bytes(fit.predictions, fit.kept_predictions + epoch * bytes, bytes)


def measure(fit, worker, epoch, is_measured) -> float:
    """Record the losses and the score at theta; return 1 if the losses are finite, else 0.

    If ``is_measured`` is not 0, the training loss is already recorded.
    """
    all_finite = 1.0
    for is_validation in range(2):
        if is_validation:
            N = fit.validation.rows
            losses = fit.validation_losses
        else:
            N = 0 if is_measured else fit.training.rows
            losses = fit.losses
        if N == 0:
            continue
        parts = (N + CHUNK - 1) // CHUNK
        if fit.full and not fit.noisy and not is_validation:
            parts = fit.shards  # the parts of a step, to get the same bits
        loss = _loss(fit, worker, is_validation, N, parts)
        if not is_finite(number(loss)):
            all_finite = 0.0
        if worker == 0:
            numbers_at(losses, epoch + 1, number)[epoch] = loss
            if is_validation:
                _record_validation(fit, epoch, size)
    return all_finite


measure_address = addresses_of(measure)


def judge(fit, epoch) -> float:
    """Copy the parameters if they are the best so far; return 1 if early stopping ends training, else 0."""
    rule = stopping_at(fit.stopping)
    memory = _memory_at(fit.memory)
    watched = np.int64(rule.watched)
    if watched == Watched.VALIDATION_SCORE:
        # the loss of a score is the negative score
        loss = -doubles_at(fit.validation_scores, epoch + 1)[epoch]
    else:
        losses = fit.losses
        if watched == Watched.VALIDATION_LOSS and fit.validation.rows > 0:
            losses = fit.validation_losses
        loss = np.float64(numbers_at(losses, epoch + 1, number)[epoch])
    if loss < memory.lowest:
        copy_bytes(fit.theta, fit.best, fit.p * size)
    memory.lowest, memory.reference, memory.stalled = _observed(
        loss,
        memory.lowest,
        memory.reference,
        memory.stalled,
        rule.min_delta,
        rule.compares_to_best != 0,
    )
    return 1.0 if memory.stalled >= rule.patience else 0.0


judge_address = addresses_of(judge)
