"""From a table to a model and its metrics: divide the rows, train, and compare with baselines on the test."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from ..models.known_rows import Task, class_numbers, numbers_of
from ..models.metrics import Scores, scores_of_classes, scores_of_numbers, scores_of_quantiles
from ..models.quantiles import levels_of, quantiles_of
from ..terminal.errors import UsageError
from .baselines import baselines_of_classes, baselines_of_numbers, baselines_of_quantiles, enough_rows
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

    @property
    def metrics(self) -> dict[str, float]:
        """The model's metrics on the test."""
        return {name: score.value for name, score in self.scores[OURS].items()}

    @cached_property
    def truth(self) -> np.ndarray:
        """The target of the test, (N,): numbers, or indices of classes, -1 for classes that are not in training."""
        if not self.is_classifier:
            return numbers_of(self.parts.y_test, self.request.target)
        return class_numbers(self.parts.y_test, self.model.classes_)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The probabilities of the test's rows, (N, C), or their predictions, (N,)."""
        return (
            self.model.predict_proba(self.parts.X_test) if self.is_classifier else self.model.predict(self.parts.X_test)
        )

    @cached_property
    def scores(self) -> Scores:
        """The metrics on the test, those of the model first and then those of the baselines."""
        parts, seed = self.parts, self.request.split.seed
        encoder, levels = self.model.encoder_, levels_of(self.model)
        rows = enough_rows(len(parts.y), encoder.width, seed)
        inputs = encoder(parts.X.iloc[rows]), encoder(parts.X_test), rows, parts.weight
        if self.is_classifier:
            y = class_numbers(parts.y, self.model.classes_)
            each = {OURS: self.predicted} | baselines_of_classes(*inputs, y, len(self.model.classes_))
            return {name: scores_of_classes(self.truth, P, parts.weight_test, seed) for name, P in each.items()}
        y = numbers_of(parts.y, self.request.target)
        if levels:
            each = {OURS: quantiles_of(self.model, parts.X_test)} | baselines_of_quantiles(*inputs, y, levels)
            return {
                name: scores_of_quantiles(self.truth, Y, levels, parts.weight_test, seed) for name, Y in each.items()
            }
        each = {OURS: self.predicted} | baselines_of_numbers(*inputs, y)
        return {name: scores_of_numbers(self.truth, Y, parts.weight_test, seed) for name, Y in each.items()}


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
