"""The first step of training: its loss and gradient, as the kernels compute them.

`BatchLoss` computes the same layers, but in a step of training threads split wide layers, and sum shards and add
penalties block by block. The gradient J of a step is read from its moment, which is -J with momentum 0 and a learning
rate of 1: a product with 1 changes no bit.
"""

import ctypes
from typing import Any

import numpy as np

from ..core.counter_rng import RandomKey
from ..core.inputs import Batch
from ..core.network import Network
from ..optimize.optimizers import Momentum
from ..optimize.settings import Plan
from ..system.threads import holding_back_interrupts
from .fit import Epochs

_OPTIMIZER = Momentum(learning_rate=1.0, momentum=0.0)


def gradient_of_a_step(
    network: Network, theta: np.ndarray, batch: Batch, noise: RandomKey | None = None
) -> tuple[Any, np.ndarray]:
    """Return the loss and the gradient of a step of training on a full batch, as the kernels compute them.

    The gradient has the kernels' own bits, also of numbers that are tiny, huge or not finite; only -0 becomes 0. It is
    that of a fit's first step, on all rows in order, before it is clipped. Later steps may use the rows that are still
    in their tile, and mini-batches gather theirs.

    Parameters
    ----------
    noise : RandomKey, optional
        The key of random layers, with a whole number as its seed and the number of the step. None is no noise, with
        which the kernels can compute random layers, but training never does.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> theta, X = np.array([2.0, 1.0]), np.array([[1.0], [3.0]])
    >>> loss, gradient = gradient_of_a_step(network, theta, network.batch(theta, X, X))
    >>> float(loss), gradient
    (5.0, array([7., 3.]))
    """
    moment, seed, step = np.zeros_like(theta), int(noise.seed) if noise else 0, noise.step if noise else 0
    plan = Plan(batch.rows, shuffle=False, seed=seed, clip=None, running=True)  # a running loss is the step's own
    epochs = Epochs(network, np.array(theta), batch, None, _OPTIMIZER, [moment], np.array(theta), plan)
    epochs.context.set(noisy=network.random and noise is not None)
    holding_back_interrupts(lambda received: epochs.run(1, 0, step, steps_before=0, rates=np.ones(1)))
    record = epochs.context.record[0]
    # The recorded loss is the same sum, but is missing if the gradient is not finite.
    loss = _sum(record["partial_losses"], record["shards"]) + _sum(record["penalties"], record["block_count"])
    return theta.dtype.type(loss), 0 - moment


def _sum(address: np.int64, count: np.int64) -> float:
    """Return the sum of ``count`` doubles at an address."""
    return sum((ctypes.c_double * int(count)).from_address(int(address)))
