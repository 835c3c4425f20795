"""The points of a session: where they lie, their targets, and which of them are for the test."""

from dataclasses import dataclass

import numpy as np

from .sets import CURVES, SETS
from .settings import Settings


@dataclass
class Points:
    """Points in the plane.

    Parameters
    ----------
    XY : ndarray (N, 2)
        Where they lie.
    t : ndarray (N,)
        The targets: classes from 0, or numbers.
    is_test : ndarray of bool (N,)
        Whether a point is not trained on.
    class_names : tuple of str
        The names of the classes; none for numbers.
    axis_names : tuple of str, default ("x", "y")
        The names of the two axes.
    """

    XY: np.ndarray
    t: np.ndarray
    is_test: np.ndarray
    class_names: tuple[str, ...]
    axis_names: tuple[str, str] = ("x", "y")

    @classmethod
    def of_set(cls, settings: Settings) -> "Points":
        """Return the points of a set, in an order drawn by the seed; the first are for the test."""
        XY, t = SETS[settings.data](settings.seed, settings.rows, settings.noise)
        order = np.random.default_rng(settings.seed).permutation(len(t))
        is_test = np.arange(len(t)) < round(settings.test * len(t))
        names = () if settings.data in CURVES else tuple(f"class {k}" for k in range(int(t.max()) + 1))
        return cls(XY[order], t[order], is_test, names)
