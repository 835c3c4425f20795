"""Linear models: networks without hidden layers, with a penalty that is chosen by folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy import ndarray

from ...core.losses import Loss
from ...optimize.lbfgs import LBFGS
from ...system.threads import with_single_threaded_blas

PENALTIES = np.logspace(2, -3, 11).tolist()
"""The candidates for λ in Σ wℓ + ½ λ Σ W², from strong to weak. The mean of the
weights w is 1.
"""
SMALLEST_VARIANCE = 1e-9
"""Principal components with less variance, relative to the largest, are left out."""
AT_ONCE = 2**17
"""The number of outputs that are computed together, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Components:
    """The principal components of inputs: a rotation, which leaves the penalty Σ W² unchanged.

    The components are stored by column and followed by ones, (K + 1, N). The directions
    have the shape (I, K).
    """

    components: ndarray
    directions: ndarray
    mean: ndarray

    @classmethod
    def of(cls, columns: ndarray) -> "Components":
        """Return the principal components of inputs by column, (I, N), which are overwritten."""
        mean = columns.mean(axis=1, dtype=float)
        columns -= mean[:, None].astype(columns.dtype)
        X = columns.astype(float)
        inputs, rows = X.shape
        variances, directions = np.linalg.eigh(X @ X.T if inputs <= rows else X.T @ X)
        is_kept = variances > SMALLEST_VARIANCE * variances[-1]
        directions = directions[:, is_kept]
        if inputs > rows:
            directions = X @ directions / np.sqrt(variances[is_kept])
        del X  # frees memory
        components = np.ones((directions.shape[1] + 1, rows), columns.dtype)
        np.matmul(directions.T.astype(columns.dtype), columns, out=components[:-1])
        return cls(components, directions, mean)

    def coefficients(self, coefficients: ndarray) -> ndarray:
        """Convert coefficients of components and a bias, (..., K + 1), to coefficients of inputs, (..., I + 1)."""
        W = coefficients[..., :-1] @ self.directions.T
        bias = coefficients[..., -1] - W @ self.mean
        return np.concatenate([W, bias[..., None]], axis=-1)


@dataclass(eq=False)
class LinearSearch:
    """A search for the linear models of M folds, which minimize weighted mean losses of the training rows.

    ``columns`` contains the inputs by column, (I, N). ``is_trained`` marks the training
    rows of each fold, (M, N). The coefficients of the components have the shape (M, O,
    K + 1). All folds are searched together, which saves calls of functions.
    """

    columns: ndarray
    T: ndarray
    loss: Loss
    weights: ndarray
    is_trained: ndarray
    tolerance: float

    def loss_and_gradient(self, is_counted: ndarray) -> tuple[float, ndarray]:
        """Return the weighted loss of all folds on the marked rows, (M, N), and its gradient."""
        components = self.inputs.components
        gradient = np.empty_like(self.coefficients)
        for folds in self.fold_blocks:
            shape = self.coefficients[folds].shape
            # One product of two matrices is faster than one for each fold.
            coefficients = self.coefficients[folds].reshape(-1, shape[-1])
            products = coefficients.astype(components.dtype) @ components
            delta = products.reshape(*shape[:2], -1).swapaxes(1, 2)
            for rows in self.row_blocks:
                Z = delta[:, rows]
                T = self.T[rows]
                weights = self.weights[rows] * is_counted[folds, rows]
                self.losses[folds, rows] = self.loss.value(Z, T) * weights
                delta[:, rows] = self.loss.delta(Z, T) * weights[..., None]
            gradient[folds] = (products @ components.T).reshape(shape)
        return self.losses.sum(), gradient

    def minimize(self, penalty: float):
        """Move to the best coefficients for a penalty, from the current coefficients."""
        penalties = np.full(len(self.mean_squares), penalty / len(self.T))
        penalties[-1] = 0  # of the biases
        # The second derivatives with respect to coefficients / scale are about 1.
        scale = 1 / np.sqrt(self.mean_squares + penalties)
        shape = self.coefficients.shape

        def penalized(point: ndarray) -> tuple[float, ndarray]:
            self.coefficients = scale * point.reshape(shape)
            loss, gradient = self.loss_and_gradient(self.is_trained)
            shrinking = penalties * self.coefficients
            loss += (shrinking * self.coefficients).sum() / 2
            return loss, (scale * (gradient + shrinking)).ravel()

        point = (self.coefficients / scale).ravel()
        search = LBFGS(tolerance=self.tolerance)
        point, _ = search.minimize(penalized, point, 100)
        self.coefficients = scale * point.reshape(shape)

    def fit(self, penalties: Sequence[float]) -> tuple[ndarray, float]:
        """Return the best parameters, (M, P), and their penalty."""
        # The number of threads would change the last bits.
        return with_single_threaded_blas(partial(self._fit, penalties))

    def _fit(self, penalties: Sequence[float]) -> tuple[ndarray, float]:
        """Weaken the penalty until the validation loss rises. Return the best parameters, (M, P), and their penalty."""
        folds, rows = self.is_trained.shape
        outputs = self.T.shape[1]
        self.inputs = Components.of(self.columns)
        components = self.inputs.components
        self.mean_squares = np.array([np.mean(column**2) for column in components])
        self.coefficients = np.zeros((folds, outputs, len(components)))
        self.fold_blocks = _blocks(folds, AT_ONCE // (rows * outputs))
        self.row_blocks = _blocks(rows, AT_ONCE // outputs)
        self.losses = np.empty((folds, rows))
        best = self.coefficients, penalties[0]
        lowest_loss = np.inf
        for penalty in penalties:
            self.minimize(penalty)
            loss, _ = self.loss_and_gradient(~self.is_trained)
            if not loss < lowest_loss:
                break
            lowest_loss = loss
            best = self.coefficients, penalty
        coefficients, penalty = best
        coefficients = self.inputs.coefficients(coefficients)
        thetas = coefficients.swapaxes(1, 2).reshape(folds, -1)
        return thetas.astype(np.float32), penalty


def _blocks(count: int, size: int) -> list[slice]:
    """Split a number of rows or folds into blocks of at least one."""
    starts = range(0, count, max(size, 1))
    return [slice(first, first + starts.step) for first in starts]
