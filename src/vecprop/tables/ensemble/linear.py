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


AT_ONCE = 2**17
"""The number of outputs that are computed together, which bounds the memory."""


@dataclass(eq=False)
class LinearSearch:
    """A search for the linear models of M folds, which minimize weighted mean losses of the training rows.

    The inputs are stored by column and followed by ones, (I + 1, N). ``is_trained``
    marks the training rows of each fold, (M, N). The coefficients have the shape (M, O,
    I + 1). All folds are searched together, which saves calls of functions.
    """

    inputs: ndarray
    T: ndarray
    loss: Loss
    weights: ndarray
    is_trained: ndarray
    coefficients: ndarray
    tolerance: float

    def __post_init__(self):
        folds, outputs, _ = self.coefficients.shape
        self.fold_blocks = _blocks(folds, AT_ONCE // (len(self.T) * outputs))
        self.row_blocks = _blocks(len(self.T), AT_ONCE // outputs)
        self.losses = np.empty((folds, len(self.T)))
        self.mean_squares = np.array([np.mean(column**2) for column in self.inputs])

    def loss_and_gradient(self, is_counted: ndarray) -> tuple[float, ndarray]:
        """Return the weighted loss of all folds on the marked rows, (M, N), and its gradient."""
        gradient = np.empty_like(self.coefficients)
        for folds in self.fold_blocks:
            delta = (self.coefficients[folds] @ self.inputs).swapaxes(1, 2)
            for rows in self.row_blocks:
                Z = delta[:, rows]
                T = self.T[rows]
                weights = self.weights[rows] * is_counted[folds, rows]
                self.losses[folds, rows] = self.loss.value(Z, T) * weights
                delta[:, rows] = self.loss.delta(Z, T) * weights[..., None]
            gradient[folds] = delta.swapaxes(1, 2) @ self.inputs.T
        return self.losses.sum(), gradient

    def minimize(self, penalty: float):
        """Move to the best coefficients for a penalty, from the current coefficients."""
        penalties = np.full(len(self.inputs), penalty / len(self.T))
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
        thetas = coefficients.swapaxes(1, 2).reshape(len(coefficients), -1)
        return thetas.astype(np.float32), penalty


def _blocks(count: int, size: int) -> list[slice]:
    """Split a number of rows or folds into blocks of at least one."""
    starts = range(0, count, max(size, 1))
    return [slice(first, first + starts.step) for first in starts]
