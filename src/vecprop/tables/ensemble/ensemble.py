"""Ensembles: networks that see a table in different ways, their shares, and out-of-fold predictions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...core.losses import Loss, SoftmaxCrossEntropy
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


Unseen = list[tuple[np.ndarray, np.ndarray]]
"""For each fold the indices of its rows, and predictions of them, (n, J, O), by a network that was not trained on them.

There are J predictions of each row, for J stopping epochs.
"""

PREDICTIONS = 10_000
"""The number of out-of-fold predictions of a table with fewer rows: several of each row, for several epochs."""

MOST_KEPT = 2**24
"""The largest number of validation predictions that training keeps for a view: 64 MB in float32. In larger tables the
choice of the epoch has no visible effect on the loss of the rows that choose it."""


def keeps_predictions(rows: int, outputs: int, epochs: int) -> bool:
    """Return whether training keeps the predictions of validation rows after each epoch."""
    return rows * outputs * (epochs + 1) <= MOST_KEPT


def at_epochs_of_others(
    kept: Sequence[np.ndarray],
    rows: Sequence[np.ndarray],
    loss: Loss,
    T: np.ndarray,
    weight: np.ndarray | None,
    fold: np.ndarray,
) -> Unseen:
    """Return predictions of validation rows after the epochs that other rows choose."""
    count, blocks = len(kept), range(fold.max() + 1)
    alternatives = int(np.clip(PREDICTIONS // len(T), 1, count - 1))
    stops = []  # of each network, by the rows outside each block
    for Y, own in zip(kept, rows, strict=True):
        losses = _losses(loss, Y, T[own])
        weights = np.ones(len(own)) if weight is None else weight[own]
        stops.append([_stop(losses, np.where(fold[own] == block, 0, weights)) for block in blocks])
    unseen = []
    for number, (Y, own) in enumerate(zip(kept, rows, strict=True)):
        predicted = np.empty((len(own), alternatives, Y.shape[2]))
        for block in np.unique(fold[own]):
            of_others = [stops[other % count][block] for other in range(number + 1, number + count)]
            epochs = [epoch for epoch in of_others if epoch is not None] or [len(Y)]
            epochs = np.minimum(np.resize(epochs, alternatives), len(Y) - 1)  # training may have ended before
            mine = np.flatnonzero(fold[own] == block)
            predicted[mine] = Y[epochs][:, mine].swapaxes(0, 1)
        unseen.append((own, predicted))
    return unseen


def _losses(loss: Loss, Y: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return the loss of each row at each epoch, (epochs + 1, n)."""
    if isinstance(loss, SoftmaxCrossEntropy):  # whose value takes logits
        Y = np.log(np.maximum(Y, SMALLEST_PROBABILITY))
    return np.asarray(loss.value(Y, T))


def _stop(losses: np.ndarray, weight: np.ndarray) -> int | None:
    """Return the epoch with the lowest weighted loss; None if no row has a weight."""
    return int(np.argmin(losses @ weight)) if weight.any() else None


def out_of_fold(each: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    """Return the mean prediction of each row by the members that have not seen it, (N, …), nan where there are none.

    Examples
    --------
    >>> out_of_fold([(np.array([0, 1]), np.array([1.0, 2.0])), (np.array([1]), np.array([4.0]))], 3)
    array([ 1.,  3., nan])
    """
    each = list(each)
    Y, members = np.zeros((count, *each[0][1].shape[1:])), np.zeros(count)
    for own, predicted in each:
        Y[own] += predicted
        members[own] += 1
    return (Y.T / np.where(members > 0, members, np.nan)).T
