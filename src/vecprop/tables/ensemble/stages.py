"""The fit of models of tables in stages: each trains more networks, which stay if unseen rows are predicted better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from ...train.progress import Progress
from ...train.state import TrainingResult
from ..encoding.encoder import View
from .ensemble import Ensemble, Fit, Networks, Outcome, Report, Unseen, ViewFit, results_of

PROGRESS = 0.01
"""The part of the loss by which a stage lowers it at least: less is chance, and more networks predict more slowly.

Of each view one network predicts an unseen row. So any further view lowers the loss on these rows, but hardly that on
new ones, which all networks of a view predict.
"""
PROGRESS_OF_TRIAL = 0.03
"""The part of the loss by which other networks than the usual ones lower it at least: less is chance."""
SHORTER = 8
"""A trial takes the epochs of a training divided by this: the order of losses is then as after all epochs."""
FEW_EPOCHS = 10
"""A table is so large that networks learn too little if "auto" is this number of epochs, the least."""
LONGER = 2
"""The factor of epochs of a view that is alone, which still takes less time than two."""
MOST_STAGES = 16
"""The largest number of stages within a time limit; more of them overfit the rows that choose them."""


@dataclass(frozen=True)
class Stage:
    """What the networks of a stage are like, compared with what the settings say.

    Examples
    --------
    >>> Stage("standardised", deeper=1, wider=2).widths([64, 32])
    [128, 64, 64]
    """

    view: View
    activation: str | None = None
    deeper: int = 0
    wider: int = 1
    dropout: float = 0.0
    patience: int = 1
    decay: float = 1.0

    def widths(self, widths: Sequence[int]) -> list[int]:
        """Return the widths of hidden layers, given those of the settings."""
        return [self.wider * width for width in (*widths, *list(widths[-1:]) * self.deeper)]


SEQUENCE = [
    Stage("standardised", "elu", deeper=1, decay=0.3),
    Stage("standardised", "tanh", deeper=1),
    Stage("standardised", "silu", deeper=1),
    Stage("standardised", "elu", deeper=2),
    Stage("pieces", dropout=0.2, patience=2, decay=0.2),
    Stage("pieces", deeper=1, dropout=0.1, patience=2),
]
"""The stages after the first, which are repeated without end, with other seeds."""


class Schedule:
    """How many stages there are, a number or as many as fit into a time, and the progress over them.

    The time limit is in seconds from now; a stage begins only if it is likely to end in time, up to `MOST_STAGES`.
    """

    def __init__(self, stages: int | None, time_limit: float | None, progress: Report, checkpoint: Any = None) -> None:
        self._kept = checkpoint
        self._of_stage: dict[int, Any] = {}
        self.stages, self.time_limit, self.progress = stages or 1, time_limit, progress
        self.may_choose = time_limit is not None or self.stages > 1
        self.began, self.stages_done, self.loss = perf_counter(), 0, float("nan")
        self._work, self._rows, self._rows_of_stage = 0, 0, 0

    @property
    def stage(self) -> int:
        """The number of the stage that is trained."""
        return self.stages_done + 1

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return perf_counter() - self.began + sum(kept.seconds for kept in self._of_stage.values())

    @property
    def checkpoint(self) -> Any:
        """What keeps the networks of the stage that is trained; None without a checkpoint."""
        if self._kept is None:
            return None
        return self._of_stage.setdefault(self.stage, self._kept.part(f"stage-{self.stage}"))

    @property
    def checkpoint_of_last(self) -> Any:
        """What keeps the networks that are trained on all rows once stages are chosen; None without a checkpoint."""
        return None if self._kept is None else self._kept.part("all-rows")

    def goes_on(self, fits: Sequence[Fit], last: Sequence[Fit] = ()) -> bool:
        """Return whether there is another stage, of these fits, which are taken to be as fast as those before.

        If more fits follow after the last stage, they too are to end in time.
        """
        if self.time_limit is None:
            return self.stage <= self.stages
        if self.checkpoint is not None:
            if self.checkpoint.is_begun:
                return True
            if last and self.checkpoint_of_last.is_begun:  # an earlier program has ended the stages here
                return False
        seconds, to_come = self.seconds, _work(fits) + (_work(last) if last else 0)
        return self.stage <= MOST_STAGES and seconds + seconds * to_come / self._work <= self.time_limit

    def end_stage(self, fits: Sequence[Fit], loss: float) -> None:
        """Count a stage of these fits, after which the first model has this loss on unseen rows."""
        self.stages_done, self.loss, self._work = self.stage, loss, self._work + _work(fits)
        self._rows, self._rows_of_stage = self._rows + self._rows_of_stage, 0

    def report(self, *, is_trial: bool = False) -> Report:
        """Return what to call with the progress of a stage, or of a trial before the first.

        A trial is stage 0, and no part of what is to be done. No answer ends it: there is no model that it could leave.
        """
        progress = self.progress
        if progress is None:
            return None

        def say(now: Progress) -> object:
            done = 0.0 if is_trial else (self.stages_done + now.share) / self.stages
            share = min(done if self.time_limit is None else self.seconds / self.time_limit, 1.0)
            self._rows_of_stage = 0 if is_trial else now.rows
            stage = 0 if is_trial else self.stage
            answer = progress(replace(now, share=share, rows=self._rows + now.rows, stage=stage, best=self.loss))
            return None if is_trial else answer

        return say


def _work(fits: Sequence[Fit]) -> float:
    """Return the numbers of parameters times epochs and rows, to which the time of training is about proportional."""
    return sum(
        (fit.stream.rows / len(fit.rows.T) if fit.stream else 1.0) * view.training.epochs * view.networks[0].layout.size
        for fit in fits
        for view in fit.views
    )


class Calibrated(NamedTuple):
    """What a model learns from predictions of rows that networks have not seen, these, and their loss."""

    learned: dict[str, Any]
    unseen: np.ndarray
    loss: float


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained of a model of a table, which of its rows are used, and what a column alone explains."""

    model: Any
    fit: Fit
    is_used: np.ndarray
    alone: Mapping[str, float]

    def fit_of_stage(self, number: int) -> Fit:
        """Return the fit of a later stage to the rows of the first."""
        return replace(self.fit, views=[self.view_of_stage(self.fit, number)], first=number, left_out=())

    def view_like(self, fit: Fit, networks: Networks) -> ViewFit:
        """Return what is trained of networks like some of another fit, given the fit of the first stage."""
        if networks.stage > 1:
            return self.view_of_stage(fit, networks.stage)
        of_view = [view for view in fit.views if view.view == networks.view]
        return max(of_view, key=lambda view: view.networks[0].layers[:-1] == networks.network.layers[:-1])

    def view_of_stage(self, fit: Fit, number: int) -> ViewFit:
        """Return what is trained in a later stage, given the fit of the first."""
        stage = SEQUENCE[(number - 2) % len(SEQUENCE)]
        first = next(view for view in (*fit.views, *fit.left_out) if view.view == stage.view)
        networks, usual = self.model.networks(len(first.inputs), first.networks[0].outputs, stage), first.training
        patience, decay = stage.patience * usual.patience, stage.decay * usual.weight_decay
        training = replace(usual, patience=patience, weight_decay=decay)
        return replace(first, networks=networks, training=training, stage=number)


def with_views_that_pay(plan: Plan, progress: Report = None) -> Fit:
    """Return the fit of a first stage with the views that predict unseen rows best.

    They are pieces and a standardised view, and if no others are clearly better, the first of these. Of a table of
    which there are few epochs the first standardised view may be alone, which then is trained longer, in less time.
    """
    fit = plan.fit
    pieces, *standardised = fit.views
    choices = [[pieces, own] for own in standardised]
    if plan.model.max_iter == "auto" and pieces.training.epochs <= FEW_EPOCHS:
        choices.append([standardised[0].of_epochs(LONGER * pieces.training.epochs)])
    if len(choices) == 1:
        return fit
    losses = _losses(plan, choices, progress)
    best = int(np.argmin(losses))
    chosen = choices[best if losses[best] < (1 - PROGRESS_OF_TRIAL) * losses[0] else 0]
    return replace(fit, views=chosen, left_out=[view for view in fit.views if view not in chosen])


def _losses(plan: Plan, choices: Sequence[list[ViewFit]], progress: Any = None) -> list[float]:
    """Return the calibrated loss of choices of views on the rows of the last fold, infinite without good networks."""
    views = list(dict.fromkeys(view for choice in choices for view in choice))
    tried = dict(zip(views, _trials(plan, views, progress), strict=True))
    losses = []
    for choice in choices:
        good = [own for own in map(tried.get, choice) if own is not None]
        if len(good) < len(choice):
            losses.append(float("inf"))
            continue
        networks, unseen = ([list(own) for own in zip(*each, strict=True)] for each in zip(*good, strict=True))
        losses.append(plan.model.calibrated(list(map(Ensemble, networks)), unseen, plan.fit.rows).loss)
    return losses


def _trials(plan: Plan, views: Sequence[ViewFit], progress: Any = None) -> list[Any]:
    """Return networks for each ensemble that a short training of each view without the last fold makes, and Unseen.

    Of a view that diverges it is None. Of rows that do not fit into memory the sample is trained on, in as many epochs
    as if it were the table.
    """
    fit, model = plan.fit, plan.model
    last, share = int(fit.rows.fold.max()), 1 / SHORTER
    if fit.stream is not None:
        share *= model.training(len(fit.rows.T)).epochs / model.training(fit.stream.rows).epochs
    short = [view.of_epochs(max(round(share * view.training.epochs), 1)) for view in views]
    fits = [replace(fit, views=[view], stream=None) for view in short]
    members = [own.members()[last :: last + 1] for own in fits]
    found, workers = [], model.workers if fit.stream is None else None
    for own, results in zip(fits, results_of(fits, progress, workers=workers, members=members), strict=True):
        if any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        if (added := own.added(results, np.zeros(1, int))) is None:
            found.append(None)
            continue
        each = zip(added[0], added[1][:, 0], strict=True)
        found.append((added[0], [own.unseen(networks, of, np.array([last])) for networks, of in each]))
    return found


@dataclass(frozen=True, eq=False)
class Growing:
    """What is trained of a model of a table so far: the outcome of its first stage, and all networks."""

    plan: Plan
    outcome: Outcome
    ensembles: list[Ensemble]
    unseen: list[list[Unseen]]
    results: np.ndarray
    calibrated: Calibrated
    stages: int = 1
    is_interrupted: bool = False
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, plan: Plan, outcome: Outcome) -> Self:
        """Return what there is after the first stage."""
        ensembles, folds, results, _ = outcome
        unseen = [
            [plan.fit.unseen(view, own[folds], folds) for view, own in zip(ensemble.views, of, strict=True)]
            for ensemble, of in zip(ensembles, results, strict=True)
        ]
        calibrated = plan.model.calibrated(ensembles, unseen, plan.fit.rows)
        return cls(plan, outcome, ensembles, unseen, results, calibrated, is_interrupted=outcome.is_interrupted)

    def grown(self, fit: Fit, results: Sequence[TrainingResult]) -> Self:
        """Return this with the networks of a later stage, or as it is if its loss is then hardly lower."""
        folds = self.outcome.folds
        if (added := fit.added(results, folds)) is None:
            return self
        networks, grouped = added
        ensembles = [Ensemble([*of.views, own]) for of, own in zip(self.ensembles, networks, strict=True)]
        unseen = [
            [*of, fit.unseen(own, of_view[folds], folds)]
            for of, own, of_view in zip(self.unseen, networks, grouped[:, 0], strict=True)
        ]
        calibrated = self.plan.model.calibrated(ensembles, unseen, self.plan.fit.rows)
        if not calibrated.loss < (1 - PROGRESS) * self.calibrated.loss:
            return self
        results_of_all = np.concatenate([self.results, grouped], axis=1)
        return replace(self, ensembles=ensembles, unseen=unseen, results=results_of_all, calibrated=calibrated)

    def of_all_rows(self, fit: Fit, *further: int) -> Fit:
        """Return the fit to all rows of the views that are kept, and of further stages."""
        kept = [self.plan.view_like(fit, networks) for networks in self.ensembles[0].views]
        return replace(fit, views=kept + [self.plan.view_of_stage(fit, number) for number in further])


def fit_in_stages(plans: Sequence[Plan], schedule: Schedule) -> list[Growing]:
    """Return what is trained of several models; each stage of all of them is one population.

    If a table does not fit into memory and there may be several stages, they are chosen by networks of its sample, and
    those that are kept are then trained on all rows together. Ctrl-C leaves the networks of the sample.
    """
    of_all = [plan.fit for plan in plans] if schedule.may_choose and all(plan.fit.stream for plan in plans) else []
    if of_all:
        plans = [replace(plan, fit=_of_sample(plan)) for plan in plans]
    plans = [replace(plan, fit=with_views_that_pay(plan, schedule.report(is_trial=True))) for plan in plans]
    each = _begun(plans, schedule.report(), schedule.checkpoint, plans[0].model.workers)
    schedule.end_stage([plan.fit for plan in plans], each[0].calibrated.loss)
    if schedule.may_choose and not each[0].is_interrupted:
        each = _after_all_stages(each, schedule, of_all)
    if of_all and not each[0].is_interrupted:
        notes = [f"Of {schedule.stages_done} stage(s), the sample tells which are kept."]
        plans = [replace(of.plan, fit=of.of_all_rows(fit)) for of, fit in zip(each, of_all, strict=True)]
        last = schedule.progress, schedule.checkpoint_of_last, plans[0].model.workers
        each = [replace(of, notes=notes) for of in _begun(plans, *last)]
    return [replace(of, stages=schedule.stages_done) for of in each]


def _of_sample(plan: Plan) -> Fit:
    """Return the fit to the sample of rows alone, with the training for so many."""
    training = plan.model.training(len(plan.fit.rows.T))
    return replace(plan.fit, views=[replace(view, training=training) for view in plan.fit.views], stream=None)


def _begun(plans: Sequence[Plan], progress: Any, checkpoint: Any, workers: Any = None) -> list[Growing]:
    """Return models after one training of all their networks together."""
    each = zip(plans, results_of([plan.fit for plan in plans], progress, checkpoint, workers), strict=True)
    return [Growing.of(plan, plan.fit.outcome(results)) for plan, results in each]


def _after_all_stages(each: list[Growing], schedule: Schedule, of_all: Sequence[Fit]) -> list[Growing]:
    """Return models after all further stages; Ctrl-C undoes the stage in which it comes, and ends them."""
    try:
        while True:
            fits = [of.plan.fit_of_stage(schedule.stage) for of in each]
            last = [of.of_all_rows(fit, schedule.stage) for of, fit in zip(each, of_all, strict=bool(of_all))]
            if not schedule.goes_on(fits, last):
                return each
            found = list(results_of(fits, schedule.report(), schedule.checkpoint, each[0].plan.model.workers))
            if any(result.reason == "interrupted" for results in found for result in results):
                raise KeyboardInterrupt
            each = [of.grown(fit, results) for of, fit, results in zip(each, fits, found, strict=True)]
            schedule.end_stage(fits, each[0].calibrated.loss)
    except KeyboardInterrupt:
        return [replace(of, is_interrupted=True) for of in each]
