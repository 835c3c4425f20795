"""Compute the expected derivatives along directions, by complex step or by finite differences with error estimates.

Finite differences must confirm a complex step, because some NumPy functions silently
lose derivatives. For example, `np.abs` returns real numbers, so its imaginary part is
lost. A gradient that lacks the same terms would then pass.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy import ndarray

from .arithmetic.rounding import PLATEAU
from .arithmetic.steps import (
    LONG_STEPS,
    STEP,
    Difference,
    central_differences,
    ladder,
    largest_of,
    ridders,
)
from .points.function import Point, random_signs, typical_size
from .points.parameters import Move, NamedPart

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


class Derivatives(NamedTuple):
    """The derivatives along K directions, their errors and their jumps (right minus left), each (outputs, K).

    The jumps are 0 if ``tied`` is false.
    """

    value: ndarray
    error: ndarray
    jump: ndarray
    tied: bool = True


def derivatives_along(
    point: Point, moves: Sequence[Move], method: Method
) -> Iterator[Derivatives]:
    """Yield the derivatives along the directions of each move."""
    if method == "complex step":
        values, tied = point.derivatives(moves)
        for along in np.split(
            values, np.cumsum([len(U) for _, U in moves])[:-1], axis=1
        ):
            zero = np.zeros(along.shape)
            yield Derivatives(along, zero, zero, tied)
        return
    for part, U in moves:
        if method == "ridders":
            difference = differences(point, part, U)
            largest = largest_of(difference.value, _scale(point, part, U))
            error = DISTRUST * difference.error + BELIEVED * largest
            yield Derivatives(difference.value.T, error.T, difference.jump.T)
        else:
            value, error = _central(point, part, U)
            yield Derivatives(value.T, error.T, np.zeros(value.T.shape))


def _central(point: Point, part: NamedPart, U: ndarray) -> tuple[ndarray, ndarray]:
    scale = _scale(point, part, U)[:, None]
    size = typical_size(point.sizes(part))
    # A function may vary over distances much smaller than the parameter.
    lengths: list[Any] = [size, CENTRAL * size]
    if point.may_vary_rapidly:
        lengths.append(1e-8 * size)
    if (scale < 1e-3 * size).any():
        lengths.append(scale)
    results = []
    for length in lengths:
        step = CENTRAL * length
        results.append(
            central_differences(
                partial(point.moved, part), U, point.noise.near, step=step
            )
        )
    value, error = results[0]
    for other_value, other_error in results[1:]:
        gap = abs(value - other_value)
        error = np.where(gap <= error + other_error, error, error + 2 * gap)
    return value, error


def differences(point: Point, part: NamedPart, U: ndarray) -> Difference:
    """Return the derivatives along the rows of U by Ridders' method, (K, outputs)."""
    moved = partial(point.moved, part)
    scale = _scale(point, part, U)
    sizes = point.sizes(part)
    largest = abs(U).max(axis=1)
    scales = [length / largest for length in dict.fromkeys((typical_size(sizes), 1.0))]
    smallest = (sizes / abs(U)).min(axis=1)
    if (smallest < 1e-3 * scale).any():
        scales.append(smallest)
    scales = np.stack(scales)
    near = ridders(moved, U, scale, noise=point.noise.near, scales=scales)
    if point.may_vary_rapidly:
        short_steps = 1e-8 * LONG_STEPS[:, None] * scale
        short = ladder(moved, U, short_steps, noise=point.noise.nearest)
        near = _reconciled(near, short)
    rounding = np.fmax(point.noise.farther, point.value_bound)
    if (rounding <= PLATEAU * point.noise.near).all():
        return near
    # A value that suffers from cancellation may look smooth over short steps, but with
    # another slope than over long steps. If the two slopes disagree, either may be
    # right.
    far = ridders(moved, U, scale, noise=rounding, scales=scales)
    return _reconciled(near, far)


def _reconciled(difference: Difference, other: Difference) -> Difference:
    """Return the first derivatives. Where the others disagree, the error is the difference between the two."""
    gap = abs(difference.value - other.value)
    agree = gap <= DISTRUST * (difference.error + other.error)
    return difference._replace(
        error=np.where(agree, difference.error, np.fmax(gap, difference.error))
    )


def differences_over_long_steps(
    point: Point, part: NamedPart, U: ndarray
) -> Difference:
    """Return the derivatives from long steps only: cancellation may be invisible over short steps."""
    steps = LONG_STEPS[:, None] * _scale(point, part, U)
    return ladder(partial(point.moved, part), U, steps, noise=point.noise.near)


def is_independent_of(point: Point, part: NamedPart, u: ndarray) -> ndarray:
    """Return whether each value, (outputs,), is independent of a part up to rounding errors.

    A value is independent if it changes only by rounding errors when the part moves
    along u by its size, or not at all when the part moves by a tenth of its size.
    """
    far_steps = np.array([[1.0], [-1.0], [0.5]])
    near_steps = np.array([[0.1], [-0.1], [0.01], [-0.01]])
    far = abs(point.moved(part, far_steps * u) - point.value)
    near = abs(point.moved(part, near_steps * u) - point.value)
    return (far <= 8 * point.noise.nearest).all(axis=0) | (near == 0).all(axis=0)


def _scale(point: Point, part: NamedPart, U: ndarray) -> ndarray:
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


def obstacle(point: Point) -> str:
    """Explain why the complex step does not work for a function, or return an empty string if it works.

    Parts move twice: first each parameter by about its size, then all parameters by the
    same distance. Only the second move reveals a missing derivative of a parameter near
    0. Parts with derivatives of similar size move together (see `SIMILAR`).
    """
    draw = np.random.default_rng(0)
    parts = [part for part in point.parts if part.size]
    typical = np.concatenate(
        [np.full(part.size, typical_size(point.sizes(part))) for part in parts]
    )
    everything = NamedPart("theta", 0, point.theta.shape)
    for lengths in (point.all_sizes, typical):
        U = lengths * random_signs(draw, point.theta.shape)
        derivatives = []
        for part in parts:
            along = point.moved(part, 1j * STEP * U[None, part.span])[0]
            if not np.isfinite(along).all():
                return "it returns no finite value for complex numbers"
            rounding = ROUNDING * abs(point.value).max() + 100 * point.noise.near + STEP
            if (abs(along.real - point.value) > rounding).any():
                return (
                    "imaginary parts of the parameters change the real part of its"
                    " value"
                )
            derivatives.append(
                float(abs(point.stepped(part, U[None, part.span])).max())
            )
        for group in _groups(derivatives):
            u = np.zeros((1, point.theta.size))
            for number in group:
                u[0, parts[number].span] = U[parts[number].span]
            part = parts[group[0]] if len(group) == 1 else everything
            u = u[:, part.span]
            reason = unconfirmed(point, part, u, point.stepped(part, u))
            if reason:
                return reason
    return ""


def _groups(derivatives: list[float]) -> list[list[int]]:
    """Group the indices of derivatives whose ratios are less than `SIMILAR`; zeros form a separate group.

    Examples
    --------
    >>> _groups([1.0, 1e9, 20.0, 0.0])
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    largest = -1.0  # of the last group
    for number in np.argsort(derivatives)[::-1].tolist():
        derivative = derivatives[number]
        if groups and (derivative > largest / SIMILAR or derivative == largest):
            groups[-1].append(number)
        else:
            groups.append([number])
            largest = derivative
    return groups


def unconfirmed(point: Point, part: NamedPart, u: ndarray, stepped: ndarray) -> str:
    """Explain why finite differences along u, (1, size), do not confirm the complex step; return "" if they do."""
    difference = differences(point, part, u)
    reason = contradiction(point, part, u, stepped, difference)
    confirmed = _margin(difference) <= CONFIRMED * abs(stepped)
    if (
        reason
        or confirmed.all()
        or (confirmed | is_independent_of(point, part, u)).all()
    ):
        return reason
    return (
        f"finite differences along a random direction of {part.name} are too inaccurate"
        " to confirm it"
    )


def contradiction(
    point: Point, part: NamedPart, u: ndarray, stepped: ndarray, difference: Difference
) -> str:
    """Explain how finite differences contradict the complex step along u, or return "" if they agree."""
    # At a kink the complex step may return either one-sided derivative.
    sides = np.stack(
        [difference.value + side * difference.jump for side in (-0.5, 0.0, 0.5)]
    )
    gap = abs(stepped - sides).min(axis=0)
    if (gap <= _margin(difference)).all():
        if difference.jump.any() and not (stepped + point.stepped(part, -u)).any():
            return f"it does not see a kink along a random direction of {part.name}"
        return ""
    reference = f"finite differences along a random direction of {part.name}"
    if stepped.any():
        return f"the imaginary part of its value differs from {reference}"
    return f"the imaginary part of its value is 0, but {reference} are not"


def _margin(difference: Difference) -> ndarray:
    """Return the assumed maximum error of a finite difference."""
    return 2 * DISTRUST * difference.error + BELIEVED * abs(difference.value)
