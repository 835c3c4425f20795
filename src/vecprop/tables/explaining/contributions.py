"""The contribution of each column to the prediction of a row, by Shapley values against background rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..encoding.column import Column, row_named, shortened
from ..error import one_line, pandas
from ..kinds.values import MISSING
from ..reading.frames import Frame
from .column_notes import QUANTILES, Profile
from .dependence import output, output_name


def background_inputs(model: Any, frame: Frame | None, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the inputs of about `count` background rows.

    Parameters
    ----------
    frame : DataFrame or None
        The rows to draw from; None for columns that are drawn one by one, as they are distributed in training.
    """
    if frame is not None:
        rows = rng.permutation(len(frame))[:count]
        return np.tile(model.encoder_(frame.iloc[rows]), (max(count // len(rows), 1), 1))
    pairs = zip(model.encoder_.parts, model.profiles_, strict=True)
    columns = [part.of_values(drawn(part, profile, count, rng)) for part, profile in pairs]
    return np.hstack(columns, dtype=np.float32, casting="same_kind")


def drawn(part: Column, profile: Profile, count: int, rng: np.random.Generator) -> np.ndarray:
    r"""Return values of a column as it was distributed in training, in random order: at evenly spaced quantiles.

    Text is missing, and so are categories that were too many to be kept.

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
    """Return the numbers of these ranks, by kept quantiles and the number of rows at most at each.

    A quantile to which more than its share of the rows belongs is taken to be the number of all of these. Between two
    others numbers are evenly distributed, and in both tails exponentially, which ends at the outermost. Whole numbers
    stay whole.
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


SHOWN = 20
"""The largest number of columns of a row that are shown as text."""


@dataclass(frozen=True)
class Contribution:
    """What one column contributes to a prediction."""

    column: str
    value: str | None
    contribution: float
    error: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a row is predicted so."""

    row: str
    predicted: Any
    output: str
    explained: float
    base: float
    contributions: tuple[Contribution, ...]

    def __repr__(self) -> str:
        few, more = self.contributions[:SHOWN], self.contributions[SHOWN:]
        rows = [("column", "value", "contribution", "standard error")]
        rows += [(_short(each.column), _short(each.value), *_numbers(each.contribution, each.error)) for each in few]
        if more:
            rows.append((f"{len(more)} more", "", f"{sum(each.contribution for each in more):+.4g}", ""))
        rows.append(("sum", "", f"{self.explained - self.base:+.4g}", ""))
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        signs = ("<", "<", ">", ">")
        return "\n".join(
            [
                f"{self.row}: {self.output} is {self.explained:.4g}, and {self.base:.4g} on average",
                *("  ".join(map(format, row, map("{}{}".format, signs, widths))).rstrip() for row in rows),
            ]
        )


def _short(text: str | None) -> str:
    return "(missing)" if text is None else shortened(one_line(text))


def _numbers(contribution: float, error: float) -> tuple[str, str]:
    return f"{contribution:+.4g}", f"{error:.1g}"


class Explanations(tuple[Explanation, ...]):
    """The explanations of rows, in their order, which are shown as text."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def to_frame(self) -> Frame:
        """Return the contributions as a data frame with a row for each column of each row."""
        return pandas().DataFrame(
            [
                {
                    "row": of.row,
                    "output": of.output,
                    "explained": of.explained,
                    "base": of.base,
                    "column": each.column,
                    "value": each.value,
                    "contribution": each.contribution,
                    "standard error": each.error,
                }
                for of in self
                for each in of.contributions
            ]
        )


def explanations(model: Any, frame: Frame, background: Frame | None = None, seed: int = 0) -> Explanations:
    """Return the contributions of columns to the prediction of each row; see `TableModel.explain`."""
    rng, encoder = np.random.default_rng(seed), model.encoder_
    inputs = encoder(frame)
    behind = background_inputs(model, background, draws_for(len(encoder.names), encoder.width), rng)
    return Explanations(_each(model, frame, inputs, behind, rng))


def _each(
    model: Any, frame: Frame, inputs: np.ndarray, background: np.ndarray, rng: np.random.Generator
) -> Iterator[Explanation]:
    names, places = model.encoder_.names, list(model.encoder_.places.values())
    outputs, predicted = model.of_inputs(inputs), model.predict(frame)
    numbers = np.searchsorted(model.classes_, predicted) if hasattr(model, "classes_") else np.zeros(len(inputs), int)
    for row, (x, number) in enumerate(zip(inputs, numbers.tolist(), strict=True)):
        shares = shapley_values(lambda X, k=number: output(model.of_inputs(X), k), x, background, places, rng)
        values = [_text(frame[name].iloc[row]) for name in names]  # each of its own type
        found = map(Contribution, names, values, shares.values.tolist(), shares.errors.tolist())
        yield Explanation(
            row_named(frame.index, row),
            predicted.tolist()[row],
            output_name(model, number),
            output(outputs[[row]], number).item(),
            shares.base,
            tuple(sorted(found, key=lambda each: -abs(each.contribution))),
        )


def _text(value: Any) -> str | None:
    return None if pandas().isna(value) else str(value)
