"""Wide layers that threads share: when, and how their parameters lie while the kernels run.

Where a layer has many more weights than a batch has rows, threads that each take some rows would read all of its
weights and write a gradient for each of them, and much of what one thread writes the other would have to read. So such
a layer's outputs are cut into parts instead, and a part's weights, gradient and moments belong to one thread. It finds
the gradient from all rows, so that there is but one.

Weights by rows of W would have the parts in turns, 128 bytes of one and then of the next, and a processor that fetches
ahead would take them from the other all the time. So each part lies by itself, as a layer of few outputs would.

Of larger layers, whose weights are packed, a thread takes some outputs or inputs for all rows, so that what it packs
serves them all. Their parameters lie as they did.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from .context import LINE
from .dense import LARGE, Way

MOST_PARTS = 4
"""Into how many parts a layer is cut at most: as many as a batch has shards."""

LEAST_OUTPUTS = 32
"""How many outputs a part has at least: products of fewer lose speed."""

LEAST_INPUTS, INPUTS_A_ROW = 256, 2
"""How many inputs a layer that is cut has at least, in all and for each row of a batch.

What threads still exchange, outputs and their deltas, has to be little beside the weights and the products with them.
"""

ROWS_AN_INPUT = 4
"""How many rows for each input a batch has at most for which threads share a layer without cutting it.

What layers leave of a whole batch is kept, and has to be little beside the weights.
"""

WORTH_SHARING = 1024
"""How many parameters are at least worth summing and moving on several threads."""

LINE_NUMBERS = LINE // 4
"""How many numbers stand in a line at most: those of float32."""


def part_of(inputs: int, outputs: int, rows: int) -> int:
    """Return how many outputs a part of a dense layer has, for batches of so many rows: all, where it is not cut.

    Examples
    --------
    >>> part_of(784, 128, rows=128), part_of(784, 128, rows=1000), part_of(784, 10, rows=128)
    (32, 128, 10)
    """
    parts = min(MOST_PARTS, outputs // LEAST_OUTPUTS)
    if parts < 2 or inputs < max(LEAST_INPUTS, INPUTS_A_ROW * rows):
        return outputs
    part = -(-outputs // (1 << parts.bit_length() - 1))
    return part if inputs * part < LARGE else outputs  # what is that large loses more by moving it than it gains


def is_joint(inputs: int, outputs: int, rows: int) -> bool:
    """Return whether threads share a dense layer, for batches of so many rows, without cutting it.

    Examples
    --------
    >>> is_joint(784, 128, rows=128), is_joint(1024, 1024, rows=8192)
    (False, False)
    """
    packed = Way.of(inputs, outputs) is Way.PACKED
    return packed and 1 < rows <= ROWS_AN_INPUT * inputs and part_of(inputs, outputs, rows) == outputs


@dataclass(frozen=True)
class Joint:
    """A dense layer of which threads take some outputs or inputs for all rows; its parameters lie as they did.

    Parameters
    ----------
    start, inputs, outputs : int
        Where its parameters start, and its sizes.
    """

    start: int
    inputs: int
    outputs: int

    @property
    def workers(self) -> int:
        """How many threads have a share in it at most."""
        return MOST_PARTS

    def spans(self) -> list[tuple[int, int]]:
        """Return where its parameters start and end."""
        return [(self.start, self.start + (self.inputs + 1) * self.outputs)]


@dataclass(frozen=True)
class Parts:
    """A dense layer whose outputs are cut into parts.

    Parameters
    ----------
    start, inputs, outputs : int
        Where its parameters start, and its sizes.
    part : int
        How many outputs a part has; the last may have fewer.
    """

    start: int
    inputs: int
    outputs: int
    part: int

    @property
    def workers(self) -> int:
        """How many threads have a share in it at most."""
        return len(self.spans())

    def spans(self) -> list[tuple[int, int]]:
        """Return where each part's parameters start and end: [W; b] of its outputs, by rows."""
        height, ends = self.inputs + 1, [*range(self.part, self.outputs, self.part), self.outputs]
        return list(pairwise(self.start + height * end for end in (0, *ends)))

    def weight_spans(self) -> list[tuple[int, int]]:
        """Return where each part's weights start and end, without its biases, which come last."""
        return [(low, high - (high - low) // (self.inputs + 1)) for low, high in self.spans()]

    def part_by_part(self, vectors: np.ndarray) -> None:
        """Have each part's parameters lie by themselves, in vectors (..., P) in which they lie row by row."""
        own, shape = self._own(vectors), (*vectors.shape[:-1], self.inputs + 1, self.outputs)
        by_rows = own.copy().reshape(shape)
        for first, (low, high) in enumerate(self.spans()):
            some = by_rows[..., first * self.part : (first + 1) * self.part]
            vectors[..., low:high] = some.reshape(*vectors.shape[:-1], high - low)

    def row_by_row(self, vectors: np.ndarray) -> None:
        """Undo `part_by_part`."""
        height, own = self.inputs + 1, self._own(vectors)
        by_rows = np.empty((*vectors.shape[:-1], height, self.outputs), vectors.dtype)
        for first, (low, high) in enumerate(self.spans()):
            some = vectors[..., low:high].reshape(*vectors.shape[:-1], height, (high - low) // height)
            by_rows[..., first * self.part : (first + 1) * self.part] = some
        own[...] = by_rows.reshape(own.shape)

    def _own(self, vectors: np.ndarray) -> np.ndarray:
        return vectors[..., self.start : self.start + (self.inputs + 1) * self.outputs]


@contextmanager
def part_by_part(layers: Sequence[Parts], vectors: Sequence[np.ndarray]) -> Iterator[None]:
    """Have these layers' parameters lie part by part, in vectors (..., P), while the block runs."""
    for layer, vector in product(layers, vectors):
        layer.part_by_part(vector)
    try:
        yield
    finally:
        for layer, vector in product(layers, vectors):
            layer.row_by_row(vector)


def blocks_of(P: int, size: int, layers: Iterable[Parts | Joint]) -> np.ndarray:
    """Return the blocks in which P parameters are summed and moved, in rows of four words.

    They are: where it starts and ends, whose it is, a number that workers share out, and whether its gradient is one
    alone, as that of a layer is that threads share.

    Examples
    --------
    >>> blocks_of(100, 40, [Parts(0, inputs=9, outputs=6, part=4)]).tolist()
    [[0, 40, 0, 1], [40, 60, 1, 1], [60, 100, 2, 0]]
    """
    blocks, end = [], 0
    for layer in layers:
        blocks += _quarters(end, layer.start, size, len(blocks))
        for part, (low, high) in enumerate(layer.spans()):
            pieces = enumerate(_pieces(low, high, size), start=len(blocks))
            blocks += [(*piece, part if isinstance(layer, Parts) else number, 1) for number, piece in pieces]
            end = high
    blocks += _quarters(end, P, size, len(blocks))
    return np.array(blocks, np.int64)


def _quarters(low: int, high: int, size: int, number: int) -> list[tuple[int, int, int, int]]:
    """Return the blocks of parameters whose gradients shards have; few are one block, with the number that is given.

    Quarters are numbered so that two workers each have a half that lies together: what another worker writes is dear to
    read, and the processor reads ahead.
    """
    if high - low < WORTH_SHARING:
        return [(*piece, number, 0) for piece in _pieces(low, high, size)]
    step = -(-(high - low) // (4 * LINE_NUMBERS)) * LINE_NUMBERS
    quarters = zip((0, 2, 1, 3), _pieces(low, high, step), strict=False)
    return [(*piece, number, 0) for number, quarter in quarters for piece in _pieces(*quarter, size)]


def _pieces(low: int, high: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, high)) for start in range(low, high, size)]
