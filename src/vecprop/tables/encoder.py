"""From a table to the inputs of a network: the kind of each column, found from its values, and its inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import Categories, Dates, NumberInputs, Texts, are_dates, are_texts, as_numbers
from .error import TableError, nearest, pandas
from .frames import Frame

Inputs = NumberInputs | Categories | Dates | Texts
"""Any of the classes that say how a column becomes inputs."""

MOST_PIECES = 2048
"""The largest number of pieces of all columns of numbers together, which bounds the width of the first layer."""
MOST_ENTRIES = 200_000_000
"""The largest number of entries of the inputs of pieces, which bounds their memory: 0.8 GB in float32."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """How each column of a table becomes inputs, and why some columns are not used.

    Parameters
    ----------
    names : list of str
        The columns that are used.
    parts : list of NumberInputs, Categories, Dates or Texts
        How each of them becomes inputs.
    dropped : dict of str to str
        The other columns, each with the reason why it is not used.

    Examples
    --------
    >>> frame = pandas().DataFrame({"age": [20, 30, 40, 50], "town": list("abab"), "nothing": 1})
    >>> encoder, notes = Encoder.of(frame)
    >>> encoder.kinds, encoder.dropped
    ({'age': 'numbers', 'town': 'categories'}, {'nothing': 'all values are the same'})
    >>> encoder(frame).shape
    (4, 8)
    """

    names: list[str]
    parts: list[Inputs]
    dropped: dict[str, str]

    @classmethod
    def of(cls, frame: Frame) -> tuple["Encoder", list[str]]:
        """Return an encoder for a table's columns, and notes on columns and values that are not used.

        Raises
        ------
        TableError
            If no column can be used.
        """
        names, parts, dropped = [], [], {}
        pieces = pieces_for(*frame.shape)
        for name in frame.columns:
            part = inputs_of(frame[name], pieces)
            if isinstance(part, str):
                dropped[name] = part
            else:
                names.append(name)
                parts.append(part)
        if not names:
            reasons = ", ".join(f"{name!r}: {reason}" for name, reason in list(dropped.items())[:5])
            raise TableError(f"No column can be learned from: in {reasons}.")
        encoder = cls(names, parts, dropped)
        notes = [f"Column {name!r} is not used: {reason}." for name, reason in dropped.items()]
        return encoder, notes + encoder.missed(frame)

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each column that is used."""
        return {name: part.kind for name, part in zip(self.names, self.parts, strict=True)}

    @property
    def width(self) -> int:
        """The number of inputs."""
        return sum(part.width for part in self.parts)

    def __call__(self, frame: Frame) -> np.ndarray:
        """Return the inputs of a table's rows, (N, width), in float32.

        Raises
        ------
        TableError
            If a column is missing.
        """
        self.require(frame)
        inputs = np.empty((len(frame), self.width), np.float32)
        first = 0
        for name, part in zip(self.names, self.parts, strict=True):
            inputs[:, first : first + part.width] = part(frame[name])
            first += part.width
        return inputs

    def require(self, frame: Frame) -> None:
        """Refuse a table in which columns are missing."""
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            more = f" (nor {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise TableError(
                f"The table has no column {missing[0]!r}{more}, which the model needs"
                f"{nearest(missing[0], set(frame.columns) - set(self.names)) or '.'}"
            )

    def missed(self, frame: Frame) -> list[str]:
        """Return notes on columns and values of a table that are not used, or not as they are."""
        self.require(frame)
        found = [(name, part.missed(frame[name])) for name, part in zip(self.names, self.parts, strict=True)]
        unknown = [repr(name) for name in frame.columns if name not in self.names and name not in self.dropped]
        notes = [f"Column {name!r}: {what}." for name, what in found if what]
        if unknown:
            notes.append(f"Not used, since training had none of this name: {', '.join(unknown[:5])}.")
        return notes


def pieces_for(rows: int, columns: int) -> int:
    """Return the number of pieces for each column of numbers: it grows with the rows, within the limits above.

    Examples
    --------
    >>> pieces_for(500, 10), pieces_for(5000, 10), pieces_for(5000, 10_000), pieces_for(1_000_000, 30)
    (4, 8, 1, 6)
    """
    most = min(MOST_PIECES // columns, MOST_ENTRIES // (rows * columns))
    return min(int(np.clip(rows**0.5 / 8, 4, 16)), max(most, 1))


def inputs_of(series: Any, pieces: int) -> Inputs | str:
    """Return how a column becomes inputs, or the reason why it is not used.

    Examples
    --------
    >>> inputs_of(pandas().Series([None, None]), pieces=4)
    'all values are missing'
    """
    known = series.dropna()
    if not len(known):
        return "all values are missing"
    has_missing = len(known) < len(series)
    if not isinstance(series.dtype, pandas().CategoricalDtype):
        x, unread = as_numbers(known)
        if unread <= 0.1 * len(known):
            distinct = len(np.unique(x[np.isfinite(x)]))
            return _checked(lambda column: NumberInputs.of(column, pieces), series, distinct, has_missing)
        if are_dates(known):
            return _checked(lambda column: Dates.of(column, pieces), series, known.nunique(), has_missing)
    distinct = known.astype(str).nunique()
    if are_texts(known):
        return Texts()
    if distinct == len(known) and len(known) > 20:
        return "each row has a value of its own, which says nothing of other rows"
    return _checked(Categories.of, series, distinct, has_missing)


def _checked(make: Callable[[Any], Inputs], series: Any, distinct: int, has_missing: bool) -> Inputs | str:
    """Return how a column becomes inputs, unless it is constant; beside missing values, a constant is informative."""
    if distinct == 0:
        return "all values are infinite or missing"
    return make(series) if distinct + has_missing > 1 else "all values are the same"
