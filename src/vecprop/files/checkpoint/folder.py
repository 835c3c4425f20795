"""A folder that keeps a run of many trainings: what the run is, and a file for each time that some have ended."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import FileError
from ..atomic import settle, sweep_folder
from ..model_file import container
from .digests import differing, of_all
from .surroundings import made_with, warn_of_others

RUN, PART = "run.npz", "part-{:06}.npz"
"""The names of the files."""


class Folder:
    """The files of a run in a folder, which is made if need be."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path, self.run, self.key = path, run, of_all([[name, run[name]] for name in run])

    def begin(self) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
        """Yield what was written before; refuse the folder of another run, or one with other files.

        Raises
        ------
        ValueError
            If the folder belongs to something else. It stays as it is.
        """
        make_folder(self.path)
        manifest = self.path / RUN
        if manifest.exists():
            document = container.read_document(manifest)
            known = document.get("run")
            if not isinstance(known, dict):
                raise FileError(f"{manifest} is not what a checkpoint has in its place: give another folder.")
            differs = differing(self.run, known)
            if differs:
                raise ValueError(
                    f"{self.path} is the checkpoint of another run: {differs}. Give another path, or remove the folder."
                )
            warn_of_others(self.path, document.get("made with", {}))
        else:
            require_own(self.path)
            container.write(manifest, {"model": None, "run": dict(self.run), "made with": made_with()}, {})
        sweep_folder(self.path)
        for path in self._parts():
            document, arrays = container.read(path)
            if document.get("key") != self.key:
                raise FileError(f"{path} is not of the run whose folder it is in: remove that file.")
            yield document, arrays

    def write(self, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write a further file."""
        parts = self._parts()
        number = 1 + int(parts[-1].stem.partition("-")[2]) if parts else 0
        container.write(self.path / PART.format(number), {"model": None, "key": self.key, **document}, arrays)

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.path.iterdir() if re.fullmatch(r"part-\d{6,}\.npz", path.name))


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that they are there after a power cut; refuse one that cannot be written."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    file = next((folder for folder in (path, *path.parents) if folder.exists() and not folder.is_dir()), None)
    if file is not None:
        raise ValueError(f"{file} is a file, where the checkpoint has a folder: give another path.")
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        settle(folder.parent)
    if not os.access(path, os.W_OK):  # which writing would tell, but not before the first minute of training
        raise PermissionError(f"Nothing may be written in the folder {path}: give the checkpoint another path.")


def require_own(path: Path) -> None:
    """Refuse a folder that holds files which no checkpoint has written."""
    others = sorted(
        entry.name for entry in path.iterdir() if not re.fullmatch(r"\.run\.npz\..*\.unfinished", entry.name)
    )
    if others:
        raise ValueError(f"{path} holds other files, such as {others[0]}: give the checkpoint a folder of its own.")
