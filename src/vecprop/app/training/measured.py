"""What a model and its baselines predict of rows that they have not seen: of a test, or out of fold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sklearn.base import clone, is_classifier

from ...tables.classifier import factors_of_classes
from ...tables.encoding.folds import splits
from ...tables.ensemble.out_of_fold import out_of_fold
from ...tables.ensemble.staged import fit_together
from ...tables.ensemble.threshold import ThresholdRule, decided, positive_of
from ...tables.error import TableError
from ...tables.evaluation.baselines import Baselines
from ...tables.evaluation.metrics import (
    Metric,
    levels_of,
    metrics_of_classes,
    metrics_of_numbers,
    metrics_of_quantiles,
    quantiles_of,
)
from ...train.progress import Progress
from ..models.describing import positive_class
from ..models.known_rows import class_numbers, numbers_of
from .dividing import Parts
from .fitting import was_interrupted

OURS = "vecprop"
How = Literal["test", "out of fold", "cross-validation"]


@dataclass(frozen=True, eq=False)
class Measured:
    """Rows that a model is measured on, and what it and the baselines predict of them.

    Parameters
    ----------
    how : "test", "out of fold" or "cross-validation"
        Rows that were set aside; or those of training, each by the networks that have not seen it; or each by a whole
        model that has not seen it.
    predictions : dict of str to ndarray
        What the model, which is the first, and each baseline predict: probabilities (N, C), numbers (N,), or quantiles
        (N, L).
    """

    how: How
    model: Any
    X: Any
    truth: np.ndarray
    weight: np.ndarray
    predictions: dict[str, np.ndarray]
    folds: list[np.ndarray]
    thresholds: np.ndarray | None

    @property
    def predicted(self) -> np.ndarray:
        """The model's probabilities (N, C) or predictions (N,), which are the middle ones of quantiles."""
        Y, levels = self.predictions[OURS], levels_of(self.model)
        return Y[:, len(levels) // 2] if levels else Y

    @property
    def decided(self) -> np.ndarray:
        """The index of the class that is predicted for each row, (N,)."""
        return decided(self.predicted, self.thresholds, self.model)

    def metrics(self, rows: Any = slice(None)) -> dict[str, dict[str, Metric]]:
        """Return the metrics of the model and of each baseline on all or some of the rows; the first is the loss."""
        return {name: self._metrics(Y, rows) for name, Y in self.predictions.items()}

    def _metrics(self, Y: np.ndarray, rows: Any) -> dict[str, Metric]:
        truth, Y, weight = self.truth[rows], Y[rows], self.weight[rows]
        if is_classifier(self.model):
            thresholds = None if self.thresholds is None else self.thresholds[rows]
            positive = positive_of(self.model)
            return metrics_of_classes(truth, Y, decided(Y, thresholds, self.model), weight, positive)
        levels = levels_of(self.model)
        return metrics_of_quantiles(truth, Y, levels) if levels else metrics_of_numbers(truth, Y)

    def of_folds(self) -> dict[str, dict[str, list[float]]]:
        """Return the metrics of the model and of each baseline on each fold."""
        found: dict[str, dict[str, list[float]]] = {}
        for rows in self.folds:
            with np.errstate(divide="ignore", invalid="ignore"):  # a fold may lack a class
                for name, metrics in self.metrics(rows).items():
                    for metric, of in metrics.items():
                        value = float(of(self.weight[None, rows])[0])
                        found.setdefault(name, {}).setdefault(metric, []).append(value)
        return found


def on_test(model: Any, parts: Parts, seed: int) -> Measured:
    """Return a model's predictions of the test, and those of baselines."""
    ours, every = without_baselines(model, parts), np.arange(len(parts.y))
    baselines = _baselines(model, parts, every, parts.X_test, seed)
    return replace(ours, predictions=ours.predictions | baselines)


def without_baselines(model: Any, parts: Parts) -> Measured:
    """Return a model's predictions of rows that it has not seen, at once, as for a training that Ctrl-C has ended."""
    if not parts.has_test:
        return _out_of_fold("out of fold", model, parts, model.out_of_fold_, [], [], _thresholds(model, len(parts.y)))
    truth, predictions = as_learned(model, parts.y_test), {OURS: predictions_of(model, parts.X_test)}
    thresholds = _thresholds(model, len(truth))
    return Measured("test", model, parts.X_test, truth, parts.weight_test, predictions, [], thresholds)


def unseen_in_training(model: Any, parts: Parts, seed: int) -> Measured:
    """Return predictions of the rows of training by networks, and by baselines, that have not seen them."""
    fold = parts.dependence.folds(as_learned(model, parts.y), model.members(len(parts.y)), seed)
    baselines = [
        (unseen, _baselines(model, parts, learned, parts.X.iloc[unseen], seed))
        for learned, unseen in splits(fold, is_time=parts.dependence.is_time)
    ]
    thresholds = _thresholds(model, len(parts.y))
    if thresholds is not None:  # a row has no say in the threshold by which it is decided
        positive = positive_of(model)
        p, is_positive = model.out_of_fold_[:, positive], as_learned(model, parts.y) == positive
        of_others = ThresholdRule.of(model.threshold).of_other_half(p, is_positive, parts.weight, fold)
        thresholds = np.where(np.isnan(of_others), thresholds, of_others)
    return _out_of_fold("out of fold", model, parts, model.out_of_fold_, baselines, [], thresholds)


def cross_validated(
    model: Any, parts: Parts, count: int, seed: int, progress: Callable[[Progress], object] | None
) -> Measured:
    """Return predictions of the rows of training by models of other folds, which are trained as one population.

    With times, each fold is predicted by a model of the rows before it.

    Raises
    ------
    TableError
        If there are too few rows to learn from without a fold.
    KeyboardInterrupt
        If training is interrupted.
    """
    fold = parts.dependence.folds(as_learned(model, parts.y), count, seed)
    folds = [np.flatnonzero(fold == number) for number in range(fold.max() + 1)]
    learned = [learned for learned, _ in splits(fold, is_time=parts.dependence.is_time)]
    models: list[Any] = [clone(model) for _ in folds]
    for of_fold in models:
        of_fold.set_params(
            **({"positive": positive_class(model)} if is_classifier(model) else {}),
            stages=model.stages_,
            budget=None,
            checkpoint=model.checkpoint and model.checkpoint.part("cv"),
        )
    try:
        fit_together(models, [parts.training_of(rows) for rows in learned], progress)
    except TableError as error:
        raise TableError(f"In a fold of the cross-validation: {error} Lower --cv, or leave it out.") from error
    if any(map(was_interrupted, models)):
        raise KeyboardInterrupt
    ours = [predictions_of(of_fold, parts.X.iloc[rows]) for of_fold, rows in zip(models, folds, strict=True)]
    if is_classifier(model):
        ours = [_of_classes(model, of_fold, P) for of_fold, P in zip(models, ours, strict=True)]
    baselines = [
        (rows, _baselines(model, parts, of_fold, parts.X.iloc[rows], seed))
        for rows, of_fold in zip(folds, learned, strict=True)
    ]
    of_rows = out_of_fold(zip(folds, ours, strict=True), len(parts.y))
    thresholds = _thresholds(model, len(parts.y))
    if thresholds is not None:
        for rows, of_fold in zip(folds, models, strict=True):
            thresholds[rows] = of_fold.threshold_
    return _out_of_fold("cross-validation", model, parts, of_rows, baselines, folds, thresholds)


def predictions_of(model: Any, X: Any) -> np.ndarray:
    """Return a model's probabilities (N, C), predictions (N,) or quantiles (N, L)."""
    if is_classifier(model):
        return model.predict_proba(X)
    return quantiles_of(model, X) if levels_of(model) else model.predict(X)


def as_learned(model: Any, y: np.ndarray) -> np.ndarray:
    """Return targets as numbers, or as indices of the model's classes."""
    return class_numbers(y, model.classes_) if is_classifier(model) else numbers_of(y, model.target)


def _baselines(model: Any, parts: Parts, rows: np.ndarray, X_test: Any, seed: int) -> dict[str, np.ndarray]:
    """Return what baselines that learn from some rows of training predict of others."""
    y, weight, levels = parts.y[rows], parts.weight[rows], levels_of(model)
    weight = weight * factors_of_classes(model, y, weight)
    baselines = Baselines(model.encoder_, parts.X.iloc[rows], X_test, as_learned(model, y), weight, seed)
    if is_classifier(model):
        return baselines.of_classes(len(model.classes_))
    return baselines.of_quantiles(levels) if levels else baselines.of_numbers()


def _thresholds(model: Any, count: int) -> np.ndarray | None:
    """Return the threshold of a number of rows, which is that of a model; None if it has none."""
    threshold = getattr(model, "threshold_", None)
    return None if threshold is None else np.full(count, threshold)


def _of_classes(model: Any, of_fold: Any, P: np.ndarray) -> np.ndarray:
    """Return the probabilities of a model's classes by one that may know fewer."""
    all_classes = np.zeros((len(P), len(model.classes_)))
    all_classes[:, class_numbers(of_fold.classes_, model.classes_)] = P
    return all_classes


def _out_of_fold(
    how: How,
    model: Any,
    parts: Parts,
    ours: np.ndarray,
    baselines: list[tuple[np.ndarray, dict[str, np.ndarray]]],
    folds: list[np.ndarray],
    thresholds: np.ndarray | None,
) -> Measured:
    """Return the rows of training that were predicted by all."""
    names = baselines[0][1] if baselines else ()
    each = {OURS: ours} | {
        name: out_of_fold(((rows, of[name]) for rows, of in baselines), len(parts.y)) for name in names
    }
    is_known = np.all([~np.isnan(Y.reshape(len(Y), -1)[:, 0]) for Y in each.values()], axis=0)
    rows = np.flatnonzero(is_known)
    places = np.cumsum(is_known) - 1
    return Measured(
        how,
        model,
        parts.X.iloc[rows],
        as_learned(model, parts.y[rows]),
        parts.weight[rows],
        {name: Y[rows] for name, Y in each.items()},
        [places[of_fold[is_known[of_fold]]] for of_fold in folds],
        None if thresholds is None else thresholds[rows],
    )
