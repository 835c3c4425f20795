"""From a table to a model and its metrics: divide the rows, train, and compare with baselines on the test."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from ...tables.classifier import TabularClassifier
from ...tables.encoding.folds import group_numbers
from ...tables.evaluation.metrics import Estimate, Scores, difference, estimates
from ...tables.regressor import TabularRegressor
from ...terminal.errors import UsageError
from ...train.progress import Progress
from ..models.describing import WITHOUT_TEST
from ..models.known_rows import Task
from .dividing import Parts, Request, divided
from .measured import OURS, Measured, cross_validated, on_test, unseen_in_training, without_baselines

Bar = Callable[[str], AbstractContextManager[Callable[[Progress], object] | None]]


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and what it is measured on."""

    request: Request
    parts: Parts
    model: Any
    seconds: dict[str, float]
    bar: Bar
    refitted: Any = None

    @property
    def is_classifier(self) -> bool:
        """Whether it predicts classes."""
        return self.parts.task == "classification"

    @property
    def final(self) -> Any:
        """The model to keep: the one that was trained anew, or else the one that is measured."""
        return self.model if self.refitted is None else self.refitted

    @cached_property
    def notes(self) -> list[str]:
        """The notes on the table, in training and in the test."""
        model, X_test = self.model, self.parts.X_test
        unlike = [*model.encoder_.missed(X_test), *model.drift(model.tallies(X_test))] if self.parts.has_test else []
        in_test = [f"In the test: {note}" for note in unlike]
        anew = [] if self.refitted is None else [self.refitted.notes_[-1]]
        return list(dict.fromkeys([*self.parts.notes, *model.notes_, *anew, *in_test]))

    @property
    def types(self) -> dict[str, str]:
        """How the columns of training are read, the target last."""
        readings = self.final.encoder_.readings
        target = {self.request.target: "classes" if self.is_classifier else "numbers"}
        return {name: readings.get(name, "not used") for name in self.parts.X.columns} | target

    @cached_property
    def measured(self) -> Measured:
        """The rows that the model is measured on, and what it and the baselines predict of them."""
        seed, folds = self.request.split.seed, self.request.folds
        if self.parts.has_test:
            return on_test(self.model, self.parts, seed)
        if folds is None:
            return unseen_in_training(self.model, self.parts, seed)
        with self.bar("cross-validation") as progress:
            return cross_validated(self.model, self.parts, folds, seed, progress)

    @property
    def truth(self) -> np.ndarray:
        """The target of the rows measured, (N,): numbers, or indices of classes, -1 for those not in training."""
        return self.measured.truth

    @property
    def predicted(self) -> np.ndarray:
        """The probabilities of the rows measured, (N, C), or their predictions, (N,)."""
        return self.measured.predicted

    @cached_property
    def groups(self) -> np.ndarray | None:
        """The number of the group of each row measured, (N,), if a column tells groups apart."""
        name, X = self.request.split.group, self.measured.X
        return group_numbers(X[name]) if name in X.columns else None

    @property
    def metrics(self) -> dict[str, float]:
        """The model's metrics."""
        return {name: score.value for name, score in self.scores[OURS].items()}

    @property
    def scores(self) -> Scores:
        """The metrics, those of the model first and then those of the baselines."""
        return self._estimates[0]

    @property
    def margins(self) -> dict[str, Estimate]:
        """How much higher the loss of each baseline is than the model's, on the same draws of the rows."""
        return self._estimates[1]

    @cached_property
    def _estimates(self) -> tuple[Scores, dict[str, Estimate]]:
        each = self.measured.metrics()
        loss = next(iter(each[OURS]))
        margins = {(name, None): difference(of[loss], each[OURS][loss]) for name, of in each.items() if name != OURS}
        of_all = {(name, metric): of[metric] for name, of in each.items() for metric in of}
        found = estimates(of_all | margins, self.measured.weight, self.request.split.seed, self.groups)
        scores = {name: {metric: found[name, metric] for metric in of} for name, of in each.items()}
        return scores, {name: found[name, None] for name, _ in margins}

    def measure(self) -> None:
        """Measure the model and the baselines, once.

        Trees and products of matrices have one thread: several wait for each other, at length on a busy machine.
        """
        began = time.perf_counter()
        with threadpool_limits(1):
            _ = self.scores
        if not self.parts.has_test:
            self.model.notes_.append(f"{WITHOUT_TEST}: the metrics are of rows of training ({self.measured.how}).")
        self.seconds["measuring"] = time.perf_counter() - began

    def unmeasured(self) -> Self:
        """Return the same without metrics: with the model's predictions, and none of baselines."""
        again = replace(self)
        vars(again)["measured"] = without_baselines(self.model, self.parts)
        return again

    def anew(self) -> Self:
        """Return the same with a model that is trained anew on all rows, the test's too.

        Raises
        ------
        KeyboardInterrupt
            If that is interrupted.
        """
        began = time.perf_counter()
        with self.bar("training anew") as progress:
            refitted = self.model.refitted(**self.parts.training_of_all, progress=progress)
        if self.parts.reading is not None:
            refitted.target_reading_ = self.parts.reading
        self.seconds["training anew"] = time.perf_counter() - began
        again = replace(self, refitted=refitted)
        vars(again).update({name: value for name, value in vars(self).items() if name in ("measured", "_estimates")})
        return again


def train_on_table(
    request: Request,
    fit: Callable[[Any, Parts], Any],
    bar: Bar,
) -> Trained:
    """Return a model of a table, which is not measured yet.

    Raises
    ------
    TableError
        If a file cannot be read, or no column or target can be learned from.
    """
    started = time.perf_counter()
    parts = divided(request)
    estimator = estimator_for(parts.task, request)
    read = time.perf_counter()
    model = fit(estimator, parts)
    if parts.reading is not None:
        model.target_reading_ = parts.reading
    done = time.perf_counter()
    return Trained(request, parts, model, {"reading": read - started, "training": done - read}, bar)


def estimator_for(task: Task, request: Request) -> Any:
    """Return the estimator for a task with a request's settings, or refuse a setting that it does not have."""
    kind = TabularClassifier if task == "classification" else TabularRegressor
    unknown = request.settings.keys() - set(kind._get_param_names())
    if unknown:
        raise UsageError(
            f"A {kind.__name__}, which is for {task}, has no {min(unknown)}: leave it out, or give another --task."
        )
    return kind(target=request.target, random_state=request.split.seed, **request.settings)
