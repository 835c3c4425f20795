"""The scaling of a tile's inputs, in compiled code; see `core.selection.Scaling`."""

from functools import cache
from typing import Any

from numba import njit, types

from ..jit.arrays import numbers_at, part
from ..jit.machine_code import address_of
from ..jit.numba_options import IN_ORDER

# Placeholders, filled in by `address_of`: the floating types of inputs and of their scaling, and how they are scaled.
number: Any = float
of_scaling: Any = float
multiplies = False


@njit(**IN_ORDER)
def _scale_row(inputs, shift, scale, multiplies):
    """Scale a row, each input by its own shift and scale.

    Each operation is rounded, here and below: with a multiplication and an addition in one, or the inverse of a scale,
    bits would be others than NumPy's.
    """
    rounded = inputs.dtype.type
    for k in range(inputs.size):
        if multiplies:
            inputs[k] = rounded(inputs[k] * scale[k]) + shift[k]
        else:
            inputs[k] = rounded(inputs[k] - shift[k]) / scale[k]


@njit(**IN_ORDER)
def _scale_feature(inputs, shift, scale, multiplies):
    """Scale one feature of rows."""
    rounded = inputs.dtype.type
    for s in range(inputs.size):
        if multiplies:
            inputs[s] = rounded(inputs[s] * scale) + shift
        else:
            inputs[s] = rounded(inputs[s] - shift) / scale


def scale(first, features, rows, by_rows, shifts, scales, tile):
    """Scale a tile of features x rows, or of rows x features if ``by_rows``, whose features begin with the first."""
    I, end = features, first + features
    own_shifts = part(numbers_at(shifts, end, of_scaling(0)), first, end)
    own_scales = part(numbers_at(scales, end, of_scaling(0)), first, end)
    inputs = numbers_at(tile, I * rows, number(0))
    if by_rows:
        for s in range(rows):
            _scale_row(part(inputs, s * I, (s + 1) * I), own_shifts, own_scales, multiplies)
    else:
        for k in range(I):
            _scale_feature(part(inputs, k * rows, (k + 1) * rows), own_shifts[k], own_scales[k], multiplies)


@cache
def scale_address(F: type, of_scaling: type, multiplies: bool) -> int:
    """Return the address of `scale` for inputs of type F and a scaling of its own type; see `calls.call_scale`."""
    kind = f"{F.__name__}_{of_scaling.__name__}_{'multiplied' if multiplies else 'divided'}"
    names = {"number": F, "of_scaling": of_scaling, "multiplies": multiplies}
    return address_of(scale, types.void(*[types.intp] * 7), kind, **names)
