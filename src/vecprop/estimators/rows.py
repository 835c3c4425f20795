"""Rows that a model has accepted: some of a table, which is copied for nobody."""

import pickle
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with their targets.

    Parameters
    ----------
    X : ndarray or sparse matrix (N, I)
        The inputs.
    y : array (N,) or (N, O)
        The labels or numbers, as they were given.
    T : ndarray
        The targets of the network.
    weight : ndarray (N,) or None
        The rows' weights.
    """

    X: Any
    y: Any
    T: np.ndarray
    weight: np.ndarray | None


class Rows:
    """Rows of a table: all of them, or those of some numbers, which are copied where they are asked for.

    Parameters
    ----------
    X, y, T, weight
        The table's columns, see `Table`.

    Examples
    --------
    >>> rows = Rows(np.eye(3), np.arange(3), np.arange(3), None)
    >>> few = rows.take(np.array([2, 1])).take(np.array([0]))
    >>> few.X, len(few), few.table is rows.table
    (array([[0., 0., 1.]]), 1, True)
    """

    def __init__(self, X: Any, y: Any, T: np.ndarray, weight: np.ndarray | None) -> None:
        self.table = Table(X, y, T, weight)
        self.numbers: np.ndarray | None = None
        self._parts: dict[Any, tuple[Rows, Rows, Any]] = {}

    def take(self, numbers: np.ndarray) -> "Rows":
        """Return the rows of these numbers among these rows."""
        return self._of(self.table, numbers if self.numbers is None else self.numbers[numbers])

    def split(self, random: np.random.RandomState, share: float, strata: Any) -> tuple["Rows", "Rows"]:
        """Return two random parts of the rows, the second with a share of them, of each of the strata if there are any.

        They are drawn once for all models that come with the same random state, which goes on as if each had drawn.
        """
        key = share, pickle.dumps(random.get_state(legacy=False))
        if key not in self._parts:
            numbers = np.arange(len(self))
            parts: Any = train_test_split(numbers, random_state=random, test_size=share, stratify=strata)
            self._parts[key] = self.take(parts[0]), self.take(parts[1]), random.get_state(legacy=False)
        first, second, state = self._parts[key]
        random.set_state(state)
        return first, second

    def columns(self, features: np.ndarray) -> "Rows":
        """Return the same rows with some of the inputs."""
        return self._of(replace(self.table, X=self.table.X[:, features]), self.numbers)

    def within(self, X: np.ndarray, numbers: np.ndarray) -> "Rows":
        """Return these rows as those of some numbers of a larger X, whose other rows are as valid as the first."""

        def spread(values: Any) -> Any:
            whole = np.empty((len(X), *values.shape[1:]), values.dtype)
            whole[:], whole[numbers] = values[:1], values
            return whole

        weight = None if self.weight is None else spread(self.weight)
        return self._of(Table(X, spread(self.y), spread(self.T), weight), numbers)

    @staticmethod
    def _of(table: Table, numbers: np.ndarray | None) -> "Rows":
        rows = Rows(table.X, table.y, table.T, table.weight)
        rows.table, rows.numbers = table, numbers
        return rows

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.table.T) if self.numbers is None else len(self.numbers)

    @property
    def width(self) -> int:
        """How many inputs a row has."""
        return self.table.X.shape[1]

    @property
    def dtype(self) -> Any:
        """The type of the inputs."""
        return self.table.X.dtype

    @cached_property
    def X(self) -> Any:
        """The inputs of these rows."""
        return self._chosen(self.table.X)

    @cached_property
    def y(self) -> Any:
        """Their labels or numbers."""
        return self._chosen(self.table.y)

    @cached_property
    def T(self) -> np.ndarray:
        """Their targets."""
        return self._chosen(self.table.T)

    @cached_property
    def weight(self) -> np.ndarray | None:
        """Their weights."""
        return None if self.table.weight is None else self._chosen(self.table.weight)

    def _chosen(self, column: Any) -> Any:
        return column if self.numbers is None else column[self.numbers]
