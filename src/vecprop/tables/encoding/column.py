"""The base class of columns, which are read, encoded, stored and exported."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar, Literal

import numpy as np
from numpy import ndarray

from ..kinds.kinds import Kind

View = Literal["pieces", "standardised", "linear_pieces", "linear"]
"""The inputs of a network. "pieces" has all inputs. "standardised" lacks the piecewise
linear encoding of numbers and the indicators of target-encoded categories.
"linear_pieces" and "linear" have the same inputs, and their networks have no hidden
layers.
"""
VIEWS: tuple[View, ...] = ("pieces", "standardised")
"""The views that are encoded."""


class Storage(IntEnum):
    """How a packed row stores a column."""

    INPUTS = 0
    """The row stores all inputs of the column, in float32."""
    PLACE = 1
    """The row stores the index of the only nonzero input, in int32."""
    NUMBER = 2
    """The row stores a number in float32."""
    WIDE_NUMBER = 3
    """The row stores a number in float64."""


COLUMN = np.dtype(
    [
        # The storage, the byte offset in a row, the index of the first input and the
        # number of inputs. For numeric columns, also which inputs of `NumberInputs`
        # exist, and where their tables start in `Expansion.edges`.
        *(
            (name, np.int64)
            for name in (
                "storage",
                "at",
                "first",
                "width",
                "has_bends",
                "marks_missing",
                "has_standard",
                "has_scores",
                "pieces",
                "edges",
            )
        ),
        # The constants of `NumberInputs`. The last three are its clipping limits.
        *(
            (name, np.float64)
            for name in (
                "centre",
                "scale",
                "mean",
                "deviation",
                "limit",
                "largest",
                "most",
            )
        ),
    ],
    align=True,
)
"""The dtype of the record that describes how packed rows store a column and how it
is converted to inputs.
"""


class Column(ABC):
    """Base class of the encoders of columns.

    To add a kind, derive a dataclass, implement the abstract methods and add it to
    `encoder.COLUMNS`. The other methods have defaults, which use the column's inputs.
    """

    kind: ClassVar[str]
    """The name of the kind in notes and reports."""
    holds: ClassVar[Literal["numbers", "names", "other"]] = "other"
    """The type of the values that `read` returns. Missing numbers are nan."""

    @classmethod
    @abstractmethod
    def learned(
        cls, series, kind: Kind, pieces: int, categories: int, is_declared: bool
    ) -> "Column | str":
        """Return an encoder fitted to a column, or why the column is not used.

        ``pieces`` and ``categories`` are upper bounds, and ``is_declared`` is True if
        the user has set the kind.
        """

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of inputs."""

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, with duplicates for inputs of one kind."""
        return list(map(str, range(self.width)))

    @abstractmethod
    def read(self, series) -> ndarray:
        """Return the values of a column as an array of shape (N,)."""

    @abstractmethod
    def of_values(self, values: ndarray, /) -> ndarray:
        """Convert values of shape (N,) to inputs of shape (N, width)."""

    def __call__(self, series) -> ndarray:
        """Convert a column of N rows to inputs of shape (N, width)."""
        return self.of_values(self.read(series))

    def misfit(self, series) -> "Misfit | None":
        """Return a note if some values cannot be used unchanged, and None otherwise."""
        return None

    def in_view(self, view: View) -> ndarray:
        """Return a mask of shape (width,) that selects the inputs of a view."""
        return np.ones(self.width, bool)

    @property
    def has_unusual_format(self) -> bool:
        """Whether a note should report the format of the text."""
        return False

    def shown(self, value) -> str:
        """Return a value as text."""
        if self.holds == "numbers":
            return f"{value:.6g}"
        return repr(str(value))

    def simulated(self, count: int, rng: np.random.Generator) -> ndarray:
        """Return inputs of a column whose training distribution is not stored.

        By default, one random input of each row is 1.
        """
        return np.eye(self.width)[rng.integers(self.width, size=count)]

    def for_trees(self, series) -> ndarray:
        """Convert a column to inputs of shape (N, K) for gradient-boosted trees."""
        if self.holds == "numbers":
            return self.read(series)[:, None]
        return self(series)

    def packed_types(self, series) -> dict[str, Any]:
        """Return the dtype and the shape of each packed field, by name suffix."""
        return {"": (np.float32, (self.width,))}

    def pack(self, series, target_encoded: ndarray | None) -> dict[str, ndarray]:
        """Return the packed fields, with ``target_encoded`` for mean targets."""
        return {"": self(series)}

    def entries(
        self, is_taken: ndarray, types: Mapping[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any], int]]:
        """Yield each field's suffix, entries of `COLUMN` and number of inputs."""
        yield "", {"storage": Storage.INPUTS}, self.width

    @property
    def onnx_type(self) -> type | None:
        """The type in an ONNX graph, or None if the graph takes encoded inputs."""
        return None

    def to_onnx(self, column) -> Any:
        """Return the ONNX symbol of the inputs, given the symbol of values (N, 1)."""
        raise NotImplementedError

    def to_source(self, name: str, source) -> str | None:
        """Return a NumPy expression for the inputs, or None, and add helpers."""
        return None

    def is_consistent(self) -> bool:
        """Return whether the fields are consistent, as in a file without damage."""
        return True


@dataclass(frozen=True)
class Misfit:
    """A note on values of a column that cannot be used unchanged.

    Examples
    --------
    >>> one, other = Misfit("not numbers", 2, "'x' in line 5"), Misfit("not numbers", 3, "'y' in line 9")
    >>> str(one.plus(other))
    "5 value(s), such as 'x' in line 5, are not numbers"
    """

    message: str
    count: int = 0
    first: str = ""
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, series, mask: ndarray, message: str) -> "Misfit":
        """Return a note on the values of a column that a Boolean mask selects."""
        return cls(message, int(mask.sum()), first_of(series, mask))

    def __str__(self) -> str:
        if len(self.names) > 3:
            return f"{', '.join(self.names[:3])} and others: {self.message}"
        if self.names:
            return f"{', '.join(self.names)}: {self.message}"
        if self.count:
            return f"{self.count} value(s), such as {self.first}, are {self.message}"
        return self.message

    def plus(self, other: "Misfit") -> "Misfit":
        """Combine the notes on two chunks of a column."""
        names = tuple(dict.fromkeys(self.names + other.names))[:4]
        return replace(self, count=self.count + other.count, names=names)


def first_of(series, mask: ndarray) -> str:
    """Describe the first value that a mask selects, and its row.

    Examples
    --------
    >>> import pandas as pd
    >>> first_of(pd.Series(["a", "b"]), np.array([False, True]))
    "'b' in row 1"
    """
    row = int(np.argmax(mask))
    # arrays contain nan itself
    if series.name is not None and series.isna().iloc[row]:
        value = "a missing value"
    else:
        value = shortened(repr(series.iloc[[row]].tolist()[0]))
    return f"{value} in {row_named(series.index, row)}"


def shortened(text: str) -> str:
    """Truncate a text to 40 characters."""
    if len(text) <= 40:
        return text
    return f"{text[:39]}…"


def row_named(index, number: int) -> str:
    """Describe a row by its line in a file or its label in a data frame.

    Examples
    --------
    >>> import pandas as pd
    >>> row_named(pd.RangeIndex(3), 2), row_named(pd.RangeIndex(2, 5, name="line"), 0)
    ('row 2', 'line 2')
    """
    unit = "line" if index.name == "line" else "row"
    return f"{unit} {index[number]}"
