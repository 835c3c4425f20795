"""Which rows a model is trained on, and which it is tested on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ..tables.columns import as_days, as_numbers
from ..tables.error import TableError
from ..tables.frames import column_of

Frame = Any
FEWEST = 10
"""How many rows there must be to train and to test."""


@dataclass(frozen=True)
class Split:
    """How rows are set aside for the test.

    Parameters
    ----------
    size : float
        The share of the rows, or if it is 1 or more their number.
    group : str or None
        A column: rows with the same value stand all in training or all in the test, and the column is no input.
    time : str or None
        A column of dates or numbers: the latest rows are the test.
    seed : int
        Fixes which rows are drawn.
    """

    size: float
    group: str | None
    time: str | None
    seed: int

    def numbers(self, frame: Frame, y: np.ndarray, is_classes: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the rows of training, and of the test.

        Raises
        ------
        TableError
            Where there are too few rows, groups or times.

        Examples
        --------
        >>> from vecprop.tables.error import pandas
        >>> frame = pandas().DataFrame({"day": range(20, 0, -1)})
        >>> Split(0.1, None, "day", 0).numbers(frame, np.zeros(20), True)[1]
        array([0, 1])
        """
        rows = len(y)
        if rows < FEWEST:
            raise TableError(
                f"There are {rows} row(s) with a target: at least {FEWEST} are needed to train and to test."
            )
        count = round(self.size * rows) if self.size < 1 else int(self.size)
        if not 1 <= count < rows:
            raise TableError(f"A test part of {count} out of {rows} rows leaves one part empty: change --test-size.")
        if self.time is not None:
            return _latest(column_of(frame, self.time), count, self.time)
        if self.group is not None:
            return self._of_groups(frame, count / rows)
        drawn = train_test_split(
            np.arange(rows), test_size=count, random_state=self.seed, stratify=_strata(y, count) if is_classes else None
        )
        return np.sort(drawn[0]), np.sort(drawn[1])

    def _of_groups(self, frame: Frame, share: float) -> tuple[np.ndarray, np.ndarray]:
        groups = column_of(frame, self.group or "").astype(str)
        if groups.nunique() < 2:
            raise TableError(
                f"Column {self.group!r} has one group alone: rows for a test cannot be taken from another."
            )
        split = GroupShuffleSplit(1, test_size=share, random_state=self.seed)
        return next(split.split(frame, groups=groups))


def _latest(series: Any, count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all rows but the latest, and of the latest, where rows of the same time stay together."""
    times, unread = as_numbers(series)
    if unread:
        times = as_days(series, day_first=False)
    if np.isnan(times).any():
        raise TableError(
            f"Column {name!r} has {int(np.isnan(times).sum())} value(s) that are no time: mend or drop them."
        )
    is_late = times >= np.sort(times)[-count]
    if is_late.all():
        raise TableError(f"Column {name!r} does not tell the latest {count} rows from the others: there is one time.")
    return np.flatnonzero(~is_late), np.flatnonzero(is_late)


def _strata(y: np.ndarray, count: int) -> np.ndarray | None:
    """Return by what a draw is stratified: the classes, where each has rows enough for both parts."""
    _, sizes = np.unique(y, return_counts=True)
    return y if sizes.min() > 1 and min(count, len(y) - count) >= len(sizes) else None
