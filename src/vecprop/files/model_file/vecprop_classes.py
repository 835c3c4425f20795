"""The classes of vecprop that model files may contain: networks and estimators."""

from dataclasses import replace
from typing import Any

import numpy as np

from ... import catalog
from ...core import Layer, Loss, Network, Penalty
from ...estimators.classifier import MLPClassifier
from ...estimators.data import Labels, Numbers
from ...estimators.diagnosis import Ending
from ...estimators.many.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from ...estimators.parts import Cuts, SampleScaling
from ...estimators.regressor import MLPRegressor
from ...optimize.optimizers import AdamHat
from ...optimize.settings import EarlyStopping
from ...train.state import EPOCH_START, History, TrainingState
from ..networks import TrainedNetwork
from .json_values import COMMON, StoredClass, fits, is_a, is_array, is_count, optional, stored_estimator, stored_fields


def _network_state(network: Network) -> dict[str, Any]:
    return {
        "inputs": network.inputs,
        "layers": list(network.layers),
        "loss": network.loss_function,
        "penalties": list(network.penalties),
    }


def _network(state: dict[str, Any]) -> Network:
    has_parts = fits(state["layers"], list[Layer]) and fits(state["penalties"], list[Penalty])
    if not has_parts or not isinstance(state["loss"], Loss):
        raise ValueError("a network has parts other than layers, a loss and penalties")
    return Network(state["inputs"], state["layers"], state["loss"], state["penalties"])


def _state_is_consistent(state: TrainingState) -> bool:
    """Return whether the states of the optimizer and the schedule match the parameters."""
    theta = state.theta
    if not (isinstance(theta, np.ndarray) and theta.ndim and theta.dtype.kind == "f"):
        return False
    arrays = [state.early_stopping.get("theta", theta)]
    arrays += [value for value in state.optimizer.values() if not fits(value, int)]
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.shape != theta.shape or array.dtype != theta.dtype:
            return False
    for value in state.schedule.values():
        if not fits(value, float) and np.shape(value) != theta.shape[:-1]:
            return False
    unfinished = state.under_way  # the counts and means of an unfinished epoch
    if unfinished.keys() not in (set(), EPOCH_START.keys()):
        return False
    return all(fits(value, type(EPOCH_START[name])) for name, value in unfinished.items())


def is_theta(theta: Any, network: Network) -> bool:
    """Return whether a value is a network's parameters, with any number of member axes."""
    return (
        isinstance(theta, np.ndarray)
        and theta.dtype in (np.float32, np.float64)
        and theta.shape[-1:] == (network.layout.size,)
        and are_finite(theta)
    )


def are_finite(numbers: np.ndarray) -> bool:
    if not np.isfinite(numbers).all():
        raise ValueError("parameters are not finite")
    return True


def _continues(state: TrainingState | None, theta: np.ndarray) -> bool:
    """Return whether training of these parameters can continue from a state."""
    return state is None or state.theta.shape == theta.shape


_is_number = is_a(float)
_is_curve = optional(is_a(list[float]))

_LEARNED = {
    **COMMON,
    "network_": is_a(Network),
    "theta_": lambda theta, model: is_theta(theta, model.network_) and theta.ndim == 1,
    "targets_": is_a(Labels | Numbers),
    "classes_": lambda classes, model: np.array_equal(classes, model.targets_.classes),
    **dict.fromkeys(("n_outputs_", "n_layers_", "n_iter_", "t_", "_no_improvement_count"), is_count),
    **dict.fromkeys(("loss_curve_", "validation_loss_curve_", "validation_scores_", "score_curve_"), _is_curve),
    **dict.fromkeys(("best_loss_", "best_validation_score_"), optional(_is_number)),
    **dict.fromkeys(("best_restart_", "_seed"), optional(is_count)),
    "out_activation_": is_a(str),
    "loss_": _is_number,
    "restart_losses_": is_a(np.ndarray | None),
    "_split": is_a(np.random.RandomState | None),
    "_ending": is_a(Ending | None),
    "_state": lambda state, model: fits(state, TrainingState | None) and _continues(state, model.theta_),
}
NOT_ALWAYS = {"feature_names_in_", "_sklearn_output_config"}
_NOT_ALWAYS_LEARNED = {*NOT_ALWAYS, "classes_", "restart_losses_", "best_restart_", "_ending", "_split"}


def is_unfitted(model: Any) -> bool:
    return vars(model).keys() <= {*model.get_params(deep=False), *COMMON}


def _estimator_is_consistent(model: Any) -> bool:
    """Return whether a fitted estimator's network has the right inputs and outputs."""
    if is_unfitted(model):
        return True
    if isinstance(model, MLPClassifier):
        has_targets = isinstance(model.targets_, Labels) and "classes_" in vars(model)
    else:
        has_targets = isinstance(model.targets_, Numbers)
    return (
        has_targets
        and _LEARNED.keys() - vars(model).keys() <= _NOT_ALWAYS_LEARNED
        and model.network_.inputs == model.n_features_in_
        and model.network_.outputs == model.n_outputs_ == model.targets_.outputs
    )


def _are_indices(value: Any, model: Any) -> bool:
    """Return whether a value is a list of row or column indices for each member."""
    return isinstance(value, list | tuple) and all(is_array(indices, "iu", None) for indices in value)


def _are_columns(value: Any, model: Any) -> bool:
    return _are_indices(value, model) and all(
        np.all((columns >= 0) & (columns < model.n_features_in_)) for columns in value
    )


_LEARNED_BY_ENSEMBLES = {
    **COMMON,
    "targets_": _LEARNED["targets_"],
    "classes_": _LEARNED["classes_"],
    "n_outputs_": is_count,
    "estimators_": is_a(list[MLPClassifier | MLPRegressor]),
    "estimators_samples_": _are_indices,
    "estimators_features_": _are_columns,
    **dict.fromkeys(("oob_decision_function_", "oob_prediction_"), is_a(np.ndarray)),
    "oob_score_": _is_number,
}


def _ensemble_is_consistent(model: Any) -> bool:
    """Return whether a fitted ensemble's members match its columns and targets."""
    if is_unfitted(model):
        return True
    if not len(model.estimators_) == len(model.estimators_features_) == len(model.estimators_samples_):
        return False
    for member, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        if type(member) is not model._member_class or is_unfitted(member):
            return False
        if member.n_features_in_ != len(columns) or member.n_outputs_ != model.n_outputs_:
            return False
    targets = Labels if model._member_class is MLPClassifier else Numbers
    return isinstance(model.targets_, targets)


def _trained_network_is_consistent(trained: TrainedNetwork) -> bool:
    return is_theta(trained.theta, trained.network) and _continues(trained.state, trained.theta)


def _labels_are_consistent(labels: Labels) -> bool:
    count = len(labels.classes)
    has_one_output = labels.outputs == 1 and 1 <= count <= 2  # two classes may share one output
    return labels.classes.ndim == 1 and (labels.outputs == count or has_one_output)


def _numbers_are_consistent(numbers: Numbers) -> bool:
    for values in map(np.asarray, (numbers.shift, numbers.scale)):
        if values.shape not in ((), (numbers.outputs,)) or not are_finite(values):
            return False
    return True


_HISTORY = stored_fields(History)
_IF_CONSISTENT = {
    TrainingState: _state_is_consistent,
    TrainedNetwork: _trained_network_is_consistent,
    Labels: _labels_are_consistent,
    Numbers: _numbers_are_consistent,
}
NOT_KEPT = ("_rows", "out_of_fold_")
"""The attributes that are recreated by the next prediction, or that describe only the training rows."""

VECPROP_CLASSES = [
    *(stored_fields(part.cls) for part in catalog.PARTS if part.savable),
    replace(_HISTORY, state=lambda history: _HISTORY.state(history._joined())),  # as arrays, not lists of epochs
    StoredClass("Network", Network, _network_state, _network),
    *map(stored_fields, (EarlyStopping, AdamHat, SampleScaling, Cuts, Ending)),
    *(stored_fields(cls, check) for cls, check in _IF_CONSISTENT.items()),
    stored_estimator(MLPClassifier, _LEARNED, _estimator_is_consistent, NOT_KEPT),
    stored_estimator(MLPRegressor, _LEARNED, _estimator_is_consistent, NOT_KEPT),
    stored_estimator(MLPEnsembleClassifier, _LEARNED_BY_ENSEMBLES, _ensemble_is_consistent, NOT_KEPT),
    stored_estimator(MLPEnsembleRegressor, _LEARNED_BY_ENSEMBLES, _ensemble_is_consistent, NOT_KEPT),
]
