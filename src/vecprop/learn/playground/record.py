"""The record of a session: its actions, its curves, and the values that the page shows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...compiled.compiled_network import compile
from ...core.network import Network
from ...optimize.optimizers import Optimizer
from ...train.members import Member
from ...train.population import train_population
from .parts import engine_of, features
from .settings import Settings


@dataclass(frozen=True)
class Epochs:
    """Training for a number of epochs."""

    count: int


@dataclass(frozen=True)
class Steps:
    """A number of training steps within an epoch, from the batch of this number on."""

    first: int
    count: int


@dataclass(frozen=True)
class SetWeight:
    """A parameter of this index in theta was set."""

    index: int
    value: float


@dataclass(frozen=True)
class AddPoint:
    """A point was added to the training."""

    x: float
    y: float
    target: float


@dataclass(frozen=True)
class MovePoint:
    """The point of this index was moved."""

    index: int
    x: float
    y: float


@dataclass(frozen=True)
class RemovePoint:
    """The point of this index was removed."""

    index: int


@dataclass(frozen=True)
class Change:
    """The settings were changed to these; the optimizer's state was kept, or begun anew."""

    settings: Settings
    keeps_state: bool


Edit = AddPoint | MovePoint | RemovePoint
Action = Epochs | Steps | SetWeight | Edit | Change


class Log:
    """The actions since the last start, in their order; those of one kind that go on are kept as one."""

    def __init__(self) -> None:
        self.actions: list[Action] = []

    def add(self, action: Action) -> None:
        """Add an action, or let it go on the last one."""
        match self.actions[-1:], action:
            case [Epochs(before)], Epochs(count):
                self.actions[-1] = Epochs(before + count)
            case [Steps(first, before)], Steps(second, count) if second == first + before:
                self.actions[-1] = Steps(first, before + count)
            case ([SetWeight(index)], SetWeight(same)) | ([MovePoint(index)], MovePoint(same)) if index == same:
                self.actions[-1] = action
            case _:
                self.actions.append(action)


MOST_ENTRIES = 20_000
"""The number of entries above which every other one is dropped."""


class Curves:
    """Several values by the number of an epoch; of a long training every second entry is kept, then every fourth, ….

    The last entry is always kept.
    """

    def __init__(self, width: int) -> None:
        self._parts = [np.empty((0, 1 + width))]
        self._last = self._parts[0]
        self._kept = self._added = 0
        self._stride = 1

    def add(self, epochs: Any, values: Any) -> None:
        """Add the values, (E, width), of several epochs."""
        entries = np.column_stack([epochs, values])
        self._parts.append(entries[-self._added % self._stride :: self._stride])
        self._kept += len(self._parts[-1])
        self._added += len(entries)
        self._last = entries[-1:]
        while self._kept >= MOST_ENTRIES:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._kept = len(self._parts[0])
            self._stride *= 2

    def _table(self) -> np.ndarray:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        ends_with_last = (self._added - 1) % self._stride == 0
        return self._parts[0] if ends_with_last else np.concatenate([self._parts[0], self._last])

    @property
    def epochs(self) -> np.ndarray:
        """The numbers of the epochs, (K,)."""
        return self._table()[:, 0].astype(int)

    @property
    def values(self) -> np.ndarray:
        """The values, (K, width)."""
        return self._table()[:, 1:]


class Record:
    """What is known of a session since its start: losses of training and test by epochs, norms by steps.

    There is a norm of each dense layer's gradient, and of its last move, where training has stopped to be looked at.
    """

    def __init__(self, layers: int) -> None:
        self.losses, self.gradient_norms, self.moves = Curves(2), Curves(layers), Curves(layers)

    @property
    def epochs(self) -> np.ndarray:
        """The numbers of the epochs after which the losses are known, (K,)."""
        return self.losses.epochs

    @property
    def train(self) -> np.ndarray:
        """The losses of the rows of training, (K,)."""
        return self.losses.values[:, 0]

    @property
    def test(self) -> np.ndarray:
        """The losses of the rows of the test, (K,); NaN where there are none."""
        return self.losses.values[:, 1]


Limits = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Map:
    """What a network says over the plane."""

    values: np.ndarray
    x: tuple[float, float]
    y: tuple[float, float]


def grid(limits: Limits, size: int) -> np.ndarray:
    """Return the places of a grid row by row, (size * size, 2), from the least y to the most."""
    return np.stack(np.meshgrid(*(np.linspace(*limit, size) for limit in limits)), axis=-1).reshape(-1, 2)


def map_of(network: Network, theta: np.ndarray, names: tuple[str, ...], limits: Limits, size: int) -> Map:
    """Return the network's predictions on a grid."""
    Y = compile(network).predict(theta, features(names, grid(limits, size)))
    return Map(Y.reshape(size, size, -1), *limits)


def units_of(
    network: Network, theta: np.ndarray, names: tuple[str, ...], limits: Limits, size: int
) -> list[np.ndarray]:
    """Return the inputs, each hidden layer's outputs and the predictions on a grid, (units, size, size) each."""
    X = features(names, grid(limits, size))
    outputs, _ = network.forward(theta, X)
    shown = [X, *(outputs[number] for number in network.activations), network.loss_function.predict(outputs[-1])]
    return [values.T.reshape(-1, size, size) for values in shown]


@dataclass(frozen=True, slots=True)
class Edge:
    """A weight, or a bias."""

    layer: int
    source: int | None
    target: int
    index: int
    value: float


def edges(network: Network, theta: np.ndarray) -> list[Edge]:
    """Return the weights and biases of the dense layers, in the order of theta."""
    found, layer = [], -1
    for tensor in network.layout.tensors:
        if tensor.kind != "Dense":
            continue
        layer += tensor.name == "W"
        for index, place in enumerate(np.ndindex(tensor.shape), tensor.start):
            source, target = place if tensor.name == "W" else (None, *place)
            found.append(Edge(layer, source, target, index, float(theta[index])))
    return found


LONGEST_PATH = 100
"""The number of places of theta that a session keeps, as many as are worth drawing."""

TOGETHER = 64
"""The number of places whose loss is computed together."""

MOST_ROWS = 200
"""The number of rows whose loss makes the surface."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss in a plane through the parameters."""

    loss: np.ndarray
    first: np.ndarray
    second: np.ndarray
    path: np.ndarray
    heights: np.ndarray


def directions(moves: np.ndarray) -> np.ndarray:
    """Return two orthonormal directions, (2, P), in which moves, (K, P), are largest.

    Moves along a line, or none, leave directions open; the same arbitrary ones are taken then.
    """
    _, s, Vt = np.linalg.svd(moves, full_matrices=False)
    known = Vt[:2][s[:2] > 1e-9 * max(s.max(), 1e-300)]
    others = np.random.default_rng(0).standard_normal((2, moves.shape[1]))
    return np.linalg.qr(np.concatenate([known, others])[:2].T)[0].T


def loss_surface(
    network: Network, theta: np.ndarray, X: np.ndarray, T: np.ndarray, path: Sequence[np.ndarray], size: int
) -> Surface:
    """Return the loss around theta in the two directions of the path's largest moves."""
    X, T = X[:MOST_ROWS], T[:MOST_ROWS]
    moves = np.array(path) - theta
    axes = directions(moves)
    places = moves @ axes.T
    reach = 1.3 * np.abs(places).max(axis=0)
    reach = np.maximum(reach, max(0.3 * reach.max(), 0.1))
    first, second = (np.linspace(-most, most, size) for most in reach)
    corners = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)

    def loss(at: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            parts = np.array_split(theta + at @ axes, len(at) // TOGETHER + 1)
            return np.concatenate([network.loss(thetas, X, T) for thetas in parts])

    return Surface(loss(corners).reshape(size, size), first, second, places, loss(places))


LONGEST = 10.0
"""The number of seconds after which starts that are not done are left as they are."""


@dataclass(frozen=True, eq=False)
class Starts:
    """The losses of many starts.

    Parameters
    ----------
    losses : ndarray (M, epochs + 1)
        The training loss of each before the first epoch and after each; NaN after it diverged, or time was over.
    """

    seeds: np.ndarray
    losses: np.ndarray


def many_starts(
    network: Network,
    optimizer: Optimizer,
    settings: Settings,
    X: np.ndarray,
    T: np.ndarray,
    count: int,
    epochs: int,
) -> Starts:
    """Train from the seeds that follow the settings' own, which is the first."""
    seeds = settings.start + np.arange(count)
    how: dict[str, Any] = {"epochs": epochs, "batch_size": settings.batch or None, "shuffle": False}
    members = [
        Member(network, network.init(seed), optimizer, seed=seed, training_loss="exact", **how)
        for seed in seeds.tolist()
    ]
    end = time.monotonic() + LONGEST
    results = train_population(members, X, T, progress=lambda _: time.monotonic() > end, engine=engine_of(settings))
    losses = np.full((count, epochs + 1), np.nan)
    for curve, result in zip(losses, results, strict=True):
        curve[: len(result.history.loss)] = result.history.loss
    return Starts(seeds, losses)
