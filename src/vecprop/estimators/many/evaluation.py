"""The evaluation of candidates: every one is fitted on every fold with every random state at once, and scored."""

import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from ...core.rows.selection import Selection
from ...optimize.lbfgs import LBFGS
from ...system.threads import at_most_jobs, usable_threads
from ..base import MultilayerPerceptron
from ..classifier import MLPClassifier
from ..fit import FitOutcome, FitSpec
from ..parts import optimizer
from ..regressor import MLPRegressor
from ..sklearn_compat import (
    check_method_params,
    insert_error_scores,
    only_predicts,
    safe_indexing,
    safe_split,
    score_of_split,
    scorers_of,
    warn_of_failed_fits,
)
from .folds import Candidate, Fold, Shared, Split, row_numbers
from .keeping import checkpoint_of, require_no_checkpoint, require_repeatable
from .scaling import LARGE
from .together import fit_together, run_fit

Outcome = dict[str, Any]
"""The scores, times and error of a fit, as scikit-learn's searches keep them."""


@dataclass(eq=False)
class Fit:
    """A candidate on a fold with a random state: what is trained, the model, and the estimator that ends in it."""

    begun: tuple[FitSpec, MultilayerPerceptron, BaseEstimator] | None = None
    error: Exception | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class SearchSpec:
    """What a search evaluates, and how."""

    estimator: Any
    splits: list[Split]
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    n_seeds: int
    return_train_score: bool
    error_score: Any
    n_jobs: int | None
    workers: Any
    checkpoint: Any


@dataclass(eq=False)
class Evaluation:
    """Fits and scores candidates."""

    spec: SearchSpec
    X: Any
    y: Any
    begun: bool = False

    def __call__(self, choices: Sequence[dict[str, Any]]) -> list[list[Outcome]]:
        """Return the outcomes of each choice of parameters on each fold, one for each seed, by choice and fold.

        Raises
        ------
        ValueError
            If all fits fail, or one does and ``error_score`` is "raise".
        KeyboardInterrupt
            If Ctrl-C has ended training.
        """
        spec = self.spec
        candidates = [Candidate(spec.estimator, params, spec.n_seeds) for params in choices]
        self.require_place(candidates)
        scored: list[list[Outcome]] = []  # by fold, candidate and seed
        at_once = self.folds_at_once(candidates)
        for first in range(0, len(spec.splits), at_once):
            scored += self.fitted_and_scored(candidates, spec.splits[first : first + at_once])
        outcomes = [outcome for fold in scored for outcome in fold]
        warn_of_failed_fits(outcomes, spec.error_score)
        insert_error_scores(outcomes, spec.error_score)
        seeds = range(0, len(candidates) * spec.n_seeds, spec.n_seeds)
        return [fold[first : first + spec.n_seeds] for first in seeds for fold in scored]

    def fitted_and_scored(self, candidates: Sequence[Candidate], splits: Sequence[Split]) -> list[list[Outcome]]:
        """Return the outcomes of candidates on some folds, whose fits share threads and are gone then."""
        folds = [self.prepared(candidates, split.train) for split in splits]
        self.fit([fit for fits in folds for fit in fits])
        return [list(self.scored(fits, split)) for fits, split in zip(folds, splits, strict=True)]

    def require_place(self, candidates: Sequence[Candidate]) -> None:
        """Refuse candidates with a checkpoint of their own, or whose fits could not go on from the search's."""
        for candidate in candidates:
            require_no_checkpoint(candidate.model, 'give MLPSearchCV its own, checkpoint=Checkpoint("folder")')
            require_repeatable(candidate.model, self.spec.checkpoint)

    def fit(self, fits: Sequence[Fit]) -> None:
        """Run the fits that are ready."""
        ready, spec = [(fit, *fit.begun) for fit in fits if fit.begun is not None], self.spec
        checkpoint = spec.checkpoint and spec.checkpoint.part("fits", takes_others=self.begun)
        self.begun = True
        each = [own for _, own, _, _ in ready]
        attempts = fit_together(each, spec.n_jobs, checkpoint, spec.workers, moments=False)
        if any(isinstance(attempt, FitOutcome) and attempt.interrupted for attempt in attempts):
            raise KeyboardInterrupt
        for (fit, own, model, _), attempt in zip(ready, attempts, strict=True):
            if isinstance(attempt, Exception):
                fit.error = attempt
            elif attempt is not None:
                fit.seconds += attempt.seconds
                try:
                    model.learn(own, attempt)
                except ValueError as error:
                    fit.error = error

    def folds_at_once(self, candidates: Sequence[Candidate]) -> int:
        """Return the number of folds that are fitted at once: all, or if X is large, as many as keep threads busy.

        If folds copy rows, these are as few as give each thread a fit. If they choose them, they give it two: a thread
        then waits less for the last one. To workers on other machines X goes once then, for all folds.
        """
        if _bytes(self.X) < LARGE:
            return len(self.spec.splits)
        only_choose = self.shared is not None and all(each.only_scales(self.spec.fit_params) for each in candidates)
        if only_choose and self.spec.workers is not None:
            return len(self.spec.splits)
        with at_most_jobs(self.spec.n_jobs):
            return ceil((2 if only_choose else 1) * usable_threads() / (len(candidates) * self.spec.n_seeds))

    @cached_property
    def shared(self) -> Shared | None:
        """All rows, if folds can choose theirs from them without a copy."""
        return Shared.of(self.X, self.y, self.spec.fit_params)

    def fold(self, train: Any) -> Fold:
        """Return a fold with these rows of training."""
        return Fold(self.spec.estimator, self.X, self.y, train, self.spec.fit_params, self.shared)

    def prepared(self, candidates: Sequence[Candidate], train: Any) -> list[Fit]:
        """Return the fits of a fold, ready to be trained or with an error."""
        fold, fits = self.fold(train), []
        for candidate in candidates:
            for random_state in candidate.random_states:
                started, fit = time.perf_counter(), Fit()
                try:
                    fit.begun = fold.begun(candidate, random_state)
                except Exception as error:
                    fit.error = error
                fit.seconds = time.perf_counter() - started
                fits.append(fit)
        return fits

    def scored(self, fits: Sequence[Fit], split: Split) -> Iterator[Outcome]:
        """Yield the outcome of each fit of a fold."""
        parts = {"test_scores": Scored(self, split.test, split)}
        if self.spec.return_train_score:
            parts["train_scores"] = Scored(self, split.train, split)
        for fit in fits:
            if fit.error is None:
                yield self.outcome(fit, parts)
                fit.begun = None  # frees memory
            elif self.spec.error_score == "raise":
                raise fit.error
            else:
                text = "".join(traceback.format_exception(fit.error))
                scores = {name: self.error_scores() for name in parts}
                yield {"fit_time": fit.seconds, "score_time": 0.0, "fit_error": text} | scores

    def outcome(self, fit: Fit, parts: "dict[str, Scored]") -> Outcome:
        """Return the scores of a fit."""
        started, outcome = time.perf_counter(), {"fit_time": fit.seconds, "fit_error": None}
        for name, score in parts.items():
            outcome[name] = score(fit)
            outcome.setdefault("score_time", time.perf_counter() - started)  # of the rows of test, which come first
        return outcome

    def refitted(self, params: dict[str, Any]) -> Any:
        """Return the estimator with a choice of parameters, fitted to all rows."""
        candidate = Candidate(self.spec.estimator, params, seeds=1)
        model, own = candidate.model, candidate.model.callbacks
        can_go_on = model.n_restarts > 1 or not isinstance(optimizer(model), LBFGS)
        if self.spec.checkpoint is not None and can_go_on:
            model.callbacks = [*(own or ()), self.spec.checkpoint.part("refit", takes_others=True)]
        estimator = self._refitted(candidate)
        (estimator.steps[-1][1] if candidate.name else estimator).callbacks = own
        return estimator

    def _refitted(self, candidate: Candidate) -> Any:
        shared = self.shared
        reads_in_parts = shared is not None and shared.is_large and shared.is_read_in_place
        if not (reads_in_parts and candidate.name is not None and candidate.only_scales(self.spec.fit_params)):
            del self.shared, shared  # which may have a copy of X
            return candidate.estimator.fit(self.X, self.y, **self.spec.fit_params)
        spec, model, estimator = self.fold(np.arange(len(self.X))).begun(candidate, *candidate.random_states)
        spec.checkpoint = checkpoint_of(model)
        outcome = run_fit(spec)
        model.learn(spec, outcome)
        shortfall = model.shortfall(spec, outcome)
        if shortfall:
            warnings.warn(shortfall, ConvergenceWarning, stacklevel=4)
        return estimator

    def error_scores(self) -> Any:
        """Return the scores of a fit that failed."""
        error, scorers = self.spec.error_score, scorers_of(self.spec.scorer)
        return error if scorers is None else dict.fromkeys(scorers, error)


def _bytes(X: Any) -> int:
    """Return about the bytes of X."""
    return int(12 * X.nnz if sparse.issparse(X) else 8 * np.prod(np.shape(X)))


def mean_over_seeds(outcomes: Sequence[Outcome]) -> Outcome:
    """Return an outcome whose scores and times are the means over those of several seeds.

    Examples
    --------
    >>> mean_over_seeds([{"test_scores": {"r2": 0.5}, "fit_time": 1.0}, {"test_scores": {"r2": 1.0}, "fit_time": 2.0}])
    {'test_scores': {'r2': 0.75}, 'fit_time': 1.5}
    """
    first = outcomes[0]
    if len(outcomes) == 1:
        return first

    def mean(values: Sequence[Any]) -> Any:
        if isinstance(values[0], dict):
            return {name: mean([value[name] for value in values]) for name in values[0]}
        return float(np.mean(values))

    names = [name for name in first if name != "fit_error"]
    return first | {name: mean([outcome[name] for outcome in outcomes]) for name in names}


def spread_over_seeds(outcomes: Sequence[Sequence[Outcome]]) -> dict[str, float]:
    """Return, by name of its column, the mean test score over folds of each seed, and their standard deviation.

    Examples
    --------
    >>> spread_over_seeds([[{"test_scores": 1.0}, {"test_scores": 2.0}], [{"test_scores": 3.0}, {"test_scores": 4.0}]])
    {'seed0_test_score': 2.0, 'seed1_test_score': 3.0, 'std_seed_test_score': 0.7071067811865476}
    """
    by_seed = [mean_over_seeds(seed)["test_scores"] for seed in zip(*outcomes, strict=True)]
    named = [scores if isinstance(scores, dict) else {"score": scores} for scores in by_seed]
    columns = {}
    for name in named[0]:
        scores = [scores[name] for scores in named]
        columns |= {f"seed{seed}_test_{name}": float(score) for seed, score in enumerate(scores)}
        columns[f"std_seed_test_{name}"] = float(np.std(scores, ddof=1))
    return columns


class Scored:
    """The rows of a part of a fold, on which its fits are scored.

    If scorers do nothing with large X but have a model predict it, the model reads some rows at a time, and no copy of
    all is made.
    """

    def __init__(self, evaluation: "Evaluation", part: Any, split: Split) -> None:
        self.evaluation, self.part, self.split = evaluation, part, split
        self.given = check_method_params(evaluation.X, params=evaluation.spec.score_params, indices=part)
        shared = evaluation.shared
        reads = shared is not None and shared.is_large and only_predicts(evaluation.spec.scorer)
        self.X = shared.by_rows if shared is not None and reads else None

    def __call__(self, fit: "Fit") -> Any:
        """Return the scores of a fit."""
        assert fit.begun is not None  # it is None if it failed
        spec, model, estimator = fit.begun
        table, search = spec.rows.table, self.evaluation.spec
        if table.X is self.X and type(model) in (MLPClassifier, MLPRegressor):
            estimator, (X, y) = model, (Selection(table.X, self.numbers, table.scaling), self.y)
        else:
            X, y = self.copied
        return score_of_split(estimator, X, y, search.scorer, self.given, search.error_score)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers of the rows."""
        return row_numbers(self.part, len(self.evaluation.X))

    @cached_property
    def y(self) -> Any:
        """The targets of the rows."""
        return safe_indexing(self.evaluation.y, self.part)

    @cached_property
    def copied(self) -> tuple[Any, Any]:
        """A copy of the rows and their targets."""
        own = self.evaluation
        return safe_split(own.spec.estimator, own.X, own.y, self.part, self.split.train)
