"""Files that commands write: looked at before the work begins, never overwritten unasked."""

import os
from pathlib import Path

from .exits import UsageError


def writable(path: Path, force: bool, option: str = "-o", read: Path | None = None) -> Path:
    """Return where a command may write that reads a file, or say now why it will not be able to.

    Raises
    ------
    UsageError
        Where there is a file already and ``force`` does not allow to overwrite it, where it is the one that is read, or
        no file can be made there.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the name of a file in it with {option}.")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file: give the name of one with {option}.")
    if read is not None and path.exists() and read.exists() and path.samefile(read):
        raise UsageError(f"{path} is what is read: give another name with {option}.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: give another name with {option}, or allow to overwrite it with --force.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}: make it, or give another name with {option}.")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"Nothing may be written in the folder {path.parent}: give another name with {option}.")
    return path


def named_after(table: Path) -> Path:
    """Return the name of a table's model in the current folder.

    Examples
    --------
    >>> print(named_after(Path("data/visits.csv.gz")))
    visits.npz
    """
    return Path(table.name.removesuffix("".join(table.suffixes[-2:])) or table.name).with_suffix(".npz")
