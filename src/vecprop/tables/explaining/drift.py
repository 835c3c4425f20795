"""Drift between a table and the training data."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy import ndarray
from scipy.special import erfc

from ...system.estimates import percents
from ..encoding.column import Column, Misfit
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder, Misfits, require_inputs
from ..encoding.folds import group_numbers
from ..error import Note, note_about
from ..kinds.values import as_names
from ..reading.frames import Frame, as_frame
from ..reading.reading import may_be_in_parts
from ..reading.table_parts import frames_of
from ..rows import OF_GROUPS

QUANTILES = 20
"""The distribution of a numeric column is stored as the counts below this number of
quantiles.
"""
MAX_CATEGORIES = 4096
"""Above this number of categories, the counts of categories are not stored."""
SHIFT = 0.1
"""Drift is reported if a share differs from the training share by at least this
number.
"""
MIN_ROWS = 30
"""Minimum number of values to compare distributions, because fewer rows are often
not a random sample.
"""
CHANCE = 0.005
"""False-positive rate of each kind of note."""
CENTURY = 36_525.0
"""New dates may be this number of days later than the training dates."""


class Tally(NamedTuple):
    """Counts of a column's values, summed over the chunks of a table.

    For each of the V values of a `Profile`, ``counts`` contains the number of rows with
    at most this number, or with exactly this category. ``units`` is the number of
    independent rows.
    """

    rows: int
    units: float
    missing: int
    present: int
    counts: ndarray
    beyond: int = 0
    farthest: Any = None


def independent_rows(groups: ndarray) -> float:
    """Return the effective number of groups (Kish, 1965), given indices of groups."""
    return float(len(groups) ** 2 / np.sum(np.bincount(groups) ** 2.0))


@dataclass(frozen=True, eq=False)
class Profile:
    """The missing values and the distribution of a training column.

    Parameters
    ----------
    values : ndarray (V,)
        Quantiles of numbers or dates, including the minimum and the maximum, or the
        sorted categories. For text, the array is empty.
    per_row : float
        The number of independent rows per row. With groups, it is the effective number
        of groups per row.
    rare : int
        The number of rows whose category occurs in a single row, or with groups in a
        single group.
    misfits : int
        The number of values that cannot be used unchanged.
    later : float
        How far new values may exceed the training values. Only times may exceed them.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import NumberInputs
    >>> series = pd.Series([20.0, 30.0, 40.0, 70.0])
    >>> part = NumberInputs.of(series)
    >>> profile = Profile.learn(part, series)
    >>> tally = profile.tally(part, pd.Series([30.0, 500.0]))
    >>> tally.beyond, tally.farthest
    (1, 500.0)
    """

    rows: int
    missing: int
    values: ndarray
    counts: ndarray
    per_row: float = 1.0
    rare: int = 0
    misfits: int = 0
    later: float = 0.0

    @classmethod
    def learn(
        cls,
        part: Column,
        series,
        groups: ndarray | None = None,
        is_time: bool = False,
    ) -> Self:
        """Return the profile of a training column, given the group number of each row."""
        values = _values(part, series)
        misfit = part.misfit(series)
        rare = 0
        if part.holds == "names":
            values, codes, counts = np.unique(
                values, return_inverse=True, return_counts=True
            )
            units = np.arange(len(codes))
            if groups is not None:
                units = groups[series.notna()]
            # a code for each distinct pair of category and unit
            code_of_pair, _ = np.unique(np.stack([codes, units]), axis=1)
            rare = int(counts[np.bincount(code_of_pair) == 1].sum())
            if len(values) > MAX_CATEGORIES:
                values = values[:0]
                counts = counts[:0]
        else:
            numbers = np.sort(values)
            if len(numbers):
                shares = np.linspace(0, 1, QUANTILES + 1)
                values = np.unique(np.quantile(numbers, shares, method="nearest"))
            counts = np.searchsorted(numbers, values, side="right")
        per_row = 1.0
        if groups is not None:
            per_row = independent_rows(groups) / len(series)
        later = 0.0
        if is_time:
            later = np.inf
        elif part.kind == "dates":
            later = CENTURY
        return cls(
            len(series),
            int(series.isna().sum()),
            values,
            counts=counts,
            per_row=per_row,
            rare=rare,
            misfits=0 if misfit is None else misfit.count,
            later=later,
        )

    def tally(self, part: Column, series, units: float | None = None) -> Tally:
        """Return the counts of a column, given the number of independent rows."""
        values = _values(part, series)
        counts = self.counts
        distance = np.zeros(len(values))
        if part.holds == "names" and len(self.values):
            codes = np.searchsorted(self.values[:-1], values)
            is_new = self.values[codes] != values
            counts = np.bincount(codes[~is_new], minlength=len(self.values))
            distance = is_new.astype(float)
        elif len(self.values):
            counts = np.searchsorted(np.sort(values), self.values, side="right")
            distance = self.distance(values)
        beyond = int(np.count_nonzero(distance))
        farthest = None
        if beyond:
            # of new categories, the first one
            farthest = values[distance.argmax()].item()
        return Tally(
            rows=len(series),
            units=units or len(series),
            missing=int(series.isna().sum()),
            present=len(values),
            counts=counts,
            beyond=beyond,
            farthest=farthest,
        )

    def plus(self, first: Tally, second: Tally) -> Tally:
        """Return the sum of the tallies of two chunks."""
        farthest = first.farthest
        if farthest is None:
            farthest = second.farthest
        elif isinstance(farthest, float) and second.farthest is not None:
            farthest = max(farthest, second.farthest, key=self.distance)
        return Tally(
            rows=first.rows + second.rows,
            units=first.units + second.units,
            missing=first.missing + second.missing,
            present=first.present + second.present,
            counts=first.counts + second.counts,
            beyond=first.beyond + second.beyond,
            farthest=farthest,
        )

    def distance(self, x):
        """Return the distance of numbers from the training range, or 0 inside it."""
        above = x - self.values[-1]
        return np.maximum(self.values[0] - x, np.where(above > self.later, above, 0))


@dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of a column of a table with its training distribution.

    Notes report new missing values, new categories, values outside the training range,
    and shares that differ by 0.1 or more. The tests are Fisher's exact test for shares,
    and the rank-sum and Kolmogorov-Smirnov tests for numbers. With at least 30 rows,
    their level is Bonferroni-corrected for the number of columns. With groups, the
    tests count groups instead of rows.

    Parameters
    ----------
    share : float
        The number of independent rows per row of the table, at most as in training.
    is_sample : bool
        Whether there are enough rows to compare distributions.
    level : float
        The significance level.
    """

    profile: Profile
    part: Column
    tally: Tally
    share: float
    is_sample: bool
    level: float

    def notes(self) -> list[str]:
        """Return the significant differences."""
        notes = [self.missing_note(), self.outside_note() or self.distribution_note()]
        return [note for note in notes if note]

    def chance(
        self,
        count: int,
        trained: int,
        alternative: str,
        rows: int = 0,
        trained_rows: int = 0,
    ) -> float:
        """Return the p-value of Fisher's exact test for shares of rows."""
        from scipy.stats import fisher_exact

        rows = rows or self.tally.rows
        trained_rows = trained_rows or self.profile.rows
        counts = np.array([[count, rows], [trained, trained_rows]])
        per_row = np.array([[self.share], [self.profile.per_row]])
        units = np.ceil(counts * per_row * (1 - 1e-12))
        units[:, 1] -= units[:, 0]
        test: Any = fisher_exact(units, alternative)
        return float(test.pvalue)

    def is_unusual(self, misfit: Misfit) -> bool:
        """Return whether misfits are more frequent than in training."""
        trained = self.profile.misfits
        if self.part.holds == "names":
            return False  # `outside_note` reports new categories
        if trained and not self.is_sample:
            return False
        if not misfit.count or not (trained or misfit.names):
            return True
        increase = misfit.count / self.tally.rows - trained / self.profile.rows
        if misfit.names and increase < SHIFT:
            return False
        return self.chance(misfit.count, trained, "greater") < self.level

    def missing_note(self) -> str:
        """Return a note if more or fewer values are missing than in training, or ""."""
        tally = self.tally
        profile = self.profile
        increase = tally.missing / tally.rows - profile.missing / profile.rows
        is_shift = self.is_sample and abs(increase) >= SHIFT
        is_new = tally.missing and not profile.missing
        if not is_new and not is_shift:
            return ""
        if self.chance(tally.missing, profile.missing, "two-sided") >= self.level:
            return ""
        return (
            f"{tally.missing} of {tally.rows} values are missing ({profile.missing} of"
            f" {profile.rows} in training)"
        )

    def outside_note(self) -> str:
        """Return a note on new categories or numbers outside the range, or ""."""
        tally = self.tally
        profile = self.profile
        part = self.part
        if not tally.beyond:
            return ""
        if part.holds == "names":  # compare with categories that occur once in training
            chance = self.chance(tally.beyond, profile.rare, "greater")
            if chance >= self.level and (self.is_sample or profile.rare):
                return ""
            return (
                f"{tally.beyond} of {tally.rows} rows have categories that did not"
                f" occur in training, such as {tally.farthest!r}"
            )
        if not self.is_outside():
            return ""
        low = part.shown(profile.values[0])
        high = part.shown(profile.values[-1])
        unit = " days" if part.kind == "dates" else ""
        return (
            f"{tally.beyond} of {tally.rows} values are outside the training range"
            f" {low} to {high}, the farthest ({part.shown(tally.farthest)}) by"
            f" {profile.distance(tally.farthest):.4g}{unit}"
        )

    def is_outside(self) -> bool:
        """Return whether values outside the training range cannot be chance.

        There are too many of them, or they are too far outside. Distances from the
        median are assumed to have a power-law tail, estimated from the training values.
        """
        profile = self.profile
        tally = self.tally
        units = self.share * tally.rows
        share = units / (units + profile.rows * profile.per_row)
        beyond = max(tally.beyond * self.share, 1)
        if (beyond + 1) * share**beyond < self.level:
            return True
        count = profile.counts[-1] * profile.per_row
        outer = np.clip(10 / count, 0.05, 0.25)
        quantiles = profile.counts[-1] * np.array([outer, 0.5, 0.995 - outer])
        low, middle, high = profile.values[np.searchsorted(profile.counts, quantiles)]
        if tally.farthest > middle:
            edge = profile.values[-1] - middle
            reach = high - middle
        else:
            edge = middle - profile.values[0]
            reach = middle - low
        if edge == 0:
            return True
        # the largest or smallest of few values, such as counts
        if edge == reach and len(profile.values) > 2:
            edge += min(np.diff(profile.values))
        tail = 1.0
        if reach:
            tail = np.log(edge / reach) / np.log(max(count * outer, 2))
        factor = 1 + profile.distance(tally.farthest) / edge
        chance = 2 * share * factor ** (-1 / np.clip(tail, 2 / count, 2))
        return bool(chance < self.level)

    def distribution_note(self) -> str:
        """Return a note if the distributions differ, except by later times, or ""."""
        profile = self.profile
        rows = self.tally.present
        if not len(profile.values) or rows * self.share < MIN_ROWS:
            return ""
        is_names = self.part.holds == "names"
        trained_rows = int(profile.counts.sum() if is_names else profile.counts[-1])
        shares = self.tally.counts / rows
        trained_shares = profile.counts / trained_rows
        differences = shares - trained_shares
        if not profile.later:
            differences = np.abs(differences)
        largest = int(differences.argmax())
        if differences[largest] < SHIFT:
            return ""
        value = self.part.shown(profile.values[largest])
        if is_names:
            chance = len(shares) * self.chance(
                int(self.tally.counts[largest]),
                int(profile.counts[largest]),
                "two-sided",
                rows=rows,
                trained_rows=trained_rows,
            )
        else:
            value = f"at most {value}"
            difference = differences[largest]
            chance = self.chance_of_numbers(shares, trained_shares, difference)
        if chance >= self.level:
            return ""
        share, trained_share = percents(
            shares[largest], trained_shares[largest], unit="%"
        )
        return f"{share} of values are {value} ({trained_share} in training)"

    def chance_of_numbers(
        self, shares: ndarray, trained_shares: ndarray, difference: float
    ) -> float:
        """Return twice the smaller p-value of Kolmogorov-Smirnov and rank-sum test."""
        profile = self.profile
        trained_units = profile.counts[-1] * profile.per_row
        spread = 1 / (self.tally.present * self.share) + 1 / trained_units
        # between the values
        mean_ranks = (np.append(0, trained_shares) + np.append(trained_shares, 1)) / 2
        fall = 0.5 - np.diff(shares, prepend=0, append=1) @ mean_ranks
        if not profile.later:
            fall = abs(fall)
        rank_sum = erfc(max(fall, 0) * np.sqrt(6 / spread))
        return 2 * min(2 * np.exp(-2 * difference**2 / spread), rank_sum)


def _values(part: Column, series) -> ndarray:
    """Return the nonmissing numbers, days or names, or an empty array for text."""
    if part.holds == "names":
        return as_names(series[series.notna()]).astype(str)
    if part.holds == "other":
        return np.empty(0)
    x = part.read(series)
    return ordinary(x[~np.isnan(x)])


def profiles(
    encoder: Encoder,
    frame: Frame,
    groups: ndarray | None = None,
    time: str | None = None,
) -> list[Profile]:
    """Return the profile of each column; ``time`` names the column of times."""
    return [
        Profile.learn(part, frame[name], groups, is_time=name == time)
        for name, part in encoder.columns
    ]


def tallies(model, frame: Frame, before: list[Tally] | None = None) -> list[Tally]:
    """Return the tally of each column, added to the tallies of earlier chunks."""
    units = None
    for name, reason in model.encoder_.dropped.items():
        if reason == OF_GROUPS and name in frame:
            units = independent_rows(group_numbers(frame[name]))
    tallies = []
    for number, (name, part) in enumerate(model.encoder_.columns):
        profile = model.profiles_[number]
        tally = profile.tally(part, frame[name], units)
        if before is not None:
            tally = profile.plus(before[number], tally)
        tallies.append(tally)
    return tallies


def comparisons(model, tallies: list[Tally]) -> dict[str, Comparison]:
    """Return the comparison of each column with its training distribution."""
    comparisons = {}
    columns = zip(model.encoder_.columns, model.profiles_, tallies, strict=True)
    for (name, part), profile, tally in columns:
        share = max(min(tally.units / tally.rows, profile.per_row), 1 / tally.rows)
        is_sample = share * tally.rows >= MIN_ROWS
        comparisons[name] = Comparison(
            profile,
            part,
            tally,
            share=share,
            is_sample=is_sample,
            level=CHANCE / len(tallies) if is_sample else CHANCE,
        )
    return comparisons


def drift_notes(model, X) -> list[str]:
    """Return notes on the differences between a table and the training data, without the notes of training."""
    monitor = DriftMonitor(model)
    chunks = frames_of(X) if may_be_in_parts(X) else [X]
    for chunk in chunks:
        monitor.add(model._table(chunk))
    return [note for note in monitor.notes() if note not in model.notes_]


class DriftMonitor:
    """Compares a table, chunk by chunk, with the training data of a model."""

    def __init__(self, model):
        self.model = model
        self.tallies: list[Tally] | None = None
        self.misfits: Misfits = {}
        self.notes_on_tables: list[str] = []
        self.ignored: list[str] = []

    def add(self, frame: Frame):
        """Add the next chunk."""
        if not hasattr(self.model, "encoder_"):
            return
        frame = as_frame(frame).drop(columns=self.model.target or [], errors="ignore")
        encoder = self.model.encoder_
        require_inputs(encoder.names, frame)
        self.notes_on_tables += frame.attrs.get("notes", [])
        unknown = [
            repr(name)
            for name in frame.columns
            if name not in encoder.names and name not in encoder.dropped
        ]
        if unknown:
            text = (
                "Ignored columns that were not in the training table:"
                f" {', '.join(unknown[:5])}."
            )
            self.ignored.append(Note(text, "unused"))
        self.misfits = encoder.misfits(frame, self.misfits)
        self.tallies = tallies(self.model, frame, self.tallies)

    def notes(self) -> list[str]:
        """Return notes on all chunks."""
        if self.tallies is None:
            return []
        columns = comparisons(self.model, self.tallies)
        notes = []
        for name, comparison in columns.items():
            for difference in comparison.notes():
                notes.append(note_about(f"Column {name!r}", difference, name))
        unusual = {}
        for (name, message), misfit in self.misfits.items():
            if columns[name].is_unusual(misfit):
                unusual[name, message] = misfit
        notes += self.notes_on_tables
        notes += self.model.encoder_.notes_on(unusual)
        notes += self.ignored
        return list(dict.fromkeys(notes))
