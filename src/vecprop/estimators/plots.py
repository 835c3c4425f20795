"""Pictures of a fitted model, ``model.plot.loss()`` and so on, by `vecprop.pictures` and scikit-learn's displays."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..pictures import plot_decision_boundary, plot_hidden_space, plot_loss
from ..pictures.style import axes_or_new, colour, marker
from .inspection import place_of_hidden_layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Plots:
    """The pictures of a model, which take its rows X and labels y. All need matplotlib.

    Each takes ``ax``, the Axes to draw on, by default those of a new figure, and returns it. Other options are passed
    on.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        The model.

    Examples
    --------
    >>> X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), ["no", "yes", "yes", "no"]
    >>> model = MLPClassifier((4,), "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> ax = model.plot.decision_boundary(X, y)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['no', 'yes']
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def loss(self, ax: "Axes | None" = None, **curve: Any) -> "Axes":
        """Draw the loss of each epoch, and the validation loss if there is one; see `vecprop.pictures.plot_loss`."""
        check_is_fitted(self.model)
        loss, validation = self.model.loss_curve_, self.model.validation_loss_curve_
        if validation is not None:  # there may have been epochs without validation rows before
            validation = [np.nan] * (len(loss) - len(validation)) + validation
        return plot_loss(SimpleNamespace(loss=loss, validation_loss=validation), ax, first=1, **curve)

    def decision_boundary(self, X: Any, y: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the regions of the predicted classes, and the rows; see `vecprop.pictures.plot_decision_boundary`.

        ``features=(0, 1)`` chooses the two columns that are drawn; ``held={2: 0.5}`` the values of the other columns,
        by default their medians.
        """
        names = {"feature_names": getattr(self.model, "feature_names_in_", None)}
        return self._of_classes(plot_decision_boundary, X, y, ax, **{**names, **options})

    def hidden_space(self, X: Any, y: Any, ax: "Axes | None" = None, *, layer: int = -1, **options: Any) -> "Axes":
        """Draw the rows as a hidden layer sees them; see `vecprop.pictures.plot_hidden_space`.

        ``layer`` is the number of the hidden layer, from 0; negative numbers count from the last. ``axes`` chooses
        units by number, or "principal". The Axes have three dimensions if the layer has more than two units.
        """
        check_is_fitted(self.model)
        place = place_of_hidden_layer(self.model.network_, layer)
        return self._of_classes(plot_hidden_space, X, y, ax, layer=place, **options)

    def confusion(self, X: Any, y: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the number of rows of each class by predicted class, by scikit-learn's ``ConfusionMatrixDisplay``."""
        from sklearn.metrics import ConfusionMatrixDisplay

        check_is_fitted(self.model)
        ax = axes_or_new(ax)
        ConfusionMatrixDisplay.from_estimator(self.model, X, y, ax=ax, **options)
        return ax

    def calibration(self, X: Any, y: Any, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the frequency of a class by its predicted probability, by ``CalibrationDisplay``.

        There is one curve for two classes, that of the second; of more, or of several labels a row, one for each.
        """
        from sklearn.calibration import CalibrationDisplay

        check_is_fitted(self.model)
        classes = self.model.classes_
        Y = self.model.predict_proba(X)
        is_class = np.asarray(y) == classes[:, None] if np.ndim(y) == 1 else np.asarray(y).T == 1
        ax = axes_or_new(ax)
        for number in range(1 if len(classes) == 2 and np.ndim(y) == 1 else 0, len(classes)):
            look = {"name": str(classes[number]), "color": colour(number), "marker": marker(number)}
            CalibrationDisplay.from_predictions(is_class[number], Y[:, number], ax=ax, **{**look, **options})
        ax.set(xlabel="mean predicted probability", ylabel="share of rows of the class")
        return ax

    def _of_classes(self, plot: Any, X: Any, y: Any, ax: Any, **options: Any) -> "Axes":
        """Draw rows with the class of each, or say why there are none."""
        model = self.model
        X, T = model.checked_rows(X, y)
        if not hasattr(model, "classes_") or model.targets_.multilabel:
            raise ValueError("This picture shows one class a row, which only a classifier of single labels predicts.")
        return plot(model.network_, model.theta_, X, T, ax, **{"class_names": [*map(str, model.classes_)], **options})
