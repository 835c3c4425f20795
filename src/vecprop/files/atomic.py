"""Atomic writing: a reader finds the old file or the new one, never a part of it."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import IO

DAY = 86_400


@contextmanager
def written_at_once(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a new file to write into, which replaces path when all of it is on disk.

    If writing fails or is killed, path is unchanged, and an error of the system names it. A killed program leaves the
    unfinished file in the same folder, named ``.NAME.….unfinished``; one that is a day old is removed by the next
    program that writes NAME.

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
    target = Path(os.path.realpath(path))  # a link stays a link
    sweep(target)
    unfinished = target.with_name(f".{target.name}.{token_hex(8)}.unfinished")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # such as a full disk
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    settle(target.parent)


def settle(folder: Path) -> None:
    """Write the names in a folder to disk too, on systems on which a folder can be opened for that."""
    try:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno is None:  # not of the system: the time-out of a signal's handler
            raise


def sweep(path: str | os.PathLike[str], age: float = DAY) -> None:
    """Remove what programs that were killed have left of a file."""
    target = Path(os.path.realpath(path))
    try:
        for left in target.parent.glob(f".{escape(target.name)}.*.unfinished"):
            if left.stat().st_mtime <= time.time() - age:
                left.unlink()
    except OSError as error:
        if error.errno is None:
            raise


def sweep_folder(folder: Path) -> None:
    """Remove what programs that were killed have left of any model file in a folder that nobody else writes."""
    for left in folder.glob(".*.npz.*.unfinished"):
        left.unlink(missing_ok=True)
