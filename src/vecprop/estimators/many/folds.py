"""The folds of a search: splitting rows, and preparing the rows of a fold once for all candidates."""

import copy
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.random import RandomState
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    TimeSeriesSplit,
    check_cv,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from ...core import Dense, Network, Scaling, is_converted_as_read
from ...train.members import row_count
from ..base import MultilayerPerceptron, require_inherited_fit
from ..data import Rows, Table
from ..fit import FitSpec
from .fits import random_states
from .scaling import LARGE, SOME, fitted_in_parts, scaler_of, scaling_of

FOLDS = 5
"""The default number of folds."""


@dataclass(frozen=True, eq=False)
class Split:
    """The training and test rows of a fold.

    With most splitters, the training rows are all other rows in order, and their
    indices are computed on demand: the indices of ten folds would take as much memory
    as 18 columns.
    """

    stored_train: Any
    test: Any
    count: int

    @classmethod
    def from_indices(cls, train, test, count: int) -> "Split":
        """Create a split of `count` rows from training and test indices."""
        split = cls(None, test, count)
        are_indices = all(
            getattr(rows, "dtype", None) == np.int64 for rows in (train, test)
        )
        if are_indices and np.array_equal(split.train, train):
            return split
        return cls(train, test, count)

    @property
    def train(self):
        """The training rows."""
        if self.stored_train is not None:
            return self.stored_train
        is_trained = np.ones(self.count, bool)
        is_trained[self.test] = False
        return np.flatnonzero(is_trained)


def splitter_for(cv, y, *, is_classes: bool, groups, time):
    """Return the splitter for the setting ``cv``: a number of folds, a splitter or splits.

    Examples
    --------
    >>> splitter = splitter_for(2, np.zeros(6), is_classes=True, groups=None, time=[3, 1, 2, 1, 2, 3])
    >>> [(train.tolist(), test.tolist()) for train, test in splitter.split(np.zeros(6))]
    [([1, 3], [2, 4]), ([1, 3, 2, 4], [0, 5])]
    """
    is_number = cv is None or isinstance(cv, Integral)
    folds: Any = FOLDS if cv is None else cv
    if time is not None:
        if groups is not None or not is_number:
            raise ValueError(
                "time cannot be combined with groups or a splitter: give cv as a number"
                " of folds."
            )
        splits: Any = _splits_by_time(np.asarray(time), folds, len(y))
        return check_cv(splits)
    if groups is not None and is_number:
        if is_classes and type_of_target(y) in ("binary", "multiclass"):
            return StratifiedGroupKFold(folds)
        return GroupKFold(folds)
    splitter: Any = cv
    return check_cv(splitter, y, classifier=is_classes)


def _splits_by_time(
    time: ndarray, count: int, rows: int
) -> list[tuple[ndarray, ndarray]]:
    """Return blocks of test rows, each with all rows of strictly earlier times for training."""
    if time.shape != (rows,):
        raise ValueError(
            f"time has shape {time.shape}, expected ({rows},), one time per row."
        )
    if (time != time).any():  # nan or NaT
        raise ValueError("time has missing values: drop these rows or fill them.")
    # NumPy has no minimum of text
    _, ranks = np.unique(time, return_inverse=True)
    by_time = np.argsort(ranks, kind="stable")
    splits = []
    for train_positions, test_positions in TimeSeriesSplit(count).split(by_time):
        train = by_time[train_positions]
        test = by_time[test_positions]
        train = train[ranks[train] < ranks[test].min()]
        if not len(train):
            raise ValueError(
                f"time has too few distinct values to give each of {count} folds"
                " earlier rows: lower cv."
            )
        splits.append((train, test))
    return splits


class Candidate:
    """An estimator with one choice of parameters."""

    def __init__(self, estimator, params: dict, seeds: int):
        """Set the parameters, and find the network in the estimator."""
        self.params = params
        values: Any = clone(params, safe=False)  # a parameter may be an estimator
        self.estimator: Any = clone(estimator)
        self.estimator.set_params(**values)
        self.model = self.estimator
        self.name = None
        if isinstance(self.estimator, Pipeline):
            self.name, self.model = self.estimator.steps[-1]
        if not isinstance(self.model, MultilayerPerceptron):
            needed = (
                "vecprop's MLPClassifier or MLPRegressor, or a Pipeline that ends"
                " with one"
            )
            model = type(self.model).__name__
            raise TypeError(
                f"MLPSearchCV needs {needed}, got {model}: use scikit-learn's"
                " GridSearchCV."
            )
        require_inherited_fit(self.model)
        self.random_states = random_states(self.model.random_state, seeds)

    @cached_property
    def settings(self) -> dict:
        """The model's settings, validated."""
        self.model._validate_params()
        return self.model.get_params(deep=False)

    @cached_property
    def preprocessing(self) -> tuple:
        """A key that is equal for candidates with the same preprocessing."""
        key = []
        if self.name is not None:
            for name in sorted(self.params):
                if not name.startswith((self.name, f"{self.name}__")):
                    key.append((name, _identity(self.params[name])))
        return tuple(key)

    def only_scales(self, params: dict) -> bool:
        """Return whether the only step before the model is a scaler, and `params` are only for the model."""
        if self.name is None:
            return True
        return scaler_of(self.estimator) is not None and all(
            name.startswith(f"{self.name}__") for name in params
        )

    def model_arguments(self, params: dict) -> dict:
        """Return the model's arguments of `fit`, without the prefix for its pipeline step."""
        prefix = "" if self.name is None else f"{self.name}__"
        return {name.removeprefix(prefix): value for name, value in params.items()}

    @cached_property
    def targets(self) -> tuple:
        """A key that is equal for candidates with the same encoding of targets."""
        names = ("loss", "class_weight", "scale_target")
        return type(self.model), *(_identity(self.settings.get(name)) for name in names)


def _identity(value):
    """Return a key for a value: the value itself for numbers and strings, and the `id` for other objects."""
    if value is None or isinstance(value, bool | int | float | str):
        return type(value), value
    return id(value)


@dataclass(eq=False)
class Shared:
    """All rows of a search; folds select their rows without a copy."""

    X: ndarray
    y: Any
    params: dict
    ends: ndarray
    """The minimum and the maximum of each column, (2, I)."""
    frame: Any = None
    tables: dict[Any, Table | None] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, X, y, params: dict) -> "Shared | None":
        """Return the rows if they can be shared without conversion, and None otherwise."""
        array = _array_behind(X)
        frame = None
        if array is not None:
            frame = X
            X = array
        if type(X) not in (ndarray, np.memmap) or X.ndim != 2 or not X.size:
            return None
        if X.dtype not in (np.float32, np.float64) or sparse.issparse(y):
            return None
        ends = np.stack([np.asarray(X).min(axis=0), np.asarray(X).max(axis=0)])
        if not np.isfinite(ends).all():
            return None
        return cls(X, y, params, ends, frame)

    @cached_property
    def by_rows(self) -> ndarray:
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

    def stand_in(self, rows: int, named: bool = False):
        """Return a stand-in for X with this number of rows, for validation without memory cost.

        With `named`, the stand-in for a frame is a frame, so that column names are
        validated.
        """
        X = np.broadcast_to(self.by_rows[0], (rows, self.X.shape[1]))
        if named and self.frame is not None:
            return type(self.frame)(X, columns=self.frame.columns, copy=False)
        return X

    def table(self, template: MultilayerPerceptron, targets, weight) -> Table | None:
        """Return all rows as a model reads them, or None if rows outside the fold are invalid or add outputs."""
        key = targets, template.n_outputs_
        if key not in self.tables:
            self.tables[key] = None
            with suppress(ValueError, TypeError):
                self.tables[key] = self._read(template, weight)
        return self.tables[key]

    def _read(self, template: MultilayerPerceptron, weight) -> Table | None:
        """Return all rows as a model reads them, or None if they add outputs; raise an error if they are invalid."""
        model: Any = clone(template)
        N = len(self.X)
        rows, _ = model._accept(self.stand_in(N), self.y, weight)
        if model.n_outputs_ != template.n_outputs_:
            return None
        # The smallest network with this loss checks the targets and weights.
        network = Network(1, [Dense(model.n_outputs_)], model._network_loss())
        theta = network.init(0, self.X.dtype)
        inputs = np.zeros((N, 1), self.X.dtype)
        network._batch(theta, inputs, rows.table.T, rows.table.weight)
        return rows.table


def _array_behind(frame) -> ndarray | None:
    """Return the single array behind a pandas frame, or None if its columns are stored separately."""
    library, *_ = type(frame).__module__.split(".")
    if library != "pandas" or getattr(frame, "ndim", 0) != 2 or not frame.size:
        return None
    if any(dtype not in (np.float32, np.float64) for dtype in frame.dtypes):
        return None
    X = frame.to_numpy()
    for column in (0, -1):
        if not np.shares_memory(X, frame.iloc[:, column].to_numpy()):
            return None  # X is a copy
    return X


class CapturedRows(BaseEstimator):
    """A stub final step that captures the transformed inputs of a pipeline."""

    def __init__(self, model: MultilayerPerceptron):
        self.model = model

    def fit(self, X: Any, y: Any = None, **params: Any) -> "CapturedRows":
        """Store the inputs and parameters."""
        self.X, self.params = X, params
        return self

    def get_metadata_routing(self) -> Any:
        """Return the model's metadata requests."""
        return self.model.get_metadata_routing()


class PreparedFit(NamedTuple):
    """A fit that is ready to train, its model, and the estimator with that model."""

    spec: FitSpec
    model: MultilayerPerceptron
    estimator: BaseEstimator


class FoldPipeline(NamedTuple):
    """A pipeline that is fitted up to its last step, and its scaling if it only scales.

    If the pipeline has other steps, its last step has captured the rows.
    """

    pipeline: Pipeline | None = None
    scaling: Scaling | None = None


class FoldRows(NamedTuple):
    """The rows of a fold as a model reads them; the template has validated them."""

    template: MultilayerPerceptron
    rows: Rows
    validation: Rows | None


class Fold:
    """The training rows of one split, prepared once for all candidates with the same preprocessing."""

    def __init__(self, estimator, X, y, train, params: dict, shared: Shared | None):
        """Select the arguments of the training rows."""
        self.estimator = estimator
        self.all_X = X
        self.all_y = y
        self.indices = row_indices(train, row_count(X))
        self.params = arguments_of(params, self.indices, row_count(X))
        self.shared = shared
        # by preprocessing
        self.pipelines: dict[Any, FoldPipeline] = {}
        self.rows: dict[Any, FoldRows] = {}  # by preprocessing and encoding of targets
        self.generator = RandomState()

    def prepared(self, candidate: Candidate, random_state) -> PreparedFit:
        """Return the fit of a candidate with a random state, ready to train."""
        preprocessing = candidate.preprocessing
        if preprocessing not in self.pipelines:
            self.pipelines[preprocessing] = self.preprocessed(candidate)
        pipeline, scaling = self.pipelines[preprocessing]
        key = preprocessing, candidate.targets
        if key not in self.rows:
            self.rows[key] = self.accepted(candidate, pipeline, scaling)
        template, rows, validation = self.rows[key]
        model: Any = copy.copy(template)
        vars(model).update(candidate.settings, random_state=copy.deepcopy(random_state))
        spec = model._begin(rows, validation, self.random(model.random_state))
        if pipeline is None:
            return PreparedFit(spec, model, estimator=model)
        estimator = copy.copy(pipeline)
        estimator.steps = [*pipeline.steps[:-1], (candidate.name, model)]
        return PreparedFit(spec, model, estimator)

    def inputs(self):
        """Return a copy of the inputs of the rows."""
        return inputs_of(self.estimator, self.all_X, self.indices, self.indices)

    @cached_property
    def X(self):
        """The inputs of the rows, copied once."""
        return self.inputs()

    @cached_property
    def y(self):
        """The targets of the rows."""
        return None if self.all_y is None else select_rows(self.all_y, self.indices)

    def random(self, random_state) -> RandomState:
        """Return a generator for a random state; use it before the next call.

        Integers reseed the same generator, because creating one takes longer than the
        rest of the preparation.
        """
        if not isinstance(random_state, Integral):
            return check_random_state(random_state)
        self.generator.seed(int(random_state))
        return self.generator

    def preprocessed(self, candidate: Candidate) -> "FoldPipeline":
        """Return the candidate's pipeline, fitted up to its last step, if it has one."""
        if candidate.name is None:
            return FoldPipeline()
        pipeline: Any = clone(candidate.estimator)
        scaling = self.fit_scaler(candidate, pipeline)
        if scaling is None:
            pipeline.steps[-1] = (candidate.name, CapturedRows(candidate.model))
            pipeline = pipeline.fit(self.inputs(), self.y, **self.params)
        return FoldPipeline(pipeline, scaling)

    def fit_scaler(self, candidate: Candidate, pipeline) -> Scaling | None:
        """Fit the scaler of a pipeline without copying a large X, or return None if this is not possible."""
        shared = self.shared
        if shared is None or not shared.is_large:
            return None
        scaler_step = scaler_of(pipeline)
        if scaler_step is None or not candidate.only_scales(self.params):
            return None
        position, scaler = scaler_step
        fitted = fitted_in_parts(scaler, shared.X, self.indices)
        tested_rows = np.vstack([shared.ends, shared.X[self.indices[:SOME]]])
        scaling = scaling_of(fitted, tested_rows)
        if scaling is not None:
            # sets the scaler's column names
            validate_data(fitted, self.all_X, skip_check_array=True)
            name, _ = pipeline.steps[position]
            pipeline.steps[position] = (name, fitted)
        return scaling

    def accepted(
        self, candidate: Candidate, pipeline, scaling: Scaling | None
    ) -> FoldRows:
        """Return the rows as the candidate's model reads them: preprocessed, copied or shared."""
        template: Any = clone(candidate.model)
        if pipeline is not None and scaling is None:
            _, captured = pipeline.steps[-1]
            rows, validation = template._accept(captured.X, self.y, **captured.params)
        elif self.shared is None:
            rows, validation = template._accept(self.X, self.y, **self.params)
        else:
            return self.shared_rows(self.shared, candidate, template, scaling)
        return FoldRows(template, rows, validation)

    def shared_rows(
        self, shared: Shared, candidate: Candidate, template, scaling: Scaling | None
    ) -> FoldRows:
        """Return the rows as lazily scaled rows of a shared X."""
        X = shared.stand_in(len(self.indices), named=candidate.name is None)
        arguments = candidate.model_arguments(self.params)
        rows, validation = template._accept(X, self.y, **arguments)
        table = None
        if shared.is_large:
            weight = candidate.model_arguments(shared.params).get("sample_weight")
            table = shared.table(template, candidate.targets, weight)
        selected = rows.within(shared.by_rows, self.indices, table, scaling)
        return FoldRows(template, selected, validation)


def row_indices(rows, count: int) -> ndarray:
    """Convert any row index to row indices as integers, without a copy if possible."""
    rows = np.asarray(rows)
    if rows.dtype == np.int64 and (not len(rows) or rows.min() >= 0):
        return rows
    return np.arange(count)[rows]


def select_rows(rows, indices: ndarray):
    """Return some rows of an array, frame, table, sparse matrix or list."""
    if hasattr(rows, "iloc"):
        return rows.iloc[indices]
    if sparse.issparse(rows):
        return rows.tocsr()[indices]
    if hasattr(rows, "to_pandas") and hasattr(rows, "take"):  # of pyarrow
        return rows.take(indices)
    if hasattr(rows, "shape"):
        return rows[indices]
    return [rows[number] for number in indices]


def inputs_of(estimator, X, indices: ndarray, train: ndarray):
    """Return rows of X; if X is a pairwise kernel matrix, only with the columns of training rows."""
    if get_tags(estimator).input_tags.pairwise:
        return X[np.ix_(indices, train)]
    return select_rows(X, indices)


def arguments_of(params: dict, indices: ndarray, count: int) -> dict:
    """Return arguments for some rows: select these rows from arguments that have one entry per row."""
    arguments = dict(params)
    for name, value in params.items():
        if _has_rows(value, count):
            arguments[name] = select_rows(value, indices)
    return arguments


def _has_rows(value, count: int) -> bool:
    """Return whether a value has one entry per row."""
    if hasattr(value, "shape"):
        return value.shape[:1] == (count,)
    return hasattr(value, "__len__") and len(value) == count
