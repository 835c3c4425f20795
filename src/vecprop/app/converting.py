"""Text files as a folder of Parquet, with one reading for all: columns become what they are in all rows.

Two steps, each of which goes on where a killed program left it. The first reads text part by part, and writes each part
as text beside what is known of the columns by then. When all rows are read, the columns' types are known, and the
second step writes each part with them.
"""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..files.atomic import sweep, written_at_once
from ..tables.error import TableError, pandas
from ..tables.reading.delimited import Separated
from ..tables.reading.file_lists import ARROW, PARQUET, STANDARD_INPUT, files_of, short_names
from ..tables.reading.plain_columns import PlainColumn, Type, as_type
from ..tables.reading.reading import separated
from ..terminal.errors import UsageError

ROWS, CHARACTERS = 100_000, 32_000_000
"""A part ends after this number of rows, or when its text is this long."""
MANIFEST, AS_TEXT = "_convert.json", "_text"
_FORMAT = 1

Seen = Callable[[int, float], object]
"""Takes the number of rows and the share of the work that are done."""


class Converted(NamedTuple):
    """A folder that was converted."""

    rows: int
    types: dict[str, Type]
    notes: list[str]


@dataclass(frozen=True)
class _Place:
    """How far the first step has come: what the last part has beside its rows."""

    file: int
    line: int
    rows: int
    columns: dict[str, PlainColumn]
    notes: list[str]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "_Place":
        plain = json.loads(text)
        columns = {name: PlainColumn(**of) for name, of in plain.pop("columns").items()}
        return cls(**plain, columns=columns)


def converted(
    source: Path,
    folder: Path,
    *,
    words: Collection[str] = (),
    numbers: Sequence[str] = (),
    force: bool = False,
    seen: Seen | None = None,
) -> Converted:
    """Write text files as a folder of Parquet files, whose columns are those that `read_table` finds in all rows.

    Parameters
    ----------
    folder : Path
        The folder, which is made. If it is there and its conversion was not ended, the same call goes on.

    Raises
    ------
    TableError
        If a file is not text or has a row that cannot be read, files do not go together, or a value is no number.
    UsageError
        If the folder holds something else.
    """
    files = _text_files(source)
    texts = list(separated(files))
    names = texts[0].names()
    for name in [*words, *numbers]:
        if name not in names:
            raise TableError(f"{files[0]} has no column {name!r}.")
    stats = [file.stat() for file in files]
    asked = {
        "format": _FORMAT,
        "files": [[name, of.st_size, of.st_mtime_ns] for name, of in zip(short_names(files), stats, strict=True)],
        "words": sorted(words),
        "numbers": sorted(numbers),
    }
    manifest = _manifest(folder, asked, force)
    done = _Work(folder, files, texts, names, words, numbers, seen or (lambda rows, share: None))
    if "rows" not in manifest:
        place = done.read()
        types = {name: place.columns[name].type for name in names}
        manifest |= {"rows": place.rows, "types": types, "notes": [*place.notes, *_notes(place)]}
        if not place.rows:
            raise TableError(f"{source} has no rows.")
        _write(folder / MANIFEST, manifest)
    done.write(manifest["types"], manifest["rows"])
    return Converted(manifest["rows"], manifest["types"], manifest["notes"])


def _text_files(source: Path) -> list[Path]:
    """Return the text files of a table, or refuse other files."""
    if source == STANDARD_INPUT:
        raise UsageError("Standard input is read once: give the name of a file, which can be read on after a kill.")
    files = files_of(source)
    if files[0].suffix.lower() in PARQUET | ARROW:
        raise UsageError(f"{files[0]} is no text: Parquet and Arrow files are read as they are.")
    return files


def _manifest(folder: Path, asked: dict[str, Any], force: bool) -> dict[str, Any]:
    """Return what is known of a folder's conversion, which is begun if there is none; refuse another folder."""
    path = folder / MANIFEST
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give the name of a folder.")
    sweep(folder, MANIFEST)
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            same = {name: known["asked"].get(name) for name in asked} == asked
        except (ValueError, KeyError, TypeError, AttributeError):
            same, known = False, {}
        if same:
            return known
        if not force:
            raise UsageError(
                f"{folder} holds the parts of other files or options, or of files that have changed: give another "
                "folder, or begin anew with --force."
            )
        for part in folder.glob("part-*.parquet"):
            part.unlink()
        shutil.rmtree(folder / AS_TEXT, ignore_errors=True)
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty, and holds no parts of a table: give the name of a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    known = {"asked": asked}
    _write(path, known)
    return known


def _write(path: Path, plain: dict[str, Any]) -> None:
    with written_at_once(path) as file:
        file.write(json.dumps(plain, indent=1).encode())


@dataclass(frozen=True, eq=False)
class _Work:
    """The two steps of a conversion."""

    folder: Path
    files: list[Path]
    texts: list[Separated]
    names: list[str]
    words: Collection[str]
    numbers: Sequence[str]
    seen: Seen

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:06}.parquet"

    def _text_part(self, number: int) -> Path:
        return self.folder / AS_TEXT / f"part-{number:06}.parquet"

    def read(self) -> _Place:
        """Write all rows as parts of text, and return what is known of them."""
        from pyarrow.parquet import read_schema

        (self.folder / AS_TEXT).mkdir(exist_ok=True)
        number = 0
        place = _Place(0, 0, 0, {name: PlainColumn() for name in self.names}, [])
        while self._text_part(number).exists():
            number += 1
        if number:
            place = _Place.from_json(read_schema(self._text_part(number - 1)).metadata[b"place"])
        sizes = [file.stat().st_size for file in self.files]
        for file in range(place.file, len(self.files)):
            after = place.line if file == place.file else 0
            for frame in self.texts[file].pieces(ROWS, CHARACTERS, after, self.words):
                place = self._see(frame[self.names], place, file)
                self._keep(self._text_part(number), frame[self.names], dict.fromkeys(self.names, "text"), place)
                number += 1
                self.seen(place.rows, sum(sizes[: file + 1]) / sum(sizes) / 2)
        return place

    def _see(self, frame: Any, place: _Place, file: int) -> _Place:
        """Return the place after the next part."""
        named = short_names(self.files)[file]
        columns = {
            name: column.seen(frame[name], f"{named}, line {{}}".format) for name, column in place.columns.items()
        }
        for name in self.numbers:
            if columns[name].example:
                raise TableError(
                    f"{columns[name].place}, column {name!r}: {columns[name].example!r} is no plain number, as the "
                    "column is to be: fix it, or leave the column out of --numbers."
                )
        notes = list(dict.fromkeys([*place.notes, *frame.attrs["notes"]]))[:MOST_NOTES]
        return _Place(file, int(frame.index[-1]), place.rows + len(frame), columns, notes)

    def _keep(self, path: Path, frame: Any, types: dict[str, Type], place: _Place | None = None) -> None:
        """Write a part, which is there when all of it is on disk."""
        import pyarrow as pa
        from pyarrow import parquet

        arrow = {"bool": pa.bool_(), "text": pa.string(), "float64": pa.float64()}
        arrow |= {"int64": pa.int64(), "uint64": pa.uint64()}
        schema = pa.schema([(name, arrow[types[name]]) for name in self.names])
        plain = pandas().DataFrame({name: as_type(frame[name], types[name]) for name in self.names})
        table = pa.Table.from_pandas(plain, schema=schema, preserve_index=False)
        table = table.replace_schema_metadata(None if place is None else {"place": place.to_json()})
        with written_at_once(path) as file:
            parquet.write_table(table, file, row_group_size=max(len(frame), 1), write_page_checksum=True)

    def write(self, types: dict[str, Type], rows: int) -> None:
        """Write each part with the columns' types, and remove its text."""
        from pyarrow.parquet import ParquetFile

        from ..tables.reading.arrow_files import arrow_tables, as_frame

        number, done = 0, 0
        while True:
            part, text = self._part(number), self._text_part(number)
            if not part.exists():
                if not text.exists():
                    break
                (table,) = arrow_tables(text)
                self._keep(part, as_frame(text, table), types)
            with ParquetFile(part) as file:
                done += file.metadata.num_rows
            text.unlink(missing_ok=True)
            number += 1
            self.seen(done, 0.5 + done / rows / 2)
        if done != rows:
            raise TableError(f"{self.folder} has lost some of its parts: begin anew with --force.")
        shutil.rmtree(self.folder / AS_TEXT, ignore_errors=True)


MOST_NOTES = 100
"""The largest number of notes on rows that are kept."""


def _notes(place: _Place) -> list[str]:
    """Return notes on columns of text of which few values are no plain numbers."""
    return [
        f"Column {name!r} is text, since {column.wrong} of {column.values - column.missing} values are no plain "
        f"numbers, the first {column.example!r} in {column.place}."
        for name, column in place.columns.items()
        if column.is_nearly_numbers
    ]
