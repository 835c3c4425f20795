"""The evaluation of a model on a table: `evaluate` and its result, `Evaluation`."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.utils.validation import check_is_fitted

from ...core import suggests_keywords
from ..encoding.folds import Dependence, group_numbers, splits
from ..error import RequestError, TableError, pandas, ranked
from ..explaining.drift import DriftMonitor
from ..reading.delimited import require_columns
from ..reading.frames import Frame, as_frame
from ..reading.reading import may_be_in_parts
from ..reading.table_parts import frames_of
from ..rows import Roles, UsedRows
from ..streaming.memory_plan import require_room
from ..table_model import TableModel
from .measured import OURS, Learned, Measured
from .measuring import Parts, baseline_predictions, baselines_by_folds, thresholds_of
from .report import page_of
from .several_targets import EvaluationOfTargets, tables_of_targets
from .targets import (
    as_learned,
    classes_of,
    has_several_targets,
    plain_target,
    predictions_of,
    target_named,
    task_of,
)

FOLDS = 5
"""Number of folds for baselines that are cross-validated on the table."""
MIN_ROWS = 20
"""Minimum number of rows for baselines that are cross-validated on the table."""


@dataclass(frozen=True, eq=False)
class Evaluation(Measured):
    """The result of `evaluate`. ``print`` shows the metrics and the verdict.

    Attributes
    ----------
    metrics : dict of str to Estimate
        The model's metrics. An estimate has a ``value`` and the ends of its 95 %
        interval, ``low`` and ``high``. The first metric is the loss that decides the
        verdict.
    baselines : dict of str to dict
        The metrics of each baseline.
    margins : dict of str to Estimate
        The loss of each baseline minus the model's loss.
    summary : str
        The accuracy, the typical error or the coverage of the model in plain words.
    verdict : Verdict or None
        Whether the model beats the baselines: ``level``, ``says`` (as text), and
        ``worries`` about the result.
    worst_rows : list of WorstRow
        The ten rows with the largest loss.
    importances : list of Importance
        The increase of the loss when the values of a column are shuffled.
    trained_on : int
        The number of rows that are duplicates of a training row, including the target.
        For more than 10,000 training rows, the number is an estimate. If chance
        explains the duplicates, the number is 0.
    notes : list of str
        Differences between the table and the training data, and rows that are left out.
    how : str
        How the rows were scored: "table" (any table), "test" (rows that were held out),
        "out of fold" (training rows, predicted by networks that were not trained on the
        row) or "cross-validation" (training rows, predicted by models that were not
        trained on the row).
    has_test, is_classifier : bool
        Whether the rows differ from the training rows, and whether the model predicts
        classes.
    model : estimator
        The model.
    X, index : DataFrame or None, and Index
        The inputs, or None if only the predictions were stored, and the index of the
        rows.
    truth, weight, groups : ndarray (N,)
        The targets (numbers, or class indices, with -1 for unknown classes), the
        weights and the groups or None.
    predictions : dict of str to ndarray
        The predictions of the model and then of each baseline: probabilities (N, C),
        numbers (N,) or quantiles (N, L).
    predicted, decided : ndarray
        The model's probabilities or predictions, and the index of the predicted class
        of each row.
    thresholds : ndarray (N,) or None
        The decision threshold of each row.
    scores : dict of str to dict
        The metrics of the model and of each baseline.
    folds, metrics_of_folds : list of ndarray and dict
        The rows of each cross-validation fold, and the metrics of each model on them.
    units : int
        The number of independent rows or groups.
    learned : tuple or None
        The training rows and their targets, if they were passed.
    seed : int
        The seed of the intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularRegressor
    >>> table = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0) ** 2})
    >>> model = TabularRegressor("y", n_estimators=2, max_iter=5, random_state=0).fit(table[::2])
    >>> evaluation = evaluate(model, table[1::2])
    >>> list(evaluation.metrics), evaluation.trained_on
    (['rmse', 'mae', 'r2'], 0)
    >>> evaluation.to_frame().columns.tolist()
    ['model', 'metric', 'value', 'low', 'high']
    """

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML report with metrics, columns, errors, calibration and training.

        Parameters
        ----------
        path : path
            The file, such as ``report.html``. An existing file is replaced.

        Raises
        ------
        TableError
            If the model is not tabular, or the rows are not in memory, see `evaluate`.
        ImportError
            If Matplotlib is not installed.
        """
        self._require_rows(path)
        Path(path).write_text(page_of(self), encoding="utf-8")

    def _require_rows(self, path: str | os.PathLike[str]):
        """Raise an error if a report cannot be written."""
        if not isinstance(self.model, TableModel):
            raise RequestError(
                f"A report needs a tabular model, got a {type(self.model).__name__}."
            )
        if self.X is None:
            raise RequestError(
                "A report needs the rows, which were not stored: evaluate with"
                " baselines=True."
            )
        if Path(path).is_dir():
            raise IsADirectoryError(
                f"{path} is a folder: choose the name of a file in it."
            )

    def to_frame(self) -> Any:
        """Return the metrics as a data frame with the columns model, metric, value, low and high."""
        rows = []
        for name, metrics in self.scores.items():
            for metric, estimate in metrics.items():
                rows.append((name, metric, estimate.value, estimate.low, estimate.high))
        return pandas().DataFrame(
            rows, columns=["model", "metric", "value", "low", "high"]
        )

    def __repr__(self) -> str:
        return f"{self.summary}\n\n{self._text(f'on {len(self.truth)} rows')}"


@suggests_keywords
def evaluate(
    model: Any,
    table: Any,
    y: Any = None,
    *,
    target: str | None = None,
    weight: str | None = None,
    groups: str | None = None,
    training: Any = None,
    baselines: bool = True,
    seed: int = 0,
) -> Evaluation:
    """Compute metrics with intervals on labeled rows, and compare the model with simple baselines.

    A note reports how many rows are duplicates of training rows, because metrics of
    such rows are too optimistic.

    Parameters
    ----------
    model : TabularClassifier, TabularRegressor, or another fitted estimator
        The model. A classifier needs ``predict_proba``. Only tabular models have
        baselines, worst rows and reports.
    table : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), Arrow
    stream, array (N, I), path or list of paths
        The rows, with a target column unless ``y`` is given.
    y : array (N,), optional
        The target of each row.
    target : str, optional
        The target column. By default, this is the target column of the model.
    weight : str, optional
        The column of sample weights. By default, all weights are 1.
    groups : str, optional
        The column of groups, such as patients. The intervals are then valid for new
        groups.
    training : table, or pair of table and target, optional
        The training rows of the model. The baselines are fitted to these rows. By
        default, the baselines are cross-validated on ``table`` with five folds, and a
        note reports this.
    baselines : bool, default True
        Whether to compare the model with baselines: predictions that ignore the inputs,
        a linear model, and gradient boosting. If False, Parquet and Arrow files are
        read in chunks, and only predictions are stored.
    seed : int, default 0
        The seed of folds, baselines and intervals.

    Returns
    -------
    Evaluation
        The metrics, baselines, verdict, worst rows and notes. The method ``report``
        writes an HTML report. For a model with several targets, the result has an
        evaluation for each target, such as ``result["price"]``, and the methods
        ``to_frame`` and ``report``.

    Raises
    ------
    TableError
        If the table does not fit the model, or the target column is unknown.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop import TabularClassifier
    >>> from vecprop.tables import evaluate
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"age": rng.uniform(20, 80, 300).round(2), "visits": rng.poisson(3, 300)})
    >>> table["buys"] = np.where(table["age"] + rng.normal(0, 5, 300) > 50, "yes", "no")
    >>> model = TabularClassifier("buys", n_estimators=2, max_iter=20, random_state=0).fit(table[:200])
    >>> evaluation = evaluate(model, table[200:], training=table[:200])
    >>> evaluation.metrics["accuracy"].value > 0.8, list(evaluation.baselines)
    (True, ['naive', 'logistic regression', 'gradient boosting'])
    >>> evaluate(model, table[150:], baselines=False).trained_on
    50
    """
    _require_arguments(model, {"weight": weight, "groups": groups})
    settings = {
        "weight": weight,
        "groups": groups,
        "baselines": baselines,
        "seed": seed,
    }
    if has_several_targets(model):
        evaluations = evaluate_targets(model, table, y, training, settings)
        return evaluations if target is None else evaluations[target]
    return evaluate_one(model, table, y, target=target, training=training, **settings)


def evaluate_one(
    model: Any,
    table: Any,
    y: Any = None,
    *,
    target: str | None = None,
    weight: str | None,
    groups: str | None,
    training: Any,
    baselines: bool,
    seed: int,
) -> Evaluation:
    """Evaluate a model with one target, see `evaluate`."""
    if y is not None:
        target = str(target or getattr(model, "target", None) or "target")
        table = with_column(table, target, y)
    roles = Roles(target_named(model, target), weight, groups)
    require_room(table)
    frames = frames_of(table, target=roles.target, classes=classes_of(model))
    is_compared = baselines and isinstance(model, TableModel)
    is_in_parts = may_be_in_parts(table)
    if is_compared and is_in_parts:
        frames = [pandas().concat(list(frames))]
    used, masks = _used_rows(frames, roles)
    y = plain_target(model, used.frame, str(roles.target))
    scored = _score_rows(model, frames, masks, y, _columns_without_inputs(model, roles))
    evaluation = Evaluation(
        "table",
        model,
        X=scored.frames[0] if is_compared or not is_in_parts else None,
        index=used.frame.index,
        truth=as_learned(model, y),
        weight=used.weight,
        predictions={OURS: np.concatenate(scored.predictions)},
        thresholds=thresholds_of(model, len(y)),
        groups=None if groups is None else group_numbers(used.frame[groups]),
        seed=seed,
        notes=ranked([*scored.monitor.notes(), *used.notes]),
    )
    evaluation = _with_notes_on_rows(evaluation, scored.duplicates)
    if not is_compared:
        return evaluation
    if training is None:
        return _with_cross_validated_baselines(evaluation, y)
    return _with_trained_baselines(evaluation, roles, training)


def evaluate_targets(
    model: Any, table: Any, y: Any, training: Any, settings: dict[str, Any]
) -> Any:
    """Evaluate the model of each target on its column of a table."""
    tables = tables_of_targets(model, table, y)
    trainings: list[Any] = [None] * len(tables)
    if isinstance(training, tuple):
        trainings = tables_of_targets(model, *training)
    elif training is not None:
        trainings = tables_of_targets(model, training)
    evaluations = {}
    for number, single in enumerate(model.models_):
        evaluations[single.target] = evaluate_one(
            single, tables[number], training=trainings[number], **settings
        )
    return EvaluationOfTargets(evaluations)


def _require_arguments(model, roles: Mapping[str, Any]):
    """Raise an error for names of columns that are not text, and for models that cannot be evaluated."""
    for role, name in roles.items():
        if not isinstance(name, str | None):
            raise RequestError(
                f"{role} must be the name of a column, not {type(name).__name__}."
            )
    if isinstance(model, TableModel):
        check_is_fitted(model)
    if not hasattr(model, "predict"):
        raise RequestError(
            f"evaluate takes a model, not a {type(model).__name__}: pass a fitted"
            " model, such as load(path), and then the table."
        )
    if hasattr(model, "classes_") and not hasattr(model, "predict_proba"):
        raise RequestError(
            f"{type(model).__name__} has no predict_proba, which the metrics of classes"
            " need."
        )


def with_column(table, name: str, y) -> Frame:
    """Return a table with the target added as a column."""
    frame = as_frame(table)
    y = np.asarray(y)
    if y.shape != (len(frame),):
        shape = len(y) if y.ndim == 1 else f"the shape {y.shape}"
        raise TableError(
            f"The table has {len(frame)} rows, but y has {shape}: pass one target per"
            " row."
        )
    return frame.assign(**{name: y})


def _used_rows(frames: Iterable[Frame], roles: Roles) -> tuple[UsedRows, list[ndarray]]:
    """Return the used rows of the target and other roles, and a mask of the used rows of each frame."""
    columns = [str(roles.target), *roles.reasons]
    parts = []
    for frame in frames:
        require_columns(frame, columns)
        roles.require(frame)
        parts.append(frame[columns])
    used = UsedRows.of(pandas().concat(parts), roles)
    ends = np.cumsum([len(part) for part in parts])
    return used, np.split(used.is_used, ends[:-1])


@dataclass
class _ScoredRows:
    """The inputs and predictions of each frame, the number of duplicates of training rows, and the drift."""

    monitor: DriftMonitor
    frames: list[Frame] = field(default_factory=list)
    predictions: list[ndarray] = field(default_factory=list)
    duplicates: float = 0.0


def _score_rows(
    model,
    frames: Iterable[Frame],
    masks: list[ndarray],
    y: ndarray,
    other_columns: list[str],
) -> _ScoredRows:
    """Predict the used rows of each frame. Only the inputs of the first frame are kept."""
    scored = _ScoredRows(DriftMonitor(model))
    start = 0
    for frame, is_used in zip(frames, masks, strict=True):
        if not is_used.any():
            continue
        rows = frame[is_used].drop(columns=other_columns)
        end = start + len(rows)
        scored.monitor.add(rows)
        scored.predictions.append(predictions_of(model, rows))
        if isinstance(model, TableModel):
            scored.duplicates += model.trained_rows_.count(
                model.encoder_, rows, y[start:end]
            )
        if not scored.frames:
            scored.frames.append(rows)
        start = end
    return scored


def _columns_without_inputs(model, roles: Roles) -> list[str]:
    """Return the target, and the weights unless the model was trained on them."""
    columns = [str(roles.target)]
    if roles.weight is not None and roles.weight not in getattr(
        model, "feature_names_in_", ()
    ):
        columns.append(roles.weight)
    return columns


def _with_notes_on_rows(evaluation: Evaluation, duplicates: float) -> Evaluation:
    """Add notes on rows of unknown classes and on duplicates of training rows."""
    notes = list(evaluation.notes)
    trained_on = 0
    unknown = int((evaluation.truth < 0).sum())
    if evaluation.is_classifier and unknown:
        notes.append(
            f"{unknown} rows have classes that did not occur in training; they count as"
            " errors."
        )
    if duplicates:
        trained_rows = evaluation.model.trained_rows_
        trained_on, notes_on_duplicates = trained_rows.not_by_chance(
            duplicates, len(evaluation.truth)
        )
        notes = [*notes_on_duplicates, *notes]
    return replace(evaluation, notes=notes, trained_on=trained_on)


def _with_cross_validated_baselines(evaluation: Evaluation, y: ndarray) -> Evaluation:
    """Add baselines that are cross-validated on the table, unless it has too few rows or groups."""
    model = evaluation.model
    rows = len(y)
    known_rows = (evaluation.truth >= 0).sum() if evaluation.is_classifier else rows
    if known_rows < MIN_ROWS or evaluation.units < 2:
        reason = (
            f"fewer than {MIN_ROWS} rows" if known_rows < MIN_ROWS else "only one group"
        )
        note = f"The table has {reason}, too few to fit baselines: pass training=."
        return replace(evaluation, notes=[*evaluation.notes, note])
    fold = Dependence(groups=evaluation.groups).folds(
        evaluation.truth, FOLDS, evaluation.seed
    )
    parts = Parts.untested(task_of(model), evaluation.X, y, evaluation.weight)
    baselines = baselines_by_folds(
        model, parts, splits(fold, is_time=False), evaluation.seed
    )
    note = (
        f"Baselines were fitted on {rows - rows // FOLDS:,} rows of this table in each"
        f" fold, the model on {model.trained_rows_.rows:,} rows: pass training= to fit"
        " them on the same rows."
    )
    return replace(
        evaluation,
        predictions=evaluation.predictions | baselines,
        notes=[*evaluation.notes, note],
    )


def _with_trained_baselines(
    evaluation: Evaluation, roles: Roles, training
) -> Evaluation:
    """Add baselines that are fitted on the training rows of the model."""
    model = evaluation.model
    target = str(roles.target)
    if isinstance(training, tuple):
        training = with_column(training[0], target, training[1])
    frame = as_frame(training, target=target, classes=classes_of(model))
    weight = roles.weight if roles.weight in frame.columns else None
    training_roles = Roles(target, weight)
    used = UsedRows.of(frame, training_roles)
    X = used.frame.drop(columns=_columns_without_inputs(model, training_roles))
    y = plain_target(model, used.frame, target)
    parts = Parts.untested(task_of(model), X, y, used.weight)
    parts = replace(parts, X_test=evaluation.X)
    baselines = baseline_predictions(model, parts, evaluation.seed)
    learned = Learned(X, as_learned(model, y), len(y))
    return replace(
        evaluation, predictions=evaluation.predictions | baselines, learned=learned
    )
