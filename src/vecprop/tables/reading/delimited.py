"""Tables of text: files with any separator, encoding and compression, whole or in parts."""

import csv
import io
import lzma
import tarfile
import warnings
import zipfile
import zlib
from array import array
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

from ..error import TableError, first_line, nearest, pandas
from ..kinds.kinds import guess_task
from .sniffing import SEPARATORS, encoding_of, long_values, names_are_values, require_distinct, rows_of, separator_of

T = TypeVar("T")

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
MISSING_WORDS = frozenset(
    ("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "#N/A N/A", "NULL", "null", "NaN", "nan", "-NaN", "-nan")
)
"""What stands in a text file for a value that is missing; the word None may be a class or a category."""


@dataclass
class Separated:
    """A text file, and how it is read."""

    path: Path
    separator: str
    encoding: str
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Separated":
        """Return how a file is read, judged by its first megabyte."""
        try:
            with opened(path) as file:
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

    def read(self, target: str | None = None) -> Any:
        """Return the table as text; in the column of a target, only empty values are missing, see `known_target`."""
        frame = self._one_line_errors(lambda: self._reader([] if target is None else [target]))
        with opened(self.path) as file:
            ends, last = 0, b""
            while block := file.read(SAMPLE):
                ends, last = ends + block.count(b"\n"), block
        are_lines = ends + (not last.endswith((b"\n", b"\n\0"))) == len(frame) + 1  # none is blank or goes on
        if frame.iloc[:, -1].isna().any() or not are_lines:  # as in rows too short, or swallowed by a quote
            frame.index = lines_of(self._look_at_rows())[: len(frame)]
        else:
            frame.index = pandas().RangeIndex(2, len(frame) + 2, name="line")
        self._note_repeated_names(frame)
        frame.attrs |= {"notes": list(self.notes), "is_text": True}
        return frame

    def parts(self, rows: int, kept: Sequence[str]) -> Iterator[tuple[Any, Any]]:
        """Yield the table in parts of a number of rows, each with some columns as text.

        All rows are checked first, so that no part is used if a later one cannot be read; and pandas before 3.1 cuts a
        long row silently if it is the first of a part.
        """
        lines, first = lines_of(self._one_line_errors(self._look_at_rows)), 0
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

    def pieces(self, rows: int, characters: int, after: int = 0, words: Collection[str] = ()) -> Iterator[Any]:
        """Yield the table in parts that are read one after the other, so that reading can go on after a line.

        Unlike `parts`, a row that cannot be read is found when its part is.
        """
        pieces = self._pieces(rows, characters, after, words)
        while (part := self._one_line_errors(lambda: next(pieces, None))) is not None:
            yield part

    def _pieces(self, rows: int, characters: int, after: int, words: Collection[str]) -> Iterator[Any]:
        found = self.rows("strict", after)
        names = self.names()
        look, taken, ends, length = RowLook(self.path, self.separator, len(names)), [], array("q"), 0

        def part() -> Any:
            frame = self._reader(words, io.StringIO("".join(taken), newline=""), header=None)
            frame.index = lines_of(ends)
            self._note_repeated_names(frame)
            frame.attrs |= {"notes": [*self.notes, *look.notes()], "is_text": True}
            return frame

        with closing(found):
            next(found)
            for row, numbers, lines in found:
                look.at(row, numbers, lines)
                ends.append(numbers[-1])
                taken += lines
                length += sum(map(len, lines))
                if len(ends) == rows or length >= characters:
                    yield part()
                    look, taken, ends, length = RowLook(self.path, self.separator, len(names)), [], array("q"), 0
        if ends:
            yield part()

    def _note_repeated_names(self, frame: Any) -> None:
        """Note rows that are the line of names again, as in files that were joined."""
        again = frame.index[frame.iloc[:, 0] == frame.columns[0]]
        again = [line for line in again if (frame.loc[line].str.strip() == frame.columns).all()]
        if again:
            self.notes.append(
                f"{self.path.name}, {listed(again)}: the columns' names again, which count as a row: remove them."
            )

    def _reader(self, words: Collection[str] = (), text: IO[str] | None = None, **settings: Any) -> Any:
        """Read the file, or some lines of it, as text; in columns of words, only empty values are missing."""
        names = self.names()
        is_packed = self.path.suffix.lower() == ".zst"  # for which pandas needs another package
        return pandas().read_csv(
            text or (opened(self.path) if is_packed else self.path),
            sep=self.separator,
            encoding=self.encoding,
            index_col=False,
            dtype=str,
            names=names,
            skipinitialspace=True,
            keep_default_na=False,
            na_values={name: [""] if name in words else list(MISSING_WORDS) for name in names},
            **{"header": 0, **settings},
        )

    def rows(
        self, errors: str = "replace", after: int = 0
    ) -> Generator[tuple[list[str], range, list[str]], None, None]:
        """Yield the rows that are not empty, the line of names first, each with the numbers of its lines, and these."""
        taken: list[str] = []
        with (
            long_values(),
            opened(self.path) as file,
            io.TextIOWrapper(file, self.encoding, newline="", errors=errors) as text,
        ):
            rows, skipped = csv.reader(_noting(text, taken), delimiter=self.separator, skipinitialspace=True), 0
            for row in rows:
                if "".join(taken).strip(" \r\n"):  # pandas skips lines of spaces too
                    last = rows.line_num + skipped
                    yield row, range(last - len(taken) + 1, last + 1), taken
                    if last < after:
                        skipped = sum(1 for _ in islice(text, after - last))
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
        ends = array("q")
        with closing(self.rows()) as rows:
            names, _, _ = next(rows)
            look = RowLook(self.path, self.separator, len(names))
            for row, numbers, lines in rows:
                ends.append(numbers[-1])
                look.at(row, numbers, lines)
        self.notes += look.notes()
        return ends


class RowLook:
    """A look at the rows of a text file, one after the other, which refuses some and notes others.

    Examples
    --------
    >>> look = RowLook(Path("table.csv"), ",", 2)
    >>> look.at(["1"], range(2, 3), ["1"])
    >>> look.notes()
    ['table.csv, line 2: fewer values than the 2 columns; those at the end count as missing.']
    """

    def __init__(self, path: Path, separator: str, columns: int) -> None:
        self.path, self.separator, self.columns = path, separator, columns
        self.short: list[int] = []
        self.swallowed: list[str] = []

    def at(self, row: list[str], numbers: range, lines: list[str]) -> None:
        """Look at the next row, with the numbers of its lines, and these."""
        if len(lines) > 1:
            self._require_closed(numbers, lines)
            if 1 < self.columns == min(map(self._parts_of, lines)) == max(map(self._parts_of, lines)):
                self.swallowed.append(f"{numbers[0]}-{numbers[-1]}")
        if len(row) > self.columns:
            raise TableError(
                f"{self.path}, line {numbers[-1]}: the row has {len(row)} values, but the first line names "
                f"{self.columns} columns; fix the row, or quote values that contain the separator "
                f"({SEPARATORS.get(self.separator, 'space')})."
            )
        if len(row) < self.columns:
            self.short.append(numbers[-1])

    def notes(self) -> list[str]:
        """Return sentences on odd rows."""
        notes = []
        if self.short:
            notes.append(
                f"{self.path.name}, {listed(self.short)}: fewer values than the {self.columns} columns; those at the "
                "end count as missing."
            )
        if self.swallowed:
            notes.append(
                f"{self.path.name}, {listed(self.swallowed)}: a quoted value goes on over these lines, each of which "
                "looks like a row: remove quotation marks that are stray."
            )
        return notes

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


def known_target(target: Any, classes: Sequence[str], file: str) -> tuple[Any, list[str]]:
    """Return a target of text without the words for missing values, and a note on how often each stands there.

    Examples
    --------
    >>> target, notes = known_target(pandas().Series(["yes", "NA "], name="buys"), [], "table.csv")
    >>> target.tolist(), notes[0]
    (['yes', nan], "table.csv: in the target 'buys' these count as missing: 'NA' (1); name in --classes those that are \
classes.")
    """
    stripped = target.str.strip()
    target = stripped.mask(stripped == "")
    words = (MISSING_WORDS | {"None"}) - {"", *classes}
    others = target[~target.isin(words)]
    if guess_task(others) == "classification":
        words -= {"None"}
    is_word = target.isin(words)
    counts = target[is_word].value_counts()
    if not len(counts):
        return target, []
    shown = ", ".join(f"{word!r} ({count})" for word, count in counts.head(5).items())
    note = (
        f"{file}: in the target {target.name!r} these count as missing: {shown}; name in --classes those that are "
        "classes."
    )
    return target.mask(is_word), [note]


def _noting(lines: IO[str], taken: list[str]) -> Iterator[str]:
    """Yield lines, each of which is added to a list before."""
    for line in lines:
        taken.append(line)
        yield line


def lines_of(numbers: Sequence[int]) -> Any:
    """Return the numbers of lines as an index of rows."""
    return pandas().Index(numbers, name="line")


def listed(numbers: Sequence[Any]) -> str:
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


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, uncompressed."""
    if path.suffix.lower() == ".zst":
        import pyarrow

        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))
    from pandas.io.common import get_handle

    handles = get_handle(path, "rb", compression="infer", is_text=False)
    return handles.handle  # type: ignore[return-value]
