"""The network of a session as a model file."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...files.model_file import save
from ...files.trained import TrainedNetwork

if TYPE_CHECKING:
    from .session import Session


def model_file(session: "Session") -> bytes:
    """Return the bytes of a file that `vecprop.load` opens: the network, theta, and the state of its training.

    Of a network with a planted mistake the state is left out, since it belongs to no network of the library.
    """
    state = session.state if session.settings.mistake == "none" else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        save(TrainedNetwork(session.network, session.theta, state), path)
        return path.read_bytes()
