"""Importance: how much the loss rises when values of similar columns are shuffled; rows with the largest loss."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...core.losses import Quantile
from ..encoding.column import Column, row_named
from ..encoding.columns import Categories
from ..ensemble.calibration import decided
from ..ensemble.ensemble import Networks
from .contributions import background_inputs
from .dependence import leading_class, output, output_name

ALIKE = 0.7
"""Columns whose association is at least this, as the mean over pairs of two groups, are one group."""


def groups_of(columns: list[tuple[Column, Any]]) -> list[list[int]]:
    """Return the groups of columns that stand in for each other, by their numbers; most columns are alone.

    Columns are joined by average linkage as long as the mean association between two groups is 0.7 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import NumberInputs
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> three = [pd.Series(x[:, 0]), pd.Series(x[:, 1]), pd.Series(x[:, 0] ** 3)]
    >>> groups_of([(NumberInputs.of(series), series) for series in three])
    [[0, 2], [1]]
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(columns) < 2:
        return [[number] for number in range(len(columns))]
    distances = squareform(1 - associations([_basis(*column) for column in columns]), checks=False)
    labels = fcluster(linkage(distances, "average"), 1 - ALIKE, "distance")
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return sorted(groups)


def associations(bases: list[np.ndarray]) -> np.ndarray:
    """Return the association of each pair of columns, (D, D), between 0 and 1.

    With orthonormal bases A (N, a) and B (N, b) of two columns it is the root of ‖Aᵀ B‖² / min(a, b), less what chance
    gives in N rows: Spearman's correlation for two columns of numbers, the correlation ratio of ranks for a number and
    a category, and Cramér's V for two categories.

    Examples
    --------
    >>> one = np.array([[1.0], [-1.0], [1.0], [-1.0]]) / 2
    >>> associations([one, -one, np.array([[1.0], [1.0], [-1.0], [-1.0]]) / 2])
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    found = np.eye(len(bases))
    if len(bases[0]) < 2:
        return found
    for i, A in enumerate(bases):
        for j, B in enumerate(bases[:i]):
            fewer, more = sorted((A.shape[1], B.shape[1]))
            chance = more / (len(A) - 1)
            if fewer and chance < 1:
                share = min(((A.T @ B) ** 2).sum() / fewer, 1.0)
                found[i, j] = found[j, i] = np.sqrt(max(share - chance, 0.0) / (1 - chance))
    return found


def _basis(part: Column, series: Any) -> np.ndarray:
    """Return an orthonormal basis of what a column tells: its ranks, or its categories; nothing of text."""
    from scipy.stats import rankdata

    if isinstance(part, Categories):
        codes = part(series)[:, : part.marks]
        counts = codes.sum(axis=0)
        told = codes[:, counts > 0] / np.sqrt(counts[counts > 0])
        # Orthonormal already; a rotation puts the constant, which tells nothing, first.
        rotated, _ = np.linalg.qr(np.column_stack([np.sqrt(counts[counts > 0] / len(codes)), np.eye(told.shape[1])]))
        return told @ rotated[:, 1 : told.shape[1]]
    if part.holds != "numbers":
        return np.empty((len(series), 0))
    x = part.read(series)
    ranks = np.where(np.isnan(x), np.nan, rankdata(x, nan_policy="omit"))
    centred = np.nan_to_num(ranks - np.nanmean(ranks)) if not np.isnan(ranks).all() else np.zeros(len(x))
    length = np.linalg.norm(centred)
    return (centred / length)[:, None] if length else np.empty((len(x), 0))


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
