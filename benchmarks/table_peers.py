"""The contenders of ``tables.py``: each function returns a model for raw tables.

All have default parameters, with three exceptions. Default models of gradient boosting
are single models, so gradient boosting is also run as `table_folds` describes, with
five folds. RealMLP and TabM stop by accuracy and not by log loss, so RealMLP is also
run as its documentation recommends for the log loss, and TabM only stops by log loss.

Gradient boosting takes numbers and categories as they are, missing values too. The
others are given what they need: numbers scaled to mean 0 and standard deviation 1,
missing ones at the median and marked, categories as inputs of 0 and 1, and targets of
regression scaled where the model depends on it. All but ours are given dates as
numbers: the year, the day of the year, the day of the week and the hour.
"""

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
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
from table_folds import BoostedFolds, fit_catboost, fit_lightgbm, fit_xgboost
from table_inputs import NAMES, NUMBERS, filled, named
from table_sets import CLASSIFICATION

from vecprop import TabularClassifier, TabularRegressor

# says for each fit that there is no GPU
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def on_inputs(model: Any) -> Any:
    """Return a model of the inputs that scikit-learn's preprocessing makes."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
    )
    columns = make_column_transformer(
        (numbers, NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), NAMES),
        sparse_threshold=0,
    )
    return make_pipeline(columns, model)


def on_scaled_targets(model: Any) -> Any:
    return TransformedTargetRegressor(model, transformer=StandardScaler())


class Adapted:
    """A model whose tables `rows` prepares, whose classes are counted from 0, and that may be told the categories."""

    def __init__(
        self, model: Any, task: str, rows: Callable = pd.DataFrame, categories: str = ""
    ) -> None:
        self.model, self.task, self.rows, self.categories = (
            model,
            task,
            rows,
            categories,
        )

    def fit(self, X: pd.DataFrame, y: Any) -> "Adapted":
        """Fit the model; `categories` is the name of the setting that tells it which columns are categories."""
        if self.task == CLASSIFICATION:
            self.classes_, y = np.unique(y, return_inverse=True)
        self.model.fit(
            self.rows(X), y, **({self.categories: NAMES(X)} if self.categories else {})
        )
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        """Return predictions of regression."""
        return self.model.predict(self.rows(X))

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Return the probabilities of the classes, in the order of `classes_`."""
        return self.model.predict_proba(self.rows(X))


def vecprop(task: str) -> Any:
    return (TabularClassifier if task == CLASSIFICATION else TabularRegressor)(
        random_state=0
    )


def linear(task: str) -> Any:
    return on_inputs(
        LogisticRegression(max_iter=1000) if task == CLASSIFICATION else Ridge()
    )


def support_vectors(task: str) -> Any:
    if task == CLASSIFICATION:
        return on_inputs(CalibratedClassifierCV(SVC(random_state=0), ensemble=False))
    return on_scaled_targets(on_inputs(SVR()))


def forest(task: str) -> Any:
    return on_inputs(
        (RandomForestClassifier if task == CLASSIFICATION else RandomForestRegressor)(
            random_state=0
        )
    )


def mlp(task: str) -> Any:
    if task == CLASSIFICATION:
        return on_inputs(MLPClassifier(random_state=0))
    return on_scaled_targets(on_inputs(MLPRegressor(random_state=0)))


def boosting(task: str) -> Any:
    return (
        HistGradientBoostingClassifier
        if task == CLASSIFICATION
        else HistGradientBoostingRegressor
    )(random_state=0)


def lightgbm(task: str) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if task == CLASSIFICATION else LGBMRegressor)(
        random_state=0, n_jobs=1, verbose=-1
    )


def xgboost(task: str) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    make = XGBClassifier if task == CLASSIFICATION else XGBRegressor
    return Adapted(make(random_state=0, n_jobs=1, enable_categorical=True), task)


def catboost(task: str) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    make = CatBoostClassifier if task == CLASSIFICATION else CatBoostRegressor
    model = make(
        random_seed=0, thread_count=1, verbose=False, allow_writing_files=False
    )
    return Adapted(model, task, named, "cat_features")


def lightgbm_of_folds(task: str) -> Any:
    return BoostedFolds(task, fit_lightgbm)


def xgboost_of_folds(task: str) -> Any:
    return BoostedFolds(task, fit_xgboost)


def catboost_of_folds(task: str) -> Any:
    return BoostedFolds(task, fit_catboost)


def real_mlp(task: str) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    make = RealMLP_TD_Classifier if task == CLASSIFICATION else RealMLP_TD_Regressor
    return Adapted(
        make(random_state=0, device="cpu", n_threads=1), task, filled, "cat_col_names"
    )


def real_mlp_by_log_loss(task: str) -> Any:
    """Return a classifier with the settings that RealMLP's documentation recommends for the log loss."""
    from pytabkit import RealMLP_TD_Classifier

    settings = {"val_metric_name": "cross_entropy", "use_ls": False}
    model = RealMLP_TD_Classifier(random_state=0, device="cpu", n_threads=1, **settings)
    return Adapted(model, task, filled, "cat_col_names")


def tab_m(task: str) -> Any:
    """Return TabM; a classifier stops by its log loss instead of its accuracy."""
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    if task == CLASSIFICATION:
        model = TabM_D_Classifier(
            random_state=0, device="cpu", n_threads=1, val_metric_name="cross_entropy"
        )
    else:
        model = TabM_D_Regressor(random_state=0, device="cpu", n_threads=1)
    return Adapted(model, task, filled, "cat_col_names")


ALWAYS: dict[str, Callable[[str], Any]] = {
    "vecprop": vecprop,
    "linear": linear,
    "RBF SVM": support_vectors,
    "random forest": forest,
    "MLP": mlp,
    "HistGradientBoosting": boosting,
}
INSTALLED = {
    "lightgbm": {"LightGBM": lightgbm, "LightGBM, 5 folds": lightgbm_of_folds},
    "xgboost": {"XGBoost": xgboost, "XGBoost, 5 folds": xgboost_of_folds},
    "catboost": {"CatBoost": catboost, "CatBoost, 5 folds": catboost_of_folds},
    "pytabkit": {
        "RealMLP": real_mlp,
        "RealMLP, by log loss": real_mlp_by_log_loss,
        "TabM": tab_m,
    },
}
CONTENDERS = ALWAYS | {
    name: make
    for package, peers in INSTALLED.items()
    if find_spec(package)
    for name, make in peers.items()
}
ONLY_CLASSIFIERS = {"RealMLP, by log loss"}
