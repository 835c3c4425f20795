"""Folds: the rows that each member of an ensemble is not trained on."""

import numpy as np


def folds(y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return each row's fold, 0 … count - 1: of equal sizes, and each with about the same targets.

    Rows are sorted by target, and each run of ``count`` rows is dealt to the folds in random order. So each fold has
    its share of every class, or of small and large numbers.

    Parameters
    ----------
    y : ndarray (N,)
        The targets, of any type that can be sorted.
    count : int
        The number of folds.
    seed : int
        Fixes the order in which rows are dealt.

    Examples
    --------
    >>> y = np.array([0, 0, 1, 1, 0, 1])
    >>> fold = folds(y, 3, seed=0)
    >>> [sorted(y[fold == k].tolist()) for k in range(3)]
    [[0, 1], [0, 1], [0, 1]]
    """
    hands = np.tile(np.arange(count), (-(-len(y) // count), 1))
    dealt = np.random.default_rng(seed).permuted(hands, axis=1).ravel()[: len(y)]
    fold = np.empty(len(y), np.intp)
    fold[np.argsort(y, kind="stable")] = dealt
    return fold
