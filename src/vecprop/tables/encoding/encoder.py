"""From a table to the inputs of a network: the kind of each column, found from its values, and its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from ...core.rows.selection import Selection
from ...system.suggestions import suggestion
from ...train.trainer import can_compile
from ..error import TableError
from ..kinds.ambiguities import NO_OPTIONS, ColumnOptions
from ..kinds.kinds import CATEGORIES, common_decimal, kind_of
from ..reading.frames import Frame, by_blocks
from .column import VIEWS, Column, Missed, View
from .columns import MOST_CATEGORIES, Categories, Dates, NumberInputs
from .folds import MOST_TARGETS, target_means
from .kept_rows import RowFormat
from .tags import Tags
from .texts import LatentTexts

COLUMNS: dict[str, type[Column]] = {"number": NumberInputs, "category": Categories, "code": Categories}
COLUMNS |= {"date": Dates, "text": LatentTexts, "tags": Tags}
"""The class of each kind of column that the owner of a table may name; one is added here and to `KINDS`."""
Misfits = dict[tuple[str, str], Missed]
"""What of columns is not used as it is, by the column's name and what is said."""
PIECES = 16
"""The largest number of pieces of a column of numbers."""
MOST_PIECES = 512
"""The largest number of pieces of all columns of numbers together, which bounds the width of the first layer."""
MOST_ENTRIES = 200_000_000
"""The largest number of entries of the inputs of pieces, or of categories, which bounds the time that they take."""
MOST_KEPT = 2**25
"""The most inputs of all rows that training keeps, 128 MB in float32; of more it keeps what they are computed from."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """How each column of a table becomes inputs, and why some columns are not used.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20, 30, 40, 50], "town": list("abab"), "nothing": 1})
    >>> encoder, notes = Encoder.of(frame)
    >>> encoder.kinds, encoder.dropped
    ({'age': 'numbers', 'town': 'categories'}, {'nothing': 'all values are the same'})
    >>> encoder(frame).shape
    (4, 22)
    """

    names: list[str]
    parts: list[Column]
    dropped: dict[str, str]
    codes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, frame: Frame, options: ColumnOptions = NO_OPTIONS) -> tuple["Encoder", list[str]]:
        """Return an encoder for a table's columns, and notes on how they are read and on what is not used.

        Raises
        ------
        TableError
            If no column can be used.
        """
        if not frame.shape[1]:
            raise TableError("The table has no column to learn from: at least one other than the target is required.")
        encoder, ambiguities = cls([], [], {}), []
        pieces, categories = pieces_for(*frame.shape), categories_for(*frame.shape)
        decimal = cache(lambda: common_decimal(frame, options))
        for name in frame.columns:
            kind = kind_of(frame[name], name, options, decimal) if frame[name].notna().any() else None
            if kind is None or kind.name == "ignore":
                part = "all values are missing" if kind is None else "it is to be ignored"
            else:
                part = COLUMNS[kind.name].learned(frame[name], kind, pieces, categories, name in options.columns)
            if kind and kind.note and (kind.reading is None or not isinstance(part, str)):
                ambiguities.append(f"Column {name!r}: {kind.note}.")
            if isinstance(part, str):
                encoder.dropped[name] = part
                continue
            encoder.names.append(name)
            encoder.parts.append(part)
            if kind and kind.name == "code":
                encoder.codes.append(name)
        if not encoder.names:
            reasons = ", ".join(f"{name!r}: {reason}" for name, reason in list(encoder.dropped.items())[:5])
            raise TableError(f"No column can be learned from: in {reasons}.")
        notes = [f"Column {name!r} is not used: {reason}." for name, reason in encoder.dropped.items()]
        unlike: dict[str, list[str]] = {}  # text that is read as something else than it shows
        for name, part in encoder.columns:
            if part.is_read_unlike_it_looks or name in encoder.codes:
                unlike.setdefault(encoder.readings[name], []).append(name)
        notes += [f"Read as {how}: {some_of(names)}." for how, names in unlike.items()]
        return encoder, notes + ambiguities + encoder.notes_on(encoder.misfits(frame))

    @property
    def columns(self) -> list[tuple[str, Column]]:
        """Each column that is used, with its name."""
        return list(zip(self.names, self.parts, strict=True))

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each column that is used."""
        return {name: part.kind for name, part in self.columns}

    @property
    def readings(self) -> dict[str, str]:
        """How each column that is used is read, in words."""
        each = {name: str(getattr(part, "reading", part.kind)) for name, part in self.columns}
        return each | dict.fromkeys(self.codes, "codes")

    @property
    def width(self) -> int:
        """The number of inputs."""
        return sum(part.width for part in self.parts)

    @property
    def places(self) -> dict[str, slice]:
        """The place of each column's inputs among all."""
        ends = np.cumsum([part.width for part in self.parts]).tolist()
        return dict(zip(self.names, map(slice, [0, *ends[:-1]], ends), strict=True))

    @property
    def has_means(self) -> bool:
        """Whether the mean targets of some categories are inputs."""
        return any(isinstance(part, Categories) and part.means is not None for part in self.parts)

    def with_means(
        self, frame: Frame, T: np.ndarray, fold: np.ndarray, weight: np.ndarray | None = None, most: float = np.inf
    ) -> tuple["Encoder", dict[str, np.ndarray]]:
        """Return an encoder in which categories that share inputs, or are more than most, also have their mean targets.

        The arrays are these inputs of the rows of training, by the targets of other folds, for `of_views`.
        """
        parts, told = list(self.parts), {}
        for place, (name, part) in enumerate(self.columns):
            if isinstance(part, Categories) and (part.buckets > 1 or part.marks > most) and T.shape[1] <= MOST_TARGETS:
                means, told[name] = target_means(part.read(frame[name]), T, fold, weight)
                parts[place] = replace(part, means=means)
        return replace(self, parts=parts), told

    def of_view(self, view: View) -> np.ndarray:
        """Return which of the inputs networks take that see numbers in one of the two ways, (I,)."""
        return np.flatnonzero(np.concatenate([part.taken_by(view) for part in self.parts]))

    def __call__(self, frame: Frame) -> np.ndarray:
        """Return the inputs of a table's rows, (N, width), in float32.

        Raises
        ------
        TableError
            If a column is missing.
        """
        require_inputs(self.names, frame)
        inputs = np.empty((len(frame), self.width), np.float32)
        for part, (name, place) in zip(self.parts, self.places.items(), strict=True):
            part.write(frame[name], inputs[:, place])
        return inputs

    def of_views(
        self, frame: Frame, told: Mapping[str, np.ndarray] | None = None, *, as_arrays: bool = False
    ) -> list[np.ndarray] | list[Selection]:
        """Return the inputs of a table's rows that networks of each view take, (N, I) each, in float32.

        Rows are encoded by blocks: those of all inputs are never in memory together. Of a large table it is selections
        that compute inputs, with the same bits, as networks read them, unless arrays are requested.

        What is told of rows of training takes the place of their categories' mean targets, see `with_means`.
        """
        told = told or {}
        taken = [self.of_view(view) for view in VIEWS]
        if not as_arrays and len(frame) * sum(map(len, taken)) > MOST_KEPT and can_compile():
            rows = RowFormat.of(self.names, self.parts, frame)
            kept = rows(frame, told)
            return [Selection(kept, expansion=rows.expansion(own)) for own in taken]
        of_views = [np.empty((len(frame), len(own)), np.float32) for own in taken]

        def encode(rows: slice) -> None:
            inputs = self(frame.iloc[rows])
            for name, means in told.items():
                inputs[:, self.places[name]][:, -means.shape[1] :] = means[rows]
            for own, X in zip(taken, of_views, strict=True):
                np.take(inputs, own, axis=1, out=X[rows], mode="clip")  # which, unlike "raise", needs no copy

        by_blocks(encode, len(frame), self.width)
        return of_views

    def misfits(self, frame: Frame, before: Misfits | None = None) -> Misfits:
        """Return what of each column of a table is not used as it is, added to that of earlier parts of the table."""
        found = dict(before or {})
        for name, part in self.columns:
            if missed := part.missed(frame[name]):
                known = found.get((name, missed.what))
                found[name, missed.what] = known.plus(missed) if known else missed
        return found

    def notes_on(self, misfits: Misfits) -> list[str]:
        """Return sentences on what is not used as it is, in the order of the columns."""
        order = {name: number for number, name in enumerate(self.names)}
        return [
            f"Column {name!r}: {misfits[name, what]}." for name, what in sorted(misfits, key=lambda of: order[of[0]])
        ]


def require_inputs(names: list[str], frame: Frame) -> None:
    """Refuse a table in which columns are missing."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        more = f" (nor {len(missing) - 1} more)" if len(missing) > 1 else ""
        others = suggestion(missing[0], set(frame.columns) - set(names)) or "."
        raise TableError(f"The table has no column {missing[0]!r}{more}, which the model needs{others}")


def some_of(names: list[str]) -> str:
    """Return the first five of some names, and how many more there are.

    Examples
    --------
    >>> some_of(["a", "b"]), some_of(list("abcdefg"))
    ("'a', 'b'", "'a', 'b', 'c', 'd', 'e' and 2 more")
    """
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more


def pieces_for(rows: int, columns: int) -> int:
    """Return the number of pieces for each column of numbers, within the limits above.

    Examples
    --------
    >>> pieces_for(500, 10), pieces_for(5000, 50), pieces_for(5000, 10_000), pieces_for(1_000_000, 30)
    (16, 10, 1, 6)
    """
    return max(min(PIECES, MOST_PIECES // columns, MOST_ENTRIES // (rows * columns)), 1)


def categories_for(rows: int, columns: int) -> int:
    """Return how many categories of a column have inputs of their own at most.

    Examples
    --------
    >>> categories_for(10_000, 20), categories_for(100_000, 20), categories_for(1_000_000, 20)
    (512, 100, 64)
    """
    return min(max(MOST_ENTRIES // (rows * columns), CATEGORIES), MOST_CATEGORIES)
