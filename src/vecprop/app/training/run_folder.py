"""The folder in which ``vecprop train`` keeps a run, until its model is written."""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from ... import Checkpoint
from ...files.checkpoint.folder import RUN, Folder
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
        run = {name: None if file is None else digest_of_file(file) for name, file in files.items()}
        run |= {f"--{name.replace('_', '-')}": str(value) for name, value in options.items() if name not in files}
        run |= {f"version of {name}": version(name) for name in LIBRARIES} | {"version of Python": python_version()}
        self.path, self.folder = path, Folder(path, run)

    def begin(self) -> None:
        """Make the folder, if need be; refuse that of another run, or one that holds other files."""
        try:
            self._known = list(self.folder.begin())
        except ValueError as error:
            raise UsageError(str(error)) from error

    def was_writing(self, files: RunFiles) -> bool:
        """Return whether the same command has begun to write these files, which may then be replaced."""
        if not (self.path / RUN).exists():
            return False
        self.begin()
        return any(document.get("writes") == _names(files) for document, _ in self._known)

    def is_writing(self, files: RunFiles) -> None:
        """Note that these files are written from now on."""
        self.folder.write({"writes": _names(files)}, {})

    @property
    def checkpoint(self) -> Checkpoint:
        """What keeps the networks."""
        return Checkpoint(self.path / NETWORKS)

    def remove(self) -> None:
        """Remove the folder: what says whose it is goes last, so that the same command could still go on."""
        shutil.rmtree(self.path / NETWORKS, ignore_errors=True)
        for path in (*sorted(self.path.glob("part-*.npz")), self.path / RUN):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # of a file that somebody has put there
            self.path.rmdir()


def digest_of_file(path: Path) -> str:
    """Return the digest of a file's bytes, or of all files in a folder with their names.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "a").write_bytes(b"hello")
    ...     digest_of_file(pathlib.Path(folder, "a"))[:16], digest_of_file(pathlib.Path(folder))[:16]
    ('2cf24dba5fb0a30e', '3213aa9907e55963')
    """
    if path.is_dir():
        each = sorted(file for file in path.rglob("*") if file.is_file())
        named = "".join(f"{file.relative_to(path)}\0{digest_of_file(file)}\n" for file in each)
        return hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(files: RunFiles) -> list[str | None]:
    return [None if file is None else str(file.absolute()) for file in files]
