"""The trial of views: short trainings without one fold, whose rows decide which networks the first stage trains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...core.network import Network
from ...train.progress import Progress
from .ensemble import Ensemble, Networks
from .ensemble_fit import Fit, Training, TrainingRows, ViewFit, results_of
from .out_of_fold import Unseen
from .stages import Stage, stage_of

SHORTER = 8
"""A trial takes the epochs of a training divided by this: the order of losses is then as after all epochs."""
PROGRESS = 0.03
"""The part of the loss by which other networks lower it at least: less is chance."""
FEW_EPOCHS = 10
"""A table is so large that networks learn too little if "auto" is this number of epochs, the least."""
LONGER = 2
"""The factor of epochs of a view that is alone, which still takes less time than two."""


class Calibrated(NamedTuple):
    """What a model learns from predictions of rows that networks have not seen."""

    learned: dict[str, Any]
    unseen: np.ndarray

    @property
    def loss(self) -> float:
        """The loss on rows that networks have not seen."""
        return self.learned["validation_loss_"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained of a model of a table, and how its settings make networks and calibrate them.

    Parameters
    ----------
    is_used : ndarray of bool
        Which rows of the table are learned from.
    networks : callable
        Makes a network for each loss, given the numbers of inputs and outputs and the stage.
    training : callable
        Returns how networks are trained on a number of rows.
    chooses_epochs : bool
        Whether the number of epochs is chosen by the number of rows.
    """

    fit: Fit
    is_used: np.ndarray
    calibrate: Callable[[list[Ensemble], Sequence[Sequence[Unseen]], TrainingRows], Calibrated]
    networks: Callable[[int, int, Stage], list[Network]]
    training: Callable[[int], Training]
    chooses_epochs: bool
    workers: Any

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
        stage = stage_of(number)
        first = next(view for view in (*fit.views, *fit.left_out) if view.view == stage.view)
        networks = self.networks(len(first.inputs), first.networks[0].outputs, stage)
        return replace(first, networks=networks, training=stage.training(first.training), stage=number)


def with_views_that_pay(plan: Plan, progress: Callable[[Progress], object] | None = None) -> Fit:
    """Return the fit of a first stage with the views that predict unseen rows best.

    They are pieces and a standardised view, and if no others are clearly better, the first of these. Of a table of
    which there are few epochs the first standardised view may be alone, which then is trained longer, in less time.

    Raises
    ------
    KeyboardInterrupt
        If the trial is interrupted.
    """
    fit = plan.fit
    pieces, *standardised = fit.views
    choices = [[pieces, own] for own in standardised]
    if plan.chooses_epochs and pieces.training.epochs <= FEW_EPOCHS:
        choices.append([_of_epochs(standardised[0], LONGER * pieces.training.epochs)])
    if len(choices) == 1:
        return fit
    losses = _losses(plan, choices, progress)
    best = int(np.argmin(losses))
    chosen = choices[best if losses[best] < (1 - PROGRESS) * losses[0] else 0]
    return replace(fit, views=chosen, left_out=[view for view in fit.views if view not in chosen])


def _of_epochs(view: ViewFit, epochs: int) -> ViewFit:
    return replace(view, training=replace(view.training, epochs=epochs))


@dataclass(frozen=True, eq=False)
class _Tried:
    """Networks of one view after a trial, one for each ensemble, and what they predict of rows not seen."""

    networks: list[Networks]
    unseen: list[Unseen]


def _losses(plan: Plan, choices: Sequence[list[ViewFit]], progress: Any = None) -> list[float]:
    """Return the calibrated loss of choices of views on the rows of the last fold, infinite without good networks."""
    views = list(dict.fromkeys(view for choice in choices for view in choice))
    tried = dict(zip(views, _trials(plan, views, progress), strict=True))
    return [_loss(plan, [tried[view] for view in views]) for views in choices]


def _loss(plan: Plan, views: Sequence[_Tried | None]) -> float:
    good = [view for view in views if view is not None]
    if len(good) < len(views):
        return float("inf")
    ensembles = [Ensemble(list(each)) for each in zip(*(view.networks for view in good), strict=True)]
    unseen = list(zip(*(view.unseen for view in good), strict=True))
    return plan.calibrate(ensembles, unseen, plan.fit.rows).loss


def _trials(plan: Plan, views: Sequence[ViewFit], progress: Any = None) -> list[_Tried | None]:
    """Return for each view what a short training without the last fold makes of it; None if it diverges.

    Of rows that do not fit into memory the sample is trained on, in as many epochs as if it were the table.
    """
    fit = plan.fit
    last, share = int(fit.rows.fold.max()), 1 / SHORTER
    if fit.stream is not None:
        share *= plan.training(len(fit.rows.T)).epochs / plan.training(fit.stream.rows).epochs
    short = [_of_epochs(view, max(round(share * view.training.epochs), 1)) for view in views]
    fits = [replace(fit, views=[view], stream=None) for view in short]
    members = [(own, own.members()[last :: last + 1]) for own in fits]
    found, workers = [], plan.workers if fit.stream is None else None
    for own, results in zip(fits, results_of(members, progress, workers=workers), strict=True):
        if any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        added = own.added(results, np.zeros(1, int))
        unseen = (
            []
            if added is None
            else [own.unseen(networks, of, np.array([last])) for networks, of in zip(*added, strict=True)]
        )
        found.append(None if added is None else _Tried(added[0], unseen))
    return found
