"""The rows that are predicted worst."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..encoding.column import row_named
from ..ensemble.threshold import decided
from .importance import row_losses


@dataclass(frozen=True)
class WorstRow:
    """A row that is predicted badly."""

    row: str
    truth: Any
    predicted: Any
    loss: float


def worst_rows(model: Any, index: Any, truth: np.ndarray, predicted: np.ndarray, count: int = 10) -> list[WorstRow]:
    """Return the rows with the largest loss, the worst first.

    Parameters
    ----------
    truth : ndarray (N,)
        The indices of the rows' classes, or the numbers. Rows of classes that the model does not know, -1, are left
        out.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> lines = pd.RangeIndex(2, 5, name="line")
    >>> worst_rows(TabularRegressor(), lines, np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 3.5]), count=1)
    [WorstRow(row='line 3', truth=2.0, predicted=5.0, loss=9.0)]
    """
    losses = row_losses(model, predicted, truth)
    places = [place for place in np.argsort(-losses, kind="stable") if not np.isnan(losses[place])][:count]
    if hasattr(model, "classes_"):
        numbers = decided(predicted, getattr(model, "threshold_", None), model)
        truth, predicted = model.classes_[truth], model.classes_[numbers]
    columns = truth[places].tolist(), predicted[places].tolist(), losses[places].tolist()
    return [WorstRow(row_named(index, place), *values) for place, *values in zip(places, *columns, strict=True)]
