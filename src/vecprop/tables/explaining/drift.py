"""Drift: how far the columns of a table are from those of training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..encoding.column import Column
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder, Misfits
from ..error import pandas
from ..kinds.values import as_names
from ..reading.frames import Frame, as_frame

QUANTILES = 20
"""The distribution of numbers is kept as the counts below this number of quantiles."""
MOST_NAMES = 4096
"""Of columns with more categories than this, the categories are not kept."""
FAR = 0.05
"""A number is far out of training's range if it is beyond by more than this share of the range."""
SHIFT = 0.1
"""A share that differs by less than this from that of training is no drift, however sure the difference is."""
FEWEST_ROWS = 30
"""Of fewer values than this the distribution is not compared: the first rows of a table, say, are no sample."""
MOST_DIGESTS = 10_000
"""Of this number of rows of training digests are kept, 80 KB."""
CHANCE = 0.001
"""The probability of a note on a table of training's distribution, by chance."""


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts of a column's values in the terms of training, which are summed over the parts of a table.

    Parameters
    ----------
    counts : ndarray of int (V,)
        The number of rows at each of the values of a `Profile`: at most it, for numbers, or it, for categories.
    """

    rows: int
    missing: int
    known: int
    counts: np.ndarray
    beyond: int = 0
    farthest: Any = None

    def plus(self, other: "Tally", farther: Callable[[Any, Any], Any]) -> "Tally":
        """Return the tally of both parts."""
        ends = [tally.farthest for tally in (self, other) if tally.farthest is not None]
        return Tally(
            self.rows + other.rows,
            self.missing + other.missing,
            self.known + other.known,
            self.counts + other.counts,
            self.beyond + other.beyond,
            farther(*ends) if len(ends) == 2 else ends[0] if ends else None,
        )


@dataclass(frozen=True, eq=False)
class Profile:
    """What a column of training had: its missing values, and its distribution.

    Parameters
    ----------
    values : ndarray (V,)
        Of numbers and dates some quantiles, the smallest and the largest among them; of categories their names, sorted;
        none of text.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import NumberInputs
    >>> series = pd.Series([20.0, 30.0, 40.0, 70.0])
    >>> part = NumberInputs.of(series)
    >>> profile = Profile.of(part, series)
    >>> profile.notes(part, profile.tally(part, pd.Series([30.0, 500.0])), columns=1)
    ["1 of 2 values are out of training's range, 20 to 70; the farthest, 500, is 430 beyond it"]
    """

    rows: int
    missing: int
    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, part: Column, series: Any) -> "Profile":
        """Return the profile of a column of training."""
        rows, missing, known = len(series), int(series.isna().sum()), _values(part, series)
        if part.holds == "names":
            values, counts = np.unique(known, return_counts=True)
            return cls(rows, missing, *((values, counts) if len(values) <= MOST_NAMES else (values[:0], counts[:0])))
        known, quantiles = np.sort(known), np.linspace(0, 1, QUANTILES + 1)
        values = np.unique(np.quantile(known, quantiles, method="nearest")) if len(known) else known
        return cls(rows, missing, values, np.searchsorted(known, values, side="right"))

    def tally(self, part: Column, series: Any) -> Tally:
        """Return the counts of a column of another table."""
        known, missing = _values(part, series), int(series.isna().sum())
        if not len(self.values):
            return Tally(len(series), missing, len(known), self.counts)
        if part.holds == "names":
            places = np.minimum(np.searchsorted(self.values, known), len(self.values) - 1)
            is_known = self.values[places] == known
            counts = np.bincount(places[is_known], minlength=len(self.values))
            new = known[~is_known]
            return Tally(len(series), missing, len(known), counts, len(new), str(new[0]) if len(new) else None)
        distance = self.distance(known)
        beyond = int((distance > 0).sum())
        farthest = float(known[distance.argmax()]) if beyond else None
        return Tally(len(series), missing, len(known), _at_most(self.values, known), beyond, farthest)

    def plus(self, one: Tally, other: Tally) -> Tally:
        """Return the tally of both of two parts of a table."""
        return one.plus(other, self._farther)

    def _farther(self, one: Any, other: Any) -> Any:
        return one if isinstance(one, str) or self.distance(one) >= self.distance(other) else other

    def distance(self, x: Any) -> Any:
        """Return how far numbers are out of training's range; 0 within it."""
        return np.maximum(np.maximum(self.values[0] - x, x - self.values[-1]), 0)

    def notes(self, part: Column, tally: Tally, columns: int) -> list[str]:
        """Return the ends of sentences on how a column differs from that of training.

        A note is on what training never had: missing values, categories, values far out of its range; or on shares
        that differ by a tenth or more, and by more than chance (Fisher's exact test, for all columns together).
        """
        sure = CHANCE / columns
        return [*self._on_missing(tally, sure), *(self._on_new(part, tally, sure) or self._on_shift(part, tally, sure))]

    def _on_missing(self, tally: Tally, sure: float) -> Iterator[str]:
        is_new = tally.missing > self.missing == 0
        if is_new or _differ(tally.missing, tally.rows, self.missing, self.rows, sure):
            yield f"{tally.missing} of {tally.rows} values are missing, in training {self.missing} of {self.rows}"

    def _on_new(self, part: Column, tally: Tally, sure: float) -> list[str]:
        if not tally.beyond:
            return []
        if part.holds == "names":
            how_many = f"{tally.beyond} of {tally.rows} rows"
            return [f"{how_many} are of categories that training never had, such as {tally.farthest!r}"]
        distance, reach = float(self.distance(tally.farthest)), self.values[-1] - self.values[0]
        is_far = distance > FAR * reach
        if not is_far and (tally.rows / (tally.rows + self.rows)) ** tally.beyond > sure:
            return []
        low, high, farthest = (part.shown(value) for value in (self.values[0], self.values[-1], tally.farthest))
        far = f"{distance:.4g} days" if part.kind == "dates" else f"{distance:.4g}"
        return [
            f"{tally.beyond} of {tally.rows} values are out of training's range, {low} to {high}; the farthest, "
            f"{farthest}, is {far} beyond it"
        ]

    def _on_shift(self, part: Column, tally: Tally, sure: float) -> Iterator[str]:
        if not len(self.values) or tally.known < FEWEST_ROWS:
            return
        now, then = tally.known, int(self.counts.sum() if part.holds == "names" else self.counts[-1])
        place = int(np.abs(tally.counts / now - self.counts / then).argmax())
        if _differ(tally.counts[place], now, self.counts[place], then, sure):
            value = part.shown(self.values[place])
            what = f"are {value}" if part.holds == "names" else f"are at most {value}"
            yield f"{tally.counts[place] / now:.0%} of values {what}, in training {self.counts[place] / then:.0%}"


def _values(part: Column, series: Any) -> np.ndarray:
    """Return the known values of a column as its part reads them: numbers, days since 1970, names, or none of text."""
    if part.holds == "names":
        return as_names(series[series.notna()]).astype(str)
    x = part.read(series) if part.holds == "numbers" else np.empty(0)
    return ordinary(x[~np.isnan(x)])


def _at_most(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(known), values, side="right")


def _differ(k: int, n: int, of_training: int, rows: int, sure: float) -> bool:
    """Return whether a share k / n is a tenth or more from that of training, and not by chance."""
    from scipy.stats import fisher_exact

    if abs(k / n - of_training / rows) < SHIFT:
        return False
    table = [[k, n - k], [of_training, rows - of_training]]
    return bool(fisher_exact(table).pvalue < sure)  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class TrainedRows:
    """Digests of rows of training, by which they are recognized in another table.

    Parameters
    ----------
    digests : ndarray of uint64 (M,)
        Sorted; of at most 10,000 rows, evenly spaced.
    rows : int
        The number of all rows of training.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, 30.0, None, 70.0]})
    >>> encoder, y = Encoder.of(frame)[0], np.arange(4.0)
    >>> TrainedRows.of(encoder, frame, y, 4).count(encoder, frame[1:], np.array([1.0, 2.0, 5.0]))
    2.0
    """

    digests: np.ndarray
    rows: int

    @classmethod
    def of(cls, encoder: Encoder, frame: Frame, y: np.ndarray, rows: int) -> Self:
        """Return the digests of rows with their targets, of which there may be a sample."""
        some = np.unique(np.linspace(0, len(frame) - 1, MOST_DIGESTS).astype(int))
        return cls(np.sort(_digests(encoder, frame.iloc[some], y[some])), rows)

    @property
    def are_all(self) -> bool:
        """Whether each row of training has its digest."""
        return len(self.digests) == self.rows

    def are_expected(self, count: float, rows: int) -> bool:
        """Return whether that many of new rows have a twin in training by chance, as rows of training have."""
        _, counts = np.unique(self.digests, return_counts=True)
        share = counts[counts > 1].sum() / len(self.digests)
        return bool(count <= rows * share + 3 * np.sqrt(rows * share * (1 - share)))

    def count(self, encoder: Encoder, frame: Frame, y: np.ndarray) -> float:
        """Return how many rows are in training too; an estimate, if not all rows of training have digests."""
        found = int(np.isin(_digests(encoder, frame, y), self.digests).sum())
        return found * self.rows / len(self.digests)


def _digests(encoder: Encoder, frame: Frame, y: np.ndarray) -> np.ndarray:
    """Return a number for each row that is equal for rows with the same values, as the model reads them, and target."""
    columns = [_as_read(part, frame[name]) for name, part in zip(encoder.names, encoder.parts, strict=True)]
    return pandas().util.hash_pandas_object(pandas().DataFrame(dict(enumerate([*columns, y]))), index=False).to_numpy()


def _as_read(part: Column, series: Any) -> np.ndarray:
    if part.holds == "numbers":
        x = part.read(series) + 0.0  # no -0
        return np.where(np.isnan(x), np.nan, x)
    return as_names(series) if part.holds == "names" else series.astype(str).to_numpy()


class Watch:
    """Sees the parts of a table, and tells what of them all is unlike a model's training."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.tallies: list[Tally] | None = None
        self.misfits: Misfits = {}
        self.of_tables: dict[str, None] = {}
        self.unlike: dict[str, None] = {}

    def see(self, frame: Frame) -> None:
        """See the next part."""
        if not hasattr(self.model, "encoder_"):
            return
        frame = as_frame(frame).drop(columns=self.model.target or [], errors="ignore")
        encoder = self.model.encoder_
        encoder.require(frame)
        self.of_tables |= dict.fromkeys(frame.attrs.get("notes", []))
        self.unlike |= dict.fromkeys(encoder.unlike(frame))
        self.misfits = encoder.misfits(frame, self.misfits)
        self.tallies = self.model.tallies(frame, self.tallies)

    def notes(self) -> list[str]:
        """Return sentences on the parts that were seen."""
        misfits = self.model.encoder_.notes_on(self.misfits) if self.misfits else []
        return [*self.of_tables, *misfits, *self.unlike, *(self.model.drift(self.tallies) if self.tallies else [])]
