"""What training leaves in a model epoch by epoch, in scikit-learn's attributes, and when its rule ends training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..optimize.stopping import Stagnation, observed
from ..train.state import TrainingState
from .schedules import Cuts

if TYPE_CHECKING:
    from .base import MultilayerPerceptron


@dataclass(eq=False)
class Record:
    """Records each epoch in a model's attributes, and says when training is to end.

    The rule goes on from what the model's attributes say of earlier calls. A learning rate that adapts is divided by 5
    first, as long as it is above 1e-6.

    Parameters
    ----------
    model : MultilayerPerceptron
        The model, which holds what earlier calls have counted.
    rows : int
        How many rows count for ``t_`` in an epoch.
    scores : dict of callable
        What measures the model after each epoch beside training itself, by the name of the attribute that lists it.
    rule : Stagnation
        When training is to end.
    ends : bool
        Whether it does end training.
    rate : float
        The learning rate at the start.
    constant, constant_val : float
        What is added to the losses of training and validation.

    Attributes
    ----------
    best_theta : ndarray (P,) or None
        The parameters with the best score; where no epoch was better than those before this call, the first. None where
        it is the training loss that counts.
    """

    model: "MultilayerPerceptron"
    rows: int
    scores: dict[str, Callable[[TrainingState], float]]
    rule: Stagnation
    ends: bool
    rate: float
    constant: float
    constant_val: float
    best_theta: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Begin with the model's parameters as the best."""
        if self.rule.restores:
            self.best_theta = self.model.theta_.copy()

    @property
    def interval(self) -> float:
        """How many epochs may run as one: where the loss counts, training cannot end before so many more of them."""
        if self.scores or self.rule.restores:
            return 1
        return max(self.rule.patience - self.model._no_improvement_count, 1)

    def __call__(self, state: TrainingState) -> bool:
        """Record the epochs since the last call; return whether training is to end."""
        self.model.theta_ = state.theta
        for name, measure in self.scores.items():
            getattr(self.model, name).append(measure(state))
        history = state.history
        return self.epochs(
            state, history.latest_losses, history.latest_validation_losses, history.latest_validation_scores
        )

    def epochs(
        self, state: TrainingState, losses: np.ndarray, validation_losses: np.ndarray, scores: np.ndarray
    ) -> bool:
        """Record epochs with these losses and scores, as far as there are any; return whether training is to end."""
        model, over = self.model, False
        if model.scoring == "loss":
            scores = -validation_losses
        validation_losses, scores = validation_losses.tolist(), scores.tolist()
        for epoch, loss in enumerate(losses.tolist()):
            if validation_losses:
                model.validation_loss_curve_.append(validation_losses[epoch] + self.constant_val)
            if scores:
                model.validation_scores_.append(scores[epoch])
            model.n_iter_ += 1
            model.t_ += self.rows
            model.loss_ = loss + self.constant
            model.loss_curve_.append(model.loss_)
            over = self.has_stalled(state) and self.ends and not self.adapts(state)
        return over

    def has_stalled(self, state: TrainingState) -> bool:
        """Compare the epoch with the best so far, keep what is best, and return whether there were too many without."""
        model, rule, by_score = self.model, self.rule, self.rule.restores
        loss = -model.validation_scores_[-1] if by_score else model.loss_
        lowest = -model.best_validation_score_ if by_score else model.best_loss_
        count = model._no_improvement_count
        best, _, count = observed(loss, lowest, lowest, count, rule.tolerance, rule.from_lowest)
        model._no_improvement_count = int(count)
        if not by_score:
            model.best_loss_ = best
        elif best < lowest:
            model.best_validation_score_, self.best_theta = -best, state.theta.copy()
        return count >= rule.patience

    def adapts(self, state: TrainingState) -> bool:
        """Return whether the learning rate is cut in the place of an end."""
        model = self.model
        what = "Validation score" if self.rule.restores else "Training loss"
        message = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        factor = state.schedule.get("factor") if model.learning_rate == "adaptive" else None
        if factor is not None and self.rate * factor > 1e-6:
            Cuts().cut(state.schedule)
            model._no_improvement_count = 0
            self.say(f"{message} Setting learning rate to {self.rate * state.schedule['factor']:f}")
            return True
        self.say(f"{message} Stopping.")
        return False

    def say(self, message: str) -> None:
        """Print a message where the model is verbose."""
        if self.model.verbose and self.model.verbose != "bar":
            print(message)


def print_epoch(model: "MultilayerPerceptron") -> Callable[[TrainingState], None]:
    """Return a callback that prints an epoch as scikit-learn does."""

    def after_epoch(state: TrainingState) -> None:
        print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        if model.validation_scores_:
            print(f"Validation score: {model.validation_scores_[-1]:f}")

    return after_epoch
