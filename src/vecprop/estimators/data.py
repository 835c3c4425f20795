"""The data of a fit: validated rows, and the encoding of labels and numbers as network targets."""

import pickle
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.random import RandomState
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array

from ..core import Scaling, Selection, is_converted_as_read, on_host, require_entries


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with their targets."""

    X: Any
    y: Any
    T: ndarray
    weight: ndarray | None
    scaling: Scaling | None = None

    @cached_property
    def inputs(self):
        """X, wrapped for lazy scaling if a scaler is set."""
        return self.X if self.scaling is None else Selection(self.X, None, self.scaling)


@dataclass(frozen=True, eq=False)
class Rows:
    """A subset of a table's rows; they are copied only on demand."""

    table: Table
    indices: ndarray | None = None
    _splits: "dict[Any, RandomSplit]" = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.table.T) if self.indices is None else len(self.indices)

    @cached_property
    def chosen(self) -> Table:
        """Only these rows, scaled, as a floating-point table."""
        table = self.table
        has_integers = table.X.dtype.kind in "biu"
        if table.scaling is not None:
            X = Selection(table.X, self.indices, table.scaling).whole()
        elif self.indices is None and not has_integers:
            return table
        else:
            X = self._select(table.X)
            if has_integers:
                X = X.astype(float)
        return Table(X, self._select(table.y), self.T, self.weight)

    def _select(self, values):
        """Return the entries of these rows."""
        return values if self.indices is None else values[self.indices]

    @property
    def T(self) -> ndarray:
        """The targets of these rows."""
        return self._select(self.table.T)

    @property
    def weight(self) -> ndarray | None:
        """The weights of these rows."""
        return None if self.table.weight is None else self._select(self.table.weight)

    def take(self, indices: ndarray) -> "Rows":
        """Return a subset of these rows, by position."""
        return Rows(
            self.table, indices if self.indices is None else self.indices[indices]
        )

    def split(self, random: RandomState, share: float, strata) -> tuple["Rows", "Rows"]:
        """Split the rows at random, optionally stratified; the second part gets the given share.

        Models with the same random state share one split. The state then advances as if
        each model had drawn a split.
        """
        key = share, pickle.dumps(random.get_state(legacy=False))
        if key not in self._splits:
            first_rows, second_rows = random_parts(len(self), random, share, strata)
            self._splits[key] = RandomSplit(
                self.take(first_rows),
                self.take(second_rows),
                state_after=random.get_state(legacy=False),
            )
        split = self._splits[key]
        random.set_state(split.state_after)
        return split.first, split.second

    def set_aside(
        self, random: RandomState, share: float, two_classes: bool
    ) -> tuple["Rows", "Rows"]:
        """Split off validation rows, with the same share of both classes if there are two."""
        strata = None
        if two_classes:
            strata = self.T[:, 0].astype(bool)
            if np.bincount(strata, minlength=2).min() < 2:
                # scikit-learn raises an error, which contains the strata as strings
                strata = strata.astype(str)
        rows, validation = self.split(random, share, strata)
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the"
                " size of your dataset."
            )
        return rows, validation

    def columns(self, features: ndarray) -> "Rows":
        """Return the same rows with a subset of the input columns."""
        return Rows(replace(self.table, X=self.table.X[:, features]), self.indices)

    def within(
        self,
        X: ndarray,
        indices: ndarray,
        whole: Table | None,
        scaling: Scaling | None,
    ) -> "Rows":
        """Return these rows as lazily scaled rows of a larger X, at the given row indices.

        Targets and weights are shared with the table `whole` if it has the same values
        in these rows. Otherwise they are copied, and all other rows get the valid
        values of the first row.
        """
        columns = {}
        for name in ("y", "T", "weight"):
            values = getattr(self.table, name)
            shared_values = getattr(whole, name, None)
            columns[name] = _spread(values, shared_values, indices, rows=len(X))
        return Rows(Table(X, scaling=scaling, **columns), indices)


def _spread(values, shared_values, indices: ndarray, rows: int):
    """Return values of all rows, given the values at some indices, and perhaps shared values of all rows."""
    if values is None:
        return None
    if shared_values is not None and np.array_equal(shared_values[indices], values):
        return shared_values
    spread_values = np.empty((rows, *values.shape[1:]), values.dtype)
    spread_values[:] = values[:1]
    spread_values[indices] = values
    return spread_values


class RandomSplit(NamedTuple):
    """Two parts of some rows, and the random state after they were drawn."""

    first: Rows
    second: Rows
    state_after: Any


def random_parts(count: int, random: RandomState, share: float, strata) -> Any:
    """Return the row indices of a random split in two, drawn as by scikit-learn's `train_test_split`.

    For Boolean strata this is faster and takes less memory: scikit-learn builds lists
    with 100 bytes per row.

    Examples
    --------
    >>> random_parts(5, np.random.RandomState(0), 0.4, np.array([True, True, False, False, False]))
    [array([0, 3, 4]), array([2, 1])]
    """
    second_size = ceil(share * count)
    first_size = count - second_size
    # scikit-learn may reject small parts.
    if strata is None or strata.dtype != bool or min(first_size, second_size) < 2:
        return train_test_split(
            np.arange(count), random_state=random, test_size=share, stratify=strata
        )
    rows_of_strata = [np.flatnonzero(~strata), np.flatnonzero(strata)]
    counts = np.array([len(rows) for rows in rows_of_strata])
    first_counts = _drawn_from_strata(counts, first_size, random)
    second_counts = _drawn_from_strata(counts - first_counts, second_size, random)
    first_parts = []
    second_parts = []
    for stratum in (0, 1):
        rows = rows_of_strata[stratum]
        rows = rows[random.permutation(len(rows))]
        start = first_counts[stratum]
        first_parts.append(rows[:start])
        second_parts.append(rows[start : start + second_counts[stratum]])
    del rows_of_strata  # to save memory
    first = np.concatenate(first_parts)
    second = np.concatenate(second_parts)
    return [random.permutation(first), random.permutation(second)]


def _drawn_from_strata(counts: ndarray, size: int, random: RandomState) -> ndarray:
    """Return the most likely number of rows from each stratum in `size` rows; break ties at random."""
    expected = counts / counts.sum() * size
    drawn = np.floor(expected)
    while drawn.sum() < size:
        missing = expected - drawn
        candidates = np.flatnonzero(missing == missing.max())
        (stratum,) = random.choice(candidates, 1, replace=False)
        drawn[stratum] += 1
    return drawn.astype(int)


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of a classifier, which encode labels as targets and decode predictions.

    Parameters
    ----------
    outputs : int
        The number of network outputs: one (a probability) for two classes, or one for
        each class.

    Examples
    --------
    >>> labels = Labels(np.array(["cat", "dog"]), multilabel=False, outputs=1)
    >>> labels.encode(np.array(["dog", "cat"]), as_classes=False)
    array([[1.],
           [0.]])
    >>> labels.decode(np.array([[0.2], [0.7]]))
    array(['cat', 'dog'], dtype='<U3')
    """

    classes: ndarray
    multilabel: bool
    outputs: int
    sparse: bool = False

    @classmethod
    def from_labels(cls, y, classes=None, always_one_each: bool = False) -> "Labels":
        """Create an instance from the classes in y, or from the given classes.

        With `always_one_each`, two classes have two outputs instead of one.
        """
        kind = type_of_target(y, input_name="y")
        if "multioutput" in kind:
            raise ValueError(
                f"Multioutput target data is not supported: y has shape {y.shape},"
                " expected one label per row, or a matrix of 0 and 1 with a column for"
                " each label."
            )
        check_classification_targets(y)
        classes = unique_labels(y if classes is None else classes)
        multilabel = kind == "multilabel-indicator"
        outputs = 1
        if multilabel or always_one_each or len(classes) > 2:
            outputs = len(classes)
        return cls(classes, multilabel, outputs, sparse=sparse.issparse(y))

    def encode(self, y, as_classes: bool) -> ndarray:
        """Return the targets: the class index of each row, (N,), or a column for each output, (N, O)."""
        if self.multilabel:
            return dense(y).astype(float)
        indices = np.searchsorted(self.classes, y)
        if self.outputs == 1:
            return indices.astype(float)[:, None]
        return indices if as_classes else np.eye(self.outputs)[indices]

    def decode(self, Y: ndarray):
        """Return the labels of predictions (N, O)."""
        if self.multilabel:
            labels = (Y > 0.5).astype(int)
            return sparse.csr_matrix(labels) if self.sparse else labels
        indices = Y.argmax(axis=1) if self.outputs > 1 else (Y[:, 0] > 0.5).astype(int)
        # with a single class, always predict it
        return self.classes.take(indices, mode="clip")

    def probabilities(self, Y: ndarray) -> ndarray:
        """Return the probability of each class, (N, C), from predictions (N, O)."""
        return np.hstack([1 - Y, Y]) if self.outputs == 1 and not self.multilabel else Y


def dense(values) -> ndarray:
    """Return a dense or sparse array as a dense array."""
    return values.toarray() if sparse.issparse(values) else np.asarray(values)


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numeric targets of a regressor, standardized as t = (y - shift) / scale.

    Examples
    --------
    >>> numbers = Numbers.standard(np.array([[10.0], [30.0]]), weight=None)
    >>> numbers.encode(np.array([[10.0], [30.0]])).ravel()
    array([-1.,  1.])
    >>> numbers.decode(np.array([[0.0]]))
    array([20.])
    """

    outputs: int
    shift: ndarray | float = 0.0
    scale: ndarray | float = 1.0

    @classmethod
    def standard(cls, y: ndarray, weight: ndarray | None) -> "Numbers":
        """Create an instance that standardizes y (N, O) to weighted mean 0 and standard deviation 1."""
        shift = np.average(y, axis=0, weights=weight)
        deviation = np.sqrt(np.average((y - shift) ** 2, axis=0, weights=weight))
        return cls(y.shape[1], shift, np.where(deviation > 0, deviation, 1.0))

    def encode(self, y: ndarray) -> ndarray:
        """Return the targets, (N, O)."""
        return (y - self.shift) / self.scale

    def decode(self, Y: ndarray) -> ndarray:
        """Return predictions in the units of y, (N, O), or (N,) if there is one output."""
        y = (Y * self.scale + self.shift).astype(Y.dtype, copy=False)
        return y.ravel() if self.outputs == 1 else y


def class_weights(class_weight, y, weight: ndarray | None) -> ndarray:
    """Return each row's class weight; "balanced" is Σ w / (C Σ_c w).

    Examples
    --------
    >>> class_weights("balanced", np.array([0, 1, 1, 1]), weight=None).round(3)
    array([2.   , 0.667, 0.667, 0.667])
    """
    if class_weight != "balanced" or y.ndim == 2:
        return compute_sample_weight(class_weight, dense(y))
    classes, indices = np.unique(y, return_inverse=True)
    sums = np.bincount(indices, weights=weight)
    with np.errstate(divide="ignore"):
        balanced = np.where(sums > 0, sums.sum() / (len(classes) * sums), 0.0)
    return balanced[indices]


def row_weights(sample_weight, rows: int) -> ndarray:
    """Validate sample weights, or one number for all rows, and return them as floats."""
    weight = sample_weight
    if isinstance(sample_weight, Number):
        weight = np.full(rows, sample_weight)
    dtypes: Any = [np.float64, np.float32]
    weight = check_array(
        weight, input_name="sample_weight", dtype=dtypes, ensure_2d=False, order="C"
    )
    if weight.shape != (rows,):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, expected ({rows},), one weight"
            " per row."
        )
    if not weight.any():
        raise ValueError(
            "sample_weight is zero in every row: give at least one row a positive"
            " weight."
        )
    return weight


def types_of_inputs(X) -> tuple | None:
    """Return the dtypes that scikit-learn's validation allows for X, or None to keep the dtype of X.

    Large integer and Boolean arrays keep their dtype and are converted lazily.
    """
    if (
        isinstance(X, ndarray)
        and X.dtype.kind in "biu"
        and is_converted_as_read(X, np.dtype(float))
    ):
        return None
    return np.float64, np.float32


def inputs_as_numpy(X) -> Any:
    """Convert inputs with `as_numpy`, or raise an error that names a column of text."""
    if hasattr(X, "select_dtypes"):
        for name, column in X.select_dtypes((object, "string", "category")).items():
            try:
                column.dropna().astype(float)
            except ValueError as error:
                _, _, text = str(error).partition(": ")
                raise ValueError(
                    f"Column {name!r} of X contains text such as {text}: encode it as"
                    " numbers, or use TabularClassifier or TabularRegressor, which"
                    " encode text."
                ) from None
    return as_numpy(X)


def as_numpy(values) -> Any:
    """Convert arrays of other libraries or byte orders to native NumPy arrays; return other values unchanged.

    Invalid sparse matrices are rejected before SciPy converts them.
    """
    library, *_ = type(values).__module__.split(".")
    if sparse.issparse(values):
        require_entries(values)
    elif isinstance(values, ndarray):
        if not values.dtype.isnative:
            return values.astype(values.dtype.newbyteorder("="))
    elif hasattr(values, "__array_namespace__") or library in ("torch", "cupy"):
        return on_host(values)
    return values
