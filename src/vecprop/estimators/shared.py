"""All rows of a search, which its folds share."""

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from ..core.inputs import is_converted_as_read
from ..core.layers import Dense
from ..core.network import Network
from .base import MultilayerPerceptron
from .data import Table
from .scaling import LARGE


@dataclass(eq=False)
class Shared:
    """All rows of a search, from which folds choose theirs without a copy."""

    X: np.ndarray
    y: Any
    params: dict[str, Any]
    ends: np.ndarray
    frame: Any = None
    known: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, X: Any, y: Any, params: dict[str, Any]) -> "Shared | None":
        """Return the rows if they can be shared as they are, or None."""
        own = _array_of(X)
        X, frame = (X, None) if own is None else (own, X)
        of_numbers = type(X) in (np.ndarray, np.memmap) and X.ndim == 2 and X.dtype in (np.float32, np.float64)
        if not of_numbers or not X.size or sparse.issparse(y):
            return None
        ends = np.stack([np.asarray(X).min(axis=0), np.asarray(X).max(axis=0)])
        return cls(X, y, params, ends, frame) if np.isfinite(ends).all() else None

    @cached_property
    def by_rows(self) -> np.ndarray:
        """X as kernels read it: by rows, unless it is so large that they take it as it lies."""
        X = np.asarray(self.X)
        return X if self.is_read_in_place else np.ascontiguousarray(X)

    @property
    def is_read_in_place(self) -> bool:
        """Whether kernels read X itself, of which no copy is made."""
        return self.X.flags.c_contiguous or is_converted_as_read(self.X, self.X.dtype)

    @property
    def is_large(self) -> bool:
        """Whether copies of X are worth avoiding."""
        return self.X.nbytes >= LARGE

    def stand_in(self, rows: int, named: bool = False) -> Any:
        """Return an X of this number of rows for checks, which takes no memory; a frame if it has names to be known."""
        X = np.broadcast_to(self.by_rows[0], (rows, self.X.shape[1]))
        return type(self.frame)(X, columns=self.frame.columns, copy=False) if named and self.frame is not None else X

    def table(self, template: MultilayerPerceptron, targets: Any, weight: Any) -> Table | None:
        """Return all rows as a model reads them; None if other rows are wrong or change its outputs."""
        key = targets, template.n_outputs_
        if key not in self.known:
            self.known[key] = None
            with suppress(ValueError, TypeError):
                whole: Any = clone(template)
                N = len(self.X)
                table = whole._accept(self.stand_in(N), self.y, weight, first=True).table
                if whole.n_outputs_ == template.n_outputs_:
                    head = Network(1, [Dense(whole.n_outputs_)], whole._loss())
                    head.batch(head.init(0, self.X.dtype), np.zeros((N, 1), self.X.dtype), table.T, table.weight)
                    self.known[key] = table
        return self.known[key]


def _array_of(frame: Any) -> np.ndarray | None:
    """Return the array in which all numbers of a frame of pandas lie, or None if there is none."""
    if type(frame).__module__.partition(".")[0] != "pandas" or getattr(frame, "ndim", 0) != 2 or not frame.size:
        return None
    if any(dtype not in (np.float32, np.float64) for dtype in frame.dtypes):
        return None
    X = frame.to_numpy()
    ends = (np.shares_memory(X, frame.iloc[:, column].to_numpy()) for column in (0, -1))
    return X if all(ends) else None
