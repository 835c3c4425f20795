"""What a kind of column is: how it is read, becomes inputs, is kept in memory and leaves for other programs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ..kinds.kinds import Kind

View = Literal["pieces", "standardised"]
"""What networks take of numbers: pieces and all else, or the standardised number and the normal score of its rank
alone; see `NumberInputs`. Of categories with mean targets the second takes these alone."""
VIEWS: tuple[View, ...] = get_args(View)


class Kept(IntEnum):
    """What is kept of a column."""

    INPUTS = 0
    """Its inputs as they are, in float32."""
    PLACE = 1
    """The place of the one input that is 1, in int32; the others are 0."""
    NUMBER = 2
    """A number in float32."""
    WIDE_NUMBER = 3
    """A number in float64."""


COLUMN = np.dtype(
    [
        # One of `Kept`, where it is in a row, in bytes, the first of its inputs, and their number.
        *((name, np.int64) for name in ("kept", "at", "first", "width")),
        # Of numbers: which inputs of `NumberInputs` there are, and where their tables begin in `Expansion.edges`.
        *((name, np.int64) for name in ("has_bends", "marks_missing", "has_standard", "has_scores", "pieces", "edges")),
        # How they are made; the limits are of the scaled number, of it before it is squared, and of the standardised.
        *((name, np.float64) for name in ("centre", "scale", "mean", "deviation", "limit", "largest", "most")),
    ],
    align=True,
)
"""What is kept of a column of a table, and the inputs that it becomes."""


class Column(ABC):
    """How a column becomes inputs of a network: the base of all kinds of columns.

    A new kind is a dataclass that derives from this, and an entry of `registry.COLUMNS`. It must have what is abstract
    here. What is not has a default, which takes the column for its inputs.
    """

    kind: ClassVar[str]
    """What the column contains, in words."""
    holds: ClassVar[Literal["numbers", "names", "other"]] = "other"
    """What `read` returns: numbers, with nan for missing values, or names, or values of another type."""

    @classmethod
    @abstractmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_asked: bool) -> "Column | str":
        """Return how a column of training, which has values, becomes inputs, or the reason why it is not used.

        Pieces and categories are the most that there may be. It is asked for if its owner has named its kind.
        """

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of inputs."""

    @abstractmethod
    def read(self, series: Any) -> np.ndarray:
        """Return a column's values, (N,)."""

    @abstractmethod
    def of_values(self, values: np.ndarray, /) -> np.ndarray:
        """Return the inputs of values (N,), (N, width)."""

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(self.read(series))

    def write(self, series: Any, inputs: np.ndarray) -> None:
        """Write the inputs of a column to columns of an array, (N, width) in float32."""
        inputs[:] = self.of_values(self.read(series))

    def missed(self, series: Any) -> "Missed | None":
        """Return a note on values that are not taken as they are, or None."""
        return None

    def taken_by(self, view: View) -> np.ndarray:
        """Return whether a view has each of the inputs, (width,): that of pieces has all of them."""
        return np.ones(self.width, bool)

    @property
    def is_read_unlike_it_looks(self) -> bool:
        """Whether its text is read as something else than it shows, which is noted."""
        return False

    def shown(self, value: Any) -> str:
        """Return one of its values as text."""
        return f"{value:.6g}" if self.holds == "numbers" else repr(str(value))

    def for_trees(self, series: Any) -> np.ndarray:
        """Return what trees take of a column, (N, K)."""
        return self.read(series)[:, None] if self.holds == "numbers" else self(series)

    def kept_types(self, series: Any) -> dict[str, Any]:
        """Return the type and shape of what is kept of a row, by the ends of the names of fields; see `kept_rows`."""
        return {"": (np.float32, (self.width,))}

    def keep(self, series: Any, told: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return what is kept of rows; what is told of rows of training takes the place of mean targets."""
        return {"": self(series)}

    def entries(self, is_taken: np.ndarray, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], int]]:
        """Yield for each field of the taken inputs its end, its entries of `COLUMN`, and its inputs.

        The types are those of `kept_types`.
        """
        yield "", {"kept": Kept.INPUTS}, self.width

    @property
    def onnx_type(self) -> type | None:
        """The type of the column in a graph; None if the graph is given the column's inputs."""
        return None

    def to_onnx(self, column: Any) -> Any:
        """Return the symbol of the inputs of a column in a graph, given that of its values, (N, 1)."""
        raise NotImplementedError

    def to_source(self, name: str, source: Any) -> str | None:
        """Return the expression of a table's inputs in NumPy source, and add what it needs; None if there is none."""
        return None

    def is_consistent(self) -> bool:
        """Return whether the fields belong together, which may have come from a file."""
        return True


@dataclass(frozen=True)
class Missed:
    """Values of a column that are not taken as they are; as text it is the end of a sentence.

    Examples
    --------
    >>> one, other = Missed("no numbers", 2, "'x' in line 5"), Missed("no numbers", 3, "'y' in line 9")
    >>> str(one.plus(other))
    "5 value(s), such as 'x' in line 5, are no numbers"
    """

    what: str
    count: int = 0
    first: str = ""
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, series: Any, is_meant: np.ndarray, what: str) -> "Missed":
        """Return a note on some values of a column."""
        return cls(what, int(is_meant.sum()), first_of(series, is_meant))

    def __str__(self) -> str:
        if self.names:
            return f"{', '.join(self.names[:3])}{' and others' if len(self.names) > 3 else ''}: {self.what}"
        return f"{self.count} value(s), such as {self.first}, are {self.what}" if self.count else self.what

    def plus(self, other: "Missed") -> "Missed":
        """Return the same of both of two parts of a column."""
        names = tuple(dict.fromkeys(self.names + other.names))[:4]
        return replace(self, count=self.count + other.count, names=names)


def first_of(series: Any, is_meant: np.ndarray) -> str:
    """Return the first of some values of a column, and its row.

    Examples
    --------
    >>> import pandas as pd
    >>> first_of(pd.Series(["a", "b"]), np.array([False, True]))
    "'b' in row 1"
    """
    place = int(np.flatnonzero(is_meant)[0])
    return f"{shortened(repr(series.iloc[[place]].tolist()[0]))} in {row_named(series.index, place)}"


def shortened(text: str) -> str:
    """Return a text of at most 40 characters."""
    return text if len(text) <= 40 else f"{text[:39]}…"


def row_named(index: Any, place: int) -> str:
    """Return the name of the row at a place: its line in a file, or its label in a frame.

    Examples
    --------
    >>> import pandas as pd
    >>> row_named(pd.RangeIndex(3), 2), row_named(pd.RangeIndex(2, 5, name="line"), 0)
    ('row 2', 'line 2')
    """
    return f"{'line' if index.name == 'line' else 'row'} {index[place]}"
