"""Gradient boosting as a careful user runs it on a small table: five folds, early stopping and a temperature.

Each of five models is trained without a fifth of the rows, and stops when its loss on
these rows no longer falls. The prediction is the mean of the five models. For classes,
a temperature is fitted to the predictions of the rows that a model has not seen.
LightGBM and XGBoost have a learning rate of .05 and up to 2,000 trees. CatBoost chooses
its learning rate and has up to 1,000 trees, its default. All other settings are
defaults.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from table_inputs import NAMES, named
from table_sets import CLASSIFICATION

FOLDS = 5
LEARNING_RATE = 0.05
TREES = 2000
PATIENCE = 50
"""Training stops if this number of trees has not reduced the loss of the unseen
rows.
"""
SMALLEST_PROBABILITY = 1e-9

Rows = tuple[pd.DataFrame, np.ndarray]
"""The columns and the targets of some rows."""


def with_temperature(P: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities whose logarithms are divided by a temperature, and that sum to 1 in each row."""
    logarithms = np.log(np.clip(P, SMALLEST_PROBABILITY, 1))
    return softmax(logarithms / temperature, axis=1)


def fitted_temperature(P: np.ndarray, y: np.ndarray) -> float:
    """Return the temperature that minimizes the log loss."""
    classes = range(P.shape[1])

    def loss(logarithm: float) -> float:
        return log_loss(y, with_temperature(P, np.exp(logarithm)), labels=classes)

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


class BoostedFolds:
    """The mean of five boosted models, each with early stopping on the rows that it does not train on.

    `fit_model` is called with the task, the rows to train on and the unseen rows, and
    returns a fitted model.
    """

    def __init__(self, task: str, fit_model: Callable[[str, Rows, Rows], Any]) -> None:
        self.task = task
        self.fit_model = fit_model

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "BoostedFolds":
        """Fit a model for each fold, and the temperature of a classifier."""
        if self.task == CLASSIFICATION:
            self.classes_, y = np.unique(y, return_inverse=True)
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
            unseen_predictions = np.zeros((len(y), len(self.classes_)))
        else:
            folds = KFold(FOLDS, shuffle=True, random_state=0)
            unseen_predictions = np.zeros(len(y))
        self.models = []
        for train, unseen in folds.split(X, y):
            model = self.fit_model(
                self.task, (X.iloc[train], y[train]), (X.iloc[unseen], y[unseen])
            )
            unseen_predictions[unseen] = self.predictions(model, X.iloc[unseen])
            self.models.append(model)
        if self.task == CLASSIFICATION:
            self.temperature = fitted_temperature(unseen_predictions, y)
        return self

    def predictions(self, model: Any, X: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of a classifier, or the numbers of a regression."""
        if self.task == CLASSIFICATION:
            return model.predict_proba(X)
        return model.predict(X)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return predictions of regression."""
        return np.mean([self.predictions(model, X) for model in self.models], axis=0)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of the classes, in the order of `classes_`."""
        mean = np.mean([self.predictions(model, X) for model in self.models], axis=0)
        return with_temperature(mean, self.temperature)


def fit_lightgbm(task: str, train: Rows, unseen: Rows) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

    model_class = LGBMClassifier if task == CLASSIFICATION else LGBMRegressor
    model = model_class(
        n_estimators=TREES,
        learning_rate=LEARNING_RATE,
        random_state=0,
        n_jobs=1,
        verbose=-1,
    )
    return model.fit(
        *train, eval_set=[unseen], callbacks=[early_stopping(PATIENCE, verbose=False)]
    )


def fit_xgboost(task: str, train: Rows, unseen: Rows) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    model_class = XGBClassifier if task == CLASSIFICATION else XGBRegressor
    model = model_class(
        n_estimators=TREES,
        learning_rate=LEARNING_RATE,
        early_stopping_rounds=PATIENCE,
        enable_categorical=True,
        random_state=0,
        n_jobs=1,
    )
    return model.fit(*train, eval_set=[unseen], verbose=False)


class NamedCatBoost:
    """A CatBoost model of tables whose categories `table_inputs.named` prepares."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return predictions of regression."""
        return self.model.predict(named(X))

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of the classes."""
        return self.model.predict_proba(named(X))


def fit_catboost(task: str, train: Rows, unseen: Rows) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    model_class = CatBoostClassifier if task == CLASSIFICATION else CatBoostRegressor
    model = model_class(
        early_stopping_rounds=PATIENCE,
        random_seed=0,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    )
    X, y = train
    unseen_X, unseen_y = unseen
    model.fit(named(X), y, cat_features=NAMES(X), eval_set=(named(unseen_X), unseen_y))
    return NamedCatBoost(model)
