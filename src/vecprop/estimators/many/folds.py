"""The folds of a search: splitting rows, and preparing the rows of a fold once for all candidates."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, TimeSeriesSplit, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from ...core import Dense, Network, Scaling, is_converted_as_read
from ...train.run import assumed_seconds
from ..base import MultilayerPerceptron, require_inherited_fit
from ..data import Rows, Table
from ..fit import FitSpec
from ..sklearn_compat import require_valid_settings
from .fits import random_states
from .scaling import LARGE, SOME, fitted_in_parts, scaler_of, scaling_of

FOLDS = 5
"""The default number of folds."""


@dataclass(frozen=True, eq=False)
class Split:
    """The training and test rows of a fold.

    With most splitters, the training rows are all other rows in order, and their indices are computed on demand: the
    indices of ten folds would take as much memory as 18 columns.
    """

    own_train: Any
    test: Any
    count: int

    @classmethod
    def of(cls, train: Any, test: Any, count: int) -> "Split":
        """Create a split of `count` rows from training and test indices."""
        split = cls(None, test, count)
        are_indices = all(getattr(rows, "dtype", None) == np.int64 for rows in (train, test))
        return split if are_indices and np.array_equal(split.train, train) else cls(train, test, count)

    @property
    def train(self) -> Any:
        """The training rows."""
        if self.own_train is not None:
            return self.own_train
        is_trained = np.ones(self.count, bool)
        is_trained[self.test] = False
        return np.flatnonzero(is_trained)


def splitter_for(cv: Any, y: Any, *, is_classes: bool, groups: Any, time: Any) -> Any:
    """Return the splitter for the setting ``cv``.

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
            raise ValueError("time cannot be combined with groups or a splitter: give cv as a number of folds.")
        splits = _splits_of_time(np.asarray(time), count, len(y))
    if groups is None or not is_number:
        return check_cv(splits, y, classifier=is_classes)
    is_stratified = is_classes and type_of_target(y) in ("binary", "multiclass")
    return StratifiedGroupKFold(count) if is_stratified else GroupKFold(count)


def _splits_of_time(time: np.ndarray, count: int, rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return blocks of test rows, each with all rows of strictly earlier times for training."""
    if time.shape != (rows,):
        raise ValueError(f"time has shape {time.shape}, expected ({rows},), one time per row.")
    if (time != time).any():  # nan or NaT
        raise ValueError("time has missing values: drop these rows or fill them.")
    time = np.unique(time, return_inverse=True)[1]  # ranks, because NumPy has no minimum of text
    order = np.argsort(time, kind="stable")
    splits = [(order[train], order[test]) for train, test in TimeSeriesSplit(count).split(order)]
    splits = [(train[time[train] < time[test].min()], test) for train, test in splits]
    if any(not len(train) for train, _ in splits):
        raise ValueError(f"time has too few distinct values to give each of {count} folds earlier rows: lower cv.")
    return splits


class Candidate:
    """An estimator with one choice of parameters."""

    def __init__(self, estimator: Any, params: dict[str, Any], seeds: int) -> None:
        self.params = params
        values: Any = clone(params, safe=False)  # a parameter may be an estimator
        self.estimator: Any = clone(estimator)
        self.estimator.set_params(**values)
        self.model = self.estimator
        self.name = None
        if isinstance(self.estimator, Pipeline):
            self.name, self.model = self.estimator.steps[-1]
        if not isinstance(self.model, MultilayerPerceptron):
            needed = "vecprop's MLPClassifier or MLPRegressor, or a Pipeline that ends with one"
            found = f"got {type(self.model).__name__}: use scikit-learn's GridSearchCV"
            raise TypeError(f"MLPSearchCV needs {needed}, {found}.")
        require_inherited_fit(self.model)
        self.random_states = random_states(self.model.random_state, seeds)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The model's settings, validated."""
        require_valid_settings(self.model)
        return self.model.get_params(deep=False)

    def seconds(self, rows: int, inputs: int) -> float:
        """Estimate the seconds of a fit on one core, or return 0 if settings are invalid."""
        model = self.model
        with suppress(TypeError, ValueError):
            size = int(model.batch_size) if isinstance(model.batch_size, Integral) else 200
            sizes: Any = np.array([inputs, *np.ravel(model.hidden_layer_sizes), 1], float)
            operations = 6 * float(sizes[:-1] @ sizes[1:]) + 40 * float(sizes[1:].sum())
            return model.max_iter * assumed_seconds(rows * operations, rows / max(size, 1)) + 1e-3
        return 0.0

    @cached_property
    def preprocessing(self) -> tuple[Any, ...]:
        """A key that is equal for candidates with the same preprocessing."""
        if self.name is None:
            return ()
        own = (self.name, f"{self.name}__")
        return tuple((key, _identity(self.params[key])) for key in sorted(self.params) if not key.startswith(own))

    def only_scales(self, params: dict[str, Any]) -> bool:
        """Return whether the only step before the model is a scaler, and `params` are only for the model."""
        if self.name is None:
            return True
        return scaler_of(self.estimator) is not None and all(name.startswith(f"{self.name}__") for name in params)

    def model_arguments(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the model's arguments of `fit`, without the prefix for its pipeline step."""
        prefix = "" if self.name is None else f"{self.name}__"
        return {name.removeprefix(prefix): value for name, value in params.items()}

    @cached_property
    def targets(self) -> tuple[Any, ...]:
        """A key that is equal for candidates with the same encoding of targets."""
        shared = [_identity(self.settings.get(name)) for name in ("loss", "class_weight", "scale_target")]
        return type(self.model), *shared


def _identity(value: Any) -> Any:
    """Return a key for a value: the value itself for numbers and strings, and the `id` for other objects."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return (type(value), value) if plain else id(value)


@dataclass(eq=False)
class Shared:
    """All rows of a search; folds select their rows without a copy."""

    X: np.ndarray
    y: Any
    params: dict[str, Any]
    ends: np.ndarray
    frame: Any = None
    known: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, X: Any, y: Any, params: dict[str, Any]) -> "Shared | None":
        """Return the rows if they can be shared without conversion, and None otherwise."""
        own = _array_of(X)
        X, frame = (X, None) if own is None else (own, X)
        is_numeric = type(X) in (np.ndarray, np.memmap) and X.ndim == 2 and X.dtype in (np.float32, np.float64)
        if not is_numeric or not X.size or sparse.issparse(y):
            return None
        ends = np.stack([np.asarray(X).min(axis=0), np.asarray(X).max(axis=0)])
        return cls(X, y, params, ends, frame) if np.isfinite(ends).all() else None

    @cached_property
    def by_rows(self) -> np.ndarray:
        """X in row-major order, or unchanged if kernels read X in place."""
        X = np.asarray(self.X)
        return X if self.is_read_in_place else np.ascontiguousarray(X)

    @property
    def is_read_in_place(self) -> bool:
        """Whether kernels read X in place, without a copy."""
        return self.X.flags.c_contiguous or is_converted_as_read(self.X, self.X.dtype)

    @property
    def is_large(self) -> bool:
        """Whether copies of X are worth avoiding."""
        return self.X.nbytes >= LARGE

    def stand_in(self, rows: int, named: bool = False) -> Any:
        """Return a stand-in for X with this number of rows, for validation without memory cost.

        With `named`, the stand-in for a frame is a frame, so that column names are validated.
        """
        X = np.broadcast_to(self.by_rows[0], (rows, self.X.shape[1]))
        return type(self.frame)(X, columns=self.frame.columns, copy=False) if named and self.frame is not None else X

    def table(self, template: MultilayerPerceptron, targets: Any, weight: Any) -> Table | None:
        """Return all rows as a model reads them, or None if rows outside the fold are invalid or add outputs."""
        key = targets, template.n_outputs_
        if key not in self.known:
            self.known[key] = None
            with suppress(ValueError, TypeError):
                whole: Any = clone(template)
                N = len(self.X)
                table = whole._accept(self.stand_in(N), self.y, weight)[0].table
                if whole.n_outputs_ == template.n_outputs_:
                    head = Network(1, [Dense(whole.n_outputs_)], whole._network_loss())
                    head._batch(head.init(0, self.X.dtype), np.zeros((N, 1), self.X.dtype), table.T, table.weight)
                    self.known[key] = table
        return self.known[key]


def _array_of(frame: Any) -> np.ndarray | None:
    """Return the single array behind a pandas frame, or None if its columns are stored separately."""
    if type(frame).__module__.partition(".")[0] != "pandas" or getattr(frame, "ndim", 0) != 2 or not frame.size:
        return None
    if any(dtype not in (np.float32, np.float64) for dtype in frame.dtypes):
        return None
    X = frame.to_numpy()
    ends = (np.shares_memory(X, frame.iloc[:, column].to_numpy()) for column in (0, -1))
    return X if all(ends) else None


class CapturedRows(BaseEstimator):
    """A stub final step that captures the transformed inputs of a pipeline."""

    def __init__(self, model: MultilayerPerceptron) -> None:
        self.model = model

    def fit(self, X: Any, y: Any = None, **params: Any) -> "CapturedRows":
        """Store the inputs and parameters."""
        self.X, self.params = X, params
        return self

    def get_metadata_routing(self) -> Any:
        """Return the model's metadata requests."""
        return self.model.get_metadata_routing()


class Fold:
    """The training rows of one split, prepared once for all candidates with the same preprocessing."""

    def __init__(
        self, estimator: Any, X: Any, y: Any, train: Any, params: dict[str, Any], shared: Shared | None
    ) -> None:
        self.estimator, self.all_X, self.all_y, self.train, self.shared = estimator, X, y, train, shared
        self.indices = row_indices(train, row_count(X))
        self.params = arguments_of(params, self.indices, row_count(X))
        self.known: dict[Any, Any] = {}
        self.generator = np.random.RandomState()

    def started(self, candidate: Candidate, random_state: Any) -> tuple[FitSpec, MultilayerPerceptron, BaseEstimator]:
        """Return the spec of a candidate's fit, its model, and the estimator with that model."""
        template, rows, validation, head = self.read(candidate)
        model: Any = copy.copy(template)
        vars(model).update(candidate.settings, random_state=copy.deepcopy(random_state))
        spec = model._begin(rows, validation, self.random(model.random_state))
        estimator = model
        if head is not None:
            estimator = copy.copy(head)
            estimator.steps = [*head.steps[:-1], (candidate.name, model)]
        return spec, model, estimator

    def read(self, candidate: Candidate) -> tuple[MultilayerPerceptron, Rows, Rows | None, Pipeline | None]:
        """Return a model with validated rows, the training and validation rows, and the fitted pipeline."""
        head, scaling = self.once(candidate.preprocessing, lambda: self.preprocessed(candidate))
        key = candidate.preprocessing, candidate.targets
        return *self.once(key, lambda: self.accepted(candidate, head, scaling)), head

    @property
    def X(self) -> Any:
        """The inputs of the rows."""
        return inputs_of(self.estimator, self.all_X, self.indices, self.indices)

    @cached_property
    def y(self) -> Any:
        """The targets of the rows."""
        return None if self.all_y is None else select_rows(self.all_y, self.indices)

    def random(self, random_state: Any) -> np.random.RandomState:
        """Return a generator for a random state; use it before the next call.

        Integers reseed the same generator, because creating one takes longer than the rest of the preparation.
        """
        if not isinstance(random_state, Integral):
            return check_random_state(random_state)
        self.generator.seed(int(random_state))
        return self.generator

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the value for a key, computing it on first use."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def preprocessed(self, candidate: Candidate) -> tuple[Pipeline | None, Scaling | None]:
        """Return a pipeline fitted up to its last step, and its scaling if the pipeline only scales.

        If the pipeline has other steps, its last step has captured the rows. Without a pipeline, both results are None.
        """
        if candidate.name is None:
            return None, None
        head: Any = clone(candidate.estimator)
        shared, own = self.shared, scaler_of(head)
        if shared is not None and shared.is_large and own is not None and candidate.only_scales(self.params):
            place, scaler = own
            fitted = fitted_in_parts(scaler, shared.X, self.indices)
            scaling = scaling_of(fitted, np.vstack([shared.ends, shared.X[self.indices[:SOME]]]))
            if scaling is not None:
                validate_data(fitted, self.all_X, skip_check_array=True)
                head.steps[place] = (head.steps[place][0], fitted)
                return head, scaling
        head.steps[-1] = (candidate.name, CapturedRows(candidate.model))
        return head.fit(self.X, self.y, **self.params), None

    def accepted(
        self, candidate: Candidate, head: Any, scaling: Scaling | None
    ) -> tuple[MultilayerPerceptron, Rows, Rows | None]:
        """Return a model with validated rows, and the training and validation rows."""
        template: Any = clone(candidate.model)
        shared = self.shared if head is None or scaling is not None else None
        if shared is not None:
            X, params = shared.stand_in(len(self.indices), named=head is None), candidate.model_arguments(self.params)
        elif head is None:
            X, params = self.once("X", lambda: self.X), self.params
        else:
            X, params = head.steps[-1][1].X, head.steps[-1][1].params
        rows, validation = template._accept(X, self.y, **params)
        if shared is not None:
            weight = candidate.model_arguments(shared.params).get("sample_weight")
            whole = shared.table(template, candidate.targets, weight) if shared.is_large else None
            rows = rows.within(shared.by_rows, self.indices, whole, scaling)
        return template, rows, validation


def row_indices(rows: Any, count: int) -> np.ndarray:
    """Convert any row index to row indices as integers, without a copy if possible."""
    rows = np.asarray(rows)
    are_indices = rows.dtype == np.int64 and (not len(rows) or rows.min() >= 0)
    return rows if are_indices else np.arange(count)[rows]


def row_count(rows: Any) -> int:
    """Return the number of rows of an array, frame, sparse matrix or list."""
    return rows.shape[0] if hasattr(rows, "shape") else len(rows)


def select_rows(rows: Any, indices: np.ndarray) -> Any:
    """Return some rows of an array, frame, table, sparse matrix or list."""
    if hasattr(rows, "iloc"):
        return rows.iloc[indices]
    if sparse.issparse(rows):
        return rows.tocsr()[indices]
    if hasattr(rows, "to_pandas") and hasattr(rows, "take"):  # of pyarrow
        return rows.take(indices)
    return rows[indices] if hasattr(rows, "shape") else [rows[number] for number in indices]


def inputs_of(estimator: Any, X: Any, indices: np.ndarray, train: np.ndarray) -> Any:
    """Return rows of X; if X is a pairwise kernel matrix, only with the columns of training rows."""
    return X[np.ix_(indices, train)] if get_tags(estimator).input_tags.pairwise else select_rows(X, indices)


def arguments_of(params: dict[str, Any], indices: np.ndarray, count: int) -> dict[str, Any]:
    """Return arguments for some rows: select these rows from arguments that have one entry per row."""

    def own(value: Any) -> Any:
        shape = getattr(value, "shape", None) or ((len(value),) if hasattr(value, "__len__") else ())
        return select_rows(value, indices) if shape[:1] == (count,) else value

    return {name: own(value) for name, value in params.items()}
