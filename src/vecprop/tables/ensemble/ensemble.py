"""Ensembles of networks with different views of a table, each trained without one fold of the rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np

from ...core import Network, SoftmaxCrossEntropy
from ...core.rows.selection import Selection
from ...optimize.optimizers import AdamW
from ...optimize.schedules import Cosine
from ...optimize.settings import EarlyStopping
from ...train.members import Member
from ...train.population import train_population, workers_or_joblibs
from ...train.state import DivergenceError, TrainingResult
from ...train.trainer import engine_for
from ..encoding.encoder import View
from ..encoding.folds import splits, unseen_by
from ..reading.frames import by_blocks
from ..streaming.streamed import StreamedRows
from ..streaming.window_fit import Report, trained_in_windows

MIN_PROBABILITY = 1e-30
"""Lower bound of probabilities, so that logarithms and powers are finite."""
PREDICTIONS = 10_000
"""Smaller tables have several out-of-fold predictions per row, from different epochs, about this number in total."""
MAX_STORED = 2**24
"""Maximum number of stored validation predictions per view (64 MB in float32). In larger tables, selecting the epoch
hardly biases the validation loss."""


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks with the same architecture and view, each trained without one fold of the rows.

    The stage is 1, except in files of earlier versions, whose models can have further networks of a view.
    """

    network: Network
    thetas: np.ndarray
    view: View
    inputs: np.ndarray
    share: float = 1.0
    inverse_temperature: float | None = None
    stage: int = 1

    def each(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each network's predictions, with shape (N, O), given all inputs of the encoder."""
        X = X if len(self.inputs) == X.shape[1] else np.take(X, self.inputs, axis=1)  # avoids a copy
        for theta in self.thetas:
            yield engine_for(self.network, theta, silent=True).predict(theta, X).astype(float)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose predictions are averaged. Each view has one network per fold, in the order of the folds."""

    views: list[Networks]

    def __len__(self) -> int:
        """Return the number of networks."""
        return sum(len(view.thetas) for view in self.views)

    @property
    def folds(self) -> int:
        """The number of folds, which is also the number of networks per view."""
        return len(self.views[0].thetas)

    @property
    def theta(self) -> np.ndarray:
        """The concatenated parameters of all networks."""
        return np.concatenate([view.thetas.ravel() for view in self.views])

    def each(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """For each fold, yield the combined prediction of its networks, with shape (N, O)."""
        return map(self.together, zip(*(view.each(X) for view in self.views), strict=True))

    def together(self, predictions: Sequence[np.ndarray]) -> np.ndarray:
        """Return the weighted average of one prediction per view."""
        total = np.zeros_like(predictions[0])
        for view, Y in zip(self.views, predictions, strict=True):
            scale = view.inverse_temperature
            total += view.share * (Y if scale is None else temperature_scaled(Y, scale))
        return total

    def with_shares(self, shares: Sequence[float], inverse_temperatures: Sequence[float | None]) -> "Ensemble":
        """Return a copy with new weights and temperatures of the views."""
        each = zip(self.views, shares, inverse_temperatures, strict=True)
        return Ensemble([replace(view, share=share, inverse_temperature=scale) for view, share, scale in each])


def temperature_scaled(P: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """Return probabilities p^s / Σ p^s with the inverse temperature s: the softmax of s times the logits.

    Examples
    --------
    >>> temperature_scaled(np.array([[0.8, 0.2]]), inverse_temperature=0.5).round(3)
    array([[0.667, 0.333]])
    """
    powers = np.maximum(P, MIN_PROBABILITY)
    powers **= inverse_temperature
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


@dataclass(frozen=True)
class Training:
    """Settings of training: AdamW with β₂ = 0.95, a cosine schedule of the learning rate, and early stopping."""

    epochs: int
    batch_size: int
    patience: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The training rows of an ensemble."""

    T: np.ndarray
    weight: np.ndarray | None
    fold: np.ndarray
    is_time: bool = False
    groups: float = float("inf")
    counts: np.ndarray | None = None


Unseen = list[tuple[np.ndarray, np.ndarray]]
"""For each fold, the indices of n rows and their out-of-fold predictions at J stopping epochs, (n, J, O)."""


def at_epochs_of_others(
    curves: Sequence[np.ndarray], owned: Sequence[np.ndarray], loss: Any, rows: TrainingRows
) -> Unseen:
    """Return each network's validation predictions, (n, J, O), at J epochs that are selected on other rows."""
    fold, count, blocks = rows.fold, len(curves), range(rows.fold.max() + 1)
    alternatives = int(np.clip(PREDICTIONS // len(rows.T), 1, count - 1))
    stops = []  # the best epoch of each network on the rows outside each block
    for Y, own in zip(curves, owned, strict=True):
        if isinstance(loss, SoftmaxCrossEntropy):  # expects logits
            Y = np.log(np.maximum(Y, MIN_PROBABILITY))
        losses = np.asarray(loss.value(Y, rows.T[own]))  # (epochs + 1, n)
        weight = np.ones(len(own)) if rows.weight is None else rows.weight[own]
        of_blocks = [np.where(fold[own] == block, 0, weight) for block in blocks]
        stops.append([int(np.argmin(losses @ others)) if others.any() else None for others in of_blocks])
    unseen = []
    for number, (Y, own) in enumerate(zip(curves, owned, strict=True)):
        predicted = np.empty((len(own), alternatives, Y.shape[2]))
        for block in np.unique(fold[own]):
            of_others = [stops[other % count][block] for other in range(number + 1, number + count)]
            epochs = [epoch for epoch in of_others if epoch is not None] or [len(Y)]
            epochs = np.minimum(np.resize(epochs, alternatives), len(Y) - 1)  # training may have stopped earlier
            mine = np.flatnonzero(fold[own] == block)
            predicted[mine] = Y[epochs][:, mine].swapaxes(0, 1)
        unseen.append((own, predicted))
    return unseen


def out_of_fold(each: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    """Return the mean out-of-fold prediction of each row, which is nan for rows without predictions.

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


@dataclass(frozen=True, eq=False)
class ViewFit:
    """The networks, inputs and training settings of one view."""

    view: View
    inputs: np.ndarray
    X: np.ndarray | Selection
    networks: list[Network]
    training: Training
    stage: int = 1


class Outcome(NamedTuple):
    """The trained ensembles, their folds, and the training results by ensemble, view and fold."""

    ensembles: list[Ensemble]
    folds: np.ndarray
    results: np.ndarray
    others: np.ndarray

    @property
    def is_interrupted(self) -> bool:
        """Whether the training of any network was interrupted."""
        return any(result.reason == "interrupted" for result in (*self.results.flat, *self.others.flat))


@dataclass(frozen=True, eq=False)
class Fit:
    """Ensembles to train: each has one network per view and fold."""

    views: list[ViewFit]
    rows: TrainingRows
    seed: int
    stream: StreamedRows | None = None

    def members(self, count: int = 0, until: Sequence[int] = ()) -> list[Member]:
        """Return the members, sorted by ensemble, view and fold.

        Members are validated on their held-out rows. With ``until``, each view has `count` members, which are trained
        on all rows without validation, up to the given epochs.
        """
        divided = [(None, None)] * count if until else splits(self.rows.fold, is_time=self.rows.is_time)
        groups = [
            (view, view.networks[of], place)
            for of in range(len(self.views[0].networks))
            for place, view in enumerate(self.views)
        ]
        members = []
        for (view, network, place), end in zip(groups, until or repeat(None), strict=False):
            training, seed = view.training, self.seed + place * len(divided)
            size = self.rows.T.size * (training.epochs + 1)
            for number, (learned, unseen) in enumerate(divided):
                rows = self.stream.rows_of(number) if self.stream else len(self.rows.T if learned is None else learned)
                decay = training.weight_decay / -(-rows // training.batch_size)
                members.append(
                    Member(
                        network,
                        network.init(seed + number, np.float32),
                        AdamW(training.learning_rate, beta2=0.95, weight_decay=decay),
                        rows=learned,
                        validation_rows=unseen,
                        X=view.X,
                        T=self.rows.T,
                        sample_weight=self.rows.weight,
                        epochs=end or training.epochs,
                        batch_size=training.batch_size,
                        seed=seed + number,
                        training_loss="running",
                        schedule=Cosine(),
                        early_stopping=None if end else EarlyStopping(patience=training.patience),
                        keeps_predictions=not end and self.stream is None and size <= MAX_STORED,
                    )
                )
        return members

    def like(self, networks: Networks) -> ViewFit:
        """Return the fit of a view, for networks with the hidden layers of trained networks."""
        (view,) = [view for view in self.views if view.view == networks.view]
        hidden_layers = networks.network.layers[:-1]
        untrained = []
        for network in view.networks:
            layers = [*hidden_layers, network.layers[-1]]
            untrained.append(Network(network.inputs, layers, network.loss_function))
        return replace(view, networks=untrained, stage=networks.stage)

    def outcome(self, results: Sequence[TrainingResult]) -> Outcome:
        """Return the ensembles of the trained members, and raise an error if all members diverged or none was trained.

        Views or folds with bad networks are dropped such that the largest number of networks remains.
        """
        grouped = self._grouped(results)
        is_good = _are_good(grouped).all(axis=0)
        choices = [list(range(len(self.views))), *([place] for place in range(len(self.views)))]
        views = max(choices, key=lambda places: len(places) * is_good[places].all(axis=0).sum())
        good = np.flatnonzero(is_good[views].all(axis=0))
        if not len(good) and any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        if not len(good):
            rate = self.views[0].training.learning_rate
            raise ValueError(
                f"Training of all {len(results)} networks diverged: lower learning_rate_init (now {rate})."
            ) from DivergenceError("No member stayed finite.", results[0])
        ensembles = [
            Ensemble([self._networks(of, place, own[place, good], 1 / len(views)) for place in views])
            for of, own in enumerate(grouped)
        ]
        return Outcome(ensembles, good, grouped[:, views], np.delete(grouped, views, axis=1))

    def _grouped(self, results: Sequence[TrainingResult]) -> np.ndarray:
        """Return the results as an array with the axes ensemble, view and fold."""
        several = np.empty(len(results), object)
        several[:] = results
        return several.reshape(len(self.views[0].networks), len(self.views), -1)

    def _networks(self, of: int, place: int, results: Iterable[TrainingResult], share: float) -> Networks:
        view, thetas = self.views[place], np.stack([result.theta for result in results])
        return Networks(view.networks[of], thetas, view.view, view.inputs, share, stage=view.stage)

    def unseen_by_all(self, outcome: Outcome) -> list[list[Unseen]]:
        """Return the out-of-fold predictions by ensemble and view."""
        unseen = []
        for ensemble, results in zip(outcome.ensembles, outcome.results, strict=True):
            views = zip(ensemble.views, results, strict=True)
            unseen.append([self.unseen(networks, own[outcome.folds], outcome.folds) for networks, own in views])
        return unseen

    def unseen(self, networks: Networks, results: Sequence[TrainingResult], folds: np.ndarray) -> Unseen:
        """Return the out-of-fold predictions of each network of a view."""
        owned = [unseen_by(self.rows.fold, number, is_time=self.rows.is_time) for number in folds]
        curves = [result.history.validation_predictions for result in results]
        network = networks.network
        if len(curves) > 1 and all(map(len, curves)):
            return at_epochs_of_others(curves, owned, network.loss_function, self.rows)
        (X,) = [view.X for view in self.views if view.view == networks.view]
        each = zip(owned, networks.thetas, strict=True)
        return [(own, _predicted(network, theta, X, own)[:, None]) for own, theta in each]


def _predicted(network: Network, theta: np.ndarray, X: np.ndarray | Selection, own: np.ndarray) -> np.ndarray:
    """Return the predictions of some rows, (n, O), without copying all their inputs."""
    engine, Y = engine_for(network, theta, silent=True), np.empty((len(own), network.outputs))

    def predict(rows: slice) -> None:
        Y[rows] = engine.predict(theta, X.take(own[rows]) if isinstance(X, Selection) else X[own[rows]])

    by_blocks(predict, len(own), network.inputs)
    return Y


_are_good = np.vectorize(lambda result: result.reason != "diverged" and result.state.epoch > 0, otypes=[bool])
"""Whether results have finite parameters after at least one epoch."""


def results_of(
    fits: Sequence[Fit], progress: Report, checkpoint: Any = None, workers: Any = None, members: Any = ()
) -> Iterator[Sequence[TrainingResult]]:
    """Train the members of several fits as one population and yield the results of each fit.

    If the rows do not fit into memory, members are trained in windows of rows.
    """
    members, workers = members or [fit.members() for fit in fits], workers_or_joblibs(workers)
    streams = [fit.stream for fit in fits if fit.stream is not None]
    if streams:
        for fit, stream, own in zip(fits, streams, members, strict=True):
            folds = len(own) // (len(fit.views) * len(fit.views[0].networks))
            networks: Any = [
                (member, number % folds, fit.views[number // folds % len(fit.views)].view)
                for number, member in enumerate(own)
            ]
            yield trained_in_windows(stream, networks, fit.seed, progress, checkpoint, workers)
        return
    first, settings = 0, {"checkpoint": checkpoint, "workers": workers}
    together: list[Member] = list(chain(*members))
    results = train_population(
        together, fits[0].views[0].X, fits[0].rows.T, progress=progress, moments=False, **settings
    )
    for own in members:
        yield results[first : first + len(own)]
        first += len(own)
