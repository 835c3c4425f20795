"""The folder in which ``vecprop train`` keeps a run, until its model is written."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from ... import Checkpoint
from ...files.checkpoint.identity import Identity, of_all
from ...files.checkpoint.store import LOCK, RUN, Store
from ...terminal.errors import UsageError
from ...terminal.output_files import RunFiles

PASSING = {"output", "report", "threads", "checkpoint"}
"""Options beside those of `configuration.PASSING` with which a run is still the same."""

LIBRARIES = ("vecprop", "numpy", "scipy", "numba", "scikit-learn", "pandas", "pyarrow")
NETWORKS = "networks"
"""The name of what keeps the networks in the folder."""


class RunFolder:
    """A folder that keeps what a run has trained, so that the same command goes on."""

    def __init__(self, path: Path, files: Mapping[str, Path | None], options: Mapping[str, Any]) -> None:
        run = {f"--{name.replace('_', '-')}": str(value) for name, value in options.items() if name not in files}
        run |= {f"version of {name}": version(name) for name in LIBRARIES} | {"version of Python": python_version()}
        run = Identity()({**files, **run})
        self.path, self.store = path, Store(path, run, [of_all([run])])

    def begin(self) -> None:
        """Make the folder, if need be; refuse that of another run, or one that holds other files."""
        try:
            self._known = list(self.store.begin())
        except ValueError as error:
            raise UsageError(str(error)) from error

    def was_writing(self, files: RunFiles) -> bool:
        """Return whether the same command has begun to write these files, which may then be replaced."""
        if not (self.path / RUN).exists():
            return False
        self.begin()
        return any(document["writes"] == _names(files) for _, document, _ in self._known)

    def is_writing(self, files: RunFiles) -> None:
        """Note that these files are written from now on."""
        self.store.write([0], {"writes": _names(files)}, {})

    @property
    def checkpoint(self) -> Checkpoint:
        """What keeps the networks."""
        return Checkpoint(self.path / NETWORKS)

    def remove(self) -> None:
        """Remove the folder: what says whose it is goes last, so that the same command could still go on."""
        shutil.rmtree(self.path / NETWORKS, ignore_errors=True)
        for path in (*sorted(self.path.glob("part-*.npz")), self.path / RUN, self.path / LOCK):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # of a file that somebody has put there
            self.path.rmdir()


def _names(files: RunFiles) -> list[str | None]:
    return [None if file is None else str(file.absolute()) for file in files]
