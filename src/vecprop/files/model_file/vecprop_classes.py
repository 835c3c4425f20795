"""The classes of vecprop that model files may contain: networks and estimators."""

import numpy as np
from numpy import ndarray

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
from .json_values import (
    COMMON,
    Conditions,
    State,
    StoredClass,
    fits,
    is_array,
    is_count,
    optional,
    stored_estimator,
    stored_fields,
)


def _network_state(network: Network) -> State:
    return {
        "inputs": network.inputs,
        "layers": list(network.layers),
        "loss": network.loss_function,
        "penalties": list(network.penalties),
    }


def _network(state: State) -> Network:
    types = {"layers": list[Layer], "loss": Loss, "penalties": list[Penalty]}
    if not all(fits(state[name], types[name]) for name in types):
        raise ValueError("a network has parts other than layers, a loss and penalties")
    return Network(
        state["inputs"], state["layers"], state["loss"], penalty=state["penalties"]
    )


def _training_state(state: TrainingState) -> Conditions:
    """Yield the conditions that the states of the optimizer and the schedule match the parameters."""
    theta = state.theta
    yield isinstance(theta, ndarray)
    yield theta.ndim > 0
    yield theta.dtype.kind == "f"
    best_theta = state.early_stopping.get("theta", theta)
    for value in (best_theta, *state.optimizer.values()):
        if fits(value, int):
            continue
        yield isinstance(value, ndarray)
        yield value.shape == theta.shape
        yield value.dtype == theta.dtype
    for value in state.schedule.values():
        yield fits(value, float) or np.shape(value) == theta.shape[:-1]
    epoch_values = state.under_way  # the counts and means of an unfinished epoch
    yield epoch_values.keys() in (set(), EPOCH_START.keys())
    for name, value in epoch_values.items():
        yield fits(value, type(EPOCH_START[name]))


def is_theta(theta, network: Network) -> bool:
    """Return whether a value is a network's parameters, with any number of member axes."""
    return (
        isinstance(theta, ndarray)
        and theta.dtype in (np.float32, np.float64)
        and theta.shape[-1:] == (network.layout.size,)
        and are_finite(theta)
    )


def are_finite(numbers: ndarray) -> bool:
    if not np.isfinite(numbers).all():
        raise ValueError("parameters are not finite")
    return True


def _continues(state: TrainingState | None, theta: ndarray):
    """Return whether training of these parameters can continue from a state."""
    return state is None or state.theta.shape == theta.shape


def _is_theta_of_one(theta, model):
    return is_theta(theta, model.network_) and theta.ndim == 1


def _are_classes(classes, model):
    return np.array_equal(classes, model.targets_.classes)


def _is_state(state, model):
    return fits(state, TrainingState | None) and _continues(state, model.theta_)


_LEARNED = {
    **COMMON,
    "network_": Network,
    "theta_": _is_theta_of_one,
    "targets_": Labels | Numbers,
    "classes_": _are_classes,
    **dict.fromkeys(
        ("n_outputs_", "n_layers_", "n_iter_", "t_", "_no_improvement_count"), is_count
    ),
    **dict.fromkeys(
        ("loss_curve_", "validation_loss_curve_", "validation_scores_", "score_curve_"),
        list[float] | None,
    ),
    **dict.fromkeys(("best_loss_", "best_validation_score_"), float | None),
    **dict.fromkeys(("best_restart_", "_seed"), optional(is_count)),
    "out_activation_": str,
    "loss_": float,
    "restart_losses_": ndarray | None,
    "_split": np.random.RandomState | None,
    "_ending": Ending | None,
    "_state": _is_state,
}
NOT_ALWAYS = {"feature_names_in_", "_sklearn_output_config"}
_NOT_ALWAYS_LEARNED = {
    *NOT_ALWAYS,
    "classes_",
    "restart_losses_",
    "best_restart_",
    "_ending",
    "_split",
}


def is_unfitted(model) -> bool:
    return vars(model).keys() <= {*model.get_params(deep=False), *COMMON}


def _estimator(model) -> Conditions:
    """Yield the conditions that a fitted estimator's network has the right inputs and outputs."""
    if is_unfitted(model):
        return
    if isinstance(model, MLPClassifier):
        yield isinstance(model.targets_, Labels)
        yield "classes_" in vars(model)
    else:
        yield isinstance(model.targets_, Numbers)
    yield _LEARNED.keys() - vars(model).keys() <= _NOT_ALWAYS_LEARNED
    yield model.network_.inputs == model.n_features_in_
    yield model.network_.outputs == model.n_outputs_ == model.targets_.outputs


def _are_indices(value, model):
    """Return whether a value is a list of row or column indices for each member."""
    return isinstance(value, list | tuple) and all(
        is_array(indices, "iu", None) for indices in value
    )


def _are_columns(value, model):
    if not _are_indices(value, model):
        return False
    return all(
        np.all((columns >= 0) & (columns < model.n_features_in_)) for columns in value
    )


_LEARNED_BY_ENSEMBLES = {
    **COMMON,
    "targets_": Labels | Numbers,
    "classes_": _are_classes,
    "n_outputs_": is_count,
    "estimators_": list[MLPClassifier | MLPRegressor],
    "estimators_samples_": _are_indices,
    "estimators_features_": _are_columns,
    **dict.fromkeys(("oob_decision_function_", "oob_prediction_"), ndarray),
    "oob_score_": float,
}


def _ensemble(model) -> Conditions:
    """Yield the conditions that a fitted ensemble's members match its columns and targets."""
    if is_unfitted(model):
        return
    members = model.estimators_
    columns_by_member = model.estimators_features_
    yield len(members) == len(columns_by_member) == len(model.estimators_samples_)
    for member, columns in zip(members, columns_by_member, strict=True):
        yield type(member) is model._member_class
        yield not is_unfitted(member)
        yield member.n_features_in_ == len(columns)
        yield member.n_outputs_ == model.n_outputs_
    targets = Labels if model._member_class is MLPClassifier else Numbers
    yield isinstance(model.targets_, targets)


def _trained_network(trained: TrainedNetwork) -> Conditions:
    yield is_theta(trained.theta, trained.network)
    yield _continues(trained.state, trained.theta)


def _labels(labels: Labels) -> Conditions:
    yield labels.classes.ndim == 1
    count = len(labels.classes)
    if labels.outputs == 1:  # two classes may share one output
        yield 1 <= count <= 2
    else:
        yield labels.outputs == count


def _numbers(numbers: Numbers) -> Conditions:
    for values in (np.asarray(numbers.shift), np.asarray(numbers.scale)):
        yield values.shape in ((), (numbers.outputs,))
        yield are_finite(values)


_HISTORY = stored_fields(History)
NOT_KEPT = ("_rows", "out_of_fold_")
"""The attributes that are recreated by the next prediction, or that describe only
the training rows.
"""

VECPROP_CLASSES = [
    *(stored_fields(cls) for cls, part in catalog.BY_CLASS.items() if part.savable),
    # as arrays, not lists of epochs
    _HISTORY._replace(state=lambda history: _HISTORY.state(history._joined())),
    StoredClass("Network", Network, _network_state, _network),
    *map(stored_fields, (EarlyStopping, AdamHat, SampleScaling, Cuts, Ending)),
    stored_fields(TrainingState, _training_state),
    stored_fields(TrainedNetwork, _trained_network),
    stored_fields(Labels, _labels),
    stored_fields(Numbers, _numbers),
    stored_estimator(MLPClassifier, _LEARNED, _estimator, NOT_KEPT),
    stored_estimator(MLPRegressor, _LEARNED, _estimator, NOT_KEPT),
    stored_estimator(MLPEnsembleClassifier, _LEARNED_BY_ENSEMBLES, _ensemble, NOT_KEPT),
    stored_estimator(MLPEnsembleRegressor, _LEARNED_BY_ENSEMBLES, _ensemble, NOT_KEPT),
]
