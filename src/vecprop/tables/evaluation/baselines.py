"""Baselines to compare a model with: constant predictions, linear models and gradient boosting."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, PoissonRegressor, RidgeCV
from sklearn.model_selection import GridSearchCV

from ...core.losses import AbsoluteError, Poisson
from ..encoding.columns import Categories
from ..encoding.encoder import Encoder
from ..encoding.folds import folds, splits
from ..ensemble.calibration import weighted_quantiles
from ..explaining.importance import MIN_LOSS_PROBABILITY
from ..objectives import SQUARED, Objective

ENTRIES = 2_000_000
"""Maximum number of array entries to fit a baseline on. More entries would help
little and take longer.
"""
MAX_CLASSES = 30
"""Above this number of classes, gradient boosting is skipped, because each step
needs a tree per class.
"""
MANY_COLUMNS = 250
"""Above this number of columns, trees use fewer bins, which takes a third of the
time.
"""
BINS = 255
FEWER_BINS = 63
MAX_CATEGORIES = 20
"""Columns with more categories are target-encoded, because trees and linear models
would otherwise fit noise.
"""
MIN_STOPPING_ROWS = 40
"""Minimum number of rows for early stopping of gradient boosting."""
VALIDATION = 0.2
"""The validation fraction of gradient boosting."""
FOLDS = 3
"""Number of folds for the penalty of logistic regression and for target encoding."""
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Candidate penalties of linear regression. Leave-one-out validation selects the
best one.
"""
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Candidate inverse penalties of logistic regression, and penalties of Poisson
regression, validated on at most a tenth of `ENTRIES`.
"""
MIN_POSITIVE = 20
"""With fewer positive counts, folds without any are likely. All baselines of counts
then predict the mean.
"""
NAIVE = "naive"
LOGISTIC = "logistic regression"
LINEAR = "linear regression"
POISSON = "Poisson regression"
BOOSTING = "gradient boosting"


def enough_rows(rows: int, inputs: int, seed: int) -> ndarray:
    """Return the indices of the rows that a baseline is fitted on: all rows or a random sample.

    Examples
    --------
    >>> enough_rows(3, inputs=5, seed=0), len(enough_rows(1_000_000, inputs=100, seed=0))
    (array([0, 1, 2]), 20000)
    """
    most = max(ENTRIES // inputs, 100)
    if rows <= most:
        return np.arange(rows)
    return np.random.default_rng(seed).choice(rows, most, replace=False)


class Inputs(NamedTuple):
    """The inputs of the rows that a baseline is fitted on, and of the test rows.

    ``rows`` are the indices of the former in the training table.
    """

    rows: ndarray
    train: ndarray
    test: ndarray
    is_category: Sequence[bool] = ()


@dataclass(frozen=True, eq=False)
class Baselines:
    """Baselines that are fitted on training rows and predict test rows.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"x": np.arange(40.0)})
    >>> baselines = Baselines(Encoder.of(X)[0], X, X[:1], 2 * np.arange(40.0), np.ones(40), seed=0)
    >>> {name: Y.shape for name, Y in baselines.numbers().items()}
    {'naive': (1,), 'linear regression': (1,), 'gradient boosting': (1,)}
    """

    encoder: Encoder
    X: Any
    X_test: Any
    y: ndarray
    weight: ndarray
    seed: int

    def probabilities(self, classes: int) -> dict[str, ndarray]:
        """Return each baseline's probabilities for the test rows, (N, C); "naive" predicts the class frequencies."""
        shares = np.bincount(self.y, self.weight, minlength=classes) / self.weight.sum()
        predictions = {
            NAIVE: np.tile(shares, (len(self.X_test), 1)),
            LOGISTIC: self._logistic(classes),
        }
        if classes <= MAX_CLASSES:
            predictions[BOOSTING] = self._boosted_probabilities(classes)
        return predictions

    def numbers(self, objective: Objective = SQUARED) -> dict[str, ndarray]:
        """Return each baseline's predictions for the test rows, (N,); "naive" predicts the best constant."""
        if isinstance(objective.loss, AbsoluteError):
            medians = self.quantiles([0.5])
            return {name: Y[:, 0] for name, Y in medians.items()}
        naive = np.full(len(self.X_test), objective.best_constant(self.y, self.weight))
        if not isinstance(objective.loss, Poisson):
            linear, _, _ = self._linear
            return {NAIVE: naive, LINEAR: linear, BOOSTING: self._boosted()}
        if np.count_nonzero(self.y) < MIN_POSITIVE:
            return dict.fromkeys((NAIVE, POISSON, BOOSTING), naive)
        return {
            NAIVE: naive,
            POISSON: self._poisson(),
            BOOSTING: self._boosted(loss="poisson"),
        }

    def quantiles(self, levels: Sequence[float]) -> dict[str, ndarray]:
        """Return each baseline's quantiles for the test rows, (N, L).

        "naive" predicts the quantiles of all targets. Linear regression adds error
        quantiles to its predictions.
        """
        linear, errors, weight = self._linear
        boosted = [self._boosted(loss="quantile", quantile=level) for level in levels]
        naive = weighted_quantiles(self.y, np.array(levels), self.weight)
        return {
            NAIVE: np.tile(naive, (len(self.X_test), 1)),
            LINEAR: (
                linear[:, None] + weighted_quantiles(errors, np.array(levels), weight)
            ),
            BOOSTING: np.stack(boosted, axis=1),
        }

    @cached_property
    def _encoded(self) -> tuple[Encoder, dict[str, ndarray]]:
        """An encoder with target encoding, and the out-of-fold encodings of the training rows."""
        T = (
            self.y[:, None]
            if self.y.dtype.kind == "f"
            else self.y[:, None] == np.unique(self.y)
        )
        return self.encoder.with_means(
            self.X, T, folds(self.y, FOLDS, self.seed), self.weight, MAX_CATEGORIES
        )

    @property
    def _for_linear(self) -> Inputs:
        """The standardized inputs for linear models."""
        rows = enough_rows(len(self.y), self.encoder.width, self.seed)
        encoder, means = self._encoded
        means = {name: column_means[rows] for name, column_means in means.items()}
        # inputs of the standardized view
        _, train = encoder.of_views(self.X.iloc[rows], means, as_arrays=True)
        _, test = encoder.of_views(self.X_test, as_arrays=True)
        return Inputs(rows, np.asarray(train, float), np.asarray(test))

    def _for_trees(self, trees: int = 1) -> Inputs:
        """Return the columns for gradient boosting, given the number of trees per boosting step."""
        encoder, means = self._encoded
        test, is_category = columns_for_trees(encoder, self.X_test)
        rows = enough_rows(len(self.y), len(is_category) * trees, self.seed)
        means = {name: column_means[rows] for name, column_means in means.items()}
        train, _ = columns_for_trees(encoder, self.X.iloc[rows], means)
        # gradient boosting needs a value in each column
        train[:, np.isnan(train).all(axis=0)] = 0
        return Inputs(rows, train, test, is_category)

    def _fit(self, model, inputs: Inputs):
        """Fit a scikit-learn model on weighted training rows, and return it."""
        weight = self.weight[inputs.rows]
        if weight.min() == weight.max():
            weight = None  # weights are slow for quantiles
        # Ignore warnings about convergence and many classes.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return model.fit(inputs.train, self.y[inputs.rows], sample_weight=weight)

    def _probabilities(self, model, inputs: Inputs, classes: int) -> ndarray:
        """Fit a classifier and return its test probabilities, 0 for classes without a training row."""
        P = np.zeros((len(inputs.test), classes))
        y = self.y[inputs.rows]
        if (y == y[0]).all():
            P[:, y[0]] = 1
            return P
        self._fit(model, inputs)
        P[:, model.classes_] = model.predict_proba(inputs.test)
        return P

    def _logistic(self, classes: int) -> ndarray:
        """Return the probabilities of logistic regression for the test rows.

        The penalty is chosen by the one-standard-error rule: the strongest one within a
        standard error of the best.
        """
        inputs = self._for_linear
        sample = enough_rows(len(inputs.rows), 10 * inputs.train.shape[1], self.seed)
        rows = inputs.rows[sample]
        X = inputs.train[sample]
        losses = [self._losses(strength, rows, X, classes) for strength in STRENGTHS]
        excess = np.stack(losses) - min(losses, key=np.sum)
        standard_errors = excess.std(axis=1) / np.sqrt(len(rows))
        is_close = excess.mean(axis=1) <= standard_errors
        # the first close inverse penalty is the smallest one
        model = LogisticRegression(C=STRENGTHS[is_close.argmax()], max_iter=200)
        return self._probabilities(model, inputs, classes)

    def _losses(
        self, strength: float, rows: ndarray, X: ndarray, classes: int
    ) -> ndarray:
        """Return the cross-validated loss of each row for a penalty of logistic regression."""
        y = self.y[rows]
        chance = np.ones(len(rows))
        model = LogisticRegression(C=strength, max_iter=200)
        for seen, unseen in splits(folds(y, FOLDS, self.seed), is_time=False):
            inputs = Inputs(rows[seen], X[seen], X[unseen])
            P = self._probabilities(model, inputs, classes)
            chance[unseen] = P[np.arange(len(unseen)), y[unseen]]
        return -self.weight[rows] * np.log(np.maximum(chance, MIN_LOSS_PROBABILITY))

    @property
    def _linear(self) -> tuple[ndarray, ndarray, ndarray]:
        """The test predictions of linear regression, its training errors, and the weights of the training rows."""
        inputs = self._for_linear
        model = self._fit(RidgeCV(PENALTIES), inputs)
        errors = self.y[inputs.rows] - model.predict(inputs.train)
        return model.predict(inputs.test), errors, self.weight[inputs.rows]

    def _poisson(self) -> ndarray:
        """Return the test predictions of Poisson regression, at most the largest target."""
        inputs = self._for_linear
        sample = enough_rows(len(inputs.rows), 10 * inputs.train.shape[1], self.seed)
        rows = inputs.rows[sample]
        search = GridSearchCV(
            PoissonRegressor(max_iter=300), {"alpha": STRENGTHS}, cv=FOLDS
        )
        search.fit(inputs.train[sample], self.y[rows], sample_weight=self.weight[rows])
        return np.minimum(search.predict(inputs.test), self.y.max())

    def _boosted(
        self, loss: str = "squared_error", quantile: float | None = None
    ) -> ndarray:
        """Return gradient boosting's test predictions."""
        inputs = self._for_trees()
        trees = HistGradientBoostingRegressor(loss=loss, quantile=quantile)
        self._configure(trees, inputs)
        return self._fit(trees, inputs).predict(inputs.test)

    def _boosted_probabilities(self, classes: int) -> ndarray:
        """Return gradient boosting's probabilities for the test rows."""
        inputs = self._for_trees(classes)
        _, counts = np.unique(self.y[inputs.rows], return_counts=True)
        # The training and the validation rows need rows of each class.
        validation_rows = VALIDATION * len(inputs.rows)
        can_stop = counts.min() > 1 and validation_rows >= len(counts)
        trees = HistGradientBoostingClassifier()
        self._configure(trees, inputs, can_stop)
        return self._probabilities(trees, inputs, classes)

    def _configure(self, trees, inputs: Inputs, can_stop: bool = True):
        """Set the parameters of gradient boosting, which stops early if it can and there are enough rows."""
        is_wide = len(inputs.is_category) > MANY_COLUMNS
        trees.set_params(
            categorical_features=inputs.is_category,
            early_stopping=bool(can_stop and len(inputs.rows) >= MIN_STOPPING_ROWS),
            max_bins=FEWER_BINS if is_wide else BINS,
            random_state=self.seed,
            validation_fraction=VALIDATION,
        )


def columns_for_trees(
    encoder: Encoder, frame, means: Mapping[str, ndarray] | None = None
) -> tuple[ndarray, list[bool]]:
    """Return the columns of a table for trees, (N, K), and whether each contains category indices.

    Missing numbers are nan. A date becomes the days since 1970 and its position in the
    year, month and week. A text becomes its first inputs. ``means`` contains
    out-of-fold encodings, which replace the encoder's mean targets.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, None, 40.0], "town": list("aba")})
    >>> columns_for_trees(Encoder.of(frame)[0], frame)
    (array([[20.,  0.], [nan,  1.], [40.,  0.]]), [False, True])
    """
    columns = []
    is_category = []
    for name, part in encoder.columns:
        column = means[name] if means and name in means else part.for_trees(frame[name])
        has_few_categories = (
            isinstance(part, Categories)
            and part.means is None
            and part.marks <= FEWER_BINS
        )
        columns.append(column)
        is_category += [has_few_categories] * column.shape[1]
    return np.hstack(columns), is_category
