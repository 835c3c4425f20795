"""Notes on columns: drift between a table and the training data, leaks, groups and odd targets."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import erfc

from ...system.estimates import percents
from ..encoding.column import Column, Misfit, row_named
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder, Misfits, require_inputs
from ..encoding.folds import group_numbers
from ..error import pandas
from ..kinds.ambiguities import note_on_class_markers, note_on_numbers, note_on_spelling
from ..kinds.formats import Evidence
from ..kinds.kinds import DATES, MAX_CLASSES, tag_separator
from ..kinds.values import as_names
from ..reading.frames import Frame, as_frame
from ..rows import OF_GROUPS
from .relations import explained, relations

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
CENTURY = 36_525.0
"""New dates may be this number of days later than the training dates."""


class Tally(NamedTuple):
    """Counts of a column's values, summed over the chunks of a table.

    For each of the V values of a `Profile`, ``counts`` contains the number of rows with at most this number, or with
    exactly this category. ``units`` is the number of independent rows.
    """

    rows: int
    units: float
    missing: int
    known: int
    counts: np.ndarray
    beyond: int = 0
    farthest: Any = None


def independent_rows(groups: np.ndarray) -> float:
    """Return the effective number of groups (Kish, 1965), given the index of each row's group."""
    return float(len(groups) ** 2 / np.sum(np.bincount(groups) ** 2.0))


@dataclass(frozen=True, eq=False)
class Profile:
    """The missing values and the distribution of a training column.

    Parameters
    ----------
    values : ndarray (V,)
        Quantiles of numbers or dates, including the minimum and the maximum, or the sorted categories. For text, the
        array is empty.
    per_row : float
        The number of independent rows per row. With groups, it is the effective number of groups per row.
    rare : int
        The number of rows whose category occurs in a single row, or with groups in a single group.
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
    >>> profile = Profile.of(part, series)
    >>> tally = profile.tally(part, pd.Series([30.0, 500.0]))
    >>> tally.beyond, tally.farthest
    (1, 500.0)
    """

    rows: int
    missing: int
    values: np.ndarray
    counts: np.ndarray
    per_row: float = 1.0
    rare: int = 0
    misfits: int = 0
    later: float = 0.0

    @classmethod
    def of(cls, part: Column, series: Any, groups: np.ndarray | None = None, is_time: bool = False) -> "Profile":
        """Return the profile of a training column."""
        rows, known, misfit = len(series), _values(part, series), part.misfit(series)
        later = CENTURY if part.kind == "dates" else 0.0
        rare = 0
        if part.holds == "names":
            values, codes, counts = np.unique(known, return_inverse=True, return_counts=True)
            holders = np.arange(len(known)) if groups is None else groups[series.notna()]
            pairs = np.unique(np.stack([codes, holders]), axis=1)
            is_rare = np.bincount(pairs[0], minlength=len(values)) == 1
            rare = int(counts[is_rare].sum())
            if len(values) > MAX_CATEGORIES:
                values, counts = values[:0], counts[:0]
        else:
            known, quantiles = np.sort(known), np.linspace(0, 1, QUANTILES + 1)
            values = np.unique(np.quantile(known, quantiles, method="nearest")) if len(known) else known
            counts = np.searchsorted(known, values, side="right")
        return cls(
            rows,
            int(series.isna().sum()),
            values,
            counts,
            per_row=1.0 if groups is None else independent_rows(groups) / rows,
            rare=rare,
            misfits=misfit.count if misfit else 0,
            later=np.inf if is_time else later,
        )

    def tally(self, part: Column, series: Any, units: float | None = None) -> Tally:
        """Return the counts of the column in another table, with a number of independent rows (by default all)."""
        known = _values(part, series)
        missing = int(series.isna().sum())
        tally = Tally(len(series), units or len(series), missing, len(known), self.counts)
        if not len(self.values):
            return tally
        if part.holds == "names":
            places = np.minimum(np.searchsorted(self.values, known), len(self.values) - 1)
            is_known = self.values[places] == known
            counts = np.bincount(places[is_known], minlength=len(self.values))
            new = known[~is_known]
            return tally._replace(counts=counts, beyond=len(new), farthest=str(new[0]) if len(new) else None)
        distance, counts = self.distance(known), np.searchsorted(np.sort(known), self.values, side="right")
        beyond = int((distance > 0).sum())
        farthest = float(known[distance.argmax()]) if beyond else None
        return tally._replace(counts=counts, beyond=beyond, farthest=farthest)

    def plus(self, one: Tally, other: Tally) -> Tally:
        """Return the sum of the tallies of two chunks."""
        sums: list[Any] = [here + there for here, there in zip(one[:-1], other[:-1], strict=True)]
        ends = [tally.farthest for tally in (one, other) if tally.farthest is not None]
        if len(ends) == 2 and not isinstance(ends[0], str):
            ends = [max(ends, key=self.distance)]
        return Tally(*sums, farthest=ends[0] if ends else None)

    def distance(self, x: Any) -> Any:
        """Return the distance of numbers from the training range, which is 0 for numbers inside it."""
        above = x - self.values[-1]
        return np.maximum(self.values[0] - x, np.where(above > self.later, above, 0))


@dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of a column of a table with its training distribution.

    Notes report new missing values, new categories, values outside the training range, and shares that differ by 0.1 or
    more. The tests are Fisher's exact test for shares, and the rank-sum and Kolmogorov-Smirnov tests for numbers. With
    at least 30 rows, their level is Bonferroni-corrected for the number of columns. With groups, the tests count groups
    instead of rows.

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
        notes = [self.of_missing(), self.of_beyond() or self.of_distributions()]
        return [note for note in notes if note]

    def chance(self, count: int, trained: int, which: str, rows: int = 0, trained_rows: int = 0) -> float:
        """Return the p-value of Fisher's exact test for the shares of the table's and of the training rows."""
        from scipy.stats import fisher_exact

        pairs = (count, rows or self.tally.rows), (trained, trained_rows or self.profile.rows)
        shares = self.share, self.profile.per_row
        table = []
        for (part, whole), share in zip(pairs, shares, strict=True):
            units = np.ceil(np.array([part, whole]) * share * (1 - 1e-12))
            table.append([units[0], units[1] - units[0]])
        test: Any = fisher_exact(table, which)
        return float(test.pvalue)

    def is_unusual(self, misfit: Misfit) -> bool:
        """Return whether values that cannot be used unchanged are more frequent than in training."""
        trained = self.profile.misfits
        if self.part.holds == "names" or (trained and not self.is_sample):
            return False  # `of_beyond` reports new categories
        if not misfit.count or not (trained or misfit.names):
            return True
        increase = misfit.count / self.tally.rows - trained / self.profile.rows
        is_large = not misfit.names or increase >= SHIFT
        return is_large and self.chance(misfit.count, trained, "greater") < self.level

    def of_missing(self) -> str:
        """Return a note if more or fewer values are missing than in training, and "" otherwise."""
        tally, profile = self.tally, self.profile
        is_new = tally.missing > profile.missing == 0
        is_shift = abs(tally.missing / tally.rows - profile.missing / profile.rows) >= SHIFT
        if not is_new and not (is_shift and self.is_sample):
            return ""
        if self.chance(tally.missing, profile.missing, "two-sided") >= self.level:
            return ""
        return f"{tally.missing} of {tally.rows} values are missing ({profile.missing} of {profile.rows} in training)"

    def of_beyond(self) -> str:
        """Return a note if categories are new or numbers are outside the training range, and "" otherwise."""
        tally, profile, part = self.tally, self.profile, self.part
        if not tally.beyond:
            return ""
        if part.holds == "names":  # compare with categories that occur once in training
            is_expected = self.is_sample or profile.rare
            if is_expected and self.chance(tally.beyond, profile.rare, "greater") >= self.level:
                return ""
            new = f"have categories that did not occur in training, such as {tally.farthest!r}"
            return f"{tally.beyond} of {tally.rows} rows {new}"
        if not self.is_outside():
            return ""
        low, high, farthest = (part.shown(value) for value in (*profile.values[[0, -1]], tally.farthest))
        distance = f"{profile.distance(tally.farthest):.4g}{' days' if part.kind == 'dates' else ''}"
        outside = f"outside the training range {low} to {high}, the farthest ({farthest}) by {distance}"
        return f"{tally.beyond} of {tally.rows} values are {outside}"

    def is_outside(self) -> bool:
        """Return whether the values outside the training range are too many or too far to be chance.

        Distances from the median are assumed to have a power-law tail, estimated from the training values.
        """
        profile, tally = self.profile, self.tally
        units = self.share * tally.rows
        share = units / (units + profile.rows * profile.per_row)
        beyond = max(tally.beyond * self.share, 1)
        if (beyond + 1) * share**beyond < self.level:
            return True
        count = profile.counts[-1] * profile.per_row
        outer = np.clip(10 / count, 0.05, 0.25)
        quantiles = profile.counts[-1] * np.array([outer, 0.5, 0.995 - outer])
        low, middle, high = profile.values[np.searchsorted(profile.counts, quantiles)]
        inner, end = (high, profile.values[-1]) if tally.farthest > middle else (low, profile.values[0])
        edge, reach = abs(end - middle), abs(inner - middle)
        if edge == 0:
            return True
        if edge == reach and len(profile.values) > 2:  # the largest or smallest of few values, such as counts
            edge += min(np.diff(profile.values))
        tail = np.log(edge / reach) / np.log(max(count * outer, 2)) if reach else 1.0
        factor = 1 + profile.distance(tally.farthest) / edge
        return bool(2 * share * factor ** (-1 / np.clip(tail, 2 / count, 2)) < self.level)

    def of_distributions(self) -> str:
        """Return a note if the distributions differ, and "" otherwise. Later times are not reported."""
        profile, tally = self.profile, self.tally
        is_names = self.part.holds == "names"
        rows = tally.known
        if not len(profile.values) or rows * self.share < MIN_ROWS:
            return ""
        trained_rows = int(profile.counts.sum() if is_names else profile.counts[-1])
        ours, theirs = tally.counts / rows, profile.counts / trained_rows
        differences = ours - theirs if profile.later else np.abs(ours - theirs)
        place = int(differences.argmax())
        if differences[place] < SHIFT:
            return ""
        if is_names:
            counts = int(tally.counts[place]), int(profile.counts[place])
            chance = len(ours) * self.chance(*counts, "two-sided", rows, trained_rows)
        else:
            spread = 1 / (rows * self.share) + 1 / (trained_rows * profile.per_row)
            middles = (np.append(0, theirs) + np.append(theirs, 1)) / 2  # mean training ranks between values
            lower = 0.5 - np.diff(ours, prepend=0, append=1) @ middles
            apart = max(lower, 0) if profile.later else abs(lower)
            chance = 2 * min(2 * np.exp(-2 * differences[place] ** 2 / spread), erfc(apart * np.sqrt(6 / spread)))
        if chance >= self.level:
            return ""
        value = f"{'' if is_names else 'at most '}{self.part.shown(profile.values[place])}"
        share, in_training = percents(ours[place], theirs[place], unit="%")
        return f"{share} of values are {value} ({in_training} in training)"


def _values(part: Column, series: Any) -> np.ndarray:
    """Return the nonmissing values as numbers, days since 1970 or names, or an empty array for text columns."""
    if part.holds == "names":
        return as_names(series[series.notna()]).astype(str)
    x = part.read(series) if part.holds == "numbers" else np.empty(0)
    return ordinary(x[~np.isnan(x)])


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
    group_columns = [name for name, reason in encoder.dropped.items() if reason == OF_GROUPS and name in frame]
    units = independent_rows(group_numbers(frame[group_columns[0]])) if group_columns else None
    columns = zip(profiles, encoder.names, encoder.parts, strict=True)
    new = [profile.tally(part, frame[name], units) for profile, name, part in columns]
    return (
        new if before is None else [profile.plus(*pair) for profile, *pair in zip(profiles, before, new, strict=True)]
    )


def comparisons(model: Any, tallies: list[Tally]) -> dict[str, Comparison]:
    """Return the comparison of each column with its training distribution."""
    compared = {}
    columns = zip(model.encoder_.names, model.profiles_, model.encoder_.parts, tallies, strict=True)
    for name, profile, part, tally in columns:
        share = max(min(tally.units / tally.rows, profile.per_row), 1 / tally.rows)
        is_sample = share * tally.rows >= MIN_ROWS
        level = CHANCE / len(tallies) if is_sample else CHANCE
        compared[name] = Comparison(profile, part, tally, share, is_sample, level)
    return compared


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
        if self.tallies is None:
            return []
        columns = comparisons(self.model, self.tallies)
        drifts = [f"Column {name!r}: {note}." for name, column in columns.items() for note in column.notes()]
        unusual = {key: misfit for key, misfit in self.misfits.items() if columns[key[0]].is_unusual(misfit)}
        return [*drifts, *self.of_tables, *self.model.encoder_.notes_on(unusual), *self.ignored]


MIN_LEAK_ROWS = 50
"""Minimum number of rows to look for leaks, because columns can predict the target of few rows by chance."""
MAX_LEAK_ROWS = 20_000
"""Above this number of rows, only a random sample is checked for leaks."""
EXPLAINED = 0.98
"""A column that explains at least this share of the target's variance is a leak."""
ALONE_FROM, OF_NUMBERS, OF_CLASSES = 100, (0.9, 1.3), (0.85, 2.0)
"""Minimum number of rows to report strong columns. For each task, a strong column explains at least the first share of
the variance, and its unexplained variance is at most the model's, multiplied by the second number."""
NO_LEAK = 1e-6
"""A pattern of missing values is a leak if its p-value is below this limit."""
IF_KNOWN = "leave it out if it is unknown at prediction time."


def leaks(
    encoder: Encoder, frame: Frame, target: np.ndarray, *, are_apart: bool = False
) -> tuple[list[str], dict[str, float]]:
    """Return notes on leaks, groups and time dependence, and the explained variance of other strong columns.

    A column leaks the target if it explains 98 % of its variance (see `explained`), even if it is noisy or rescaled, or
    if it has values only in rows of one class. Text is examined if it has at most a fifth as many values as rows.
    Tables with fewer than 50 rows get no notes. With ``are_apart``, relations of rows are not examined.

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
    notes, alone = [], {}
    if not are_apart:
        in_order = np.sort(rows)
        related = relations(encoder, frame[encoder.names].iloc[in_order], target[in_order])
        notes += [relation.note for relation in related if relation.is_evident]
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
        if share >= EXPLAINED and part.kind != "dates":
            found, if_known = "predicts the target almost perfectly", IF_KNOWN
        if found:
            notes.append(f"Column {name!r} {found}: {if_known}")
        elif share >= (OF_CLASSES if is_classes else OF_NUMBERS)[0] and len(y) >= ALONE_FROM and part.kind != "dates":
            alone[name] = share
    return notes, alone


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


FEW_ROWS = 5
"""A class is rare if it has fewer rows than this number, and less than 5 % of the rows."""


def odd_classes(y: np.ndarray, named: str) -> list[str]:
    """Return notes on classes that are rare, misspelled, dates, lists of names, or markers of missing values.

    Examples
    --------
    >>> odd_classes(np.array([0] * 240 + [1]), "The target")
    ['The target: 1 class(es) have fewer than 5 rows, such as 1 (1 of 241): merge rare classes, or add rows.']
    """
    classes, counts = np.unique(y, return_counts=True)
    texts = [str(name) for name in classes.tolist()]
    notes = [note_on_spelling(texts)]
    if classes.dtype.kind in "iuf":
        notes.append(note_on_class_markers(classes, counts))
    elif Evidence.of(texts).reading():
        notes.append(f"dates such as {texts[0]!r} are classes: {DATES}, and use TabularRegressor (--task regression)")
    elif separator := tag_separator(texts):
        combinations = f"each of the {len(texts)} combinations of names with {separator!r} is a class"
        notes.append(f"{combinations}: train a model for each name, with a target of yes or no")
    is_rare = counts < min(FEW_ROWS, len(y) / 20)
    if is_rare.any() and 2 * len(classes) <= len(y):
        rarest = counts.argmin()
        example = f"{classes.tolist()[rarest]!r} ({counts[rarest]} of {len(y)})"
        few = f"{is_rare.sum()} class(es) have fewer than {FEW_ROWS} rows, such as {example}"
        notes.append(f"{few}: merge rare classes, or add rows")
    return [f"{named}: {note}." for note in notes if note]


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
