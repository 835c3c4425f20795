"""Assign rows to folds, and compute out-of-fold target encodings."""

from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
from numpy import ndarray

from ..error import TableError, pandas
from ..kinds.ambiguities import NO_OPTIONS, ColumnOptions
from ..kinds.formats import DateReading, NumberReading
from ..kinds.kinds import kind_of
from ..kinds.values import as_names, read_days, read_numbers
from ..reading.frames import Frame, column_of, plain_column
from .column import first_of


def folds(y: ndarray, count: int, seed: int) -> ndarray:
    """Return the fold of each row. Folds have equal sizes and are stratified by target.

    Rows are sorted by target, and each group of ``count`` consecutive rows is
    distributed over the folds at random.

    Examples
    --------
    >>> y = np.array([0, 0, 1, 1, 0, 1])
    >>> fold = folds(y, 3, seed=0)
    >>> [sorted(y[fold == k].tolist()) for k in range(3)]
    [[0, 1], [0, 1], [0, 1]]
    """
    orders = np.tile(np.arange(count), (ceil(len(y) / count), 1))
    shuffled = np.random.default_rng(seed).permuted(orders, axis=1).ravel()
    fold = np.empty(len(y), np.intp)
    fold[np.argsort(y, kind="stable")] = shuffled[: len(y)]
    return fold


def folds_of_groups(y: ndarray, groups: ndarray, count: int, seed: int) -> ndarray:
    """Return the fold of each row, with all rows of a group in the same fold.

    Groups are sorted by their mean target, or mean class index, and distributed as in
    `folds`, except that the largest groups go to the smallest folds. There are at most
    as many folds as groups.

    Examples
    --------
    >>> groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    >>> fold = folds_of_groups(np.arange(8.0), groups, 2, seed=0)
    >>> (fold[::2] == fold[1::2]).all(), np.bincount(fold)
    (np.True_, array([4, 4]))
    """
    sizes = np.bincount(groups)
    _, ranks = np.unique(y, return_inverse=True)
    means = np.bincount(groups, ranks) / sizes
    count = min(count, len(sizes))
    order = np.argsort(means, kind="stable")
    rng = np.random.default_rng(seed)
    rows = np.zeros(count)
    fold = np.empty(len(sizes), np.intp)
    for first in range(0, len(order), count):
        batch = rng.permutation(order[first : first + count])
        batch = batch[np.argsort(-sizes[batch], kind="stable")]
        smallest = rng.permutation(count)
        smallest = smallest[np.argsort(rows[smallest], kind="stable")][: len(batch)]
        fold[batch] = smallest
        rows[smallest] += sizes[batch]
    return fold[groups]


def folds_of_time(time: ndarray, count: int) -> ndarray:
    """Return the fold of each row, in consecutive blocks of the later half.

    Rows of the earlier half have the fold -1. The network of a fold is trained on all
    earlier rows, and validated on the rows of this fold and all later folds. Rows with
    equal times are in the same fold, so few distinct times result in fewer folds.

    Examples
    --------
    >>> folds_of_time(np.arange(8.0), 2)
    array([-1, -1, -1, -1,  0,  0,  1,  1])
    """
    shares = 0.5 + np.arange(count) / (2 * count)
    starts = np.unique(np.quantile(time, shares, method="higher"))
    return np.searchsorted(starts[starts > time.min()], time, side="right") - 1


def splits(fold: ndarray, *, is_time: bool) -> list[tuple[ndarray, ndarray]]:
    """Return the indices of the training and validation rows of each fold.

    Examples
    --------
    >>> splits(np.array([1, 0, 1]), is_time=False)
    [(array([0, 2]), array([1])), (array([1]), array([0, 2]))]
    >>> splits(np.array([-1, 0, 1]), is_time=True)
    [(array([0]), array([1, 2])), (array([0, 1]), array([2]))]
    """
    splits = []
    for number in range(fold.max() + 1):
        is_trained = fold < number if is_time else fold != number
        splits.append((np.flatnonzero(is_trained), np.flatnonzero(~is_trained)))
    return splits


@dataclass(frozen=True, eq=False)
class Dependence:
    """How the rows of a table depend on each other: not at all, by group or by time."""

    groups: ndarray | None = None
    time: ndarray | None = None

    @classmethod
    def of(
        cls, frame: Frame, groups, time, options: ColumnOptions = NO_OPTIONS
    ) -> Self:
        """Return the dependence, given column names or arrays with one value per row.

        Raises
        ------
        TableError
            If both groups and times are given, if their length differs from the
            table's, or if values are not times.

        Examples
        --------
        >>> frame = pandas().DataFrame({"patient": ["Ann", "Bob", "Ann"]})
        >>> Dependence.of(frame, "patient", None).groups
        array([0, 1, 0])
        """
        if groups is not None and time is not None:
            raise TableError(
                "Rows can be split by groups or by time: pass only one of the two."
            )
        if groups is not None:
            groups = group_numbers(_column(frame, groups, "groups"))
        if time is not None:
            name = time if isinstance(time, str) else None
            time = times(_column(frame, time, "time"), name, options)
        return cls(groups, time)

    def __getitem__(self, rows: ndarray) -> "Dependence":
        """Return the dependence for a subset of the rows."""
        groups = self.groups
        time = self.time
        if groups is not None:
            _, groups = np.unique(groups[rows], return_inverse=True)
        if time is not None:
            time = time[rows]
        return Dependence(groups, time)

    @property
    def is_time(self) -> bool:
        """Whether rows are ordered by time."""
        return self.time is not None

    @property
    def count(self) -> float:
        """The number of groups, or infinity without groups."""
        if self.groups is None:
            return float("inf")
        return float(self.groups.max() + 1)

    def folds(self, y: ndarray, count: int, seed: int) -> ndarray:
        """Return the fold of each row. Too few groups or times are an error."""
        for values, name in ((self.groups, "group"), (self.time, "time")):
            if values is not None and values.min() == values.max():
                raise TableError(
                    f"All training rows have the same {name}: validation requires at"
                    " least two."
                )
        if self.groups is not None:
            return folds_of_groups(y, self.groups, count, seed)
        if self.time is None:
            return folds(y, count, seed)
        fold = folds_of_time(self.time, count)
        if fold.max() < 0:
            raise TableError(
                "Too many rows have the earliest time to validate on later rows: leave"
                " out time (--time)."
            )
        return fold


def group_numbers(series) -> ndarray:
    """Return the index of each row's group. Missing values form one group.

    Examples
    --------
    >>> group_numbers(pandas().Series(["Ann", "Bob", "Ann"]))
    array([0, 1, 0])
    """
    groups, _ = pandas().factorize(as_names(series))
    return groups


def times(
    series,
    name: str | None,
    options: ColumnOptions = NO_OPTIONS,
    reading: NumberReading | DateReading | None = None,
) -> ndarray:
    """Convert times to numbers, and raise an error for values that are not times.

    If ``reading`` is None, `kind_of` infers the format. If the times are not a column,
    ``name`` is None.

    Examples
    --------
    >>> times(pandas().Series(["31.12.2023", "01.02.2024"]), "day")
    array([19722., 19754.])
    """
    reading = reading or kind_of(series, name or "", options).reading
    if isinstance(reading, NumberReading):
        times, _ = read_numbers(series, reading)
    elif isinstance(reading, DateReading):
        times, _ = read_days(series, reading)
    else:
        times = periods(series)
    is_unread = np.isnan(times)
    if is_unread.any():
        subject = "The argument time" if name is None else f"Column {name!r}"
        raise TableError(
            f"{subject} has {is_unread.sum()} value(s) that are not times, such as"
            f" {first_of(series, is_unread)}: fix or drop them, or set the date format"
            " (--date-format)."
        )
    return times


YEAR_AND_PART = r"^\s*((?:19|20)\d\d)\W?[QWMqwm]?(\d{1,2})\s*$"


def periods(series) -> ndarray:
    """Convert years with a part to sortable numbers, and other values to nan.

    Examples
    --------
    >>> periods(pandas().Series(["2024-W05", "2024Q1", "spring"]))
    array([202405., 202401.,     nan])
    """
    year_and_part = series.astype(str).str.extract(YEAR_AND_PART).astype(float)
    return (100 * year_and_part[0] + year_and_part[1]).to_numpy()


def _column(frame: Frame, values, setting: str) -> Any:
    """Return a column by its name, or an array with one value per row as a column."""
    if isinstance(values, str):
        return column_of(frame, values)
    if not isinstance(values, pandas().Series):
        values = pandas().Series(np.asarray(values).ravel())
    if len(values) != len(frame):
        raise TableError(
            f"The table has {len(frame)} rows, but {setting} has {len(values)}: pass"
            " one per row."
        )
    plain = plain_column(values)
    return values if plain is None else plain


PRIOR_ROWS = 10.0
"""A category's mean is shrunk toward the overall mean, which has the weight of this
number of rows.
"""
MAX_NAMES = 10_000
"""The largest number of categories with a mean. Rarer categories have none."""
MAX_SPREADS = 8.0
"""Relative means are clipped to this limit, like standardized numbers."""
MAX_TARGETS = 10
"""Target encoding is disabled above this number of outputs, because it would
dominate the first layer.
"""


@dataclass(frozen=True, eq=False)
class TargetMeans:
    """The mean targets of categories, standardized.

    They are relative to the overall mean, in standard deviations of the targets.

    Examples
    --------
    >>> means = TargetMeans(np.array(["Oslo", "Rome"]), np.array([[-1.0], [1.0]]))
    >>> means(np.array(["Rome", "Bern"])).tolist()
    [[1.0], [0.0]]
    """

    names: ndarray
    means: ndarray

    @property
    def width(self) -> int:
        """The number of inputs, D."""
        return self.means.shape[1]

    def __call__(self, names: ndarray) -> ndarray:
        """Convert N category names to inputs of shape (N, D)."""
        codes, distinct = pandas().factorize(names)  # much faster than sorting
        indices = np.searchsorted(self.names[:-1], distinct.astype(str))
        is_known = (self.names[indices] == distinct)[:, None]
        return np.where(is_known, self.means[indices], 0.0)[codes]


def target_means(
    names: ndarray, T: ndarray, fold: ndarray, weight: ndarray | None = None
) -> tuple[TargetMeans, ndarray]:
    """Return the mean targets of categories, and out-of-fold inputs (N, D).

    Targets in the fold of a row affect its encoding only through the mean and the
    standard deviation of all rows.

    Examples
    --------
    >>> names, fold = np.array(["a", "a", "b", "b"]), np.array([0, 1, 0, 1])
    >>> means, inputs = target_means(names, np.array([[0.0], [2.0], [4.0], [6.0]]), fold)
    >>> means.means.round(6).ravel(), inputs.round(2).ravel()
    (array([-1.,  1.]), array([-0.27, -0.82,  0.82,  0.27]))
    """
    if T.shape[1] == 2:  # the shares of two classes add up to 1
        T = T[:, 1:]
    counts = np.ones(len(T))
    if weight is not None:
        counts = weight / weight.mean()
    above = T - np.average(T, axis=0, weights=counts)
    codes, categories = pandas().factorize(names, sort=True)
    categories = categories.astype(str)
    # The sum of the targets and the weight of the rows, by fold and category.
    shape = fold.max() + 1, len(categories)
    sums = np.zeros((*shape, T.shape[1]))
    rows = np.zeros(shape)
    np.add.at(sums, (fold, codes), counts[:, None] * above)
    np.add.at(rows, (fold, codes), counts)
    all_sums = sums.sum(axis=0)
    all_rows = rows.sum(axis=0)
    means = all_sums / (all_rows + PRIOR_ROWS)[:, None]
    spread = np.sqrt(np.average(means[codes] ** 2, axis=0, weights=counts))
    spread = np.where(spread > 0, spread, 1.0)

    def bounded(means: ndarray) -> ndarray:
        return np.clip(means / spread, -MAX_SPREADS, MAX_SPREADS)

    means_of_other_folds = (all_sums - sums) / (all_rows - rows + PRIOR_ROWS)[..., None]
    is_kept = np.zeros(len(categories), bool)
    is_kept[np.argsort(-all_rows, kind="stable")[:MAX_NAMES]] = True
    inputs = bounded(means_of_other_folds[fold, codes] * is_kept[codes, None])
    return TargetMeans(categories[is_kept], bounded(means[is_kept])), inputs
