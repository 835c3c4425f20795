"""The kernel that everything stands on: loss and gradient of some rows, tile by tile.

Where the first layer goes through BLAS its rows stay as they lie in the data; else they are turned into a tile. A small
network's tile is filled up to whole vectors with copies of its last row, of weight 0: what loops would else do one by
one takes up to a fifth of its time.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..jit.arrays import copy, doubles_at, numbers_at, words_at
from ..jit.calls import call_gather, call_link, call_loss
from ..jit.machine_code import address_of
from ..jit.options import INNER, ONCE
from ..jit.record import LINE, fit_at
from .layers import Kind, backward, forward, inputs_at, layer_at

# What `address_of` fills in: the floating type, and how many bytes its numbers have.
number: Any = float
size = 8

IN_TILE = LINE
"""The bytes that say what stands in a worker's tile: the address of its rows' numbers, how many they are, the scale.

Each worker writes them for each tile, so they have a line of their own.
"""

FEATURES = 8
"""How many features a table has at least for its rows to be gathered by vectors."""


@njit(**INNER)
def _gather(gather, X, I, rows, by_rows, tile):
    """Copy rows of X into a tile: as they lie, or turned into features × rows."""
    S, size = rows.size, X.itemsize
    if by_rows:
        for s in range(S):
            copy(X[rows[s] * I : (rows[s] + 1) * I], tile[s * I : (s + 1) * I])
    elif I >= FEATURES:
        call_gather(gather, (S, I, X.ctypes.data, I * size, tile.ctypes.data, S * size, rows.ctypes.data))
    else:
        for s in range(S):
            for k in range(I):
                tile[k * S + s] = X[rows[s] * I + k]


@njit(**ONCE)
def _one_hot(classes, rows, O, tile):
    """Put the rows' classes into a tile of features × rows."""
    S = rows.size
    for i in range(O * S):
        tile[i] = 0
    for s in range(S):
        tile[classes[rows[s]] * S + s] = 1


@njit(**ONCE)
def _in_order(c, rows_address, n):
    """Return whether the rows are neighbours in the data: those of the list of all rows are."""
    all_rows, count = c.all_rows, max(c.training.rows, c.validation.rows)
    return all_rows <= rows_address and rows_address < all_rows + 8 * count


@njit(**INNER)
def _keep_predictions(c, data, work, rows, Y):
    """Put the predictions of rows where the context says, by way of a tile Y."""
    O, S, Z = c.outputs, rows.size, inputs_at(c, c.layers, work, work)
    predictions = numbers_at(c.predictions, data.rows * O, Y)
    call_link(c.link, (S, O, Z, Y.ctypes.data, c.loss_h))
    for s in range(S):
        for o in range(O):
            predictions[rows[s] * O + o] = Y[o * S + s]


@njit(**INNER)
def find_in_data(data, rows, places):
    """Put the places of rows in the data into places."""
    chosen = words_at(data.chosen, data.rows)
    for s in range(rows.size):
        places[s] = chosen[rows[s]] if data.chosen else rows[s]


@njit(**INNER)
def gather_inputs(c, data, places, tile):
    """Put the inputs of rows into a tile."""
    X = numbers_at(data.x, data.data_rows * c.inputs, tile)
    _gather(c.gather, X, c.inputs, places, c.by_rows, tile)


@njit(**INNER)
def gather_targets(c, data, places, targets):
    """Put the targets of rows into a tile of features × rows."""
    N, O = data.data_rows, c.outputs
    if data.classes:
        _one_hot(words_at(data.classes, N), places, O, targets)
    else:
        _gather(c.gather, numbers_at(data.t, N * O, targets), O, places, np.int64(0), targets)


@njit(**INNER)
def weigh(data, places, scale, weights):
    """Put the rows' weights times a scale into weights."""
    weight = numbers_at(data.weight, data.data_rows, weights)
    for s in range(places.size):
        weights[s] = weights.dtype.type(scale) * (weight[places[s]] if data.weight else 1)


@njit(**INNER)
def loss_of_tile(c, S, rows, work, targets, weights, delta, losses):
    """Return the loss of the first rows of a tile, with their weights, and leave the gradient of all S in delta."""
    Z = inputs_at(c, c.layers, work, work)
    addresses = targets.ctypes.data, weights.ctypes.data, delta.ctypes.data, losses.ctypes.data
    call_loss(c.loss, (S, c.outputs, Z, *addresses, c.loss_h))
    total = 0.0
    for s in range(rows):
        total += np.float64(weights[s] * losses[s])
    return total


@njit(**INNER)
def _filled(rows, multiple):
    """Return how many rows a tile has when it is filled up to a multiple, as one is that has more rows than that.

    The multiple is a power of two, and its division would take as long as a small layer.
    """
    return (rows + multiple - 1) & -multiple if rows > multiple else rows


def gradient_of_rows(context, worker, held, rows_address, n, scale, step, gradient):
    """Return Σ scale weight ℓ over n rows, and put its gradient where an address is; a step of -1 has no noise."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    data = c.validation if held else c.training
    I, O = c.inputs, c.outputs
    twice = 2 * c.delta_size
    tile = numbers_at(c.tile + worker * size * (I + 1) * most, (I + 1) * most, zero)
    targets = numbers_at(c.targets + worker * size * O * most, O * most, zero)
    weights = numbers_at(c.row_weights + worker * size * most, most, zero)
    losses = numbers_at(c.row_losses + worker * size * most, most, zero)
    work = numbers_at(c.workspace + worker * size * c.workspace_size, c.workspace_size, zero)
    deltas = numbers_at(c.deltas + worker * size * twice, twice, zero)
    turned = c.transposed + worker * size * c.delta_size
    all_rows, places_of_tile = words_at(rows_address, n), words_at(c.tile_places + 8 * worker * most, most)
    in_order, in_tile = _in_order(c, rows_address, n), words_at(c.tile_contents + IN_TILE * worker, 2)
    scale_in_tile = doubles_at(c.tile_contents + IN_TILE * worker + 16, 1)
    total, start = 0.0, 0
    while start < n:
        rows = all_rows[start : start + most]
        S = rows.size if held else _filled(rows.size, c.row_multiple)
        places, inputs, fill = places_of_tile[:S], tile, True
        if in_order and c.by_rows and not data.chosen:
            N = data.data_rows
            inputs = numbers_at(data.x, N * I, zero)[rows[0] * I :]  # they lie there as they are wanted
        else:
            # Full batches of few rows stay in the tile, until rows of validation, which have the same numbers, come in.
            fill = held or in_tile[0] != rows.ctypes.data or in_tile[1] != rows.size or scale_in_tile[0] != scale
            in_tile[0], in_tile[1] = rows.ctypes.data if in_order and not held else 0, rows.size
            scale_in_tile[0] = scale
        if fill:
            find_in_data(data, rows, places)
            places[rows.size :] = places[rows.size - 1]
            gather_targets(c, data, places, targets)
            weigh(data, places, scale, weights)
            weights[rows.size : S] = 0
            if inputs is tile:
                gather_inputs(c, data, places, tile)
        for layer in range(c.layers):
            forward(c, layer, inputs, S, step >= 0, step, rows, work)
        if held and c.validation_score:
            _keep_predictions(c, data, work, rows, deltas)
        total += loss_of_tile(c, S, rows.size, work, targets, weights, deltas, losses)
        here, there = deltas[: c.delta_size], deltas[c.delta_size :]
        for layer in range(c.layers - 1 if gradient else -1, -1, -1):
            add = np.int64(1) if start else np.int64(0)
            backward(c, layer, inputs, S, step >= 0, work, here, there, turned, gradient, add)
            if layer_at(c, layer).kind == Kind.DENSE:
                here, there = there, here
        start += most
    return total


def predict_rows(context, worker, rows_address, n):
    """Put the predictions of n rows where the context says."""
    c, zero = fit_at(context), number(0)
    most = c.tile_rows
    I, O = c.inputs, c.outputs
    tile = numbers_at(c.tile + worker * size * (I + 1) * most, (I + 1) * most, zero)
    Y = numbers_at(c.targets + worker * size * O * most, O * most, zero)
    work = numbers_at(c.workspace + worker * size * c.workspace_size, c.workspace_size, zero)
    all_rows = words_at(rows_address, n)
    for start in range(0, n, most):
        rows = all_rows[start : start + most]
        gather_inputs(c, c.training, rows, tile)
        for layer in range(c.layers):
            forward(c, layer, tile, rows.size, False, 0, rows, work)
        _keep_predictions(c, c.training, work, rows, Y)


@cache
def gradient_address(F: type) -> int:
    """Return the address of `gradient_of_rows` for numbers of type F."""
    word = types.intp
    signature = types.float64(word, word, word, word, word, types.float64, word, word)
    return address_of(gradient_of_rows, signature, F.__name__, number=F, size=np.dtype(F).itemsize)


@cache
def predict_address(F: type) -> int:
    """Return the address of `predict_rows` for numbers of type F."""
    word = types.intp
    return address_of(predict_rows, types.void(word, word, word, word), F.__name__, number=F, size=np.dtype(F).itemsize)
