"""The record of a session: its actions, so that a script can repeat them, and the curves of its training."""

from dataclasses import dataclass
from typing import Any

import numpy as np

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
