"""The evaluation of a model on a table: `evaluate` and its result, `Evaluation`."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
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
from .measuring import Parts, baselines_by_folds, of_baselines, thresholds_of
from .report import page_of
from .targets import as_learned, classes_of, plain_target, predictions_of, target_named

FOLDS, MIN_ROWS = 5, 20
"""Number of folds, and minimum number of rows, for baselines that are cross-validated on the table."""


@dataclass(frozen=True, eq=False)
class Evaluation(Measured):
    """The result of `evaluate`; printing it shows the metrics and the verdict.

    Attributes
    ----------
    metrics : dict of str to Estimate
        The model's metrics. An estimate has a ``value`` and the ends of its 95 % interval, ``low`` and ``high``. The
        first metric is the loss that decides the verdict.
    baselines : dict of str to dict
        The metrics of each baseline.
    margins : dict of str to Estimate
        The loss of each baseline minus the model's loss.
    summary : str
        The accuracy, the typical error or the coverage of the model in plain words.
    verdict : Verdict or None
        Whether the model beats the baselines: ``level``, ``says`` (as text), and ``worries`` about the result.
    worst_rows : list of WorstRow
        The ten rows with the largest loss.
    importances : list of Importance
        How much the loss rises when the values of a column are shuffled.
    trained_on : int
        The number of rows that duplicate a training row, including the target. It is an estimate if there are more than
        10,000 training rows, and 0 if new rows would have as many duplicates by chance.
    notes : list of str
        Differences between the table and the training data, and rows that are left out.
    how : str
        How the rows were scored: "table" (any table), "test" (rows that were held out), "out of fold" (training rows,
        each predicted by networks that have not seen it) or "cross-validation" (training rows, each predicted by a
        model trained without it).
    has_test, is_classifier : bool
        Whether the rows differ from the training rows, and whether the model predicts classes.
    model : estimator
        The model.
    X, index : DataFrame or None, and Index
        The inputs, or None if only the predictions were stored, and the index of the rows.
    truth, weight, groups : ndarray (N,)
        The targets (numbers, or class indices, with -1 for unknown classes), the weights and the groups or None.
    predictions : dict of str to ndarray
        The predictions of the model and then of each baseline: probabilities (N, C), numbers (N,) or quantiles (N, L).
    predicted, decided : ndarray
        The model's probabilities or predictions, and the index of the predicted class of each row.
    thresholds : ndarray (N,) or None
        The decision threshold of each row.
    scores : dict of str to dict
        The metrics of the model and of each baseline.
    folds, metrics_of_folds : list of ndarray and dict
        The rows of each cross-validation fold, and the metrics of each model on them.
    units : int
        The number of independent rows or groups.
    summary : str
        The accuracy, the typical error or the coverage of the model in plain words.
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
            The file, such as ``report.html``; an existing file is replaced.

        Raises
        ------
        TableError
            If the model is not tabular, or the rows are not in memory, see `evaluate`.
        ImportError
            If Matplotlib is not installed.
        """
        if not isinstance(self.model, TableModel):
            raise RequestError(f"A report needs a tabular model, got a {type(self.model).__name__}.")
        if self.X is None:
            raise RequestError("A report needs the rows, which were not stored: evaluate with baselines=True.")
        Path(path).write_text(page_of(self), encoding="utf-8")

    def to_frame(self) -> Any:
        """Return the metrics as a data frame with the columns model, metric, value, low and high."""
        pairs = [(name, metric, of) for name, each in self.scores.items() for metric, of in each.items()]
        rows = [(name, metric, of.value, of.low, of.high) for name, metric, of in pairs]
        return pandas().DataFrame(rows, columns=["model", "metric", "value", "low", "high"])

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

    A note reports how many rows duplicate training rows, because their metrics are too optimistic.

    Parameters
    ----------
    model : TabularClassifier, TabularRegressor, or another fitted estimator
        The model. A classifier needs ``predict_proba``. Only tabular models have baselines, worst rows and reports.
    table : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), array (N, I), path or list of paths
        The rows, with a target column unless ``y`` is given.
    y : array (N,), optional
        The target of each row.
    target : str, optional
        The target column. By default, it is the target column of the model.
    weight : str, optional
        The column with sample weights; all weights are 1 by default.
    groups : str, optional
        The column that identifies groups, such as patients. Intervals are then valid for new groups.
    training : table, or pair of table and target, optional
        The training rows of the model, to fit the baselines on. By default, the baselines are cross-validated on
        ``table`` with five folds, and a note reports this.
    baselines : bool, default True
        Whether to compare with baselines: predictions that ignore the inputs, a linear model, and gradient boosting.
        If False, Parquet and Arrow files are read in chunks, and only predictions are stored.
    seed : int, default 0
        The seed of folds, baselines and intervals.

    Returns
    -------
    Evaluation
        The metrics, baselines, verdict, worst rows and notes. Its method ``report`` writes an HTML report.

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
    for role, name in (("weight", weight), ("groups", groups)):
        if not isinstance(name, str | None):
            raise RequestError(f"{role} must be the name of a column, not {type(name).__name__}.")
    if isinstance(model, TableModel):
        check_is_fitted(model)
    if hasattr(model, "classes_") and not hasattr(model, "predict_proba"):
        raise RequestError(f"{type(model).__name__} has no predict_proba, which the metrics of classes need.")
    if y is not None:
        target = str(target or getattr(model, "target", None) or "target")
        table = with_column(table, target, y)
    target = target_named(model, target)
    require_room(table)
    is_in_parts, is_compared = may_be_in_parts(table), baselines and isinstance(model, TableModel)
    frames = frames_of(table, target=target, classes=classes_of(model))
    if is_compared and is_in_parts:
        frames = [pandas().concat(list(frames))]
    roles = Roles(target, weight, groups)
    names, others = [target, *roles.reasons], _others(model, target, weight)
    of_rows = []
    for frame in frames:
        require_columns(frame, names)
        roles.require(frame)
        of_rows.append(frame[names])
    used = UsedRows.of(pandas().concat(of_rows), roles)
    plain, monitor, Y, kept, trained_on = plain_target(model, used.frame, target), DriftMonitor(model), [], [], 0.0
    truth, first = as_learned(model, plain), 0
    each = np.split(used.counts, np.cumsum([len(of) for of in of_rows])[:-1])
    for frame, is_used in zip(frames, each, strict=True):
        if not is_used.any():
            continue
        rows = frame[is_used].drop(columns=others)
        monitor.add(rows)
        Y.append(predictions_of(model, rows))
        if isinstance(model, TableModel):
            trained_on += model.trained_rows_.count(model.encoder_, rows, plain[first : first + len(rows)])
        first += len(rows)
        kept += [] if is_in_parts and not is_compared else [rows]
    notes = ranked([*monitor.notes(), *used.notes])
    if unknown := int((truth < 0).sum()) if hasattr(model, "classes_") else 0:
        notes.append(f"{unknown} rows have classes that did not occur in training; they count as errors.")
    known, duplicates = model.trained_rows_.not_by_chance(trained_on, len(truth)) if trained_on else (0, [])
    notes = [*duplicates, *notes]
    of_rows = kept[0] if kept else None, used.frame.index, truth, used.weight, {OURS: np.concatenate(Y)}
    group = None if groups is None else group_numbers(used.frame[groups])
    more = {"thresholds": thresholds_of(model, len(truth)), "groups": group, "trained_on": known, "notes": notes}
    found = Evaluation("table", model, *of_rows, seed=seed, **more)
    return _compared(found, plain, roles, training) if is_compared else found


def _others(model: Any, target: str, weight: str | None) -> list[str]:
    """Return the columns that are not inputs: the target, and the weights unless the model was trained on them."""
    is_input = weight is None or weight in getattr(model, "feature_names_in_", ())
    return [target] if is_input else [target, str(weight)]


def with_column(table: Any, name: str, y: Any) -> Frame:
    """Return a table with the target added as a column."""
    frame = as_frame(table)
    y = np.asarray(y)
    if y.shape != (len(frame),):
        has = len(y) if y.ndim == 1 else f"the shape {y.shape}"
        raise TableError(f"The table has {len(frame)} rows, but y has {has}: pass one target per row.")
    return frame.assign(**{name: y})


def _compared(found: Evaluation, y: np.ndarray, roles: Roles, training: Any) -> Evaluation:
    """Return an evaluation with baselines, fitted on ``training`` or cross-validated on the table."""
    model, seed = found.model, found.seed
    task = "classification" if found.is_classifier else "regression"
    of_test = found.X, y, found.weight
    if training is None:
        parts = Parts(task, *of_test, *of_test, dependence=Dependence(groups=found.groups))
        is_few = (found.truth >= 0).sum() < MIN_ROWS if found.is_classifier else len(y) < MIN_ROWS
        if is_few or found.units < 2:
            has = f"fewer than {MIN_ROWS} rows" if is_few else "only one group"
            note = f"The table has {has}, too few to fit baselines: pass training=."
            return replace(found, notes=[*found.notes, note])
        fold = parts.dependence.folds(found.truth, FOLDS, seed)
        rows = f"{len(y) - len(y) // FOLDS:,} rows of this table in each fold"
        model_rows = f"the model on {model.trained_rows_.rows:,} rows"
        note = f"Baselines were fitted on {rows}, {model_rows}: pass training= to fit them on the same rows."
        baselines = baselines_by_folds(model, parts, splits(fold, is_time=False), seed)
        return replace(found, predictions=found.predictions | baselines, notes=[*found.notes, note])
    frame = with_column(training[0], str(roles.target), training[1]) if isinstance(training, tuple) else training
    frame = as_frame(frame, target=roles.target, classes=classes_of(model))
    weight = roles.weight if roles.weight in frame.columns else None
    used = UsedRows.of(frame, Roles(roles.target, weight))
    X = used.frame.drop(columns=_others(model, str(roles.target), weight))
    y = plain_target(model, used.frame, str(roles.target))
    parts = Parts(task, X, y, used.weight, *of_test)
    baselines = of_baselines(model, parts, np.arange(len(y)), found.X, seed)
    learned = Learned(X, as_learned(model, y), len(y))
    return replace(found, predictions=found.predictions | baselines, learned=learned)
