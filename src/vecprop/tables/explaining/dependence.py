"""Partial dependence: the predictions of rows when one of their columns takes other values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..encoding.column import Column
from ..encoding.columns import Dates
from ..ensemble.calibration import positive_of
from ..kinds.values import DAY, MISSING


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


ROWS = 200
"""The largest number of rows whose predictions are averaged."""
VALUES = 20
"""The largest number of values of a column of numbers or dates: quantiles of those that it has."""
NAMES = 10
"""The largest number of categories: the most frequent ones."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """The predictions of rows as one of their columns takes other values and the others stay."""

    column: str
    values: np.ndarray
    curves: np.ndarray
    output: str

    @property
    def mean(self) -> np.ndarray:
        """The mean prediction of the rows with each value, (V,): the partial dependence."""
        return self.curves.mean(axis=0)


def dependences(model: Any, X: Any, columns: Sequence[str]) -> list[Dependence]:
    """Return how predictions depend on each of some columns, but for columns of text.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The model. The output is the probability of the positive class of two, or of the most probable class of more.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame({"x": [1, 2, 5, 7] * 10, "town": ["Rome", "Oslo", "Rome", "Rome"] * 10})
    >>> model = TabularRegressor(n_members=2, max_iter=1, random_state=0).fit(table, table["x"])
    >>> of_town, of_x = dependences(model, table, ["town", "x"])
    >>> of_town.values.tolist(), of_town.curves.shape, of_x.values.tolist()
    (['Rome', 'Oslo'], (40, 2), [1.0, 2.0, 5.0, 7.0])
    """
    frame = X.iloc[np.unique(np.linspace(0, len(X) - 1, ROWS).astype(int))]
    inputs, encoder = model.encoder_(frame), model.encoder_
    number = leading_class(model, model.of_inputs(inputs))
    found = []
    for column in columns:
        part = encoder.parts[encoder.names.index(column)]
        values = _values(part, part.read(frame[column]))
        if not len(values):
            continue
        changed = np.repeat(inputs, len(values), axis=0)
        changed[:, encoder.places[column]] = np.tile(part.of_values(values), (len(inputs), 1))
        curves = output(model.of_inputs(changed), number).reshape(len(inputs), -1)
        found.append(Dependence(column, _shown(part, values), curves, output_name(model, number)))
    return found


def _values(part: Column, known: np.ndarray) -> np.ndarray:
    """Return the values that a column is to take, by those that it has: some quantiles, or the most frequent names."""
    if part.holds == "other":
        return known[:0]
    if part.holds == "names":
        names, counts = np.unique(known, return_counts=True)
        return names[np.argsort(-counts, kind="stable")[:NAMES]]
    known = known[np.isfinite(known)]
    return np.unique(np.quantile(known, np.linspace(0, 1, VALUES), method="nearest")) if len(known) else known


def _shown(part: Column, values: np.ndarray) -> np.ndarray:
    """Return values as they are shown: days since 1970 as dates, missing values by this word."""
    if isinstance(part, Dates):
        return (values * DAY).astype("datetime64[s]")
    return np.where(values == MISSING, "missing", values) if part.holds == "names" else values
