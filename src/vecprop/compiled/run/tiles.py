"""The loss, gradient and predictions of rows, computed by one worker, tile by tile and layer by layer.

A network is encoded as a table with one row per layer, so that the kernels are compiled
once for all widths, depths and activations. The workspace of a tile holds the output of
each layer, followed by its values for the backward pass::

      workspace, in features (each of ``tile_rows`` numbers)
      +-----------+---------------+-------+---------------+---------------+-----------------+----
      | packing   | Dense: O      | ones  | Dropout: I    | ones  | mask  | LayerNorm: I    | ...
      +-----------+---------------+-------+---------------+---------------+-----------------+----
                    ^                                               ^
                    output_at of layer 0                            extra_at of layer 1

A tile holds features x rows, so that all formulas run along contiguous rows and are
vectorized even for few features. Tiles of small networks are padded to whole vectors
with copies of the last row, with weight 0. If BLAS computes the first layer,
consecutive rows are read directly from the data (``by_rows``).
"""

from functools import cache
from typing import Any

import numpy as np

from ..gemm.products import gather_address
from ..jit import calls, inlined, inner
from ..jit.addresses import copy_bytes, numbers_at, records_at, words_at
from ..jit.fit_record import LINE, fields, fit_at
from ..jit.machine_code import address_of, addresses_of
from ..jit.tracing import WORD, branch, each, larger, of_numbers, smaller, where
from ..lower.formulas import H_SIZE
from .steps import are_finite

# start: the offset of the parameters in theta, in bytes. product, forward, backward:
# addresses. output_at, extra_at: offsets in the workspace, in bytes, of the output and
# of values for the backward pass. forward_of_all, backward_of_all: functions for all shards, if threads
# split the layer; see `batches`.
LAYER = np.dtype(
    fields(
        "is_dense inputs outputs start product forward backward output_at extra_at"
        " by_rows split forward_of_all backward_of_all"
    ),
    align=True,
)
"""A row of a network's table: one layer."""

H_BYTES = 8 * H_SIZE
"""The bytes of a layer's vector h of hyperparameters, see
`formulas.hyperparameters`.
"""

layer_at = records_at(LAYER)
"""Return a layer's row in the network's table."""


tile_of = of_numbers(lambda c, worker: c.tile + worker * c.tile_size)
"""Return the address of the inputs of a worker or a shard."""

workspace_of = of_numbers(lambda c, worker: c.workspace + worker * c.workspace_size)
"""Return the address of a worker's or a shard's workspace, where a worker packs
matrices.
"""

delta_of = of_numbers(
    lambda c, worker, which: c.deltas + (worker * 2 + which) * c.delta_size
)
"""Return the address of one of the two deltas of a worker or a shard."""

transposed_of = of_numbers(lambda c, worker: c.transposed + worker * c.delta_size)
"""Return the address where a worker may transpose a delta."""


@of_numbers
def inputs_at(c, number, worker, tile):
    """Return the address of a layer's inputs: the output of the preceding layer, or the tile."""
    preceding = layer_at.formula(c.table, where(number > 0, number - 1, 0))
    output = workspace_of.formula(c, worker) + preceding.output_at
    return where(number > 0, output, tile)


@of_numbers
def forward(c, number, worker, tile, S, step, rows):
    """Compute a layer's output in the workspace of a worker or a shard, and return its address.

    There is no noise if step is -1.
    """
    layer = layer_at.formula(c.table, number)
    workspace = workspace_of.formula(c, worker)
    Z = workspace + layer.output_at
    # c.numbers is the offset from the list of all rows to the global row indices that
    # determine the noise.
    calls.forward.formula(
        layer.forward,
        (
            layer.inputs,
            layer.outputs,
            S,
            c.theta + layer.start,
            inputs_at.formula(c, number, worker, tile),
            Z,
            c.h + H_BYTES * number,
            workspace + layer.extra_at,
            layer.by_rows,
            layer.product,
            rows + c.numbers,
            c.seed,
            step,
            number,
        ),
    )
    return Z


@of_numbers
def backward(c, number, worker, transposed, tile, S, step, current, gradient, add):
    """Store or add a layer's gradient, and compute the delta of the preceding layer; return the index of its buffer.

    A dense layer reads the current delta of a worker or a shard and writes the
    preceding layer's delta to the other buffer; the first layer does not compute one.
    """
    layer = layer_at.formula(c.table, number)
    workspace = workspace_of.formula(c, worker)
    before = delta_of.formula(c, worker, 1 - current)
    calls.backward.formula(
        layer.backward,
        (
            layer.inputs,
            layer.outputs,
            S,
            c.theta + layer.start,
            inputs_at.formula(c, number, worker, tile),
            delta_of.formula(c, worker, current),
            gradient + layer.start,
            add,
            workspace + layer.output_at,
            c.h + H_BYTES * number,
            workspace + layer.extra_at,
            where(number > 0, before, 0),
            transposed,
            layer.by_rows,
            layer.product,
            step,
        ),
    )
    return where(layer.is_dense > 0, 1 - current, current)


# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8

TILE_CONTENTS = LINE
"""The size of the description of a worker's tile: the address of its row indices, their
count, and the weight scale.

A small full batch has the same contents in each step and does not need to be gathered
again. Each worker has separate cache lines, because it writes a description for each
tile.
"""

MIN_GATHERED_FEATURES = 8
"""The minimum number of features for gathering rows by vectors; blocks with fewer
features would be nearly empty.
"""


def gather_few(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices]ᵀ for M indices and few columns; see `calls.gather`."""
    indices = words_at(indices, M)
    B = numbers_at(B, M * N, number(0))
    for m in range(M):
        row = numbers_at(A + A_m * indices[m], N, number(0))
        for n in range(N):
            B[n * M + m] = row[n]


def gather_rows(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices] for M indices; see `calls.gather`."""
    indices = words_at(indices, M)
    for m in range(M):
        copy_bytes(A + A_m * indices[m], B + A_m * m, A_m)


@inlined
def _store_predictions(c, data, Z, rows, Y):
    """Compute the predictions of rows from the last layer's outputs, and store them; Y is scratch memory."""
    O, S = c.outputs, rows.size
    predictions = numbers_at(c.predictions, data.rows * O, Y)
    calls.link(c.link, (O, O, S, 0, Z, Y.ctypes.data, c.loss_h))
    for s in range(S):
        for o in range(O):
            predictions[rows[s] * O + o] = Y[o * S + s]


@inner
def _spoil_predictions(c, data, inputs, rows, Y):
    """Set the predictions of rows with nonfinite inputs to NaN, because ReLU may have turned NaN into a number."""
    I, O, S = c.inputs, c.outputs, rows.size
    predictions = numbers_at(c.predictions, data.rows * O, Y)
    for s in range(S):
        for k in range(I):
            x = inputs[s * I + k] if c.by_rows else inputs[k * S + s]
            if x - x != 0:
                predictions[rows[s] * O : (rows[s] + 1) * O] = np.nan


def store_predictions(context, Z, rows, n, Y):
    """Compute and store the predictions of n validation rows; see `calls.store`."""
    c = fit_at(context)
    _store_predictions(
        c, c.validation, Z, words_at(rows, n), numbers_at(Y, c.outputs * n, number(0))
    )


def _loaded(array, index, kind, default):
    """Return a number of an array, or another number if there is no array."""
    return branch(array > 0, lambda: array.load(index, kind), lambda: default)


@of_numbers
def find_rows(data, rows, n, scale, indices, S, weights, zero) -> None:
    """Write the position of each row in the data and its scaled weight; padding repeats the last row with weight 0."""
    factor = scale if zero.kind == scale.kind else scale.cast(zero.kind, "fptrunc")
    chosen = data.chosen
    weight = data.weight
    last = n - 1
    for s in each(S):
        row = rows.load(where(s < n, s, last))
        index = _loaded(chosen, row, WORD, row)
        row_weight = factor * _loaded(weight, index, zero.kind, factor.of(1))
        indices.store(s, index)
        weights.store(s, where(s < n, row_weight, 0.0))


@of_numbers
def gather_inputs(c, data, indices, S, first, features, tile, size) -> None:
    """Copy the inputs of rows to a tile and scale them, or compute the inputs; sparse rows are stored as references.

    ``features`` inputs are gathered, starting at ``first``; a part of the inputs
    requires a tile of features x rows.
    """
    to = tile + first * S * size
    if_else = tile.builder.if_else
    if_then = tile.builder.if_then
    with if_else((data.expander > 0).value) as (expands, gathers):
        with expands:
            calls.expand.formula(
                data.expander,
                (
                    data.x,
                    data.row_bytes,
                    indices,
                    S,
                    data.kept,
                    data.kept_count,
                    data.edges,
                    first,
                    features,
                    c.by_rows,
                    to,
                ),
            )
        with gathers:
            calls.gather.formula(
                c.gather,
                (
                    S,
                    features,
                    data.x + first * size,
                    c.inputs * size,
                    to,
                    S * size,
                    indices,
                ),
            )
    with if_then((data.scaler > 0).value):
        calls.scale.formula(
            data.scaler, (first, features, S, c.by_rows, data.shift, data.scale, to)
        )


@of_numbers
def gather_targets(c, data, indices, S, targets, size, zero) -> None:
    """Copy the targets of rows to a tile of features x rows; classes are one-hot encoded."""
    with targets.builder.if_else((data.classes > 0).value) as (encodes, gathers):
        with encodes:
            for i in each(c.outputs * S):
                targets.store(i, zero)
            for s in each(S):
                targets.store(data.classes.load(indices.load(s)) * S + s, zero.of(1))
        with gathers:
            row = c.outputs * size
            calls.gather.formula(
                data.gather_targets,
                (S, c.outputs, data.t, row, targets, S * size, indices),
            )


def _in_order(c, rows):
    """Return whether rows are consecutive: their indices are a slice of the list of all rows."""
    distance = rows - c.all_rows
    training = c.training.rows
    validation = c.validation.rows
    return (distance > -1) & (
        distance < where(validation > training, validation, training) * 8
    )


@of_numbers
def _reads_data(c, data, rows) -> bool:
    """Return whether inputs are read from the data, without a tile."""
    return (
        _in_order(c, rows)
        & (c.by_rows > 0)
        & (data.chosen | data.scaler | data.expander).equals(0)
    )


_first_inputs = of_numbers(
    lambda data, rows, row_bytes: data.x + rows.load(0) * row_bytes
)


@of_numbers
def _must_fill(c, worker, is_validation, rows, n, scale) -> bool:
    """Describe a worker's tile, and return whether it has to be filled.

    It is skipped if it still holds these rows from the previous step. Validation always
    fills the tile and marks the contents as unknown, since validation rows have the
    same indices as training rows.
    """
    contents = c.tile_contents + worker * TILE_CONTENTS
    trains = is_validation.equals(0)
    same = (
        contents.load(0).equals(rows)
        & contents.load(1).equals(n)
        & contents.load(2, scale.kind).equals(scale)
    )
    contents.store(0, where(_in_order(c, rows) & trains, rows, 0))
    contents.store(1, n)
    contents.store(2, scale)
    return (same & trains).equals(0)


@of_numbers
def _padded(is_validation, multiple, n):
    """Return the size of a tile of n rows. The multiple is a power of two, to avoid a slow division."""
    return where(
        is_validation > 0,
        n,
        where(multiple < n, (n + multiple - 1) & (0 - multiple), n),
    )


def gradient_of_rows(
    context, worker, is_validation, rows_address, n, scale: float, step, gradient
) -> float:
    """Return Σ scale weight ℓ over n rows, and store its gradient at an address, unless the address is 0."""
    c = fit_at(context)
    zero = number(0)
    none = np.int64(0)
    most = c.tile_rows
    first = worker * size * c.tile_rows
    data = c.validation if is_validation else c.training
    # The worker's parts of the memory.
    tile = tile_of(c, worker)
    deltas = delta_of(c, worker, none)
    transposed = transposed_of(c, worker)
    targets = c.targets + first * c.outputs
    weights = c.row_weights + first
    losses = c.row_losses + first
    indices = c.tile_places + 8 * worker * most
    stays = _reads_data(c, data, rows_address)
    total, start = 0.0, none
    while start < n:
        rows = rows_address + 8 * start
        count = smaller(most, n - start)
        S = _padded(is_validation, c.row_multiple, count)
        inputs, fill = tile, True
        if stays:
            inputs = _first_inputs(data, rows, size * c.inputs)
        else:
            fill = _must_fill(c, worker, is_validation, rows, count, scale)
        if fill:
            find_rows(data, rows, count, scale, indices, S, weights, zero)
            gather_targets(c, data, indices, S, targets, size, zero)
            if not stays:
                gather_inputs(c, data, indices, S, none, c.inputs, tile, size)
        Z = inputs
        for layer in range(c.layers):
            Z = forward(c, layer, worker, inputs, S, step, rows)
        if is_validation and c.store:  # needed for a score or for the history
            calls.store(c.store, (context, Z, rows, S, deltas))
        total += calls.loss(
            c.loss, (S, c.outputs, count, Z, targets, weights, deltas, losses, c.loss_h)
        )
        current = none
        layer = c.layers if gradient else none
        while layer > 0:
            layer -= 1  # the first tile stores the gradient
            add = smaller(start, 1)
            current = backward(
                c, layer, worker, transposed, inputs, S, step, current, gradient, add
            )
        start += most
    return total


def predict_rows(context, rows_address, n):
    """Compute and store the predictions of n rows."""
    c = fit_at(context)
    zero = number(0)
    most = c.tile_rows
    I = c.inputs
    Y = numbers_at(c.targets, c.outputs * c.tile_rows, zero)
    for start in range(0, n, most):
        # The last tile has at least two rows. Products of one row are summed in a
        # different order, so the bits of a prediction would depend on the number of
        # rows before it.
        first = start if start + 1 < n else larger(n - 2, 0)
        rows = rows_address + 8 * first
        S = smaller(start + most, n) - first
        gather_inputs(c, c.training, rows, S, np.int64(0), I, c.tile, size)
        Z = c.tile
        for layer in range(c.layers):
            Z = forward(c, layer, np.int64(0), c.tile, S, np.int64(-1), rows)
        tile = numbers_at(c.tile, I * S, zero)
        _store_predictions(c, c.training, Z, words_at(rows, S), Y)
        if not are_finite(tile):
            _spoil_predictions(c, c.training, tile, words_at(rows, S), Y)


@cache
def gather_of(features: int, F: type, by_rows: bool = False) -> int:
    """Return the address of a function that gathers rows with this number of features; see `calls.gather`."""
    if by_rows:
        return address_of(gather_rows, F)
    return (
        gather_address(F)
        if features >= MIN_GATHERED_FEATURES
        else address_of(gather_few, F)
    )


store_address = addresses_of(store_predictions)


gradient_address = addresses_of(gradient_of_rows)


predict_address = addresses_of(predict_rows)
