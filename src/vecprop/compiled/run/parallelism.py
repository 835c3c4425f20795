"""Division of work: threads share the rows (data parallelism) or the weights of a layer (model parallelism).

By default, each thread computes several shards of the rows with all weights. If a layer
has many more weights than a batch has rows, threads split its weights instead: each
thread handles the same weights in every step, with their gradient and moments, and
threads exchange only outputs and deltas. Split layers are divided into four quarters of
their inputs. The parameters between split layers are also divided into quarters. The
division, and therefore the bits, do not depend on the number of workers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np

from ..jit import calls, inlined, inner
from ..jit.addresses import numbers_at, put_ones
from ..jit.fit_record import LINE
from ..jit.machine_code import addresses_of
from ..jit.tracing import of_numbers
from .dense import Algorithm
from .steps import BLOCK

QUARTERS = 4
"""The number of shares of the parameters, and the maximum number of shards;
additional threads would be idle.
"""

MIN_INPUTS, MIN_INPUTS_PER_ROW = 192, 1.5
"""The minimum number of inputs of a layer that is split by inputs, in total and per row
of a batch.

Threads exchange outputs and deltas for each row, which must be small compared with the
weights and their products.
"""

MIN_OUTPUTS = 32
"""The minimum number of outputs of a layer that is split by inputs; smaller products
do not justify barriers.
"""

MIN_PACKED_PRODUCTS = 2**25
"""The minimum of inputs x outputs x rows for which packing large weights pays off;
below it, split by inputs.
"""

MAX_ROWS_PER_INPUT = 4
"""The maximum number of rows of a batch, per input, for which a packed layer is split.

The outputs of a whole batch are stored, and must be small compared with the weights.
"""

MIN_DIVIDED = 1024
"""The minimum number of parameters that are divided into quarters; fewer do not
justify several threads.
"""

LINE_NUMBERS = LINE // 4
"""The number of float32 values in `LINE` bytes. Shares start at multiples of this,
so they share no cache line.
"""


class WeightSplit(IntEnum):
    """The way in which threads split the weights of a dense layer; see `batches`."""

    NONE = 0
    INPUTS = 1
    RESULTS = 2
    COLUMNS = 3


def split_of(
    inputs: int, outputs: int, rows: int, is_sparse: bool = False
) -> WeightSplit:
    """Return how threads split a dense layer, for batches of this number of dense or sparse rows."""
    if is_sparse:
        return WeightSplit.COLUMNS if rows else WeightSplit.NONE
    algorithm = Algorithm.of(inputs, outputs)
    if rows < 2 or algorithm not in (Algorithm.BLOCKS, Algorithm.PACKED):
        return WeightSplit.NONE
    has_many_inputs = inputs >= max(MIN_INPUTS, MIN_INPUTS_PER_ROW * rows)
    packing_pays = (
        algorithm is Algorithm.PACKED and inputs * outputs * rows >= MIN_PACKED_PRODUCTS
    )
    if has_many_inputs and outputs >= MIN_OUTPUTS and not packing_pays:
        return WeightSplit.INPUTS
    if algorithm is Algorithm.PACKED and rows <= MAX_ROWS_PER_INPUT * inputs:
        return WeightSplit.RESULTS
    return WeightSplit.NONE


def algorithm_of(
    inputs: int, outputs: int, rows: int, is_sparse: bool = False
) -> Algorithm:
    """Return the algorithm of a dense layer, for batches of this number of dense or sparse rows."""
    if is_sparse:
        return Algorithm.SPARSE
    by_inputs = split_of(inputs, outputs, rows) is WeightSplit.INPUTS
    return Algorithm.BLOCKS if by_inputs else Algorithm.of(inputs, outputs)


@dataclass(frozen=True)
class SplitLayer:
    """A dense layer whose weights are split between threads."""

    start: int
    inputs: int
    outputs: int

    def quarters(self) -> Iterator[tuple[int, int]]:
        """Yield the start and end of the parameters of each quarter of the inputs; the last includes the biases."""
        ends = (
            self.start + quarter * (self.inputs + 1) // QUARTERS * self.outputs
            for quarter in range(QUARTERS + 1)
        )
        return pairwise(ends)


def blocks_of(P: int, layers: Iterable[SplitLayer], size: int = BLOCK) -> np.ndarray:
    """Divide P parameters into blocks, which are summed and updated together; return four words per block.

    The words of a block are its start and end in theta, the index of its quarter, and a
    flag, which is 1 for blocks of split layers, because these have a single gradient.
    """
    blocks = []
    end_of_layer = 0
    for layer in layers:
        between_layers = _quarters(end_of_layer, layer.start)
        blocks += _pieces(between_layers, size, is_single=False)
        blocks += _pieces(layer.quarters(), size, is_single=True)
        end_of_layer = layer.start + (layer.inputs + 1) * layer.outputs
    blocks += _pieces(_quarters(end_of_layer, P), size, is_single=False)
    return np.array(blocks, np.int64)


def with_whole(blocks: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """Return the blocks, divided or joined so that each span of parameters is a single block."""
    divided = []
    for low, high, quarter, is_single in blocks.tolist():
        start = low
        for first, end in spans:
            if first >= high or end <= start:
                continue
            if start < first:
                divided.append((start, first, quarter, is_single))
            if low <= first:
                divided.append((first, end, quarter, is_single))
            start = min(end, high)
        if start < high:
            divided.append((start, high, quarter, is_single))
    return np.array(divided, np.int64)


def _quarters(low: int, high: int) -> list[tuple[int, int]]:
    """Return the quarters of the parameters between split layers; few parameters form a single share."""
    count = high - low
    step = count
    if count >= MIN_DIVIDED:
        lines = -(-count // (QUARTERS * LINE_NUMBERS))
        step = lines * LINE_NUMBERS
    return [(start, min(start + step, high)) for start in range(low, high, step or 1)]


def _pieces(
    quarters: Iterable[tuple[int, int]], size: int, is_single: bool
) -> Iterator[tuple[int, int, int, bool]]:
    """Divide quarters into blocks of at most ``size`` parameters; yield the four words of each block."""
    for number, (low, high) in enumerate(quarters):
        for start in range(low, high, size):
            yield start, min(start + size, high), number, is_single


first_quarter = of_numbers(
    lambda worker, workers: (worker * QUARTERS + workers - 1) // workers
)


@inlined
def quarters_of(worker, workers):
    """Return the index of a worker's first quarter, and of the next worker's first quarter."""
    return first_quarter(worker, workers), first_quarter(worker + 1, workers)


inputs_of = of_numbers(lambda quarter, I: quarter * (I + 1) // QUARTERS)
"""Return the first input of a quarter. The additional feature, which is always 1,
belongs to the last quarter.
"""


@inner
def multiply_quarter(product, quarter, I, O, S, p, A, products, size):
    """Store [W; b]ᵀ [A; 1] of a quarter's inputs, (O, S), in the quarter's part of ``products``.

    The rows of [W; b] (I + 1, O) and of [A; 1] (I + 1, S) are the inputs.
    """
    low = inputs_of(quarter, I)
    high = inputs_of(quarter + 1, I)
    calls.product(
        product,
        O,
        S,
        high - low,
        A=p + low * O * size,
        A_m=size,
        A_k=O * size,
        B=A + low * S * size,
        B_k=S * size,
        C=products + quarter * O * S * size,
        C_m=S * size,
        add=0,
    )


@inner
def sum_quarters(products, Z):
    """Store the sum of the quarters' products in Z, in a fixed order."""
    n = Z.size
    for i in range(n):
        Z[i] = (products[i] + products[n + i]) + (
            products[2 * n + i] + products[3 * n + i]
        )


# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8


def _by_quarters(I, O, S, p, A, Z, h, workspace, by_rows, product):
    """Compute Z = [W; b]ᵀ [A; 1], summed in the order of `batches`, so that the bits are the same."""
    put_ones(A + I * S * size, S, number(1))
    for quarter in range(QUARTERS):
        multiply_quarter(product, quarter, I, O, S, p, A, workspace, size)
    sum_quarters(
        numbers_at(workspace, QUARTERS * O * S, number),
        numbers_at(Z, O * S, number),
    )


quarters_address = addresses_of(_by_quarters)
