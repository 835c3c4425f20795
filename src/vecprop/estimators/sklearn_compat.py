"""Private functions of scikit-learn that vecprop uses, with fallbacks, and differences between its releases."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy.stats import rankdata
from sklearn import get_config
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import process_routing

from ..train.state import TrainingState

if TYPE_CHECKING:
    from typing import TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])

    def available_if(  # noqa: D103
        check: Callable[[Any], bool],
    ) -> Callable[[Method], Method]: ...

else:
    from sklearn.utils.metaestimators import available_if

try:
    from sklearn.utils._param_validation import (
        HasMethods,
        Interval,
        Options,
        RealNotInt,
        StrOptions,
    )

    class CheckpointType(HasMethods):
        """The constraint of a checkpoint, which has private methods."""

        def __str__(self) -> str:
            return "a Checkpoint"

except ImportError:  # without it, settings are not validated
    CheckpointType = HasMethods = Interval = Options = StrOptions = cast(
        Any, lambda *_, **__: object
    )
    RealNotInt = float

try:
    from sklearn.callback import CallbackSupportMixin as Support

    Support._init_callback_context  # noqa: B018
except (ImportError, AttributeError):  # without it, callbacks are not supported

    class NoCallbacks:
        """The base class without callbacks."""

    Support = NoCallbacks

try:
    from sklearn.base import _fit_context as fit_context
except ImportError:  # without it, callbacks are not torn down

    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Any], Any]:  # noqa: D103
        def decorated(fit):
            @wraps(fit)
            def checked(model, *args, **kwargs):
                model._validate_params()
                return fit(model, *args, **kwargs)

            return checked

        return decorated


try:
    from sklearn.model_selection._validation import (
        _insert_error_scores as insert_error_scores,
    )
    from sklearn.model_selection._validation import _score as score_of_split
    from sklearn.model_selection._validation import (
        _warn_or_raise_about_fit_failures as warn_of_failed_fits,
    )
except ImportError:  # without it, the first error in a fit or scorer stops a search

    def warn_of_failed_fits(results, error_score) -> None:  # noqa: D103
        if errors := [
            result["fit_error"] for result in results if result["fit_error"] is not None
        ]:
            raise ValueError(
                f"{len(errors)} fits failed out of a total of"
                f" {len(results)}:\n{errors[0]}"
            )

    def score_of_split(  # noqa: D103
        estimator, X_test, y_test, scorer, score_params, error_score: Any = "raise"
    ):
        return scorer(estimator, X_test, y_test, **score_params)

    def insert_error_scores(results: Any, error_score: Any) -> None: ...  # noqa: D103


CallbackSupport: Any = Support
"""The base class for scikit-learn's callbacks, if scikit-learn has them."""

BaseSearchCV: Any = GridSearchCV.__base__
"""The base class of scikit-learn's searches."""

SEARCH_CONSTRAINTS: dict[str, list] = getattr(
    BaseSearchCV, "_parameter_constraints", {}
)
"""The constraints of each setting of a search."""


def require_valid_settings(model):
    """Raise an error if a setting of an estimator violates its constraints."""
    getattr(model, "_validate_params", lambda: None)()


def scorers_of(estimator, scoring) -> dict | None:
    """Return the scorers by name, or None for a single scorer."""
    if not isinstance(scoring, dict | list | tuple | set):
        return None
    if not isinstance(scoring, dict):
        scoring = {name: name for name in scoring}
    return {name: check_scoring(estimator, scorer) for name, scorer in scoring.items()}


def only_predicts(estimator, scorers: Iterable[Any]) -> bool:
    """Return whether scorers use X only through the model's own predictions or `score`."""
    classes = type(get_scorer("accuracy")), type(check_scoring(estimator))
    return all(isinstance(scorer, classes) for scorer in scorers)


def results_of(search, choices, folds: int, outcomes, columns: dict) -> dict:
    """Return ``cv_results_``, or only the scores' means, deviations and ranks if scikit-learn lacks a function."""
    if hasattr(search, "_format_results"):
        return search._format_results(choices, folds, outcomes, columns)
    results = {"params": choices}
    for name, values in columns.items():
        results[name] = np.asarray(values)
    scores = {}
    for outcome in outcomes:
        test_scores = outcome["test_scores"]
        if not isinstance(test_scores, dict):
            test_scores = {"score": test_scores}
        for name, score in test_scores.items():
            scores.setdefault(name, []).append(score)
    for name, values in scores.items():
        scores_by_fold = np.reshape(values, (len(choices), folds))
        mean = scores_by_fold.mean(axis=1)
        ranks = rankdata(np.where(np.isnan(mean), np.inf, -mean), method="min")
        results[f"mean_test_{name}"] = mean
        results[f"std_test_{name}"] = scores_by_fold.std(axis=1)
        results[f"rank_test_{name}"] = ranks.astype(np.int32)
    return results


def routed_arguments(search, params: dict):
    """Split the arguments of a search's `fit` among the estimator, the splitter and the scorer.

    Some releases pass sample weights to the scorer even without metadata routing.
    """
    if hasattr(search, "_get_routed_params_for_fit"):
        return search._get_routed_params_for_fit(params)
    if get_config()["enable_metadata_routing"]:
        return process_routing(search, "fit", **params)
    fit_params = params.copy()
    groups = fit_params.pop("groups", None)
    return Bunch(
        estimator=Bunch(fit=fit_params),
        splitter=Bunch(split={"groups": groups}),
        scorer=Bunch(score={}),
    )


def places_of_transformers(transformer) -> dict[str, list[int]]:
    """Return the column indices for each transformer of a fitted ColumnTransformer."""
    if hasattr(transformer, "_transformer_to_input_indices"):
        return transformer._transformer_to_input_indices
    raise ValueError(
        "This release of scikit-learn does not report the columns of each part of a"
        " ColumnTransformer: install another release."
    )


class EpochTasks:
    """Reports a fit and each of its epochs to scikit-learn's callbacks."""

    def __init__(self, model, rows):
        self.model = model
        self.rows = rows
        self.fit: Any = None
        self.epoch: Any = None
        self.arguments: dict = {}

    def begin(self):
        """Start an epoch."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.arguments)

    def watching(
        self, callbacks: list[Callable[[TrainingState], Any]], epochs: int
    ) -> Callable[[TrainingState], bool]:
        """Start the fit; return a callback that runs `callbacks` and moves on to the next epoch's task."""
        rows = self.rows.chosen
        metadata = {} if rows.weight is None else {"sample_weight": rows.weight}
        self.arguments = {
            "estimator": self.model,
            "X": rows.X,
            "y": rows.y,
            "metadata": metadata,
        }
        self.fit = self.model._init_callback_context(max_subtasks=epochs)
        self.fit.call_on_fit_task_begin(**self.arguments)
        self.begin()

        def after_epoch(state: TrainingState) -> bool:
            """Call the callbacks and end the task; return whether to stop."""
            answers = [callback(state) for callback in callbacks]
            is_stopped = self.epoch.call_on_fit_task_end(
                reconstruction_attributes=lambda: {"theta_": state.theta.copy()},
                **self.arguments,
            )
            if is_stopped or True in answers:
                return True
            if state.epoch < state.epochs:
                self.begin()
            return False

        return after_epoch

    def end(self):
        """End the fit's task."""
        self.fit.call_on_fit_task_end(reconstruction_attributes=dict, **self.arguments)
