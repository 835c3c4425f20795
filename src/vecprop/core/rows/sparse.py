"""Sparse inputs stay sparse: only the first layer sees them, and its products skip the zeros."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..elementary import Array
from ..layers import Dense, Parameters, bias_gradient
from ..network import Network
from .inputs import Batch


@dataclass(frozen=True)
class SparseDense(Dense):
    """A dense layer on sparse rows, the first one: the gradient with respect to X is left out."""

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
        """Raise a ValueError that names a number of X that is not finite."""
        _require_finite(self.X)

    def take(self, rows: Array) -> Any:
        """Return the rows of these numbers as a batch."""
        rows = rows if self.chosen is None else self.chosen[rows]
        return SparseBatch(self.X[rows], self.T[rows], None if self.weight is None else self.weight[rows])


class SparseNetwork(Network):
    """A network on sparse inputs, with the parameters of the same network on dense ones."""

    def __init__(self, network: Network) -> None:
        first, *others = network.layers
        assert isinstance(first, Dense)
        layers = [SparseDense(first.outputs, first.initializer), *others]
        super().__init__(network.inputs, layers, network.loss_function, network.penalties)

    @property
    def dense(self) -> Network:
        """The same network on dense inputs."""
        first, *others = self.layers
        assert isinstance(first, Dense)
        layers = [Dense(first.outputs, first.initializer), *others]
        return Network(self.inputs, layers, self.loss_function, self.penalties)

    def batch(
        self,
        theta: Array,
        X: Any,
        T: Array,
        sample_weight: Array | None = None,
        *,
        finite: bool = True,
        as_read: bool = False,
    ) -> Batch:
        """Return X by rows and in theta's type, targets and weights, which are checked with zeros in X's place."""
        del as_read  # its entries are few: they are converted at once
        require_entries(X)
        dense = Network(1, [Dense(self.outputs)], self.loss_function)
        zeros = np.zeros((X.shape[0], 1), theta.dtype)
        checked = dense.batch(dense.init(0, theta.dtype), zeros, T, sample_weight)
        dtype = X.dtype if X.dtype.kind == "c" else theta.dtype  # complex numbers stay complex, as dense ones do
        batch = SparseBatch(X.tocsr().astype(dtype, copy=False), checked.T, checked.weight)
        if finite:
            batch.require_finite_inputs()
        return batch

    def predict(self, theta: Array, X: Any) -> Array:
        """Return the predictions Y, after the link, or raise a ValueError if X is not finite or damaged."""
        require_entries(X)
        _require_finite(X)
        return self.loss_function.predict(self.forward(theta, X)[0][-1])


def require_entries(X: Any) -> None:
    """Refuse a compressed matrix with entries outside of it, by which products would read and write other memory."""
    if X.format not in ("csr", "csc"):
        return
    word, count = ("column", X.shape[-1]) if X.format == "csr" else ("row", X.shape[0])
    starts, held = X.indptr, min(len(X.indices), len(X.data))
    if starts[0] != 0 or starts[-1] > held or (starts[1:] < starts[:-1]).any():
        indptr = f"indptr, where those of each {'row' if word == 'column' else 'column'} start"
        wrong = f"does not rise from 0 to at most {held}: make the sparse matrix anew."
        raise ValueError(f"X holds {held} entries, but {indptr}, {wrong}")
    entries = X.indices[: starts[-1]]
    for place in (entries.min(initial=0), entries.max(initial=0)):
        if not 0 <= place < count:
            raise ValueError(f"X has {count} {word}s, but an entry in {word} {place}: make the sparse matrix anew.")


def _require_finite(X: Any) -> None:
    wrong = np.flatnonzero(~np.isfinite(X.data))
    if wrong.size:
        row, column = np.searchsorted(X.indptr, wrong[0], side="right") - 1, X.indices[wrong[0]]
        raise ValueError(f"X is not finite: row {row}, column {column} is {X.data[wrong[0]]}; fill or drop it.")
