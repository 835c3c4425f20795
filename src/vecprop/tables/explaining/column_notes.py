"""Notes on columns: how far those of a table are from those of training, and which of these leak the target."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from ..encoding.column import Column
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder, Misfits, require_inputs
from ..error import pandas
from ..kinds.kinds import MOST_CLASSES
from ..kinds.values import as_names, as_numbers
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


class Tally(NamedTuple):
    """Counts of a column's values in the terms of training, which are summed over the parts of a table.

    ``counts``, (V,), are the numbers of rows at each of the values of a `Profile`: at most it, for numbers, or it, for
    categories.
    """

    rows: int
    missing: int
    known: int
    counts: np.ndarray
    beyond: int = 0
    farthest: Any = None


@dataclass(frozen=True, eq=False)
class Profile:
    """What a column of training had: its missing values, and its distribution.

    The values, (V,), are some quantiles of numbers and dates, the smallest and the largest among them; the names of
    categories, sorted; and none of text.

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
            kept = slice(len(values) if len(values) <= MOST_NAMES else 0)
            return cls(rows, missing, values[kept], counts[kept])
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
        distance, counts = self.distance(known), np.searchsorted(np.sort(known), self.values, side="right")
        beyond = int((distance > 0).sum())
        farthest = float(known[distance.argmax()]) if beyond else None
        return Tally(len(series), missing, len(known), counts, beyond, farthest)

    def plus(self, one: Tally, other: Tally) -> Tally:
        """Return the tally of both of two parts of a table."""
        sums: list[Any] = [here + there for here, there in zip(one[:-1], other[:-1], strict=True)]
        ends = [tally.farthest for tally in (one, other) if tally.farthest is not None]
        if len(ends) == 2 and not isinstance(ends[0], str):
            ends = [max(ends, key=self.distance)]
        return Tally(*sums, farthest=ends[0] if ends else None)

    def distance(self, x: Any) -> Any:
        """Return how far numbers are out of training's range; 0 within it."""
        return np.maximum(np.maximum(self.values[0] - x, x - self.values[-1]), 0)

    def notes(self, part: Column, tally: Tally, columns: int) -> list[str]:
        """Return the ends of sentences on how a column differs from that of training.

        A note is on what training never had: missing values, categories, values far out of its range; or on shares
        that differ by a tenth or more, and by more than chance (Fisher's exact test, for all columns together).
        """
        sure, notes = CHANCE / columns, []
        is_new = tally.missing > self.missing == 0
        if is_new or _differ(tally.missing, tally.rows, self.missing, self.rows, sure):
            notes = [f"{tally.missing} of {tally.rows} values are missing, in training {self.missing} of {self.rows}"]
        return notes + (self._on_new(part, tally, sure) or self._on_shift(part, tally, sure))

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

    def _on_shift(self, part: Column, tally: Tally, sure: float) -> list[str]:
        if not len(self.values) or tally.known < FEWEST_ROWS:
            return []
        now, then = tally.known, int(self.counts.sum() if part.holds == "names" else self.counts[-1])
        place = int(np.abs(tally.counts / now - self.counts / then).argmax())
        if not _differ(tally.counts[place], now, self.counts[place], then, sure):
            return []
        what = "are" if part.holds == "names" else "are at most"
        shares = tally.counts[place] / now, self.counts[place] / then
        return [f"{shares[0]:.0%} of values {what} {part.shown(self.values[place])}, in training {shares[1]:.0%}"]


def _values(part: Column, series: Any) -> np.ndarray:
    """Return the known values of a column as its part reads them: numbers, days since 1970, names, or none of text."""
    if part.holds == "names":
        return as_names(series[series.notna()]).astype(str)
    x = part.read(series) if part.holds == "numbers" else np.empty(0)
    return ordinary(x[~np.isnan(x)])


def _differ(k: int, n: int, of_training: int, rows: int, sure: float) -> bool:
    """Return whether a share k / n is a tenth or more from that of training, and not by chance."""
    from scipy.stats import fisher_exact

    if abs(k / n - of_training / rows) < SHIFT:
        return False
    found: Any = fisher_exact([[k, n - k], [of_training, rows - of_training]])
    return bool(found.pvalue < sure)


@dataclass(frozen=True, eq=False)
class TrainedRows:
    """Digests of rows of training, by which they are recognized in another table.

    The digests are sorted, of at most 10,000 rows, evenly spaced; ``rows`` is the number of all.

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
    columns = []
    for name, part in zip(encoder.names, encoder.parts, strict=True):
        if part.holds == "numbers":
            x = part.read(frame[name]) + 0.0  # no -0
            columns.append(np.where(np.isnan(x), np.nan, x))
        else:
            columns.append(as_names(frame[name]) if part.holds == "names" else frame[name].astype(str).to_numpy())
    return pandas().util.hash_pandas_object(pandas().DataFrame(dict(enumerate([*columns, y]))), index=False).to_numpy()


def tallies(model: Any, frame: Frame, before: list[Tally] | None = None) -> list[Tally]:
    """Return the counts of each column of a table in the terms of a model's training, added to those before."""
    encoder, profiles = model.encoder_, model.profiles_
    columns = zip(profiles, encoder.names, encoder.parts, strict=True)
    new = [profile.tally(part, frame[name]) for profile, name, part in columns]
    return new if before is None else [of.plus(*both) for of, *both in zip(profiles, before, new, strict=True)]


def drift(model: Any, tallies: list[Tally]) -> dict[str, list[str]]:
    """Return the ends of sentences on how each column of a table differs from that of training, by its counts."""
    columns = zip(model.encoder_.names, model.encoder_.parts, model.profiles_, tallies, strict=True)
    return {name: profile.notes(part, tally, len(tallies)) for name, part, profile, tally in columns}


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
        require_inputs(encoder.names, frame)
        self.of_tables |= dict.fromkeys(frame.attrs.get("notes", []))
        unknown = [repr(name) for name in frame.columns if name not in encoder.names and name not in encoder.dropped]
        if unknown:
            self.unlike[f"Not used, since training had none of this name: {', '.join(unknown[:5])}."] = None
        self.misfits = encoder.misfits(frame, self.misfits)
        self.tallies = tallies(self.model, frame, self.tallies)

    def notes(self) -> list[str]:
        """Return sentences on the parts that were seen."""
        misfits = self.model.encoder_.notes_on(self.misfits) if self.misfits else []
        drifts = drift(self.model, self.tallies) if self.tallies else {}
        of_drifts = [f"Column {name!r}: {note}." for name, notes in drifts.items() for note in notes]
        return [*self.of_tables, *misfits, *self.unlike, *of_drifts]


LEAKS_FROM = 50
"""In fewer rows than this, a column may tell the target by chance."""
MOST_JUDGED = 100_000
"""Of more rows than this a random sample is judged."""
EXPLAINED = 0.98
"""A column that explains this share of the target's variance tells it almost exactly."""
NO_LEAK = 1e-6
"""What would happen by chance with a smaller probability than this is no chance."""


def leaks(frame: Frame, target: np.ndarray) -> list[str]:
    """Return a note for each column that alone tells the target, or is filled for one class only; from 50 rows on.

    A column tells the target if it explains 98 % of its variance, see `explained`, so that noise or another scale hides
    no copy. Columns of text count if they have a fifth as many values as rows, or fewer.

    Examples
    --------
    >>> frame = pandas().DataFrame({"age": np.arange(60) % 7, "pounds": 2.2 * np.arange(60)})
    >>> leaks(frame, np.arange(60.0))
    ["Column 'pounds' tells the target almost exactly: leave it out if it would not be known when predicting."]
    """
    if len(frame) < LEAKS_FROM:
        return []
    rows = np.random.default_rng(0).permutation(len(frame))[:MOST_JUDGED]
    of_rows = np.asarray(target)[rows]
    classes, codes = np.unique(of_rows, return_inverse=True)
    is_classes = of_rows.dtype.kind not in "iuf" or len(classes) <= MOST_CLASSES
    y = codes.astype(float) if is_classes else ordinary(of_rows.astype(float))
    if y.min() == y.max():
        return []
    notes = []
    for name in frame.columns:
        series = frame[name].iloc[rows]
        x = _as_values(series)
        found, if_known = "", "it is filled in when the target is known"
        if x is not None and explained(x, y, is_classes=is_classes) >= EXPLAINED:
            found, if_known = "tells the target almost exactly", "it would not be known when predicting"
        elif is_classes:
            is_missing = series.isna().to_numpy()
            for own, what in ((is_missing, "is missing"), (~is_missing, "has values")):
                if (
                    own.any()
                    and not own.all()
                    and np.ptp(y[own]) == 0
                    and np.mean(y == y[own][0]) ** own.sum() < NO_LEAK
                ):
                    found = f"{what} only where the target is {classes[int(y[own][0])]}"
        if found:
            notes.append(f"Column {name!r} {found}: leave it out if {if_known}.")
    return notes


def explained(x: np.ndarray, y: np.ndarray, *, is_classes: bool) -> float:
    """Return the share of a target's variance that is not between rows whose values of a column are neighbours.

    Rows are sorted by the column. Half the mean squared difference of neighbours estimates the variance that a function
    of the column would leave (von Neumann, 1941); of classes, numbered from 0, it is the share of neighbours that
    differ, beyond the borders that each order of classes has. Missing values are neighbours of each other. Values that
    are few are sorted by their mean target.

    Examples
    --------
    >>> x = np.arange(100.0)
    >>> explained(x, np.sin(x / 20), is_classes=False) > 0.99, explained(x, x % 2, is_classes=True)
    (True, 0.0)
    """
    values, codes = np.unique(x, return_inverse=True)
    if 5 * len(values) <= len(x):
        codes = (np.bincount(codes, y) / np.bincount(codes))[codes]
    y = y[np.argsort(codes, kind="stable")]
    if not is_classes:
        return max(1 - float(np.mean(np.diff(y) ** 2) / (2 * y.var())), 0.0)
    shares = np.bincount(y.astype(int)) / len(y)
    borders = np.count_nonzero(np.diff(y)) - (np.count_nonzero(shares) - 1)
    return max(1 - float(borders / (len(y) - 1) / (1 - shares @ shares)), 0.0)


def _as_values(series: Any) -> np.ndarray | None:
    """Return a column as numbers, in which equal values are equal, or None if they say nothing of other rows."""
    x, unread = as_numbers(series)
    if not unread:
        return ordinary(x)
    codes, names = pandas().factorize(as_names(series))
    return codes.astype(float) if 5 * len(names) <= len(codes) else None
