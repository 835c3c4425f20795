"""What a model has to beat: predictions that ignore the inputs, and logistic or linear regression."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ENTRIES = 2_000_000
"""How many numbers logistic and linear regression are fitted to at most: so many that more would change little."""


def baselines_of_classes(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, count: int, seed: int) -> dict[str, Any]:
    """Return the probabilities of test rows by each baseline, (N, C).

    Parameters
    ----------
    X, y : ndarray
        The inputs of training (N, I), and the numbers of the classes (N,).
    X_test : ndarray
        The inputs of the test.
    count : int
        How many classes there are.
    seed : int
        Fixes which rows are taken where there are very many.

    Returns
    -------
    dict of str to ndarray
        "naive", the shares of the classes in training, and "logistic regression".

    Examples
    --------
    >>> X, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])
    >>> found = baselines_of_classes(X, y, X[:1], 2, seed=0)
    >>> found["naive"], found["logistic regression"].argmax(axis=1)
    (array([[0.5, 0.5]]), array([0]))
    """
    rows = _some_rows(X, seed)
    shares = np.bincount(y, minlength=count) / len(y)
    linear = np.zeros((len(X_test), count))
    if len(np.unique(y[rows])) > 1:
        model = _fitted(LogisticRegression(max_iter=200), X[rows], y[rows])
        linear[:, model.classes_] = model.predict_proba(X_test)
    return {"naive": np.tile(shares, (len(X_test), 1)), "logistic regression": linear}


def baselines_of_numbers(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the predictions of test rows by each baseline, (N,): "naive", the mean, and "linear regression".

    Parameters
    ----------
    X, y, X_test, seed
        As for `baselines_of_classes`; y are numbers.

    Examples
    --------
    >>> X = np.arange(8.0)[:, None]
    >>> baselines_of_numbers(X, 2 * X[:, 0], X[:1], seed=0)["naive"]
    array([7.])
    """
    rows = _some_rows(X, seed)
    model = _fitted(Ridge(), X[rows], y[rows])
    return {"naive": np.full(len(X_test), y.mean()), "linear regression": model.predict(X_test)}


def baselines_of_quantiles(
    X: np.ndarray, y: np.ndarray, X_test: np.ndarray, levels: Sequence[float], seed: int
) -> dict[str, np.ndarray]:
    """Return the quantiles of test rows by each baseline, (N, L).

    "naive" are those of all targets; "linear regression" is the mean that it predicts and the quantiles of its errors.

    Parameters
    ----------
    X, y, X_test, seed
        As for `baselines_of_classes`; y are numbers.
    levels : sequence of float
        The levels.

    Examples
    --------
    >>> X = np.arange(9.0)[:, None]
    >>> baselines_of_quantiles(X, 2 * X[:, 0], X[:1], [0.25, 0.75], seed=0)["naive"]
    array([[ 4., 12.]])
    """
    rows = _some_rows(X, seed)
    model = _fitted(Ridge(), X[rows], y[rows])
    errors = np.quantile(y[rows] - model.predict(X[rows]), levels)
    return {
        "naive": np.tile(np.quantile(y, levels), (len(X_test), 1)),
        "linear regression": model.predict(X_test)[:, None] + errors,
    }


def _fitted(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it need not be exact to be compared with
        return make_pipeline(StandardScaler(), model).fit(X, y)


def _some_rows(X: np.ndarray, seed: int) -> np.ndarray:
    most = max(ENTRIES // X.shape[1], 100)
    if len(X) <= most:
        return np.arange(len(X))
    return np.random.default_rng(seed).choice(len(X), most, replace=False)
