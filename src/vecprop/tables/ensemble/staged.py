"""The fit of models of tables in stages: each trains more networks, which stay if unseen rows are predicted better."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ...train.state import TrainingResult
from .ensemble import Ensemble, Unseen
from .ensemble_fit import Fit, Outcome, results_of, trained
from .stages import Calibrated, Plan, Schedule, with_views_that_pay

PROGRESS = 0.01
"""The part of the loss by which a stage lowers it at least: less is chance, and more networks predict more slowly.

Of each view one network predicts an unseen row. So any further view lowers the loss on these rows, but hardly that on
new ones, which all networks of a view predict.
"""


@dataclass(frozen=True, eq=False)
class Growing:
    """What is trained of a model of a table so far: the outcome of its first stage, and all networks."""

    plan: Plan
    outcome: Outcome
    ensembles: list[Ensemble]
    unseen: list[list[Unseen]]
    results: list[list[list[TrainingResult]]]
    calibrated: Calibrated
    stages: int = 1
    is_interrupted: bool = False
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, plan: Plan, outcome: Outcome) -> Self:
        """Return what there is after the first stage."""
        ensembles, fit = outcome.ensembles, plan.fit
        grouped = np.empty(len(outcome.results), object)
        grouped[:] = outcome.results
        results = grouped.reshape(len(ensembles), len(ensembles[0].views), -1)
        unseen = [
            [fit.unseen(view, own[outcome.folds], outcome.folds) for view, own in zip(ensemble.views, of, strict=True)]
            for ensemble, of in zip(ensembles, results, strict=True)
        ]
        calibrated = plan.calibrate(ensembles, unseen, fit.rows)
        return cls(
            plan, outcome, ensembles, unseen, results.tolist(), calibrated, is_interrupted=outcome.is_interrupted
        )

    def grown(self, fit: Fit, results: Sequence[TrainingResult]) -> Self:
        """Return this with the networks of a later stage, or as it is if its loss is then hardly lower."""
        folds = self.outcome.folds
        added = fit.added(results, folds)
        if added is None:
            return self
        networks, results_of_each = added
        ensembles = [Ensemble([*of.views, own]) for of, own in zip(self.ensembles, networks, strict=True)]
        unseen = [
            [*of, fit.unseen(own, [results[fold] for fold in folds], folds)]
            for of, own, results in zip(self.unseen, networks, results_of_each, strict=True)
        ]
        calibrated = self.plan.calibrate(ensembles, unseen, self.plan.fit.rows)
        if not calibrated.loss < (1 - PROGRESS) * self.calibrated.loss:
            return self
        grouped = [[*of, own] for of, own in zip(self.results, results_of_each, strict=True)]
        return replace(self, ensembles=ensembles, unseen=unseen, results=grouped, calibrated=calibrated)

    def of_all_rows(self, fit: Fit, *further: int) -> Fit:
        """Return the fit to all rows of the views that are kept, and of further stages."""
        kept = [self.plan.view_like(fit, networks) for networks in self.ensembles[0].views]
        return replace(fit, views=kept + [self.plan.view_of_stage(fit, number) for number in further])


def fit_in_stages(plans: Sequence[Plan], schedule: Schedule) -> list[Growing]:
    """Return what is trained of several models; each stage of all of them is one population.

    If a table does not fit into memory and there may be several stages, they are chosen by networks of its sample, and
    those that are kept are then trained on all rows together.
    """
    if schedule.may_choose and all(plan.fit.stream is not None for plan in plans):
        each = _chosen(plans, schedule)
    else:
        each = _after_all_stages(_begun(plans, schedule), schedule)
    return [replace(of, stages=schedule.stages_done) for of in each]


def _begun(plans: Sequence[Plan], schedule: Schedule) -> list[Growing]:
    """Return models after their first stage, of the views that pay."""
    plans = [replace(plan, fit=with_views_that_pay(plan, schedule.report_of_trial)) for plan in plans]
    members = [(plan.fit, plan.fit.members()) for plan in plans]
    outcomes = trained(members, schedule.report, schedule.checkpoint, plans[0].workers)
    each = list(map(Growing.of, plans, outcomes))
    schedule.end_stage([plan.fit for plan in plans], each[0].calibrated.loss)
    return each


def _chosen(plans: Sequence[Plan], schedule: Schedule) -> list[Growing]:
    """Return models of all rows with the stages that are kept of models of the samples; Ctrl-C leaves these."""
    samples = [replace(plan, fit=plan.fit.of_sample(plan.training(len(plan.fit.rows.T)))) for plan in plans]
    fits = [plan.fit for plan in plans]
    each = _after_all_stages(_begun(samples, schedule), schedule, fits)
    if each[0].is_interrupted:
        return each
    plans = [replace(plan, fit=of.of_all_rows(plan.fit)) for of, plan in zip(each, plans, strict=True)]
    members = [(plan.fit, plan.fit.members()) for plan in plans]
    outcomes = trained(members, schedule.progress, schedule.checkpoint_of_last)
    notes = [f"Of {schedule.stages_done} stage(s), the sample tells which are kept."]
    return [replace(of, notes=notes) for of in map(Growing.of, plans, outcomes)]


def _after_all_stages(each: list[Growing], schedule: Schedule, of_all: Sequence[Fit] = ()) -> list[Growing]:
    """Return models after all stages that there are; Ctrl-C undoes the stage in which it comes, and ends them."""
    if each[0].is_interrupted or not schedule.may_choose:
        return each

    def last() -> list[Fit]:
        return [of.of_all_rows(fit, schedule.stage) for of, fit in zip(each, of_all, strict=bool(of_all))]

    try:
        while schedule.goes_on(fits := [of.plan.fit_of_stage(schedule.stage) for of in each], last()):
            members = [(fit, fit.members()) for fit in fits]
            results = list(results_of(members, schedule.report, schedule.checkpoint, each[0].plan.workers))
            if any(result.reason == "interrupted" for own in results for result in own):
                raise KeyboardInterrupt
            each = [of.grown(fit, own) for of, fit, own in zip(each, fits, results, strict=True)]
            schedule.end_stage(fits, each[0].calibrated.loss)
    except KeyboardInterrupt:
        return [replace(of, is_interrupted=True) for of in each]
    return each
