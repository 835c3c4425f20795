"""The rounding noise of a function's values along a line, measured by differences of high order.

A difference of order k of values at equal distances d leaves d^k times a derivative of the smooth part, which is tiny,
and √((2k)! / k!²) times the noise (Moré and Wild, 2011). The points are so close that the function is smooth between
them, and far enough apart that its values differ: a function that computes in float32 does not change if its arguments
change by a few units in the last place of float64.
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np

POINTS = 9
"""The number of points on a line, enough for three differences of the highest order."""

ORDERS = (4, 5, 6)
"""The orders of the differences: the median over several is safe from one that cancels by chance."""

NEAR = (1e-12, 1e-9)
"""Distances at which float64 shows its rounding; the second for values that hardly depend on the parameters."""

FAR = (1e-7, 1e-6, 1e-5)
"""Distances at which float32 shows its rounding."""

ELSEWHERE, FARTHER = (0.01, -0.1), (1e-4, 1e-3, 1e-2)
"""The places and the distances at which lost digits show: over shorter distances such a function may look smooth.

Two places, since a pole or a kink is at one place only, but lost digits are missing at both.
"""

FARTHEST = 1e-2
"""The distance for values that do not change over shorter ones, as in float16, or float32 plus a large constant."""

PLATEAU = 10
"""The largest ratio between measures of noise at different distances; the smooth part grows by far more."""

EPS = float(np.finfo(np.float64).eps)


class Noise(NamedTuple):
    """The standard deviation of the rounding errors of a function's values, each (n,).

    Attributes
    ----------
    farther : ndarray
        The noise over longer distances, if it is larger: digits are lost, or the function has structure that is finer
        than those distances.
    nearest : ndarray
        The noise over only the shortest distances. It is smaller if the function computes in float32, or varies within
        a small share of its parameters.
    """

    near: np.ndarray
    farther: np.ndarray
    nearest: np.ndarray


def noise_along(lines: list[Callable[[np.ndarray], np.ndarray]], may_be_coarse: bool = True) -> Noise:
    """Return the rounding noise of a function's values along several lines through one point.

    Parameters
    ----------
    lines : list of callable
        For each line, a function of distances, (T,), that returns the values, (T, n). At a distance of 1 the
        parameters change by their own size.

    Examples
    --------
    >>> noise = noise_along([lambda t: np.stack([np.exp(t), np.exp(t).astype(np.float32)], axis=1)]).near
    >>> bool(noise[0] < 1e-15), bool(1e-8 < noise[1] < 1e-6)
    (True, True)
    """
    near, nearest = (np.fmax.reduce(each) for each in zip(*(_near(line, may_be_coarse) for line in lines), strict=True))
    # Lost digits show at each place and along each line; a kink shows once.
    farther = np.zeros(near.shape)
    for number, place in enumerate(ELSEWHERE):
        for line in lines:
            found = np.stack([_noise(line(place + distance * np.arange(POINTS))) for distance in FARTHER])
            flat = found.max(axis=0) < PLATEAU * found.min(axis=0)
            level = np.where(flat, np.median(found, axis=0), 0)
            farther = level if number == 0 and line is lines[0] else np.fmin(farther, level)
            if not (farther > PLATEAU * near).any():
                return Noise(near, near, nearest)
    return Noise(near, np.fmax(near, farther), nearest)


def _near(line: Callable[[np.ndarray], np.ndarray], may_be_coarse: bool) -> tuple[np.ndarray, np.ndarray]:
    found, noise, moves = {}, np.float64(0), np.False_
    every = line(np.zeros(1))
    for distance in (*NEAR, *FAR, FARTHEST):
        # The second distance is for values that do not change at the first, the last for float32 or float16.
        needed = {NEAR[1]: ~moves, FARTHEST: ~moves & _are(every, np.float32) & may_be_coarse}.get(distance, np.True_)
        if not np.any(needed):
            continue
        values = line(distance * np.arange(POINTS))
        every = np.concatenate([every, values])
        # Values that do not change show no noise.
        now = _moves(values)
        found[distance] = np.where(now, _noise(values), np.nan)
        noise = np.where(needed & ~moves, _noise(values), noise)
        moves = moves | now
    # Noise is the same at all distances. Differences that are larger at longer distances are the function's.
    noise = np.fmax(noise, np.fmin.reduce([found[distance] for distance in FAR]))
    constant = (every == every[0]).all(axis=0)
    largest = np.nan_to_num(np.fmax.reduce(np.abs(every)))
    # Steps of three units in the last place of float32 look smooth, so the noise is at least that of rounding.
    least = np.where(moves & may_be_coarse, _spacing(every) * largest / 12**0.5, 0)
    noise = np.where(constant, 0, np.fmax(np.nan_to_num(noise) + EPS * largest, least))
    return noise, np.fmin(noise, found[NEAR[0]] + EPS * largest)


def _are(values: np.ndarray, dtype: type) -> np.ndarray:
    """Return whether a type can hold all of these values exactly, (n,)."""
    with np.errstate(all="ignore"):
        return (values == values.astype(dtype)).all(axis=0)


def _spacing(values: np.ndarray) -> np.ndarray:
    """Return the relative spacing of the shortest type that holds all of these values, (n,)."""
    types = (np.float16, np.float32)
    return np.select([_are(values, dtype) for dtype in types], [np.finfo(dtype).eps for dtype in types], EPS)


def _moves(values: np.ndarray) -> np.ndarray:
    """Return whether most neighbouring values differ, (n,)."""
    return (np.diff(values, axis=0) != 0).mean(axis=0) > 0.7


def _noise(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the noise, (n,), from the median of differences of several orders.

    The median absolute value of a normal distribution is 0.674 standard deviations. A kink moves few differences.
    """
    left = []
    difference = np.diff(values, ORDERS[0] - 1, axis=0)
    for order in ORDERS:
        difference = np.diff(difference, axis=0)
        left.append(np.abs(difference) / (0.674 * comb(2 * order, order) ** 0.5))
    return np.median(np.concatenate(left), axis=0)
