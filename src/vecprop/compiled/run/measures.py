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
from ..jit.fit_record import OFFSETS, ROWS, fields, fit_at
from ..jit.machine_code import addresses_of
from ..jit.threads import STOPPED, wait_for_all
from ..jit.tracing import branch, each, is_finite, of_numbers, portion, where
from .parallelism import first_quarter
from .steps import block_at, is_of

CHUNK = 1024
"""The number of rows per part of a loss; it does not depend on the number of
threads, which keeps sums reproducible.
"""

# Placeholder, filled in by `address_of`: the floating-point type.
number: Any = float


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
TRAINING, VALIDATION = (8 * OFFSETS[name]["x"] for name in ("training", "validation"))
"""The offsets of the groups of rows in a record, in bytes."""

_observed = inner(observed)


@of_numbers
def scale_of(c, data, group, rows, n) -> float:
    """Return the factor of row losses: 1 / Σ w for a mean, 1 for a sum; `group` is the address of data."""
    share = where(c.mean > 0, 1 / n.cast(ir.DoubleType(), "sitofp"), 1.0)
    return branch(
        data.weigher > 0,
        lambda: calls.weigh.formula(data.weigher, (group, rows, n)),
        lambda: share,
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
    return _factor(_rows_at(data), words_at(rows, n), number(0))


weigh_address = addresses_of(weigh)


@of_numbers
def look_for_stop(c) -> None:
    """Set the stop flag of all workers if a stop was requested."""
    with c.builder.if_then((c.stop.load(0) > 0).value):
        c.barrier.store(STOPPED, c.stop.load(0).of(1))


@of_numbers
def _measure_rows(context, c, worker, is_validation, N, parts, scale) -> None:
    """Compute a worker's losses of parts of the rows, unless the fit stops, and its penalties."""
    workers, if_then = c.workers, context.builder.if_then
    for turn in each((parts - worker + workers - 1) // workers):
        part = worker + turn * workers
        with if_then(c.full.equals(0).value):
            look_for_stop.formula(c)
        stops = c.full.equals(0) & (c.barrier.load(STOPPED) > 0)
        with if_then(stops.equals(0).value):
            low = portion.formula(N, part, parts)
            loss = calls.rows.formula(
                c.gradient_of_rows,
                (
                    context,
                    worker,
                    is_validation,
                    c.all_rows + low * 8,
                    portion.formula(N, part + 1, parts) - low,
                    scale,
                    -1,
                    0,
                ),
            )
            c.partial_losses.store(part, loss)
    first = first_quarter.formula(worker, workers)
    end = first_quarter.formula(worker + 1, workers)
    with if_then((c.penalize > 0).value):
        for number in each(c.block_count):  # the same order as in steps
            block = block_at.formula(c.blocks, number)
            with if_then(is_of.formula(block, first, end).value):
                operands = context, block.low, block.high, scale, 0
                c.penalties.store(number, calls.penalize.formula(c.penalize, operands))


@inlined
def _loss(context, c, worker, is_validation, N, parts):
    """Return the loss of rows, including the penalty. It is summed in parts; all workers return the same value."""
    data = c.training
    offset = TRAINING
    if is_validation:
        data = c.validation
        offset = VALIDATION
    scale = scale_of(c, data, context + offset, c.all_rows, N)
    wait_for_all(c)  # all workers have read the previous sums
    _measure_rows(context, c, worker, is_validation, N, parts, scale)
    wait_for_all(c)
    return total(doubles_at(c.partial_losses, parts)) + total(
        doubles_at(c.penalties, c.block_count)
    )


def measure(context, worker, epoch, is_measured) -> float:
    """Record the losses and the score at theta; return 1 if the losses are finite, else 0.

    If ``is_measured`` is not 0, the training loss is already recorded.
    """
    c = fit_at(context)
    finite = 1.0
    theta = numbers_at(c.theta, c.p, number(0))
    for is_validation in range(2):
        N, losses = c.training.rows, c.losses
        if is_validation:
            N, losses = c.validation.rows, c.validation_losses
        if N == 0 or (is_measured and not is_validation):
            continue
        parts = (N + CHUNK - 1) // CHUNK
        if c.full and not c.noisy and not is_validation:
            parts = c.shards  # sum in these parts, as steps do, to get the same bits
        loss = _loss(context, c, worker, is_validation, N, parts)
        if not is_finite(number(loss)):
            finite = 0.0
        if worker == 0:
            numbers_at(losses, epoch + 1, theta)[epoch] = loss
            if is_validation and c.validation_score:
                scores = doubles_at(c.validation_scores, epoch + 1)
                scores[epoch] = calls.score(c.validation_score, (context,))
            if is_validation and c.kept_predictions:
                bytes = N * c.outputs * theta.itemsize
                copy_bytes(c.predictions, c.kept_predictions + epoch * bytes, bytes)
    return finite


measure_address = addresses_of(measure)


def judge(context, epoch) -> float:
    """Copy the parameters if they are the best so far; return 1 if early stopping ends training, else 0."""
    c = fit_at(context)
    rule = stopping_at(c.stopping)
    memory = _memory_at(c.memory)
    theta = numbers_at(c.theta, c.p, number(0))
    watched = np.int64(rule.watched)
    if watched == Watched.VALIDATION_SCORE:
        loss = -doubles_at(c.validation_scores, epoch + 1)[epoch]
    else:
        by_validation = watched == Watched.VALIDATION_LOSS and c.validation.rows > 0
        loss = np.float64(
            numbers_at(
                c.validation_losses if by_validation else c.losses, epoch + 1, theta
            )[epoch]
        )
    if loss < memory.lowest:
        copy_bytes(c.theta, c.best, c.p * theta.itemsize)
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
