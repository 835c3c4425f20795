"""Evaluate candidates: fit and score each candidate on every fold with every random state."""

import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import groupby
from math import ceil
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from ...core.rows.selection import Selection
from ...system.threads import limit_jobs, usable_threads
from ...train.population import bundles, require_method, workers_or_joblibs
from ...train.progress import Progress
from .. import sklearn_compat as compat
from ..base import MultilayerPerceptron
from ..classifier import MLPClassifier
from ..fit import FitOutcome, FitSpec
from ..parts import has_steps
from ..regressor import MLPRegressor
from ..settings import require_no_checkpoint, require_repeatable
from .fits import Show, fit_many, run_fit
from .folds import Candidate, Fold, Shared, Split, arguments_of, inputs_of, row_count, row_indices, select_rows
from .scaling import LARGE

Outcome = dict[str, Any]
"""The scores, times and error of a fit, in the format of scikit-learn's searches."""


@dataclass(eq=False)
class Fit:
    """A candidate on a fold with a random state: its spec, its model, and the estimator with that model."""

    ready: tuple[FitSpec, MultilayerPerceptron, BaseEstimator] | None = None
    error: Exception | None = None
    seconds: float = 0.0


@dataclass(eq=False)
class Evaluation:
    """Fits and scores the candidates of a search."""

    search: Any
    X: Any
    y: Any
    splits: list[Split]
    scorer: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    has_started: bool = False
    show: Show | None = None
    round: tuple[int, int] = (0, 1)  # the current round of halving, and the number of rounds

    def __call__(self, choices: Sequence[dict[str, Any]]) -> list[list[Outcome]]:
        """Return a list with one outcome per seed for each candidate and fold."""
        search, splits = self.search, self.splits
        candidates = [Candidate(search.estimator, params, search.n_seeds) for params in choices]
        for candidate in candidates:
            require_no_checkpoint(candidate.model, "give it to MLPSearchCV instead")
            require_repeatable(candidate.model, search.checkpoint)
        each = [(candidate, state) for candidate in candidates for state in candidate.random_states]
        total = len(each) * len(splits)
        known = self.run_on_workers(candidates, total)
        left = {
            fold: places
            for fold in range(len(splits))
            if (places := [place for place in range(len(each)) if (fold, place) not in known])
        }
        at_once = self.folds_at_once(candidates) if left else 1
        for first in range(0, len(left), at_once):
            some = list(left)[first : first + at_once]  # fitted together, then freed
            folds = [self.prepared([each[place] for place in left[of]], self.fold(splits[of].train)) for of in some]
            self.fit([fit for fits in folds for fit in fits], self.progress(len(known), total))
            for fold, fits in zip(some, folds, strict=True):
                known.update(zip([(fold, place) for place in left[fold]], self.scored(fits, splits[fold]), strict=True))
        scored = [[known[fold, place] for place in range(len(each))] for fold in range(len(splits))]
        outcomes = [outcome for fold in scored for outcome in fold]
        compat.warn_of_failed_fits(outcomes, search.error_score)
        compat.insert_error_scores(outcomes, search.error_score)
        seeds = range(0, len(candidates) * search.n_seeds, search.n_seeds)
        return [fold[first : first + search.n_seeds] for first in seeds for fold in scored]

    def progress(self, ended: int, total: int) -> Show | None:
        """Return a function that shows the progress of some fits after others of the round have ended."""
        show, (number, rounds) = self.show, self.round
        if show is None:
            return None

        def of_all(now: Progress) -> None:
            share = (number + (ended + now.share * now.members) / total) / rounds
            show(replace(now, ended=ended + now.ended, members=total, share=share))

        return of_all

    def fit(self, fits: Sequence[Fit], progress: Show | None = None) -> None:
        """Run the fits that are ready."""
        ready, search = [(fit, *fit.ready) for fit in fits if fit.ready is not None], self.search
        checkpoint = search.checkpoint and search.checkpoint._part("fits", takes_others=self.has_started)
        self.has_started = True
        each = [own for _, own, _, _ in ready]
        attempts = fit_many(each, search.n_jobs, checkpoint, search.workers, moments=False, progress=progress)
        if any(isinstance(attempt, FitOutcome) and attempt.interrupted for attempt in attempts):
            raise KeyboardInterrupt
        for (fit, own, model, _), attempt in zip(ready, attempts, strict=True):
            if isinstance(attempt, Exception):
                fit.error = attempt
            elif attempt is not None:
                fit.seconds += attempt.seconds
                try:
                    model._learn(own, attempt)
                except ValueError as error:
                    fit.error = error

    def run_on_workers(self, candidates: Sequence[Candidate], total: int) -> dict[tuple[int, int], Outcome]:
        """Run fits on workers; return the outcomes by fold and position."""
        search, workers = self.search, workers_or_joblibs(self.search.workers)
        if workers is None or search.checkpoint or any(candidate.model.callbacks for candidate in candidates):
            return {}
        require_method("workers", workers, "run")
        rows, inputs = row_count(self.X), int(np.prod(getattr(self.X, "shape", np.shape(self.X))[1:]))
        fits = [(number, state) for number, own in enumerate(candidates) for state in own.random_states]
        seconds = np.repeat([candidate.seconds(rows, inputs) for candidate in candidates], search.n_seeds)
        ends = np.cumsum(seconds) // bundles.SECONDS
        cut = groupby(range(len(fits)), lambda place: (ends[place], place // bundles.MOST))
        parts = sorted(([*places] for _, places in cut), key=lambda places: -seconds[places].sum())
        each = [
            SearchBundle(of, fold, [fits[place] for place in of]) for of in parts for fold in range(len(self.splits))
        ]
        how = {name: getattr(search, name) for name in ("n_jobs", "return_train_score", "error_score", "scoring")}
        sent = replace(self, search=type(search)(search.estimator, **how), show=None)
        known, said = {}, set[Warned]()
        results = workers.run(
            evaluate_on_worker, each, WorkerSearch(sent, [candidate.params for candidate in candidates])
        )
        try:
            for place, (outcomes, warned) in results:
                of = [(each[place].fold, number) for number in each[place].indices]
                known |= {key: outcome for key, outcome in zip(of, outcomes, strict=True) if outcome is not None}
                said |= warned
                if progress := self.progress(len(known), total):
                    progress(Progress(0, 0, 0.0))
        finally:
            getattr(results, "close", lambda: None)()
        for text, category in sorted(said, key=str):
            warnings.warn(text, category, stacklevel=2)
        return known

    def folds_at_once(self, candidates: Sequence[Candidate]) -> int:
        """Return the number of folds to fit at once: all, or for large X, enough to keep threads busy.

        If folds copy rows, each thread gets one fit. If folds select rows in place, each thread gets two, which reduces
        idle time at the end. With workers, such folds all run at once, so that X is sent only once.
        """
        X, search = self.X, self.search
        only_choose = self.shared is not None and all(each.only_scales(self.fit_params) for each in candidates)
        about = 12 * X.nnz if sparse.issparse(X) else 8 * np.prod(np.shape(X))  # bytes
        if about < LARGE or (only_choose and search.workers is not None):
            return len(self.splits)
        with limit_jobs(search.n_jobs):
            return ceil((2 if only_choose else 1) * usable_threads() / (len(candidates) * search.n_seeds))

    @cached_property
    def shared(self) -> Shared | None:
        """All rows if folds can select rows without a copy, and None otherwise."""
        return Shared.of(self.X, self.y, self.fit_params)

    def fold(self, train: Any) -> Fold:
        """Return a fold with these training rows."""
        return Fold(self.search.estimator, self.X, self.y, train, self.fit_params, self.shared)

    def prepared(self, each: Sequence[tuple[Candidate, Any]], fold: Fold) -> list[Fit]:
        """Return the fits of candidates with random states, ready to train or with an error."""
        fits = []
        for candidate, random_state in each:
            started, fit = time.perf_counter(), Fit()
            try:
                fit.ready = fold.started(candidate, random_state)
            except Exception as error:
                fit.error = error
            fit.seconds = time.perf_counter() - started
            fits.append(fit)
        return fits

    def scored(self, fits: Sequence[Fit], split: Split) -> Iterator[Outcome]:
        """Yield the outcome of each fit of a fold."""
        search = self.search
        parts = {"test_scores": self.scores_on(split.test, split)}
        if search.return_train_score:
            parts["train_scores"] = self.scores_on(split.train, split)
        for fit in fits:
            if fit.error is None:
                started, outcome = time.perf_counter(), {"fit_time": fit.seconds, "fit_error": None}
                for name, scores in parts.items():
                    outcome[name] = scores(fit)
                    outcome.setdefault("score_time", time.perf_counter() - started)  # test scores come first
                yield outcome
                fit.ready = None  # frees memory
            elif search.error_score == "raise":
                raise fit.error
            else:
                text = "".join(traceback.format_exception(fit.error))
                failed = dict.fromkeys(parts, search.error_score)
                yield {"fit_time": fit.seconds, "score_time": 0.0, "fit_error": text, **failed}

    def scores_on(self, part: Any, split: Split) -> Callable[[Fit], Any]:
        """Return a function that scores fits of a fold on some rows.

        If scorers use a large X only for predictions, the model reads it in chunks, without a copy of all rows.
        """
        search, shared, whole = self.search, self.shared, None
        count = row_count(self.X)
        indices, y = row_indices(part, count), cache(lambda: select_rows(self.y, indices))
        how = self.scorer, arguments_of(self.score_params, indices, count), search.error_score
        if shared is not None and shared.is_large:
            scorers = compat.scorers_of(search.estimator, search.scoring) or {"": self.scorer}
            whole = shared.by_rows if compat.only_predicts(search.estimator, scorers.values()) else None
        copied = cache(lambda: inputs_of(search.estimator, self.X, indices, row_indices(split.train, count)))

        def scores(fit: Fit) -> Any:
            assert fit.ready is not None  # None only for failed fits
            spec, model, estimator = fit.ready
            if whole is not None and spec.rows.table.X is whole and type(model) in (MLPClassifier, MLPRegressor):
                X: Any = Selection(whole, indices, spec.rows.table.scaling)
                return compat.score_of_split(model, X, y(), *how)
            return compat.score_of_split(estimator, copied(), y(), *how)

        return scores

    def refit(self, params: dict[str, Any]) -> Any:
        """Return the estimator with the given parameters, fitted to all rows."""
        candidate = Candidate(self.search.estimator, params, seeds=1)
        estimator: Any = candidate.estimator
        model, checkpoint = candidate.model, self.search.checkpoint
        if checkpoint is not None and (model.n_restarts > 1 or has_steps(model)):
            model.checkpoint = checkpoint._part("refit", takes_others=True)
        shared = self.shared
        reads_in_parts = shared is not None and shared.is_large and shared.is_read_in_place
        if reads_in_parts and candidate.name is not None and candidate.only_scales(self.fit_params):
            spec, model, estimator = self.fold(np.arange(len(self.X))).started(candidate, *candidate.random_states)
            spec.checkpoint = model.checkpoint
            outcome = run_fit(spec)
            model._learn(spec, outcome)
            if warning := model._convergence_warning(spec, outcome):
                warnings.warn(warning, ConvergenceWarning, stacklevel=5)
        else:
            del self.shared, shared  # may hold a copy of X
            estimator = estimator.fit(self.X, self.y, **self.fit_params)
        (estimator.steps[-1][1] if candidate.name else estimator).checkpoint = None
        return estimator


Warned = tuple[str, type[Warning]]
"""The text and the category of a warning."""


class SearchBundle(NamedTuple):
    """Fits of one fold for a worker: their positions, candidate indices and random states."""

    indices: list[int]
    fold: int
    fits: list[tuple[int, Any]]


@dataclass(eq=False)
class WorkerSearch:
    """A search on a worker, with prepared folds and candidates."""

    evaluation: Evaluation
    choices: Sequence[dict[str, Any]]
    candidates: dict[int, Candidate] = field(default_factory=dict)
    folds: dict[int, Fold] = field(default_factory=dict)

    def prepared(self, bundle: SearchBundle) -> list[Fit]:
        """Return the fits of a bundle."""
        estimator = self.evaluation.search.estimator
        if bundle.fold not in self.folds:
            self.folds[bundle.fold] = self.evaluation.fold(self.evaluation.splits[bundle.fold].train)
        for number, _ in bundle.fits:
            if number not in self.candidates:  # kept, since folds identify settings by `id`
                self.candidates[number] = Candidate(estimator, self.choices[number], seeds=1)
        each = [(self.candidates[number], state) for number, state in bundle.fits]
        return self.evaluation.prepared(each, self.folds[bundle.fold])


_lock = Lock()
"""Serializes preparation and scoring on a worker, whose threads share folds and Python's warning filters."""


def evaluate_on_worker(bundle: SearchBundle, sent: WorkerSearch) -> tuple[list[Outcome | None], set[Warned]]:
    """Return the outcomes of fits, and the warnings; the outcome is None for fits that run Python code after epochs."""
    evaluation = sent.evaluation
    with _lock, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        fits = sent.prepared(bundle)
        ready = [fit for fit in fits if fit.ready is None or fit.ready[0].member() is not None]
    evaluation.fit(ready)
    with _lock, warnings.catch_warnings(record=True) as of_scores:
        warnings.simplefilter("always")
        outcomes = dict(zip(map(id, ready), evaluation.scored(ready, evaluation.splits[bundle.fold]), strict=True))
    said = {(str(of.message), of.category) for of in (*warned, *of_scores)}
    return [outcomes.get(id(fit)) for fit in fits], said


def mean_over_seeds(outcomes: Sequence[Outcome]) -> Outcome:
    """Average the scores and times of the outcomes for several seeds.

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
    """Return columns with each seed's mean test score over folds, and with the standard deviation of these means.

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
