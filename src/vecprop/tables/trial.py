"""The trial of views: short trainings without one fold, whose rows decide which networks the first stage trains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .ensemble import Ensemble, Networks
from .ensemble_fit import Fit, Unseen, ViewFit, results_of
from .settings import MANY_ROWS

SHORTER = 4
"""A trial takes the epochs of a training divided by this: the order of losses is then as after all epochs."""
HARDLY = 0.02
"""The part of the loss that is left to chance, so that the view that takes less time is chosen."""
LONGER = 2
"""The factor of epochs if there is one view alone, which still takes less time than two."""


def with_views_that_pay(model: Any, fit: Fit) -> Fit:
    """Return the fit of a first stage with the views that predict unseen rows best, or hardly worse in less time.

    There is one standardised view, of those that the fit has. Of a large table it may be alone, and is then trained
    longer.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The estimator.
    fit : Fit
        A fit with pieces, and then standardised views of different networks.

    Raises
    ------
    KeyboardInterrupt
        If the trial is interrupted.
    """
    pieces, *standardised = fit.views
    rows = len(fit.rows.T) if fit.stream is None else fit.stream.rows
    alone = [[own] for own in standardised] if rows >= MANY_ROWS else []
    choices = [*alone, *([pieces, own] for own in standardised)]
    if len(choices) == 1:
        return fit
    losses = _losses(model, fit, choices)
    chosen = next(views for views, loss in zip(choices, losses, strict=True) if loss <= (1 + HARDLY) * min(losses))
    left_out = [view for view in fit.views if view not in chosen]
    if chosen in alone and model.max_iter == "auto":
        chosen = [_of_epochs(view, LONGER * view.training.epochs) for view in chosen]
    return replace(fit, views=chosen, left_out=left_out)


def _of_epochs(view: ViewFit, epochs: int) -> ViewFit:
    return replace(view, training=replace(view.training, epochs=epochs))


@dataclass(frozen=True, eq=False)
class _Tried:
    """Networks of one view after a trial, one for each ensemble, and what they predict of rows not seen."""

    networks: list[Networks]
    unseen: list[Unseen]


def _losses(model: Any, fit: Fit, choices: Sequence[list[ViewFit]]) -> list[float]:
    """Return the calibrated loss of choices of views on the rows of the last fold, infinite without good networks."""
    tried = dict(zip(fit.views, _trials(model, fit), strict=True))
    return [_loss(model, fit, [tried[view] for view in views]) for views in choices]


def _loss(model: Any, fit: Fit, views: Sequence[_Tried | None]) -> float:
    good = [view for view in views if view is not None]
    if len(good) < len(views):
        return float("inf")
    ensembles = [Ensemble(list(each)) for each in zip(*(view.networks for view in good), strict=True)]
    unseen = list(zip(*(view.unseen for view in good), strict=True))
    return model._calibrated(ensembles, unseen, fit.rows).loss


def _trials(model: Any, fit: Fit) -> list[_Tried | None]:
    """Return for each view what a short training without the last fold makes of it; None if it diverges.

    Of rows that do not fit into memory the sample is trained on.
    """
    epochs = max(round(model.training(len(fit.rows.T)).epochs / SHORTER), 1)
    last = int(fit.rows.fold.max())
    fits = [replace(fit, views=[_of_epochs(view, epochs)], stream=None) for view in fit.views]
    members = [(own, own.members()[last :: last + 1]) for own in fits]
    found, workers = [], model.workers if fit.stream is None else None
    for own, results in zip(fits, results_of(members, None, workers=workers), strict=True):
        if any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        added = own.added(results, np.zeros(1, int))
        unseen = [] if added is None else [own.unseen(networks, np.array([last])) for networks in added[0]]
        found.append(None if added is None else _Tried(added[0], unseen))
    return found
