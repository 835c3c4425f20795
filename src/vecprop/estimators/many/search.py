"""A hyperparameter search that trains all fits together."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from math import ceil
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, indexable

from ...core import SuggestsKeywords
from ...pictures import plot_search
from ...system.extras import imported
from ...system.suggestions import SuggestsSettings
from ...system.versions import Versioned
from ...train.members import row_count
from ...train.progress import progress_bar
from ...train.run import held
from .. import sklearn_compat as compat
from ..settings import CHECKPOINT, COUNT
from .evaluation import Evaluation, mean_over_seeds, spread_over_seeds
from .folds import Candidate, Split, splitter_for


@dataclass(eq=False, repr=False)
class MLPSearchCV(SuggestsSettings, SuggestsKeywords, Versioned, compat.BaseSearchCV):
    """A hyperparameter search by cross-validation that trains all networks at once.

    The networks of all candidates, folds and seeds are trained together, in compiled
    code with several threads. Each fit is bit-identical to a separate fit, so the
    results equal the results of `sklearn.model_selection.GridSearchCV`. Fits that run
    Python code after each epoch run separately, in threads. Examples are "lbfgs",
    callbacks, and early stopping on a custom ``scoring``.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or Pipeline that ends in one
        The estimator to tune. The other steps of a Pipeline are fitted once for each
        fold and each choice of their parameters.
    param_grid : dict or list of dict, optional
        The values to try for each parameter, in all combinations. A list of dicts is a
        list of grids.
    param_distributions : dict or list of dict, optional
        Lists or distributions (with ``rvs``) of each parameter. The search draws
        ``n_iter`` candidates from them. Pass either ``param_grid`` or
        ``param_distributions``.
    n_iter : int, default 10
        The number of candidates to draw.
    scoring : str, callable, list, tuple, dict or None, default None
        The score, or several scores: a list of names, a dict, or a callable that
        returns a dict. None means ``estimator.score``.
    cv : int, splitter, iterable or None, default None
        The number of folds (5 by default), any splitter, or pairs of index arrays. With
        a number of folds, you can pass ``groups`` or ``time`` to `fit`. ``groups``
        keeps the rows of a group together. ``time`` scores each block of rows with fits
        to earlier rows. Early stopping in the estimator still draws its validation rows
        at random.
    refit : bool, str or callable, default True
        Whether to fit the best candidate to all rows. With several scores, pass the
        name of the score that selects the best candidate, or a function that returns
        the index of the best candidate from ``cv_results_``.
    return_train_score : bool, default False
        Whether to score the training rows too.
    n_seeds : int, default 1
        The number of random states for each candidate on each fold. The first random
        state is the random state of the estimator. Scores and times are means over the
        seeds. Additional columns of ``cv_results_`` show how much the score depends on
        the seed.
    halving : float or None, default None
        The factor of successive halving. In the first round, all candidates train for a
        few epochs. In each later round, the best candidates, one in ``halving``, train
        for ``halving`` times as many epochs. The last round has ``max_iter`` epochs.
        You cannot search for "max_iter" with halving.
    n_jobs : int or None, default None
        The maximum number of threads. None means the number of processors.
    workers : DaskWorkers or None, default None
        The cluster to train on, with bit-identical scores. This process computes the
        scores and the refit, and runs the fits that call Python code after each epoch.
        In a block of ``joblib.parallel_config("dask")``, the default is the cluster of
        this block.
    random_state : int, RandomState or None, default None
        The seed for drawing candidates. The ``random_state`` of ``estimator`` seeds
        each fit.
    error_score : "raise" or float, default nan
        The score of a failed fit, such as one that diverges, or "raise" to raise its
        error.
    verbose : int or "bar", default 0
        Whether to print the number of fits, or to show a progress bar.
    pre_dispatch : int or str, default "2*n_jobs"
        This parameter has no effect. It exists for compatibility with scikit-learn's
        searches.
    checkpoint : Checkpoint or None, default None
        The folder for finished fits, ``Checkpoint("folder")``. If the program is
        killed, the same call of `fit` resumes with the remaining fits, with
        bit-identical results. The random_state of the estimator must be an integer.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        One row for each candidate, with the columns of
        `sklearn.model_selection.GridSearchCV`. With several seeds, also
        ``seed0_test_score``, ``seed1_test_score``, … (the mean over the folds for each
        seed), and ``std_seed_test_score``, their standard deviation (with divisor
        n_seeds - 1). Smaller differences between candidates may be due to chance. With
        halving, also ``iter`` and ``n_resources``: the round, from 0, and its epochs.
    best_estimator_ : estimator
        The estimator with the best parameters, fitted to all rows, if ``refit`` is set.
    best_score_, best_params_, best_index_ : float, dict and int
        The score and parameters of the best candidate, and its row in ``cv_results_``.
        With halving, this is the best candidate of the last round.
    feature_names_in_ : ndarray
        The names of the columns of X, if all are strings and ``refit`` is set.
    n_splits_ : int
        The number of folds.
    scorer_ : callable or dict
        The scorer, or the scorers by name.
    multimetric_ : bool
        Whether there are several scores.
    refit_time_ : float
        The duration of the refit in seconds.
    n_resources_, n_candidates_ : list of int
        With halving, the number of epochs and of candidates in each round.

    Notes
    -----
    If X is a NumPy array or memory map of finite floats, folds select its rows by
    index, without copying. From 8 MB on, rows are also scaled lazily if the only step
    before the network is a `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler` or
    `RobustScaler`, and scores are computed from predictions in chunks. Memory use is
    then only the row indices, about 70 bytes per row. A function as ``scoring`` gets a
    copy of the rows that it scores. A pandas frame that is backed by one array is
    copied once and keeps its column names. With other steps, other frames or sparse
    matrices, rows are copied for as few folds at a time as keep the threads busy.

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
    verbose: int | str = 0
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
        "verbose": ["verbose", compat.StrOptions({"bar"})],
        "checkpoint": CHECKPOINT,
    }

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Raise an error: fits that are trained together do not support scikit-learn's callbacks.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "MLPSearchCV does not support callbacks: set them on its estimator, whose"
            " fits then run separately."
        )

    @compat.fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates on all folds, and the best one on all rows.

        Parameters
        ----------
        X : array, data frame or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels or the numeric targets.
        **params : dict
            Further arguments for the estimator, the scorers and the splitter, as in
            scikit-learn, such as ``groups`` and ``sample_weight``. Arrays with N
            entries are split like X.

        Returns
        -------
        self
            The search.

        Raises
        ------
        TypeError
            If the estimator is not from vecprop, or the values of a parameter in
            ``param_grid`` are not a list.
        ValueError
            If parameters are invalid, or all fits fail.
        KeyboardInterrupt
            If Ctrl-C is pressed before all candidates are scored. Ctrl-C during the
            refit ends the refit early.
        """
        scorer = check_scoring(
            self.estimator, self.scoring, raise_exc=self.error_score == "raise"
        )
        # None for a single score
        scorers = compat.scorers_of(self.estimator, self.scoring)
        if scorers is not None:
            self._require_deciding(scorers)
        X, y = indexable(X, y)
        is_classes = is_classifier(self.estimator)
        times = params.pop("time", None)
        cv = splitter_for(
            self.cv, y, is_classes=is_classes, groups=params.get("groups"), time=times
        )
        routed = compat.routed_arguments(self, params)
        splits = self._splits(cv, X, y, routed.splitter.split)
        evaluate = Evaluation(
            self, X, y, splits, scorer, routed.estimator.fit, routed.scorer.score
        )
        with (
            held(self.checkpoint),
            progress_bar("searching", quiet=self.verbose != "bar") as show,
        ):
            evaluate.show = show
            self._fit(evaluate)
        self.scorer_ = scorers or scorer
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit has ended; an interrupted fit sets some attributes."""
        return hasattr(self, "scorer_")

    def plot(
        self, parameters: Any = None, ax: Any = None, *, score: str = "score"
    ) -> Any:
        """Plot the scores against one or two parameters; see `vecprop.pictures.plot_search`."""
        check_is_fitted(self, "cv_results_")
        return plot_search(self, parameters, ax, score=score)

    def to_frame(self) -> Any:
        """Return ``cv_results_`` as a pandas DataFrame with one row per candidate."""
        check_is_fitted(self, "cv_results_")
        return imported("pandas", "MLPSearchCV.to_frame", "tables").DataFrame(
            self.cv_results_
        )

    def _fit(self, evaluate: Evaluation):
        """Evaluate all candidates, select the best, and fit it to all rows."""
        results, scores = self._search(evaluate)
        self.multimetric_ = isinstance(scores, dict)
        metric = "score"
        if self.multimetric_:
            self._require_deciding(scores)
            metric = self.refit
        if self.refit or not self.multimetric_:
            self._select_best(results, metric)
        if self.refit:
            started = time.perf_counter()
            self.best_estimator_ = evaluate.refit(self.best_params_)
            self.refit_time_ = time.perf_counter() - started
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        self.cv_results_ = results

    def _select_best(self, results: dict, metric):
        """Set the index, the parameters and the score of the best candidate."""
        if callable(self.refit):
            index = self.refit(results)
            rows = range(len(results["params"]))
            if not isinstance(index, int | np.integer) or index not in rows:
                raise ValueError(
                    f"refit returned {index!r}, expected a row index of cv_results_."
                )
            self.best_index_ = index
        else:
            candidates = np.arange(len(results["params"]))
            if self.halving is not None:  # of the last round
                candidates = np.flatnonzero(results["iter"] == results["iter"].max())
            ranks = results[f"rank_test_{metric}"][candidates]
            self.best_index_ = candidates[ranks.argmin()]
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _require_deciding(self, names: Iterable[str]):
        """Raise an error if there are several scores and ``refit`` does not select one of them."""
        if (
            self.refit is False
            or callable(self.refit)
            or (isinstance(self.refit, str) and self.refit in names)
        ):
            return
        raise ValueError(
            f"refit is {self.refit!r}, but with several scores it must be one of"
            f" {', '.join(map(repr, names))}, a function, or False."
        )

    def _splits(self, cv, X, y, params: dict) -> list[Split]:
        """Return the training and test rows of each fold."""
        splits = [
            Split.from_indices(train, test, row_count(X))
            for train, test in cv.split(X, y, **params)
        ]
        self.n_splits_ = cv.get_n_splits(X, y, **params)
        if not splits:
            raise ValueError(
                "cv yields no splits: give another splitter, or a number of folds."
            )
        if len(splits) != self.n_splits_:
            raise ValueError(
                f"cv yields {len(splits)} splits, but its get_n_splits returns"
                f" {self.n_splits_}: fix it."
            )
        return splits

    def _choices(self) -> list[dict]:
        """Return the parameters of each candidate."""
        if (self.param_grid is None) == (self.param_distributions is None):
            raise ValueError("Give exactly one of param_grid and param_distributions.")
        if self.param_grid is not None:
            grids = self.param_grid
            if isinstance(grids, dict):
                grids = [grids]
            for name, values in chain.from_iterable(grid.items() for grid in grids):
                if hasattr(values, "rvs"):
                    raise TypeError(
                        f"param_grid must list values, but {name!r} is a distribution: "
                        "use param_distributions= instead, with n_iter= candidates."
                    )
            choices = list(ParameterGrid(grids))
        else:
            sampler = ParameterSampler(
                self.param_distributions, self.n_iter, random_state=self.random_state
            )
            choices = list(sampler)
        if not choices:
            raise ValueError(
                "There are no candidates: param_grid or param_distributions is empty."
            )
        return choices

    def _search(self, evaluate: Evaluation) -> tuple[dict, Any]:
        """Return ``cv_results_``, and the test scores of the first fit."""
        choices = self._choices()
        results = {}
        # of all rounds; columns are added to ``cv_results_``
        all_choices = []
        outcomes = []
        columns = defaultdict(list)
        self.n_resources_ = []
        self.n_candidates_ = []
        epochs_of_rounds = self._rounds(choices)
        evaluate.rounds = len(epochs_of_rounds)
        for number, epochs in enumerate(epochs_of_rounds):
            if self.halving is not None:
                choices = [params | {self._max_iter: epochs} for params in choices]
                self.n_resources_.append(epochs)
                self.n_candidates_.append(len(choices))
                columns["iter"] += [number] * len(choices)
                columns["n_resources"] += [epochs] * len(choices)
            if self.verbose and self.verbose != "bar":
                self._print_fits(len(choices))
            evaluate.round = number
            outcomes_by_seed = evaluate(choices)
            all_choices += choices
            outcomes += map(mean_over_seeds, outcomes_by_seed)
            if self.n_seeds > 1:
                for first in range(0, len(outcomes_by_seed), self.n_splits_):
                    candidate = outcomes_by_seed[first : first + self.n_splits_]
                    for name, value in spread_over_seeds(candidate).items():
                        columns[name].append(value)
            results = compat.results_of(
                self, all_choices, self.n_splits_, outcomes, columns
            )
            if self.halving is not None:
                choices = self._best(choices, results)
        return results, outcomes[0]["test_scores"]

    def _print_fits(self, candidates: int):
        """Print the number of fits of a round."""
        fits = candidates * self.n_splits_ * self.n_seeds
        print(
            f"Fitting {self.n_splits_} folds for each of {candidates} candidates, with"
            f" {self.n_seeds} seeds, totalling {fits} fits"
        )

    @property
    def _max_iter(self) -> str:
        """The name of the parameter `max_iter` of the network."""
        if isinstance(self.estimator, Pipeline):
            return f"{self.estimator.steps[-1][0]}__max_iter"
        return "max_iter"

    def _rounds(self, choices: Sequence[dict]) -> list[int]:
        """Return the number of epochs of each halving round; without halving, of one round, where it is not used.

        Each round has fewer candidates, by the factor `halving`, and more epochs. The
        last one has max_iter epochs.
        """
        factor = self.halving
        if factor is None:
            return [0]
        if any(self._max_iter in params for params in choices):
            raise ValueError(
                f"halving sets {self._max_iter} itself: remove it from the search."
            )
        max_iter = Candidate(self.estimator, choices[0], seeds=1).settings["max_iter"]
        epochs = [max_iter]
        while factor ** len(epochs) <= len(choices):
            epochs.append(max(int(max_iter / factor ** len(epochs)), 1))
        return epochs[::-1]

    def _best(self, choices: list[dict], results: dict) -> list[dict]:
        """Return the best candidates of the latest round, for the next round."""
        column = f"mean_test_{self.refit}"
        if column not in results:
            column = "mean_test_score"
        if column not in results:
            raise ValueError(
                "halving needs one score to select candidates: give its name as refit."
            )
        scores = results[column][-len(choices) :]
        order = np.argsort(np.where(np.isnan(scores), -np.inf, scores), kind="stable")
        factor: Any = self.halving
        count = ceil(len(choices) / factor)
        return [choices[number] for number in order[-count:]]
