"""Derivatives by differences, each with an estimate of its own error."""

from typing import NamedTuple

import numpy as np

from .complex_step import Moved


class Difference(NamedTuple):
    """Derivatives along directions, (K, outputs), found by differences.

    Parameters
    ----------
    value : ndarray
        The derivatives.
    error : ndarray
        An estimate of their error.
    jump : ndarray
        The right derivative less the left one: 0 but for the error, unless there is a kink.
    """

    value: np.ndarray
    error: np.ndarray
    jump: np.ndarray


def noise_level(moved: Moved, U: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the rounding errors in a function's values along directions, (K, outputs).

    The values are taken at points so close that the function is smooth between them: a fourth difference removes what
    is smooth and leaves √(8! / 4!²) times the noise (Moré and Wild, 2011). Two units in the last place are added.

    Parameters
    ----------
    moved : callable
        The function's values, moved by steps.
    U : ndarray (K, size)
        Directions as long as the parameters.

    Examples
    --------
    >>> rough = lambda steps: np.round(1e12 * np.exp(steps)) / 1e12
    >>> bool(noise_level(rough, np.array([[1.0]])) > 1e-14)
    True
    """
    values = np.stack([moved(t * 1e-13 * U) for t in range(9)])
    fourth = np.diff(values, 4, axis=0) / 70**0.5
    return np.sqrt(np.mean(fourth * fourth, axis=0)) + 2 * np.finfo(np.float64).eps * np.abs(values).max(axis=0)


def central_differences(
    moved: Moved, U: np.ndarray, noise: np.ndarray, step: float = 1e-4
) -> tuple[np.ndarray, np.ndarray]:
    """Return (f(theta + εu) - f(theta - εu)) / 2ε, with an estimate of its error.

    The error is that of truncation, a third of the change when ε is doubled, and that of rounding.

    Parameters
    ----------
    moved : callable
        The function's values, moved by steps.
    U : ndarray (K, size)
        The directions.
    noise : ndarray, broadcast to (K, outputs)
        The standard deviation of the rounding errors of the function's values.
    step : float, default 1e-4
        The small change ε.

    Returns
    -------
    derivative, error : ndarray (K, outputs)

    Examples
    --------
    >>> derivative, error = central_differences(lambda steps: np.exp(steps), np.array([[1.0]]), np.array([[1e-16]]))
    >>> bool(abs(derivative - 1) <= error), bool(error < 1e-8)
    (True, True)
    """
    near, far = ((moved(h * U) - moved(-h * U)) / (2 * h) for h in (step, 2 * step))
    return near, np.abs(far - near) + 8 * noise / step


_STEPS, _SHRINK = 12, 2.0


def ridders(moved: Moved, U: np.ndarray, scale: np.ndarray) -> Difference:
    """Return derivatives by Ridders' method: central differences for ever smaller steps, extrapolated to step 0.

    The extrapolations form Neville's tableau; the entry that differs least from the two it was made of is the answer,
    and that difference its error (Ridders, 1982). A derivative cannot be better than the function's own rounding
    divided by the step, so that is added.

    Parameters
    ----------
    moved : callable
        The function's values, moved by steps.
    U : ndarray (K, size)
        The directions.
    scale : ndarray (K,)
        The largest step along each direction.

    Returns
    -------
    Difference

    Examples
    --------
    >>> found = ridders(lambda steps: np.sin(1.0 + steps), np.array([[1.0]]), np.array([0.1]))
    >>> bool(abs(found.value - np.cos(1.0)) <= found.error), bool(found.error < 1e-10)
    (True, True)
    """
    here = moved(np.zeros_like(U))
    steps = [scale[:, None] / _SHRINK**k for k in range(_STEPS)]
    right = np.stack([moved(h * U) - here for h in steps])  # (steps, K, outputs)
    left = np.stack([here - moved(-h * U) for h in steps])
    h = np.stack(steps)
    noise = 4 * noise_level(moved, 10 * scale[:, None] * U)
    # The central difference is even in the step, so its tableau goes by h²; the jump of the slopes is odd, so by h.
    value, error = _extrapolated((right + left) / (2 * h), noise / h, _SHRINK**2)
    jump, unsure = _extrapolated((right - left) / h, 2 * noise / h, _SHRINK)
    return Difference(value, error, np.where(np.abs(jump) > 8 * unsure, jump, 0))


def _extrapolated(differences: np.ndarray, noise: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the best entry of Neville's tableau, for errors that shrink by powers of the ratio, and its error."""
    row, power = differences, 1.0
    tableau, errors = [], []
    for order in range(1, len(differences)):
        power *= ratio
        finer = (power * row[1:] - row[:-1]) / (power - 1)
        # An entry's error: how far it is from those it was made of, and what rounding does at its smallest step.
        errors.append(np.maximum(np.abs(finer - row[1:]), np.abs(finer - row[:-1])) + noise[order:])
        tableau.append(finer)
        row = finer
    entries, error = np.concatenate(tableau), np.nan_to_num(np.concatenate(errors), nan=np.inf)
    first, second, third = np.argsort(error, axis=0, kind="stable")[:3]
    best, *others = (np.take_along_axis(entries, place[None], 0)[0] for place in (first, second, third))
    least = np.take_along_axis(error, first[None], 0)[0]
    # An entry can agree with those it was made of by chance, but not with the next best ones as well.
    return best, np.maximum(least, np.max([np.abs(best - other) for other in others], axis=0))
