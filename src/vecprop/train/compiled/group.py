"""Cohorts of the compiled engine: members of a population that are trained together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from ...compiled import fits
from ...core.rows.inputs import Batch, checked_theta, require_weight
from ...optimize.optimizers import Optimizer
from ..members import (
    CURVES_OF_MEMBERS,
    REASONS,
    Data,
    GroupResults,
    Member,
    row_indices,
)

ALL_EPOCHS = REASONS.index("epochs")
REASON_OF_END = np.full(5, REASONS.index("diverged"))
"""The index in `REASONS` for each value of `fits.Ended`; 0 is divergence or the end of all epochs."""
REASON_OF_END[fits.Ended.STALLED] = REASONS.index("early stopping")
REASON_OF_END[fits.Ended.INTERRUPTED] = REASONS.index("interrupted")
REASON_OF_END[fits.Ended.NOT_STARTED] = REASONS.index("interrupted")

SHARED_ARRAYS = ("thetas", "last_finite", "best", "memory", *CURVES_OF_MEMBERS)
"""The arrays of results that are shared with the running fits."""


class CompiledGroup:
    """Members that differ only in their initial parameters and seeds.

    Threads train the members without Python code between their steps.
    """

    def __init__(self, numbers: Sequence[int], members: Sequence[Member], data: Data):
        """Prepare the fits of members, given their indices in the population."""
        member = members[0]
        network = member.network
        optimizer = member.optimizer
        assert isinstance(optimizer, Optimizer)  # others have no kernels
        settings = member._settings
        all_rows = data.batch(member)
        validation_batch = _selected(all_rows, member.validation_rows, member)
        if validation_batch is not None:
            settings.check_score(validation_batch)
        batch = _selected(all_rows, member.rows, member) or all_rows
        plan = settings.plan(batch.rows)
        self.numbers = numbers
        self.member = member
        self.rows = batch.rows
        self.per_epoch = ceil(batch.rows / plan.batch_size)
        self.running = plan.running
        epochs = int(member.epochs)
        steps = max(epochs * self.per_epoch, 1)
        stopping = None
        if settings.early_stopping is not None:
            stopping = settings.early_stopping._as_numbers()
        thetas = np.stack([member.theta for member in members])
        self.fits = fits.MemberFits(
            network,
            checked_theta(network, thetas),
            batch,
            validation_batch,
            optimizer=optimizer,
            plan=plan,
            seeds=[member.seed for member in members],
            epochs=epochs,
            rates=settings.rates(steps, steps),
            stopping=stopping,
            keeps_predictions=member.keeps_predictions and validation_batch is not None,
        )

    @classmethod
    def run(cls, groups: Sequence, is_stopped: Callable[[], bool]):
        """Train the members of all groups, one floating-point type at a time, until they are stopped."""
        try:
            for F in (np.float64, np.float32):
                fits_of_type = [group.fits for group in groups if group.fits.F is F]
                if fits_of_type and not is_stopped():
                    fits.run(fits_of_type, is_stopped)
        finally:
            for group in groups:
                # only the run needs this memory
                del group.fits.context
                del group.fits.records

    def results(self) -> GroupResults:
        """Return the results as views of the training arrays; members may still be running."""
        member = self.member
        trained = self.fits
        # read first: a member that ends now must not count as ended with an old reason
        seconds = trained.seconds.copy()
        # columns: complete epochs, steps, whether the gradient diverged, `fits.Ended`
        epochs, steps, _, ends = trained.done.copy().T
        has_all_epochs = (ends == 0) & (epochs == trained.epochs)
        is_measured = (ends != fits.Ended.NOT_STARTED) & (ends != fits.Ended.AT_START)
        return GroupResults(
            self.numbers,
            member.network,
            type(member.optimizer).__name__,
            stopping=member.early_stopping,
            epochs=trained.epochs,
            rows=self.rows,
            per_epoch=self.per_epoch,
            running=self.running,
            moments=trained.moments,
            done=epochs,
            steps=steps,
            reasons=np.where(has_all_epochs, ALL_EPOCHS, REASON_OF_END[ends]),
            measured=is_measured,
            seconds=seconds,
            **{name: getattr(trained, name) for name in SHARED_ARRAYS},
        )


def _selected(batch: Batch, rows: np.ndarray | None, member: Member) -> Batch | None:
    """Select rows of a batch, if any are given, and check their weights."""
    if rows is None:
        return None
    selected = replace(batch, chosen=row_indices(rows, batch.rows))
    require_weight(selected, member.network.reduction)
    return selected
