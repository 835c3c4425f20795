"""Windows of rows, which are read block by block while the network is trained on the previous window.

An epoch takes the blocks in a random order and collects as many as fit into a window.
The rows of a window are sorted by the keys of `core.counter_rng.permutation`. If one
window holds all rows, their order is therefore the same as for a fit in memory. Two
windows take turns::

      this thread          | train on window 0    | train on window 1    | ...
      the reader thread    | read window 1        | read window 2        |

The arrays of a window begin with room for the rows that the previous window left over::

      room     | block 7      | block 12     | block 31     |      rows of a window, block by block
      numbers  | 7000 ... 7999 12000 ... 12999 31000 ... 31999     indices among all rows

Several networks may be trained in one pass. Each network has a separate `WindowSteps`
object and a part of the room.
"""

import reprlib
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from ...core import Batch, Network, order_of_blocks
from .sources import Blocks, place_of


@dataclass(frozen=True, eq=False)
class Window:
    """A window: some of the rows of an epoch."""

    epoch: int
    number: int
    seen: int
    is_last: bool
    batches: list[Batch]
    numbers: np.ndarray
    own: slice | np.ndarray
    order: np.ndarray
    front: int = 0
    """The position of the rows that are carried over from the previous window."""

    @property
    def batch(self) -> Batch:
        """The rows of the only network."""
        return self.batches[0]


class Windows:
    """Read the windows of epochs."""

    def __init__(
        self,
        sizes: Sequence[int] | np.ndarray,
        read: Callable[[int], list[Batch]],
        *,
        window: int,
        shuffle: bool,
        seed: int,
        room: int,
        prefetch: Callable[[list[int]], object] | None = None,
    ) -> None:
        self.prefetch = prefetch
        self.sizes, self.read = np.asarray(sizes, np.int64), read
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.rows = int(self.starts[-1])
        largest = int(np.argmax(self.sizes))
        if self.sizes[largest] > window:
            raise ValueError(
                f"window is {window} rows, but block {largest} has"
                f" {self.sizes[largest]}: use a larger window or smaller blocks (see"
                " rows= of copy_blocks)."
            )
        self.window, self.shuffle, self.seed, self.room = (
            min(window, self.rows),
            shuffle,
            int(seed),
            room,
        )
        # batches and row indices
        self.memories: list[tuple[list[Batch], np.ndarray] | None] = [None, None]
        self.is_closed = False

    def identity(self) -> dict[str, Any]:
        """Return the settings that, together with the seed, determine the row order."""
        division = sha256(str(self.sizes.tolist()).encode()).hexdigest()
        return {"window": self.window, "division into blocks": division}

    def of_epoch(self, epoch: int) -> list[np.ndarray]:
        """Return the block indices of each window."""
        count = len(self.sizes)
        order = (
            order_of_blocks(self.seed, epoch, count)
            if self.shuffle
            else np.arange(count)
        )
        windows: list[list[int]] = [[]]
        rows = 0
        for block in order.tolist():
            if windows[-1] and rows + self.sizes[block] > self.window:
                windows.append([])
                rows = 0
            windows[-1].append(block)
            rows += self.sizes[block]
        return [np.sort(blocks) for blocks in windows]

    def passes(self, epochs: range, first: int = 0) -> Generator[Window]:
        """Yield the windows of epochs, starting in the first epoch at window `first`.

        A window is valid until the next one is requested. If one window holds all rows,
        only the order is recomputed.
        """
        with ThreadPoolExecutor(1) as reader:
            context = copy_context()  # contains the thread limit
            todo = self._todo(epochs, first)
            window = None
            coming = reader.submit(context.run, self._next, todo, window)
            try:
                while (window := coming.result()) is not None:
                    coming = reader.submit(context.run, self._next, todo, window)
                    yield window
            finally:
                self.is_closed = True  # stops the reader before its next block

    def _todo(
        self, epochs: range, first: int
    ) -> Iterator[tuple[int, int, np.ndarray, int]]:
        """Yield the epoch, index and blocks of each window, and the number of rows seen at its end."""
        for epoch in epochs:
            windows = self.of_epoch(epoch)
            seen = np.cumsum([self.sizes[blocks].sum() for blocks in windows]).tolist()
            for number in range(first if epoch == epochs.start else 0, len(windows)):
                yield epoch, number, windows[number], seen[number]

    def _next(
        self, todo: Iterator[tuple[int, int, np.ndarray, int]], before: Window | None
    ) -> Window | None:
        """Read the next window into the memory that the previous window does not use; return None after the last."""
        coming = next(todo, None)
        if coming is None:
            return None
        epoch, number, blocks, seen = coming
        if before is not None and len(blocks) == len(self.sizes):
            assert isinstance(before.own, slice)  # the window holds all rows
            return replace(
                before,
                epoch=epoch,
                order=self._order(epoch, before.numbers, before.own),
            )
        self.memories.reverse()
        own = slice(self.room, self.room + int(self.sizes[blocks].sum()))
        end = own.start
        if self.prefetch is not None:
            self.prefetch(blocks.tolist())
        for block in blocks.tolist():
            if self.is_closed:
                return None
            batches, start = self.read(block), end
            end += int(self.sizes[block])
            memory = self.memories[0] = self.memories[0] or self._memory_like(batches)
            for mine, read in zip(memory[0], batches, strict=True):
                mine.X[start:end], mine.T[start:end] = read.X, read.T
                if mine.weight is not None:
                    mine.weight[start:end] = read.weight
            memory[1][start:end] = self.starts[block] + np.arange(end - start)
        memory = self.memories[0]
        assert memory is not None  # every window has at least one block
        return Window(
            epoch,
            number,
            seen,
            seen == self.rows,
            *memory,
            own,
            self._order(epoch, memory[1], own),
        )

    def _order(self, epoch: int, numbers: np.ndarray, own: slice) -> np.ndarray:
        if not self.shuffle:
            return np.arange(own.start, own.stop)
        # imported late because it loads Numba
        from ...compiled.lower.row_loops import order_of_part

        order = order_of_part(self.seed, epoch, numbers[own])
        order += self.room
        return order

    def _memory_like(self, batches: list[Batch]) -> tuple[list[Batch], np.ndarray]:
        """Allocate memory for a window, with the dtypes of these batches; class indices become int64."""
        rows = self.room + self.window
        views = []
        for batch in batches:
            X, T = (
                np.empty((rows, *array.shape[1:]), array.dtype)
                for array in (batch.X, batch.T)
            )
            weight = (
                None if batch.weight is None else np.empty(rows, batch.weight.dtype)
            )
            views.append(
                Batch(X, T.astype(np.int64) if batch.of_classes else T, weight)
            )
        return views, np.empty(rows, np.int64)


SAMPLE = 16
"""The number of random blocks that are used to detect sorted rows."""

SORTED = 0.25
"""Rows count as sorted if the variance between blocks is at least this share of the
variance of the targets.
"""

CURE = "copy_blocks(source, folder, shuffle=0) shuffles the rows once on disk"


class CheckedBlocks:
    """Read blocks as checked batches, and detect rows that are sorted by their targets."""

    def __init__(self, network: Network, theta: np.ndarray, blocks: Blocks) -> None:
        self.network, self.theta, self.blocks = network, theta, blocks
        for name in ("sizes", "inputs", "read"):
            if not hasattr(blocks, name):
                given = (
                    repr(blocks)
                    if isinstance(blocks, str | type)
                    else f"a {type(blocks).__name__}"
                )
                raise TypeError(
                    f"blocks must be an object such as ArrayBlocks(X, T), got {given}"
                    f" without {name}."
                )
        self.sizes = np.asarray(blocks.sizes)
        if (
            self.sizes.ndim != 1
            or not self.sizes.size
            or self.sizes.dtype.kind not in "iu"
            or self.sizes.min() < 1
        ):
            given = reprlib.repr(blocks.sizes)
            raise ValueError(
                f"blocks.sizes must be a sequence of positive integers, got {given}."
            )
        if blocks.inputs != network.inputs:
            raise ValueError(
                f"The blocks have {blocks.inputs} inputs, but the network takes"
                f" {network.inputs}."
            )
        self.rows = int(self.sizes.sum())
        self.like: Batch | None = None
        # moments of the targets, by block
        self.moments: dict[int, np.ndarray] | None = {}

    def read(self, number: int) -> list[Batch]:
        """Return a checked block; errors contain its name."""
        place = place_of(self.blocks, number)
        read = self.blocks.read(number)
        try:
            X, T, *weights = read
        except (TypeError, ValueError):
            needed = (
                f"read({number}) must return a tuple (X, T) or (X, T, sample_weight)"
            )
            raise TypeError(
                f"In {place}: {needed}, got {type(read).__name__}."
            ) from None
        try:
            if np.ndim(X) != 2 or len(X) != self.sizes[number] or len(weights) > 1:
                needed = (
                    f"expected inputs of shape ({self.sizes[number]},"
                    f" {self.network.inputs}), targets and weights"
                )
                raise ValueError(
                    f"{needed}, got inputs of shape {np.shape(X)} and"
                    f" {1 + len(weights)} other array(s)."
                )
            weight = weights[0] if weights else None
            # a block may have only weights of 0, but not every block
            none = weight is not None and not np.any(weight)
            for name, values in (("X", X), ("T", T)):
                if np.asarray(values).dtype.kind == "c":
                    raise TypeError(
                        f"{name} has dtype {np.asarray(values).dtype}, but training"
                        " takes real numbers."
                    )
            batch = self.network._batch(self.theta, X, T, None if none else weight)
            if none:
                batch = replace(batch, weight=np.zeros(len(X), self.theta.dtype))
            like = self.like = self.like or batch
            if (like.of_classes, like.weight is None) != (
                batch.of_classes,
                batch.weight is None,
            ):
                raise ValueError(
                    "the kind of its targets, or whether it has weights, differs from"
                    " earlier blocks."
                )
        except (TypeError, ValueError) as error:
            raise type(error)(f"In {place}: {error}") from None
        # read once, because the training thread may set it to None
        moments = self.moments
        if moments is not None and number not in moments:
            moments[number] = self._moments(batch)
        return [batch]

    def _moments(self, batch: Batch) -> np.ndarray:
        """Return the number of rows, the sums of the targets and the sums of their squares, (3, O)."""
        T = (
            np.bincount(batch.T, minlength=self.network.outputs)
            if batch.of_classes
            else batch.T.astype(float)
        )
        sums = (T, T) if batch.of_classes else (T.sum(axis=0), (T**2).sum(axis=0))
        return np.stack([np.full(self.network.outputs, float(batch.rows)), *sums])

    def warn_if_sorted(self, windows: Windows) -> None:
        """Warn once if the targets vary more between blocks than they would in a random row order."""
        if self.moments is None or len(self.moments) < min(SAMPLE, len(self.sizes)):
            return
        moments, self.moments = np.stack(list(self.moments.values())), None
        if not windows.shuffle or windows.window >= self.rows:
            return
        n, sums, squares = moments.transpose(1, 0, 2)
        N, mean = n.sum(axis=0), sums.sum(axis=0) / n.sum(axis=0)
        whole = squares.sum(axis=0) - N * mean**2
        # minus the chance variation
        between = (n * (sums / n - mean) ** 2).sum(axis=0) - (len(n) - 1) * whole / N
        share = np.max(between / np.where(whole > 0, whole, np.inf))
        if share >= SORTED:
            warnings.warn(
                f"Rows are sorted by the target: {share:.0%} of its variance is between"
                " blocks, and a window holds only some blocks. Use a larger window;"
                f" {CURE}.",
                stacklevel=9,
            )
