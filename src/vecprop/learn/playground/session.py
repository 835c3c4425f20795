"""A session of the playground: data, network, and where training stands."""

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from ...check import Report, check_gradients
from ...compiled.compiled_network import compile
from ...core.elementary import is_within
from ...core.layers import Dense
from ...core.network import Network
from ...train.reference import norm
from ...train.state import DivergenceError, TrainingResult, TrainingState
from ...train.trainer import train
from ..tracing.trace import Trace, trace
from .parts import engine_of, features, network_of, optimizer_of, targets, with_mistake
from .points import SETS, Points
from .record import (
    LONGEST_PATH,
    AddPoint,
    Change,
    Edge,
    Edit,
    Epochs,
    Log,
    Map,
    MovePoint,
    Record,
    RemovePoint,
    SetWeight,
    Starts,
    Steps,
    Surface,
    edges,
    loss_surface,
    many_starts,
    map_of,
    units_of,
)
from .settings import CLASSES, Settings, SettingsError
from .table import Table

MOST_AT_ONCE = 1_000_000
"""The largest number of epochs or steps of one call."""

MOST_STARTS, MOST_EPOCHS_OF_STARTS = 200, 2_000
"""The largest number of starts at once, and of their epochs."""

LARGEST_WEIGHT = 1000
"""The largest value to which a weight can be set."""

MOST_MEASURED = 2_000
"""The number of rows on which the gradients of layers are measured."""

MOST_PLACES = 500
"""The largest number of places of a picture along a side."""

MOST_CHECKED = 200
"""The number of rows on which gradients are checked: enough to find a mistake, and few enough not to wait."""


class Session:
    """A network that trains on points, and all that one may watch and change.

    Examples
    --------
    >>> session = Session(Settings(rows=100))
    >>> session.run_epochs(200)
    >>> bool(session.history.train[-1] < session.history.train[0])
    True
    """

    def __init__(self, settings: Settings | None = None, table: Table | None = None) -> None:
        self.table = table
        self._prepare(settings or Settings(data="circles" if table is None else "table"), None)
        self.edits: list[Edit] = []
        self.restart()

    def restart(self) -> None:
        """Go back to the same start, with the points as they are now."""
        self.theta = self.network.init(self.settings.start)
        self.state: TrainingState | None = None
        self.epoch = self.steps = self.batch = 0
        self.trouble = ""
        self.begun, self.log = self.settings, Log()
        for edit in self.edits:
            self.log.add(edit)
        self.history = Record(sum(isinstance(layer, Dense) for layer in self.network.layers))
        self.history.losses.add([0], [self.losses])
        self.path = deque([self.theta], LONGEST_PATH)

    # What is done to the network.

    def run_epochs(self, count: int) -> None:
        """Train for a number of epochs; steps of an epoch that is not done yet are the first of them.

        If training diverges, it stops at the last parameters with a finite loss, and `trouble` says so; it goes on once
        something is changed.
        """
        _require("number of epochs or steps", count, 1, MOST_AT_ONCE)
        if self.batch:
            self.step(self.batches - self.batch)
            count -= 1
        if count > 1 and not self.trouble:
            self._train(count - 1)
        if count > 0 and not self.trouble:  # the last epoch is a call of its own, so that its moves are known
            before = self.theta
            self._train(1)
            self._measure(before)

    def step(self, count: int = 1) -> None:
        """Take a number of training steps, each on the next batch of an epoch; of all rows, a step is an epoch."""
        _require("number of epochs or steps", count, 1, MOST_AT_ONCE)
        if self.batches == 1:
            self.run_epochs(count)
            return
        for _ in range(count):
            if not self.trouble:
                self._take_step()

    def set_weight(self, index: int, value: float) -> None:
        """Set the parameter of this index in theta."""
        if not isinstance(index, int | np.integer) or not is_within(index, 0, len(self.theta)):
            raise SettingsError(f"There is no parameter {index!r}: theta has 0 to {len(self.theta) - 1}.")
        if not is_within(value, -LARGEST_WEIGHT, LARGEST_WEIGHT, ends="[]"):
            raise SettingsError(f"The weight is {value!r}, but it is within -{LARGEST_WEIGHT} and {LARGEST_WEIGHT}.")
        self.theta = self.theta.copy()
        self.theta[index] = value
        self.trouble = ""
        self.log.add(SetWeight(int(index), float(value)))

    def change(self, **settings: Any) -> None:
        """Change settings, all or none.

        Parameters stay where their shapes and the seed of the start stay; else training restarts. The optimizer's
        moments stay where network and optimizer do. Other data come as they are drawn, without the points' changes.

        Raises
        ------
        SettingsError
            If a setting does not exist, is out of range, or does not suit the data.
        """
        unknown = [name for name in settings if name not in Settings.__dataclass_fields__]
        if unknown:
            raise SettingsError(
                f"There is no setting {unknown[0]!r}: the settings are {', '.join(vars(self.settings))}."
            )
        before, shapes, trained = self.settings, _shapes(self.network), self.trained
        after = replace(before, **settings)
        if after == before:
            return
        is_other_data = after.of_points != before.of_points
        self._prepare(after, None if is_other_data else self.points)
        if is_other_data:
            self.edits = []
        if _shapes(self.network) != shapes or after.start != before.start:
            self.restart()
            return
        keeps_state = self.trained == trained and after.optimizer == before.optimizer
        if not keeps_state:
            self.state = None
        self.batch, self.trouble = 0, ""
        self.log.add(Change(after, keeps_state))

    def add_point(self, x: float, y: float, target: float) -> None:
        """Add a point to the training: its place, and its class or number."""
        self._edit(AddPoint(x, y, target))

    def move_point(self, index: int, x: float, y: float) -> None:
        """Move the point of this index."""
        self._edit(MovePoint(index, x, y))

    def remove_point(self, index: int) -> None:
        """Remove the point of this index."""
        self._edit(RemovePoint(index))

    # What is watched.

    @property
    def batches(self) -> int:
        """The number of steps of an epoch."""
        rows = len(self._rows[1])
        return -(-rows // min(self.settings.batch or rows, rows))

    @property
    def class_count(self) -> int:
        """The number of classes; 0 if the targets are numbers."""
        return len(self.points.class_names)

    @property
    def losses(self) -> tuple[float, float]:
        """The losses of training and test points as the parameters are now; NaN where there are none."""
        return self._loss(*self._rows), self._loss(*self._test_rows)

    @property
    def right(self) -> tuple[float, float]:
        """The shares of training and test points whose class is right; NaN where there are none, or for numbers."""
        return self._share_right(*self._rows), self._share_right(*self._test_rows)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return len(self.theta)

    def map(self, size: int = 100) -> Map:
        """Return what the network says on a grid of size by size places over the plane."""
        _require("size", size, 2, MOST_PLACES, " places a side")
        return map_of(self.network, self.theta, self.settings.features, self.points.limits, size)

    def units(self, size: int = 24) -> list[np.ndarray]:
        """Return what the units of the inputs, of each hidden layer and of the end show over the plane."""
        _require("size", size, 2, MOST_PLACES, " places a side")
        return units_of(self.network, self.theta, self.settings.features, self.points.limits, size)

    def hidden(self) -> np.ndarray:
        """Return the last hidden layer's outputs at all points, (N, units); without a hidden layer, the inputs."""
        X = features(self.settings.features, self.points.XY)
        hidden = self.network.activations
        return self.network.hidden(self.theta, X, hidden[-1]) if hidden else X

    def weights(self) -> list[Edge]:
        """Return the weights as edges between units, and the biases."""
        return edges(self.network, self.theta)

    def row(self, index: int) -> Trace:
        """Return every number of the pass of the point of this index alone."""
        return trace(self.network, self.theta, *self._pairs(np.array([self.points.index(index)])))

    def check(self) -> Report:
        """Check the gradient that training takes, with the mistake if one is planted."""
        X, T = (rows[:MOST_CHECKED] for rows in self._rows)
        noise = self.settings.start if self.network.random else None
        _, gradient = self.trained.loss_and_gradient(self.theta, X, T, noise=noise)
        return check_gradients(self.network, self.theta, X, T, noise=noise, gradient=gradient)

    def surface(self, size: int = 25) -> Surface:
        """Return the loss around theta, in the two directions in which training has moved most."""
        _require("size", size, 2, MOST_PLACES, " places a side")
        return loss_surface(self.network, self.theta, *self._rows, self.path, size)

    def starts(self, count: int = 100, epochs: int = 300) -> Starts:
        """Train from many starts at once, the first of which is this session's."""
        _require("number of starts", count, 1, MOST_STARTS)
        _require("number of epochs", epochs, 1, MOST_EPOCHS_OF_STARTS)
        return many_starts(self.trained, optimizer_of(self.settings), self.settings, *self._rows, count, epochs)

    def drawn(self, settings: Settings) -> Points:
        """Return the points of settings as they are drawn, before they are changed one by one."""
        if settings.data == "table":
            if self.table is None:
                raise SettingsError("The data are a table, but none was given: open one first.")
            return self.table.points(settings.columns, settings.test, settings.seed)
        XY, t = SETS[settings.data](settings.seed, settings.rows, settings.noise)
        names = tuple(f"class {k}" for k in range(CLASSES[settings.data]))
        return Points.drawn(XY, t, names, settings.test, settings.seed)

    # How it is done.

    def _prepare(self, settings: Settings, points: Points | None) -> None:
        """Take settings and make all that follows from them; what is refused changes nothing."""
        if points is None:
            points = self.drawn(settings)
        network = network_of(settings, len(points.class_names))
        self.trained: Network = with_mistake(network, settings.mistake)
        self.settings, self.points, self.network = settings, points, network
        self._divide()

    def _divide(self) -> None:
        """Make the inputs and targets of training and test from the points."""
        self._rows, self._test_rows = self._pairs(~self.points.is_test), self._pairs(self.points.is_test)

    def _pairs(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets of the points that are chosen."""
        X = features(self.settings.features, self.points.XY[chosen])
        return X, targets(self.points.t[chosen], self.class_count)

    def _edit(self, edit: Edit) -> None:
        self.points = self.points.edited(edit)
        self._divide()
        self.batch, self.trouble = 0, ""
        self.edits.append(edit)
        self.log.add(edit)

    def _call(self, X: np.ndarray, T: np.ndarray, epochs: int, **options: Any) -> TrainingResult:
        return train(
            self.trained,
            self.theta,
            X,
            T,
            optimizer=optimizer_of(self.settings),
            epochs=epochs,
            shuffle=False,
            seed=self.settings.start,
            engine=engine_of(self.settings),
            state=self.state,
            **options,
        )

    def _train(self, epochs: int) -> None:
        options: dict[str, Any] = {"batch_size": self.settings.batch or None, "training_loss": "exact"}
        if len(self._test_rows[1]):
            options["validation"] = self._test_rows
        try:
            result = self._call(*self._rows, epochs, **options)
        except DivergenceError as error:
            if done := max(len(error.result.history.loss) - 1, 0):
                self._train(done)
            self.trouble = self._divergence
            return
        self._accept(result)
        done = len(result.history.loss) - 1
        test = result.history.validation_loss[1:] if "validation" in options else np.full(done, np.nan)
        numbers = np.arange(self.epoch + 1, self.epoch + done + 1)
        self.history.losses.add(numbers, np.stack([result.history.loss[1:], test], axis=1))
        self.epoch += done
        self.log.add(Epochs(done))

    @property
    def _divergence(self) -> str:
        return (
            "Training diverged: after the next step the loss is not finite. Lower the learning rate, now "
            f"{self.settings.learning_rate:g}, and go back to the start."
        )

    def _take_step(self) -> None:
        """Take a step on the next batch of the epoch."""
        size = self.settings.batch
        rows = slice(self.batch * size, (self.batch + 1) * size)
        X, T = self._rows
        try:
            result = self._call(X[rows], T[rows], 1)
        except DivergenceError:
            self.trouble = self._divergence
            return
        before = self.theta
        self._accept(result)
        self._measure(before)
        self.log.add(Steps(self.batch, 1))
        self.batch = (self.batch + 1) % self.batches
        if self.batch == 0:
            self.epoch += 1
            self.history.losses.add([self.epoch], [self.losses])

    def _measure(self, before: np.ndarray) -> None:
        """Record each dense layer's gradient, and its move from the parameters before the last epoch or step."""
        X, T = (rows[:MOST_MEASURED] for rows in self._rows)
        with np.errstate(over="ignore", invalid="ignore"):  # on the way to a divergence
            gradient = self.trained.loss_and_gradient(self.theta, X, T)[1]
            for curves, vector in ((self.history.gradient_norms, gradient), (self.history.moves, self.theta - before)):
                curves.add([self.steps], [_norms_of_dense_layers(self.network, vector)])
        self.path.append(self.theta)

    def _accept(self, result: TrainingResult) -> None:
        self.steps += result.state.step - (self.state.step if self.state else 0)
        self.theta, self.state = result.theta, result.state

    def _share_right(self, X: np.ndarray, T: np.ndarray) -> float:
        if not self.class_count or not len(X):
            return np.nan
        Y = compile(self.network).predict(self.theta, X)
        return float(np.mean(Y.argmax(axis=1) == T.argmax(axis=1)))

    def _loss(self, X: np.ndarray, T: np.ndarray) -> float:
        return float(self.network.loss(self.theta, X, T)) if len(X) else np.nan


def _shapes(network: Network) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in network.layout.tensors]


def _norms_of_dense_layers(network: Network, vector: np.ndarray) -> list[float]:
    """Return the norm of each dense layer's part of a vector that is laid out as theta."""
    views = zip(network.layers, network.layout.views(vector), strict=True)
    return [float(norm(np.concatenate([*map(np.ravel, p.values())]))) for layer, p in views if isinstance(layer, Dense)]


def _require(what: str, value: Any, least: int, most: int, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not is_within(value, least, most, ends="[]"):
        raise SettingsError(f"The {what} is {value!r}, but it is {least} to {most:,}{unit}.")
