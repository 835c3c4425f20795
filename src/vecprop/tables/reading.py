"""Reading tables from files: CSV with any separator and encoding, Parquet, Arrow and Feather, whole or in chunks."""

import csv
import io
import lzma
import os
import warnings
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from .error import TableError, first_line, nearest, pandas

Frame = Any
"""A pandas DataFrame."""

T = TypeVar("T")

PARQUET, ARROW = {".parquet", ".pq"}, {".feather", ".arrow", ".ipc"}
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE = 1 << 20
"""The encoding and the separator of a text file are found from this number of bytes, which take a few ms to read."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
_BEGINNINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


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
    path = existing(path)
    suffix = path.suffix.lower()
    parts = _binary_parts(path, rows) if suffix in PARQUET | ARROW else Separated.of(path).parts(rows)
    for part in parts:
        yield checked(part, path)


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is not empty, or refuse it."""
    path = Path(path)
    if path.is_dir():
        raise TableError(f"{path} is a folder, not a table: name a file in it.")
    if not path.exists():
        raise TableError(missing(path))
    if not path.stat().st_size:
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


def _read_binary(path: Path) -> Frame:
    return _one_line_errors(path, lambda: _frame_of(_arrow_reader(path)(path)))


def _arrow_reader(path: Path) -> Any:
    from pyarrow import feather, parquet

    return parquet.read_table if path.suffix.lower() in PARQUET else feather.read_table


def _frame_of(table: Any) -> Frame:
    """Return an Arrow table as a data frame, after a check of its offsets and lengths, which damage makes wrong."""
    table.validate(full=True)
    return table.to_pandas()


def _binary_parts(path: Path, rows: int) -> Iterator[Frame]:
    if path.suffix.lower() in PARQUET:
        from pyarrow.parquet import ParquetFile

        with _one_line_errors(path, lambda: ParquetFile(path)) as file:
            batches = _one_line_errors(path, lambda: file.iter_batches(rows))
            while (batch := _one_line_errors(path, lambda: next(batches, None))) is not None:
                yield _one_line_errors(path, lambda batch=batch: _frame_of(batch))
        return
    frame = _read_binary(path)
    for first in range(0, len(frame), rows):
        yield frame.iloc[first : first + rows].reset_index(drop=True)


def _one_line_errors(path: Path, read: Callable[[], T]) -> T:
    """Return the result of a reader of Parquet or Arrow; its errors become sentences."""
    from pyarrow import ArrowException

    try:
        return read()
    except (ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise TableError(f"{path} cannot be read as a {path.suffix.lstrip('.')} file: {first_line(error)}.") from error


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
        notes = []
        if encoding == "cp1252":
            notes.append(f"{path.name} is not UTF-8, so it is read as Western European text (cp1252).")
        return cls(path, separator_of(lines), encoding, notes)

    def read(self) -> Any:
        """Return the table."""
        frame = self._one_line_errors(self._reader)
        if frame.iloc[:, -1].isna().any():  # as it is in a row that is too short
            self._look_at_lengths()
        frame.attrs["notes"] = list(self.notes)
        return frame

    def parts(self, rows: int) -> Iterator[Any]:
        """Yield the table in parts of a number of rows.

        All rows are checked first, so that no part is used if a later one cannot be read; and pandas before 3.1 cuts a
        long row silently if it is the first of a part.
        """
        self._one_line_errors(self._look_at_lengths)
        reader = self._one_line_errors(lambda: self._reader(chunksize=rows))
        with reader:
            while True:
                part = self._one_line_errors(lambda: next(reader, None))
                if part is None:
                    return
                part.attrs["notes"] = list(self.notes)
                yield part

    def _reader(self, **settings: Any) -> Any:
        return pandas().read_csv(
            self.path,
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

    def rows(self) -> Generator[tuple[int, list[str]], None, None]:
        """Yield the rows that are not empty, the line of names first, each with the number of its last line."""
        with (
            _long_values(),
            _opened(self.path) as file,
            io.TextIOWrapper(file, self.encoding, newline="", errors="replace") as text,
        ):
            rows = csv.reader(text, delimiter=self.separator, skipinitialspace=True)
            yield from ((rows.line_num, row) for row in rows if row)

    def names(self) -> list[str]:
        """Return the columns' names, or refuse a name that occurs twice."""
        _, names = next(self.rows())
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
            self._look_at_lengths()
            raise TableError(f"{self.path} is not a table: {first_line(error)}.") from error
        except pd.errors.EmptyDataError as error:
            raise TableError(f"{self.path} is empty.") from error
        except UnicodeError as error:
            raise TableError(
                f"{self.path} begins as {self.encoding} and does not go on so ({first_line(error)}): save it as UTF-8."
            ) from error
        except _BROKEN as error:
            raise TableError(f"{self.path} cannot be read to its end: {first_line(error)}.") from error

    def _look_at_lengths(self) -> None:
        """Refuse rows that are longer than the line of names, and note those that are shorter."""
        short = []
        with closing(self.rows()) as rows:
            _, names = next(rows)
            for line, row in rows:
                if len(row) > len(names):
                    raise TableError(
                        f"{self.path}, line {line}: the row has {len(row)} values, but the first line names "
                        f"{len(names)} columns; fix the row, or quote values that contain the separator "
                        f"({SEPARATORS[self.separator]})."
                    )
                if len(row) < len(names):
                    short.append(line)
        if short:
            others = f" and {len(short) - 1} more" if len(short) > 1 else ""
            self.notes.append(
                f"{self.path.name}, line {short[0]}{others}: fewer values than the {len(names)} columns; those at the "
                "end count as missing."
            )


def encoding_of(start: bytes) -> str | None:
    r"""Return the encoding of a text by its first bytes, or None if it is no text.

    Examples
    --------
    >>> encoding_of("naïve".encode()), encoding_of("naïve".encode("cp1252")), encoding_of(b"\x00\x01")
    ('utf-8', 'cp1252', None)
    """
    for mark, encoding in _BEGINNINGS:
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        return None
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if "end of data" not in error.reason:  # where a character is cut off
            return "cp1252"
    return "utf-8"


def separator_of(lines: list[str]) -> str:
    """Return the separator that divides most lines into as many values as the first; of equals, into the most values.

    Examples
    --------
    >>> separator_of(["a;b", "1,5;2", "3,25;4"]), separator_of(["a"])
    (';', ',')
    """
    lines = lines[:200]

    def worth(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
        alike = sum(width == widths[0] for width in widths) / len(widths)
        return (alike if widths[0] > 1 else 0.0, widths[0])

    with _long_values():
        return max(SEPARATORS, key=worth)


def require_distinct(names: list[Any], where: str) -> None:
    """Refuse a name that occurs twice."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        first, second = [number for number, name in enumerate(names, 1) if name == twice][:2]
        raise TableError(f"{where} has two columns named {twice!r}, the {first}. and the {second}.: rename one.")


@contextmanager
def _long_values() -> Iterator[None]:
    """Let the module csv read values of any length, as pandas does, instead of at most 131,072 characters."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _opened(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, uncompressed."""
    from pandas.io.common import get_handle

    handles = get_handle(path, "rb", compression="infer", is_text=False)
    return handles.handle  # type: ignore[return-value]
