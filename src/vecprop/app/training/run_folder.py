"""The folder of a run of ``vecprop train``, which the same command resumes."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from platform import python_version

from ...files.checkpoint.identity import RunIdentity, joint_digest
from ...files.checkpoint.store import LOCK, RUN, Store
from ...system.versions import version_of
from ...tables.reading.file_lists import STANDARD_INPUT, existing
from ...terminal.messages import UsageError
from ...terminal.output_files import RunFiles
from .config import PASSING, named

STILL_THE_SAME = {"output", "report", "threads", "checkpoint"}
"""Options besides those in `PASSING` that may change when a run is resumed."""

LIBRARIES = ("vecprop", "numpy", "scipy", "numba", "scikit-learn", "pandas", "pyarrow")


class RunFolder:
    """A folder that saves the training of a run, for the same command to resume."""

    def __init__(self, options: Mapping):
        """Identify the run by its input files, its options and the versions of libraries."""
        self.path = options["checkpoint"]
        self.networks = self.path / "networks"
        # a run is resumed if all of this is the same
        run = {}
        for name in ("table", "test", "columns"):
            run[name] = _file_to_read_again(name, options[name])
        ignored_options = PASSING | STILL_THE_SAME | run.keys()
        for name, value in options.items():
            if name not in ignored_options:
                run[named(name)] = str(value)
        for name in LIBRARIES:
            run[f"version of {name}"] = version_of(name)
        run["version of Python"] = python_version()
        identity = RunIdentity()(run)
        self.store = Store(self.path, identity, [joint_digest([identity])])
        self._known = []

    def begin(self):
        """Create the folder if necessary, or raise an error if it contains other files or another run."""
        try:
            self._known = list(self.store.begin())
        except ValueError as error:
            raise UsageError(str(error)) from error

    def was_writing(self, files: RunFiles) -> bool:
        """Return whether the same command had started writing these files, which may then be replaced."""
        if not (self.path / RUN).exists():
            return False
        self.begin()
        return any(
            document["writes"] == _names(files) for _, document, _ in self._known
        )

    def is_writing(self, files: RunFiles):
        """Record that these files are being written."""
        self.store.write([0], {"writes": _names(files)}, {})

    def remove(self):
        """Remove the folder. The manifest is removed last, so that an interrupted removal can be resumed."""
        shutil.rmtree(self.networks, ignore_errors=True)
        for path in (
            *sorted(self.path.glob("part-*.npz")),
            self.path / RUN,
            self.path / LOCK,
        ):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder contains foreign files
            self.path.rmdir()


def _file_to_read_again(name: str, file: Path | None) -> Path | None:
    """Return any file of an option; raise UsageError if it is a stream or missing."""
    if file is None:
        return None
    is_stream = file.exists() and not (file.is_file() or file.is_dir())
    if is_stream or file == STANDARD_INPUT:
        raise UsageError(
            f"--checkpoint needs a {name} that can be read again, not a stream: give a"
            " file."
        )
    return existing(file)


def _names(files: RunFiles) -> list[str | None]:
    return [None if file is None else str(file.absolute()) for file in files]
