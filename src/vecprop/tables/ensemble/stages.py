"""Training of tabular models in stages: each stage adds networks if they improve out-of-fold predictions."""

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
"""A stage must reduce the loss by this fraction. Smaller gains can be chance, and networks slow down predictions.

An unseen row is predicted by one network of each view. Any additional view therefore lowers the out-of-fold loss, but
hardly the loss on new rows, where all networks of a view are averaged.
"""
PROGRESS_OF_TRIAL = 0.03
"""Other views must reduce the loss by this fraction to replace the default views. Smaller gains can be chance."""
SHORTER = 8
"""Trials divide the number of epochs by this number, and still rank views in the same order as full training."""
FEW_EPOCHS = 10
"""The smallest "auto" number of epochs, which is used for large tables and can be too few."""
LONGER = 2
"""A single view is trained for this multiple of the epochs, which still takes less time than two views."""
MAX_STAGES = 16
"""Maximum number of stages within a time limit. More stages would overfit the validation rows."""


@dataclass(frozen=True)
class Stage:
    """The networks of a stage, described by their differences from the model's settings.

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
        """Return the widths of hidden layers, given the widths of the settings."""
        return [self.wider * width for width in (*widths, *list(widths[-1:]) * self.deeper)]


SEQUENCE = [
    Stage("standardised", "elu", deeper=1, decay=0.3),
    Stage("standardised", "tanh", deeper=1),
    Stage("standardised", "silu", deeper=1),
    Stage("standardised", "elu", deeper=2),
    Stage("pieces", dropout=0.2, patience=2, decay=0.2),
    Stage("pieces", deeper=1, dropout=0.1, patience=2),
]
"""The stages after the first one, which are repeated endlessly with new seeds."""


class Schedule:
    """Decides how many stages to train (a fixed number or up to a time limit), and reports their progress.

    A time limit, in seconds from now, allows at most `MAX_STAGES`. A stage starts if it is likely to finish in time.
    """

    def __init__(self, stages: int | None, time_limit: float | None, progress: Report, checkpoint: Any = None) -> None:
        self._checkpoint = checkpoint
        self._checkpoints: dict[int, Any] = {}
        self.stages, self.time_limit, self.progress = stages or 1, time_limit, progress
        self.may_choose = time_limit is not None or self.stages > 1
        self.started, self.stages_done, self.loss = perf_counter(), 0, float("nan")
        self._work, self._rows, self._rows_of_stage = 0, 0, 0

    @property
    def stage(self) -> int:
        """The number of the current stage."""
        return self.stages_done + 1

    @property
    def seconds(self) -> float:
        """The elapsed seconds, including earlier runs."""
        return perf_counter() - self.started + sum(saved._seconds for saved in self._checkpoints.values())

    @property
    def checkpoint(self) -> Any:
        """The checkpoint of the current stage, if any."""
        if self._checkpoint is None:
            return None
        return self._checkpoints.setdefault(self.stage, self._checkpoint._part(f"stage-{self.stage}"))

    @property
    def checkpoint_of_last(self) -> Any:
        """The checkpoint of the final fit to all rows, if any."""
        return None if self._checkpoint is None else self._checkpoint._part("all-rows")

    def continues(self, fits: Sequence[Fit], last: Sequence[Fit] = ()) -> bool:
        """Return whether to train another stage of these fits, assuming the speed of earlier stages.

        The fits ``last``, which follow the last stage, must also finish in time.
        """
        if self.time_limit is None:
            return self.stage <= self.stages
        if self.checkpoint is not None:
            if self.checkpoint._is_begun:
                return True
            if last and self.checkpoint_of_last._is_begun:  # an earlier run stopped adding stages here
                return False
        seconds, to_come = self.seconds, _work(fits) + (_work(last) if last else 0)
        return self.stage <= MAX_STAGES and seconds + seconds * to_come / self._work <= self.time_limit

    def end_stage(self, fits: Sequence[Fit], loss: float) -> None:
        """Record a completed stage and the out-of-fold loss of the first model."""
        self.stages_done, self.loss, self._work = self.stage, loss, self._work + _work(fits)
        self._rows, self._rows_of_stage = self._rows + self._rows_of_stage, 0

    def report(self, *, is_trial: bool = False) -> Report:
        """Return the progress callback of a stage, or of the trial before the first stage (stage 0).

        A trial does not count as progress and cannot be stopped, because no model exists yet.
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
    """Estimate the relative training time from the numbers of parameters, epochs and rows of all networks."""
    return sum(
        (fit.stream.rows / len(fit.rows.T) if fit.stream else 1.0) * view.training.epochs * view.networks[0].layout.size
        for fit in fits
        for view in fit.views
    )


class Calibrated(NamedTuple):
    """The attributes learned by calibration, the out-of-fold predictions, and their loss."""

    learned: dict[str, Any]
    unseen: np.ndarray
    loss: float


@dataclass(frozen=True, eq=False)
class Plan:
    """The fit of a model, the rows that it uses, and the variance that each single column explains."""

    model: Any
    fit: Fit
    is_used: np.ndarray
    alone: Mapping[str, float]

    def fit_of_stage(self, number: int) -> Fit:
        """Return the fit of a later stage on the same rows."""
        return replace(self.fit, views=[self.view_of_stage(self.fit, number)], first=number, left_out=())

    def view_like(self, fit: Fit, networks: Networks) -> ViewFit:
        """Return a view fit for networks of the same kind, given the fit of the first stage."""
        if networks.stage > 1:
            return self.view_of_stage(fit, networks.stage)
        of_view = [view for view in fit.views if view.view == networks.view]
        return max(of_view, key=lambda view: view.networks[0].layers[:-1] == networks.network.layers[:-1])

    def view_of_stage(self, fit: Fit, number: int) -> ViewFit:
        """Return the fit of a view in a later stage, given its fit in the first stage."""
        stage = SEQUENCE[(number - 2) % len(SEQUENCE)]
        first = next(view for view in (*fit.views, *fit.left_out) if view.view == stage.view)
        networks, usual = self.model._networks(len(first.inputs), first.networks[0].outputs, stage), first.training
        patience, decay = stage.patience * usual.patience, stage.decay * usual.weight_decay
        training = replace(usual, patience=patience, weight_decay=decay)
        return replace(first, networks=networks, training=training, stage=number)


def select_views(plan: Plan, progress: Report = None) -> Fit:
    """Fit a first stage with each choice of views; return the fit that predicts unseen rows best.

    The default is pieces plus the first standardized view. Another choice must be clearly better. For large tables (few
    epochs), one choice is the first standardized view without pieces, trained for more epochs but in less time.
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
    """Return the calibrated loss of each choice of views on the last fold, or infinity if a view has no networks."""
    views = list(dict.fromkeys(view for choice in choices for view in choice))
    tried = dict(zip(views, _trials(plan, views, progress), strict=True))
    losses = []
    for choice in choices:
        good = [own for own in map(tried.get, choice) if own is not None]
        if len(good) < len(choice):
            losses.append(float("inf"))
            continue
        networks, unseen = ([list(own) for own in zip(*each, strict=True)] for each in zip(*good, strict=True))
        losses.append(plan.model._calibrated(list(map(Ensemble, networks)), unseen, plan.fit.rows).loss)
    return losses


def _trials(plan: Plan, views: Sequence[ViewFit], progress: Any = None) -> list[Any]:
    """Train each view briefly without the last fold. Return its networks for each ensemble and their predictions.

    The result is None for a view that diverges. If the rows do not fit into memory, a sample is used instead.
    """
    fit, model = plan.fit, plan.model
    last, share = int(fit.rows.fold.max()), 1 / SHORTER
    if fit.stream is not None:
        share *= model._training(len(fit.rows.T)).epochs / model._training(fit.stream.rows).epochs
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
class StagedEnsemble:
    """The networks of all stages so far, and the outcome of the first stage."""

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
        """Return the result of the first stage."""
        ensembles, folds, results, _ = outcome
        unseen = [
            [plan.fit.unseen(view, own[folds], folds) for view, own in zip(ensemble.views, of, strict=True)]
            for ensemble, of in zip(ensembles, results, strict=True)
        ]
        calibrated = plan.model._calibrated(ensembles, unseen, plan.fit.rows)
        return cls(plan, outcome, ensembles, unseen, results, calibrated, is_interrupted=outcome.is_interrupted)

    def with_stage(self, fit: Fit, results: Sequence[TrainingResult]) -> Self:
        """Add the networks of a later stage, or return self if they hardly lower the loss."""
        folds = self.outcome.folds
        if (added := fit.added(results, folds)) is None:
            return self
        networks, grouped = added
        ensembles = [Ensemble([*of.views, own]) for of, own in zip(self.ensembles, networks, strict=True)]
        unseen = [
            [*of, fit.unseen(own, of_view[folds], folds)]
            for of, own, of_view in zip(self.unseen, networks, grouped[:, 0], strict=True)
        ]
        calibrated = self.plan.model._calibrated(ensembles, unseen, self.plan.fit.rows)
        if not calibrated.loss < (1 - PROGRESS) * self.calibrated.loss:
            return self
        results_of_all = np.concatenate([self.results, grouped], axis=1)
        return replace(self, ensembles=ensembles, unseen=unseen, results=results_of_all, calibrated=calibrated)

    def of_all_rows(self, fit: Fit, *further: int) -> Fit:
        """Return the fit of the selected views and of further stages on all rows."""
        views = [self.plan.view_like(fit, networks) for networks in self.ensembles[0].views]
        return replace(fit, views=views + [self.plan.view_of_stage(fit, number) for number in further])


def fit_in_stages(plans: Sequence[Plan], schedule: Schedule) -> list[StagedEnsemble]:
    """Train several models. A stage trains the networks of all models as one population.

    If a table does not fit into memory and there may be several stages, stages are selected on a sample. The selected
    networks are then retrained on all rows. Ctrl-C returns the networks of the sample.
    """
    of_all = [plan.fit for plan in plans] if schedule.may_choose and all(plan.fit.stream for plan in plans) else []
    if of_all:
        plans = [replace(plan, fit=_of_sample(plan)) for plan in plans]
    plans = [replace(plan, fit=select_views(plan, schedule.report(is_trial=True))) for plan in plans]
    each = _first_stage(plans, schedule.report(), schedule.checkpoint, plans[0].model.workers)
    schedule.end_stage([plan.fit for plan in plans], each[0].calibrated.loss)
    if schedule.may_choose and not each[0].is_interrupted:
        each = _after_all_stages(each, schedule, of_all)
    if of_all and not each[0].is_interrupted:
        notes = [f"Networks of {schedule.stages_done} stage(s) were compared on a sample of the rows."]
        plans = [replace(of.plan, fit=of.of_all_rows(fit)) for of, fit in zip(each, of_all, strict=True)]
        last = schedule.progress, schedule.checkpoint_of_last, plans[0].model.workers
        each = [replace(of, notes=notes) for of in _first_stage(plans, *last)]
    return [replace(of, stages=schedule.stages_done) for of in each]


def _of_sample(plan: Plan) -> Fit:
    """Return a fit that uses only the sample of rows, with training settings for its size."""
    training = plan.model._training(len(plan.fit.rows.T))
    return replace(plan.fit, views=[replace(view, training=training) for view in plan.fit.views], stream=None)


def _first_stage(plans: Sequence[Plan], progress: Any, checkpoint: Any, workers: Any = None) -> list[StagedEnsemble]:
    """Train the networks of all plans together."""
    each = zip(plans, results_of([plan.fit for plan in plans], progress, checkpoint, workers), strict=True)
    return [StagedEnsemble.of(plan, plan.fit.outcome(results)) for plan, results in each]


def _after_all_stages(each: list[StagedEnsemble], schedule: Schedule, of_all: Sequence[Fit]) -> list[StagedEnsemble]:
    """Train all further stages. Ctrl-C discards the current stage and stops training."""
    try:
        while True:
            fits = [of.plan.fit_of_stage(schedule.stage) for of in each]
            last = [of.of_all_rows(fit, schedule.stage) for of, fit in zip(each, of_all, strict=bool(of_all))]
            if not schedule.continues(fits, last):
                return each
            found = list(results_of(fits, schedule.report(), schedule.checkpoint, each[0].plan.model.workers))
            if any(result.reason == "interrupted" for results in found for result in results):
                raise KeyboardInterrupt
            each = [of.with_stage(fit, results) for of, fit, results in zip(each, fits, found, strict=True)]
            schedule.end_stage(fits, each[0].calibrated.loss)
    except KeyboardInterrupt:
        return [replace(of, is_interrupted=True) for of in each]
