"""How far rounding can have moved a gradient.

The network's own forward and backward pass are run on numbers that carry a bound of their error (`bounded.py`): on |X|
and |W| forward, on |delta|, |W| and |slope| backward, with what rounding in z does to the slope. Where its arithmetic
cannot be followed, an experiment says how far rounding reaches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.counted import Noise
from ..core.inputs import Batch
from ..core.network import Network
from .bounded import Arithmetic, Bounded


@dataclass(frozen=True)
class Bound:
    """How far rounding can have moved a gradient.

    Parameters
    ----------
    gradient : ndarray (outputs, P)
        The bound of each entry of its gradient; huge where anything could be.
    tied : bool
        Whether two numbers that are compared are equal, so that there may be a kink.
    running : bool, default True
        Whether it was carried through the arithmetic; otherwise it was found by experiment.
    """

    gradient: np.ndarray
    tied: bool
    running: bool = True


UNBOUNDED = np.finfo(np.float64).max / 2**64


def rounding_bound(network: Network, theta: np.ndarray, batch: Batch, noise: Noise | None, dtype: Any) -> Bound:
    """Bound the rounding error of each entry of a network's gradient.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (P,)
        The parameters, in float64.
    batch : Batch
        The rows, in float64.
    noise : Noise or None
        The key of random layers.
    dtype : dtype
        The type that the gradient was computed in.

    Raises
    ------
    TypeError
        Where the network has a part whose arithmetic has no rule here.
    """
    arithmetic = Arithmetic(dtype)
    bound = _running_bound(network, theta, batch, noise, arithmetic)
    if arithmetic.dtype == np.float32:
        # float32 leaves little room, so how loose the bound is, is measured. A turned branch is all or nothing: its
        # part of the bound stays as it is.
        smooth = _running_bound(network, theta, batch, noise, Arithmetic(dtype, turning=False))
        measured = smooth * _tightness(network, theta, batch, noise, smooth)
        bound = (bound - smooth) + measured + _running_bound(network, theta, batch, noise, Arithmetic(np.float64))
    return Bound(bound[None], arithmetic.tied)


def _running_bound(
    network: Network, theta: np.ndarray, batch: Batch, noise: Noise | None, arithmetic: Arithmetic
) -> np.ndarray:
    carried = Bounded(theta.copy(), np.zeros(theta.shape), arithmetic)
    with np.errstate(all="ignore"):
        _, gradient = network.batch_loss_and_gradient(carried, batch, noise)
    return np.nan_to_num(gradient.companion, nan=UNBOUNDED, posinf=UNBOUNDED)


def _tightness(network: Network, theta: np.ndarray, batch: Batch, noise: Noise | None, bound: np.ndarray) -> float:
    """Return 3 times the largest share of the bound that the network's own float32 gradient fills, at most 1.

    It is computed in both types, here and at a few points so close that only the roundings differ.
    """
    single = Batch(*(_as_float32(part) for part in (batch.X, batch.T, batch.weight)))
    generator = np.random.default_rng(0)
    share = 0.0
    for distance in (0, 1e-6, 1e-6, 1e-6, 1e-6):
        near = (theta * (1 + distance * generator.uniform(-1, 1, theta.shape))).astype(np.float32)
        with np.errstate(all="ignore"):
            rounded = network.batch_loss_and_gradient(near, single, noise)[1]
            exact = network.batch_loss_and_gradient(near.astype(np.float64), batch, noise)[1]
            filled = np.abs(rounded - exact) / np.maximum(bound, np.finfo(np.float32).tiny)
        share = max(share, float(np.nan_to_num(filled, nan=1).max()))
    return float(np.clip(3 * share, 2e-3, 1))


def _as_float32(array: np.ndarray | None) -> np.ndarray | None:
    return array.astype(np.float32) if array is not None and array.dtype.kind == "f" else array


def rounding_experiment(gradient: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, dtype: Any) -> Bound:
    """Estimate the rounding error of a gradient whose arithmetic cannot be followed.

    Every parameter is moved by a few units in the last place: the roundings fall out differently, and what that does
    to the gradient, rounding can do too.

    Parameters
    ----------
    gradient : callable
        The gradient, (outputs, P), as a function of theta.
    theta : ndarray (P,)
        The parameters, in float64.
    dtype : dtype
        The type that the gradient is computed in.
    """
    here = gradient(theta)
    spread = np.zeros(here.shape)
    for near in jitters(theta, dtype, 4):
        spread = np.maximum(spread, np.abs(gradient(near) - here))
    return Bound(8 * (spread + float(np.finfo(dtype).eps) * np.abs(here)), tied=True, running=False)


def jitters(theta: np.ndarray, dtype: Any, count: int) -> list[np.ndarray]:
    """Return parameters, each moved by a few units in the last place of the type at random, several times."""
    generator = np.random.default_rng(0)
    unit = float(np.finfo(dtype).eps) / 2
    return [theta * (1 + unit * generator.choice([-4, -2, 2, 4], theta.shape)) for _ in range(count)]
