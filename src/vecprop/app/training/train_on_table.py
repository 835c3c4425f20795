"""From a table to a model and its metrics: divide the rows, train, and compare with baselines on the test."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from ..models.estimates import Estimate, Metric, Scores, difference, estimates
from ..models.known_rows import Task, class_numbers, numbers_of
from ..models.metrics import metrics_of_classes, metrics_of_numbers, metrics_of_quantiles
from ..models.quantiles import levels_of, quantiles_of
from ..terminal.errors import UsageError
from .baselines import Baselines
from .dividing import Parts, Request, divided
from .settings_search import SettingsSearch

OURS = "vecprop"


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and its predictions of the test.

    Parameters
    ----------
    request : Request
        The request.
    parts : Parts
        The table, divided.
    model : TabularClassifier or TabularRegressor
        The fitted model.
    search : SettingsSearch or None
        The search for its settings, if there was one.
    seconds : dict of str to float
        The times of reading, training and measuring.
    """

    request: Request
    parts: Parts
    model: Any
    search: SettingsSearch | None
    seconds: dict[str, float]

    @property
    def is_classifier(self) -> bool:
        """Whether it predicts classes."""
        return self.parts.task == "classification"

    @cached_property
    def notes(self) -> list[str]:
        """The notes on the table, in training and in the test."""
        model, X_test = self.model, self.parts.X_test
        unlike = [*model.encoder_.missed(X_test), *model.drift(model.tallies(X_test))]
        in_test = [f"In the test: {note}" for note in unlike]
        return list(dict.fromkeys([*self.parts.notes, *model.notes_, *in_test]))

    @property
    def types(self) -> dict[str, str]:
        """How the columns of training are read, the type of the target last."""
        readings = self.model.encoder_.readings
        return {name: readings.get(name, "not used") for name in self.parts.X.columns} | {
            self.request.target: str(self.parts.y.dtype)
        }

    @cached_property
    def truth(self) -> np.ndarray:
        """The target of the test, (N,): numbers, or indices of classes, -1 for classes that are not in training."""
        return self._as_learned(self.parts.y_test)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The probabilities of the test's rows, (N, C), or their predictions, (N,)."""
        return (
            self.model.predict_proba(self.parts.X_test) if self.is_classifier else self.model.predict(self.parts.X_test)
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The model's metrics on the test."""
        return {name: score.value for name, score in self.scores[OURS].items()}

    @property
    def scores(self) -> Scores:
        """The metrics on the test, those of the model first and then those of the baselines."""
        return self._measured[0]

    @property
    def margins(self) -> dict[str, Estimate]:
        """How much higher the loss of each baseline is than the model's, on the same draws of the test's rows."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[Scores, dict[str, Estimate]]:
        each = self._metrics_of_each()
        loss = next(iter(each[OURS]))
        margins = {(name, None): difference(of[loss], each[OURS][loss]) for name, of in each.items() if name != OURS}
        of_all = {(name, metric): of[metric] for name, of in each.items() for metric in of}
        found = estimates(of_all | margins, self.parts.weight_test, self.request.split.seed)
        scores = {name: {metric: found[name, metric] for metric in of} for name, of in each.items()}
        return scores, {name: found[name, None] for name, _ in margins}

    def _metrics_of_each(self) -> dict[str, dict[str, Metric]]:
        """Return the metrics of the model and of each baseline; the first of them is the loss."""
        parts, levels = self.parts, levels_of(self.model)
        y, seed = self._as_learned(parts.y), self.request.split.seed
        baselines = Baselines(self.model.encoder_, parts.X, parts.X_test, y, parts.weight, seed)
        if self.is_classifier:
            each = {OURS: self.predicted} | baselines.of_classes(len(self.model.classes_))
            return {name: metrics_of_classes(self.truth, P) for name, P in each.items()}
        if levels:
            each = {OURS: quantiles_of(self.model, parts.X_test)} | baselines.of_quantiles(levels)
            return {name: metrics_of_quantiles(self.truth, Y, levels) for name, Y in each.items()}
        each = {OURS: self.predicted} | baselines.of_numbers()
        return {name: metrics_of_numbers(self.truth, Y) for name, Y in each.items()}

    def _as_learned(self, y: np.ndarray) -> np.ndarray:
        """Return targets as numbers, or as indices of classes."""
        return class_numbers(y, self.model.classes_) if self.is_classifier else numbers_of(y, self.request.target)


def train_on_table(request: Request, fit: Callable[[Any, Parts], tuple[Any, SettingsSearch | None]]) -> Trained:
    """Return a model of a table.

    Parameters
    ----------
    request : Request
        The request.
    fit : callable
        Takes an estimator with the request's settings and the parts of the table; returns the fitted model, and the
        search for its settings if there was one.

    Raises
    ------
    TableError
        If a file cannot be read, or no column or target can be learned from.
    """
    started = time.perf_counter()
    parts = divided(request)
    estimator = estimator_for(parts.task, request)
    read = time.perf_counter()
    model, search = fit(estimator, parts)
    if parts.reading is not None:
        model.target_reading_ = parts.reading
    done = time.perf_counter()
    trained = Trained(request, parts, model, search, {"reading": read - started, "training": done - read})
    _ = trained.scores
    trained.seconds["measuring"] = time.perf_counter() - done
    return trained


def estimator_for(task: Task, request: Request) -> Any:
    """Return the estimator for a task with a request's settings, or refuse a setting that it does not have."""
    kind = TabularClassifier if task == "classification" else TabularRegressor
    unknown = request.settings.keys() - set(kind._get_param_names())
    if unknown:
        raise UsageError(f"A {kind.__name__}, which is for {task}, has no {min(unknown)}: leave it out.")
    return kind(target=request.target, random_state=request.split.seed, **request.settings)
