"""The cache of compiled kernels: a folder of the user's with one file for each kernel, named after its code.

A file is a checksum of 32 bytes and the machine code behind it.
"""

import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from ...system.threads import refusals

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_SUFFIX = ".kernel"
_CHECKSUM = hashlib.sha256
_CHECKSUM_BYTES = _CHECKSUM().digest_size


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Return the folder of the cache, or None if no folder can be written.

    A folder that can only be read is used if it has kernels. ``VECPROP_CACHE_DIR`` chooses another folder.
    """
    for place in _places():
        with refusals():
            place.mkdir(parents=True, exist_ok=True)
        if _is_writable(place) or any(place.glob(f"*{_SUFFIX}")):
            return place
    warnings.warn(
        "No folder can be written to keep compiled kernels in, so they are compiled anew in each process: "
        "set VECPROP_CACHE_DIR to a folder that can.",
        stacklevel=2,
    )
    return None


def _is_writable(place: Path) -> bool:
    with refusals(), tempfile.TemporaryFile(dir=place):
        return True
    return False


def _places() -> Iterator[Path]:
    """Yield the folders that may hold the cache, the best one first."""
    if chosen := os.environ.get("VECPROP_CACHE_DIR"):
        yield Path(os.path.abspath(os.path.expanduser(chosen)))
        return
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        home = os.path.expanduser("~/Library/Caches")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if home and not home.startswith("~"):  # "~" stays if the user has no home
        yield Path(home) / "vecprop"


def is_shared() -> bool:
    """Return whether this process can write kernels that other processes will find."""
    path = folder()
    return path is not None and _is_writable(path)


def _file(name: str) -> Path | None:
    path = folder()
    return None if path is None else path / f"{name}{_SUFFIX}"


def is_kept(name: str) -> bool:
    """Return whether the cache has a kernel of this name."""
    file = _file(name)
    return file is not None and file.is_file()


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until no other process compiles the kernel of this name: of several that start at once, one does.

    The system unlocks the file of a process that ends, however it ends. Without a folder, or such locks, none waits.
    """
    file = _file(name)
    descriptor = None
    if file is not None and fcntl is not None:
        with refusals():
            descriptor = os.open(file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def kept(name: str) -> bytes | None:
    """Return the code that is kept under a name, or None if there is none or the file is damaged."""
    file = _file(name)
    with refusals():
        content = b"" if file is None else file.read_bytes()
        checksum, code = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if checksum == _CHECKSUM(code).digest():
            return code
    return None


def keep(name: str, code: bytes) -> None:
    """Keep a kernel under a name. The file appears complete, since other processes may read it at any moment."""
    file = _file(name)
    if file is None:
        return
    with refusals():  # a full disk, or a read-only folder: the next process compiles it anew
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as made:
            made.write(_CHECKSUM(code).digest() + code)
        try:
            os.replace(made.name, file)
        except OSError:
            os.unlink(made.name)
