"""The kinds of the estimators of tables: what they have learned of columns, and their networks."""

from typing import Any

import numpy as np

from ..core.network import Network
from ..estimators.data import Numbers as Targets
from ..tables.classifier import TabularClassifier
from ..tables.columns import Categories, Dates, NumberInputs, Texts
from ..tables.encoder import Encoder
from ..tables.ensemble import Ensemble
from ..tables.intervals import Residuals
from ..tables.regressor import TabularRegressor
from .fitted import COMMON, Checks, estimator, is_a, is_count
from .kinds import described, fits
from .network_kinds import is_theta

_LEARNED: Checks = {
    **COMMON,
    "notes_": is_a(list[str]),
    "encoder_": is_a(Encoder),
    "ensemble_": is_a(Ensemble),
    "loss_curves_": is_a(list[list[float]]),
    "validation_loss_curves_": is_a(list[list[float]]),
    "n_iter_": is_count,
    "validation_loss_": is_a(float),
}
_OF_CLASSES: Checks = {
    **_LEARNED,
    "classes_": lambda classes, model: (
        fits(classes, np.ndarray) and classes.shape == (model.ensemble_.network.outputs,)
    ),
    "inverse_temperature_": lambda value, model: is_a(float)(value, model) and 0 < value < np.inf,
}
_OF_NUMBERS: Checks = {
    **_LEARNED,
    "_targets": is_a(Targets),
    "range_": is_a(tuple[float, ...]),
    "outer_": lambda value, model: (
        is_a(list[Ensemble])(value, model)
        and len(value) == max(len(model.levels) - 1, 0)
        and all(_are_alike(ensemble, model.ensemble_) for ensemble in value)
    ),
    "residuals_": lambda value, model: is_a(Residuals)(value, model) and len(value.sizes) == len(model.ensemble_),
}
_NOT_ALWAYS = {"feature_names_in_", "_sklearn_output_config"}


def _numbers_are_right(numbers: NumberInputs) -> bool:
    values = np.append(numbers.edges, [numbers.centre, numbers.scale])
    return (
        numbers.edges.ndim == 1
        and bool(np.isfinite(values).all() and (np.diff(numbers.edges) > 0).all())
        and numbers.scale > 0
    )


def _categories_are_right(categories: Categories) -> bool:
    names = categories.names
    return (
        names.ndim == 1 and names.dtype.kind == "U" and bool(np.all(names[1:] > names[:-1])) and categories.buckets > 0
    )


def _encoder_is_whole(encoder: Encoder) -> bool:
    return len(encoder.names) == len(encoder.parts) == len(set(encoder.names))


def _ensemble_is_whole(ensemble: Ensemble) -> bool:
    return is_theta(ensemble.thetas, ensemble.network) and ensemble.thetas.ndim == 2 and len(ensemble.thetas) > 0


def _are_alike(one: Ensemble, other: Ensemble) -> bool:
    """Return whether two ensembles have the same members but for their loss and parameters."""
    (a, A), (b, B) = ((each.network, each.thetas.shape) for each in (one, other))
    return A == B and a.inputs == b.inputs and a.layers == b.layers


def _residuals_are_right(residuals: Residuals) -> bool:
    return residuals.sizes.ndim == 2 and residuals.sizes.dtype.kind == "f" and residuals.sizes.size > 0


def _is_consistent(model: Any) -> bool:
    """Return whether a fitted model's networks are made for what its encoder gives."""
    fitted = vars(model)
    if "ensemble_" not in fitted:
        return fitted.keys() <= {*model.get_params(deep=False), *COMMON}
    is_classifier = type(model) is TabularClassifier
    declared = _OF_CLASSES if is_classifier else _OF_NUMBERS
    network: Network = model.ensemble_.network
    return (
        declared.keys() - fitted.keys() <= _NOT_ALWAYS
        and network.inputs == model.encoder_.width
        and (network.outputs == (len(fitted["classes_"]) if is_classifier else 1))
        and (is_classifier or len(fitted["range_"]) == 2)
    )


KINDS = [
    described(NumberInputs, _numbers_are_right),
    described(Categories, _categories_are_right),
    described(Dates),
    described(Texts, lambda texts: texts.hashes > 0),
    described(Encoder, _encoder_is_whole),
    described(Ensemble, _ensemble_is_whole),
    described(Residuals, _residuals_are_right),
    estimator(TabularClassifier, _OF_CLASSES, _is_consistent, renamed={"sharpness_": "inverse_temperature_"}),
    estimator(TabularRegressor, _OF_NUMBERS, _is_consistent),
]
