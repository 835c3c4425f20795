"""Baselines that a model has to beat: predictions that ignore the inputs, and logistic or linear regression."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ...tables.intervals import weighted_quantiles

ENTRIES = 2_000_000
"""Logistic and linear regression are fitted to at most this many numbers: more would change little, and take longer."""


def enough_rows(rows: int, inputs: int, seed: int) -> np.ndarray:
    """Return the indices of the rows that logistic and linear regression are fitted to: all, or a random sample.

    Examples
    --------
    >>> enough_rows(3, inputs=5, seed=0), len(enough_rows(1_000_000, inputs=100, seed=0))
    (array([0, 1, 2]), 20000)
    """
    most = max(ENTRIES // inputs, 100)
    return np.arange(rows) if rows <= most else np.random.default_rng(seed).choice(rows, most, replace=False)


def baselines_of_classes(
    X: np.ndarray, X_test: np.ndarray, rows: np.ndarray, weight: np.ndarray, y: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """Return the probabilities of test rows by each baseline, (N, C).

    Parameters
    ----------
    X, X_test : ndarray
        The inputs of some rows of training, and of all rows of the test.
    rows : ndarray of int
        The indices of those rows of training, see `enough_rows`.
    weight, y : ndarray (N,)
        The weight of each row of training, and the number of its class.
    count : int
        The number of classes.

    Returns
    -------
    dict of str to ndarray
        "naive", which is the frequency of each class in training, and "logistic regression".

    Examples
    --------
    >>> X, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])
    >>> found = baselines_of_classes(X, X[:1], np.arange(4), np.ones(4), y, 2)
    >>> found["naive"], found["logistic regression"].argmax(axis=1)
    (array([[0.5, 0.5]]), array([0]))
    """
    shares = np.bincount(y, weight, minlength=count) / weight.sum()
    linear = np.zeros((len(X_test), count))
    if len(np.unique(y[rows])) > 1:
        model = _fitted(LogisticRegression(max_iter=200), X, y[rows], weight[rows])
        linear[:, model.classes_] = model.predict_proba(X_test)
    return {"naive": np.tile(shares, (len(X_test), 1)), "logistic regression": linear}


def baselines_of_numbers(
    X: np.ndarray, X_test: np.ndarray, rows: np.ndarray, weight: np.ndarray, y: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the predictions of test rows by each baseline, (N,): "naive", the mean, and "linear regression".

    Parameters
    ----------
    X, X_test, rows, weight, y
        As for `baselines_of_classes`; y are numbers.

    Examples
    --------
    >>> X = np.arange(8.0)[:, None]
    >>> baselines_of_numbers(X, X[:1], np.arange(8), np.ones(8), 2 * X[:, 0])["naive"]
    array([7.])
    """
    model = _fitted(Ridge(), X, y[rows], weight[rows])
    return {"naive": np.full(len(X_test), np.average(y, weights=weight)), "linear regression": model.predict(X_test)}


def baselines_of_quantiles(
    X: np.ndarray, X_test: np.ndarray, rows: np.ndarray, weight: np.ndarray, y: np.ndarray, levels: Sequence[float]
) -> dict[str, np.ndarray]:
    """Return the quantiles of test rows by each baseline, (N, L).

    "naive" are the quantiles of all targets; "linear regression" adds the quantiles of its errors to its prediction.

    Parameters
    ----------
    X, X_test, rows, weight, y
        As for `baselines_of_classes`; y are numbers.
    levels : sequence of float
        The levels.

    Examples
    --------
    >>> X = np.arange(9.0)[:, None]
    >>> baselines_of_quantiles(X, X[:1], np.arange(9), np.ones(9), 2 * X[:, 0], [0.25, 0.75])["naive"]
    array([[ 3.5, 12.5]])
    """
    model = _fitted(Ridge(), X, y[rows], weight[rows])
    errors = weighted_quantiles(y[rows] - model.predict(X), np.array(levels), weight[rows])
    return {
        "naive": np.tile(weighted_quantiles(y, np.array(levels), weight), (len(X_test), 1)),
        "linear regression": model.predict(X_test)[:, None] + errors,
    }


def _fitted(model: Any, X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it need not converge; that classes are many is noted elsewhere
        return Pipeline([("scaler", StandardScaler()), ("model", model)]).fit(X, y, model__sample_weight=weight)
