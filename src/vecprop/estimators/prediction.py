"""Predictions with a model's current parameters; a single row takes a few microseconds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from ..core.network import Network
from ..core.selection import Selection
from ..core.sparse import SparseNetwork
from ..train.engines import engine_for


@dataclass(eq=False)
class Predictions:
    """Predicts rows with a network's parameters, following their changes.

    Examples
    --------
    >>> predictions = Predictions(Network(2, [Dense(1)], SquaredError()), np.array([2.0, 3.0, 1.0]))
    >>> predictions(np.array([[1.0, 1.0]]))
    array([[6.]])
    """

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
