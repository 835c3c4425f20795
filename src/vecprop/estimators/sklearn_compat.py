"""The private parts of scikit-learn that vecprop uses, and what differs between its releases."""

from collections.abc import Callable
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING, Any

from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer, _PassthroughScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _insert_error_scores as insert_error_scores
from sklearn.model_selection._validation import _score as score_of_split
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures as warn_of_failed_fits
from sklearn.preprocessing._data import _handle_zeros_in_scale as handle_zeros_in_scale
from sklearn.preprocessing._data import _is_constant_feature as is_constant_feature
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, Options, RealNotInt, StrOptions
from sklearn.utils.extmath import _approximate_mode as approximate_mode
from sklearn.utils.metaestimators import _safe_split as safe_split
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

from ..train.state import TrainingState

if TYPE_CHECKING:
    from typing import TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...  # noqa: D103
else:
    from sklearn.utils.metaestimators import available_if

try:
    from sklearn.callback import CallbackSupportMixin as Support
except ImportError:  # an older scikit-learn
    Support = type("CallbackSupportMixin", (), {})
CallbackSupport: Any = Support
"""The base of a model that takes scikit-learn's callbacks, if scikit-learn has them."""

SEARCH_CONSTRAINTS: dict[str, list[Any]] = BaseSearchCV._parameter_constraints
"""What each setting of a search may be."""

setting_names = methodcaller("_get_param_names")
"""Returns the names of the settings of a class of estimators."""

places_of_transformers = attrgetter("_transformer_to_input_indices")
"""Returns the numbers of the columns that each transformer of a fitted ColumnTransformer takes."""

columns_of_transformers = attrgetter("_columns")
"""Returns the columns of each transformer of a fitted ColumnTransformer, as they are given."""

require_valid_settings = methodcaller("_validate_params")
"""Raises an error if a setting of an estimator is not within its constraints."""


def scorers_of(scorer: Any) -> dict[str, Any] | None:
    """Return the scorers by name if there are several, or None."""
    return scorer._scorers if isinstance(scorer, _MultimetricScorer) else None


def only_predicts(scorer: Any) -> bool:
    """Return whether all that scorers do with X is to have a model predict it, or score it itself."""
    several = scorers_of(scorer)
    each = [scorer] if several is None else several.values()
    return all(isinstance(one, _BaseScorer | _PassthroughScorer) for one in each)


class EpochTasks:
    """Reports a fit of a model to some rows, and each of its epochs, to scikit-learn's callbacks."""

    def __init__(self, model: Any, rows: Any) -> None:
        self.model, self.rows = model, rows
        self.fit: Any = None
        self.epoch: Any = None
        self.arguments: dict[str, Any] = {}

    def begin(self) -> None:
        """Begin an epoch."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.model, **self.arguments)

    def watching(self, others: list[Callable[[TrainingState], Any]], epochs: int) -> Callable[[TrainingState], bool]:
        """Begin the fit; return one callback that calls others, ends the epoch's task, and begins the next."""
        given = self.rows.chosen
        metadata = {} if given.weight is None else {"sample_weight": given.weight}
        self.arguments = {"X": given.X, "y": given.y, "metadata": metadata}
        self.fit = self.model._init_callback_context(max_subtasks=epochs)
        self.fit.call_on_fit_task_begin(estimator=self.model, **self.arguments)
        self.begin()

        def after_epoch(state: TrainingState) -> bool:
            over = True in [other(state) for other in others]
            over |= self.epoch.call_on_fit_task_end(
                estimator=self.model, reconstruction_attributes=lambda: {"theta_": state.theta.copy()}, **self.arguments
            )
            if not over and state.epoch < state.epochs:
                self.begin()
            return over

        return after_epoch

    def end(self) -> None:
        """End the fit's task."""
        self.fit.call_on_fit_task_end(estimator=self.model, reconstruction_attributes=dict, **self.arguments)
