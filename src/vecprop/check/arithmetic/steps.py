"""Derivatives from function values: by complex step, or by finite differences with error estimates.

Since f(theta + i h u) = f(theta) + i h f'(theta) u + O(h²), the derivative along u is
Im f(theta + i h u) / h. The complex step does not subtract, so h can be 1e-20, and the
derivative is accurate to the last bits (Squire and Trapp, 1998). For networks,
`arithmetic/tangents.py` computes the same numbers faster.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray

STEP = 1e-20
"""The step h. The square of h is below the rounding error of any sum, and far above
underflow.
"""

ValuesAfter = Callable[[ndarray], ndarray]
"""A function that adds each row of steps, (K, size), to the parameters and returns
the values, (K, outputs).
"""


def complex_step(values_after: ValuesAfter, U: ndarray, step: float = STEP):
    """Return the derivatives along the rows of U, (K, outputs), by complex step.

    Examples
    --------
    >>> complex_step(lambda steps: np.exp(1.0 + steps), np.array([[1.0]])) == np.exp(1.0)
    array([[ True]])
    """
    return np.imag(values_after(1j * step * U)) / step


class Difference(NamedTuple):
    """Derivatives along directions from finite differences, with errors and jumps, each (K, outputs)."""

    value: ndarray
    error: ndarray
    jump: ndarray


def central_differences(
    values_after: ValuesAfter, U: ndarray, noise: ndarray, step
) -> tuple[ndarray, ndarray]:
    """Return (f(theta + εu) - f(theta - εu)) / 2ε and an error estimate.

    The estimate is the rounding error plus the change when ε is doubled, which bounds
    the truncation error.

    Examples
    --------
    >>> derivative, error = central_differences(np.exp, np.array([[1.0]]), np.array([[1e-16]]), 1e-4)
    >>> bool(abs(derivative - 1) <= error), bool(error < 1e-8)
    (True, True)
    """
    h = step * U
    near = (values_after(h) - values_after(-h)) / (2 * step)
    far = (values_after(2 * h) - values_after(-2 * h)) / (4 * step)
    return near, abs(far - near) + 8 * noise / step


LONG_STEPS = 0.1 * 2.0 ** -np.arange(10)
"""The long steps, relative to a scale; each step is half of the previous one."""

STEPS = np.concatenate([LONG_STEPS, LONG_STEPS[-1] * 8.0 ** -np.arange(1, 6)])
"""All steps. Each short step is an eighth of the previous one, to detect fine
structure.
"""

MORE_STEPS = 0.8 * 2.0 ** -np.arange(36)
OTHER_STEPS = MORE_STEPS[:12]
"""Additional steps for uncertain derivatives: down to 1e-11 of the scale, and around
other scales.
"""

UNCLEAR = 1e-8
"""Additional steps are used for errors above this fraction of the largest
derivative.
"""

ORDER = 7
"""The highest extrapolation order. Higher orders amplify rounding errors more than
they reduce truncation errors.
"""

FEWEST_STEPS = 4
"""The smallest number of additional steps."""


class Ladder(NamedTuple):
    """The derivatives from one sequence of steps, and the shortest step along each direction, (K,)."""

    difference: Difference
    shortest: ndarray


def ridders(
    values_after: ValuesAfter,
    U: ndarray,
    scale: ndarray,
    noise: ndarray,
    scales: ndarray,
):
    """Return derivatives by Ridders' method: central differences for decreasing steps, extrapolated to 0.

    The extrapolations form Neville's tableau. The result is the entry that differs
    least from its two predecessors. Its error is this difference (Ridders, 1982) plus
    the noise of the values divided by the step. A function with a pole or with kinks
    may look smooth over long steps. Therefore shorter steps must confirm the entries of
    long steps.

    Steps along the rows of U are relative to ``scale``, (K,). If the result is
    uncertain, steps relative to each row of ``scales`` are tried, too.

    Examples
    --------
    >>> one = np.ones(1)
    >>> found = ridders(lambda steps: np.sin(1.0 + steps), one[:, None], one, 1e-16 * one, one[None])
    >>> bool(abs(found.value - np.cos(1.0)) <= found.error), bool(found.error < 1e-10)
    (True, True)
    """
    result = extrapolated_differences(values_after, U, STEPS[:, None] * scale, noise)
    is_inexact = result.error > UNCLEAR * largest_of(result.value, scale)
    is_unclear = is_inexact | (result.jump != 0)
    unclear = np.flatnonzero(is_unclear.any(axis=1))
    if not unclear.size:
        return result
    scale = scale[unclear]
    first = Difference(*(array[unclear] for array in result))
    ladders = [Ladder(first, shortest=STEPS[-1] * scale)]
    for steps in _more_steps(first, scale, scales[:, unclear], noise):
        difference = extrapolated_differences(values_after, U[unclear], steps, noise)
        ladders.append(Ladder(difference, shortest=steps.min(axis=0)))
    for array, best in zip(result, _best(ladders, noise), strict=True):
        array[unclear] = best
    return result


def _more_steps(
    difference: Difference, scale: ndarray, scales: ndarray, noise: ndarray
):
    """Return sequences of steps, (steps, K), for derivatives that long steps leave unclear."""
    sequences = [MORE_STEPS[:, None] * scale]
    for other_scale in scales:
        if (other_scale != scale).any():
            sequences.append(OTHER_STEPS[:, None] * other_scale)
    # shorter steps have larger rounding errors than the current errors
    doubt = np.maximum(difference.error, 0.1 * abs(difference.jump)).max()
    shortest_useful = 4 * noise.min() / doubt
    useful_sequences = []
    for steps in sequences:
        count = int((steps.max(axis=1) >= shortest_useful).sum())
        useful_sequences.append(steps[: max(FEWEST_STEPS, count)])
    return useful_sequences


def largest_of(values: ndarray, scale: ndarray):
    """Return the largest derivative in the unit of each of the K derivatives, (K, outputs); see `Point.scale`."""
    sizes = abs(values)
    scale = scale[:, None]
    return np.minimum(sizes.max(axis=0), (sizes * scale).max(axis=0) / scale)


def _explained(error: ndarray, rounding: ndarray):
    """Return the difference between coarse and fine steps that rounding errors can explain."""
    return np.where(np.isfinite(error), np.minimum(error, 4 * rounding), np.inf)


def _best(ladders: list[Ladder], noise: ndarray):
    """Select the derivatives with the smallest errors among ladders for the same directions."""

    def coarseness(ladder: Ladder) -> tuple[float, float]:
        return ladder.shortest.min(), ladder.difference.error.max()

    # The sequence with the shortest steps must confirm the other sequences, up to its
    # rounding errors.
    finest, *coarser = sorted(ladders, key=coarseness)
    fine = finest.difference
    rounding = 4 * noise / finest.shortest[:, None]
    explained = _explained(fine.error, rounding)
    best = fine
    for ladder in coarser:
        coarse = ladder.difference
        unexplained = abs(coarse.value - fine.value) - explained
        error = np.maximum(coarse.error, unexplained)
        is_better = error < best.error
        best = Difference(
            value=np.where(is_better, coarse.value, best.value),
            error=np.where(is_better, error, best.error),
            jump=np.where(np.isfinite(best.error), best.jump, coarse.jump),
        )
    return best


def extrapolated_differences(
    values_after: ValuesAfter, U: ndarray, steps: ndarray, noise: ndarray
):
    """Return the derivatives along the rows of U for a sequence of steps, (steps, K); see `ridders`."""
    center = values_after(np.zeros_like(U[:1]))
    # f(h) - f(0) and f(0) - f(-h), each (steps, K, outputs)
    right = np.stack([values_after(h[:, None] * U) - center for h in steps])
    left = np.stack([center - values_after(-h[:, None] * U) for h in steps])
    h = steps[:, :, None]
    is_too_long = _are_too_long(right - left, h, noise)
    rounding = np.where(is_too_long, np.inf, 4 * noise / h)
    # The central difference is even in h, so extrapolate it in h². The jump is not
    # even, so extrapolate it in h.
    central = (right + left) / (2 * h)
    value, error = _extrapolated(central, rounding, h * h)
    jump, jump_error = _extrapolated((right - left) / h, 2 * rounding, h)
    is_jump = abs(jump) > 8 * jump_error
    return Difference(value, error, np.where(is_jump, jump, 0))


def _are_too_long(second: ndarray, h: ndarray, noise: ndarray):
    """Return whether each step, (steps, K, outputs), is too long, for example near a pole.

    The second difference f(h) + f(-h) - 2 f(0) shrinks like h² if the function is
    smooth, and like h at a kink. If the difference shrinks more slowly, the step is too
    long. For example, a step across a narrow peak gives a slope of 0.
    """
    size = abs(second)
    stays = (size[1:] > 32 * noise) & (size[1:] > np.sqrt(h[1:] / h[:-1]) * size[:-1])
    return np.concatenate([stays[:1], stays])


def _extrapolated(differences: ndarray, rounding: ndarray, x: ndarray):
    """Extrapolate a polynomial in x to 0; return the best entry of Neville's tableau and its error."""
    row = differences
    tableau = []
    errors = []
    levels = []
    for order in range(1, min(ORDER, len(differences) - 1) + 1):
        ratio = x[:-order] / x[order:]
        finer = row[1:] + (row[1:] - row[:-1]) / (ratio - 1)
        # The error is the difference from the two predecessors plus the rounding error
        # at the smallest step.
        change = np.maximum(abs(finer - row[1:]), abs(finer - row[:-1]))
        errors.append(change + rounding[order:])
        tableau.append(finer)
        levels.append(np.arange(order, len(differences)))
        row = finer
    entries = np.concatenate(tableau)
    level = np.concatenate(levels)  # the index of the smallest step of each entry
    initial_error = np.concatenate(errors)
    initial_error[~np.isfinite(initial_error) | ~np.isfinite(entries)] = np.inf
    entries = np.where(np.isfinite(initial_error), entries, 0)
    error = initial_error.copy()
    # The error is at least the difference from the best entry with smaller steps, minus
    # rounding errors.
    for step in range(1, len(differences)):
        best = _smallest(initial_error[level == step])[:1]
        value = np.take_along_axis(entries[level == step], best, axis=0)
        value_error = np.take_along_axis(initial_error[level == step], best, axis=0)
        is_coarser = level < step
        explained = _explained(value_error, rounding[step])
        gap = abs(entries[is_coarser] - value) - explained
        error[is_coarser] = np.maximum(error[is_coarser], gap)
    order = _smallest(error)[:3]
    best, *next_best = np.take_along_axis(entries, order, axis=0)
    least = np.take_along_axis(error, order[:1], axis=0)[0]
    # An entry may agree with its predecessors by chance, but rarely with the next best
    # entries as well.
    return best, np.maximum(least, abs(best - next_best).max(axis=0))


def _smallest(errors: ndarray):
    """Return the indices that sort each column."""
    return np.argsort(errors, axis=0, kind="stable")
