"""Permutation importance of columns and of redundant columns, and the worst rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy import ndarray

from ...system.estimates import NEGLIGIBLE, Estimate, NumberFormat, Text
from ..encoding.column import Column, row_named
from ..encoding.columns import Categories
from ..ensemble.calibration import decided
from ..objectives import objective_of
from .contributions import background_inputs, leading_class, output, output_name

MIN_ASSOCIATION = 0.7
"""Minimum mean association between two groups of columns to merge them."""


def redundant_groups(columns: list[tuple[Column, Any]]) -> list[list[int]]:
    """Return groups of redundant columns, as lists of indices.

    Each column has its encoder and its values. Most groups contain a single column.
    Columns are merged by average linkage as long as the mean association between two
    groups is 0.7 or more.

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
        return [[index] for index in range(len(columns))]
    bases = [_basis(part, series) for part, series in columns]
    distances = squareform(1 - associations(bases), checks=False)
    tree = linkage(distances, "average")
    clusters = fcluster(tree, 1 - MIN_ASSOCIATION, "distance")
    groups = [np.flatnonzero(clusters == label).tolist() for label in set(clusters)]
    return sorted(groups)


def associations(bases: list[ndarray]) -> ndarray:
    """Return the associations of D columns, from 0 to 1, as a (D, D) array.

    If A (N, a) and B (N, b) are orthonormal bases of two columns, the association is
    √(‖Aᵀ B‖² / min(a, b)), corrected for chance. It equals Spearman's correlation for
    two numeric columns, the correlation ratio of ranks for a numeric and a categorical
    column, and Cramér's V for two categorical columns.

    Examples
    --------
    >>> one = np.array([[1.0], [-1.0], [1.0], [-1.0]]) / 2
    >>> associations([one, -one, np.array([[1.0], [1.0], [-1.0], [-1.0]]) / 2])
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    result = np.eye(len(bases))
    if len(bases[0]) < 2:
        return result
    for i, A in enumerate(bases):
        for j, B in enumerate(bases[:i]):
            smaller, larger = sorted((A.shape[1], B.shape[1]))
            chance = larger / (len(A) - 1)
            if smaller and chance < 1:
                share = min(((A.T @ B) ** 2).sum() / smaller, 1.0)
                excess = max(share - chance, 0.0) / (1 - chance)
                result[i, j] = result[j, i] = np.sqrt(excess)
    return result


def _basis(part: Column, series) -> ndarray:
    """Return an orthonormal basis of ranks or categories, empty for text."""
    from scipy.stats import rankdata

    if isinstance(part, Categories):
        codes = part(series)[:, : part.marks]
        codes = codes[:, codes.any(axis=0)]
        counts = codes.sum(axis=0)
        # The basis is orthonormal. A rotation puts the uninformative constant first.
        basis = codes / np.sqrt(counts)
        constant = np.sqrt(counts / len(codes))
        rotation, _ = np.linalg.qr(np.column_stack([constant, np.eye(len(counts))]))
        return basis @ rotation[:, 1 : len(counts)]
    if part.holds != "numbers":
        return np.empty((len(series), 0))
    x = part.read(series)
    rows = np.flatnonzero(~np.isnan(x))
    centered = np.zeros((len(x), 1))
    centered[rows, 0] = rankdata(x[rows]) - (len(rows) + 1) / 2
    length = np.linalg.norm(centered)
    if length == 0:
        return centered[:, :0]
    return centered / length


MIN_LOSS_PROBABILITY = 1e-15
"""Lower bound of probabilities, so that losses are finite."""


def loss_name(model) -> str:
    """Return the name of a model's loss.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> loss_name(TabularRegressor()), loss_name(TabularRegressor(loss="quantile"))
    ('squared error', 'quantile loss')
    """
    if hasattr(model, "classes_"):
        return "log loss"
    return objective_of(model).words.loss


def row_losses(model, predicted: ndarray, truth: ndarray) -> ndarray:
    """Return the loss of each row, given numbers or class indices; it is nan for -1."""
    if hasattr(model, "classes_"):
        chance = np.where(truth < 0, np.nan, predicted[np.arange(len(truth)), truth])
        return -np.log(np.maximum(chance, MIN_LOSS_PROBABILITY))
    return objective_of(model).row_losses(truth, predicted)


ROWS = 500
"""Maximum number of rows to shuffle."""
SHUFFLES = 5
COLUMNS = 60
"""Maximum number of columns to shuffle. Columns with the largest effect on the first
layers are chosen.
"""
INPUTS = 20_000
"""Maximum product of inputs and shuffled columns, which bounds the time; at least
ten columns are shuffled.
"""
DRAWS = 1000
"""The number of bootstrap samples."""


@dataclass(frozen=True)
class Importance:
    """The rise of the mean loss when one or several columns are shuffled together.

    For several columns, ``alone`` contains the importance of each column, which is
    small for redundant columns. The ``loss`` is the mean loss before shuffling, or None
    if ``rise`` is a mean change of the predictions.
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
        unit = 1.0
        if self.loss is not None:
            unit = (self.loss or 1.0) / 100
        return Estimate(self.rise / unit, self.low / unit, self.high / unit)


def as_texts(importances: Sequence[Importance]) -> dict[tuple[str, ...], Text]:
    """Return rises in percent of the loss, or changes, with equal decimals.

    The keys are the columns of each group, and each column of a group.

    Examples
    --------
    >>> as_texts([Importance(("age",), 0.5, 0.24, 0.74, loss=2.0)])
    {('age',): Text(value='25%', low='12%', high='37%')}
    """
    estimates = {}
    unit = ""
    for group in importances:
        for importance in (group, *group.alone):
            estimates[importance.columns] = importance.relative
            if importance.loss is not None:
                unit = "%"
    sizes = [estimate.size for estimate in estimates.values()]
    least = NEGLIGIBLE * max(sizes, default=0.0)
    notable = [estimate for estimate in estimates.values() if estimate.size >= least]
    number_format = NumberFormat.of(notable)
    texts = {}
    for columns, estimate in estimates.items():
        text = number_format.text(estimate)
        # without an interval, the ends stay empty
        texts[columns] = Text(*[number + unit for number in text if number])
    return texts


def importances(
    model, X, truth: ndarray, weight=None, groups=None, seed: int = 0
) -> list[Importance]:
    """Return the importance of each column or group of columns, largest first.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor(n_estimators=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> [importance.columns for importance in importances(model, table, table["a"].to_numpy())]
    [('a',), ('b',)]
    """
    if weight is None:
        weight = np.ones(len(truth))
    is_scored = weight > 0
    if hasattr(model, "classes_"):
        is_scored &= truth >= 0
    rows = np.flatnonzero(is_scored)
    if not len(rows):
        return []
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, ROWS).astype(int))]
    frame = X.iloc[rows]
    truth = truth[rows]
    weight = weight[rows]
    units = rows if groups is None else groups[rows]
    rng = np.random.default_rng(seed)
    shuffles = _Shuffles(model, model.encoder_(frame), weight, units=units, rng=rng)
    losses = row_losses(model, model._of_inputs(shuffles.inputs), truth)
    mean_loss = float(np.average(losses, weights=weight))

    def shuffled(numbers: Sequence[int]) -> Importance:
        """Return the importance of columns that are shuffled together."""
        predicted = shuffles.predicted(numbers)
        shuffled_losses = row_losses(model, predicted, np.tile(truth, SHUFFLES))
        rises = shuffled_losses - np.tile(losses, SHUFFLES)
        return replace(shuffles.importance(numbers, rises), loss=mean_loss)

    numbers = shuffles.moving_most()
    named_parts = model.encoder_.columns
    columns = []
    for number in numbers:
        name, part = named_parts[number]
        columns.append((part, frame[name]))
    result = []
    for group in redundant_groups(columns):
        redundant = [numbers[index] for index in group]
        singles = _largest_first([shuffled([number]) for number in redundant])
        if len(group) == 1:
            result += singles
        else:
            result.append(replace(shuffled(redundant), alone=tuple(singles)))
    return _largest_first(result)


def influences(model, X=None) -> tuple[str, list[Importance]]:
    """Return the output's name, and the importance of each column, largest first.

    The importance is the mean change of the output when the column is shuffled.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    >>> model = TabularRegressor("y", n_estimators=2, max_iter=5, random_state=0).fit(table, table["a"])
    >>> name, changes = influences(model)
    >>> name, changes[0].columns
    ('y', ('a',))
    """
    rng = np.random.default_rng(0)
    inputs = background_inputs(model, X, ROWS, rng)
    rows = len(inputs)
    shuffles = _Shuffles(model, inputs, np.ones(rows), units=np.arange(rows), rng=rng)
    predicted = model._of_inputs(inputs)
    number = leading_class(model, predicted)
    outputs = np.tile(output(predicted, number), SHUFFLES)
    changes = []
    for column in shuffles.moving_most():
        change = np.abs(output(shuffles.predicted([column]), number) - outputs)
        changes.append(shuffles.importance([column], change))
    return output_name(model, number), _largest_first(changes)


MAX_CHANGED = 20_000_000
"""The largest number of inputs of all simulated rows, to bound the time. At least
`MIN_SIMULATED` rows are simulated for each column.
"""
MIN_SIMULATED = 20


def feature_importances(model) -> ndarray:
    """Return the share of each training column in the total effects of all columns.

    The total effect of a column is ½ E‖f(x) - f(x')‖², where the rows x and x' differ
    only in this column (Jansen, 1999). The values of all columns are drawn
    independently from their training distributions. For several targets, the shares are
    averaged.
    """
    if model._has_heads:
        return np.mean(
            [feature_importances(single) for single in model.models_], axis=0
        )
    encoder = model.encoder_
    slices = encoder.places
    rows = MAX_CHANGED // (encoder.width * len(slices))
    rows = min(max(rows, MIN_SIMULATED), ROWS)
    rng = np.random.default_rng(0)
    inputs = background_inputs(model, None, rows, rng=rng)
    for (name, part), profile in zip(encoder.columns, model.profiles_, strict=True):
        if not len(profile.values):  # of text, tags or too many categories
            inputs[:, slices[name]] = part.simulated(rows, rng)
    shuffled = inputs[rng.permutation(rows)]
    predicted = model._of_inputs(inputs)
    effects = {}
    for name, column in slices.items():
        changed = inputs.copy()
        changed[:, column] = shuffled[:, column]
        change = model._of_inputs(changed) - predicted
        effects[name] = float(np.square(change).sum())
    total = sum(effects.values()) or 1.0
    shares = [effects.get(name, 0.0) for name in model._training_names]
    return np.array(shares) / total


def _largest_first(importances: list[Importance]) -> list[Importance]:
    return sorted(importances, key=lambda importance: -importance.rise)


class _Shuffles:
    """Rows with shuffled columns, to estimate mean changes with bootstrap intervals.

    A change depends on a row and on the row that provides its shuffled values. Its
    bootstrap weight is therefore the product of the counts of both rows (as in a
    U-statistic). Bootstrap samples consist of units: rows or groups.
    """

    def __init__(
        self,
        model,
        inputs: ndarray,
        weight: ndarray,
        units: ndarray,
        rng: np.random.Generator,
    ):
        self.model = model
        self.inputs = inputs
        self.slices = list(model.encoder_.places.values())
        self.orders = np.stack([rng.permutation(len(inputs)) for _ in range(SHUFFLES)])
        _, numbers = np.unique(units, return_inverse=True)
        count = numbers.max() + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)
        drawn = drawn[:, numbers].astype(float)
        if count == 1:  # one unit has no variance, and its changes have no interval
            drawn[:] = np.nan
        counts = ((drawn * weight)[:, None] * drawn[:, self.orders]).reshape(DRAWS, -1)
        self.weight = np.tile(weight, SHUFFLES)  # (S·N,)
        self.counts = counts[counts.any(axis=1)]  # (DRAWS, S·N)

    def moving_most(self) -> list[int]:
        """Return the columns with the largest effect on the first layers."""
        count = len(self.slices)
        most = min(COLUMNS, max(INPUTS // self.inputs.shape[1], 10))
        if count <= most:
            return list(range(count))
        change = self.inputs[self.orders[0]] - self.inputs
        effects = np.zeros(count)
        for view in self.model.ensemble_.views:
            W = view.network.layout.views(view.thetas)[0]["W"]
            for number, column in enumerate(self.slices):
                is_input = (view.inputs >= column.start) & (view.inputs < column.stop)
                effect = change[:, view.inputs[is_input]] @ W[:, is_input]
                effects[number] += float(np.square(effect).sum())
        return sorted(np.argsort(effects)[-most:].tolist())

    def predicted(self, numbers: Sequence[int]) -> ndarray:
        """Return the predictions if columns are shuffled together, for all shuffles."""
        shuffled = np.tile(self.inputs, (SHUFFLES, 1))
        for number in numbers:
            column = self.slices[number]
            shuffled[:, column] = self.inputs[self.orders.ravel(), column]
        return self.model._of_inputs(shuffled)

    def importance(self, numbers: Sequence[int], changes: ndarray) -> Importance:
        """Return the importance, given the changes of all rows in all shuffles."""
        means = self.counts @ changes / self.counts.sum(axis=1)
        low, high = np.quantile(means, (0.025, 0.975)).tolist()
        names = tuple(self.model.encoder_.names[number] for number in numbers)
        rise = float(np.average(changes, weights=self.weight))
        return Importance(names, rise, low, high)


@dataclass(frozen=True)
class WorstRow:
    """A row with a large loss."""

    row: str
    truth: Any
    predicted: Any
    loss: float
    place: int = field(default=0, repr=False)


def worst_rows(
    model,
    index,
    truth: ndarray,
    predicted: ndarray,
    count: int = 10,
    thresholds=None,
) -> list[WorstRow]:
    """Return the rows with the largest loss, worst first, without unknown classes.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> lines = pd.RangeIndex(2, 5, name="line")
    >>> worst_rows(TabularRegressor(), lines, np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 3.5]), count=1)
    [WorstRow(row='line 3', truth=2.0, predicted=5.0, loss=9.0)]
    """
    losses = row_losses(model, predicted, truth)
    order = np.argsort(-losses, kind="stable")[:count]
    order = order[~np.isnan(losses[order])]
    if hasattr(model, "classes_"):
        if thresholds is None:
            thresholds = getattr(model, "threshold_", None)
        predicted = model.classes_[decided(predicted, thresholds, model)]
        truth = model.classes_[truth]
    labels = [row_named(index, row) for row in order]
    truths = truth[order].tolist()
    predictions = predicted[order].tolist()
    largest = losses[order].tolist()
    return list(map(WorstRow, labels, truths, predictions, largest, order.tolist()))
