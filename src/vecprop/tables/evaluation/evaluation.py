"""The evaluation of a model on a table: `evaluate`, and what it returns."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..encoding.folds import Dependence, group_numbers
from ..error import RequestError, TableError, pandas
from ..explaining.column_notes import Watch, ranked
from ..reading.delimited import require_columns
from ..reading.file_lists import is_path
from ..reading.frames import Frame, as_frame
from ..reading.reading import may_be_in_parts
from ..reading.table_parts import frames_of
from ..rows import Roles, UsedRows
from ..streaming.memory_plan import require_room
from ..table_model import TableModel
from .measured import OURS, Learned, Measured
from .measuring import Parts, baselines_by_folds, joined, of_baselines, thresholds_of
from .report import page_of
from .targets import as_learned, classes_of, plain_target, predictions_of, target_named

FOLDS, FEWEST = 5, 20
"""Baselines that learn from the table itself do so in this number of folds, of at least this number of rows."""


@dataclass(frozen=True, eq=False)
class Evaluation(Measured):
    """How good a model is on a table, as `evaluate` finds it; its text is a table of metrics and the verdict.

    Attributes
    ----------
    metrics : dict of str to Estimate
        The model's metrics. An estimate has a ``value`` and the ends of its 95 % interval, ``low`` and ``high``. The
        first metric is the loss by which the model is judged.
    baselines : dict of str to dict
        The metrics of each baseline.
    margins : dict of str to Estimate
        How much higher the loss of each baseline is than the model's.
    verdict : Verdict or None
        Whether the model is better than the baselines (``level``, and ``says`` as a sentence), and what to worry about
        (``worries``).
    worst_rows : list of WorstRow
        The ten rows with the largest loss.
    importances : list of Importance
        How much the loss rises when the values of a column are shuffled.
    trained_on : int
        The number of rows that are in training too, with all values and the target; an estimate if training had more
        than 10,000 rows, and 0 if new rows of so few distinct values have as many twins by chance.
    notes : list of str
        What of the table is unlike training, and which rows are left out.

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
        """Write a page about the model, one file of HTML: metrics, columns, errors, calibration and training.

        Parameters
        ----------
        path : path
            The file, such as ``report.html``; an older one is replaced.

        Raises
        ------
        TableError
            If the model is not of tables, or the rows are not in memory, see `evaluate`.
        """
        if not isinstance(self.model, TableModel):
            raise RequestError(f"A {type(self.model).__name__} has no page: only models of tables have one.")
        if self.X is None:
            raise RequestError("The rows of the table were not kept, which a page shows: evaluate with baselines=True.")
        Path(path).write_text(page_of(self), encoding="utf-8")

    def to_frame(self) -> Any:
        """Return the metrics as a data frame with the columns model, metric, value, low and high."""
        pairs = [(name, metric, of) for name, each in self.scores.items() for metric, of in each.items()]
        rows = [(name, metric, of.value, of.low, of.high) for name, metric, of in pairs]
        return pandas().DataFrame(rows, columns=["model", "metric", "value", "low", "high"])

    def __repr__(self) -> str:
        return self.text(f"on {len(self.truth)} rows")


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
    """Measure a model on rows whose target is known: metrics with intervals, and whether it beats simple models.

    Rows that are in training too are counted, and a note tells their number: metrics of these are too good.

    Parameters
    ----------
    model : TabularClassifier, TabularRegressor, or another estimator that is fitted
        The model. Baselines, worst rows and pages are for models of tables.
    table : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), array (N, I), path or list of paths
        The rows, with a column of the target unless ``y`` is given.
    y : array (N,), optional
        The target of each row.
    target : str, optional
        The column of the target; by default the model's.
    weight : str, optional
        The column of the rows' weights; 1 by default.
    groups : str, optional
        The column that tells groups apart, such as patients. Intervals are then for new groups.
    training : table, or pair of table and target, optional
        The rows that the model was trained on: baselines learn from these. By default each row is predicted by
        baselines that have learned from other rows of ``table``, in five folds, and a note says so.
    baselines : bool, default True
        Whether to compare with baselines: predictions that ignore the inputs, a linear model, and gradient boosting.
        If False, files of Parquet and Arrow are read part by part, and only predictions are kept.
    seed : int, default 0
        Fixes folds, baselines and intervals.

    Returns
    -------
    Evaluation
        The metrics, baselines, verdict, worst rows and notes. Its method ``report`` writes a page.

    Raises
    ------
    TableError
        If the table does not fit the model, or it is not known which column is the target.

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
    if y is not None:
        target = str(target or getattr(model, "target", None) or "target")
        table = with_column(table, target, y)
    target = target_named(model, target)
    if is_path(table):
        require_room(table)
    is_in_parts, is_compared = may_be_in_parts(table), baselines and isinstance(model, TableModel)
    frames = frames_of(table, target=target, classes=classes_of(model))
    if is_compared and is_in_parts:
        frames = [pandas().concat(list(frames))]
    roles = Roles(target, weight, groups)
    names, is_in = [target, *roles.reasons], [target] if weight is None else [target, weight]
    of_rows = []
    for frame in frames:
        require_columns(frame.columns, names)
        roles.require(frame.columns)
        of_rows.append(frame[names])
    used = UsedRows.of(pandas().concat(of_rows), roles)
    plain, watch, Y, kept, trained_on = plain_target(model, used.frame, target), Watch(model), [], [], 0.0
    truth, first = as_learned(model, plain), 0
    each = np.split(used.counts, np.cumsum([len(of) for of in of_rows])[:-1])
    for frame, is_used in zip(frames, each, strict=True):
        if not is_used.any():
            continue
        rows = frame[is_used].drop(columns=is_in)
        watch.see(rows)
        Y.append(predictions_of(model, rows))
        if isinstance(model, TableModel):
            trained_on += model.trained_rows_.count(model.encoder_, rows, plain[first : first + len(rows)])
        first += len(rows)
        kept += [] if is_in_parts and not is_compared else [rows]
    notes = ranked([*watch.notes(), *used.notes])
    if unknown := int((truth < 0).sum()) if hasattr(model, "classes_") else 0:
        notes.append(f"{unknown} rows are of classes that the model does not know, and count as wrong.")
    known = min(round(trained_on), len(truth))
    known = 0 if known and model.trained_rows_.are_expected(known, len(truth)) else known
    if known:
        said = f"{known} of {len(truth)} rows are in training too, with all values and the target"
        about = "" if model.trained_rows_.are_all else "About "
        notes.insert(0, f"{about}{said}: metrics of these are too good.")
    of_rows = kept[0] if kept else None, used.frame.index, truth, used.weight, {OURS: np.concatenate(Y)}
    group = None if groups is None else group_numbers(used.frame[groups])
    more = {"thresholds": thresholds_of(model, len(truth)), "groups": group, "trained_on": known, "notes": notes}
    found = Evaluation("table", model, *of_rows, seed=seed, **more)
    return _compared(found, plain, roles, training) if is_compared else found


def with_column(table: Any, name: str, y: Any) -> Frame:
    """Return a table with its target as a column."""
    frame = as_frame(table)
    if len(y) != len(frame):
        raise TableError(f"The table has {len(frame)} rows, but y has {len(y)}: give one target a row.")
    return frame.assign(**{name: np.asarray(y)})


def _compared(found: Evaluation, y: np.ndarray, roles: Roles, training: Any) -> Evaluation:
    """Return an evaluation with baselines that have learned from training, or from other rows of the table."""
    model, seed = found.model, found.seed
    task = "classification" if found.is_classifier else "regression"
    of_test = found.X, y, found.weight
    if training is None:
        parts = Parts(task, *of_test, *of_test, dependence=Dependence(groups=found.groups))
        if (found.truth >= 0).sum() < FEWEST if found.is_classifier else len(y) < FEWEST:
            note = f"The table has fewer than {FEWEST} rows, from which no baselines learn: give training."
            return replace(found, notes=[*found.notes, note])
        fold = parts.dependence.folds(found.truth, FOLDS, seed)
        others = f"Baselines learned from other rows of this table, {len(y) - len(y) // FOLDS:,} at a time"
        advice = "give training to compare them after the same rows."
        note = f"{others}, and the model from {model.trained_rows_.rows:,}: {advice}"
        predictions = found.predictions | joined(baselines_by_folds(model, parts, fold, seed), len(y))
        return replace(found, predictions=predictions, notes=[*found.notes, note])
    frame = with_column(training[0], str(roles.target), training[1]) if isinstance(training, tuple) else training
    frame = as_frame(frame, target=roles.target, classes=classes_of(model))
    weight = roles.weight if roles.weight in frame.columns else None
    used = UsedRows.of(frame, Roles(roles.target, weight))
    X = used.frame.drop(columns=[roles.target] if weight is None else [roles.target, weight])
    y = plain_target(model, used.frame, str(roles.target))
    parts = Parts(task, X, y, used.weight, *of_test)
    baselines = of_baselines(model, parts, np.arange(len(y)), found.X, seed)
    learned = Learned(X, as_learned(model, y), len(y))
    return replace(found, predictions=found.predictions | baselines, learned=learned)
