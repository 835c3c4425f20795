"""Cohorts: members that the compiled program trains together, and what `train` would return for each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np

from ..core.inputs import Batch, checked_theta
from ..optimize.optimizers import Optimizer
from ..optimize.plan import Plan
from ..optimize.schedules import Constant
from .arguments import check_score
from .early_stopping import as_numbers
from .history import History
from .members import Data, Member, checked_rows
from .progress import Headway
from .state import TrainingResult, TrainingState


class Cohort:
    """Members that differ in their initial parameters and seeds alone.

    Parameters
    ----------
    numbers : sequence of int
        Their numbers in the population.
    members : sequence of Member
        The members.
    data : Data
        What they choose their rows from.
    """

    def __init__(self, numbers: Sequence[int], members: Sequence[Member], data: Data) -> None:
        from ..compiled.population import Fits

        self.numbers, self.member = numbers, members[0]
        assert isinstance(self.member.optimizer, Optimizer)  # those that compile are
        self.optimizer = self.member.optimizer
        member, batch, rule = self.member, data.batch(self.member), self.member.early_stopping
        rows, held_rows = (_checked_rows(chosen, batch, member) for chosen in (member.rows, member.validation_rows))
        held_weight = None if batch.weight is None or held_rows is None else batch.weight[held_rows]
        check_score(member.validation_score, rule, None if held_rows is None else len(held_rows), held_weight)
        self.rows = batch.rows if rows is None else len(rows)
        size = min(member.batch_size or self.rows, self.rows)
        self.per_epoch = -(-self.rows // size)
        self.fits = Fits(
            member.network,
            checked_theta(member.network, np.stack([member.theta for member in members])),
            batch,
            rows,
            held_rows,
            self.optimizer,
            Plan(size, member.shuffle, 0, member.clip, member.training_loss == "running", member.validation_score),
            [member.seed for member in members],
            member.epochs,
            self._rates(),
            None if rule is None else as_numbers(rule),
        )

    def _rates(self) -> np.ndarray:
        """Return the learning rate of each step, or one for all."""
        rate, schedule = self.optimizer.learning_rate, self.member.schedule
        if schedule is None or isinstance(schedule, Constant):
            return np.array([rate], float)
        steps = max(self.member.epochs * self.per_epoch, 1)
        return np.asarray(rate) * np.array([schedule.factor(step, steps, {}) for step in range(steps)], float)

    def standing(self) -> np.ndarray:
        """Return where each member is while they run, (5, M).

        That is: whether it has ended, the share of its epochs that is done, how many rows it has met, and its latest
        losses, of training and of validation; nan where they are not known.
        """
        fits, every = self.fits, np.arange(len(self.numbers))
        ended, epochs = fits.seconds > 0, fits.done[:, 0].copy()
        losses = fits.losses[every, epochs - (self.member.training_loss == "running")]
        held_losses = fits.held_losses[every, epochs]
        return np.stack(
            [
                ended,
                np.where(ended, 1, epochs / max(fits.epochs, 1)),
                epochs * self.rows,
                np.where(epochs > 0, losses, np.nan),
                np.where((epochs > 0) & (self.member.validation_rows is not None), held_losses, np.nan),
            ]
        )

    def results(self) -> Iterator[tuple[int, TrainingResult]]:
        """Yield each member's number, and what `train` would return for it."""
        member, fits = self.member, self.fits
        done = fits.done[:, 0]
        times = fits.seconds[:, None] / np.maximum(done, 1)[:, None] * np.arange(done.max() + 1)
        for place, (number, fit) in enumerate(zip(self.numbers, fits.ended(), strict=True)):
            epochs, history = fit.epochs, History()
            if fit.measured:
                losses = fit.losses[:epochs] if member.training_loss == "running" else fit.losses
                held_losses = None if member.validation_rows is None else fit.held_losses
                held_scores = None if member.validation_score is None else fit.held_scores
                history.extend(losses, held_losses, times[place, : epochs + 1], held_scores)
            history.moved_often(fit.norms, fit.sizes)
            theta = fits.thetas[place]
            state = TrainingState(
                theta,
                {"t": epochs * self.per_epoch, **{name: moment[place] for name, moment in fits.moments.items()}},
                {},
                epoch=epochs,
                step=fit.steps,
                epochs=member.epochs,
                rows=self.rows,
                history=history,
            )
            if fit.reason == "diverged":
                theta = fits.last_finite[place]
            elif member.early_stopping is not None and member.early_stopping.restores:
                theta = fits.best[place]
            yield number, TrainingResult(theta, history, state, fit.reason)


def run_cohorts(
    cohorts: Sequence[Cohort], total: int, progress: Callable[[Headway], object] | None
) -> Iterator[tuple[int, TrainingResult]]:
    """Run cohorts, those of a floating type in one program; yield each member's number and result."""
    from ..compiled.population import run

    with suppress(KeyboardInterrupt):  # those that are not done say so
        for F in (np.float64, np.float32):
            own = [cohort.fits for cohort in cohorts if cohort.fits.F is F]
            if own:
                run(own, lambda: progress is not None and progress(headway(cohorts, total)) is True)
    for cohort in cohorts:
        yield from cohort.results()


def headway(cohorts: Sequence[Cohort], total: int) -> Headway:
    """Return how far the training of cohorts is, of a population of so many members."""
    ended, share, rows, losses, held_losses = np.concatenate([cohort.standing() for cohort in cohorts], axis=1)
    return Headway(int(ended.sum()), total, share.sum() / total, int(rows.sum()), _middle(losses), _middle(held_losses))


def _middle(losses: np.ndarray) -> float:
    """Return the median of the losses that are known."""
    known = losses[~np.isnan(losses)]
    return float(np.median(known)) if len(known) else float("nan")


def _checked_rows(rows: np.ndarray | None, batch: Batch, member: Member) -> np.ndarray | None:
    """Return the numbers of chosen rows, after a look at them and their weights."""
    if rows is None:
        return None
    rows = checked_rows(rows, batch.rows)
    if member.network.reduction == "mean" and batch.weight is not None and not batch.weight[rows].any():
        raise ValueError("sample_weight is 0 in every chosen row, so a weighted mean does not exist: weigh one.")
    return rows
