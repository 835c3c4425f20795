"""The rows of a fold on which fits are scored."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer, _PassthroughScorer
from sklearn.model_selection._validation import _score
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from ..core.selection import Selection
from .classifier import MLPClassifier
from .folds import row_numbers
from .regressor import MLPRegressor
from .splitting import Split

if TYPE_CHECKING:
    from .evaluation import Evaluation, Fit


class Scored:
    """The rows of a part of a fold, on which its fits are scored.

    If scorers do nothing with large X but have a model predict it, the model reads some rows at a time, and no copy of
    all is made.
    """

    def __init__(self, evaluation: "Evaluation", part: Any, split: Split) -> None:
        self.evaluation, self.part, self.split = evaluation, part, split
        self.given = _check_method_params(evaluation.X, params=evaluation.score_params, indices=part)
        scorer, shared = evaluation.scorer, evaluation.shared
        scorers = scorer._scorers.values() if isinstance(scorer, _MultimetricScorer) else [scorer]
        only_predict = all(isinstance(each, _BaseScorer | _PassthroughScorer) for each in scorers)
        self.X = shared.by_rows if shared is not None and shared.is_large and only_predict else None

    def __call__(self, fit: "Fit") -> Any:
        """Return the scores of a fit."""
        assert fit.rows is not None  # it has none if it failed
        assert fit.fitting is not None
        table, model = fit.rows.table, fit.fitting.model
        if table.X is self.X and type(model) in (MLPClassifier, MLPRegressor):
            estimator, (X, y) = model, (Selection(table.X, self.numbers, table.scaling), self.y)
        else:
            estimator, (X, y) = fit.estimator, self.copied
        search = self.evaluation.search
        return _score(estimator, X, y, self.evaluation.scorer, self.given, search.error_score)

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers of the rows."""
        return row_numbers(self.part, len(self.evaluation.X))

    @cached_property
    def y(self) -> Any:
        """The targets of the rows."""
        return _safe_indexing(self.evaluation.y, self.part)

    @cached_property
    def copied(self) -> tuple[Any, Any]:
        """A copy of the rows and their targets."""
        own = self.evaluation
        return _safe_split(own.search.estimator, own.X, own.y, self.part, self.split.train)
