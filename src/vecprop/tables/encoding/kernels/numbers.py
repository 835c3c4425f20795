"""Kernels that encode numeric columns by the equations of `NumberInputs`, and stack columns."""

import ctypes
from functools import cache

import numpy as np
from numba import njit

from ....compiled.gemm.products import gather_address
from ....compiled.jit import IN_ORDER
from ....compiled.jit.addresses import doubles_at, numbers_at
from ....compiled.jit.fit_record import address_of_array
from ....compiled.jit.machine_code import address_of

_ENCODE = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 10)
_GATHER = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)

ROWS_AT_ONCE = 2048
"""The number of rows that are stacked at a time, so that they stay in the cache."""


@njit(**IN_ORDER)
def _encoded(x, edges, scores, how, marks_missing, has_scores, stride, inputs):
    """Compute inputs in double precision and in NumPy's order of operations, so that results are bit-identical."""
    centre, scale, mean, deviation, limit, largest, most = how[0], how[1], how[2], how[3], how[4], how[5], how[6]
    pieces = edges.size - 1
    for row in range(x.size):
        value, at = x[row], row * stride
        is_missing = value != value
        if is_missing:
            value = centre
        else:
            value = min(max(value, -1e100), 1e100)
            value = 0.0 if abs(value) < 1e-100 else value
        z = min(max((value - centre) / scale, -largest), largest)
        part = z / limit
        inputs[at] = z / np.sqrt(1 + part * part)
        at += 1
        below = 0  # the number of intervals below the value
        for piece in range(pieces):
            is_below = value >= edges[piece + 1]
            inputs[at + piece] = 0.5 if is_below else -0.5
            below += is_below
        if below < pieces and value > edges[below]:
            share = (value - edges[below]) / (edges[below + 1] - edges[below])
            inputs[at + below] = share - 0.5
        at += max(pieces, 0)
        if marks_missing:
            inputs[at] = is_missing
            at += 1
        inputs[at] = min(max((value - mean) / deviation, -most), most)
        at += 1
        if has_scores:
            if below == pieces or value <= edges[below]:
                inputs[at] = scores[below]
            else:
                slope = (scores[below + 1] - scores[below]) / (edges[below + 1] - edges[below])
                inputs[at] = slope * (value - edges[below]) + scores[below]


def encode(x, rows, edges, count, scores, has_scores, how, marks_missing, stride, inputs):
    """Write the inputs of numbers. The arguments are addresses, counts and the row stride of the inputs."""
    numbers, table = doubles_at(x, rows), doubles_at(edges, count)
    normal, settings = doubles_at(scores, count), doubles_at(how, 7)
    to = numbers_at(inputs, rows * stride, np.float32(0))
    _encoded(numbers, table, normal, settings, marks_missing, has_scores, stride, to)


@cache
def encode_address() -> int:
    """Return the address of `encode`."""
    return address_of(encode, float)


def encode_numbers(
    x: np.ndarray,
    edges: np.ndarray,
    scores: np.ndarray | None,
    how: tuple[float, ...],
    marks_missing: bool,
    inputs: np.ndarray,
) -> None:
    """Write the inputs of N numbers to a float32 array of shape (N, width) with contiguous rows.

    ``how`` contains centre, scale, mean, deviation, `LIMIT`, `LARGEST_SCALED` and `MAX_DEVIATIONS`.
    """
    values, edges, settings = np.ascontiguousarray(x, float), np.ascontiguousarray(edges, float), np.array(how)
    normal = np.zeros(0) if scores is None else scores
    numbers = address_of_array(values), len(values), address_of_array(edges), len(edges)
    made = address_of_array(normal), scores is not None, address_of_array(settings), marks_missing
    _ENCODE(encode_address())(*numbers, *made, inputs.strides[0] // inputs.itemsize, inputs.ctypes.data)


def column_stack(columns: list[np.ndarray]) -> np.ndarray:
    """Stack contiguous columns of the same float dtype into a C-contiguous array.

    The kernel addresses each column by its distance from the first one, in elements. Unaligned columns, such as Arrow
    buffers from a network, are copied, because their distance need not be an integer.

    Examples
    --------
    >>> column_stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    array([[1., 3.],
           [2., 4.]])
    """
    columns = [column if column.flags.aligned else column.copy() for column in columns]
    N, I, F = len(columns[0]), len(columns), columns[0].dtype.type
    A, size = np.empty((N, I), F), columns[0].itemsize
    first, *_ = places = [address_of_array(column) for column in columns]
    distances = np.array([(place - first) // size for place in places])
    gather, to, numbers = _GATHER(gather_address(F)), address_of_array(A), address_of_array(distances)
    for row in range(0, N, ROWS_AT_ONCE):
        rows = min(ROWS_AT_ONCE, N - row)
        gather(I, rows, first + row * size, size, to + row * I * size, I * size, numbers)
    return A
