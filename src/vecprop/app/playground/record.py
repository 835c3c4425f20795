"""The record of a session's losses, which stays small however long training goes on."""

from collections.abc import Sequence

import numpy as np

MOST_ENTRIES = 20_000
"""The number of entries above which every other one is dropped."""


class Record:
    """Losses by epoch; of a long training every second entry is kept, or every fourth, and so on.

    Attributes
    ----------
    epochs, train, test : ndarray
        The numbers of the epochs, and the losses of training and test after them; NaN where there is no test.

    Examples
    --------
    >>> record = Record()
    >>> record.add([0, 1], [2.0, 1.0], [3.0, 2.5])
    >>> record.train
    array([2., 1.])
    """

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self._count = 0

    def add(self, epochs: Sequence[int] | np.ndarray, train: Sequence[float], test: Sequence[float]) -> None:
        """Add the losses after several epochs."""
        self._parts.append(np.array([epochs, train, test], dtype=float))
        self._count += len(train)
        if self._count > MOST_ENTRIES:
            table = self._table()
            self._parts = [np.concatenate([table[:, :-1:2], table[:, -1:]], axis=1)]
            self._count = self._parts[0].shape[1]

    def _table(self) -> np.ndarray:
        if len(self._parts) != 1:
            self._parts = [np.concatenate(self._parts, axis=1)] if self._parts else [np.empty((3, 0))]
        return self._parts[0]

    @property
    def epochs(self) -> np.ndarray:
        """The numbers of the epochs."""
        return self._table()[0].astype(int)

    @property
    def train(self) -> np.ndarray:
        """The losses of the rows of training."""
        return self._table()[1]

    @property
    def test(self) -> np.ndarray:
        """The losses of the rows of the test."""
        return self._table()[2]
