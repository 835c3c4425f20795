"""What many categories tell of the target: the mean target of the rows of each, as inputs."""

from dataclasses import dataclass

import numpy as np

from ..error import pandas

ROWS_OF_ALL = 10.0
"""A category's mean is drawn to that of all rows as by this many more rows of theirs."""
MOST_NAMES = 10_000
"""The largest number of categories whose means are kept, the most frequent ones."""
MOST_SPREADS = 8.0
"""Means are clipped here, as standardised numbers are."""
MOST_TARGETS = 10
"""Of more outputs than this there are no means: they would be the largest part of the first layer."""


@dataclass(frozen=True, eq=False)
class TargetMeans:
    """The mean targets of categories: how far they are above those of all rows, in units of their spread over rows.

    Examples
    --------
    >>> means = TargetMeans(np.array(["Oslo", "Rome"]), np.array([[-1.0], [1.0]]))
    >>> means(np.array(["Rome", "Bern"])).tolist()
    [[1.0], [0.0]]
    """

    names: np.ndarray
    means: np.ndarray

    @property
    def width(self) -> int:
        """The number of inputs, D."""
        return self.means.shape[1]

    def __call__(self, names: np.ndarray) -> np.ndarray:
        """Return the inputs of names (N,), (N, D)."""
        codes, distinct = pandas().factorize(names)  # in a fraction of the time that sorting all takes
        places = np.minimum(np.searchsorted(self.names, distinct.astype(str)), len(self.names) - 1)
        return np.where((self.names[places] == distinct)[:, None], self.means[places], 0.0)[codes]


def target_means(
    names: np.ndarray, T: np.ndarray, fold: np.ndarray, weight: np.ndarray | None = None
) -> tuple[TargetMeans, np.ndarray]:
    """Return the mean targets of categories by all rows, and as inputs of these rows, (N, D), by those of other folds.

    So no row's input tells its own target, nor that of a row that is validated with it, but for the mean and the
    spread, which are those of all rows.

    Examples
    --------
    >>> names, fold = np.array(["a", "a", "b", "b"]), np.array([0, 1, 0, 1])
    >>> means, inputs = target_means(names, np.array([[0.0], [2.0], [4.0], [6.0]]), fold)
    >>> means.means.round(6).ravel(), inputs.round(2).ravel()
    (array([-1.,  1.]), array([-0.27, -0.82,  0.82,  0.27]))
    """
    T = T[:, 1:] if T.shape[1] == 2 else T
    counts = np.ones(len(T)) if weight is None else weight / weight.mean()
    above = T - np.average(T, axis=0, weights=counts)
    codes, known = pandas().factorize(names, sort=True)
    known = known.astype(str)
    shape = fold.max() + 1, len(known)
    sums, rows = np.zeros((*shape, T.shape[1])), np.zeros(shape)
    np.add.at(sums, (fold, codes), counts[:, None] * above)
    np.add.at(rows, (fold, codes), counts)
    means = sums.sum(axis=0) / (rows.sum(axis=0) + ROWS_OF_ALL)[:, None]
    spread = np.sqrt(np.average(means[codes] ** 2, axis=0, weights=counts))
    spread = np.where(spread > 0, spread, 1.0)

    def bounded(means: np.ndarray) -> np.ndarray:
        return np.clip(means / spread, -MOST_SPREADS, MOST_SPREADS)

    of_others = (sums.sum(axis=0) - sums) / (rows.sum(axis=0) - rows + ROWS_OF_ALL)[..., None]
    kept = np.sort(np.argsort(-rows.sum(axis=0), kind="stable")[:MOST_NAMES])
    is_kept = np.zeros(len(known), bool)
    is_kept[kept] = True
    return TargetMeans(known[kept], bounded(means[kept])), bounded(of_others[fold, codes] * is_kept[codes, None])
