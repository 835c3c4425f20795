"""The dependence of predictions on columns: Shapley values and partial dependence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ...system.estimates import Estimate, NumberFormat, compared
from ...system.suggestions import suggestion
from ..encoding.column import Column, row_named, shortened
from ..encoding.columns import Dates
from ..ensemble.calibration import positive_of
from ..error import TableError, one_line, pandas
from ..kinds.values import DAY, MISSING
from ..reading.frames import Frame
from .drift import QUANTILES, Profile


def output(predicted: ndarray, number: int) -> ndarray:
    """Return the explained quantity: the prediction, or the probability of a class."""
    if predicted.ndim == 1:
        return predicted
    return predicted[:, number]


def output_name(model, number: int) -> str:
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
    if model._levels:
        return f"quantile {model._level} of {target}"
    return target


def leading_class(model, predicted: ndarray) -> int:
    """Return the positive class of two, or else the most probable class on average."""
    if predicted.ndim == 1 or predicted.shape[1] == 2:
        return positive_of(model)
    return int(predicted.mean(axis=0).argmax())


def background_inputs(
    model, frame: Frame | None, count: int, rng: np.random.Generator
) -> ndarray:
    """Return the inputs of about `count` rows of a frame or of training columns."""
    if frame is not None:
        rows = rng.permutation(len(frame))[:count]
        copies = max(count // len(rows), 1)
        return np.tile(model.encoder_(frame.iloc[rows]), (copies, 1))
    columns = []
    for part, profile in zip(model.encoder_.parts, model.profiles_, strict=True):
        columns.append(part.of_values(drawn(part, profile, count, rng)))
    return np.hstack(columns, dtype=np.float32, casting="same_kind")


def drawn(
    part: Column, profile: Profile, count: int, rng: np.random.Generator
) -> ndarray:
    r"""Return evenly spaced quantiles of a column's training values, in random order.

    Text columns, and columns with too many categories, get missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.Series(["red", "red", "blue", None])
    >>> from vecprop.tables.encoding.columns import Categories
    >>> part = Categories.of(series)
    >>> sorted(drawn(part, Profile.learn(part, series), 8, np.random.default_rng(0)).tolist())
    ['\x00missing', '\x00missing', 'blue', 'blue', 'red', 'red', 'red', 'red']
    """
    if part.holds == "other":
        return part.read(pandas().Series([None] * count, dtype=object))
    rank = (rng.permutation(count) + 0.5) / count * profile.rows
    if part.holds == "names":
        names = np.append(profile.values, MISSING)
        return names[np.searchsorted(np.cumsum(profile.counts), rank, side="right")]
    count_of_numbers = profile.counts[-1]
    is_missing = rank >= count_of_numbers
    rank = np.minimum(rank, count_of_numbers - 0.5)
    numbers = _drawn_numbers(rank, profile.counts, profile.values)
    return np.where(is_missing, np.nan, numbers)


def _drawn_numbers(rank: ndarray, at_most: ndarray, values: ndarray) -> ndarray:
    """Return the numbers with these ranks, given the rows up to each quantile.

    A quantile with more rows than expected is returned unchanged. Other numbers are
    interpolated between quantiles, linearly or, in the outermost intervals,
    exponentially. Integers stay integers.
    """
    if len(values) == 1:
        return np.full(len(rank), values[0])
    quantile = np.searchsorted(at_most, rank, side="right")
    is_frequent = np.diff(at_most, prepend=0)[quantile] > 1.5 * at_most[-1] / QUANTILES
    x = np.interp(rank, at_most, values)
    for inner, outer in ((1, 0), (-2, -1)):
        rows = at_most[outer] - at_most[inner]
        share = (rank - at_most[inner]) / rows
        is_outer = share > 0
        share = np.minimum(share[is_outer], 1)
        if abs(rows) > 1:
            share = -np.log1p(-share * (1 - 1 / abs(rows))) / np.log(abs(rows))
        x[is_outer] = values[inner] + share * (values[outer] - values[inner])
    x = np.where(is_frequent, values[quantile], x)
    if np.all(values == np.ceil(values)):
        return np.ceil(x)
    return x


DRAWS = 512
"""Maximum number of background rows. For each row, columns are changed in a random
order and in reverse order.
"""
MIN_DRAWS = 10
INPUTS = 60_000_000
"""Maximum number of inputs of all changed rows, to bound the time. At least ten
background rows are drawn.
"""
AT_ONCE = 4_000_000
"""Maximum number of inputs in memory."""


def shapley_values(
    predict: Callable[[ndarray], ndarray],
    x: ndarray,
    background: ndarray,
    slices: Sequence[slice],
    rng: np.random.Generator,
) -> tuple[ndarray, ndarray, float]:
    """Return the Shapley values of a row, their errors, and the mean prediction.

    Inputs of a background row are replaced by inputs of the row, column by column in a
    random order. The value of a column is the mean change of the prediction in its step
    (interventional Shapley values; Štrumbelj and Kononenko, 2014). Each order is also
    used in reverse (Mitchell et al., 2022). The values add up exactly to the difference
    between the prediction of the row and the mean prediction of the background.

    Examples
    --------
    >>> background = np.array([[0.0, 0.0], [0.0, 2.0]])
    >>> x, slices, rng = np.array([1.0, 5.0]), [slice(0, 1), slice(1, 2)], np.random.default_rng(0)
    >>> shapley_values(lambda X: X @ [3, 1], x, background, slices, rng)
    (array([3., 4.]), array([0., 1.]), 1.0)
    """
    columns = len(slices)
    draws = len(background)
    widths = [part.stop - part.start for part in slices]
    column_of_input = np.repeat(np.arange(columns), widths)
    orders = np.stack([rng.permutation(columns) for _ in range(draws)])
    orders = np.concatenate([orders, orders[:, ::-1]])
    background = np.concatenate([background, background])
    steps = np.arange(columns + 1)[:, None]
    predictions = np.empty((2 * draws, columns + 1))
    at_once = max(AT_ONCE // (len(steps) * len(x)), 1)
    for first in range(0, len(orders), at_once):
        chunk = slice(first, first + at_once)
        # (draws, D + 1, D)
        has_changed = np.argsort(orders[chunk])[:, None] < steps
        rows = np.where(has_changed[:, :, column_of_input], x, background[chunk, None])
        predicted = predict(rows.reshape(-1, len(x)))
        predictions[chunk] = predicted.reshape(-1, columns + 1)
    changes = np.empty(orders.shape)
    np.put_along_axis(changes, orders, np.diff(predictions), axis=1)
    values = changes.reshape(2, draws, columns).mean(axis=0)
    errors = np.full(columns, np.nan)
    if draws > 1:
        errors = values.std(axis=0, ddof=1) / np.sqrt(draws)
    return values.mean(axis=0), errors, float(predictions[:draws, 0].mean())


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
        # Equal decimals, and four digits of the largest contribution.
        form = NumberFormat.of([Estimate(self.contributions[0].contribution)])
        rows = [("column", "value", "contribution", "standard error")]
        for contribution in self.contributions[:SHOWN]:
            value = contribution.value
            if value is None:
                value = "(missing)"
            column = shortened(one_line(contribution.column))
            text = form.signed(contribution.contribution)
            error = form(contribution.error)
            rows.append((column, shortened(one_line(value)), text, error))
        hidden = self.contributions[SHOWN:]
        if hidden:
            total = sum(contribution.contribution for contribution in hidden)
            rows.append((f"{len(hidden)} more", "", form.signed(total), ""))
        rows.append(("sum", "", form.signed(self.explained - self.base), ""))
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        base, explained = compared([Estimate(self.base), Estimate(self.explained)])
        lines = [
            f"{self.row}: {self.output} is {explained}, compared with {base} on average"
        ]
        for column, value, text, error in rows:
            texts = f"{column:{widths[0]}}  {value:{widths[1]}}  {text:>{widths[2]}}"
            lines.append(f"{texts}  {error:>{widths[3]}}".rstrip())
        return "\n".join(lines)


class Explanations(tuple[Explanation, ...]):
    """The explanations of rows, in order. Printing shows them as text."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def to_frame(self) -> Frame:
        """Return a data frame with one row per explained row and column."""
        rows = []
        for explanation in self:
            row = {
                "row": explanation.row,
                "output": explanation.output,
                "explained": explanation.explained,
                "base": explanation.base,
            }
            for contribution in explanation.contributions:
                rows.append(row | vars(contribution))
        return pandas().DataFrame(rows).rename(columns={"error": "standard error"})


def explanations(
    model, frame: Frame, background: Frame | None = None, most: int = INPUTS
) -> Explanations:
    """Return the contributions of columns to predictions; see `TableModel.explain`."""
    rng = np.random.default_rng(0)
    encoder = model.encoder_
    inputs = encoder(frame)
    inputs_of_draw = 2 * (len(encoder.names) + 1) * encoder.width
    draws = min(max(most // inputs_of_draw, MIN_DRAWS), DRAWS)
    background_rows = background_inputs(model, background, draws, rng)
    slices = list(encoder.places.values())
    outputs = model._of_inputs(inputs)
    predicted = model.predict(frame)
    numbers = np.zeros(len(inputs), int)
    if hasattr(model, "classes_"):
        numbers = np.searchsorted(model.classes_, predicted)
    explanations = []
    for row, number in enumerate(numbers.tolist()):

        def predict(X: ndarray, number: int = number) -> ndarray:
            return output(model._of_inputs(X), number)

        values, errors, base = shapley_values(
            predict, inputs[row], background_rows, slices=slices, rng=rng
        )
        # A row of the frame would not preserve the dtype of each column.
        texts = [_as_text(frame[name].iloc[row]) for name in encoder.names]
        contributions = list(
            map(Contribution, encoder.names, texts, values.tolist(), errors.tolist())
        )
        contributions.sort(key=lambda contribution: -abs(contribution.contribution))
        explanation = Explanation(
            row_named(frame.index, row),
            predicted=predicted.tolist()[row],
            output=output_name(model, number),
            explained=output(outputs[[row]], number).item(),
            base=base,
            contributions=tuple(contributions),
        )
        explanations.append(explanation)
    return Explanations(explanations)


def _as_text(value) -> str | None:
    """Return a value as text, or None if it is missing."""
    if pandas().isna(value):
        return None
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return str(value)


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
    values: ndarray
    curves: ndarray
    output: str
    is_ordered: bool = True
    """Whether the values are numbers, dates or ordered categories."""

    @property
    def mean(self) -> ndarray:
        """The partial dependence, which is the mean prediction for each value."""
        return self.curves.mean(axis=0)


def dependences(model, X: Frame, columns: Sequence[str]) -> list[Dependence]:
    """Return the dependence of predictions on each column, and skip text columns."""
    parts = dict(model.encoder_.columns)
    curves = []
    for column in columns:
        if parts[column].holds != "other":
            curves.append(dependence(model, X, column))
    return [curve for curve in curves if len(curve.values)]


def dependence(model: Any, X: Frame | None, column: str) -> Dependence:
    """Return the dependence of predictions on a column.

    The rows are from a table, or are drawn from the training distributions.
    The output of a classifier is the probability of the positive class, or of the most
    probable of more than two.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame({"x": [1, 2, 5, 7] * 10, "town": ["Rome", "Oslo", "Rome", "Rome"] * 10})
    >>> model = TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(table, table["x"])
    >>> towns = dependence(model, table, "town")
    >>> towns.values.tolist(), towns.curves.shape
    (['Rome', 'Oslo'], (40, 2))
    >>> dependence(model, None, "x").values.tolist()
    [1.0, 2.0, 5.0, 7.0]
    """
    part = _part(model, column)
    if X is None:
        rng = np.random.default_rng(0)
        inputs = background_inputs(model, None, ROWS, rng)
        profile = model.profiles_[model.encoder_.names.index(column)]
        values = drawn(part, profile, max(profile.rows, ROWS), rng)
    else:
        frame = X.iloc[np.unique(np.linspace(0, len(X) - 1, ROWS).astype(int))]
        inputs = model.encoder_(frame)
        values = part.read(frame[column])
    rows = len(inputs)
    values = _values(part, values)
    if not len(values):
        return Dependence(column, values, np.empty((rows, 0)), output="")
    changed = np.repeat(inputs, len(values), axis=0)
    inputs_of_column = model.encoder_.places[column]
    changed[:, inputs_of_column] = np.tile(part.of_values(values), (rows, 1))
    number = leading_class(model, model._of_inputs(inputs))
    curves = output(model._of_inputs(changed), number).reshape(rows, -1)
    is_ordered = part.holds == "numbers"
    if isinstance(part, Dates):
        values = (values * DAY).astype("datetime64[s]")
    elif part.holds == "names":
        values = np.where(values == MISSING, "missing", values)
        if X is not None and getattr(X[column].dtype, "ordered", False):
            is_ordered = True
            categories = X[column].cat.categories.astype(str)
            order = np.argsort(categories.get_indexer(values), kind="stable")
            values = values[order]
            curves = curves[:, order]
    name = output_name(model, number)
    return Dependence(column, values, curves, output=name, is_ordered=is_ordered)


def _part(model, column: str) -> Column:
    """Return the part of the encoder that reads a column."""
    names = model.encoder_.names
    if column not in names:
        raise TableError(
            f"The model has no column {column!r}{suggestion(column, names) or '.'}"
        )
    part = model.encoder_.parts[names.index(column)]
    if part.holds == "other":
        raise TableError(
            f"Column {column!r} is read as {part.kind}, whose values cannot be drawn"
            " along an axis."
        )
    return part


def _values(part: Column, values: ndarray) -> ndarray:
    """Return quantiles or the most frequent categories of a column's values."""
    if part.holds == "names":
        names, counts = np.unique(values, return_counts=True)
        return names[np.argsort(-counts, kind="stable")[:NAMES]]
    finite = values[np.isfinite(values)]
    if not len(finite):
        return finite
    return np.unique(np.quantile(finite, np.linspace(0, 1, VALUES), method="nearest"))
