"""Encode a table as inputs of a network, with an encoder for each column."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain, starmap

import numpy as np
from numpy import ndarray

from ...core.rows.selection import Selection
from ...system.suggestions import suggestion
from ...train.trainer import can_compile
from ..error import Note, TableError, note_about, with_encoding
from ..kinds.ambiguities import NO_OPTIONS, ColumnOptions
from ..kinds.kinds import CATEGORIES, common_decimal, kind_of
from ..reading.frames import Frame, by_blocks
from .column import VIEWS, Column, Misfit, View
from .columns import MAX_CATEGORIES, Categories, Dates, NumberInputs
from .folds import MAX_TARGETS, target_means
from .packed_rows import PackedRows
from .tags import Tags
from .texts import LatentTexts

COLUMNS: dict[str, type[Column]] = {
    "number": NumberInputs,
    "category": Categories,
    "code": Categories,
    "date": Dates,
    "text": LatentTexts,
    "tags": Tags,
}
"""The encoder class of each kind that users can set. To add a kind, extend this dict
and `KINDS`.
"""
Misfits = dict[tuple[str, str], Misfit]
"""Notes on values that cannot be used unchanged, by column and message."""
PIECES = 16
"""The largest number of quantile bins of a numeric column."""
MAX_PIECES = 512
"""The largest total number of quantile bins, which bounds the width of the first
layer.
"""
MAX_ENTRIES = 200_000_000
"""The largest number of entries of piecewise linear encodings, or of one-hot
encodings, which bounds the time.
"""
COMPILED_FROM = 4096
"""A kernel encodes blocks with at least this number of rows, because NumPy is faster
for smaller blocks.
"""
MAX_STORED_INPUTS = 2**23
"""The largest number of inputs that training stores (32 MB in float32). Larger
tables are stored as packed rows.
"""

NO_COLUMNS: Mapping[str, str] = {}


@dataclass(frozen=True, eq=False)
class Encoder:
    """The encoders of a table's columns, and the reasons why some columns are not used.

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
    def of(
        cls,
        frame: Frame,
        options: ColumnOptions = NO_OPTIONS,
        aside: Mapping[str, str] = NO_COLUMNS,
    ) -> tuple["Encoder", list[str]]:
        """Return an encoder fitted to a table, and notes on formats and unused values.

        ``aside`` contains the columns that are not inputs, each with a reason.

        Raises
        ------
        TableError
            If no column can be used.
        """
        frame = frame.drop(columns=list(aside))
        if not frame.shape[1]:
            raise TableError(
                "The table has no input columns: at least one column other than the"
                " target is required."
            )
        encoder = cls([], [], {})
        ambiguities = []
        pieces = pieces_for(*frame.shape)
        categories = categories_for(*frame.shape)
        decimal = cache(partial(common_decimal, frame, options))
        for name in frame.columns:
            series = frame[name]
            if series.isna().all():
                encoder.dropped[name] = "all values are missing"
                continue
            kind = kind_of(series, name, options, decimal)
            if kind.name == "ignore":
                encoder.dropped[name] = "ignored on request"
                continue
            part = COLUMNS[kind.name].learned(
                series,
                kind,
                pieces,
                categories=categories,
                is_declared=name in options.columns,
            )
            is_used = isinstance(part, Column)
            # Different values, such as long codes, may be equal as numbers.
            if kind.note and (is_used or kind.reading is None or series.nunique() > 1):
                ambiguities.append(note_about(f"Column {name!r}", kind.note, name))
            if not is_used:
                encoder.dropped[name] = part
                continue
            encoder.names.append(name)
            encoder.parts.append(part)
            if kind.name == "code":
                encoder.codes.append(name)
        if not encoder.names:
            reasons = [
                f"{name!r}: {reason}" for name, reason in encoder.dropped.items()
            ]
            raise TableError(
                f"No column can be used as input: {', '.join(reasons[:5])}."
            )
        notes = [*encoder._notes_on_readings(), *ambiguities]
        notes += encoder.notes_on(encoder.misfits(frame))
        encoder.dropped.update(aside)
        notes += starmap(unused_column, aside.items())
        return encoder, notes

    def _notes_on_readings(self) -> list[Note]:
        """Return notes on unused columns and on unusual formats."""
        notes = list(starmap(unused_column, self.dropped.items()))
        readings = self.readings
        names_by_format = defaultdict(list)
        for name, part in self.columns:
            if part.has_unusual_format or name in self.codes:
                names_by_format[readings[name]].append(name)
        for reading, names in names_by_format.items():
            notes.append(Note(f"Read as {reading}: {some_of(names)}."))
        return notes

    @property
    def columns(self) -> list[tuple[str, Column]]:
        """The names and encoders of the columns that are used."""
        return list(zip(self.names, self.parts, strict=True))

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each used column."""
        return {name: part.kind for name, part in self.columns}

    @property
    def readings(self) -> dict[str, str]:
        """The format of each used column as text."""
        readings = {}
        for name, part in self.columns:
            readings[name] = self.reading_of(name, part)
        return readings

    def reading_of(self, name: str, part: Column) -> str:
        """Return the format of a used column as text."""
        if name in self.codes:
            return "codes"
        return str(getattr(part, "reading", part.kind))

    @property
    def width(self) -> int:
        """The number of inputs."""
        return sum(part.width for part in self.parts)

    @property
    def places(self) -> dict[str, slice]:
        """The slice of each column's inputs."""
        slices = {}
        start = 0
        for name, part in self.columns:
            slices[name] = slice(start, start + part.width)
            start += part.width
        return slices

    @property
    def has_means(self) -> bool:
        """Whether some categories are target-encoded."""
        return any(getattr(part, "means", None) is not None for part in self.parts)

    def with_means(
        self,
        frame: Frame,
        T: ndarray,
        fold: ndarray,
        weight: ndarray | None = None,
        most: float = np.inf,
    ) -> tuple["Encoder", dict[str, ndarray]]:
        """Add target encoding to columns with many categories.

        Their categories share inputs or have more than ``most`` inputs. Returns the new
        encoder, and the out-of-fold target encoding of the training rows, which
        `of_views` takes.
        """
        if T.shape[1] > MAX_TARGETS:
            return self, {}
        parts = []
        target_encoded = {}
        for name, part in self.columns:
            if isinstance(part, Categories) and (part.buckets > 1 or part.marks > most):
                names = part.read(frame[name])
                means, target_encoded[name] = target_means(
                    names, T, fold, weight=weight
                )
                part = replace(part, means=means)
            parts.append(part)
        return replace(self, parts=parts), target_encoded

    def of_view(self, view: View) -> ndarray:
        """Return an array with the indices of a view's inputs."""
        masks = [part.in_view(view) for part in self.parts]
        return np.flatnonzero(np.concatenate(masks))

    def __call__(self, frame: Frame) -> ndarray:
        """Encode a table as a float32 array of shape (N, width).

        Raises
        ------
        TableError
            If a column is missing.
        """
        require_inputs(self.names, frame)
        if len(frame) >= COMPILED_FROM and can_compile():
            rows = PackedRows.of(self.columns, frame)
            return rows.expansion(np.arange(self.width))(rows(frame))
        inputs = np.empty((len(frame), self.width), np.float32)
        slices = self.places
        for name, part in self.columns:
            inputs[:, slices[name]] = part(frame[name])
        return inputs

    def of_views(
        self,
        frame: Frame,
        target_encoded: Mapping[str, ndarray] | None = None,
        *,
        as_arrays: bool = False,
    ) -> list[ndarray] | list[Selection]:
        """Encode a table for each view, as float32 arrays with a row per row.

        Rows are encoded block by block, so that the inputs of both views are never in
        memory together. For large tables this returns lazy selections that encode rows
        on access, bit-identically, unless ``as_arrays`` is true. For training rows,
        ``target_encoded`` from `with_means` replaces the mean targets of categories.
        """
        selections = [self.of_view(view) for view in VIEWS]
        is_large = len(frame) * sum(map(len, selections)) > MAX_STORED_INPUTS
        if is_large and not as_arrays and can_compile():
            rows = PackedRows.of(self.columns, frame)
            packed = rows(frame, target_encoded)
            return [
                Selection(packed, expansion=rows.expansion(indices))
                for indices in selections
            ]
        shapes = [(len(frame), len(indices)) for indices in selections]
        encoded = [np.empty(shape, np.float32) for shape in shapes]
        slices = self.places

        def encode(rows: slice):
            inputs = self(frame.iloc[rows])
            for name, means in (target_encoded or {}).items():
                # the mean targets are the last inputs of a column
                end = slices[name].stop
                inputs[:, end - means.shape[1] : end] = means[rows]
            for indices, X in zip(selections, encoded, strict=True):
                # "raise" would copy
                np.take(inputs, indices, axis=1, out=X[rows], mode="clip")

        by_blocks(encode, len(frame), self.width)
        return encoded

    def misfits(self, frame: Frame, before: Misfits | None = None) -> Misfits:
        """Find misfits, and add the misfits of earlier chunks."""
        misfits = dict(before or {})
        for name, part in self.columns:
            misfit = part.misfit(frame[name])
            if misfit is None:
                continue
            key = name, misfit.message
            if key in misfits:
                misfit = misfits[key].plus(misfit)
            misfits[key] = misfit
        return misfits

    def notes_on(self, misfits: Misfits) -> list[str]:
        """Return notes on values that cannot be used unchanged, in order of columns."""
        by_column = defaultdict(list)
        for (name, _), misfit in misfits.items():
            by_column[name].append(note_about(f"Column {name!r}", str(misfit), name))
        return list(chain.from_iterable(by_column[name] for name in self.names))


def unused_column(name: str, reason: str) -> Note:
    """Return a note on a column that is not used."""
    return Note(f"Column {name!r} is not used: {reason}.", "unused", name)


def require_inputs(names: list[str], frame: Frame):
    """Raise an error if a table lacks columns."""
    missing = [name for name in names if name not in frame.columns]
    if not missing:
        return
    count = ""
    if len(missing) > 1:
        count = f" (and lacks {len(missing) - 1} more)"
    advice = suggestion(missing[0], set(frame.columns) - set(names)) or "."
    message = (
        f"The table has no column {missing[0]!r}{count}, which the model needs{advice}"
    )
    raise TableError(with_encoding(message, frame.attrs.get("notes", [])))


def some_of(names: list[str]) -> str:
    """Format up to five names as text, with the number of others.

    Examples
    --------
    >>> some_of(["a", "b"]), some_of(list("abcdefg"))
    ("'a', 'b'", "'a', 'b', 'c', 'd', 'e' and 2 more")
    """
    text = ", ".join(map(repr, names[:5]))
    if len(names) > 5:
        text += f" and {len(names) - 5} more"
    return text


def pieces_for(rows: int, columns: int) -> int:
    """Return the number of quantile bins of a numeric column in a table of this size.

    Examples
    --------
    >>> pieces_for(500, 10), pieces_for(5000, 50), pieces_for(5000, 10_000), pieces_for(1_000_000, 30)
    (16, 10, 1, 6)
    """
    return max(min(PIECES, MAX_PIECES // columns, MAX_ENTRIES // (rows * columns)), 1)


def categories_for(rows: int, columns: int) -> int:
    """Return the largest number of a column's categories with separate inputs.

    Examples
    --------
    >>> categories_for(10_000, 20), categories_for(100_000, 20), categories_for(1_000_000, 20)
    (512, 100, 64)
    """
    return min(max(MAX_ENTRIES // (rows * columns), CATEGORIES), MAX_CATEGORIES)
