"""scikit-learn's rules for when training ends, watched epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..train.state import TrainingState
from .schedules import Cuts


@dataclass(eq=False)
class Watch:
    """Records each epoch in a model's attributes, and says when training is to end.

    Without early stopping it ends after more than ``n_iter_no_change`` epochs in a row whose loss was not below the
    best by ``tol``; with early stopping, where the validation score was not above the best by ``tol``. A learning rate
    that adapts is divided by 5 first, as long as it is above 1e-6.

    Parameters
    ----------
    model : estimator
        The model, which holds what earlier calls have counted.
    rows : int
        How many rows count for ``t_`` in an epoch.
    scores : dict of callable
        What measures the model after each epoch beside training itself, by the name of the attribute that lists it.
    by_score, by_loss : bool
        Whether the score or the loss ends training.
    rate : float
        The learning rate at the start.
    constant, constant_val : float
        What is added to the losses of training and validation.

    Attributes
    ----------
    best_theta : ndarray (P,) or None
        The parameters with the best score; where no epoch was better than those before this call, the first.
    """

    model: Any
    rows: int
    scores: dict[str, Callable[[TrainingState], float]]
    by_score: bool
    by_loss: bool
    rate: float
    constant: float
    constant_val: float
    best_theta: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Begin with the model's parameters as the best."""
        if self.by_score:
            self.best_theta = self.model.theta_.copy()

    @property
    def interval(self) -> float:
        """How many epochs may run as one: where the loss counts, training cannot end before so many more of them."""
        return (
            1
            if self.scores or self.by_score
            else max(self.model.n_iter_no_change + 1 - self.model._no_improvement_count, 1)
        )

    def __call__(self, state: TrainingState) -> bool:
        """Record the epochs since the last call; return whether training is to end."""
        model, history = self.model, state.history
        model.theta_ = state.theta
        for name, measure in self.scores.items():
            getattr(model, name).append(measure(state))
        held_losses, scores = history.latest_validation_losses.tolist(), history.latest_validation_scores.tolist()
        if model.scoring == "loss":
            scores = [-loss for loss in held_losses]
        over = False
        for epoch, loss in enumerate(history.latest_losses.tolist()):
            if held_losses:
                model.validation_loss_curve_.append(held_losses[epoch] + self.constant_val)
            if scores:
                model.validation_scores_.append(scores[epoch])
            model.n_iter_ += 1
            model.t_ += self.rows
            model.loss_ = loss + self.constant
            model.loss_curve_.append(model.loss_)
            over = self.is_over(state, self.has_improved(state))
        return over

    def has_improved(self, state: TrainingState) -> bool:
        """Compare the epoch with the best so far, and keep what is best."""
        model = self.model
        if self.by_score:
            score, best = model.validation_scores_[-1], model.best_validation_score_
            if score > best:
                model.best_validation_score_, self.best_theta = score, state.theta.copy()
            return not score < best + model.tol
        loss, best = model.loss_, model.best_loss_
        model.best_loss_ = min(loss, best)
        return loss <= best - model.tol

    def is_over(self, state: TrainingState, improved: bool) -> bool:
        """Count epochs without progress; when there are too many, cut the learning rate or end training."""
        model = self.model
        model._no_improvement_count = 0 if improved else model._no_improvement_count + 1
        if not (self.by_loss or self.by_score) or model._no_improvement_count <= model.n_iter_no_change:
            return False
        what = "Validation score" if self.by_score else "Training loss"
        message = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        factor = state.schedule.get("factor") if model.learning_rate == "adaptive" else None
        if factor is not None and self.rate * factor > 1e-6:
            Cuts().cut(state.schedule)
            model._no_improvement_count = 0
            self.say(f"{message} Setting learning rate to {self.rate * state.schedule['factor']:f}")
            return False
        self.say(f"{message} Stopping.")
        return True

    def say(self, message: str) -> None:
        """Print a message where the model is verbose."""
        if self.model.verbose and self.model.verbose != "bar":
            print(message)


def print_epoch(model: Any) -> Callable[[TrainingState], None]:
    """Return a callback that prints an epoch as scikit-learn does."""

    def after_epoch(state: TrainingState) -> None:
        print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        if model.validation_scores_:
            print(f"Validation score: {model.validation_scores_[-1]:f}")

    return after_epoch
