"""Epochs of members that train in lockstep, as a theta with leading axes."""

from collections.abc import Callable, Iterator
from math import prod

import numpy as np
from numpy import ndarray

from ..core import Batch
from ..optimize.settings import CURVES, EpochResults
from .fits import MemberFits, run
from .program import program_of
from .run.epochs import Ended


class MembersEpochs:
    """Run the epochs of members, with the methods of `fits.Epochs`.

    Kernels train copies. If a member's values are not finite, or if training is
    stopped, the epochs that all members have completed are run again. A member that
    early stopping has ended keeps its parameters and last losses.
    """

    def __init__(self, training, batch: Batch, validation_batch: Batch | None):
        """Prepare the epochs of a `train.run.Run` on training and validation rows."""
        state = training.state
        self.batch = batch
        self.validation_batch = validation_batch
        self.network = training.network
        self.optimizer = training.settings.optimizer
        self.plan = training.plan
        self.members = state.theta.shape[:-1]
        # the arrays that training changes, with the members on the leading axes
        self.arrays = {"thetas": state.theta, "last_finite": training.last_finite}
        for name in self.optimizer.moments:
            self.arrays[name] = state.optimizer[name]
        self.rule = None
        best = training.best
        if best is not None:
            self.rule = best.rule._as_numbers()
            self.arrays["memory"] = np.moveaxis(best.memory, 0, -1)
            self.arrays["best"] = best.theta
        program = program_of(self.network, state.theta.dtype.type)
        program_of_batches = program.for_batches(self.plan.batch_size)
        self.operations = prod(self.members) * program_of_batches.operations
        self.calls_per_tile = prod(self.members) * program_of_batches.calls_per_tile
        # each member's last values, by the names of `CURVES`
        self.latest = {}
        for name, curve in CURVES.items():
            values = getattr(state.history, curve)
            if len(values):
                self.latest[name] = values[-1].ravel()
        # reused if the next run has the same number of epochs
        self.fits: MemberFits | None = None

    def measure(self, is_stopped: Callable[[], object] | None = None) -> EpochResults:
        """Measure the losses and the score at the current parameters, without early stopping."""
        return self.run(0, 0, 0, 0, np.zeros(1), is_stopped)

    def run(
        self,
        count: int,
        first_epoch: int,
        first_step: int,
        steps_before: int,
        rates: ndarray,
        is_stopped: Callable[[], object] | None = None,
    ) -> EpochResults:
        """Run ``count`` epochs like `Epochs.run`; each member may have its own learning rate."""
        start = {
            "first_epoch": first_epoch,
            "first_step": first_step,
            "steps_before": steps_before,
        }
        runs = np.ones(prod(self.members), bool)
        if self.rule and count:
            runs = self.arrays["memory"][..., 2].ravel() < self.rule[0]
        fits = self._train_copies(count, runs, rates, start, is_stopped)
        done, steps, gradient_diverged, reasons = fits.done.T.copy()
        is_held = ~runs | (reasons == Ended.STALLED)
        is_short = ~is_held & (done < count)
        stalled = bool(is_held.all())
        epochs = count
        if is_short.any():
            epochs = int(done[is_short].min())
        elif stalled:
            epochs = int(done.max())
        is_first = is_short & (done == epochs)  # the members that ended first
        diverged = bool(gradient_diverged[is_first].any())
        if diverged:
            is_first &= gradient_diverged != 0
            is_first &= steps == steps[is_first].min()
        is_interrupted = (reasons == Ended.INTERRUPTED) | (reasons == Ended.NOT_STARTED)
        stopped = bool((~is_held & is_interrupted).any())
        if stopped:
            self.fits = None  # the stop flag of the kernels is still set
        curves = self._curves(fits, count, epochs, runs, is_held)
        curves["norms"][epochs:, ~is_first.reshape(self.members)] = 0
        if epochs and count:
            if is_short.any():
                fits = self._train_copies(epochs, runs, rates, start)
            for name, copies in self._copies_of_arrays(fits):
                self.arrays[name][...] = copies.reshape(self.arrays[name].shape)
        return EpochResults(
            epochs,
            int(steps[is_first].min(initial=2**62)),
            stalled=stalled,
            stopped=stopped,
            diverged=epochs < count and not (stalled or stopped),
            gradient_diverged=diverged,
            **curves,
        )

    def _curves(
        self,
        fits: MemberFits,
        count: int,
        epochs: int,
        runs: ndarray,
        is_held: ndarray,
    ) -> dict[str, ndarray]:
        """Return the values of each epoch, (E, *M), and keep the values of the last complete epoch.

        ``runs`` marks the members that were trained, and ``is_held`` the members that
        early stopping has ended. These repeat their last values. Members that were not
        trained repeat the values from before the run.
        """
        recorded = max(count, 1)
        curves = {}
        for name in CURVES:
            values = np.zeros((len(runs), recorded))
            if getattr(fits, name).size:
                values = getattr(fits, name)[:, :recorded].copy()
            for member in np.flatnonzero(is_held):
                done = fits.done[member, 0]
                if done > 0:
                    values[member, done:] = values[member, done - 1]
            latest = self.latest.get(name, np.full(len(runs), np.nan))
            values[~runs] = latest[~runs, None]
            if count or name not in self.latest:
                self.latest[name] = values[:, max(epochs, 1) - 1].copy()
            curves[name] = values.T.reshape(recorded, *self.members)
        return curves

    def _copies_of_arrays(self, fits: MemberFits) -> Iterator[tuple[str, ndarray]]:
        """Yield the name and the copies of each array that training changes."""
        for name in self.arrays:
            is_moment = name in fits.moments
            yield name, fits.moments[name] if is_moment else getattr(fits, name)

    def _train_copies(
        self,
        count: int,
        runs: ndarray,
        rates: ndarray,
        start: dict[str, int],
        is_stopped: Callable[[], object] | None = None,
    ) -> MemberFits:
        """Train copies of some members for ``count`` epochs, and return the copies of all members.

        ``runs`` marks the members that are trained, and ``start`` holds the first epoch
        and steps.
        """
        M = len(runs)
        if self.fits is None or self.fits.epochs != count:
            self.fits = self._fits(M, count, rates)
            self.records = self.fits.records
        fits = self.fits
        records = self.records
        fits.done[:] = 0, 0, 0, Ended.NOT_STARTED
        for name, copies in self._copies_of_arrays(fits):
            copies[...] = self.arrays[name].reshape(M, -1)
        # one row of rates per member, or one row for all
        fits.rates = np.ascontiguousarray(rates.reshape(len(rates), -1).T)
        records["rates"] = fits.rates.ctypes.data
        if len(fits.rates) > 1:
            records["rates"] += fits.rates.strides[0] * np.arange(M)
        records["rate_stride"] = len(rates) > 1
        if count:
            for name, number in start.items():
                records[name] = number
        else:  # only measure the losses
            records["stopping"] = 0
        fits.records = records[runs]
        run([fits], is_stopped, measures=False)
        return fits

    def _fits(self, M: int, count: int, rates: ndarray) -> MemberFits:
        """Return copies of all M members, to train them for ``count`` epochs."""
        return MemberFits(
            self.network,
            self.arrays["thetas"].reshape(M, -1),
            self.batch,
            self.validation_batch,
            self.optimizer,
            self.plan,
            seeds=[self.plan.seed] * M,
            epochs=count,
            rates=rates,
            stopping=self.rule,
        )
