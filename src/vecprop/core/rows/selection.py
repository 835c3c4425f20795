"""Rows that are chosen from X, and columns that are scaled or expanded, only as they are read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..elementary import Array, namespace


@dataclass(frozen=True, eq=False)
class Expansion(ABC):
    """How rows that are kept as bytes become inputs in float32, by what columns tell of each column of a table."""

    columns: np.ndarray
    edges: np.ndarray

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.columns["width"].sum())

    @abstractmethod
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs of rows, (N, inputs)."""

    @abstractmethod
    def address(self, F: type) -> int:
        """Return the address of the kernel that computes inputs of type F; see `compiled.jit.calls.expand`."""


PART = 2**18
"""The most numbers of a part of a selection, except that it has ROWS rows at least."""

ROWS = 512
"""The rows of a part are a multiple of this: a predictor then meets the same tiles as if it met all rows at once."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """An affine map of each column: (x - shift) / scale, or x scale + shift, each operation rounded to X's type."""

    shift: np.ndarray
    scale: np.ndarray
    multiplies: bool = False

    def __call__(self, X: Array) -> Array:
        """Return the scaled rows."""
        Y = namespace(X).asarray(X, copy=True)
        if self.multiplies:
            Y *= self.scale
            Y += self.shift
        else:
            Y -= self.shift
            Y /= self.scale
        return Y


@dataclass(frozen=True, eq=False)
class Selection:
    """Rows of X, chosen, and scaled or expanded, only as they are read; it stands for X where a `Batch` is made."""

    X: Array
    rows: np.ndarray | None = None
    scaling: Scaling | None = None
    expansion: Expansion | None = None

    def __len__(self) -> int:
        """Return the number of chosen rows."""
        return len(self.X if self.rows is None else self.rows)

    def take(self, numbers: Any) -> Array:
        """Return some of the chosen rows, by their numbers among them."""
        xp = namespace(self.X)
        numbers = numbers if self.rows is None else self.rows[numbers]
        if isinstance(self.X, np.ndarray) and not self.X.flags.c_contiguous:  # of which NumPy's take copies all
            X = np.ascontiguousarray(self.X[numbers])
        else:
            X = xp.take(self.X, xp.asarray(numbers, device=self.X.device), axis=-2)
        if self.expansion is not None:
            return self.expansion(X)
        return X if self.scaling is None else self.scaling(X)

    def whole(self) -> Array:
        """Return all chosen rows."""
        return self.take(np.arange(len(self)))

    def parts(self) -> Iterator[Array]:
        """Yield the rows, some at a time; two at least if there are two, since a predictor sums one row's otherwise."""
        size, N = max(PART // self.X.shape[-1] // ROWS, 1) * ROWS, len(self)
        starts = range(0, max(N - 1, 1), size)
        for start, end in pairwise((*starts, N)):
            yield self.take(np.arange(start, end))
