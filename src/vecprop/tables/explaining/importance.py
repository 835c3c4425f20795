"""Importance: how much the loss rises when the values of a column, or of columns alike, are shuffled."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..ensemble.ensemble import Networks
from .alike import groups_of
from .background import background_inputs
from .losses import row_losses
from .outputs import leading_class, output, output_name

ROWS = 500
"""The largest number of rows that are shuffled."""
SHUFFLES = 5
COLUMNS = 60
"""The largest number of columns that are shuffled, those that move the networks' first layer most."""
INPUTS = 20_000
"""The largest number of inputs of all shuffles of a row, which bounds the time; ten columns are always shuffled."""
DRAWS = 1000
"""The number of bootstrap samples of the rows."""


@dataclass(frozen=True)
class Importance:
    """How much the mean loss of rows rises when columns are shuffled together.

    Parameters
    ----------
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

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor(n_members=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> [found.columns for found in importances(model, table, table["a"].to_numpy())]
    [('a',), ('b',)]
    """
    weight = np.ones(len(truth)) if weight is None else weight
    known = np.flatnonzero((weight > 0) & (truth >= 0 if hasattr(model, "classes_") else True))
    if not len(known):
        return []
    rows = known[np.unique(np.linspace(0, len(known) - 1, ROWS).astype(int))]
    frame, rng = X.iloc[rows], np.random.default_rng(seed)
    orders = np.stack([rng.permutation(len(rows)) for _ in range(SHUFFLES)])
    estimate = _Estimator.of(weight[rows], orders, rows if groups is None else groups[rows], rng)
    inputs, places = model.encoder_(frame), list(model.encoder_.places.values())
    chosen = _moving_most(model, inputs, places, orders[0])
    before = row_losses(model, model.of_inputs(inputs), truth[rows])

    def importance(numbers: list[int]) -> Importance:
        shuffled = np.tile(inputs, (SHUFFLES, 1))
        for number in numbers:
            shuffled[:, places[number]] = inputs[orders.ravel(), places[number]]
        after = row_losses(model, model.of_inputs(shuffled), np.tile(truth[rows], SHUFFLES))
        alone = [importance([number]) for number in numbers] if len(numbers) > 1 else []
        names = tuple(model.encoder_.names[number] for number in numbers)
        return Importance(names, *estimate(after - np.tile(before, SHUFFLES)), tuple(_largest_first(alone)))

    columns = [(model.encoder_.parts[number], frame[model.encoder_.names[number]]) for number in chosen]
    return _largest_first(importance([chosen[place] for place in alike]) for alike in groups_of(columns))


def influences(model: Any, X: Any = None, seed: int = 0) -> tuple[str, list[Importance]]:
    """Return what a model predicts, and how much that changes when a column is shuffled, the largest change first.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor("y", n_members=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> name, found = influences(model)
    >>> name, found[0].columns
    ('y', ('a',))
    """
    rng = np.random.default_rng(seed)
    inputs, places = background_inputs(model, X, ROWS, rng), list(model.encoder_.places.values())
    orders = np.stack([rng.permutation(len(inputs)) for _ in range(SHUFFLES)])
    estimate = _Estimator.of(np.ones(len(inputs)), orders, np.arange(len(inputs)), rng)
    predicted = model.of_inputs(inputs)
    number = leading_class(model, predicted)
    before, found = np.tile(output(predicted, number), SHUFFLES), []
    for place in _moving_most(model, inputs, places, orders[0]):
        shuffled = np.tile(inputs, (SHUFFLES, 1))
        shuffled[:, places[place]] = inputs[orders.ravel(), places[place]]
        change = np.abs(output(model.of_inputs(shuffled), number) - before)
        found.append(Importance((model.encoder_.names[place],), *estimate(change)))
    return output_name(model, number), _largest_first(found)


def _largest_first(found: Iterable[Importance]) -> list[Importance]:
    return sorted(found, key=lambda each: -each.rise)


def _moving_most(model: Any, inputs: np.ndarray, places: list[slice], order: np.ndarray) -> list[int]:
    """Return the columns that move the outputs of the networks' first layer most when they are shuffled."""
    most = min(COLUMNS, max(INPUTS // inputs.shape[1], 10))
    if len(places) <= most:
        return list(range(len(places)))
    change = inputs[order] - inputs
    moved = [sum(_moved(view, change, own) for view in model.ensemble_.views) for own in places]
    return sorted(np.argsort(moved)[-most:].tolist())


def _moved(view: Networks, change: np.ndarray, column: slice) -> float:
    """Return how far a change of a column's inputs moves the outputs of the first layers of a view's networks."""
    own = (view.inputs >= column.start) & (view.inputs < column.stop)
    W = view.network.layout.views(view.thetas)[0]["W"]
    return float(np.square(change[:, view.inputs[own]] @ W[:, own]).sum())


class _Estimator(NamedTuple):
    """The mean rise of rows in some shuffles, and its interval.

    A rise depends on the row and on the one whose values it gets, so that both count as often as a bootstrap sample has
    them (as in a U-statistic).
    """

    weight: np.ndarray  # of each rise, (S·N,)
    counts: np.ndarray  # by bootstrap sample and rise, (DRAWS, S·N)

    @classmethod
    def of(cls, weight: np.ndarray, orders: np.ndarray, units: np.ndarray, rng: np.random.Generator) -> "_Estimator":
        """Return the estimator of rows that are drawn by their unit, for shuffles in these orders (S, N)."""
        numbers = np.unique(units, return_inverse=True)[1]
        count = numbers.max() + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)[:, numbers].astype(float)
        counts = ((drawn * weight)[:, None] * drawn[:, orders]).reshape(DRAWS, -1)
        return cls(np.tile(weight, len(orders)), counts[counts.any(axis=1)])

    def __call__(self, rises: np.ndarray) -> tuple[float, float, float]:
        """Return the mean of rises (S·N,), and the ends of its 95 % interval."""
        low, high = np.quantile(self.counts @ rises / self.counts.sum(axis=1), (0.025, 0.975)).tolist()
        return float(np.average(rises, weights=self.weight)), low, high
