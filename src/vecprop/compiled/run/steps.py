"""A step of the optimizer, block by block: sum the shards' gradients, add penalties, and update the parameters.

All operations on a block are done while it is in the cache. Four shards are summed as
(g0 + g1) + (g2 + g3). Each worker sums into its own shard and thus starts with a
different term. The result is the same, because a + b and b + a are bit-identical.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import types

from ..jit import calls, inlined, inner
from ..jit.addresses import numbers_at, part, records_at, total, words_at
from ..jit.fit_record import fields, fit_at
from ..jit.machine_code import address_of, addresses_of
from ..jit.tracing import Number, is_finite, larger, of_numbers, smaller, square_root

BLOCK = 2048
"""The number of parameters per block. Four gradients, theta, two moments and the
step take 64 kB in float32.
"""

block_at = records_at(np.dtype(fields("low high quarter is_single")))
"""Return the record of a block, given the blocks and its index; see
`parallelism.blocks_of`.
"""

is_of = of_numbers(
    lambda block, first, end: (block.quarter > first - 1) & (block.quarter < end),
    types.boolean,
)
"""Return whether a block belongs to one of the quarters from first to end."""

_HUGE = 2.0**600
"""The scale of numbers whose squares overflow."""


def _sum(a: Number, b: Number) -> Number:
    """Return a + b, neither fused nor reordered: a flag that sums ignore replaces the flags of the caller."""
    return Number(a.builder, a.builder.fadd(a.value, b.value, flags=("arcp",)))


_add_scaled = of_numbers(lambda total, x: _sum(total, x / _HUGE * (x / _HUGE)))
_in_units = of_numbers(lambda square: square / _HUGE / _HUGE)
_add_in_order = of_numbers(_sum)


@inlined
def are_finite(values):
    """Return whether all numbers are finite: x - x is 0 for finite x, and otherwise NaN."""
    zero = values.dtype.type(0)
    for i in range(values.size):
        zero += values[i] - values[i]
    return zero == 0


@inner
def square_of(values):
    """Return the sum of the squares, computed in the type of the numbers, or in doubles if it overflows.

    If it overflows even in doubles, return minus the sum of (value / `_HUGE`)².
    """
    total = values.dtype.type(0)
    for i in range(values.size):
        total += values[i] * values[i]
    if is_finite(total):
        return np.float64(total)
    wide, scaled = 0.0, 0.0
    for i in range(values.size):
        wide += np.float64(values[i]) * np.float64(values[i])
    if is_finite(wide):
        return wide
    for i in range(values.size):
        scaled = _add_scaled(scaled, np.float64(values[i]))
    return -scaled


@inner
def length(squares):
    """Return the norm of a vector from the sums of squares of its blocks, which may be scaled; see `square_of`."""
    square = total(squares)
    scaled = 0.0
    in_units = False
    for i in range(squares.size):
        in_units |= squares[i] < 0
    if is_finite(square) and not in_units:
        return square_root(square)
    for i in range(squares.size):
        block_square = squares[i]
        scaled = _add_in_order(
            scaled, -block_square if block_square < 0 else _in_units(block_square)
        )
    return square_root(scaled) * _HUGE


@inner
def move_block(c, J, low, high, rate, t, shorten, moved):
    """Take the optimizer's step for a block of parameters; return its sum of squares for `length`."""
    if shorten != 1:
        gradient = part(J, low, high)
        for p in range(gradient.size):
            gradient[p] *= J.dtype.type(shorten)
    offset = low * J.itemsize
    square = calls.update(
        c.update,
        (
            high - low,
            rate,
            t,
            c.theta + offset,
            J.ctypes.data + offset,
            c.first + offset,
            c.second + offset,
            moved,
            c.update_h,
        ),
    )
    return square if is_finite(square) else square_of(numbers_at(moved, high - low, J))


# Kernels that only some fits need.

# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8
has_l1 = True


def sum_shards(context, low, high, shard, distance):
    """Add the gradient of shard ``shard ^ distance`` to a block of ``shard``; then, if needed, the sum of two others.

    Four shards are summed as (g0 + g1) + (g2 + g3), starting from any of them, unless
    pairs were already summed.
    """
    c = fit_at(context)
    zero = number(0)
    n = high - low
    row = c.p * size
    gradient = c.gradients + low * size
    J = numbers_at(gradient + shard * row, n, zero)
    second = numbers_at(gradient + (shard ^ distance) * row, n, zero)
    for i in range(n):
        J[i] += second[i]
    if c.shards == 4 and not c.in_pairs:
        third = numbers_at(gradient + (shard ^ 2) * row, n, zero)
        fourth = numbers_at(gradient + (shard ^ 3) * row, n, zero)
        for i in range(n):
            J[i] += _add_in_order(third[i], fourth[i])


sum_shards_address = addresses_of(sum_shards)


def penalize(context, low, high, scale: float, gradient) -> float:
    """Return ½ l2 Σ W² + l1 Σ |W| over a block, or add its gradient to a gradient in memory; see `core.penalties`."""
    c = fit_at(context)
    zero = number(0)
    theta = numbers_at(c.theta, c.p, zero)
    J = numbers_at(gradient, c.p, zero)
    spans = words_at(c.spans, 2 * c.weight_spans)
    l2 = c.l2 + scale * c.l2_averaged
    l1 = c.l1 + scale * c.l1_averaged
    squares, sizes = 0.0, 0.0
    for span in range(c.weight_spans):
        # the span's part in the block, which may be empty
        first = smaller(larger(low, spans[2 * span]), high)
        end = larger(first, smaller(high, spans[2 * span + 1]))
        W = part(theta, first, end)
        J_W = part(J, first, end)
        if gradient:
            for i in range(W.size if l2 else 0):
                J_W[i] += number(l2) * W[i]
            if has_l1:
                for i in range(W.size if l1 else 0):
                    J_W[i] += number(l1) * number(np.sign(W[i]))
        else:
            if l2:
                square = square_of(W)
                squares += np.inf if square < 0 else square
            if has_l1:
                for i in range(W.size if l1 else 0):
                    sizes += abs(np.float64(W[i]))
    return l2 / 2 * squares + l1 * sizes


@cache
def penalize_address(F: type, has_l1: bool = True) -> int:
    """Return the address of `penalize` for type F; see `calls.penalize`."""
    return address_of(penalize, F, "_l1" * has_l1, has_l1=has_l1)
