"""How much of a function's values is rounding: their noise along a line, found by differences of high order.

A difference of order k of values at equal distances d removes what is smooth, which is d^k times a derivative, and
leaves √((2k)! / k!²) times the noise (Moré and Wild, 2011). The points are so close that the function is smooth between
them, and far enough apart that its arithmetic sees them: a function that computes in float32 does not change at all
where float64 moves by a few units in the last place.
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np

POINTS = 9
ORDERS = (4, 5, 6)

NEAR = (1e-12, 1e-9)
"""Distances at which float64 shows its rounding, the second where values hardly depend on the parameters."""

FAR = (1e-7, 1e-6, 1e-5)
"""Distances at which float32 shows its rounding."""

ELSEWHERE, FARTHER = (0.01, -0.1), (1e-4, 1e-3, 1e-2)
"""Where, and at which distances, a function shows that has lost its digits: between two of its values it may be smooth.

A pole or a kink is here alone, but lost digits are missing elsewhere too.
"""

FARTHEST = 1e-2
"""A distance for what does not even move there, as float16 does not, nor float32 on top of a large constant."""

PLATEAU = 10
"""How far the noise at different distances may be apart; what is smooth grows by far more."""

EPS = float(np.finfo(np.float64).eps)


class Noise(NamedTuple):
    """The standard deviation of the rounding errors of a function's values, each (n,).

    Attributes
    ----------
    near : ndarray
        What differences over short distances show: at least a unit in the last place, unless no value ever changes.
    farther : ndarray
        What differences over longer ones show, where that is more: of digits that are lost, or of a function that is
        finer than those distances.
    """

    near: np.ndarray
    farther: np.ndarray


def noise_along(lines: list[Callable[[np.ndarray], np.ndarray]], may_be_coarse: bool = True) -> Noise:
    """Return how much of a function's values is rounding, along several lines through one point.

    Parameters
    ----------
    lines : list of callable
        The values, (T, n), at distances, (T,), along each line; a distance of 1 is as far as the parameters are large.
    may_be_coarse : bool, default True
        Whether what stands still over short distances may be rounded to float32 or float16, rather than constant there.

    Examples
    --------
    >>> noise = noise_along([lambda t: np.stack([np.exp(t), np.exp(t).astype(np.float32)], axis=1)]).near
    >>> bool(noise[0] < 1e-15), bool(1e-8 < noise[1] < 1e-6)
    (True, True)
    """
    near = np.fmax.reduce([_near(line, may_be_coarse) for line in lines])
    # It is elsewhere too, on both sides and along each line; a kink may be met there once.
    farther = np.zeros(near.shape)
    for number, place in enumerate(ELSEWHERE):
        for line in lines:
            found = np.stack([_noise(line(place + distance * np.arange(POINTS))) for distance in FARTHER])
            flat = found.max(axis=0) < PLATEAU * found.min(axis=0)
            level = np.where(flat, np.median(found, axis=0), 0)
            farther = level if number == 0 and line is lines[0] else np.fmin(farther, level)
            if not (farther > PLATEAU * near).any():
                return Noise(near, near)
    return Noise(near, np.fmax(near, farther))


def _near(line: Callable[[np.ndarray], np.ndarray], may_be_coarse: bool) -> np.ndarray:
    found, noise, moves = {}, np.float64(0), np.False_
    every = line(np.zeros(1))
    for distance in (*NEAR, *FAR, FARTHEST):
        # The second distance is for what does not move at the first, the last for what float32 or float16 still hides.
        needed = {NEAR[1]: ~moves, FARTHEST: ~moves & _are(every, np.float32) & may_be_coarse}.get(distance, np.True_)
        if not np.any(needed):
            continue
        values = line(distance * np.arange(POINTS))
        every = np.concatenate([every, values])
        # Of values that stand still nothing is seen but that they are rounded.
        now = _moves(values)
        found[distance] = np.where(now, _noise(values), np.nan)
        noise = np.where(needed & ~moves, _noise(values), noise)
        moves = moves | now
    # Noise is the same at all distances; what is larger at the farther ones is the function.
    noise = np.fmax(noise, np.fmin.reduce([found[distance] for distance in FAR]))
    constant = (every == every[0]).all(axis=0)
    largest = np.nan_to_num(np.fmax.reduce(np.abs(every)))
    # Steps of just three units in the last place of float32 look smooth, so rounding to a unit is the least.
    least = np.where(moves & may_be_coarse, _spacing(every) * largest / 12**0.5, 0)
    return np.where(constant, 0, np.fmax(np.nan_to_num(noise) + EPS * largest, least))


def _are(values: np.ndarray, dtype: type) -> np.ndarray:
    """Return whether a type has all of these values, (n,)."""
    with np.errstate(all="ignore"):
        return (values == values.astype(dtype)).all(axis=0)


def _spacing(values: np.ndarray) -> np.ndarray:
    """Return the relative spacing of the shortest type that has all of these values, (n,)."""
    types = (np.float16, np.float32)
    return np.select([_are(values, dtype) for dtype in types], [np.finfo(dtype).eps for dtype in types], EPS)


def _moves(values: np.ndarray) -> np.ndarray:
    """Return whether most neighbours among the values differ, (n,)."""
    return (np.diff(values, axis=0) != 0).mean(axis=0) > 0.7


def _noise(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of what differences of several orders leave, (n,), by their median.

    The median of a normal distribution's absolute values is 0.674 standard deviations; a kink moves few of them.
    """
    left = []
    difference = np.diff(values, ORDERS[0] - 1, axis=0)
    for order in ORDERS:
        difference = np.diff(difference, axis=0)
        left.append(np.abs(difference) / (0.674 * comb(2 * order, order) ** 0.5))
    return np.median(np.concatenate(left), axis=0)
