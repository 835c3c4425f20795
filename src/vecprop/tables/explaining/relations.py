"""Columns that relate rows: times, and identifiers of entities with several rows."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy import ndarray

from ..encoding.column import Column
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder
from ..encoding.folds import group_numbers, periods
from ..error import Note
from ..kinds.kinds import MAX_CLASSES
from ..kinds.values import as_numbers
from ..reading.frames import Frame

TIMES = re.compile(
    "date|datetime|time|timestamp|ts|year|yr|quarter|month|week|wk|day|period|seconds|t|"
    "jahr|quartal|monat|woche|datum|année|annee|mois|semaine|año|mes|semana|fecha|anno|mese"
)
"""Words in the names of times."""
BIRTHS = re.compile("birth.*|born|built|founded|dob")
"""Words in the names of dates that describe an entity rather than a row."""
IDS = re.compile("id|pid|uid")
"""Words that make any name the name of an identifier."""
ENTITIES = re.compile(
    "hh|patient|subject|subj|user|customer|client|person|participant|respondent|student|pupil|household|"
    "family|employee|worker|account|member|driver|buyer|store|shop|firm|company|school|hospital|clinic|sensor|device|"
    "machine|vehicle|meter|station|symbol|ticker|player|speaker|animal"
)
"""The last words of names of identifiers. A family is an entity, but the size of a
family is not.
"""
NUMBERED = re.compile("number|num|no|nr|nbr|code|key|name")
"""Words that may follow the name of an entity."""
FIRST_SECONDS = 5e8
"""Numbers from here on may be seconds since 1970."""
RISES = 0.8
"""An integer may count the times of each entity if this share of the rows has a
larger number than the previous row.
"""
MIN_ROWS = 50
"""The minimum number of rows of a table with relations."""
FEWEST = 5
"""The minimum number of times or entities."""
SIMILAR = 0.1
"""Groups are evident if they explain this share of the target's variance."""
FOLLOWS = 0.5
"""Times are evident if they explain this share. So may be categories with few rows
each, whatever their names.
"""
UNORDERED = 0.05
"""Numbers are times if at most this share of the rows has a smaller number than the
previous row.
"""
COPIES = "rows are nearly equal"
"""The name of the column of groups of nearly equal rows, which no table contains."""
MAX_COPIES = 3000
"""Above this number of rows, nearly equal rows are not searched, because distances
of all pairs would take long.
"""
DISTINCT = 2
"""The logarithms of distances within and between groups differ by at least this
number of standard deviations.
"""
FARTHER = 1.0
"""They differ also by at least this number, since the distances in a grid differ by
rounding.
"""
PEEK = 100
"""The number of rows to look for numbers that are not integers, which identify
nothing.
"""
BY_CHANCE = 10
"""Equal pairs of entity and time suggest a panel if at least this number is
expected, and a fifth of it occurs.
"""
_WORD = re.compile("[A-Z]?[a-zéñ]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, eq=False)
class Relation:
    """A column that relates rows: a time, or an identifier.

    Parameters
    ----------
    values : ndarray (N,)
        The time or the group of each row.
    share : float
        The share of the target's variance that the column explains.
    is_evident : bool
        Whether the share shows that random test rows are too easy.
    """

    column: str
    is_time: bool
    values: ndarray
    share: float
    is_evident: bool

    @property
    def role(self) -> Literal["time", "group"]:
        """The role of the column in training for these rows."""
        if self.is_time:
            return "time"
        return "group"

    @property
    def rows(self) -> Literal["later rows", "new groups"]:
        """The rows that a random test does not represent."""
        if self.is_time:
            return "later rows"
        return "new groups"

    @property
    def note(self) -> Note:
        """A note for users who test on random rows."""
        name = repr(self.column)
        count = f"{self.values.max() + 1} groups in {len(self.values)} rows"
        if self.is_time:
            text = (
                f"The target follows the time {name}, so random test rows are too easy:"
                f" pass time={name} (--time) to predict later rows."
            )
        elif self.column == COPIES:
            text = (
                f"Many {COPIES} ({count}): if they are repeated measurements, pass"
                " their groups (--group)."
            )
        else:
            text = (
                f"Rows with the same {name} are similar ({count}): pass groups={name}"
                " (--group) to predict new groups."
            )
        return Note(text, "trust", self.column)

    @property
    def source(self) -> str:
        """How the rows were related, as text."""
        if self.column == COPIES:
            return "because many rows are nearly equal"
        return f"by the column {self.column!r}"

    @property
    def advice(self) -> str:
        """How to train and test for these rows."""
        if self.column == COPIES:
            return (
                "Add a column that identifies repeated measurements, and pass it as"
                " --group."
            )
        return (
            f"Pass --{self.role} {shlex.quote(self.column)} to train and test for"
            f" {self.rows}."
        )


def relations(encoder: Encoder, frame: Frame, target: ndarray) -> list[Relation]:
    """Return the most likely time and the most likely identifier, if any.

    The time is first in a panel, where an entity has at most one row per time.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"patient": [3, 1, 2, 5, 4] * 10, "dose": np.arange(50) / 7})
    >>> (relation,) = relations(Encoder.of(frame)[0], frame, frame["patient"].to_numpy() % 3)
    >>> relation.column, relation.is_time, relation.is_evident
    ('patient', False, True)
    """
    classes, ranks = np.unique(target, return_inverse=True)
    if len(classes) < 2 or len(frame) < MIN_ROWS:
        return []
    times = _times(encoder, frame)
    counters = _counters(frame)
    identifier = _identifier(encoder, frame, ranks, times=times, counters=counters)
    if identifier is None:
        identifier = _copies(encoder, frame, ranks)
    panel_times = {}
    if identifier is not None:
        for name, values in {**counters, **times}.items():
            if is_panel(identifier.values, values):
                panel_times[name] = values
    time = None
    kinds = encoder.kinds
    for name, values in {**times, **panel_times}.items():
        is_date = kinds.get(name) == "dates"
        if is_date or name in panel_times or _are_times(values):
            is_classes = has_classes(target, len(classes))
            share = explained(values, ranks, is_classes=is_classes)
            if time is None or share > time.share:
                time = Relation(
                    name,
                    is_time=True,
                    values=values,
                    share=share,
                    is_evident=share >= FOLLOWS,
                )
    related = [identifier, time]
    if time is not None and time.column in panel_times:
        related = [time, identifier]
    return [relation for relation in related if relation is not None]


def has_classes(target: ndarray, count: int) -> bool:
    """Return whether a target with ``count`` distinct values has classes."""
    return target.dtype.kind not in "iuf" or count <= MAX_CLASSES


def _are_times(values: ndarray) -> bool:
    """Return whether numbers rise, or may be years, months, weeks or seconds."""
    if np.mean(values[1:] < values[:-1]) <= UNORDERED:
        return True
    first = values.min()
    last = values.max()
    if first >= 1900_01:
        return last <= 2100_53 or first >= FIRST_SECONDS
    return first >= 1900 and last <= 2100


def _times(encoder: Encoder, frame: Frame) -> dict[str, ndarray]:
    """Return the columns that may be times: dates, and numbers named as times."""
    parts = dict(encoder.columns)
    kinds = encoder.kinds
    times = {}
    for name in frame.columns:
        if kinds.get(name) == "dates":
            values = parts[name].read(frame[name])
        elif _has_word(name, TIMES):
            values, unread = as_numbers(frame[name])
            if unread:
                values = periods(frame[name])
        else:
            continue
        if _has_word(name, BIRTHS) or not np.isfinite(values).all():
            continue
        if len(np.unique(values)) >= FEWEST:
            times[name] = values
    return times


def _counters(frame: Frame) -> dict[str, ndarray]:
    """Return the integers that may count the times of each entity."""
    counters = {}
    for name in frame.columns:
        if _has_fractions(frame[name]):
            continue
        numbers, _ = as_numbers(frame[name])
        if not np.isfinite(numbers).all():  # invalid numbers are nan
            continue
        count = len(np.unique(numbers))
        rises = np.mean(numbers[1:] > numbers[:-1])
        falls = np.count_nonzero(numbers[1:] < numbers[:-1])
        has_repeats = FEWEST <= count <= len(numbers) / FEWEST
        if has_repeats and rises >= RISES and falls >= FEWEST - 1:
            counters[name] = numbers
    return counters


def _identifier(
    encoder: Encoder,
    frame: Frame,
    ranks: ndarray,
    times: Mapping[str, ndarray],
    counters: Mapping[str, ndarray],
) -> Relation | None:
    """Return the column that most probably identifies entities."""
    strongest = (0, np.inf)
    identifier = None
    parts = dict(encoder.columns)
    for name in frame.columns:
        if name in times or not _may_identify(parts.get(name), name, frame[name]):
            continue
        numbers, unread = as_numbers(frame[name])
        if unread:
            groups = group_numbers(frame[name])
        else:
            _, groups = np.unique(numbers, return_inverse=True)
        count = groups.max() + 1
        if not FEWEST <= count <= len(frame) / 1.5:
            continue
        share = _explained_by_groups(groups, ranks)
        signs = [_is_entity(name), share >= SIMILAR and _has_panel(groups, counters)]
        notable = max(SIMILAR, 4 * np.sqrt(2 * count) / len(frame))
        is_evident = bool(share >= notable)
        if not unread and _explained_by_groups(groups // 2, ranks) > 0.75 * share:
            is_evident = False  # neighboring numbers are similar, as in amounts
        else:
            signs.append(_has_panel(groups, times))
            signs.append(count**2 >= len(frame) and share >= FOLLOWS)
        strength = (signs.count(True), share)
        if strength > strongest:
            strongest = strength
            identifier = Relation(
                name,
                is_time=False,
                values=groups,
                share=share,
                is_evident=is_evident,
            )
    return identifier


def _copies(encoder: Encoder, frame: Frame, ranks: ndarray) -> Relation | None:
    """Return groups of rows that are nearly equal, such as repeated measurements.

    Rows are merged by single linkage. The distances of merges within and between groups
    are two distinct clusters.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    columns = [
        _scaled(ordinary(part.read(frame[name])))
        for name, part in encoder.columns
        if part.kind == "numbers"
    ]
    if not columns or len(frame) > MAX_COPIES:
        return None
    merges = linkage(np.stack(columns, axis=1), "single")
    distances = merges[:, 2]
    heights = np.log(distances[distances > 0])
    if len(heights) < 0.8 * len(distances):  # few distinct values, or exact duplicates
        return None
    counts = np.arange(1, len(heights))
    sums = np.cumsum(heights)
    below = sums[:-1] / counts
    above = (sums[-1] - sums[:-1]) / counts[::-1]
    cut = (counts * counts[::-1] * (above - below) ** 2).argmax()  # as in Otsu's method
    spread = heights[: cut + 1].std() + heights[cut + 1 :].std()
    if above[cut] - below[cut] < max(DISTINCT * spread, FARTHER):
        return None
    groups = fcluster(merges, np.exp(heights[cut : cut + 2].mean()), "distance") - 1
    if not FEWEST <= groups.max() + 1 <= len(frame) / 1.5:
        return None
    share = _explained_by_groups(groups, ranks)
    return Relation(
        COPIES,
        is_time=False,
        values=groups,
        share=share,
        is_evident=share >= SIMILAR,
    )


def _scaled(x: ndarray) -> ndarray:
    """Return numbers in interquartile ranges from the median, clipped to 10."""
    low, median, high = np.nanquantile(x, (0.25, 0.5, 0.75))
    return np.nan_to_num(np.clip((x - median) / ((high - low) or 1.0), -10, 10))


def _may_identify(part: Column | None, name: str, series) -> bool:
    """Return whether a column may identify entities: no text, amount or time."""
    if part is not None and (part.holds == "other" or part.has_unusual_format):
        return False
    return not _has_word(name, TIMES) and not _has_fractions(series)


def _has_panel(groups: ndarray, times: Mapping[str, ndarray]) -> bool:
    """Return whether groups and one of several times are a panel."""
    return any(is_panel(groups, values) for values in times.values())


def is_panel(groups: ndarray, times: ndarray) -> bool:
    """Return whether an entity has fewer rows with equal times than by chance.

    Examples
    --------
    >>> time = np.tile(np.arange(10), 10)
    >>> is_panel(np.repeat(np.arange(10), 10), time), is_panel(np.arange(100) // 5 % 10, time)
    (True, False)
    """
    _, numbers = np.unique(times, return_inverse=True)
    _, cells = np.unique(groups * (numbers.max() + 1) + numbers, return_inverse=True)
    by_chance = _pairs(numbers) * np.sum((np.bincount(groups) / len(groups)) ** 2)
    return bool(by_chance >= BY_CHANCE and _pairs(cells) <= by_chance / 5)


def _pairs(numbers: ndarray) -> float:
    """Return the number of pairs of equal numbers."""
    counts = np.bincount(numbers)
    return float(np.sum(counts * (counts - 1.0))) / 2


def _has_fractions(series) -> bool:
    """Return whether the first rows contain numbers that are not integers."""
    numbers, unread = as_numbers(series.iloc[:PEEK])
    return not unread and bool((numbers[np.isfinite(numbers)] % 1).any())


def _words(name: str) -> list[str]:
    """Return the words in a name such as "userID" or "user_id"."""
    return [word.lower() for word in _WORD.findall(name)]


def _has_word(name: str, words: re.Pattern[str]) -> bool:
    """Return whether a name contains one of the words."""
    return any(map(words.fullmatch, _words(name)))


def _is_entity(name: str) -> bool:
    """Return whether a name is the name of an identifier."""
    if _has_word(name, IDS):
        return True
    for word in reversed(_words(name)):
        if not NUMBERED.fullmatch(word):
            return ENTITIES.fullmatch(word) is not None
    return False


def _explained_by_groups(groups: ndarray, ranks: ndarray) -> float:
    """Return the share of the variance between groups, corrected for their number."""
    rows = len(ranks)
    counts = np.bincount(groups)
    centered = ranks - ranks.mean()
    sums = np.bincount(groups, centered)
    between = np.sum(sums**2 / counts) / (centered @ centered)
    return float(1 - (1 - between) * (rows - 1) / (rows - len(counts)))


def explained(x: ndarray, y: ndarray, *, is_classes: bool) -> float:
    """Return the share of a target's variance that a column explains.

    Rows are sorted by the column. Half the mean squared difference of neighboring
    targets estimates the unexplained variance (von Neumann, 1941). For class indices,
    it is replaced by the share of neighbors that differ, minus the inevitable borders
    between classes. Missing values are sorted together. If there are few distinct
    values, they are sorted by their mean target.

    Examples
    --------
    >>> x = np.arange(100.0)
    >>> explained(x, np.sin(x / 20), is_classes=False) > 0.99, explained(x, x % 2, is_classes=True)
    (True, 0.0)
    """
    values, codes = np.unique(x, return_inverse=True)
    rows = len(x)
    if 5 * len(values) <= rows:
        codes = (np.bincount(codes, y) / np.bincount(codes))[codes]
    y = y[np.argsort(codes, kind="stable")]
    if is_classes:
        shares = np.bincount(y.astype(int)) / rows
        borders = np.count_nonzero(np.diff(y)) - (np.count_nonzero(shares) - 1)
        unexplained = borders / (rows - 1) / (1 - shares @ shares)
    else:
        unexplained = np.mean(np.diff(y) ** 2) / (2 * y.var())
    return max(1 - float(unexplained), 0.0)
