"""A playground session: the data, the network and the training state."""

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
"""The maximum absolute value of an edited weight."""

MOST_MEASURED = 2_000
"""The maximum number of rows used to compute the gradient norms."""

LONGEST_PATH = 100
"""The number of recent parameter vectors that are stored for drawing."""

MOST_ENTRIES = 20_000
"""The number of entries above which a curve drops every second one."""

DIVERGED = "Training diverged: the next step makes the loss infinite or NaN."
DIVERGED += " Lower the learning rate (now {:g}) and press Reset."


class Curves:
    """Values per epoch or step, thinned for long curves.

    Long curves contain every second entry, then every fourth, and so on, but always the last one.
    """

    def __init__(self, width: int) -> None:
        self._entries = self._last = np.empty((0, 1 + width))
        self._added, self._stride = 0, 1

    def add(self, epochs: Any, values: Any) -> None:
        """Append the values, (E, width), of several epochs."""
        entries = np.column_stack([epochs, values])
        self._entries = np.concatenate([self._entries, entries[-self._added % self._stride :: self._stride]])
        self._added += len(entries)
        self._last = entries[-1:]
        while len(self._entries) >= MOST_ENTRIES:
            self._entries = self._entries[::2]
            self._stride *= 2

    @property
    def epochs(self) -> np.ndarray:
        """The epochs of the retained entries, (K,)."""
        return self._table()[:, 0].astype(int)

    @property
    def values(self) -> np.ndarray:
        """The retained values, (K, width)."""
        return self._table()[:, 1:]

    def _table(self) -> np.ndarray:
        ends_with_last = (self._added - 1) % self._stride == 0
        return self._entries if ends_with_last else np.concatenate([self._entries, self._last])


class Session:
    """A network in training with editable points, settings and weights.

    ``actions`` contains the actions since the last restart: ("epochs", count), ("steps", first batch, count),
    ("weight", index, value), ("add", x, y, target), ("move", index, x, y), ("remove", index) and ("change", settings,
    whether the optimizer's state was retained). ``history`` contains the training and test loss per epoch.
    ``gradient_norms`` and ``moves`` contain norms per dense layer, measured after single steps and `run_epochs` calls.

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
        """Reset the weights to their initial values; edited points are retained."""
        self.theta = self.network.init(self.settings.start)
        self.state: TrainingState | None = None
        self.epoch = self.steps = self.batch = 0
        self.trouble = ""
        self.initial, self.actions = self.settings, list[tuple[Any, ...]]()
        for edit in self.edits:
            self._note(*edit)
        layers = sum(isinstance(layer, Dense) for layer in self.network.layers)
        self.history, self.gradient_norms, self.moves = Curves(2), Curves(layers), Curves(layers)
        self.history.add([0], [self.losses])
        self.path = deque([self.theta], LONGEST_PATH)

    def run_epochs(self, count: int) -> None:
        """Train for a number of epochs, starting with the rest of an incomplete epoch.

        If training diverges, training stops at the last parameters with a finite loss and sets `trouble`. Any change of
        the session clears `trouble`.
        """
        if self.batch:
            self.step(self.batches - self.batch)
            count -= 1
        if count > 1 and not self.trouble:
            self._train(count - 1)
        if count > 0 and not self.trouble:  # a separate call, to measure the last epoch's update
            before = self.theta
            self._train(1)
            self._measure(before)

    def step(self, count: int = 1) -> None:
        """Take training steps on the next batches; with full batches, a step is an epoch."""
        if self.batches == 1:
            self.run_epochs(count)
            return
        for _ in range(count):
            if not self.trouble:
                self._take_step()

    def set_weight(self, index: int, value: float) -> None:
        """Set one entry of theta."""
        if not isinstance(index, int | np.integer) or not is_within(index, 0, len(self.theta)):
            raise SettingsError(f"The parameter index must be between 0 and {len(self.theta) - 1}, got {index!r}.")
        if not is_within(value, -LARGEST_WEIGHT, LARGEST_WEIGHT, ends="[]"):
            raise SettingsError(f"The weight must be between -{LARGEST_WEIGHT} and {LARGEST_WEIGHT}, got {value!r}.")
        self.theta = self.theta.copy()
        self.theta[index] = value
        self.trouble = ""
        self._note("weight", int(index), float(value))

    def change(self, **settings: Any) -> None:
        """Change settings; if any of them is invalid, change none.

        Training restarts if the parameters' shapes or the weight seed change. The optimizer's state is reset if the
        network or the optimizer changes. New data discard all edits of points.

        Raises
        ------
        SettingsError
            If a setting is unknown, out of range or incompatible with the data.
        """
        names = [each.name for each in fields(Settings)]
        if unknown := [name for name in settings if name not in names]:
            raise SettingsError(f"Unknown setting {unknown[0]!r}: choose from {', '.join(names)}.")
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
        """Apply ("add", x, y, target), ("move", index, x, y) or ("remove", index)."""
        self.points = self.points.edited(*edit)
        self._divide()
        self.batch, self.trouble = 0, ""
        self.edits.append(edit)
        self._note(*edit)

    @property
    def batches(self) -> int:
        """The number of batches per epoch."""
        rows = len(self.rows[1])
        return -(-rows // min(self.settings.batch or rows, rows))

    @property
    def class_count(self) -> int:
        """The number of classes, or 0 for regression."""
        return len(self.points.class_names)

    @property
    def losses(self) -> tuple[float, float]:
        """The current training and test losses, or NaN without points."""
        return self._on_both(lambda X, T: self.network.loss(self.theta, X, T))

    @property
    def right(self) -> tuple[float, float]:
        """The training and test accuracies, or NaN without points or for regression."""
        if not self.class_count:
            return np.nan, np.nan
        return self._on_both(lambda X, T: np.mean(self.predict(X).argmax(axis=1) == T.argmax(axis=1)))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict rows with the current parameters."""
        return engine_for(self.network, self.theta, silent=True).predict(self.theta, X)

    def _on_both(self, measure: Callable[[np.ndarray, np.ndarray], Any]) -> tuple[float, float]:
        """Compute a metric on training and test points; the metric is NaN without points."""
        train, test = (float(measure(X, T)) if len(X) else np.nan for X, T in (self.rows, self.test_rows))
        return train, test

    def drawn(self, settings: Settings) -> Points:
        """Return the points for these settings, without edits."""
        if settings.data == "table":
            if self.table is None:
                raise SettingsError("data=table needs a table: open a file first.")
            return self.table.points(settings.columns, settings.test, settings.seed)
        XY, t = SETS[settings.data](settings.seed, settings.rows, settings.noise)
        names = tuple(f"class {k}" for k in range(CLASSES[settings.data]))
        return Points.drawn(XY, t, names, test=settings.test, seed=settings.seed)

    def pairs(self, chosen: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and targets of selected points; classes are one-hot encoded."""
        t = self.points.t[chosen]
        X = features(self.settings.features, self.points.XY[chosen])
        return X, np.eye(self.class_count)[t] if self.class_count else t

    def _prepare(self, settings: Settings, points: Points | None) -> None:
        """Apply settings; invalid settings leave the session unchanged."""
        if points is None:
            points = self.drawn(settings)
        network = network_of(settings, len(points.class_names))
        self.trained: Network = with_mistake(network, settings.mistake)
        self.settings, self.points, self.network = settings, points, network
        self._divide()

    def _divide(self) -> None:
        """Build the training and test inputs and targets from the points."""
        self.rows, self.test_rows = self.pairs(~self.points.is_test), self.pairs(self.points.is_test)

    def _note(self, *action: Any) -> None:
        """Record an action; merge it with the previous action if possible."""
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
        """Take one training step on the next batch."""
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
        """Record the norm of each dense layer's gradient and of its last update."""
        X, T = (rows[:MOST_MEASURED] for rows in self.rows)
        with np.errstate(over="ignore", invalid="ignore"):  # training may diverge
            gradient = self.trained.loss_and_gradient(self.theta, X, T)[1]
            for curves, vector in ((self.gradient_norms, gradient), (self.moves, self.theta - before)):
                layers = zip(self.network.layers, self.network.layout.views(vector), strict=True)
                dense = [[*p.values()] for layer, p in layers if isinstance(layer, Dense)]
                curves.add([self.steps], [[float(norm(np.concatenate([*map(np.ravel, p)]))) for p in dense]])
        self.path.append(self.theta)


def _shapes(network: Network) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in network.layout.tensors]
