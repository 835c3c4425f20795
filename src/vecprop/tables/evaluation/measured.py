"""The predictions of a model and its baselines, their metrics, and the verdict."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy import ndarray
from threadpoolctl import threadpool_limits

from ...system.estimates import Estimate, Text, compared
from ...system.suggestions import SuggestsNames
from ..ensemble.calibration import decided, positive_of
from ..error import RequestError
from ..explaining.importance import Importance, WorstRow, importances, worst_rows
from ..objectives import levels_of, objective_of
from ..table_model import TableModel
from .baselines import NAIVE
from .metrics import (
    Metrics,
    Scores,
    columns_of_text,
    estimates,
    metrics_of_classes,
    metrics_of_numbers,
    metrics_of_quantiles,
    spreads,
    title,
)
from .summary import summary_of
from .targets import positive_class
from .verdict import FEW, FEW_UNITS, OURS, How, Verdict, verdict_of, widening

MARGIN = "margin"
NOTABLE = 0.01
"""Baselines whose loss exceeds the naive loss by more than this fraction are
reported.
"""
CHANCE = (
    "On small tables such scores can show skill by chance, so intervals of differences"
    " are doubled."
)


class Learned(NamedTuple):
    """Training rows or a sample, their encoded targets, and the number of all rows."""

    X: Any
    y: ndarray
    rows: int


@dataclass(frozen=True, eq=False)
class Measured(SuggestsNames):
    """Scored rows with the predictions of the model and the baselines.

    Parameters
    ----------
    how : "table", "test", "out of fold" or "cross-validation"
        "table": the rows of any table. "test": rows that were held out. "out of fold":
        training rows, each predicted by networks that have not seen it.
        "cross-validation": training rows, each predicted by a model trained without it.
    X : DataFrame or None
        The inputs, or None if only the predictions were stored. The field ``index``
        always contains their index.
    truth : ndarray (N,)
        The target: numbers, or class indices, with -1 for unknown classes.
    predictions : dict of str to ndarray
        The predictions of the model and then of each baseline: probabilities (N, C),
        numbers (N,) or quantiles (N, L).
    folds : list of ndarray
        The rows of each cross-validation fold.
    thresholds : ndarray (N,), optional
        The decision threshold of each row.
    judgements : list of Judgement
        The scores on later rows or new groups.
    """

    how: How
    model: Any
    X: Any
    index: Any
    truth: ndarray
    weight: ndarray
    predictions: dict[str, ndarray]
    learned: Learned | None = None
    folds: list[ndarray] = field(default_factory=list)
    thresholds: ndarray | None = None
    groups: ndarray | None = None
    seed: int = 0
    trained_on: int = 0
    notes: list[str] = field(default_factory=list)
    judgements: Sequence[Any] = ()

    @property
    def is_classifier(self) -> bool:
        """Whether the model predicts classes."""
        return hasattr(self.model, "classes_")

    @property
    def has_test(self) -> bool:
        """Whether the rows differ from the training rows."""
        return self.how in ("table", "test")

    @property
    def predicted(self) -> ndarray:
        """The model's probabilities or predictions, or the middle one of three quantiles."""
        Y = self.predictions[OURS]
        levels = levels_of(self.model)
        return Y[:, len(levels) // 2] if levels else Y

    @property
    def decided(self) -> ndarray:
        """The index of the predicted class of each row."""
        return decided(self.predicted, self.thresholds, self.model)

    @property
    def units(self) -> int:
        """The number of scored groups, or of scored rows without groups."""
        return len(self.truth) if self.groups is None else len(np.unique(self.groups))

    def _take(self, rows: ndarray) -> Self:
        """Return some of the scored rows, given a mask or indices."""
        predictions = {name: Y[rows] for name, Y in self.predictions.items()}
        taken = replace(
            self,
            X=self.X.iloc[rows],
            index=self.index[rows],
            truth=self.truth[rows],
            weight=self.weight[rows],
            predictions=predictions,
        )
        if self.thresholds is not None:
            taken = replace(taken, thresholds=self.thresholds[rows])
        if self.groups is not None:
            taken = replace(taken, groups=self.groups[rows])
        return taken

    @property
    def _metric_functions(self) -> dict[str, Metrics[str]]:
        """The metrics of the model and of each baseline. The first metric is the loss."""
        levels = levels_of(self.model)
        functions = {}
        for name, Y in self.predictions.items():
            if self.is_classifier:
                classes = decided(Y, self.thresholds, self.model)
                positive = positive_of(self.model)
                functions[name] = metrics_of_classes(
                    self.truth, Y, classes, self.weight, positive
                )
            elif levels:
                functions[name] = metrics_of_quantiles(self.truth, Y, levels)
            else:
                functions[name] = metrics_of_numbers(
                    self.truth, Y, objective_of(self.model), weight=self.weight
                )
        return functions

    @cached_property
    def _estimates(self) -> tuple[Scores, dict[str, Estimate]]:
        functions = self._metric_functions

        def metrics(counts: ndarray) -> dict[tuple[str, str], ndarray]:
            values = {}
            for name, function in functions.items():
                for metric, value in function(counts).items():
                    values[name, metric] = value
            _, loss = next(iter(values))
            for name in functions:
                values[name, MARGIN] = values[name, loss] - values[OURS, loss]
            return values

        scores: Scores = {name: {} for name in functions}
        margins = {}
        with threadpool_limits(1):
            pairs = estimates(metrics, self.weight, self.seed, self.groups)
        for (name, metric), estimate in pairs.items():
            if metric == MARGIN:
                margins[name] = estimate.widened(self._widening)
            else:
                scores[name][metric] = estimate
        del margins[OURS]
        return scores, margins

    @property
    def _widening(self) -> float:
        """The ratio of the widths of intervals of differences and of bootstrap intervals."""
        return widening(self.how, self.units, len(self.folds))

    def _judged(self, names: Iterable[str]) -> list[tuple[str, Estimate]]:
        """Return metrics of the model with intervals as wide as intervals of differences."""
        judged = []
        for name in names:
            if name in self.metrics:
                judged.append((name, self.metrics[name].widened(self._widening)))
        return judged

    @property
    def scores(self) -> Scores:
        """The metrics of the model ("vecprop"), followed by the metrics of each baseline."""
        return self._estimates[0]

    @property
    def metrics(self) -> dict[str, Estimate]:
        """The metrics of the model. The first one is the loss that decides the verdict."""
        return self.scores[OURS]

    @property
    def baselines(self) -> Scores:
        """The metrics of each baseline with their intervals."""
        return {name: metrics for name, metrics in self.scores.items() if name != OURS}

    @property
    def _loss(self) -> str:
        """The metric that decides the verdict."""
        return next(iter(self.metrics))

    @property
    def _losses(self) -> dict[str, Estimate]:
        """The loss of the model and of each baseline."""
        return {name: metrics[self._loss] for name, metrics in self.scores.items()}

    @property
    def margins(self) -> dict[str, Estimate]:
        """The loss of each baseline minus the model's loss, on the same bootstrap samples.

        Intervals are wider than bootstrap intervals, see
        `vecprop.tables.evaluation.verdict.widening`.
        """
        return self._estimates[1]

    @cached_property
    def metrics_of_folds(self) -> dict[str, dict[str, list[float]]]:
        """The metrics of the model and the baselines on each fold."""
        scores = {name: {} for name in self.predictions}
        with np.errstate(divide="ignore", invalid="ignore"):  # a fold may lack a class
            for rows in self.folds:
                fold = self._take(rows)
                for name, metrics in fold._metric_functions.items():
                    for metric, (value,) in metrics(fold.weight[None]).items():
                        scores[name].setdefault(metric, []).append(float(value))
        return scores

    @cached_property
    def worst_rows(self) -> list[WorstRow]:
        """The ten rows with the largest loss, worst first, or [] if the model is not tabular."""
        if not isinstance(self.model, TableModel):
            return []
        return worst_rows(
            self.model,
            self.index,
            self.truth,
            self.predicted,
            thresholds=self.thresholds,
        )

    @cached_property
    def importances(self) -> list[Importance]:
        """The rise of the loss when a column is shuffled, or [] if the model is not tabular.

        Bootstrap samples contain whole groups of rows.

        Raises
        ------
        TableError
            If the rows are not in memory, see `evaluate`.
        """
        if not isinstance(self.model, TableModel):
            return []
        if self.X is None:
            raise RequestError(
                "Importances need the rows, which were not stored: evaluate with"
                " baselines=True."
            )
        exposure = self.model._exposure_of(self.X)
        truth = (self.truth / exposure).astype(self.truth.dtype)  # rates
        return importances(
            self.model,
            self.X,
            truth,
            weight=self.weight * exposure,
            groups=self.groups,
            seed=self.seed,
        )

    @cached_property
    def verdict(self) -> Verdict | None:
        """The verdict on the model, or None if it was not compared with baselines."""
        if not self.margins:
            return None
        verdict = verdict_of(self, list(worries_of(self)))
        for judgement in self.judgements:
            verdict = judgement.applied(verdict)
        return verdict

    @property
    def _worse(self):
        """The judgement of a model that is worse on later rows or new groups, or None."""
        return next(
            (judgement for judgement in self.judgements if judgement.is_worse), None
        )

    @property
    def summary(self) -> str:
        """The accuracy, the typical error or the coverage in plain words."""
        if self._worse is None:
            return summary_of(self)
        return f"{self._worse.note} {summary_of(self._worse.measured)}"

    def _text(self, where: str, name: str = OURS) -> str:
        """Return the metrics on all rows and on folds as tables, and the verdict."""
        if self.units > 1:
            where += " (95 % interval)"
        heads = [where, name, *self.baselines]
        paragraphs = [columns_of_text([heads, *self._rows_of_metrics(name)])]
        if self.folds:
            heads = [f"mean ± std over {len(self.folds)} folds", *self.scores]
            paragraphs.append(columns_of_text([heads, *self._rows_of_folds()]))
        if self.verdict is not None:
            paragraphs.append("\n".join([self.verdict.says, *self.verdict.worries]))
        return "\n\n".join(paragraphs)

    def _compared(self, metric: str) -> tuple[dict[str, Text], dict[str, Text]]:
        """Return a metric of all models as text and, for the loss, the differences."""
        margins = self.margins if metric == self._loss else {}
        scores = [metrics[metric] for metrics in self.scores.values()]
        texts = compared(scores, list(margins.values()))
        count = len(scores)
        values = dict(zip(self.scores, texts[:count], strict=True))
        return values, dict(zip(margins, texts[count:], strict=True))

    def _rows_of_metrics(
        self, name: str = OURS, shown: Callable[[Text], Any] = str
    ) -> list[list[Any]]:
        """Return the rows of a table: the title of a metric, and the metric of each model."""
        rows = []
        for metric in self.metrics:
            scores, margins = self._compared(metric)
            heading = title(metric, positive_class(self.model))
            rows.append([heading, *map(shown, scores.values())])
            if margins:
                heading = f"  difference from {name}"
                rows.append([heading, "", *map(shown, margins.values())])
        return rows

    def _rows_of_folds(self) -> list[list[str]]:
        rows = []
        for metric in self.metrics:
            values = [scores[metric] for scores in self.metrics_of_folds.values()]
            rows.append([title(metric, positive_class(self.model)), *spreads(values)])
        return rows


def worries_of(measured: Measured) -> Iterator[str]:
    """Yield problems with the baselines, the probabilities, the rows and training."""
    if measured.trained_on:
        yield (
            f"{measured.trained_on} of {len(measured.truth)} rows are also training"
            " rows, so the metrics are too optimistic."
        )
    if measured.how == "out of fold":
        yield (
            "Without a test set, each training row is predicted by networks that used"
            f" it neither for training nor for early stopping. {CHANCE}"
        )
    yield from _worries_of_baselines(measured)
    yield from _worries_of_few_rows(measured)
    yield from _worries_of_training(measured.model)
    if measured.is_classifier:
        yield from _worries_of_classes(measured)


def _worries_of_baselines(measured: Measured) -> Iterator[str]:
    """Yield notes on baselines and probabilities that are worse than guessing."""
    losses = measured._losses
    least = losses[NAIVE].value * (1 + NOTABLE)
    poor = [name for name in measured.baselines if losses[name].value > least]
    if poor:
        yield (
            "These baselines are worse than guessing (naive), so beating them says"
            f" little: {' and '.join(poor)}."
        )
    explained = measured.metrics.get("d2_log_loss")
    if explained is not None and explained.high < 0:
        reason = ""
        if measured.model.class_weight:
            reason = (
                " because classes are weighted: use them only to rank and to decide"
            )
        yield (
            "The probabilities are less accurate than the class frequencies of these"
            f" rows (D² of log loss is {explained}){reason}."
        )


def _worries_of_few_rows(measured: Measured) -> Iterator[str]:
    """Yield notes on few rows and few groups."""
    rows = len(measured.truth)
    has_groups = measured.groups is not None
    if measured.units < 2:
        unit = "group" if has_groups else "row"
        yield (
            f"Only one {unit} was scored, so there are no intervals: score at least"
            " two."
        )
    elif rows < FEW:
        yield (
            f"Only {rows} rows were scored, so the metrics are imprecise: see their"
            " intervals."
        )
    if has_groups and 1 < measured.units < FEW_UNITS:
        yield (
            f"Only {measured.units} groups were scored, so the intervals are probably"
            " too narrow."
        )


def _worries_of_training(model) -> Iterator[str]:
    """Yield a note if most networks were still improving at the end of training."""
    epochs = model._training(model.trained_rows_.rows).epochs
    curves = model.validation_loss_curves_
    late = 0
    for curve in curves:
        if len(curve) > epochs and np.argmin(curve) >= 0.95 * epochs:
            late += 1
    if 2 * late > len(curves):
        yield (
            f"{late} of {len(curves)} networks were still improving after {epochs}"
            " epochs: raise --max-iter."
        )


def _worries_of_classes(measured: Measured) -> Iterator[str]:
    """Yield notes on rows of only one class, and on classes that are never predicted."""
    model = measured.model
    scored = np.unique(measured.truth)
    if len(scored) == 1 and scored[0] >= 0:
        name = repr(model.classes_.tolist()[scored[0]])
        yield (
            f"All scored rows belong to class {name}, so it is unknown how well the"
            " model separates classes."
        )
    never = np.setdiff1d(scored[scored >= 0], np.unique(measured.decided))
    if not len(never):
        return
    names = ", ".join(map(repr, model.classes_[never[:5]].tolist()))
    if len(never) > 5:
        names += " or others"
    advice = ""
    if len(model.classes_) == 2 and model.threshold is None:
        advice = ": try --threshold f1"
    yield (
        f"No row is predicted as {names}, although some rows belong to these"
        f" classes{advice}."
    )
