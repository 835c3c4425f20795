"""Notes on columns: leaks, groups, odd targets, and duplicates of training rows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy import ndarray

from ..encoding.column import Column, row_named
from ..encoding.columns import ordinary
from ..encoding.encoder import Encoder
from ..error import Note, note_about, pandas
from ..kinds.ambiguities import (
    note_on_class_markers,
    note_on_missing,
    note_on_spelling,
    note_on_typos,
)
from ..kinds.formats import Evidence
from ..kinds.kinds import DATES, tag_separator
from ..kinds.values import as_names
from ..reading.frames import Frame
from .relations import explained, has_classes, relations

MAX_DIGESTS = 10_000
"""Maximum number of training rows whose digests are stored (80 KB)."""


@dataclass(frozen=True, eq=False)
class TrainedRows:
    """Digests of training rows, to find duplicates of them in another table.

    The digests of at most 10,000 evenly spaced rows are stored in order. ``rows`` is
    the number of all training rows.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, 30.0, None, 70.0]})
    >>> encoder, y = Encoder.of(frame)[0], np.arange(4.0)
    >>> TrainedRows.of(encoder, frame, y, 4).count(encoder, frame[1:], np.array([1.0, 2.0, 5.0]))
    2.0
    """

    digests: ndarray
    rows: int

    @classmethod
    def of(cls, encoder: Encoder, frame: Frame, y: ndarray, rows: int) -> Self:
        """Compute the digests of rows from a table with this number of rows."""
        sample = np.unique(np.linspace(0, len(frame) - 1, MAX_DIGESTS).astype(int))
        return cls(np.sort(digests(encoder, frame.iloc[sample], y[sample])), rows)

    def count(self, encoder: Encoder, frame: Frame, y: ndarray) -> float:
        """Return the number of rows that duplicate training rows, or an estimate."""
        is_duplicate = np.isin(digests(encoder, frame, y), self.digests)
        return int(is_duplicate.sum()) * self.rows / len(self.digests)

    def not_by_chance(self, count: float, rows: int) -> tuple[int, list[str]]:
        """Return the number of duplicates and a note, or 0 if it may be chance."""
        _, counts = np.unique(self.digests, return_counts=True)
        share = counts[counts > 1].sum() / len(self.digests)
        duplicates = min(round(count), rows)
        if duplicates <= rows * share + 3 * np.sqrt(rows * share * (1 - share)):
            return 0, []
        about = "" if len(self.digests) == self.rows else "About "
        text = (
            f"{about}{duplicates} of {rows} rows are exact duplicates of training rows,"
            " so results on them are too optimistic."
        )
        return duplicates, [Note(text, "trust")]


def digests(encoder: Encoder, frame: Frame, y: ndarray) -> ndarray:
    """Return a hash of the parsed values and the target of each row."""
    columns = []
    for name, part in encoder.columns:
        if part.holds == "numbers":
            x = part.read(frame[name]) + 0.0  # no -0
            columns.append(np.where(np.isnan(x), np.nan, x))
        elif part.holds == "names":
            columns.append(as_names(frame[name]))
        else:
            columns.append(frame[name].astype(str).to_numpy())
    targets = y.reshape(len(y), -1).T
    values = pandas().DataFrame(dict(enumerate([*columns, *targets])))
    return pandas().util.hash_pandas_object(values, index=False).to_numpy()


MIN_LEAK_ROWS = 50
"""Minimum number of rows to look for leaks, because columns can predict the target
of few rows by chance.
"""
MAX_LEAK_ROWS = 20_000
"""Above this number of rows, only a random sample is checked for leaks."""
EXPLAINED = 0.98
"""A column that explains at least this share of the target's variance is a leak."""
MIN_STRONG_ROWS = 100
"""Minimum number of rows to report strong columns."""
STRONG_FOR_NUMBERS = 0.9
STRONG_FOR_CLASSES = 0.85
"""A strong column explains at least this share of the target's variance."""
EXCESS_FOR_NUMBERS = 1.3
EXCESS_FOR_CLASSES = 2.0
"""The unexplained variance of a strong column is at most the model's, multiplied by
this number.
"""
NO_LEAK = 1e-6
"""A pattern of missing values is a leak if its p-value is below this limit."""
IF_KNOWN = "leave it out if it is unknown at prediction time."


def leaks(
    encoder: Encoder,
    frame: Frame,
    target: ndarray,
    subject: str = "the target",
    *,
    skip_relations: bool = False,
) -> tuple[list[str], dict[str, float]]:
    """Return notes on leaks and relations, and the shares of strong columns.

    A column leaks the target if it explains 98 % of its variance (see `explained`),
    even if it is noisy or rescaled, or if it has values only in rows of one class. Text
    is examined if it has at most a fifth as many values as rows. Tables with fewer than
    50 rows get no notes. With ``skip_relations``, relations of rows are not examined.

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
    is_classes = has_classes(target, len(classes))
    strong_share = STRONG_FOR_CLASSES
    if not is_classes:
        strong_share = STRONG_FOR_NUMBERS
        codes = ordinary(target.astype(float))
    y = codes[rows].astype(float)
    if y.min() == y.max():
        return [], {}
    notes = []
    if not skip_relations:
        rows_in_order = np.sort(rows)
        sample = frame[encoder.names].iloc[rows_in_order]
        for relation in relations(encoder, sample, target[rows_in_order]):
            if relation.is_evident:
                notes.append(relation.note)
    shares = {}
    for name, part in encoder.columns:
        series = frame[name].iloc[rows]
        share = _share(part, series, y, is_classes=is_classes)
        pattern = ""
        if is_classes:
            pattern = _pattern_of_missing(series, y, classes)
        leak = ""
        if share >= EXPLAINED:
            leak = f"predicts {subject} almost perfectly: {IF_KNOWN}"
        elif pattern:
            leak = (
                f"{pattern}: leave it out if it is filled in after the target is known."
            )
        elif share >= strong_share and len(y) >= MIN_STRONG_ROWS:
            shares[name] = share
        if leak:
            notes.append(Note(f"Column {name!r} {leak}", "trust", name))
    return notes, shares


def _share(part: Column, series, y: ndarray, *, is_classes: bool) -> float:
    """Return the explained share of variance, or 0 for dates and long text."""
    if part.kind == "dates":
        return 0.0
    if part.holds == "numbers":
        values = ordinary(part.read(series))
    else:
        codes, names = pandas().factorize(as_names(series))
        if 5 * len(names) > len(codes):
            return 0.0
        values = codes.astype(float)
    return explained(values, y, is_classes=is_classes)


def _pattern_of_missing(series, y: ndarray, classes: ndarray) -> str:
    """Return whether a column has values, or lacks them, only in one class."""
    is_missing = series.isna().to_numpy()
    for pattern, mask in (("has values", ~is_missing), ("is missing", is_missing)):
        codes = y[mask]
        if mask.all() or not len(codes) or np.ptp(codes) > 0:
            continue
        if np.mean(y == codes[0]) ** len(codes) < NO_LEAK:
            return f"{pattern} only where the target is {classes[int(codes[0])]}"
    return ""


def strong_columns(
    shares: Mapping[str, float],
    T: ndarray,
    Y: ndarray,
    subject: str = "the target",
) -> list[Note]:
    """Return a note on each column that explains about as much as the model does.

    ``shares`` contains the explained shares of the target's variance. T and Y are the
    encoded targets and the model's predictions, nan in rows without a prediction.
    """
    is_predicted = np.isfinite(Y[:, 0])
    T = T[is_predicted].astype(float)
    Y = Y[is_predicted]
    unexplained = float(np.sum((T - Y) ** 2) / np.sum((T - T.mean(axis=0)) ** 2))
    most = EXCESS_FOR_CLASSES * unexplained
    if T.shape[1] == 1:
        most = EXCESS_FOR_NUMBERS * unexplained
    notes = []
    for name, share in shares.items():
        if 1 - share > most:
            continue
        strength = "nearly"
        if 1 - share <= unexplained:
            strength = "at least"
        text = (
            f"Column {name!r} alone predicts {strength} as well as the model (it"
            f" explains {share:.0%} of the variance of {subject}, the model"
            f" {1 - unexplained:.0%}): {IF_KNOWN}"
        )
        notes.append(Note(text, "trust", name))
    return notes


TOTAL = re.compile(r"(grand )?total[se]?|totaal|sum(me)?|somme|(ins)?gesamt(summe)?")
"""Labels of rows that contain a total."""
MIN_ROWS = 30
"""Minimum number of rows to look for odd targets."""
JUMP = 10
"""Targets are extreme if they are this many times as far from the median as 99 % of
the other targets.
"""


def odd_targets(frame: Frame, y: ndarray, named: str) -> list[str]:
    """Return a note on targets that mark missing values, are totals, or are extreme.

    Examples
    --------
    >>> odd_targets(pandas().DataFrame({"x": range(60)}), np.append(np.arange(59.0), 1e12), "The target")
    ['The target is 1e+12 in row 59, 3e+10 times as far from the median as other rows: remove rows with wrong values.']
    """
    rows = len(y)
    if rows < MIN_ROWS:
        return []
    marker = note_on_missing(y, named)
    if marker:
        return [note_about(named, marker)]
    distance = np.abs(y - np.median(y))
    farthest_rows = np.argsort(-distance, kind="stable")[: rows // 100 + 2]
    row = farthest_rows[0]
    where = row_named(frame.index, row)
    if _may_be_total(frame, y, row):
        text = (
            f"{named} in {where} ({y[row]:.6g}) may be the total of the other rows:"
            " leave it out if so."
        )
        return [Note(text, "trust")]
    # how many times as far each of these rows is as the next one
    distance = distance[farthest_rows]
    following = distance[1:]
    jumps = np.zeros(len(following))
    np.divide(distance[:-1], following, where=following > 0, out=jumps)
    count = jumps.argmax()
    if jumps[count] < JUMP:
        return []
    extremes = f" and extreme in {count} more rows" if count else ""
    text = (
        f"{named} is {y[row]:.6g} in {where}{extremes}, {jumps[count]:.1g} times as"
        " far from the median as other rows: remove rows with wrong values."
    )
    return [Note(text, "trust")]


def _may_be_total(frame: Frame, y: ndarray, row: int) -> bool:
    """Return whether a target equals the sum of the others, or its row has the rare label of a total."""
    if np.isclose(y.sum(), 2 * y[row], rtol=1e-9, atol=0):
        return True
    for name, value in frame.iloc[row].items():
        is_label = isinstance(value, str) and TOTAL.fullmatch(value.strip().casefold())
        if is_label and (frame[name] == value).sum() <= len(y) / MIN_LEAK_ROWS:
            return True
    return False


FEW_ROWS = 5
"""A class is rare if it has fewer rows than this number, and less than 5 % of the
rows.
"""


def odd_classes(y: ndarray, named: str) -> list[str]:
    """Return notes on classes that are rare, misspelled, dates, tags or markers.

    Examples
    --------
    >>> odd_classes(np.array([0] * 240 + [1]), "The target")
    ['The target: 1 class(es) have fewer than 5 rows, such as 1 (1 of 241): merge rare classes, or add rows.']
    """
    classes, counts = np.unique(y, return_counts=True)
    names = classes.tolist()
    texts = list(map(str, names))
    notes = [
        note_on_spelling(texts),
        note_on_typos(texts, counts),
        note_on_class_markers(classes, counts),
    ]
    separator = tag_separator(texts)
    if classes.dtype.kind not in "iuf" and Evidence.from_texts(texts).reading():
        notes.append(
            f"dates such as {texts[0]!r} are classes: {DATES}, and use TabularRegressor"
            " (--task regression)"
        )
    elif separator:
        notes.append(
            f"each of the {len(texts)} combinations of names with {separator!r} is a"
            " class: train a model for each name, with a target of yes or no"
        )
    is_rare = counts < min(FEW_ROWS, len(y) / 20)
    if is_rare.any() and 2 * len(classes) <= len(y):
        rarest = counts.argmin()
        notes.append(
            f"{is_rare.sum()} class(es) have fewer than {FEW_ROWS} rows, such as"
            f" {names[rarest]!r} ({counts[rarest]} of {len(y)}): merge rare"
            " classes, or add rows"
        )
    return [note_about(named, note) for note in notes if note]
