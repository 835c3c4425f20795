"""Epochs of members that train in lockstep, as a theta with leading axes."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..core import Batch
from ..optimize.settings import EpochResults
from .fits import MemberFits, run
from .program import program_of
from .run.epochs import Ended

CURVES = {"losses": "loss", "validation_losses": "validation_loss", "validation_scores": "validation_score"}
CURVES |= {"norms": "gradient_norm", "sizes": "step_size"}
"""The attributes of the history, by the names of the fields of `EpochResults`."""


class MembersEpochs:
    """Run the epochs of members, with the methods of `fits.Epochs`.

    Kernels train copies. If a member's values are not finite, or if training is stopped, the epochs that all members
    have completed are run again. A member that early stopping has ended keeps its parameters and last losses.
    """

    def __init__(self, training: Any, batch: Batch, validation_batch: Batch | None) -> None:
        """Prepare the epochs of a `train.run.Run` on training and validation rows."""
        state, best, self.data = training.state, training.best, (batch, validation_batch)
        self.network, self.optimizer, self.plan = training.network, training.settings.optimizer, training.plan
        self.own = {"thetas": state.theta, "last_finite": training.last_finite}
        self.own |= {name: state.optimizer[name] for name in self.optimizer.moments}
        self.members, self.rule = state.theta.shape[:-1], None if best is None else best.rule._as_numbers()
        if best is not None:
            self.own |= {"memory": np.moveaxis(best.memory, 0, -1), "best": best.theta}
        program = program_of(self.network, state.theta.dtype.type)
        self.operations = prod(self.members) * program.for_batches(self.plan.batch_size).operations
        known = {name: getattr(state.history, curve) for name, curve in CURVES.items()}
        self.latest = {name: values[-1].ravel() for name, values in known.items() if len(values)}
        self.fits: MemberFits | None = None  # reused if the next run has the same number of epochs

    def measure(self, is_stopped: Callable[[], object] | None = None) -> EpochResults:
        """Measure the losses and the score at the current parameters, without early stopping."""
        return self.run(0, 0, 0, 0, np.zeros(1), is_stopped)

    def run(
        self,
        count: int,
        first_epoch: int,
        first_step: int,
        steps_before: int,
        rates: np.ndarray,
        is_stopped: Any = None,
    ) -> EpochResults:
        """Run ``count`` epochs like `Epochs.run`; each member may have its own learning rate."""
        start = {"first_epoch": first_epoch, "first_step": first_step, "steps_before": steps_before}
        runs = np.ones(prod(self.members), bool)
        if self.rule and count:
            runs = self.own["memory"][..., 2].ravel() < self.rule[0]
        fits = self._copies(count, runs, rates, start, is_stopped)
        done, steps, by_gradient, why = fits.done.T.copy()
        is_held = ~runs | (why == Ended.STALLED)
        is_short = ~is_held & (done < count)
        epochs = int(done[is_short].min() if is_short.any() else done.max() if is_held.all() else count)
        ended = is_short & (done == epochs)  # the members that ended first
        if diverged := bool(by_gradient[ended].any()):
            ended &= by_gradient != 0
            ended &= steps == steps[ended].min()
        stopped = bool((~is_held & ((why == Ended.INTERRUPTED) | (why == Ended.NOT_STARTED))).any())
        self.fits = None if stopped else self.fits  # the stop flag of the kernels is still set
        curves, known = {}, max(count, 1)
        for name in CURVES:
            values = getattr(fits, name)
            values = values[:, :known].copy() if values.size else np.zeros((len(runs), known))
            for member in np.flatnonzero(is_held & (done < known) & (done > 0)):
                values[member, done[member] :] = values[member, done[member] - 1]
            values[~runs] = self.latest.get(name, np.full(len(runs), np.nan))[~runs, None]
            latest = values[:, max(epochs, 1) - 1].copy()
            self.latest[name] = latest if count else self.latest.get(name, latest)
            if name == "norms":
                values[~ended, epochs:] = 0
            curves[name] = values.T.reshape(known, *self.members)
        if epochs and count:
            fits = self._copies(epochs, runs, rates, start) if is_short.any() else fits
            for name, array in self.own.items():
                array[...] = {**vars(fits), **fits.moments}[name].reshape(array.shape)
        steps = int(steps[ended].min(initial=2**62))
        stalled = bool(is_held.all())
        return EpochResults(
            epochs,
            steps,
            stalled=stalled,
            stopped=stopped,
            diverged=epochs < count and not (stalled or stopped),
            gradient_diverged=diverged,
            **curves,
        )

    def _copies(
        self, count: int, runs: np.ndarray, rates: np.ndarray, start: dict[str, int], is_stopped: Any = None
    ) -> MemberFits:
        """Return copies of all members, after running some of them."""
        M, thetas = len(runs), self.own["thetas"].reshape(len(runs), -1)
        if self.fits is None or self.fits.epochs != count:
            planned = self.optimizer, self.plan, [self.plan.seed] * M, count, rates, self.rule
            self.fits = MemberFits(self.network, thetas, *self.data, *planned)
            self.records = self.fits.records
        fits, fits.done[:] = self.fits, (0, 0, 0, Ended.NOT_STARTED)
        for name, array in self.own.items():
            {**vars(fits), **fits.moments}[name][...] = array.reshape(M, -1)
        each = np.ascontiguousarray(rates.reshape(len(rates), -1).T)
        own = {"rates": each.ctypes.data + each.strides[0] * np.arange(M) * (len(each) > 1)}
        own |= start if count else {"stopping": 0}
        for name, values in (own | {"rate_stride": len(rates) > 1}).items():
            self.records[name] = values
        fits.records, fits.kept = self.records[runs], [*fits.kept, each]
        run([fits], is_stopped, measures=False)
        fits.kept.pop()
        return fits
