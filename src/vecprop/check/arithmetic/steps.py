"""Derivatives from values of a function nearby: by complex step, or by differences with an estimate of their own error.

The complex step is a derivative without a difference, so without cancellation:
f(theta + i h u) = f(theta) + i h f'(theta) u + O(h²), so Im f(theta + i h u) / h is the derivative along u. Nothing is
subtracted, so h can be 1e-20 and the derivative is right to the last bits (Squire and Trapp, 1998).

It needs only the function itself. For networks `arithmetic/tangents.py` computes the same numbers in less time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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


class Difference(NamedTuple):
    """Derivatives along directions by differences, (K, outputs)."""

    value: np.ndarray
    error: np.ndarray
    jump: np.ndarray


def central_differences(moved: Moved, U: np.ndarray, noise: np.ndarray, step: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (f(theta + εu) - f(theta - εu)) / 2ε, with an estimate of its error.

    The error is the change when ε is doubled, which bounds the truncation error, plus the rounding error.

    Examples
    --------
    >>> derivative, error = central_differences(np.exp, np.array([[1.0]]), np.array([[1e-16]]), 1e-4)
    >>> bool(abs(derivative - 1) <= error), bool(error < 1e-8)
    (True, True)
    """
    near, far = ((moved(h * U) - moved(-h * U)) / (2 * h) for h in (step, 2 * step))
    return near, np.abs(far - near) + 8 * noise / step


LONG_STEPS = 0.1 * 2.0 ** -np.arange(10)
"""The long steps, as shares of a scale: each half of the one before."""

STEPS = np.array([*LONG_STEPS, *(LONG_STEPS[-1] * 8.0**-k for k in range(1, 6))])
"""All steps: after the long ones each is an eighth of the one before, to show structure that is finer than those."""

MORE_STEPS, OTHER_STEPS = 0.8 * 2.0 ** -np.arange(36), 0.8 * 2.0 ** -np.arange(12)
"""The steps for derivatives that are still unclear: down to 1e-11 of the scale, and around other scales."""

UNCLEAR = 1e-8
"""The share of the largest derivative above which an error calls for more steps."""

ORDER = 7
"""The highest order of extrapolation; higher ones amplify rounding more than they reduce truncation."""


def ridders(moved: Moved, U: np.ndarray, scale: np.ndarray, noise: np.ndarray, others: np.ndarray) -> Difference:
    """Return derivatives by Ridders' method: central differences for ever smaller steps, extrapolated to step 0.

    The extrapolations form Neville's tableau. Its result is the entry that differs least from the two that it was made
    of, and that difference is its error (Ridders, 1982), to which the noise of the values divided by the step is added.
    A function with a pole or with kinks between the steps may look smooth over long steps. So an entry of long steps is
    believed only as far as shorter steps confirm it.

    Examples
    --------
    >>> one = np.ones(1)
    >>> found = ridders(lambda steps: np.sin(1.0 + steps), one[:, None], one, 1e-16 * one, one[None])
    >>> bool(abs(found.value - np.cos(1.0)) <= found.error), bool(found.error < 1e-10)
    (True, True)
    """
    found = ladder(moved, U, STEPS[:, None] * scale, noise)
    unclear = (found.error > UNCLEAR * largest_of(found.value, scale)).any(axis=1) | (found.jump != 0).any(axis=1)
    some = np.flatnonzero(unclear)
    if some.size:
        own = Difference(*(part[some] for part in found))
        ladders = [(STEPS[-1] * scale[some], own)]
        doubt = np.maximum(found.error, 0.1 * np.abs(found.jump))[some].max()
        least = 4 * noise.min() / doubt  # shorter steps have more rounding than the error so far
        for shares, sizes in ((MORE_STEPS, scale[some]), *((OTHER_STEPS, other[some]) for other in others)):
            if shares is MORE_STEPS or (sizes != scale[some]).any():
                steps = shares[:, None] * sizes
                steps = steps[: max(4, int((steps.max(axis=1) >= least).sum()))]
                ladders.append((steps.min(axis=0), ladder(moved, U[some], steps, noise)))
        for old, new in zip(found, _best(ladders, noise), strict=True):
            old[some] = new
    return found


def largest_of(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the largest of derivatives along K directions, (K, outputs), in the unit of each: see `Point.scale`."""
    sizes, scale = np.abs(values), scale[:, None]
    return np.minimum(sizes.max(axis=0), (sizes * scale).max(axis=0) / scale)


def _excused(error: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return the distance of coarser steps from finer ones that the rounding of the finer ones explains."""
    return np.where(np.isfinite(error), np.minimum(error, 4 * rounding), np.inf)


def _best(ladders: list[tuple[np.ndarray, Difference]], noise: np.ndarray) -> Difference:
    """Return the derivatives with the smallest error of all ladders, each with its shortest steps, (K,)."""
    # A ladder is believed only as far as the one with the shortest steps confirms it, up to the rounding of that one.
    ladders = sorted(ladders, key=lambda one: (one[0].min(), one[1].error.max()))
    shortest, fine = ladders[0]
    excused = _excused(fine.error, 4 * noise / shortest[:, None])
    best = fine
    for _, coarse in ladders[1:]:
        error = np.maximum(coarse.error, np.abs(coarse.value - fine.value) - excused)
        taken = error < best.error
        jump = np.where(np.isfinite(best.error), best.jump, coarse.jump)
        best = Difference(np.where(taken, coarse.value, best.value), np.where(taken, error, best.error), jump)
    return best


def ladder(moved: Moved, U: np.ndarray, steps: np.ndarray, noise: np.ndarray) -> Difference:
    """Return the derivatives along the rows of U from a ladder of step lengths, (steps, K); see `ridders`."""
    here = moved(np.zeros_like(U[:1]))
    right = np.stack([moved(h[:, None] * U) - here for h in steps])  # (steps, K, outputs)
    left = np.stack([here - moved(-h[:, None] * U) for h in steps])
    h = steps[:, :, None]
    rounding = 4 * noise / h
    # The central difference is even in h, so it is extrapolated in h². The jump is not, so it is extrapolated in h.
    rounding = np.where(_are_too_long(right - left, h, noise), np.inf, rounding)
    value, error = _extrapolated((right + left) / (2 * h), rounding, h * h)
    jump, unsure = _extrapolated((right - left) / h, 2 * rounding, h)
    return Difference(value, error, np.where(np.abs(jump) > 8 * unsure, jump, 0))


def _are_too_long(second: np.ndarray, h: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return whether each step, (steps, K, outputs), is too long for the values to approach f(0), as beside a pole.

    The second difference, f(h) + f(-h) - 2 f(0), shrinks with h² if the function is smooth, and with h at a kink. If it
    shrinks more slowly, the step is too long: a narrow peak has the same value on both sides, so that central
    differences over its width would give 0.
    """
    size = np.abs(second)
    stays = (size[1:] > 32 * noise) & (size[1:] > np.sqrt(h[1:] / h[:-1]) * size[:-1])
    return np.concatenate([stays[:1], stays])


def _extrapolated(differences: np.ndarray, rounding: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best entry of Neville's tableau, a polynomial in x extrapolated to 0, and its error."""
    row = differences
    tableau, errors, levels = [], [], []
    for order in range(1, min(ORDER, len(differences) - 1) + 1):
        ratio = x[:-order] / x[order:]
        finer = row[1:] + (row[1:] - row[:-1]) / (ratio - 1)
        # An entry's error is its distance from the two that it was made of, plus the rounding at its smallest step.
        errors.append(np.maximum(np.abs(finer - row[1:]), np.abs(finer - row[:-1])) + rounding[order:])
        tableau.append(finer)
        levels.append(np.arange(order, len(differences)))
        row = finer
    entries, level = np.concatenate(tableau), np.concatenate(levels)
    own_error = np.concatenate(errors)
    own_error[~np.isfinite(own_error) | ~np.isfinite(entries)] = np.inf
    entries, error = np.where(np.isfinite(own_error), entries, 0), own_error.copy()
    # An error is raised to the distance from the best entry of smaller steps, less what rounding explains.
    for step in range(1, len(differences)):
        own, coarser = np.flatnonzero(level == step), level < step
        best = np.argmin(own_error[own], axis=0)[None]
        value, unsure = (np.take_along_axis(part[own], best, 0)[0] for part in (entries, own_error))
        apart = np.abs(entries[coarser] - value) - _excused(unsure, rounding[step])
        error[coarser] = np.maximum(error[coarser], apart)
    first, second, third = np.argsort(error, axis=0, kind="stable")[:3]
    best, *next_best = (np.take_along_axis(entries, place[None], 0)[0] for place in (first, second, third))
    least = np.take_along_axis(error, first[None], 0)[0]
    # An entry may agree with the two that it was made of by chance, but not with the next best ones too.
    return best, np.maximum(least, np.max([np.abs(best - other) for other in next_best], axis=0))
