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
from ...train.state import NO_WAY, History, TrainingState
from ..networks import TrainedNetwork
from .values import COMMON, StoredClass, fits, is_a, is_array, is_count, optional, stored_estimator, stored_fields


def _parts(network: Network) -> dict[str, Any]:
    layers, penalties = list(network.layers), list(network.penalties)
    return {"inputs": network.inputs, "layers": layers, "loss": network.loss_function, "penalties": penalties}


def _network(state: dict[str, Any]) -> Network:
    layers, loss, penalties = (state[name] for name in ("layers", "loss", "penalties"))
    if not (fits(layers, list[Layer]) and isinstance(loss, Loss) and fits(penalties, list[Penalty])):
        raise ValueError("a network has parts other than layers, a loss and penalties")
    return Network(state["inputs"], layers, loss, penalties)


def _state_is_consistent(state: TrainingState) -> bool:
    """Return whether the states of the optimizer and the schedule match the parameters."""
    theta = state.theta
    if not (isinstance(theta, np.ndarray) and theta.ndim and theta.dtype.kind == "f"):
        return False
    moments = [value for value in state.optimizer.values() if not fits(value, int)]
    arrays = (*moments, state.early_stopping.get("theta", theta))
    way = state.under_way  # the counts and means of an unfinished epoch
    return (
        all(isinstance(own, np.ndarray) and (own.shape, own.dtype) == (theta.shape, theta.dtype) for own in arrays)
        and all(fits(value, float) or np.shape(value) == theta.shape[:-1] for value in state.schedule.values())
        and way.keys() in (set(), NO_WAY.keys())
        and all(fits(value, type(NO_WAY[name])) for name, value in way.items())
    )


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
    kind = Labels if isinstance(model, MLPClassifier) else Numbers
    return is_unfitted(model) or (
        _LEARNED.keys() - vars(model).keys() <= _NOT_ALWAYS_LEARNED
        and isinstance(model.targets_, kind)
        and (kind is Numbers or "classes_" in vars(model))
        and model.network_.inputs == model.n_features_in_
        and model.network_.outputs == model.n_outputs_ == model.targets_.outputs
    )


def _are_places(value: Any, model: Any) -> bool:
    """Return whether a value is a list of row or column indices for each member."""
    return isinstance(value, list | tuple) and all(is_array(places, "iu", None) for places in value)


_LEARNED_BY_ENSEMBLES = {
    **COMMON,
    **{name: _LEARNED[name] for name in ("targets_", "classes_", "n_outputs_")},
    "estimators_": is_a(list[MLPClassifier | MLPRegressor]),
    "estimators_samples_": _are_places,
    "estimators_features_": lambda value, model: (
        _are_places(value, model) and all(np.all((p >= 0) & (p < model.n_features_in_)) for p in value)
    ),
    **dict.fromkeys(("oob_decision_function_", "oob_prediction_"), is_a(np.ndarray)),
    "oob_score_": _is_number,
}


def _ensemble_is_consistent(model: Any) -> bool:
    """Return whether a fitted ensemble's members match its columns and targets."""
    if is_unfitted(model):
        return True
    kind, widths = Labels if model._member_class is MLPClassifier else Numbers, map(len, model.estimators_features_)
    return (
        isinstance(model.targets_, kind)
        and all(type(member) is model._member_class and not is_unfitted(member) for member in model.estimators_)
        and [member.n_features_in_ for member in model.estimators_] == list(widths)
        and {member.n_outputs_ for member in model.estimators_} <= {model.n_outputs_}
        and len(model.estimators_samples_) == len(model.estimators_)
    )


_HISTORY = stored_fields(History)
_AS_THEY_ARE = (EarlyStopping, AdamHat, SampleScaling, Cuts, Ending)
_IF_CONSISTENT = {
    TrainingState: _state_is_consistent,
    TrainedNetwork: lambda own: is_theta(own.theta, own.network) and _continues(own.state, own.theta),
    # Two classes may share one output.
    Labels: lambda own: (
        own.classes.ndim == 1 and (own.outputs == len(own.classes) or (own.outputs == 1 and 1 <= len(own.classes) <= 2))
    ),
    Numbers: lambda own: all(
        values.shape in ((), (own.outputs,)) and are_finite(values)
        for values in map(np.asarray, (own.shift, own.scale))
    ),
}
_ENSEMBLES = (MLPEnsembleClassifier, MLPEnsembleRegressor)
NOT_KEPT = ("_rows", "out_of_fold_")
"""The attributes that are recreated by the next prediction, or that describe only the training rows."""

VECPROP_CLASSES = [
    *(stored_fields(part.cls) for part in catalog.PARTS if part.savable),
    replace(_HISTORY, state=lambda history: _HISTORY.state(history._joined())),  # as arrays, not lists of epochs
    StoredClass("Network", Network, _parts, _network),
    *map(stored_fields, _AS_THEY_ARE),
    *(stored_fields(cls, check) for cls, check in _IF_CONSISTENT.items()),
    *(stored_estimator(cls, _LEARNED, _estimator_is_consistent, NOT_KEPT) for cls in (MLPClassifier, MLPRegressor)),
    *(stored_estimator(cls, _LEARNED_BY_ENSEMBLES, _ensemble_is_consistent, NOT_KEPT) for cls in _ENSEMBLES),
]
