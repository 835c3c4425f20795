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

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...core.rows.inputs import Batch
from .running_error import Arithmetic, Bounded
from .steps import ValuesAfter

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

CANCELLATION_STARTS, CANCELLATION_DISTANCES = (0.01, -0.1), (1e-4, 1e-3, 1e-2)
"""The first points and the distances that reveal cancellation, which may be invisible
over shorter distances.

There are two first points, since a pole or a kink affects only one of them, but
cancellation affects both.
"""

FARTHEST = 1e-2
"""The distance for values that do not change over shorter distances, such as float16
values.
"""

SAME_NOISE = 10
"""The largest ratio between two noise levels that may be the same. The smooth part of a
function grows much faster with distance.
"""

MOST = 0.7
"""The fraction of neighboring points that must have different values."""

NOISE_FACTOR = 16
"""The ratio of the bound on a rounding error to its measured standard deviation."""

SYSTEMATIC, SYSTEMATIC_OF_SCALE = 3e-13, 3e-14
"""The errors of special functions, relative to an entry and to the largest entry. The
errors are systematic, so they are not visible as noise.
"""

TINY_MOVES = (0, 1e-6, 1e-6, 1e-6, 1e-6)
"""Relative changes of parameters and inputs. Measured rounding errors at these points
scale the bound.
"""

TIGHTEST = 2e-3
"""The smallest ratio of errors to their bound that measurements can justify."""

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


def noise_along(lines: Sequence[ValuesAfter], may_be_coarse: bool = True):
    """Measure the rounding noise of values along lines through a point.

    Each line maps distances, (T,), to values, (T, n). At a distance of 1, the
    parameters change by about their size. If ``may_be_coarse``, the values may have the
    precision of float32 or float16.

    Examples
    --------
    >>> noise = noise_along([lambda t: np.stack([np.exp(t), np.exp(t).astype(np.float32)], axis=1)]).near
    >>> bool(noise[0] < 1e-15), bool(1e-8 < noise[1] < 1e-6)
    (True, True)
    """
    near, nearest = np.fmax.reduce([_near(line, may_be_coarse) for line in lines])
    # Cancellation affects all starts and lines; a kink affects only one of them.
    cancellation = np.full(near.shape, np.inf)
    for start in CANCELLATION_STARTS:
        for line in lines:
            cancellation = np.fmin(cancellation, _cancellation(line, start))
            if not (cancellation > SAME_NOISE * near).any():
                return Noise(near, near, nearest)
    return Noise(near, np.fmax(near, cancellation), nearest)


def _cancellation(line: ValuesAfter, start: float):
    """Measure noise, (n,), that is the same for all distances between the points, else return 0."""
    noises = []
    for distance in CANCELLATION_DISTANCES:
        noises.append(_noise(line(start + distance * np.arange(POINTS))))
    noises = np.stack(noises)
    is_same = noises.max(axis=0) < SAME_NOISE * noises.min(axis=0)
    return np.where(is_same, np.median(noises, axis=0), 0)


class _Sample(NamedTuple):
    """Values at equidistant points of a line, (POINTS, n), their noise, and whether they change, (n,)."""

    values: ndarray
    noise: ndarray
    is_changing: ndarray

    @property
    def visible_noise(self):
        """The noise of the values that change, and NaN for the others."""
        return np.where(self.is_changing, self.noise, np.nan)


def _sample(line: ValuesAfter, distance: float):
    """Return the values at points with this distance between neighbors."""
    values = line(distance * np.arange(POINTS))
    share_of_changes = (np.diff(values, axis=0) != 0).mean(axis=0)
    return _Sample(values, _noise(values), share_of_changes > MOST)


def _combined(samples: list[_Sample]):
    """Return all values, and for each the noise over the first distance over which it changes."""
    noise = samples[0].noise
    is_changing = samples[0].is_changing
    for sample in samples[1:]:
        noise = np.where(is_changing, noise, sample.noise)
        is_changing = is_changing | sample.is_changing
    values = np.concatenate([sample.values for sample in samples])
    return _Sample(values, noise, is_changing)


def _near(line: ValuesAfter, may_be_coarse: bool):
    """Measure the noise over short distances, and over the shortest distance, each (n,)."""
    shortest = _sample(line, NEAR[0])
    samples = [shortest]
    if not shortest.is_changing.all():
        samples.append(_sample(line, NEAR[1]))
    far_samples = [_sample(line, distance) for distance in FAR]
    values, noise, is_changing = _combined([*samples, *far_samples])
    is_constant_float32 = ~is_changing & _can_hold(values, np.float32)
    if may_be_coarse and is_constant_float32.any():
        farthest = _sample(line, FARTHEST)
        noise = np.where(is_constant_float32, farthest.noise, noise)
        is_changing = is_changing | farthest.is_changing
        values = np.concatenate([values, farthest.values])
    # Noise does not depend on the distance. Differences that grow with the distance
    # belong to the function.
    far_noise = np.fmin.reduce([sample.visible_noise for sample in far_samples])
    largest = np.nan_to_num(np.fmax.reduce(abs(values)))
    noise = np.nan_to_num(np.fmax(noise, far_noise)) + EPS * largest
    if may_be_coarse:
        least = _rounding_of_shortest_dtype(values, largest)
        noise = np.where(is_changing, np.fmax(noise, least), noise)
    noise[(values == values[0]).all(axis=0)] = 0
    return noise, np.fmin(noise, shortest.visible_noise + EPS * largest)


def _rounding_of_shortest_dtype(values: ndarray, largest: ndarray):
    """Return the standard deviation of rounding, (n,), to the shortest dtype that can hold all values.

    Changes by a few units in the last place of float32 look smooth, so their measured
    noise is too small.
    """
    spacing = np.full(largest.shape, EPS)
    for dtype in (np.float32, np.float16):
        spacing[_can_hold(values, dtype)] = np.finfo(dtype).eps
    # an error that is uniform between two neighboring numbers
    return spacing * largest / 12**0.5


def _can_hold(values: ndarray, dtype: type):
    """Return whether a dtype can hold all values exactly, (n,)."""
    return (values == values.astype(dtype)).all(axis=0)


def _noise(values: ndarray):
    """Estimate the standard deviation of the noise, (n,), by the median over differences of several orders."""
    # A difference of order k contains √((2k)! / k!²) times the noise. The median
    # absolute value of a normal distribution is 0.674 standard deviations.
    deviations = []
    difference = np.diff(values, ORDERS[0] - 1, axis=0)
    for order in ORDERS:
        difference = np.diff(difference, axis=0)
        amplification = comb(2 * order, order) ** 0.5
        deviations.append(abs(difference) / (0.674 * amplification))
    return np.median(np.concatenate(deviations), axis=0)


LossAndGradient = Callable[[Any, Batch], tuple[Any, Any]]


@dataclass(frozen=True)
class Bound:
    """A bound on the rounding errors of a gradient, (outputs, P), and of a loss.

    ``tied`` says whether equal numbers may have been compared, ``running`` whether the
    bound is a running error bound, not a measurement.
    """

    gradient: ndarray
    tied: bool
    running: bool = True
    value: float = 0.0


UNBOUNDED = np.finfo(np.float64).max / 2**64
"""The bound for unknown errors. It is finite, so that sums and products do not
become NaN.
"""


def finite_bound(error: ndarray):
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
    dtype,
    rounds_differently: bool = False,
):
    """Bound the rounding error of a network's gradient; raise a TypeError if an operation is not supported.

    In float64, the reference engine computes the same numbers from the inputs for the
    gradient and for the expected derivatives, so they count as exact. In code that
    ``rounds_differently``, they have errors, and equal numbers may differ by rounding.
    """
    is_short = np.dtype(dtype).itemsize < 8

    def running_bound(arithmetic: Arithmetic):
        """Run the code of the gradient on numbers with error bounds."""
        rows = batch
        if rounds_differently or is_short:
            X = Bounded(batch.X, np.zeros(batch.X.shape), arithmetic)
            rows = replace(batch, X=X)
        parameters = Bounded(theta.copy(), np.zeros(theta.shape), arithmetic)
        loss, gradient = loss_and_gradient(parameters, rows)
        value = float(finite_bound(loss.companion))
        errors = finite_bound(gradient.companion)
        return Bound(errors[None], arithmetic.tied, value=value)

    # Bounds are computed in float64, so treat longer dtypes as float64.
    float64 = Arithmetic(np.float64, rounds_differently=rounds_differently)
    if not is_short:
        return running_bound(float64)
    bound = running_bound(Arithmetic(dtype, rounds_differently=rounds_differently))
    # In float32 the bound would hide too much, so scale it to measured errors. Do not
    # scale the part of the bound that is due to comparisons, whose outcome is either
    # right or wrong.
    smooth_arithmetic = Arithmetic(
        dtype, covers_branches=False, rounds_differently=rounds_differently
    )
    smooth = running_bound(smooth_arithmetic).gradient
    due_to_comparisons = bound.gradient - smooth
    tightness = _tightness(
        loss_and_gradient, theta, batch, bound=smooth[0], dtype=np.dtype(dtype)
    )
    in_float64 = running_bound(float64).gradient
    return replace(bound, gradient=due_to_comparisons + smooth * tightness + in_float64)


def _tightness(
    loss_and_gradient: LossAndGradient,
    theta: ndarray,
    batch: Batch,
    bound: ndarray,
    dtype: np.dtype,
):
    """Return 3 times the largest ratio of a measured error to its bound, at most 1.

    The error is the difference between the gradients in the dtype and in float64, at
    theta and at four points very close to theta. The inputs move too, because the
    engines round differently where, for example, all inputs of a row are equal: one of
    them may be exact there.
    """
    draw = np.random.default_rng(0)

    def moved(array, distance: float):
        factors = 1 + distance * draw.uniform(-1, 1, array.shape)
        return (array * factors).astype(dtype)

    rounded_batch = rounded_to(batch, dtype)
    least = np.finfo(dtype).tiny
    largest_ratio = 0.0
    for distance in TINY_MOVES:
        point = moved(theta, distance)
        X = moved(rounded_batch.X, distance)
        _, rounded = loss_and_gradient(point, replace(rounded_batch, X=X))
        exact_batch = replace(batch, X=X.astype(float))
        _, exact = loss_and_gradient(point.astype(float), exact_batch)
        ratios = abs(rounded - exact) / np.maximum(bound, least)
        ratio = float(np.nan_to_num(ratios, nan=1).max())
        largest_ratio = max(largest_ratio, ratio)
    return float(np.clip(3 * largest_ratio, TIGHTEST, 1))


def rounded_to(batch: Batch, dtype) -> Batch:
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
):
    """Measure the rounding error of a gradient as its noise along lines.

    ``lines`` contains directions, (lines, P); ``scale`` returns the largest entry of a
    gradient in the unit of each entry; ``eps`` is the spacing of the gradient's dtype.
    """

    def gradients_along(direction, distances: Iterable[float]):
        rows = []
        for distance in distances:
            rows.append(gradient(theta + distance * direction).ravel())
        return np.stack(rows)

    exact = gradient(theta)
    functions = [partial(gradients_along, direction) for direction in lines]
    noise = noise_along(functions, may_be_coarse).near.reshape(exact.shape)
    bound = (
        NOISE_FACTOR * noise
        + max(SYSTEMATIC, eps) * abs(exact)
        + SYSTEMATIC_OF_SCALE * scale(exact)
    )
    # If a matrix is nearly singular, its inverse exists at some points next to theta,
    # and its errors are unknown.
    neighbors = np.concatenate([function(NEAR) for function in functions])
    exists = np.isfinite(neighbors)
    is_unknown = exists.any(axis=0) & ~exists.all(axis=0)
    bound[is_unknown.reshape(bound.shape)] = UNBOUNDED
    return Bound(bound, tied=True, running=False)


def coarse_type(numbers: ndarray, errors: ndarray, sizes: ndarray):
    """Return "float16" or "float32" if the numbers were rounded to this dtype, and "" otherwise.

    The numbers were rounded if they have at most as many bits as the mantissa of the
    dtype, but not fewer by chance, and if most relative errors are below its spacing.
    ``errors`` are the errors of the numbers, or of sums of them, and ``sizes`` the
    absolute values that the errors relate to.
    """
    relative_errors = (errors / sizes)[sizes > 0]
    mantissas, _ = np.frexp(numbers[numbers != 0])
    for dtype in (np.float16, np.float32):
        information = np.finfo(dtype)
        # the leading bit of a mantissa is not stored
        is_rounded = _have_bits(mantissas, information.nmant + 1)
        # numbers with few bits, such as integers, may be exact
        few_bits = information.nmant // 2 + 5
        if not is_rounded or _have_bits(mantissas, few_bits):
            continue
        eps = information.eps
        are_typical = (relative_errors > eps / 300) & (relative_errors <= eps)
        if are_typical.mean() > 0.5:
            return np.dtype(dtype).name
    return ""


def _have_bits(mantissas: ndarray, bits: int):
    """Return whether all mantissas have at most this many bits."""
    return bool((np.ldexp(mantissas, bits) % 1 == 0).all())
