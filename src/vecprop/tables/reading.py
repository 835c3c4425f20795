"""Reading tables from files: CSV with any separator and encoding, Parquet, Arrow, Excel, whole or in chunks."""

import csv
import io
import lzma
import os
import shutil
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeVar

from . import arrow_files
from .arrow_files import ARROW, PARQUET
from .error import TableError, first_line, nearest, pandas
from .excel import EXCEL, read_excel
from .layout import SEPARATORS, encoding_of, long_values, names_are_values, require_distinct, rows_of, separator_of

Frame = Any
"""A pandas DataFrame."""

T = TypeVar("T")

STANDARD_INPUT = Path("-")
"""The name that stands for standard input."""
SAMPLE = 1 << 20
"""The encoding and the separator of a text file are found from this number of bytes, which take a few ms to read."""
_BROKEN = (
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""The errors of files that are compressed and damaged, or encrypted."""
_ENDINGS = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\x1f\x8b": ".csv.gz",
    b"BZh": ".csv.bz2",
    b"\xfd7zXZ": ".csv.xz",
    b"(\xb5/\xfd": ".csv.zst",
}
"""The endings of names of files that begin so; a stream has no name."""


def read_table(path: str | os.PathLike[str]) -> Frame:
    r"""Return a table from a file.

    Parameters
    ----------
    path : path
        A Parquet file (``.parquet``, ``.pq``), an Arrow or Feather file (``.arrow``, ``.feather``, ``.ipc``), or a text
        file with a line of names and a line for each row, whatever its name, its separator (comma, semicolon, tab,
        bar, spaces) and its encoding; it may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``, ``.zip``). Or an
        Excel workbook (``.xlsx``), of which the first sheet is read; or ``-``, which is standard input.

    Returns
    -------
    DataFrame (pandas)
        The columns as they are; ``attrs["notes"]`` lists in sentences what was assumed about a text file.

    Raises
    ------
    TableError
        If there is no such file, or it is a folder, empty, not a table, or has rows longer than its line of names.

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
    with _as_file(path) as file:
        if file.suffix.lower() in PARQUET:
            from pyarrow import concat_tables

            frame = arrow_files.as_frame(file, concat_tables(arrow_files.arrow_tables(file)))
        elif file.suffix.lower() in ARROW:
            (table,) = arrow_files.arrow_tables(file)
            frame = arrow_files.as_frame(file, table)
        else:
            frame = read_excel(file) if file.suffix.lower() in EXCEL else Separated.of(file).read()
        return checked(frame, file)


def read_chunks(path: str | os.PathLike[str], rows: int = 100_000) -> Iterator[Frame]:
    r"""Yield a table from a file in parts, so that it need not fit in memory.

    Parameters
    ----------
    path : path
        See `read_table`.
    rows : int, default 100,000
        The largest number of rows of a part.

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
    return (part for part, _ in chunks(path, rows))


def chunks(path: str | os.PathLike[str], rows: int, kept: Sequence[str] = ()) -> Iterator[tuple[Frame, Frame]]:
    """Yield the parts of a table as `read_chunks` does, each with some columns as the file has them.

    Values of text files stay text in these columns, and those of Parquet and Arrow files have Arrow's types.
    """
    with _as_file(path) as file:
        suffix = file.suffix.lower()
        if suffix in PARQUET | ARROW:
            parts = _binary_parts(file, rows, kept)
        elif suffix in EXCEL:
            frame = checked(read_excel(file), file)
            require_columns(frame.columns, kept)
            parts = _cut(frame, frame[list(kept)].map(str, na_action="ignore"), rows)
        else:
            parts = Separated.of(file).parts(rows, kept)
        for part, as_stored in parts:
            yield checked(part, file), as_stored


def _binary_parts(path: Path, rows: int, kept: Sequence[str]) -> Iterator[tuple[Frame, Frame]]:
    for table in arrow_files.arrow_tables(path):
        require_columns(table.column_names, kept)
        as_stored = arrow_files.as_stored(path, table, list(kept))
        yield from _cut(arrow_files.as_frame(path, table), as_stored, rows)


def _cut(frame: Frame, as_stored: Frame, rows: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield parts of two tables with the same rows."""
    for first in range(0, max(len(frame), 1), rows):
        yield tuple(each.iloc[first : first + rows].reset_index(drop=True) for each in (frame, as_stored))


@contextmanager
def _as_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file that can be read more than once: a stream, such as standard input, is copied first."""
    path = existing(path)
    if path != STANDARD_INPUT and path.is_file():
        yield path
        return
    said = "Standard input" if path == STANDARD_INPUT else str(path)
    with TemporaryDirectory() as folder:
        copy = _copied(path, Path(folder))
        if not copy.stat().st_size:
            raise TableError(f"{said} is empty.")
        try:
            yield copy
        except TableError as error:
            raise TableError(str(error).replace(str(copy), said)) from error


def _copied(path: Path, folder: Path) -> Path:
    """Return a copy of a stream in a folder, with the ending of a name that its first bytes ask for."""
    copy = folder / "stream"
    with (
        nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as stream,
        copy.open("wb") as file,
    ):
        shutil.copyfileobj(stream, file)
    with copy.open("rb") as file:
        start = file.read(8)
    ending = next((ending for mark, ending in _ENDINGS.items() if start.startswith(mark)), ".csv")
    return copy.rename(copy.with_suffix(ending))


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is not empty, or of a stream, or refuse it."""
    path = Path(path)
    if path == STANDARD_INPUT:
        return path
    if path.is_dir():
        raise TableError(f"{path} is a folder, not a table: name a file in it.")
    if not path.exists():
        raise TableError(missing(path))
    if path.is_file() and not path.stat().st_size:
        raise TableError(f"{path} is empty.")
    return path


def missing(path: Path) -> str:
    """Return a sentence about a file that does not exist, with the most similar name in its folder."""
    there = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"There is no file {path}{nearest(path.name, there) or '.'}"


def checked(frame: Frame, path: Path) -> Frame:
    """Return a table if it has rows and columns, else refuse it."""
    if not frame.shape[1] or not len(frame):
        raise TableError(f"{path} has {frame.shape[1]} columns and {len(frame)} rows: a table needs both.")
    return frame


@dataclass
class Separated:
    """A text file, and how it is read.

    Parameters
    ----------
    path : Path
        The file, perhaps compressed.
    separator : str
        The character between values.
    encoding : str
        The encoding of its characters.
    notes : list of str
        What was assumed, in sentences.
    """

    path: Path
    separator: str
    encoding: str
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Separated":
        """Return how a file is read, judged by its first megabyte."""
        try:
            with _opened(path) as file:
                start = file.read(SAMPLE)
        except (*_BROKEN, ValueError) as error:
            raise TableError(f"{path} cannot be uncompressed: {first_line(error)}.") from error
        encoding = encoding_of(start)
        if encoding is None:
            raise TableError(f"{path} is not text: save it as CSV, Parquet or Arrow.")
        lines = start.decode(encoding, "replace").splitlines()
        lines = [line for line in (lines[:-1] if len(start) == SAMPLE else lines) if line.strip()]
        if not lines:
            raise TableError(f"{path} is empty.")
        notes, separator = [], separator_of(lines)
        if encoding == "cp1252":
            notes.append(f"{path.name} is not UTF-8, so it is read as Western European text (cp1252).")
        with long_values():
            rows = rows_of(lines[:200], separator)
        if names_are_values(rows):
            shown = ", ".join(map(repr, rows[0][:5]))
            notes.append(
                f"{path.name}, line 1: {shown} look like values, but are taken for the columns' names: if they are a "
                "row, write a line of names above it."
            )
        return cls(path, separator, encoding, notes)

    def read(self) -> Any:
        """Return the table."""
        frame = self._one_line_errors(self._reader)
        if frame.iloc[:, -1].isna().any() or _has_ends_of_lines(frame):  # as in rows too short, or swallowed by a quote
            self._look_at_rows()
        frame.attrs["notes"] = list(self.notes)
        return frame

    def parts(self, rows: int, kept: Sequence[str]) -> Iterator[tuple[Any, Any]]:
        """Yield the table in parts of a number of rows, each with some columns as text.

        All rows are checked first, so that no part is used if a later one cannot be read; and pandas before 3.1 cuts a
        long row silently if it is the first of a part.
        """
        self._one_line_errors(self._look_at_rows)
        require_columns(self.names(), kept)
        reader = self._one_line_errors(lambda: self._reader(chunksize=rows))
        texts = self._one_line_errors(
            lambda: self._reader(chunksize=rows, usecols=list(kept), dtype=str, na_filter=False)
        )
        with reader, texts:
            while (part := self._one_line_errors(lambda: next(reader, None))) is not None:
                part.attrs["notes"] = list(self.notes)
                as_stored = self._one_line_errors(lambda: next(texts)) if kept else part[[]]
                yield part.reset_index(drop=True), as_stored[list(kept)].reset_index(drop=True)

    def _reader(self, **settings: Any) -> Any:
        is_packed = self.path.suffix.lower() == ".zst"  # for which pandas needs another package
        return pandas().read_csv(
            _opened(self.path) if is_packed else self.path,
            sep=self.separator,
            encoding=self.encoding,
            index_col=False,
            low_memory=False,
            header=0,
            names=self.names(),
            skipinitialspace=True,
            na_values=["?"],
            **settings,
        )

    def rows(self) -> Generator[tuple[list[str], range, list[str]], None, None]:
        """Yield the rows that are not empty, the line of names first, each with the numbers of its lines, and these."""
        taken: list[str] = []
        with (
            long_values(),
            _opened(self.path) as file,
            io.TextIOWrapper(file, self.encoding, newline="", errors="replace") as text,
        ):
            rows = csv.reader(_noting(text, taken), delimiter=self.separator, skipinitialspace=True)
            for row in rows:
                if "".join(taken).strip(" \r\n"):  # pandas skips lines of spaces too
                    yield row, range(rows.line_num - len(taken) + 1, rows.line_num + 1), taken
                taken.clear()

    def names(self) -> list[str]:
        """Return the columns' names, or refuse a name that occurs twice."""
        with closing(self.rows()) as rows:
            names, _, _ = next(rows)
        names = [name.strip() or f"column {number}" for number, name in enumerate(names, 1)]
        require_distinct(names, str(self.path))
        return names

    def _one_line_errors(self, read: Callable[[], T]) -> T:
        """Return the result of a reader; its errors become sentences."""
        pd = pandas()
        try:
            with warnings.catch_warnings():
                # Longer rows than the line of names, whose last values would be lost.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                return read()
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            self._look_at_rows()
            raise TableError(f"{self.path} is not a table: {first_line(error)}.") from error
        except pd.errors.EmptyDataError as error:
            raise TableError(f"{self.path} is empty.") from error
        except UnicodeError as error:
            raise TableError(
                f"{self.path} begins as {self.encoding} and does not go on so ({first_line(error)}): save it as UTF-8."
            ) from error
        except _BROKEN as error:
            raise TableError(f"{self.path} cannot be read to its end: {first_line(error)}.") from error

    def _look_at_rows(self) -> None:
        """Refuse rows that are longer than the line of names or swallowed by a quotation mark; note suspicious ones."""
        short, swallowed = [], []
        with closing(self.rows()) as rows:
            names, _, _ = next(rows)
            for row, numbers, lines in rows:
                if len(lines) > 1:
                    self._require_closed(numbers, lines)
                    if 1 < len(names) == min(map(self._parts_of, lines)) == max(map(self._parts_of, lines)):
                        swallowed.append(numbers)
                if len(row) > len(names):
                    raise TableError(
                        f"{self.path}, line {numbers[-1]}: the row has {len(row)} values, but the first line names "
                        f"{len(names)} columns; fix the row, or quote values that contain the separator "
                        f"({SEPARATORS.get(self.separator, 'space')})."
                    )
                if len(row) < len(names):
                    short.append(numbers[-1])
        if short:
            self.notes.append(
                f"{self.path.name}, {_listed(short)}: fewer values than the {len(names)} columns; those at the "
                "end count as missing."
            )
        if swallowed:
            self.notes.append(
                f"{self.path.name}, {_listed([f'{lines[0]}-{lines[-1]}' for lines in swallowed])}: a quoted "
                "value goes on over these lines, each of which looks like a row: remove quotation marks that are stray."
            )

    def _parts_of(self, line: str) -> int:
        return line.count(self.separator) + 1

    def _require_closed(self, numbers: range, lines: list[str]) -> None:
        """Refuse a quoted value that goes on over lines and does not end before a separator or the end of a line."""
        try:
            list(csv.reader(lines, delimiter=self.separator, skipinitialspace=True, strict=True))
        except csv.Error:
            raise TableError(
                f"{self.path}, lines {numbers[0]} to {numbers[-1]}: a quotation mark at the beginning of a value makes "
                "one value of these lines: remove the mark, or close the value by another one before the separator."
            ) from None


def _noting(lines: IO[str], taken: list[str]) -> Iterator[str]:
    """Yield lines, each of which is added to a list before."""
    for line in lines:
        taken.append(line)
        yield line


def _has_ends_of_lines(frame: Frame) -> bool:
    """Return whether a text in a table has more than one line."""
    texts = frame.select_dtypes(["object", "string"])
    return any(texts[name].astype(str).str.contains("\n", regex=False).any() for name in texts)


def _listed(numbers: Sequence[Any]) -> str:
    """Return the first of some numbers of lines as text."""
    others = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:5]))}{others}"


def require_columns(names: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse names of columns that a table does not have."""
    for name in wanted:
        if name not in names:
            raise TableError(f"The table has no column {name!r}{nearest(name, names) or _named(names)}")


def _named(names: Sequence[str]) -> str:
    """Return the end of a sentence that names the first columns."""
    shown = ", ".join(map(repr, names[:10]))
    return f": it has {shown}{' and others' if len(names) > 10 else ''}."


def _opened(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, uncompressed."""
    if path.suffix.lower() == ".zst":
        import pyarrow

        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))
    from pandas.io.common import get_handle

    handles = get_handle(path, "rb", compression="infer", is_text=False)
    return handles.handle  # type: ignore[return-value]
