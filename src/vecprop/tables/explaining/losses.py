"""The loss of each row: what importances are measured by, and what the worst rows have most of."""

from typing import Any

import numpy as np

from ...core.losses import Quantile

SMALLEST = 1e-15
"""Probabilities are at least this, so that a row's loss is finite."""


def loss_name(model: Any) -> str:
    """Return the name of the loss of a model's rows.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> loss_name(TabularRegressor()), loss_name(TabularRegressor(loss="quantile"))
    ('squared error', 'quantile loss')
    """
    if hasattr(model, "classes_"):
        return "log loss"
    return "quantile loss" if model.levels else "squared error"


def row_losses(model: Any, predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the loss of each row, (N,).

    Parameters
    ----------
    truth : ndarray (N,)
        The indices of the rows' classes, or the numbers. The loss of an index of -1, a class that the model does not
        know, is nan.
    """
    if hasattr(model, "classes_"):
        chance = np.where(truth < 0, np.nan, predicted[np.arange(len(truth)), truth])
        return -np.log(np.maximum(chance, SMALLEST))
    if model.levels:
        return Quantile(model.level).element(predicted, truth)
    return (truth - predicted) ** 2
