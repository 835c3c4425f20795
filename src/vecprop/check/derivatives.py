"""Compute the expected derivatives along directions, by complex step or by finite differences with error estimates.

Finite differences must confirm a complex step, because some NumPy functions silently
lose derivatives. For example, `np.abs` returns real numbers, so its imaginary part is
lost. A gradient that lacks the same terms would then pass.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import SAME_NOISE
from .arithmetic.steps import (
    LONG_STEPS,
    STEP,
    Difference,
    central_differences,
    extrapolated_differences,
    largest_of,
    ridders,
)
from .points.function import Point, random_signs, typical_size
from .points.parameters import Directions, NamedPart

Method = Literal["complex step", "ridders", "central differences"]
"""The method that computes derivatives, for single entries and along random
directions.
"""

BELIEVED = 1e-9
"""The smallest relative error that is assumed for finite differences, since their
error estimate may be too small.
"""

CENTRAL = 1e-4
"""The step of central differences, relative to the size of the parameters of a part."""

DISTRUST = 10
"""The safety factor on the error estimate of a finite difference, since the estimate
is not a bound.
"""

SHORT = 1e-8
"""The length of steps for functions that vary rapidly, relative to the parameters."""

MUCH_SMALLER = 1e-3
"""Some parameters are much smaller than the others below this ratio. Steps relative to
the smallest parameter are then tried, too.
"""


class Derivatives(NamedTuple):
    """The derivatives along K directions, their errors and their jumps (right minus left), each (outputs, K).

    The jumps are 0 if ``tied`` is false.
    """

    value: ndarray
    error: ndarray
    jump: ndarray
    tied: bool = True


def derivatives_along(point: Point, directions: Directions, method: Method):
    """Return the derivatives along directions of one part."""
    [derivatives] = derivatives_of_group(point, [directions], method)
    return derivatives


def derivatives_of_group(
    point: Point, group: Sequence[Directions], method: Method
) -> list[Derivatives]:
    """Return the derivatives along directions of several parts, which one pass computes if possible."""
    if method != "complex step":
        return [_by_differences(point, directions, method) for directions in group]
    values, tied = point.derivatives(group)
    ends = np.cumsum([len(directions.U) for directions in group])
    derivatives = []
    for value in np.split(values, ends[:-1], axis=1):
        zeros = np.zeros(value.shape)
        derivatives.append(Derivatives(value, error=zeros, jump=zeros, tied=tied))
    return derivatives


def _by_differences(point: Point, directions: Directions, method: Method):
    """Return the derivatives along directions of a part by finite differences."""
    part, U = directions
    if method == "central differences":
        value, error = _central(point, part, U)
        return Derivatives(value.T, error=error.T, jump=np.zeros(value.T.shape))
    difference = differences(point, part, U)
    largest = largest_of(difference.value, _scale(point, part, U))
    error = DISTRUST * difference.error + BELIEVED * largest
    return Derivatives(difference.value.T, error=error.T, jump=difference.jump.T)


def _central(point: Point, part: NamedPart, U: ndarray):
    """Return central differences along the rows of U and their errors, (K, outputs)."""
    scale = _scale(point, part, U)[:, None]
    size = typical_size(point.sizes(part))
    # A function may vary over distances much smaller than the parameter.
    lengths: list[Any] = [size, CENTRAL * size]
    if point.may_vary_rapidly:
        lengths.append(SHORT * size)
    if (scale < MUCH_SMALLER * size).any():
        lengths.append(scale)
    values_after = partial(point.values_after, part)
    results = []
    for length in lengths:
        step = CENTRAL * length
        result = central_differences(values_after, U, point.noise.near, step=step)
        results.append(result)
    # Where another length gives another derivative, the error is twice the difference.
    value, error = results[0]
    for other_value, other_error in results[1:]:
        gap = abs(value - other_value)
        agrees = gap <= error + other_error
        error = np.where(agrees, error, error + 2 * gap)
    return value, error


def differences(point: Point, part: NamedPart, U: ndarray):
    """Return the derivatives along the rows of U by Ridders' method, (K, outputs)."""
    scale = _scale(point, part, U)
    scales = _other_scales(point, part, U)
    values_after = partial(point.values_after, part)
    noise = point.noise
    near = ridders(values_after, U, scale, noise=noise.near, scales=scales)
    if point.may_vary_rapidly:
        short_steps = SHORT * LONG_STEPS[:, None] * scale
        short = extrapolated_differences(
            values_after, U, short_steps, noise=noise.nearest
        )
        near = _reconciled(near, short)
    cancellation = np.fmax(noise.farther, point.value_bound)
    if (cancellation <= SAME_NOISE * noise.near).all():
        return near
    # A value that suffers from cancellation may look smooth over short steps, but with
    # another slope than over long steps. If the two slopes disagree, either may be
    # right.
    far = ridders(values_after, U, scale, noise=cancellation, scales=scales)
    return _reconciled(near, far)


def _other_scales(point: Point, part: NamedPart, U: ndarray):
    """Return scales, each (K,), that change parameters by a typical size, by 1, or by the smallest size."""
    sizes = point.sizes(part)
    largest = abs(U).max(axis=1)
    scales = []
    for length in dict.fromkeys((typical_size(sizes), 1.0)):
        scales.append(length / largest)
    smallest = (sizes / abs(U)).min(axis=1)
    if (smallest < MUCH_SMALLER * _scale(point, part, U)).any():
        scales.append(smallest)
    return np.stack(scales)


def _reconciled(difference: Difference, other: Difference):
    """Return the first derivatives. Where the others disagree, the error is the difference between the two."""
    gap = abs(difference.value - other.value)
    agree = gap <= DISTRUST * (difference.error + other.error)
    return difference._replace(
        error=np.where(agree, difference.error, np.fmax(gap, difference.error))
    )


def differences_over_long_steps(point: Point, part: NamedPart, U: ndarray):
    """Return the derivatives from long steps only: cancellation may be invisible over short steps."""
    steps = LONG_STEPS[:, None] * _scale(point, part, U)
    return extrapolated_differences(
        partial(point.values_after, part), U, steps, noise=point.noise.near
    )


def is_independent_of(point: Point, part: NamedPart, u: ndarray):
    """Return whether each value, (outputs,), is independent of a part up to rounding errors.

    A value is independent if it changes only by rounding errors when the part moves
    along u by its size, or not at all when the part moves by a tenth of its size.
    """
    far_steps = np.array([[1.0], [-1.0], [0.5]])
    near_steps = np.array([[0.1], [-0.1], [0.01], [-0.01]])
    far = abs(point.values_after(part, far_steps * u) - point.value)
    near = abs(point.values_after(part, near_steps * u) - point.value)
    return (far <= 8 * point.noise.nearest).all(axis=0) | (near == 0).all(axis=0)


def _scale(point: Point, part: NamedPart, U: ndarray):
    """Return the step along each row of U, (K,), that changes the largest parameter by about its size."""
    return np.max(np.where(U != 0, point.sizes(part), 0), axis=1) / abs(U).max(axis=1)


ROUNDING = 1e-9
"""The largest relative change of the real part under a complex step that is attributed
to rounding. If the real part changes more, the function behaves differently for complex
numbers.
"""

CONFIRMED = 1e-3
"""The largest relative error of finite differences that can confirm a derivative.

Less accurate differences could miss a term that the complex step lost. Finite
differences then replace the complex step.
"""

SIMILAR = 1e3
"""The largest ratio between derivatives of parts that move together. A larger ratio
could hide a missing derivative.
"""


def obstacle(point: Point):
    """Explain why the complex step does not work for a function, or return an empty string if it works.

    Parts move twice: first each parameter by about its size, then all parameters by the
    same distance. Only the second move reveals a missing derivative of a parameter near
    0. Parts with derivatives of similar size move together (see `SIMILAR`).
    """
    draw = np.random.default_rng(0)
    parts = [part for part in point.parts if part.size]
    typical_sizes = []
    for part in parts:
        typical_sizes.append(np.full(part.size, typical_size(point.sizes(part))))
    for lengths in (point.all_sizes, np.concatenate(typical_sizes)):
        direction = lengths * random_signs(draw, point.theta.shape)
        derivatives = []
        for part in parts:
            u = direction[None, part.span]
            reason = _complex_obstacle(point, part, u)
            if reason:
                return reason
            derivative = point.by_complex_step(part, u)
            derivatives.append(float(abs(derivative).max()))
        for group in _groups(derivatives):
            group_parts = [parts[number] for number in group]
            reason = _unconfirmed_together(point, group_parts, direction)
            if reason:
                return reason
    return ""


def _complex_obstacle(point: Point, part: NamedPart, u: ndarray):
    """Explain why a function does not support complex numbers, or return an empty string."""
    [values] = point.values_after(part, 1j * STEP * u)
    if not np.isfinite(values).all():
        return "it returns no finite value for complex numbers"
    rounding = ROUNDING * abs(point.value).max() + 100 * point.noise.near + STEP
    if (abs(values.real - point.value) > rounding).any():
        return "imaginary parts of the parameters change the real part of its value"
    return ""


def _unconfirmed_together(point: Point, parts: list[NamedPart], direction: ndarray):
    """Explain why finite differences do not confirm the complex step if these parts move along a direction, (P,)."""
    part = parts[0]
    if len(parts) > 1:
        part = NamedPart("theta", 0, point.theta.shape)
    u = np.zeros((1, point.theta.size))
    for moved_part in parts:
        u[0, moved_part.span] = direction[moved_part.span]
    u = u[:, part.span]
    return unconfirmed(point, part, u, derivative=point.by_complex_step(part, u))


def _groups(derivatives: list[float]):
    """Group the indices of derivatives whose ratios are less than `SIMILAR`; zeros form a separate group.

    Examples
    --------
    >>> _groups([1.0, 1e9, 20.0, 0.0])
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    largest_of_group = -1.0
    for number in np.argsort(derivatives)[::-1].tolist():
        derivative = derivatives[number]
        is_similar = (
            derivative > largest_of_group / SIMILAR or derivative == largest_of_group
        )
        if groups and is_similar:
            groups[-1].append(number)
        else:
            groups.append([number])
            largest_of_group = derivative
    return groups


def unconfirmed(point: Point, part: NamedPart, u: ndarray, derivative: ndarray):
    """Explain why finite differences along u, (1, size), do not confirm a complex step; return "" if they do."""
    difference = differences(point, part, u)
    reason = contradiction(point, part, u, derivative=derivative, difference=difference)
    if reason:
        return reason
    is_confirmed = _margin(difference) <= CONFIRMED * abs(derivative)
    if is_confirmed.all():
        return ""
    is_confirmed = is_confirmed | is_independent_of(point, part, u)
    if is_confirmed.all():
        return ""
    return (
        f"finite differences along a random direction of {part.name} are too inaccurate"
        " to confirm it"
    )


def contradiction(
    point: Point,
    part: NamedPart,
    u: ndarray,
    *,
    derivative: ndarray,
    difference: Difference,
):
    """Explain how finite differences contradict the derivative along u by complex step, or return "" if they agree."""
    # At a kink the complex step may return either one-sided derivative.
    middle = difference.value
    left = middle - 0.5 * difference.jump
    right = middle + 0.5 * difference.jump
    gap = abs(derivative - np.stack([left, middle, right])).min(axis=0)
    reference = f"finite differences along a random direction of {part.name}"
    if not (gap <= _margin(difference)).all():
        if derivative.any():
            return f"the imaginary part of its value differs from {reference}"
        return f"the imaginary part of its value is 0, but {reference} are not"
    # The derivatives along u and -u must differ in size at a kink.
    if difference.jump.any():
        backward = point.by_complex_step(part, -u)
        if not (derivative + backward).any():
            return f"it does not see a kink along a random direction of {part.name}"
    return ""


def _margin(difference: Difference):
    """Return the assumed maximum error of a finite difference."""
    return 2 * DISTRUST * difference.error + BELIEVED * abs(difference.value)
