"""Text files of separated values: which encoding, which separator, and where a row has too many."""

import csv
import io
import lzma
import re
import warnings
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .error import TableError, pandas

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE = 1 << 20
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
_BEGINNINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass
class Separated:
    """A text file, and how it is read.

    Parameters
    ----------
    path : Path
        The file, perhaps compressed.
    separator : str
        What stands between values.
    encoding : str
        How its characters are written.
    notes : list of str
        What was taken for granted, in sentences.
    """

    path: Path
    separator: str
    encoding: str
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Separated":
        """Return how a file is to be read, by its first megabyte."""
        try:
            with _opened(path) as file:
                start = file.read(SAMPLE)
        except (*_BROKEN, ValueError) as error:
            raise TableError(f"{path} cannot be uncompressed: {_first_line(error)}.") from error
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
        frame = self._in_words(self._reader)
        if frame.iloc[:, -1].isna().any():  # as it is in a row that is too short
            self._look_at_lengths()
        frame.attrs["notes"] = list(self.notes)
        return frame

    def parts(self, rows: int) -> Iterator[Any]:
        """Yield the table in parts of so many rows.

        First all rows are looked at, so that nothing is made of the parts before one that cannot be read; pandas before
        3.1 also cuts a long row where a part begins, and says nothing.
        """
        self._in_words(self._look_at_lengths)
        reader = self._in_words(lambda: self._reader(chunksize=rows))
        with reader:
            while True:
                part = self._in_words(lambda: next(reader, None))
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
        """Return the columns' names, or say which there is twice."""
        _, names = next(self.rows())
        names = [name.strip() or f"column {number}" for number, name in enumerate(names, 1)]
        require_distinct(names, str(self.path))
        return names

    def _in_words(self, read: Any) -> Any:
        """Return what the reader gives, or say in one sentence why it cannot."""
        pd = pandas()
        try:
            with warnings.catch_warnings():
                # Longer rows than the line of names, whose last values would be lost.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                return read()
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            self._look_at_lengths()
            raise TableError(f"{self.path} is not a table: {_first_line(error)}.") from error
        except pd.errors.EmptyDataError as error:
            raise TableError(f"{self.path} is empty.") from error
        except UnicodeError as error:
            raise TableError(
                f"{self.path} begins as {self.encoding} and does not go on so ({_first_line(error)}): save it as UTF-8."
            ) from error
        except _BROKEN as error:
            raise TableError(f"{self.path} cannot be read to its end: {_first_line(error)}.") from error

    def _look_at_lengths(self) -> None:
        """Refuse a row that is longer than the line of names, and note which are shorter."""
        short = []
        with closing(self.rows()) as rows:
            _, names = next(rows)
            for line, row in rows:
                if len(row) > len(names):
                    raise TableError(
                        f"{self.path}, line {line}: the row has {len(row)} values, but the first line names "
                        f"{len(names)} columns; mend the row, or quote values that contain the separator "
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
    r"""Return the encoding of a text by its first bytes, or None where it is no text.

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
    """Return what separates the values of lines: what divides most of them alike, into as many parts as may be.

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
    """Refuse names that stand twice."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        first, second = [number for number, name in enumerate(names, 1) if name == twice][:2]
        raise TableError(f"{where} has two columns named {twice!r}, the {first}. and the {second}.: rename one.")


@contextmanager
def _long_values() -> Iterator[None]:
    """Let the module csv read values of any length, as pandas does, and not of 131,072 characters at most."""
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


def _first_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".") or type(error).__name__
