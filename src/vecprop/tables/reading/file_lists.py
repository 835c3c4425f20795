"""The files of a table: one, several, or those of a folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..error import TableError, nearest, pandas

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""The path of a file or a folder, or those of several files."""

PARQUET, ARROW, EXCEL = {".parquet", ".pq"}, {".feather", ".arrow", ".ipc"}, {".xlsx", ".xlsm"}
"""The endings of the names of such files."""
STANDARD_INPUT = Path("-")
"""The name that stands for standard input."""
_PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
_TEXT = {".csv", ".tsv", ".tab", ".psv", ".txt", ".dat"}


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is not empty, of a stream, or of a folder with files of a table, or refuse it."""
    path = Path(path)
    if path == STANDARD_INPUT:
        return path
    if not path.exists():
        raise TableError(missing(path))
    if path.is_dir():
        files_of(path)
    elif path.is_file() and not path.stat().st_size:
        raise TableError(f"{path} is empty.")
    return path


def missing(path: Path) -> str:
    """Return a sentence about a file that does not exist, with the most similar name in its folder."""
    there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"There is no file {path}{nearest(path.name, there) or '.'}"


def is_path(table: Any) -> bool:
    """Return whether a table is the path of a file or folder, or a list of paths."""
    if isinstance(table, list | tuple):
        return bool(table) and all(isinstance(path, str | os.PathLike) for path in table)
    return isinstance(table, str | os.PathLike)


def files_of(paths: Paths) -> list[Path]:
    """Return the files of a table: in the order of a list, or of a folder's names.

    In a folder and the folders in it, names that begin with a point or an underscore do not count, and all other files
    must be of one kind: Parquet, Arrow or text.

    Raises
    ------
    TableError
        If a file does not exist or is empty, or a folder holds none, other files, or files of several kinds.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.csv", "a.csv", "_notes"):
    ...         _ = Path(folder, name).write_text("x")
    ...     [path.name for path in files_of(folder)]
    ['a.csv', 'b.csv']
    """
    pandas()  # which says how to install it
    if isinstance(paths, str | os.PathLike):
        folder = Path(paths)
        if not folder.is_dir():
            return [existing(folder)]
        found = ((file, file.relative_to(folder).parts) for file in sorted(folder.rglob("*")) if file.is_file())
        files = [file for file, parts in found if not any(part.startswith((".", "_")) for part in parts)]
        if not files:
            raise TableError(f"{folder} is a folder without files of a table.")
        for file in files:
            if not _kind(file):
                advice = "take it out of the folder, begin its name with _, or give a list of the files of the table."
                raise TableError(f"{file} is not named as a table, such as .parquet, .arrow, .csv or .csv.gz: {advice}")
            remedy = f'give pyarrow.dataset.dataset({str(folder)!r}, partitioning="hive") instead'
            require_all_columns(file, folder, remedy)
        files = [existing(file) for file in files]
    else:
        files = [existing(path) for path in paths]
        folder = next((path for path in files if path.is_dir() or path == STANDARD_INPUT), None)
        if folder is not None:
            raise TableError(f"{folder} is no file: a list holds the names of files.")
    for file in files[1:]:
        if _kind(file) != _kind(files[0]):
            kinds = f"{_kind(files[0]) or 'unknown'} and {_kind(file) or 'unknown'}"
            raise TableError(f"{files[0]} and {file} are of two kinds, {kinds}: the files of one table are of one.")
    return files


def opens_as_it_is(file: Path) -> bool:
    """Return whether a file is not packed, by the ending of its name."""
    return file.suffix.lower() not in _PACKED


def short_names(files: Sequence[Path]) -> list[str]:
    """Return the names of files without the folders that all of them are in.

    Examples
    --------
    >>> short_names([Path("sales/2023/a.csv"), Path("sales/2024/a.csv")])
    ['2023/a.csv', '2024/a.csv']
    """
    folder = os.path.commonpath([file.parent for file in files])
    return [Path(os.path.relpath(file, folder)).as_posix() for file in files]


def file_and_line(table: Path, line: str) -> tuple[Path, str]:
    """Return the file and the line in it of a row of text, whose name in a folder tells both.

    Examples
    --------
    >>> file, line = file_and_line(Path("people.csv"), "17")
    >>> file.name, line
    ('people.csv', '17')
    """
    files = files_of(table) if table.is_dir() else [table]
    if len(files) == 1:
        return files[0], line
    name, _, line = line.rpartition(":")
    return files[short_names(files).index(name)], line


def _kind(path: Path) -> str:
    """Return the kind of a file by the ending of its name; empty if that tells none."""
    suffix = path.suffix.lower()
    if suffix in PARQUET | ARROW:
        return "Parquet" if suffix in PARQUET else "Arrow"
    plain = path.with_suffix("").suffix.lower() if suffix in _PACKED else suffix
    return "text" if plain in _TEXT else ""


def require_all_columns(file: Path, folder: Path, remedy: str) -> None:
    """Refuse a file that lacks a column, since a folder that it is in is named like a value of it."""
    named = next((part for part in file.relative_to(folder).parts[:-1] if "=" in part), None)
    if named is not None:
        column = named.partition("=")[0]
        raise TableError(f"{file} is in the folder {named!r}, which holds a value of a column {column!r}: {remedy}.")


def require_equal_columns(names: Sequence[str], file: Path, of_first: Sequence[str], first: Path) -> None:
    """Refuse a file that has not the columns of the first one, in any order."""
    for here, there, have, other in ((names, of_first, file, first), (of_first, names, first, file)):
        for name in there:
            if name not in here:
                rule = "all files of a table have the same columns."
                raise TableError(f"{have} has no column {name!r}, which {other} has: {rule}")
