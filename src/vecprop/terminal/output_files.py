"""Output files of commands: names are validated before the work starts, and tables are written in parts."""

import gzip
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..files import OTHER_MODELS
from ..files.atomic import LEAST, written_at_once
from ..system.extras import imported
from ..tables.reading.file_lists import ARROW, EXCEL, PARQUET, STANDARD_INPUT
from .messages import UsageError, to_json

SEPARATORS = {"": ",", ".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
"""The separators of text files, by file extension."""

COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
FOREIGN = {*SEPARATORS, *COMPRESSED, *PARQUET, *ARROW, *EXCEL} - {""}
FOREIGN |= {".html", ".pdf", ".json", ".toml", *OTHER_MODELS}
"""The file extensions that a model file may not have."""
STANDARD_OUTPUT = Path("-")
"""The path that stands for standard output."""


def writable(path: Path, force: bool, *read: Path | None, option: str = "-o") -> Path:
    """Return the path if a command can write a file there.

    Raises
    ------
    UsageError
        If the file exists and ``force`` is not set, if the command reads the file, or
        if the file cannot be created.
    """
    another = f"choose another name with {option}"
    folder = path.parent
    if path == STANDARD_OUTPUT:
        raise UsageError(
            "Only tables can be written to standard output: choose a file name with"
            f" {option}."
        )
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder: choose the name of a file in it with {option}."
        )
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file: {another}.")
    for file in read:
        if file is None or not file.exists():
            continue
        if path.exists() and path.samefile(file):
            raise UsageError(f"{path} is an input file: {another}.")
        if file.absolute() in path.absolute().parents:
            raise UsageError(f"{path} is in the input folder {file}: {another}.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: {another}, or overwrite it with --force.")
    if not folder.is_dir():
        raise UsageError(
            f"The folder {folder} does not exist: create it, or {another}."
        )
    if not os.access(folder, os.W_OK):
        raise UsageError(f"The folder {folder} is not writable: {another}.")
    if shutil.disk_usage(folder).free < LEAST:
        raise UsageError(
            f"The disk of the folder {folder} is full: free some space, or {another}."
        )
    return path


def require_ending(path: Path, option: str, *endings: str):
    """Raise if a file name does not have an extension of its format."""
    if path.suffix.lower() not in endings:
        several = " or ".join(endings)
        raise UsageError(
            f"{option} is {path}, but must end in {several}: name it"
            f" {path.stem}{endings[0]}."
        )


def named_after(table: Path) -> Path:
    """Return the default model file of a table: its name without format extensions, in the current folder.

    Examples
    --------
    >>> print(named_after(Path("data/visits.csv.gz")), named_after(Path("sales.2023.csv")))
    visits.npz sales.2023.npz
    """
    if table == STANDARD_INPUT:
        raise UsageError(
            "The table is read from standard input: name the model file with -o."
        )
    name = Path(table.name or table.absolute().name)
    for endings in (COMPRESSED, SEPARATORS.keys() | PARQUET | ARROW | EXCEL):
        if name.suffix.lower() in endings:
            name = name.with_suffix("")
    return Path(f"{name}.npz")


def with_suffix(model: Path, ending: str) -> Path:
    """Return the name of a file next to a model file, with another extension.

    Examples
    --------
    >>> print(with_suffix(Path("sales.2023.npz"), ".toml"), with_suffix(Path("model"), ".py"))
    sales.2023.toml model.py
    """
    return model.with_name(model.name.removesuffix(".npz") + ending)


class RunFiles(NamedTuple):
    """The output files of a training run.

    Examples
    --------
    >>> print(RunFiles(Path("a.npz"), Path("a.toml"), None).next_to_existing().model)
    a.npz
    """

    model: Path
    options: Path
    page: Path | None

    def next_to_existing(self) -> "RunFiles":
        """Return other names if the model file exists, so that an interrupted run does not replace it."""
        if not self.model.exists():
            return self
        page = self.page and self.page.with_stem(f"{self.page.stem}.interrupted")
        return RunFiles(
            with_suffix(self.model, ".interrupted.npz"),
            with_suffix(self.model, ".interrupted.toml"),
            page,
        )


def write_text(path: Path, text: str):
    """Write a text file atomically."""
    with written_at_once(path) as file:
        file.write(text.encode())


Writers = Iterator[Callable[[Any], None]]


@contextmanager
def table_writer(path: Path | None, as_json: bool = False) -> Writers:
    """Yield a function that writes the next part of a table, a DataFrame; the file is written atomically."""
    if path is None and as_json:
        yield from _records()
        return
    if path is None:
        yield from _separated(sys.stdout, ",")
        return
    suffix = path.suffix.lower()
    with written_at_once(path) as file:
        if suffix in PARQUET | ARROW:
            yield from _binary(file, suffix)
        elif suffix == ".gz":
            with gzip.open(file, "wt", encoding="utf-8", newline="") as text:
                plain = path.with_suffix("").suffix.lower()
                yield from _separated(text, SEPARATORS[plain])
        else:
            yield from _separated(file, SEPARATORS[suffix])


def require_format(path: Path):
    """Raise if a file name does not have the extension of a table format."""
    suffix = path.suffix.lower()
    plain = suffix
    if suffix == ".gz":
        plain = path.with_suffix("").suffix.lower()
    if suffix not in PARQUET | ARROW and plain not in SEPARATORS:
        raise UsageError(
            f"{path} does not have the extension of a table: name it .csv, .tsv,"
            " .csv.gz, .parquet, .feather or .arrow."
        )


def _separated(file, separator: str) -> Writers:
    """Yield a function that writes rows as text, the first ones with a header."""
    has_header = True

    def write(frame):
        nonlocal has_header
        frame.to_csv(file, sep=separator, index=False, header=has_header)
        has_header = False

    yield write


def _records() -> Writers:
    """Yield a function that writes rows as a JSON list, one object per line."""
    separator = "[\n"

    def write(frame):
        nonlocal separator
        rows = frame.astype(object).where(frame.notna(), None)
        for record in rows.to_dict("records"):
            sys.stdout.write(separator + to_json(record, indent=None))
            separator = ",\n"

    yield write
    sys.stdout.write("\n]\n")


def _binary(file, suffix: str) -> Writers:
    """Yield a function that writes rows to a Parquet or Arrow file, with the types of the first rows."""
    pyarrow = imported("pyarrow", "Writing Parquet and Arrow files", "tables")
    from pyarrow import ipc, parquet

    writer = None
    schema = None

    def write(frame):
        """Write rows; the first rows create the writer."""
        nonlocal writer, schema
        table = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)
        if writer is None:
            schema = table.schema
            if suffix in PARQUET:
                writer = parquet.ParquetWriter(file, schema, write_page_checksum=True)
            else:
                writer = ipc.new_file(file, schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
