"""Baselines to compare a model with: constant predictions, linear models and gradient boosting."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, RidgeCV

from ..encoding.columns import Categories
from ..encoding.encoder import Encoder
from ..encoding.folds import folds, splits
from ..ensemble.calibration import weighted_quantiles
from ..explaining.importance import MIN_LOSS_PROBABILITY

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
"""Candidate inverse penalties of logistic regression, validated on at most a tenth
of `ENTRIES`.
"""
NAIVE = "naive"
LOGISTIC = "logistic regression"
LINEAR = "linear regression"
BOOSTING = "gradient boosting"


def enough_rows(rows: int, inputs: int, seed: int) -> ndarray:
    """Return the indices of the rows that a baseline is fitted on: all rows or a random sample.

    Examples
    --------
    >>> enough_rows(3, inputs=5, seed=0), len(enough_rows(1_000_000, inputs=100, seed=0))
    (array([0, 1, 2]), 20000)
    """
    most = max(ENTRIES // inputs, 100)
    return (
        np.arange(rows)
        if rows <= most
        else np.random.default_rng(seed).choice(rows, most, replace=False)
    )


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

    def numbers(self) -> dict[str, ndarray]:
        """Return each baseline's predictions for the test rows, (N,); "naive" predicts the mean."""
        mean = np.average(self.y, weights=self.weight)
        linear, _, _ = self._linear
        return {
            NAIVE: np.full(len(self.X_test), mean),
            LINEAR: linear,
            BOOSTING: self._boosted(),
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
    def _for_linear(self) -> tuple[ndarray, ndarray, ndarray]:
        """The row indices for linear models, and the standardized inputs of these rows and of the test rows."""
        rows = enough_rows(len(self.y), self.encoder.width, self.seed)
        encoder, means = self._encoded
        means = {name: column_means[rows] for name, column_means in means.items()}
        # inputs of the standardized view
        _, inputs = encoder.of_views(self.X.iloc[rows], means, as_arrays=True)
        _, inputs_test = encoder.of_views(self.X_test, as_arrays=True)
        return rows, np.asarray(inputs, float), np.asarray(inputs_test)

    def _for_trees(
        self, trees: int = 1
    ) -> tuple[ndarray, ndarray, ndarray, list[bool]]:
        """Return the row indices for trees, their columns, the test columns, and which columns are categorical.

        ``trees`` is the number of trees per boosting step.
        """
        encoder, means = self._encoded
        columns_test, is_category = columns_for_trees(encoder, self.X_test)
        rows = enough_rows(len(self.y), len(is_category) * trees, self.seed)
        means = {name: column_means[rows] for name, column_means in means.items()}
        columns, _ = columns_for_trees(encoder, self.X.iloc[rows], means)
        # gradient boosting needs a value in each column
        columns[:, np.isnan(columns).all(axis=0)] = 0
        return rows, columns, columns_test, is_category

    def _probabilities(
        self,
        model,
        rows: ndarray,
        X: ndarray,
        *,
        X_test: ndarray,
        classes: int,
    ) -> ndarray:
        """Fit a model and return its probabilities for X_test, with 0 for classes without a training row."""
        P = np.zeros((len(X_test), classes))
        if (self.y[rows] == self.y[rows[0]]).all():
            P[:, self.y[rows[0]]] = 1
            return P
        model = _fitted(model, X, self.y[rows], self.weight[rows])
        P[:, model.classes_] = model.predict_proba(X_test)
        return P

    def _logistic(self, classes: int) -> ndarray:
        """Return the probabilities of logistic regression for the test rows.

        The penalty is chosen by the one-standard-error rule: the strongest one within a
        standard error of the best.
        """
        rows, X, X_test = self._for_linear
        few = enough_rows(len(rows), 10 * X.shape[1], self.seed)
        losses = [
            self._losses(strength, rows[few], X[few], classes) for strength in STRENGTHS
        ]
        best = min(losses, key=np.sum)
        excesses = [row_losses - best for row_losses in losses]
        are_close = [
            excess.mean() <= excess.std() / np.sqrt(len(few)) for excess in excesses
        ]
        model = LogisticRegression(C=STRENGTHS[are_close.index(True)], max_iter=200)
        return self._probabilities(model, rows, X, X_test=X_test, classes=classes)

    def _losses(
        self, strength: float, rows: ndarray, X: ndarray, classes: int
    ) -> ndarray:
        """Return the cross-validated loss of each row for a penalty of logistic regression."""
        y = self.y[rows]
        chance = np.ones(len(rows))
        model = LogisticRegression(C=strength, max_iter=200)
        for seen, unseen in splits(folds(y, FOLDS, self.seed), is_time=False):
            P = self._probabilities(
                model, rows[seen], X[seen], X_test=X[unseen], classes=classes
            )
            chance[unseen] = P[np.arange(len(unseen)), y[unseen]]
        return -self.weight[rows] * np.log(np.maximum(chance, MIN_LOSS_PROBABILITY))

    @property
    def _linear(self) -> tuple[ndarray, ndarray, ndarray]:
        """The test predictions of linear regression, its training errors, and the weights of the training rows."""
        rows, inputs, inputs_test = self._for_linear
        y = self.y[rows]
        weight = self.weight[rows]
        model = _fitted(RidgeCV(PENALTIES), inputs, y, weight)
        return model.predict(inputs_test), y - model.predict(inputs), weight

    def _boosted(self, **loss) -> ndarray:
        """Return gradient boosting's test predictions."""
        rows, columns, columns_test, is_category = self._for_trees()
        trees = HistGradientBoostingRegressor(**loss, **self._settings(is_category))
        trees.set_params(early_stopping=len(rows) >= MIN_STOPPING_ROWS)
        return _fitted(trees, columns, self.y[rows], self.weight[rows]).predict(
            columns_test
        )

    def _boosted_probabilities(self, classes: int) -> ndarray:
        """Return gradient boosting's probabilities for the test rows."""
        rows, columns, columns_test, is_category = self._for_trees(classes)
        _, counts = np.unique(self.y[rows], return_counts=True)
        trees = HistGradientBoostingClassifier(**self._settings(is_category))
        # The training and the validation rows need rows of each class.
        has_all_classes = counts.min() > 1 and VALIDATION * len(rows) >= len(counts)
        trees.set_params(
            early_stopping=bool(has_all_classes and len(rows) >= MIN_STOPPING_ROWS)
        )
        return self._probabilities(
            trees, rows, columns, X_test=columns_test, classes=classes
        )

    def _settings(self, is_category: list[bool]) -> dict[str, Any]:
        """Return the settings of gradient boosting."""
        return {
            "categorical_features": is_category,
            "max_bins": FEWER_BINS if len(is_category) > MANY_COLUMNS else BINS,
            "random_state": self.seed,
            "validation_fraction": VALIDATION,
        }


def _fitted(model, X: ndarray, y: ndarray, weight: ndarray):
    # weights are slow for quantiles
    weights = {} if weight.min() == weight.max() else {"sample_weight": weight}
    # Ignore warnings about convergence and many classes.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return model.fit(X, y, **weights)


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
