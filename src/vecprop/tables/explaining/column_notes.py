"""Notes on columns: drift between a table and the training data, leaks, groups and odd targets."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import erfc

from ..encoding.column import Column, row_named
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder, Misfits, require_inputs
from ..error import pandas
from ..kinds.ambiguities import note_on_amounts, note_on_numbers
from ..kinds.kinds import MAX_CLASSES
from ..kinds.values import as_names
from ..reading.frames import Frame, as_frame

QUANTILES = 20
"""The distribution of a numeric column is stored as the counts below this number of quantiles."""
MAX_CATEGORIES = 4096
"""Above this number of categories, the counts of categories are not stored."""
SHIFT = 0.1
"""Drift is reported if a share differs from the training share by at least this number."""
MIN_ROWS = 30
"""Minimum number of values to compare distributions, because fewer rows are often not a random sample."""
MAX_DIGESTS = 10_000
"""Maximum number of training rows whose digests are stored (80 KB)."""
CHANCE = 0.005
"""False-positive rate of each kind of note."""


class Tally(NamedTuple):
    """Counts of a column's values, summed over the chunks of a table.

    For each of the V values of a `Profile`, ``counts`` contains the number of rows with at most this number, or with
    exactly this category.
    """

    rows: int
    missing: int
    known: int
    counts: np.ndarray
    beyond: int = 0
    farthest: Any = None


@dataclass(frozen=True, eq=False)
class Profile:
    """The missing values and the distribution of a training column.

    The array ``values`` contains quantiles of numbers or dates, including the minimum and the maximum, or the sorted
    categories. For text, the array is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import NumberInputs
    >>> series = pd.Series([20.0, 30.0, 40.0, 70.0])
    >>> part = NumberInputs.of(series)
    >>> profile = Profile.of(part, series)
    >>> profile.notes(part, profile.tally(part, pd.Series([30.0, 500.0])), columns=1)
    ['1 of 2 values are outside the training range 20 to 70, the farthest (500) by 430']
    """

    rows: int
    missing: int
    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, part: Column, series: Any) -> "Profile":
        """Return the profile of a training column."""
        rows, missing, known = len(series), int(series.isna().sum()), _values(part, series)
        if part.holds == "names":
            values, counts = np.unique(known, return_counts=True)
            stored = slice(len(values) if len(values) <= MAX_CATEGORIES else 0)
            return cls(rows, missing, values[stored], counts[stored])
        known, quantiles = np.sort(known), np.linspace(0, 1, QUANTILES + 1)
        values = np.unique(np.quantile(known, quantiles, method="nearest")) if len(known) else known
        return cls(rows, missing, values, np.searchsorted(known, values, side="right"))

    def tally(self, part: Column, series: Any) -> Tally:
        """Return the counts of the column in another table."""
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
        """Return the sum of the tallies of two chunks."""
        sums: list[Any] = [here + there for here, there in zip(one[:-1], other[:-1], strict=True)]
        ends = [tally.farthest for tally in (one, other) if tally.farthest is not None]
        if len(ends) == 2 and not isinstance(ends[0], str):
            ends = [max(ends, key=self.distance)]
        return Tally(*sums, farthest=ends[0] if ends else None)

    def distance(self, x: Any) -> Any:
        """Return the distance of numbers from the training range, which is 0 for numbers inside it."""
        return np.maximum(np.maximum(self.values[0] - x, x - self.values[-1]), 0)

    def notes(self, part: Column, tally: Tally, columns: int) -> list[str]:
        """Return the significant differences between a column and its training distribution.

        Notes report new missing values, new categories, values outside the training range, and shares that differ by
        0.1 or more. The tests are Fisher's exact test for shares, and the rank-sum and Kolmogorov-Smirnov tests for
        numbers. With at least 30 rows, their level is Bonferroni-corrected for the number of columns.
        """
        rows, sure, notes = tally.rows, CHANCE / columns if tally.rows >= MIN_ROWS else CHANCE, []
        is_names = part.holds == "names"
        is_new = tally.missing > self.missing == 0
        if (is_new or abs(tally.missing / rows - self.missing / self.rows) >= SHIFT) and (
            _chance(tally.missing, rows, self.missing, self.rows) < sure
        ):
            notes = [f"{tally.missing} of {rows} values are missing ({self.missing} of {self.rows} in training)"]
        if tally.beyond and is_names:  # compare with categories that occur once in training
            if _chance(tally.beyond, rows, int((self.counts == 1).sum()), self.rows, "greater") < sure:
                what = f"have categories that did not occur in training, such as {tally.farthest!r}"
                return [*notes, f"{tally.beyond} of {rows} rows {what}"]
        elif tally.beyond and self._is_beyond(tally, sure):
            low, high, farthest = (part.shown(value) for value in (self.values[0], self.values[-1], tally.farthest))
            far = f"{self.distance(tally.farthest):.4g}{' days' if part.kind == 'dates' else ''}"
            what = f"outside the training range {low} to {high}, the farthest ({farthest}) by {far}"
            return [*notes, f"{tally.beyond} of {rows} values are {what}"]
        if not len(self.values) or (now := tally.known) < MIN_ROWS:
            return notes
        then = int(self.counts.sum() if is_names else self.counts[-1])
        ours, theirs = tally.counts / now, self.counts / then
        place = int(np.abs(ours - theirs).argmax())
        largest, both = abs(ours[place] - theirs[place]), 1 / now + 1 / then
        if is_names:
            chance = len(ours) * _chance(tally.counts[place], now, self.counts[place], then)
        else:
            middles = (np.append(0, theirs) + np.append(theirs, 1)) / 2  # mean training ranks between values
            apart = abs(np.diff(ours, prepend=0, append=1) @ middles - 0.5)
            chance = 2 * min(2 * np.exp(-2 * largest**2 / both), erfc(apart * np.sqrt(6 / both)))
        if largest >= SHIFT and chance < sure:
            what = f"are {'' if is_names else 'at most '}{part.shown(self.values[place])}"
            notes.append(f"{ours[place]:.0%} of values {what} ({theirs[place]:.0%} in training)")
        return notes

    def _is_beyond(self, tally: Tally, sure: float) -> bool:
        """Return whether the values outside the training range are too many or too far to be chance.

        Distances from the median are assumed to have a power-law tail, estimated from the training values.
        """
        count, share = self.counts[-1], tally.rows / (tally.rows + self.rows)
        if (tally.beyond + 1) * share**tally.beyond < sure:
            return True
        low, middle, high = self.values[np.searchsorted(self.counts, count * np.array([0.05, 0.5, 0.945]))]
        inner, end = (high, self.values[-1]) if tally.farthest > middle else (low, self.values[0])
        edge, reach = abs(end - middle), abs(inner - middle)
        if edge == 0:
            return True
        tail = np.log(edge / reach) / np.log(max(count / 20, 2)) if reach else 1.0
        factor = 1 + self.distance(tally.farthest) / edge
        return bool(2 * share * factor ** (-1 / np.clip(tail, 2 / count, 2)) < sure)


def _values(part: Column, series: Any) -> np.ndarray:
    """Return the nonmissing values as numbers, days since 1970 or names, or an empty array for text columns."""
    if part.holds == "names":
        return as_names(series[series.notna()]).astype(str)
    x = part.read(series) if part.holds == "numbers" else np.empty(0)
    return ordinary(x[~np.isnan(x)])


def _chance(k: int, n: int, of_training: int, rows: int, how: str = "two-sided") -> float:
    """Return the p-value of Fisher's exact test for the shares k / n and of_training / rows."""
    from scipy.stats import fisher_exact

    found: Any = fisher_exact([[k, n - k], [of_training, rows - of_training]], how)
    return float(found.pvalue)


@dataclass(frozen=True, eq=False)
class TrainedRows:
    """Digests of training rows, to find duplicates of them in another table.

    The digests of at most 10,000 evenly spaced rows are stored in order. ``rows`` is the number of all training rows.

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
        """Compute the digests of a frame and its targets. The frame may be a sample of a table with ``rows`` rows."""
        some = np.unique(np.linspace(0, len(frame) - 1, MAX_DIGESTS).astype(int))
        return cls(np.sort(_digests(encoder, frame.iloc[some], y[some])), rows)

    def count(self, encoder: Encoder, frame: Frame, y: np.ndarray) -> float:
        """Return the number of rows that duplicate training rows (an estimate if not all of them have digests)."""
        found = int(np.isin(_digests(encoder, frame, y), self.digests).sum())
        return found * self.rows / len(self.digests)

    def not_by_chance(self, count: float, rows: int) -> tuple[int, list[str]]:
        """Return how many of ``rows`` rows duplicate training rows, if it is more than by chance, and a note."""
        _, counts = np.unique(self.digests, return_counts=True)
        share, found = counts[counts > 1].sum() / len(self.digests), min(round(count), rows)
        if found <= rows * share + 3 * np.sqrt(rows * share * (1 - share)):
            return 0, []
        about = "" if len(self.digests) == self.rows else "About "
        duplicates = f"{about}{found} of {rows} rows are exact duplicates of training rows"
        return found, [f"{duplicates}, so results on them are too optimistic."]


def _digests(encoder: Encoder, frame: Frame, y: np.ndarray) -> np.ndarray:
    """Return a hash of the parsed values and the target of each row."""
    columns = []
    for name, part in zip(encoder.names, encoder.parts, strict=True):
        if part.holds == "numbers":
            x = part.read(frame[name]) + 0.0  # no -0
            columns.append(np.where(np.isnan(x), np.nan, x))
        else:
            columns.append(as_names(frame[name]) if part.holds == "names" else frame[name].astype(str).to_numpy())
    return pandas().util.hash_pandas_object(pandas().DataFrame(dict(enumerate([*columns, y]))), index=False).to_numpy()


def tallies(model: Any, frame: Frame, before: list[Tally] | None = None) -> list[Tally]:
    """Return the tally of each column of a table, added to the tallies of earlier chunks."""
    encoder, profiles = model.encoder_, model.profiles_
    columns = zip(profiles, encoder.names, encoder.parts, strict=True)
    new = [profile.tally(part, frame[name]) for profile, name, part in columns]
    return new if before is None else [of.plus(*both) for of, *both in zip(profiles, before, new, strict=True)]


def drift(model: Any, tallies: list[Tally]) -> dict[str, list[str]]:
    """Return the differences between each column and its training distribution."""
    columns = zip(model.encoder_.names, model.encoder_.parts, model.profiles_, tallies, strict=True)
    return {name: profile.notes(part, tally, len(tallies)) for name, part, profile, tally in columns}


class DriftMonitor:
    """Compares a table, chunk by chunk, with the training data of a model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.tallies: list[Tally] | None = None
        self.misfits: Misfits = {}
        self.of_tables: dict[str, None] = {}
        self.ignored: dict[str, None] = {}

    def add(self, frame: Frame) -> None:
        """Add the next chunk."""
        if not hasattr(self.model, "encoder_"):
            return
        frame = as_frame(frame).drop(columns=self.model.target or [], errors="ignore")
        encoder = self.model.encoder_
        require_inputs(encoder.names, frame)
        self.of_tables |= dict.fromkeys(frame.attrs.get("notes", []))
        unknown = [repr(name) for name in frame.columns if name not in encoder.names and name not in encoder.dropped]
        if unknown:
            self.ignored[f"Ignored columns that were not in the training table: {', '.join(unknown[:5])}."] = None
        self.misfits = encoder.misfits(frame, self.misfits)
        self.tallies = tallies(self.model, frame, self.tallies)

    def notes(self) -> list[str]:
        """Return notes on all chunks."""
        misfits = self.model.encoder_.notes_on(self.misfits) if self.misfits else []
        drifts = drift(self.model, self.tallies) if self.tallies else {}
        of_drifts = [f"Column {name!r}: {note}." for name, notes in drifts.items() for note in notes]
        return [*of_drifts, *self.of_tables, *misfits, *self.ignored]


MIN_LEAK_ROWS = 50
"""Minimum number of rows to look for leaks, because columns can predict the target of few rows by chance."""
MAX_LEAK_ROWS = 20_000
"""Above this number of rows, only a random sample is checked for leaks."""
EXPLAINED = 0.98
"""A column that explains at least this share of the target's variance is a leak."""
ALONE_FROM, OF_NUMBERS, OF_CLASSES = 100, (0.9, 1.3), (0.85, 2.0)
"""Minimum number of rows to report strong columns. For each task, a strong column explains at least the first share of
the variance, and its unexplained variance is at most the model's, multiplied by the second number."""
FOLLOWS = 0.5
"""A date or group that explains at least this share of the target's variance is reported."""
SHARED = 0.1
"""This share is enough for groups whose rows also have equal values in another column."""
NO_LEAK = 1e-6
"""A pattern of missing values is a leak if its p-value is below this limit."""
IF_KNOWN = "leave it out if it is unknown at prediction time."


def leaks(
    encoder: Encoder, frame: Frame, target: np.ndarray, *, are_apart: bool = False
) -> tuple[list[str], dict[str, float]]:
    """Return notes on leaks, groups and time dependence, and the explained variance of other strong columns.

    A column leaks the target if it explains 98 % of its variance (see `explained`), even if it is noisy or rescaled, or
    if it has values only in rows of one class. Text is examined if it has at most a fifth as many values as rows.
    Tables with fewer than 50 rows get no notes. With ``are_apart``, groups and time dependence are not examined.

    Examples
    --------
    >>> frame = pandas().DataFrame({"age": np.arange(60) % 7, "pounds": 2.2 * np.arange(60)})
    >>> leaks(Encoder.of(frame)[0], frame, np.arange(60.0))[0]
    ["Column 'pounds' predicts the target almost perfectly: leave it out if it is unknown at prediction time."]
    """
    if len(frame) < MIN_LEAK_ROWS:
        return [], {}
    rows = np.random.default_rng(0).permutation(len(frame))[:MAX_LEAK_ROWS]
    classes, codes = np.unique(target, return_inverse=True)
    is_classes = target.dtype.kind not in "iuf" or len(classes) <= MAX_CLASSES
    of_all = codes.astype(float) if is_classes else ordinary(target.astype(float))
    y = of_all[rows]
    if y.min() == y.max():
        return [], {}
    notes, alone, groups = [], {}, "" if are_apart else None
    for name, part in encoder.columns:
        series, found, x, if_known = frame[name].iloc[rows], "", None, IF_KNOWN
        if part.holds == "numbers":
            x = ordinary(part.read(series))
        else:
            codes, names = pandas().factorize(as_names(series))
            x = codes.astype(float) if 5 * len(names) <= len(codes) else None
        is_missing = series.isna().to_numpy()
        known = ~is_missing if part.kind == "dates" else np.full(len(y), True)
        share = (
            0.0 if x is None or len(np.unique(y[known])) < 2 else explained(x[known], y[known], is_classes=is_classes)
        )
        if is_classes:
            for own, what in ((is_missing, "is missing"), (~is_missing, "has values")):
                if 0 < own.sum() < len(own) and np.ptp(y[own]) == 0 and np.mean(y == y[own][0]) ** own.sum() < NO_LEAK:
                    found = f"{what} only where the target is {classes[int(y[own][0])]}"
                    if_known = "leave it out if it is filled in after the target is known."
        if part.kind == "dates" and share >= FOLLOWS:
            if not are_apart:
                advice = f"pass time={name!r} (--time) to predict later rows"
                notes.append(f"The target follows the date {name!r}, so random test rows are too easy: {advice}.")
        elif share >= EXPLAINED:
            found, if_known = "predicts the target almost perfectly", IF_KNOWN
        if found:
            notes.append(f"Column {name!r} {found}: {if_known}")
        elif share >= (OF_CLASSES if is_classes else OF_NUMBERS)[0] and len(y) >= ALONE_FROM and part.kind != "dates":
            alone[name] = share
        may_group = groups is None and part.kind != "dates" and part.holds != "other"
        count = frame[name].nunique() if may_group else len(frame)
        if 2 * count <= len(frame) <= count**2 and _are_groups(encoder, frame, name, of_all):
            groups, found = name, f"Rows with the same {name!r} are similar ({count} groups in {len(frame)} rows)"
            notes.append(f"{found}: pass groups={name!r} (--group) to predict new groups.")
    return notes, alone


def _are_groups(encoder: Encoder, frame: Frame, name: str, y: np.ndarray) -> bool:
    """Return whether rows with the same value in a column are similar, but rows with neighboring values are not.

    Rows are similar if their targets are similar, or if their targets are slightly similar and another column is equal.
    """
    part, is_known = dict(encoder.columns)[name], frame[name].notna().to_numpy()
    x = part.read(frame[name][is_known]) if part.holds == "numbers" else as_names(frame[name][is_known])
    if (x % 1).any() if part.holds == "numbers" else note_on_amounts(np.unique(x).tolist()):
        return False  # amounts, such as 1.5 or '72 m²'
    codes, z = (np.unique(of, return_inverse=True)[1] for of in (x, y[is_known]))
    rows, groups, z = len(x), codes.max() + 1, z - z.mean()

    def spread(codes: np.ndarray) -> float:
        """Return the variance of the target's rank within the groups that codes define."""
        return float(z @ z - np.sum(np.bincount(codes, z) ** 2 / np.bincount(codes))) / (rows - codes.max() - 1)

    of_all, of_one, of_two = map(spread, (0 * codes, codes, codes // 2))
    less = of_all - of_one
    are_neighbors_similar = part.holds == "numbers" and of_two - of_one < less / 4
    if less < max(SHARED, 4 * np.sqrt(2 * groups) / rows) * of_all or are_neighbors_similar:
        return False
    for other in (other for other, of in encoder.columns if of.holds != "other" and other != name):
        values = pandas().factorize(frame[other])[0][is_known] + 1
        each = (own * (len(frame) + 1) + values for own in (codes, codes // 2))
        changes, of_pairs = (len(np.unique(both)) - both.max() // (len(frame) + 1) - 1 for both in each)
        by_chance = (1 - np.sum((np.bincount(values) / rows) ** 2)) * groups / 2
        if changes < 0.01 * rows and of_pairs > by_chance / 2 > groups / 40:
            return True
    return less >= FOLLOWS * of_all


def strong_columns(alone: Mapping[str, float], T: np.ndarray, Y: np.ndarray) -> list[str]:
    """Return a note on each column that explains nearly as much of the target as the model does."""
    known = np.isfinite(Y[:, 0])
    T, Y = T[known].astype(float), Y[known]
    left = float(np.sum((T - Y) ** 2) / np.sum((T - T.mean(axis=0)) ** 2))
    of_model = f"of the target's variance, the model {1 - left:.0%}"
    return [
        f"Column {name!r} alone predicts nearly as well as the model (it explains {share:.0%} {of_model}): {IF_KNOWN}"
        for name, share in alone.items()
        if 1 - share <= (OF_NUMBERS if T.shape[1] == 1 else OF_CLASSES)[1] * left
    ]


TOTAL = re.compile(r"(grand )?total[se]?|totaal|sum(me)?|somme|(ins)?gesamt(summe)?")
"""Labels of rows that contain a total."""
JUMP = 10
"""Targets are extreme if they are this many times as far from the median as 99 % of the other targets."""


def odd_targets(frame: Frame, y: np.ndarray, named: str) -> list[str]:
    """Return notes on targets that encode missing values, are totals of other rows, or are extreme.

    Examples
    --------
    >>> odd_targets(pandas().DataFrame({"x": range(60)}), np.append(np.arange(59.0), 1e12), "The target")
    ['The target is 1e+12 in row 59, 3e+10 times as far from the median as other rows: remove rows with wrong values.']
    """
    rows, distance = len(y), np.abs(y - np.median(y))
    if rows < MIN_ROWS:
        return []
    if "missing values" in (note := note_on_numbers(y, named)):
        return [f"{named}: {note.partition(',')[0]}."]
    order = np.argsort(-distance, kind="stable")[: rows // 100 + 2]
    first, (far, next_to) = order[0], distance[[order[:-1], order[1:]]]
    where = row_named(frame.index, first)
    is_total = np.isclose(y.sum(), 2 * y[first], rtol=1e-9, atol=0)
    for name, value in frame.iloc[first].items():
        if isinstance(value, str) and TOTAL.fullmatch(value.strip().casefold()):
            is_total |= (frame[name] == value).sum() <= rows / MIN_LEAK_ROWS
    if is_total:
        return [f"{named} in {where} ({y[first]:.6g}) may be the total of the other rows: leave it out if so."]
    jumps = np.divide(far, next_to, where=next_to > 0, out=np.zeros(len(far)))
    if (jump := jumps.max()) < JUMP:
        return []
    more = f" and extreme in {jumps.argmax()} more rows" if jumps.argmax() else ""
    times = f"{jump:.1g} times as far from the median as other rows"
    return [f"{named} is {y[first]:.6g} in {where}{more}, {times}: remove rows with wrong values."]


RANKS = [
    r"(?i)\bnot used\b|^ignored columns",
    r"in training too|duplicates of training|than (for (new|those)|predicting)|too (easy|good)|leave it out if|"
    r"\(--group\)|remove rows|stand for missing|^There was no test|interrupted|do not count|^In the test",
]
"""Patterns of the least important notes, and of the most important ones."""


def ranked(notes: Iterable[str]) -> list[str]:
    """Return distinct notes sorted by importance: first on trust, then on parsing, then on unused columns.

    Examples
    --------
    >>> ranked(["Column 'a' is not used: empty.", "Rows without a target: 1 of 3.", "The test is too easy."])
    ['The test is too easy.', 'Rows without a target: 1 of 3.', "Column 'a' is not used: empty."]
    """
    last, first = map(re.compile, RANKS)
    return sorted(dict.fromkeys(notes), key=lambda note: 2 if last.search(note) else not first.search(note))


def explained(x: np.ndarray, y: np.ndarray, *, is_classes: bool) -> float:
    """Return the share of a target's variance that a column explains.

    Rows are sorted by the column. Half the mean squared difference of neighboring targets estimates the unexplained
    variance (von Neumann, 1941). For class indices, it is replaced by the share of neighbors that differ, minus the
    inevitable borders between classes. Missing values are sorted together. If there are few distinct values, they are
    sorted by their mean target.

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
