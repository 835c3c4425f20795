"""Shared by ONNX and NumPy source: estimators as networks whose outputs are averaged, and models with intervals."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..core.network import Network
from ..estimators.classifier import MLPClassifier
from ..estimators.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from ..estimators.regressor import MLPRegressor
from ..tables.ensemble.intervals import require_share
from ..tables.regressor import TabularRegressor
from .error import FileError

CLASSIFIERS = (MLPClassifier, MLPEnsembleClassifier)
REGRESSORS = (MLPRegressor, MLPEnsembleRegressor)


class Averaged(NamedTuple):
    """Copies of one network, with parameters of their own, whose outputs are averaged."""

    network: Network
    thetas: np.ndarray
    columns: np.ndarray | None = None


def averaged(model: Any) -> Averaged:
    """Return the networks of a fitted estimator or ensemble."""
    check_is_fitted(model)
    if isinstance(model, MLPClassifier | MLPRegressor):
        return Averaged(model.network_, model.theta_[None])
    columns = np.stack(model.estimators_features_)
    thetas = np.stack([member.theta_ for member in model.estimators_])
    return Averaged(model.estimators_[0].network_, thetas, columns if columns.shape[1] < model.n_features_in_ else None)


def require_intervals(model: Any, coverage: float) -> None:
    """Refuse a model without intervals, and a coverage that intervals cannot have."""
    if not isinstance(model, TabularRegressor):
        raise FileError(f"A {type(model).__name__} knows no intervals, which are of a TabularRegressor: no coverage.")
    require_share(coverage)
