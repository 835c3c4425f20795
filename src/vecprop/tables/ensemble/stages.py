"""The stages of a fit: trials of views and widths, further networks, and the number of stages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ...core.network import Network
from ...train.progress import Progress
from ..encoding.encoder import View
from .ensemble import Ensemble, Networks, Unseen
from .ensemble_fit import Fit, Training, TrainingRows, ViewFit, results_of


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

    def training(self, training: Training) -> Training:
        """Return how the networks are trained, given how those of the first stage are."""
        patience, decay = self.patience * training.patience, self.decay * training.weight_decay
        return replace(training, patience=patience, weight_decay=decay)


SEQUENCE = [
    Stage("standardised", "elu", deeper=1, decay=0.3),
    Stage("standardised", "tanh", deeper=1),
    Stage("standardised", "silu", deeper=1),
    Stage("standardised", "elu", deeper=2),
    Stage("pieces", dropout=0.2, patience=2, decay=0.2),
    Stage("pieces", deeper=1, dropout=0.1, patience=2),
]
"""The stages after the first, which are repeated without end, with other seeds."""
MOST_STAGES = 16
"""The largest number of stages of a budget: what more gain on the rows that choose them, they lose on others."""


def stage_of(number: int) -> Stage:
    """Return a stage after the first, by its number.

    Examples
    --------
    >>> stage_of(2) == stage_of(2 + len(SEQUENCE))
    True
    """
    return SEQUENCE[(number - 2) % len(SEQUENCE)]


class Schedule:
    """How many stages there are, a number or as many as fit into a time, and the progress over them.

    Parameters
    ----------
    budget : float or None
        The seconds from now in which there are as many stages as are likely to end, from one to `MOST_STAGES`.
    """

    def __init__(
        self,
        stages: int | None,
        budget: float | None,
        progress: Callable[[Progress], object] | None,
        checkpoint: Any = None,
    ) -> None:
        self._kept = checkpoint
        self._of_stage: dict[int, Any] = {}
        self.stages, self.budget, self.progress = stages or 1, budget, progress
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

    @property
    def may_choose(self) -> bool:
        """Whether there may be a stage after the first."""
        return self.budget is not None or self.stages > 1

    def goes_on(self, fits: Sequence[Fit], last: Sequence[Fit] = ()) -> bool:
        """Return whether there is another stage, of these fits, which are taken to be as fast as those before.

        If more fits follow after the last stage, they too are to end in time.
        """
        if self.budget is None:
            return self.stage <= self.stages
        if self.checkpoint is not None:
            if self.checkpoint.is_begun:
                return True
            if last and self.checkpoint_of_last.is_begun:  # an earlier program has ended the stages here
                return False
        seconds, to_come = self.seconds, _work(fits) + (_work(last) if last else 0)
        return self.stage <= MOST_STAGES and seconds + seconds * to_come / self._work <= self.budget

    def end_stage(self, fits: Sequence[Fit], loss: float) -> None:
        """Count a stage of these fits, after which the first model has this loss on unseen rows."""
        self.stages_done, self.loss, self._work = self.stage, loss, self._work + _work(fits)
        self._rows, self._rows_of_stage = self._rows + self._rows_of_stage, 0

    @property
    def report(self) -> Callable[[Progress], object] | None:
        """What to call with the progress of a stage."""
        return None if self.progress is None else self._report

    @property
    def report_of_trial(self) -> Callable[[Progress], object] | None:
        """What to call with the progress of a trial before the first stage.

        It is stage 0, and no part of what is to be done. It only ends by itself: there is no model that it could leave.
        """
        return None if self.progress is None else self._report_trial

    def _report(self, now: Progress) -> object:
        self._rows_of_stage = now.rows
        return self._say(now, (self.stages_done + now.share) / self.stages, self.stage)

    def _report_trial(self, now: Progress) -> None:
        self._say(now, 0.0, 0)

    def _say(self, now: Progress, done: float, stage: int) -> object:
        share = done if self.budget is None else self.seconds / self.budget
        rows = self._rows + now.rows
        assert self.progress is not None
        return self.progress(replace(now, share=min(share, 1.0), rows=rows, stage=stage, best=self.loss))


def _work(fits: Sequence[Fit]) -> float:
    """Return the numbers of parameters times epochs and rows, to which the time of training is about proportional."""
    return sum(
        fit.rows_a_sampled_row * view.training.epochs * view.networks[0].layout.size
        for fit in fits
        for view in fit.views
    )


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
