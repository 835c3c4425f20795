"""The kinds of all that describes a network and its training."""

from typing import Any

import numpy as np

from .. import catalog
from ..core.layers import Layer
from ..core.losses import Loss
from ..core.network import Network
from ..core.penalties import Penalty
from ..train.history import History
from ..train.state import TrainingState
from .kinds import Kind, described, fits
from .trained import TrainedNetwork


def _network_state(network: Network) -> dict[str, Any]:
    return {
        "inputs": network.inputs,
        "layers": list(network.layers),
        "loss": network.loss_function,
        "penalties": list(network.penalties),
    }


def _network(state: dict[str, Any]) -> Network:
    if not (
        fits(state["layers"], list[Layer])
        and isinstance(state["loss"], Loss)
        and fits(state["penalties"], list[Penalty])
    ):
        raise ValueError("a network has other parts than layers, a loss and penalties")
    return Network(state["inputs"], state["layers"], state["loss"], state["penalties"])


def _is_consistent(state: TrainingState) -> bool:
    """Return whether all that training carries on is shaped like its parameters."""
    theta = state.theta
    if not (isinstance(theta, np.ndarray) and theta.ndim and theta.dtype.kind == "f"):
        return False
    moments = [value for value in state.optimizer.values() if not fits(value, int)]
    watched = state.schedule.values()
    return all(
        isinstance(moment, np.ndarray) and (moment.shape, moment.dtype) == (theta.shape, theta.dtype)
        for moment in moments
    ) and all(fits(value, float) or np.shape(value) == theta.shape[:-1] for value in watched)


def is_theta(theta: Any, network: Network) -> bool:
    """Return whether these are parameters of a network, of one or of many members."""
    return (
        isinstance(theta, np.ndarray)
        and theta.dtype in (np.float32, np.float64)
        and theta.shape[-1:] == (network.layout.size,)
    )


def continues(state: TrainingState | None, theta: np.ndarray) -> bool:
    """Return whether training of these parameters can go on from a state."""
    return state is None or state.theta.shape == theta.shape


def _is_whole(trained: TrainedNetwork) -> bool:
    """Return whether parameters and state are those of the network."""
    return is_theta(trained.theta, trained.network) and continues(trained.state, trained.theta)


KINDS = [
    *(described(part.cls) for part in catalog.PARTS if part.savable),
    described(History),
    described(TrainingState, _is_consistent),
    Kind("Network", Network, _network_state, _network),
    described(TrainedNetwork, _is_whole),
]
