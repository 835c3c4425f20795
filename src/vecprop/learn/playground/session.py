"""A playground session: the data, the network and the training state."""

from collections import deque
from dataclasses import fields, replace

import numpy as np

from ...core import Array, Dense, Network, is_within
from ...train.reference import length
from ...train.state import DivergenceError, TrainingState
from ...train.trainer import engine_for, train
from .building import engine_of, features, network_of, optimizer_of, with_mistake
from .points import SETS, Points
from .session_settings import CLASSES, Settings, SettingsError
from .table import PlaygroundTable

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

    Long curves contain every second entry, then every fourth, and so on, but always the
    last one.
    """

    def __init__(self, width: int):
        self._entries = self._last = np.empty((0, 1 + width))
        self._added = 0
        self._stride = 1

    def add(self, epochs, values):
        """Append the values, (E, width), of several epochs."""
        entries = np.column_stack([epochs, values])
        # of all entries, those at multiples of the stride are retained
        first_retained = -self._added % self._stride
        retained = entries[first_retained :: self._stride]
        self._entries = np.concatenate([self._entries, retained])
        self._added += len(entries)
        self._last = entries[-1:]
        while len(self._entries) >= MOST_ENTRIES:
            self._entries = self._entries[::2]
            self._stride *= 2

    @property
    def epochs(self) -> Array:
        """The epochs of the retained entries, (K,)."""
        return self._table()[:, 0].astype(int)

    @property
    def values(self) -> Array:
        """The retained values, (K, width)."""
        return self._table()[:, 1:]

    def _table(self):
        if (self._added - 1) % self._stride == 0:  # the last entry is retained
            return self._entries
        return np.concatenate([self._entries, self._last])


class Session:
    """A network in training with editable points, settings and weights.

    ``actions`` contains the actions since the last restart: ("epochs", count),
    ("steps", first batch, count), ("weight", index, value), ("add", x, y, target),
    ("move", index, x, y), ("remove", index) and ("change", settings, whether the
    optimizer's state was retained). ``history`` contains the training and test loss per
    epoch. ``gradient_norms`` and ``moves`` contain norms per dense layer, measured
    after single steps and `run_epochs` calls.

    Examples
    --------
    >>> session = Session(Settings(rows=100))
    >>> session.run_epochs(200)
    >>> bool(session.history.values[-1, 0] < session.history.values[0, 0])
    True
    """

    def __init__(
        self, settings: Settings | None = None, table: PlaygroundTable | None = None
    ):
        self.table = table
        if settings is None:
            settings = Settings(data="circles" if table is None else "table")
        self._prepare(settings, self.drawn(settings))
        self.edits: list[tuple] = []
        self.restart()

    def restart(self):
        """Reset the weights to their initial values; edited points are retained."""
        self.theta = self.network.init(self.settings.start)
        self.state: TrainingState | None = None
        self.epoch = self.steps = self.batch = 0
        self.trouble = ""
        self.initial = self.settings
        self.actions: list[tuple] = []
        for edit in self.edits:
            self._note(*edit)
        layers = sum(isinstance(layer, Dense) for layer in self.network.layers)
        self.gradient_norms = Curves(layers)
        self.moves = Curves(layers)
        self.history = Curves(2)
        self.history.add([0], [self.losses])
        self.path = deque([self.theta], LONGEST_PATH)

    def run_epochs(self, count: int):
        """Train for a number of epochs, starting with the rest of an incomplete epoch.

        If training diverges, training stops at the last parameters with a finite loss
        and sets `trouble`. Any change of the session clears `trouble`.
        """
        if self.batch:
            self.step(self.batches - self.batch)
            count -= 1
        if count > 1 and not self.trouble:
            self._train(count - 1)
        # a separate call, to measure the last epoch's update
        if count > 0 and not self.trouble:
            before = self.theta
            self._train(1)
            self._measure(before)

    def step(self, count: int = 1):
        """Take training steps on the next batches; with full batches, a step is an epoch."""
        if self.batches == 1:
            self.run_epochs(count)
            return
        for _ in range(count):
            if not self.trouble:
                self._take_step()

    def set_weight(self, index: int, value: float):
        """Set one entry of theta."""
        if not isinstance(index, int | np.integer) or not is_within(
            index, 0, len(self.theta)
        ):
            raise SettingsError(
                f"The parameter index must be between 0 and {len(self.theta) - 1}, got"
                f" {index!r}."
            )
        if not is_within(value, -LARGEST_WEIGHT, LARGEST_WEIGHT, ends="[]"):
            raise SettingsError(
                f"The weight must be between -{LARGEST_WEIGHT} and {LARGEST_WEIGHT},"
                f" got {value!r}."
            )
        self.theta = self.theta.copy()
        self.theta[index] = value
        self.trouble = ""
        self._note("weight", int(index), float(value))

    def change(self, **settings):
        """Change settings; if any of them is invalid, change none.

        Training restarts if the parameters' shapes or the weight seed change. The
        optimizer's state is reset if the network or the optimizer changes. New data
        discard all edits of points.

        Raises
        ------
        SettingsError
            If a setting is unknown, out of range or incompatible with the data.
        """
        names = [field.name for field in fields(Settings)]
        for name in settings:
            if name not in names:
                raise SettingsError(
                    f"Unknown setting {name!r}: choose from {', '.join(names)}."
                )
        before = self.settings
        after = replace(before, **settings)
        if after == before:
            return
        shapes = _shapes(self.network)
        trained = self.trained
        if after.of_points == before.of_points:
            self._prepare(after, self.points)
        else:
            self._prepare(after, self.drawn(after))
            self.edits = []
        if _shapes(self.network) != shapes or after.start != before.start:
            self.restart()
            return
        keeps_state = self.trained == trained and after.optimizer == before.optimizer
        if not keeps_state:
            self.state = None
        self.batch = 0
        self.trouble = ""
        self._note("change", after, keeps_state)

    def edit(self, *edit):
        """Apply ("add", x, y, target), ("move", index, x, y) or ("remove", index)."""
        self.points = self.points.edited(*edit)
        self._divide()
        self.batch = 0
        self.trouble = ""
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
        return self._on_both(
            lambda X, T: np.mean(self.predict(X).argmax(axis=1) == T.argmax(axis=1))
        )

    def predict(self, X) -> Array:
        """Predict rows with the current parameters."""
        return engine_for(self.network, self.theta, silent=True).predict(self.theta, X)

    def _on_both(self, measure):
        """Compute a metric on training and test points; the metric is NaN without points."""
        metrics = []
        for X, T in (self.rows, self.test_rows):
            metrics.append(float(measure(X, T)) if len(X) else np.nan)
        train, test = metrics
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

    def pairs(self, selected) -> tuple[Array, Array]:
        """Return the inputs and targets of selected points; classes are one-hot encoded."""
        t = self.points.t[selected]
        X = features(self.settings.features, self.points.XY[selected])
        return X, np.eye(self.class_count)[t] if self.class_count else t

    def _prepare(self, settings, points):
        """Apply settings; invalid settings leave the session unchanged."""
        network = network_of(settings, len(points.class_names))
        self.trained: Network = with_mistake(network, settings.mistake)
        self.settings = settings
        self.points = points
        self.network = network
        self._divide()

    def _divide(self):
        """Build the training and test inputs and targets from the points."""
        self.rows = self.pairs(~self.points.is_test)
        self.test_rows = self.pairs(self.points.is_test)

    def _note(self, *action):
        """Record an action; merge it with the previous action if possible."""
        merged = None
        if self.actions:
            merged = _merged(self.actions[-1], action)
        if merged is None:
            self.actions.append(action)
        else:
            self.actions[-1] = merged

    def _call(self, X, T, epochs, **options):
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

    def _train(self, epochs):
        """Train for complete epochs; if training diverges, only for those before."""
        X, T = self.rows
        test_rows = self.test_rows if len(self.test_rows[1]) else None
        try:
            result = self._call(
                X,
                T,
                epochs,
                batch_size=self.settings.batch or None,
                training_loss="exact",
                validation=test_rows,
            )
        except DivergenceError as error:
            finite_epochs = len(error.result.history.loss) - 1
            if finite_epochs > 0:
                self._train(finite_epochs)
            self.trouble = DIVERGED.format(self.settings.learning_rate)
            return
        self._accept(result)
        # the history begins with the loss before the first epoch
        history = result.history
        count = len(history.loss) - 1
        losses = np.full((count, 2), np.nan)
        losses[:, 0] = history.loss[1:]
        if test_rows:
            losses[:, 1] = history.validation_loss[1:]
        self.history.add(np.arange(self.epoch + 1, self.epoch + count + 1), losses)
        self.epoch += count
        self._note("epochs", count)

    def _take_step(self):
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

    def _accept(self, result):
        self.steps += result.state.step - (self.state.step if self.state else 0)
        self.theta = result.theta
        self.state = result.state

    def _measure(self, before):
        """Record the norm of each dense layer's gradient and of its last update."""
        X, T = (rows[:MOST_MEASURED] for rows in self.rows)
        with np.errstate(over="ignore", invalid="ignore"):  # training may diverge
            gradient = self.trained.loss_and_gradient(self.theta, X, T)[1]
            self.gradient_norms.add([self.steps], [self._norms(gradient)])
            self.moves.add([self.steps], [self._norms(self.theta - before)])
        self.path.append(self.theta)

    def _norms(self, vector):
        """Return the norm of each dense layer's part of a vector."""
        norms = []
        for layer, p in zip(
            self.network.layers, self.network.layout.views(vector), strict=True
        ):
            if isinstance(layer, Dense):
                norms.append(
                    float(length(np.concatenate([part.ravel() for part in p.values()])))
                )
        return norms


def _merged(previous, action):
    """Return the action that has the effect of two consecutive actions, or None."""
    kind = action[0]
    if previous[0] != kind:
        return None
    if kind == "epochs":
        return kind, previous[1] + action[1]
    if kind == "steps":
        _, first, count = previous
        _, batch, more = action
        if batch == first + count:
            return kind, first, count + more
    if kind in ("weight", "move") and action[1] == previous[1]:
        return action
    return None


def _shapes(network):
    return [tensor.shape for tensor in network.layout.tensors]
