"""Permutation importance of columns and of groups of redundant columns, and the rows with the largest loss."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...core.losses import Quantile
from ...system.estimates import NEGLIGIBLE, Estimate, NumberFormat, Text
from ..encoding.column import Column, row_named
from ..encoding.columns import Categories
from ..ensemble.calibration import decided
from .contributions import background_inputs, leading_class, output, output_name

MIN_ASSOCIATION = 0.7
"""Minimum mean association between two groups of columns to merge them."""


def redundant_groups(columns: list[tuple[Column, Any]]) -> list[list[int]]:
    """Return groups of redundant columns, as lists of indices. Most groups contain a single column.

    Columns are merged by average linkage as long as the mean association between two groups is 0.7 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import NumberInputs
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> three = [pd.Series(x[:, 0]), pd.Series(x[:, 1]), pd.Series(x[:, 0] ** 3)]
    >>> redundant_groups([(NumberInputs.of(series), series) for series in three])
    [[0, 2], [1]]
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(columns) < 2:
        return [[number] for number in range(len(columns))]
    distances = squareform(1 - associations([_basis(*column) for column in columns]), checks=False)
    labels = fcluster(linkage(distances, "average"), 1 - MIN_ASSOCIATION, "distance")
    return sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels))


def associations(bases: list[np.ndarray]) -> np.ndarray:
    """Return a (D, D) array with the association between each pair of D columns, from 0 to 1.

    If A (N, a) and B (N, b) are orthonormal bases of two columns, the association is √(‖Aᵀ B‖² / min(a, b)), corrected
    for chance. It equals Spearman's correlation for two numeric columns, the correlation ratio of ranks for a numeric
    and a categorical column, and Cramér's V for two categorical columns.

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
    """Return an orthonormal basis of a column's ranks or categories, or an empty basis for text."""
    from scipy.stats import rankdata

    if isinstance(part, Categories):
        codes = part(series)[:, : part.marks]
        counts = codes.sum(axis=0)
        basis = codes[:, counts > 0] / np.sqrt(counts[counts > 0])
        # The basis is orthonormal. A rotation puts the uninformative constant first.
        rotated, _ = np.linalg.qr(np.column_stack([np.sqrt(counts[counts > 0] / len(codes)), np.eye(basis.shape[1])]))
        return basis @ rotated[:, 1 : basis.shape[1]]
    if part.holds != "numbers":
        return np.empty((len(series), 0))
    x = part.read(series)
    ranks = np.where(np.isnan(x), np.nan, rankdata(x, nan_policy="omit"))
    centered = np.nan_to_num(ranks - np.nanmean(ranks)) if not np.isnan(ranks).all() else np.zeros(len(x))
    length = np.linalg.norm(centered)
    return (centered / length)[:, None] if length else np.empty((len(x), 0))


MIN_LOSS_PROBABILITY = 1e-15
"""Lower bound of probabilities, so that losses are finite."""


def loss_name(model: Any) -> str:
    """Return the name of a model's loss.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> loss_name(TabularRegressor()), loss_name(TabularRegressor(loss="quantile"))
    ('squared error', 'quantile loss')
    """
    if hasattr(model, "classes_"):
        return "log loss"
    return "quantile loss" if model._levels else "squared error"


def row_losses(model: Any, predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the loss of each row, given numbers or class indices. Unknown classes (-1) have the loss nan."""
    if hasattr(model, "classes_"):
        chance = np.where(truth < 0, np.nan, predicted[np.arange(len(truth)), truth])
        return -np.log(np.maximum(chance, MIN_LOSS_PROBABILITY))
    return Quantile(model._level).element(predicted, truth) if model._levels else (truth - predicted) ** 2


ROWS = 500
"""Maximum number of rows to shuffle."""
SHUFFLES = 5
COLUMNS = 60
"""Maximum number of columns to shuffle. Columns with the largest effect on the first layers are chosen."""
INPUTS = 20_000
"""Maximum product of inputs and shuffled columns, which bounds the time; at least ten columns are shuffled."""
DRAWS = 1000
"""The number of bootstrap samples."""


@dataclass(frozen=True)
class Importance:
    """The rise of the mean loss when one or several columns are shuffled together.

    For several columns, ``alone`` contains the importance of each column, which is small for redundant columns. The
    ``loss`` is the mean loss before shuffling, or None if ``rise`` is a mean change of the predictions.
    """

    columns: tuple[str, ...]
    rise: float
    low: float
    high: float
    alone: tuple["Importance", ...] = ()
    loss: float | None = None

    @property
    def relative(self) -> Estimate:
        """The rise in percent of the loss, or the change of the predictions."""
        unit = 1.0 if self.loss is None else (self.loss or 1.0) / 100
        return Estimate(self.rise / unit, self.low / unit, self.high / unit)


def as_texts(found: Sequence[Importance]) -> dict[tuple[str, ...], Text]:
    """Return rises in percent of the loss, or changes, with equal decimals for each group of columns and each column.

    Examples
    --------
    >>> as_texts([Importance(("age",), 0.5, 0.24, 0.74, loss=2.0)])
    {('age',): Text(value='25%', low='12%', high='37%')}
    """
    estimates = {}
    unit = ""
    for group in found:
        for importance in (group, *group.alone):
            estimates[importance.columns] = importance.relative
            if importance.loss is not None:
                unit = "%"
    largest = max((estimate.size for estimate in estimates.values()), default=0.0)
    form = NumberFormat.of([estimate for estimate in estimates.values() if estimate.size >= NEGLIGIBLE * largest])
    texts = {}
    for columns, estimate in estimates.items():
        texts[columns] = Text(*(number and f"{number}{unit}" for number in form.text(estimate)))
    return texts


def importances(
    model: Any, X: Any, truth: np.ndarray, weight: Any = None, groups: Any = None, seed: int = 0
) -> list[Importance]:
    """Return the importance of each column or group of redundant columns, largest first.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor(n_estimators=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> [found.columns for found in importances(model, table, table["a"].to_numpy())]
    [('a',), ('b',)]
    """
    weight = np.ones(len(truth)) if weight is None else weight
    known = np.flatnonzero((weight > 0) & (truth >= 0 if hasattr(model, "classes_") else True))
    if not len(known):
        return []
    rows = known[np.unique(np.linspace(0, len(known) - 1, ROWS).astype(int))]
    frame, encoder = X.iloc[rows], model.encoder_
    units = rows if groups is None else groups[rows]
    shuffles = _Shuffles(model, encoder(frame), weight[rows], units, np.random.default_rng(seed))
    before, truths = row_losses(model, model._of_inputs(shuffles.inputs), truth[rows]), np.tile(truth[rows], SHUFFLES)

    def importance(numbers: list[int]) -> Importance:
        rise = row_losses(model, shuffles.predicted(numbers), truths) - np.tile(before, SHUFFLES)
        alone = [importance([number]) for number in numbers] if len(numbers) > 1 else []
        found = shuffles.importance(numbers, rise, tuple(_largest_first(alone)))
        return replace(found, loss=float(np.average(before, weights=weight[rows])))

    chosen = shuffles.moving_most()
    columns = [(encoder.parts[number], frame[encoder.names[number]]) for number in chosen]
    return _largest_first(importance([chosen[place] for place in group]) for group in redundant_groups(columns))


def influences(model: Any, X: Any = None) -> tuple[str, list[Importance]]:
    """Return the name of the output, and its mean change when a column is shuffled, largest first.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor("y", n_estimators=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> name, found = influences(model)
    >>> name, found[0].columns
    ('y', ('a',))
    """
    rng = np.random.default_rng(0)
    inputs = background_inputs(model, X, ROWS, rng)
    shuffles = _Shuffles(model, inputs, np.ones(len(inputs)), np.arange(len(inputs)), rng)
    predicted = model._of_inputs(inputs)
    number = leading_class(model, predicted)
    before, found = np.tile(output(predicted, number), SHUFFLES), []
    for column in shuffles.moving_most():
        change = np.abs(output(shuffles.predicted([column]), number) - before)
        found.append(shuffles.importance([column], change))
    return output_name(model, number), _largest_first(found)


def _largest_first(found: Iterable[Importance]) -> list[Importance]:
    return sorted(found, key=lambda each: -each.rise)


class _Shuffles:
    """Rows with shuffled columns, to estimate mean changes with bootstrap intervals.

    A change depends on a row and on the row that provides its shuffled values. Its bootstrap weight is therefore the
    product of the counts of both rows (as in a U-statistic). Bootstrap samples consist of units: rows or groups.
    """

    def __init__(
        self, model: Any, inputs: np.ndarray, weight: np.ndarray, units: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.model, self.inputs, self.places = model, inputs, list(model.encoder_.places.values())
        self.orders = np.stack([rng.permutation(len(inputs)) for _ in range(SHUFFLES)])
        numbers = np.unique(units, return_inverse=True)[1]
        count = numbers.max() + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)[:, numbers].astype(float)
        drawn *= 1 if count > 1 else np.nan  # one unit has no variance, and its changes have no interval
        counts = ((drawn * weight)[:, None] * drawn[:, self.orders]).reshape(DRAWS, -1)
        self.weight, self.counts = np.tile(weight, SHUFFLES), counts[counts.any(axis=1)]  # (S·N,), (DRAWS, S·N)

    def moving_most(self) -> list[int]:
        """Return the columns with the largest effect on the outputs of the first layers."""
        most = min(COLUMNS, max(INPUTS // self.inputs.shape[1], 10))
        change, moved = self.inputs[self.orders[0]] - self.inputs, np.zeros(len(self.places))
        for view in self.model.ensemble_.views if len(moved) > most else ():
            W = view.network.layout.views(view.thetas)[0]["W"]
            for number, column in enumerate(self.places):
                own = (view.inputs >= column.start) & (view.inputs < column.stop)
                moved[number] += float(np.square(change[:, view.inputs[own]] @ W[:, own]).sum())
        return sorted(np.argsort(moved)[-most:].tolist())

    def predicted(self, numbers: list[int]) -> np.ndarray:
        """Return the predictions for all shuffles, with some columns shuffled together."""
        shuffled = np.tile(self.inputs, (SHUFFLES, 1))
        for place in (self.places[number] for number in numbers):
            shuffled[:, place] = self.inputs[self.orders.ravel(), place]
        return self.model._of_inputs(shuffled)

    def importance(self, numbers: list[int], changes: np.ndarray, alone: tuple[Importance, ...] = ()) -> Importance:
        """Return the importance of columns, given the changes of N rows in S shuffles, (S * N,)."""
        low, high = np.quantile(self.counts @ changes / self.counts.sum(axis=1), (0.025, 0.975)).tolist()
        names = tuple(self.model.encoder_.names[number] for number in numbers)
        return Importance(names, float(np.average(changes, weights=self.weight)), low, high, alone)


@dataclass(frozen=True)
class WorstRow:
    """A row with a large loss."""

    row: str
    truth: Any
    predicted: Any
    loss: float
    place: int = field(default=0, repr=False)


def worst_rows(
    model: Any, index: Any, truth: np.ndarray, predicted: np.ndarray, count: int = 10, thresholds: Any = None
) -> list[WorstRow]:
    """Return the rows with the largest loss (see `row_losses`), worst first, without rows of unknown classes.

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
        thresholds = getattr(model, "threshold_", None) if thresholds is None else thresholds
        numbers = decided(predicted, thresholds, model)
        truth, predicted = model.classes_[truth], model.classes_[numbers]
    columns = truth[places].tolist(), predicted[places].tolist(), losses[places].tolist(), places
    return [WorstRow(row_named(index, values[-1]), *values) for values in zip(*columns, strict=True)]
