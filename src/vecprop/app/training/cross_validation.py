"""Cross-validation of settings of a model of tables: `MLPSearchCV` fits single networks to the columns' first view."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid

from ...core.losses import Quantile
from ...estimators.classifier import MLPClassifier
from ...estimators.regressor import MLPRegressor
from ...estimators.search import MLPSearchCV
from ...tables.calibration import best_inverse_temperature, log_loss
from ...tables.classifier import factors_of_classes
from ...tables.ensemble import temperature_scaled
from ...tables.folds import splits
from ...tables.settings import MANY_ROWS
from ..models.known_rows import class_numbers
from .dividing import Parts

SPACE: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(32,), (64,), (128,), (256,), (64, 64), (128, 128), (256, 128), (64, 64, 64)],
    "activation": ["relu", "silu", "tanh"],
    "dropout": [0.0, 0.1, 0.3],
    "weight_decay": [1.0, 3.0, 10.0, 30.0, 100.0],
    "learning_rate_init": [0.003, 0.01, 0.02],
}
"""The values of each setting that are tried."""
FOLDS = 4
"""The number of folds. Each is the test in turn; from `MANY_ROWS` rows on, one test is precise enough."""

Settings = dict[str, Any]


@dataclass(frozen=True)
class Tried:
    """Settings and their loss in cross-validation.

    Parameters
    ----------
    settings : dict
        The settings that differ from those given.
    loss : float
        The mean loss of the folds; infinite if training has failed.
    """

    settings: Settings
    loss: float


@dataclass(frozen=True, eq=False)
class Columns:
    """A table as encoded by a model, divided into folds.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The fitted model.
    inputs : ndarray (N, I)
        The columns as inputs of the first view.
    targets : ndarray (N,)
        The numbers of the classes, or the numbers to predict.
    weight : ndarray (N,)
        The weight of each row.
    splits : list of tuple of ndarray
        The indices of the rows of training and of test, for each fold.
    """

    model: Any
    inputs: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, model: Any, parts: Parts) -> "Columns":
        """Return the table that a model was trained on, as it has encoded it."""
        X, y = parts.X, parts.y
        targets = class_numbers(y, model.classes_) if is_classifier(model) else np.asarray(y, float)
        count = min(FOLDS, len(y))
        fold = parts.dependence.folds(targets, count, seed=0)
        each = splits(fold, is_time=parts.dependence.is_time)
        weight = parts.weight * factors_of_classes(model, y, parts.weight)
        inputs = np.take(model.encoder_(X), model.ensemble_.views[0].inputs, axis=1)
        return cls(model, inputs, targets, weight, each[:1] if len(y) >= MANY_ROWS else each)

    def with_settings(self, settings: Settings) -> Any:
        """Return an unfitted model with some settings changed."""
        model: Any = clone(self.model)
        return model.set_params(**settings)

    def choices(self, fixed: set[str]) -> list[Settings]:
        """Return no change first, and then all combinations of `SPACE` without fixed settings, in random order."""
        others = list(ParameterGrid({name: values for name, values in SPACE.items() if name not in fixed}))
        return [{}, *(dict(others[number]) for number in np.random.default_rng(0).permutation(len(others)))]

    def weights(self, settings: Settings) -> int:
        """Return the number of a network's weights, to which its time is about proportional."""
        widths = [self.inputs.shape[1], *self.with_settings(settings).widths, 1]
        return sum(before * after for before, after in pairwise(widths))

    def evaluated(self, several: Sequence[Settings]) -> Iterator[Tried]:
        """Yield several settings with their loss in cross-validation; all fits are one population."""
        rows = len(self.splits[0][0])
        candidates = [settings_of_network(self.with_settings(settings), rows) for settings in several]
        network = MLPClassifier() if is_classifier(self.model) else network_for_numbers(self.model)
        grid = [{name: [value] for name, value in candidate.items()} for candidate in candidates]
        weight = None if self.weight.min() == self.weight.max() else self.weight
        run: Any = MLPSearchCV(
            network, grid, scoring=score, cv=self.splits, refit=False, n_jobs=self.model.n_jobs, error_score=np.nan
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitFailedWarning)  # what diverges is not chosen
            warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
            try:
                scores = run.fit(self.inputs, self.targets, sample_weight=weight).cv_results_["mean_test_score"]
            except ValueError as error:
                if "fits failed" not in str(error):
                    raise
                scores = np.full(len(several), np.nan)
        for settings, loss in zip(several, np.nan_to_num(-scores, nan=np.inf).tolist(), strict=True):
            yield Tried(settings, loss)


def network_for_numbers(model: Any) -> MLPRegressor:
    """Return an estimator like the networks of a regressor; with several quantiles, like those that predict."""
    level = {"loss": "quantile", "quantile": model.level} if model.levels else {}
    return MLPRegressor(scale_target=True, **level)


def settings_of_network(model: Any, rows: int) -> Settings:
    """Return MLP parameters equivalent to a network of the first view of a model of tables, without early stopping.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The model.
    rows : int
        The number of rows that the network is trained on.

    Examples
    --------
    >>> from vecprop import TabularRegressor
    >>> settings_of_network(TabularRegressor(hidden_layer_sizes=8), rows=1000)["hidden_layer_sizes"]
    [8]
    """
    training, *_ = model.trainings(rows)
    return {
        "hidden_layer_sizes": model.widths,
        "activation": model.activation,
        "dropout": model.dropout,
        "solver": training.optimizer(rows),
        "alpha": 0.0,
        "learning_rate": "cosine",
        "batch_size": min(training.batch_size, rows),
        "max_iter": training.epochs,
        "n_iter_no_change": training.epochs,
        "random_state": model.random_state,
    }


def score(network: Any, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the score of a network on rows that it has not seen, which may have weights; higher is better.

    It is the negative log loss of the classes that the network knows, at its best temperature, since a model of tables
    will be calibrated; or the negative root of the mean squared error, or the negative quantile loss.
    """
    if getattr(network, "loss", None) == "quantile":
        return -float(np.average(Quantile(network.quantile).element(network.predict(X), y), weights=sample_weight))
    if not is_classifier(network):
        return -float(np.sqrt(np.average((network.predict(X) - y) ** 2, weights=sample_weight)))
    is_known = np.isin(y, network.classes_)
    P, classes = network.predict_proba(X[is_known]), np.searchsorted(network.classes_, y[is_known])
    weight = None if sample_weight is None else sample_weight[is_known]
    return -log_loss(temperature_scaled(P, best_inverse_temperature(P, classes, weight)), classes, weight)
