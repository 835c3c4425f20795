"""How rows are split into folds: by a number of folds, and by groups or times where they are given."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, TimeSeriesSplit, check_cv
from sklearn.utils.multiclass import type_of_target

FOLDS = 5
"""The number of folds by default."""


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of training and test of a fold; most splitters train on all rows that are not tested, in their order.

    The numbers of such rows are found when they are needed: those of ten folds take as much memory as 18 columns.

    Examples
    --------
    >>> Split.of(np.array([0, 2]), np.array([1]), 3).own_train is None
    True
    >>> Split.of(np.array([2, 0]), np.array([1]), 3).train
    array([2, 0])
    """

    own_train: Any
    test: Any
    count: int

    @classmethod
    def of(cls, train: Any, test: Any, count: int) -> "Split":
        """Return the split of `count` rows into rows of training and of the test."""
        split = cls(None, test, count)
        are_numbers = all(getattr(rows, "dtype", None) == np.int64 for rows in (train, test))
        return split if are_numbers and np.array_equal(split.train, train) else cls(train, test, count)

    @property
    def train(self) -> Any:
        """The rows of training."""
        if self.own_train is not None:
            return self.own_train
        is_trained = np.ones(self.count, bool)
        is_trained[self.test] = False
        return np.flatnonzero(is_trained)


def splitter_for(cv: Any, y: Any, *, is_classes: bool, groups: Any, time: Any) -> Any:
    """Return the splitter that a setting ``cv`` means.

    Raises
    ------
    ValueError
        If there are times beside groups or beside a splitter, or not one for each row.

    Examples
    --------
    >>> splitter = splitter_for(2, np.zeros(6), is_classes=True, groups=None, time=[3, 1, 2, 1, 2, 3])
    >>> [(train.tolist(), test.tolist()) for train, test in splitter.split(np.zeros(6))]
    [([1, 3], [2, 4]), ([1, 3, 2, 4], [0, 5])]
    """
    is_number = cv is None or isinstance(cv, Integral)
    count: Any = FOLDS if cv is None else cv
    splits: Any = cv
    if time is not None:
        if groups is not None or not is_number:
            raise ValueError("time splits rows by itself: give it without groups, and cv as a number of folds.")
        splits = _splits_of_time(np.asarray(time), count, len(y))
    if groups is None or not is_number:
        return check_cv(splits, y, classifier=is_classes)
    is_stratified = is_classes and type_of_target(y) in ("binary", "multiclass")
    return StratifiedGroupKFold(count) if is_stratified else GroupKFold(count)


def _splits_of_time(time: np.ndarray, count: int, rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return blocks of rows, each with all that are earlier; those of the block's first time are in the block alone."""
    if time.shape != (rows,):
        raise ValueError(f"There are {rows} rows, but time has the shape {time.shape}: give one a row.")
    order = np.argsort(time, kind="stable")
    splits = [(order[train], order[test]) for train, test in TimeSeriesSplit(count).split(order)]
    splits = [(train[time[train] < time[test].min()], test) for train, test in splits]
    if any(not len(train) for train, _ in splits):
        raise ValueError(f"The times are too few for {count} folds, each with earlier rows: lower cv.")
    return splits
