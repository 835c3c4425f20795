"""A step of the optimizer, block of parameters by block: sum the shards' gradients, add penalties, and move.

All that is done to a block is done while it is in the cache. Four shards are summed as (g0 + g1) + (g2 + g3). Each
worker adds up in a shard of its own, which starts the sum from another place; since a + b has the bits of b + a, the
result is the same.
"""

import numpy as np
from numba import njit

from ..jit import IN_ORDER, INNER, ONCE, calls, larger, smaller
from ..jit.addresses import add, add_pair, part, total, words_at

BLOCK = 2048
"""The parameters of a block: four gradients, theta, two moments and the step take 64 kB in float32, and stay cached."""

_BLOCK_BYTES = 32

_HUGE = 2.0**600
"""The unit of numbers whose squares overflow."""


@njit(**ONCE)
def block_at(c, number):
    """Return a block's start, end and quarter, and whether there is a single gradient; see `parallelism.blocks_of`."""
    words = words_at(c.blocks + _BLOCK_BYTES * number, 4)
    return words[0], words[1], words[2], words[3]


@njit(**ONCE)
def _in_span(c, span, values, low, high):
    """Return the part of a block that is in a span of penalized weights; it may be empty."""
    spans = words_at(c.spans, 2 * c.weight_spans)
    first = smaller(larger(low, spans[2 * span]), high)
    return part(values, first, larger(first, smaller(high, spans[2 * span + 1])))


@njit(**INNER)
def penalty_of(c, theta, low, high, scale):
    """Return ½ l2 Σ W² + l1 Σ |W| over a block of parameters; see `core.penalties`."""
    l2, l1 = c.l2 + scale * c.l2_averaged, c.l1 + scale * c.l1_averaged
    squares, sizes = 0.0, 0.0
    for span in range(c.weight_spans):
        W = _in_span(c, span, theta, low, high)
        if l2:
            squares += _squares(W)
        for i in range(W.size if l1 else 0):
            sizes += abs(np.float64(W[i]))
    return l2 / 2 * squares + l1 * sizes


@njit(**ONCE)
def _sum_shards(c, gradients, P, low, high, own):
    """Sum a block of the shards' gradients in the worker's own shard; ``own ^ 1`` is the other shard of its pair."""
    J, is_sum_of_pairs = part(gradients, own * P + low, own * P + high), c.shards == 4 and not c.in_pairs
    other = (own ^ 1 if is_sum_of_pairs else own ^ (c.shards >> 1)) * P
    add(part(gradients, other + low, other + high), J)
    if is_sum_of_pairs:
        first, second = (own ^ 2) * P, (own ^ 3) * P
        add_pair(part(gradients, first + low, first + high), part(gradients, second + low, second + high), J)


@njit(**ONCE)
def sum_block(c, theta, gradients, is_single, low, high, scale, own):
    """Sum a block of the gradient in the worker's own shard, with the penalties; return its squares for `length`."""
    F, J = theta.dtype.type, part(gradients, own * theta.size, (own + 1) * theta.size)
    if c.shards > 1 and not is_single:
        _sum_shards(c, gradients, theta.size, low, high, own)
    l2, l1 = F(c.l2 + scale * c.l2_averaged), F(c.l1 + scale * c.l1_averaged)
    for span in range(c.weight_spans):
        W, J_W = _in_span(c, span, theta, low, high), _in_span(c, span, J, low, high)
        for i in range(W.size if l2 else 0):
            J_W[i] += l2 * W[i]
        for i in range(W.size if l1 else 0):
            J_W[i] += l1 * F(np.sign(W[i]))
    return _long(part(J, low, high), _squares(part(J, low, high)))


@njit(**ONCE)
def are_finite(values):
    """Return whether all numbers are finite: their differences from themselves are 0 then, and else NaN."""
    zero = values.dtype.type(0)
    for i in range(values.size):
        zero += values[i] - values[i]
    return zero == 0


@njit(**INNER)
def _squares(values):
    """Return the sum of the squares: in the numbers' own type, or in doubles if that overflows."""
    total = values.dtype.type(0)
    for i in range(values.size):
        total += values[i] * values[i]
    if np.isfinite(total):
        return np.float64(total)
    wide = 0.0
    for i in range(values.size):
        wide += np.float64(values[i]) * np.float64(values[i])
    return wide


@njit(**IN_ORDER)  # or the units would be multiplied first, and underflow
def _long(values, square):
    """Return the sum of the squares; if it overflows even in doubles, minus that of the values in units of `_HUGE`."""
    if np.isfinite(square):
        return square
    scaled = 0.0
    for i in range(values.size):
        own = np.float64(values[i]) / _HUGE
        scaled += own * own  # a power would be a function that is compiled
    return -scaled


@njit(**IN_ORDER)
def length(squares):
    """Return the length of a vector by its blocks' sums of squares, some of which may be in units; see `_long`."""
    square, scaled, in_units = total(squares), 0.0, False
    for own in squares:
        in_units |= own < 0
    if np.isfinite(square) and not in_units:
        return np.sqrt(square)
    for own in squares:
        scaled += -own if own < 0 else own / _HUGE / _HUGE
    return np.sqrt(scaled) * _HUGE


@njit(**INNER)
def move_block(c, theta, J, low, high, rate, t, shorten, moved):
    """Take the optimizer's step for a block of parameters; return its sum of squares for `length`."""
    if shorten != 1:
        own = part(J, low, high)
        for p in range(own.size):
            own[p] *= theta.dtype.type(shorten)
    at = low * theta.itemsize
    addresses = theta.ctypes.data + at, J.ctypes.data + at, c.first + at, c.second + at, moved.ctypes.data
    square = calls.update(c.update, (high - low, rate, t, *addresses, c.update_h))
    if np.isfinite(square):
        return square
    own = part(moved, np.int64(0), high - low)
    return _long(own, _squares(own))
