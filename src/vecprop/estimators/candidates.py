"""The candidates of a search, and its folds, whose rows are prepared once for all candidates."""

import copy
from collections.abc import Callable
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_samples

from .base import MultilayerPerceptron, require_inherited_fit
from .data import Rows
from .together import AnyFitting, random_states


class Candidate:
    """An estimator with one choice of parameters.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or Pipeline that ends in one
        The estimator of the search.
    params : dict
        The parameters.
    seeds : int
        The number of random states that it is fitted with.

    Raises
    ------
    TypeError
        If the estimator is of another class.
    """

    def __init__(self, estimator: Any, params: dict[str, Any], seeds: int) -> None:
        self.params = params
        values: Any = clone(params, safe=False)  # which may be estimators
        self.estimator: Any = clone(estimator)
        self.estimator.set_params(**values)
        self.model = self.estimator
        self.name = None
        if isinstance(self.estimator, Pipeline):
            self.name, self.model = self.estimator.steps[-1]
        if not isinstance(self.model, MultilayerPerceptron):
            raise TypeError(
                f"MLPSearchCV searches an MLPClassifier or MLPRegressor of vecprop, alone or as the last step of a "
                f"Pipeline, but this is {type(self.model).__name__}: use scikit-learn's GridSearchCV."
            )
        require_inherited_fit(self.model)
        self.random_states = random_states(self.model.random_state, seeds)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The model's settings, validated."""
        self.model._validate_params()
        return self.model.get_params(deep=False)

    @cached_property
    def preprocessing(self) -> tuple[Any, ...]:
        """A key that is equal for candidates with the same preprocessing."""
        if self.name is None:
            return ()
        own = (self.name, f"{self.name}__")
        return tuple((key, _identity(self.params[key])) for key in sorted(self.params) if not key.startswith(own))

    @cached_property
    def targets(self) -> tuple[Any, ...]:
        """A key that is equal for candidates that read targets in the same way."""
        shared = [_identity(self.settings.get(name)) for name in ("loss", "class_weight", "scale_target")]
        return type(self.model), *shared


def _identity(value: Any) -> Any:
    """Return a key of a value: a number or string itself, and the address of any other object."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return (type(value), value) if plain else id(value)


class KeptRows(BaseEstimator):
    """A stand-in for the model at the end of a pipeline: it keeps the inputs that the model would be fitted on.

    Parameters
    ----------
    model : estimator
        The model that it replaces.
    """

    def __init__(self, model: MultilayerPerceptron) -> None:
        self.model = model

    def fit(self, X: Any, y: Any = None, **params: Any) -> "KeptRows":
        """Keep the inputs and parameters."""
        self.X, self.params = X, params
        return self

    def get_metadata_routing(self) -> Any:
        """Return the requests of the model."""
        return self.model.get_metadata_routing()


class Fold:
    """The training rows of one split, prepared once for all candidates with the same preprocessing.

    Parameters
    ----------
    estimator : estimator
        The estimator of the search.
    X, y : array
        All rows.
    train : ndarray
        The numbers of the rows to train on.
    params : dict
        The other arguments of `fit`.
    shared : ndarray or None
        All inputs, if training may choose its rows from them without preprocessing.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, train: Any, params: dict[str, Any], shared: np.ndarray | None
    ) -> None:
        self.shared = shared
        self.numbers = np.arange(_num_samples(X))[train]
        self.X, self.y = _safe_split(estimator, X, y, train)
        self.params = _check_method_params(X, params=params, indices=train)
        self.known: dict[Any, Any] = {}
        self.generator = np.random.RandomState()

    def fitting(self, candidate: Candidate, random_state: Any) -> tuple[AnyFitting, BaseEstimator]:
        """Return the training of a candidate with a random state, and the estimator that it fits."""
        head = self.once(candidate.preprocessing, lambda: self.preprocessed(candidate))
        read = self.once((candidate.preprocessing, candidate.targets), lambda: self.accepted(candidate, head))
        template, rows, validation = read
        model = copy.copy(template)
        vars(model).update(candidate.settings, random_state=copy.deepcopy(random_state))
        random = self.random(model.random_state)
        model._prepare(rows, random, first=True)
        estimator = model
        if head is not None:
            estimator = copy.copy(head)
            estimator.steps = [*head.steps[:-1], (candidate.name, model)]
        return model._fitting(rows, validation, random), estimator

    def random(self, random_state: Any) -> np.random.RandomState:
        """Return the generator of a random state, which is used before the next is asked for.

        Whole numbers seed the same generator again: making a new one would take longer than the rest of a preparation.
        """
        if not isinstance(random_state, Integral):
            return check_random_state(random_state)
        self.generator.seed(int(random_state))
        return self.generator

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the value of a key, which is made when it is first asked for."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def preprocessed(self, candidate: Candidate) -> Pipeline | None:
        """Return a pipeline fitted up to its last step, which has kept the rows; None without a pipeline."""
        if candidate.name is None:
            return None
        head: Any = clone(candidate.estimator)
        head.steps[-1] = (candidate.name, KeptRows(candidate.model))
        return head.fit(self.X, self.y, **self.params)

    def accepted(self, candidate: Candidate, head: Any) -> tuple[MultilayerPerceptron, Rows, Rows | None]:
        """Return a model that has accepted the rows, the rows, and the validation rows."""
        template: Any = clone(candidate.model)
        X, params = (self.X, self.params) if head is None else (head.steps[-1][1].X, head.steps[-1][1].params)
        validation_params = dict(params)
        rows = template._accept(X, self.y, validation_params.pop("sample_weight", None), first=True)
        validation = template._validation_rows(**validation_params)
        if head is None and self.shared is not None and isinstance(rows.table.y, np.ndarray):
            rows = rows.within(self.shared, self.numbers)
        return template, rows, validation
