"""Convert text files to a folder of Parquet files, with column types that fit all rows.

The first pass reads the text in parts, and saves each part as text with the column statistics so far. When all rows are
read, the column types are known, and the second pass writes each part with these types. If the program is killed, the
same call resumes the pass.
"""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..files.atomic import sweep, written_at_once
from ..system.extras import imported
from ..system.suggestions import suggestion
from ..tables.error import TableError, pandas, with_encoding
from ..tables.reading.delimited import DelimitedFile
from ..tables.reading.file_lists import ARROW, PARQUET, STANDARD_INPUT, files_of, short_names
from ..tables.reading.plain_columns import PlainColumn, Type, as_type
from ..tables.reading.reading import delimited_files
from ..terminal.messages import UsageError

ROWS, CHARACTERS = 100_000, 32_000_000
"""A part ends after this number of rows or characters."""

MOST_NOTES = 100
"""The maximum number of notes on rows to store."""

MANIFEST, AS_TEXT = "_convert.json", "_text"
_FORMAT = 1


class Converted(NamedTuple):
    """The result of a conversion."""

    rows: int
    types: dict[str, Type]
    notes: list[str]


def converted(
    source: Path,
    folder: Path,
    *,
    words: Collection[str] = (),
    numbers: Sequence[str] = (),
    force: bool = False,
    seen: Callable[[int, float], object] | None = None,
) -> Converted:
    """Convert text files to a folder of Parquet files, with the same columns as `read_table`.

    Parameters
    ----------
    folder : Path
        The folder to create. If the folder contains an unfinished conversion, the same call resumes it.
    seen : callable, optional
        Called with the number of finished rows and the finished share of the work.

    Raises
    ------
    TableError
        If a file is not text, a row is invalid, files are inconsistent, or a value is not numeric.
    UsageError
        If the folder contains other files.
    """
    if source == STANDARD_INPUT:
        raise UsageError("Standard input can be read only once, which prevents resuming: give a file.")
    imported("pyarrow", "A conversion", "tables")
    files = files_of(source)
    if files[0].suffix.lower() in PARQUET | ARROW:
        raise UsageError(f"{files[0]} is not a text file; Parquet and Arrow files need no conversion.")
    texts = list(delimited_files(files))
    names = texts[0].names()
    for name in [*words, *numbers]:
        if name not in names:
            advice = suggestion(name, names) or ": check --words and --numbers."
            raise TableError(with_encoding(f"{files[0]} has no column {name!r}{advice}", texts[0].notes))
    stats = [file.stat() for file in files]
    sizes = [[name, of.st_size, of.st_mtime_ns] for name, of in zip(short_names(files), stats, strict=True)]
    asked = {"format": _FORMAT, "files": sizes, "words": sorted(words), "numbers": sorted(numbers)}
    known = _begun(folder, asked, force)
    seen = seen or (lambda rows, share: None)
    if "rows" not in known:
        place = _read(folder, files, texts, names, words, numbers, seen)
        for name, column in place.columns.items():
            if column.is_nearly_numbers:
                wrong = f"{column.wrong} of {column.values - column.missing} values are not plain numbers"
                first = f"the first one is {column.example!r} in {column.place}"
                place.notes.append(f"Column {name!r} is text, because {wrong}; {first}.")
        types = {name: place.columns[name].type for name in names}
        known |= {"rows": place.rows, "types": types, "notes": place.notes}
        if not place.rows:
            raise TableError(f"{source} has no rows.")
        _write(folder / MANIFEST, known)
    result = Converted(known["rows"], known["types"], known["notes"])
    _finish(folder, result, seen)
    return result


def _begun(folder: Path, asked: dict[str, Any], force: bool) -> dict[str, Any]:
    """Return the manifest of a folder's conversion, starting a new one if no part of it exists."""
    path = folder / MANIFEST
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give a folder.")
    sweep(folder, MANIFEST)
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            same = {name: known["asked"].get(name) for name in asked} == asked
            if same and not (force and _has_lost_parts(folder, known)):
                return known
            force = force or not any([*folder.glob("part-*.parquet"), *(folder / AS_TEXT).glob("*")])
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # not a manifest
        if not force:
            parts = "the conversion of other or changed files, or with other options"
            raise UsageError(f"{folder} contains {parts}: give another folder, or restart with --force.")
        for part in folder.glob("part-*.parquet"):
            part.unlink()
        shutil.rmtree(folder / AS_TEXT, ignore_errors=True)
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty and was not written by a conversion: give a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, {"asked": asked})
    return {"asked": asked}


def _has_lost_parts(folder: Path, known: dict[str, Any]) -> bool:
    """Return whether a folder lacks parts that the first pass wrote, or contains a damaged part."""
    try:
        rows = {path.name: _rows_of(path) for path in folder.rglob("part-*.parquet")}
    except TableError:
        return True
    return "rows" in known and sum(rows.values()) != known["rows"]


def _rows_of(part: Path) -> int:
    """Return the number of rows of a part."""
    from pyarrow.parquet import read_metadata

    from ..tables.reading.arrow_files import one_line_errors

    try:
        with one_line_errors(part):
            return read_metadata(part).num_rows
    except TableError as error:
        raise TableError(f"{str(error).removesuffix('.')}: restart with --force.") from error


def _write(path: Path, plain: dict[str, Any]) -> None:
    with written_at_once(path) as file:
        file.write(json.dumps(plain, indent=1).encode())


@dataclass
class _Place:
    """State of the first pass, saved with the last part."""

    columns: dict[str, PlainColumn]
    file: int = 0
    line: int = 0
    rows: int = 0
    notes: list[str] = field(default_factory=list)


def _read(
    folder: Path,
    files: list[Path],
    texts: list[DelimitedFile],
    names: list[str],
    words: Collection[str],
    numbers: Sequence[str],
    seen: Callable[[int, float], object],
) -> _Place:
    """Write all rows to parts as text; return the column statistics and notes."""
    from pyarrow.parquet import read_schema

    (folder / AS_TEXT).mkdir(exist_ok=True)
    number = 0
    place = _Place({name: PlainColumn() for name in names})
    while (folder / AS_TEXT / _part(number)).exists():
        number += 1
    if number:
        plain = json.loads((read_schema(folder / AS_TEXT / _part(number - 1)).metadata or {})[b"place"])
        columns = {name: PlainColumn(**of) for name, of in plain.pop("columns").items()}
        place = _Place(columns, **plain)
    sizes, named = [file.stat().st_size for file in files], short_names(files)
    for file in range(place.file, len(files)):
        after = place.line if file == place.file else 0
        for frame in texts[file].pieces(ROWS, CHARACTERS, after, words):
            for name, column in place.columns.items():
                place.columns[name] = column.seen(frame[name], f"{named[file]}, line {{}}".format)
            for name in numbers:
                if (column := place.columns[name]).example:
                    wrong = f"{column.place}, column {name!r}: {column.example!r} is not a plain number"
                    raise TableError(f"{wrong}: fix it, or leave the column out of --numbers.")
            place.file, place.line, place.rows = file, int(frame.index[-1]), place.rows + len(frame)
            place.notes = list(dict.fromkeys([*place.notes, *frame.attrs["notes"]]))[:MOST_NOTES]
            _keep(folder / AS_TEXT / _part(number), frame[names], dict.fromkeys(names, "text"), place)
            number += 1
            seen(place.rows, sum(sizes[: file + 1]) / sum(sizes) / 2)
    return place


def _part(number: int) -> str:
    return f"part-{number:06}.parquet"


def _keep(path: Path, frame, types: dict[str, Type], place: _Place | None = None) -> None:
    """Write a part atomically."""
    import pyarrow as pa
    from pyarrow import parquet

    arrow = {"bool": pa.bool_(), "text": pa.string(), "float64": pa.float64()}
    arrow |= {"int64": pa.int64(), "uint64": pa.uint64()}
    schema = pa.schema([(name, arrow[of]) for name, of in types.items()])
    plain = pandas().DataFrame({name: as_type(frame[name], of) for name, of in types.items()})
    table = pa.Table.from_pandas(plain, schema=schema, preserve_index=False)
    table = table.replace_schema_metadata(None if place is None else {"place": json.dumps(asdict(place))})
    with written_at_once(path) as file:
        parquet.write_table(table, file, row_group_size=max(len(frame), 1), write_page_checksum=True)


def _finish(folder: Path, result: Converted, seen: Callable[[int, float], object]) -> None:
    """Write each part with the column types, and remove the text of the part."""
    from ..tables.reading.arrow_files import arrow_tables, as_frame

    number, done = 0, 0
    while True:
        part, text = folder / _part(number), folder / AS_TEXT / _part(number)
        if not part.exists():
            if not text.exists():
                break
            (table,) = arrow_tables(text)
            _keep(part, as_frame(text, table), result.types)
        done += _rows_of(part)
        text.unlink(missing_ok=True)
        number += 1
        seen(done, 0.5 + done / result.rows / 2)
    if done != result.rows:
        raise TableError(f"{folder} has lost some of its parts: restart with --force.")
    shutil.rmtree(folder / AS_TEXT, ignore_errors=True)
