"""The contenders of ``tables.py``: each makes a model with default parameters, for a table as it is.

Gradient boosting takes numbers and categories as they are, missing values too. The others are given what they need:
numbers scaled to mean 0 and standard deviation 1, missing ones at the median and marked, categories as inputs of 0 and
1, and targets of regression scaled where the model depends on it. All but ours are given dates as numbers: the year,
the day of the year, the day of the week and the hour.
"""

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from table_sets import CLASSIFICATION

from vecprop import TabularClassifier, TabularRegressor

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # says for each fit that there is no GPU

NUMBERS = make_column_selector(dtype_include=["number", "bool"])
NAMES = make_column_selector(dtype_exclude=["number", "bool"])


def prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text is of categories, with parts of dates as numbers."""
    columns = {}
    for name in frame:
        values = frame[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            parts = {"year": values.dt.year, "day": values.dt.dayofyear, "weekday": values.dt.weekday}
            columns |= {f"{name} {part}": of for part, of in {**parts, "hour": values.dt.hour}.items()}
        else:
            columns[name] = values if pd.api.types.is_numeric_dtype(values) else values.astype("category")
    return pd.DataFrame(columns)


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a prepared table without missing categories."""
    columns = {name: frame[name].astype(object).fillna("missing").astype(str) for name in NAMES(frame)}
    return frame.assign(**columns)


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a prepared table without missing values."""
    numbers = {name: frame[name].astype(float).fillna(frame[name].median()) for name in NUMBERS(frame)}
    return named(frame).assign(**numbers)


def on_inputs(model: Any) -> Any:
    """Return a model of the inputs that scikit-learn's preprocessing makes."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, NUMBERS), (OneHotEncoder(handle_unknown="ignore"), NAMES), sparse_threshold=0
    )
    return make_pipeline(columns, model)


def on_scaled_targets(model: Any) -> Any:
    return TransformedTargetRegressor(model, transformer=StandardScaler())


class Adapted:
    """A model whose tables `rows` prepares, whose classes are counted from 0, and that may be told the categories."""

    def __init__(self, model: Any, task: str, rows: Callable = pd.DataFrame, categories: str = "") -> None:
        self.model, self.task, self.rows, self.categories = model, task, rows, categories

    def fit(self, X: pd.DataFrame, y: Any) -> "Adapted":
        """Fit the model; `categories` is the name of the setting that tells it which columns are categories."""
        if self.task == CLASSIFICATION:
            self.classes_, y = np.unique(y, return_inverse=True)
        self.model.fit(self.rows(X), y, **({self.categories: NAMES(X)} if self.categories else {}))
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        """Return predictions of regression."""
        return self.model.predict(self.rows(X))

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Return the probabilities of the classes, in the order of `classes_`."""
        return self.model.predict_proba(self.rows(X))


def vecprop(task: str) -> Any:
    return (TabularClassifier if task == CLASSIFICATION else TabularRegressor)(random_state=0)


def linear(task: str) -> Any:
    return on_inputs(LogisticRegression(max_iter=1000) if task == CLASSIFICATION else Ridge())


def support_vectors(task: str) -> Any:
    if task == CLASSIFICATION:
        return on_inputs(CalibratedClassifierCV(SVC(random_state=0), ensemble=False))
    return on_scaled_targets(on_inputs(SVR()))


def forest(task: str) -> Any:
    return on_inputs((RandomForestClassifier if task == CLASSIFICATION else RandomForestRegressor)(random_state=0))


def mlp(task: str) -> Any:
    if task == CLASSIFICATION:
        return on_inputs(MLPClassifier(random_state=0))
    return on_scaled_targets(on_inputs(MLPRegressor(random_state=0)))


def boosting(task: str) -> Any:
    return (HistGradientBoostingClassifier if task == CLASSIFICATION else HistGradientBoostingRegressor)(random_state=0)


def lightgbm(task: str) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if task == CLASSIFICATION else LGBMRegressor)(random_state=0, n_jobs=1, verbose=-1)


def xgboost(task: str) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    make = XGBClassifier if task == CLASSIFICATION else XGBRegressor
    return Adapted(make(random_state=0, n_jobs=1, enable_categorical=True), task)


def catboost(task: str) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    make = CatBoostClassifier if task == CLASSIFICATION else CatBoostRegressor
    model = make(random_seed=0, thread_count=1, verbose=False, allow_writing_files=False)
    return Adapted(model, task, named, "cat_features")


def real_mlp(task: str) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    make = RealMLP_TD_Classifier if task == CLASSIFICATION else RealMLP_TD_Regressor
    return Adapted(make(random_state=0, device="cpu", n_threads=1), task, filled, "cat_col_names")


def tab_m(task: str) -> Any:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    make = TabM_D_Classifier if task == CLASSIFICATION else TabM_D_Regressor
    return Adapted(make(random_state=0, device="cpu", n_threads=1), task, filled, "cat_col_names")


ALWAYS: dict[str, Callable[[str], Any]] = {
    "vecprop": vecprop,
    "linear": linear,
    "RBF SVM": support_vectors,
    "random forest": forest,
    "MLP": mlp,
    "HistGradientBoosting": boosting,
}
INSTALLED = {
    "lightgbm": {"LightGBM": lightgbm},
    "xgboost": {"XGBoost": xgboost},
    "catboost": {"CatBoost": catboost},
    "pytabkit": {"RealMLP": real_mlp, "TabM": tab_m},
}
CONTENDERS = ALWAYS | {
    name: make for package, peers in INSTALLED.items() if find_spec(package) for name, make in peers.items()
}
