"""The Taylor remainder, a second opinion that needs only values of the function.

R(t) = |f(theta + t v) - f(theta) - t <g, v>| shrinks like t² if g is the gradient, and like t if it is not. So its
slope in a log-log plot is 2 when right, and towards 1 when wrong.
"""

from dataclasses import dataclass, replace

import numpy as np

from .point import Point, random_signs
from .verdict import Verdict

STEPS = 10.0 ** np.arange(-1.0, -6.0, -1.0)
"""The steps t, as shares of the parameters: rounding hides t² at much shorter ones."""

BETWEEN = 1.5
"""The slope between those of a right gradient and those of a wrong one."""


@dataclass(frozen=True)
class Taylor:
    """The Taylor remainder along a random direction.

    Parameters
    ----------
    steps, remainder : tuple of float
        t and R(t); NaN if the function raises.
    noise : float
        The rounding error of R; remainders below it say nothing.
    slope : float or None
        The slope of log R over log t; None if it says nothing.
    remark : str, default ""
        Why it says nothing.
    """

    steps: tuple[float, ...]
    remainder: tuple[float, ...]
    noise: float
    slope: float | None
    remark: str = ""

    def __str__(self) -> str:
        if self.slope is None:
            return f"Taylor remainder: {self.remark}."
        return f"Taylor remainder: slope {self.slope:.2f} (2.00 when right, towards 1 when wrong)."


def taylor(point: Point, gradient: np.ndarray) -> Taylor:
    """Return the Taylor remainder of a function along a random direction."""
    v = point.all_sizes * random_signs(np.random.default_rng(0), point.theta.shape)
    values = point.values(point.theta + STEPS[:, None] * v)  # NaN outside the function's domain
    remainder = np.abs(values - point.value - STEPS[:, None] * (gradient @ v)).sum(axis=1)
    noise = 50 * float(point.rounding.sum())
    clear = np.isfinite(remainder) & (remainder > noise)
    slope, remark = None, "0 up to rounding, since the function is linear here"
    if clear.sum() >= 3:
        # The slope is a limit for small steps, so the smallest ones above the rounding are used.
        x, y = np.log(STEPS[clear][-4:]), np.log(remainder[clear][-4:])
        slope, remark = float((x - x.mean()) @ y / np.sum((x - x.mean()) ** 2)), ""
    elif clear.any() or not np.isfinite(remainder).all():
        remark = "it says nothing, since rounding or the function's domain leaves too few steps"
    return Taylor(tuple(STEPS.tolist()), tuple(remainder.tolist()), noise, slope, remark)


def reconciled(opinion: Taylor, verdict: Verdict) -> Taylor:
    """Return the second opinion, without its slope if it contradicts the verdict.

    The verdict rests on better evidence. Its slope differs if there are kinks between the steps, or if an error is too
    small to show at them; the remark then says so.
    """
    remark, slope = "", opinion.slope
    if verdict is Verdict.PASS and slope is not None and slope < BETWEEN:
        remark = "it says nothing, since the function bends between its steps"
    elif verdict is Verdict.FAIL and (slope is None or slope > BETWEEN):
        remark = "it says nothing, since the error is too small to show in it"
    elif verdict not in (Verdict.PASS, Verdict.FAIL):
        remark = "it says nothing" + (", since there is a kink" if verdict is Verdict.KINK else " here")
    return replace(opinion, slope=None, remark=remark) if remark else opinion
