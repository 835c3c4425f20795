"""A network together with its parameters, which it does not own."""

from typing import NamedTuple

import numpy as np

from ..core.network import Network
from ..train.state import TrainingState


class TrainedNetwork(NamedTuple):
    """A network, its parameters and, to continue training, its state: `save` takes it and `load` returns it.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (*M, P)
        The parameters.
    state : TrainingState, optional
        The state of training, ``result.state``.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError())
    >>> network, theta, state = TrainedNetwork(network, network.init(seed=0))
    >>> theta.shape
    (13,)
    """

    network: Network
    theta: np.ndarray
    state: TrainingState | None = None
