"""Ensembles of networks with different views of a table, each trained without one fold of the rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, product
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...core import BinaryCrossEntropy, Network, SoftmaxCrossEntropy, SquaredError
from ...core.rows.selection import Selection
from ...optimize.optimizers import AdamW
from ...optimize.schedules import Cosine
from ...optimize.settings import EarlyStopping
from ...train.members import Member, rows_of
from ...train.population import train_population, workers_or_joblibs
from ...train.state import DivergenceError, TrainingResult
from ...train.trainer import engine_for
from ..encoding.encoder import View
from ..encoding.folds import splits
from ..objectives import MIN_PROBABILITY, before_link
from ..reading.frames import by_blocks
from ..streaming.streamed import StreamedRows
from ..streaming.window_fit import Report, StreamedNetwork, trained_in_windows
from .linear import PENALTIES, LinearSearch

PREDICTIONS = 10_000
"""Smaller tables have several out-of-fold predictions per row, from different
epochs, about this number in total.
"""
MAX_STORED = 2**23
"""Maximum number of stored validation predictions per view (32 MB in float32). In
larger tables, selecting the epoch hardly biases the validation loss.
"""
MAX_LINEAR = 2**22
"""The largest number of inputs, over all rows, for linear models. In larger tables,
networks with hidden layers predict linear relations as well.
"""


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks with the same architecture and view, each trained without one fold of the rows.

    The stage is 1, except in files of earlier versions, whose models can have further
    networks of a view.
    """

    network: Network
    thetas: ndarray
    view: View
    inputs: ndarray
    share: float = 1.0
    inverse_temperature: float | None = None
    stage: int = 1
    penalty: float | None = None
    """The penalty of linear models, or None for networks with hidden layers."""

    def predictions(self, X: ndarray) -> Iterator[ndarray]:
        """Yield the predictions of each network, with shape (N, O), given all inputs of the encoder."""
        if len(self.inputs) < X.shape[1]:
            X = np.take(X, self.inputs, axis=1)
        for theta in self.thetas:
            engine = engine_for(self.network, theta, silent=True)
            yield engine.predict(theta, X).astype(float)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose predictions are averaged. Each view has one network per fold, in the order of the folds.

    The last views can contain linear models.
    """

    views: list[Networks]

    def __len__(self) -> int:
        """Return the number of networks."""
        return sum(len(view.thetas) for view in self.views)

    @property
    def nonlinear(self) -> list[Networks]:
        """The views of networks with hidden layers."""
        return [view for view in self.views if view.penalty is None]

    @property
    def folds(self) -> int:
        """The number of folds, which is also the number of networks per view."""
        return len(self.views[0].thetas)

    @property
    def theta(self) -> ndarray:
        """The concatenated parameters of all networks."""
        return np.concatenate([view.thetas.ravel() for view in self.views])

    def predictions(self, X: ndarray) -> Iterator[ndarray]:
        """For each fold, yield the combined prediction of its networks, with shape (N, O)."""
        predictions_by_view = [view.predictions(X) for view in self.views]
        return map(self.average, zip(*predictions_by_view, strict=True))

    def average(self, predictions: Sequence[ndarray]) -> ndarray:
        """Return the weighted average of one prediction per view."""
        total = np.zeros_like(predictions[0])
        for view, Y in zip(self.views, predictions, strict=True):
            if view.inverse_temperature is not None:
                Y = temperature_scaled(Y, view.inverse_temperature)
            total += view.share * Y
        return total

    def with_shares(
        self, shares: Sequence[float], inverse_temperatures: Sequence[float | None]
    ) -> "Ensemble":
        """Return a copy with new weights and temperatures of the views."""
        views = []
        settings = zip(self.views, shares, inverse_temperatures, strict=True)
        for view, share, inverse_temperature in settings:
            views.append(
                replace(view, share=share, inverse_temperature=inverse_temperature)
            )
        return Ensemble(views)

    def calibrated_like(self, trained: "Ensemble") -> "Ensemble":
        """Return a copy with the weights and temperatures of another ensemble."""
        return self.with_shares(
            [view.share for view in trained.views],
            [view.inverse_temperature for view in trained.views],
        )


def temperature_scaled(P: ndarray, inverse_temperature: float) -> ndarray:
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
    """The training rows of an ensemble. ``weight`` is the sample weight times the class weight."""

    T: ndarray
    weight: ndarray | None
    fold: ndarray
    is_time: bool = False
    groups: float = float("inf")
    sample_weight: ndarray | None = None
    exposure: Any = None

    def is_trained(self, fold: Any) -> ndarray:
        """Return whether the networks of a fold are trained on each row."""
        if self.is_time:
            return self.fold < fold
        return self.fold != fold

    def weights(self, rows: ndarray) -> ndarray | None:
        """Return the weights of some rows, or None if all weights are equal."""
        return None if self.weight is None else self.weight[rows]


Unseen = list[tuple[ndarray, ndarray]]
"""For each fold, the indices of n rows and their out-of-fold predictions at J
stopping epochs, (n, J, O).
"""


def at_epochs_of_others(
    curves: Sequence[ndarray],
    validation_rows: Sequence[ndarray],
    loss,
    rows: TrainingRows,
) -> Unseen:
    """Return the validation predictions of each network, (n, J, O), at J epochs that are selected on other rows."""
    alternatives = int(np.clip(PREDICTIONS // len(rows.T), 1, len(curves) - 1))
    best_epochs = []
    for curve, indices in zip(curves, validation_rows, strict=True):
        best_epochs.append(_best_epochs(curve, indices, loss, rows))
    unseen = []
    for network, curve in enumerate(curves):
        indices = validation_rows[network]
        last_epoch = len(curve) - 1
        other_networks = best_epochs[network + 1 :] + best_epochs[:network]
        folds = rows.fold[indices]
        selected = np.empty((len(indices), alternatives, curve.shape[2]))
        for fold in np.unique(folds):
            candidates = [best[fold] for best in other_networks if fold in best]
            epochs = np.resize(candidates or last_epoch, alternatives)
            # Training may have stopped earlier than the training of other networks.
            epochs = np.minimum(epochs, last_epoch)
            in_fold = np.flatnonzero(folds == fold)
            selected[in_fold] = curve[epochs][:, in_fold].swapaxes(0, 1)
        unseen.append((indices, selected))
    return unseen


def _best_epochs(
    curve: ndarray, indices: ndarray, loss, rows: TrainingRows
) -> dict[int, int]:
    """Return the epoch with the lowest loss on the rows outside each fold, for folds that have such rows."""
    T = rows.T[indices]
    losses_by_epoch = []
    for Y in curve:
        losses_by_epoch.append(loss.value(before_link(loss, Y), T))
    losses = np.stack(losses_by_epoch)
    weight = np.ones(len(indices)) if rows.weight is None else rows.weight[indices]
    epochs = {}
    for fold in range(rows.fold.max() + 1):
        weight_outside = np.where(rows.fold[indices] == fold, 0, weight)
        if weight_outside.any():
            epochs[fold] = int(np.argmin(losses @ weight_outside))
    return epochs


def out_of_fold(unseen: Iterable[tuple[ndarray, ndarray]], count: int) -> ndarray:
    """Return the mean out-of-fold prediction of each row, which is nan for rows without predictions.

    Examples
    --------
    >>> out_of_fold([(np.array([0, 1]), np.array([1.0, 2.0])), (np.array([1]), np.array([4.0]))], 3)
    array([ 1.,  3., nan])
    """
    unseen = list(unseen)
    total = np.zeros((count, *unseen[0][1].shape[1:]))
    networks = np.zeros(count)
    for indices, predictions in unseen:
        total[indices] += predictions
        networks[indices] += 1
    return (total.T / np.where(networks > 0, networks, np.nan)).T


@dataclass(frozen=True, eq=False)
class ViewFit:
    """The inputs and training settings of a view, and its untrained network for each ensemble."""

    view: View
    inputs: ndarray
    X: ndarray | Selection
    networks: list[Network]
    training: Training
    stage: int = 1
    penalties: Sequence[float] = ()
    """The candidates for the penalty of linear models, which do not use the hidden
    layers of the networks. A refit has the penalty of the original model.
    """

    def trained(
        self, ensemble: int, results: Iterable[TrainingResult], share: float
    ) -> Networks:
        """Return the trained networks of an ensemble."""
        thetas = np.stack([result.theta for result in results])
        return Networks(
            self.networks[ensemble],
            thetas,
            self.view,
            self.inputs,
            share,
            stage=self.stage,
        )


class Calibration(NamedTuple):
    """The attributes that a model learns from out-of-fold predictions, these predictions, and their loss."""

    attributes: dict[str, Any]
    unseen: ndarray
    loss: float


class Outcome(NamedTuple):
    """The trained ensembles, their folds, and the training results by ensemble, view and fold.

    ``unseen`` are the out-of-fold predictions by ensemble and view, which a refit does
    not have. ``others`` are the results of the views that were dropped.
    """

    ensembles: list[Ensemble]
    folds: ndarray
    unseen: list[list[Unseen]]
    results: ndarray
    others: ndarray

    @property
    def is_interrupted(self) -> bool:
        """Whether the training of any network was interrupted."""
        results = [*self.results.flat, *self.others.flat]
        return any(result.reason == "interrupted" for result in results)


@dataclass(frozen=True, eq=False)
class EnsembleFit:
    """Ensembles to train: each has one network per view and fold."""

    views: list[ViewFit]
    rows: TrainingRows
    seed: int
    stream: StreamedRows | None = None
    linear: Sequence[ViewFit] = ()
    """The views of linear models."""
    metric: Callable[[ndarray, ndarray], float] | None = None
    """A function from rows and the networks' predictions of them to a score."""

    @property
    def is_refit(self) -> bool:
        """Whether networks are trained on all rows."""
        return all(len(view.penalties) == 1 for view in self.linear)

    def members(self) -> list[Member]:
        """Return the members by ensemble, view and fold. They are validated on their held-out rows."""
        folds = splits(self.rows.fold, is_time=self.rows.is_time)
        members = []
        for ensemble, (number, view) in self._groups():
            training = view.training
            stored_predictions = self.rows.T.size * (training.epochs + 1)
            for fold, (training_rows, validation_rows) in enumerate(folds):
                metric = self.metric
                if metric is not None:
                    metric = partial(metric, validation_rows)
                members.append(
                    self._member(
                        view,
                        ensemble,
                        fold,
                        seed=self.seed + number * len(folds) + fold,
                        rows=training_rows,
                        validation_rows=validation_rows,
                        epochs=training.epochs,
                        early_stopping=EarlyStopping(patience=training.patience),
                        metric=metric,
                        keeps_predictions=self.stream is None
                        and metric is None
                        and stored_predictions <= MAX_STORED,
                    )
                )
        return members

    def members_of_refit(self, folds: int, epochs: Sequence[int]) -> list[Member]:
        """Return members that are trained on all rows, given the number of epochs by ensemble and view."""
        members = []
        for group, last_epoch in zip(self._groups(), epochs, strict=True):
            ensemble, (number, view) = group
            for fold in range(folds):
                seed = self.seed + number * folds + fold
                members.append(
                    self._member(view, ensemble, fold, seed=seed, epochs=last_epoch)
                )
        return members

    def _groups(self) -> list[tuple[int, tuple[int, ViewFit]]]:
        """Return each pair of an ensemble's number and a numbered view."""
        ensembles = range(len(self.views[0].networks))
        return list(product(ensembles, enumerate(self.views)))

    def _member(
        self,
        view: ViewFit,
        ensemble: int,
        fold: int,
        *,
        seed: int,
        rows: ndarray | None = None,
        **settings,
    ) -> Member:
        training = view.training
        network = view.networks[ensemble]
        if self.stream is not None:
            count = self.stream.rows_of(fold)
        elif rows is not None:
            count = len(rows)
        else:
            count = len(self.rows.T)
        steps_per_epoch = ceil(count / training.batch_size)
        return Member(
            network,
            network.init(seed, np.float32),
            AdamW(
                training.learning_rate,
                beta2=0.95,
                weight_decay=training.weight_decay / steps_per_epoch,
            ),
            rows=rows,
            X=view.X,
            T=self.rows.T,
            sample_weight=self.rows.weight,
            batch_size=training.batch_size,
            seed=seed,
            training_loss="running",
            schedule=Cosine(),
            **settings,
        )

    def like(self, networks: Networks) -> ViewFit:
        """Return the fit of a view, for networks with the hidden layers of trained networks."""
        view = self._view(networks.view)
        hidden_layers = networks.network.layers[:-1]
        untrained = []
        for network in view.networks:
            layers = [*hidden_layers, network.layers[-1]]
            untrained.append(Network(network.inputs, layers, network.loss_function))
        return replace(view, networks=untrained, stage=networks.stage)

    def _view(self, name: View) -> ViewFit:
        """Return the fit of a view."""
        views = {view.view: view for view in [*self.views, *self.linear]}
        return views.get(name, self.views[-1])

    def outcome(self, results: Sequence[TrainingResult]) -> Outcome:
        """Return the ensembles of the trained members, and raise an error if all members diverged or none was trained.

        Views or folds with bad networks are dropped such that the largest number of
        networks remains.
        """
        grouped = np.empty(len(results), object)
        grouped[:] = results
        grouped = grouped.reshape(len(self.views[0].networks), len(self.views), -1)
        views, folds = largest_complete_set(_is_good(grouped).all(axis=0))
        if not len(folds):
            self._raise_no_networks(results)
        used_results = grouped[:, views]
        ensembles = []
        for ensemble, results_by_view in enumerate(used_results):
            networks = []
            for view, results_by_fold in zip(views, results_by_view, strict=True):
                trained = results_by_fold[folds]
                networks.append(
                    self.views[view].trained(ensemble, trained, share=1 / len(views))
                )
            ensembles.append(Ensemble(networks))
        unseen = []
        if not self.is_refit:
            unseen = self._out_of_fold_predictions(ensembles, used_results, folds)
        for result in results:  # frees memory for the linear models
            result.history._validation_predictions.clear()
        linear = self.linear_networks(folds)
        for ensemble in ensembles:
            ensemble.views.extend(linear)
        for unseen_by_view in unseen:
            for networks in linear:
                unseen_by_view.append(self._unseen(networks, (), folds))
        others = np.delete(grouped, views, axis=1)
        return Outcome(ensembles, folds, unseen, used_results, others)

    def linear_networks(self, folds: ndarray) -> list[Networks]:
        """Return linear models of each view, except of large views or if the loss is not smooth."""
        networks = []
        for view in self.linear:
            network = view.networks[0]
            is_smooth = isinstance(
                network.loss_function,
                SoftmaxCrossEntropy | BinaryCrossEntropy | SquaredError,
            )
            if is_smooth and len(view.X) * network.inputs <= MAX_LINEAR:
                networks.append(self._linear(view, folds))
        return networks

    def _linear(self, view: ViewFit, folds: ndarray) -> Networks:
        """Return linear models of a view."""
        network = view.networks[0]
        loss = network.loss_function
        rows = self.rows
        T = rows.T
        tolerance = 5e-4
        if not isinstance(loss, SquaredError):
            T = T.round()  # without label smoothing
            tolerance = 2e-3  # numbers can have much smaller losses than classes
        weight = np.ones(len(T)) if rows.weight is None else rows.weight
        is_trained = rows.is_trained(folds[:, None]) | self.is_refit
        search = LinearSearch(
            _columns(view.X, network.inputs),
            T,
            loss,
            weights=weight / weight.sum(),
            is_trained=is_trained,
            tolerance=tolerance,
        )
        thetas, penalty = search.fit(view.penalties)
        return Networks(
            Network(network.inputs, network.layers[-1:], loss),
            thetas,
            view.view,
            view.inputs,
            penalty=penalty,
        )

    def _raise_no_networks(self, results: Sequence[TrainingResult]):
        if any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        rate = self.views[0].training.learning_rate
        raise ValueError(
            f"Training of all {len(results)} networks diverged: lower"
            f" learning_rate_init (now {rate})."
        ) from DivergenceError("No member stayed finite.", results[0])

    def _out_of_fold_predictions(
        self, ensembles: Sequence[Ensemble], results: ndarray, folds: ndarray
    ) -> list[list[Unseen]]:
        """Return the out-of-fold predictions of networks by ensemble and view, given all results."""
        unseen = []
        for ensemble, results_by_view in zip(ensembles, results, strict=True):
            unseen_by_view = []
            for networks, by_fold in zip(ensemble.views, results_by_view, strict=True):
                unseen_by_view.append(self._unseen(networks, by_fold[folds], folds))
            unseen.append(unseen_by_view)
        return unseen

    def _unseen(
        self, networks: Networks, results: Sequence[TrainingResult], folds: ndarray
    ) -> Unseen:
        """Return the out-of-fold predictions of a view's networks in these folds. Linear models have no results."""
        network = networks.network
        validation_rows = []
        for fold in folds:
            validation_rows.append(np.flatnonzero(~self.rows.is_trained(fold)))
        curves = [result.history.validation_predictions for result in results]
        if len(curves) > 1 and all(map(len, curves)):
            return at_epochs_of_others(
                curves, validation_rows, network.loss_function, self.rows
            )
        X = self._view(networks.view).X
        unseen = []
        for indices, theta in zip(validation_rows, networks.thetas, strict=True):
            # Each network predicts at one epoch, so the axis J has length 1.
            unseen.append((indices, _predicted(network, theta, X, indices)[:, None]))
        return unseen


def linear_views(views: Sequence[ViewFit]) -> list[ViewFit]:
    """Return the views of linear models, given the views of networks."""
    pieces, standardised = views
    linear = []
    if len(pieces.inputs) > len(standardised.inputs):
        linear.append(replace(pieces, view="linear_pieces", penalties=PENALTIES))
    linear.append(replace(standardised, view="linear", penalties=PENALTIES))
    return linear


def largest_complete_set(is_good: ndarray) -> tuple[list[int], ndarray]:
    """Return the views and the folds of the most networks, all good, given which networks (views, folds) are good.

    The views are either all views or one view.

    Examples
    --------
    >>> largest_complete_set(np.array([[True, True, True], [False, True, False]]))
    ([0], array([0, 1, 2]))
    """
    best_views = list(range(len(is_good)))
    best_folds = np.flatnonzero(is_good.all(axis=0))
    for view, is_good_in_view in enumerate(is_good):
        folds = np.flatnonzero(is_good_in_view)
        if len(folds) > len(best_views) * len(best_folds):
            best_views = [view]
            best_folds = folds
    return best_views, best_folds


def _predicted(
    network: Network, theta: ndarray, X: ndarray | Selection, indices: ndarray
) -> ndarray:
    """Return the predictions of some rows, (n, O), without copying all their inputs."""
    engine = engine_for(network, theta, silent=True)
    Y = np.empty((len(indices), network.outputs))

    def predict(rows: slice):
        Y[rows] = engine.predict(theta, rows_of(X, indices[rows]))

    by_blocks(predict, len(indices), network.inputs)
    return Y


def _columns(X: ndarray | Selection, count: int) -> ndarray:
    """Return the inputs by column, (I, N)."""
    columns = np.empty((count, len(X)), np.float32)

    def fill(rows: slice):
        indices = np.arange(rows.start, rows.stop)
        inputs: Any = rows_of(X, indices)
        columns[:, rows] = inputs.T

    by_blocks(fill, len(X), count)
    return columns


_is_good = np.vectorize(
    lambda result: result.reason != "diverged" and result.state.epoch > 0, otypes=[bool]
)
"""Whether results have finite parameters after at least one epoch."""


def train_fits(
    fits: Sequence[EnsembleFit],
    members_by_fit: Sequence[list[Member]],
    *,
    progress: Report = None,
    checkpoint=None,
    workers=None,
) -> list[list[TrainingResult]]:
    """Train the members of several fits as one population and return the results of each fit.

    If the rows do not fit into memory, members are trained in windows of rows.
    """
    workers = workers_or_joblibs(workers)
    results_by_fit = []
    if fits[0].stream is not None:
        for fit, members in zip(fits, members_by_fit, strict=True):
            assert fit.stream is not None
            networks = _streamed_networks(fit, members)
            results = trained_in_windows(
                fit.stream, networks, fit.seed, progress, checkpoint, workers
            )
            results_by_fit.append(list(results))
        return results_by_fit
    results = train_population(
        list(chain(*members_by_fit)),
        fits[0].views[0].X,
        fits[0].rows.T,
        progress=progress,
        moments=False,
        checkpoint=checkpoint,
        workers=workers,
    )
    remaining = iter(results)
    for members in members_by_fit:
        results_by_fit.append(list(islice(remaining, len(members))))
    return results_by_fit


def _streamed_networks(
    fit: EnsembleFit, members: Sequence[Member]
) -> list[StreamedNetwork]:
    """Return the members, each with its fold and its view."""
    groups = fit._groups()
    folds = len(members) // len(groups)
    networks = []
    for number, member in enumerate(members):
        _, (_, view) = groups[number // folds]
        networks.append(StreamedNetwork(member, number % folds, view.view))
    return networks
