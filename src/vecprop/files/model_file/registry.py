"""The fixed list of classes that model files may contain; other objects are neither written nor read.

The classes of scikit-learn are preprocessing steps in a pipeline with a vecprop estimator.
"""

import os
from collections.abc import Callable
from itertools import chain
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
from .table_classes import TABLE_CLASSES
from .values import StoredClass, fits, has_shape, is_a, is_count, is_numeric, is_per_column, optional, stored_estimator
from .vecprop_classes import VECPROP_CLASSES

MOST_PROCESSES = 16
"""The maximum number of processes that a loaded step may start, on any machine."""


def _is_seen(value: Any, model: Any) -> bool:
    return fits(value, float) or is_numeric(value, model)


def _is_list_per_column(value: Any, model: Any) -> bool:
    """Return whether a value is a list with an array or None for each input column."""
    is_list = fits(value, list[np.ndarray | None]) and len(value) == model.n_features_in_
    return is_list and all(entry is None or entry.ndim == 1 for entry in value)


_PER_COLUMN = ("categories_", "_infrequent_indices", "_default_to_infrequent_mappings")
_ENCODER = {"_infrequent_enabled": is_a(bool), **dict.fromkeys(_PER_COLUMN, _is_list_per_column)}


def _is_transformer(part: Any) -> bool:
    return part in ("drop", "passthrough") if isinstance(part, str) else hasattr(part, "transform")


def _are_transformers(value: Any, model: Any) -> bool:
    return fits(value, list[tuple]) and all(len(part) == 3 and _is_transformer(part[1]) for part in value)


def _is_complete(transformer: ColumnTransformer) -> bool:
    """Return whether the parts of a ColumnTransformer are consistent and its columns exist."""
    n_jobs, most = transformer.n_jobs, max(os.cpu_count() or 1, MOST_PROCESSES)
    if n_jobs is not None and n_jobs > most:
        raise ValueError(f"a step has n_jobs={n_jobs}, more than the maximum of {most} processes")
    if not _are_transformers(transformer.transformers, transformer):
        return False
    fitted = vars(transformer)
    if "transformers_" not in fitted:
        return True
    if not {"_columns", "_remainder", "output_indices_", "_transformer_to_input_indices"} <= fitted.keys():
        return False
    given, names = ([name for name, _, _ in parts] for parts in (transformer.transformers, transformer.transformers_))
    places, width = places_of_transformers(transformer), fitted["n_features_in_"]
    columns = ([own] if isinstance(own, str) else own for _, _, own in transformer.transformers_)
    wanted = set(chain(*(own for own in columns if fits(own, list[str]))))
    return (
        names in (given, [*given, "remainder"])
        and len(fitted["_columns"]) == len(given)
        and set(names) <= places.keys() & transformer.output_indices_.keys()
        and wanted <= set(fitted.get("feature_names_in_", ()))
        and all(fits(own, list[int]) and all(0 <= place < width for place in own) for own in places.values())
    )


def _pipeline(state: dict[str, Any]) -> Pipeline:
    pipeline = Pipeline(state["steps"], transform_input=state["transform_input"], verbose=state["verbose"])
    require_valid_settings(pipeline)
    *before, _ = [step for _, step in pipeline.steps]
    if not all(step is None or _is_transformer(step) for step in before):
        raise ValueError("a step of the pipeline is not a transformer")
    return pipeline


def _named(*names: str) -> Callable[[Any], dict[str, Any]]:
    """Return a function that returns the named attributes of an object."""
    return lambda part: {name: getattr(part, name) for name in names}


_SEEN: dict[str, Any] = {"n_samples_seen_": _is_seen}
_OF_RANGE = ("data_min_", "data_max_", "data_range_")
_FITTED: dict[type, dict[str, Any]] = {
    preprocessing.StandardScaler: _SEEN | dict.fromkeys(("mean_", "var_", "scale_"), optional(is_numeric)),
    preprocessing.MinMaxScaler: _SEEN | dict.fromkeys(("scale_", "min_", *_OF_RANGE), is_numeric),
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
_COMPLETE: dict[type, Callable[[Any], bool]] = {
    preprocessing.FunctionTransformer: lambda transformer: transformer.func is transformer.inverse_func is None,
    ColumnTransformer: _is_complete,
}


def _random_state(state: dict[str, Any]) -> np.random.RandomState:
    random = np.random.RandomState()
    random.set_state(state["state"])
    return random


_SELECTED = _named("pattern", "dtype_include", "dtype_exclude")

CLASSES = [
    *VECPROP_CLASSES,
    *TABLE_CLASSES,
    *(stored_estimator(cls, fitted, _COMPLETE.get(cls, lambda model: True)) for cls, fitted in _FITTED.items()),
    # Pipeline(memory=...) is excluded: it is a folder of pickles, which loading a file must not open.
    StoredClass("Pipeline", Pipeline, _named("steps", "transform_input", "verbose"), _pipeline),
    StoredClass("ColumnSelector", make_column_selector, _SELECTED, lambda state: make_column_selector(**state)),
    StoredClass("RandomState", np.random.RandomState, lambda random: {"state": random.get_state()}, _random_state),
]

MODELS = (TrainedNetwork, *CLASSIFIERS, *REGRESSORS, TabularClassifier, TabularRegressor)
"""The classes of models, alone or as the last step of a pipeline."""


BY_NAME = {stored.name: stored for stored in CLASSES}
BY_CLASS = {stored.cls: stored for stored in CLASSES}
