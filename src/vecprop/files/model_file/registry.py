"""The fixed list of classes that model files may contain; other objects are neither written nor read.

The classes of scikit-learn are preprocessing steps in a pipeline with a vecprop estimator.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import preprocessing
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline

from ...estimators.sklearn_compat import places_of_transformers, require_valid_settings
from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from ..networks import CLASSIFIERS, REGRESSORS, TrainedNetwork
from .json_values import (
    StoredClass,
    fits,
    has_shape,
    is_a,
    is_count,
    is_numeric,
    is_per_column,
    optional,
    stored_estimator,
)
from .table_classes import TABLE_CLASSES
from .vecprop_classes import VECPROP_CLASSES

MOST_PROCESSES = 16
"""The maximum number of processes that a loaded step may start, on any machine."""


def _is_row_count(value: Any, model: Any) -> bool:
    return fits(value, float) or is_numeric(value, model)


def _is_list_per_column(value: Any, model: Any) -> bool:
    """Return whether a value is a list with an array or None for each input column."""
    if not fits(value, list[np.ndarray | None]) or len(value) != model.n_features_in_:
        return False
    return all(entry is None or entry.ndim == 1 for entry in value)


_PER_COLUMN = ("categories_", "_infrequent_indices", "_default_to_infrequent_mappings")
_ENCODER = {"_infrequent_enabled": is_a(bool), **dict.fromkeys(_PER_COLUMN, _is_list_per_column)}


def _is_transformer(step: Any) -> bool:
    return step in ("drop", "passthrough") if isinstance(step, str) else hasattr(step, "transform")


def _are_transformers(value: Any, model: Any) -> bool:
    return fits(value, list[tuple]) and all(len(part) == 3 and _is_transformer(part[1]) for part in value)


def _column_transformer_is_consistent(transformer: ColumnTransformer) -> bool:
    """Return whether the parts of a ColumnTransformer are consistent and its columns exist."""
    n_jobs = transformer.n_jobs
    most = max(os.cpu_count() or 1, MOST_PROCESSES)
    if n_jobs is not None and n_jobs > most:
        raise ValueError(f"a step has n_jobs={n_jobs}, more than the maximum of {most} processes")
    if not _are_transformers(transformer.transformers, transformer):
        return False
    fitted = vars(transformer)
    if "transformers_" not in fitted:
        return True
    if not {"_columns", "_remainder", "output_indices_", "_transformer_to_input_indices"} <= fitted.keys():
        return False
    names = [name for name, _, _ in transformer.transformers]
    fitted_names = [name for name, _, _ in transformer.transformers_]
    if fitted_names not in (names, [*names, "remainder"]) or len(fitted["_columns"]) != len(names):
        return False
    for _, _, columns in transformer.transformers_:
        column_names = [columns] if isinstance(columns, str) else columns
        if fits(column_names, list[str]) and not set(column_names) <= set(fitted.get("feature_names_in_", ())):
            return False
    indices = places_of_transformers(transformer)
    if not set(fitted_names) <= indices.keys() & transformer.output_indices_.keys():
        return False
    column_numbers = range(fitted["n_features_in_"])
    return all(
        fits(columns, list[int]) and all(map(column_numbers.__contains__, columns)) for columns in indices.values()
    )


def _pipeline_state(pipeline: Pipeline) -> dict[str, Any]:
    return {"steps": pipeline.steps, "transform_input": pipeline.transform_input, "verbose": pipeline.verbose}


def _pipeline(state: dict[str, Any]) -> Pipeline:
    pipeline = Pipeline(state["steps"], transform_input=state["transform_input"], verbose=state["verbose"])
    require_valid_settings(pipeline)
    for _, step in pipeline.steps[:-1]:
        if step is not None and not _is_transformer(step):
            raise ValueError("a step of the pipeline is not a transformer")
    return pipeline


_SEEN: dict[str, Any] = {"n_samples_seen_": _is_row_count}
_FITTED: dict[type, dict[str, Any]] = {
    preprocessing.StandardScaler: _SEEN | dict.fromkeys(("mean_", "var_", "scale_"), optional(is_numeric)),
    preprocessing.MinMaxScaler: _SEEN
    | dict.fromkeys(("scale_", "min_", "data_min_", "data_max_", "data_range_"), is_numeric),
    preprocessing.MaxAbsScaler: _SEEN | dict.fromkeys(("max_abs_", "scale_"), is_numeric),
    preprocessing.RobustScaler: dict.fromkeys(("center_", "scale_"), optional(is_numeric)),
    preprocessing.QuantileTransformer: {
        "n_quantiles_": is_count,
        "references_": has_shape("n_quantiles_"),
        "quantiles_": has_shape("n_quantiles_", "n_features_in_"),
    },
    preprocessing.PowerTransformer: {"lambdas_": is_numeric, "_scaler": is_a(preprocessing.StandardScaler)},
    SimpleImputer: {
        **dict.fromkeys(("_fit_dtype", "_fill_dtype"), is_a(np.dtype)),
        "indicator_": is_a(MissingIndicator | None),
        "statistics_": is_per_column,
    },
    MissingIndicator: {
        "_precomputed": is_a(bool),
        "_n_features": is_count,
        "features_": lambda value, model: (
            fits(value, np.ndarray) and value.dtype.kind in "iu" and bool(np.all(value < model.n_features_in_))
        ),
    },
    preprocessing.OneHotEncoder: {
        **_ENCODER,
        **dict.fromkeys(("drop_idx_", "_drop_idx_after_grouping"), optional(is_per_column)),
        "_n_features_outs": is_a(list[int]),
    },
    preprocessing.OrdinalEncoder: {**_ENCODER, "_missing_indices": is_a(dict[int, int])},
    preprocessing.FunctionTransformer: {},
    ColumnTransformer: {
        "_columns": is_a(list),
        "_transformer_to_input_indices": is_a(dict),
        "_remainder": lambda value, model: _are_transformers([value], model),
        "_n_features": is_count,
        "sparse_output_": is_a(bool),
        "transformers_": _are_transformers,
        "output_indices_": is_a(dict[str, slice]),
        "_transformers_feature_names_out": is_a(np.ndarray),
    },
}


def _has_no_function(transformer: preprocessing.FunctionTransformer) -> bool:
    return transformer.func is transformer.inverse_func is None


_CONSISTENT: dict[type, Callable[[Any], bool]] = {
    preprocessing.FunctionTransformer: _has_no_function,
    ColumnTransformer: _column_transformer_is_consistent,
}


def _random_state(state: dict[str, Any]) -> np.random.RandomState:
    random = np.random.RandomState()
    random.set_state(state["state"])
    return random


CLASSES = [
    *VECPROP_CLASSES,
    *TABLE_CLASSES,
    *(stored_estimator(cls, checks, _CONSISTENT.get(cls)) for cls, checks in _FITTED.items()),
    # Pipeline(memory=...) is excluded: it is a folder of pickles, which loading a file must not open.
    StoredClass("Pipeline", Pipeline, _pipeline_state, _pipeline),
    StoredClass("ColumnSelector", make_column_selector, vars, lambda state: make_column_selector(**state)),
    StoredClass("RandomState", np.random.RandomState, lambda random: {"state": random.get_state()}, _random_state),
]

MODELS = (TrainedNetwork, *CLASSIFIERS, *REGRESSORS, TabularClassifier, TabularRegressor)
"""The classes of models, alone or as the last step of a pipeline."""


BY_NAME = {stored.name: stored for stored in CLASSES}
BY_CLASS = {stored.cls: stored for stored in CLASSES}
