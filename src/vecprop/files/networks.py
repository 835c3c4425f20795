"""Trained networks, the averaged networks of an estimator, and import from scikit-learn."""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from sklearn import neural_network as scikit
from sklearn.utils.validation import check_is_fitted

from ..core.network import Network
from ..estimators.classifier import MLPClassifier
from ..estimators.many.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from ..estimators.regressor import MLPRegressor
from ..tables.ensemble.calibration import require_share
from ..tables.regressor import TabularRegressor
from ..train.state import TrainingState
from . import FileError


class TrainedNetwork(NamedTuple):
    """A network with its parameters and, optionally, its training state, for `save` and `load`.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (*M, P)
        The parameters.
    state : TrainingState, optional
        The state for continued training, ``result.state``.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError())
    >>> network, theta, state = TrainedNetwork(network, network.init(seed=0))
    >>> theta.shape
    (13,)
    """

    network: Network
    theta: ndarray
    state: TrainingState | None = None


def theta_of_one(trained: TrainedNetwork, form: str) -> ndarray:
    """Return the parameters of one network as an array; raise FileError if their shape is wrong."""
    theta = np.asarray(trained.theta)
    size = trained.network.layout.size
    if theta.ndim != 1:
        raise FileError(
            f"theta holds networks of shape {theta.shape[:-1]}, but {form} can contain"
            " only one: pass one row."
        )
    if theta.shape != (size,):
        raise FileError(
            f"theta has shape {theta.shape}, but this network has {size} parameters."
        )
    return theta


CLASSIFIERS = (MLPClassifier, MLPEnsembleClassifier)
REGRESSORS = (MLPRegressor, MLPEnsembleRegressor)


class Averaged(NamedTuple):
    """One network with several parameter vectors, whose outputs are averaged."""

    network: Network
    thetas: ndarray
    columns: ndarray | None = None


def averaged(model) -> Averaged:
    """Return the networks of a fitted estimator or ensemble."""
    check_is_fitted(model)
    if isinstance(model, MLPClassifier | MLPRegressor):
        return Averaged(model.network_, model.theta_[None])
    columns = np.stack(model.estimators_features_)
    if columns.shape[1] == model.n_features_in_:
        columns = None
    thetas = np.stack([member.theta_ for member in model.estimators_])
    return Averaged(model.estimators_[0].network_, thetas, columns)


def require_intervals(model, coverage: float) -> None:
    """Raise an error for a model without intervals, or an invalid coverage."""
    if not isinstance(model, TabularRegressor):
        raise FileError(
            f"A {type(model).__name__} has no intervals: leave out coverage"
            " (--interval), or use a TabularRegressor."
        )
    require_share(coverage)


COPIED = (
    "n_iter_",
    "t_",
    "validation_scores_",
    "best_validation_score_",
    "feature_names_in_",
)
"""The attributes that have the same meaning in both libraries."""


def from_sklearn(
    model: scikit.MLPClassifier | scikit.MLPRegressor,
) -> MLPClassifier | MLPRegressor:
    """Convert a fitted scikit-learn network to vecprop's estimator.

    Weights, classes, settings and predictions are the same. `partial_fit`, and `fit`
    with ``warm_start=True``, continue from these weights with a new optimizer state.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        The fitted model. The model is not modified and does not share arrays with the
        result.

    Returns
    -------
    MLPClassifier or MLPRegressor

    Raises
    ------
    TypeError
        If the model is not one of these classes.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.neural_network import MLPRegressor
    >>> from vecprop.export import from_sklearn
    >>> X, y = load_diabetes(return_X_y=True, scaled=True)
    >>> theirs = MLPRegressor(hidden_layer_sizes=[4], solver="lbfgs", max_iter=5000, random_state=0).fit(X, y)
    >>> ours = from_sklearn(theirs)
    >>> np.allclose(ours.predict(X), theirs.predict(X))
    True
    """
    if not isinstance(model, scikit.MLPClassifier | scikit.MLPRegressor):
        raise TypeError(
            "from_sklearn needs scikit-learn's MLPClassifier or MLPRegressor, got"
            f" {model!r}."
        )
    check_is_fitted(model)
    settings = deepcopy(model.get_params())
    outputs = model.n_outputs_
    y: Any
    if isinstance(model, scikit.MLPRegressor):
        ours = MLPRegressor(**settings)
        y = np.zeros(1 if outputs == 1 else (1, outputs))
    else:
        ours = MLPClassifier(**settings)
        y = np.repeat(model.classes_, 3)
        if model.out_activation_ == "logistic" and outputs > 1:
            y = np.eye(outputs, dtype=int)
    first_weights = model.coefs_[0]
    X = np.zeros((len(y), len(first_weights)), first_weights.dtype)
    ours.initialize(X, y)
    ours.coefs_ = model.coefs_
    ours.intercepts_ = model.intercepts_
    for name in COPIED:
        if hasattr(model, name):
            setattr(ours, name, deepcopy(getattr(model, name)))
    # scikit-learn averages the squared error over outputs, and vecprop sums it.
    factor = outputs if model.loss == "squared_error" else 1
    for name in ("loss_", "loss_curve_", "best_loss_"):
        loss = getattr(model, name, None)
        if loss is not None:
            setattr(ours, name, (factor * np.asarray(loss)).tolist())
    return ours
