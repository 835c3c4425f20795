"""Ensembles: networks that see a table in different ways, each with a share of the prediction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...core.network import Network
from ...train.engines import engine_for
from ..encoding.encoder import View

SMALLEST_PROBABILITY = 1e-30
"""Probabilities are at least this, so that their logarithms and powers are finite."""


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks of one description that see a table in one way, each trained without one fold of the rows."""

    network: Network
    thetas: np.ndarray
    view: View
    inputs: np.ndarray
    share: float = 1.0
    inverse_temperature: float | None = None
    stage: int = 1

    def each(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each network's predictions, (N, O), for all inputs of the encoder."""
        X = X if len(self.inputs) == X.shape[1] else np.take(X, self.inputs, axis=1)  # all, without a copy
        for theta in self.thetas:
            yield engine_for(self.network, theta, silent=True).predict(theta, X).astype(float)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose predictions are averaged.

    Parameters
    ----------
    views : list of Networks
        Those that see a table in the same way and were trained with the same settings. In each view the networks are in
        the order of the folds that they have not seen, which are the same.
    """

    views: list[Networks]

    def __len__(self) -> int:
        """Return the number of networks."""
        return sum(len(view.thetas) for view in self.views)

    @property
    def folds(self) -> int:
        """The number of folds, for each of which there is a network in each view."""
        return len(self.views[0].thetas)

    @property
    def theta(self) -> np.ndarray:
        """The parameters of all networks, one after the other."""
        return np.concatenate([view.thetas.ravel() for view in self.views])

    def each(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each fold what the networks that have not seen it predict together, (N, O), for all inputs."""
        for predictions in zip(*(view.each(X) for view in self.views), strict=True):
            yield self.together(predictions)

    def together(self, predictions: Sequence[np.ndarray]) -> np.ndarray:
        """Return the prediction that those of one network of each view make together."""
        total = np.zeros_like(predictions[0])
        for view, Y in zip(self.views, predictions, strict=True):
            scale = view.inverse_temperature
            total += view.share * (Y if scale is None else temperature_scaled(Y, scale))
        return total

    def with_shares(self, shares: Sequence[float], inverse_temperatures: Sequence[float | None]) -> "Ensemble":
        """Return the same networks with other shares and temperatures of the views."""
        each = zip(self.views, shares, inverse_temperatures, strict=True)
        return Ensemble([replace(view, share=share, inverse_temperature=scale) for view, share, scale in each])


def temperature_scaled(P: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """Return probabilities p^s / Σ p^s with the inverse temperature s: the softmax of s times the logits.

    Examples
    --------
    >>> temperature_scaled(np.array([[0.8, 0.2]]), inverse_temperature=0.5).round(3)
    array([[0.667, 0.333]])
    """
    powers = np.maximum(P, SMALLEST_PROBABILITY)
    powers **= inverse_temperature
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers
