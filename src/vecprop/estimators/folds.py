"""The folds of a search, whose rows are prepared once for all candidates."""

import copy
from collections.abc import Callable
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_feature_names, _check_method_params, _num_samples

from ..core.selection import Scaling
from .base import MultilayerPerceptron
from .candidates import Candidate
from .data import Rows
from .scaling import SOME, fitted_in_parts, scaler_of, scaling_of
from .shared import Shared
from .together import AnyFitting


class KeptRows(BaseEstimator):
    """A stand-in for the model at the end of a pipeline: it keeps the inputs that the model would be fitted on."""

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
    """The training rows of one split, prepared once for all candidates with the same preprocessing."""

    def __init__(
        self, estimator: Any, X: Any, y: Any, train: Any, params: dict[str, Any], shared: Shared | None
    ) -> None:
        self.estimator, self.all_X, self.all_y, self.train, self.shared = estimator, X, y, train, shared
        self.numbers = row_numbers(train, _num_samples(X))
        self.params = _check_method_params(X, params=params, indices=train)
        self.known: dict[Any, Any] = {}
        self.generator = np.random.RandomState()

    def fitting(self, candidate: Candidate, random_state: Any) -> tuple[AnyFitting, BaseEstimator, Rows]:
        """Return the training of a candidate with a random state, the estimator that it fits, and its rows."""
        template, rows, validation, head = self.read(candidate)
        model: Any = copy.copy(template)
        vars(model).update(candidate.settings, random_state=copy.deepcopy(random_state))
        random = self.random(model.random_state)
        model._prepare(rows, random, first=True)
        estimator = model
        if head is not None:
            estimator = copy.copy(head)
            estimator.steps = [*head.steps[:-1], (candidate.name, model)]
        return model._fitting(rows, validation, random), estimator, rows

    def read(self, candidate: Candidate) -> tuple[MultilayerPerceptron, Rows, Rows | None, Pipeline | None]:
        """Return a model that has accepted the rows, the rows, those of validation, and the fitted pipeline."""
        head, scaling = self.once(candidate.preprocessing, lambda: self.preprocessed(candidate))
        key = candidate.preprocessing, candidate.targets
        return *self.once(key, lambda: self.accepted(candidate, head, scaling)), head

    @cached_property
    def y(self) -> Any:
        """The labels or numbers of the rows."""
        return None if self.all_y is None else _safe_indexing(self.all_y, self.train)

    def chosen_inputs(self) -> Any:
        """Return a copy of the rows."""
        return _safe_split(self.estimator, self.all_X, None, self.train)[0]

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

    def preprocessed(self, candidate: Candidate) -> tuple[Pipeline | None, Scaling | None]:
        """Return a pipeline fitted up to its last step, and the scaling that is all it does to rows.

        Without such a scaling, the last step has kept the rows. Without a pipeline there are none of the two.
        """
        if candidate.name is None:
            return None, None
        head: Any = clone(candidate.estimator)
        shared, own = self.shared, scaler_of(head)
        if shared is not None and shared.is_large and own is not None and candidate.only_scales(self.params):
            place, scaler = own
            fitted = fitted_in_parts(scaler, shared.X, self.numbers)
            scaling = scaling_of(fitted, np.vstack([shared.ends, shared.X[self.numbers[:SOME]]]))
            if scaling is not None:
                _check_feature_names(fitted, self.all_X, reset=True)
                head.steps[place] = (head.steps[place][0], fitted)
                return head, scaling
        head.steps[-1] = (candidate.name, KeptRows(candidate.model))
        return head.fit(self.chosen_inputs(), self.y, **self.params), None

    def accepted(
        self, candidate: Candidate, head: Any, scaling: Scaling | None
    ) -> tuple[MultilayerPerceptron, Rows, Rows | None]:
        """Return a model that has accepted the rows, the rows, and the validation rows."""
        template: Any = clone(candidate.model)
        shared = self.shared if head is None or scaling is not None else None
        if shared is not None:
            X, params = shared.stand_in(len(self.numbers), named=head is None), candidate.of_the_model(self.params)
        elif head is None:
            X, params = self.once("X", self.chosen_inputs), self.params
        else:
            X, params = head.steps[-1][1].X, head.steps[-1][1].params
        validation_params = dict(params)
        rows = template._accept(X, self.y, validation_params.pop("sample_weight", None), first=True)
        validation = template._validation_rows(**validation_params)
        if shared is not None:
            weight = candidate.of_the_model(shared.params).get("sample_weight")
            whole = shared.table(template, candidate.targets, weight) if shared.is_large else None
            rows = rows.within(shared.by_rows, self.numbers, whole, scaling)
        return template, rows, validation


def row_numbers(rows: Any, count: int) -> np.ndarray:
    """Return the numbers of rows that are given as any index, without a copy if they are numbers."""
    rows = np.asarray(rows)
    are_numbers = rows.dtype == np.int64 and (not len(rows) or rows.min() >= 0)
    return rows if are_numbers else np.arange(count)[rows]
