"""Checkpoints: files or folders that let killed training resume bit-identically."""

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from ...core import Batch, Network, SparseNetwork, is_within
from ...system.suggestions import SuggestsNames
from ...train.state import TrainingResult, TrainingState
from ..atomic import FilePath, require_path, sweep
from ..model_file import information, load_with_memory, save_with_notes
from ..networks import TrainedNetwork
from .identity import RunIdentity, differing, made_with, require_savable, warn_of_others
from .results import FitStore, MemberStore
from .store import Throttle, held

MOST_COMPARED = 10_000
"""The maximum number of steps whose learning rates are compared between two runs."""


class Checkpoint(SuggestsNames):
    """A file or folder that saves training, so that the same program can resume.

    The program may end by an error, Ctrl-C, kill -9 or a power cut. The result of the
    resumed run is bit-identical to the result of an uninterrupted run, except for the
    recorded times. With another processor or other library versions, bits may differ,
    and a warning reports this.

    `train` saves its state to a model file, which `load` can read at any time. If the
    run had ended, `train` returns the result immediately. If ``epochs`` has increased,
    `train` continues the run. `train_population` saves the results of finished members
    to a folder, and unfinished members restart. A later run may add members to a
    folder, or train only some members. Files are replaced atomically.

    If a callback raises an exception, training is saved before the exception is raised.
    SIGTERM stops and saves training like Ctrl-C, and then ends the program with exit
    code 143. A file lock ensures that only one program at a time uses a checkpoint. The
    next run removes unfinished files of a killed program.

    Parameters
    ----------
    path : path
        The file or folder. Missing folders are created. A file belongs to one run, with
        the same network, initial parameters, data and settings.
    every : float, default 60.0
        The minimum number of seconds between two writes. A write happens after an epoch
        or a finished member. The interval grows if writing would take more than a
        hundredth of the time. The end of training is always saved.

    Raises
    ------
    ValueError
        If ``every`` is negative or not finite. At the start of training: if another
        program uses the checkpoint, if the path is not a checkpoint, or if the
        checkpoint belongs to another run. The checkpoint stays unchanged.
    FileError
        At the start of training: if model files cannot store a part of the run, such as
        a custom layer.

    Notes
    -----
    Callbacks are not saved. The internal state of a callback starts empty after a
    resume.

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

    def __init__(self, path: FilePath, every: float = 60.0):
        if not is_within(every, 0):
            raise ValueError(
                f"every is {every!r}, expected a finite number of seconds of at"
                " least 0."
            )
        self.path = require_path(path)
        self.every = every
        self._record: Any = None
        self._takes_others = False

    def __repr__(self):
        return f"Checkpoint({str(self.path)!r}, every={self.every})"

    def _held(self, is_folder: bool = True):
        """Return a context that locks the checkpoint and treats SIGTERM like Ctrl-C."""
        return held(self.path, is_folder)

    def _begin(
        self,
        network: Network,
        theta,
        batches: Sequence[Batch | None],
        epochs: int,
        settings: Mapping[str, Any],
    ):
        """Return the saved state of a run, or None if the run has not started.

        The batches contain the training rows and any validation rows, or None for rows
        that the settings specify. The settings are all other values that determine the
        bits, including ``schedule`` and ``batch_size``.
        """
        self._network = network.dense if isinstance(network, SparseNetwork) else network
        require_savable(theta)
        inputs = {"network": self._network, **settings, "start": theta}
        for prefix, batch in zip(("", "validation "), batches, strict=False):
            if batch is not None:
                inputs |= {
                    f"{prefix}X": batch,
                    f"{prefix}T": batch.T,
                    f"{prefix}sample_weight": batch.weight,
                }
        self._run = RunIdentity()(inputs)
        if self._record is not None:
            self._run["record"] = "Recorder"  # its name in existing files
        self._throttle = Throttle(self.every)
        if self.path.is_dir():
            raise ValueError(
                f"{self.path} is a folder, but a single run needs a file: give the path"
                " of a file in it."
            )
        sweep(self.path.parent, self.path.name)
        if not self.path.exists():
            return None
        notes = information(self.path).get("checkpoint")
        if notes is None:
            raise ValueError(
                f"{self.path} is a model, not a checkpoint: give the checkpoint another"
                " path."
            )
        difference = differing(self._run, notes["run"])
        if difference and self._takes_others:
            return None
        if difference:
            self._refuse(difference)
        warn_of_others(self.path, notes.get("made with", {}))
        trained, memory = load_with_memory(self.path)
        state = trained.state
        if state.epoch > epochs:
            self._refuse(
                f"it has reached epoch {state.epoch}, beyond the {epochs} of this one"
            )
        if state.epochs != epochs:
            self._require_same_rates(
                state, epochs, settings["schedule"], settings["batch_size"]
            )
        if self._record is not None:
            self._record.remember(memory)
        state = replace(state, epochs=epochs, network=network)
        return TrainingResult(trained.theta, state.history, state, notes["reason"])

    def _require_same_rates(
        self, state: TrainingState, epochs: int, schedule, batch_size: int
    ):
        """Raise an error if the rates of some steps depend on the number of epochs."""
        start = schedule.init()
        batches = ceil(state.rows / batch_size)
        count = min(state.step, MOST_COMPARED)
        steps = np.linspace(0, state.step - 1, count, dtype=int)
        for step in np.unique(steps).tolist():
            saved_rate = schedule.factor(step, state.epochs * batches, start)
            rate = schedule.factor(step, epochs * batches, start)
            if rate != saved_rate:
                self._refuse(f"its schedule is for {state.epochs} epochs, not {epochs}")

    def _after_epoch(self, result: TrainingResult):
        """Write the current result of training if a write is due."""
        if self._throttle.is_due:
            self._write(result)

    def _write(self, result: TrainingResult):
        """Write a result of training if the recorded callback has seen its last epoch."""
        start = time.perf_counter()
        memory = None
        if self._record is not None:
            memory = self._record.memory(result.state.epoch)
            if memory is None:
                return
        trained = TrainedNetwork(
            self._network, result.theta, replace(result.state, network=self._network)
        )
        notes = {"run": self._run, "reason": result.reason, "made with": made_with()}
        save_with_notes(trained, self.path, memory=memory, checkpoint=notes)
        self._throttle.wrote(start)

    def _refuse(self, reason: str):
        raise ValueError(
            f"{self.path} is the checkpoint of another run: {reason}. Give another"
            " path, or remove the file."
        )

    def _members(self, population, groups: Sequence[list[int]], moments: bool):
        """Return the folder's store for the groups of a population."""
        return MemberStore(self, population, groups, moments)

    def _recording(self, record):
        """Return a checkpoint that also saves the state of a callback."""
        # The callback's ``memory(epoch)`` returns an argument for ``remember``, or None
        # for an unseen epoch.
        checkpoint = copy(self)
        checkpoint._record = record
        return checkpoint

    def _fits(self, identities: Sequence[Mapping[str, Any]]):
        """Return the folder's store for fits of estimators."""
        return FitStore(self, identities)

    def _part(self, name: str, takes_others: bool = False):
        """Return the checkpoint for a part of the run, in this folder."""
        # With takes_others, no error is raised for files of another run; a single file
        # is replaced.
        part = type(self)(self.path / name, self.every)
        part._takes_others = takes_others
        return part
