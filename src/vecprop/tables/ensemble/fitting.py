"""Fits of tabular models: a short trial selects the views, and the networks of all models are trained together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...core import Network
from ...train.progress import Progress
from ..encoding.encoder import View
from .ensemble import Ensemble, Fit, Networks, Outcome, Report, ViewFit, results_of

PROGRESS_OF_TRIAL = 0.03
"""Other views must reduce the loss by this fraction to replace the default views. Smaller gains can be chance."""
SHORTER = 8
"""Trials divide the number of epochs by this number, and still rank views in the same order as full training."""
FEW_EPOCHS = 10
"""The smallest "auto" number of epochs, which is used for large tables and can be too few."""
LONGER = 2
"""A single view is trained for this multiple of the epochs, which still takes less time than two views."""


@dataclass(frozen=True)
class Candidate:
    """A view and the hidden layers of its networks, described by their differences from the model's settings.

    Examples
    --------
    >>> Candidate("standardised", deeper=1, wider=2).widths([64, 32])
    [128, 64, 64]
    """

    view: View
    deeper: int = 0
    wider: int = 1

    def widths(self, widths: Sequence[int]) -> list[int]:
        """Return the widths of hidden layers, given the widths of the settings."""
        return [self.wider * width for width in (*widths, *list(widths[-1:]) * self.deeper)]


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
    shares: Mapping[str, float]

    def view_like(self, networks: Networks) -> ViewFit:
        """Return a view fit for networks of the same kind."""
        views = [view for view in self.fit.views if view.view == networks.view]
        hidden = networks.network.layers[:-1]
        view = max(views, key=lambda view: view.networks[0].layers[:-1] == hidden)
        if networks.stage == 1:
            return view
        # The settings do not describe the networks of later stages.
        same = [Network(own.inputs, [*hidden, own.layers[-1]], own.loss_function) for own in view.networks]
        return replace(view, networks=same, stage=networks.stage)


def select_views(plan: Plan, progress: Report = None) -> Fit:
    """Fit each choice of views briefly; return the fit that predicts unseen rows best.

    The default is pieces plus the first standardized view. Another choice must be clearly better. For large tables (few
    epochs), one choice is the first standardized view without pieces, trained for more epochs but in less time.
    """
    fit = plan.fit
    pieces, *standardised = fit.views
    choices = [[pieces, view] for view in standardised]
    if plan.model.max_iter == "auto" and pieces.training.epochs <= FEW_EPOCHS:
        choices.append([standardised[0].of_epochs(LONGER * pieces.training.epochs)])
    if len(choices) == 1:
        return fit
    losses = _losses(plan, choices, progress)
    best = int(np.argmin(losses))
    is_clearly_better = losses[best] < (1 - PROGRESS_OF_TRIAL) * losses[0]
    return replace(fit, views=choices[best] if is_clearly_better else choices[0])


def _losses(plan: Plan, choices: Sequence[list[ViewFit]], progress: Report = None) -> list[float]:
    """Return the calibrated loss of each choice of views on the last fold, or infinity if a view has no networks."""
    views = list(dict.fromkeys(view for choice in choices for view in choice))
    tried = dict(zip(views, _trials(plan, views, progress), strict=True))
    losses = []
    for choice in choices:
        good = [trial for trial in map(tried.get, choice) if trial is not None]
        if len(good) < len(choice):
            losses.append(float("inf"))
            continue
        networks, unseen = ([list(part) for part in zip(*parts, strict=True)] for parts in zip(*good, strict=True))
        losses.append(plan.model._calibrated(list(map(Ensemble, networks)), unseen, plan.fit.rows).loss)
    return losses


def _trials(plan: Plan, views: Sequence[ViewFit], progress: Report = None) -> list[Any]:
    """Train each view briefly without the last fold. Return its networks for each ensemble and their predictions.

    The result is None for a view that diverges. If the rows do not fit into memory, a sample is used instead.
    """
    fit, model = plan.fit, plan.model
    last, share = int(fit.rows.fold.max()), 1 / SHORTER
    if fit.stream is not None:
        share *= model._training(len(fit.rows.T)).epochs / model._training(fit.stream.rows).epochs
    short = [view.of_epochs(max(round(share * view.training.epochs), 1)) for view in views]
    fits = [replace(fit, views=[view], stream=None) for view in short]
    members = [trial.members()[last :: last + 1] for trial in fits]
    trials, workers = [], model.workers if fit.stream is None else None
    for trial, results in zip(fits, results_of(fits, progress, workers=workers, members=members), strict=True):
        if any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        networks = trial.networks_of_trial(results)
        if networks is None:
            trials.append(None)
            continue
        pairs = zip(networks, results, strict=True)
        trials.append((networks, [trial.unseen(own, [result], np.array([last])) for own, result in pairs]))
    return trials


class Fitted(NamedTuple):
    """A plan, the outcome of its training, and the calibration."""

    plan: Plan
    outcome: Outcome
    calibrated: Calibrated


def fit_together(plans: Sequence[Plan], progress: Report, checkpoint: Any) -> list[Fitted]:
    """Select the views of each model, and train the networks of all models as one population."""
    plans = [replace(plan, fit=select_views(plan, _report_of_trial(progress))) for plan in plans]
    part = None
    if checkpoint is not None:
        part = checkpoint._part("stage-1")  # as in earlier versions, whose folders can be resumed
    results = results_of([plan.fit for plan in plans], progress, part, plans[0].model.workers)
    return [calibrated(plan, plan.fit.outcome(own)) for plan, own in zip(plans, results, strict=True)]


def calibrated(plan: Plan, outcome: Outcome) -> Fitted:
    """Calibrate the trained ensembles on their out-of-fold predictions."""
    folds = outcome.folds
    unseen = []
    for ensemble, results in zip(outcome.ensembles, outcome.results, strict=True):
        views = zip(ensemble.views, results, strict=True)
        unseen.append([plan.fit.unseen(networks, own[folds], folds) for networks, own in views])
    return Fitted(plan, outcome, plan.model._calibrated(outcome.ensembles, unseen, plan.fit.rows))


def _report_of_trial(progress: Report) -> Report:
    """Return the progress callback of the trial, which does not count and cannot be stopped: no model exists yet."""
    if progress is None:
        return None

    def report(now: Progress) -> None:
        progress(replace(now, share=0.0, stage=0))

    return report
