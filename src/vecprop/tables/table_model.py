"""The base of both estimators of tables: from a table to a fitted ensemble, and to the networks' inputs."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..estimators.settings import require_repeatable
from ..estimators.sklearn_compat import fit_context, require_valid_settings
from ..system.threads import limit_jobs
from ..train.progress import progress_bar
from .encoding.encoder import VIEWS, Encoder
from .ensemble.ensemble import Ensemble, Fit, Outcome, Report, TrainingRows, Unseen, ViewFit, results_of
from .ensemble.stages import Calibrated, Plan, Schedule, StagedEnsemble, fit_in_stages
from .error import TableError
from .explaining.column_notes import DriftMonitor, Profile, TrainedRows, leaks, odd_targets, ranked, strong_columns
from .explaining.contributions import Explanations, explanations
from .reading.frames import FEWEST_AT_ONCE, Frame, as_frame, by_blocks, column_of, has_names, names_of_array, twice
from .reading.reading import chunks_if_several, may_be_in_parts
from .reading.table_parts import frames_of
from .rows import LearnedRows, Roles
from .settings import SharedSettings
from .streaming.streamed import Streamed, StreamedRows

TRAINED_ANEW = "The model was trained anew"
"""The beginning of the note on a model that `refit` returns."""
WITHOUT_TEST = "There was no test"
"""The beginning of the note on a model whose metrics are of rows of training."""
CUT_SHORT = "Training was interrupted: the model is what was learned so far."
"""The note on a model whose training has ended early."""

FROM_UNSEEN = {"inverse_temperature_", "residuals_", "validation_loss_", "threshold_", "_positive", "stages_"}
"""The attributes that come from the members' predictions of rows that they have not seen."""


class TableModel(SharedSettings):
    """The base of `TabularClassifier` and `TabularRegressor`."""

    ensemble_: Ensemble
    out_of_fold_: np.ndarray
    stages_: int
    validation_loss_: float
    notes_: list[str]
    n_features_in_: int
    feature_names_in_: np.ndarray  # if all are text
    # Of classifiers, and of regressors. In these, which are dataclasses, annotations would be settings.
    inverse_temperature_: float
    residuals_: Any
    outer_: list[Ensemble]

    def _validate_params(self) -> None:
        require_valid_settings(super())
        if self.stages is not None and self.time_limit is not None:
            both = f"stages={self.stages} and time_limit={self.time_limit}"
            raise ValueError(f"{both} are both set: give only one of the two.")
        if self.checkpoint is not None:
            require_repeatable(self)

    @abstractmethod
    def _values(self, y: Any) -> np.ndarray:
        """Return known values of a target as they are learned, which may be the text of a file."""

    def _learned(self, y: Any, frame: Frame) -> np.ndarray:
        """Return the target of training as it is learned, given the other columns too."""
        return self._values(y)

    @abstractmethod
    def _read_target(
        self, y: np.ndarray, weight: np.ndarray | None, ends: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Learn the classes or the scale of the targets, whose ends may be known; return the networks' targets."""

    @abstractmethod
    def calibrated(self, ensembles: list[Ensemble], unseen: list[list[Unseen]], rows: TrainingRows) -> Calibrated:
        """Choose the views' shares, and calibrate predictions, by predictions of rows that networks have not seen."""

    def _decide(self, unseen: np.ndarray, rows: TrainingRows) -> None:
        """Choose how predictions become decisions, by the predictions of rows that networks have not seen."""

    @abstractmethod
    def of_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the predictions of rows, (N,), or the probabilities of classes, (N, C), by the networks' inputs."""

    @abstractmethod
    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions of rows, (N,)."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        time: Any = None,
        memory: int | str | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), array (N, I), path or list of paths
            The table, or the path of a file or folder, or of several files, that `read_table` reads. A named index of a
            data frame is a column, and so is one without a name that does not number rows; the notes say so.
        y : array (N,), optional
            The target; by default the column of the table that ``target`` names.
        sample_weight : str or array (N,), optional
            The weight of each row, at least 0, or the column that tells it, which is then no input; 1 by default. A row
            of weight 0, or below 1e-30, is left out.
        groups : str or array (N,), optional
            The group of each row, such as a patient, or the column that tells it, which is then no input. Rows of one
            group are validation rows of the same network, so that early stopping, probabilities and intervals are
            right for new groups.
        time : str or array (N,), optional
            The time of each row, or the column that tells it. Each network is trained on rows that are earlier than
            its validation rows, so that all this is right for later rows.
        memory : int or str, optional
            The memory that the program may take, in bytes or such as "4GB"; by default what is left of the machine's.
            A folder, list of files or data set of Parquet or Arrow that needs more is trained on block by block: what
            columns are, validation and calibration then come from a random sample of rows, and the notes say so.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        TableError
            If the table cannot be read, or no column or target can be learned from.
        ValueError
            If settings are out of range, or training diverges.
        KeyboardInterrupt
            If Ctrl-C ends training before each network has begun. Later, the model is what was learned so far.
        """
        names = {"sample_weight": sample_weight, "groups": groups, "time": time}
        streamed = self._streamed(X, y, names, memory)
        table = {"X": X, "y": y, **names} if streamed is None else {"X": streamed}
        with progress_bar("training", quiet=not self.verbose or self.progress is not None) as show:
            fit_together([self], [table], self.progress or show)
        return self

    def refit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        progress: Report = None,
        memory: int | str | None = None,
        groups: Any = None,
    ) -> Self:
        """Return a model that is retrained on all rows of a table, for as many epochs as this one.

        No rows are left out for validation. What comes from rows that networks have not seen, such as the temperature
        or the residuals of intervals, is that of this model, and so is its validation loss. The table should hold the
        rows that this model was trained on, and more, such as those of its test. Columns that this model does not use,
        such as that of groups, are not used.

        Parameters
        ----------
        X, y, sample_weight, memory, groups
            As for `fit`: files that need more memory are trained on block by block. A column of groups that this model
            was fitted with need not be named again, but an array of groups must be given.
        progress : callable, optional
            As the setting of this name.

        Raises
        ------
        KeyboardInterrupt
            If training is interrupted.
        """
        check_is_fitted(self)
        model: Any = clone(self)
        names = {"sample_weight": sample_weight, "groups": groups, "time": None}
        streamed = self._streamed(X, y, names, memory)
        plan = model.plan(X if streamed is None else streamed, y, self.encoder_, **names)
        views = [plan.view_like(plan.fit, networks) for networks in self.ensemble_.views]
        stream = None if plan.fit.stream is None else replace(plan.fit.stream, folds=None)
        fit = replace(plan.fit, views=views, stream=stream)
        # The first loss of a curve is before the first epoch; curves of networks that were not trained are empty.
        best = [float(np.nanargmin(curve)) if curve else np.nan for curve in self.validation_loss_curves_]
        of_views = np.reshape(best, (len(self.ensembles) * len(views), -1))
        until = [max(round(float(np.nanmedian(own))), 1) for own in of_views]
        with limit_jobs(self.n_jobs):
            members = fit.members(self.ensemble_.folds, until)
            checkpoint = None if self.checkpoint is None else self.checkpoint.part("anew")
            (results,) = results_of([fit], progress, checkpoint, self.workers, [members])
            outcome = fit.outcome(results)
        if outcome.is_interrupted:
            raise KeyboardInterrupt
        if outcome.others.size:
            advice = f"lower learning_rate_init (now {self.learning_rate_init})."
            raise ValueError(f"Training anew diverged in each network of a view: {advice}")
        model.keep(outcome, outcome.results)
        vars(model).update({name: value for name, value in vars(self).items() if name in FROM_UNSEEN})
        model.ensemble_, *outer = (
            new.with_shares([view.share for view in old.views], [view.inverse_temperature for view in old.views])
            for new, old in zip(outcome.ensembles, self.ensembles, strict=True)
        )
        if hasattr(self, "outer_"):
            model.outer_ = outer
        count = len(fit.rows.T) if stream is None else stream.rows
        many = " and ".join(map(str, sorted(set(until))))
        model.notes_ = ranked(model.notes_)
        model.notes_.append(
            f"{TRAINED_ANEW} on {count} rows, for {many} epoch(s), without validation rows: scores and "
            "calibration are those of the model before."
        )
        return model

    def _streamed(self, X: Any, y: Any, names: dict[str, Any], memory: int | str | None) -> Streamed | None:
        """Return files or a data set that do not fit into memory; None for others, and tables of other kinds."""
        wrong = [setting for setting, name in names.items() if not isinstance(name, str | None)]
        if y is not None or self.target is None:
            wrong.append("target")
        refusal = None
        if wrong:
            refusal = TableError(
                f"The table does not fit into memory, so that {wrong[0]} must be the name of a column of it: an array "
                "has a value for each row."
            )
        return Streamed.of(
            X, Roles.named(self.target, *names.values()), self._seed, memory, self.column_options, refusal
        )

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 2**16))

    def plan(self, X: Any, y: Any = None, before: Encoder | None = None, **names: Any) -> Plan:
        """Return what is to be trained of the rows of a table; learn columns and target.

        Of a model that is trained anew, the columns are used that were before, and mean targets are told if they were.
        """
        streamed = X if isinstance(X, Streamed) else None
        if streamed is not None:
            roles = streamed.roles
            X, names = streamed.frame, {"sample_weight": roles.weight, "groups": roles.group, "time": roles.time}
        rows = LearnedRows.of(self, X, y, None if before is None else before.dropped, **names)
        self.notes_ = rows.notes
        target, raw = self._learned(rows.target, rows.frame), rows.weight
        if streamed is not None and not streamed.are_equal and raw is None:
            raw = streamed.roles.weights(streamed.frame)
        weight, ends = self._weighted(target, raw), None if streamed is None else streamed.target_range
        T, told, stream = self._read_target(target, weight, ends), None, None
        count = len(target) if streamed is None else streamed.rows
        if streamed is None:
            seed, folds = self._seed(), None
            fold = rows.dependence.folds(target, self.members(count), seed)
        else:
            seed, folds = streamed.seed, streamed.folds(self.members(count))
            fold = folds.of(streamed.numbers)
        self.column_options.require([*rows.frame.columns, *([] if self.target is None else [self.target])])
        self.encoder_, notes = Encoder.of(rows.frame.drop(columns=list(rows.aside)), self.column_options)
        self.encoder_.dropped.update(rows.aside)
        self.notes_ += notes + [f"Column {name!r} is not used: {reason}." for name, reason in rows.aside.items()]
        are_apart = rows.dependence.is_time or rows.dependence.groups is not None
        found, alone = leaks(self.encoder_, rows.frame, target, are_apart=are_apart)
        self.notes_ += found
        if not hasattr(self, "classes_") and "aside" not in rows.frame.attrs:  # which who has seen the whole file sets
            self.notes_ += odd_targets(rows.frame, target, self._named_target)
        columns = zip(self.encoder_.names, self.encoder_.parts, strict=True)
        self.profiles_ = [Profile.of(part, rows.frame[name]) for name, part in columns]
        if streamed is not None:
            told_weight = streamed.roles.weights(streamed.frame)
            factor = weight if weight is None or told_weight is None else weight / told_weight
            bare = copy(self)  # which other processes can have
            bare.progress = bare.checkpoint = bare.workers = None
            stream = StreamedRows(streamed, self.encoder_, bare.encoding(target, T, factor), T.shape[1], folds)
            self.notes_ += streamed.notes
        elif not rows.dependence.is_time if before is None else before.has_means:
            self.encoder_, told = self.encoder_.with_means(rows.frame, T, fold, weight)
        with limit_jobs(self.n_jobs):
            of_views = self.encoder_.of_views(rows.frame, told, as_arrays=streamed is not None)
        self.trained_rows_ = TrainedRows.of(self.encoder_, rows.frame, target, count)
        views, inputs = [], dict(zip(VIEWS, of_views, strict=True))
        for stage in self.first_stages(count):
            own = self.encoder_.of_view(stage.view)
            networks = self.networks(len(own), T.shape[1], stage)
            views.append(ViewFit(stage.view, own, inputs[stage.view], networks, self.training(count)))
        of_training = TrainingRows(T, weight, fold, rows.dependence.is_time, rows.dependence.count, raw)
        return Plan(self, Fit(views, of_training, seed, stream=stream), rows.is_used, alone)

    def learn(self, growing: StagedEnsemble) -> None:
        """Make what was trained the attributes of the model."""
        self.notes_ += growing.notes
        self.keep(growing.outcome, growing.results)
        if growing.is_interrupted and not growing.outcome.is_interrupted:
            self.notes_.append(CUT_SHORT)
        learned, unseen, loss = growing.calibrated
        vars(self).update(learned, validation_loss_=loss, stages_=growing.stages)
        is_used = growing.plan.is_used
        self.out_of_fold_ = np.full((len(is_used), *unseen.shape[1:]), np.nan)
        self.out_of_fold_[is_used] = unseen
        self._decide(unseen, growing.plan.fit.rows)
        if growing.plan.alone:
            model, Y = growing.plan.model, unseen.reshape(len(unseen), -1)
            if not hasattr(model, "classes_"):  # but numbers, or quantiles
                Y = model.targets_.encode(Y[:, [Y.shape[1] // 2]])
            self.notes_ += strong_columns(growing.plan.alone, growing.plan.fit.rows.T, Y)
        self.notes_ = ranked(self.notes_)

    @abstractmethod
    def encoding(self, target: np.ndarray, T: np.ndarray, factor: np.ndarray | None) -> Any:
        """Return what makes the networks' targets of a part and the factors of its weights, by those of the sample."""

    def _weighted(self, target: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weights of the rows in training."""
        return weight

    @property
    def _named_target(self) -> str:
        return "The target" if self.target is None else f"The target {self.target!r}"

    def keep(self, outcome: Outcome, results: np.ndarray) -> None:
        """Keep the curves of the networks that were trained, and note those of the first stage that do not count."""
        histories = [result.history for result in results.flat]
        self.loss_curves_ = [np.asarray(history.loss, float).tolist() for history in histories]
        self.validation_loss_curves_ = [np.asarray(history.validation_loss, float).tolist() for history in histories]
        first = [*outcome.results.flat, *outcome.others.flat]
        self.n_iter_ = max(result.state.epoch for result in first)
        ended = [result.reason for result in first if result.reason == "diverged" or not result.state.epoch]
        if ended:
            reason = "diverged" if "diverged" in ended else "were not trained"
            self.notes_.append(f"{len(ended)} of {len(first)} networks {reason} and do not count.")
        if outcome.is_interrupted:
            self.notes_.append(CUT_SHORT)

    @property
    def ensembles(self) -> list[Ensemble]:
        """All ensembles: the one that predicts, and others beside it."""
        return [self.ensemble_, *getattr(self, "outer_", [])]

    def detect_drift(self, X: Any) -> list[str]:
        """Return one sentence for each difference between a table and the training data.

        The sentences describe columns and values that are not used or are converted, values outside the training range,
        unknown categories, and changed shares of missing values and changed distributions.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `fit`.

        Raises
        ------
        TableError
            If a column is missing.
        """
        monitor = DriftMonitor(self)
        for part in frames_of(X) if may_be_in_parts(X) else [X]:
            monitor.add(self._table(part))
        return monitor.notes()

    def explain(self, X: Any, background: Any = None) -> Explanations:
        """Return why rows are predicted so: what each column contributes to the prediction, or to the probability.

        A contribution is the column's Shapley value: the mean change of the prediction when the column takes the row's
        value, whichever columns have taken theirs before. Contributions of a row add up to its prediction, or the
        probability of its predicted class, less the mean over background rows. They are found from random draws, and
        come with their standard errors. Text is compared with no text.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            The rows, see `fit`; each takes about a tenth of a second.
        background : DataFrame, Table, Dataset, array, path or paths, optional
            Rows to compare with, such as those of training. By default each column is drawn by itself, as it is
            distributed in training; the model has kept these distributions, and no rows.

        Returns
        -------
        Explanations
            One for each row. They are shown as text, and ``to_frame()`` makes a data frame of them.

        Raises
        ------
        TableError
            If a column is missing.

        Examples
        --------
        >>> import pandas as pd
        >>> from vecprop import TabularRegressor
        >>> table = pd.DataFrame({"size": [1.0, 2.0, 4.0, 7.0] * 10, "town": ["Oslo", "Rome"] * 20})
        >>> model = TabularRegressor(n_estimators=2, max_iter=5, random_state=0).fit(table, 3 * table["size"])
        >>> (explanation,) = model.explain(table[3:4])
        >>> explanation.row, explanation.contributions[0].column, explanation.contributions[0].value
        ('row 3', 'size', '7.0')
        >>> total = sum(each.contribution for each in explanation.contributions)
        >>> bool(np.isclose(explanation.base + total, model.predict(table[3:4])[0]))
        True
        """
        return explanations(self, self._table(X), None if background is None else self._table(background))

    def _table(self, X: Any) -> Frame:
        """Return a table for prediction, without its target, with the column names of training.

        Columns go by their position if the table or that of training is an array, with scikit-learn's warning if one of
        them has names.
        """
        check_is_fitted(self)
        frame = as_frame(X, self)
        if has_names(X) and (hasattr(self, "feature_names_in_") or set(self.encoder_.names) <= set(frame.columns)):
            return frame.drop(columns=self.target) if self.target in frame.columns else frame
        frame = frame.drop(columns=frame.attrs.get("index", []))
        columns: Any = frame if has_names(X) else np.broadcast_to(0.0, frame.shape)
        validate_data(self, columns, reset=False, skip_check_array=True)
        return frame.set_axis(getattr(self, "feature_names_in_", names_of_array(frame.shape[1])), axis=1)

    def _by_blocks(self, X: Any, predicted: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return what a function predicts from the networks' inputs for a table's rows, (N, …), by blocks of rows.

        Files of Parquet or Arrow are read part by part, and several files one after the other.
        """
        if (several := chunks_if_several(X)) is not None:
            return np.concatenate([self._by_blocks(part, predicted) for part in several])
        frame, parts = self._table(X), {}
        if len(frame) <= FEWEST_AT_ONCE:
            return predicted(self.encoder_(twice(frame)))[: len(frame)]

        def predict(rows: slice) -> None:
            parts[rows.start] = predicted(self.encoder_(frame.iloc[rows]))

        with limit_jobs(self.n_jobs):
            by_blocks(predict, len(frame), self.encoder_.width)
        return np.concatenate([parts[start] for start in sorted(parts)])

    def target_of(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return a table and its target, by default the column that ``target`` names."""
        if y is not None:
            return X, y
        if self.target is None:
            raise TableError("There is no target to score by: give y, or the setting target=, the name of a column.")
        frame = as_frame(X, self, self.target, self._classes)
        y = column_of(frame, self.target)
        return frame[y.notna()], self._values(y.dropna())

    def _scored(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, Any]:
        """Return target, predictions and weights of a table's rows, by default of those whose target is known."""
        if y is not None:
            return y, self.predict(X), sample_weight
        each, known = [], []
        for part in frames_of(X, self, self.target, self._classes):
            frame, y = self.target_of(part, None)
            known.append(column_of(part, self.target or "").notna())
            each += [(y, self.predict(frame))] if len(y) else []
        if not each:
            raise TableError(f"{self._named_target} has no values, so there is nothing to score by: all are missing.")
        targets, predictions = map(np.concatenate, zip(*each, strict=True))
        known = np.concatenate(known)
        if sample_weight is not None and len(sample_weight) == len(known):
            sample_weight = np.asarray(sample_weight)[known]
        return targets, predictions, sample_weight

    @property
    def _classes(self) -> list[str]:
        return [str(name) for name in getattr(self, "classes_", ())]

    def __sklearn_is_fitted__(self) -> bool:
        return "ensemble_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.required = self.target is None
        return tags


def fit_together(models: Sequence[TableModel], tables: Sequence[Mapping[str, Any]], progress: Report) -> None:
    """Fit models, each to a table of its own; each stage of all of them is one population.

    The first model says how many threads and stages there may be, and where they are kept. If an exception ends it, the
    models stay as they were.
    """
    first, before = models[0], [dict(vars(model)) for model in models]
    try:
        with nullcontext() if first.checkpoint is None else first.checkpoint.held():
            schedule = Schedule(first.stages, first.time_limit, progress, first.checkpoint)
            plans = [model.plan(**table) for model, table in zip(models, tables, strict=True)]
            with limit_jobs(first.n_jobs):
                each = fit_in_stages(plans, schedule)
            for model, growing in zip(models, each, strict=True):
                model.learn(growing)
    except BaseException:
        for model, attributes in zip(models, before, strict=True):
            vars(model).clear()
            vars(model).update(attributes)
        raise
