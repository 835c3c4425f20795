"""The evaluation of candidates: every one is fitted on every fold with every random state at once, and scored."""

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection._validation import _insert_error_scores, _score, _warn_or_raise_about_fit_failures
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from .candidates import Candidate, Fold
from .together import AnyFitting, fit_together

if TYPE_CHECKING:
    from .search import MLPSearchCV

Outcome = dict[str, Any]
"""The scores, times and error of a fit, as scikit-learn's searches keep them."""


@dataclass(eq=False)
class Fit:
    """A candidate on a fold with a random state."""

    estimator: BaseEstimator | None = None
    fitting: AnyFitting | None = None
    error: Exception | None = None
    seconds: float = 0.0


@dataclass(eq=False)
class Evaluation:
    """Fits and scores candidates.

    Parameters
    ----------
    search : MLPSearchCV
        The search, for its settings.
    X, y : array
        All rows.
    splits : list of tuple
        The numbers of the rows of training and of test, for each fold.
    scorer : callable
        The scorer.
    fit_params, score_params : dict
        The other arguments of fitting and scoring.
    """

    search: "MLPSearchCV"
    X: Any
    y: Any
    splits: list[tuple[Any, Any]]
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    def __call__(self, choices: Sequence[dict[str, Any]]) -> list[list[Outcome]]:
        """Return the outcomes of each choice of parameters on each fold, one for each seed, by choice and fold.

        Raises
        ------
        ValueError
            If all fits fail, or one does and ``error_score`` is "raise".
        KeyboardInterrupt
            If Ctrl-C has ended training.
        """
        search = self.search
        candidates = [Candidate(search.estimator, params, search.n_seeds) for params in choices]
        folds = [self.prepared(candidates, train) for train, _ in self.splits]  # by fold, candidate and seed
        ready = [(fit, fit.fitting) for fits in folds for fit in fits if fit.fitting is not None]
        errors = fit_together([fitting for _, fitting in ready], search.n_jobs)
        for (fit, fitting), error in zip(ready, errors, strict=True):
            fit.error = error
            fit.seconds += fitting.seconds
        if any(fitting.interrupted for _, fitting in ready):
            raise KeyboardInterrupt
        scored = [list(self.scored(fits, *split)) for fits, split in zip(folds, self.splits, strict=True)]
        outcomes = [outcome for fold in scored for outcome in fold]
        _warn_or_raise_about_fit_failures(outcomes, search.error_score)
        if callable(search.scoring):
            _insert_error_scores(outcomes, search.error_score)
        seeds = range(0, len(candidates) * search.n_seeds, search.n_seeds)
        return [fold[first : first + search.n_seeds] for first in seeds for fold in scored]

    @cached_property
    def shared(self) -> np.ndarray | None:
        """All inputs, if training may choose its rows from them without preprocessing."""
        X = self.X
        of_numbers = type(X) is np.ndarray and X.ndim == 2 and X.dtype in (np.float32, np.float64)
        return X if of_numbers and np.isfinite(X).all() else None

    def prepared(self, candidates: Sequence[Candidate], train: Any) -> list[Fit]:
        """Return the fits of a fold, ready to be trained or with an error."""
        fold, fits = Fold(self.search.estimator, self.X, self.y, train, self.fit_params, self.shared), []
        for candidate in candidates:
            for random_state in candidate.random_states:
                started, fit = time.perf_counter(), Fit()
                try:
                    fit.fitting, fit.estimator = fold.fitting(candidate, random_state)
                except Exception as error:
                    fit.error = error
                fit.seconds = time.perf_counter() - started
                fits.append(fit)
        return fits

    def scored(self, fits: Sequence[Fit], train: Any, test: Any) -> Iterator[Outcome]:
        """Yield the outcome of each fit of a fold."""
        rows = {"test_scores": self.rows(test, train)}
        if self.search.return_train_score:
            rows["train_scores"] = self.rows(train, train)
        for fit in fits:
            if fit.error is None:
                yield self.outcome(fit, rows)
                fit.estimator = fit.fitting = None  # frees memory
            elif self.search.error_score == "raise":
                raise fit.error
            else:
                text = "".join(traceback.format_exception(fit.error))
                scores = {name: self.error_scores() for name in rows}
                yield {"fit_time": fit.seconds, "score_time": 0.0, "fit_error": text} | scores

    def rows(self, part: Any, train: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the rows of a part, and the other arguments of scoring."""
        given = _check_method_params(self.X, params=self.score_params, indices=part)
        return *_safe_split(self.search.estimator, self.X, self.y, part, train), given

    def outcome(self, fit: Fit, rows: dict[str, tuple[Any, Any, dict[str, Any]]]) -> Outcome:
        """Return the scores of a fit."""
        started, outcome = time.perf_counter(), {"fit_time": fit.seconds, "fit_error": None}
        for name, (X, y, given) in rows.items():
            outcome[name] = _score(fit.estimator, X, y, self.scorer, given, self.search.error_score)
            outcome.setdefault("score_time", time.perf_counter() - started)  # of the rows of test, which come first
        return outcome

    def error_scores(self) -> Any:
        """Return the scores of a fit that failed."""
        error = self.search.error_score
        return dict.fromkeys(self.scorer._scorers, error) if isinstance(self.scorer, _MultimetricScorer) else error


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

    Parameters
    ----------
    outcomes : sequence of sequence
        The outcomes of a choice of parameters, by fold and seed.

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
