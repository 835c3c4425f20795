"""The plots of a tabular model."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from ...estimators.inspection import LossPlots
from ...pictures.dependence import plot_dependence
from .contributions import dependence


class TablePlots(LossPlots):
    """Plots of a tabular model, drawn with matplotlib.

    Parameters
    ----------
    model : TabularClassifier or TabularRegressor
        The model.
    """

    def dependence(self, column: str, X: Any = None, ax: Any = None) -> Any:
        """Draw how predictions depend on a column, as `plot_dependence` does.

        Without rows X, the other columns are drawn independently from their training
        distributions.
        """
        check_is_fitted(self.model)
        self.model._require_one_target("draw a dependence")
        frame = None if X is None else self.model._table(X)
        return plot_dependence(dependence(self.model, frame, column), ax=ax)
