"""Sparse inputs stay sparse: only the first layer sees them, and its products skip the zeros."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.elementary import Array
from ..core.inputs import Batch
from ..core.layers import Dense, Parameters, bias_gradient
from ..core.network import Network


@dataclass(frozen=True)
class SparseDense(Dense):
    """A dense layer on sparse rows: Y = X W + b and J_W = Xᵀ delta with X in compressed rows.

    It is the first layer, so the gradient with respect to X, which would not be sparse, is left out.
    """

    def forward(self, p: Parameters, X: Any, noise: Any = None) -> tuple[Array, Any]:
        """Return X W + b, and X for the backward pass."""
        return X @ p["W"] + p["b"], X

    def backward(self, p: Parameters, saved: Any, delta: Array, J: Parameters) -> Any:
        """Fill J_W = Xᵀ delta and J_b = 1ᵀ delta."""
        J["W"][...] = saved.T @ delta
        J["b"][...] = bias_gradient(delta)


class SparseBatch(Batch):
    """Rows of which X is a sparse matrix in compressed rows."""

    @property
    def members(self) -> tuple[int, ...]:
        """No leading axes."""
        return ()

    def require_finite_inputs(self) -> None:
        """Do nothing, since X has been checked."""

    def take(self, rows: Array) -> Any:
        """Return the rows of these numbers as a batch."""
        return SparseBatch(self.X[rows], self.T[rows], None if self.weight is None else self.weight[rows])


class SparseNetwork(Network):
    """A network on sparse inputs, with the parameters of the same network on dense ones.

    Parameters
    ----------
    network : Network
        A network whose first layer is `Dense`.

    Examples
    --------
    >>> from scipy import sparse
    >>> network = Network(2, [Dense(1)], SquaredError())
    >>> SparseNetwork(network).predict(np.array([2.0, 3.0, 1.0]), sparse.csr_matrix([[0.0, 1.0]]))
    array([[4.]])
    """

    def __init__(self, network: Network) -> None:
        first, *others = network.layers
        assert isinstance(first, Dense)
        layers = [SparseDense(first.outputs, first.initializer), *others]
        super().__init__(network.inputs, layers, network.loss_function, network.penalties)

    def batch(
        self, theta: Array, X: Any, T: Array, sample_weight: Array | None = None, *, finite: bool = True
    ) -> Batch:
        """Return inputs, targets and weights; X has been checked, and the rest is checked with zeros in its place."""
        dense = Network(1, [Dense(self.outputs)], self.loss_function)
        zeros = np.zeros((X.shape[0], 1), theta.dtype)
        checked = dense.batch(dense.init(0, theta.dtype), zeros, T, sample_weight)
        return SparseBatch(X, checked.T, checked.weight)

    def predict(self, theta: Array, X: Any) -> Array:
        """Return the predictions Y, after the link, or raise a ValueError if X is not finite."""
        if not np.isfinite(X.data).all():
            raise ValueError("X is not finite: fill or drop missing and infinite values.")
        return self.loss_function.predict(self.forward(theta, X)[0][-1])
