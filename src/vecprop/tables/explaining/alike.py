"""Columns that stand in for each other: what one of them tells, another tells too."""

from typing import Any

import numpy as np

from ..encoding.column import Column
from ..encoding.columns import Categories

ALIKE = 0.7
"""Columns whose association is at least this, as the mean over pairs of two groups, are one group."""


def groups_of(columns: list[tuple[Column, Any]]) -> list[list[int]]:
    """Return the groups of columns that stand in for each other, by their numbers; most columns are alone.

    Columns are joined by average linkage as long as the mean association between two groups is 0.7 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import NumberInputs
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> three = [pd.Series(x[:, 0]), pd.Series(x[:, 1]), pd.Series(x[:, 0] ** 3)]
    >>> groups_of([(NumberInputs.of(series), series) for series in three])
    [[0, 2], [1]]
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(columns) < 2:
        return [[number] for number in range(len(columns))]
    distances = squareform(1 - associations([_basis(*column) for column in columns]), checks=False)
    labels = fcluster(linkage(distances, "average"), 1 - ALIKE, "distance")
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return sorted(groups)


def associations(bases: list[np.ndarray]) -> np.ndarray:
    """Return the association of each pair of columns, (D, D), between 0 and 1.

    With orthonormal bases A (N, a) and B (N, b) of two columns it is the root of ‖Aᵀ B‖² / min(a, b), less what chance
    gives in N rows: Spearman's correlation for two columns of numbers, the correlation ratio of ranks for a number and
    a category, and Cramér's V for two categories.

    Examples
    --------
    >>> one = np.array([[1.0], [-1.0], [1.0], [-1.0]]) / 2
    >>> associations([one, -one, np.array([[1.0], [1.0], [-1.0], [-1.0]]) / 2])
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    found = np.eye(len(bases))
    for i, A in enumerate(bases):
        for j, B in enumerate(bases[:i]):
            fewer, more = sorted((A.shape[1], B.shape[1]))
            chance = more / (len(A) - 1)
            if fewer and chance < 1:
                share = min(((A.T @ B) ** 2).sum() / fewer, 1.0)
                found[i, j] = found[j, i] = np.sqrt(max(share - chance, 0.0) / (1 - chance))
    return found


def _basis(part: Column, series: Any) -> np.ndarray:
    """Return an orthonormal basis of what a column tells: its ranks, or its categories; nothing of text."""
    from scipy.stats import rankdata

    if isinstance(part, Categories):
        codes = part(series)[:, : part.marks]
        counts = codes.sum(axis=0)
        told = codes[:, counts > 0] / np.sqrt(counts[counts > 0])
        # Orthonormal already; a rotation puts the constant, which tells nothing, first.
        rotated, _ = np.linalg.qr(np.column_stack([np.sqrt(counts[counts > 0] / len(codes)), np.eye(told.shape[1])]))
        return told @ rotated[:, 1 : told.shape[1]]
    if part.holds != "numbers":
        return np.empty((len(series), 0))
    x = part.read(series)
    ranks = np.where(np.isnan(x), np.nan, rankdata(x, nan_policy="omit"))
    centred = np.nan_to_num(ranks - np.nanmean(ranks)) if not np.isnan(ranks).all() else np.zeros(len(x))
    length = np.linalg.norm(centred)
    return (centred / length)[:, None] if length else np.empty((len(x), 0))
