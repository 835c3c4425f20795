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
from ..jit.fit_record import LINE, fields
from ..jit.machine_code import address_of, addresses_of
from ..jit.tracing import (
    WORD,
    branch,
    compiled_range,
    if_else,
    if_then,
    larger,
    of_numbers,
    smaller,
    where,
)
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


tile_of = of_numbers(lambda fit, worker: fit.tile + worker * fit.tile_size)
"""Return the address of the inputs of a worker or a shard."""

workspace_of = of_numbers(
    lambda fit, worker: fit.workspace + worker * fit.workspace_size
)
"""Return the address of a worker's or a shard's workspace, where a worker packs
matrices.
"""

delta_of = of_numbers(
    lambda fit, worker, which: fit.deltas + (worker * 2 + which) * fit.delta_size
)
"""Return the address of one of the two deltas of a worker or a shard."""

transposed_of = of_numbers(lambda fit, worker: fit.transposed + worker * fit.delta_size)
"""Return the address where a worker may transpose a delta."""


@of_numbers
def inputs_at(fit, number, worker, tile):
    """Return the address of the inputs of the layer with this number: the preceding layer's output, or the tile."""
    preceding = layer_at(fit.table, where(number > 0, number - 1, 0))
    output = workspace_of(fit, worker) + preceding.output_at
    return where(number > 0, output, tile)


@of_numbers
def forward(fit, number, worker, tile, S, step, rows):
    """Compute the output of a layer for the S rows of a tile, and return its address in the worker's workspace.

    `number` is the index of the layer, and `rows` the address of the rows' indices.
    There is no noise if step is -1.
    """
    layer = layer_at(fit.table, number)
    workspace = workspace_of(fit, worker)
    Z = workspace + layer.output_at
    calls.forward(
        layer.forward,
        layer.inputs,
        layer.outputs,
        S,
        fit.theta + layer.start,
        A=inputs_at(fit, number, worker, tile),
        Z=Z,
        h=fit.h + H_BYTES * number,
        extra=workspace + layer.extra_at,
        by_rows=layer.by_rows,
        product=layer.product,
        # the address of the rows' global indices, which determine the noise
        numbers=rows + fit.numbers,
        seed=fit.seed,
        step=step,
        layer=number,
    )
    return Z


@of_numbers
def backward(fit, number, worker, transposed, tile, S, step, current, gradient, add):
    """Store or add a layer's gradient, and compute the delta of the preceding layer.

    `number` is the index of the layer. A worker has two buffers for deltas. A dense layer reads its delta from buffer
    `current` (0 or 1) and writes the preceding layer's delta to the other buffer. Other
    layers change the delta in place. The first layer has no preceding one. Return the
    index of the buffer with the preceding layer's delta.
    """
    layer = layer_at(fit.table, number)
    workspace = workspace_of(fit, worker)
    preceding_delta = delta_of(fit, worker, 1 - current)
    calls.backward(
        layer.backward,
        layer.inputs,
        layer.outputs,
        S,
        fit.theta + layer.start,
        A=inputs_at(fit, number, worker, tile),
        delta=delta_of(fit, worker, current),
        J=gradient + layer.start,
        add=add,
        Z=workspace + layer.output_at,
        h=fit.h + H_BYTES * number,
        extra=workspace + layer.extra_at,
        before=where(number > 0, preceding_delta, 0),
        transposed=transposed,
        by_rows=layer.by_rows,
        product=layer.product,
        step=step,
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
    B = numbers_at(B, M * N, number)
    for m in range(M):
        row = numbers_at(A + A_m * indices[m], N, number)
        for n in range(N):
            B[n * M + m] = row[n]


def gather_rows(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices] for M indices; see `calls.gather`."""
    indices = words_at(indices, M)
    for m in range(M):
        copy_bytes(A + A_m * indices[m], B + A_m * m, A_m)


@inlined
def _store_predictions(fit, data, Z, rows, Y):
    """Compute the predictions of rows from the last layer's outputs, and store them; Y is scratch memory."""
    O, S = fit.outputs, rows.size
    predictions = numbers_at(fit.predictions, data.rows * O, Y)
    calls.link(fit.link, O, O, S, 0, Z, Y.ctypes.data, fit.loss_h)
    for s in range(S):
        for o in range(O):
            predictions[rows[s] * O + o] = Y[o * S + s]


@inner
def _spoil_predictions(fit, data, inputs, rows, Y):
    """Set the predictions of rows with nonfinite inputs to NaN, because ReLU may have turned NaN into a number."""
    I, O, S = fit.inputs, fit.outputs, rows.size
    predictions = numbers_at(fit.predictions, data.rows * O, Y)
    for s in range(S):
        for k in range(I):
            x = inputs[s * I + k] if fit.by_rows else inputs[k * S + s]
            if x - x != 0:
                predictions[rows[s] * O : (rows[s] + 1) * O] = np.nan


def store_predictions(fit, Z, rows, n, Y):
    """Compute and store the predictions of n validation rows; see `calls.store`."""
    _store_predictions(
        fit,
        fit.validation,
        Z,
        words_at(rows, n),
        numbers_at(Y, fit.outputs * n, number),
    )


def _loaded(array, index, kind, default):
    """Return a number of an array, or another number if there is no array."""
    return branch(array > 0, lambda: array.load(index, kind), lambda: default)


@of_numbers
def find_rows(data, rows, n, scale, indices, S, weights, zero) -> None:
    """Write the index in the data and the scaled weight of each row of a tile.

    A tile has S >= n rows: n rows, and copies of the last row with weight 0. `zero` is
    a number of the fit's floating-point type.
    """
    factor = scale if zero.kind == scale.kind else scale.cast(zero.kind, "fptrunc")
    chosen = data.chosen
    weight = data.weight
    last = n - 1
    for s in compiled_range(S):
        row = rows.load(where(s < n, s, last))
        index = _loaded(chosen, row, WORD, row)
        row_weight = factor * _loaded(weight, index, zero.kind, factor.constant(1))
        indices.store(s, index)
        weights.store(s, where(s < n, row_weight, 0.0))


@of_numbers
def gather_inputs(fit, data, indices, S, first, features, tile, size) -> None:
    """Copy inputs of S rows to a tile and scale them, or compute them from the data.

    The inputs are those with index ``first`` to ``first + features - 1``. If they are a
    part of all inputs, the tile has features x rows. For sparse rows, the tile receives
    references to the data.
    """
    target = tile + first * S * size
    with if_else(data.expander > 0) as (computes, copies):
        with computes:
            calls.expand(
                data.expander,
                data.x,
                data.row_bytes,
                indices,
                S,
                data.kept,
                data.kept_count,
                data.edges,
                first,
                features,
                fit.by_rows,
                target,
            )
        with copies:
            calls.gather(
                fit.gather,
                S,
                features,
                A=data.x + first * size,
                A_m=fit.inputs * size,
                B=target,
                B_n=S * size,
                indices=indices,
            )
    with if_then(data.scaler > 0):
        calls.scale(
            data.scaler, first, features, S, fit.by_rows, data.shift, data.scale, target
        )


@of_numbers
def gather_targets(fit, data, indices, S, targets, size, zero) -> None:
    """Copy the targets of S rows to a tile, (O, S); classes are one-hot encoded."""
    with if_else(data.classes > 0) as (encodes, copies):
        with encodes:
            for i in compiled_range(fit.outputs * S):
                targets.store(i, zero)
            for s in compiled_range(S):
                row_class = data.classes.load(indices.load(s))
                targets.store(row_class * S + s, zero.constant(1))
        with copies:
            calls.gather(
                data.gather_targets,
                S,
                fit.outputs,
                A=data.t,
                A_m=fit.outputs * size,
                B=targets,
                B_n=S * size,
                indices=indices,
            )


def _in_order(fit, rows):
    """Return whether rows are consecutive: their indices are a slice of the list of all rows."""
    distance = rows - fit.all_rows
    training = fit.training.rows
    validation = fit.validation.rows
    list_bytes = where(validation > training, validation, training) * 8
    return (distance > -1) & (distance < list_bytes)


@of_numbers
def _reads_data(fit, data, rows) -> bool:
    """Return whether inputs are read from the data, without a tile."""
    return (
        _in_order(fit, rows)
        & (fit.by_rows > 0)
        & (data.chosen | data.scaler | data.expander).equals(0)
    )


@of_numbers
def _must_fill(fit, worker, is_validation, rows, n, scale) -> bool:
    """Return whether a worker's tile has to be filled, and describe its new contents for the next call.

    The description of a tile has three words: the address of the rows' indices, the
    number of rows, and the scale of their weights. If they are the same as in the
    previous step, the tile still holds these rows. The address is 0 if the contents are
    unknown: rows that are shuffled change at the same address, and validation rows have
    the same addresses as training rows.
    """
    contents = fit.tile_contents + worker * TILE_CONTENTS
    is_training = is_validation.equals(0)
    has_same_contents = (
        contents.load(0).equals(rows)
        & contents.load(1).equals(n)
        & contents.load(2, scale.kind).equals(scale)
    )
    contents.store(0, where(_in_order(fit, rows) & is_training, rows, 0))
    contents.store(1, n)
    contents.store(2, scale)
    return (has_same_contents & is_training).equals(0)


@of_numbers
def _padded(is_validation, multiple, n):
    """Return the size of a tile of n rows. The multiple is a power of two, to avoid a slow division."""
    return where(
        is_validation > 0,
        n,
        where(multiple < n, (n + multiple - 1) & (0 - multiple), n),
    )


def gradient_of_rows(
    fit, worker, is_validation, rows_address, n, scale: float, step, gradient
) -> float:
    """Return Σ scale weight ℓ over n rows, and store its gradient at an address, unless the address is 0."""
    zero = number(0)
    most = fit.tile_rows
    data = fit.validation if is_validation else fit.training
    # The worker's parts of the memory.
    tile = tile_of(fit, worker)
    deltas = delta_of(fit, worker, 0)
    transposed = transposed_of(fit, worker)
    first = worker * size * most
    targets = fit.targets + first * fit.outputs
    weights = fit.row_weights + first
    losses = fit.row_losses + first
    indices = fit.tile_places + 8 * worker * most
    stays = _reads_data(fit, data, rows_address)
    total = 0.0
    start = 0
    while start < n:
        rows = rows_address + 8 * start
        count = smaller(most, n - start)
        S = _padded(is_validation, fit.row_multiple, count)
        inputs, fill = tile, True
        if stays:
            inputs = data.x + words_at(rows, 1)[0] * size * fit.inputs
        else:
            fill = _must_fill(fit, worker, is_validation, rows, count, scale)
        if fill:
            find_rows(data, rows, count, scale, indices, S, weights, zero)
            gather_targets(fit, data, indices, S, targets, size, zero)
            if not stays:
                gather_inputs(fit, data, indices, S, 0, fit.inputs, tile, size)
        Z = inputs
        for layer in range(fit.layers):
            Z = forward(fit, layer, worker, inputs, S, step, rows)
        if is_validation and fit.store:  # needed for a score or for the history
            calls.store(fit.store, fit, Z, rows, S, deltas)
        total += calls.loss(
            fit.loss,
            S,
            fit.outputs,
            count,
            Z,
            targets,
            weights,
            deltas,
            losses,
            fit.loss_h,
        )
        current = 0
        layer = fit.layers if gradient else 0
        while layer > 0:
            layer -= 1  # the first tile stores the gradient
            add = smaller(start, 1)
            current = backward(
                fit, layer, worker, transposed, inputs, S, step, current, gradient, add
            )
        start += most
    return total


def predict_rows(fit, rows_address, n):
    """Compute and store the predictions of n rows."""
    data = fit.training
    tile = fit.tile
    I = fit.inputs
    worker = 0
    without_noise = -1
    Y = numbers_at(fit.targets, fit.outputs * fit.tile_rows, number)
    for start in range(0, n, fit.tile_rows):
        # The last tile has at least two rows. Products of one row are summed in a
        # different order, so the bits of a prediction would depend on the number of
        # rows before it.
        first = start if start + 1 < n else larger(n - 2, 0)
        S = smaller(start + fit.tile_rows, n) - first
        rows = rows_address + 8 * first
        indices = words_at(rows, S)
        gather_inputs(fit, data, rows, S, 0, I, tile, size)
        Z = tile
        for layer in range(fit.layers):
            Z = forward(fit, layer, worker, tile, S, without_noise, rows)
        _store_predictions(fit, data, Z, indices, Y)
        inputs = numbers_at(tile, I * S, Y)
        if not are_finite(inputs):
            _spoil_predictions(fit, data, inputs, indices, Y)


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
