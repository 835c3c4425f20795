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


@dataclass(eq=False)
class LinearSearch:
    """A search for the linear models of M folds, which minimize weighted mean losses of the training rows.

    The inputs are stored by column and followed by ones, (I + 1, N). Validation rows
    have the weight 0, (M, N). The coefficients have the shape (M, O, I + 1). All folds
    are searched together, which saves calls of functions.
    """

    inputs: ndarray
    T: ndarray
    loss: Loss
    weights: ndarray
    coefficients: ndarray
    tolerance: float

    def outputs(self) -> ndarray:
        """Return the outputs of all rows, (M, N, O)."""
        return (self.coefficients @ self.inputs).swapaxes(1, 2)

    def minimize(self, penalty: float):
        """Move to the best coefficients for a penalty, from the current coefficients."""
        penalties = np.full(len(self.inputs), penalty / len(self.T))
        penalties[-1] = 0  # of the biases
        # The second derivatives with respect to coefficients / scale are about 1.
        scale = 1 / np.sqrt((self.inputs**2).mean(axis=1) + penalties)
        shape = self.coefficients.shape

        def penalized(point: ndarray) -> tuple[float, ndarray]:
            self.coefficients = scale * point.reshape(shape)
            Z = self.outputs()
            delta = self.loss.delta(Z, self.T) * self.weights[..., None]
            shrinking = penalties * self.coefficients
            gradient = delta.swapaxes(1, 2) @ self.inputs.T + shrinking
            loss = (self.loss.value(Z, self.T) * self.weights).sum()
            loss += (shrinking * self.coefficients).sum() / 2
            return loss, (scale * gradient).ravel()

        point = (self.coefficients / scale).ravel()
        search = LBFGS(tolerance=self.tolerance)
        point, _ = search.minimize(penalized, point, 100)
        self.coefficients = scale * point.reshape(shape)

    def fit(
        self, penalties: Sequence[float], validation_weights: ndarray
    ) -> tuple[ndarray, float]:
        """Return the best parameters, (M, P), and their penalty."""
        # The number of threads would change the last bits.
        search = partial(self._fit, penalties, validation_weights)
        return with_single_threaded_blas(search)

    def _fit(
        self, penalties: Sequence[float], validation_weights: ndarray
    ) -> tuple[ndarray, float]:
        """Weaken the penalty until the validation loss rises. Return the best parameters, (M, P), and their penalty."""
        best = self.coefficients, penalties[0]
        lowest_loss = np.inf
        for penalty in penalties:
            self.minimize(penalty)
            losses = self.loss.value(self.outputs(), self.T)
            loss = (losses * validation_weights).sum()
            if not loss < lowest_loss:
                break
            lowest_loss = loss
            best = self.coefficients, penalty
        coefficients, penalty = best
        thetas = coefficients.swapaxes(1, 2).reshape(len(coefficients), -1)
        return thetas.astype(np.float32), penalty
