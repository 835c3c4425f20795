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

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..gemm.products import gather_address
from ..jit import INNER, ONCE, calls
from ..jit.addresses import copy, doubles_at, numbers_at, part, put_ones, record_at, words_at
from ..jit.fit_record import LINE, fields, fit_at
from ..jit.machine_code import address_of
from ..lower.formulas import H_SIZE
from .dense import find_sparse_rows
from .parallelism import QUARTERS, WeightSplit, multiply_quarter, sum_quarters
from .steps import are_finite

# A layer starts at its parameters in theta. Product, forward and backward are addresses; output_at and extra_at are
# offsets in the workspace, of its output and of what it keeps beside it.
LAYER = np.dtype(fields("type inputs outputs start product forward backward output_at extra_at split"), align=True)
"""A row of a network's table: one layer."""

H_BYTES = 8 * H_SIZE
"""The bytes of a layer's hyperparameters, the vector h of `formulas.hyperparameters`."""

_row_at = record_at(LAYER)
_ROW_BYTES = LAYER.itemsize


class LayerType(IntEnum):
    """The types of layers."""

    DENSE = 0
    ACTIVATION = 1
    DROPOUT = 2
    LAYER_NORM = 3


@njit(**INNER)
def layer_at(c, number):
    """Return a layer's row of the network's table."""
    return _row_at(c.table + _ROW_BYTES * number)


@njit(**INNER)
def inputs_at(c, number, tile, workspace):
    """Return the address of a layer's inputs: the output of the layer before it, or the tile.

    The inputs of the layer after the last are the network's outputs.
    """
    if number == 0:
        return tile.ctypes.data
    return workspace.ctypes.data + workspace.itemsize * layer_at(c, number - 1).output_at


@njit(**ONCE)
def forward(c, number, tile, S, noisy, step, rows, workspace):
    """Compute a layer's output over a tile, in the workspace. Dropout drops only if ``noisy``."""
    layer, A = layer_at(c, number), inputs_at(c, number, tile, workspace)
    h, I, type = c.h + H_BYTES * number, layer.inputs, layer.type
    at, extra = layer.output_at, workspace.ctypes.data + workspace.itemsize * layer.extra_at
    out = part(workspace, at, at + layer.outputs * S)
    if type == LayerType.DENSE:
        O, p = layer.outputs, c.theta + tile.itemsize * layer.start
        by_rows = c.by_rows if number == 0 else 0
        if layer.split == WeightSplit.INPUTS:  # the order of sums is that of `batches`, so the bits are too
            put_ones(A + I * S * tile.itemsize, S, tile)
            for quarter in range(QUARTERS):
                multiply_quarter(layer.product, quarter, (I, O, S), p, A, extra, tile.itemsize)
            sum_quarters(part(workspace, layer.extra_at, workspace.size), out)
        else:
            calls.dense(layer.forward, (I, O, S, p, A, out.ctypes.data, by_rows, layer.product, extra))
    elif type == LayerType.ACTIVATION:
        calls.map(layer.forward, (I * S, A, out.ctypes.data, h))
    elif type == LayerType.LAYER_NORM:
        p = c.theta + tile.itemsize * layer.start
        calls.norm(layer.forward, (I, S, p, A, extra, out.ctypes.data, h))
    elif noisy:
        mask, seed = extra, c.seed
        # Rows that have numbers of their own lie in the record's list of all rows.
        numbers = rows.ctypes.data + (c.numbers - c.all_rows if c.numbers else np.int64(0))
        calls.drop(layer.forward, (I, S, A, out.ctypes.data, mask, numbers, h, seed, step, number))
    else:
        copy(numbers_at(A, I * S, tile), out)


@njit(**ONCE)
def backward(c, number, tile, S, noisy, workspace, delta, before, transposed, gradient, add):
    """Store or add a layer's gradient, and turn its delta into the delta of the layer before it.

    A dense layer writes the delta before it into another buffer, or not at all if it is the first.
    """
    layer, A = layer_at(c, number), inputs_at(c, number, tile, workspace)
    h, I, O, type = c.h + H_BYTES * number, layer.inputs, layer.outputs, layer.type
    extra = part(workspace, layer.extra_at, workspace.size)
    if type == LayerType.DENSE:
        start = tile.itemsize * layer.start
        by_rows, before_at = (0, before.ctypes.data) if number else (c.by_rows, 0)
        operands = c.theta + start, A, delta.ctypes.data, gradient + start, add, before_at, transposed
        calls.dense_back(layer.backward, (I, O, S, *operands, by_rows, layer.product, extra.ctypes.data))
    elif type == LayerType.ACTIVATION:
        out = workspace.ctypes.data + workspace.itemsize * layer.output_at
        calls.derivative(layer.backward, (O * S, A, out, delta.ctypes.data, h))
    elif type == LayerType.LAYER_NORM:
        start = tile.itemsize * layer.start
        calls.norm_back(
            layer.backward, (I, S, c.theta + start, extra.ctypes.data, delta.ctypes.data, gradient + start, add)
        )
    elif noisy:
        for i in range(I * S):
            delta[i] *= extra[i]


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


@njit(**INNER)
def _gather(gather, X, I, rows, by_rows, tile):
    """Copy rows of X into a tile of features x rows, or of rows x features if ``by_rows``."""
    S, size = rows.size, X.itemsize
    if by_rows:
        for s in range(S):
            copy(part(X, rows[s] * I, (rows[s] + 1) * I), part(tile, s * I, (s + 1) * I))
    elif I >= MIN_GATHERED_FEATURES:
        calls.gather(gather, (S, I, X.ctypes.data, I * size, tile.ctypes.data, S * size, rows.ctypes.data))
    else:
        for s in range(S):
            for k in range(I):
                tile[k * S + s] = X[rows[s] * I + k]


@njit(**ONCE)
def _one_hot(classes, rows, O, tile):
    """Write the rows' classes into a tile of one-hot features."""
    S = rows.size
    for i in range(O * S):
        tile[i] = 0
    for s in range(S):
        tile[classes[rows[s]] * S + s] = 1


@njit(**ONCE)
def _store_predictions(c, data, workspace, rows, Y):
    """Store the predictions of rows in the record's array of them; Y is a tile to write on."""
    O, S, Z = c.outputs, rows.size, inputs_at(c, c.layers, workspace, workspace)
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
def scale_inputs(data, first, features, rows, by_rows, tile):
    """Scale a tile's inputs, of features from the first on, if the data are to be scaled."""
    if data.scaler:
        calls.scale(data.scaler, (first, features, rows, by_rows, data.shift, data.scale, tile.ctypes.data))


@njit(**ONCE)
def expand_inputs(data, places, first, features, by_rows, tile):
    """Compute or convert the inputs of rows, of features from the first on, from what X has of them."""
    kept = data.x, data.row_bytes, places.ctypes.data, places.size, data.kept, data.kept_count, data.edges
    calls.expand(data.expander, (*kept, first, features, by_rows, tile.ctypes.data))


@njit(**ONCE)
def gather_inputs(c, data, places, tile):
    """Copy the inputs of rows into a tile, scaled, or compute them there; of sparse rows, where they lie."""
    if data.starts:
        find_sparse_rows(data, places, tile)
        return
    if data.expander:
        expand_inputs(data, places, np.int64(0), c.inputs, c.by_rows, tile)
    else:
        X = numbers_at(data.x, data.data_rows * c.inputs, tile)
        _gather(c.gather, X, c.inputs, places, c.by_rows, tile)
    scale_inputs(data, 0, c.inputs, places.size, c.by_rows, tile)


@njit(**ONCE)
def gather_targets(c, data, places, targets):
    """Copy the targets of rows into a tile of features x rows."""
    N, O = data.data_rows, c.outputs
    if data.classes:
        _one_hot(words_at(data.classes, N), places, O, targets)
    else:
        _gather(c.gather, numbers_at(data.t, N * O, targets), O, places, np.int64(0), targets)


@njit(**ONCE)
def gather_weights(data, places, scale, weights):
    """Write the weights of rows, times a scale, into weights."""
    weight = numbers_at(data.weight, data.data_rows, weights)
    for s in range(places.size):
        weights[s] = weights.dtype.type(scale) * (weight[places[s]] if data.weight else 1)


@njit(**ONCE)
def loss_of_tile(c, S, rows, workspace, targets, weights, delta, losses):
    """Return the weighted loss of a tile's first rows, without its padding, and store the delta of all S rows."""
    Z = inputs_at(c, c.layers, workspace, workspace)
    addresses = targets.ctypes.data, weights.ctypes.data, delta.ctypes.data, losses.ctypes.data
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
    twice = 2 * c.delta_size
    # A worker's own part of each memory.
    tile_size = c.tile_features * most
    tile = numbers_at(c.tile + worker * size * tile_size, tile_size, zero)
    targets = numbers_at(c.targets + worker * size * O * most, O * most, zero)
    weights = numbers_at(c.row_weights + worker * size * most, most, zero)
    losses = numbers_at(c.row_losses + worker * size * most, most, zero)
    workspace = numbers_at(c.workspace + worker * size * c.workspace_size, c.workspace_size, zero)
    deltas = numbers_at(c.deltas + worker * size * twice, twice, zero)
    transposed = c.transposed + worker * size * c.delta_size
    all_rows, all_places = words_at(rows_address, n), words_at(c.tile_places + 8 * worker * most, most)
    # Rows are neighbours if their numbers are a part of the record's list of all rows.
    in_order = c.all_rows <= rows_address < c.all_rows + 8 * max(c.training.rows, c.validation.rows)
    multiple, contents = c.row_multiple, words_at(c.tile_contents + TILE_CONTENTS * worker, 2)
    scale_of_contents = doubles_at(c.tile_contents + TILE_CONTENTS * worker + 16, 1)
    total, start = 0.0, 0
    while start < n:
        rows = part(all_rows, start, min(start + most, n))
        S = rows.size
        if not is_validation and multiple < S:  # a power of two, since a division takes as long as a small layer
            S = (S + multiple - 1) & -multiple
        places, inputs, fill = part(all_places, np.int64(0), S), tile, True
        if in_order and c.by_rows and not (data.chosen or data.scaler or data.expander):
            N = data.data_rows
            inputs = part(numbers_at(data.x, N * I, zero), rows[0] * I, N * I)  # read where they lie
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
            gather_weights(data, places, scale, weights)
            for s in range(rows.size, S):
                weights[s] = 0
            if inputs is tile:
                gather_inputs(c, data, places, tile)
        for layer in range(c.layers):
            forward(c, layer, inputs, S, step >= 0, step, rows, workspace)
        if is_validation and (c.validation_score or c.kept_predictions):
            _store_predictions(c, data, workspace, rows, deltas)
        total += loss_of_tile(c, S, rows.size, workspace, targets, weights, deltas, losses)
        delta, before = part(deltas, np.int64(0), c.delta_size), part(deltas, c.delta_size, twice)
        for layer in range(c.layers - 1 if gradient else -1, -1, -1):
            add = np.int64(1) if start else np.int64(0)  # the first tile stores the gradient, the others add to it
            backward(c, layer, inputs, S, step >= 0, workspace, delta, before, transposed, gradient, add)
            if layer_at(c, layer).type == LayerType.DENSE:
                delta, before = before, delta
        start += most
    return total


def predict_rows(context, rows_address, n):
    """Store the predictions of n rows in the record's array of them."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    I, O = c.inputs, c.outputs
    tile, Y = numbers_at(c.tile, c.tile_features * most, zero), numbers_at(c.targets, O * most, zero)
    workspace = numbers_at(c.workspace, c.workspace_size, zero)
    all_rows = words_at(rows_address, n)
    for start in range(0, n, most):
        # The last tile has two rows at least: the products of one sum in another order, and its prediction would then
        # depend, in its last bits, on how many rows come before it.
        first = start if start + 1 < n else max(n - 2, 0)
        rows = all_rows[first : start + most]
        gather_inputs(c, c.training, rows, tile)
        for layer in range(c.layers):
            forward(c, layer, tile, rows.size, False, 0, rows, workspace)
        _store_predictions(c, c.training, workspace, rows, Y)
        if not are_finite(tile[: I * rows.size]):
            _spoil_predictions(c, c.training, tile, rows, Y)


def gather_of(features: int, F: type) -> int:
    """Return the address of what gathers rows with at most this number of features, or 0 if a loop does."""
    return gather_address(F) if features >= MIN_GATHERED_FEATURES else 0


@cache
def gradient_address(F: type) -> int:
    """Return the address of `gradient_of_rows` for numbers of type F."""
    words = [types.intp] * 5, [types.intp] * 2
    return address_of(gradient_of_rows, F, signature=types.float64(*words[0], types.float64, *words[1]))


@cache
def predict_address(F: type) -> int:
    """Return the address of `predict_rows` for numbers of type F."""
    return address_of(predict_rows, F)
