"""Models of quantiles: their levels, and their predictions for each."""

from typing import Any

import numpy as np


def levels_of(model: Any) -> list[float]:
    """Return the levels of the quantiles that a model predicts, in rising order; none for other models.

    Examples
    --------
    >>> from vecprop import MLPRegressor, TabularRegressor
    >>> levels_of(TabularRegressor(loss="quantile", quantile=(0.05, 0.5, 0.95)))
    [0.05, 0.5, 0.95]
    >>> levels_of(MLPRegressor(loss="quantile", quantile=0.9)), levels_of(MLPRegressor())
    ([0.9], [])
    """
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if getattr(last, "loss", None) != "quantile":
        return []
    return getattr(last, "levels", [last.quantile])


def quantiles_of(model: Any, rows: Any) -> np.ndarray:
    """Return the predicted quantile of each level, (N, L); of three levels, the outer ones are ends of intervals."""
    levels = levels_of(model)
    predicted = np.asarray(model.predict(rows)).reshape(-1)
    if len(levels) == 1:
        return predicted[:, None]
    low, high = model.predict_interval(rows, levels[2] - levels[0]).T
    return np.stack([low, predicted, high], axis=1)
