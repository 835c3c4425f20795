"""The number that is explained: the prediction of a regressor, or the probability of one class."""

from typing import Any

import numpy as np

from ..ensemble.threshold import positive_of


def output(predicted: np.ndarray, number: int) -> np.ndarray:
    """Return the number that is explained for each row: the prediction, or the probability of a class, (N,)."""
    return predicted if predicted.ndim == 1 else predicted[:, number]


def output_name(model: Any, number: int) -> str:
    """Return what the number is.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> output_name(TabularRegressor("price"), 0), output_name(TabularRegressor("price", loss="quantile"), 0)
    ('price', 'quantile 0.5 of price')
    """
    if hasattr(model, "classes_"):
        return f"probability of {str(model.classes_[number])!r}"
    target = "the target" if model.target is None else model.target
    return f"quantile {model.level} of {target}" if model.levels else target


def leading_class(model: Any, predicted: np.ndarray) -> int:
    """Return the class whose probability is shown: the positive one of two, or the most probable on average."""
    if predicted.ndim == 1 or predicted.shape[1] == 2:
        return positive_of(model)
    return int(predicted.mean(axis=0).argmax())
