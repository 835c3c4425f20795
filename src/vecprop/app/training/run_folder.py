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
from ...tables.reading.file_lists import STANDARD_INPUT, existing
from ...terminal.errors import UsageError
from ...terminal.output_files import RunFiles
from .config import PASSING, TrainConfig

STILL_THE_SAME = {"output", "report", "threads", "checkpoint"}
"""Options beside those of `PASSING` with which a run is still the same."""

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

    @classmethod
    def of(cls, config: TrainConfig) -> "RunFolder":
        """Return the folder of a run, or refuse to keep one whose files are gone when it is run again."""
        options = config.options
        files = {name: options[name] for name in ("table", "test", "columns")}
        for name, file in files.items():
            is_stream = file is not None and file.exists() and not (file.is_file() or file.is_dir())
            if is_stream or file == STANDARD_INPUT:
                raise UsageError(f"The {name} is a stream, which is gone when the command is run again: give a file.")
        changes = {name: value for name, value in options.items() if name not in PASSING | STILL_THE_SAME}
        paths = {name: existing(file) if file else None for name, file in files.items()}
        return cls(options["checkpoint"], paths, changes)

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
