"""Predictions from a model's parameters as they are at the moment, a single row in a few microseconds."""

from typing import Any

import numpy as np
from scipy import sparse

from ..core.network import Network
from ..train.engine import engine_of
from .sparse import SparseNetwork


class Predictions:
    """Predicts rows with a network's parameters, following their changes.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (P,)
        Its parameters: the very array, not a copy.

    Examples
    --------
    >>> predictions = Predictions(Network(2, [Dense(1)], SquaredError()), np.array([2.0, 3.0, 1.0]))
    >>> predictions(np.array([[1.0, 1.0]]))
    array([[6.]])
    """

    def __init__(self, network: Network, theta: np.ndarray) -> None:
        self.network, self.theta = network, theta
        self._of_dense_rows: Any = None

    def __call__(self, X: Any) -> np.ndarray:
        """Return the predictions, (N, O), of dense or sparse rows X, (N, I), of theta's type."""
        if sparse.issparse(X):
            return SparseNetwork(self.network).predict(self.theta, X.tocsr())
        if self._of_dense_rows is None:
            self._of_dense_rows = self._fastest()
        return self._of_dense_rows(X)

    def _fastest(self) -> Any:
        """Return what predicts dense rows: machine code where all parts have kernels, unless it is turned off."""
        if engine_of() == "reference":
            return lambda X: self.network.predict(self.theta, X)
        try:
            from ..compiled.network import compile

            return compile(self.network).predictor(self.theta, copy=False)
        except (ImportError, ValueError):  # no Numba, or a part of the user's own
            return lambda X: self.network.predict(self.theta, X)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process."""
        return {"network": self.network, "theta": self.theta, "_of_dense_rows": None}
