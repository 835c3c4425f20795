"""Atomic writing, so that a reader finds the old file or the new one; and locks, which end with their program."""

import errno
import os
import shutil
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import IO

from ..system.threads import suppress_system_errors


def lock(number: int) -> bool | None:
    """Lock an open file; return False if another program holds it, and None if its file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(number, 2**30, os.SEEK_SET)  # others can read what is before the locked byte
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno is None:  # not of the system: the time-out of a signal's handler
            raise
        return False if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK) else None
    return True


DAY = 86_400
LEAST = 10**6
"""Commands and checkpoints refuse a disk with fewer free bytes."""


@contextmanager
def written_at_once(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a new file to write into, which replaces path when all of it is on disk.

    If writing fails or is killed, path is unchanged, and an error of the system names it. A killed program leaves the
    unfinished file in the same folder, named ``.NAME.….unfinished``; the next program that writes NAME removes it.
    Pipes and devices are written to, not replaced. A file that is replaced passes on its mode and its owner.

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
    target, replaced = Path(os.path.realpath(path)), None  # a link stays a link
    with suppress(OSError):
        replaced = target.stat()
    if replaced is not None and not (stat.S_ISREG(replaced.st_mode) or stat.S_ISDIR(replaced.st_mode)):
        with open(target, "wb") as file:
            yield file
        return
    sweep(target.parent, target.name)
    unfinished, held = None, -1
    try:
        while True:
            unfinished = target.with_name(f".{target.name}.{token_hex(8)}.unfinished")
            private = partial(os.open, mode=0o666 if replaced is None else 0o600)
            file = open(unfinished, "xb", opener=private)  # noqa: SIM115 (closed below)
            held = os.dup(file.fileno())  # locked until the file has its name, so that nobody sweeps it
            if lock(held) is not False and os.fstat(held).st_nlink:
                break
            file.close()  # another program has just taken it for one of a killed program
            os.close(held)
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replaced is not None:
            with suppress(OSError, AttributeError):  # only root gives a file to another user, and Windows has no owners
                os.chown(unfinished, replaced.st_uid, replaced.st_gid)
            with suppress(FileNotFoundError):
                shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    except BaseException as error:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # such as a full disk
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        with suppress(OSError):
            os.close(held)
    settle(target.parent)


def settle(folder: Path) -> None:
    """Write the names in a folder to disk too, on systems on which a folder can be opened for that."""
    with suppress_system_errors():
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what killed programs have left of the files of a folder, or of one, and nothing that is being written."""
    # Who writes a file holds a lock on it. Where the file system has no locks, a day tells.
    for left in folder.glob(f".{name if name == '*' else escape(name)}.*.unfinished"):
        with suppress_system_errors():
            with open(left, "r+b") as file:
                state = lock(file.fileno())
                is_left = state or (state is None and abs(time.time() - left.stat().st_mtime) >= DAY)
                if is_left and os.name != "nt":  # Windows removes no open file
                    left.unlink()
            if is_left:
                left.unlink(missing_ok=True)


_held: dict[Path, tuple[int, IO[bytes]]] = {}  # by the lock's path: the thread, and the open file


def _forget() -> None:
    """In a child process, close the locks of its parent, which would otherwise last as long as the child."""
    for _, file in _held.values():
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock file in the block; blocks of the same thread may be nested."""
    # The file tells who holds it, which a refusal names. A killed program leaves the file, and no lock.
    path, thread = Path(os.path.realpath(path)), threading.get_ident()
    if _held.get(path, (None, None))[0] == thread:
        yield
        return
    file = _taken(path, what)
    try:
        _held[path] = thread, file
        yield
    finally:
        ends: list[Callable[[], None]] = [file.close]
        if _held.pop(path, None) is not None:  # not in a child process that was forked in the block
            ends.insert(os.name == "nt", path.unlink)  # Windows removes no open file
        for end in ends:
            with suppress(OSError):
                end()


def _taken(path: Path, what: Path) -> IO[bytes]:
    """Lock a file, which is made if need be; return it open."""
    while True:
        file = open(path, "ab+", buffering=0)  # noqa: SIM115 (closed below, or by its holder)
        try:
            if lock(file.fileno()) is False:
                file.seek(0)
                holder = (file.read(1000) or b"").decode("utf-8", "replace") or "another program"
                raise ValueError(f"{what} is in use by {holder}: wait until that has ended, or give another path.")
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                    file.truncate(0)
                    since = time.strftime("%Y-%m-%d %H:%M:%S")
                    file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}".encode())
                    return file
        except BaseException:
            file.close()
            raise
        file.close()  # the file was removed by the program that held it until now
