"""Evaluate candidates: fit and score each candidate on every fold with every random state."""

import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import ceil
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from ...core.rows.selection import Selection
from ...system.threads import limit_jobs, usable_threads
from ...train.members import row_count
from ...train.progress import Progress
from .. import sklearn_compat as compat
from ..classifier import MLPClassifier
from ..fit import FitOutcome
from ..parts import has_steps
from ..regressor import MLPRegressor
from ..settings import require_no_checkpoint, require_repeatable
from .fits import Attempt, Show, fit_many, run_fit
from .folds import (
    Candidate,
    Fold,
    PreparedFit,
    Shared,
    Split,
    arguments_of,
    inputs_of,
    row_indices,
    select_rows,
)
from .scaling import LARGE

Outcome = dict[str, Any]
"""The scores, times and error of a fit, in the format of scikit-learn's searches."""


@dataclass(eq=False)
class Fit:
    """A candidate on a fold with a random state; the prepared fit is None after an error and after scoring."""

    prepared: PreparedFit | None = None
    error: Exception | None = None
    seconds: float = 0.0

    def learn(self, attempt: Attempt):
        """Store the outcome of the fit in its model, or the error."""
        if isinstance(attempt, Exception):
            self.error = attempt
        if self.prepared is None or not isinstance(attempt, FitOutcome):
            return
        self.seconds += attempt.seconds
        try:
            self.prepared.model._learn(self.prepared.spec, attempt)
        except ValueError as error:  # training has diverged
            self.error = error


@dataclass(eq=False)
class Evaluation:
    """Fits and scores the candidates of a search."""

    search: Any
    X: Any
    y: Any
    splits: list[Split]
    scorer: Any
    fit_params: dict
    score_params: dict
    has_started: bool = False
    show: Show | None = None
    round: int = 0
    """The current round of halving."""
    rounds: int = 1

    def __call__(self, choices: Sequence[dict]) -> list[list[Outcome]]:
        """Return a list with one outcome per seed for each candidate and fold."""
        search = self.search
        seeds = search.n_seeds
        candidates = [Candidate(search.estimator, params, seeds) for params in choices]
        for candidate in candidates:
            require_no_checkpoint(candidate.model, "give it to MLPSearchCV instead")
            require_repeatable(candidate.model, search.checkpoint)
        fits_per_fold = len(candidates) * seeds
        total = len(self.splits) * fits_per_fold
        folds_at_once = self.folds_at_once(candidates)
        outcomes = []  # by fold; candidates, and their seeds
        for first in range(0, len(self.splits), folds_at_once):
            splits = self.splits[first : first + folds_at_once]
            progress = self.progress(first * fits_per_fold, total)
            outcomes += self.outcomes_on(splits, candidates, progress)
        all_outcomes = list(chain.from_iterable(outcomes))
        compat.warn_of_failed_fits(all_outcomes, search.error_score)
        compat.insert_error_scores(all_outcomes, search.error_score)
        outcomes_by_seed = []
        for first in range(0, fits_per_fold, seeds):
            for fold_outcomes in outcomes:
                outcomes_by_seed.append(fold_outcomes[first : first + seeds])
        return outcomes_by_seed

    def outcomes_on(
        self,
        splits: Sequence[Split],
        candidates: Sequence[Candidate],
        progress: Show | None,
    ) -> list[list[Outcome]]:
        """Fit the candidates on some folds together, and return the outcomes of each fold."""
        fits_of_folds = [self.prepared(candidates, split) for split in splits]
        self.train(list(chain.from_iterable(fits_of_folds)), progress)
        outcomes = []
        for fits, split in zip(fits_of_folds, splits, strict=True):
            outcomes.append(list(self.scored(fits, split)))
        return outcomes

    def progress(self, ended: int, total: int) -> Show | None:
        """Return a function that shows the progress of some fits, after `ended` of the `total` fits of the round."""
        show = self.show
        if show is None:
            return None

        def show_search(fits: Progress):
            share_of_round = (ended + fits.share * fits.members) / total
            share = (self.round + share_of_round) / self.rounds
            show(replace(fits, ended=ended + fits.ended, members=total, share=share))

        return show_search

    def train(self, fits: Sequence[Fit], progress: Show | None):
        """Run the fits that have been prepared."""
        search = self.search
        checkpoint = search.checkpoint and search.checkpoint._part(
            "fits", takes_others=self.has_started
        )
        self.has_started = True
        fits = [fit for fit in fits if fit.prepared is not None]
        attempts = fit_many(
            [fit.prepared.spec for fit in fits if fit.prepared is not None],
            search.n_jobs,
            checkpoint,
            workers=search.workers,
            moments=False,
            progress=progress,
        )
        for attempt in attempts:
            if isinstance(attempt, FitOutcome) and attempt.interrupted:
                raise KeyboardInterrupt
        for fit, attempt in zip(fits, attempts, strict=True):
            fit.learn(attempt)

    def folds_at_once(self, candidates: Sequence[Candidate]) -> int:
        """Return the number of folds to fit at once: all, or for large X, enough to keep threads busy.

        If folds copy rows, each thread gets one fit. If folds select rows in place,
        each thread gets two, which reduces idle time at the end. With workers, such
        folds all run at once, so that X is sent only once.
        """
        search = self.search
        selects_in_place = self.shared is not None and all(
            candidate.only_scales(self.fit_params) for candidate in candidates
        )
        bytes_of_X = 8 * np.prod(np.shape(self.X))
        if sparse.issparse(self.X):
            bytes_of_X = 12 * self.X.nnz
        sends_X_once = selects_in_place and search.workers is not None
        if bytes_of_X < LARGE or sends_X_once:
            return len(self.splits)
        fits_per_fold = len(candidates) * search.n_seeds
        with limit_jobs(search.n_jobs):
            fits_at_once = usable_threads()
        if selects_in_place:
            fits_at_once *= 2
        return ceil(fits_at_once / fits_per_fold)

    @cached_property
    def shared(self) -> Shared | None:
        """All rows if folds can select rows without a copy, and None otherwise."""
        return Shared.from_rows(self.X, self.y, self.fit_params)

    def fold(self, train) -> Fold:
        """Return a fold with these training rows."""
        return Fold(
            self.search.estimator, self.X, self.y, train, self.fit_params, self.shared
        )

    def prepared(self, candidates: Sequence[Candidate], split: Split) -> list[Fit]:
        """Return the fits of candidates with all random states on a fold, ready to train or with an error."""
        fold = self.fold(split.train)
        fits = []
        for candidate in candidates:
            for random_state in candidate.random_states:
                started = time.perf_counter()
                fit = Fit()
                try:
                    fit.prepared = fold.prepared(candidate, random_state)
                except Exception as error:
                    fit.error = error
                fit.seconds = time.perf_counter() - started
                fits.append(fit)
        return fits

    def scored(self, fits: Sequence[Fit], split: Split) -> Iterator[Outcome]:
        """Yield the outcome of each fit of a fold."""
        search = self.search
        # test scores come first
        scorers = {"test_scores": SplitScorer(self, split.test, split)}
        if search.return_train_score:
            scorers["train_scores"] = SplitScorer(self, split.train, split)
        for fit in fits:
            prepared = fit.prepared
            if prepared is not None and fit.error is None:
                outcome = {"fit_time": fit.seconds, "fit_error": None}
                started = time.perf_counter()
                for name, scorer in scorers.items():
                    outcome[name] = scorer.score(prepared)
                    outcome.setdefault("score_time", time.perf_counter() - started)
                yield outcome
                fit.prepared = None  # frees memory
            elif search.error_score == "raise":
                assert fit.error is not None  # otherwise the fit has been scored before
                raise fit.error
            else:
                scores = dict.fromkeys(scorers, search.error_score)
                text = "".join(traceback.format_exception(fit.error))
                times = {"fit_time": fit.seconds, "score_time": 0.0}
                yield times | {"fit_error": text} | scores

    def refit(self, params: dict):
        """Return the estimator with the given parameters, fitted to all rows."""
        candidate = Candidate(self.search.estimator, params, seeds=1)
        model = candidate.model
        checkpoint = self.search.checkpoint
        if checkpoint is not None and (model.n_restarts > 1 or has_steps(model)):
            model.checkpoint = checkpoint._part("refit", takes_others=True)
        if self.can_scale_in_place(candidate):
            model, estimator = self.refit_in_place(candidate)
        else:
            del self.shared  # may hold a copy of X
            estimator: Any = candidate.estimator
            estimator = estimator.fit(self.X, self.y, **self.fit_params)
            if candidate.name is not None:
                _, model = estimator.steps[-1]
        model.checkpoint = None
        return estimator

    def can_scale_in_place(self, candidate: Candidate) -> bool:
        """Return whether the candidate is a pipeline that can scale a large X without a copy."""
        shared = self.shared
        if shared is None or not shared.is_large or not shared.is_read_in_place:
            return False
        return candidate.name is not None and candidate.only_scales(self.fit_params)

    def refit_in_place(self, candidate: Candidate) -> tuple[Any, Any]:
        """Fit a pipeline without a copy of X; return its model and the pipeline."""
        fold = self.fold(np.arange(len(self.X)))
        (random_state,) = candidate.random_states
        spec, model, estimator = fold.prepared(candidate, random_state)
        spec.checkpoint = candidate.model.checkpoint
        outcome = run_fit(spec)
        model._learn(spec, outcome)
        if warning := model._convergence_warning(spec, outcome):
            warnings.warn(warning, ConvergenceWarning, stacklevel=6)
        return model, estimator


class SplitScorer:
    """Scores fits of a fold on some of its rows, which are copied once.

    If scorers use a large X only for predictions, the model reads it in chunks, without
    a copy of all rows.
    """

    def __init__(self, evaluation: Evaluation, rows, split: Split):
        self.evaluation = evaluation
        self.row_count = row_count(evaluation.X)
        self.indices = row_indices(rows, self.row_count)
        self.split = split
        self.arguments = arguments_of(
            evaluation.score_params, self.indices, self.row_count
        )

    @cached_property
    def X(self):
        """The inputs of the rows."""
        train = row_indices(self.split.train, self.row_count)
        return inputs_of(
            self.evaluation.search.estimator, self.evaluation.X, self.indices, train
        )

    @cached_property
    def y(self):
        """The targets of the rows."""
        return select_rows(self.evaluation.y, self.indices)

    @cached_property
    def shared_X(self) -> np.ndarray | None:
        """All rows if models can read them in chunks, and None otherwise."""
        search = self.evaluation.search
        shared = self.evaluation.shared
        if shared is None or not shared.is_large:
            return None
        scorers = [self.evaluation.scorer]
        scorers_by_name = compat.scorers_of(search.estimator, search.scoring)
        if scorers_by_name:
            scorers = scorers_by_name.values()
        if compat.only_predicts(search.estimator, scorers):
            return shared.by_rows
        return None

    def score(self, fit: PreparedFit):
        """Return the score of a trained fit, or a dictionary of several scores."""
        table = fit.spec.rows.table
        # subclasses may use X in other ways
        is_known_class = type(fit.model) in (MLPClassifier, MLPRegressor)
        if self.shared_X is not None and table.X is self.shared_X and is_known_class:
            estimator = fit.model
            X = Selection(self.shared_X, self.indices, table.scaling)
        else:
            estimator = fit.estimator
            X = self.X
        return compat.score_of_split(
            estimator,
            X,
            self.y,
            self.evaluation.scorer,
            self.arguments,
            self.evaluation.search.error_score,
        )


def mean_over_seeds(outcomes: Sequence[Outcome]) -> Outcome:
    """Average the scores and times of the outcomes for several seeds.

    Examples
    --------
    >>> mean_over_seeds([{"test_scores": {"r2": 0.5}, "fit_time": 1.0}, {"test_scores": {"r2": 1.0}, "fit_time": 2.0}])
    {'test_scores': {'r2': 0.75}, 'fit_time': 1.5}
    """
    if len(outcomes) == 1:
        return outcomes[0]
    return outcomes[0] | _mean(outcomes)


def _mean(values: Sequence) -> Any:
    """Return the mean of numbers, or the means of dictionaries by name."""
    if not isinstance(values[0], dict):
        return float(np.mean(values))
    means = {}
    for name in values[0]:
        if name != "fit_error":
            means[name] = _mean([value[name] for value in values])
    return means


def spread_over_seeds(outcomes: Sequence[Sequence[Outcome]]) -> dict[str, float]:
    """Return columns with each seed's mean test score over folds, and with the standard deviation of these means.

    Examples
    --------
    >>> spread_over_seeds([[{"test_scores": 1.0}, {"test_scores": 2.0}], [{"test_scores": 3.0}, {"test_scores": 4.0}]])
    {'seed0_test_score': 2.0, 'seed1_test_score': 3.0, 'std_seed_test_score': 0.7071067811865476}
    """
    means = [
        mean_over_seeds(fits_of_seed)["test_scores"]
        for fits_of_seed in zip(*outcomes, strict=True)
    ]
    if not isinstance(means[0], dict):
        means = [{"score": mean} for mean in means]
    columns = {}
    for name in means[0]:
        scores = [float(mean[name]) for mean in means]
        for seed, score in enumerate(scores):
            columns[f"seed{seed}_test_{name}"] = score
        columns[f"std_seed_test_{name}"] = float(np.std(scores, ddof=1))
    return columns
