"""The loss, gradient and predictions of rows, computed by one worker, tile by tile and layer by layer.

A network is encoded as a table with one row per layer, so that the kernels are compiled once for all widths, depths and
activations. The workspace of a tile holds the output of each layer, followed by its values for the backward pass::

      workspace, in features (each of ``tile_rows`` numbers)
      +-----------+---------------+-------+---------------+---------------+-----------------+----
      | packing   | Dense: O      | ones  | Dropout: I    | ones  | mask  | LayerNorm: I    | ...
      +-----------+---------------+-------+---------------+---------------+-----------------+----
                    ^                                               ^
                    output_at of layer 0                            extra_at of layer 1

A tile holds features x rows, so that all formulas run along contiguous rows and are vectorized even for few features.
Tiles of small networks are padded to whole vectors with copies of the last row, with weight 0. If BLAS computes the
first layer, consecutive rows are read directly from the data (``by_rows``).
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..gemm.products import gather_address
from ..jit import INNER, ONCE, calls, larger, smaller
from ..jit.addresses import copy_bytes, doubles_at, numbers_at, part, records_at, words_at
from ..jit.fit_record import LINE, fields, fit_at
from ..jit.machine_code import address_of, addresses_of
from ..lower.formulas import H_SIZE
from .steps import are_finite

# start: the offset of the parameters in theta. product, forward, backward: addresses. output_at, extra_at: offsets in
# the workspace of the output and of values for the backward pass. forward_of_all, backward_of_all: functions for all
# shards, if threads split the layer; see `batches`.
LAYER = np.dtype(
    fields(
        "is_dense inputs outputs start product forward backward output_at extra_at by_rows"
        " split forward_of_all backward_of_all"
    ),
    align=True,
)
"""A row of a network's table: one layer."""

H_BYTES = 8 * H_SIZE
"""The bytes of a layer's vector h of hyperparameters, see `formulas.hyperparameters`."""

layer_at = records_at(LAYER)
"""Return a layer's row in the network's table."""


@njit(**ONCE)
def inputs_at(c, number, tile, workspace, size):
    """Return the address of a layer's inputs: the output of the preceding layer, or the tile."""
    return workspace + size * layer_at(c.table, number - 1).output_at if number else tile


@njit(**ONCE)
def forward(c, number, A, S, step, rows, workspace, size):
    """Compute a layer's output for a tile in the workspace, and return its address. There is no noise if step is -1."""
    layer = layer_at(c.table, number)
    Z, extra = workspace + size * layer.output_at, workspace + size * layer.extra_at
    operands = layer.inputs, layer.outputs, S, c.theta + size * layer.start, A, Z, c.h + H_BYTES * number, extra
    # c.numbers is the offset from the list of all rows to the global row indices that determine the noise.
    calls.forward(
        layer.forward, (*operands, layer.by_rows, layer.product, rows + c.numbers, c.seed, step, np.int64(number))
    )
    return Z


@njit(**ONCE)
def backward(c, number, A, S, step, workspace, delta, before, transposed, gradient, add, size):
    """Store or add a layer's gradient, and compute the delta of the preceding layer.

    A dense layer writes the preceding layer's delta to another buffer; the first layer does not compute one.
    """
    layer = layer_at(c.table, number)
    start = size * layer.start
    operands = layer.inputs, layer.outputs, S, c.theta + start, A, delta, gradient + start, add
    kept = workspace + size * layer.output_at, c.h + H_BYTES * number, workspace + size * layer.extra_at
    before = before if number else np.int64(0)
    calls.backward(layer.backward, (*operands, *kept, before, transposed, layer.by_rows, layer.product, step))


# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an element.
number: Any = float
size = 8

TILE_CONTENTS = LINE
"""The size of the description of a worker's tile: the address of its row indices, their count, and the weight scale.

A small full batch has the same contents in each step and does not need to be gathered again. Each worker has separate
cache lines, because it writes a description for each tile.
"""

MIN_GATHERED_FEATURES = 8
"""The minimum number of features for gathering rows by vectors; blocks with fewer features would be nearly empty."""


def gather_few(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices]ᵀ for M indices and few columns; see `calls.gather`."""
    indices, B = words_at(indices, M), numbers_at(B, M * N, number(0))
    for m in range(M):
        row = numbers_at(A + A_m * indices[m], N, number(0))
        for n in range(N):
            B[n * M + m] = row[n]


def gather_rows(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices] for M indices; see `calls.gather`."""
    indices = words_at(indices, M)
    for m in range(M):
        copy_bytes(A + A_m * indices[m], B + A_m * m, A_m)


@njit(**ONCE)
def _one_hot(classes, rows, O, tile):
    """Write the classes of the rows to a tile, one-hot encoded."""
    S = rows.size
    for i in range(O * S):
        tile[i] = 0
    for s in range(S):
        tile[classes[rows[s]] * S + s] = 1


@njit(**ONCE)
def _store_predictions(c, data, Z, rows, Y):
    """Compute the predictions of rows from the last layer's outputs, and store them; Y is scratch memory."""
    O, S = c.outputs, rows.size
    predictions = numbers_at(c.predictions, data.rows * O, Y)
    calls.link(c.link, (S, O, Z, Y.ctypes.data, c.loss_h))
    for s in range(S):
        for o in range(O):
            predictions[rows[s] * O + o] = Y[o * S + s]


@njit(**INNER)
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
    _store_predictions(c, c.validation, Z, words_at(rows, n), numbers_at(Y, c.outputs * n, number(0)))


@njit(**ONCE)
def find_rows(data, rows, scale, places, weights):
    """Write the position of each row in the data and its scaled weight; padding repeats the last row with weight 0."""
    chosen, weight = words_at(data.chosen, data.rows), numbers_at(data.weight, data.data_rows, weights)
    count, factor = rows.size, weights.dtype.type(scale)
    for s in range(places.size):
        place = rows[smaller(s, count - 1)]
        if data.chosen:
            place = chosen[place]
        places[s], weights[s] = place, 0
        if s < count:
            weights[s] = factor * weight[place] if data.weight else factor


@njit(**ONCE)
def gather_inputs(c, data, places, first, features, tile, size):
    """Copy the inputs of rows to a tile and scale them, or compute the inputs; sparse rows are stored as references.

    ``features`` inputs are gathered, starting at ``first``; a part of the inputs requires a tile of features x rows.
    """
    S, numbers, to = places.size, places.ctypes.data, tile + first * places.size * size
    if data.expander:
        kept = data.kept, data.kept_count, data.edges
        calls.expand(data.expander, (data.x, data.row_bytes, numbers, S, *kept, first, features, c.by_rows, to))
    else:
        calls.gather(c.gather, (S, features, data.x + first * size, c.inputs * size, to, S * size, numbers))
    if data.scaler:
        calls.scale(data.scaler, (first, features, S, c.by_rows, data.shift, data.scale, to))


@njit(**ONCE)
def gather_targets(c, data, places, targets):
    """Copy the targets of rows to a tile of features x rows."""
    O, S, size = c.outputs, places.size, targets.itemsize
    if data.classes:
        _one_hot(words_at(data.classes, data.data_rows), places, O, targets)
    else:
        calls.gather(data.gather_targets, (S, O, data.t, O * size, targets.ctypes.data, S * size, places.ctypes.data))


@njit(**ONCE)
def loss_of_tile(c, S, rows, Z, targets, weights, delta, losses):
    """Return the weighted loss of a tile's rows without padding, and store the delta of all S rows."""
    addresses = targets, weights.ctypes.data, delta, losses.ctypes.data
    calls.loss(c.loss, (S, c.outputs, Z, *addresses, c.loss_h))
    total = 0.0
    for s in range(rows):
        total += np.float64(weights[s] * losses[s])
    return total


def gradient_of_rows(context, worker, is_validation, rows_address, n, scale, step, gradient):
    """Return Σ scale weight ℓ over n rows, and store its gradient at an address, unless the address is 0."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    data = c.validation if is_validation else c.training
    I, O = c.inputs, c.outputs
    # The worker's parts of the memory.
    tile = c.tile + worker * size * c.tile_features * most
    targets = numbers_at(c.targets + worker * size * O * most, O * most, zero)
    weights = numbers_at(c.row_weights + worker * size * most, most, zero)
    losses = numbers_at(c.row_losses + worker * size * most, most, zero)
    workspace, delta_bytes = c.workspace + worker * size * c.workspace_size, size * c.delta_size
    deltas, transposed = c.deltas + 2 * worker * delta_bytes, c.transposed + worker * delta_bytes
    all_rows, all_places = words_at(rows_address, n), words_at(c.tile_places + 8 * worker * most, most)
    # Rows are consecutive if their indices are a slice of the list of all rows.
    distance = rows_address - c.all_rows
    in_order = (distance >= 0) & (distance < 8 * larger(c.training.rows, c.validation.rows))
    stays = in_order & (c.by_rows != 0) & ((data.chosen | data.scaler | data.expander) == 0)  # read from the data
    known = in_order & (is_validation == 0)
    multiple, contents = c.row_multiple, words_at(c.tile_contents + TILE_CONTENTS * worker, 2)
    scale_of_contents = doubles_at(c.tile_contents + TILE_CONTENTS * worker + 16, 1)
    total, start = 0.0, 0
    while start < n:
        rows = part(all_rows, start, smaller(start + most, n))
        S = rows.size
        if not is_validation and multiple < S:  # a power of two, to avoid a slow division
            S = (S + multiple - 1) & -multiple
        places, inputs = part(all_places, np.int64(0), S), tile
        fill, contents_here = True, rows.ctypes.data
        if stays:
            inputs = data.x + size * I * rows[0]
        else:
            # Skip filling the tile if it still holds these rows from the previous step. Validation always fills the
            # tile and marks the contents as unknown, since validation rows have the same indices as training rows.
            same = (contents[0] == contents_here) & (contents[1] == rows.size) & (scale_of_contents[0] == scale)
            fill = (is_validation != 0) | (not same)
            contents[0], contents[1] = contents_here * np.int64(known), rows.size
            scale_of_contents[0] = scale
        if fill:
            find_rows(data, rows, scale, places, weights)
            gather_targets(c, data, places, targets)
            if not stays:
                gather_inputs(c, data, places, np.int64(0), I, tile, size)
        A = inputs
        for layer in range(c.layers):
            A = forward(c, layer, A, S, step, rows.ctypes.data, workspace, size)
        if is_validation and c.store:  # needed for a score or for the history
            calls.store(c.store, (context, A, rows.ctypes.data, S, deltas))
        total += loss_of_tile(c, S, rows.size, A, targets.ctypes.data, weights, deltas, losses)
        delta, before, add = deltas, deltas + delta_bytes, smaller(start, 1)  # the first tile stores the gradient
        layer = c.layers if gradient else 0
        while layer > 0:
            layer -= 1
            A = inputs_at(c, layer, inputs, workspace, size)
            backward(c, layer, A, S, step, workspace, delta, before, transposed, gradient, add, size)
            if layer_at(c.table, layer).is_dense:
                delta, before = before, delta
        start += most
    return total


def predict_rows(context, rows_address, n):
    """Compute and store the predictions of n rows."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    I, O = c.inputs, c.outputs
    tile, Y = numbers_at(c.tile, c.tile_features * most, zero), numbers_at(c.targets, O * most, zero)
    all_rows = words_at(rows_address, n)
    for start in range(0, n, most):
        # The last tile has at least two rows. Products of one row are summed in a different order, so the bits of a
        # prediction would depend on the number of rows before it.
        first = start if start + 1 < n else larger(n - 2, 0)
        rows = part(all_rows, first, smaller(start + most, n))
        gather_inputs(c, c.training, rows, np.int64(0), I, tile.ctypes.data, size)
        A = tile.ctypes.data
        for layer in range(c.layers):
            A = forward(c, layer, A, rows.size, np.int64(-1), rows.ctypes.data, c.workspace, size)
        _store_predictions(c, c.training, A, rows, Y)
        if not are_finite(part(tile, np.int64(0), I * rows.size)):
            _spoil_predictions(c, c.training, tile, rows, Y)


@cache
def gather_of(features: int, F: type, by_rows: bool = False) -> int:
    """Return the address of a function that gathers rows with this number of features; see `calls.gather`."""
    if by_rows:
        return address_of(gather_rows, F)
    return gather_address(F) if features >= MIN_GATHERED_FEATURES else address_of(gather_few, F)


store_address = addresses_of(store_predictions)


gradient_address = addresses_of(gradient_of_rows, types.float64(*[types.intp] * 5, types.float64, *[types.intp] * 2))


predict_address = addresses_of(predict_rows)
