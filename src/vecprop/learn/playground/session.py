"""A session of the playground: data, network, and where training stands."""

from collections import deque
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ...core import Dense, Network, is_within
from ...train.reference import norm
from ...train.state import DivergenceError, TrainingResult, TrainingState
from ...train.trainer import engine_for, train
from .parts import engine_of, features, network_of, optimizer_of, with_mistake
from .points import SETS, Points
from .settings import CLASSES, Settings, SettingsError
from .table import Table

LARGEST_WEIGHT = 1000
"""The largest value to which a weight can be set."""

MOST_MEASURED = 2_000
"""The number of rows on which the gradients of layers are measured."""

LONGEST_PATH = 100
"""The number of places of theta that a session keeps, as many as are worth drawing."""

MOST_ENTRIES = 20_000
"""The number of entries of a curve above which every other one is dropped."""

DIVERGED = "Training diverged: after the next step the loss is not finite."
DIVERGED += " Lower the learning rate, now {:g}, and go back to the start."


class Curves:
    """Several values by the number of an epoch; of a long training every second entry is kept, then every fourth, ….

    The last entry is always kept.
    """

    def __init__(self, width: int) -> None:
        self._kept = self._last = np.empty((0, 1 + width))
        self._added, self._stride = 0, 1

    def add(self, epochs: Any, values: Any) -> None:
        """Add the values, (E, width), of several epochs."""
        entries = np.column_stack([epochs, values])
        self._kept = np.concatenate([self._kept, entries[-self._added % self._stride :: self._stride]])
        self._added += len(entries)
        self._last = entries[-1:]
        while len(self._kept) >= MOST_ENTRIES:
            self._kept = self._kept[::2]
            self._stride *= 2

    @property
    def epochs(self) -> np.ndarray:
        """The numbers of the epochs, (K,)."""
        return self._table()[:, 0].astype(int)

    @property
    def values(self) -> np.ndarray:
        """The values, (K, width)."""
        return self._table()[:, 1:]

    def _table(self) -> np.ndarray:
        ends_with_last = (self._added - 1) % self._stride == 0
        return self._kept if ends_with_last else np.concatenate([self._kept, self._last])


class Session:
    """A network that trains on points, and all that one may change.

    Since the last start, ``actions`` holds what was done: ("epochs", count), ("steps", first batch, count), ("weight",
    index, value), ("add", x, y, target), ("move", index, x, y), ("remove", index) and ("change", settings, whether the
    optimizer's state was kept). ``history`` holds the losses of training and test by epochs, ``gradient_norms`` and
    ``moves`` those of each dense layer by steps, where training has stopped to be looked at.

    Examples
    --------
    >>> session = Session(Settings(rows=100))
    >>> session.run_epochs(200)
    >>> bool(session.history.values[-1, 0] < session.history.values[0, 0])
    True
    """

    def __init__(self, settings: Settings | None = None, table: Table | None = None) -> None:
        self.table = table
        self._prepare(settings or Settings(data="circles" if table is None else "table"), None)
        self.edits: list[tuple[Any, ...]] = []
        self.restart()

    def restart(self) -> None:
        """Go back to the same start, with the points as they are now."""
        self.theta = self.network.init(self.settings.start)
        self.state: TrainingState | None = None
        self.epoch = self.steps = self.batch = 0
        self.trouble = ""
        self.begun, self.actions = self.settings, list[tuple[Any, ...]]()
        for edit in self.edits:
            self._note(*edit)
        layers = sum(isinstance(layer, Dense) for layer in self.network.layers)
        self.history, self.gradient_norms, self.moves = Curves(2), Curves(layers), Curves(layers)
        self.history.add([0], [self.losses])
        self.path = deque([self.theta], LONGEST_PATH)

    def run_epochs(self, count: int) -> None:
        """Train for a number of epochs; steps of an epoch that is not done yet are the first of them.

        If training diverges, it stops at the last parameters with a finite loss, and `trouble` says so; it goes on once
        something is changed.
        """
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
        self._note("weight", int(index), float(value))

    def change(self, **settings: Any) -> None:
        """Change settings, all or none.

        Parameters stay where their shapes and the seed of the start stay; else training restarts. The optimizer's
        moments stay where network and optimizer do. Other data come as they are drawn, without the points' changes.

        Raises
        ------
        SettingsError
            If a setting does not exist, is out of range, or does not suit the data.
        """
        names = [each.name for each in fields(Settings)]
        if unknown := [name for name in settings if name not in names]:
            raise SettingsError(f"There is no setting {unknown[0]!r}: the settings are {', '.join(names)}.")
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
        self.state = self.state if keeps_state else None
        self.batch, self.trouble = 0, ""
        self._note("change", after, keeps_state)

    def edit(self, *edit: Any) -> None:
        """Add a point to the training, ("add", x, y, target), or ("move", index, x, y) or ("remove", index) one."""
        self.points = self.points.edited(*edit)
        self._divide()
        self.batch, self.trouble = 0, ""
        self.edits.append(edit)
        self._note(*edit)

    @property
    def batches(self) -> int:
        """The number of steps of an epoch."""
        rows = len(self.rows[1])
        return -(-rows // min(self.settings.batch or rows, rows))

    @property
    def class_count(self) -> int:
        """The number of classes; 0 if the targets are numbers."""
        return len(self.points.class_names)

    @property
    def losses(self) -> tuple[float, float]:
        """The losses of training and test points as the parameters are now; NaN where there are none."""
        return self._on_both(lambda X, T: self.network.loss(self.theta, X, T))

    @property
    def right(self) -> tuple[float, float]:
        """The shares of training and test points whose class is right; NaN where there are none, or for numbers."""
        if not self.class_count:
            return np.nan, np.nan
        return self._on_both(lambda X, T: np.mean(self.predict(X).argmax(axis=1) == T.argmax(axis=1)))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predictions of rows as the parameters are now."""
        return engine_for(self.network, self.theta, silent=True).predict(self.theta, X)

    def _on_both(self, measure: Callable[[np.ndarray, np.ndarray], Any]) -> tuple[float, float]:
        """Return a measure of the training and of the test points; NaN where there are none."""
        train, test = (float(measure(X, T)) if len(X) else np.nan for X, T in (self.rows, self.test_rows))
        return train, test

    def drawn(self, settings: Settings) -> Points:
        """Return the points of settings as they are drawn, before they are changed one by one."""
        if settings.data == "table":
            if self.table is None:
                raise SettingsError("The data are a table, but none was given: open one first.")
            return self.table.points(settings.columns, settings.test, settings.seed)
        XY, t = SETS[settings.data](settings.seed, settings.rows, settings.noise)
        names = tuple(f"class {k}" for k in range(CLASSES[settings.data]))
        return Points.drawn(XY, t, names, test=settings.test, seed=settings.seed)

    def pairs(self, chosen: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets of the points that are chosen; a class is a one-hot row."""
        t = self.points.t[chosen]
        X = features(self.settings.features, self.points.XY[chosen])
        return X, np.eye(self.class_count)[t] if self.class_count else t

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
        self.rows, self.test_rows = self.pairs(~self.points.is_test), self.pairs(self.points.is_test)

    def _note(self, *action: Any) -> None:
        """Add an action to what was done, or let it go on the last one."""
        match self.actions[-1:], action:
            case [("epochs", before)], ("epochs", count):
                self.actions[-1] = "epochs", before + count
            case [("steps", first, before)], ("steps", second, count) if second == first + before:
                self.actions[-1] = "steps", first, before + count
            case [(("weight" | "move") as last, index, *_)], (kind, same, *_) if (kind, same) == (last, index):
                self.actions[-1] = action
            case _:
                self.actions.append(action)

    def _call(self, X: np.ndarray, T: np.ndarray, epochs: int, **options: Any) -> TrainingResult:
        options |= {"optimizer": optimizer_of(self.settings), "engine": engine_of(self.settings), "state": self.state}
        seed = self.settings.start
        return train(self.trained, self.theta, X, T, epochs=epochs, shuffle=False, seed=seed, **options)

    def _train(self, epochs: int) -> None:
        options: dict[str, Any] = {"batch_size": self.settings.batch or None, "training_loss": "exact"}
        if len(self.test_rows[1]):
            options["validation"] = self.test_rows
        try:
            result = self._call(*self.rows, epochs, **options)
        except DivergenceError as error:
            if done := max(len(error.result.history.loss) - 1, 0):
                self._train(done)
            self.trouble = DIVERGED.format(self.settings.learning_rate)
            return
        self._accept(result)
        done = len(result.history.loss) - 1
        test = result.history.validation_loss[1:] if "validation" in options else np.full(done, np.nan)
        numbers = np.arange(self.epoch + 1, self.epoch + done + 1)
        self.history.add(numbers, np.stack([result.history.loss[1:], test], axis=1))
        self.epoch += done
        self._note("epochs", done)

    def _take_step(self) -> None:
        """Take a step on the next batch of the epoch."""
        size = self.settings.batch
        rows = slice(self.batch * size, (self.batch + 1) * size)
        X, T = self.rows
        try:
            result = self._call(X[rows], T[rows], 1)
        except DivergenceError:
            self.trouble = DIVERGED.format(self.settings.learning_rate)
            return
        before = self.theta
        self._accept(result)
        self._measure(before)
        self._note("steps", self.batch, 1)
        self.batch = (self.batch + 1) % self.batches
        if self.batch == 0:
            self.epoch += 1
            self.history.add([self.epoch], [self.losses])

    def _accept(self, result: TrainingResult) -> None:
        self.steps += result.state.step - (self.state.step if self.state else 0)
        self.theta, self.state = result.theta, result.state

    def _measure(self, before: np.ndarray) -> None:
        """Record each dense layer's gradient, and its move from the parameters before the last epoch or step."""
        X, T = (rows[:MOST_MEASURED] for rows in self.rows)
        with np.errstate(over="ignore", invalid="ignore"):  # on the way to a divergence
            gradient = self.trained.loss_and_gradient(self.theta, X, T)[1]
            for curves, vector in ((self.gradient_norms, gradient), (self.moves, self.theta - before)):
                layers = zip(self.network.layers, self.network.layout.views(vector), strict=True)
                dense = [[*p.values()] for layer, p in layers if isinstance(layer, Dense)]
                curves.add([self.steps], [[float(norm(np.concatenate([*map(np.ravel, p)]))) for p in dense]])
        self.path.append(self.theta)


def _shapes(network: Network) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in network.layout.tensors]
