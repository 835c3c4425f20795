"""Checkpoints: the file or folder from which training goes on after its program was killed, to the bit."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...core import Batch, Network, SparseNetwork, is_within
from ...train.members import Data, Member
from ...train.state import TrainingResult
from ..atomic import sweep
from ..model_file import information, load_with_memory, save_with_notes
from ..networks import TrainedNetwork
from .identity import Identity, differing, made_with, require_savable, warn_of_others
from .results import Groups, KeptFits, KeptMembers
from .store import Pace, held

MOST_COMPARED = 10_000
"""The largest number of steps at which the learning rates of two runs are compared."""


class Checkpoint:
    """A file or folder that keeps training, from which the same program goes on when it is run again.

    However the program ended, by an error, Ctrl-C, kill -9 or a power cut, the result is that of the whole run to the
    bit: theta, the optimizer's moments, the best parameters, the reason and every curve but the time, which counts the
    seconds of training that are kept. On another processor or with other versions of libraries, bits may differ, and a
    warning says so.

    `train` keeps its state in a file, a model file that `load` reads at any time. `train_population` keeps the results
    of members that have ended in a folder, many in a file; those that had not ended begin anew. A file takes its place
    only when it is complete. What has ended returns at once; `train` goes on if more epochs are asked for. A folder
    takes further members, and a run of some of its members.

    An exception, such as one of a callback, saves what is done before it leaves training. So does SIGTERM, which ends
    training as Ctrl-C does, and then the program, with the exit code 143. One program at a time uses a checkpoint: it
    holds a lock of the operating system. What a killed program has left unfinished is removed when the next begins.

    Parameters
    ----------
    path : path
        The file or the folder, which is made, with those above it. A file belongs to one run: the same network, start,
        data and settings.
    every : float, default 60.0
        The seconds after which is written again, at the end of an epoch, or what members have ended. It is written
        later if writing would take more than a hundredth of the time, and always when training ends.

    Raises
    ------
    ValueError
        If every is negative. When training begins: if another program uses the checkpoint, which is named; if the file
        is of another run, or the folder of one that has no member in common, with what differs; or if it is no
        checkpoint. It stays as it is.
    FileError
        When training begins: if a part of the run is not one that model files hold, such as a layer of the user's own.

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
        self.seconds = 0.0  # of earlier programs, until what they have kept
        self._record: Any = None
        self.takes_others = False

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every={self.every})"

    def held(self, is_folder: bool = True) -> AbstractContextManager[None]:
        """Return a block in which other programs cannot use the checkpoint, and SIGTERM acts as Ctrl-C."""
        return held(self.path, is_folder)

    def begin(
        self, network: Network, theta: Any, batches: Sequence[Batch | None], epochs: int, settings: Mapping[str, Any]
    ) -> TrainingResult | None:
        """Return how far a run has come, or None if it has not begun.

        The batches are the training rows and, if there are any, the validation rows; None for rows that the settings
        tell. The settings are all others on which its bits depend, with the ``schedule`` and the ``batch_size``.
        """
        self.network = network.dense if isinstance(network, SparseNetwork) else network
        require_savable(theta)
        known = {"network": self.network, **settings, "start": theta}
        for prefix, batch in zip(("", "validation "), batches, strict=False):
            if batch is not None:
                known |= {f"{prefix}X": batch, f"{prefix}T": batch.T, f"{prefix}sample_weight": batch.weight}
        self.run = Identity()(known)
        if self._record is not None:
            self.run["record"] = type(self._record).__name__
        self.pace = Pace(self.every)
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder, but one training is kept in a file: name a file in it.")
        sweep(self.path.parent, self.path.name)
        if not self.path.exists():
            return None
        notes = information(self.path).get("checkpoint")
        if notes is None:
            raise ValueError(f"{self.path} is a model, not a checkpoint: give the checkpoint another path.")
        differs = differing(self.run, notes["run"])
        if differs and self.takes_others:
            return None
        if differs:
            self._refuse(differs)
        warn_of_others(self.path, notes.get("made with", {}))
        trained, memory = load_with_memory(self.path)
        state = trained.state
        if state.epoch > epochs:
            self._refuse(f"it has come to epoch {state.epoch}, beyond the {epochs} of this one")
        schedule, per_epoch = settings["schedule"], -(-state.rows // settings["batch_size"])
        start, known, whole = schedule.init(), state.epochs * per_epoch, epochs * per_epoch
        # A longer or shorter run must have the same rates in the steps taken so far; a sample of the steps is compared.
        taken = 0 if known == whole else state.step
        steps = np.unique(np.linspace(0, taken - 1, min(taken, MOST_COMPARED), dtype=int)).tolist()
        if any(schedule.factor(step, known, start) != schedule.factor(step, whole, start) for step in steps):
            self._refuse(f"its schedule is one of {state.epochs} epochs, not of {epochs}")
        state = replace(state, epochs=epochs, network=network)
        if self._record is not None:
            self._record.remember(memory)
        return TrainingResult(trained.theta, state.history, state, notes["reason"])

    def after_epoch(self, result: TrainingResult) -> None:
        """Write the result of training until now, if it is time."""
        if self.pace.is_due:
            self.write(result)

    def write(self, result: TrainingResult) -> None:
        """Write a result of training, unless the callback that is kept too does not know its last epoch."""
        began = time.perf_counter()
        trained = TrainedNetwork(self.network, result.theta, replace(result.state, network=self.network))
        memory = None if self._record is None else self._record.memory(result.state.epoch)
        if self._record is not None and memory is None:
            return
        notes = {"run": self.run, "reason": result.reason, "made with": made_with()}
        save_with_notes(trained, self.path, memory=memory, checkpoint=notes)
        self.pace.wrote(began)

    def _refuse(self, why: str) -> None:
        raise ValueError(f"{self.path} is the checkpoint of another run: {why}. Give another path, or remove the file.")

    @property
    def _place(self) -> tuple[Path, float, bool]:
        return self.path, self.every, self.takes_others

    def members(
        self, members: Sequence[Member], groups: Groups, engines: Sequence[str], data: Data, moments: bool
    ) -> KeptMembers:
        """Return what keeps a population's members in the folder; see `KeptMembers`."""
        kept = KeptMembers(self._place, members, groups, engines, data, moments)
        self.seconds = kept.seconds
        return kept

    def recording(self, record: Any) -> Self:
        """Return a checkpoint that keeps the memory of a callback too."""
        # Its ``memory(epoch)`` returns what ``remember(memory)`` takes, or None if it does not know this epoch yet.
        again = copy(self)
        again._record = record  # noqa: SLF001
        return again

    def fits(self, each: Sequence[Mapping[str, Any]]) -> KeptFits:
        """Return what keeps fits of estimators in the folder; see `KeptFits`."""
        return KeptFits(self._place, each)

    @property
    def is_begun(self) -> bool:
        """Whether there is a file or folder."""
        return self.path.exists()

    def part(self, name: str, takes_others: bool = False) -> Self:
        """Return the checkpoint of a part of the run, a file or a folder in this folder."""
        # One that takes others does not refuse what another run has left there: a file is replaced.
        part = type(self)(self.path / name, self.every)
        part.takes_others = takes_others
        return part
