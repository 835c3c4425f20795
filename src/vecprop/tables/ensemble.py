"""Ensembles: networks that are trained as one population, each without one fold of the rows, its validation set."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..core.network import Network
from ..optimize.optimizers import AdamW
from ..optimize.schedules import Cosine
from ..optimize.stopping import EarlyStopping
from ..train.engine import engine_for
from ..train.members import Member
from ..train.population import train_population
from ..train.progress import Progress
from ..train.state import DivergenceError, TrainingResult
from .folds import splits, unseen_by


@dataclass(frozen=True)
class Training:
    """How members are trained: by AdamW with β₂ = 0.95, a learning rate that falls along a cosine, and early stopping.

    Parameters
    ----------
    epochs, batch_size, patience : int
        The largest number of epochs, the rows of a batch, and the number of epochs without progress that ends training.
    learning_rate : float
        The learning rate at the start.
    weight_decay : float
        The decay over an epoch, whatever the number of its steps.
    """

    epochs: int
    batch_size: int
    patience: int
    learning_rate: float
    weight_decay: float

    def optimizer(self, rows: int) -> AdamW:
        """Return the optimizer of a member that is trained on this number of rows."""
        steps = -(-rows // self.batch_size)
        return AdamW(self.learning_rate, beta2=0.95, weight_decay=self.weight_decay / steps)


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The rows that an ensemble is trained on.

    Parameters
    ----------
    X : ndarray (N, I)
        The inputs, in float32.
    T : ndarray (N, O)
        The targets.
    weight : ndarray (N,) or None
        The rows' weights in training; None if all are equal.
    fold : ndarray of int (N,)
        Each row's fold, 0 … M - 1; with ``is_time`` also -1, for rows before all of them.
    is_time : bool, default False
        Whether each member is trained on the rows of earlier folds, rather than on those of all others.
    groups : float, default inf
        The number of groups that the rows are of; infinite if rows are independent of each other.
    counts : ndarray (N,) or None
        What the rows count, whatever their class weighs in training; None if all are equal.
    """

    X: np.ndarray
    T: np.ndarray
    weight: np.ndarray | None
    fold: np.ndarray
    is_time: bool = False
    groups: float = float("inf")
    counts: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks of one description whose predictions are averaged.

    Parameters
    ----------
    network : Network
        The description.
    thetas : ndarray (M, P)
        The members' parameters.
    """

    network: Network
    thetas: np.ndarray

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.thetas)

    def each(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each member's predictions, (N, O), of inputs (N, I)."""
        for theta in self.thetas:
            yield engine_for(self.network, theta, silent=True).predict(theta, X).astype(float)


@dataclass(frozen=True, eq=False)
class Fit:
    """Ensembles to be trained: one for each description of a network, with a member for each fold of the rows.

    Parameters
    ----------
    networks : list of Network
        The description of the members of each ensemble.
    rows : TrainingRows
        The rows, of which each member leaves out its fold, see `splits`.
    training : Training
        How they are trained.
    seed : int
        Fixes initial parameters, the order of rows and dropout.
    """

    networks: list[Network]
    rows: TrainingRows
    training: Training
    seed: int

    def members(self) -> list[Member]:
        """Return the members of each ensemble, which are validated on the rows that they are not trained on."""
        stopping = EarlyStopping(self.training.patience)
        each = splits(self.rows.fold, is_time=self.rows.is_time)
        return [
            self._member(
                network,
                number,
                self.training.epochs,
                len(learned),
                rows=learned,
                validation_rows=unseen,
                early_stopping=stopping,
            )
            for network in self.networks
            for number, (learned, unseen) in enumerate(each)
        ]

    def members_of_all_rows(self, count: int, epochs: Sequence[int]) -> list[Member]:
        """Return `count` members of each ensemble, trained on all rows for the number of epochs of their ensemble."""
        rows = len(self.rows.T)
        return [
            self._member(network, number, until, rows)
            for network, until in zip(self.networks, epochs, strict=True)
            for number in range(count)
        ]

    def _member(self, network: Network, number: int, epochs: int, count: int, **settings: Any) -> Member:
        return Member(
            network,
            network.init(self.seed + number, np.float32),
            self.training.optimizer(count),
            X=self.rows.X,
            T=self.rows.T,
            sample_weight=self.rows.weight,
            epochs=epochs,
            batch_size=self.training.batch_size,
            seed=self.seed + number,
            training_loss="running",
            schedule=Cosine(),
            **settings,
        )

    def outcome(self, results: Sequence[TrainingResult]) -> "Outcome":
        """Return the ensembles that are the results of members; all diverged, or none begun, are errors."""
        shape = len(self.networks), len(results) // len(self.networks)
        is_good = np.reshape([result.reason != "diverged" and result.state.epoch > 0 for result in results], shape)
        good = np.flatnonzero(is_good.all(axis=0))
        if not len(good) and any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        if not len(good):
            rate = self.training.learning_rate
            raise ValueError(
                f"Training diverged in each of {shape[1]} members: lower learning_rate_init (now {rate})."
            ) from DivergenceError("No member stayed finite.", results[0])
        thetas = np.reshape([result.theta for result in results], (*shape, -1))
        pairs = zip(self.networks, thetas, strict=True)
        return Outcome([Ensemble(network, own[good]) for network, own in pairs], good, results)


class Outcome(NamedTuple):
    """What training has made of a fit.

    Parameters
    ----------
    ensembles : list of Ensemble
        The members of those folds for which no network diverged or was interrupted before its first epoch.
    folds : ndarray of int (M,)
        The fold that each of these members has not seen.
    results : sequence of TrainingResult
        The results of all members, one ensemble after the other.
    """

    ensembles: list[Ensemble]
    folds: np.ndarray
    results: Sequence[TrainingResult]


def trained(
    fits: Sequence[tuple[Fit, list[Member]]], progress: Callable[[Progress], object] | None
) -> Iterator[Outcome]:
    """Train the members of several fits as one population, and yield the outcome of each.

    Raises
    ------
    ValueError
        If all members of a fit diverge.
    """
    rows = fits[0][0].rows
    results = train_population([member for _, members in fits for member in members], rows.X, rows.T, progress=progress)
    first = 0
    for fit, members in fits:
        yield fit.outcome(results[first : first + len(members)])
        first += len(members)


def unseen(ensemble: Ensemble, folds: np.ndarray, rows: TrainingRows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each member, the indices of the rows that it has not seen, and its predictions of them, (n, O).

    Parameters
    ----------
    ensemble, folds
        As `trained` returns them.
    rows : TrainingRows
        The rows that they were trained on.
    """
    for number, theta in zip(folds, ensemble.thetas, strict=True):
        own = unseen_by(rows.fold, number, is_time=rows.is_time)
        yield own, next(Ensemble(ensemble.network, theta[None]).each(rows.X[own]))


def out_of_fold(each: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    """Return the mean prediction of each row by the members that have not seen it, (N, …), nan where there are none.

    Parameters
    ----------
    each : iterable of tuple of ndarray
        For each member the indices of rows and its predictions of them, see `unseen`.
    count : int
        The number of rows, N.

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
