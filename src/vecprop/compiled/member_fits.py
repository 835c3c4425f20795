"""The fits of a population: threads take one after the other from a queue, without Python in between.

Each fit has a record. A thread that takes a fit writes the addresses of its own memory, for one fit, into the record.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit

from ..core.network import Network
from ..core.rows.inputs import Batch
from ..optimize.optimizers import Optimizer
from ..optimize.settings import Plan
from ..system import threads
from .fit import Epochs
from .jit import INNER, calls
from .jit.addresses import doubles_at, words_at
from .jit.fit_record import FIT, LINE, OFFSETS, KeptMemory, aligned, as_word, fit_at, starts_of
from .jit.machine_code import address_of
from .jit.threads import atomic_add, now
from .run.epochs import MEMORY, Ended, Watched, epochs_address, stopping_at

NOT_STARTED = -1
"""The end of a fit that no thread has taken, beside those of `epochs.Ended`."""

size: int = 8  # a placeholder for the bytes of an element, filled in by `members_address`

_RUN = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 8)
_RECORD_BYTES = FIT.itemsize


@njit(**INNER)
def _fit(context, c, run_epochs, size):
    """Measure the initial losses, and run the epochs."""
    epochs, stopping, done = c.epochs, c.stopping, words_at(c.done, 4)
    done[3] = 0
    if not c.running or c.validation.rows:
        c.epochs = 0  # which measures the losses
        if stopping:
            rule = stopping_at(stopping)
            if rule.from_lowest != 0 or (c.running and np.int64(rule.watched) == Watched.LOSS):
                c.stopping = 0  # it ignores the initial parameters, or their loss is not measured
        calls.epochs(run_epochs, (context, 0))
        c.epochs, c.stopping = epochs, stopping
        if done[3] == Ended.INTERRUPTED:
            done[3] = NOT_STARTED
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
    if epochs:
        calls.epochs(run_epochs, (context, 0))


def run_members(contexts, numbers, count, queue, scratch, fields, offsets, run_epochs):
    """Run fits until all are taken or the queue says to stop.

    ``scratch`` has the addresses of the thread's memory for these fields of a record, and two words for the clock.
    """
    state, own, offsets = words_at(queue, 2), words_at(scratch, fields), words_at(offsets, fields)
    clock = scratch + 8 * fields
    while not state[1]:
        taken = atomic_add(queue, np.int64(1))
        if taken >= count:
            return
        context = contexts + _RECORD_BYTES * words_at(numbers, count)[taken]
        c, words = fit_at(context), words_at(context, _RECORD_BYTES // 8)
        for field in range(fields):
            words[offsets[field]] = own[field]
        words_at(c.tile_contents, 2)[0] = 0  # the tile may hold rows of the fit before
        seconds = doubles_at(c.seconds, 1)
        seconds[0] = -now(clock)
        _fit(context, c, run_epochs, size)
        seconds[0] += now(clock)


class MemberFits:
    """Fits that differ only in their initial parameters and seeds.

    Losses and scores, (M, epochs + 1), and predictions of validation rows, (M, epochs + 1, n, O), are those before each
    epoch and at the end; running losses are those of each epoch. Entries beyond the epochs that are done are not
    initialized. ``done``, (M, 4), has the number of epochs that ended with a finite loss, the number of steps, whether
    a gradient was not finite, and why the fit ended: `epochs.Ended`, or NOT_STARTED.
    """

    def __init__(
        self,
        network: Network,
        thetas: np.ndarray,
        batch: Batch,
        validation_batch: Batch | None,
        optimizer: Optimizer,
        plan: Plan,
        seeds: Sequence[int],
        epochs: int,
        rates: np.ndarray,
        stopping: tuple[float, ...] | None,
        keeps_predictions: bool = False,
    ) -> None:
        M, P = thetas.shape
        self.F = thetas.dtype.type
        self.thetas, self.last_finite = _apart(M, P, self.F), _apart(M, P, self.F)
        self.best = _apart(M, P, self.F) if stopping else self.thetas
        self.thetas[...] = self.last_finite[...] = self.best[...] = thetas
        self.moments = {name: _apart(M, P, self.F) for name in optimizer.moments}
        self.losses, self.norms, self.sizes = np.empty((3, M, epochs + 1), self.F)
        self.validation_losses = np.empty((M, 0 if validation_batch is None else epochs + 1), self.F)
        self.validation_scores = np.empty((M, epochs + 1 if plan.score else 0))
        kept, rows = (epochs + 1 if keeps_predictions else 0), 0 if validation_batch is None else validation_batch.rows
        self.validation_predictions = np.empty((M, kept, rows, network.outputs), self.F)
        self.done = _apart(M, 4, np.int64)
        self.done[:, 3] = NOT_STARTED
        self.seconds, self.epochs = np.zeros(M), epochs
        start = network, self.thetas[0], batch, validation_batch, optimizer
        moments = [moment[0] for moment in self.moments.values()]
        with threads.at_most_threads(1):
            fit = Epochs(*start, moments, self.last_finite[0], plan, keeps_predictions)
        self.uses_blas = fit.uses_blas
        self.work = epochs * batch.rows * fit.operations
        self.needed = fit.context.reserved
        self.memory = _apart(M, MEMORY.itemsize // 8, float)
        self.memory[:, :2] = np.inf  # the lowest loss, and the loss at the last progress
        if stopping:
            fit.stop_early(stopping, self.memory[0], self.best[0])
        none = np.empty(0, np.int64)  # `run` lets all fits have the same list of all rows
        fit.context.set(epochs=epochs, rates=rates, rate_stride=int(rates.size > 1), all_rows=none)
        fit.context.release()
        self.context = fit.context
        self.records = np.repeat(fit.context.record, M)
        results = "losses", "validation_losses", "validation_scores", "norms", "sizes", "done", "seconds", "last_finite"
        each = {"theta": self.thetas, **{name: getattr(self, name) for name in results}}
        each |= dict(zip(("first", "second"), self.moments.values(), strict=False))
        if stopping:
            each |= {"memory": self.memory, "best": self.best}
        if keeps_predictions:
            each["kept_predictions"] = self.validation_predictions
        for name, array in each.items():
            self.records[name] = array.ctypes.data + array.strides[0] * np.arange(M)
        self.records["seed"] = [as_word(seed) for seed in seeds]
        self.kept = [*each.values()]  # arrays that kernels write on live as long as this

    def release(self) -> None:
        """Let go of the data and all else that fits need only while they run."""
        del self.context, self.records, self.kept


def _apart(M: int, size: int, dtype: type) -> np.ndarray:
    """Return M rows of zeros, so far apart that threads which write to them share no cache line."""
    item = np.dtype(dtype).itemsize
    return np.zeros((M, aligned(size * item + LINE) // item), dtype)[:, :size]


def run(cohorts: Sequence[MemberFits], monitor: Callable[[], bool]) -> None:
    """Run fits of one floating type, the longest first.

    Parameters
    ----------
    monitor : callable
        A function that is called several times a second; all fits are stopped between two batches when it returns True.
    """
    F = cohorts[0].F
    # as words, since NumPy compares all fields of each pair of records before it joins them
    contexts = np.concatenate([cohort.records.view(np.int64) for cohort in cohorts]).view(cohorts[0].records.dtype)
    work = np.repeat([cohort.work for cohort in cohorts], [len(cohort.records) for cohort in cohorts])
    numbers = np.argsort(-work, kind="stable")
    workers = min(threads.usable_threads(), len(contexts))
    queue = np.zeros(2, np.int64)  # the number of fits that are taken; whether to stop
    needed = {name: max(cohort.needed[name] for cohort in cohorts) for name in cohorts[0].needed}
    starts = starts_of(needed.values())
    memory = KeptMemory(workers * starts[-1] + LINE)  # each thread's, for one fit after the other
    scratch = np.zeros((workers, len(needed) + 2), np.int64)
    first = aligned(memory.bytes.ctypes.data)
    scratch[:, : len(needed)] = first + starts[-1] * np.arange(workers)[:, None] + starts[:-1]
    offsets = np.array([OFFSETS[name] for name in needed])
    all_rows = np.arange(max(contexts[rows]["rows"].max() for rows in ("training", "validation")))
    contexts["all_rows"] = all_rows.ctypes.data
    contexts["stop"] = queue[1:].ctypes.data
    run_members, run_epochs = _RUN(members_address(F)), epochs_address(F)
    kept = [(cohort.context, cohort.kept, memory, all_rows) for cohort in cohorts]

    def work_on(worker: int, kept: Any = kept) -> None:  # kept lives as long as a thread works
        fits, own = (contexts.ctypes.data, numbers.ctypes.data, len(contexts)), scratch[worker].ctypes.data
        run_members(*fits, queue.ctypes.data, own, len(needed), offsets.ctypes.data, run_epochs)

    def all_work() -> None:
        uses_blas = any(cohort.uses_blas for cohort in cohorts)
        threads.with_single_threaded_blas(lambda: threads.run_together(work_on, workers), uses_blas)

    # stop() has no line of Python, in which the handler of a signal could raise.
    stop = partial(queue.__setitem__, 1, 1)
    watched = threads.stoppable
    threads.holding_back_interrupts(lambda received: watched(all_work, lambda: bool(received) or monitor(), stop))


@cache
def members_address(F: type) -> int:
    """Return the address of `run_members` for numbers of type F."""
    return address_of(run_members, F)
