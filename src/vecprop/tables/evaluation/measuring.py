"""Evaluation of models and baselines on a test set, out of fold, or by cross-validation."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone, is_classifier
from threadpoolctl import threadpool_limits

from ...train.progress import Progress
from ..classifier import factors_of_classes
from ..encoding.folds import Dependence, group_numbers, splits
from ..ensemble.calibration import positive_of
from ..ensemble.ensemble import out_of_fold
from ..error import TableError, pandas
from ..explaining.column_notes import digests
from ..kinds.formats import NumberReading
from ..objectives import levels_of, objective_of
from ..reading.frames import Frame
from ..streaming.streamed import Streamed
from ..table_model import fit_many
from .baselines import Baselines
from .measured import Learned, Measured
from .targets import (
    Task,
    as_learned,
    class_numbers,
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
    y: ndarray
    weight: ndarray
    X_test: Frame
    y_test: ndarray
    weight_test: ndarray
    notes: list[str] = field(default_factory=list)
    dependence: Dependence = field(default_factory=Dependence)
    reading: NumberReading | None = None
    stream: Streamed | None = None
    group: str | None = None
    folds: int | None = None

    @classmethod
    def untested(
        cls, task: Task, X: Frame, y: ndarray, weight: ndarray, **settings: Any
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
        return {
            "X": self.X,
            "y": self.y,
            "sample_weight": self.weight,
            "groups": self.dependence.groups,
            "time": self.dependence.time,
        }

    def split(self, rows: ndarray, test_rows: ndarray) -> "Parts":
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
    def combined(self) -> "Parts":
        """All rows as training rows, without their dependence."""
        X = pandas().concat([self.X, self.X_test])
        X.attrs["aside"] = self.X.attrs["aside"]
        y = np.concatenate([self.y, self.y_test])
        weight = np.append(self.weight, self.weight_test)
        return Parts.untested(self.task, X, y, weight, notes=self.notes)

    @property
    def training_of_all(self) -> dict[str, Any]:
        """The arguments of ``refit`` for the training and test rows."""
        if self.stream is not None:
            return {"X": self.stream.whole()}
        combined = self.combined
        return {"X": combined.X, "y": combined.y, "sample_weight": combined.weight}


def measured_unseen(
    model, parts: Parts, seed: int, *, baselines: bool = True
) -> Measured:
    """Return predictions of the test rows, or out of fold without test rows."""
    if parts.has_test:
        predictions = {OURS: predictions_of(model, parts.X_test)}
        if baselines:
            predictions |= baseline_predictions(model, parts, seed)
        return _measured("test", model, parts, predictions, seed=seed)
    predictions = {OURS: model.out_of_fold_}
    thresholds = None
    if baselines:
        y = as_learned(model, parts.y)
        fold = parts.dependence.folds(y, model._members(len(y)), seed)
        pairs = splits(fold, is_time=parts.dependence.is_time)
        predictions |= baselines_by_folds(model, parts, pairs, seed)
        thresholds = _thresholds_of_other_rows(model, parts.weight, y, fold)
    return _measured(
        "out of fold", model, parts, predictions, seed=seed, thresholds=thresholds
    )


def _thresholds_of_other_rows(
    model, weight: ndarray, y: ndarray, fold: ndarray
) -> ndarray | None:
    """Return the thresholds of training rows, each chosen on other rows, or None."""
    thresholds = thresholds_of(model, len(y))
    if thresholds is None:
        return None
    positive = positive_of(model)
    rule = model._threshold_rule
    other_half = rule.of_other_half(
        model.out_of_fold_[:, positive], y == positive, weight, fold
    )
    return np.where(np.isnan(other_half), thresholds, other_half)


def cross_validated(
    model,
    parts: Parts,
    count: int,
    seed: int,
    progress: Callable[[Progress], object] | None,
    fold: ndarray | None = None,
    *,
    is_time: bool = False,
) -> Measured:
    """Return cross-validated predictions of the training rows.

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
    pairs = zip(learned, folds, strict=True)
    return _measured(
        "cross-validation",
        model,
        parts,
        ours | baselines_by_folds(model, parts, pairs, seed),
        seed=seed,
        thresholds=thresholds,
        folds=folds,
    )


def _models_of_folds(
    model,
    parts: Parts,
    learned: Sequence[ndarray],
    progress: Callable[[Progress], object] | None,
) -> list[Any]:
    """Train a model on the rows to learn of each fold, all models together."""
    models: list[Any] = [clone(model) for _ in learned]
    for fold_model in models:
        fold_model.set_params(checkpoint=model._checkpoint_part("cv"))
        if is_classifier(model):
            fold_model.set_params(positive=positive_class(model))
    tables = [parts.split(rows, rows[:0]).training for rows in learned]
    try:
        fit_many(models, tables, progress)
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
    X, y, _ = measured.learned
    if measured.how not in ("test", "cross-validation"):
        return measured
    scored = digests(encoder, measured.X, measured.truth)
    if measured.how == "test":
        is_seen = np.isin(scored, digests(encoder, X, y))
    else:
        is_seen = np.zeros(len(scored), bool)
        for rows in measured.folds:
            is_seen[rows] = np.isin(scored[rows], np.delete(scored, rows))
    count = int(is_seen.sum())
    if count <= MAX_SEEN * len(is_seen):
        return measured
    if not measured.verdict or not measured.verdict.is_positive:
        return measured
    rng = np.random.default_rng(measured.seed)
    shuffled = digests(encoder, X.apply(rng.permutation), y)
    by_chance = pandas().Series(shuffled).duplicated(keep=False).mean()
    if by_chance > BY_CHANCE * count / len(is_seen):
        return measured
    if len(is_seen) - count >= FEW:
        unseen = measured._take(~is_seen).verdict
        if unseen is not None and unseen.is_positive:
            return measured
    return replace(measured, trained_on=count)


def baseline_predictions(model, parts: Parts, seed: int) -> dict[str, ndarray]:
    """Fit baselines on the training rows and return their predictions of the test rows."""
    y = as_learned(model, parts.y)
    if is_classifier(model):
        is_class = y >= 0
        y = y[is_class]
        parts = replace(
            parts,
            X=parts.X[is_class],
            y=parts.y[is_class],
            weight=parts.weight[is_class],
        )
    weight = parts.weight * factors_of_classes(model, parts.y, parts.weight)
    baselines = Baselines(model.encoder_, parts.X, parts.X_test, y, weight, seed)
    # several threads would wait for each other on a busy machine
    with threadpool_limits(1):
        if is_classifier(model):
            return baselines.probabilities(len(model.classes_))
        levels = levels_of(model)
        if levels:
            return baselines.quantiles(levels)
        exposure = model._exposure_of(parts.X)
        baselines = replace(baselines, y=y / exposure, weight=weight * exposure)
        rates = baselines.numbers(objective_of(model))
        exposure = model._exposure_of(parts.X_test)
        return {name: Y * exposure for name, Y in rates.items()}


def baselines_by_folds(
    model, parts: Parts, pairs: Iterable[tuple[ndarray, ndarray]], seed: int
) -> dict[str, ndarray]:
    """Return the predictions of baselines, given the rows to learn and to predict by fold."""
    predictions = {}
    for learned, unseen in pairs:
        fold = parts.split(learned, unseen)
        for name, predicted in baseline_predictions(model, fold, seed).items():
            predictions.setdefault(name, []).append((unseen, predicted))
    return {
        name: out_of_fold(fold_predictions, len(parts.y))
        for name, fold_predictions in predictions.items()
    }


def thresholds_of(model, count: int) -> ndarray | None:
    """Return the model's threshold, repeated for each row, or None if the model has none."""
    threshold = getattr(model, "threshold_", None)
    return None if threshold is None else np.full(count, threshold)


def _measured(
    how: How,
    model,
    parts: Parts,
    predictions: dict[str, ndarray],
    *,
    seed: int,
    thresholds: ndarray | None = None,
    folds: Sequence[ndarray] = (),
) -> Measured:
    """Return the predictions of the rows that the model and all baselines can predict."""
    learned = Learned(parts.X, as_learned(model, parts.y), parts.rows)
    X = parts.X
    truth = learned.y
    weight = parts.weight
    if how == "test":
        X = parts.X_test
        truth = as_learned(model, parts.y_test)
        weight = parts.weight_test
    if thresholds is None:
        thresholds = thresholds_of(model, len(truth))
    is_predicted = np.full(len(truth), True)
    for Y in predictions.values():
        is_predicted &= ~np.isnan(Y.reshape(len(Y), -1)[:, 0])
    positions = np.cumsum(is_predicted) - 1
    measured = Measured(
        how,
        model,
        X,
        X.index,
        truth=truth,
        weight=weight,
        predictions=predictions,
        learned=learned,
        folds=[positions[rows[is_predicted[rows]]] for rows in folds],
        thresholds=thresholds,
        seed=seed,
    )._take(is_predicted)
    if parts.group not in measured.X.columns:
        return measured
    return replace(measured, groups=group_numbers(measured.X[parts.group]))
