"""Checkpoints: the file from which training goes on after its program was killed, to the bit."""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.elementary import is_within
from ..core.inputs import Batch
from ..core.network import Network
from ..optimize.schedules import Schedule
from ..train.state import TrainingResult
from .atomic import sweep
from .error import FileError
from .model_file import information, load, save_with_notes
from .model_file.registry import BY_CLASS
from .model_file.values import Writer
from .trained import TrainedNetwork

SHARE = 0.01
"""The largest share of the time that writing takes."""

BLOCK = 2**20
"""The numbers that are hashed at a time, which bounds the copy of an array that does not lie row by row."""


class Checkpoint:
    """A file in which `train` keeps its state, and from which it goes on when the same program is run again.

    However the program ended, by an error, Ctrl-C, kill -9 or a power cut, the result is that of the whole run to the
    bit: theta, the optimizer's moments, the best parameters, the reason and every curve but the time, which counts the
    seconds of training that are kept. On another processor or with other versions of libraries, bits may differ.

    The file is a model file, which `load` reads at any time. It is replaced only when a new one is complete. Training
    that has ended returns at once, and goes on if more epochs are asked for. One program at a time writes a file; what
    a killed one has left of it is removed when the next begins.

    Parameters
    ----------
    path : path
        The file. It belongs to one run: the same network, start, data and settings.
    every : float, default 60.0
        The seconds after which the file is written again, at the end of an epoch. It is written later if writing would
        take more than a hundredth of the time, and always when training ends.

    Raises
    ------
    ValueError
        If every is negative. In `train`: if the file is of another run, which is named with what differs, or if it is
        no checkpoint; the file stays as it is.
    FileError
        In `train`: if a part of the run is not one that model files hold, such as a layer of the user's own.

    Notes
    -----
    Callbacks are not kept. One that has a memory begins anew with an empty one.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from vecprop import Adam, Checkpoint, Dense, Network, SquaredError, train
    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(os.path.join(folder, "run.npz"))
    ...     for epochs in (100, 250):
    ...         result = train(
    ...             network, np.zeros(2), X, 3 * X, optimizer=Adam(0.1), epochs=epochs, checkpoint=checkpoint
    ...         )
    >>> whole = train(network, np.zeros(2), X, 3 * X, optimizer=Adam(0.1), epochs=250)
    >>> bool((result.theta == whole.theta).all()), len(result.history.loss)
    (True, 251)
    """

    def __init__(self, path: str | os.PathLike[str], every: float = 60.0) -> None:
        if not is_within(every, 0):
            raise ValueError(f"every is {every!r}, but it is a number of seconds of at least 0.")
        self.path, self.every = Path(path), every

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every={self.every})"

    def begin(
        self, network: Network, theta: Any, batches: Sequence[Batch], epochs: int, settings: Mapping[str, Any]
    ) -> TrainingResult | None:
        """Return how far a run has come, or None if it has not begun.

        Parameters
        ----------
        network : Network
            The network.
        theta : ndarray (*M, P)
            The parameters at the start.
        batches : sequence of Batch
            The training rows and, if there are any, the validation rows.
        epochs : int
            The number of epochs of the whole run.
        settings : mapping of str to anything
            All other settings on which its bits depend, with the optimizer's ``schedule``.
        """
        self.network = network
        self.run = _identity(network, theta, batches, settings)
        self.written, self.cost = time.perf_counter(), 0.0
        sweep(self.path, age=0)
        if not self.path.exists():
            return None
        notes = information(self.path).get("checkpoint")
        if notes is None:
            raise ValueError(f"{self.path} is a model, not a checkpoint: give the checkpoint another path.")
        differ = [name for name in {**self.run, **notes["run"]} if self.run.get(name) != notes["run"].get(name)]
        if differ:
            self._refuse("its " + " and its ".join(differ) + (" differs" if len(differ) == 1 else " differ"))
        trained = load(self.path)
        state = trained.state
        if state.epoch > epochs:
            self._refuse(f"it has come to epoch {state.epoch}, beyond the {epochs} of this one")
        if not _are_alike(settings["schedule"], state.step, state.epoch, state.epochs, epochs):
            self._refuse(f"its schedule is one of {state.epochs} epochs, not of {epochs}")
        return TrainingResult(trained.theta, state.history, replace(state, epochs=epochs), notes["reason"])

    def after_epoch(self, result: TrainingResult) -> None:
        """Write the result of training until now, if it is time."""
        if time.perf_counter() - self.written >= max(self.every, self.cost / SHARE):
            self.write(result)

    def write(self, result: TrainingResult) -> None:
        """Write a result of training."""
        began = time.perf_counter()
        trained = TrainedNetwork(self.network, result.theta, result.state)
        save_with_notes(trained, self.path, checkpoint={"run": self.run, "reason": result.reason})
        self.written = time.perf_counter()
        self.cost = self.written - began

    def _refuse(self, why: str) -> None:
        raise ValueError(f"{self.path} is the checkpoint of another run: {why}. Give another path, or remove the file.")


def _identity(network: Network, theta: Any, batches: Sequence[Batch], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is, as JSON's values: its settings, and digests of its arrays."""
    writer = Writer(BY_CLASS)
    writer.plain(TrainedNetwork(network, theta), "")  # raises an error if the file could not hold it
    if theta.dtype not in (np.float32, np.float64):
        raise FileError(f"theta has dtype {theta.dtype}, but a model file holds float32 and float64: convert it.")
    arrays = {"start": theta}
    for prefix, batch in zip(("", "validation "), batches, strict=False):
        arrays |= {f"{prefix}X": batch.X, f"{prefix}T": batch.T, f"{prefix}sample_weight": batch.weight}
    known = {"network": network} | {
        name: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()
    }
    return {name: writer.plain(value, name) for name, value in known.items()} | {
        name: None if array is None else _digest(array) for name, array in arrays.items()
    }


def _digest(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    step = max(1, BLOCK * len(array) // max(array.size, 1))
    for first in range(0, len(array), step):
        digest.update(np.ascontiguousarray(array[first : first + step]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _are_alike(schedule: Schedule, step: int, epoch: int, epochs: int, other: int) -> bool:
    """Return whether a longer or shorter run would have had the same rates in the steps taken so far."""
    if epochs == other or epoch == 0:
        return True
    state, per_epoch = schedule.init(), step // epoch
    return all(
        schedule.factor(number, epochs * per_epoch, state) == schedule.factor(number, other * per_epoch, state)
        for number in range(step)
    )
