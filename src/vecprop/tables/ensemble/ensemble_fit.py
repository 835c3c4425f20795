"""The training of ensembles, as one population, in which each network leaves out one fold of the rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...core.network import Network
from ...core.rows.selection import Selection
from ...optimize.optimizers import AdamW
from ...optimize.schedules import Cosine
from ...optimize.stopping import EarlyStopping
from ...train.engines import engine_for
from ...train.members import Member
from ...train.population import train_population, workers_or_joblibs
from ...train.progress import Progress
from ...train.state import DivergenceError, TrainingResult
from ..encoding.encoder import View
from ..encoding.folds import splits, unseen_by
from ..reading.frames import by_blocks
from ..streaming.window_fit import StreamedRows, trained_in_windows
from .ensemble import Ensemble, Networks, Unseen, at_epochs_of_others, keeps_predictions

INTERRUPTED = "Training was interrupted: the model is what was learned so far."
"""The note on a model whose training has ended early."""


@dataclass(frozen=True)
class Training:
    """How members are trained: by AdamW with β₂ = 0.95, a learning rate that falls along a cosine, and early stopping.

    Parameters
    ----------
    epochs, batch_size, patience : int
        The largest number of epochs, the rows of a batch, and the number of epochs without progress that ends training.
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
    """The rows that an ensemble is trained on."""

    T: np.ndarray
    weight: np.ndarray | None
    fold: np.ndarray
    is_time: bool = False
    groups: float = float("inf")
    counts: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ViewFit:
    """What is to be trained of networks that see a table in one way."""

    view: View
    inputs: np.ndarray
    X: np.ndarray | Selection
    networks: list[Network]
    training: Training
    stage: int = 1


Added = tuple[list[Networks], list[list[TrainingResult]]]
"""For each ensemble further networks, and the results of their training."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Ensembles to be trained: each has a network of each view for each fold of the rows.

    Parameters
    ----------
    first : int, default 0
        The number of the first view among all that are ever trained on these rows, so that each has seeds of its own.
    """

    views: list[ViewFit]
    rows: TrainingRows
    seed: int
    first: int = 0
    stream: StreamedRows | None = None
    left_out: Sequence[ViewFit] = ()

    def members(self) -> list[Member]:
        """Return the members of each ensemble, which are validated on the rows that they are not trained on."""
        each = splits(self.rows.fold, is_time=self.rows.is_time)
        return [
            self._member(
                view,
                network,
                place * len(each) + number,
                view.training.epochs,
                len(learned) if self.stream is None else self.stream.rows_of(number),
                rows=learned,
                validation_rows=unseen,
                early_stopping=EarlyStopping(view.training.patience),
                keeps_predictions=self._keeps_predictions(view),
            )
            for place, view, network in self._groups
            for number, (learned, unseen) in enumerate(each)
        ]

    def _keeps_predictions(self, view: ViewFit) -> bool:
        rows, outputs = self.rows.T.shape
        return self.stream is None and keeps_predictions(rows, outputs, view.training.epochs)

    def of_sample(self, training: Training) -> "Fit":
        """Return the fit to the sample of rows alone, with the training for so many."""
        return replace(self, views=[replace(view, training=training) for view in self.views], stream=None)

    @property
    def rows_a_sampled_row(self) -> float:
        """The number of rows that members are trained on for each that is in memory."""
        return 1.0 if self.stream is None else self.stream.rows / len(self.rows.T)

    def members_of_all_rows(self, count: int, epochs: Sequence[int]) -> list[Member]:
        """Return `count` members of each view of each ensemble, trained on all rows for its number of epochs."""
        rows = len(self.rows.T) if self.stream is None else self.stream.rows
        return [
            self._member(view, network, place * count + number, until, rows)
            for (place, view, network), until in zip(self._groups, epochs, strict=True)
            for number in range(count)
        ]

    @property
    def _groups(self) -> list[tuple[int, ViewFit, Network]]:
        """The groups of members that differ by their fold alone: first the views of the first ensemble."""
        count = len(self.views[0].networks)
        views = list(enumerate(self.views, self.first))
        return [(place, view, view.networks[of]) for of in range(count) for place, view in views]

    def _member(self, view: ViewFit, network: Network, number: int, epochs: int, count: int, **settings: Any) -> Member:
        return Member(
            network,
            network.init(self.seed + number, np.float32),
            view.training.optimizer(count),
            X=view.X,
            T=self.rows.T,
            sample_weight=self.rows.weight,
            epochs=epochs,
            batch_size=view.training.batch_size,
            seed=self.seed + number,
            training_loss="running",
            schedule=Cosine(),
            **settings,
        )

    def trained_in_windows(
        self, members: Sequence[Member], progress: Callable[[Progress], object] | None, checkpoint: Any
    ) -> Sequence[TrainingResult]:
        """Return the results of members that are trained on all rows, block by block."""
        assert self.stream is not None
        folds = len(members) // len(self._groups)
        of_views = [number for _ in range(len(self.views[0].networks)) for number in range(len(self.views))]
        return trained_in_windows(
            self.stream,
            members,
            [number % folds for number in range(len(members))],
            [view.view for view in self.views],
            np.repeat(of_views, folds).tolist(),
            self.seed,
            progress,
            checkpoint,
        )

    def outcome(self, results: Sequence[TrainingResult]) -> "Outcome":
        """Return the ensembles that are the results of members; all diverged, or none begun, are errors.

        Not every network may be good. Views and folds are left out so that most are kept of those that have a good
        network in each view of each ensemble.
        """
        grouped = self._grouped(results)
        is_good = np.vectorize(_is_good, otypes=[bool])(grouped).all(axis=0)
        choices = [list(range(len(self.views))), *([place] for place in range(len(self.views)))]
        kept = max(choices, key=lambda places: len(places) * is_good[places].all(axis=0).sum())
        good = np.flatnonzero(is_good[kept].all(axis=0))
        if not len(good) and any(result.reason == "interrupted" for result in results):
            raise KeyboardInterrupt
        if not len(good):
            rate = self.views[0].training.learning_rate
            raise ValueError(
                f"Training diverged in each of {len(results)} members: lower learning_rate_init (now {rate})."
            ) from DivergenceError("No member stayed finite.", results[0])
        each = grouped[..., good]
        ensembles = [
            Ensemble([self._networks(of, place, each[of, place], 1 / len(kept)) for place in kept])
            for of in range(len(each))
        ]
        others = [place for place in range(len(self.views)) if place not in kept]
        return Outcome(ensembles, good, grouped[:, kept].ravel().tolist(), grouped[:, others].ravel().tolist())

    def added(self, results: Sequence[TrainingResult], folds: np.ndarray) -> Added | None:
        """Return what the results of members of one view add to each ensemble; None if one of them is not good."""
        grouped = self._grouped(results)[:, 0]
        if not all(map(_is_good, grouped[:, folds].ravel())):
            return None
        return [self._networks(of, 0, own[folds], 0.0) for of, own in enumerate(grouped)], grouped.tolist()

    def _grouped(self, results: Sequence[TrainingResult]) -> np.ndarray:
        """Return the results of members by their ensemble, view and fold."""
        several = np.empty(len(results), object)
        several[:] = results
        return several.reshape(len(self.views[0].networks), len(self.views), -1)

    def _networks(self, of: int, place: int, results: np.ndarray, share: float) -> Networks:
        view, thetas = self.views[place], np.stack([result.theta for result in results])
        return Networks(view.networks[of], thetas, view.view, view.inputs, share, stage=view.stage)

    def unseen(self, networks: Networks, results: Sequence[TrainingResult], folds: np.ndarray) -> Unseen:
        """Return what each network of a view predicts of the rows that it was not trained on."""
        (X,) = [view.X for view in self.views if (view.view, view.stage) == (networks.view, networks.stage)]
        rows = [unseen_by(self.rows.fold, number, is_time=self.rows.is_time) for number in folds]
        kept = [result.history.validation_predictions for result in results]
        if len(kept) > 1 and all(map(len, kept)):
            loss, of = networks.network.loss_function, self.rows
            return at_epochs_of_others(kept, rows, loss, of.T, of.weight, of.fold)
        each = zip(rows, networks.thetas, strict=True)
        return [(own, _predicted(networks, theta, X, own)[:, None]) for own, theta in each]


def _predicted(networks: Networks, theta: np.ndarray, X: np.ndarray | Selection, own: np.ndarray) -> np.ndarray:
    """Return the predictions of some rows, (n, O): no copy of all their inputs is made."""
    engine, Y = engine_for(networks.network, theta, silent=True), np.empty((len(own), networks.network.outputs))

    def predict(rows: slice) -> None:
        Y[rows] = engine.predict(theta, X.take(own[rows]) if isinstance(X, Selection) else X[own[rows]])

    by_blocks(predict, len(own), networks.network.inputs)
    return Y


def _is_good(result: TrainingResult) -> bool:
    return result.reason != "diverged" and result.state.epoch > 0


class Outcome(NamedTuple):
    """What training has made of a fit.

    Parameters
    ----------
    results : sequence of TrainingResult
        The results of all members of the views that are kept: those of the first ensemble, then of the second, …
    """

    ensembles: list[Ensemble]
    folds: np.ndarray
    results: Sequence[TrainingResult]
    others: Sequence[TrainingResult]

    @property
    def is_interrupted(self) -> bool:
        """Whether the training of some network was interrupted, of a view that is left out too."""
        return any(result.reason == "interrupted" for result in (*self.results, *self.others))


def trained(
    fits: Sequence[tuple[Fit, list[Member]]],
    progress: Callable[[Progress], object] | None,
    checkpoint: Any = None,
    workers: Any = None,
) -> Iterator[Outcome]:
    """Train the members of several fits as one population, and yield the outcome of each; see `train_population`.

    Raises
    ------
    ValueError
        If all members of a fit diverge.
    """
    return (
        fit.outcome(results)
        for (fit, _), results in zip(fits, results_of(fits, progress, checkpoint, workers), strict=True)
    )


def results_of(
    fits: Sequence[tuple[Fit, list[Member]]],
    progress: Callable[[Progress], object] | None,
    checkpoint: Any = None,
    workers: Any = None,
) -> Iterator[Sequence[TrainingResult]]:
    """Train the members of several fits as one population, and yield the results of each fit.

    Members whose rows do not fit into memory are trained in passes over these.
    """
    if any(fit.stream is not None for fit, _ in fits):
        yield from (fit.trained_in_windows(members, progress, checkpoint) for fit, members in fits)
        return
    first_fit, X = fits[0][0], fits[0][0].views[0].X
    members = [member for _, members in fits for member in members]
    T = first_fit.rows.T
    settings = {"checkpoint": checkpoint, "workers": workers_or_joblibs(workers)}
    results = train_population(members, X, T, progress=progress, moments=False, **settings)
    first = 0
    for _, members in fits:
        yield results[first : first + len(members)]
        first += len(members)
