"""The folder of a run of ``vecprop train`` that the same command resumes."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from platform import python_version
from typing import Any

from ...files.checkpoint.identity import Identity, of_all
from ...files.checkpoint.store import LOCK, RUN, Store
from ...system.versions import version_of
from ...tables.reading.file_lists import STANDARD_INPUT, existing
from ...terminal.messages import UsageError
from ...terminal.output_files import RunFiles
from .config import PASSING, named

STILL_THE_SAME = {"output", "report", "threads", "checkpoint"}
"""Options beside those of `PASSING` with which a run is still the same."""

LIBRARIES = ("vecprop", "numpy", "scipy", "numba", "scikit-learn", "pandas", "pyarrow")


class RunFolder:
    """A folder that keeps what a run has trained, so that the same command goes on."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.path: Path = options["checkpoint"]
        self.networks = self.path / "networks"
        run: dict[str, Any] = {}
        for name in ("table", "test", "columns"):
            file = options[name]
            is_stream = file is not None and file.exists() and not (file.is_file() or file.is_dir())
            if is_stream or file == STANDARD_INPUT:
                raise UsageError(f"The {name} is a stream, which is gone when the command is run again: give a file.")
            run[name] = existing(file) if file else None
        changes = options.keys() - PASSING - STILL_THE_SAME - run.keys()
        run |= {named(name): str(value) for name, value in options.items() if name in changes}
        run |= {f"version of {name}": version_of(name) for name in LIBRARIES} | {"version of Python": python_version()}
        run = Identity()(run)
        self.store = Store(self.path, run, [of_all([run])])
        self._known: list[Any] = []

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

    def remove(self) -> None:
        """Remove the folder: what says whose it is goes last, so that the same command could still go on."""
        shutil.rmtree(self.networks, ignore_errors=True)
        for path in (*sorted(self.path.glob("part-*.npz")), self.path / RUN, self.path / LOCK):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # of a file that somebody has put there
            self.path.rmdir()


def _names(files: RunFiles) -> list[str | None]:
    return [None if file is None else str(file.absolute()) for file in files]
