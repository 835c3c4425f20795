"""List the files of a table: one file, several files, or the files in a folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...system.extras import imported
from ...system.suggestions import missing_file
from ..error import TableError, pandas

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""The path of a file or folder, or paths of several files."""

PARQUET = {".parquet", ".pq"}
ARROW = {".feather", ".arrow", ".ipc"}
EXCEL = {".xlsx", ".xlsm"}
STANDARD_INPUT = Path("-")
"""The name that stands for standard input."""
_PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
_TEXT = {".csv", ".tsv", ".tab", ".psv", ".txt", ".dat"}


def existing(path: str | os.PathLike[str]) -> Path:
    """Return a path, and raise an error if it is missing, an empty file, or a folder without table files."""
    path = Path(path)
    if path == STANDARD_INPUT:
        return path
    if not path.exists():
        raise TableError(missing_file(path))
    if path.name.startswith("~$"):
        raise TableError(
            f"{path} is the lock file of an open workbook: pass"
            f" {path.with_name(path.name[2:])}."
        )
    if path.is_dir():
        files_of(path)
    elif path.is_file() and not path.stat().st_size:
        raise TableError(f"{path} is empty: expected a header and rows.")
    elif path.suffix.lower() in PARQUET | ARROW:
        # raises an error with installation advice
        imported("pyarrow", "Reading Parquet and Arrow files", "tables")
    return path


def is_path(table) -> bool:
    """Return whether a table is the path of a file or folder, or a list of paths."""
    if isinstance(table, list | tuple):
        return bool(table) and all(
            isinstance(path, str | os.PathLike) for path in table
        )
    return isinstance(table, str | os.PathLike)


def files_of(paths: Paths) -> list[Path]:
    """Return the files of a table, in the order of the list, or sorted by name for a folder.

    A folder is searched recursively. Names that start with a period or an underscore
    are ignored, and all other files must have the same kind: Parquet, Arrow or text.

    Raises
    ------
    TableError
        If a file does not exist or is empty, or a folder contains no files, other
        files, or files of several kinds.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.csv", "a.csv", "_notes"):
    ...         _ = Path(folder, name).write_text("x")
    ...     [path.name for path in files_of(folder)]
    ['a.csv', 'b.csv']
    """
    pandas()  # raises an error with installation advice
    if isinstance(paths, str | os.PathLike):
        folder = Path(paths)
        if not folder.is_dir():
            return [existing(folder)]
        files = _files_in(folder)
    else:
        files = [existing(path) for path in several_paths(paths)]
        for file in files:
            if file.is_dir() or file == STANDARD_INPUT:
                raise TableError(
                    f"{file} is not a file: a list must contain file names."
                )
    kind = _kind(files[0])
    for file in files[1:]:
        if _kind(file) != kind:
            raise TableError(
                f"{files[0]} and {file} differ in kind ({kind or 'unknown'} and"
                f" {_kind(file) or 'unknown'}): all files of a table must have one."
            )
    return files


def _files_in(folder: Path) -> list[Path]:
    """Return the files in a folder and in its folders, and raise an error if one of them is no table."""
    files = []
    for file in sorted(folder.rglob("*")):
        is_ignored = any(
            part.startswith((".", "_")) for part in file.relative_to(folder).parts
        )
        if is_ignored or not file.is_file():
            continue
        if not _kind(file):
            raise TableError(
                f"{file} has no suffix of a table (.parquet, .arrow, .csv, .csv.gz, …):"
                " move it out of the folder, prefix its name with _, or pass a list of"
                " the table's files."
            )
        remedy = (
            f'pass pyarrow.dataset.dataset({str(folder)!r}, partitioning="hive")'
            " instead"
        )
        require_all_columns(file, folder, remedy)
        files.append(existing(file))
    if not files:
        raise TableError(f"{folder} is a folder that contains no table files.")
    return files


def several_paths(paths) -> list[Any]:
    """Return several paths as a list, and raise an error for other objects."""
    listed = []
    if isinstance(paths, Iterable) and not hasattr(paths, "columns"):
        listed = list(paths)
    if not is_path(listed):
        advice = ""
        if hasattr(paths, "get_fragments"):
            advice = ": pass the list of its files"
        raise TableError(
            "Expected a path or a list of at least one path, got a"
            f" {type(paths).__name__}{advice}."
        )
    return listed


def is_compressed(file: Path) -> bool:
    """Return whether the suffix of a file belongs to a compression format."""
    return file.suffix.lower() in _PACKED


def short_names(files: Sequence[Path]) -> list[str]:
    """Return the paths of files relative to their common folder.

    Examples
    --------
    >>> short_names([Path("sales/2023/a.csv"), Path("sales/2024/a.csv")])
    ['2023/a.csv', '2024/a.csv']
    """
    folder = os.path.commonpath([file.parent for file in files])
    return [Path(os.path.relpath(file, folder)).as_posix() for file in files]


def file_and_line(table: Path, line: str) -> tuple[Path, str]:
    """Split the label of a row of text into its file and line. Labels contain file names only in folders.

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
    """Return the kind of a file by its suffix, or "" if the suffix is unknown."""
    suffix = path.suffix.lower()
    if suffix in PARQUET:
        return "Parquet"
    if suffix in ARROW:
        return "Arrow"
    if suffix in _PACKED:
        suffix = path.with_suffix("").suffix.lower()
    return "text" if suffix in _TEXT else ""


def require_all_columns(file: Path, folder: Path, remedy: str) -> None:
    """Raise an error if a file lacks a column whose value is in the name of a folder, such as ``year=2024``."""
    for part in file.relative_to(folder).parts[:-1]:
        column, sign, _ = part.partition("=")
        if sign:
            raise TableError(
                f"{file} is in the folder {part!r}, whose name is a value of column"
                f" {column!r}: {remedy}."
            )


def require_equal_columns(
    names: Sequence[str], file: Path, first_names: Sequence[str], first: Path
) -> None:
    """Raise an error if a file has other columns than the first file. Their order may differ."""
    rule = "all files of a table must have the same columns."
    for name in first_names:
        if name not in names:
            raise TableError(f"{file} lacks the column {name!r} of {first}: {rule}")
    for name in names:
        if name not in first_names:
            raise TableError(f"{first} lacks the column {name!r} of {file}: {rule}")
