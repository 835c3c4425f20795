"""Blocks as a network takes them: checked as they are read, with errors that name the block."""

import reprlib
import warnings
from dataclasses import replace

import numpy as np

from ..core.inputs import Batch
from ..core.network import Network
from .blocks import Blocks, place_of
from .windows import Windows

SAMPLE = 16
"""The number of blocks, in their random order, that tell whether rows lie sorted."""

SORTED = 0.25
"""The least share of the variance of targets between blocks from which they are called sorted."""

CURE = "copy_blocks(source, folder, shuffle=0) writes them once in a random order"


class CheckedBlocks:
    """Reads blocks as checked batches, and looks whether rows lie sorted by their targets."""

    def __init__(self, network: Network, theta: np.ndarray, blocks: Blocks) -> None:
        self.network, self.theta, self.blocks = network, theta, blocks
        for name in ("sizes", "inputs", "read"):
            if not hasattr(blocks, name):
                given = repr(blocks) if isinstance(blocks, str | type) else f"a {type(blocks).__name__}"
                raise TypeError(f"blocks is {given}, which has no {name}: give one such as ArrayBlocks(X, T).")
        self.sizes = np.asarray(blocks.sizes)
        if self.sizes.ndim != 1 or not self.sizes.size or self.sizes.dtype.kind not in "iu" or self.sizes.min() < 1:
            raise ValueError(
                f"The sizes of blocks are {reprlib.repr(blocks.sizes)}, but they are a sequence of whole numbers, "
                "each at least 1."
            )
        if blocks.inputs != network.inputs:
            raise ValueError(f"Blocks have {blocks.inputs} inputs, but the network takes {network.inputs}.")
        self.rows = int(self.sizes.sum())
        self.like: Batch | None = None
        self.moments: dict[int, np.ndarray] | None = {}  # of the targets of each block

    def read(self, number: int) -> list[Batch]:
        """Return a block, or an error that names it."""
        place = place_of(self.blocks, number)
        read = self.blocks.read(number)
        try:
            X, T, *weights = read
        except (TypeError, ValueError):
            raise TypeError(
                f"In {place}: read({number}) has returned a {type(read).__name__}, but inputs and targets are needed, "
                "and weights if there are any."
            ) from None
        try:
            if np.ndim(X) != 2 or len(X) != self.sizes[number] or len(weights) > 1:
                raise ValueError(
                    f"it has inputs of shape {np.shape(X)} and {1 + len(weights)} more arrays, but "
                    f"({self.sizes[number]}, {self.network.inputs}), targets and perhaps weights are needed."
                )
            weight = weights[0] if weights else None
            none = weight is not None and not np.any(weight)  # a block may have no weight, unlike all rows
            for name, values in (("X", X), ("T", T)):
                if np.asarray(values).dtype.kind == "c":
                    raise TypeError(f"{name} has dtype {np.asarray(values).dtype}, but training takes real numbers.")
            batch = self.network.batch(self.theta, X, T, None if none else weight)
            if none:
                batch = replace(batch, weight=np.zeros(len(X), self.theta.dtype))
            like = self.like = self.like or batch
            if (like.of_classes, like.weight is None) != (batch.of_classes, batch.weight is None):
                raise ValueError("its targets or weights are of another kind than those of the blocks before.")
        except (TypeError, ValueError) as error:
            raise type(error)(f"In {place}: {error}") from None
        moments = self.moments  # which the thread that trains may set to None meanwhile
        if moments is not None and number not in moments:
            moments[number] = self._moments(batch)
        return [batch]

    def _moments(self, batch: Batch) -> np.ndarray:
        """Return the number of rows, the sums of their targets and of the squares, (3, O)."""
        T = np.bincount(batch.T, minlength=self.network.outputs) if batch.of_classes else batch.T.astype(float)
        sums = (T, T) if batch.of_classes else (T.sum(axis=0), (T**2).sum(axis=0))
        return np.stack([np.full(self.network.outputs, float(batch.rows)), *sums])

    def warn_if_sorted(self, windows: Windows) -> None:
        """Warn once if targets differ more between the blocks that are read than rows at random do."""
        if self.moments is None or len(self.moments) < min(SAMPLE, len(self.sizes)):
            return
        moments, self.moments = np.stack(list(self.moments.values())), None
        if not windows.shuffle or windows.window >= self.rows:
            return
        n, sums, squares = moments.transpose(1, 0, 2)
        N, mean = n.sum(axis=0), sums.sum(axis=0) / n.sum(axis=0)
        whole = squares.sum(axis=0) - N * mean**2
        between = (n * (sums / n - mean) ** 2).sum(axis=0) - (len(n) - 1) * whole / N  # what chance alone explains
        share = np.max(between / np.where(whole > 0, whole, np.inf))
        if share >= SORTED:
            warnings.warn(
                f"Rows lie sorted by the target: {share:.0%} of its variance is between blocks, and a window has only "
                f"some of them. Give a larger window; {CURE}.",
                stacklevel=4,
            )
