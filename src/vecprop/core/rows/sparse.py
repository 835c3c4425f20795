"""Networks on sparse inputs: only the first layer reads them, and its products skip zeros."""

from dataclasses import dataclass

import numpy as np

from ..layers import Dense, bias_gradient
from ..network import Network
from .inputs import Batch


@dataclass(frozen=True)
class SparseDense(Dense):
    """A dense first layer for sparse rows, which does not compute the gradient with respect to X."""

    def forward(self, p, X, noise=None):
        """Return X W + b, and X for the backward pass."""
        return X @ p["W"] + p["b"], X

    def backward(self, p, saved, delta, J):
        """Fill J_W = Xᵀ delta and J_b = 1ᵀ delta."""
        J["W"][...] = saved.T @ delta
        J["b"][...] = bias_gradient(delta)


class SparseBatch(Batch):
    """A batch whose X is a sparse CSR matrix."""

    @property
    def members(self):
        """The leading axes: always (), since a sparse matrix has two axes."""
        return ()

    def require_finite_inputs(self):
        """Raise a ValueError if X contains NaN or infinity."""
        _require_finite(self.X)

    def take(self, rows):
        """Return the rows with these indices as a batch."""
        if self.chosen is not None:
            rows = self.chosen[rows]
        weight = None if self.weight is None else self.weight[rows]
        return SparseBatch(self.X[rows], self.T[rows], weight)


class SparseNetwork(Network):
    """A network on sparse inputs, with the same parameters as the network on dense inputs."""

    def __init__(self, network: Network):
        first, *others = network.layers
        assert isinstance(first, Dense)
        layers = [SparseDense(first.outputs, first.initializer), *others]
        super().__init__(
            network.inputs, layers, network.loss_function, network.penalties
        )

    @property
    def dense(self) -> Network:
        """The same network on dense inputs."""
        first, *others = self.layers
        assert isinstance(first, Dense)
        layers = [Dense(first.outputs, first.initializer), *others]
        return Network(self.inputs, layers, self.loss_function, self.penalties)

    def _batch(self, theta, X, T, sample_weight=None, *, finite=True, as_read=False):
        """Return a batch with X in CSR format and theta's dtype, and with validated targets and weights."""
        del as_read  # X has few entries, so it is converted eagerly
        require_entries(X)
        # A network with one dense input validates the targets and the weights.
        dense = Network(1, [Dense(self.outputs)], self.loss_function)
        zeros = np.zeros((X.shape[0], 1), theta.dtype)
        checked = dense._batch(dense.init(0, theta.dtype), zeros, T, sample_weight)
        # complex inputs stay complex
        dtype = X.dtype if X.dtype.kind == "c" else theta.dtype
        X = X.tocsr().astype(dtype, copy=False)
        batch = SparseBatch(X, checked.T, checked.weight)
        if finite:
            batch.require_finite_inputs()
        return batch

    def predict(self, theta, X):
        """Return the predictions Y; raise a ValueError if X is not finite or has invalid indices."""
        require_entries(X)
        _require_finite(X)
        return self.loss_function.predict(self.forward(theta, X)[0][-1])


def require_entries(X):
    """Raise if a compressed matrix has invalid indices, since products would access memory out of bounds."""
    if X.format not in ("csr", "csc"):
        return
    axis = "column"
    count = X.shape[-1]
    if X.format == "csc":
        axis = "row"
        count = X.shape[0]
    starts = X.indptr
    stored = min(len(X.indices), len(X.data))
    if starts[0] != 0 or starts[-1] > stored or (starts[1:] < starts[:-1]).any():
        raise ValueError(
            f"X has {stored} entries, but its indptr does not increase from 0 to at"
            f" most {stored}: rebuild the sparse matrix."
        )
    entries = X.indices[: starts[-1]]
    for index in (entries.min(initial=0), entries.max(initial=0)):
        if not 0 <= index < count:
            raise ValueError(
                f"X has {count} {axis}s, but an entry in {axis} {index}: rebuild the"
                " sparse matrix."
            )


def _require_finite(X):
    wrong = np.flatnonzero(~np.isfinite(X.data))
    if wrong.size:
        entry = wrong[0]
        row = np.searchsorted(X.indptr, entry, side="right") - 1
        raise ValueError(
            f"X is not finite: row {row}, column {X.indices[entry]} is {X.data[entry]};"
            " fill or drop it."
        )
