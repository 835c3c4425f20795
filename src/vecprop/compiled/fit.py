"""The epochs of one fit: the record that the kernels read and write, and the threads that run them."""

import ctypes
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from ..core.network import Network
from ..core.rows.inputs import Batch
from ..optimize.optimizers import Optimizer
from ..optimize.settings import Plan
from ..system.threads import run_together, stoppable, usable_threads, with_single_threaded_blas
from .jit.fit_record import LINE, OFFSETS, Context, address_of_array, as_word
from .jit.machine_code import precompile
from .jit.threads import ABANDONED, BARRIER_WORDS, ROUND, STOPPED
from .lower.formulas import hyperparameters, of_formulas
from .lower.loops import update_address
from .lower.row_loops import score_address, shuffle_address
from .program import Program, batch_fields, program_of
from .run.epochs import CHUNK, Ended, epochs_address, epochs_kernel
from .run.steps import BLOCK

_RUN = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)  # ctypes releases Python's lock during the call


class EpochResults(NamedTuple):
    """The results of some epochs."""

    epochs: int
    steps: int
    gradient_diverged: bool
    stalled: bool
    stopped: bool
    losses: np.ndarray
    validation_losses: np.ndarray
    norms: np.ndarray
    sizes: np.ndarray
    validation_scores: np.ndarray


class Epochs:
    """The epochs of one fit."""

    def __init__(
        self,
        network: Network,
        theta: np.ndarray,
        batch: Batch,
        validation_batch: Batch | None,
        optimizer: Optimizer,
        moments: list[np.ndarray],
        last_finite: np.ndarray,
        plan: Plan,
        keeps_predictions: bool = False,
    ) -> None:
        F = theta.dtype.type
        precompile(epochs_kernel, F)
        program = program_of(network, F).for_batches(plan.batch_size)
        data = batch_fields(batch, F)
        validation_data = {"rows": 0}
        if validation_batch is not None:
            validation_data = batch_fields(validation_batch, F, data if validation_batch.X is batch.X else None)
        rows = data["rows"], validation_data["rows"]
        self.workers = min(usable_threads(), program.workers(plan.batch_size))
        self.F, self.uses_blas, self.operations = F, program.uses_blas, program.operations
        words = np.zeros(BARRIER_WORDS + 2 * LINE // 8, np.int64)
        first = -address_of_array(words) % LINE // 8  # lines of its own: threads would wait for writes beside it
        self.barrier, self.stop = words[first : first + BARRIER_WORDS], words[first + BARRIER_WORDS :]
        template = _template(program, self.workers, *rows, plan, keeps_predictions, len(moments))
        self.context = context = Context(template)
        context.clear("tile_contents")
        update, update_h = _update_of(optimizer, F)
        context.set(training=data, validation=validation_data, all_rows=np.arange(max(rows)), seed=as_word(plan.seed))
        context.set(theta=theta, last_finite=last_finite, update=update, update_h=update_h)
        context.set(barrier=self.barrier, stop=self.stop, **dict(zip(("first", "second"), moments, strict=False)))
        self.run_epochs = _RUN(epochs_address(F))  # last: another process may be compiling it

    def stop_early(self, rule: tuple[float, ...], memory: np.ndarray, best: np.ndarray) -> None:
        """Let a rule end the epochs, see `epochs.STOPPING`; its state and the best parameters are in these arrays."""
        self.context.set(stopping=np.array(rule, float), memory=memory, best=best)

    def take(
        self, batch: Batch, places: np.ndarray, numbers: np.ndarray | None, own: slice | np.ndarray, rows: int
    ) -> None:
        """Let the next run be over a part of an epoch's rows, in a given order."""
        data = batch_fields(batch, self.F)
        weight = data["weight"][own] if data["weight"].size else data["weight"]
        self.context.set(
            training={**data, "chosen": places, "rows": len(places)},
            whole={"weight": weight, "data_rows": len(weight), "rows": rows},
            numbers=np.empty(0, np.int64) if numbers is None else numbers,
        )
        self.context.clear("tile_contents")

    def let_validate(self, rows: int) -> None:
        """Let the next runs measure this many of the validation rows: all or none."""
        self.context.set(validation={"rows": rows})

    def measure(self, is_stopped: Callable[[], object] | None = None) -> EpochResults:
        """Measure the losses and the score at the current parameters, which early stopping ignores; see `run`."""
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
        rates: np.ndarray,
        is_stopped: Callable[[], object] | None = None,
    ) -> EpochResults:
        """Run ``count`` epochs from these numbers on, with the learning rate of each step, or one for all.

        If ``is_stopped`` is given, this thread only watches: it asks that several times a second, and lets the others
        stop between two batches. An epoch that is not done then is as if it had not begun.
        """
        names, done = ("losses", "validation_losses", "norms", "sizes"), np.zeros(4, np.int64)
        results: dict[str, Any] = dict(zip(names, np.zeros((4, max(count, 1)), self.F), strict=True))
        results["validation_scores"] = np.zeros(max(count, 1))
        self.context.set(epochs=count, first_epoch=first_epoch, first_step=first_step, steps_before=steps_before)
        self.context.set(rates=rates, rate_stride=int(rates.size > 1), done=done, **results)

        # Without a line of Python, in which the handler of a signal could raise another exception.
        abandon = partial(self.barrier.__setitem__, ROUND, ABANDONED)
        together = partial(run_together, partial(self.run_epochs, self.context.address), self.workers, abandon)
        all_work = partial(with_single_threaded_blas, together, self.uses_blas)
        if is_stopped is None:
            all_work()
        else:
            stoppable(all_work, is_stopped, partial(self.stop.__setitem__, 0, 1))
            self.stop[0] = self.barrier[STOPPED] = 0  # the next run goes on, if the handler of Ctrl-C lets it
        # As Python's integers: NumPy asks an enum for attributes, and ignores what a signal's handler raises meanwhile.
        epochs, steps, gradient_diverged, ended = done.tolist()
        ends = ended == Ended.STALLED, ended == Ended.INTERRUPTED
        return EpochResults(epochs, steps, bool(gradient_diverged), *ends, **results)


@of_formulas
@lru_cache(maxsize=256)
def _update_of(optimizer: Optimizer, F: type) -> tuple[int, np.ndarray]:
    """Return the address of an optimizer's step, and its hyperparameters."""
    return update_address(optimizer, F), hyperparameters(optimizer)


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
    """Return the template context of all fits with the same shapes and settings, which has released its memory."""
    number, shards, blocks = np.dtype(program.F).itemsize, program.shards(plan.batch_size), len(program.blocks)
    parameters, in_batches = number * program.network.layout.size, plan.batch_size < rows
    predicts, shuffled = plan.score is not None or keeps_predictions, plan.shuffle and in_batches
    parts = max(-(-max(rows, validation_rows) // CHUNK), shards)
    memory = {"gradients": shards * parameters, "partial_losses": 8 * parts, "moved": number * workers * BLOCK}
    memory |= dict.fromkeys(("squares", "moves", "penalties"), 8 * blocks)
    memory |= {name: parameters * in_batches * (moments > k) for k, name in enumerate(("first_kept", "second_kept"))}
    memory |= {"keys": 4 * rows * shuffled, "places": 4 * (rows + 1) * shuffled, "order": 8 * rows * shuffled}
    memory["predictions"] = number * validation_rows * program.network.outputs * predicts
    context = program.training_context(workers, **memory)
    context.set(shards=shards, clip=plan.clip or 0.0, batch_size=plan.batch_size, running=plan.running)
    context.set(full=plan.batch_size == rows, shuffle=shuffle_address() if shuffled else 0)
    if predicts:
        context.set(link=program.link)
    if plan.score:
        context.set(validation_score=score_address(plan.score, program.F))
    context.release()
    return context
