"""The bound on the rounding error of a gradient.

The gradient's own code is run on numbers that carry a bound of their error (`arithmetic/running_error.py`). For a
network the bounds grow with |X| and |W| in the forward pass, and with |delta|, |W| and |derivative| in the backward
pass. If the code cannot be run on such numbers, its rounding error is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.inputs import Batch
from .arithmetic.running_error import Arithmetic, Bounded
from .noise import EPS, noise_along

LossAndGradient = Callable[[Any, Batch], tuple[Any, Any]]
"""A network's loss and gradient, as a function of theta and a batch."""


@dataclass(frozen=True)
class Bound:
    """The bound on the rounding error of a gradient."""

    gradient: np.ndarray
    tied: bool
    running: bool = True
    value: float = 0.0


UNBOUNDED = np.finfo(np.float64).max / 2**64
"""The bound of an error of any size: not infinite, so that sums and products of it do not become NaN."""

ABSURD = 2e-4
"""The share of a part's largest entry above which a bound is useless, as after many steps of a recurrence: it takes all
errors to add up."""


def tightened(bound: Bound, largest: np.ndarray, experiment: Callable[[], Bound]) -> Bound:
    """Return a bound whose absurd entries are replaced by the measured error times 16."""
    absurd = bound.gradient > ABSURD * largest
    if not absurd.any():
        return bound
    shown = 16 * experiment().gradient
    return replace(bound, gradient=np.where(absurd, np.minimum(bound.gradient, shown), bound.gradient), running=False)


def rounding_bound(loss_and_gradient: LossAndGradient, theta: np.ndarray, batch: Batch, dtype: Any) -> Bound:
    """Bound the rounding error of each entry of a network's gradient.

    Raises
    ------
    TypeError
        If the network has a part whose arithmetic has no rule here.
    """
    # Bounds are computed in float64, so longer types are treated as float64.
    arithmetic = Arithmetic(dtype if np.dtype(dtype).itemsize < 8 else np.float64)
    bound, value = _running_bound(loss_and_gradient, theta, batch, arithmetic)
    if arithmetic.dtype.itemsize < 8:
        # In float32 the bound would hide too much, so it is scaled to the errors that are measured. The part of it that
        # comes from comparisons is not scaled: rounding either changes the outcome of a comparison or does not.
        smooth, _ = _running_bound(loss_and_gradient, theta, batch, Arithmetic(dtype, branching=False))
        measured = smooth * _tightness(loss_and_gradient, theta, batch, smooth, arithmetic.dtype)
        reference, _ = _running_bound(loss_and_gradient, theta, batch, Arithmetic(np.float64))
        bound = (bound - smooth) + measured + reference
    return Bound(bound[None], arithmetic.tied, value=value)


def _running_bound(
    loss_and_gradient: LossAndGradient, theta: np.ndarray, batch: Batch, arithmetic: Arithmetic
) -> tuple[np.ndarray, float]:
    """Return the bounds of the gradient, (P,), and of the loss."""
    bounded = Bounded(theta.copy(), np.zeros(theta.shape), arithmetic)
    with np.errstate(all="ignore"):
        loss, gradient = loss_and_gradient(bounded, batch)
    return (
        np.nan_to_num(gradient.companion, nan=UNBOUNDED, posinf=UNBOUNDED),
        float(np.nan_to_num(loss.companion, nan=UNBOUNDED, posinf=UNBOUNDED)),
    )


def _tightness(
    loss_and_gradient: LossAndGradient, theta: np.ndarray, batch: Batch, bound: np.ndarray, dtype: np.dtype
) -> float:
    """Return 3 times the largest share of the bound that an error of the gradient fills, at most 1.

    The error is the difference between the gradients in the type and in float64, at theta and at four points so close
    to it that only the rounding differs.
    """
    single = Batch(_rounded(batch.X, dtype), _rounded(batch.T, dtype), _rounded(batch.weight, dtype))
    generator = np.random.default_rng(0)
    share = 0.0
    for distance in (0, 1e-6, 1e-6, 1e-6, 1e-6):
        near = (theta * (1 + distance * generator.uniform(-1, 1, theta.shape))).astype(dtype)
        with np.errstate(all="ignore"):
            rounded = loss_and_gradient(near, single)[1]
            exact = loss_and_gradient(near.astype(np.float64), batch)[1]
            filled = np.abs(rounded - exact) / np.maximum(bound, np.finfo(dtype).tiny)
        share = max(share, float(np.nan_to_num(filled, nan=1).max()))
    return float(np.clip(3 * share, 2e-3, 1))


def _rounded(array: np.ndarray | None, dtype: np.dtype) -> np.ndarray | None:
    return array.astype(dtype) if array is not None and array.dtype.kind == "f" else array


def rounding_experiment(
    gradient: Callable[[np.ndarray], np.ndarray],
    theta: np.ndarray,
    lines: np.ndarray,
    scale: Callable[[np.ndarray], np.ndarray],
    eps: float = EPS,
    may_be_coarse: bool = False,
) -> Bound:
    """Measure the rounding error of a gradient whose arithmetic cannot be followed, as its noise along lines."""
    here = gradient(theta)

    def values(t: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.stack([gradient(theta + distance * v).ravel() for distance in t])

    noise = noise_along([lambda t, v=v: values(t, v) for v in lines], may_be_coarse).near.reshape(here.shape)
    # Special functions have errors of 1e-13 or so that are not random, so they do not show as noise.
    bound = 16 * noise + max(3e-13, eps) * np.abs(here) + 3e-14 * scale(here)
    return Bound(bound, tied=True, running=False)


def coarse_type(given: np.ndarray, error: np.ndarray, sizes: np.ndarray) -> str:
    """Return "float16" or "float32" if numbers in float64 were rounded to it and their errors confirm this; else ""."""
    given, share = given[given != 0], (error / sizes)[sizes > 0]
    bits = np.frexp(given)[0]
    for dtype in (np.float16, np.float32):
        information = np.finfo(dtype)
        half = 2.0 ** (information.nmant // 2 + 5)  # numbers with fewer bits may be exact, as whole numbers are
        fits = (np.ldexp(bits, information.nmant + 1) % 1 == 0).all() and ((bits * half) % 1 != 0).any()
        if fits and ((share > information.eps / 300) & (share <= information.eps)).mean() > 0.5:
            return np.dtype(dtype).name
    return ""
