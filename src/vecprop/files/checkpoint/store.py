"""A folder with the results of many training runs, each under a digest of its inputs."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...system.interrupts import terminated_as_interrupted
from .. import FileError
from ..atomic import LEAST, locked, settle, sweep
from ..model_file import container
from .identity import differing, made_with, warn_of_others

RUN, PART, LOCK = "run.npz", "part-{:06}.npz", ".lock"
"""The names of the files with the description of the run, its results, and the lock."""

WIDTH = 32
"""The number of characters of a key, half of a digest."""

SHARE = 0.01
"""The maximum share of time spent writing."""


class Throttle:
    """Limits writes to one in `every` seconds, and to at most 1 % of the time."""

    def __init__(self, every: float) -> None:
        self.every, self.written, self.cost = every, time.perf_counter(), 0.0

    @property
    def is_due(self) -> bool:
        return time.perf_counter() - self.written >= max(self.every, self.cost / SHARE)

    def wrote(self, began: float) -> None:
        self.written = time.perf_counter()
        self.cost = self.written - began


class Store:
    """The results in a folder.

    `run` describes the run for error messages. `keys` contains a digest of the inputs of each result. If the folder
    belongs to a run without common keys, an error is raised unless `takes_others` is set.
    """

    def __init__(self, path: Path, run: Mapping[str, Any], keys: Sequence[str], takes_others: bool = False) -> None:
        self.path, self.run, self.keys = path, dict(run), [key[:WIDTH] for key in keys]
        self.takes_others = takes_others
        self.numbers: dict[str, list[int]] = {}  # indices by key; equal keys share a result
        for number, key in enumerate(self.keys):
            self.numbers.setdefault(key, []).append(number)

    def begin(self) -> Iterator[tuple[list[str], dict[str, Any], dict[str, np.ndarray]]]:
        """Yield the keys, document and arrays of each file with results of this run."""
        make_folder(self.path)
        manifest, parts = self.path / RUN, {path: _keys(path) for path in self._parts()}
        if manifest.exists():
            document = container.read_document(manifest)
            theirs = set(_keys(manifest, document)).union(*parts.values())
            if theirs and self.keys and not self.takes_others and theirs.isdisjoint(self.numbers):
                differs = differing(self.run, document["run"]) or "each of its members differs"
                another = f"{self.path} is the checkpoint of another run"
                raise ValueError(f"{another}: {differs}. Give another path, or remove the folder.")
            warn_of_others(self.path, document.get("made with", {}))
            is_new = document["run"] != self.run or _keys(manifest, document) != self.keys
        else:
            ours = re.compile(r"\.lock|\.run\.npz\..*\.unfinished")
            others = sorted(entry.name for entry in self.path.iterdir() if not ours.fullmatch(entry.name))
            if others:
                full = f"{self.path} holds other files, such as {others[0]}"
                raise ValueError(f"{full}: give the checkpoint an empty folder.")
            is_new = True
        sweep(self.path)
        if is_new:
            own = {"run": self.run, "keys": "".join(self.keys), "made with": made_with()}
            container.write(manifest, {"model": None, **own}, {})
        for path, keys in parts.items():
            if not self.numbers.keys().isdisjoint(keys):
                yield keys, *container.read(path)

    def write(self, numbers: Sequence[int], document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        parts = self._parts()
        number = 1 + int(parts[-1].stem.partition("-")[2]) if parts else 0
        keys = "".join(self.keys[number] for number in numbers)
        container.write(self.path / PART.format(number), {"model": None, "keys": keys, **document}, arrays)

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.path.iterdir() if re.fullmatch(r"part-\d{6,}\.npz", path.name))


def _keys(path: Path, document: Mapping[str, Any] | None = None) -> list[str]:
    keys = (container.read_document(path) if document is None else document).get("keys")
    if not isinstance(keys, str):
        raise FileError(f"{path} is not a file of a checkpoint: give another folder.")
    return [keys[first : first + WIDTH] for first in range(0, len(keys), WIDTH)]


@contextmanager
def held(path: Path, is_folder: bool) -> Iterator[None]:
    """Lock a file or folder in a `with` block, and treat SIGTERM like Ctrl-C there."""
    # Missing folders are created, and removed at the end if they are empty.
    file = Path(os.path.realpath(path))  # the same lock for a link and its target
    lock = path / LOCK if is_folder else file.parent / f".{file.name}{LOCK}"
    made = make_folder(lock.parent)
    try:
        with locked(lock, path), terminated_as_interrupted():
            yield
    finally:
        with suppress(OSError):  # not empty
            for folder in made:
                folder.rmdir()


def make_folder(path: Path) -> list[Path]:
    """Create a folder and its parents durably; return the folders that were missing."""
    missing = []
    for folder in (path, *path.parents):
        if not folder.exists():
            missing.append(folder)
        elif not folder.is_dir():
            raise ValueError(f"{folder} is a file, but the checkpoint needs a folder there: give another path.")
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        settle(folder.parent)
    if not os.access(path, os.W_OK):  # raise now, not at the first write after a minute of training
        raise PermissionError(f"The folder {path} is not writable: give the checkpoint another path.")
    if shutil.disk_usage(path).free < LEAST:
        raise OSError(f"The disk of the folder {path} is full: make room, or give the checkpoint another path.")
    return missing
