"""A network together with its parameters, which it does not own."""

from typing import NamedTuple

import numpy as np

from ..core.network import Network
from ..train.state import TrainingState


class TrainedNetwork(NamedTuple):
    """A network, its parameters and, where training is to go on, its state: what `save` takes and `load` returns.

    Parameters
    ----------
    network : Network
        The description.
    theta : ndarray (*M, P)
        The parameters.
    state : TrainingState, optional
        Where training stands, ``result.state``.

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
