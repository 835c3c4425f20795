"""Baselines to compare a model with: constant predictions, linear models and gradient boosting."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV

from ..encoding.columns import Categories
from ..encoding.encoder import Encoder
from ..encoding.folds import folds, splits
from ..ensemble.calibration import weighted_quantiles
from ..explaining.importance import MIN_LOSS_PROBABILITY

ENTRIES = 2_000_000
"""Maximum number of array entries to fit a baseline on. More entries would help little and take longer."""
MAX_CLASSES = 30
"""Above this number of classes, gradient boosting is skipped, because each step needs a tree per class."""
MANY_COLUMNS, FEWER_BINS = 250, 63
"""Above this number of columns, trees use 63 instead of 255 bins, which takes a third of the time."""
MAX_CATEGORIES = 20
"""Columns with more categories are target-encoded, because trees and linear models would otherwise fit noise."""
MIN_STOPPING_ROWS, VALIDATION = 40, 0.2
"""Minimum number of rows for early stopping of gradient boosting, and its validation fraction."""
FOLDS = 3
"""Number of folds for the penalty of logistic regression and for target encoding."""
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Candidate penalties of linear regression. Leave-one-out validation selects the best one."""
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Candidate inverse penalties of logistic regression, validated on at most a tenth of `ENTRIES`."""
NAIVE, LOGISTIC, LINEAR, BOOSTING = "naive", "logistic regression", "linear regression", "gradient boosting"


def enough_rows(rows: int, inputs: int, seed: int) -> np.ndarray:
    """Return the indices of the rows that a baseline is fitted on: all rows or a random sample.

    Examples
    --------
    >>> enough_rows(3, inputs=5, seed=0), len(enough_rows(1_000_000, inputs=100, seed=0))
    (array([0, 1, 2]), 20000)
    """
    most = max(ENTRIES // inputs, 100)
    return np.arange(rows) if rows <= most else np.random.default_rng(seed).choice(rows, most, replace=False)


@dataclass(frozen=True, eq=False)
class Baselines:
    """Baselines that are fitted on training rows and predict test rows.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"x": np.arange(40.0)})
    >>> baselines = Baselines(Encoder.of(X)[0], X, X[:1], 2 * np.arange(40.0), np.ones(40), seed=0)
    >>> {name: Y.shape for name, Y in baselines.of_numbers().items()}
    {'naive': (1,), 'linear regression': (1,), 'gradient boosting': (1,)}
    """

    encoder: Encoder
    X: Any
    X_test: Any
    y: np.ndarray
    weight: np.ndarray
    seed: int

    def of_classes(self, count: int) -> dict[str, np.ndarray]:
        """Return each baseline's probabilities for the test rows, (N, C); "naive" predicts the class frequencies."""
        shares = np.bincount(self.y, self.weight, minlength=count) / self.weight.sum()
        each = {NAIVE: np.tile(shares, (len(self.X_test), 1))}
        each |= {LOGISTIC: self._logistic(count)}
        if count > MAX_CLASSES:
            return each
        rows, columns, columns_test, is_category = self._for_trees(count)
        counts = np.unique(self.y[rows], return_counts=True)[1]
        stops = counts.min() > 1 and VALIDATION * len(rows) >= len(counts)  # both parts need rows of each class
        trees = HistGradientBoostingClassifier(**self._settings(columns, is_category, stops=stops))
        return each | {BOOSTING: self._probabilities(trees, rows, columns, columns_test, count)}

    def of_numbers(self) -> dict[str, np.ndarray]:
        """Return each baseline's predictions for the test rows, (N,); "naive" predicts the mean."""
        mean = np.average(self.y, weights=self.weight)
        return {NAIVE: np.full(len(self.X_test), mean), LINEAR: self._linear[0], BOOSTING: self._boosted()}

    def of_quantiles(self, levels: Sequence[float]) -> dict[str, np.ndarray]:
        """Return each baseline's quantiles for the test rows, (N, L).

        "naive" predicts the quantiles of all targets. Linear regression adds error quantiles to its predictions.
        """
        wanted, (linear, errors, weight) = np.array(levels), self._linear
        boosted = [self._boosted(loss="quantile", quantile=level) for level in levels]
        naive = np.tile(weighted_quantiles(self.y, wanted, self.weight), (len(self.X_test), 1))
        linear = linear[:, None] + weighted_quantiles(errors, wanted, weight)
        return {NAIVE: naive, LINEAR: linear, BOOSTING: np.stack(boosted, axis=1)}

    @cached_property
    def _encoded(self) -> tuple[Encoder, dict[str, np.ndarray]]:
        """An encoder with target encoding, and the out-of-fold encodings of the training rows."""
        T = self.y[:, None] if self.y.dtype.kind == "f" else self.y[:, None] == np.unique(self.y)
        return self.encoder.with_means(self.X, T, folds(self.y, FOLDS, self.seed), self.weight, MAX_CATEGORIES)

    @property
    def _for_linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The row indices for linear models, and the standardized inputs of these rows and of the test rows."""
        rows, (encoder, means) = enough_rows(len(self.y), self.encoder.width, self.seed), self._encoded
        means = {name: of_rows[rows] for name, of_rows in means.items()}
        _, inputs = encoder.of_views(self.X.iloc[rows], means, as_arrays=True)  # inputs of the standardized view
        return rows, np.asarray(inputs, float), np.asarray(encoder.of_views(self.X_test, as_arrays=True)[1])

    def _for_trees(self, trees: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[bool]]:
        """Return the row indices for trees, their columns, the test columns, and which columns are categorical.

        ``trees`` is the number of trees per boosting step.
        """
        encoder, means = self._encoded
        columns_test, is_category = columns_for_trees(encoder, self.X_test)
        rows = enough_rows(len(self.y), len(is_category) * trees, self.seed)
        means = {name: of_rows[rows] for name, of_rows in means.items()}
        return rows, columns_for_trees(encoder, self.X.iloc[rows], means)[0], columns_test, is_category

    def _probabilities(self, model: Any, rows: np.ndarray, X: np.ndarray, X_test: np.ndarray, count: int) -> np.ndarray:
        """Fit a model and return its probabilities for X_test, with 0 for classes without a training row."""
        P = np.zeros((len(X_test), count))
        if (self.y[rows] == self.y[rows[0]]).all():
            P[:, self.y[rows[0]]] = 1
            return P
        model = _fitted(model, X, self.y[rows], self.weight[rows])
        P[:, model.classes_] = model.predict_proba(X_test)
        return P

    def _logistic(self, count: int) -> np.ndarray:
        """Return the probabilities of logistic regression for the test rows."""
        rows, X, X_test = self._for_linear
        few = enough_rows(len(rows), 10 * X.shape[1], self.seed)
        y, weight = self.y[rows[few]], self.weight[rows[few]]
        parts = splits(folds(y, FOLDS, self.seed), is_time=False)
        each: dict[float, np.ndarray] = {}
        for strength in STRENGTHS:
            model, chance = LogisticRegression(C=strength, max_iter=200), np.ones(len(few))
            for seen, unseen in parts:
                P = self._probabilities(model, rows[few[seen]], X[few[seen]], X[few[unseen]], count)
                chance[unseen] = P[np.arange(len(unseen)), y[unseen]]
            each[strength] = -weight * np.log(np.maximum(chance, MIN_LOSS_PROBABILITY))
        above = {strength: of - min(each.values(), key=np.sum) for strength, of in each.items()}
        # One-standard-error rule: the strongest penalty within a standard error of the best one.
        chosen = next(strength for strength, of in above.items() if of.mean() <= of.std() / np.sqrt(len(few)))
        return self._probabilities(LogisticRegression(C=chosen, max_iter=200), rows, X, X_test, count)

    @property
    def _linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The test predictions of linear regression, its training errors, and the weights of the training rows."""
        rows, inputs, inputs_test = self._for_linear
        y, weight = self.y[rows], self.weight[rows]
        model = _fitted(RidgeCV(PENALTIES), inputs, y, weight)
        return model.predict(inputs_test), y - model.predict(inputs), weight

    def _boosted(self, **loss: Any) -> np.ndarray:
        """Return gradient boosting's test predictions."""
        rows, columns, columns_test, is_category = self._for_trees()
        trees = HistGradientBoostingRegressor(**loss | self._settings(columns, is_category))
        return _fitted(trees, columns, self.y[rows], self.weight[rows]).predict(columns_test)

    def _settings(self, columns: np.ndarray, is_category: list[bool], *, stops: bool = True) -> dict[str, Any]:
        """Return the settings of gradient boosting."""
        bins = FEWER_BINS if len(is_category) > MANY_COLUMNS else 255
        stopping = {"early_stopping": stops and len(columns) >= MIN_STOPPING_ROWS, "validation_fraction": VALIDATION}
        return {"categorical_features": is_category, "max_bins": bins, "random_state": self.seed} | stopping


def _fitted(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Any:
    weights = {} if weight.min() == weight.max() else {"sample_weight": weight}  # weights are slow for quantiles
    # Ignore warnings about convergence and many classes.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return model.fit(X, y, **weights)


def columns_for_trees(
    encoder: Encoder, frame: Any, means: Mapping[str, np.ndarray] | None = None
) -> tuple[np.ndarray, list[bool]]:
    """Return the columns of a table for trees, (N, K), and whether each contains category indices.

    Missing numbers are nan. A date becomes the days since 1970 and its position in the year, month and week. A text
    becomes its first inputs. ``means`` contains out-of-fold encodings, which replace the encoder's mean targets.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, None, 40.0], "town": list("aba")})
    >>> columns_for_trees(Encoder.of(frame)[0], frame)
    (array([[20.,  0.], [nan,  1.], [40.,  0.]]), [False, True])
    """
    means, each, is_category = means or {}, [], []
    for name, part in encoder.columns:
        each.append(means[name] if name in means else part.for_trees(frame[name]))
        is_few = isinstance(part, Categories) and part.means is None and part.marks <= FEWER_BINS
        is_category += [is_few] * each[-1].shape[1]
    return np.hstack(each), is_category
