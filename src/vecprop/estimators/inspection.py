"""Inspection of a model: its hidden activations, each row's gradient, and proof that gradients are right."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..core.network import Network
from .coefficients import Coefficients
from .data import Rows

if TYPE_CHECKING:
    from ..check import Report


class Inspection(Coefficients, ABC):
    """A model whose network can be inspected."""

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
        X, T = self._checked_rows(X, y)
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

        X, T = self._checked_rows(X, y)
        return check_gradients(self.network_, self.theta_, X, T, **options)

    def _checked_rows(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
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
