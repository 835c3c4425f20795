"""The fit of models of tables in stages: each trains more networks, which stay if unseen rows are predicted better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from ...estimators.keeping import held
from ...system.threads import at_most_jobs
from ...train.progress import Progress
from ...train.state import TrainingResult
from .ensemble import Ensemble
from .ensemble_fit import INTERRUPTED, Fit, Outcome, results_of, trained
from .out_of_fold import Unseen
from .stages import Schedule
from .trial import with_views_that_pay

PROGRESS = 0.01
"""The part of the loss by which a stage lowers it at least: less is chance, and more networks predict more slowly.

Of each view one network predicts an unseen row. So any further view lowers the loss on these rows, but hardly that on
new ones, which all networks of a view predict.
"""


class Calibrated(NamedTuple):
    """What a model learns from predictions of rows that networks have not seen."""

    learned: dict[str, Any]
    unseen: np.ndarray

    @property
    def loss(self) -> float:
        """The loss on rows that networks have not seen."""
        return self.learned["validation_loss_"]


@dataclass(frozen=True, eq=False)
class Growing:
    """A model of a table, as far as it is trained."""

    model: Any
    fit: Fit
    folds: np.ndarray
    ensembles: list[Ensemble]
    unseen: list[list[Unseen]]
    results: list[list[list[TrainingResult]]]
    calibrated: Calibrated

    @classmethod
    def of(cls, model: Any, fit: Fit, outcome: Outcome) -> Self:
        """Return a model after its first stage."""
        ensembles = outcome.ensembles
        grouped = np.empty(len(outcome.results), object)
        grouped[:] = outcome.results
        results = grouped.reshape(len(ensembles), len(ensembles[0].views), -1)
        unseen = [
            [fit.unseen(view, own[outcome.folds], outcome.folds) for view, own in zip(ensemble.views, of, strict=True)]
            for ensemble, of in zip(ensembles, results, strict=True)
        ]
        return cls(
            model,
            fit,
            outcome.folds,
            ensembles,
            unseen,
            results.tolist(),
            model._calibrated(ensembles, unseen, fit.rows),
        )

    def grown(self, fit: Fit, results: Sequence[TrainingResult]) -> Self:
        """Return the model with the networks of a later stage, or as it is if its loss is then hardly lower."""
        added = fit.added(results, self.folds)
        if added is None:
            return self
        networks, results_of_each = added
        ensembles = [Ensemble([*of.views, own]) for of, own in zip(self.ensembles, networks, strict=True)]
        unseen = [
            [*of, fit.unseen(own, [results[fold] for fold in self.folds], self.folds)]
            for of, own, results in zip(self.unseen, networks, results_of_each, strict=True)
        ]
        calibrated = self.model._calibrated(ensembles, unseen, self.fit.rows)
        if not calibrated.loss < (1 - PROGRESS) * self.calibrated.loss:
            return self
        grouped = [[*of, own] for of, own in zip(self.results, results_of_each, strict=True)]
        return replace(self, ensembles=ensembles, unseen=unseen, results=grouped, calibrated=calibrated)

    def of_all_rows(self, fit: Fit, *further: int) -> Fit:
        """Return the fit to all rows of the views that are kept, and of further stages."""
        kept = [self.model._view_like(fit, networks) for networks in self.ensembles[0].views]
        kept += [self.model._view_of_stage(fit, number) for number in further]
        return replace(fit, views=kept)

    def keep(self, stages: int, is_used: np.ndarray) -> None:
        """Make all this the attributes of the model, after a number of stages.

        Its table has some rows that are used, and perhaps others.
        """
        vars(self.model).update(self.calibrated.learned, stages_=stages)
        if stages > 1:
            self.model._keep_curves([result for ensemble in self.results for view in ensemble for result in view])
        unseen = self.calibrated.unseen
        self.model.out_of_fold_ = np.full((len(is_used), *unseen.shape[1:]), np.nan)
        self.model.out_of_fold_[is_used] = unseen
        self.model._decide(unseen, self.fit.rows)


def fit_together(
    models: Sequence[Any], tables: Sequence[Mapping[str, Any]], progress: Callable[[Progress], object] | None
) -> None:
    """Fit models, each to a table of its own; each stage of all of them is one population.

    If a table does not fit into memory and there may be several stages, they are chosen by networks of its sample, and
    those that are kept are then trained on all rows together.

    Parameters
    ----------
    models : sequence of TabularClassifier or TabularRegressor
        The models, of which the first says how many threads and stages there may be, and where they are kept.
    """
    with held(models[0].checkpoint):
        _fit_together(models, tables, progress)


def _fit_together(
    models: Sequence[Any], tables: Sequence[Mapping[str, Any]], progress: Callable[[Progress], object] | None
) -> None:
    schedule = Schedule(models[0].stages, models[0].budget, progress, models[0].checkpoint)
    prepared = [model._prepared(**table) for model, table in zip(models, tables, strict=True)]
    fits = [fit for _, fit in prepared]
    with at_most_jobs(models[0].n_jobs):
        if schedule.may_choose and all(fit.stream is not None for fit in fits):
            each = _chosen(models, fits, schedule)
        else:
            each = _after_all_stages(_begun(models, fits, schedule), schedule)
    for growing, (rows, _) in zip(each, prepared, strict=True):
        growing.keep(schedule.stages_done, rows.is_used)


def _begun(models: Sequence[Any], fits: Sequence[Fit], schedule: Schedule) -> list[Growing]:
    """Return models after their first stage, of the views that pay."""
    fits = [with_views_that_pay(model, fit, schedule.report_of_trial) for model, fit in zip(models, fits, strict=True)]
    members = [(fit, fit.members()) for fit in fits]
    outcomes = trained(members, schedule.report, schedule.checkpoint, models[0].workers)
    each = []
    for model, fit, outcome in zip(models, fits, outcomes, strict=True):
        model._keep(outcome)
        each.append(Growing.of(model, fit, outcome))
    schedule.end_stage(fits, each[0].calibrated.loss)
    return each


def _chosen(models: Sequence[Any], fits: Sequence[Fit], schedule: Schedule) -> list[Growing]:
    """Return models of all rows with the stages that are kept of models of the samples; Ctrl-C leaves these."""
    notes = [list(model.notes_) for model in models]
    samples = [fit.of_sample(model.training(len(fit.rows.T))) for model, fit in zip(models, fits, strict=True)]
    each = _after_all_stages(_begun(models, samples, schedule), schedule, fits)
    if INTERRUPTED in models[0].notes_:
        return each
    lasts = [of.of_all_rows(fit) for of, fit in zip(each, fits, strict=True)]
    for model, before in zip(models, notes, strict=True):
        model.notes_ = [*before, f"Of {schedule.stages_done} stage(s), the sample tells which are kept."]
    members = [(fit, fit.members()) for fit in lasts]
    outcomes = trained(members, schedule.progress, schedule.checkpoint_of_last)
    grown = []
    for model, fit, outcome in zip(models, lasts, outcomes, strict=True):
        model._keep(outcome)
        grown.append(Growing.of(model, fit, outcome))
    return grown


def _after_all_stages(each: list[Growing], schedule: Schedule, of_all: Sequence[Fit] = ()) -> list[Growing]:
    """Return models after all stages that there are; Ctrl-C undoes the stage in which it comes, and ends them."""
    if INTERRUPTED in each[0].model.notes_:
        return each

    def last() -> list[Fit]:
        return [of.of_all_rows(fit, schedule.stage) for of, fit in zip(each, of_all, strict=bool(of_all))]

    try:
        while schedule.goes_on(fits := [of.model._fit_of_stage(of.fit, schedule.stage) for of in each], last()):
            members = [(fit, fit.members()) for fit in fits]
            results = list(results_of(members, schedule.report, schedule.checkpoint, each[0].model.workers))
            if any(result.reason == "interrupted" for own in results for result in own):
                raise KeyboardInterrupt
            each = [of.grown(fit, own) for of, fit, own in zip(each, fits, results, strict=True)]
            schedule.end_stage(fits, each[0].calibrated.loss)
    except KeyboardInterrupt:
        for of in each:
            of.model.notes_.append(INTERRUPTED)
    return each
