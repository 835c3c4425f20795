"""Inspection of a model: its coefficients, hidden activations, the gradient of each row, and gradient checks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..core.network import Network
from ..core.rows.selection import Selection
from ..core.rows.sparse import SparseNetwork
from ..train.engines import engine_for
from .data import Rows

if TYPE_CHECKING:
    from ..check import Report


class Views(list):
    """A list of views; to set an item is to write into its view."""

    def __setitem__(self, index: Any, values: Any) -> None:
        view, given = self[index], np.asarray(values)
        if given.shape != view.shape:
            raise ValueError(f"Entry {index} has shape {view.shape}, but an array of shape {given.shape} is set.")
        view[...] = given


def _views(attribute: str, name: str, doc: str) -> property:
    """Return the property of a parameter of all dense layers, as views of theta.

    What is set before the first training is what `partial_fit` starts from.
    """

    def get(model: Any) -> Any:
        if "network_" in vars(model):
            return Views(p[name] for p in model.network_.layout.views(model.theta_) if "W" in p)
        try:
            return vars(model)["_given"][attribute]
        except KeyError:
            raise AttributeError(f"{type(model).__name__} has no {attribute} before it is fitted.") from None

    def put(model: Any, values: Sequence[Any]) -> None:
        if "network_" not in vars(model):
            vars(model).setdefault("_given", {})[attribute] = list(values)
            return
        views = get(model)
        if len(values) != len(views):
            raise ValueError(f"{attribute} has {len(views)} arrays, but {len(values)} are set.")
        for number, own in enumerate(values):
            views[number] = own

    return property(get, put, doc=doc)


@dataclass(eq=False)
class Predictions:
    """Predicts rows with a network's parameters, following their changes."""

    network: Network
    theta: np.ndarray
    _of_dense_rows: Any = field(default=None, init=False)

    def __call__(self, X: Any) -> np.ndarray:
        """Return the predictions, (N, O), of dense, sparse or selected rows X, (N, I), of theta's type."""
        if sparse.issparse(X):
            return SparseNetwork(self.network).predict(self.theta, X.tocsr())
        if self._of_dense_rows is None:
            self._of_dense_rows = engine_for(self.network, self.theta, silent=True).predictor(self.theta)
        if isinstance(X, Selection):
            return np.concatenate([self._of_dense_rows(part) for part in X.parts()])
        return self._of_dense_rows(X)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the machine code, which belongs to this process."""
        return {"network": self.network, "theta": self.theta, "_of_dense_rows": None}


class Inspection(ABC):
    """A model whose network can be inspected."""

    network_: Network
    theta_: np.ndarray
    coefs_ = _views("coefs_", "W", "The weights of each dense layer, (inputs, outputs), views of ``theta_``.")
    intercepts_ = _views("intercepts_", "b", "The biases of each dense layer, (outputs,), views of ``theta_``.")

    @abstractmethod
    def _checked_inputs(self, X: Any) -> Any:
        """Return inputs as scikit-learn checks them, in theta's type."""

    @abstractmethod
    def _read(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Return rows like those of training, checked."""

    def hidden_activations(self, X: Any, layer: int = -1) -> np.ndarray:
        """Return the outputs of a hidden layer, after its activation, without dropout.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        layer : int, default -1
            Which hidden layer, from 0; negative numbers count from the last.

        Returns
        -------
        ndarray (N, width)

        Raises
        ------
        IndexError
            If there is no such layer.
        """
        X = _dense(self._checked_inputs(X))
        return self.network_.hidden(self.theta_, X, place_of_hidden_layer(self.network_, layer))

    def per_sample_gradients(self, X: Any, y: Any) -> np.ndarray:
        """Return the gradient of each row's loss with respect to all parameters, without penalty, weights or dropout.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels, or the numbers.

        Returns
        -------
        ndarray (N, P)
            In the order of ``theta_``; ``network_.layout.views`` names its parts.
        """
        X, T = self.checked_rows(X, y)
        network = Network(self.network_.inputs, self.network_.layers, self.network_.loss_function)
        return network.loss_and_gradient(self.theta_, X[:, None], T[:, None])[1]

    def check_gradients(self, X: Any, y: Any, **options: Any) -> "Report":
        """Prove, on these rows and at the current parameters, that the gradients of training are right.

        Those of both engines are proved, in the type that is trained in; ``engine="compiled"`` or ``"reference"`` takes
        one of them.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels, or the numbers.
        **options
            Passed on to `vecprop.check_gradients`.

        Returns
        -------
        Report
        """
        from ..check import check_gradients

        X, T = self.checked_rows(X, y)
        return check_gradients(self.network_, self.theta_, X, T, **options)

    def checked_rows(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs, dense, and targets."""
        check_is_fitted(self)
        rows = self._read(X, y, None).table
        return _dense(rows.X).astype(self.theta_.dtype, copy=False), rows.T


def place_of_hidden_layer(network: Network, layer: int) -> int:
    """Return the number of the network's layer that is a hidden layer's activation."""
    places = network.activations
    if not -len(places) <= layer < len(places):
        raise IndexError(f"There is no hidden layer {layer}: this model has {len(places)}, from 0.")
    return places[layer]


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else X
