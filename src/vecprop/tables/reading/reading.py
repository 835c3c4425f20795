"""Read tables from files (CSV with any separator, Parquet, Arrow, Excel), whole or in chunks."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from ...core import suggests_keywords
from ...system.extras import imported
from ..error import TableError, first_line, pandas
from ..kinds.kinds import as_whole
from . import arrow_files
from .arrow_streams import frame_of_stream, is_stream, tables_of_stream
from .arrow_text import typed_column
from .bounds import CELL, require_room, require_room_for_workbook
from .delimited import (
    DelimitedFile,
    by_mark,
    known_target,
    listed,
    notes_on_totals,
    require_columns,
    require_distinct,
)
from .file_lists import (
    ARROW,
    EXCEL,
    PARQUET,
    STANDARD_INPUT,
    Paths,
    files_of,
    is_path,
    require_equal_columns,
    short_names,
)
from .layout import SAMPLED, header_row


def _read_excel(files: Sequence[Path]):
    """Read the first sheet of a workbook as a data frame. The index contains row numbers of the sheet."""
    path = files[0]
    if len(files) > 1:
        raise TableError(
            f"{path} is one of several Excel workbooks: save them as Parquet or CSV to"
            " read them together."
        )
    imported("openpyxl", "Reading an Excel file", "tables")
    try:
        cells, book = _cells_of(path)
    except TableError:
        raise
    # a damaged workbook may raise any error of zipfile, XML or openpyxl
    except Exception as error:
        raise TableError(
            f"{path} cannot be read as an Excel file: {first_line(error)}."
        ) from error
    if not len(cells):
        raise TableError(f"The first sheet of {path} has no values.")
    above = header_row(cells[:SAMPLED].fillna("").astype(str).to_numpy().tolist())
    notes = list(_notes_on_sheet(path, cells, book, above))
    names = [str(name).strip() for name in cells.iloc[above].fillna("")]
    names = [name or f"column {number}" for number, name in enumerate(names, 1)]
    require_distinct(names, str(path))
    frame = (
        cells.iloc[above + 1 :]
        .dropna(how="all")
        .set_axis(names, axis=1)
        .infer_objects()
    )
    frame.index = (frame.index + 1).rename("line")
    frame.attrs["notes"] = notes + notes_on_totals(frame, path.name)
    return frame


def _cells_of(path: Path) -> tuple[Any, Any]:
    """Return the cells of the first sheet of a workbook as a data frame without a header, and the workbook."""
    pd = pandas()
    require_room_for_workbook(path)
    # otherwise openpyxl does not report merged cells and hidden rows
    whole_book = {"read_only": False}
    with pd.ExcelFile(path, engine="openpyxl", engine_kwargs=whole_book) as book:
        sheet = book.book.worksheets[0]
        require_room(path, CELL * sheet.max_row * sheet.max_column)
        cells = pd.read_excel(
            book, header=None, dtype=object, keep_default_na=False, na_values=[""]
        )
        require_room(
            path,
            sum(len(text) for text in cells.to_numpy().flat if isinstance(text, str)),
        )
        return cells, book.book


def _notes_on_sheet(path: Path, cells, book, above: int) -> Iterator[str]:
    """Yield notes on the first sheet of a workbook, and copy the values of merged cells below its header."""
    if len(book.sheetnames) > 1:
        yield (
            f"{path.name}: read only the first of {len(book.sheetnames)} sheets,"
            f" {book.sheetnames[0]!r}."
        )
    if above:
        titles = cells[:above].stack()
        example = f", such as {str(titles.iloc[0])[:40]!r}" if len(titles) else ""
        yield f"{path.name}: skipped {above} row(s) above the header{example}."
    sheet = book.worksheets[0]
    merged = [area for area in sheet.merged_cells.ranges if area.min_row > above + 1]
    for area in merged:
        value = cells.iloc[area.min_row - 1, area.min_col - 1]
        cells.iloc[area.min_row - 1 : area.max_row, area.min_col - 1 : area.max_col] = (
            value
        )
    if merged:
        yield (
            f"{path.name}: copied the value of merged cells, such as {merged[0].coord},"
            " to each of them."
        )
    rows = range(above + 2, len(cells) + 1)
    hidden = [
        row
        for row, dimension in sheet.row_dimensions.items()
        if dimension.hidden and row in rows
    ]
    if hidden:
        yield f"{path.name}, {listed(hidden)}: hidden, but read like other rows."


Frame = Any
"""A pandas DataFrame."""

_ENDINGS = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\x1f\x8b": ".csv.gz",
    b"BZh": ".csv.bz2",
    b"\xfd7zXZ": ".csv.xz",
    b"(\xb5/\xfd": ".csv.zst",
}
"""Suffixes for unnamed streams, by their first bytes."""


@suggests_keywords
def read_table(
    path: Paths | Any,
    *,
    as_text: bool = False,
    target: str | None = None,
    classes: Sequence[str] = (),
) -> Frame:
    r"""Read a table from a file, several files or a folder.

    Parameters
    ----------
    path : path, list of paths, Dataset (pyarrow) or Arrow stream
        A Parquet file (``.parquet``, ``.pq``), an Arrow or Feather file (``.arrow``,
        ``.feather``, ``.ipc``), an Excel workbook (``.xlsx``), or a text file with
        column names and one line per row. ``-`` is standard input. Only the first sheet
        of a workbook is read. Text files may have any name and any separator, such as a
        comma, a semicolon or a tab. They are encoded as UTF-8, UTF-16, UTF-32 or cp1252
        (Western European), and may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``,
        ``.zip``). All files of a folder and its subfolders are read in the order of
        their names. The files must have the same format and the same columns. Files
        whose names start with a period or an underscore are ignored.
    as_text : bool, default False
        Whether to keep all values of text files as text, as models read them. The index
        of text and Excel files then contains the line of each row. By default, columns
        of numbers and Booleans are converted, except digits with leading zeros. The
        type of a column depends on its values in all files.
    target : str, optional
        A column of a text file whose missing values are counted in the notes.
    classes : sequence of str
        Markers of missing values, such as NA, that are classes of the target.

    Returns
    -------
    DataFrame (pandas)
        The table. ``attrs["notes"]`` contains notes on text files as sentences.

    Raises
    ------
    TableError
        If a file does not exist, is empty, is not a table, or has a row with more
        values than column names. If the files of a table differ in their columns or
        types.

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
    if is_dataset(path):
        named = Path("The data set")
        with arrow_files.one_line_errors(named):
            table = cast(Any, path).to_table()
        return _checked(arrow_files.as_frame(named, table), named)
    if is_stream(path):
        return _checked(frame_of_stream(tables_of_stream(path)), Path("The stream"))
    with _files(path) as (files, named):
        suffix = files[0].suffix.lower()
        if suffix in PARQUET | ARROW:
            from pyarrow import concat_tables

            frame = arrow_files.as_frame(
                named, concat_tables(_with_room(arrow_files.tables_of(files)))
            )
        elif suffix in EXCEL:
            frame = _read_excel(files)
            frame = frame if as_text else frame.reset_index(drop=True)
        else:
            frame = _text_of(files, named, target, classes)
            frame = frame if as_text else typed(frame)
        return _checked(frame, named)


def _with_room(tables: Iterable[tuple[Path, Any]]) -> Iterator[Any]:
    """Yield the Arrow tables of files, and raise an error if one file takes too much memory."""
    sizes = Counter[Path]()
    for path, table in tables:
        sizes[path] += table.nbytes
        require_room(path, sizes[path])
        yield table


def is_dataset(table) -> bool:
    """Return whether a table is a pyarrow data set."""
    return hasattr(table, "get_fragments") and hasattr(table, "to_table")


def _text_of(
    files: Sequence[Path], named: Path, target: str | None, classes: Sequence[str]
) -> Frame:
    """Read text files as one table of text, indexed by line."""
    texts = list(delimited_files(files))
    frames = [text.read(target) for text in texts]
    notes = list(
        dict.fromkeys(note for frame in frames for note in frame.attrs["notes"])
    )
    frame = frames[0]
    if len(files) > 1:
        for part, name in zip(frames, short_names(files), strict=True):
            part.index = _lines_of_file(name, part.index)
        frame = (
            pandas()
            .concat([part[frame.columns] for part in frames])
            .rename_axis(index="line")
        )
    if target in frame.columns:
        frame[target], notes_on_target = known_target(
            frame[target], classes, named.name
        )
        notes += notes_on_target
    frame.attrs = {"notes": notes, "is_text": True}
    return frame


def delimited_files(files: Sequence[Path]) -> Iterator[DelimitedFile]:
    """Yield text files with their formats, and raise an error if they differ in their columns."""
    first_names: list[str] = []
    for file in files:
        text = DelimitedFile.of(file)
        if len(files) > 1:
            names = text.names()
            first_names = first_names or names
            require_equal_columns(names, file, first_names, files[0])
        yield text


def _lines_of_file(name: str, lines):
    """Return row labels that contain the file and the line."""
    return pandas().Index(
        [f"{name}:{line}" for line in lines], dtype="str", name="line"
    )


def read_chunks(
    path: Paths | Any, rows: int = 100_000, *, as_text: bool = False
) -> Iterator[Frame]:
    r"""Yield a table in chunks, so that it need not fit in memory; each chunk comes from one file.

    Parameters
    ----------
    path : path, list of paths, Dataset (pyarrow) or Arrow stream
        See `read_table`.
    rows : int, default 100,000
        The largest number of rows in a chunk.
    as_text : bool, default False
        See `read_table`.

    Yields
    ------
    DataFrame (pandas)
        The chunks, in order, with all columns. A column of a text file may have
        different types in different chunks. For ``attrs["notes"]``, see `read_table`.

    Raises
    ------
    TableError
        See `read_table`. The generator raises it, not the call.
    ValueError
        If ``rows`` is not an integer of at least 1.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "numbers.csv")
    ...     _ = path.write_text("a,b\n1,2\n3,4\n5,6\n")
    ...     [len(part) for part in read_chunks(path, rows=2)]
    [2, 1]
    """
    if not isinstance(rows, Integral) or rows < 1:
        raise ValueError(f"rows must be an integer of at least 1, got {rows!r}.")
    parts = (part for part, _ in chunks(path, rows))
    if as_text:
        return parts
    return (
        typed(part) if part.attrs.get("is_text") else part.reset_index(drop=True)
        for part in parts
    )


def chunks(
    path: Paths | Any, rows: int, stored: Sequence[str] = ()
) -> Iterator[tuple[Frame, Frame]]:
    """Yield chunks like `read_chunks`, each with the stored values (text, or Arrow types) of some columns."""
    if is_dataset(path):
        require_columns(cast(Any, path).schema.names, stored)
        yield from _arrow_parts(_batches(path, rows), rows, stored)
        return
    if is_stream(path):
        named = Path("The stream")
        tables = ((named, table) for table in tables_of_stream(path))
        yield from _arrow_parts(tables, rows, stored)
        return
    with _files(path) as (files, named):
        suffix = files[0].suffix.lower()
        if suffix in PARQUET | ARROW:
            parts = _arrow_parts(arrow_files.tables_of(files), rows, stored)
        elif suffix in EXCEL:
            frame = _checked(_read_excel(files), named)
            require_columns(frame, stored)
            parts = _cut(
                frame, frame[list(stored)].map(_as_in_a_cell, na_action="ignore"), rows
            )
        else:
            parts = _text_parts(files, rows, stored)
        is_empty = True
        for part, as_stored in parts:
            if len(files) == 1 or len(part):
                yield _checked(part, named), as_stored
                is_empty = False
        if is_empty:
            raise TableError(f"{named} has no rows.")


def _text_parts(
    files: Sequence[Path], rows: int, stored: Sequence[str]
) -> Iterator[tuple[Frame, Frame]]:
    """Yield chunks of text files, with the columns in the order of the first file."""
    if len(files) == 1:
        yield from DelimitedFile.of(files[0]).parts(rows, stored)
        return
    texts = list(delimited_files(files))
    names = texts[0].names()
    for text, name in zip(texts, short_names(files), strict=True):
        for part, as_stored in text.parts(rows, stored):
            part.index = _lines_of_file(name, part.index)
            yield part[names], as_stored


def _batches(dataset, rows: int) -> Iterator[tuple[Path, Any]]:
    """Yield the non-empty batches of a data set as Arrow tables, each with a name for the data set."""
    from pyarrow import Table

    named = Path("The data set")
    is_empty = True
    with arrow_files.one_line_errors(named):
        for batch in dataset.to_batches(batch_size=rows):
            if len(batch):
                is_empty = False
                yield named, Table.from_batches([batch])
    if is_empty:
        raise TableError(f"{named} has no rows.")


def typed(frame: Frame) -> Frame:
    """Convert the columns of a text table that contain only plain numbers or only Booleans."""
    columns = []
    for _, series in frame.items():
        try:
            values = typed_column(series)
        except ValueError:
            values = plain_values(series.mask(series == "None"))
            if values.dtype.kind not in "biuf":
                values = series
        columns.append(values)
    result = pandas().DataFrame(dict(enumerate(columns)), index=frame.index, copy=False)
    result = result.set_axis(frame.columns, axis=1).reset_index(drop=True)
    result.attrs = {"notes": frame.attrs.get("notes", [])}
    return result


def plain_values(series):
    """Convert text to numbers or Booleans if all values allow it and no leading zeros or digits would be lost.

    Examples
    --------
    >>> plain_values(pandas().Series(["1", "2"])).tolist(), plain_values(pandas().Series(["007", "8"])).tolist()
    ([1, 2], ['007', '8'])
    """
    pd = pandas()
    if pd.api.types.infer_dtype(series) not in ("string", "empty"):
        return series
    texts = series.dropna()
    words = texts.str.lower()
    if len(texts) == len(series) and words.isin(["true", "false"]).all():
        return words == "true"
    numbers = pd.to_numeric(series, errors="coerce")
    have_zeros = texts.str.match(r"[+-]?0\d").any()
    if have_zeros or numbers.notna().sum() < len(texts):
        return series
    # 2**53 and more
    is_cut = numbers.dtype.kind == "f" and texts.str.fullmatch(r"[+-]?\d{16,}").any()
    return series if is_cut else numbers


def as_classes(series):
    """Convert the classes of a target: text by `plain_values`, objects by their type."""
    if series.attrs.get("is_text"):
        return as_whole(plain_values(series))
    return series.infer_objects()


def _arrow_parts(
    tables: Iterable[tuple[Path, Any]], rows: int, stored: Sequence[str]
) -> Iterator[tuple[Frame, Frame]]:
    for path, table in tables:
        require_columns(table.column_names, stored)
        yield from _cut(
            arrow_files.as_frame(path, table),
            arrow_files.as_stored(path, table, list(stored)),
            rows,
        )


def _as_in_a_cell(value) -> str:
    """Convert the value of a cell to text, without ".0" for integers in columns with empty cells."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _cut(frame: Frame, as_stored: Frame, rows: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield chunks of two tables with the same rows."""
    frame = frame if frame.index.name == "line" else frame.reset_index(drop=True)
    for first in range(0, max(len(frame), 1), rows):
        yield (
            frame.iloc[first : first + rows],
            as_stored.iloc[first : first + rows].reset_index(drop=True),
        )


@contextmanager
def _files(paths: Paths) -> Iterator[tuple[list[Path], Path]]:
    """Yield the files of a table and its name. A stream is copied to a file, so that it can be read repeatedly."""
    files = files_of(paths)
    if len(files) > 1:
        yield (
            files,
            (
                Path(paths)
                if isinstance(paths, str | os.PathLike)
                else Path(f"The table of {len(files)} files")
            ),
        )
        return
    path = files[0]
    if path != STANDARD_INPUT and path.is_file():
        yield files, path
        return
    name = "Standard input" if path == STANDARD_INPUT else str(path)
    with TemporaryDirectory() as folder:
        copy = Path(folder, "stream")
        with (
            nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb")
        ) as stream:
            start = stream.read(8)
            copy = copy.with_suffix(by_mark(_ENDINGS, start) or ".csv")
            with copy.open("wb") as file:
                file.write(start)
                shutil.copyfileobj(stream, file)
        if not copy.stat().st_size:
            raise TableError(f"{name} is empty.")
        try:
            yield [copy], copy
        except TableError as error:
            raise TableError(str(error).replace(str(copy), name)) from error


def _checked(frame: Frame, path: Path) -> Frame:
    """Return a table, and raise an error if it has no rows or no columns."""
    if not frame.shape[1] or not len(frame):
        raise TableError(
            f"{path} has {frame.shape[1]} columns and {len(frame)} rows: expected at"
            " least one of each."
        )
    return frame


def may_be_in_parts(table) -> bool:
    """Return whether parts of a table can be read in any order, as in Parquet, Arrow and unfiltered data sets."""
    if is_dataset(table):
        try:
            table.get_fragments()
        except ValueError:  # pyarrow cannot split a filtered data set
            return False
        return True
    if not is_path(table):
        return False
    files = files_of(table)
    return files[0].suffix.lower() in PARQUET | ARROW and all(
        file.is_file() for file in files
    )
