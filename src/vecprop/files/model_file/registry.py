"""The fixed list of classes that model files may contain; other objects are neither written nor read.

The classes of scikit-learn, and `TableEncoder`, are preprocessing steps in a pipeline
with a vecprop estimator.
"""

import os
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn import preprocessing
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline

from ...estimators.sklearn_compat import places_of_transformers, require_valid_settings
from ...tables.classifier import TabularClassifier
from ...tables.encoding.encoder import Encoder
from ...tables.regressor import TabularRegressor
from ...tables.table_encoder import TableEncoder
from ..networks import CLASSIFIERS, REGRESSORS, TrainedNetwork
from .json_values import (
    NUMBERS,
    Checks,
    Conditions,
    State,
    StoredClass,
    array,
    fits,
    is_count,
    optional,
    per_column,
    stored_estimator,
)
from .table_classes import TABLE_CLASSES
from .vecprop_classes import VECPROP_CLASSES

MOST_PROCESSES = 16
"""The maximum number of processes that a loaded step may start, on any machine."""

_FITTED = {
    "_columns",
    "_remainder",
    "output_indices_",
    "_transformer_to_input_indices",
}
"""Attributes of a fitted ColumnTransformer."""

_numeric = array(NUMBERS, "n_features_in_")


def _is_row_count(value, model):
    return fits(value, float) or _numeric(value, model)


def _is_list_per_column(value, model):
    """Return whether a value is a list with an array or None for each input column."""
    if not fits(value, list[ndarray | None]) or len(value) != model.n_features_in_:
        return False
    return all(entry is None or entry.ndim == 1 for entry in value)


def _are_column_indices(value, model):
    if not fits(value, ndarray) or value.dtype.kind not in "iu":
        return False
    return bool(np.all(value < model.n_features_in_))


def _is_transformer(step):
    if isinstance(step, str):
        return step in ("drop", "passthrough")
    return hasattr(step, "transform")


def _is_named_transformer(value, model):
    return fits(value, tuple) and len(value) == 3 and _is_transformer(value[1])


def _are_transformers(value, model):
    return fits(value, list) and all(
        _is_named_transformer(part, model) for part in value
    )


def _column_transformer(transformer: ColumnTransformer) -> Conditions:
    """Yield the conditions that the parts of a ColumnTransformer are consistent and its columns exist."""
    n_jobs = transformer.n_jobs
    most = max(os.cpu_count() or 1, MOST_PROCESSES)
    if n_jobs is not None and n_jobs > most:
        raise ValueError(
            f"a step has n_jobs={n_jobs}, more than the maximum of {most} processes"
        )
    yield _are_transformers(transformer.transformers, transformer)
    attributes = vars(transformer)
    if "transformers_" in attributes:
        yield attributes.keys() >= _FITTED
        yield from _fitted_column_transformer(transformer)


def _fitted_column_transformer(transformer: ColumnTransformer) -> Conditions:
    """Yield the conditions that the fitted transformers have the names of the settings and read existing columns."""
    names = [name for name, _, _ in transformer.transformers]
    fitted_names = [name for name, _, _ in transformer.transformers_]
    yield fitted_names in (names, [*names, "remainder"])
    yield len(transformer._columns) == len(names)
    column_names = set(getattr(transformer, "feature_names_in_", ()))
    for _, _, columns in transformer.transformers_:
        if isinstance(columns, str):
            columns = [columns]
        if fits(columns, list[str]):
            yield set(columns) <= column_names
    indices = places_of_transformers(transformer)
    yield set(fitted_names) <= indices.keys() & transformer.output_indices_.keys()
    column_numbers = range(vars(transformer)["n_features_in_"])
    for columns in indices.values():
        yield fits(columns, list[int])
        yield all(column in column_numbers for column in columns)


def _function_transformer(transformer: preprocessing.FunctionTransformer) -> Conditions:
    yield transformer.func is transformer.inverse_func is None


_PIPELINE = ("steps", "transform_input", "verbose")
"""The stored settings; the setting `memory` is a folder of pickles, which loading a
file must not open.
"""


def _pipeline_state(pipeline: Pipeline) -> State:
    return {name: getattr(pipeline, name) for name in _PIPELINE}


def _pipeline(state: State) -> Pipeline:
    pipeline = Pipeline(**{name: state[name] for name in _PIPELINE})
    require_valid_settings(pipeline)
    for _, step in pipeline.steps[:-1]:
        if step is not None and not _is_transformer(step):
            raise ValueError("a step of the pipeline is not a transformer")
    return pipeline


_SEEN = {"n_samples_seen_": _is_row_count}
_PER_COLUMN = ("categories_", "_infrequent_indices", "_default_to_infrequent_mappings")
_ENCODER = {
    "_infrequent_enabled": bool,
    **dict.fromkeys(_PER_COLUMN, _is_list_per_column),
}
_CHECKS: dict[type, Checks] = {
    preprocessing.StandardScaler: (
        _SEEN | dict.fromkeys(("mean_", "var_", "scale_"), optional(_numeric))
    ),
    preprocessing.MinMaxScaler: (
        _SEEN
        | dict.fromkeys(
            ("scale_", "min_", "data_min_", "data_max_", "data_range_"), _numeric
        )
    ),
    preprocessing.MaxAbsScaler: _SEEN | dict.fromkeys(("max_abs_", "scale_"), _numeric),
    preprocessing.RobustScaler: dict.fromkeys(
        ("center_", "scale_"), optional(_numeric)
    ),
    preprocessing.QuantileTransformer: {
        "n_quantiles_": is_count,
        "references_": array(NUMBERS, "n_quantiles_"),
        "quantiles_": array(NUMBERS, "n_quantiles_", "n_features_in_"),
    },
    preprocessing.PowerTransformer: {
        "lambdas_": _numeric,
        "_scaler": preprocessing.StandardScaler,
    },
    SimpleImputer: {
        **dict.fromkeys(("_fit_dtype", "_fill_dtype"), np.dtype),
        "indicator_": MissingIndicator | None,
        "statistics_": per_column,
    },
    MissingIndicator: {
        "_precomputed": bool,
        "_n_features": is_count,
        "features_": _are_column_indices,
    },
    preprocessing.OneHotEncoder: {
        **_ENCODER,
        **dict.fromkeys(
            ("drop_idx_", "_drop_idx_after_grouping"), optional(per_column)
        ),
        "_n_features_outs": list[int],
    },
    preprocessing.OrdinalEncoder: {**_ENCODER, "_missing_indices": dict[int, int]},
    preprocessing.FunctionTransformer: {},
    ColumnTransformer: {
        "_columns": list,
        "_transformer_to_input_indices": dict,
        "_remainder": _is_named_transformer,
        "_n_features": is_count,
        "sparse_output_": bool,
        "transformers_": _are_transformers,
        "output_indices_": dict[str, slice],
        "_transformers_feature_names_out": ndarray,
    },
}
_CONDITIONS: dict[type, Any] = {
    preprocessing.FunctionTransformer: _function_transformer,
    ColumnTransformer: _column_transformer,
}


def _random_state(state: State) -> np.random.RandomState:
    random = np.random.RandomState()
    random.set_state(state["state"])
    return random


CLASSES = [
    *VECPROP_CLASSES,
    *TABLE_CLASSES,
    stored_estimator(TableEncoder, {"notes_": list[str], "encoder_": Encoder}),
    *(stored_estimator(cls, _CHECKS[cls], _CONDITIONS.get(cls)) for cls in _CHECKS),
    StoredClass("Pipeline", Pipeline, _pipeline_state, _pipeline),
    StoredClass(
        "ColumnSelector",
        make_column_selector,
        vars,
        lambda state: make_column_selector(**state),
    ),
    StoredClass(
        "RandomState",
        np.random.RandomState,
        lambda random: {"state": random.get_state()},
        _random_state,
    ),
]

MODELS = (
    TrainedNetwork,
    *CLASSIFIERS,
    *REGRESSORS,
    TabularClassifier,
    TabularRegressor,
)
"""The classes of models, alone or as the last step of a pipeline."""


BY_NAME = {stored.name: stored for stored in CLASSES}
BY_CLASS = {stored.cls: stored for stored in CLASSES}
