"""Layers that threads share: which, and how their parameters are summed and moved.

Where a layer has many more weights than a batch has rows, threads that each take some rows would read all of its
weights and write a gradient for each of them, and much of what one thread writes the other would have to read. So such
a layer's weights are shared instead: a thread has the same ones from step to step, with their gradient, which it finds
from all rows, and their moments. What threads exchange are outputs and their deltas.

It is its inputs that are shared, in quarters, since a quarter's weights lie together, and since of a first layer each
thread then reads its own columns of the data alone; see `by_inputs`. Of larger layers, whose weights are packed, a
thread takes some outputs or inputs, so that what it packs serves all rows; see `joint`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np

from ..jit.record import LINE
from .dense import Way

QUARTERS = 4
"""Into how many shares parameters are cut: as many as a batch has shards at most."""

LEAST_INPUTS, INPUTS_A_ROW = 192, 1.5
"""How many inputs a layer has at least whose inputs are shared, in all and for each row of a batch.

What threads still exchange, outputs and their deltas, has to be little beside the weights and the products with them.
"""

LEAST_OUTPUTS = 32
"""How many outputs a layer has at least whose inputs are shared: for fewer it may not be worth the waiting."""

WORTH_PACKING = 2**25
"""How many products the outputs of a batch have at least for which large weights are worth packing."""

ROWS_AN_INPUT = 4
"""How many rows for each input a batch has at most for which threads share a layer whose weights are packed.

What layers leave of a whole batch is kept, and has to be little beside the weights.
"""

WORTH_SHARING = 1024
"""How many parameters are at least worth summing and moving on several threads."""

LINE_NUMBERS = LINE // 4
"""How many numbers stand in a line at most: those of float32."""


class Sharing(IntEnum):
    """How threads share a dense layer, if they do."""

    NONE = 0
    BY_INPUTS = 1
    JOINT = 2


def sharing_of(inputs: int, outputs: int, rows: int) -> Sharing:
    """Return how threads share a dense layer, for batches of so many rows; those of one row or none share nothing.

    Examples
    --------
    >>> sharing_of(784, 128, rows=1000).name
    'NONE'
    """
    way = Way.of(inputs, outputs)
    if rows < 2 or way not in (Way.BLOCKS, Way.PACKED):
        return Sharing.NONE
    is_wide = outputs >= LEAST_OUTPUTS and inputs >= max(LEAST_INPUTS, INPUTS_A_ROW * rows)
    if is_wide and (way is Way.BLOCKS or inputs * outputs * rows < WORTH_PACKING):
        return Sharing.BY_INPUTS
    return Sharing.JOINT if way is Way.PACKED and rows <= ROWS_AN_INPUT * inputs else Sharing.NONE


def way_of(inputs: int, outputs: int, rows: int) -> Way:
    """Return how a dense layer's products are computed, for batches of so many rows."""
    return Way.BLOCKS if sharing_of(inputs, outputs, rows) is Sharing.BY_INPUTS else Way.of(inputs, outputs)


@dataclass(frozen=True)
class SharedLayer:
    """A dense layer that threads share.

    Parameters
    ----------
    start, inputs, outputs : int
        Where its parameters start, and its sizes.
    """

    start: int
    inputs: int
    outputs: int

    def quarters(self) -> Iterator[tuple[int, int]]:
        """Yield where the parameters of each quarter of the inputs start and end; the bias is that of the last."""
        ends = (self.start + quarter * (self.inputs + 1) // QUARTERS * self.outputs for quarter in range(QUARTERS + 1))
        return pairwise(ends)


def blocks_of(P: int, size: int, layers: Iterable[SharedLayer]) -> np.ndarray:
    """Return the blocks in which P parameters are summed and moved, in rows of four words.

    They are: where it starts and ends, which quarter it is of what it belongs to, and whether its gradient is one
    alone, as that of a layer is that threads share.

    Examples
    --------
    >>> blocks_of(100, 40, [SharedLayer(0, inputs=9, outputs=6)]).tolist()
    [[0, 12, 0, 1], [12, 30, 1, 1], [30, 42, 2, 1], [42, 60, 3, 1], [60, 100, 0, 0]]
    """
    blocks, end = [], 0
    for layer in layers:
        blocks += [(*block, 0) for block in _pieces(_quarters(end, layer.start), size)]
        blocks += [(*block, 1) for block in _pieces(layer.quarters(), size)]
        end = layer.start + (layer.inputs + 1) * layer.outputs
    blocks += [(*block, 0) for block in _pieces(_quarters(end, P), size)]
    return np.array(blocks, np.int64)


def _quarters(low: int, high: int) -> list[tuple[int, int]]:
    """Return the quarters of parameters whose gradients shards have; few are one share."""
    step = high - low
    if step >= WORTH_SHARING:
        step = -(-step // (QUARTERS * LINE_NUMBERS)) * LINE_NUMBERS
    return [(start, min(start + step, high)) for start in range(low, high, step or 1)]


def _pieces(quarters: Iterable[tuple[int, int]], size: int) -> Iterator[tuple[int, int, int]]:
    for number, (low, high) in enumerate(quarters):
        for start in range(low, high, size):
            yield start, min(start + size, high), number
