"""The record of a session: losses, gradients and moves, which stays small however long training goes on."""

import numpy as np

MOST_ENTRIES = 20_000
"""The number of entries above which every other one is dropped."""


class Curves:
    """Several values by the number of an epoch; of a long training every second entry is kept, then every fourth, ….

    The last entry is always kept.

    Examples
    --------
    >>> curves = Curves(1)
    >>> curves.add(np.array([0, 1]), np.array([[2.0], [1.0]]))
    >>> curves.epochs, curves.values
    (array([0, 1]), array([[2.],
           [1.]]))
    """

    def __init__(self, width: int) -> None:
        self._parts = [np.empty((0, 1 + width))]
        self._last = self._parts[0]
        self._kept = self._added = 0
        self._stride = 1

    def add(self, epochs: np.ndarray, values: np.ndarray) -> None:
        """Add the values, (E, width), of several epochs."""
        entries = np.column_stack([epochs, values])
        self._parts.append(entries[-self._added % self._stride :: self._stride])
        self._kept += len(self._parts[-1])
        self._added += len(entries)
        self._last = entries[-1:]
        while self._kept >= MOST_ENTRIES:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._kept = len(self._parts[0])
            self._stride *= 2

    def _table(self) -> np.ndarray:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        ends_with_last = (self._added - 1) % self._stride == 0
        return self._parts[0] if ends_with_last else np.concatenate([self._parts[0], self._last])

    @property
    def epochs(self) -> np.ndarray:
        """The numbers of the epochs, (K,)."""
        return self._table()[:, 0].astype(int)

    @property
    def values(self) -> np.ndarray:
        """The values, (K, width)."""
        return self._table()[:, 1:]


class Record:
    """What is known of a session since its start.

    Attributes
    ----------
    gradient_norms, moves : Curves
        The norm of each dense layer's gradient, and of its move in the epoch or step before, where training has stopped
        to be looked at; their epochs are the numbers of steps.
    """

    def __init__(self, layers: int) -> None:
        self.losses = Curves(2)
        self.gradient_norms, self.moves = Curves(layers), Curves(layers)  # by the number of the step

    @property
    def epochs(self) -> np.ndarray:
        """The numbers of the epochs after which the losses are known, (K,)."""
        return self.losses.epochs

    @property
    def train(self) -> np.ndarray:
        """The losses of the rows of training, (K,)."""
        return self.losses.values[:, 0]

    @property
    def test(self) -> np.ndarray:
        """The losses of the rows of the test, (K,); NaN where there are none."""
        return self.losses.values[:, 1]
