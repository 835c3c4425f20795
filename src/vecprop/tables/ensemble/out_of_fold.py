"""Out-of-fold predictions: of each row by networks that were neither trained on it nor stopped by its target.

Each network stops at the epoch that suits its own validation rows best. Its predictions of these rows at that epoch
look better than its predictions of new rows, most of all in small tables. So its rows are predicted after the epochs at
which the other networks stopped.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from ...core.losses import Loss, SoftmaxCrossEntropy
from .ensemble import SMALLEST_PROBABILITY

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
