"""The base class of columns: how they are read, encoded, stored in memory and exported."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ..kinds.kinds import Kind

View = Literal["pieces", "standardised"]
"""The inputs of a network: all inputs ("pieces"), or without the piecewise linear encoding of numbers and without the
indicators of target-encoded categories ("standardised")."""
VIEWS: tuple[View, ...] = get_args(View)


class Storage(IntEnum):
    """How a packed row stores a column."""

    INPUTS = 0
    """All inputs in float32."""
    PLACE = 1
    """The index of the nonzero input, in int32."""
    NUMBER = 2
    """A number in float32."""
    WIDE_NUMBER = 3
    """A number in float64."""


COLUMN = np.dtype(
    [
        # The storage, the byte offset in a row, the index of the first input and the number of inputs.
        *((name, np.int64) for name in ("storage", "at", "first", "width")),
        # For numbers: which inputs of `NumberInputs` exist, and the start of their tables in `Expansion.edges`.
        *((name, np.int64) for name in ("has_bends", "marks_missing", "has_standard", "has_scores", "pieces", "edges")),
        # The constants of `NumberInputs`; the last three are its clipping limits.
        *((name, np.float64) for name in ("centre", "scale", "mean", "deviation", "limit", "largest", "most")),
    ],
    align=True,
)
"""The record that describes a column of packed rows and its conversion to inputs."""


class Column(ABC):
    """Base class of the encoders of columns.

    To add a kind, derive a dataclass, implement the abstract methods and add it to `encoder.COLUMNS`. The other methods
    have defaults, which use the column's inputs.
    """

    kind: ClassVar[str]
    """The name of the kind in notes and reports."""
    holds: ClassVar[Literal["numbers", "names", "other"]] = "other"
    """The type of the values that `read` returns; missing numbers are nan."""

    @classmethod
    @abstractmethod
    def learned(cls, series: Any, kind: Kind, pieces: int, categories: int, is_declared: bool) -> "Column | str":
        """Fit an encoder to a training column that has values, or return the reason why the column is not used.

        ``pieces`` and ``categories`` are upper bounds; ``is_declared`` says whether the user has set the kind.
        """

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of inputs."""

    @abstractmethod
    def read(self, series: Any) -> np.ndarray:
        """Return the values of a column, (N,)."""

    @abstractmethod
    def of_values(self, values: np.ndarray, /) -> np.ndarray:
        """Return the inputs of values (N,), (N, width)."""

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(self.read(series))

    def write(self, series: Any, inputs: np.ndarray) -> None:
        """Write the inputs of a column to an array, (N, width) in float32."""
        inputs[:] = self.of_values(self.read(series))

    def misfit(self, series: Any) -> "Misfit | None":
        """Return a note on values that cannot be used unchanged, or None."""
        return None

    def in_view(self, view: View) -> np.ndarray:
        """Return a mask of the inputs that belong to a view, (width,)."""
        return np.ones(self.width, bool)

    @property
    def has_unusual_format(self) -> bool:
        """Whether a note should report the format of the text."""
        return False

    def shown(self, value: Any) -> str:
        """Return a value as text."""
        return f"{value:.6g}" if self.holds == "numbers" else repr(str(value))

    def for_trees(self, series: Any) -> np.ndarray:
        """Return the inputs of gradient-boosted trees, (N, K)."""
        return self.read(series)[:, None] if self.holds == "numbers" else self(series)

    def packed_types(self, series: Any) -> dict[str, Any]:
        """Return the dtype and shape of each field of a packed row, by the suffix of its name; see `packed_rows`."""
        return {"": (np.float32, (self.width,))}

    def pack(self, series: Any, target_encoded: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the fields of packed rows; ``target_encoded`` replaces the mean targets of training rows."""
        return {"": self(series)}

    def entries(self, is_taken: np.ndarray, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], int]]:
        """Yield for each field of a packed row its suffix, its entries of `COLUMN` and its number of inputs."""
        yield "", {"storage": Storage.INPUTS}, self.width

    @property
    def onnx_type(self) -> type | None:
        """The type of the column in an ONNX graph; None if the graph receives the column's inputs."""
        return None

    def to_onnx(self, column: Any) -> Any:
        """Return the symbol of a column's inputs in an ONNX graph, given the symbol of its values, (N, 1)."""
        raise NotImplementedError

    def to_source(self, name: str, source: Any) -> str | None:
        """Return the NumPy expression of the inputs and add its helpers, or None if there is no such expression."""
        return None

    def is_consistent(self) -> bool:
        """Return whether the fields, which may come from a damaged file, are consistent."""
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

    what: str
    count: int = 0
    first: str = ""
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, series: Any, mask: np.ndarray, what: str) -> "Misfit":
        """Return a note on the values of a column that a mask selects."""
        return cls(what, int(mask.sum()), first_of(series, mask))

    def __str__(self) -> str:
        if self.names:
            return f"{', '.join(self.names[:3])}{' and others' if len(self.names) > 3 else ''}: {self.what}"
        return f"{self.count} value(s), such as {self.first}, are {self.what}" if self.count else self.what

    def plus(self, other: "Misfit") -> "Misfit":
        """Combine the notes on two chunks of a column."""
        names = tuple(dict.fromkeys(self.names + other.names))[:4]
        return replace(self, count=self.count + other.count, names=names)


def first_of(series: Any, mask: np.ndarray) -> str:
    """Describe the first value that a mask selects, and its row.

    Examples
    --------
    >>> import pandas as pd
    >>> first_of(pd.Series(["a", "b"]), np.array([False, True]))
    "'b' in row 1"
    """
    place = int(np.flatnonzero(mask)[0])
    return f"{shortened(repr(series.iloc[[place]].tolist()[0]))} in {row_named(series.index, place)}"


def shortened(text: str) -> str:
    """Truncate a text to 40 characters."""
    return text if len(text) <= 40 else f"{text[:39]}…"


def row_named(index: Any, place: int) -> str:
    """Describe a row by its line in a file or its label in a data frame.

    Examples
    --------
    >>> import pandas as pd
    >>> row_named(pd.RangeIndex(3), 2), row_named(pd.RangeIndex(2, 5, name="line"), 0)
    ('row 2', 'line 2')
    """
    return f"{'line' if index.name == 'line' else 'row'} {index[place]}"
