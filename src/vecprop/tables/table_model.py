"""The base class of both table estimators: fitting an ensemble on a table, and encoding tables for prediction."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy import ndarray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..core import suggests_keywords
from ..estimators.sklearn_compat import fit_context
from ..system.threads import limit_jobs
from ..train.progress import progress_bar
from .encoding.encoder import VIEWS, Encoder, require_inputs
from .ensemble.ensemble import (
    Calibration,
    Ensemble,
    EnsembleFit,
    Outcome,
    Report,
    TrainingRows,
    Unseen,
    ViewFit,
    linear_views,
    train_fits,
)
from .error import (
    Note,
    TableError,
    first_line,
    kind_of_note,
    pandas,
    ranked,
)
from .explaining.column_notes import (
    TrainedRows,
    leaks,
    odd_classes,
    odd_targets,
    strong_columns,
)
from .explaining.contributions import Explanations, explanations
from .explaining.drift import drift_notes, profiles
from .reading.frames import (
    FEWEST_AT_ONCE,
    Frame,
    as_frame,
    by_blocks,
    column_of,
    twice,
)
from .reading.table_parts import chunks_if_several, frames_of
from .row_sources import source_of, training_table
from .rows import LearnedRows, exposures
from .settings import SharedSettings
from .several_targets import (
    Head,
    combined_predictions,
    learner_of,
    single_models,
)

FROM_UNSEEN = {
    "inverse_temperature_",
    "residuals_",
    "validation_loss_",
    "threshold_",
    "_positive",
}
"""The attributes that are learned from out-of-fold predictions."""


class TablePlan(NamedTuple):
    """The fit of a model, the rows that it uses, and the share of the variance that each strong column explains.

    ``learner`` is the model, or learns several targets for it; ``shares`` are then a
    list.
    """

    fit: EnsembleFit
    is_used: ndarray
    shares: Any
    learner: Any


class ScoredRows(NamedTuple):
    """The rows of a table that have a target: targets, predictions, and weights, if any."""

    y: Any
    predicted: ndarray
    weight: Any


class TableModel(SharedSettings):
    """The base of `TabularClassifier` and `TabularRegressor`."""

    ensemble_: Ensemble
    out_of_fold_: ndarray
    validation_loss_: float
    _heads: list[Head]
    notes_: list[str]
    n_features_in_: int
    feature_names_in_: ndarray  # set if all names are text

    @abstractmethod
    def _values(self, y) -> ndarray:
        """Convert known target values, which may be text, to classes or numbers."""

    def _learned(self, y, frame: Frame) -> ndarray:
        """Convert the training target, given the other columns."""
        return self._values(y)

    @abstractmethod
    def _read_target(
        self,
        y: ndarray,
        weight: ndarray | None,
        ends: tuple[float, float] | None = None,
    ) -> ndarray:
        """Learn the classes, or the scale and range, of the targets, and return the targets of the networks."""

    @abstractmethod
    def _calibrated(
        self, ensembles: list[Ensemble], unseen: list[list[Unseen]], rows: TrainingRows
    ) -> Calibration:
        """Choose the weights of views and calibrate predictions, on out-of-fold predictions."""

    def _decide(self, unseen: ndarray, rows: TrainingRows):
        """Choose the decision threshold on out-of-fold predictions."""

    @abstractmethod
    def _combined(self, predictions: Iterable[ndarray]) -> ndarray:
        """Return the predictions (N,) or class probabilities (N, C), given the predictions of each fold's networks."""

    def _of_inputs(self, inputs: ndarray, exposure: Any = None) -> ndarray:
        """Return the predictions or class probabilities for encoded inputs."""
        if self._has_heads:
            return combined_predictions(self, inputs)
        return self._combined(self.ensemble_.predictions(inputs))

    @property
    def _has_heads(self) -> bool:
        """Whether the fitted model has several targets."""
        return "_heads" in vars(self)

    @cached_property
    def models_(self) -> list[Any]:
        """A model for each of several targets, with the networks' output for this target."""
        if not self._has_heads:
            raise AttributeError(
                f"This {type(self).__name__} has one target; models_ needs several."
            )
        return single_models(self)

    @property
    def _exposure_column(self) -> str | None:
        """The column with the exposure of each row, if any."""
        return getattr(self, "exposure", None)

    def _exposure_of(self, frame: Frame) -> ndarray:
        """Return the exposure of each row, which multiplies predictions."""
        if self._exposure_column is None:
            return np.ones(len(frame))
        return exposures(frame, self._exposure_column)

    @abstractmethod
    def predict(self, X: Any) -> ndarray:
        """Return the prediction for each row."""

    @suggests_keywords
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
        X : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), Arrow
        stream, array (N, I), path or list of paths
            The table, or the path of a file, folder or several files that `read_table`
            can read. The index of a data frame is used as a column if it has a name or
            contains other values than integers. A note reports this.
        y : array (N,), optional
            The target. By default, the target column of the table is the target.
        sample_weight : str or array (N,), optional
            The weight of each row, at least 0, or the name of a column of weights. This
            column is not used as an input. By default, all weights are 1. Rows with a
            weight below 1e-30 are not used.
        groups : str or array (N,), optional
            The group of each row, such as a patient, or the name of a column of groups.
            This column is not used as an input. All rows of a group are validation rows
            of the same network. Therefore, early stopping, probabilities and intervals
            are valid for new groups.
        time : str or array (N,), optional
            The time of each row, or the name of a column of times. Each network is
            trained on rows that are earlier than its validation rows. Therefore, early
            stopping, probabilities and intervals are valid for later rows.
        memory : int or str, optional
            The memory that the program may use, in bytes or as text such as "4GB". The
            default is most of the free memory. If Parquet files, Arrow files or a data
            set need more memory, the model is trained block by block. A random sample
            of the rows then determines the columns, the validation and the calibration,
            and a note reports this.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        TableError
            If the table cannot be read, or has no usable columns or no usable target.
        ValueError
            If settings are out of range, an array has the wrong number of axes, or
            training diverges.
        KeyboardInterrupt
            If you press Ctrl-C before the training of all networks has started. Later,
            Ctrl-C ends training early.
        """
        names = {"sample_weight": sample_weight, "groups": groups, "time": time}
        X = training_table(self, X, y, names=names, memory=memory)
        table = {"X": X, "y": y, **names}
        with progress_bar(
            "training", quiet=not self.verbose or self.progress is not None
        ) as show:
            fit_many([self], [table], self.progress or show)
        return self

    @suggests_keywords
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

        No rows are held out for validation. Therefore, the new model copies the
        temperature, the residuals of intervals, the validation loss and other results
        of out-of-fold predictions from this model. The table should contain the
        training rows of this model and more rows, such as the test rows. Columns that
        this model does not use are ignored.

        Parameters
        ----------
        X, y, sample_weight, memory, groups
            As for `fit`. If you passed an array of groups to `fit`, pass an array of
            groups again. A group column is known to the model.
        progress : callable, optional
            A progress callback, like the setting ``progress``.

        Raises
        ------
        TableError
            If the table lacks a column that this model uses, or as for `fit`.
        ValueError
            If training diverges, or as for `fit`.
        KeyboardInterrupt
            If training is interrupted.
        """
        check_is_fitted(self)
        model: Any = clone(self)
        names = {"sample_weight": sample_weight, "groups": groups, "time": None}
        X = training_table(self, X, y, names=names, memory=memory)
        plan = model._plan(X, y, self.encoder_, **names)
        fit = plan.fit
        views = list(map(fit.like, self.ensemble_.nonlinear))
        linear = []
        for view in self.ensemble_.views:
            if view.penalty is not None:
                linear_view = fit._view(view.view)
                linear.append(replace(linear_view, penalties=[view.penalty]))
        fit = replace(fit, views=views, linear=linear)
        count = len(fit.rows.T)
        if fit.stream is not None:
            count = fit.stream.rows
            fit = replace(fit, stream=replace(fit.stream, folds=None))
        epochs = self._best_epochs(len(fit.views))
        outcome = self._retrain(fit, epochs, progress)
        model._store_curves(outcome)
        model._copy_calibration(self, outcome, plan.learner)
        distinct_epochs = " and ".join(map(str, sorted(set(epochs))))
        training = (
            f"on {count} rows for {distinct_epochs} epoch(s) without validation rows"
        )
        scores = "scores and calibration come from the original model"
        model.notes_ = ranked(model.notes_)
        model.notes_.append(
            Note(f"The model was refitted {training}; {scores}.", "refitted")
        )
        return model

    def _best_epochs(self, views: int) -> list[int]:
        """Return the median of the best epochs of all folds, by ensemble and view."""
        best_epochs = []
        for curve in self.validation_loss_curves_:
            # Curves start before the first epoch. Networks that were not trained have
            # empty curves.
            best_epochs.append(float(np.nanargmin(curve)) if curve else np.nan)
        shape = len(self._ensembles) * views, -1
        medians = np.nanmedian(np.reshape(best_epochs, shape), axis=1)
        return [max(round(median), 1) for median in medians.tolist()]

    def _retrain(
        self, fit: EnsembleFit, epochs: list[int], progress: Report
    ) -> Outcome:
        """Train networks on all rows of a refit."""
        with limit_jobs(self.n_jobs):
            members = fit.members_of_refit(self.ensemble_.folds, epochs)
            (results,) = train_fits(
                [fit],
                [members],
                progress=progress,
                checkpoint=self._checkpoint_part("refit"),
                workers=self.workers,
            )
            outcome = fit.outcome(results)
        if outcome.is_interrupted:
            raise KeyboardInterrupt
        if outcome.others.size:
            raise ValueError(
                "Refitting diverged for every network of a view: lower"
                f" learning_rate_init (now {self.learning_rate_init})."
            )
        return outcome

    def _copy_calibration(self, original: "TableModel", outcome: Outcome, learner):
        """Copy what the original model learned from out-of-fold predictions to refitted ensembles."""
        for name in FROM_UNSEEN & vars(original).keys():
            setattr(self, name, getattr(original, name))
        pairs = zip(outcome.ensembles, original._ensembles, strict=True)
        ensembles = [refitted.calibrated_like(trained) for refitted, trained in pairs]
        self.ensemble_ = ensembles[0]
        if hasattr(original, "outer_"):
            vars(self).update(outer_=ensembles[1:])
        if original._has_heads:
            self._heads = learner.refitted_heads(original._heads, FROM_UNSEEN)
        originals = dict(zip(original.encoder_.names, original.profiles_, strict=True))
        profiles = []
        for name, profile in zip(self.encoder_.names, self.profiles_, strict=True):
            profiles.append(replace(profile, later=originals[name].later))
        self.profiles_ = profiles

    def _checkpoint_part(self, name: str):
        """Return a part of the checkpoint, if any."""
        return self.checkpoint and self.checkpoint._part(name)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 2**16))

    def _plan(self, X, y=None, before: Encoder | None = None, **names) -> TablePlan:
        """Learn the columns and the target of a table, and return the plan of the training.

        A refit uses the same columns as the encoder ``before``, and uses target
        encoding if that encoder does.
        """
        source = source_of(X, names)
        rows = LearnedRows.of(
            self, source.table, y, before and before.dropped, **source.names
        )
        if before is not None:
            _set_aside_others(rows, before)
        self.notes_ = rows.notes
        for name in ("feature_importances_", "_heads", "_tags", "models_"):
            vars(self).pop(name, None)  # of an earlier fit
        learner = learner_of(self, rows.target)
        target = learner._learned(rows.target, rows.frame)
        sample_weight = source.sample_weight(rows)
        weight = learner._weighted(target, sample_weight)
        counts = target
        exposure = self._exposure_of(rows.frame)
        if np.any(exposure != 1):
            counts = self._values(rows.target)
            weight = exposure if weight is None else exposure * weight
        T = learner._read_target(target, weight, source.target_range)
        fold = source.split_into_folds(self, rows, learner._strata(target, T))
        if self._exposure_column is not None:
            rows.aside[self._exposure_column] = "it contains the exposure"
        self._learn_columns(rows.frame, rows.aside)
        shares = learner._examine(rows, target, is_sample=source.is_sample)
        self.profiles_ = profiles(
            self.encoder_, rows.frame, rows.dependence.groups, rows.roles.time
        )
        source.learn_targets(self, target, T, weight)
        self.notes_ += source.notes
        has_means = not rows.dependence.is_time
        if before is not None:
            has_means = before.has_means
        with limit_jobs(self.n_jobs):
            inputs = source.encode(
                self, rows.frame, T, fold, weight, has_means=has_means
            )
        self.trained_rows_ = TrainedRows.of(
            self.encoder_, rows.frame, counts, source.count
        )
        training = self._training(source.count)
        views = []
        for view, view_inputs in zip(VIEWS, inputs, strict=True):
            indices = self.encoder_.of_view(view)
            networks = self._networks(
                view, len(indices), T.shape[1], losses=learner._losses()
            )
            views.append(ViewFit(view, indices, view_inputs, networks, training))
        fit = EnsembleFit(
            views,
            TrainingRows(
                T,
                weight,
                fold,
                rows.dependence.is_time,
                rows.dependence.count,
                sample_weight,
                exposure=exposure,
            ),
            source.seed,
            stream=source.stream,
            linear=linear_views(views),
        )
        if self.metric is not None:
            if source.stream is not None or learner is not self:
                raise TableError(
                    "metric needs one target and a table that fits into memory: leave"
                    " it out."
                )
            score = partial(self._score_of_rows, counts, sample_weight, exposure)
            try:  # with perfect predictions
                score(np.arange(len(T)), T)
            except (ValueError, TypeError) as error:
                raise TableError(
                    f"The metric does not fit {self._named_target.lower()}:"
                    f" {first_line(error)}."
                ) from error
            fit = replace(fit, metric=score)
        return TablePlan(fit, rows.is_used, shares, learner)

    def _score_of_rows(
        self,
        y: ndarray,
        weight: ndarray | None,
        exposure: ndarray,
        rows: ndarray,
        outputs: ndarray,
    ) -> float:
        """Return the metric for some training rows and the outputs of a network."""
        if weight is not None:
            weight = weight[rows]
        return self._score(y[rows], outputs, weight, exposure[rows])

    @abstractmethod
    def _score(
        self, y: ndarray, outputs: ndarray, weight: ndarray | None, exposure: ndarray
    ) -> float:
        """Return the metric for targets and the outputs of a network."""

    def _examine(
        self,
        rows: LearnedRows,
        target: ndarray,
        *,
        is_sample: bool,
        subject: str = "the target",
    ) -> dict[str, float]:
        """Note leaks and odd targets, and return the share of the variance that each strong column explains."""
        # `vecprop train` has checked the target of the whole file
        is_checked = "aside" in rows.frame.attrs
        is_judged = is_checked and not is_sample
        has_groups = rows.dependence.groups is not None
        notes, shares = leaks(
            self.encoder_,
            rows.frame,
            target,
            subject=subject,
            skip_relations=is_judged or rows.dependence.is_time or has_groups,
        )
        self.notes_ += notes
        if is_checked:
            return shares
        if hasattr(self, "classes_"):
            self.notes_ += odd_classes(target, self._named_target)
        else:
            self.notes_ += odd_targets(rows.frame, target, self._named_target)
        return shares

    def _learn(self, plan: TablePlan, outcome: Outcome):
        """Calibrate the trained ensembles, and set the attributes of the fitted model."""
        self._store_curves(outcome)
        fit, is_used, shares, learner = plan
        attributes, unseen, loss = learner._calibrated(
            outcome.ensembles, outcome.unseen, fit.rows
        )
        vars(self).update(attributes, validation_loss_=loss)
        # Linear models have the weight 0 if they do not help.
        self.ensemble_ = Ensemble(
            [view for view in self.ensemble_.views if view.share > 0]
        )
        self.out_of_fold_ = np.full((len(is_used), *unseen.shape[1:]), np.nan)
        self.out_of_fold_[is_used] = unseen
        learner._decide(unseen, fit.rows)
        learner._note_strong_columns(
            shares, fit.rows.T, (unseen.T / fit.rows.exposure).T
        )
        self.notes_ = ranked(self.notes_)

    def _note_strong_columns(
        self,
        shares: Mapping[str, float],
        T: ndarray,
        unseen: ndarray,
        subject: str = "the target",
    ):
        """Note the columns that explain about as much as the out-of-fold predictions."""
        if not shares:
            return
        Y = unseen.reshape(len(unseen), -1)
        targets: Any = getattr(self, "targets_", None)
        if targets is not None:  # a mean, a quantile, or three quantiles
            middle = Y.shape[1] // 2
            Y = targets.encode(Y[:, [middle]])
        self.notes_ += strong_columns(shares, T, Y, subject=subject)

    @abstractmethod
    def _encoding(self, target: ndarray, T: ndarray, factor: ndarray | None) -> Any:
        """Return a function that encodes the targets of a chunk, learned from the targets of the sample."""

    def _weighted(self, target: ndarray, weight: ndarray | None) -> ndarray | None:
        """Return the sample weights for training."""
        return weight

    def _strata(self, target: ndarray, T: ndarray) -> ndarray:
        """Return the numbers or classes that stratify the folds."""
        return target

    @property
    def _named_target(self) -> str:
        return "The target" if self.target is None else f"The target {self.target!r}"

    def _store_curves(self, outcome: Outcome):
        """Store the loss curves of all networks, and add a note on dropped networks."""
        self.loss_curves_ = []
        self.validation_loss_curves_ = []
        for result in outcome.results.flat:
            history = result.history
            self.loss_curves_.append(list(map(float, history.loss)))
            self.validation_loss_curves_.append(
                list(map(float, history.validation_loss))
            )
        trained = [*outcome.results.flat, *outcome.others.flat]
        self.n_iter_ = max(result.state.epoch for result in trained)
        reasons = []
        for result in trained:
            if result.reason == "diverged" or not result.state.epoch:
                reasons.append(result.reason)
        if reasons:
            problem = "were not trained"
            if "diverged" in reasons:
                problem = "diverged"
            counts = f"{len(reasons)} of {len(trained)} networks"
            self.notes_.append(Note(f"{counts} {problem} and do not count.", "trust"))
        if outcome.is_interrupted:
            cut_short = "Training was interrupted, so the model is not fully trained."
            self.notes_.append(Note(cut_short, "interrupted"))

    @property
    def _is_interrupted(self) -> bool:
        """Whether training was interrupted."""
        return any(kind_of_note(note) == "interrupted" for note in self.notes_)

    @property
    def _ensembles(self) -> list[Ensemble]:
        """The main ensemble, followed by the ensembles of outer quantiles."""
        return [self.ensemble_, *getattr(self, "outer_", [])]

    def detect_drift(self, X: Any) -> list[str]:
        """Return one sentence for each difference between a table and the training data.

        Differences are ignored columns, values that cannot be parsed, values outside
        the training range, unknown categories, changed shares of missing values, and
        changed distributions. Later dates are not differences. With groups, the tests
        count groups instead of rows. False alarms are rare: about 1 % of tables.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `fit`.

        Raises
        ------
        TableError
            If a column is missing.
        ValueError
            If an array has another number of columns than the training table.
        """
        return drift_notes(self, X)

    def explain(self, X: Any, background: Any = None) -> Explanations:
        """Explain predictions by the contribution of each column to the prediction or probability.

        A contribution is the Shapley value of the column. In background rows, columns
        are set to the values of the explained row, one after the other in random order.
        The contribution is the mean change of the prediction when the column is set.
        The contributions of a row add up to the prediction (or the probability of the
        predicted class) minus the mean prediction of the background rows. Contributions
        are estimated from random samples and have standard errors. Text is compared
        with missing text.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            The rows, see `fit`.
        background : DataFrame, Table, Dataset, array, path or paths, optional
            The background rows, such as the training rows. By default, each column is
            drawn independently from its training distribution, because the model does
            not store rows.

        Returns
        -------
        Explanations
            One explanation for each row. ``print`` shows the explanations as text, and
            ``to_frame()`` returns a data frame.

        Raises
        ------
        TableError
            If a column is missing.
        ValueError
            If an array has another number of columns than the training table.

        Examples
        --------
        >>> import pandas as pd
        >>> from vecprop import TabularRegressor
        >>> table = pd.DataFrame({"size": [1.0, 2.0, 4.0, 7.0] * 10, "town": ["Oslo", "Rome"] * 20})
        >>> model = TabularRegressor(n_estimators=2, max_iter=5, random_state=0).fit(table, 3 * table["size"])
        >>> (explanation,) = model.explain(table[3:4])
        >>> explanation.row, explanation.contributions[0].column, explanation.contributions[0].value
        ('row 3', 'size', '7')
        >>> total = sum(each.contribution for each in explanation.contributions)
        >>> bool(np.isclose(explanation.base + total, model.predict(table[3:4])[0]))
        True
        """
        self._require_one_target("be explained")
        if background is not None:
            background = self._table(background)
        return explanations(self, self._table(X), background)

    def _by_blocks(
        self, X, predicted: Callable[[ndarray, ndarray], ndarray]
    ) -> ndarray:
        """Encode blocks of rows, apply a function to inputs and exposures, and concatenate the results.

        Parquet and Arrow files are read in chunks, and several files one after the
        other.
        """
        chunks = chunks_if_several(X)
        if chunks is not None:
            return np.concatenate(
                [self._by_blocks(chunk, predicted) for chunk in chunks]
            )
        frame = self._table(X)
        if len(frame) <= FEWEST_AT_ONCE:
            part = twice(frame)
            predictions = predicted(self.encoder_(part), self._exposure_of(part))
            return predictions[: len(frame)]
        predictions = {}  # by the first row of each block

        def predict(rows: slice):
            part = frame.iloc[rows]
            predictions[rows.start] = predicted(
                self.encoder_(part), self._exposure_of(part)
            )

        with limit_jobs(self.n_jobs):
            by_blocks(predict, len(frame), self.encoder_.width)
        return np.concatenate([predictions[start] for start in sorted(predictions)])

    def _split_target(self, X) -> tuple[Frame, ndarray]:
        """Return the rows of a table that have a target, and their targets."""
        if self.target is None:
            raise TableError(
                "Scoring needs a target: pass y, or set target= to the name of a"
                " column."
            )
        frame = as_frame(X, self, self.target, self._classes)
        y = column_of(frame, self.target)
        return frame[y.notna()], self._values(y.dropna())

    def _scored(self, X, y, sample_weight) -> ScoredRows:
        """Return the scored rows of a table, whose targets are in y or in the target column."""
        masks = []
        targets = []
        predictions = []
        if y is None:
            subject = self._named_target
            for part in frames_of(X, self, self.target, self._classes):
                frame, target = self._split_target(part)
                masks.append(part[self.target].notna())
                if len(target):
                    targets.append(target)
                    predictions.append(self.predict(frame))
        else:
            subject = "The target"
            Y = self.predict(X)
            has_target = pandas().notna(np.asarray(y))
            if has_target.all() or has_target.shape != (len(Y),):
                return ScoredRows(y, Y, sample_weight)
            masks.append(has_target)
            targets.append(np.asarray(y)[has_target])
            predictions.append(Y[has_target])
        if not sum(map(len, targets)):
            raise TableError(f"{subject} has no values, so there is nothing to score.")
        has_target = np.concatenate(masks)
        # scikit-learn raises an error for another number of weights
        if sample_weight is not None and len(sample_weight) == len(has_target):
            sample_weight = np.asarray(sample_weight)[has_target]
        return ScoredRows(
            np.concatenate(targets), np.concatenate(predictions), sample_weight
        )

    def _require_one_target(self, action: str):
        """Raise an error if the fitted model has several targets."""
        if self._has_heads:
            names = [single.target for single in self.models_]
            raise TableError(
                f"A model with several targets cannot {action}: use or save one of"
                f" its models_, such as models_[0] for {names[0]!r}."
            )

    @property
    def _classes(self) -> list[str]:
        return [str(name) for name in getattr(self, "classes_", ())]

    def __sklearn_is_fitted__(self) -> bool:
        return "ensemble_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.target is None
        tags.target_tags.multi_output = True
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = True
        return tags


def _set_aside_others(rows: LearnedRows, before: Encoder):
    """Set aside the columns of a refit that the original model does not use."""
    if set(before.names).isdisjoint(rows.frame.columns):
        return
    require_inputs(before.names, rows.frame)
    for name in rows.frame.columns:
        if name not in before.names and name not in rows.aside:
            rows.aside[name] = "the original model does not use it"


def fit_many(
    models: Sequence[TableModel], tables: Sequence[Mapping[str, Any]], progress: Report
):
    """Fit several models, each on its own table. The networks of all models are trained together.

    The first model determines the threads and the checkpoint. If an exception is
    raised, the models are unchanged.
    """
    first = models[0]
    with ExitStack() as undo:
        for model in models:
            attributes = vars(model)
            undo.callback(attributes.update, dict(attributes))
            undo.callback(attributes.clear)  # callbacks run in reverse order
        held_checkpoint = nullcontext()
        if first.checkpoint is not None:
            held_checkpoint = first.checkpoint._held()
        with held_checkpoint:
            plans = []
            for model, table in zip(models, tables, strict=True):
                plans.append(model._plan(**table))
            # The folder has the name of earlier versions, whose fits can be resumed.
            checkpoint = first._checkpoint_part("stage-1")
            with limit_jobs(first.n_jobs):
                # The members are not stored, because their rows take memory.
                results = train_fits(
                    [plan.fit for plan in plans],
                    [plan.fit.members() for plan in plans],
                    progress=progress,
                    checkpoint=checkpoint,
                    workers=first.workers,
                )
                for model, plan, trained in zip(models, plans, results, strict=True):
                    model._learn(plan, plan.fit.outcome(trained))
        undo.pop_all()
