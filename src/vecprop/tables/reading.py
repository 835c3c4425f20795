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
from array import array
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
MISSING_WORDS = frozenset(
    ("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "#N/A N/A", "NULL", "null", "NaN", "nan", "-NaN", "-nan")
)
"""What stands in a text file for a value that is missing; the word None may be a class or a category."""


def read_table(
    path: str | os.PathLike[str], *, as_text: bool = False, target: str | None = None, classes: Sequence[str] = ()
) -> Frame:
    r"""Return a table from a file.

    Parameters
    ----------
    path : path
        A Parquet file (``.parquet``, ``.pq``), an Arrow or Feather file (``.arrow``, ``.feather``, ``.ipc``), or a text
        file with a line of names and a line for each row, whatever its name, its separator (comma, semicolon, tab,
        bar, spaces) and its encoding; it may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``, ``.zip``). Or an
        Excel workbook (``.xlsx``), of which the first sheet is read; or ``-``, which is standard input.
    as_text : bool, default False
        Whether the columns of a text file are their text, as models read them, with each row named by its line, as rows
        of Excel files are then by their number in the sheet. By default, columns of plain numbers and of truth values
        become these, except for digits that begin with 0.
    target : str, optional
        A column of a text file whose missing values are counted in the notes.
    classes : sequence of str
        Words for missing values, such as NA, that are classes of the target instead.

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
        elif file.suffix.lower() in EXCEL:
            frame = read_excel(file)
            frame = frame if as_text else frame.reset_index(drop=True)
        else:
            frame = checked(Separated.of(file).read(target, classes), file)
            frame = frame if as_text else typed(frame)
        return checked(frame, file)


def read_chunks(path: str | os.PathLike[str], rows: int = 100_000, *, as_text: bool = False) -> Iterator[Frame]:
    r"""Yield a table from a file in parts, so that it need not fit in memory.

    Parameters
    ----------
    path : path
        See `read_table`.
    rows : int, default 100,000
        The largest number of rows of a part.
    as_text : bool, default False
        See `read_table`.

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
    parts = (part for part, _ in chunks(path, rows))
    if as_text:
        return parts
    return (typed(part) if part.attrs.get("is_text") else part.reset_index(drop=True) for part in parts)


def chunks(path: str | os.PathLike[str], rows: int, kept: Sequence[str] = ()) -> Iterator[tuple[Frame, Frame]]:
    """Yield the parts of a table as `read_chunks` does, each with some columns as the file has them.

    All values of text files stay text, and those of Parquet and Arrow files have Arrow's types.
    """
    with _as_file(path) as file:
        suffix = file.suffix.lower()
        if suffix in PARQUET | ARROW:
            parts = _binary_parts(file, rows, kept)
        elif suffix in EXCEL:
            frame = checked(read_excel(file), file)
            require_columns(frame.columns, kept)
            parts = _cut(frame, frame[list(kept)].map(_as_in_a_cell, na_action="ignore"), rows)
        else:
            parts = Separated.of(file).parts(rows, kept)
        for part, as_stored in parts:
            yield checked(part, file), as_stored


def typed(frame: Frame) -> Frame:
    """Return a table of text with columns of numbers and of truth values where all values are plain ones.

    Examples
    --------
    >>> frame = pandas().DataFrame({"age": ["36", None], "zip": ["01001", "98101"]})
    >>> typed(frame)["age"].tolist(), typed(frame)["zip"].tolist()
    ([36.0, nan], ['01001', '98101'])
    """
    columns = {name: plain_values(frame[name].mask(frame[name] == "None")) for name in frame.columns}
    plain = {name: column for name, column in columns.items() if pandas().api.types.is_numeric_dtype(column.dtype)}
    result = frame.assign(**plain).reset_index(drop=True)
    result.attrs = {"notes": frame.attrs.get("notes", [])}
    return result


def plain_values(series: Any) -> Any:
    """Return text as numbers or truth values if all are plain ones; as it is if digits begin with 0, or would be lost.

    Examples
    --------
    >>> plain_values(pandas().Series(["1", "2"])).tolist(), plain_values(pandas().Series(["007", "8"])).tolist()
    ([1, 2], ['007', '8'])
    """
    pd = pandas()
    if pd.api.types.infer_dtype(series) not in ("string", "empty"):
        return series
    known = series.dropna()
    if len(known) == len(series) and known.str.lower().isin(["true", "false"]).all():
        return known.str.lower() == "true"
    numbers = pd.to_numeric(series, errors="coerce")
    is_cut = numbers.dtype.kind == "f" and known.str.fullmatch(r"[+-]?\d{16,}").any()  # 2**53 and more
    is_plain = numbers.notna().sum() == len(known) and not known.str.match(r"[+-]?0\d").any()
    return numbers if is_plain and not is_cut else series


def as_classes(known: Any) -> Any:
    """Return known values of a target of classes: the text of a file as `plain_values`, all others as they are.

    Examples
    --------
    >>> as_classes(pandas().Series(["0", "1"])).tolist()
    ['0', '1']
    """
    from .task import as_whole

    return as_whole(plain_values(known)) if known.attrs.get("is_text") else known


def _binary_parts(path: Path, rows: int, kept: Sequence[str]) -> Iterator[tuple[Frame, Frame]]:
    for table in arrow_files.arrow_tables(path):
        require_columns(table.column_names, kept)
        as_stored = arrow_files.as_stored(path, table, list(kept))
        yield from _cut(arrow_files.as_frame(path, table), as_stored, rows)


def _as_in_a_cell(value: Any) -> str:
    """Return a value of a sheet as text; whole numbers, which pandas reads as 1.0 beside empty cells, have no point."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _cut(frame: Frame, as_stored: Frame, rows: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield parts of two tables with the same rows."""
    frame = frame if frame.index.name == "line" else frame.reset_index(drop=True)
    for first in range(0, max(len(frame), 1), rows):
        yield frame.iloc[first : first + rows], as_stored.iloc[first : first + rows].reset_index(drop=True)


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

    def read(self, target: str | None = None, classes: Sequence[str] = ()) -> Any:
        """Return the table as text; a target is missing where the text says so, unless classes name that word."""
        frame = self._one_line_errors(lambda: self._reader(kept=target))
        are_lines = self._are_lines(len(frame))
        if frame.iloc[:, -1].isna().any() or not are_lines:  # as in rows too short, or swallowed by a quote
            frame.index = _lines(self._look_at_rows())[: len(frame)]
        else:
            frame.index = pandas().RangeIndex(2, len(frame) + 2, name="line")
        if target in frame.columns:
            stripped = frame[target].str.strip()
            frame[target] = self._known(stripped.mask(stripped == ""), classes)
        self._note_repeated_names(frame)
        frame.attrs |= {"notes": list(self.notes), "is_text": True}
        return frame

    def _are_lines(self, rows: int) -> bool:
        """Return whether each row is a line, and the names are another, so that none is blank or goes on."""
        with _opened(self.path) as file:
            ends, last = 0, b""
            while block := file.read(SAMPLE):
                ends, last = ends + block.count(b"\n"), block
        return ends + (not last.endswith((b"\n", b"\n\0"))) == rows + 1

    def parts(self, rows: int, kept: Sequence[str]) -> Iterator[tuple[Any, Any]]:
        """Yield the table in parts of a number of rows, each with some columns as text.

        All rows are checked first, so that no part is used if a later one cannot be read; and pandas before 3.1 cuts a
        long row silently if it is the first of a part.
        """
        lines, first = _lines(self._one_line_errors(self._look_at_rows)), 0
        require_columns(self.names(), kept)
        reader = self._one_line_errors(lambda: self._reader(chunksize=rows))
        texts = self._one_line_errors(lambda: self._reader(chunksize=rows, usecols=list(kept), na_filter=False))
        with reader, texts:
            while (part := self._one_line_errors(lambda: next(reader, None))) is not None:
                part.index = lines[first : first + len(part)]
                self._note_repeated_names(part)
                part.attrs |= {"notes": list(self.notes), "is_text": True}
                first += len(part)
                as_stored = self._one_line_errors(lambda: next(texts)) if kept else part[[]]
                yield part, as_stored[list(kept)].reset_index(drop=True)

    def _note_repeated_names(self, frame: Any) -> None:
        """Note rows that are the line of names again, as in files that were joined."""
        again = frame.index[frame.iloc[:, 0] == frame.columns[0]]
        again = [line for line in again if (frame.loc[line].str.strip() == frame.columns).all()]
        if again:
            self.notes.append(
                f"{self.path.name}, {_listed(again)}: the columns' names again, which count as a row: remove them."
            )

    def _known(self, target: Any, classes: Sequence[str]) -> Any:
        """Return a target without the words for missing values, and note how often each stands there."""
        from .task import guess_task

        words = (MISSING_WORDS | {"None"}) - {"", *classes}
        others = target[~target.isin(words)]
        if guess_task(others) == "classification":
            words -= {"None"}
        is_word = target.isin(words)
        counts = target[is_word].value_counts()
        if len(counts):
            shown = ", ".join(f"{word!r} ({count})" for word, count in counts.head(5).items())
            self.notes.append(
                f"{self.path.name}: in the target {target.name!r} these count as missing: {shown}; name in --classes "
                "those that are classes."
            )
        return target.mask(is_word)

    def _reader(self, kept: str | None = None, **settings: Any) -> Any:
        """Read the file as text; in a column that is kept, only empty values are missing."""
        names = self.names()
        is_packed = self.path.suffix.lower() == ".zst"  # for which pandas needs another package
        return pandas().read_csv(
            _opened(self.path) if is_packed else self.path,
            sep=self.separator,
            encoding=self.encoding,
            index_col=False,
            dtype=str,
            header=0,
            names=names,
            skipinitialspace=True,
            keep_default_na=False,
            na_values={name: [""] if name == kept else list(MISSING_WORDS) for name in names},
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

    def _look_at_rows(self) -> "array[int]":
        """Return each row's last line; refuse long rows and those that a quotation mark swallows; note odd ones."""
        short, swallowed, ends = [], [], array("q")
        with closing(self.rows()) as rows:
            names, _, _ = next(rows)
            for row, numbers, lines in rows:
                ends.append(numbers[-1])
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
        return ends

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


def _lines(numbers: Sequence[int]) -> Any:
    """Return the numbers of lines as an index of rows."""
    return pandas().Index(numbers, name="line")


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
