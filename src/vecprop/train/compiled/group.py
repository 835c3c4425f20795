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
REASON_OF_END = np.full(5, REASONS.index("diverged"))
"""The index in `REASONS` for each value of `fits.Ended`; completing all epochs is
handled separately.
"""
REASON_OF_END[fits.Ended.STALLED] = REASONS.index("early stopping")
REASON_OF_END[[fits.Ended.INTERRUPTED, fits.Ended.NOT_STARTED]] = REASONS.index(
    "interrupted"
)


SHARED_ARRAYS = ("thetas", "last_finite", "best", "memory", *CURVES)
"""The arrays of results that are shared with the running fits."""


class CompiledGroup:
    """Members that differ only in their initial parameters and seeds.

    Threads train the members without Python code between their steps.
    """

    def __init__(self, numbers: Sequence[int], members: Sequence[Member], data: Data):
        self.numbers = numbers
        self.member = member = members[0]
        optimizer = member.optimizer
        assert isinstance(optimizer, Optimizer)  # others have no kernels
        settings = member._settings
        all_rows = data.batch(member)
        validation_batch = _selected(all_rows, member.validation_rows, member)
        if validation_batch is not None:
            settings.check_score(validation_batch)
        batch = _selected(all_rows, member.rows, member) or all_rows
        plan = settings.plan(batch.rows)
        self.rows = batch.rows
        self.per_epoch = -(-batch.rows // plan.batch_size)
        self.running = plan.running
        epochs = int(member.epochs)
        steps = max(epochs * self.per_epoch, 1)
        thetas = np.stack([member.theta for member in members])
        rule = settings.early_stopping
        self.fits = fits.MemberFits(
            member.network,
            checked_theta(member.network, thetas),
            batch,
            validation_batch,
            optimizer=optimizer,
            plan=plan,
            seeds=[member.seed for member in members],
            epochs=epochs,
            rates=settings.rates(steps, steps),
            stopping=None if rule is None else rule._as_numbers(),
            keeps_predictions=member.keeps_predictions and validation_batch is not None,
        )

    @classmethod
    def run(cls, groups: Sequence[Any], monitor):
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
        member = self.member
        fits_of_members = self.fits
        # read first: a member that ends now must not count as ended with an old reason
        seconds = fits_of_members.seconds.copy()
        done, steps, _, end = fits_of_members.done.copy().T
        has_all_epochs = (end == 0) & (done == fits_of_members.epochs)
        return GroupResults(
            self.numbers,
            member.network,
            type(member.optimizer).__name__,
            stopping=member.early_stopping,
            epochs=fits_of_members.epochs,
            rows=self.rows,
            per_epoch=self.per_epoch,
            running=self.running,
            moments=fits_of_members.moments,
            done=done,
            steps=steps,
            reasons=np.where(has_all_epochs, EPOCHS, REASON_OF_END[end]),
            measured=(end != fits.Ended.NOT_STARTED) & (end != fits.Ended.AT_START),
            seconds=seconds,
            **{name: getattr(fits_of_members, name) for name in SHARED_ARRAYS},
        )


def _selected(batch: Batch, rows: np.ndarray | None, member: Member) -> Batch | None:
    """Select rows of a batch, if any are given, and check their weights."""
    if rows is None:
        return None
    selected = replace(batch, chosen=row_indices(rows, batch.rows))
    require_weight(selected, member.network.reduction)
    return selected
