"""Where compiled code is kept: a folder of the user's, with a name that changes with anything it was compiled from."""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import config

from ...core.sources import require_unchanged, sources

_COPY = "vecprop-"
_config: Any = config  # its settings are made when it is imported


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Return the folder for this version of formulas, kernels and libraries, or None where none can be written.

    Numba notices a change in the file of a kernel, but not in the formulas that the kernel calls; so the folder's name
    is a digest of all of them. Set ``VECPROP_CACHE_DIR`` to choose the place.
    """
    require_unchanged()
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    for source in sources():
        digest.update(source.read_bytes())
    for place in _places():
        path = place / digest.hexdigest()[:16]
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                return path
        except OSError:
            with suppress(OSError):
                return _copy(path)
    warnings.warn(
        "No folder can be written to keep compiled kernels in, so they are compiled anew in each process: "
        "set VECPROP_CACHE_DIR to a folder that can.",
        stacklevel=2,
    )
    return None


def _copy(path: Path) -> Path:
    """Return a copy, for this process, of a folder that can only be read: Numba uses none that it may not write."""
    if not path.is_dir():
        raise FileNotFoundError(path)
    copy, maker = Path(tempfile.mkdtemp(prefix=_COPY)), os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # and not a child of it
            shutil.rmtree(copy, ignore_errors=True)

    atexit.register(remove)
    shutil.copytree(path, copy, dirs_exist_ok=True)
    for directory in (copy, *filter(Path.is_dir, copy.rglob("*"))):
        directory.chmod(0o700)  # which are copied as read-only too
    return copy


def _places() -> Iterator[Path]:
    """Yield where compiled code may be kept, the best place first."""
    if chosen := os.environ.get("VECPROP_CACHE_DIR"):
        yield Path(os.path.abspath(os.path.expanduser(chosen)))
        return
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        home = os.path.expanduser("~/Library/Caches")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if home and not home.startswith("~"):  # as it does where nobody knows whose home it is
        yield Path(home) / "vecprop"


def is_shared() -> bool:
    """Return whether other processes find in the folder what this one keeps there."""
    path = folder()
    return path is not None and not path.name.startswith(_COPY)


def is_kept(name: str) -> bool:
    """Return whether the folder holds a function of this name."""
    path = folder()
    return path is not None and any(path.rglob(f"*.{name}-*.nbi"))


def forget(name: str) -> None:
    """Remove what the folder holds of a function of this name."""
    path = folder()
    with suppress(OSError):
        for file in path.rglob(f"*.{name}-*.nb?") if path is not None else ():
            file.unlink(missing_ok=True)


@contextmanager
def cached_in_folder() -> Iterator[bool]:
    """Let Numba keep what is decorated within in the folder; gives whether it can."""
    path = folder()
    before = _config.CACHE_DIR
    _config.CACHE_DIR = str(path or before)
    try:
        yield path is not None
    finally:
        _config.CACHE_DIR = before
