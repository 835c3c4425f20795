"""A session of the playground: data, network, and where training stands."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.network import Network
from ...train.state import DivergenceError, TrainingState
from ...train.trainer import train
from .parts import features, network_of, optimizer_of
from .points import Points
from .record import Record
from .settings import Settings


@dataclass(frozen=True)
class Map:
    """What the network says over the plane.

    Parameters
    ----------
    values : ndarray (size, size, O)
        The probability of each class, or the number, at each place; the first axis is y, the second x.
    x, y : tuple of float
        The least and the most of each axis.
    """

    values: np.ndarray
    x: tuple[float, float]
    y: tuple[float, float]


class Session:
    """A network that trains on points, and all that one may watch and change.

    Parameters
    ----------
    settings : Settings, default Settings()
        What decides the run.

    Examples
    --------
    >>> session = Session(Settings(rows=100))
    >>> session.run_epochs(200)
    >>> bool(session.history.train[-1] < session.history.train[0])
    True
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.points = Points.of_set(self.settings)
        self._build()
        self.restart()

    def _build(self) -> None:
        """Make the network and the rows that it trains and is tested on."""
        points = self.points
        self.network: Network = network_of(self.settings, len(points.class_names))
        X = features(self.settings.features, points.XY)
        self.X, self.t = X[~points.is_test], points.t[~points.is_test]
        self.X_test, self.t_test = X[points.is_test], points.t[points.is_test]

    def restart(self) -> None:
        """Go back to the same start."""
        self.theta = self.network.init(self.settings.start)
        self.state: TrainingState | None = None
        self.epoch = self.steps = 0
        self.trouble = ""
        self.history = Record()
        self.history.add([0], [self._loss(self.X, self.t)], [self._loss(self.X_test, self.t_test)])

    def run_epochs(self, count: int) -> None:
        """Train for a number of epochs; if training diverges, `trouble` says so."""
        try:
            self._train(count)
        except DivergenceError as error:
            self.trouble = str(error)

    def step(self, count: int = 1) -> None:
        """Take a number of training steps."""
        self.run_epochs(count)

    def _train(self, epochs: int) -> None:
        result = train(
            self.network,
            self.theta,
            self.X,
            self._targets(self.t),
            optimizer=optimizer_of(self.settings),
            epochs=epochs,
            batch_size=self.settings.batch or None,
            shuffle=False,
            seed=self.settings.start,
            validation=(self.X_test, self._targets(self.t_test)) if len(self.t_test) else None,
            training_loss="exact",
            state=self.state,
        )
        epochs_done = np.arange(self.epoch + 1, self.epoch + epochs + 1)
        test = result.history.validation_loss[1:] if len(self.t_test) else np.full(epochs, np.nan)
        self.history.add(epochs_done, result.history.loss[1:], test)
        self.theta, self.state = result.theta, result.state
        self.epoch += epochs
        self.steps = result.state.step

    def _targets(self, t: np.ndarray) -> np.ndarray:
        classes = len(self.points.class_names)
        return np.eye(classes)[t] if classes else t

    def _loss(self, X: np.ndarray, t: np.ndarray) -> float:
        return float(self.network.loss(self.theta, X, self._targets(t))) if len(t) else np.nan

    def map(self, size: int = 100) -> Map:
        """Return what the network says on a grid over the plane."""
        limits = self.limits
        grid = np.stack(np.meshgrid(*(np.linspace(*limit, size) for limit in limits)), axis=-1).reshape(-1, 2)
        Y = self.network.predict(self.theta, features(self.settings.features, grid))
        return Map(Y.reshape(size, size, -1), *limits)

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The least and the most of x and of y in the map: those of the points and a margin."""
        low, high = self.points.XY.min(axis=0), self.points.XY.max(axis=0)
        margin = 0.1 * np.maximum(high - low, 1e-9)
        (x0, y0), (x1, y1) = (low - margin).tolist(), (high + margin).tolist()
        return (x0, x1), (y0, y1)

    def change(self, **settings: Any) -> None:
        """Change settings; theta stays where the network's shapes stay, else training restarts."""
        self.settings = replace(self.settings, **settings)
        shapes = [tensor.shape for tensor in self.network.layout.tensors]
        self.points = Points.of_set(self.settings)
        self._build()
        self.state = None
        if [tensor.shape for tensor in self.network.layout.tensors] != shapes:
            self.restart()
