"""Files that commands write: checked before the work begins, never overwritten unasked, and tables part by part."""

import gzip
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

from ..files.atomic import LEAST, written_at_once
from ..tables.reading.file_lists import ARROW, EXCEL, PARQUET, STANDARD_INPUT
from .messages import UsageError, to_json

SEPARATORS = {"": ",", ".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
"""The separator of the values in text files, by the endings of their names."""

COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
FOREIGN = {*SEPARATORS, *COMPRESSED, *PARQUET, *ARROW, *EXCEL} - {""}
FOREIGN |= {".html", ".pdf", ".json", ".toml", ".py", ".onnx"}
FOREIGN |= {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".h5", ".keras"}
"""The endings of files of other kinds, which a model's file may not have."""
STANDARD_OUTPUT = Path("-")
"""The name that stands for standard output."""


def writable(path: Path, force: bool, *read: Path | None, option: str = "-o") -> Path:
    """Return a path if a command can write a file there, or refuse it before the work begins.

    Raises
    ------
    UsageError
        If there is a file already and ``force`` is not set, if it is a file that the command reads, or if no file can
        be made there.
    """
    exists, folder, files = path.exists(), path.parent, [file for file in read if file is not None and file.exists()]
    above = [file for file in files if file.is_dir() and file.absolute() in path.absolute().parents]
    another, free = f"give another name with {option}", shutil.disk_usage(folder).free if folder.is_dir() else 0
    for is_wrong, said in (
        (path == STANDARD_OUTPUT, f"Only tables go to standard output: give the name of a file with {option}."),
        (path.is_dir(), f"{path} is a folder: give the name of a file in it with {option}."),
        (exists and not path.is_file(), f"{path} is no file: give the name of one with {option}."),
        (exists and any(path.samefile(file) for file in files), f"{path} is what is read: {another}."),
        (above, f"{path} is in the folder {next(iter(above), None)}, which is read: {another}."),
        (exists and not force, f"{path} exists: {another}, or allow to overwrite it with --force."),
        (not folder.is_dir(), f"There is no folder {folder}: make it, or {another}."),
        (not os.access(folder, os.W_OK), f"Nothing may be written in the folder {folder}: {another}."),
        (free < LEAST, f"The disk of the folder {folder} is full: make room, or {another}."),
    ):
        if is_wrong:
            raise UsageError(said)
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


def write_text(path: Path, text: str) -> None:
    """Write a file of text, which appears when all is written."""
    with written_at_once(path) as file:
        file.write(text.encode())


@contextmanager
def table_writer(path: Path | None, as_json: bool = False) -> Iterator[Callable[[Any], None]]:
    """Give a function that writes the next part of a table, a DataFrame; the file appears when all is written."""
    if path is None:
        yield from _records() if as_json else _separated(sys.stdout, ",")
        return
    suffix, plain = path.suffix.lower(), path.with_suffix("").suffix.lower()
    with written_at_once(path) as file:
        if suffix in PARQUET | ARROW:
            yield from _binary(file, suffix)
        elif suffix == ".gz":
            with gzip.open(file, "wt", encoding="utf-8", newline="") as text:
                yield from _separated(text, SEPARATORS[plain])
        else:
            yield from _separated(file, SEPARATORS[suffix])


def require_format(path: Path) -> None:
    """Refuse a name whose ending is not that of a format in which tables are written."""
    suffix = path.suffix.lower()
    plain = path.with_suffix("").suffix.lower() if suffix == ".gz" else suffix
    if plain not in SEPARATORS and suffix not in PARQUET | ARROW:
        advice = "name it .csv, .tsv, .csv.gz, .parquet, .feather or .arrow."
        raise UsageError(f"{path} has the ending of no table: {advice}")


def _separated(file: Any, separator: str) -> Iterator[Callable[[Any], None]]:
    headers = chain([True], repeat(False))
    yield lambda frame: frame.to_csv(file, sep=separator, index=False, header=next(headers))


def _records() -> Iterator[Callable[[Any], None]]:
    """Give a function that writes rows as JSON: a list of objects, one in each line."""
    before = chain(["[\n"], repeat(",\n"))

    def write(frame: Any) -> None:
        for record in frame.astype(object).where(frame.notna(), None).to_dict("records"):
            sys.stdout.write(next(before) + to_json(record, indent=None))

    yield write
    sys.stdout.write("\n]\n")


def _binary(file: Any, suffix: str) -> Iterator[Callable[[Any], None]]:
    import pyarrow
    from pyarrow import ipc, parquet

    writer: Any = None

    def write(frame: Any) -> None:
        nonlocal writer
        table = pyarrow.Table.from_pandas(frame, schema=None if writer is None else writer.schema, preserve_index=False)
        if writer is None:
            is_parquet = suffix in PARQUET
            how: dict[str, Any] = {"write_page_checksum": True} if is_parquet else {}
            writer = (parquet.ParquetWriter if is_parquet else ipc.new_file)(file, table.schema, **how)
            writer.schema = table.schema
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
