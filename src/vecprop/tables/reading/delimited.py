"""Read delimited text files, whole or in chunks, and infer encoding, separator and header from their start."""

import csv
import io
import lzma
import re
import tarfile
import warnings
import zipfile
import zlib
from array import array
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from ...system.suggestions import suggestion
from ...system.threads import run_in_thread
from ..error import Note, TableError, first_line, pandas, with_encoding
from ..kinds.kinds import guess_task
from .arrow_text import BLOCK, parser, require_plain, text_frame
from .bounds import SMALL, require_room, require_room_for_members
from .layout import (
    MISSING_WORDS,
    SEPARATORS,
    declared_separator,
    differ_from_numbers,
    is_number,
    is_total,
    lines_above,
    long_values,
    names_are_values,
    numbered_rows,
    require_plain_layout,
    require_text,
    rows_of,
    second_header,
    title_lines,
)

SAMPLE, LONGEST = 1 << 20, 1 << 26
"""The bytes read to infer the encoding and the separator: usually, and at most, if
the first lines are long.
"""
_BROKEN = (
    OSError,
    EOFError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""Errors raised for damaged or encrypted compressed files."""
_BEGINNINGS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_DAMAGE = re.compile("(?:\ufffd|Ã[\x80-\xbf]|â€).{0,9}")
"""Characters that were read or written in a wrong encoding."""
_QUOTES = re.compile(r"(?m)(?:^|[,;\t|])([“„«‹‘])")
"""Quotation marks that do not quote values."""
_MARKED = {*_BEGINNINGS.values(), "utf-16-le", "utf-16-be"}


def _start_of(path: Path) -> tuple[bytes, bool]:
    """Return the start of a file, uncompressed, and whether the file may be longer."""
    start = b""
    try:
        with opened(path) as file:
            while start.count(b"\n") < 2 and len(start) < LONGEST:
                block = file.read(SAMPLE)
                start += block
                if len(block) < SAMPLE:
                    return start, False
                require_room(path, len(start), is_whole=False)
            # a small compressed file may be too large when it is uncompressed
            if compression_of(path) and path.stat().st_size < SMALL:
                size = len(start)
                while block := file.read(SAMPLE):
                    size += len(block)
                    require_room(path, size, is_whole=False)
    except TableError:
        raise
    except (*_BROKEN, ValueError) as error:
        raise TableError(
            f"{path} cannot be uncompressed: {first_line(error)}."
        ) from error
    return start, True


@dataclass
class DelimitedFile:
    """A delimited text file and its format."""

    path: Path
    separator: str
    encoding: str
    notes: list[str] = field(default_factory=list)
    above: int = 0
    """The number of lines above the header."""

    @classmethod
    def of(cls, path: Path) -> "DelimitedFile":
        """Infer the format of a file from its first megabyte, or from more if the first lines are longer."""
        start, is_cut = _start_of(path)
        encoding = encoding_of(start)
        require_text(
            path,
            (
                start.decode(encoding, "replace").encode()
                if encoding in _MARKED
                else start
            ),
        )
        if encoding is None:
            raise TableError(f"{path} is not text: save it as CSV, Parquet or Arrow.")
        lines = [*io.StringIO(start.decode(encoding, "replace"), newline="")]
        above, separator = lines_above(lines)
        with long_values():
            if any(map(str.strip, lines[above:])):
                titles, separator = title_lines(lines[above:], separator)
                above += titles
            if is_cut and len(lines) > above + 1:
                lines.pop()
            table = [
                line for line in "".join(lines[above:]).splitlines() if line.strip()
            ]
            if not table:
                raise TableError(f"{path} is empty.")
            require_plain_layout(path, table, separator)
            file = cls(path, separator, encoding, [], above)
            file.notes += file._notes_on_text(lines, start.decode(encoding, "ignore"))
            file.notes += file._notes_on_rows(lines, table)
        return file

    def _notes_on_text(self, lines: Sequence[str], text: str) -> Iterator[Note]:
        """Yield notes on titles, a guessed encoding, damaged characters and quotation marks."""
        name = self.path.name
        titles = [
            line.strip()
            for line in lines[: self.above]
            if line.strip() and not declared_separator(line)
        ]
        if titles:
            yield Note(
                f"{name}: skipped {self.above} line(s) above the header, such as"
                f" {titles[0][:40]!r}."
            )
        if self.encoding == "cp1252":
            yield Note(
                f"{name} is not UTF-8, so it is read as cp1252, Western European text:"
                " save it as UTF-8 if its text looks wrong.",
                "encoding",
            )
        if text.isascii():
            return
        damage = _DAMAGE.search(text)
        if damage and self.encoding != "cp1252":
            yield Note(
                f"{name} has damaged characters, such as {damage[0]!r}: export it again"
                " as UTF-8."
            )
        quotes = _QUOTES.search(text)
        if quotes:
            yield Note(
                f"{name} has values in {quotes[1]}, which belong to the text: quote"
                ' values with ".'
            )

    def _notes_on_rows(
        self, lines: Sequence[str], table: Sequence[str]
    ) -> Iterator[Note]:
        """Yield notes on headers and units that are read as rows, and on rows that are read as a header."""
        name = self.path.name
        blocks, ends = numbered_rows(lines[self.above :], self.separator)
        second = second_header(blocks)
        if second:
            yield Note(
                f"{name}, line {self.above + ends[second]}: looks like the header of a"
                " second table, but is read as a row: save each table in a separate"
                " file."
            )
        rows = rows_of(table, self.separator)
        if (
            len(rows) > 3
            and not any(map(is_number, rows[1]))
            and differ_from_numbers(rows[1], rows[2:])
        ):
            yield Note(
                f"{name}: the first row contains text where other rows contain numbers:"
                " remove it if it is a second header or units."
            )
        if names_are_values(rows):
            shown = ", ".join(map(repr, rows[0][:5]))
            yield Note(
                f"{name}, line {self.above + 1}: the header ({shown}) looks like data:"
                " if it is a row, insert a header above it."
            )

    def read(self, target: str | None = None):
        """Return the table as text. In the target column, only empty values are missing (see `known_target`)."""
        size = 0
        ends = 0
        last = b""
        with self._one_line_errors(), opened(self.path) as file:
            while block := file.read(SAMPLE):
                size += len(block)
                ends += block.count(b"\n")
                last = block
                if size > SMALL:
                    require_room(self.path, size)
        first = self.above + 2
        if not last.endswith((b"\n", b"\n\0")):
            ends += 1
        with self._one_line_errors():
            frame = self._arrow_frame(target)
        if frame is not None:
            return self._as_table(frame, range(first, len(frame) + first))
        # pandas reads large files in threads, and handles Ctrl-C only after they end.
        with (
            self._one_line_errors(),
            self._source() as source,
            warnings.catch_warnings(),
        ):
            # Otherwise pandas drops the last values of rows that are longer than the
            # header.
            warnings.simplefilter("error", pandas().errors.ParserWarning)
            frame = run_in_thread(lambda: self._reader(source, [target]))
        is_row_per_line = ends == len(frame) + first - 1
        # short rows and stray quotes leave missing values here
        if is_row_per_line and frame.iloc[:, -1].notna().all():
            return self._as_table(frame, range(first, len(frame) + first))
        return self._as_table(frame, self._check_rows()[: len(frame)])

    def _arrow_frame(self, target: str | None):
        """Return the table as text, or None if Arrow and pandas may find different values."""
        from pyarrow import concat_tables

        try:
            names = self.names()
            targets = [name for name in names if name == target]
            requests = [(names, MISSING_WORDS), (targets, [""])]
            tables = zip(*self._arrow_tables(requests), strict=True)
            frame, *frames_of_target = map(text_frame, map(concat_tables, tables))
        except ValueError:
            return None
        for original in frames_of_target:
            frame[target] = original[target]
        return frame

    def _arrow_tables(self, requests, rows: int | None = None) -> Iterator[list[Any]]:
        """Yield tables of successive rows, or raise ValueError; see `arrow_text.parser`."""
        parse = parser(self.names(), self.separator, requests)
        with self._text() as text:
            header = text.readline()
            require_plain(f"{header}\n".encode(), self.separator)
            if not header.strip():
                raise ValueError  # the header is below an empty line
            while True:
                lines = islice(text, rows)
                if rows is None:
                    lines = [text.read(BLOCK), text.readline()]
                content = b"".join(map(str.encode, lines))
                if not content:
                    return
                # In the main thread, Arrow would replace the handlers of signals.
                tables = run_in_thread(partial(parse, content))
                del content  # callers may keep only the tables in memory
                yield tables

    def parts(self, rows: int, unparsed: Sequence[str]) -> Iterator[tuple[Any, Any]]:
        """Yield chunks of the table, each with the original text of some columns.

        All rows are checked first, so that callers do not process chunks of an
        unreadable file. The check also finds long rows, which pandas before 3.1
        truncates silently at the start of a chunk.
        """
        with self._one_line_errors():
            lines = self._plain_lines() or self._check_rows()
        chunks = self._pandas_chunks
        if isinstance(lines, range):
            chunks = self._arrow_chunks
        require_columns(self.names(), unparsed, self.notes)
        first = 0
        with self._one_line_errors():
            for text, as_stored in chunks(rows, unparsed):
                part = self._as_table(text, lines[first : first + len(text)])
                first += len(text)
                yield part, as_stored

    def _plain_lines(self) -> range:
        """Return the line numbers of all rows, or none if Arrow and pandas may find other rows."""
        try:
            tables = self._arrow_tables([(self.names()[:1], ())])
            count = sum(len(text_frame(table)) for (table,) in tables)
        except ValueError:
            count = 0
        first = self.above + 2
        return range(first, first + count)

    def _arrow_chunks(
        self, rows: int, unparsed: Sequence[str]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield chunks of text, each with the original text of some columns."""
        requests = [(self.names(), MISSING_WORDS), (unparsed, ())]
        for tables in self._arrow_tables(requests, rows):
            frames = list(map(text_frame, tables))
            yield frames[0], frames[-1][list(unparsed)]

    def _pandas_chunks(
        self, rows: int, unparsed: Sequence[str]
    ) -> Iterator[tuple[Any, Any]]:
        """Yield chunks of text, each with the original text of some columns."""
        settings = {"chunksize": rows, "na_filter": False}
        with self._source() as source, self._reader(source, **settings) as reader:
            for text in reader:
                part = text.mask(text.isin(MISSING_WORDS))
                yield part, text[list(unparsed)].reset_index(drop=True)

    def pieces(
        self, rows: int, characters: int, after: int = 0, words: Collection[str] = ()
    ) -> Iterator[Any]:
        """Yield chunks of the table, starting after a line.

        Unlike `parts`, this method raises only when it reaches an unreadable row.
        """
        columns = len(self.names())
        with (
            self._one_line_errors(),
            closing(self.rows("strict", after)) as numbered_rows,
        ):
            next(numbered_rows)
            while True:
                validator = RowValidator(self.path, self.separator, columns)
                text = io.StringIO(newline="")
                for row, numbers, lines in numbered_rows:
                    validator.check(row, numbers, lines)
                    text.writelines(lines)
                    if len(validator.ends) == rows or text.tell() >= characters:
                        break
                if not validator.ends:
                    return
                text.seek(0)
                frame = self._reader(text, words, header=None)
                yield self._as_table(frame, validator.ends, validator.notes())

    def _as_table(self, frame, lines: Sequence[int], notes: Sequence[str] = ()):
        """Return text indexed by line, with notes, including a note on rows that repeat the header."""
        frame.index = pandas().Index(lines, name="line")
        candidates = frame.index[frame.iloc[:, 0] == frame.columns[0]]
        headers = [
            line
            for line in candidates
            if (frame.loc[line].str.strip() == frame.columns).all()
        ]
        if headers:
            self.notes.append(
                f"{self.path.name}, {listed(headers)}: repeated header, read as a row:"
                " remove it."
            )
        self.notes += notes_on_totals(frame, self.path.name)
        frame.attrs |= {"notes": [*self.notes, *notes], "is_text": True}
        return frame

    @contextmanager
    def _source(self) -> Iterator[Any]:
        """Open the file at its header. pandas opens uncompressed files itself, if they start with their header."""
        if self.above or compression_of(self.path):
            with self._text() as text:
                yield text
        else:
            yield self.path

    @contextmanager
    def _text(self, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
        """Open the file as text at its header."""
        with (
            opened(self.path) as file,
            io.TextIOWrapper(file, self.encoding, newline="", errors=errors) as text,
        ):
            for _ in range(self.above):
                text.readline()
            yield text

    def _reader(self, source, words: Collection[str | None] = (), **settings):
        """Parse text. In the columns ``words``, only empty values are missing."""
        names = self.names()
        missing = {
            name: [""] if name in words else list(MISSING_WORDS) for name in names
        }
        arguments = {
            "header": 0,
            "index_col": False,
            "dtype": str,
            "skipinitialspace": True,
            "keep_default_na": False,
            "sep": self.separator,
            "encoding": self.encoding,
            "names": names,
            "na_values": missing,
        }
        return pandas().read_csv(source, **arguments | settings)

    def rows(
        self, errors: str = "replace", after: int = 0
    ) -> Generator[tuple[list[str], range, list[str]], None, None]:
        """Yield the header and each row that is not empty: its values, line numbers and lines."""
        taken: list[str] = []

        def noted(lines: IO[str]) -> Iterator[str]:
            for line in lines:
                taken.append(line)
                yield line

        with long_values(), self._text(errors) as text:
            skipped = self.above
            blanks = " \r\n"
            rows = csv.reader(
                noted(text), delimiter=self.separator, skipinitialspace=True
            )
            for row in rows:
                # pandas also skips lines of spaces and tabs that separate no values
                if "".join(taken).strip(blanks):
                    last = rows.line_num + skipped
                    yield row, range(last - len(taken) + 1, last + 1), taken
                    blanks = " \t\r\n".replace(self.separator, "")
                    if last < after:
                        skipped += sum(1 for _ in islice(text, after - last))
                taken.clear()

    def names(self) -> list[str]:
        """Return the column names, and raise an error if a name occurs twice."""
        with closing(self.rows()) as rows:
            names = [
                name.strip() or f"column {number}"
                for number, name in enumerate(next(rows)[0], 1)
            ]
        require_distinct(names, str(self.path))
        return names

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Convert errors of readers to one-line errors."""
        pd = pandas()
        try:
            yield
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            self._check_rows()
            raise TableError(
                f"{self.path} is not a table: {first_line(error)}."
            ) from error
        except pd.errors.EmptyDataError as error:
            raise TableError(f"{self.path} is empty.") from error
        except UnicodeError as error:
            problem = f"starts as {self.encoding} but contains invalid bytes later"
            if self.encoding == "cp1252":
                problem = "is neither UTF-8 nor cp1252"
            raise TableError(
                f"{self.path} {problem}{self._first_invalid()}: save it as UTF-8."
            ) from error
        except _BROKEN as error:
            raise TableError(
                f"{self.path} cannot be read completely: {first_line(error)}."
            ) from error

    def _first_invalid(self) -> str:
        """Describe the first invalid byte of the file, if it can be located."""
        # fails for UTF-16
        with suppress(UnicodeError), closing(self.rows("surrogateescape")) as rows:
            for _, numbers, lines in rows:
                for number, line in zip(numbers, lines, strict=True):
                    byte = re.search("[\udc80-\udcff]", line)
                    if byte:
                        return f" (byte 0x{ord(byte[0]) - 0xDC00:02x} in line {number})"
        return ""

    def _check_rows(self) -> "array[int]":
        """Return the last line number of each row, and raise an error for long rows and unclosed quotes."""
        with closing(self.rows()) as rows:
            validator = RowValidator(self.path, self.separator, len(next(rows)[0]))
            for row in rows:
                validator.check(*row)
        self.notes += validator.notes()
        return validator.ends


class RowValidator:
    """Check the rows of a text file: raise for invalid rows and collect notes on suspicious rows."""

    def __init__(self, path: Path, separator: str, columns: int):
        self.path = path
        self.separator = separator
        self.columns = columns
        self.ends = array("q")
        self.short: list[int] = []
        self.swallowed: list[str] = []

    def check(self, row: list[str], numbers: range, lines: list[str]) -> None:
        """Check the next row."""
        self.ends.append(numbers[-1])
        if len(lines) > 1:
            try:
                list(
                    csv.reader(
                        lines,
                        delimiter=self.separator,
                        skipinitialspace=True,
                        strict=True,
                    )
                )
            except csv.Error:
                raise TableError(
                    f"{self.path}, lines {numbers[0]} to {numbers[-1]}: a quotation"
                    " mark at the start of a value joins these lines into one value:"
                    " remove the mark, or close the value with another mark before the"
                    " separator."
                ) from None
            if self.columns > 1 and all(
                line.count(self.separator) + 1 == self.columns for line in lines
            ):
                self.swallowed.append(f"{numbers[0]}-{numbers[-1]}")
        if len(row) > self.columns:
            message = (
                f"the row has {len(row)} values, but the header names {self.columns}"
                " columns"
            )
            sign = SEPARATORS.get(self.separator, "space")
            raise TableError(
                f"{self.path}, line {numbers[-1]}: {message}; fix the row, or quote"
                f" values that contain the separator ({sign})."
            )
        if len(row) < self.columns:
            self.short.append(numbers[-1])

    def notes(self) -> list[str]:
        """Return sentences on suspicious rows."""
        notes = []
        if self.short:
            notes.append(
                f"{self.path.name}, {listed(self.short)}: fewer values than the"
                f" {self.columns} columns; the last columns are read as missing."
            )
        if self.swallowed:
            notes.append(
                f"{self.path.name}, {listed(self.swallowed)}: a quoted value spans"
                " these lines, and each looks like a row: remove stray quotation"
                " marks."
            )
        return notes


def notes_on_totals(frame, name: str) -> list[str]:
    """Return notes on rows without values, and on rows that look like totals or a footer."""
    is_empty = frame.iloc[:, 0].isna()
    if is_empty.any():
        is_empty = frame.isna().all(axis=1)
    empty = frame.index[is_empty]
    if len(empty):
        return [f"{name}, {listed(empty)}: no values, but read as rows: remove them."]
    notes = []
    for column in frame.columns[:2]:
        texts = frame[column].astype(str)
        # the labels of totals have letters
        words = texts[texts.str.contains("[a-zA-Z]", na=False)].unique()
        lines = frame.index[texts.isin(list(filter(is_total, words)))]
        if 0 < len(lines) <= max(len(frame) / 5, 1):
            label = frame[column][lines[-1]]
            notes.append(
                f"{name}, {listed(lines)}: {label!r} looks like a total or a footer,"
                " but is read as a row: remove it."
            )
    return notes


def known_target(target, classes: Sequence[str], file: str) -> tuple[Any, list[str]]:
    """Return a text target with markers of missing values removed, and a note with their counts.

    Examples
    --------
    >>> target, notes = known_target(pandas().Series(["yes", "NA "], name="buys"), [], "table.csv")
    >>> target.tolist(), notes[0]
    (['yes', nan], "table.csv: these values of the target 'buys' are read as missing: 'NA' (1); list classes among them\
 in --classes.")
    """
    stripped = target.str.strip()
    target = stripped.mask(stripped == "")
    words = (MISSING_WORDS | {"None"}) - {"", *classes}
    if guess_task(target[~target.isin(words)]) == "classification":
        words -= {"None"}
    is_word = target.isin(words)
    counts = target[is_word].value_counts()
    if not len(counts):
        return target, []
    shown = ", ".join(f"{word!r} ({count})" for word, count in counts.head(5).items())
    return target.mask(is_word), [
        f"{file}: these values of the target {target.name!r} are read as missing:"
        f" {shown}; list classes among them in --classes."
    ]


def listed(numbers: Sequence[Any]) -> str:
    """Format the first five line numbers as text."""
    text = "lines " if len(numbers) > 1 else "line "
    text += ", ".join(map(str, numbers[:5]))
    if len(numbers) > 5:
        text += f" and {len(numbers) - 5} more"
    return text


def require_columns(table, wanted: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Raise an error if a data frame, or a list of column names, lacks a column."""
    names = getattr(table, "columns", table)
    for name in wanted:
        if name not in names:
            listed_names = ", ".join(map(repr, names[:10]))
            if len(names) > 10:
                listed_names += " and others"
            message = (
                "The table has no column"
                f" {name!r}{suggestion(name, names) or f': it has {listed_names}.'}"
            )
            raise TableError(
                with_encoding(
                    message, notes or getattr(table, "attrs", {}).get("notes", [])
                )
            )


_COMPRESSIONS = {
    ".gz": "gzip",
    ".bz2": "bz2",
    ".xz": "xz",
    ".zip": "zip",
    ".zst": "zstd",
}
_MARKS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}
"""Compression formats by the first bytes of a file."""


def compression_of(path: Path) -> str:
    """Infer the compression of a file from its suffix or first bytes, or return "" if it is not compressed."""
    suffix = path.suffix.lower()
    if suffix in _COMPRESSIONS:
        return _COMPRESSIONS[suffix]
    with path.open("rb") as file:
        start = file.read(6)
    return by_mark(_MARKS, start)


def by_mark(marks: Mapping[bytes, str], start: bytes) -> str:
    """Return the value of the first mark at the start of a file, or ""."""
    return next((value for mark, value in marks.items() if start.startswith(mark)), "")


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading uncompressed bytes."""
    compression = compression_of(path)
    if compression == "zstd":  # pandas needs another package for zstd
        import pyarrow

        return io.BufferedReader(
            pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")
        )
    from pandas.io.common import get_handle

    # pandas reads the whole member
    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        require_room_for_members(path)
        with zipfile.ZipFile(path) as archive:
            count = len(archive.namelist())
        if count != 1:
            raise TableError(
                f"{path} contains {count or 'no'} files: extract it, and pass the table"
                " or its folder."
            )
    method: Any = compression or None
    handles = get_handle(path, "rb", compression=method, is_text=False)
    return handles.handle  # type: ignore[return-value]


def encoding_of(start: bytes) -> str | None:
    r"""Infer an encoding from the first bytes of a file, or return None if they are not text."""
    marked = by_mark(_BEGINNINGS, start)
    if marked:
        return marked
    if b"\0" in start:
        low = start[1::2].count(0)
        high = start[::2].count(0)
        unmarked = "utf-16-le" if low > high else "utf-16-be"
        is_text = all(
            sign.isprintable() or sign in "\r\n\t"
            for sign in start[:1000].decode(unmarked, "replace")
        )
        # a table has at least this share of ASCII characters
        is_text &= max(low, high) > 0.05 * len(start)
        return unmarked if is_text else None
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        # ignore a character that is cut off at the end
        if "end of data" not in error.reason:
            return "cp1252"
    return "utf-8"


def require_distinct(names: list[Any], where: str) -> None:
    """Raise an error if a name occurs twice."""
    first_numbers: dict[Any, int] = {}
    for number, name in enumerate(names, 1):
        if (first := first_numbers.setdefault(name, number)) < number:
            raise TableError(
                f"{where} has two columns named {name!r} (columns {first} and"
                f" {number}): rename one."
            )
