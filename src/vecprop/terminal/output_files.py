"""Files that commands write: checked before the work begins, never overwritten unasked, and tables part by part."""

import gzip
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..files.atomic import written_at_once
from ..tables.reading.file_lists import ARROW, EXCEL, PARQUET, STANDARD_INPUT
from .errors import UsageError
from .output import to_json

SEPARATORS = {"": ",", ".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
"""The separator of the values in text files, by the endings of their names."""

COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
FOREIGN = {*SEPARATORS, *COMPRESSED, *PARQUET, *ARROW, *EXCEL} - {""}
FOREIGN |= {".html", ".pdf", ".json", ".toml", ".py", ".onnx"}
FOREIGN |= {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".h5", ".keras"}
"""The endings of files of other kinds, which a model's file may not have."""
STANDARD_OUTPUT = Path("-")
"""The name that stands for standard output."""

Write = Callable[[Any], None]
"""Takes the next part of a table, a DataFrame."""


def writable(path: Path, force: bool, *read: Path | None, option: str = "-o") -> Path:
    """Return a path if a command can write a file there, or refuse it before the work begins.

    Raises
    ------
    UsageError
        If there is a file already and ``force`` is not set, if it is a file that the command reads, or if no file can
        be made there.
    """
    if path == STANDARD_OUTPUT:
        raise UsageError(f"Only tables go to standard output: give the name of a file with {option}.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the name of a file in it with {option}.")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file: give the name of one with {option}.")
    if path.exists() and any(file is not None and file.exists() and path.samefile(file) for file in read):
        raise UsageError(f"{path} is what is read: give another name with {option}.")
    for folder in read:
        if folder is not None and folder.is_dir() and folder.absolute() in path.absolute().parents:
            raise UsageError(f"{path} is in the folder {folder}, which is read: give another name with {option}.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: give another name with {option}, or allow to overwrite it with --force.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}: make it, or give another name with {option}.")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"Nothing may be written in the folder {path.parent}: give another name with {option}.")
    return path


def require_ending(path: Path, option: str, *endings: str) -> None:
    """Refuse the name of a file if its ending is not one of the format that is written."""
    if path.suffix.lower() not in endings:
        several = " or ".join(endings)
        raise UsageError(f"{option} is {path}, but the file is written as {several}: name it {path.stem}{endings[0]}.")


def named_after(table: Path) -> Path:
    """Return the name of a table's model file, in the current folder: without endings that only name a format.

    Examples
    --------
    >>> print(named_after(Path("data/visits.csv.gz")), named_after(Path("sales.2023.csv")))
    visits.npz sales.2023.npz
    """
    if table == STANDARD_INPUT:
        raise UsageError("The table is standard input: name the model's file with -o.")
    name = Path(table.name or table.absolute().name)
    for endings in (COMPRESSED, SEPARATORS.keys() | PARQUET | ARROW | EXCEL):
        name = name.with_suffix("") if name.suffix.lower() in endings else name
    return Path(f"{name}.npz")


def beside(model: Path, ending: str) -> Path:
    """Return the name of a file that belongs to a model's.

    Examples
    --------
    >>> print(beside(Path("sales.2023.npz"), ".toml"), beside(Path("model"), ".py"))
    sales.2023.toml model.py
    """
    return model.with_name(model.name.removesuffix(".npz") + ending)


class RunFiles(NamedTuple):
    """The files that a training writes.

    Examples
    --------
    >>> print(RunFiles(Path("a.npz"), Path("a.toml"), None).beside_older().model)
    a.npz
    """

    model: Path
    options: Path
    page: Path | None

    def beside_older(self) -> "RunFiles":
        """Return other names if there is an older model, which an interrupted training does not replace."""
        if not self.model.exists():
            return self
        page = self.page and self.page.with_stem(f"{self.page.stem}.interrupted")
        return RunFiles(beside(self.model, ".interrupted.npz"), beside(self.model, ".interrupted.toml"), page)


@contextmanager
def table_writer(path: Path | None, as_json: bool = False) -> Iterator[Write]:
    """Give a function that writes the next part of a table; the file appears when all of it is written."""
    if path is None and as_json:
        with _records(sys.stdout) as write:
            yield write
        return
    if path is None:
        yield _separated(sys.stdout, ",")
        return
    suffix = path.suffix.lower()
    with written_at_once(path) as file:
        if suffix in PARQUET | ARROW:
            with _binary(file, suffix) as write:
                yield write
        elif suffix == ".gz":
            with gzip.open(file, "wt", encoding="utf-8", newline="") as text:
                yield _separated(text, SEPARATORS[path.with_suffix("").suffix.lower()])
        else:
            yield _separated(file, SEPARATORS[suffix])


def require_format(path: Path) -> None:
    """Refuse a name whose ending is not that of a format in which tables are written."""
    suffix = path.suffix.lower()
    plain = path.with_suffix("").suffix.lower() if suffix == ".gz" else suffix
    if plain not in SEPARATORS and suffix not in PARQUET | ARROW:
        raise UsageError(
            f"{path} has the ending of no table: name it .csv, .tsv, .csv.gz, .parquet, .feather or .arrow."
        )


def _separated(file: Any, separator: str) -> Write:
    is_first = True

    def write(frame: Any) -> None:
        nonlocal is_first
        frame.to_csv(file, sep=separator, index=False, header=is_first)
        is_first = False

    return write


@contextmanager
def _records(file: Any) -> Iterator[Write]:
    """Give a function that writes rows as JSON: a list of objects, one in each line."""
    before = "[\n"

    def write(frame: Any) -> None:
        nonlocal before
        for record in frame.astype(object).where(frame.notna(), None).to_dict("records"):
            file.write(before + to_json(record, indent=None))
            before = ",\n"

    yield write
    file.write("\n]\n")


@contextmanager
def _binary(file: Any, suffix: str) -> Iterator[Write]:
    import pyarrow
    from pyarrow import ipc, parquet

    writer: Any = None

    def write(frame: Any) -> None:
        nonlocal writer
        table = pyarrow.Table.from_pandas(frame, schema=None if writer is None else writer.schema, preserve_index=False)
        if writer is None:
            writer = (
                parquet.ParquetWriter(file, table.schema, write_page_checksum=True)
                if suffix in PARQUET
                else ipc.new_file(file, table.schema)
            )
            writer.schema = table.schema
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
