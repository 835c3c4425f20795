"""The data of fits, the epochs of one fit, and populations, whose threads take fits from a queue.

Each fit has a record, which the kernels read and write. A thread writes the addresses
of its scratch memory into the record of its current fit.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy import ascontiguousarray as contiguous
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

from ..core import Batch, Network, SparseBatch
from ..optimize import Optimizer, Plan
from ..optimize.settings import EpochResults
from ..system import threads
from .jit.fit_record import (
    LINE,
    OFFSETS,
    Context,
    KeptMemory,
    address_of_array,
    aligned,
    as_word,
    starts_of,
)
from .jit.threads import ABANDONED, BARRIER_WORDS, ROUND, STOPPED
from .lower.callbacks import address, run_with_callbacks
from .lower.conversion import convert_address
from .lower.loops import update_of
from .lower.row_loops import scale_address, score_address, shuffle_address
from .program import Program, program_of
from .run.dense import sparse_rows_address
from .run.epochs import Ended, epochs_address, members_address
from .run.measures import (
    CHUNK,
    MEMORY,
    TRAINING,
    judge_address,
    measure_address,
    weigh_address,
)
from .run.steps import BLOCK, penalize_address, sum_shards_address
from .run.tiles import gather_of, gradient_address, store_address

# ctypes releases the GIL during the call
_RUN = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)
_WEIGH = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_int64] * 3)
WORTH_A_THREAD = 2e5
"""The minimum number of operations per thread; waking a thread takes about as long."""

_RUN_MEMBERS = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 9)


MOMENTS = "first", "second"
RESULTS = (
    "losses",
    "validation_losses",
    "validation_scores",
    "norms",
    "sizes",
    "done",
    "seconds",
    "last_finite",
)
"""The fields of a record that hold the optimizer's moments and the results."""


def batch_fields(
    batch: Batch, F: type, same: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Convert a batch to contiguous arrays of type F, and return them by the names of the record's fields.

    If `same` holds the fields of a batch with the same X, the inputs are not converted
    again.
    """
    fields: dict[str, Any] = {}
    X: Any = batch.X
    if same is not None:
        for name in ("x", "kept", "edges", "expander"):
            if name in same:
                fields[name] = same[name]
    elif isinstance(batch, SparseBatch):
        fields = _sparse_fields(X, F)
    elif batch.converted is not None:
        fields["x"] = as_strided(X, (1,), X.strides[1:])  # only for its address
    else:
        fields["x"] = contiguous(X, F if batch.expansion is None else X.dtype)
    nothing = np.zeros(0, F)
    fields |= {
        "data_rows": X.shape[0],
        "rows": batch.rows,
        "t": nothing,
        "classes": nothing,
        "weight": nothing,
    }
    if batch.of_classes:
        fields["classes"] = contiguous(batch.T, np.int64)
    else:
        fields["t"] = contiguous(batch.T, F)
        fields["gather_targets"] = gather_of(batch.T.shape[-1], F)
    if batch.weight is not None:
        fields["weight"] = contiguous(batch.weight, F)
    if batch.chosen is not None:
        fields["chosen"] = contiguous(batch.chosen, np.int64)
    if batch.scaling is not None:
        scaling = batch.scaling
        scaling_type = F if scaling.scale.dtype == F else np.float64
        fields["shift"] = contiguous(scaling.shift, scaling_type)
        fields["scale"] = contiguous(scaling.scale, scaling_type)
        fields["scaler"] = scale_address(F, scaling_type, bool(scaling.multiplies))
    if batch.expansion is not None:
        columns = batch.expansion.columns
        fields |= {
            "kept": columns,
            "kept_count": len(columns),
            "edges": batch.expansion.edges,
            "row_bytes": X.shape[1],
            "expander": batch.expansion.address(F),
        }
    if batch.converted is not None:
        row_bytes, column_bytes = X.strides
        fields |= {
            "row_bytes": row_bytes,
            "kept_count": column_bytes,
            "expander": convert_address(F, X.dtype),
        }
    return fields


def _sparse_fields(X, F: type) -> dict[str, Any]:
    """Return the fields of sparse rows: values and column indices, row by row, and the start of each row."""
    if not X.has_sorted_indices:
        X = X.sorted_indices()
    return {
        "x": contiguous(X.data, F),
        "kept": contiguous(X.indices, np.int32),
        "edges": contiguous(X.indptr, np.int64),
        "expander": sparse_rows_address(F),
    }


class Epochs:
    """Run the epochs of one fit."""

    def __init__(
        self,
        network: Network,
        theta: ndarray,
        batch: Batch,
        validation_batch: Batch | None,
        optimizer: Optimizer,
        moments: list[ndarray],
        last_finite: ndarray,
        plan: Plan,
        keeps_predictions: bool = False,
    ):
        self.F = F = theta.dtype.type
        program = program_of(network, F).for_batches(plan.batch_size)
        self.uses_blas = program.uses_blas
        self.operations = program.operations
        self.workers = min(threads.usable_threads(), program.workers(plan.batch_size))
        data = batch_fields(batch, F)
        validation_data = {"rows": 0}
        if validation_batch is not None:
            validation_data = batch_fields(
                validation_batch, F, data if validation_batch.X is batch.X else None
            )
        rows = data["rows"]
        validation_rows = validation_data["rows"]
        words = np.zeros(BARRIER_WORDS + 2 * LINE // 8, np.int64)
        # separate cache lines avoid false sharing
        first = -address_of_array(words) % LINE // 8
        self.barrier = words[first : first + BARRIER_WORDS]
        self.stop = words[first + BARRIER_WORDS :]
        template = _template(
            program,
            self.workers,
            rows,
            validation_rows,
            plan,
            keeps_predictions,
            len(moments),
        )
        self.context = context = Context(template)
        context.clear("tile_contents")
        update, update_h = update_of(optimizer, F)
        context.set(
            training=data,
            validation=validation_data,
            all_rows=np.arange(max(rows, validation_rows)),
            theta=theta,
            last_finite=last_finite,
            update=update,
            update_h=update_h,
            seed=as_word(plan.seed),
            barrier=self.barrier,
            stop=self.stop,
            **dict(zip(MOMENTS, moments, strict=False)),
            further=np.array([array.ctypes.data for array in moments[2:]], np.int64),
        )
        if batch.weight is not None:
            context.set(training={"weigher": self._weigher()})
            self._average_over(data, batch.rows)
        if validation_batch is not None and validation_batch.weight is not None:
            context.set(validation={"weigher": self._weigher()})
        self.run_epochs = _RUN(epochs_address(F))
        self.calls_per_tile = program.calls_per_tile
        if program.calls_python:
            stop = partial(self.stop.__setitem__, 0, 1)
            self.run_epochs = partial(run_with_callbacks, self.run_epochs, stop)
        self.calls_python = program.calls_python
        self.changed_arrays = [theta, last_finite, *moments]

    def _weigher(self) -> int:
        """Return the address of the kernel that computes the factor of a weighted mean, or 0 if the loss is a sum."""
        return weigh_address(self.F) if self.context.words[OFFSETS["mean"]] else 0

    def _average_over(self, data: dict[str, Any], rows: int):
        """Set the number of rows over which running losses are averaged, and the factor of their sum.

        The factor is 1 for a sum, 1 / rows for a mean, and 1 / Σ w for a weighted mean.
        """
        weigher = self._weigher()
        if not weigher:
            scale = 1.0
        elif not data["weight"].size:
            scale = 1 / rows
        else:
            record = Context(training=data)
            numbers = np.arange(rows)
            weigh = _WEIGH(weigher)
            scale = weigh(record.address + TRAINING, numbers.ctypes.data, rows)
        self.context.set(rows_of_all=rows, scale_of_all=scale)

    def take(
        self,
        batch: Batch,
        chosen: ndarray,
        numbers: ndarray | None,
        trained_rows: slice | ndarray,
        rows: int,
    ):
        """Set the rows of the next run: a part of an epoch's rows, in this order.

        ``chosen`` are the positions of these rows in the batch, and ``numbers`` their
        global indices, which determine the noise. The running loss is averaged over all
        ``rows`` rows of the epoch; ``trained_rows`` selects their weights.
        """
        data = batch_fields(batch, self.F)
        weight = data["weight"]
        weigher = 0
        if weight.size:
            weight = weight[trained_rows]
            weigher = self._weigher()
        self.context.set(
            training={**data, "weigher": weigher, "chosen": chosen, "rows": len(chosen)}
        )
        self._average_over({"weight": weight, "data_rows": len(weight)}, rows)
        self.context.set(numbers=0 if numbers is None else numbers)
        words = self.context.words
        if words[OFFSETS["numbers"]]:
            # kernels add this distance to a row's address in all_rows
            words[OFFSETS["numbers"]] -= words[OFFSETS["all_rows"]]
        self.context.clear("tile_contents")

    def stop_by(self, rule: tuple[float, ...], memory: ndarray, best: ndarray):
        """Set the early stopping rule of the next runs; see `measures.STOPPING`."""
        self.changed_arrays += [memory, best]
        self.context.set(
            stopping=np.array(rule, float),
            memory=memory,
            best=best,
            judge=judge_address(self.F),
        )

    def let_validate(self, rows: int):
        """Set the number of validation rows that the next runs evaluate: all or none."""
        self.context.set(validation={"rows": rows})

    def measure(self, is_stopped: Callable[[], object] | None = None) -> EpochResults:
        """Measure the losses and the score at the current parameters, without early stopping; see `run`."""
        stopping = self.context.words[OFFSETS["stopping"]]
        self.context.set(stopping=0)
        results = self.run(0, 0, 0, 0, np.zeros(1), is_stopped)
        self.context.set(stopping=stopping)
        return results

    def run(
        self,
        count: int,
        first_epoch: int,
        first_step: int,
        steps_before: int,
        rates: ndarray,
        is_stopped: Callable[[], object] | None = None,
    ) -> EpochResults:
        """Run ``count`` epochs from this epoch and step, with one learning rate per step, or one for all steps.

        If ``is_stopped`` is given, this thread polls it several times a second while
        other threads run the epochs. If it returns True, these threads stop between two
        batches, and the unfinished epoch is undone.
        """
        done = np.zeros(4, np.int64)
        recorded = max(count, 1)
        results = {"validation_scores": np.zeros(recorded)}
        for name in ("losses", "validation_losses", "norms", "sizes"):
            results[name] = np.zeros(recorded, self.F)
        self.context.set(
            epochs=count,
            first_epoch=first_epoch,
            first_step=first_step,
            steps_before=steps_before,
            rates=rates,
            rate_stride=int(rates.size > 1),
            done=done,
            **results,
        )

        # A partial contains no Python code in which a signal handler could raise
        # another exception.
        abandon = partial(self.barrier.__setitem__, ROUND, ABANDONED)
        # keeps the memory alive if this thread leaves early
        work = partial(self.run_epochs, self.context)
        in_parallel = partial(threads.run_in_parallel, work, self.workers, abandon)
        all_work = partial(
            threads.with_single_threaded_blas, in_parallel, self.uses_blas
        )
        if self.calls_python:
            all_work = partial(self._undone_on_error, all_work)
        if is_stopped is None:
            all_work()
        else:
            threads.interruptible(
                all_work, is_stopped, partial(self.stop.__setitem__, 0, 1)
            )
            # For the next run, if the handler of Ctrl-C lets training continue.
            self.stop[0] = self.barrier[STOPPED] = 0
        # Use Python integers, because NumPy suppresses exceptions of signal handlers
        # while it inspects an enum.
        epochs, steps, gradient_diverged, ended = done.tolist()
        return EpochResults(
            epochs,
            steps,
            stalled=ended == Ended.STALLED,
            stopped=ended == Ended.INTERRUPTED,
            diverged=epochs < count and not ended,
            gradient_diverged=bool(gradient_diverged),
            **results,
        )

    def _undone_on_error(self, work: Callable[[], object]):
        """Call work(); if a formula raises an exception, restore the arrays that training changes."""
        copies = [array.copy() for array in self.changed_arrays]
        try:
            work()
        except BaseException:
            for array, copy in zip(self.changed_arrays, copies, strict=True):
                array[...] = copy
            raise


@lru_cache(maxsize=64)
def _template(
    program: Program,
    workers: int,
    rows: int,
    validation_rows: int,
    plan: Plan,
    keeps_predictions: bool,
    moments: int,
) -> Context:
    """Return the template context that all fits with the same shapes and settings copy. No memory is reserved."""
    F, network = program.F, program.network
    number = np.dtype(F).itemsize
    shards = program.shards(plan.batch_size)
    is_full = plan.batch_size == rows
    stores_predictions = plan.score is not None or keeps_predictions
    parts = max(-(-max(rows, validation_rows) // CHUNK), shards)
    parameters = number * network.layout.size
    sizes_of_blocks = np.diff(program.blocks.reshape(-1, 4)[:, :2])
    largest_block = max(BLOCK, int(sizes_of_blocks.max(initial=0)))
    memory = {
        "gradients": shards * parameters,
        "partial_losses": 8 * parts,
        "moved": number * workers * largest_block,
    }
    memory |= dict.fromkeys(("squares", "moves", "penalties"), 8 * len(program.blocks))
    for k, name in enumerate(("first_kept", "second_kept")):
        memory[name] = 0 if is_full or k >= moments else parameters
    further_count = max(moments - len(MOMENTS), 0)
    memory["further_kept"] = 0 if is_full else further_count * parameters
    shuffled_rows = rows if plan.shuffle and not is_full else 0
    memory |= {
        "keys": 4 * shuffled_rows,
        "places": 4 * (shuffled_rows + 1),
        "order": 8 * shuffled_rows,
    }
    memory["predictions"] = (
        number * validation_rows * network.outputs if stores_predictions else 0
    )
    context = program.training_context(workers, **memory)
    in_pairs = shards == 4 and workers <= 2 and not program.split_layers
    context.set(
        shards=shards,
        largest_block=largest_block,
        further_count=further_count,
        in_pairs=in_pairs,
        clip=plan.clip_norm or 0.0,
        batch_size=plan.batch_size,
        running=plan.running,
        full=is_full,
        carried=is_full and not (network._random or plan.running),
        rows_of_all=rows,
        scale_of_all=1 / rows if network.reduction == "mean" else 1.0,
    )
    if shards > 1:
        context.set(sum_shards=sum_shards_address(F), next_shard=2 if in_pairs else 1)
    if context.words[OFFSETS["weight_spans"]]:
        has_l1 = any(context.words[OFFSETS[name]] for name in ("l1", "l1_averaged"))
        if program.called_penalties is None:
            penalize = penalize_address(F, has_l1)
        else:
            penalize = address(program.called_penalties.penalize)
        context.set(penalize=penalize)
    if validation_rows > 0 or not plan.running:
        context.set(measure=measure_address(F), gradient_of_rows=gradient_address(F))
    if shuffled_rows:
        context.set(shuffle=shuffle_address())
    if stores_predictions:
        context.set(link=program.link, store=store_address(F))
    if plan.score:
        context.set(validation_score=score_address(plan.score, F))
    context.release()
    return context


class MemberFits:
    """Fits that differ only in their initial parameters and seeds.

    Losses and scores have shape (M, epochs + 1), and predictions of validation rows (M,
    epochs + 1, n, O): they are computed before each epoch and at the end. Running
    losses have one entry per epoch. Entries of epochs that were not run are
    uninitialized. ``done`` has shape (M, 4) and holds the number of epochs with a
    finite loss, the number of steps, whether a gradient was not finite, and the
    `epochs.Ended` status.
    """

    def __init__(
        self,
        network: Network,
        thetas: ndarray,
        batch: Batch,
        validation_batch: Batch | None,
        optimizer: Optimizer,
        plan: Plan,
        seeds: Sequence[int],
        epochs: int,
        rates: ndarray,
        stopping: tuple[float, ...] | None,
        keeps_predictions: bool = False,
    ):
        M, P = thetas.shape
        self.F = thetas.dtype.type
        self.epochs = epochs
        self.thetas = _apart(M, P, self.F)
        self.last_finite = _apart(M, P, self.F)
        self.best = _apart(M, P, self.F) if stopping else self.thetas
        self.thetas[...] = self.last_finite[...] = self.best[...] = thetas
        self.moments = {name: _apart(M, P, self.F) for name in optimizer.moments}
        self.losses, self.norms, self.sizes = np.empty((3, M, epochs + 1), self.F)
        validation_rows = 0 if validation_batch is None else validation_batch.rows
        self.validation_losses = np.empty(
            (M, 0 if validation_batch is None else epochs + 1), self.F
        )
        self.validation_scores = np.empty((M, epochs + 1 if plan.score else 0))
        predicted_epochs = epochs + 1 if keeps_predictions else 0
        self.validation_predictions = np.empty(
            (M, predicted_epochs, validation_rows, network.outputs), self.F
        )
        self.done = _apart(M, 4, np.int64)
        self.done[:, 3] = Ended.NOT_STARTED
        self.seconds = np.zeros(M)
        self.memory = _apart(M, MEMORY.itemsize // 8, float)
        # the lowest loss, and the loss at the latest improvement
        self.memory[:, :2] = np.inf
        moments = [moment[0] for moment in self.moments.values()]
        with threads.limit_threads(1):
            data = network, self.thetas[0], batch, validation_batch
            fit = Epochs(
                *data, optimizer, moments, self.last_finite[0], plan, keeps_predictions
            )
        self.uses_blas = fit.uses_blas
        self.calls_python = fit.calls_python
        self.work = epochs * batch.rows * fit.operations
        if stopping:
            fit.stop_by(stopping, self.memory[0], self.best[0])
        no_rows = np.empty(0, np.int64)  # `run` sets one list of all rows for all fits
        fit.context.set(
            epochs=epochs,
            rates=rates,
            rate_stride=int(rates.size > 1),
            all_rows=no_rows,
        )
        fit.context.release()
        self.context = fit.context
        self.rates = rates
        self.records = np.repeat(fit.context.record, M)
        arrays = {name: getattr(self, name) for name in RESULTS}
        arrays |= dict(zip(MOMENTS, self.moments.values(), strict=False))
        arrays["theta"] = self.thetas
        self.further = np.zeros((M, max(len(self.moments) - len(MOMENTS), 0)), np.int64)
        for k, moment in enumerate(list(self.moments.values())[len(MOMENTS) :]):
            self.further[:, k] = moment.ctypes.data + moment.strides[0] * np.arange(M)
        arrays["further"] = self.further
        if stopping:
            arrays |= {"memory": self.memory, "best": self.best}
        if keeps_predictions:
            arrays["kept_predictions"] = self.validation_predictions
        for name, array in arrays.items():
            self.records[name] = array.ctypes.data + array.strides[0] * np.arange(M)
        self.records["seed"] = [as_word(seed) for seed in seeds]


def _apart(M: int, size: int, dtype: type) -> ndarray:
    """Return M rows of zeros on separate cache lines, so that threads can write to them without false sharing."""
    item = np.dtype(dtype).itemsize
    return np.zeros((M, aligned(size * item + LINE) // item), dtype)[:, :size]


def run(
    cohorts: Sequence[MemberFits],
    monitor: Callable[[], object] | None,
    measures: bool = True,
):
    """Run fits of one floating-point type, the longest first.

    Parameters
    ----------
    monitor : callable, optional
        Called several times a second; if it returns True, all fits are stopped between
        two batches.
    measures : bool
        Whether to measure the losses before the first epoch and to stop the fits at
        Ctrl-C. Otherwise, the fits are continued, and the caller handles Ctrl-C.
    """
    F = cohorts[0].F
    # Concatenate words, because NumPy would compare all fields of each pair of record
    # types.
    contexts = np.concatenate(
        [cohort.records.view(np.int64) for cohort in cohorts]
    ).view(cohorts[0].records.dtype)
    work = np.repeat(
        [cohort.work for cohort in cohorts], [len(cohort.records) for cohort in cohorts]
    )
    numbers = np.argsort(-work, kind="stable")
    workers = min(
        threads.usable_threads(), len(contexts), 1 + int(work.sum() / WORTH_A_THREAD)
    )
    queue = np.zeros(2, np.int64)  # the number of started fits; whether to stop
    names = list(cohorts[0].context.reserved)
    starts = starts_of(
        max(cohort.context.reserved[name] for cohort in cohorts) for name in names
    )
    # scratch memory of each thread, reused for each fit
    memory = KeptMemory(workers * starts[-1] + LINE)
    scratch = np.zeros((workers, len(names) + 2), np.int64)
    scratch[:, : len(names)] = (
        memory.start + starts[-1] * np.arange(workers)[:, None] + starts[:-1]
    )
    offsets = np.array([OFFSETS[name] for name in names])
    all_rows = np.arange(
        max(contexts[rows]["rows"].max() for rows in ("training", "validation"))
    )
    contexts["all_rows"] = all_rows.ctypes.data
    contexts["stop"] = queue[1:].ctypes.data
    run_members = _RUN_MEMBERS(members_address(F))
    if any(cohort.calls_python for cohort in cohorts):
        stop_all = partial(queue.__setitem__, 1, 1)
        run_members = partial(run_with_callbacks, run_members, stop_all)
    run_epochs = epochs_address(F)
    used_memory = [memory, all_rows, *(vars(cohort).copy() for cohort in cohorts)]

    def work_on(worker: int, used_memory=used_memory):
        """Run fits from the queue in a thread, and keep their memory alive; see `epochs.run_members`."""
        run_members(
            contexts.ctypes.data,
            numbers.ctypes.data,
            len(contexts),
            queue.ctypes.data,
            scratch[worker].ctypes.data,
            len(names),
            offsets.ctypes.data,
            measures,
            run_epochs,
        )

    in_parallel = partial(threads.run_in_parallel, work_on, workers)
    uses_blas = any(cohort.uses_blas for cohort in cohorts)
    all_work = partial(threads.with_single_threaded_blas, in_parallel, uses_blas)
    # stop() contains no Python code in which a signal handler could raise.
    stop = partial(queue.__setitem__, 1, 1)
    if monitor is None:
        all_work()
    elif measures:
        threads.defer_sigint(
            lambda received: threads.interruptible(
                all_work, lambda: bool(received) or monitor(), stop
            )
        )
    else:
        threads.interruptible(all_work, monitor, stop)
