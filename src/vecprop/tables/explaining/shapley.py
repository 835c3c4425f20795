"""Shapley values: a prediction is divided among the columns, by what each changes when it takes the row's value."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 512
"""The number of background rows that are drawn; each is changed to the row in a random order and in its reverse."""
FEWEST_DRAWS = 10
INPUTS = 60_000_000
"""The largest number of inputs of all changed rows, which bounds the time; ten background rows are always drawn."""
AT_ONCE = 4_000_000
"""The number of inputs that are in memory at once."""


class Shares(NamedTuple):
    """A prediction, divided."""

    values: np.ndarray
    errors: np.ndarray
    base: float


def draws_for(columns: int, inputs: int) -> int:
    """Return the number of background rows to draw, given the numbers of columns and of inputs.

    Examples
    --------
    >>> draws_for(30, 250), draws_for(200, 2000), draws_for(2000, 4000)
    (512, 74, 10)
    """
    return int(np.clip(INPUTS // (2 * (columns + 1) * inputs), FEWEST_DRAWS, DRAWS))


def shapley_values(
    predict: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    background: np.ndarray,
    places: Sequence[slice],
    rng: np.random.Generator,
) -> Shares:
    """Return the Shapley value of each column for one row, with its standard error.

    A column's value is the mean change of the prediction when the column takes the row's inputs instead of those of a
    background row, while columns before it in a random order have taken them already (interventional Shapley values;
    Štrumbelj and Kononenko, 2014). Each order is also taken in reverse (Mitchell et al., 2022). The changes of an order
    add up to the prediction of the row less that of the background row, so that the values add up exactly.

    Examples
    --------
    >>> background = np.array([[0.0, 0.0], [0.0, 2.0]])
    >>> shares = shapley_values(
    ...     lambda X: X @ [3, 1], np.array([1.0, 5.0]), background, [slice(0, 1), slice(1, 2)], np.random.default_rng(0)
    ... )
    >>> shares.values, shares.errors, shares.base
    (array([3., 4.]), array([0., 1.]), 1.0)
    """
    columns, draws = len(places), len(background)
    owner = np.repeat(np.arange(columns), [place.stop - place.start for place in places])
    orders = np.stack([rng.permutation(columns) for _ in range(draws)])
    changes, bases = np.empty((2, draws, columns)), np.empty(draws)
    steps = np.arange(columns + 1)[:, None]
    at_once = max(AT_ONCE // ((columns + 1) * len(x)), 1)
    for first in range(0, draws, at_once):
        own = slice(first, first + at_once)
        for changed, order in zip(changes, (orders[own], orders[own, ::-1]), strict=True):
            has_changed = np.argsort(order, axis=1)[:, None] < steps  # (draws, D + 1, D)
            rows = np.where(has_changed[:, :, owner], x, background[own, None])
            predicted = predict(rows.reshape(-1, len(x))).reshape(-1, columns + 1)
            bases[own] = predicted[:, 0]
            np.put_along_axis(changed[own], order, np.diff(predicted, axis=1), axis=1)
    of_draws = changes.mean(axis=0)
    errors = of_draws.std(axis=0, ddof=1) / np.sqrt(draws) if draws > 1 else np.full(columns, np.nan)
    return Shares(of_draws.mean(axis=0), errors, float(bases.mean()))
