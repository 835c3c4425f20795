"""A search over settings, whose fits are trained as one program."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from math import ceil
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import indexable

from ...system.versions import Versioned
from .. import sklearn_compat as compat
from ..settings import CHECKPOINT, COUNT, held
from .evaluation import Evaluation, Outcome, mean_over_seeds, spread_over_seeds
from .folds import Candidate, Split, count_of, splitter_for


@dataclass(eq=False, repr=False)
class MLPSearchCV(Versioned, compat.BaseSearchCV):
    """A search over settings of a network by cross-validation, as scikit-learn's searches, with all fits at once.

    Every setting is trained on every fold with every seed in one program, which threads share; each fit is what it
    would be alone, bit for bit, so that the results are those of `sklearn.model_selection.GridSearchCV`. Fits that
    need Python after each epoch ("lbfgs", callbacks, early stopping by a ``scoring`` of your own and the like) run one
    by one, in threads.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or Pipeline that ends in one
        The estimator whose settings are searched. Steps before the last are fitted once for each fold and for each of
        their own settings.
    param_grid : dict or list of dict, optional
        The values to try of each parameter, in all combinations; several dicts are several grids.
    param_distributions : dict or list of dict, optional
        Instead of ``param_grid``: lists or distributions (with ``rvs``) that ``n_iter`` settings are drawn from.
    n_iter : int, default 10
        The number of settings that are drawn.
    scoring : str, callable, list, tuple, dict or None, default None
        The score; several scores by a list of names, or by a dict or a callable that returns one. None for
        ``estimator.score``.
    cv : int, splitter, iterable or None, default None
        How rows are split: the number of folds, 5 by default, or any splitter, or pairs of numbers of rows. With a
        number, `fit` takes ``groups``, which stay together, or ``time``: each fold is then a block of rows that is
        scored by fits to earlier ones. Validation rows of the estimator's own early stopping are drawn at random.
    refit : bool, str or callable, default True
        Whether the best setting is fitted to all rows. If there are several scores, the name of the one that decides;
        or a function that takes ``cv_results_`` and returns the number of the best setting.
    return_train_score : bool, default False
        Whether rows of training are scored too.
    n_seeds : int, default 1
        The number of random states that each setting is fitted with on each fold: the estimator's own, and others
        drawn from it. Scores and times are means over them; additional columns of ``cv_results_`` show how much the
        score depends on the seed.
    halving : float or None, default None
        Successive halving: all settings are trained for few epochs, the best 1 in ``halving`` for ``halving`` times as
        many, and so on, the last for the estimator's ``max_iter``. "max_iter" must not be searched then.
    n_jobs : int or None, default None
        The largest number of threads; None for the number of processors.
    workers : DaskWorkers or None, default None
        Trains and scores the fits on a cluster, with bit-identical scores. Fits that need Python after each epoch, and
        the refit, run in this process. With a checkpoint, this process also computes the scores. In a block of
        ``joblib.parallel_config("dask")``, the search uses its cluster by default.
    random_state : int, RandomState or None, default None
        Fixes the settings that are drawn. The estimator's own fixes each fit.
    error_score : "raise" or float, default nan
        The score of a fit that fails, such as one that diverges; or "raise", to raise its error.
    verbose : int, default 0
        Whether to print the number of fits.
    pre_dispatch : int or str, default "2*n_jobs"
        Has no effect, since fits are no jobs: calls of scikit-learn's searches need no change.
    checkpoint : Checkpoint or None, default None
        Keeps the fits that have ended in a folder, ``Checkpoint("folder")``. If the program is killed, the same `fit`
        goes on with the others, to the bit. It needs an integer as the estimator's random_state.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        A row for each setting, with the columns of `sklearn.model_selection.GridSearchCV`. With several seeds also
        ``seed0_test_score``, ``seed1_test_score``, …: the mean over the folds, of each seed; and
        ``std_seed_test_score``, their standard deviation (with n_seeds - 1 as the divisor). A setting that is better
        than another by less than that may owe it to luck. With halving also ``iter`` and ``n_resources``, the number
        of the round, from 0, and its epochs.
    best_estimator_ : estimator
        The estimator with the best setting, fitted to all rows, if ``refit`` is set.
    best_score_, best_params_, best_index_ : float, dict and int
        Score and parameters of the best setting, and its row in ``cv_results_``; with halving the best of the last
        round.
    n_splits_ : int
        The number of folds.
    scorer_ : callable or dict
        The scorer.
    multimetric_ : bool
        Whether there are several scores.
    refit_time_ : float
        The seconds that fitting the best setting took.
    n_resources_, n_candidates_ : list of int
        With halving, the epochs and the number of settings of each round.

    Notes
    -----
    Fits choose their rows from X where they lie, in memory or in a memory map, if X is a NumPy array of finite floating
    numbers. From 8 MB on, they also scale rows as they read them if nothing but a `StandardScaler`, `MinMaxScaler`,
    `MaxAbsScaler` or `RobustScaler` is before the network, and scores are of predictions of some rows after others. So
    no copy of X is made, only lists of row numbers, about 70 bytes a row. A function as ``scoring`` gets a copy of
    the rows that it scores. A frame of pandas whose numbers lie in one array is copied once, and its columns stay
    known. If other steps are before the network, or X is another frame or a sparse matrix, rows are copied, for as few
    folds at once as keep the threads busy.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from vecprop import MLPClassifier, MLPSearchCV
    >>> X, y = make_moons(100, noise=0.1, random_state=0)
    >>> network = MLPClassifier((8,), solver="sgd", max_iter=50, n_iter_no_change=50, random_state=0)
    >>> search = MLPSearchCV(network, {"learning_rate_init": [0.001, 0.1]}, n_seeds=3, refit=False)
    >>> search.fit(X, y).best_params_
    {'learning_rate_init': 0.1}
    """

    estimator: Any
    param_grid: Any = None
    _: KW_ONLY
    param_distributions: Any = None
    n_iter: int = 10
    scoring: Any = None
    cv: Any = None
    refit: Any = True
    return_train_score: bool = False
    n_seeds: int = 1
    halving: float | None = None
    n_jobs: int | None = None
    workers: Any = None
    random_state: Any = None
    error_score: Any = np.nan
    verbose: int = 0
    pre_dispatch: Any = "2*n_jobs"
    checkpoint: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        **compat.SEARCH_CONSTRAINTS,
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "n_iter": [COUNT],
        "n_seeds": [COUNT],
        "halving": [compat.Interval(Real, 1, None, closed="neither"), None],
        "workers": [compat.HasMethods("run"), None],
        "random_state": ["random_state"],
        "checkpoint": CHECKPOINT,
    }

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Refuse scikit-learn's callbacks: fits that run as one program have no tasks that could call them.

        Raises
        ------
        TypeError
            Always.
        """
        advice = "set them on its estimator, whose fits then run one by one."
        raise TypeError(f"MLPSearchCV has no tasks of its own that callbacks could watch: {advice}")

    @compat.fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all settings on all folds, and the best one on all rows.

        Parameters
        ----------
        X : array, data frame or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels, or the numbers.
        **params : dict
            Further arguments of the estimator, the scorers and the splitter, as in scikit-learn, such as ``groups`` and
            ``sample_weight``; arrays of N entries are split like X.

        Returns
        -------
        self
            The search.

        Raises
        ------
        TypeError
            If the estimator is not one of vecprop's.
        ValueError
            If parameters are wrong, or all fits fail.
        """
        scorer = check_scoring(self.estimator, self.scoring, raise_exc=self.error_score == "raise")
        several = compat.scorers_of(self.estimator, self.scoring)
        if several is not None:
            self._require_deciding(several)
        X, y = indexable(X, y)
        how = {"groups": params.get("groups"), "time": params.pop("time", None)}
        cv = splitter_for(self.cv, y, is_classes=is_classifier(self.estimator), **how)
        routed = compat.routed_arguments(self, params)
        splits = self._splits(cv, X, y, routed.splitter.split)
        evaluate = Evaluation(self, X, y, splits, scorer, routed.estimator.fit, routed.scorer.score)
        with held(self.checkpoint):
            self._fit(evaluate)
        self.scorer_ = several or scorer
        return self

    def _fit(self, evaluate: Evaluation) -> None:
        """Evaluate all settings, choose the best, and fit it to all rows."""
        results, scores = self._search(evaluate)
        self.multimetric_ = isinstance(scores, dict)
        metric: Any = "score"
        if self.multimetric_:
            self._require_deciding(scores)
            metric = self.refit
        if self.refit or not self.multimetric_:
            if callable(self.refit):
                self.best_index_ = self.refit(results)
                if not isinstance(self.best_index_, int | np.integer) or not 0 <= self.best_index_ < len(
                    results["params"]
                ):
                    needed = "a function must return the number of a row of cv_results_"
                    raise ValueError(f"refit returned {self.best_index_!r}, but such {needed}.")
            elif self.halving is None:
                self.best_index_ = results[f"rank_test_{metric}"].argmin()
            else:
                last = np.flatnonzero(results["iter"] == results["iter"].max())
                self.best_index_ = last[results[f"rank_test_{metric}"][last].argmin()]
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]
        if self.refit:
            started = time.perf_counter()
            self.best_estimator_ = evaluate.refitted(self.best_params_)
            self.refit_time_ = time.perf_counter() - started
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        self.cv_results_ = results

    def _require_deciding(self, names: Iterable[str]) -> None:
        """Refuse a ``refit`` that does not say which of several scores decides."""
        if not (self.refit is False or callable(self.refit) or (isinstance(self.refit, str) and self.refit in names)):
            deciding = f"one of {', '.join(map(repr, names))}, a function, or False"
            raise ValueError(f"refit is {self.refit!r}, but there are several scores: give {deciding}.")

    def _splits(self, cv: Any, X: Any, y: Any, params: dict[str, Any]) -> list[Split]:
        """Return the rows of training and test of each fold."""
        splits = [Split.of(train, test, count_of(X)) for train, test in cv.split(X, y, **params)]
        self.n_splits_ = cv.get_n_splits(X, y, **params)
        if not splits:
            raise ValueError("cv yields no split: give one that does, or a number of folds.")
        if len(splits) != self.n_splits_:
            raise ValueError(f"cv has {self.n_splits_} splits but yields {len(splits)}: give one that yields as many.")
        return splits

    def _choices(self) -> list[dict[str, Any]]:
        """Return the parameters of each setting."""
        if (self.param_grid is None) == (self.param_distributions is None):
            raise ValueError("Settings come from param_grid or from param_distributions: give one of the two.")
        if self.param_grid is not None:
            grids = [self.param_grid] if isinstance(self.param_grid, dict) else self.param_grid
            drawn = [name for grid in grids for name, values in grid.items() if hasattr(values, "rvs")]
            if drawn:
                advice = "give param_distributions=, and n_iter= for the number of settings that are drawn"
                raise TypeError(f"param_grid lists values, but {drawn[0]!r} is a distribution: {advice}.")
            choices = list(ParameterGrid(self.param_grid))
        else:
            choices = list(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))
        if not choices:
            raise ValueError("There is no setting to try: param_grid or param_distributions is empty.")
        return choices

    def _search(self, evaluate: Evaluation) -> tuple[dict[str, Any], Any]:
        """Return ``cv_results_``, and the test scores of the first fit."""
        choices, results = self._choices(), {}
        tried: list[dict[str, Any]] = []
        outcomes: list[Outcome] = []
        more: dict[str, list[Any]] = {}
        self.n_resources_, self.n_candidates_ = [], []
        for number, epochs in enumerate(self._rounds(choices)):
            if self.halving is not None:
                choices = [params | {self._max_iter: epochs} for params in choices]
                self.n_resources_.append(epochs)
                self.n_candidates_.append(len(choices))
            if self.verbose:
                fits, folds = len(choices) * self.n_splits_ * self.n_seeds, f"{self.n_splits_} folds"
                fitted = f"{folds} for each of {len(choices)} candidates, with {self.n_seeds} seeds"
                print(f"Fitting {fitted}, totalling {fits} fits")
            new = evaluate(choices)
            tried += choices
            outcomes += map(mean_over_seeds, new)
            for first in range(0, len(new), self.n_splits_):
                columns = {} if self.halving is None else {"iter": number, "n_resources": epochs}
                if self.n_seeds > 1:
                    columns |= spread_over_seeds(new[first : first + self.n_splits_])
                for name, value in columns.items():
                    more.setdefault(name, []).append(value)
            results = compat.results_of(self, tried, self.n_splits_, outcomes, more)
            choices = self._best(choices, results)
        return results, outcomes[0]["test_scores"]

    @property
    def _max_iter(self) -> str:
        """The name of the parameter that is the number of epochs."""
        return f"{self.estimator.steps[-1][0]}__max_iter" if isinstance(self.estimator, Pipeline) else "max_iter"

    def _rounds(self, choices: Sequence[dict[str, Any]]) -> Iterator[int]:
        """Yield the epochs of each round; without halving 0, once, for as many as the settings say."""
        if self.halving is None:
            yield 0
            return
        if any(self._max_iter in params for params in choices):
            raise ValueError(f"Halving chooses {self._max_iter} itself: leave it out of the search.")
        after = 0
        while self.halving ** (after + 1) <= len(choices):
            after += 1
        most = Candidate(self.estimator, choices[0], seeds=1).settings["max_iter"]
        yield from (max(int(most / self.halving ** (after - number)), 1) for number in range(after + 1))

    def _best(self, choices: list[dict[str, Any]], results: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the best of the latest round's settings, those that the next round trains for longer."""
        if self.halving is None:
            return []
        column = f"mean_test_{self.refit}"
        if column not in results:
            column = "mean_test_score"
        if column not in results:
            raise ValueError("Halving needs one score that decides: give its name as refit.")
        scores = results[column][-len(choices) :]
        order = np.argsort(np.where(np.isnan(scores), -np.inf, scores), kind="stable")
        return [choices[number] for number in order[-ceil(len(choices) / self.halving) :]]
