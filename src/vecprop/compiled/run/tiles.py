"""The loss, gradient and predictions of rows, which one worker computes tile by tile and layer by layer.

A network is a table of numbers, one row for each layer, so that one compilation serves every width, depth and choice of
activation. The workspace of a tile has each layer's output, and behind it what the layer keeps for the backward pass::

      workspace, in features (each of ``tile_rows`` numbers)
      +-----------+---------------+-------+---------------+---------------+-----------------+----
      | to pack   | Dense: O      | ones  | Dropout: I    | ones  | mask  | LayerNorm: I    | ...
      +-----------+---------------+-------+---------------+---------------+-----------------+----
                    ^                                               ^
                    output_at of layer 0                            extra_at of layer 1

A tile holds features x rows, so that all formulas run along contiguous rows, and are vectorized however few features
there are. A small network's tile is padded to whole vectors with copies of its last row, of weight 0. If BLAS computes
the first layer, its rows are read where they lie in the data (``by_rows``), if they are neighbours there.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..gemm.products import gather_address
from ..jit import INNER, ONCE, calls, larger, smaller
from ..jit.addresses import copy, doubles_at, numbers_at, part, record_at, words_at
from ..jit.fit_record import LINE, fields, fit_at
from ..jit.machine_code import address_of
from ..lower.formulas import H_SIZE
from .steps import are_finite

# A layer starts at its parameters in theta. Product, forward and backward are addresses; output_at and extra_at are
# offsets in the workspace, of its output and of what it keeps for the backward pass. A layer that threads split has
# addresses of functions for all shards; see `batches`.
LAYER = np.dtype(
    fields(
        "is_dense inputs outputs start product forward backward output_at extra_at by_rows"
        " split forward_of_all backward_of_all"
    ),
    align=True,
)
"""A row of a network's table: one layer."""

H_BYTES = 8 * H_SIZE
"""The bytes of a layer's hyperparameters, the vector h of `formulas.hyperparameters`."""

_row_at = record_at(LAYER)
_ROW_BYTES = LAYER.itemsize


@njit(**INNER)
def layer_at(c, number):
    """Return a layer's row of the network's table."""
    return _row_at(c.table + _ROW_BYTES * number)


@njit(**ONCE)
def inputs_at(c, number, tile, workspace, size):
    """Return the address of a layer's inputs: the output of the layer before it, or the tile."""
    return workspace + size * layer_at(c, number - 1).output_at if number else tile


@njit(**ONCE)
def forward(c, number, A, S, step, rows, workspace, size):
    """Compute a layer's output over a tile, in the workspace, and return its address. A step of -1 has no noise."""
    layer = layer_at(c, number)
    I, O, Z, extra = layer.inputs, layer.outputs, workspace + size * layer.output_at, workspace + size * layer.extra_at
    operands = I, O, S, c.theta + size * layer.start, A, Z, c.h + H_BYTES * number, extra
    # Rows that have numbers for their noise lie in the record's list of all rows, and the numbers in another.
    calls.forward(
        layer.forward, (*operands, layer.by_rows, layer.product, rows + c.numbers, c.seed, step, np.int64(number))
    )
    return Z


@njit(**ONCE)
def backward(c, number, A, S, step, workspace, delta, before, transposed, gradient, add, size):
    """Store or add a layer's gradient, and turn its delta into the delta of the layer before it.

    A dense layer writes the delta before it into another buffer, or not at all if it is the first.
    """
    layer, start = layer_at(c, number), size * layer_at(c, number).start
    operands = layer.inputs, layer.outputs, S, c.theta + start, A, delta, gradient + start, add
    kept = workspace + size * layer.output_at, c.h + H_BYTES * number, workspace + size * layer.extra_at
    before = before if number else np.int64(0)
    calls.backward(layer.backward, (*operands, *kept, before, transposed, layer.by_rows, layer.product, step))


# Placeholders, filled in by `address_of`: the floating type, and the bytes of an element.
number: Any = float
size = 8

TILE_CONTENTS = LINE
"""The bytes that say what a worker's tile holds: the address of its row numbers, their count, and the scale of weights.

A full batch of few rows has the same contents in each step, and is then not gathered again. Workers write theirs for
each tile, so each has lines of its own.
"""

MIN_GATHERED_FEATURES = 8
"""The least features for which rows are gathered by vectors: squares of fewer would be nearly empty."""


def gather_few(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices]ᵀ, for M indices and few columns; see `calls.gather`."""
    indices, B = words_at(indices, M), numbers_at(B, M * N, number(0))
    for m in range(M):
        row = numbers_at(A + A_m * indices[m], N, number(0))
        for n in range(N):
            B[n * M + m] = row[n]


def gather_rows(M, N, A, A_m, B, B_n, indices):
    """Store B = A[indices], for M indices; see `calls.gather`."""
    indices = words_at(indices, M)
    for m in range(M):
        copy(numbers_at(A + A_m * indices[m], N, number(0)), numbers_at(B + A_m * m, N, number(0)))


@njit(**ONCE)
def _one_hot(classes, rows, O, tile):
    """Write the rows' classes into a tile of one-hot features."""
    S = rows.size
    for i in range(O * S):
        tile[i] = 0
    for s in range(S):
        tile[classes[rows[s]] * S + s] = 1


@njit(**ONCE)
def _store_predictions(c, data, Z, rows, Y):
    """Store the predictions of rows, from the last layer's outputs, in the record's array; Y is a tile to write on."""
    O, S = c.outputs, rows.size
    predictions = numbers_at(c.predictions, data.rows * O, Y)
    calls.link(c.link, (S, O, Z, Y.ctypes.data, c.loss_h))
    for s in range(S):
        for o in range(O):
            predictions[rows[s] * O + o] = Y[o * S + s]


@njit(**INNER)
def _spoil_predictions(c, data, inputs, rows, Y):
    """Let the predictions of rows whose inputs are not finite be NaN, since ReLU may have made numbers of them."""
    I, O, S = c.inputs, c.outputs, rows.size
    predictions = numbers_at(c.predictions, data.rows * O, Y)
    for s in range(S):
        for k in range(I):
            x = inputs[s * I + k] if c.by_rows else inputs[k * S + s]
            if x - x != 0:
                predictions[rows[s] * O : (rows[s] + 1) * O] = np.nan


@njit(**ONCE)
def find_in_data(data, rows, places):
    """Write the row numbers in the data into places: rows count the chosen rows alone."""
    chosen = words_at(data.chosen, data.rows)
    for s in range(rows.size):
        places[s] = chosen[rows[s]] if data.chosen else rows[s]


@njit(**ONCE)
def gather_inputs(c, data, places, first, features, tile, size):
    """Copy the inputs of rows into a tile at an address, scaled, or compute them there; of sparse rows, where they lie.

    They are features from the first on: not all of them if the tile lies by features.
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
    """Copy the targets of rows into a tile of features x rows."""
    O, S, size = c.outputs, places.size, targets.itemsize
    if data.classes:
        _one_hot(words_at(data.classes, data.data_rows), places, O, targets)
    else:
        calls.gather(data.gather_targets, (S, O, data.t, O * size, targets.ctypes.data, S * size, places.ctypes.data))


@njit(**ONCE)
def gather_weights(data, places, count, scale, weights):
    """Write the weights of the first rows, times a scale, into weights; the other rows are padding, of weight 0."""
    weight = numbers_at(data.weight, data.data_rows, weights)
    for s in range(places.size):
        own = weight[places[s]] if data.weight else 1
        weights[s] = weights.dtype.type(scale) * own if s < count else 0


@njit(**ONCE)
def loss_of_tile(c, S, rows, Z, targets, weights, delta, losses):
    """Return the weighted loss of a tile's first rows, without its padding, and store the delta of all S rows."""
    addresses = targets, weights.ctypes.data, delta, losses.ctypes.data
    calls.loss(c.loss, (S, c.outputs, Z, *addresses, c.loss_h))
    total = 0.0
    for s in range(rows):
        total += np.float64(weights[s] * losses[s])
    return total


def gradient_of_rows(context, worker, is_validation, rows_address, n, scale, step, gradient):
    """Return Σ scale weight ℓ over n rows, and store its gradient at an address, unless that is 0."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    data = c.validation if is_validation else c.training
    I, O = c.inputs, c.outputs
    # A worker's own part of each memory.
    tile = c.tile + worker * size * c.tile_features * most
    targets = numbers_at(c.targets + worker * size * O * most, O * most, zero)
    weights = numbers_at(c.row_weights + worker * size * most, most, zero)
    losses = numbers_at(c.row_losses + worker * size * most, most, zero)
    workspace, delta_bytes = c.workspace + worker * size * c.workspace_size, size * c.delta_size
    deltas, transposed = c.deltas + 2 * worker * delta_bytes, c.transposed + worker * delta_bytes
    all_rows, all_places = words_at(rows_address, n), words_at(c.tile_places + 8 * worker * most, most)
    # Rows are neighbours if their numbers are a part of the record's list of all rows.
    in_order = c.all_rows <= rows_address < c.all_rows + 8 * larger(c.training.rows, c.validation.rows)
    stays = in_order and c.by_rows and not (data.chosen or data.scaler or data.expander)  # and is read there
    multiple, contents = c.row_multiple, words_at(c.tile_contents + TILE_CONTENTS * worker, 2)
    scale_of_contents = doubles_at(c.tile_contents + TILE_CONTENTS * worker + 16, 1)
    total, start = 0.0, 0
    while start < n:
        rows = part(all_rows, start, smaller(start + most, n))
        S = rows.size
        if not is_validation and multiple < S:  # a power of two, since a division takes as long as a small layer
            S = (S + multiple - 1) & -multiple
        places, inputs, fill = part(all_places, np.int64(0), S), tile, True
        if stays:
            inputs = data.x + size * I * rows[0]
        else:
            # The tile is filled unless it has these very rows from the step before. Validation always fills it, and
            # leaves it marked as unknown, since its rows have the same numbers as those of training.
            same = contents[0] == rows.ctypes.data and contents[1] == rows.size and scale_of_contents[0] == scale
            fill = is_validation or not same
            contents[0], contents[1] = rows.ctypes.data if in_order and not is_validation else 0, rows.size
            scale_of_contents[0] = scale
        if fill:
            find_in_data(data, rows, places)
            for s in range(rows.size, S):  # padding
                places[s] = places[rows.size - 1]
            gather_targets(c, data, places, targets)
            gather_weights(data, places, rows.size, scale, weights)
            if not stays:
                gather_inputs(c, data, places, np.int64(0), I, tile, size)
        A = inputs
        for layer in range(c.layers):
            A = forward(c, layer, A, S, step, rows.ctypes.data, workspace, size)
        if is_validation and c.link:  # for a score, or to be kept
            _store_predictions(c, data, A, rows, numbers_at(deltas, c.delta_size, zero))
        total += loss_of_tile(c, S, rows.size, A, targets.ctypes.data, weights, deltas, losses)
        delta, before, add = deltas, deltas + delta_bytes, smaller(start, 1)  # the first tile stores the gradient
        for layer in range(c.layers - 1 if gradient else -1, -1, -1):
            A = inputs_at(c, layer, inputs, workspace, size)
            backward(c, layer, A, S, step, workspace, delta, before, transposed, gradient, add, size)
            if layer_at(c, layer).is_dense:
                delta, before = before, delta
        start += most
    return total


def predict_rows(context, rows_address, n):
    """Store the predictions of n rows in the record's array of them."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    I, O = c.inputs, c.outputs
    tile, Y = numbers_at(c.tile, c.tile_features * most, zero), numbers_at(c.targets, O * most, zero)
    all_rows = words_at(rows_address, n)
    for start in range(0, n, most):
        # The last tile has two rows at least: the products of one sum in another order, and its prediction would then
        # depend, in its last bits, on how many rows come before it.
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
    """Return the address of what gathers rows with this number of features; see `calls.gather`."""
    if by_rows:
        return address_of(gather_rows, F)
    return gather_address(F) if features >= MIN_GATHERED_FEATURES else address_of(gather_few, F)


@cache
def gradient_address(F: type) -> int:
    """Return the address of `gradient_of_rows` for numbers of type F."""
    words = [types.intp] * 5, [types.intp] * 2
    return address_of(gradient_of_rows, F, signature=types.float64(*words[0], types.float64, *words[1]))


@cache
def predict_address(F: type) -> int:
    """Return the address of `predict_rows` for numbers of type F."""
    return address_of(predict_rows, F)
