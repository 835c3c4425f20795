"""The classes that model files may contain: tabular models and their parts."""

from typing import Any

import numpy as np

from ...core import is_within
from ...estimators.data import Numbers
from ...tables.classifier import TabularClassifier
from ...tables.encoding.encoder import Encoder
from ...tables.encoding.folds import TargetMeans
from ...tables.encoding.tags import Tags
from ...tables.ensemble.calibration import Residuals
from ...tables.ensemble.ensemble import Ensemble, Networks
from ...tables.error import Note
from ...tables.explaining.column_notes import TrainedRows
from ...tables.explaining.drift import Profile
from ...tables.kinds.formats import DateReading, NumberReading
from ...tables.regressor import TabularRegressor
from ...tables.several_targets import Head, single_models
from .json_values import (
    COMMON,
    Conditions,
    State,
    StoredClass,
    fits,
    is_array,
    is_count,
    passes,
    stored_estimator,
    stored_fields,
)
from .vecprop_classes import NOT_ALWAYS, NOT_KEPT, are_finite, is_theta, is_unfitted


def _rise(values: np.ndarray):
    return bool(np.all(values[1:] > values[:-1]))


def _are_profiles(profiles, model):
    return fits(profiles, list[Profile]) and len(profiles) == len(model.encoder_.parts)


def _are_classes(classes, model):
    if isinstance(classes, list):  # of several targets
        return fits(classes, list[np.ndarray]) and all(map(np.size, classes))
    return fits(classes, np.ndarray) and classes.shape == (
        model.ensemble_.views[0].network.outputs,
    )


def _is_inverse_temperature(value, model):
    return is_within(value, 0, ends="()")


def _is_threshold(value, model):
    return is_within(value, 0, 1, "()") and len(model.classes_) == 2


def _is_class_index(value, model):
    return fits(value, int) and value in (0, 1)


def _are_outer_ensembles(ensembles, model):
    """Return whether a value has an ensemble for each further quantile, similar to the model's ensemble."""
    count = max(len(model._levels) - 1, 0)
    if not fits(ensembles, list[Ensemble]) or len(ensembles) != count:
        return False
    return all(_are_alike(ensemble, model.ensemble_) for ensemble in ensembles)


def _are_residuals(residuals, model):
    return fits(residuals, Residuals) and len(residuals.sizes) == model.ensemble_.folds


_IGNORED = (
    *NOT_KEPT,
    "feature_importances_",
    "models_",
    "stages",
    "time_limit",
    "stages_",
)
"""Attributes that are not stored, and attributes of earlier versions."""
_LEARNED = {
    **COMMON,
    "notes_": list[str],
    "encoder_": Encoder,
    "profiles_": _are_profiles,
    "trained_rows_": TrainedRows,
    "ensemble_": Ensemble,
    "_heads": list[Head],
    "_tags": Tags,
    **dict.fromkeys(("loss_curves_", "validation_loss_curves_"), list[list[float]]),
    "n_iter_": is_count,
    "validation_loss_": float,
}
_LEARNED_BY_CLASSIFIERS = {
    **_LEARNED,
    "classes_": _are_classes,
    "inverse_temperature_": _is_inverse_temperature,
    "threshold_": _is_threshold,
    "_positive": _is_class_index,
}
_LEARNED_BY_REGRESSORS = {
    **_LEARNED,
    "targets_": Numbers,
    "target_reading_": NumberReading,
    "range_": tuple[float, ...],
    "outer_": _are_outer_ensembles,
    "residuals_": _are_residuals,
}


def _state_of_note(note: Note) -> State:
    return {"text": str(note), "kind": note.kind, "column": note.column}


def _note(state: State) -> Note:
    if not fits(list(state.values()), list[str | None]):
        raise ValueError(f"Note has invalid values {state}")
    return Note(**state)


def _target_means(target: TargetMeans) -> Conditions:
    yield is_array(target.names, "U", None)
    yield len(target.names) > 0
    yield _rise(target.names)
    yield is_array(target.means, "biuf", len(target.names), None)
    yield bool(np.isfinite(target.means).all())


def _encoder(encoder: Encoder) -> Conditions:
    yield len(encoder.names) == len(encoder.parts) == len(set(encoder.names))


def _profile(profile: Profile) -> Conditions:
    yield 0 <= profile.missing <= profile.rows > 0
    yield 0 < profile.per_row <= 1
    yield is_array(profile.values, "Uf", None)
    yield is_array(profile.counts, "i", len(profile.values))
    if profile.values.dtype.kind == "f":
        yield bool(np.isfinite(profile.values).all())
    yield _rise(profile.values)


def _trained_rows(trained: TrainedRows) -> Conditions:
    yield is_array(trained.digests, "u", None)
    yield trained.digests.itemsize == 8
    yield bool(np.all(trained.digests[1:] >= trained.digests[:-1]))
    yield 0 < len(trained.digests) <= trained.rows


def _networks(view: Networks) -> Conditions:
    yield is_theta(view.thetas, view.network)
    yield view.thetas.ndim == 2
    yield len(view.thetas) > 0
    yield 0 <= view.share <= 1
    for value in (view.inverse_temperature, view.penalty):
        yield value is None or is_within(value, 0, ends="()")
    yield is_array(view.inputs, "i", view.network.inputs)
    yield bool(np.all(view.inputs >= 0))
    yield view.stage > 0


def _ensemble(ensemble: Ensemble) -> Conditions:
    """Yield the conditions that an ensemble has distinct views or stages, with the same folds and outputs."""
    views = ensemble.views
    yield len({(len(view.thetas), view.network.outputs) for view in views}) == 1
    yield len({(view.view, view.stage) for view in views}) == len(views)


def _residuals(residuals: Residuals) -> Conditions:
    yield is_array(residuals.sizes, "f", None, None)
    yield residuals.sizes.size > 0
    yield are_finite(residuals.sizes)
    yield residuals.groups > 0
    yield 0 < residuals.power <= 1


def _are_alike(ensemble: Ensemble, model_ensemble: Ensemble):
    """Return whether two ensembles are equal except for losses, shares and parameters."""
    structures = map(_structure, ensemble.views)
    return list(structures) == list(map(_structure, model_ensemble.views))


def _structure(view: Networks) -> tuple[Any, ...]:
    network = view.network
    shape = (view.thetas.shape, network.inputs, network.layers)
    return view.view, view.stage, view.inputs.tolist(), shape


def _table_model(model) -> Conditions:
    """Yield the conditions that a fitted model's networks match the inputs and outputs of its encoder."""
    if is_unfitted(model):
        return
    always = {*_LEARNED} - NOT_ALWAYS - {"_heads", "_tags"}
    if model._has_heads:
        yield always <= vars(model).keys()
        yield model.ensemble_.views[0].network.outputs == len(model._heads) > 0
        yield from _models_of_heads(model)
        return
    outputs = 1
    if isinstance(model, TabularClassifier):
        always |= {"classes_", "inverse_temperature_"}
        yield always <= vars(model).keys()
        outputs = len(model.classes_)
    else:
        always |= {"targets_", "range_", "residuals_"}
        if len(model._levels) > 1:
            always.add("outer_")
        yield always <= vars(model).keys()
        yield len(model.range_) == 2
    for view in model.ensemble_.views:
        yield bool(np.all(view.inputs < model.encoder_.width))
    yield model.ensemble_.views[0].network.outputs == outputs


def _models_of_heads(model) -> Conditions:
    """Yield the conditions that the models of several targets have valid attributes."""
    checks = _LEARNED_BY_REGRESSORS
    if isinstance(model, TabularClassifier):
        checks = _LEARNED_BY_CLASSIFIERS
    for head in model._heads:
        yield head.learned.keys() <= checks.keys()
    for single, head in zip(single_models(model), model._heads, strict=True):
        for name, value in head.learned.items():
            yield passes(value, checks[name], single)
        yield from _table_model(single)


TABLE_CLASSES = [
    StoredClass("Note", Note, _state_of_note, _note),
    *map(stored_fields, (NumberReading, DateReading)),
    stored_fields(TargetMeans, _target_means),
    stored_fields(Encoder, _encoder),
    stored_fields(Profile, _profile),
    stored_fields(TrainedRows, _trained_rows),
    stored_fields(Networks, _networks),
    stored_fields(Ensemble, _ensemble),
    stored_fields(Residuals, _residuals),
    stored_fields(Head),
    stored_estimator(
        TabularClassifier, _LEARNED_BY_CLASSIFIERS, _table_model, _IGNORED
    ),
    stored_estimator(TabularRegressor, _LEARNED_BY_REGRESSORS, _table_model, _IGNORED),
]
