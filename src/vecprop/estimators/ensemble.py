"""Ensembles: networks that are trained at once and averaged."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score

from .availability import available_if
from .classifier import MLPClassifier
from .documentation import documented_ensemble
from .members import MLPEnsemble
from .regressor import MLPRegressor


@documented_ensemble
class MLPEnsembleClassifier(ClassifierMixin, MLPEnsemble):
    """Networks whose probabilities are averaged, all trained at once.

    Parameters
    ----------
    estimator : MLPClassifier, optional
        The settings of all members; ``MLPClassifier()`` by default.
    {settings}

    Attributes
    ----------
    classes_ : ndarray (C,)
        The classes, sorted; all members know all of them.
    {attributes}
    oob_decision_function_ : ndarray (N, C)
        With ``oob_score``, the mean probabilities by the members that were not trained on the row; NaN without any.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from vecprop import MLPClassifier, MLPEnsembleClassifier
    >>> X, y = make_moons(100, noise=0.1, random_state=0)
    >>> network = MLPClassifier((8,), solver="lbfgs")
    >>> ensemble = MLPEnsembleClassifier(network, 5, bootstrap=True, random_state=0).fit(X, y)
    >>> P, spread = ensemble.predict_proba([[0.5, 0.25], [-1.0, 0.5]], return_std=True)
    >>> bool(spread[0, 0] > spread[1, 0])  # they disagree between the moons
    True
    """

    _kind = MLPClassifier

    def predict(self, X: Any) -> Any:
        """Return the labels of rows, by the mean of the members' outputs.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.

        Returns
        -------
        ndarray (N,), or (N, C) of 0 and 1 for several labels a row
        """
        Y, _ = mean_and_deviation(self._outputs_of_members(X))
        return self._targets.decode(Y)

    def _has_probabilities(self: Any) -> bool:
        return self.estimator is None or hasattr(self.estimator, "predict_proba")

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Return the members' mean probability of each class, and their standard deviation if asked for.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        return_std : bool, default False
            Whether the standard deviation over the members is returned too: if it is large, the probability owes
            much to the seed, or to the rows and features that a member has seen.

        Returns
        -------
        ndarray (N, C), or two of them
            In the order of ``classes_``.
        """
        Y, deviation = mean_and_deviation(self._outputs_of_members(X))
        P = self._targets.probabilities(Y)
        if not return_std:
            return P
        return P, deviation if deviation.shape == P.shape else np.repeat(deviation, 2, axis=1)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the mean probability of each class, minus infinity if it is 0.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.

        Returns
        -------
        ndarray (N, C)
            In the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _note_left_out(self, y: Any, Y: np.ndarray, has_votes: np.ndarray) -> None:
        self.oob_decision_function_ = self._targets.probabilities(Y)
        self.oob_score_ = float(accuracy_score(y[has_votes], self._targets.decode(Y[has_votes])))


@documented_ensemble
class MLPEnsembleRegressor(RegressorMixin, MLPEnsemble):
    """Networks whose predictions are averaged, all trained at once.

    Parameters
    ----------
    estimator : MLPRegressor, optional
        The settings of all members; ``MLPRegressor()`` by default.
    {settings}

    Attributes
    ----------
    {attributes}
    oob_prediction_ : ndarray (N,) or (N, O)
        With ``oob_score``, the mean prediction by the members that were not trained on the row; NaN without any.

    Examples
    --------
    >>> from vecprop import MLPEnsembleRegressor, MLPRegressor
    >>> X = np.linspace(-1, 1, 30)[:, None]
    >>> network = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=500)
    >>> ensemble = MLPEnsembleRegressor(network, 5, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> mean, spread = ensemble.predict([[0.0], [4.0]], return_std=True)
    >>> bool(spread[0] < spread[1])  # they disagree far from the rows
    True
    """

    _kind = MLPRegressor

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the members' mean prediction, and their standard deviation if asked for.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        return_std : bool, default False
            Whether the standard deviation over the members is returned too. It says how much a prediction owes to the
            seed, and to the rows and features that a member has seen; not how far y scatters around it.

        Returns
        -------
        ndarray (N,), or (N, O) for several outputs; or two of them
            In the units of y.
        """
        mean, deviation = mean_and_deviation(self._targets.decode(Y) for Y in self._outputs_of_members(X))
        return (mean, deviation) if return_std else mean

    def _note_left_out(self, y: Any, Y: np.ndarray, has_votes: np.ndarray) -> None:
        self.oob_prediction_ = self._targets.decode(Y)
        self.oob_score_ = float(r2_score(y[has_votes], self.oob_prediction_[has_votes]))


def mean_and_deviation(values: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of arrays and their standard deviation, holding one at a time (Welford, 1962).

    Examples
    --------
    >>> mean_and_deviation([np.array([1.0, 5.0]), np.array([3.0, 5.0])])
    (array([2., 5.]), array([1., 0.]))
    """
    mean: Any = 0.0  # a Python number, so that the result has the values' type
    squares, count = mean, 0
    for value in values:
        count += 1
        step = value - mean
        mean = mean + step / count
        squares = squares + step * (value - mean)
    return mean, np.sqrt(squares / count)
