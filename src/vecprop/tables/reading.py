"""Reading tables: CSV with any separator and encoding, Parquet, Arrow and Feather, whole or in chunks of rows."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .error import TableError, nearest
from .separated import Separated

Frame = Any
"""A pandas DataFrame."""

PARQUET, ARROW = {".parquet", ".pq"}, {".feather", ".arrow", ".ipc"}


def read_table(path: str | os.PathLike[str]) -> Frame:
    r"""Return a table from a file.

    Parameters
    ----------
    path : path
        A Parquet file (``.parquet``, ``.pq``), an Arrow or Feather file (``.arrow``, ``.feather``, ``.ipc``), or a text
        file with a line of names and a line for each row, whatever its name, its separator (comma, semicolon, tab,
        bar) and its encoding; it may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``, ``.zip``).

    Returns
    -------
    DataFrame (pandas)
        The columns as they are; ``attrs["notes"]`` lists in sentences what was taken for granted of a text file.

    Raises
    ------
    TableError
        Where there is no such file, or it is a folder, empty, not a table, or has rows of differing length.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("name;age\nAda;36\nAlan;41\n")
    ...     read_table(path)
       name  age
    0   Ada   36
    1  Alan   41
    """
    path = existing(path)
    if path.suffix.lower() in PARQUET | ARROW:
        return checked(_read_binary(path), path)
    return checked(Separated.of(path).read(), path)


def read_chunks(path: str | os.PathLike[str], rows: int = 100_000) -> Iterator[Frame]:
    r"""Yield a table from a file in parts, so that it need not fit in memory.

    Parameters
    ----------
    path : path
        See `read_table`.
    rows : int, default 100,000
        How many rows a part has at most.

    Yields
    ------
    DataFrame (pandas)
        The parts, in order, with all columns. A column of a text file may have another type in another part;
        ``attrs["notes"]`` as in `read_table`.

    Raises
    ------
    TableError
        As `read_table`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "numbers.csv")
    ...     _ = path.write_text("a,b\n1,2\n3,4\n5,6\n")
    ...     [len(part) for part in read_chunks(path, rows=2)]
    [2, 1]
    """
    path = existing(path)
    suffix = path.suffix.lower()
    parts = _binary_parts(path, rows) if suffix in PARQUET | ARROW else Separated.of(path).parts(rows)
    for part in parts:
        yield checked(part, path)


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that exists, or say what is there instead."""
    path = Path(path)
    if path.is_dir():
        raise TableError(f"{path} is a folder, not a table: name a file in it.")
    if not path.exists():
        raise TableError(missing(path))
    if not path.stat().st_size:
        raise TableError(f"{path} is empty.")
    return path


def missing(path: Path) -> str:
    """Return a sentence about a file that does not exist, with the name in its folder that is most like its own."""
    there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"There is no file {path}{nearest(path.name, there) or '.'}"


def checked(frame: Frame, path: Path) -> Frame:
    """Return a table that has rows and columns."""
    if not frame.shape[1] or not len(frame):
        raise TableError(f"{path} has {frame.shape[1]} columns and {len(frame)} rows: a table needs both.")
    return frame


def _read_binary(path: Path) -> Frame:
    return _in_words(path, lambda: _frame_of(_arrow_reader(path)(path)))


def _arrow_reader(path: Path) -> Any:
    from pyarrow import feather, parquet

    return parquet.read_table if path.suffix.lower() in PARQUET else feather.read_table


def _frame_of(table: Any) -> Frame:
    """Return an Arrow table as a frame, after a look at all that it says of itself, which damage makes untrue."""
    table.validate(full=True)
    return table.to_pandas()


def _binary_parts(path: Path, rows: int) -> Iterator[Frame]:
    if path.suffix.lower() in PARQUET:
        from pyarrow.parquet import ParquetFile

        with _in_words(path, lambda: ParquetFile(path)) as file:
            batches = _in_words(path, lambda: file.iter_batches(rows))
            while (batch := _in_words(path, lambda: next(batches, None))) is not None:
                yield _in_words(path, lambda batch=batch: _frame_of(batch))
        return
    frame = _read_binary(path)
    for first in range(0, len(frame), rows):
        yield frame.iloc[first : first + rows].reset_index(drop=True)


def _in_words(path: Path, read: Any) -> Any:
    """Return what a reader gives, or say in one sentence why it cannot."""
    from pyarrow import ArrowException

    try:
        return read()
    except (ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise TableError(f"{path} cannot be read as a {path.suffix.lstrip('.')} file: {reason}.") from error
