"""From a table to a model and what it is worth: read, set a test part aside, train, measure beside the baselines."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..tables.classifier import TabularClassifier
from ..tables.error import TableError, pandas
from ..tables.frames import column_of
from ..tables.numbers import as_numbers
from ..tables.reading import read_table
from ..tables.regressor import TabularRegressor
from ..tables.task import guess_task
from .baselines import baselines_of_classes, baselines_of_numbers, baselines_of_quantiles
from .exits import UsageError
from .quantiles import levels_of, quantiles_of
from .scores import Estimate, scores_of_classes, scores_of_numbers, scores_of_quantiles
from .splitting import Split

if TYPE_CHECKING:
    from .searching import Search

Frame = Any
Task = Literal["classification", "regression"]
Scores = dict[str, dict[str, Estimate]]
"""The metrics of the model and of each baseline, by their names."""

OURS = "vecprop"


@dataclass(frozen=True)
class Request:
    """What is to be trained.

    Parameters
    ----------
    table : Path
        The file.
    target : str
        The column to predict.
    split : Split
        Which rows are the test.
    test : Path or None
        A file of test rows, in the place of a split.
    task : "classification", "regression" or None
        What the target is; None finds out.
    settings : dict
        Settings of `TabularClassifier` or `TabularRegressor` that are not their defaults.
    """

    table: Path
    target: str
    split: Split
    test: Path | None = None
    task: Task | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Parts:
    """A table, divided.

    Parameters
    ----------
    task : str
        What is to be learned.
    X, X_test : DataFrame
        The columns of inputs.
    y, y_test : ndarray
        The target.
    notes : list of str
        What was done to the table, in sentences.
    """

    task: Task
    X: Frame
    y: np.ndarray
    X_test: Frame
    y_test: np.ndarray
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Trained:
    """A model, and what it predicts of the test.

    Parameters
    ----------
    request : Request
        What was asked for.
    parts : Parts
        The table.
    model : TabularClassifier or TabularRegressor
        The model.
    search : Search or None
        What a search for its settings has found, if there was one.
    seconds : dict of str to float
        How long reading, training and measuring took.
    """

    request: Request
    parts: Parts
    model: Any
    search: "Search | None"
    seconds: dict[str, float]

    @property
    def is_classifier(self) -> bool:
        """Whether it predicts classes."""
        return self.parts.task == "classification"

    @cached_property
    def notes(self) -> list[str]:
        """What was done to the table, and what of it is not as it seems."""
        in_test = [f"In the test: {note}" for note in self.model.check(self.parts.X_test)]
        return list(dict.fromkeys([*self.parts.notes, *self.model.notes_, *in_test]))

    @property
    def types(self) -> dict[str, str]:
        """The types of the columns of training, the target last."""
        return {name: str(kind) for name, kind in self.parts.X.dtypes.items()} | {
            self.request.target: str(self.parts.y.dtype)
        }

    @property
    def metrics(self) -> dict[str, float]:
        """The model's metrics on the test."""
        return {name: score.value for name, score in self.scores[OURS].items()}

    @cached_property
    def truth(self) -> np.ndarray:
        """The target of the test, (N,): numbers, or those of its classes, -1 where training has not seen them."""
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
        """What the predictions of the test are worth, the model's first and then the baselines'."""
        X, X_test = self.model.encoder_(self.parts.X), self.model.encoder_(self.parts.X_test)
        seed = self.request.split.seed
        if self.is_classifier:
            count = len(self.model.classes_)
            y = class_numbers(self.parts.y, self.model.classes_)
            others = baselines_of_classes(X, y, X_test, count, seed)
            return {
                name: scores_of_classes(self.truth, P, seed) for name, P in ({OURS: self.predicted} | others).items()
            }
        y, levels = numbers_of(self.parts.y, self.request.target), levels_of(self.model)
        if levels:
            others = baselines_of_quantiles(X, y, X_test, levels, seed)
            each = {OURS: quantiles_of(self.model, self.parts.X_test)} | others
            return {name: scores_of_quantiles(self.truth, Y, levels, seed) for name, Y in each.items()}
        others = baselines_of_numbers(X, y, X_test, seed)
        return {name: scores_of_numbers(self.truth, Y, seed) for name, Y in ({OURS: self.predicted} | others).items()}


def train_on_table(request: Request, fit: Callable[[Any, Parts], "tuple[Any, Search | None]"]) -> Trained:
    """Return a model of a table.

    Parameters
    ----------
    request : Request
        What is to be trained.
    fit : callable
        Given an estimator with the request's settings and the parts of the table, returns a fitted one, and what a
        search for its settings has found, if there was one.

    Raises
    ------
    TableError
        Where files cannot be read, or there is nothing in them to learn from.
    """
    started = time.perf_counter()
    parts = divided(request)
    estimator = estimator_for(parts.task, request)
    read = time.perf_counter()
    model, search = fit(estimator, parts)
    done = time.perf_counter()
    trained = Trained(request, parts, model, search, {"reading": read - started, "training": done - read})
    _ = trained.scores
    trained.seconds["measuring"] = time.perf_counter() - done
    return trained


def was_interrupted(model: Any) -> bool:
    """Return whether Ctrl-C has ended training before its time."""
    return any("interrupted" in note for note in model.notes_)


def estimator_for(task: Task, request: Request) -> Any:
    """Return the estimator of a task with a request's settings, or say which of them it does not have."""
    kind = TabularClassifier if task == "classification" else TabularRegressor
    unknown = request.settings.keys() - set(kind._get_param_names())
    if unknown:
        raise UsageError(f"A {kind.__name__}, which is for {task}, has no {min(unknown)}: leave it out.")
    return kind(target=request.target, random_state=request.split.seed, **request.settings)


def divided(request: Request) -> Parts:
    """Return a table's rows for training and for the test."""
    frame, notes = with_target(read_table(request.table), request.target)
    task = request.task or guess_task(frame[request.target])
    y = target_of(frame, request.target, task)
    X = frame.drop(columns=request.target)
    if request.split.group is not None:
        column_of(frame, request.split.group)
        X = X.drop(columns=request.split.group)
        notes.append(f"Column {request.split.group!r} tells groups apart and is no input.")
    if request.test is not None:
        other, more = with_target(read_table(request.test), request.target)
        test = other.drop(columns=request.target)
        return Parts(task, X, y, test, target_of(other, request.target, task), notes + more)
    train, held_out = request.split.numbers(frame, y, task == "classification")
    return Parts(task, X.iloc[train], y[train], X.iloc[held_out], y[held_out], notes)


def with_target(frame: Frame, target: str) -> tuple[Frame, list[str]]:
    """Return the rows of a table whose target is known, with notes on the table; refuse it where there are none."""
    notes = list(frame.attrs.get("notes", []))
    known = column_of(frame, target).notna()
    if not known.any():
        raise TableError(f"Column {target!r}, the target, has no values: all {len(frame)} are missing.")
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(frame)} rows have no target and are left out.")
        frame = frame[known].reset_index(drop=True)
    return frame, notes


def target_of(frame: Frame, target: str, task: Task) -> np.ndarray:
    """Return the target of rows: classes as they are if they are numbers or truth values, and else text; or numbers."""
    y = frame[target]
    if task == "regression":
        return numbers_of(y, target)
    types = pandas().api.types
    is_plain = types.is_numeric_dtype(y.dtype) or types.is_bool_dtype(y.dtype)
    return y.to_numpy() if is_plain else y.astype(str).to_numpy(dtype=str)


def numbers_of(y: Any, target: str) -> np.ndarray:
    """Return a target as numbers, or say what it is instead."""
    numbers, unread = as_numbers(pandas().Series(y))
    wrong = int((~np.isfinite(numbers)).sum())
    if wrong:
        what = "not numbers" if unread else "infinite"
        raise TableError(
            f"Column {target!r}, the target, has {wrong} value(s) that are {what}: mend them, or give --task "
            "classification if they are classes."
        )
    return numbers


def class_numbers(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the number of each row's class, -1 where it is none of the classes, which are sorted.

    Examples
    --------
    >>> class_numbers(np.array(["b", "a", "c"]), np.array(["a", "b"]))
    array([ 1,  0, -1])
    """
    if (y.dtype.kind in "US") != (classes.dtype.kind in "US"):
        y, names = y.astype(str), classes.astype(str)
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers.get(name, -1) for name in y])
    places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[places] == y, places, -1)
