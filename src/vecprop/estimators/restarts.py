"""Restarts: a network is trained from several initial parameters, and the best is kept."""

import copy
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .fitting import Fitting
from .rows import Rows
from .together import fit_together, random_states


def fitting_of(model: Any, rows: Rows, held_out: Rows | None, random: np.random.RandomState) -> Any:
    """Return what fits a model whose network and parameters are new: once, or with restarts."""
    kind = Fitting if model.n_restarts == 1 else Restarts
    return kind(model, rows, held_out, random)


class Restarts:
    """One call of training with restarts, in the place of a `Fitting`.

    The first start is that of a fit without restarts. All are trained on the same rows, and what is best on the same
    rows of validation is left in the model; without such rows, what has the lowest loss.

    Parameters
    ----------
    model, rows, held_out, random
        As for `Fitting`.
    """

    def __init__(self, model: Any, rows: Rows, held_out: Rows | None, random: np.random.RandomState) -> None:
        self.model = model
        first = Fitting(model, rows, held_out, random)
        self.fittings = [first]
        for state in random_states(model.random_state, model.n_restarts)[1:]:
            other, random = copy.copy(model), check_random_state(state)
            other.random_state = state
            vars(other).pop("_skl_callbacks", None)  # which are told of one fit
            other._prepare(rows, random, first=True)
            self.fittings.append(Fitting(other, first.rows, first.held_out, random))
        self.kept, self.seconds = first, 0.0

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has ended training."""
        return any(fitting.interrupted for fitting in self.fittings)

    def fit(self) -> None:
        """Train from each start, and keep the best."""
        self.run()
        self.kept.warn_of_shortfall()

    def warn_of_shortfall(self) -> bool:
        """Warn where the training that was kept has not converged; return whether it has not."""
        return self.kept.warn_of_shortfall()

    def member(self) -> None:
        """Return None: one population's member has one start."""

    def run(self) -> None:
        """Train from each start, and keep the best, without a warning."""
        errors = fit_together(self.fittings, self.model.n_jobs)
        good = [fitting for fitting, error in zip(self.fittings, errors, strict=True) if error is None]
        if not good:
            raise errors[0] or AssertionError
        self.kept = max(good, key=_quality)
        losses = [fitting.model.loss_ if fitting in good else np.inf for fitting in self.fittings]
        self.seconds = sum(fitting.seconds for fitting in self.fittings)
        vars(self.model).update(vars(self.kept.model) | {"random_state": self.model.random_state})
        self.model.restart_losses_ = np.array(losses)
        self.model.best_restart_ = self.fittings.index(self.kept)


def _quality(fitting: Fitting) -> float:
    """Return what is to be as large as possible: the validation score, or the negative loss."""
    model = fitting.model
    if fitting.by_score:
        return model.best_validation_score_
    if fitting.held_out is None:
        return -model.loss_
    return model.validation_scores_[-1] if model.validation_scores_ else -np.inf  # it may have ended before an epoch
