"""The dependence of predictions on columns: Shapley values and partial dependence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...system.estimates import Estimate, compared
from ...system.suggestions import suggestion
from ..encoding.column import Column, row_named, shortened
from ..encoding.columns import Dates
from ..ensemble.calibration import positive_of
from ..error import TableError, figures, one_line, pandas
from ..kinds.values import DAY, MISSING
from ..reading.frames import Frame
from .drift import QUANTILES, Profile


def output(predicted: np.ndarray, number: int) -> np.ndarray:
    """Return the explained quantity of each row: the prediction, or the probability of one class."""
    return predicted if predicted.ndim == 1 else predicted[:, number]


def output_name(model: Any, number: int) -> str:
    """Return the name of the explained quantity.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> output_name(TabularRegressor("price"), 0), output_name(TabularRegressor("price", loss="quantile"), 0)
    ('price', 'quantile 0.5 of price')
    """
    if hasattr(model, "classes_"):
        return f"probability of {str(model.classes_[number])!r}"
    target = "the target" if model.target is None else model.target
    return f"quantile {model._level} of {target}" if model._levels else target


def leading_class(model: Any, predicted: np.ndarray) -> int:
    """Return the class to show: the positive class if there are two, or else the most probable one on average."""
    if predicted.ndim == 1 or predicted.shape[1] == 2:
        return positive_of(model)
    return int(predicted.mean(axis=0).argmax())


def background_inputs(model: Any, frame: Frame | None, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the inputs of about `count` rows, from a frame or from the training distributions of columns."""
    if frame is not None:
        rows = rng.permutation(len(frame))[:count]
        return np.tile(model.encoder_(frame.iloc[rows]), (max(count // len(rows), 1), 1))
    pairs = zip(model.encoder_.parts, model.profiles_, strict=True)
    columns = [part.of_values(drawn(part, profile, count, rng)) for part, profile in pairs]
    return np.hstack(columns, dtype=np.float32, casting="same_kind")


def drawn(part: Column, profile: Profile, count: int, rng: np.random.Generator) -> np.ndarray:
    r"""Return evenly spaced quantiles of a column's training distribution, in random order.

    Text columns, and columns with too many categories, get missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.Series(["red", "red", "blue", None])
    >>> from vecprop.tables.encoding.columns import Categories
    >>> part = Categories.of(series)
    >>> sorted(drawn(part, Profile.of(part, series), 8, np.random.default_rng(0)).tolist())
    ['\x00missing', '\x00missing', 'blue', 'blue', 'red', 'red', 'red', 'red']
    """
    if part.holds == "other":
        return part.read(pandas().Series([None] * count, dtype=object))
    rank = (rng.permutation(count) + 0.5) / count * profile.rows
    if part.holds == "names":
        names, at_most = np.append(profile.values, MISSING), np.cumsum(profile.counts)
        return names[np.searchsorted(at_most, rank, side="right")]
    known = profile.counts[-1]
    return np.where(rank < known, _drawn_numbers(np.minimum(rank, known - 0.5), profile.counts, profile.values), np.nan)


def _drawn_numbers(rank: np.ndarray, at_most: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the numbers with given ranks, from quantiles and the number of rows up to each quantile.

    A quantile with more rows than expected is returned unchanged. Other numbers are interpolated between quantiles,
    linearly or, in the outermost intervals, exponentially. Integers stay integers.
    """
    if len(values) == 1:
        return np.full(len(rank), values[0])
    place = np.searchsorted(at_most, rank, side="right")
    is_frequent = np.diff(at_most, prepend=0)[place] > 1.5 * at_most[-1] / QUANTILES
    x = np.interp(rank, at_most, values)
    for inner, outer, is_beyond in ((1, 0, rank < at_most[1]), (-2, -1, rank > at_most[-2])):
        rows = abs(at_most[outer] - at_most[inner])
        share = np.clip((rank[is_beyond] - at_most[inner]) / (at_most[outer] - at_most[inner]), 0, 1)
        reach = -np.log1p(-share * (1 - 1 / rows)) / np.log(rows) if rows > 1 else share
        x[is_beyond] = values[inner] + reach * (values[outer] - values[inner])
    x = np.where(is_frequent, values[place], x)
    return np.ceil(x) if np.all(values == np.ceil(values)) else x


DRAWS = 512
"""Maximum number of background rows. For each row, columns are changed in a random order and in reverse order."""
MIN_DRAWS = 10
INPUTS = 60_000_000
"""Maximum number of inputs of all changed rows, to bound the time. At least ten background rows are drawn."""
AT_ONCE = 4_000_000
"""Maximum number of inputs in memory."""


def shapley_values(
    predict: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    background: np.ndarray,
    places: Sequence[slice],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the Shapley value of each column for one row, the standard errors, and the mean background prediction.

    Inputs of a background row are replaced by inputs of the row, column by column in a random order. The value of a
    column is the mean change of the prediction in its step (interventional Shapley values; Štrumbelj and Kononenko,
    2014). Each order is also used in reverse (Mitchell et al., 2022). The values add up exactly to the difference
    between the prediction of the row and the mean prediction of the background.

    Examples
    --------
    >>> background = np.array([[0.0, 0.0], [0.0, 2.0]])
    >>> x, places, rng = np.array([1.0, 5.0]), [slice(0, 1), slice(1, 2)], np.random.default_rng(0)
    >>> shapley_values(lambda X: X @ [3, 1], x, background, places, rng)
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
    return of_draws.mean(axis=0), errors, float(bases.mean())


SHOWN = 20
"""Maximum number of columns in the text of an explanation."""


@dataclass(frozen=True)
class Contribution:
    """The contribution of a column to a prediction."""

    column: str
    value: str | None
    contribution: float
    error: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """The contributions of all columns to the prediction of a row."""

    row: str
    predicted: Any
    output: str
    explained: float
    base: float
    contributions: tuple[Contribution, ...]

    def __repr__(self) -> str:
        rows = [("column", "value", "contribution", "standard error")]
        for each in self.contributions[:SHOWN]:
            value = "(missing)" if each.value is None else shortened(one_line(each.value))
            rows.append(
                (shortened(one_line(each.column)), value, figures(each.contribution, sign="+"), figures(each.error, 1))
            )
        if more := self.contributions[SHOWN:]:
            rows.append((f"{len(more)} more", "", figures(sum(each.contribution for each in more), sign="+"), ""))
        change = self.explained - self.base
        base, explained, total = compared([Estimate(self.base), Estimate(self.explained)], [Estimate(change)])
        rows.append(("sum", "", f"{'+' if change > 0 else ''}{total}", ""))
        widths = [f"{sign}{max(map(len, cells))}" for sign, cells in zip("<<>>", zip(*rows, strict=True), strict=True)]
        title = f"{self.row}: {self.output} is {explained}, compared with {base} on average"
        return "\n".join([title, *("  ".join(map(format, row, widths)).rstrip() for row in rows)])


class Explanations(tuple[Explanation, ...]):
    """The explanations of rows, in order. Printing shows them as text."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def to_frame(self) -> Frame:
        """Return the contributions as a data frame, with one row per explained row and column."""
        rows = [
            {"row": of.row, "output": of.output, "explained": of.explained, "base": of.base, **vars(each)}
            for of in self
            for each in of.contributions
        ]
        return pandas().DataFrame(rows).rename(columns={"error": "standard error"})


def explanations(model: Any, frame: Frame, background: Frame | None = None, most: int = INPUTS) -> Explanations:
    """Return the contributions of columns to the prediction of each row; see `TableModel.explain`."""
    rng = np.random.default_rng(0)
    encoder = model.encoder_
    names, places, inputs = encoder.names, list(encoder.places.values()), encoder(frame)
    draws = int(np.clip(most // (2 * (len(names) + 1) * encoder.width), MIN_DRAWS, DRAWS))
    behind = background_inputs(model, background, draws, rng)
    outputs, predicted = model._of_inputs(inputs), model.predict(frame)
    numbers = np.searchsorted(model.classes_, predicted) if hasattr(model, "classes_") else np.zeros(len(inputs), int)
    found = []
    for row, (x, number) in enumerate(zip(inputs, numbers.tolist(), strict=True)):
        shares, errors, base = shapley_values(
            lambda X, k=number: output(model._of_inputs(X), k), x, behind, places, rng
        )
        values = [frame[name].iloc[row] for name in names]  # preserves the dtype of each column
        texts = [str(value).removesuffix(".0") if isinstance(value, float) else str(value) for value in values]
        texts = [None if pandas().isna(value) else text for value, text in zip(values, texts, strict=True)]
        of_row = map(Contribution, names, texts, shares.tolist(), errors.tolist())
        name, explained = row_named(frame.index, row), output(outputs[[row]], number).item()
        largest_first = tuple(sorted(of_row, key=lambda each: -abs(each.contribution)))
        what = predicted.tolist()[row], output_name(model, number)
        found.append(Explanation(name, *what, explained, base, largest_first))
    return Explanations(found)


ROWS = 200
"""Maximum number of rows for partial dependence."""
VALUES = 20
"""Maximum number of quantiles for numbers and dates."""
NAMES = 10
"""Maximum number of categories. The most frequent ones are used."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """The predictions of rows when one column is set to other values."""

    column: str
    values: np.ndarray
    curves: np.ndarray
    output: str
    is_ordered: bool = True
    """Whether the values are numbers, dates or ordered categories."""

    @property
    def mean(self) -> np.ndarray:
        """The partial dependence, which is the mean prediction for each value."""
        return self.curves.mean(axis=0)


def dependences(model: Any, X: Frame, columns: Sequence[str]) -> list[Dependence]:
    """Return the dependence of predictions on each of the given columns, and skip text columns."""
    parts = dict(zip(model.encoder_.names, model.encoder_.parts, strict=True))
    found = [dependence(model, X, column) for column in columns if parts[column].holds != "other"]
    return [each for each in found if len(each.values)]


def dependence(model: Any, X: Frame | None, column: str) -> Dependence:
    """Return the dependence of predictions on a column, for rows of a table or of the training distributions.

    The output of a classifier is the probability of the positive class, or of the most probable of more than two.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame({"x": [1, 2, 5, 7] * 10, "town": ["Rome", "Oslo", "Rome", "Rome"] * 10})
    >>> model = TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(table, table["x"])
    >>> of_town = dependence(model, table, "town")
    >>> of_town.values.tolist(), of_town.curves.shape
    (['Rome', 'Oslo'], (40, 2))
    >>> dependence(model, None, "x").values.tolist()
    [1.0, 2.0, 5.0, 7.0]
    """
    part, rng = _part(model, column), np.random.default_rng(0)
    if X is None:
        inputs = background_inputs(model, None, ROWS, rng)
        profile = model.profiles_[model.encoder_.names.index(column)]
        known = drawn(part, profile, max(profile.rows, ROWS), rng)
    else:
        frame = X.iloc[np.unique(np.linspace(0, len(X) - 1, ROWS).astype(int))]
        inputs, known = model.encoder_(frame), part.read(frame[column])
    values = shown = _values(part, known)
    if not len(values):
        return Dependence(column, values, np.empty((len(inputs), 0)), "")
    changed = np.repeat(inputs, len(values), axis=0)
    changed[:, model.encoder_.places[column]] = np.tile(part.of_values(values), (len(inputs), 1))
    number = leading_class(model, model._of_inputs(inputs))
    curves = output(model._of_inputs(changed), number).reshape(len(inputs), -1)
    is_ordered = part.holds == "numbers"
    if isinstance(part, Dates):
        shown = (values * DAY).astype("datetime64[s]")
    elif part.holds == "names":
        shown = np.where(values == MISSING, "missing", values)
        if X is not None and getattr(X[column].dtype, "ordered", False):
            is_ordered = True
            places = {str(name): place for place, name in enumerate(X[column].cat.categories)}
            order = np.argsort([places.get(name, -1) for name in shown], kind="stable")
            shown, curves = shown[order], curves[:, order]
    return Dependence(column, shown, curves, output_name(model, number), is_ordered)


def _part(model: Any, column: str) -> Column:
    """Return the part of the encoder that reads a column."""
    names = model.encoder_.names
    if column not in names:
        raise TableError(f"The model has no column {column!r}{suggestion(column, names) or '.'}")
    part = model.encoder_.parts[names.index(column)]
    if part.holds == "other":
        raise TableError(f"Column {column!r} is read as {part.kind}, whose values cannot be drawn along an axis.")
    return part


def _values(part: Column, known: np.ndarray) -> np.ndarray:
    """Return quantiles or the most frequent categories, as values of a column for partial dependence."""
    if part.holds == "other":
        return known[:0]
    if part.holds == "names":
        names, counts = np.unique(known, return_counts=True)
        return names[np.argsort(-counts, kind="stable")[:NAMES]]
    known = known[np.isfinite(known)]
    return np.unique(np.quantile(known, np.linspace(0, 1, VALUES), method="nearest")) if len(known) else known
