"""The kernel that everything stands on: loss and gradient of some rows, tile by tile.

A network is a table of numbers, one row a layer (`program.py`), so that one compilation serves every width, depth and
choice of activation. A tile holds features × rows, with the rows as the fast axis: what is elementwise, the softmax and
the normalization all run along contiguous rows. Where the first layer goes through BLAS its rows stay as they lie in
the data.
"""

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from .arrays import doubles_at, numbers_at, words_at
from .context import Slot
from .formulas import OPTIONS
from .machine_code import address_of
from .pointers import (
    call_dense,
    call_dense_back,
    call_drop,
    call_gather,
    call_link,
    call_loss,
    call_map,
    call_norm,
    call_norm_back,
    call_slope,
)

number = float
"""The floating type, which `address_of` fills in."""

INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
ONCE: dict[str, Any] = {**INNER, "inline": "always"}
"""For functions that are called in one place: compiled there, not by themselves too, which would take longer."""

SLOTS = len(Slot)


class Column(IntEnum):
    """The columns of a network's table."""

    KIND = 0
    INPUTS = 1
    OUTPUTS = 2
    START = 3
    BLAS = 4
    VALUE = 5
    SLOPE = 6
    OUTPUT_AT = 7
    EXTRA_AT = 8


class Kind(IntEnum):
    """The kinds of layers."""

    DENSE = 0
    ACTIVATION = 1
    DROPOUT = 2
    LAYER_NORM = 3


COLUMNS = len(Column)

FEATURES = 8
"""How many features a table has at least for its rows to be gathered by vectors."""


@njit(**INNER)
def copy(source, target):
    """Copy numbers; Numba's own assignment would bring the text of its error messages along."""
    for i in range(target.size):
        target[i] = source[i]


@njit(**INNER)
def add(source, target):
    """Add numbers to others."""
    for i in range(target.size):
        target[i] += source[i]


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
def forward(c, tile, S, noisy, step, rows, work):
    """Run the layers over a tile; each leaves its output in work. Dropout takes part where noisy."""
    table, h = words_at(c[Slot.TABLE], c[Slot.LAYERS] * COLUMNS), doubles_at(c[Slot.H], c[Slot.LAYERS] * 8)
    theta = numbers_at(c[Slot.THETA], c[Slot.P], tile)
    for number in range(c[Slot.LAYERS]):
        layer, h_of = table[number * COLUMNS : (number + 1) * COLUMNS], h[number * 8 :].ctypes.data
        I, O, kind = layer[Column.INPUTS], layer[Column.OUTPUTS], layer[Column.KIND]
        A = tile[: (I + 1) * S]
        if number:
            at = table[(number - 1) * COLUMNS + Column.OUTPUT_AT]
            A = work[at : at + (I + 1) * S]
        out = work[layer[Column.OUTPUT_AT] : layer[Column.OUTPUT_AT] + O * S]
        p, extra = theta[layer[Column.START] :], work[layer[Column.EXTRA_AT] :].ctypes.data
        if kind == Kind.DENSE:
            by_rows = c[Slot.BY_ROWS] if number == 0 else 0
            call_dense(
                layer[Column.VALUE],
                (I, O, S, p.ctypes.data, A.ctypes.data, out.ctypes.data, by_rows, layer[Column.BLAS]),
            )
        elif kind == Kind.ACTIVATION:
            call_map(layer[Column.VALUE], (I * S, A.ctypes.data, out.ctypes.data, h_of))
        elif kind == Kind.LAYER_NORM:
            call_norm(layer[Column.VALUE], (I, S, p.ctypes.data, A.ctypes.data, extra, out.ctypes.data, h_of))
        elif noisy:
            mask, seed = extra, c[Slot.SEED]
            call_drop(
                layer[Column.VALUE],
                (I, S, A.ctypes.data, out.ctypes.data, mask, rows.ctypes.data, h_of, seed, step, number),
            )
        else:
            copy(A[: I * S], out)


@njit(**ONCE)
def backward(c, tile, S, noisy, work, deltas, turned, gradient, add):
    """Run the layers backwards from the delta in the first of two buffers; put or add the gradient."""
    table, h = words_at(c[Slot.TABLE], c[Slot.LAYERS] * COLUMNS), doubles_at(c[Slot.H], c[Slot.LAYERS] * 8)
    theta = numbers_at(c[Slot.THETA], c[Slot.P], tile)
    here, there = deltas[: c[Slot.DELTA_SIZE]], deltas[c[Slot.DELTA_SIZE] :]
    for number in range(c[Slot.LAYERS] - 1, -1, -1):
        layer, h_of = table[number * COLUMNS : (number + 1) * COLUMNS], h[number * 8 :].ctypes.data
        I, O, kind = layer[Column.INPUTS], layer[Column.OUTPUTS], layer[Column.KIND]
        A = tile[: (I + 1) * S]
        if number:
            at = table[(number - 1) * COLUMNS + Column.OUTPUT_AT]
            A = work[at : at + (I + 1) * S]
        delta = here[: O * S]
        start, extra = layer[Column.START], work[layer[Column.EXTRA_AT] :]
        p, J = theta[start:], gradient[start:]
        if kind == Kind.DENSE:
            before = there.ctypes.data if number else 0  # nothing asks for the gradient of the inputs
            by_rows = 0 if number else c[Slot.BY_ROWS]
            call_dense_back(
                layer[Column.SLOPE],
                (
                    *(I, O, S, p.ctypes.data, A.ctypes.data, delta.ctypes.data, J.ctypes.data, add),
                    *(before, turned, by_rows, layer[Column.BLAS]),
                ),
            )
            here, there = there, here
        elif kind == Kind.ACTIVATION:
            out = work[layer[Column.OUTPUT_AT] :].ctypes.data
            call_slope(layer[Column.SLOPE], (O * S, A.ctypes.data, out, delta.ctypes.data, h_of))
        elif kind == Kind.LAYER_NORM:
            call_norm_back(
                layer[Column.SLOPE],
                (I, S, p.ctypes.data, extra.ctypes.data, delta.ctypes.data, J.ctypes.data, add),
            )
        elif noisy:
            for i in range(I * S):
                delta[i] *= extra[i]


@njit(**ONCE)
def _in_order(c, rows_address, n):
    """Return whether the rows are neighbours in the data: those of the list of all rows are."""
    everyone, count = c[Slot.EVERYONE], max(c[Slot.ROWS], c[Slot.HELD_ROWS])
    return everyone <= rows_address and rows_address < everyone + 8 * count


@njit(**ONCE)
def _keep_predictions(c, S, Z, rows, Y):
    """Put the predictions of rows where the context says, by way of a tile Y."""
    O = c[Slot.OUTPUTS]
    predictions = numbers_at(c[Slot.PREDICTIONS], c[Slot.HELD_ROWS] * O, Y)
    call_link(c[Slot.LINK], (S, O, Z, Y.ctypes.data, c[Slot.LOSS_H]))
    for s in range(S):
        for o in range(O):
            predictions[rows[s] * O + o] = Y[o * S + s]


def gradient_of_rows(context, worker, held, rows_address, n, scale, step, gradient_address):
    """Return Σ scale weight ℓ over n rows, and put its gradient where an address is; a step of -1 has no noise."""
    c, zero = words_at(context, SLOTS), number(0)
    most = c[Slot.TILE_ROWS]
    distance = Slot.HELD_X - Slot.X if held else 0
    I, O, N = c[Slot.INPUTS], c[Slot.OUTPUTS], c[Slot.DATA_ROWS + distance]
    X, T = numbers_at(c[Slot.X + distance], N * I, zero), numbers_at(c[Slot.T + distance], N * O, zero)
    classes, weight = words_at(c[Slot.CLASSES + distance], N), numbers_at(c[Slot.WEIGHT + distance], N, zero)
    all_rows = words_at(rows_address, n)
    tile = numbers_at(c[Slot.TILE], (worker + 1) * (I + 1) * most, zero)[worker * (I + 1) * most :]
    targets = numbers_at(c[Slot.TARGETS], (worker + 1) * O * most, zero)[worker * O * most :]
    weights = numbers_at(c[Slot.ROW_WEIGHTS], (worker + 1) * most, zero)[worker * most :]
    losses = numbers_at(c[Slot.ROW_LOSSES], (worker + 1) * most, zero)[worker * most :]
    work = numbers_at(c[Slot.WORK], (worker + 1) * c[Slot.WORK_SIZE], zero)[worker * c[Slot.WORK_SIZE] :]
    deltas = numbers_at(c[Slot.DELTAS], 2 * (worker + 1) * c[Slot.DELTA_SIZE], zero)[2 * worker * c[Slot.DELTA_SIZE] :]
    turned = numbers_at(c[Slot.TURNED], (worker + 1) * c[Slot.DELTA_SIZE], zero)[
        worker * c[Slot.DELTA_SIZE] :
    ].ctypes.data
    gradient = numbers_at(gradient_address, c[Slot.P], zero)
    table = words_at(c[Slot.TABLE], c[Slot.LAYERS] * COLUMNS)
    Z = work[table[(c[Slot.LAYERS] - 1) * COLUMNS + Column.OUTPUT_AT] :].ctypes.data
    chosen = words_at(c[Slot.CHOSEN + distance], c[Slot.ROWS + distance])
    places_of_tile = words_at(c[Slot.PLACES_OF_TILE], (worker + 1) * most)[worker * most :]
    in_order, in_tile = _in_order(c, rows_address, n), words_at(c[Slot.IN_TILE], 2 * (worker + 1))[2 * worker :]
    total = 0.0
    for start in range(0, n, most):
        rows = all_rows[start : start + most]
        S, places = rows.size, rows
        if c[Slot.CHOSEN + distance]:
            places = places_of_tile[:S]
            for s in range(S):
                places[s] = chosen[rows[s]]
        inputs, fill = tile, True
        if in_order and c[Slot.BY_ROWS] and not c[Slot.CHOSEN + distance]:
            inputs = X[rows[0] * I :]  # they lie in the data as they are wanted
        else:
            # Full batches of few rows stay in the tile, until rows of validation, which have the same numbers, come in.
            fill = held or in_tile[0] != rows.ctypes.data or in_tile[1] != S
            in_tile[0], in_tile[1] = rows.ctypes.data if in_order and not held else 0, S
            if fill:
                _gather(c[Slot.GATHER], X, I, places, c[Slot.BY_ROWS], tile)
        if fill and c[Slot.CLASSES + distance]:
            _one_hot(classes, places, O, targets)
        elif fill:
            _gather(c[Slot.GATHER], T, O, places, np.int64(0), targets)
        for s in range(S):
            weights[s] = number(scale) * weight[places[s]] if c[Slot.WEIGHT + distance] else number(scale)
        forward(c, inputs, S, step >= 0, step, rows, work)
        if held and c[Slot.SCORE]:
            _keep_predictions(c, S, Z, rows, deltas)
        call_loss(
            c[Slot.LOSS],
            (
                S,
                O,
                Z,
                targets.ctypes.data,
                weights.ctypes.data,
                deltas.ctypes.data,
                losses.ctypes.data,
                c[Slot.LOSS_H],
            ),
        )
        for s in range(S):
            total += np.float64(weights[s]) * np.float64(losses[s])
        if gradient_address:
            backward(c, inputs, S, step >= 0, work, deltas, turned, gradient, np.int64(1) if start else np.int64(0))
    return total


def predict_rows(context, worker, rows_address, n):
    """Put the predictions of n rows where the context says."""
    c, zero = words_at(context, SLOTS), number(0)
    most = c[Slot.TILE_ROWS]
    I, O = c[Slot.INPUTS], c[Slot.OUTPUTS]
    X, predictions = (
        numbers_at(c[Slot.X], c[Slot.ROWS] * I, zero),
        numbers_at(c[Slot.PREDICTIONS], c[Slot.ROWS] * O, zero),
    )
    all_rows = words_at(rows_address, n)
    tile = numbers_at(c[Slot.TILE], (worker + 1) * (I + 1) * most, zero)[worker * (I + 1) * most :]
    Y = numbers_at(c[Slot.TARGETS], (worker + 1) * O * most, zero)[worker * O * most :]
    work = numbers_at(c[Slot.WORK], (worker + 1) * c[Slot.WORK_SIZE], zero)[worker * c[Slot.WORK_SIZE] :]
    table = words_at(c[Slot.TABLE], c[Slot.LAYERS] * COLUMNS)
    Z = work[table[(c[Slot.LAYERS] - 1) * COLUMNS + Column.OUTPUT_AT] :].ctypes.data
    for start in range(0, n, most):
        rows = all_rows[start : start + most]
        S = rows.size
        _gather(c[Slot.GATHER], X, I, rows, c[Slot.BY_ROWS], tile)
        forward(c, tile, S, False, 0, rows, work)
        call_link(c[Slot.LINK], (S, O, Z, Y.ctypes.data, c[Slot.LOSS_H]))
        for s in range(S):
            for o in range(O):
                predictions[rows[s] * O + o] = Y[o * S + s]


@cache
def gradient_address(F: type) -> int:
    """Return the address of `gradient_of_rows` for numbers of type F."""
    word = types.intp
    signature = types.float64(word, word, word, word, word, types.float64, word, word)
    return address_of(gradient_of_rows, signature, F.__name__, number=F)


@cache
def predict_address(F: type) -> int:
    """Return the address of `predict_rows` for numbers of type F."""
    word = types.intp
    return address_of(predict_rows, types.void(word, word, word, word), F.__name__, number=F)
