"""Whether a function may be differentiated by complex step: real differences, which nothing corrupts, are asked.

NumPy corrupts some functions in silence: the absolute value of a complex number is real, so a derivative is lost, and a
gradient that has forgotten the same terms would pass.
"""

import numpy as np

from .complex_step import STEP
from .judge import BELIEVED, DISTRUST, differences
from .parameters import Part
from .point import Point, random_signs

ROUNDING = 1e-9
"""The change of a value's real part that is thought to be rounding, as a share of the largest value."""


def unsuited(point: Point) -> str:
    """Return why a function is not to be differentiated by complex step; empty where it is."""
    draw = np.random.default_rng(0)
    here = point.value
    for part in point.parts:
        if not part.size:
            continue
        u = point.sizes(part) * random_signs(draw, (1, part.size))
        along = point.moved(part, 1j * STEP * u)[0]
        if not np.isfinite(along).all():
            return "it has no value for complex numbers, or raises"
        if (np.abs(along.real - here) > ROUNDING * np.abs(here).max() + 100 * point.noise.near + STEP).any():
            return "its real part changes with complex numbers"
        reason = contradicted(point, part, u, point.stepped(part, u))
        if reason:
            return reason
    return ""


def contradicted(point: Point, part: Part, U: np.ndarray, stepped: np.ndarray) -> str:
    """Return in which way real differences along the rows of U contradict the complex step; empty where they do not.

    Parameters
    ----------
    point : Point
        The function at its parameters.
    part : Part
        The part that moves.
    U : ndarray (K, size)
        The directions.
    stepped : ndarray (K, outputs)
        The slopes by complex step.
    """
    found = differences(point, part, U)
    # At a kink the complex step may take either side.
    sides = np.stack([found.value + side * found.jump for side in (-0.5, 0.0, 0.5)])
    apart = np.abs(stepped - sides).min(axis=0)
    if not (apart > 2 * DISTRUST * found.error + BELIEVED * np.abs(found.value)).any():
        return ""
    lost = "its imaginary part is not the derivative" if stepped.any() else "its imaginary part vanishes"
    return f"{lost} (compared with differences along a random direction of {part.name})"
