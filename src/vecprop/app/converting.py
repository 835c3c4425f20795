"""Convert text files to a folder of Parquet files, with column types that fit all rows.

The first pass reads the text in parts, and saves each part as text with the column
statistics so far. When all rows are read, the column types are known, and the second
pass writes each part with these types. If the program is killed, the same call resumes
the pass.
"""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..files.atomic import sweep, written_at_once
from ..system.extras import imported
from ..system.suggestions import suggestion
from ..tables.error import TableError, pandas, with_encoding
from ..tables.reading.delimited import DelimitedFile
from ..tables.reading.file_lists import (
    ARROW,
    PARQUET,
    STANDARD_INPUT,
    files_of,
    short_names,
)
from ..tables.reading.plain_columns import PlainColumn, Type, as_type
from ..tables.reading.reading import delimited_files
from ..terminal.messages import UsageError

ROWS = 100_000
CHARACTERS = 32_000_000
"""A part ends after this number of rows or characters."""

MOST_NOTES = 100
"""The maximum number of notes on rows to store."""

MANIFEST = "_convert.json"
AS_TEXT = "_text"
_FORMAT = 2


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
    progress: Callable[[int, float], object] | None = None,
) -> Converted:
    """Convert text files to a folder of Parquet files, with the same columns as `read_table`.

    Parameters
    ----------
    folder : Path
        The folder to create. If the folder contains an unfinished conversion, the same
        call resumes it.
    progress : callable, optional
        Called with the number of finished rows and the finished share of the work.

    Raises
    ------
    TableError
        If a file is not text, a row is invalid, files are inconsistent, or a value is
        not numeric.
    UsageError
        If the folder contains other files.
    """
    if source == STANDARD_INPUT:
        raise UsageError(
            "Standard input can be read only once, which prevents resuming: give a"
            " file."
        )
    imported("pyarrow", "A conversion", "tables")
    files = files_of(source)
    if files[0].suffix.lower() in PARQUET | ARROW:
        raise UsageError(
            f"{files[0]} is not a text file; Parquet and Arrow files need no"
            " conversion."
        )
    texts = list(delimited_files(files))
    names = texts[0].names()
    for name in [*words, *numbers]:
        if name not in names:
            advice = suggestion(name, names) or ": check --words and --numbers."
            raise TableError(
                with_encoding(
                    f"{files[0]} has no column {name!r}{advice}", texts[0].notes
                )
            )
    sizes = []
    for name, file in zip(short_names(files), files, strict=True):
        status = file.stat()
        sizes.append([name, status.st_size, status.st_mtime_ns])
    settings = {
        "format": _FORMAT,
        "files": sizes,
        "words": sorted(words),
        "numbers": sorted(numbers),
    }
    manifest = _begun(folder, settings, force)
    progress = progress or (lambda rows, share: None)
    if "rows" not in manifest:
        state = _State({name: PlainColumn() for name in names})
        first_pass = _FirstPass(
            folder / AS_TEXT, files, texts, words, numbers, progress, state
        )
        first_pass.run()
        manifest |= {"rows": state.rows, "types": state.types(), "notes": state.notes}
        if not state.rows:
            raise TableError(f"{source} has no rows.")
        _write(folder / MANIFEST, manifest)
    result = Converted(manifest["rows"], manifest["types"], manifest["notes"])
    _finish(folder, result, progress)
    return result


def _begun(folder: Path, settings: dict, force: bool) -> dict:
    """Return the manifest of a folder's conversion, starting a new one if no part of it exists."""
    path = folder / MANIFEST
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give a folder.")
    sweep(folder, MANIFEST)
    if path.exists():
        manifest = _read(path)
        is_same = manifest.get("asked") == settings
        if is_same and not (force and _has_lost_parts(folder, manifest)):
            return manifest
        parts = [*folder.glob("part-*.parquet"), *(folder / AS_TEXT).glob("*")]
        has_only_manifest = "asked" in manifest and not parts
        if not force and not has_only_manifest:
            raise UsageError(
                f"{folder} contains the conversion of other or changed files, or with"
                " other options: give another folder, or restart with --force."
            )
        for part in folder.glob("part-*.parquet"):
            part.unlink()
        shutil.rmtree(folder / AS_TEXT, ignore_errors=True)
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty and was not written by a conversion: give a new"
            " folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"asked": settings}
    _write(path, manifest)
    return manifest


def _read(path: Path) -> dict:
    """Return a manifest, or an empty dictionary if a file is not a manifest."""
    with suppress(ValueError):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(manifest, dict):
            return manifest
    return {}


def _has_lost_parts(folder: Path, manifest: dict) -> bool:
    """Return whether a folder lacks parts that the first pass wrote, or contains a damaged part."""
    # a part that is being converted exists as text, too
    rows_of_parts = {}
    try:
        for path in folder.rglob("part-*.parquet"):
            rows_of_parts[path.name] = _rows_of(path)
    except TableError:
        return True
    return "rows" in manifest and sum(rows_of_parts.values()) != manifest["rows"]


def _rows_of(part: Path) -> int:
    """Return the number of rows of a part."""
    from pyarrow.parquet import read_metadata

    from ..tables.reading.arrow_files import one_line_errors

    try:
        with one_line_errors(part):
            return read_metadata(part).num_rows
    except TableError as error:
        raise TableError(
            f"{str(error).removesuffix('.')}: restart with --force."
        ) from error


def _write(path: Path, manifest: dict):
    with written_at_once(path) as file:
        file.write(json.dumps(manifest, indent=1).encode())


@dataclass
class _State:
    """State of the first pass, saved with the last part."""

    columns: dict[str, PlainColumn]
    file: int = 0
    line: int = 0
    rows: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, frame, file: int, name: str):
        """Add the statistics and notes of the next rows of a file."""
        for column, statistics in self.columns.items():
            statistics.add(frame[column], f"{name}, line {{}}".format)
        self.file = file
        self.line = int(frame.index[-1])
        self.rows += len(frame)
        notes = dict.fromkeys([*self.notes, *frame.attrs["notes"]])
        self.notes = list(notes)[:MOST_NOTES]

    def types(self) -> dict[str, Type]:
        """Return the type of each column, and add notes on text that is nearly numbers."""
        for name, column in self.columns.items():
            if column.is_nearly_numbers:
                self.notes.append(
                    f"Column {name!r} is text, because {column.wrong} of"
                    f" {column.values - column.missing} values are not plain numbers;"
                    f" the first one is {column.example!r} in {column.location}."
                )
        return {name: column.type for name, column in self.columns.items()}


@dataclass
class _FirstPass:
    """Writes all rows to parts as text, and collects column statistics and notes."""

    folder: Path
    files: list[Path]
    texts: list[DelimitedFile]
    words: Collection[str]
    numbers: Sequence[str]
    progress: Callable
    state: _State

    def run(self):
        """Write the parts that do not exist yet."""
        self.folder.mkdir(exist_ok=True)
        number = 0
        while (self.folder / _part(number)).exists():
            number += 1
        if number:
            self._resume(self.folder / _part(number - 1))
        state = self.state
        types: dict[str, Type] = dict.fromkeys(state.columns, "text")
        names = short_names(self.files)
        sizes = [file.stat().st_size for file in self.files]
        for file in range(state.file, len(self.files)):
            share_of_text = sum(sizes[: file + 1]) / sum(sizes)
            line = state.line if file == state.file else 0
            for frame in self.texts[file].pieces(ROWS, CHARACTERS, line, self.words):
                state.add(frame, file, names[file])
                self._require_numbers()
                place = {"place": json.dumps(asdict(state))}
                _save(self.folder / _part(number), frame, types, place)
                number += 1
                # the second pass is the other half
                self.progress(state.rows, share_of_text / 2)

    def _resume(self, part: Path):
        """Restore the state that was saved with a part."""
        from pyarrow.parquet import read_schema

        values = json.loads((read_schema(part).metadata or {})[b"place"])
        vars(self.state).update(values)
        for name, column in values["columns"].items():
            self.state.columns[name] = PlainColumn(**column)

    def _require_numbers(self):
        """Raise an error if a value is not numeric in a column that must be."""
        for name in self.numbers:
            column = self.state.columns[name]
            if column.example:
                raise TableError(
                    f"{column.location}, column {name!r}: {column.example!r} is not a"
                    " plain number: fix it, or leave the column out of --numbers."
                )


def _part(number: int) -> str:
    return f"part-{number:06}.parquet"


def _save(path: Path, frame, types: dict[str, Type], metadata: dict | None = None):
    """Write a part atomically."""
    import pyarrow as pa
    from pyarrow import parquet

    arrow_types = {"bool": pa.bool_(), "text": pa.string(), "float64": pa.float64()}
    arrow_types |= {"int64": pa.int64(), "uint64": pa.uint64()}
    fields = []
    columns = {}
    for name, type in types.items():
        fields.append((name, arrow_types[type]))
        columns[name] = as_type(frame[name], type)
    table = pa.Table.from_pandas(
        pandas().DataFrame(columns), schema=pa.schema(fields), preserve_index=False
    )
    table = table.replace_schema_metadata(metadata)
    with written_at_once(path) as file:
        parquet.write_table(
            table, file, row_group_size=max(len(frame), 1), write_page_checksum=True
        )


def _finish(folder: Path, result: Converted, progress: Callable):
    """Write each part with the column types, and remove the text of the part."""
    from ..tables.reading.arrow_files import arrow_tables, as_frame

    number = 0
    rows = 0
    while True:
        part = folder / _part(number)
        text = folder / AS_TEXT / _part(number)
        if not part.exists():
            if not text.exists():
                break
            (table,) = arrow_tables(text)
            _save(part, as_frame(text, table), result.types)
        rows += _rows_of(part)
        text.unlink(missing_ok=True)
        number += 1
        progress(rows, 0.5 + rows / result.rows / 2)
    if rows != result.rows:
        raise TableError(f"{folder} has lost some of its parts: restart with --force.")
    shutil.rmtree(folder / AS_TEXT, ignore_errors=True)
