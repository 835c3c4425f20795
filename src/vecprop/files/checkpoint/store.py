"""A folder with the results of training runs, under digests of their inputs."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ...system.interrupts import terminated_as_interrupted
from .. import FileError
from ..atomic import LEAST, locked, settle, sweep
from ..model_file import container
from ..model_file.container import Arrays, Document
from .identity import differing, made_with, warn_of_others

RUN, PART, LOCK = "run.npz", "part-{:06}.npz", ".lock"
"""The names of the files with the description of the run, its results, and the lock."""

WIDTH = 32
"""The number of characters of a key, half of a digest."""

SHARE = 0.01
"""The maximum share of time spent writing."""


class Throttle:
    """Limits writes to one in `every` seconds, and to at most 1 % of the time."""

    def __init__(self, every: float):
        self.every = every
        self.written = time.perf_counter()
        self.cost = 0.0

    @property
    def is_due(self) -> bool:
        return time.perf_counter() - self.written >= max(self.every, self.cost / SHARE)

    def wrote(self, start: float):
        self.written = time.perf_counter()
        self.cost = self.written - start


class Store:
    """The results in a folder.

    `run` describes the run for error messages. `keys` contains a digest of the inputs
    of each result. If the folder belongs to a run without common keys, an error is
    raised unless `takes_others` is set.
    """

    def __init__(
        self, path: Path, run: Document, keys: Sequence[str], takes_others: bool = False
    ):
        self.path = path
        self.run = run
        self.keys = [key[:WIDTH] for key in keys]
        self.takes_others = takes_others
        # indices by key; equal keys share a result
        self.numbers: dict[str, list[int]] = {}
        for number, key in enumerate(self.keys):
            self.numbers.setdefault(key, []).append(number)

    def begin(self) -> Iterator[tuple[list[str], Document, Arrays]]:
        """Claim the folder for this run; yield the keys, document and arrays of each file with its results."""
        make_folder(self.path)
        parts = {}
        for path in self._parts():
            parts[path] = _keys(path, container.read_document(path))
        self._claim(set().union(*parts.values()))
        for path, keys in parts.items():
            if self.numbers.keys() & keys:
                yield keys, *container.read(path)

    def _claim(self, part_keys: set[str]):
        """Write the manifest, or raise an error if the folder contains other files or another run."""
        manifest = self.path / RUN
        is_same = False
        if manifest.exists():
            saved = container.read_document(manifest)
            keys = _keys(manifest, saved)
            self._require_common_keys(part_keys.union(keys), saved["run"])
            warn_of_others(self.path, saved.get("made with", {}))
            is_same = saved["run"] == self.run and keys == self.keys
        else:
            self._require_empty()
        sweep(self.path)
        if not is_same:
            document = {
                "model": None,
                "run": self.run,
                "keys": "".join(self.keys),
                "made with": made_with(),
            }
            container.write(manifest, document, {})

    def _require_common_keys(self, saved_keys: set[str], saved_run: Document):
        if self.takes_others or not saved_keys or not self.keys:
            return
        if saved_keys.isdisjoint(self.keys):
            difference = differing(self.run, saved_run) or "each of its members differs"
            raise ValueError(
                f"{self.path} is the checkpoint of another run: {difference}. Give"
                " another path, or remove the folder."
            )

    def _require_empty(self):
        """Raise an error for a folder with files that no checkpoint has written."""
        for name in sorted(entry.name for entry in self.path.iterdir()):
            if not re.fullmatch(r"\.lock|\.run\.npz\..*\.unfinished", name):
                raise ValueError(
                    f"{self.path} holds other files, such as {name}: give the"
                    " checkpoint an empty folder."
                )

    def write(self, numbers: Sequence[int], document: Document, arrays: Arrays):
        """Write the results with these indices to the next file."""
        parts = self._parts()
        number = 0
        if parts:
            _, _, last_number = parts[-1].stem.partition("-")
            number = int(last_number) + 1
        keys = "".join(self.keys[index] for index in numbers)
        document = {"model": None, "keys": keys, **document}
        container.write(self.path / PART.format(number), document, arrays)

    def _parts(self) -> list[Path]:
        return sorted(
            path
            for path in self.path.iterdir()
            if re.fullmatch(r"part-\d{6,}\.npz", path.name)
        )


def _keys(path: Path, document: Document) -> list[str]:
    keys = document.get("keys")
    if not isinstance(keys, str):
        raise FileError(f"{path} is not a file of a checkpoint: give another folder.")
    return [keys[first : first + WIDTH] for first in range(0, len(keys), WIDTH)]


@contextmanager
def held(path: Path, is_folder: bool) -> Iterator[None]:
    """Lock a file or folder in a `with` block, and treat SIGTERM like Ctrl-C there."""
    # Missing folders are created, and removed at the end if they are empty.
    file = Path(os.path.realpath(path))  # the same lock for a link and its target
    lock = path / LOCK if is_folder else file.parent / f".{file.name}{LOCK}"
    missing = make_folder(lock.parent)
    try:
        with locked(lock, path), terminated_as_interrupted():
            yield
    finally:
        with suppress(OSError):  # not empty
            for folder in missing:
                folder.rmdir()


def make_folder(path: Path) -> list[Path]:
    """Create a folder and its parents durably; return the folders that were missing."""
    missing = []
    for folder in (path, *path.parents):
        if not folder.exists():
            missing.append(folder)
        elif not folder.is_dir():
            raise ValueError(
                f"{folder} is a file, but the checkpoint needs a folder there: give"
                " another path."
            )
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        settle(folder.parent)
    # raise now, not at the first write after a minute of training
    if not os.access(path, os.W_OK):
        raise PermissionError(
            f"The folder {path} is not writable: give the checkpoint another path."
        )
    if shutil.disk_usage(path).free < LEAST:
        raise OSError(
            f"The disk of the folder {path} is full: make room, or give the checkpoint"
            " another path."
        )
    return missing
