"""What the loss of a regressor decides: the scaling of targets, the loss of rows, constant predictions and D²."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize_scalar

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
from ..estimators.data import Numbers

LOSSES: dict[str, type[Loss]] = {
    "squared": SquaredError,
    "absolute": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
}
"""The losses of regressors by name."""
ALIASES = {"squared_error": "squared", "absolute_error": "absolute"}
"""Names of losses in other estimators."""
MIN_PROBABILITY = 1e-30
"""Lower bound of probabilities and rates, so that logarithms and powers are finite."""
IQR_OF_NORMAL = 1.349
"""The interquartile range of the normal distribution, in standard deviations."""
UNSCALED = Numbers(1)
"""The scaling of targets that are not scaled."""
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
    if not isinstance(loss, SoftmaxCrossEntropy):
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


def scaling(loss: Any, y: ndarray, weight: ndarray | None) -> Numbers:
    """Return the scaling of targets for a loss or its name.

    The Poisson loss is unchanged if targets are divided by their mean. The name "huber"
    means a threshold of one standard deviation, which outliers must not determine.
    """
    if loss == "poisson" or type(loss) is Poisson:
        return Numbers(1, scale=float(np.average(y, weights=weight)) or 1.0)
    if isinstance(loss, Loss) and has_log_link(loss):
        return UNSCALED
    if loss == "huber":
        low, middle, high = np.quantile(y, (0.25, 0.5, 0.75)).tolist()
        if low < high:
            return Numbers(1, middle, (high - low) / IQR_OF_NORMAL)
    return Numbers.standard(y[:, None], weight)


@dataclass(frozen=True)
class Objective:
    """A loss of targets that are encoded by ``units``.

    Examples
    --------
    >>> y, predicted = np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 8.0])
    >>> objective = Objective(AbsoluteError())
    >>> objective.row_losses(y, predicted), objective.best_constant(y, np.ones(3))
    (array([0., 1., 2.]), 2.0)
    >>> round(objective.d2(y, predicted, np.ones(3)), 2)
    0.4
    """

    loss: Loss
    units: Numbers = UNSCALED

    @property
    def words(self) -> Words:
        """The names of the loss, of its metric and of its best constant prediction."""
        name = type(self.loss).__name__
        return WORDS.get(type(self.loss), Words(name, name, "best constant"))

    def row_losses(self, y: ndarray, predicted: ndarray) -> ndarray:
        """Return the loss of each row above the loss of an exact prediction; the deviance of likelihoods."""
        T = self.units.encode(y[:, None])
        Y = self.units.encode(predicted[:, None])
        losses = self._values(Y, T) - self._values(T, T)
        if isinstance(self.loss, SquaredError | Poisson):
            losses = 2 * losses
        return losses

    def _values(self, Y: ndarray, T: ndarray) -> Any:
        return self.loss.value(before_link(self.loss, Y), T)

    def best_constant(self, y: ndarray, weight: ndarray) -> float:
        """Return the constant prediction with the lowest loss."""
        if isinstance(self.loss, SquaredError | Poisson):
            return float(np.average(y, weights=weight))
        if isinstance(self.loss, AbsoluteError | Quantile):
            level = getattr(self.loss, "level", 0.5)
            return float(np.quantile(y, level, weights=weight, method="inverted_cdf"))

        def mean_loss(constant: float) -> float:
            losses = self.row_losses(y, np.full(len(y), constant))
            return float(np.average(losses, weights=weight))

        result: Any = minimize_scalar(
            mean_loss, bounds=(y.min(), y.max()), method="bounded"
        )
        return float(result.x)

    def d2(self, y: ndarray, predicted: ndarray, weight: ndarray) -> float:
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
