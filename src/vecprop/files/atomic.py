"""Atomic file replacement, and file locks that the system releases when a program ends."""

import errno
import os
import shutil
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import IO

from ..system.threads import suppress_system_errors

FilePath = str | os.PathLike[str]


def lock(number: int) -> bool | None:
    """Lock an open file; return False if another program holds the lock, None if locks are unsupported."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # the bytes before the locked one stay readable
            os.lseek(number, 2**30, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # not from the system, but for example a timeout raised by a signal handler
        if error.errno is None:
            raise
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        return None
    return True


DAY = 86_400
LEAST = 10**6
"""Commands and checkpoints need at least this number of free bytes on the disk."""


def require_path(path) -> Path:
    """Return a path, or raise an error for other objects."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"The path of a file must be text or a Path, got {path!r}.")
    return Path(path)


@contextmanager
def written_at_once(path: FilePath) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing. The file replaces path once all data are on disk.

    If writing fails or the program is killed, path is unchanged. A killed program
    leaves an unfinished file named ``.NAME.….unfinished`` in the same folder; the next
    program that writes NAME removes it. Pipes and devices are written directly. The new
    file gets the mode and the owner of the old one.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "greeting")
    ...     with written_at_once(path) as file:
    ...         _ = file.write(b"hello")
    ...     print(path.read_text(), len(list(path.parent.iterdir())))
    hello 1
    """
    # a link stays, and its target is replaced
    target = Path(os.path.realpath(require_path(path)))
    replaced = None
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder: choose the name of a file in it.")
    with suppress(OSError):
        replaced = target.stat()
    if replaced is not None and not stat.S_ISREG(replaced.st_mode):
        with open(target, "wb") as file:
            yield file
        return
    if not target.parent.exists():
        raise FileNotFoundError(
            f"The folder {target.parent} does not exist: create it, or choose another"
            " folder."
        )
    sweep(target.parent, target.name)
    mode = 0o666 if replaced is None else 0o600
    unfinished = None
    held = -1
    try:
        while True:
            unfinished = target.with_name(f".{target.name}.{token_hex(8)}.unfinished")
            file = open(unfinished, "xb", opener=partial(os.open, mode=mode))  # noqa: SIM115 (closed below)
            # keeps the lock until the file is renamed, which protects it from `sweep`
            held = os.dup(file.fileno())
            if lock(held) is not False and os.fstat(held).st_nlink:
                break
            file.close()  # another program has just removed the file
            os.close(held)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replaced is not None:
            # only root can change the owner, and Windows has no chown
            with suppress(OSError, AttributeError):
                os.chown(unfinished, replaced.st_uid, replaced.st_gid)
            with suppress(FileNotFoundError):
                shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    except OSError as error:
        # such as a full disk
        if error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)  # absent after it was renamed
        with suppress(OSError):
            os.close(held)
    settle(target.parent)


def settle(folder: Path):
    """Flush a folder's entries to disk, where the system supports it."""
    with suppress_system_errors():
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def sweep(folder: Path, name: str = "*"):
    """Remove the unfinished files that killed programs left in a folder, for one name or for all names."""
    pattern = name if name == "*" else escape(name)
    for unfinished in folder.glob(f".{pattern}.*.unfinished"):
        with suppress_system_errors():
            with open(unfinished, "r+b") as file:
                # a program locks its file while it writes
                is_abandoned = lock(file.fileno())
                if is_abandoned is None:  # there are no locks
                    age = time.time() - unfinished.stat().st_mtime
                    is_abandoned = abs(age) >= DAY
                # Windows cannot remove an open file
                if is_abandoned and os.name != "nt":
                    unfinished.unlink()
            if is_abandoned:
                unfinished.unlink(missing_ok=True)


# the thread and the open file of each lock, by path
_held: dict[Path, tuple[int, IO[bytes]]] = {}


def _forget():
    """Close the parent's locks in a child process, because the child would otherwise hold them."""
    for _, file in _held.values():
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def locked(path: Path, resource: Path) -> Iterator[None]:
    """Hold a lock file in a `with` block; the same thread may nest such blocks."""
    # A killed program leaves the file, but not the lock.
    path = Path(os.path.realpath(path))
    thread = threading.get_ident()
    holder, _ = _held.get(path, (None, None))
    if holder == thread:
        yield
        return
    file = _locked_file(path, resource)
    try:
        _held[path] = (thread, file)
        yield
    finally:
        # a child process that was forked inside the block is not a holder: `_forget`
        is_holder = _held.pop(path, None) is not None
        with suppress(OSError):
            if os.name == "nt":  # Windows cannot remove an open file
                file.close()
            if is_holder:
                path.unlink()
        with suppress(OSError):
            file.close()


def _locked_file(path: Path, resource: Path):
    """Open and lock a file, creating it if necessary; the file contains the name of its holder."""
    while True:
        file = open(path, "ab+", buffering=0)  # noqa: SIM115 (closed below, or by its holder)
        with ExitStack() as cleanup:
            cleanup.callback(file.close)
            if lock(file.fileno()) is False:
                file.seek(0)
                holder = file.read(1000).decode("utf-8", "replace")
                raise ValueError(
                    f"{resource} is in use by {holder or 'another program'}: wait until"
                    " it ends, or give another path."
                )
            if _is_at(file, path):
                file.truncate(0)
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(
                    f"process {os.getpid()} on {socket.gethostname()} since {since}".encode()
                )
                cleanup.pop_all()
                return file
        # The previous holder has just removed the file, so create another one.


def _is_at(file: IO[bytes], path: Path):
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
