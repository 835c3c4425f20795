"""The expected derivatives of a function along directions: by complex step, or by differences with their error.

Real differences have to confirm a complex step before it is believed. NumPy loses some derivatives in silence: the
absolute value of a complex number is real, so its imaginary part is gone, and a gradient that has forgotten the same
terms would pass.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from .arithmetic.rounding import PLATEAU
from .arithmetic.steps import LONG_STEPS, STEP, Difference, central_differences, ladder, largest_of, ridders
from .points.function import Point, random_signs, typical_size
from .points.parameters import NamedPart

Method = Literal["complex step", "ridders", "central differences"]
"""How derivatives are computed, whether for every entry or along random directions."""

BELIEVED = 1e-9
"""The least relative error of a difference: its own estimate may be too small, so nine digits are believed at most."""

CENTRAL = 1e-4
"""The step of central differences, as a share of the size of a part's parameters."""

DISTRUST = 10
"""The factor on the error that a difference estimates of itself, which is no bound."""

Move = tuple[NamedPart, np.ndarray]
"""A part, and the directions in which it is moved, the rows of U."""


class Derivatives(NamedTuple):
    """The derivatives along K directions, their errors, and the right ones less the left ones, each (outputs, K).

    If none is tied, there are no jumps.
    """

    value: np.ndarray
    error: np.ndarray
    jump: np.ndarray
    tied: bool = True


def derivatives_along(point: Point, moves: Sequence[Move], method: Method) -> Iterator[Derivatives]:
    """Yield the derivatives of each part along its directions."""
    if method == "complex step":
        values, tied = exact_derivatives(point, moves)
        for along in np.split(values, np.cumsum([len(U) for _, U in moves])[:-1], axis=1):
            zero = np.zeros(along.shape)
            yield Derivatives(along, zero, zero, tied)
        return
    for part, U in moves:
        if method == "ridders":
            found = differences(point, part, U)
            error = DISTRUST * found.error + BELIEVED * largest_of(found.value, _scale(point, part, U))
            yield Derivatives(found.value.T, error.T, found.jump.T)
        else:
            value, error = _central(point, part, U)
            yield Derivatives(value.T, error.T, np.zeros(value.T.shape))


def _central(point: Point, part: NamedPart, U: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    own, size = _scale(point, part, U)[:, None], typical_size(point.sizes(part))
    # A function may vary within a small share of a parameter, or of the others.
    shorter = [CENTRAL * size] + ([1e-8 * size] if point.may_vary_at_once else [])
    shorter += [own] if (own < 1e-3 * size).any() else []
    moved, noise = partial(_moved, point, part), point.noise.near
    (value, error), *others = (central_differences(moved, U, noise, CENTRAL * length) for length in (size, *shorter))
    for other, unsure in others:
        apart = np.abs(value - other)
        error = np.where(apart <= error + unsure, error, error + 2 * apart)
    return value, error


def differences(point: Point, part: NamedPart, U: np.ndarray) -> Difference:
    moved, scale = partial(_moved, point, part), _scale(point, part, U)
    smallest = (point.sizes(part) / np.abs(U)).min(axis=1)
    sizes = dict.fromkeys((typical_size(point.sizes(part)), 1.0))
    others = [size / np.abs(U).max(axis=1) for size in sizes]
    others = np.stack([*others, smallest] if (smallest < 1e-3 * scale).any() else others)
    near = ridders(moved, U, scale, point.noise.near, others)
    if point.may_vary_at_once:
        near = _reconciled(near, ladder(moved, U, 1e-8 * LONG_STEPS[:, None] * scale, point.noise.nearest))
    rounding = np.fmax(point.noise.farther, point.value_bound)
    if (rounding <= PLATEAU * point.noise.near).all():
        return near
    # A function that has lost its digits looks smooth over short steps, with another derivative than over long ones. If
    # the two disagree, either may be right.
    return _reconciled(near, ridders(moved, U, scale, rounding, others))


def _reconciled(one: Difference, other: Difference) -> Difference:
    """Return the first derivatives, each with its distance from the second as its error if the two disagree."""
    apart = np.abs(one.value - other.value)
    agree = apart <= DISTRUST * (one.error + other.error)
    return Difference(one.value, np.where(agree, one.error, np.fmax(apart, one.error)), one.jump)


def differences_over_long_steps(point: Point, part: NamedPart, U: np.ndarray) -> Difference:
    """Return the derivatives by long steps alone: over short ones, a value that has lost its digits may be smooth."""
    return ladder(partial(_moved, point, part), U, LONG_STEPS[:, None] * _scale(point, part, U), point.noise.near)


def is_independent_of(point: Point, part: NamedPart, u: np.ndarray) -> np.ndarray:
    """Return whether each value, (outputs,), is independent of a part up to rounding, so that its derivatives are 0.

    It is if it changes by no more than rounding when the part moves along u by its own size, or not at all when the
    part moves by a tenth of that.
    """
    far = np.abs(point.moved(part, np.array([[1.0], [-1.0], [0.5]]) * u) - point.value)
    near = np.abs(point.moved(part, np.array([[0.1], [-0.1], [0.01], [-0.01]]) * u) - point.value)
    return (far <= 8 * point.noise.nearest).all(axis=0) | (near == 0).all(axis=0)


def _scale(point: Point, part: NamedPart, U: np.ndarray) -> np.ndarray:
    """Return the distance along each row of U at which its largest parameter changes by its own size, (K,)."""
    return np.max(np.where(U != 0, point.sizes(part), 0), axis=1) / np.abs(U).max(axis=1)


def _moved(point: Point, part: NamedPart, steps: np.ndarray) -> np.ndarray:
    """Return the values when each row of steps is added to a part, computed in pieces that fit into memory."""
    pieces = np.array_split(steps, -(-len(steps) // point.at_once(part)))
    return np.concatenate([point.moved(part, piece) for piece in pieces])


def exact_derivatives(point: Point, moves: Sequence[Move]) -> tuple[np.ndarray, bool]:
    """Return the derivatives along the rows of each part's U, part by part, (outputs, K), and whether ties may be met.

    The directions of one part are computed in pieces if they do not fit into memory; several parts are known to fit.
    """
    pieces = [moves]
    if len(moves) == 1:
        [(part, U)] = moves
        pieces = [[(part, piece)] for piece in np.array_split(U, -(-len(U) // point.at_once(part)))]
    found = [point.derivatives(piece) for piece in pieces]
    return np.concatenate([along for along, _ in found]).T, any(tied for _, tied in found)


ROUNDING = 1e-9
"""The largest change of a value's real part under a complex step that passes for rounding, as a share of the largest
value. Beyond it the function computes something else for complex numbers."""

CONFIRMED = 1e-3
"""The relative error up to which differences can confirm a derivative.

If their error is larger, a term that a complex step has lost would not show. The differences then replace the complex
step, and derivatives that they do not find are INCONCLUSIVE.
"""

ALIKE = 1e3
"""The largest ratio between the derivatives of parts that are moved together: a lost derivative would not show beside a
much larger one."""


def unsuited(point: Point) -> str:
    """Return why a function cannot be differentiated by complex step; empty if it can.

    Parts are moved twice: first each parameter by about its own size, then all by the same distance. A lost derivative
    of a parameter near 0 shows only in the second move. Parts are moved together if their derivatives are of similar
    size (see `ALIKE`).
    """
    draw = np.random.default_rng(0)
    parts = [part for part in point.parts if part.size]
    typical = np.concatenate([np.full(part.size, typical_size(point.sizes(part))) for part in parts])
    everything = NamedPart("theta", 0, point.theta.shape)
    for lengths in (point.all_sizes, typical):
        U = lengths * random_signs(draw, point.theta.shape)
        derivatives = []
        for part in parts:
            along = point.moved(part, 1j * STEP * U[None, part.span])[0]
            if not np.isfinite(along).all():
                return "it has no value for complex numbers, or raises"
            rounding = ROUNDING * np.abs(point.value).max() + 100 * point.noise.near + STEP
            if (np.abs(along.real - point.value) > rounding).any():
                return "its real part changes with complex numbers"
            derivatives.append(float(np.abs(point.stepped(part, U[None, part.span])).max()))
        for group in _alike(derivatives):
            u = np.zeros((1, point.theta.size))
            for number in group:
                u[0, parts[number].span] = U[parts[number].span]
            part = parts[group[0]] if len(group) == 1 else everything
            u = u[:, part.span]
            if reason := unconfirmed(point, part, u, point.stepped(part, u)):
                return reason
    return ""


def _alike(derivatives: list[float]) -> list[list[int]]:
    """Return the indices of numbers in groups whose ratios are less than `ALIKE`; zeros are a group of their own.

    Examples
    --------
    >>> _alike([1.0, 1e9, 20.0, 0.0])
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    for number in np.argsort(derivatives)[::-1].tolist():
        first = derivatives[groups[-1][0]] if groups else -1.0
        if derivatives[number] > first / ALIKE or derivatives[number] == first:
            groups[-1:] = [[*groups[-1], number]] if groups else [[number]]
        else:
            groups.append([number])
    return groups


def unconfirmed(point: Point, part: NamedPart, u: np.ndarray, stepped: np.ndarray) -> str:
    """Return why differences along u, (1, size), do not confirm the complex step, (1, outputs); empty if they do."""
    found = differences(point, part, u)
    reason = contradiction(point, part, u, stepped, found)
    known = _margin(found) <= CONFIRMED * np.abs(stepped)
    if reason or known.all() or (known | is_independent_of(point, part, u)).all():
        return reason
    return f"differences know too little to confirm it (along a random direction of {part.name})"


def contradiction(point: Point, part: NamedPart, u: np.ndarray, stepped: np.ndarray, found: Difference) -> str:
    """Return how differences along a direction contradict the complex step; empty if they do not."""
    # At a kink the complex step may take either side.
    sides = np.stack([found.value + side * found.jump for side in (-0.5, 0.0, 0.5)])
    apart = np.abs(stepped - sides).min(axis=0)
    if (apart <= _margin(found)).all():
        if found.jump.any() and not (stepped + point.stepped(part, -u)).any():
            return f"there is a kink that complex numbers do not see (along a random direction of {part.name})"
        return ""
    lost = "its imaginary part is not the derivative" if stepped.any() else "its imaginary part vanishes"
    return f"{lost} (compared with differences along a random direction of {part.name})"


def _margin(found: Difference) -> np.ndarray:
    """Return the distance from a difference within which the derivative is believed to lie."""
    return 2 * DISTRUST * found.error + BELIEVED * np.abs(found.value)
