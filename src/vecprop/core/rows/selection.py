"""Lazy selections: rows of X are gathered, scaled and expanded only on access."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy import ndarray

from ..elementary import Array, namespace


@dataclass(frozen=True, eq=False)
class Expansion(ABC):
    """Computes float32 inputs from the packed rows of a table, given a description of its columns."""

    columns: ndarray
    edges: ndarray

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.columns["width"].sum())

    @abstractmethod
    def __call__(self, X: ndarray) -> ndarray:
        """Return the inputs of rows, (N, inputs)."""

    @abstractmethod
    def address(self, F: type) -> int:
        """Return the address of the kernel that computes inputs of dtype F; see `compiled.jit.calls.expand`."""


PART = 2**18
"""The maximum number of elements in a part of a selection; a part has at least ROWS
rows.
"""

ROWS = 512
"""The number of rows in a part is a multiple of this, so that predictors use the
same tiles as for all rows at once.
"""


@dataclass(frozen=True, eq=False)
class Scaling:
    """An affine map per column. Each operation rounds to X's dtype."""

    shift: ndarray
    scale: ndarray
    multiplies: bool = False

    def __call__(self, X):
        """Return ``X scale + shift`` if `multiplies` is set, else ``(X - shift) / scale``."""
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
    """Chosen rows of X, scaled or expanded on access; a `Batch` accepts it in place of X."""

    X: Array
    rows: ndarray | None = None
    scaling: Scaling | None = None
    expansion: Expansion | None = None

    def __len__(self) -> int:
        """Return the number of chosen rows."""
        return len(self.X if self.rows is None else self.rows)

    def take(self, indices):
        """Return some of the chosen rows, by their indices in the selection."""
        xp = namespace(self.X)
        if self.rows is not None:
            indices = self.rows[indices]
        # np.take would copy all of X
        if isinstance(self.X, ndarray) and not self.X.flags.c_contiguous:
            X = np.ascontiguousarray(self.X[indices])
        else:
            X = xp.take(self.X, xp.asarray(indices, device=self.X.device), axis=-2)
        transform = self.expansion or self.scaling
        return X if transform is None else transform(X)

    def whole(self):
        """Return all chosen rows."""
        return self.take(np.arange(len(self)))

    def parts(self) -> Iterator[Array]:
        """Yield the rows in parts; predictors sum a single row differently, so it joins the previous part."""
        N = len(self)
        size = max(PART // self.X.shape[-1] // ROWS, 1) * ROWS
        starts = range(0, max(N - 1, 1), size)
        for start, end in pairwise((*starts, N)):
            yield self.take(np.arange(start, end))
