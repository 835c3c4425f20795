"""The complex step: a derivative without a difference, so without cancellation.

f(theta + i h u) = f(theta) + i h f'(theta) u + O(h²), so Im f(theta + i h u) / h is the derivative along u. Nothing is
subtracted, so h can be 1e-20 and the derivative is right to the last bits (Squire and Trapp, 1998).

It needs only the function itself. For networks `arithmetic/tangents.py` computes the same numbers in less time.
"""

from collections.abc import Callable

import numpy as np

STEP = 1e-20
"""The step h: its square is below the rounding of any sum that it is added to, and far above underflow."""

Moved = Callable[[np.ndarray], np.ndarray]
"""A function's values, (K, outputs), when each row of steps, (K, size), is added to its parameters."""


def complex_step(moved: Moved, U: np.ndarray, step: float = STEP) -> np.ndarray:
    """Return the derivatives along the rows of U, (K, outputs).

    Examples
    --------
    >>> complex_step(lambda steps: np.exp(1.0 + steps), np.array([[1.0]])) == np.exp(1.0)
    array([[ True]])
    """
    return np.imag(moved(1j * step * U)) / step
