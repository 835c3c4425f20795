"""The Taylor remainder, a second opinion that needs nothing but values of the function.

R(t) = |f(theta + t v) - f(theta) - t <g, v>| shrinks like t² where g is the gradient, and like t where it is not. So
its slope in a log-log picture is 2.00 when right, and towards 1 when wrong.
"""

from dataclasses import dataclass

import numpy as np

from .judge import Point
from .ridders import noise_level


@dataclass(frozen=True)
class Taylor:
    """The Taylor remainder along a random direction.

    Parameters
    ----------
    steps, remainder : tuple of float
        t and R(t).
    noise : float
        What rounding can do to R; remainders below it say nothing.
    slope : float or None
        The slope of log R over log t; None where the function is linear along the direction, up to rounding.
    """

    steps: tuple[float, ...]
    remainder: tuple[float, ...]
    noise: float
    slope: float | None

    def __str__(self) -> str:
        if self.slope is None:
            return "Taylor remainder: 0 up to rounding, the function is linear here."
        return f"Taylor remainder: slope {self.slope:.2f} (2.00 when right, towards 1 when wrong)."


def taylor(point: Point, gradient: np.ndarray) -> Taylor:
    """Return the Taylor remainder of a function along a random direction.

    Parameters
    ----------
    point : Point
        The function at its parameters.
    gradient : ndarray (outputs, P)
        The gradient that is judged.
    """
    with np.errstate(all="ignore"):  # far along the direction the function may not exist
        return _taylor(point, gradient)


def _taylor(point: Point, gradient: np.ndarray) -> Taylor:
    theta = point.theta
    v = np.random.default_rng(0).standard_normal(theta.size)
    v *= max(float(np.linalg.norm(theta)), 1.0) / np.linalg.norm(v)

    def moved(steps: np.ndarray) -> np.ndarray:
        return np.stack([point.at(theta + step).loss() for step in steps])

    here, slope = point.loss(), gradient @ v
    steps = 10.0 ** np.arange(-1, -7.5, -0.5)
    there = moved(steps[:, None] * v)
    remainder = np.abs(there - here - steps[:, None] * slope).sum(axis=1)
    noise = 50 * float(noise_level(moved, v[None]).sum())
    clear = np.isfinite(remainder) & (remainder > noise)
    steps_seen, seen = steps[clear], remainder[clear]
    fitted = None
    if len(seen) >= 3:
        # The smallest steps that rounding leaves are the nearest to the limit.
        fitted = float(np.polyfit(np.log(steps_seen[-4:]), np.log(seen[-4:]), 1)[0])
    return Taylor(tuple(steps.tolist()), tuple(remainder.tolist()), noise, fitted)
