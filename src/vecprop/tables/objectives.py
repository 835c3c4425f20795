"""What the loss of a regressor decides: the scaling of targets, the loss of rows, constant predictions and D²."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.stats import skew

from .. import catalog
from ..core.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
)

ALIASES = {"squared": "squared_error", "absolute": "absolute_error"}
"""Names of losses whose names in the catalog differ."""
LOSSES = catalog.named(catalog.LOSSES)
"""The losses by their names in the catalog."""
MIN_PROBABILITY = 1e-30
"""Lower bound of probabilities and rates, so that logarithms and powers are finite."""
_LOGITS = np.array([[-1.5], [0.25], [2.0]])
"""Outputs of a network, to recognize the link of a loss."""


class Words(NamedTuple):
    """The names of a loss, of its metric and of its best constant prediction."""

    loss: str
    metric: str
    constant: str


WORDS: dict[type[Loss], Words] = {
    SquaredError: Words("squared error", "rmse", "mean"),
    AbsoluteError: Words("absolute error", "mae", "median"),
    Huber: Words("Huber loss", "huber_loss", "best constant"),
    Poisson: Words("deviance", "deviance", "mean"),
    Quantile: Words("quantile loss", "pinball_loss", "quantile"),
}


def has_log_link(loss: Loss) -> bool:
    """Return whether predictions are exp(z); raise an error for links that tables do not support."""
    predicted = loss.predict(_LOGITS)
    if np.array_equal(predicted, _LOGITS):
        return False
    if np.allclose(predicted, np.exp(_LOGITS)):
        return True
    raise ValueError(
        f"The loss {type(loss).__name__} does not predict numbers as z or exp(z), as"
        " the losses of TabularRegressor must: choose another loss."
    )


def before_link(loss: Loss, Y: ndarray) -> ndarray:
    """Return the outputs Z of a network whose predictions are Y."""
    if isinstance(loss, BinaryCrossEntropy):
        odds = np.maximum(Y, MIN_PROBABILITY) / np.maximum(1 - Y, MIN_PROBABILITY)
        return np.log(odds)
    if isinstance(loss, SoftmaxCrossEntropy) or has_log_link(loss):
        return np.log(np.maximum(Y, MIN_PROBABILITY))
    return Y


@dataclass(frozen=True)
class Objective:
    """A loss in the units of the target.

    Examples
    --------
    >>> y, predicted = np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 8.0])
    >>> objective = Objective(AbsoluteError())
    >>> objective.row_losses(y, predicted).tolist()
    [0.0, 1.0, 2.0]
    >>> round(objective.best_constant(y, np.ones(3)), 3)
    2.0
    >>> round(objective.d2(y, predicted, np.ones(3)), 2)
    0.4
    """

    loss: Loss

    @classmethod
    def of(cls, loss: Any, scale: float) -> "Objective":
        """Return the objective for a loss or its name, given the unit of scaled targets."""
        if isinstance(loss, str):
            loss = LOSSES[ALIASES.get(loss, loss)]()
            if type(loss) is Huber:
                loss = Huber(scale)
        return cls(loss)

    def loss_of_networks(self, scale: float) -> Loss:
        """Return the loss for scaled targets."""
        if type(self.loss) is Huber:
            return Huber(self.loss.threshold / scale)
        return self.loss

    @property
    def words(self) -> Words:
        """The names of the loss, of its metric and of its best constant prediction."""
        name = type(self.loss).__name__
        return WORDS.get(type(self.loss), Words(name, name, "best constant"))

    def row_losses(self, y: ndarray, predicted: ndarray) -> ndarray:
        """Return the loss of each row above the loss of an exact prediction; the deviance of likelihoods."""
        T = y[:, None]
        Z = before_link(self.loss, predicted[:, None])
        exact_Z = before_link(self.loss, T)
        losses: Any = self.loss.value(Z, T) - self.loss.value(exact_Z, T)
        if isinstance(self.loss, SquaredError | Poisson):
            losses = 2 * losses
        return losses

    def best_constant(self, y: ndarray, weight: ndarray | None) -> float:
        """Return the constant prediction with the lowest loss."""
        if isinstance(self.loss, SquaredError | Poisson):
            return float(np.average(y, weights=weight))

        def mean_loss(constant: float):
            losses = self.row_losses(y, np.full(len(y), constant))
            return np.average(losses, weights=weight)

        result = minimize_scalar(
            mean_loss,
            bounds=(y.min(), y.max()),
            method="bounded",
            options={"xatol": 1e-9 * np.ptp(y)},
        )
        return float(result.x)

    def d2(self, y: ndarray, predicted: ndarray, weight: ndarray | None) -> float:
        """Return the share of the loss that the predictions explain, compared with the best constant."""
        constant = np.full(len(y), self.best_constant(y, weight))
        loss = np.average(self.row_losses(y, predicted), weights=weight)
        loss_of_constant = np.average(self.row_losses(y, constant), weights=weight)
        if loss_of_constant == 0:
            return float(loss == 0)
        return float(1 - loss / loss_of_constant)


SQUARED = Objective(SquaredError())


def objective_of(model) -> Objective:
    """Return the objective of a tabular regressor, and the squared error for other models."""
    return getattr(model, "_objective", SQUARED)


def are_counts(y: ndarray) -> bool:
    """Return whether targets look like counts: small integers from 0, with a long tail."""
    if len(y) < 30 or y.min() != 0 or np.any(y % 1):
        return False
    # The skewness of a Poisson distribution with mean 10 is 0.32.
    return y.max() > 2 and y.mean() < 10 and skew(y) > 0.3


def levels_of(model) -> list[float]:
    """Return the quantile levels that a model predicts, in increasing order, or an empty list for other models.

    Examples
    --------
    >>> from vecprop import MLPRegressor, TabularRegressor
    >>> levels_of(TabularRegressor(loss="quantile", quantile=(0.05, 0.5, 0.95)))
    [0.05, 0.5, 0.95]
    >>> levels_of(MLPRegressor(loss="quantile", quantile=0.9)), levels_of(MLPRegressor())
    ([0.9], [])
    """
    if hasattr(model, "steps"):
        model = model.steps[-1][1]
    loss = getattr(model, "loss", None)
    if type(loss) is Quantile:
        return [loss.level]
    return np.atleast_1d(model.quantile).tolist() if loss == "quantile" else []
