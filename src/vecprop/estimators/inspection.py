"""Inspection of a model: coefficients, hidden activations, per-sample gradients, gradient checks and plots."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..core import Network, Selection, SparseNetwork
from ..system.suggestions import SuggestsNames
from ..train.trainer import engine_for
from .data import Rows, dense

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..check import Report


class Views(list):
    """A list of views. Assigning to an item writes into its view."""

    def __setitem__(self, index: Any, values: Any):
        """Assign the values of an array in place."""
        view = self[index]
        array = np.asarray(values)
        if array.shape != view.shape:
            raise ValueError(
                f"Entry {index} has shape {view.shape}, got an array of shape"
                f" {array.shape}."
            )
        view[...] = array


def _views(model, attribute: str, name: str):
    """Return a parameter of all dense layers as views of theta, or the initial values that the user assigned."""
    if "network_" in vars(model):
        return Views(
            p[name] for p in model.network_.layout.views(model.theta_) if "W" in p
        )
    try:
        return vars(model)["_given"][attribute]
    except KeyError:
        raise AttributeError(
            f"{type(model).__name__} is not fitted and has no {attribute}."
        ) from None


def _set_views(model, attribute: str, values: Sequence):
    """Set a parameter of all dense layers, now or when the network is created."""
    if "network_" not in vars(model):
        vars(model).setdefault("_given", {})[attribute] = list(values)
        return
    views = getattr(model, attribute)
    if len(values) != len(views):
        raise ValueError(f"{attribute} has {len(views)} arrays, got {len(values)}.")
    for number, array in enumerate(values):
        views[number] = array


@dataclass(eq=False)
class Predictions:
    """Predicts rows with a network and its current parameters."""

    network: Network
    theta: ndarray
    _predictor: Any = field(default=None, init=False)

    def __call__(self, X) -> ndarray:
        """Return predictions (N, O) for dense, sparse or lazy rows X (N, I) with theta's dtype."""
        if sparse.issparse(X):
            return SparseNetwork(self.network).predict(self.theta, X.tocsr())
        if self._predictor is None:
            engine = engine_for(self.network, self.theta, silent=True)
            self._predictor = engine.predictor(self.theta)
        if isinstance(X, Selection):
            return np.concatenate([self._predictor(part) for part in X.parts()])
        return self._predictor(X)

    def __getstate__(self) -> dict:
        """Exclude the compiled code, which belongs to this process."""
        return {"network": self.network, "theta": self.theta, "_predictor": None}


class Inspection(ABC):
    """A mixin with the methods that inspect a model's network."""

    network_: Network
    theta_: ndarray

    @property
    def coefs_(self) -> list[ndarray]:
        """The weights of each dense layer, (inputs, outputs), as writable views of ``theta_``."""
        return _views(self, "coefs_", "W")

    @coefs_.setter
    def coefs_(self, values: Sequence) -> None:
        _set_views(self, "coefs_", values)

    @property
    def intercepts_(self) -> list[ndarray]:
        """The biases of each dense layer, (outputs,), as writable views of ``theta_``."""
        return _views(self, "intercepts_", "b")

    @intercepts_.setter
    def intercepts_(self, values: Sequence) -> None:
        _set_views(self, "intercepts_", values)

    @abstractmethod
    def _checked_inputs(self, X: Any) -> Any:
        """Return X, validated by scikit-learn and converted to theta's dtype."""

    @abstractmethod
    def _read(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Validate rows and return them."""

    def hidden_activations(self, X: Any, layer: int = -1) -> ndarray:
        """Return the activations of a hidden layer, without dropout.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        layer : int, default -1
            The index of the hidden layer, from 0. Negative indices count from the last
            hidden layer.

        Returns
        -------
        ndarray (N, width)

        Raises
        ------
        IndexError
            If the layer does not exist.
        """
        X = dense(self._checked_inputs(X))
        index = index_of_hidden_layer(self.network_, layer)
        return self.network_.hidden(self.theta_, X, index)

    def per_sample_gradients(self, X: Any, y: Any) -> ndarray:
        """Return the gradient of each row's loss, without penalty, row weights or dropout.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels or the numeric targets.

        Returns
        -------
        ndarray (N, P)
            The columns are in the order of ``theta_``; split them with
            ``network_.layout.views``.
        """
        X, T = self._checked_rows(X, y)
        network = self.network_
        network = Network(network.inputs, network.layers, network.loss_function)
        _, gradients = network.loss_and_gradient(self.theta_, X[:, None], T[:, None])
        return gradients

    def check_gradients(self, X: Any, y: Any, **options: Any) -> "Report":
        """Check that the training gradients are correct on these rows, at the current parameters.

        By default, both engines are checked in the dtype of training.
        ``engine="compiled"`` or ``"reference"`` selects one engine.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels or the numeric targets.
        **options
            Further options of `vecprop.check_gradients`.

        Returns
        -------
        Report
        """
        from ..check import check_gradients

        X, T = self._checked_rows(X, y)
        return check_gradients(self.network_, self.theta_, X, T, **options)

    @property
    def plot(self) -> "Plots":
        """Plots of the model, such as ``plot.loss()`` and ``plot.decision_boundary(X, y)``."""
        return Plots(self)

    def _loss_history(self) -> tuple[SimpleNamespace, int]:
        """Return the losses as a history, and the epoch of the first loss."""
        return curves_of(self), 1

    def _checked_rows(self, X, y) -> tuple[ndarray, ndarray]:
        """Validate rows; return dense inputs and targets."""
        check_is_fitted(self)
        rows = self._read(X, y, None).table
        return dense(rows.X).astype(self.theta_.dtype, copy=False), rows.T


def index_of_hidden_layer(network: Network, layer: int) -> int:
    """Return the index of a hidden layer's activation among the network's layers."""
    indices = network._activations
    if not -len(indices) <= layer < len(indices):
        raise IndexError(
            f"Hidden layer {layer} does not exist: the model has {len(indices)},"
            " counted from 0."
        )
    return indices[layer]


def curves_of(model) -> SimpleNamespace:
    """Return the losses of a model as a history. Earlier epochs may not have had validation rows."""
    loss = model.loss_curve_
    validation_loss = model.validation_loss_curve_ or []
    if validation_loss:
        missing = len(loss) - len(validation_loss)
        validation_loss = [np.nan] * missing + validation_loss
    return SimpleNamespace(loss=loss, validation_loss=validation_loss)


class LossPlots(SuggestsNames):
    """Plots of a model that has losses, drawn with matplotlib.

    Parameters
    ----------
    model : estimator
        The model.
    """

    def __init__(self, model: Any):
        self.model = model

    def __call__(self, ax: "Axes | None" = None, **curve: Any) -> "Axes":
        """Draw the loss, as `loss` does."""
        return self.loss(ax, **curve)

    def loss(self, ax: "Axes | None" = None, **curve: Any) -> "Axes":
        """Draw the loss of each epoch, and the validation loss if there is one; see `vecprop.pictures.plot_loss`.

        If the model has several networks, a thick line shows the median of their
        losses.
        """
        from ..pictures import plot_loss

        check_is_fitted(self.model)
        history, first = self.model._loss_history()
        return plot_loss(history, ax, **({"first": first} | curve))


class Plots(LossPlots):
    """Plots of a model, drawn with matplotlib.

    Each method draws on ``ax``, by default on a new figure, and returns the Axes.
    Further options are passed on.

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

    def decision_boundary(
        self, X: Any, y: Any, ax: "Axes | None" = None, **options: Any
    ) -> "Axes":
        """Draw the regions of the predicted classes, and the rows; see `vecprop.pictures.plot_decision_boundary`.

        ``features=(0, 1)`` selects the columns for the two axes; ``held={2: 0.5}`` sets
        the values of other columns, by default their medians.
        """
        from ..pictures import plot_decision_boundary

        options.setdefault(
            "feature_names", getattr(self.model, "feature_names_in_", None)
        )
        return self._plot_classes(plot_decision_boundary, X, y, ax, **options)

    def hidden_space(
        self,
        X: Any,
        y: Any,
        ax: "Axes | None" = None,
        *,
        layer: int = -1,
        **options: Any,
    ) -> "Axes":
        """Draw the rows in the space of a hidden layer; see `vecprop.pictures.plot_hidden_space`.

        ``layer`` is the index of the hidden layer, from 0; negative indices count from
        the last. ``axes`` selects units by index, or principal axes with "principal".
        The plot is three-dimensional for more than two units.
        """
        from ..pictures import plot_hidden_space

        check_is_fitted(self.model)
        index = index_of_hidden_layer(self.model.network_, layer)
        return self._plot_classes(plot_hidden_space, X, y, ax, layer=index, **options)

    def confusion(
        self, X: Any, y: Any, ax: "Axes | None" = None, **options: Any
    ) -> "Axes":
        """Draw the confusion matrix, using scikit-learn's ``ConfusionMatrixDisplay``."""
        from sklearn.metrics import ConfusionMatrixDisplay

        from ..pictures.style import axes_or_new

        check_is_fitted(self.model)
        ax = axes_or_new(ax)
        ConfusionMatrixDisplay.from_estimator(self.model, X, y, ax=ax, **options)
        return ax

    def calibration(
        self, X: Any, y: Any, ax: "Axes | None" = None, **options: Any
    ) -> "Axes":
        """Draw the frequency of a class against its predicted probability, using ``CalibrationDisplay``.

        For two classes, a single curve shows the second class; otherwise, each class or
        label has its own curve.
        """
        from sklearn.calibration import CalibrationDisplay

        from ..pictures.style import axes_or_new, colour, marker

        check_is_fitted(self.model)
        if not hasattr(self.model, "classes_"):
            raise ValueError(
                "This plot needs the probabilities of classes: use a classifier."
            )
        classes = self.model.classes_
        self.model._checked_rows(X, y)  # raises an error for unknown labels
        Y = self.model.predict_proba(X)
        labels = np.asarray(y)
        first = 0
        if labels.ndim == 2:
            is_class = labels == 1
        else:
            is_class = labels[:, None] == classes
            if len(classes) == 2:
                first = 1
        ax = axes_or_new(ax)
        for number in range(first, len(classes)):
            style = {
                "name": str(classes[number]),
                "color": colour(number),
                "marker": marker(number),
                **options,
            }
            CalibrationDisplay.from_predictions(
                is_class[:, number], Y[:, number], ax=ax, **style
            )
        ax.set(xlabel="mean predicted probability", ylabel="share of rows of the class")
        return ax

    def _plot_classes(self, plot, X, y, ax, **options) -> "Axes":
        """Draw rows by class, or raise an error if the model does not predict one class per row."""
        model = self.model
        X, T = model._checked_rows(X, y)
        if not hasattr(model, "classes_") or model.targets_.multilabel:
            raise ValueError(
                "This plot needs one class per row: use a classifier that is not"
                " multilabel."
            )
        options.setdefault("class_names", [str(name) for name in model.classes_])
        return plot(model.network_, model.theta_, X, T, ax, **options)
