"""Importance: how much the loss rises when the values of a column, or of columns alike, are shuffled."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .alike import groups_of
from .losses import row_losses

ROWS = 500
"""The largest number of rows that are shuffled."""
SHUFFLES = 5
COLUMNS = 60
"""The largest number of columns that are shuffled, those that move the networks' first layer most."""
INPUTS = 40_000
"""The largest number of inputs of all shuffles of a row, which bounds the time; ten columns are always shuffled."""
DRAWS = 1000
"""The number of bootstrap samples of the rows."""


@dataclass(frozen=True)
class Importance:
    """How much the mean loss of rows rises when columns are shuffled together.

    Parameters
    ----------
    columns : tuple of str
        The columns: one, or those that stand in for each other.
    rise : float
        The mean rise of the loss.
    low, high : float
        Its 95 % interval, from bootstrap samples of the rows.
    alone : tuple of Importance
        Of several columns, the importance of each when it is shuffled alone: it is small if others tell the same.
    """

    columns: tuple[str, ...]
    rise: float
    low: float
    high: float
    alone: tuple["Importance", ...] = ()


def importances(
    model: Any,
    X: Any,
    truth: np.ndarray,
    weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> list[Importance]:
    """Return the importance of each column, the largest first; columns that stand in for each other are one.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The model.
    X : DataFrame (N, …)
        Rows, at best such as training has not seen; of many an evenly spaced sample is shuffled.
    truth : ndarray (N,)
        The indices of the rows' classes, -1 for those that the model does not know; or the numbers.
    weight : ndarray (N,), optional
        The rows' weights.
    groups : ndarray of int (N,), optional
        The number of each row's group, 0 … G - 1: intervals are then for new groups.
    seed : int, default 0
        Fixes the shuffles and the bootstrap.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor(n_members=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> [found.columns for found in importances(model, table, table["a"].to_numpy())]
    [('a',), ('b',)]
    """
    known = np.flatnonzero(truth >= 0) if hasattr(model, "classes_") else np.arange(len(truth))
    if not len(known):
        return []
    rows = known[np.unique(np.linspace(0, len(known) - 1, ROWS).astype(int))]
    truth, rng = truth[rows], np.random.default_rng(seed)
    weight = np.ones(len(rows)) if weight is None else weight[rows]
    frame = X.iloc[rows]
    inputs, places = model.encoder_(frame), list(model.encoder_.places.values())
    orders = np.stack([rng.permutation(len(rows)) for _ in range(SHUFFLES)])
    chosen = _moving_most(model, inputs, places, orders[0])
    parts = [(model.encoder_.parts[number], frame[model.encoder_.names[number]]) for number in chosen]
    counts = _counts(len(rows), None if groups is None else groups[rows], rng) * weight
    before = row_losses(model, model._of_inputs(inputs), truth)

    def importance(numbers: Iterable[int]) -> Importance:
        own = [chosen[number] for number in numbers]
        shuffled = np.tile(inputs, (SHUFFLES, 1))
        for number in own:
            shuffled[:, places[number]] = inputs[orders.ravel(), places[number]]
        after = row_losses(model, model._of_inputs(shuffled), np.tile(truth, SHUFFLES)).reshape(SHUFFLES, -1)
        rises = (after - before).mean(axis=0)
        low, high = np.quantile(counts @ rises / counts.sum(axis=1), (0.025, 0.975)).tolist()
        alone = tuple(importance([number]) for number in numbers) if len(own) > 1 else ()
        names = tuple(model.encoder_.names[number] for number in own)
        return Importance(names, float(np.average(rises, weights=weight)), low, high, _largest_first(alone))

    return list(_largest_first(map(importance, groups_of(parts))))


def _largest_first(found: Iterable[Importance]) -> tuple[Importance, ...]:
    return tuple(sorted(found, key=lambda each: -each.rise))


def _moving_most(model: Any, inputs: np.ndarray, places: list[slice], order: np.ndarray) -> list[int]:
    """Return the columns that move the outputs of the networks' first layer most when they are shuffled."""
    most = min(COLUMNS, max(INPUTS // inputs.shape[1], 10))
    if len(places) <= most:
        return list(range(len(places)))
    ensemble = model.ensemble_
    W = ensemble.network.layout.views(ensemble.thetas)[0]["W"]
    change = inputs[order] - inputs
    moved = [np.square(change[:, own] @ W[:, own]).sum() for own in places]
    return sorted(np.argsort(moved)[-most:].tolist())


def _counts(rows: int, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Return how often each row is in each of the bootstrap samples, of rows or of their groups, (DRAWS, N)."""
    numbers = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = numbers.max() + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)[:, numbers]
