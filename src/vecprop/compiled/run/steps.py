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
from ..jit.fit_record import fields
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
    wide = 0.0
    for i in range(values.size):
        wide += np.float64(values[i]) * np.float64(values[i])
    if is_finite(wide):
        return wide
    scaled = 0.0
    for i in range(values.size):
        scaled = _add_scaled(scaled, np.float64(values[i]))
    return -scaled


@inner
def length(squares):
    """Return the norm of a vector, √Σ squares, from the sums of squares of its blocks.

    A sum of squares that overflows is negative and in units of `_HUGE`²; see
    `square_of`. If one is, or if the total overflows, all are added in these units.
    """
    sum_of_squares = total(squares)
    has_units = False
    for i in range(squares.size):
        has_units |= squares[i] < 0
    if is_finite(sum_of_squares) and not has_units:
        return square_root(sum_of_squares)
    sum_in_units = 0.0
    for i in range(squares.size):
        square = squares[i]
        square_in_units = -square if square < 0 else _in_units(square)
        sum_in_units = _add_in_order(sum_in_units, square_in_units)
    return square_root(sum_in_units) * _HUGE


@inner
def move_block(fit, J, low, high, rate, t, shorten, moved):
    """Take the optimizer's step for the parameters low to high - 1; return its sum of squares for `length`.

    The gradient J is first multiplied by ``shorten``. The changes of the parameters are
    written to the address ``moved``.
    """
    if shorten != 1:
        gradient = part(J, low, high)
        for p in range(gradient.size):
            gradient[p] *= J.dtype.type(shorten)
    offset = low * J.itemsize
    square = calls.update(
        fit.update,
        high - low,
        rate,
        t,
        fit.theta + offset,
        J.ctypes.data + offset,
        fit.first + offset,
        fit.second + offset,
        moved,
        fit.update_h,
        fit.further,
        offset,
    )
    if is_finite(square):
        return square
    return square_of(numbers_at(moved, high - low, J))


# Kernels that only some fits need.

# Placeholders, filled in by `address_of`: the floating-point type, and the bytes of an
# element.
number: Any = float
size = 8
has_l1 = True


def sum_shards(fit, low, high, shard, distance):
    """Add the gradients of other shards to a block of a shard's gradient: to the parameters low to high - 1.

    Two shards are added as g0 + g1 and four as (g0 + g1) + (g2 + g3), starting from any
    of them: the other shard of the pair of shard s is s ^ 1, and the other pair is s ^
    2 and s ^ 3. If ``in_pairs`` is set, the pairs are already summed, in their first
    shards. The first shard to add is ``shard ^ distance``.
    """
    n = high - low
    row = fit.p * size
    gradients = fit.gradients + low * size
    J = numbers_at(gradients + shard * row, n, number)
    second = numbers_at(gradients + (shard ^ distance) * row, n, number)
    for i in range(n):
        J[i] += second[i]
    if fit.shards == 4 and not fit.in_pairs:
        third = numbers_at(gradients + (shard ^ 2) * row, n, number)
        fourth = numbers_at(gradients + (shard ^ 3) * row, n, number)
        for i in range(n):
            J[i] += _add_in_order(third[i], fourth[i])


sum_shards_address = addresses_of(sum_shards)


def penalize(fit, low, high, scale: float, gradient) -> float:
    """Return ½ l2 Σ W² + l1 Σ |W| over the parameters low to high - 1; see `core.penalties`.

    If ``gradient`` is an address, add the gradient l2 W + l1 sign(W) to the numbers
    there, and return 0.
    """
    theta = numbers_at(fit.theta, fit.p, number)
    J = numbers_at(gradient, fit.p, number)
    spans = words_at(fit.spans, 2 * fit.weight_spans)
    l2 = fit.l2 + scale * fit.l2_averaged
    l1 = fit.l1 + scale * fit.l1_averaged
    squares = 0.0
    magnitudes = 0.0
    for span in range(fit.weight_spans):
        # the part of the span that lies between low and high, which may be empty
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
                    magnitudes += abs(np.float64(W[i]))
    return l2 / 2 * squares + l1 * magnitudes


@cache
def penalize_address(F: type, has_l1: bool = True) -> int:
    """Return the address of `penalize` for type F; see `calls.penalize`."""
    return address_of(penalize, F, "_l1" * has_l1, has_l1=has_l1)
