"""Baselines that a model has to beat: predictions that ignore the inputs, linear models, and gradient boosting."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ..encoding.encoder import Encoder
from ..ensemble.calibration import weighted_quantiles

ENTRIES = 2_000_000
"""A baseline is fitted to at most this many numbers: more would change little, and take longer."""
MOST_CLASSES = 30
"""With more classes than this there is no gradient boosting, each step of which takes a tree for each of them."""
MANY_COLUMNS, FEWER_BINS = 250, 63
"""With more columns than this, trees use fewer bins for each column than their default of 255, which takes a third of
the time."""
NAIVE, LOGISTIC, LINEAR, BOOSTING = "naive", "logistic regression", "linear regression", "gradient boosting"


def enough_rows(rows: int, inputs: int, seed: int) -> np.ndarray:
    """Return the indices of the rows that a baseline is fitted to: all, or a random sample.

    Examples
    --------
    >>> enough_rows(3, inputs=5, seed=0), len(enough_rows(1_000_000, inputs=100, seed=0))
    (array([0, 1, 2]), 20000)
    """
    most = max(ENTRIES // inputs, 100)
    return np.arange(rows) if rows <= most else np.random.default_rng(seed).choice(rows, most, replace=False)


@dataclass(frozen=True, eq=False)
class Baselines:
    """Baselines that learn from rows of training, and predict rows of a test.

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
        """Return the probabilities of the test's rows by each baseline, (N, C), for C classes.

        "naive" are the frequencies of the classes.
        """
        shares = np.bincount(self.y, self.weight, minlength=count) / self.weight.sum()
        linear = [("scaler", StandardScaler()), ("model", LogisticRegression(max_iter=200))]
        each = {NAIVE: np.tile(shares, (len(self.X_test), 1))}
        each |= {LOGISTIC: self._probabilities(linear, *self._for_linear, count)}
        if count > MOST_CLASSES:
            return each
        rows, columns, columns_test, is_category = self._for_trees(count)
        stops = "auto" if np.unique(self.y[rows], return_counts=True)[1].min() > 1 else False  # on rows of each class
        settings = {"early_stopping": stops, "random_state": self.seed} | _of_columns(columns, is_category)
        trees = HistGradientBoostingClassifier(**settings)
        return each | {BOOSTING: self._probabilities([("model", trees)], rows, columns, columns_test, count)}

    def of_numbers(self) -> dict[str, np.ndarray]:
        """Return the predictions of the test's rows by each baseline, (N,); "naive" is the mean."""
        mean = np.average(self.y, weights=self.weight)
        return {NAIVE: np.full(len(self.X_test), mean), LINEAR: self._linear[0], BOOSTING: self._boosted()}

    def of_quantiles(self, levels: Sequence[float]) -> dict[str, np.ndarray]:
        """Return the quantiles of the test's rows by each baseline, (N, L).

        "naive" are the quantiles of all targets; linear regression adds the quantiles of its errors to its prediction.
        """
        wanted, (linear, errors, weight) = np.array(levels), self._linear
        boosted = [self._boosted(loss="quantile", quantile=level) for level in levels]
        naive = np.tile(weighted_quantiles(self.y, wanted, self.weight), (len(self.X_test), 1))
        linear = linear[:, None] + weighted_quantiles(errors, wanted, weight)
        return {NAIVE: naive, LINEAR: linear, BOOSTING: np.stack(boosted, axis=1)}

    @property
    def _for_linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows that linear models are fitted to, their inputs, and those of the test."""
        rows = enough_rows(len(self.y), self.encoder.width, self.seed)
        return rows, self.encoder(self.X.iloc[rows]), self.encoder(self.X_test)

    def _for_trees(self, trees: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[bool]]:
        """Return the rows that trees are fitted to, their columns, those of the test, and which are categories.

        A step of boosting makes a number of trees.
        """
        columns_test, is_category = columns_for_trees(self.encoder, self.X_test)
        rows = enough_rows(len(self.y), len(is_category) * trees, self.seed)
        return rows, columns_for_trees(self.encoder, self.X.iloc[rows])[0], columns_test, is_category

    def _probabilities(
        self, steps: list[tuple[str, Any]], rows: np.ndarray, X: np.ndarray, X_test: np.ndarray, count: int
    ) -> np.ndarray:
        """Return the probabilities of the test's rows by a pipeline, 0 for classes of which it knows no row."""
        P = np.zeros((len(X_test), count))
        if (self.y[rows] == self.y[rows[0]]).all():
            P[:, self.y[rows[0]]] = 1
            return P
        model = _fitted(steps, X, self.y[rows], self.weight[rows])
        P[:, model.classes_] = model.predict_proba(X_test)
        return P

    @property
    def _linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Linear regression's predictions of the test, and its errors in training with their weights."""
        rows, inputs, inputs_test = self._for_linear
        y, weight = self.y[rows], self.weight[rows]
        model = _fitted([("scaler", StandardScaler()), ("model", Ridge())], inputs, y, weight)
        return model.predict(inputs_test), y - model.predict(inputs), weight

    def _boosted(self, **loss: Any) -> np.ndarray:
        """Return gradient boosting's predictions of the test."""
        rows, columns, columns_test, is_category = self._for_trees()
        trees = HistGradientBoostingRegressor(random_state=self.seed, **loss | _of_columns(columns, is_category))
        return _fitted([("model", trees)], columns, self.y[rows], self.weight[rows]).predict(columns_test)


def _of_columns(columns: np.ndarray, is_category: list[bool]) -> dict[str, Any]:
    """Return the settings of gradient boosting for some columns; each number of a category needs a value of its own."""
    categories = int(columns[:, is_category].max(initial=0)) + 1
    bins = max(FEWER_BINS, categories) if len(is_category) > MANY_COLUMNS else 255
    return {"categorical_features": is_category, "max_bins": bins}


def _fitted(steps: list[tuple[str, Any]], X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Any:
    weights = {} if weight.min() == weight.max() else {"model__sample_weight": weight}  # of which quantiles take long
    # It need not converge; that classes are many is noted elsewhere.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return Pipeline(steps).fit(X, y, **weights)


def columns_for_trees(encoder: Encoder, frame: Any) -> tuple[np.ndarray, list[bool]]:
    """Return the columns of a table for trees, (N, K), and whether each holds the numbers of categories.

    Numbers are as they are, and nan where they are missing. A date is the days since 1970 and its place in the year,
    the month and the week; a text has the inputs of networks.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.0, None, 40.0], "town": list("aba")})
    >>> columns_for_trees(Encoder.of(frame)[0], frame)
    (array([[20.,  0.], [nan,  1.], [40.,  0.]]), [False, True])
    """
    parts = [(part, part.for_trees(frame[name])) for name, part in encoder.columns]
    is_category = [part.holds == "names" for part, columns in parts for _ in columns.T]
    return np.hstack([columns for _, columns in parts]), is_category
