"""Measure the noise of function values, and bound the rounding error of a gradient.

Noise is measured with finite differences of high order (Moré and Wild, 2011). A
difference of order k contains √((2k)! / k!²) times the noise. The smooth part
contributes d^k times a derivative, which is tiny for a small distance d between the
points. The points must also be far enough apart that the values change: a float32
computation ignores changes of a few units in the last place of float64.

To bound the rounding error of a gradient, the code of the gradient runs on numbers with
error bounds (`arithmetic/running_error.py`). For a network, the bounds grow with |X|
and |W| in the forward pass, and with |delta|,
|W| and |derivative| in the backward pass. If the code does not support such numbers, the rounding error is measured.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...core.rows.inputs import Batch
from .running_error import Arithmetic, Bounded
from .steps import Moved

POINTS = 9
"""The number of points on a line: enough for three differences of the highest order."""

ORDERS = (4, 5, 6)
"""The orders of the differences. The median over several orders is more robust than
a single order.
"""

NEAR = (1e-12, 1e-9)
"""Distances for float64 noise; the second one is for values that hardly depend on
the parameters.
"""

FAR = (1e-7, 1e-6, 1e-5)
"""Distances for float32 noise."""

ELSEWHERE, FARTHER = (0.01, -0.1), (1e-4, 1e-3, 1e-2)
"""The places and the distances that reveal cancellation, which may be invisible over
shorter distances.

There are two places, since a pole or a kink affects only one of them, but cancellation
affects both.
"""

FARTHEST = 1e-2
"""The distance for values that do not change over shorter distances, such as float16
values.
"""

PLATEAU = 10
"""The largest ratio between noise levels at different distances. The smooth part
grows much faster with distance.
"""

EPS = float(np.finfo(np.float64).eps)

SAFETY = 4
"""The safety factor on the rounding bound, a first-order bound for one gradient. Two
gradients are compared, and user code may round more often than vecprop.
"""


class Noise(NamedTuple):
    """Standard deviations of the rounding errors of function values, (n,), measured over different distances.

    ``farther`` is larger than ``near`` if the function suffers from cancellation or has
    fine structure. ``nearest`` is smaller than ``near`` if the function uses float32 or
    varies rapidly.
    """

    near: ndarray
    farther: ndarray
    nearest: ndarray


def noise_along(lines: list[Moved], may_be_coarse: bool = True) -> Noise:
    """Measure the rounding noise of values along lines through a point.

    Each line maps distances, (T,), to values, (T, n). At a distance of 1, the
    parameters change by about their size.

    Examples
    --------
    >>> noise = noise_along([lambda t: np.stack([np.exp(t), np.exp(t).astype(np.float32)], axis=1)]).near
    >>> bool(noise[0] < 1e-15), bool(1e-8 < noise[1] < 1e-6)
    (True, True)
    """
    near, nearest = np.fmax.reduce([_near(line, may_be_coarse) for line in lines])
    # Cancellation affects all places and lines; a kink affects only one of them.
    farther = np.full(near.shape, np.inf)
    for start in ELSEWHERE:
        for line in lines:
            farther = np.fmin(farther, _farther(line, start))
            if not (farther > PLATEAU * near).any():
                return Noise(near, near, nearest)
    return Noise(near, np.fmax(near, farther), nearest)


def _farther(line: Moved, start: float) -> ndarray:
    """Measure noise that does not depend on the distance between the points, (n,)."""
    noises = np.stack(
        [_noise(line(start + distance * np.arange(POINTS))) for distance in FARTHER]
    )
    is_flat = noises.max(axis=0) < PLATEAU * noises.min(axis=0)
    return np.where(is_flat, np.median(noises, axis=0), 0)


def _near(line: Moved, may_be_coarse: bool) -> tuple[ndarray, ndarray]:
    """Measure the noise over short distances, and over the shortest distance, each (n,)."""
    values = line(np.zeros(1))
    noise = np.zeros(values.shape[1:])
    moves = np.zeros(noise.shape, bool)
    noises = {}
    for distance in (*NEAR, *FAR, FARTHEST):
        is_needed = np.ones(noise.shape, bool)
        if distance == NEAR[1]:  # for values that do not change at NEAR[0]
            is_needed = ~moves
        if distance == FARTHEST:  # for float32 and float16
            is_needed = ~moves & _can_hold(values, np.float32) & may_be_coarse
        if not is_needed.any():
            continue
        near_values = line(distance * np.arange(POINTS))
        values = np.concatenate([values, near_values])
        # Noise is visible only in values that change.
        moves_here = (np.diff(near_values, axis=0) != 0).mean(axis=0) > 0.7
        noise_here = _noise(near_values)
        noises[distance] = np.where(moves_here, noise_here, np.nan)
        noise = np.where(is_needed & ~moves, noise_here, noise)
        moves = moves | moves_here
    # Noise does not depend on the distance. Differences that grow with the distance
    # belong to the function.
    noise = np.fmax(noise, np.fmin.reduce([noises[distance] for distance in FAR]))
    largest = np.nan_to_num(np.fmax.reduce(abs(values)))
    # Changes by a few units in the last place of float32 look smooth. Therefore assume
    # at least the rounding error of the shortest dtype that can hold all values.
    spacing = np.full(noise.shape, EPS)
    for dtype in (np.float32, np.float16):
        spacing[_can_hold(values, dtype)] = np.finfo(dtype).eps
    least = np.where(moves & may_be_coarse, spacing * largest / 12**0.5, 0)
    noise = np.fmax(np.nan_to_num(noise) + EPS * largest, least)
    noise[(values == values[0]).all(axis=0)] = 0
    return noise, np.fmin(noise, noises[NEAR[0]] + EPS * largest)


def _can_hold(values: ndarray, dtype: type) -> ndarray:
    """Return whether a dtype can hold all values exactly, (n,)."""
    return (values == values.astype(dtype)).all(axis=0)


def _noise(values: ndarray) -> ndarray:
    """Estimate the standard deviation of the noise, (n,), by the median over differences of several orders."""
    # The median absolute value of a normal distribution is 0.674 standard deviations.
    deviations = []
    difference = np.diff(values, ORDERS[0] - 1, axis=0)
    for order in ORDERS:
        difference = np.diff(difference, axis=0)
        deviations.append(abs(difference) / (0.674 * comb(2 * order, order) ** 0.5))
    return np.median(np.concatenate(deviations), axis=0)


LossAndGradient = Callable[[Any, Batch], tuple[Any, Any]]


@dataclass(frozen=True)
class Bound:
    gradient: ndarray
    tied: bool
    running: bool = True
    value: float = 0.0


UNBOUNDED = np.finfo(np.float64).max / 2**64
"""The bound for unknown errors. It is finite, so that sums and products do not
become NaN.
"""


def finite_bound(error: ndarray) -> ndarray:
    """Replace unknown and infinite error bounds by `UNBOUNDED`.

    Examples
    --------
    >>> bool(np.isfinite(1e6 * finite_bound(np.array([np.inf, np.nan]))).all())
    True
    """
    return np.nan_to_num(error, nan=UNBOUNDED, posinf=UNBOUNDED)


def rounding_bound(
    loss_and_gradient: LossAndGradient,
    theta: ndarray,
    batch: Batch,
    dtype: Any,
    elsewhere: bool = False,
) -> Bound:
    """Bound the rounding error of a network's gradient; raise a TypeError if an operation is not supported.

    In float64, the reference engine computes the same numbers from the inputs for the
    gradient and for the expected derivatives, so they count as exact. ``elsewhere``,
    they have errors, and equal numbers may differ by rounding.
    """
    is_short = np.dtype(dtype).itemsize < 8

    def running(arithmetic: Arithmetic) -> tuple[ndarray, float]:
        rows = batch
        if elsewhere or is_short:
            X = Bounded(batch.X, np.zeros(batch.X.shape), arithmetic)
            rows = replace(batch, X=X)
        parameters = Bounded(theta.copy(), np.zeros(theta.shape), arithmetic)
        loss, gradient = loss_and_gradient(parameters, rows)
        return finite_bound(gradient.companion), float(finite_bound(loss.companion))

    # Bounds are computed in float64, so treat longer dtypes as float64.
    arithmetic = Arithmetic(np.float64, elsewhere=elsewhere)
    if is_short:
        arithmetic = Arithmetic(dtype, elsewhere=elsewhere)
    bound, value = running(arithmetic)
    if is_short:
        # In float32 the bound would hide too much, so scale it to measured errors. Do
        # not scale the part of the bound that is due to comparisons, whose outcome is
        # either right or wrong.
        smooth, _ = running(Arithmetic(dtype, branching=False, elsewhere=elsewhere))
        tightness = _tightness(
            loss_and_gradient, theta, batch, bound=smooth, dtype=arithmetic.dtype
        )
        in_float64, _ = running(Arithmetic(np.float64, elsewhere=elsewhere))
        bound = (bound - smooth) + smooth * tightness + in_float64
    return Bound(bound[None], arithmetic.tied, value=value)


def _tightness(
    loss_and_gradient: LossAndGradient,
    theta: ndarray,
    batch: Batch,
    bound: ndarray,
    dtype: np.dtype,
) -> float:
    """Return 3 times the largest ratio of a measured error to its bound, at most 1.

    The error is the difference between the gradients in the dtype and in float64, at
    theta and at four points very close to theta. The inputs move too, because the
    engines round differently where, for example, all inputs of a row are equal: one of
    them may be exact there.
    """
    single = rounded_to(batch, dtype)
    generator = np.random.default_rng(0)
    share = 0.0
    for distance in (0, 1e-6, 1e-6, 1e-6, 1e-6):
        moves = 1 + distance * generator.uniform(-1, 1, theta.shape)
        near = (theta * moves).astype(dtype)
        moves = 1 + distance * generator.uniform(-1, 1, single.X.shape)
        X = (single.X * moves).astype(dtype)
        _, rounded = loss_and_gradient(near, replace(single, X=X))
        _, exact = loss_and_gradient(
            near.astype(float), replace(batch, X=X.astype(float))
        )
        filled = abs(rounded - exact) / np.maximum(bound, np.finfo(dtype).tiny)
        share = max(share, float(np.nan_to_num(filled, nan=1).max()))
    return float(np.clip(3 * share, 2e-3, 1))


def rounded_to(batch: Batch, dtype: Any) -> Batch:
    """Convert the floating-point numbers of a batch to another dtype."""
    arrays = {}
    for name in ("X", "T", "weight"):
        array = getattr(batch, name)
        if array is not None and array.dtype.kind == "f":
            arrays[name] = array.astype(dtype)
    return replace(batch, **arrays)


def rounding_experiment(
    gradient: Callable[[ndarray], ndarray],
    theta: ndarray,
    lines: ndarray,
    scale: Callable[[ndarray], ndarray],
    eps: float = EPS,
    may_be_coarse: bool = False,
) -> Bound:
    """Measure the rounding error of a gradient as its noise along lines."""

    def gradients(direction: ndarray, distances: Iterable[float]) -> ndarray:
        return np.stack(
            [gradient(theta + distance * direction).ravel() for distance in distances]
        )

    exact = gradient(theta)
    noise = noise_along(
        [partial(gradients, line) for line in lines], may_be_coarse
    ).near.reshape(exact.shape)
    # Special functions have systematic errors of about 1e-13, which are not visible as
    # noise.
    bound = 16 * noise + max(3e-13, eps) * abs(exact) + 3e-14 * scale(exact)
    # If a matrix is nearly singular, its inverse exists at some points next to theta,
    # and its errors are unknown.
    exists = np.isfinite(np.concatenate([gradients(line, NEAR) for line in lines]))
    is_unknown = exists.any(axis=0) & ~exists.all(axis=0)
    bound[is_unknown.reshape(bound.shape)] = UNBOUNDED
    return Bound(bound, tied=True, running=False)


def coarse_type(given: ndarray, error: ndarray, sizes: ndarray) -> str:
    """Return "float16" or "float32" if the numbers were rounded to this dtype, and "" otherwise."""
    shares = (error / sizes)[sizes > 0]
    bits = np.frexp(given[given != 0])[0]
    for dtype in (np.float16, np.float32):
        information = np.finfo(dtype)
        is_exact = (np.ldexp(bits, information.nmant + 1) % 1 == 0).all()
        half = 2.0 ** (information.nmant // 2 + 5)
        # numbers with few bits, such as integers, may be exact
        is_short = ((bits * half) % 1 == 0).all()
        is_rounding = (shares > information.eps / 300) & (shares <= information.eps)
        if is_exact and not is_short and is_rounding.mean() > 0.5:
            return np.dtype(dtype).name
    return ""
