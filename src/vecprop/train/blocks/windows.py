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
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...core import Batch, Network, order_of_blocks
from ..trainer import require_real
from .sources import Blocks, place_of


class Memory(NamedTuple):
    """The arrays of a window for each network, and the indices of their rows among all rows."""

    batches: list[Batch]
    numbers: ndarray


@dataclass(frozen=True, eq=False)
class Window:
    """A window: some of the rows of an epoch."""

    epoch: int
    number: int
    seen: int
    is_last: bool
    batches: list[Batch]
    numbers: ndarray
    positions: slice | ndarray
    """The positions of the rows in the arrays."""
    order: ndarray
    front: int = 0
    """The position of the rows that are carried over from the previous window."""

    @property
    def batch(self) -> Batch:
        """The rows of the only network."""
        return self.batches[0]


@dataclass(eq=False)
class Windows:
    """Read the windows of epochs, of at most `window` rows, from blocks of these sizes.

    ``read(block)`` returns a batch for each network, and ``prefetch(blocks)`` announces
    the next blocks. ``room`` is the number of rows that a window may leave over.
    """

    sizes: Any
    read: Callable
    window: int
    shuffle: bool
    seed: int
    room: int
    prefetch: Callable | None = None

    def __post_init__(self):
        self.sizes = np.asarray(self.sizes, np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.rows = int(self.starts[-1])
        largest = int(np.argmax(self.sizes))
        if self.sizes[largest] > self.window:
            raise ValueError(
                f"window is {self.window} rows, but block {largest} has"
                f" {self.sizes[largest]}: use a larger window or smaller blocks (see"
                " rows= of copy_blocks)."
            )
        self.window = min(self.window, self.rows)
        self.is_closed = False

    def identity(self) -> dict:
        """Return the settings that, together with the seed, determine the row order."""
        division = sha256(str(self.sizes.tolist()).encode()).hexdigest()
        return {"window": self.window, "division into blocks": division}

    def of_epoch(self, epoch: int) -> list[ndarray]:
        """Return the block indices of each window."""
        order = np.arange(len(self.sizes))
        if self.shuffle:
            order = order_of_blocks(self.seed, epoch, len(self.sizes))
        windows = [[]]
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
            windows = self._read_windows(epochs, first)
            reading = reader.submit(context.run, next, windows, None)
            try:
                # The next window is read while the caller uses this one.
                while (window := reading.result()) is not None:
                    reading = reader.submit(context.run, next, windows, None)
                    yield window
            finally:
                self.is_closed = True  # stops the reader before its next block

    def _read_windows(self, epochs: range, first: int) -> Iterator[Window]:
        """Read windows, each into the memory that the previous window does not use."""
        window = None
        memories: list[Memory | None] = [None, None]
        for epoch in epochs:
            seen = 0
            for number, blocks in enumerate(self.of_epoch(epoch)):
                seen += int(self.sizes[blocks].sum())
                if epoch == epochs.start and number < first:
                    continue
                if window is not None and len(blocks) == len(self.sizes):
                    # the window holds all rows
                    order = self._order(epoch, window.numbers, window.positions)
                    window = replace(window, epoch=epoch, order=order)
                    yield window
                    continue
                memories.reverse()
                memory = memories[0] = self._read(blocks.tolist(), memories[0])
                if memory is None:
                    return
                end = self.room + int(self.sizes[blocks].sum())
                positions = slice(self.room, end)
                window = Window(
                    epoch,
                    number,
                    seen,
                    is_last=seen == self.rows,
                    batches=memory.batches,
                    numbers=memory.numbers,
                    positions=positions,
                    order=self._order(epoch, memory.numbers, positions),
                )
                yield window

    def _read(self, blocks: list[int], memory: Memory | None) -> Memory | None:
        """Read blocks into the memory, or into new memory; return None if the passes have ended."""
        if self.prefetch is not None:
            self.prefetch(blocks)
        end = self.room
        for block in blocks:
            if self.is_closed:
                return None
            batches = self.read(block)
            if memory is None:
                memory = self._memory_like(batches)
            rows = slice(end, end + int(self.sizes[block]))
            end = rows.stop
            for stored, batch in zip(memory.batches, batches, strict=True):
                stored.X[rows] = batch.X
                stored.T[rows] = batch.T
                if stored.weight is not None:
                    stored.weight[rows] = batch.weight
            numbers = np.arange(len(batches[0].X))
            memory.numbers[rows] = self.starts[block] + numbers
        return memory

    def _order(self, epoch: int, numbers: ndarray, positions: Any) -> ndarray:
        """Return the positions of the rows in training order."""
        if not self.shuffle:
            return np.arange(positions.start, positions.stop)
        # imported late because it loads Numba
        from ...compiled.lower.row_loops import order_of_part

        order = order_of_part(self.seed, epoch, numbers[positions])
        order += self.room
        return order

    def _memory_like(self, batches: list[Batch]) -> Memory:
        """Allocate memory for a window, with the dtypes of these batches; class indices become int64."""
        rows = self.room + self.window
        memories = []
        for batch in batches:
            X = np.empty((rows, *batch.X.shape[1:]), batch.X.dtype)
            dtype = np.int64 if batch.of_classes else batch.T.dtype
            T = np.empty((rows, *batch.T.shape[1:]), dtype)
            weight = batch.weight
            if weight is not None:
                weight = np.empty(rows, weight.dtype)
            memories.append(Batch(X, T, weight))
        return Memory(memories, np.empty(rows, np.int64))


SAMPLE = 16
"""The number of random blocks that are used to detect sorted rows."""

SORTED = 0.25
"""Rows count as sorted if the variance between blocks is at least this share of the
variance of the targets.
"""

CURE = "copy_blocks(source, folder, shuffle=0) shuffles the rows once on disk"


@dataclass(eq=False)
class CheckedBlocks:
    """Read blocks as checked batches, and detect rows that are sorted by their targets."""

    network: Network
    theta: ndarray
    blocks: Blocks

    def __post_init__(self):
        """Check the sizes and the inputs of the blocks; `theta` defines the dtype."""
        blocks = self.blocks
        network = self.network
        for name in ("sizes", "inputs", "read"):
            if not hasattr(blocks, name):
                text = f"a {type(blocks).__name__}"
                if isinstance(blocks, str | type):
                    text = repr(blocks)
                raise TypeError(
                    f"blocks must be an object such as ArrayBlocks(X, T), got {text}"
                    f" without {name}."
                )
        self.sizes = sizes = np.asarray(blocks.sizes)
        are_integers = sizes.ndim == 1 and sizes.size and sizes.dtype.kind in "iu"
        if not are_integers or sizes.min() < 1:
            raise ValueError(
                "blocks.sizes must be a sequence of positive integers, got"
                f" {reprlib.repr(blocks.sizes)}."
            )
        if blocks.inputs != network.inputs:
            raise ValueError(
                f"The blocks have {blocks.inputs} inputs, but the network takes"
                f" {network.inputs}."
            )
        self.rows = int(sizes.sum())
        self.first = None  # the first batch that was read
        # moments of the targets, by block
        self.moments = {}

    def read(self, number: int) -> list[Batch]:
        """Return a checked block; errors contain its name."""
        block_name = place_of(self.blocks, number)
        arrays = self.blocks.read(number)
        try:
            X, T, *weights = arrays
        except (TypeError, ValueError):
            raise TypeError(
                f"In {block_name}: read({number}) must return a tuple (X, T) or (X, T,"
                f" sample_weight), got {type(arrays).__name__}."
            ) from None
        try:
            batch = self._checked(number, X, T, weights)
        except (TypeError, ValueError) as error:
            raise type(error)(f"In {block_name}: {error}") from None
        # read once, because the training thread may set it to None
        moments = self.moments
        if moments is not None and number not in moments:
            moments[number] = self._moments(batch)
        return [batch]

    def _checked(self, number: int, X, T, weights: list) -> Batch:
        """Return a block as a batch; raise an error if it is invalid."""
        size = self.sizes[number]
        if np.ndim(X) != 2 or len(X) != size or len(weights) > 1:
            raise ValueError(
                f"expected inputs of shape ({size}, {self.network.inputs}), targets and"
                f" weights, got inputs of shape {np.shape(X)} and {1 + len(weights)} other"
                " array(s)."
            )
        require_real("X", np.asarray(X))
        require_real("T", np.asarray(T))
        weight = weights[0] if weights else None
        # a block may have only weights of 0, but not every block
        if weight is not None and not np.any(weight):
            batch = self.network._batch(self.theta, X, T, None)
            batch = replace(batch, weight=np.zeros(size, self.theta.dtype))
        else:
            batch = self.network._batch(self.theta, X, T, weight)
        if self.first is None:
            self.first = batch
        has_weights = batch.weight is not None
        first_has_weights = self.first.weight is not None
        if (
            has_weights != first_has_weights
            or batch.of_classes != self.first.of_classes
        ):
            raise ValueError(
                "the kind of its targets, or whether it has weights, differs from"
                " earlier blocks."
            )
        return batch

    def _moments(self, batch: Batch) -> ndarray:
        """Return the number of rows, the sums of the targets and the sums of their squares, (3, O)."""
        outputs = self.network.outputs
        if batch.of_classes:
            sums = squares = np.bincount(batch.T, minlength=outputs)
        else:
            T = batch.T.astype(float)
            sums = T.sum(axis=0)
            squares = (T**2).sum(axis=0)
        return np.stack([np.full(outputs, float(batch.rows)), sums, squares])

    def warn_if_sorted(self, windows: Windows):
        """Warn once if the targets vary more between blocks than they would in a random row order.

        As in an analysis of variance, the variance of a target t in rows i of blocks b
        is Σ_i (t_i - m)² = Σ_b n_b (m_b - m)² + the variance within blocks, with the
        mean m of all rows and the means m_b of blocks.
        """
        if self.moments is None or len(self.moments) < min(SAMPLE, len(self.sizes)):
            return
        moments = np.stack(list(self.moments.values()))
        self.moments = None
        if not windows.shuffle or windows.window >= self.rows:
            return
        block_rows, sums, squares = moments.transpose(1, 0, 2)  # each (blocks, O)
        rows = block_rows.sum(axis=0)
        mean = sums.sum(axis=0) / rows
        block_means = sums / block_rows
        total = squares.sum(axis=0) - rows * mean**2
        between = (block_rows * (block_means - mean) ** 2).sum(axis=0)
        between_by_chance = (len(moments) - 1) * total / rows
        excess = between - between_by_chance
        share = np.max(excess / np.where(total > 0, total, np.inf))
        if share >= SORTED:
            warnings.warn(
                f"Rows are sorted by the target: {share:.0%} of its variance is between"
                " blocks, and a window holds only some blocks. Use a larger window;"
                f" {CURE}.",
                stacklevel=9,
            )
