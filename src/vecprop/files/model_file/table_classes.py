"""The classes that model files may contain: tabular models and their parts."""

from typing import Any

import numpy as np

from ...estimators.data import Numbers
from ...tables.classifier import TabularClassifier
from ...tables.encoding.encoder import COLUMNS, Encoder
from ...tables.encoding.folds import TargetMeans
from ...tables.ensemble.calibration import Residuals
from ...tables.ensemble.ensemble import Ensemble, Networks
from ...tables.error import Note
from ...tables.explaining.column_notes import TrainedRows
from ...tables.explaining.drift import Profile
from ...tables.kinds.formats import DateReading, NumberReading
from ...tables.regressor import TabularRegressor
from .json_values import COMMON, StoredClass, fits, is_a, is_array, is_count, stored_estimator, stored_fields
from .vecprop_classes import NOT_ALWAYS, NOT_KEPT, are_finite, is_theta, is_unfitted


def _rise(values: np.ndarray) -> bool:
    return bool(np.all(values[1:] > values[:-1]))


_IGNORED = (*NOT_KEPT, "stages", "time_limit", "stages_")
"""Attributes that are not stored, and attributes of earlier versions."""
_LEARNED_OF_TABLES = {
    **COMMON,
    "notes_": is_a(list[str]),
    "encoder_": is_a(Encoder),
    "profiles_": lambda value, model: is_a(list[Profile])(value, model) and len(value) == len(model.encoder_.parts),
    "trained_rows_": is_a(TrainedRows),
    "ensemble_": is_a(Ensemble),
    **dict.fromkeys(("loss_curves_", "validation_loss_curves_"), is_a(list[list[float]])),
    "n_iter_": is_count,
    "validation_loss_": is_a(float),
}
_LEARNED_BY_CLASSIFIERS = {
    **_LEARNED_OF_TABLES,
    "classes_": lambda classes, model: (
        fits(classes, np.ndarray) and classes.shape == (model.ensemble_.views[0].network.outputs,)
    ),
    "inverse_temperature_": lambda value, model: is_a(float)(value, model) and 0 < value < np.inf,
    "threshold_": lambda value, model: is_a(float)(value, model) and 0 < value < 1 and len(model.classes_) == 2,
    "_positive": lambda value, model: is_a(int)(value, model) and value in (0, 1),
}
_LEARNED_BY_REGRESSORS = {
    **_LEARNED_OF_TABLES,
    "targets_": is_a(Numbers),
    "target_reading_": is_a(NumberReading),
    "range_": is_a(tuple[float, ...]),
    "outer_": lambda value, model: (
        is_a(list[Ensemble])(value, model)
        and len(value) == max(len(model._levels) - 1, 0)
        and all(_are_alike(ensemble, model.ensemble_) for ensemble in value)
    ),
    "residuals_": lambda value, model: is_a(Residuals)(value, model) and len(value.sizes) == model.ensemble_.folds,
}


def _state_of_note(note: Note) -> dict[str, Any]:
    return {"text": str(note), "kind": note.kind, "column": note.column}


def _note(state: dict[str, Any]) -> Note:
    if not fits(list(state.values()), list[str | None]):
        raise ValueError(f"Note has invalid values {state}")
    return Note(**state)


def _target_means_are_consistent(own: TargetMeans) -> bool:
    is_named = is_array(own.names, "U", None) and len(own.names) > 0 and _rise(own.names)
    return is_named and is_array(own.means, "biuf", len(own.names), None) and bool(np.isfinite(own.means).all())


def _profile_is_consistent(own: Profile) -> bool:
    return (
        0 <= own.missing <= own.rows > 0
        and 0 < own.per_row <= 1
        and is_array(own.values, "Uf", None)
        and is_array(own.counts, "i", len(own.values))
        and (own.values.dtype.kind == "U" or bool(np.isfinite(own.values).all()))
        and _rise(own.values)
    )


def _networks_are_consistent(own: Networks) -> bool:
    return (
        is_theta(own.thetas, own.network)
        and own.thetas.ndim == 2
        and len(own.thetas) > 0
        and 0 <= own.share <= 1
        and (own.inverse_temperature is None or 0 < own.inverse_temperature < np.inf)
        and is_array(own.inputs, "i", own.network.inputs)
        and bool(np.all(own.inputs >= 0))
        and own.stage > 0
    )


def _views_are_consistent(ensemble: Ensemble) -> bool:
    """Return whether an ensemble has distinct views or stages, with the same folds and outputs."""
    shapes = {(len(view.thetas), view.network.outputs) for view in ensemble.views}
    return len(shapes) == 1 and len({(view.view, view.stage) for view in ensemble.views}) == len(ensemble.views)


def _are_alike(one: Ensemble, other: Ensemble) -> bool:
    """Return whether two ensembles are equal except for losses, shares and parameters."""
    return len(one.views) == len(other.views) and all(
        a.thetas.shape == b.thetas.shape
        and (a.view, a.stage) == (b.view, b.stage)
        and np.array_equal(a.inputs, b.inputs)
        and a.network.inputs == b.network.inputs
        and a.network.layers == b.network.layers
        for a, b in zip(one.views, other.views, strict=True)
    )


def _table_model_is_consistent(model: Any) -> bool:
    """Return whether a fitted model's networks match the inputs and outputs of its encoder."""
    fitted, is_classifier = vars(model), type(model) is TabularClassifier
    declared = _LEARNED_BY_CLASSIFIERS if is_classifier else _LEARNED_BY_REGRESSORS
    not_always = {*NOT_ALWAYS, "target_reading_", "threshold_", "_positive"}
    not_always |= {"outer_"} if is_classifier or len(model._levels) < 2 else set()
    return is_unfitted(model) or (
        declared.keys() - fitted.keys() <= not_always
        and all(np.all(view.inputs < model.encoder_.width) for view in model.ensemble_.views)
        and model.ensemble_.views[0].network.outputs == (len(model.classes_) if is_classifier else 1)
        and (is_classifier or len(model.range_) == 2)
    )


_IF_CONSISTENT = {
    **{cls: cls.is_consistent for cls in COLUMNS.values()},
    TargetMeans: _target_means_are_consistent,
    Encoder: lambda own: len(own.names) == len(own.parts) == len(set(own.names)),
    Profile: _profile_is_consistent,
    TrainedRows: lambda own: (
        is_array(own.digests, "u", None)
        and own.digests.itemsize == 8
        and bool(np.all(own.digests[1:] >= own.digests[:-1]))
        and 0 < len(own.digests) <= own.rows
    ),
    Networks: _networks_are_consistent,
    Ensemble: _views_are_consistent,
    Residuals: lambda own: (
        is_array(own.sizes, "f", None, None) and own.sizes.size > 0 and are_finite(own.sizes) and own.groups > 0
    ),
}
TABLE_CLASSES = [
    StoredClass("Note", Note, _state_of_note, _note),
    *map(stored_fields, (NumberReading, DateReading)),
    *(stored_fields(cls, check) for cls, check in _IF_CONSISTENT.items()),
    stored_estimator(TabularClassifier, _LEARNED_BY_CLASSIFIERS, _table_model_is_consistent, _IGNORED),
    stored_estimator(TabularRegressor, _LEARNED_BY_REGRESSORS, _table_model_is_consistent, _IGNORED),
]
