"""Cohorts of the compiled engine: members of a population that are trained together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...compiled import fits
from ...core.rows.inputs import Batch, checked_theta, require_weight
from ...optimize.optimizers import Optimizer
from ..members import CURVES, REASONS, Data, GroupResults, Member, row_indices

EPOCHS = REASONS.index("epochs")
OF_END = np.full(5, REASONS.index("diverged"))
"""The index in `REASONS` for each value of `fits.Ended`; completing all epochs is
handled separately.
"""
OF_END[fits.Ended.STALLED] = REASONS.index("early stopping")
OF_END[[fits.Ended.INTERRUPTED, fits.Ended.NOT_STARTED]] = REASONS.index("interrupted")


OF_FITS = ("thetas", "last_finite", "best", "memory", *CURVES)
"""The arrays of results that are shared with the running fits."""


class CompiledGroup:
    """Members that differ only in their initial parameters and seeds.

    Threads train the members without Python code between their steps.
    """

    def __init__(
        self, numbers: Sequence[int], members: Sequence[Member], data: Data
    ) -> None:
        self.numbers, self.member = numbers, members[0]
        # true for all optimizers with a kernel
        assert isinstance(self.member.optimizer, Optimizer)
        self.optimizer = self.member.optimizer
        member, batch, settings = (
            self.member,
            data.batch(self.member),
            self.member._settings,
        )
        validation_batch, rule = None, settings.early_stopping
        if member.validation_rows is not None:
            validation_batch = _chosen(member.validation_rows, batch, member)
            settings.check_score(validation_batch)
        if member.rows is not None:
            batch = _chosen(member.rows, batch, member)
        plan = settings.plan(batch.rows)
        self.rows, self.per_epoch, self.running = (
            batch.rows,
            -(-batch.rows // plan.batch_size),
            plan.running,
        )
        steps = max(int(member.epochs) * self.per_epoch, 1)
        thetas = np.concatenate([each.theta for each in members]).reshape(
            len(members), -1
        )
        trained = (
            member.network,
            checked_theta(member.network, thetas),
            batch,
            validation_batch,
        )
        planned = (
            self.optimizer,
            plan,
            [member.seed for member in members],
            int(member.epochs),
        )
        stopping = None if rule is None else rule._as_numbers()
        keeps = member.keeps_predictions and validation_batch is not None
        self.fits = fits.MemberFits(
            *trained, *planned, settings.rates(steps, steps), stopping, keeps
        )

    @classmethod
    def run(cls, groups: Sequence[Any], monitor) -> None:
        """Train the members of all groups, one floating-point type at a time, until the monitor stops them."""
        try:
            for F in (np.float64, np.float32):
                fits_of_type = [group.fits for group in groups if group.fits.F is F]
                if fits_of_type and not monitor.is_stopped:
                    fits.run(fits_of_type, monitor.poll)
        finally:
            for group in groups:
                del group.fits.context, group.fits.records  # needed only during the run

    def results(self) -> GroupResults:
        """Return the results as views of the training arrays; members may still be running."""
        member, own = self.member, self.fits
        # read first: a member that ends now must not count as ended with an old reason
        seconds = own.seconds.copy()
        done, steps, why = own.done[:, [0, 1, 3]].T
        reasons = np.where((why == 0) & (done == own.epochs), EPOCHS, OF_END[why])
        measured = (why != fits.Ended.NOT_STARTED) & (why != fits.Ended.AT_START)
        what = (
            self.numbers,
            member.network,
            type(self.optimizer).__name__,
            member.early_stopping,
            own.epochs,
        )
        arrays = {
            "done": done,
            "steps": steps,
            "reasons": reasons,
            "measured": measured,
            "seconds": seconds,
        }
        arrays |= {name: getattr(own, name) for name in OF_FITS}
        return GroupResults(
            *what, self.rows, self.per_epoch, self.running, own.moments, **arrays
        )


def _chosen(rows: np.ndarray, batch: Batch, member: Member) -> Batch:
    """Select rows of a batch and check their weights."""
    chosen = replace(batch, chosen=row_indices(rows, batch.rows))
    require_weight(chosen, member.network.reduction)
    return chosen
