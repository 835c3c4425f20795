"""Evaluation of trained models and baselines on unseen rows: a test set, out of fold, or cross-validation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from threadpoolctl import threadpool_limits

from ...train.progress import Progress
from ..classifier import factors_of_classes
from ..encoding.folds import Dependence, group_numbers, splits
from ..ensemble.calibration import ThresholdRule, positive_of
from ..ensemble.ensemble import out_of_fold
from ..error import TableError, pandas
from ..explaining.column_notes import digests
from ..kinds.formats import NumberReading
from ..reading.frames import Frame
from ..streaming.streamed import Streamed
from ..table_model import fit_many
from .baselines import Baselines
from .measured import Learned, Measured
from .targets import (
    Task,
    as_learned,
    class_numbers,
    levels_of,
    positive_class,
    predictions_of,
)
from .verdict import FEW, MAX_SEEN, OURS, How


@dataclass(frozen=True, eq=False)
class Parts:
    """A table divided into training rows and test rows.

    Parameters
    ----------
    stream : Streamed or None
        The whole table, if it does not fit into memory. ``X`` and ``X_test`` are then
        random samples.
    group : str or None
        The column that identifies groups.
    folds : int or None
        The number of cross-validation folds.
    """

    task: Task
    X: Frame
    y: np.ndarray
    weight: np.ndarray
    X_test: Frame
    y_test: np.ndarray
    weight_test: np.ndarray
    notes: list[str] = field(default_factory=list)
    dependence: Dependence = field(default_factory=Dependence)
    reading: NumberReading | None = None
    stream: Streamed | None = None
    group: str | None = None
    folds: int | None = None

    @classmethod
    def untested(
        cls, task: Task, X: Frame, y: np.ndarray, weight: np.ndarray, **settings: Any
    ) -> "Parts":
        """Return training rows without test rows."""
        return cls(
            task,
            X,
            y,
            weight,
            X_test=X[:0],
            y_test=y[:0],
            weight_test=weight[:0],
            **settings,
        )

    @property
    def rows(self) -> int:
        """The number of all training rows, even if only a sample is in memory."""
        return len(self.y) if self.stream is None else self.stream.rows

    @property
    def has_test(self) -> bool:
        """Whether there are test rows."""
        return len(self.y_test) > 0

    @property
    def training(self) -> dict[str, Any]:
        """The arguments of ``fit``."""
        if self.stream is not None:
            return {"X": self.stream}
        together = {"groups": self.dependence.groups, "time": self.dependence.time}
        return {"X": self.X, "y": self.y, "sample_weight": self.weight, **together}

    def split(self, rows: np.ndarray, test_rows: np.ndarray) -> "Parts":
        """Divide the training rows into training rows and test rows."""
        return replace(
            self,
            X=self.X.iloc[rows],
            y=self.y[rows],
            weight=self.weight[rows],
            X_test=self.X.iloc[test_rows],
            y_test=self.y[test_rows],
            weight_test=self.weight[test_rows],
            dependence=self.dependence[rows],
        )

    @property
    def whole(self) -> "Parts":
        """All rows as training rows, without their dependence."""
        X = pandas().concat([self.X, self.X_test])
        X.attrs["aside"] = self.X.attrs["aside"]
        weight = np.append(self.weight, self.weight_test)
        return Parts.untested(
            self.task, X, np.append(self.y, self.y_test), weight, notes=self.notes
        )

    @property
    def training_of_all(self) -> dict[str, Any]:
        """The arguments of ``refit`` for the training and test rows."""
        if self.stream is not None:
            return {"X": self.stream.whole()}
        whole = self.whole
        return {"X": whole.X, "y": whole.y, "sample_weight": whole.weight}


def measured_unseen(
    model, parts: Parts, seed: int, *, baselines: bool = True
) -> Measured:
    """Return predictions of the model and baselines on the test rows, or out of fold without test rows."""
    if parts.has_test:
        predictions = {OURS: predictions_of(model, parts.X_test)}
        if baselines:
            rows = np.arange(len(parts.y))
            predictions |= baseline_predictions(
                model, parts, rows, X_test=parts.X_test, seed=seed
            )
        return _measured("test", model, parts, predictions, seed=seed)
    predictions = {OURS: model.out_of_fold_}
    if not baselines:
        return _measured("out of fold", model, parts, predictions, seed=seed)
    y = as_learned(model, parts.y)
    fold = parts.dependence.folds(y, model._members(len(y)), seed)
    predictions |= baselines_by_folds(
        model, parts, splits(fold, is_time=parts.dependence.is_time), seed
    )
    thresholds = _thresholds_of_other_rows(model, parts.weight, y, fold)
    return _measured(
        "out of fold", model, parts, predictions, seed=seed, thresholds=thresholds
    )


def _thresholds_of_other_rows(
    model, weight: np.ndarray, y: np.ndarray, fold: np.ndarray
) -> np.ndarray | None:
    """Return the threshold of each training row, which does not depend on the row, or None without thresholds."""
    thresholds = thresholds_of(model, len(y))
    if thresholds is None:
        return None
    positive = positive_of(model)
    rule = ThresholdRule.of(model.threshold)
    other_half = rule.of_other_half(
        model.out_of_fold_[:, positive], y == positive, weight, fold
    )
    return np.where(np.isnan(other_half), thresholds, other_half)


def checkpoint_part(model, name: str):
    """Return a part of the model's checkpoint, if any."""
    return model.checkpoint and model.checkpoint._part(name)


def cross_validated(
    model,
    parts: Parts,
    count: int,
    seed: int,
    progress: Callable[[Progress], object] | None,
    fold: np.ndarray | None = None,
    *,
    is_time: bool = False,
) -> Measured:
    """Return cross-validated predictions of the training rows, and train the models of all folds together.

    With times, each fold is predicted by a model that was trained on earlier rows. With
    ``fold`` and ``is_time``, each fold is predicted by a model that was trained on rows
    with smaller numbers.

    Raises
    ------
    TableError
        If too few rows remain when a fold is left out.
    KeyboardInterrupt
        If training is interrupted.
    """
    if fold is None:
        is_time = parts.dependence.is_time
        fold = parts.dependence.folds(as_learned(model, parts.y), count, seed)
    folds = [np.flatnonzero(fold == number) for number in range(fold.max() + 1)]
    learned = [rows for rows, _ in splits(fold, is_time=is_time)]
    models = _models_of_folds(model, parts, learned, progress)
    predictions = []
    thresholds = thresholds_of(model, len(parts.y))
    for rows, fold_model in zip(folds, models, strict=True):
        predicted = predictions_of(fold_model, parts.X.iloc[rows])
        if is_classifier(model):  # the model of a fold may have fewer classes
            P = np.zeros((len(rows), len(model.classes_)))
            P[:, class_numbers(fold_model.classes_, model.classes_)] = predicted
            predicted = P
        predictions.append((rows, predicted))
        if thresholds is not None:
            thresholds[rows] = fold_model.threshold_
    ours = {OURS: out_of_fold(predictions, len(parts.y))}
    baselines = baselines_by_folds(model, parts, zip(learned, folds, strict=True), seed)
    both = ours | baselines
    return _measured(
        "cross-validation",
        model,
        parts,
        both,
        seed=seed,
        thresholds=thresholds,
        folds=folds,
    )


def _models_of_folds(
    model,
    parts: Parts,
    learned: Sequence[np.ndarray],
    progress: Callable[[Progress], object] | None,
) -> list[Any]:
    """Train a model on the rows to learn of each fold, all models together."""
    models: list[Any] = [clone(model) for _ in learned]
    for fold_model in models:
        fold_model.set_params(checkpoint=checkpoint_part(model, "cv"))
        if is_classifier(model):
            fold_model.set_params(positive=positive_class(model))
    try:
        fit_many(
            models, [parts.split(rows, rows[:0]).training for rows in learned], progress
        )
    except TableError as error:
        raise TableError(
            f"In a fold of the cross-validation: {error} Lower --cv, or leave it out."
        ) from error
    if any(fold_model._is_interrupted for fold_model in models):
        raise KeyboardInterrupt
    return models


BY_CHANCE = 0.2
"""Duplicates are not random if shuffled columns result in at most this fraction of
them.
"""


def with_duplicates(measured: Measured) -> Measured:
    """Count duplicates of training rows, if the model may be better only because of them.

    Rows of few categories are often equal by chance. They are not counted.
    """
    assert measured.learned is not None
    encoder = measured.model.encoder_
    trained = digests(encoder, measured.learned.X, measured.learned.y)
    if measured.how == "test":
        is_seen = np.isin(digests(encoder, measured.X, measured.truth), trained)
    elif measured.how == "cross-validation":
        scored = digests(encoder, measured.X, measured.truth)
        is_seen = np.zeros(len(scored), bool)
        for rows in measured.folds:
            is_seen[rows] = np.isin(scored[rows], np.delete(scored, rows))
    else:
        return measured
    count = int(is_seen.sum())
    if count <= MAX_SEEN * len(is_seen) or not (
        measured.verdict and measured.verdict.is_positive
    ):
        return measured
    rng = np.random.default_rng(measured.seed)
    shuffled = measured.learned.X.apply(rng.permutation)
    by_chance = (
        pandas()
        .Series(digests(encoder, shuffled, measured.learned.y))
        .duplicated(keep=False)
        .mean()
    )
    if by_chance > BY_CHANCE * count / len(is_seen):
        return measured
    if len(is_seen) - count >= FEW:
        rest = _some_rows(measured, ~is_seen).verdict
        if rest is not None and rest.is_positive:
            return measured
    return replace(measured, trained_on=count)


def _some_rows(measured: Measured, rows: np.ndarray) -> Measured:
    """Return some of the scored rows."""
    return replace(
        measured,
        X=measured.X[rows],
        index=measured.index[rows],
        truth=measured.truth[rows],
        weight=measured.weight[rows],
        predictions={name: Y[rows] for name, Y in measured.predictions.items()},
        thresholds=None if measured.thresholds is None else measured.thresholds[rows],
        groups=None if measured.groups is None else measured.groups[rows],
    )


def baseline_predictions(
    model, parts: Parts, rows: np.ndarray, *, X_test, seed: int
) -> dict[str, np.ndarray]:
    """Fit baselines on some of the training rows and return their predictions for X_test."""
    y = as_learned(model, parts.y[rows])
    if is_classifier(model):
        is_class = y >= 0
        rows = rows[is_class]
        y = y[is_class]
    weight = parts.weight[rows] * factors_of_classes(
        model, parts.y[rows], parts.weight[rows]
    )
    baselines = Baselines(model.encoder_, parts.X.iloc[rows], X_test, y, weight, seed)
    # several threads would wait for each other on a busy machine
    with threadpool_limits(1):
        if is_classifier(model):
            return baselines.probabilities(len(model.classes_))
        levels = levels_of(model)
        return baselines.quantiles(levels) if levels else baselines.numbers()


def baselines_by_folds(
    model, parts: Parts, pairs: Iterable[tuple[np.ndarray, np.ndarray]], seed: int
) -> dict[str, np.ndarray]:
    """Return the predictions of baselines for all rows, given pairs of the rows to learn and the rows to predict."""
    predictions: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for learned, unseen in pairs:
        X_test = parts.X.iloc[unseen]
        for name, predicted in baseline_predictions(
            model, parts, learned, X_test=X_test, seed=seed
        ).items():
            predictions.setdefault(name, []).append((unseen, predicted))
    return {
        name: out_of_fold(fold_predictions, len(parts.y))
        for name, fold_predictions in predictions.items()
    }


def thresholds_of(model, count: int) -> np.ndarray | None:
    """Return the model's threshold, repeated for each row, or None if the model has none."""
    threshold = getattr(model, "threshold_", None)
    return None if threshold is None else np.full(count, threshold)


def _measured(
    how: How,
    model,
    parts: Parts,
    predictions: dict[str, np.ndarray],
    *,
    seed: int,
    thresholds: np.ndarray | None = None,
    folds: Sequence[np.ndarray] = (),
) -> Measured:
    """Return the predictions of the rows that the model and all baselines can predict."""
    X = parts.X
    y = parts.y
    weight = parts.weight
    if how == "test":
        X = parts.X_test
        y = parts.y_test
        weight = parts.weight_test
    if thresholds is None:
        thresholds = thresholds_of(model, len(y))
    is_predicted = np.all(
        [~np.isnan(Y.reshape(len(Y), -1)[:, 0]) for Y in predictions.values()], axis=0
    )
    positions = np.cumsum(is_predicted) - 1
    X = X[is_predicted]
    return Measured(
        how,
        model,
        X,
        X.index,
        truth=as_learned(model, y[is_predicted]),
        weight=weight[is_predicted],
        predictions={name: Y[is_predicted] for name, Y in predictions.items()},
        learned=Learned(parts.X, as_learned(model, parts.y), parts.rows),
        folds=[positions[rows[is_predicted[rows]]] for rows in folds],
        thresholds=None if thresholds is None else thresholds[is_predicted],
        groups=group_numbers(X[parts.group]) if parts.group in X.columns else None,
        seed=seed,
    )
