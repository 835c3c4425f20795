"""The kinds of vecprop's estimators: their settings, what they have learned, and where training stands."""

from typing import Any

import numpy as np

from ..core.network import Network
from ..estimators.classifier import MLPClassifier
from ..estimators.data import Labels, Numbers
from ..estimators.diagnosis import Ending
from ..estimators.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from ..estimators.regressor import MLPRegressor
from ..train.state import TrainingState
from .fitted import COMMON, Checks, estimator, is_a, is_count, optional
from .kinds import described, fits
from .network_kinds import continues, is_theta

_is_number = is_a(float)
_is_curve = optional(is_a(list[float]))

_LEARNED: Checks = {
    **COMMON,
    "network_": is_a(Network),
    "theta_": lambda theta, model: is_theta(theta, model.network_) and theta.ndim == 1,
    "_targets": is_a(Labels | Numbers),
    "classes_": lambda classes, model: np.array_equal(classes, model._targets.classes),
    "n_outputs_": is_count,
    "n_layers_": is_count,
    "out_activation_": is_a(str),
    "n_iter_": is_count,
    "t_": is_count,
    "loss_": _is_number,
    "loss_curve_": _is_curve,
    "validation_loss_curve_": _is_curve,
    "validation_scores_": _is_curve,
    "score_curve_": _is_curve,
    "best_loss_": optional(_is_number),
    "best_validation_score_": optional(_is_number),
    "restart_losses_": is_a(np.ndarray | None),
    "best_restart_": optional(is_count),
    "_no_improvement_count": is_count,
    "_seed": optional(is_count),
    "_ending": is_a(Ending | None),
    "_state": lambda state, model: fits(state, TrainingState | None) and continues(state, model.theta_),
}
_NOT_ALWAYS = {"feature_names_in_", "_sklearn_output_config", "classes_", "restart_losses_", "best_restart_", "_ending"}
_MADE_ANEW = ("_rows",)
"""What an estimator makes by itself when it next predicts."""


def _is_consistent(model: Any) -> bool:
    """Return whether a fitted model's network is one for its inputs and targets."""
    if "network_" not in vars(model):
        return vars(model).keys() <= {*model.get_params(deep=False), *COMMON}
    kind = Labels if isinstance(model, MLPClassifier) else Numbers
    return (
        _LEARNED.keys() - vars(model).keys() <= _NOT_ALWAYS
        and isinstance(model._targets, kind)
        and (kind is Numbers or "classes_" in vars(model))
        and model.network_.inputs == model.n_features_in_
        and model.network_.outputs == model.n_outputs_ == model._targets.outputs
    )


def _are_places(value: Any, model: Any) -> bool:
    """Return whether a value is a list of numbers of rows or columns for each member."""
    return fits(value, list[np.ndarray]) and all(places.ndim == 1 and places.dtype.kind in "iu" for places in value)


def _are_columns(value: Any, model: Any) -> bool:
    """Return whether a value is a list of numbers of columns that there are, for each member."""
    return _are_places(value, model) and all(np.all((p >= 0) & (p < model.n_features_in_)) for p in value)


_OF_MEMBERS: Checks = {
    **COMMON,
    **{name: _LEARNED[name] for name in ("_targets", "classes_", "n_outputs_")},
    "estimators_": is_a(list[MLPClassifier | MLPRegressor]),
    "estimators_samples_": _are_places,
    "estimators_features_": _are_columns,
    "oob_decision_function_": is_a(np.ndarray),
    "oob_prediction_": is_a(np.ndarray),
    "oob_score_": _is_number,
}


def _is_an_ensemble(model: Any) -> bool:
    """Return whether a fitted ensemble's members are fitted, on its columns and for its targets."""
    if "estimators_" not in vars(model):
        return vars(model).keys() <= {*model.get_params(deep=False), *COMMON}
    each = list(zip(model.estimators_, model.estimators_features_, model.estimators_samples_, strict=True))
    kind = Labels if model._kind is MLPClassifier else Numbers
    return isinstance(model._targets, kind) and all(
        type(member) is model._kind
        and "network_" in vars(member)
        and (member.n_features_in_, member.n_outputs_) == (len(columns), model.n_outputs_)
        for member, columns, _ in each
    )


def _labels_are_whole(labels: Labels) -> bool:
    """Return whether there is an output for each class, or one for two."""
    count = len(labels.classes)
    return labels.classes.ndim == 1 and (labels.outputs == count or (labels.outputs == 1 and 1 <= count <= 2))


def _numbers_are_whole(numbers: Numbers) -> bool:
    """Return whether shift and scale are one number for each output, or one for all."""
    return all(np.shape(values) in ((), (numbers.outputs,)) for values in (numbers.shift, numbers.scale))


KINDS = [
    described(Ending),
    described(Labels, _labels_are_whole),
    described(Numbers, _numbers_are_whole),
    *(estimator(cls, _LEARNED, _is_consistent, _MADE_ANEW) for cls in (MLPClassifier, MLPRegressor)),
    *(estimator(cls, _OF_MEMBERS, _is_an_ensemble) for cls in (MLPEnsembleClassifier, MLPEnsembleRegressor)),
]
