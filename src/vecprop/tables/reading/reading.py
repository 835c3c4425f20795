"""Reading tables from files: CSV with any separator and encoding, Parquet, Arrow, Excel, whole or in chunks."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from ...system.extras import imported
from ..error import TableError, first_line, pandas
from ..kinds.kinds import as_whole
from . import arrow_files
from .bounds import CELL, require_room, require_room_for_workbook
from .delimited import Separated, known_target, listed, require_columns, require_distinct
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


def _read_excel(files: Sequence[Path]) -> Any:
    """Return the first sheet of a workbook as a data frame, whose rows are named by their numbers in the sheet."""
    path = files[0]
    if len(files) > 1:
        raise TableError(f"{path} is a workbook, which is read alone: save several as Parquet or CSV.")
    imported("openpyxl", "Reading an Excel file", "tables")
    pd = pandas()
    try:
        require_room_for_workbook(path)
        whole_book = {"read_only": False}  # otherwise openpyxl reports no merged cells and hidden rows
        with pd.ExcelFile(path, engine="openpyxl", engine_kwargs=whole_book) as book:
            sheets, sheet = book.sheet_names, book.book.worksheets[0]
            require_room(path, CELL * sheet.max_row * sheet.max_column)
            whole = pd.read_excel(book, header=None, dtype=object, keep_default_na=False, na_values=[""])
            require_room(path, sum(len(text) for text in whole.to_numpy().flat if isinstance(text, str)))
    except TableError:
        raise
    except Exception as error:  # of zipfile, XML or openpyxl: a damaged workbook may be wrong in any way
        raise TableError(f"{path} cannot be read as an Excel file: {first_line(error)}.") from error
    if not len(whole):
        raise TableError(f"{path} has no values in its first sheet.")
    notes = [f"{path.name}: of {len(sheets)} sheets only the first, {sheets[0]!r}, is read."] if len(sheets) > 1 else []
    merged = [cells for cells in sheet.merged_cells.ranges if cells.min_row > 1]
    for cells in merged:
        place = slice(cells.min_row - 1, cells.max_row), slice(cells.min_col - 1, cells.max_col)
        whole.iloc[place] = whole.iloc[cells.min_row - 1, cells.min_col - 1]
    if merged:
        notes.append(f"{path.name}: each of the cells that are merged, such as {merged[0].coord}, has their value.")
    hidden = [row for row, of in sheet.row_dimensions.items() if of.hidden and 1 < row <= len(whole)]
    if hidden:
        notes.append(f"{path.name}, {listed(hidden)}: hidden, but read as the other rows are.")
    names = [f"column {number}" if pd.isna(name) else str(name).strip() for number, name in enumerate(whole.iloc[0], 1)]
    require_distinct(names, str(path))
    frame = whole.iloc[1:].dropna(how="all").set_axis(names, axis=1).infer_objects()
    frame.index = (frame.index + 1).rename("line")
    frame.attrs["notes"] = notes
    return frame


Frame = Any
"""A pandas DataFrame."""

_ENDINGS = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\x1f\x8b": ".csv.gz", b"BZh": ".csv.bz2"}
_ENDINGS |= {b"\xfd7zXZ": ".csv.xz", b"(\xb5/\xfd": ".csv.zst"}
"""The endings of names of files that begin so; a stream has no name."""


def read_table(
    path: Paths | Any, *, as_text: bool = False, target: str | None = None, classes: Sequence[str] = ()
) -> Frame:
    r"""Return a table from a file, several files or a folder.

    Parameters
    ----------
    path : path, list of paths, or Dataset (pyarrow)
        A Parquet file (``.parquet``, ``.pq``), an Arrow or Feather file (``.arrow``, ``.feather``, ``.ipc``), or a text
        file with a line of names and a line for each row, whatever its name, its separator (comma, semicolon, tab,
        bar, spaces) and its encoding; it may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``, ``.zip``). Or an
        Excel workbook (``.xlsx``), of which the first sheet is read; or ``-``, which is standard input. A folder, with
        the folders in it, is a table in files of one kind with the same columns, in the order of their names; names
        that begin with a point or an underscore do not count.
    as_text : bool, default False
        Whether the columns of a text file are their text, as models read them, with each row named by its line, as rows
        of Excel files are then by their number in the sheet. By default, columns of plain numbers and of truth values
        become these, except for digits that begin with 0. In several files a column becomes what it is in all of them.
    target : str, optional
        A column of a text file whose missing values are counted in the notes.
    classes : sequence of str
        Words for missing values, such as NA, that are classes of the target instead.

    Returns
    -------
    DataFrame (pandas)
        The columns as they are; ``attrs["notes"]`` lists in sentences what was assumed about text files.

    Raises
    ------
    TableError
        If there is no such file, or it is empty, not a table, or has rows longer than its line of names; or if files
        of one table have other columns or types.

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
        named, data = Path("The data set"), cast(Any, path)
        return _checked(arrow_files.as_frame(named, arrow_files.one_line_errors(named, data.to_table)), named)
    with _files(path) as (files, named):
        suffix = files[0].suffix.lower()
        if suffix in PARQUET | ARROW:
            from pyarrow import concat_tables

            frame = arrow_files.as_frame(named, concat_tables(_with_room(arrow_files.tables_of(files))))
        elif suffix in EXCEL:
            frame = _read_excel(files)
            frame = frame if as_text else frame.reset_index(drop=True)
        else:
            frame = _checked(_text_of(files, named, target, classes), named)
            frame = frame if as_text else typed(frame)
        return _checked(frame, named)


def _with_room(tables: Iterable[tuple[Path, Any]]) -> Iterator[Any]:
    """Yield the Arrow tables of files; refuse a file whose tables together take too much memory."""
    sizes = Counter[Path]()
    for path, table in tables:
        sizes[path] += table.nbytes
        require_room(path, sizes[path])
        yield table


def is_dataset(table: Any) -> bool:
    """Return whether a table is a data set of pyarrow."""
    return hasattr(table, "get_fragments") and hasattr(table, "to_table")


def _text_of(files: Sequence[Path], named: Path, target: str | None, classes: Sequence[str]) -> Frame:
    """Return text files as one table of text, whose rows are named by their lines."""
    texts = list(separated(files))
    frames = [text.read(target) for text in texts]
    notes = list(dict.fromkeys(note for frame in frames for note in frame.attrs["notes"]))
    frame = frames[0]
    if len(files) > 1:
        for part, name in zip(frames, short_names(files), strict=True):
            part.index = _lines_of_file(name, part.index)
        frame = pandas().concat([part[frame.columns] for part in frames]).rename_axis(index="line")
    if target in frame.columns:
        frame[target], more = known_target(frame[target], classes, named.name)
        notes += more
    frame.attrs = {"notes": notes, "is_text": True}
    return frame


def separated(files: Sequence[Path]) -> Iterator[Separated]:
    """Yield how text files are read, which must have the same columns; those of one file are looked at when read."""
    of_first: list[str] = []
    for file in files:
        text = Separated.of(file)
        if len(files) > 1:
            names = text.names()
            of_first = of_first or names
            require_equal_columns(names, file, of_first, files[0])
        yield text


def _lines_of_file(name: str, lines: Any) -> Any:
    """Return names of rows that tell the file too."""
    return pandas().Index([f"{name}:{line}" for line in lines], dtype="str", name="line")


def read_chunks(path: Paths | Any, rows: int = 100_000, *, as_text: bool = False) -> Iterator[Frame]:
    r"""Yield a table in parts, so that it need not fit in memory; each part is of one file.

    Parameters
    ----------
    path : path, list of paths, or Dataset (pyarrow)
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


def chunks(path: Paths | Any, rows: int, kept: Sequence[str] = ()) -> Iterator[tuple[Frame, Frame]]:
    """Yield the parts of a table as `read_chunks` does, each with some columns as the file has them.

    All values of text files stay text, and those of Parquet and Arrow files have Arrow's types.
    """
    if is_dataset(path):
        require_columns(cast(Any, path).schema.names, kept)
        yield from _arrow_parts(_batches(path, rows), rows, kept)
        return
    with _files(path) as (files, named):
        suffix = files[0].suffix.lower()
        if suffix in PARQUET | ARROW:
            parts = _arrow_parts(arrow_files.tables_of(files), rows, kept)
        elif suffix in EXCEL:
            frame = _checked(_read_excel(files), named)
            require_columns(frame.columns, kept)
            parts = _cut(frame, frame[list(kept)].map(_as_in_a_cell, na_action="ignore"), rows)
        else:
            parts = _text_parts(files, rows, kept)
        is_empty = True
        for part, as_stored in parts:
            if len(files) == 1 or len(part):
                yield _checked(part, named), as_stored
                is_empty = False
        if is_empty:
            raise TableError(f"{named} has no rows.")


def _text_parts(files: Sequence[Path], rows: int, kept: Sequence[str]) -> Iterator[tuple[Frame, Frame]]:
    """Yield the parts of text files, with the columns in the order of the first file."""
    if len(files) == 1:
        yield from Separated.of(files[0]).parts(rows, kept)
        return
    texts = list(separated(files))
    names = texts[0].names()
    for text, name in zip(texts, short_names(files), strict=True):
        for part, as_stored in text.parts(rows, kept):
            part.index = _lines_of_file(name, part.index)
            yield part[names], as_stored


def _batches(dataset: Any, rows: int) -> Iterator[tuple[Path, Any]]:
    """Yield the batches of a data set that have rows as Arrow tables, and what the data set is called."""
    from pyarrow import Table

    named, batches, is_empty = Path("The data set"), dataset.to_batches(batch_size=rows), True
    while (batch := arrow_files.one_line_errors(named, lambda: next(batches, None))) is not None:
        if len(batch):
            is_empty = False
            yield named, Table.from_batches([batch])
    if is_empty:
        raise TableError(f"{named} has no rows.")


def typed(frame: Frame) -> Frame:
    """Return a table of text with columns of numbers and of truth values where all values are plain ones."""
    columns = {name: plain_values(frame[name].mask(frame[name] == "None")) for name in frame.columns}
    plain = {name: column for name, column in columns.items() if column.dtype.kind in "biuf"}
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
    """Return known values of a target of classes: text of a file as `plain_values`, Python objects by their type."""
    return as_whole(plain_values(known)) if known.attrs.get("is_text") else known.infer_objects()


def _arrow_parts(tables: Iterable[tuple[Path, Any]], rows: int, kept: Sequence[str]) -> Iterator[tuple[Frame, Frame]]:
    for path, table in tables:
        require_columns(table.column_names, kept)
        yield from _cut(arrow_files.as_frame(path, table), arrow_files.as_stored(path, table, list(kept)), rows)


def _as_in_a_cell(value: Any) -> str:
    """Return a value of a sheet as text; whole numbers, which pandas reads as 1.0 beside empty cells, have no point."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _cut(frame: Frame, as_stored: Frame, rows: int) -> Iterator[tuple[Frame, Frame]]:
    """Yield parts of two tables with the same rows."""
    frame = frame if frame.index.name == "line" else frame.reset_index(drop=True)
    for first in range(0, max(len(frame), 1), rows):
        yield frame.iloc[first : first + rows], as_stored.iloc[first : first + rows].reset_index(drop=True)


@contextmanager
def _files(paths: Paths) -> Iterator[tuple[list[Path], Path]]:
    """Give the files of a table, which can be read more than once, and its name: a stream is copied first."""
    files = files_of(paths)
    if len(files) > 1:
        yield files, Path(paths) if isinstance(paths, str | os.PathLike) else Path(f"The table of {len(files)} files")
        return
    path = files[0]
    if path != STANDARD_INPUT and path.is_file():
        yield files, path
        return
    said = "Standard input" if path == STANDARD_INPUT else str(path)
    with TemporaryDirectory() as folder:
        copy = Path(folder, "stream")
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb") as stream:
            start = stream.read(8)
            copy = copy.with_suffix(next((end for mark, end in _ENDINGS.items() if start.startswith(mark)), ".csv"))
            with copy.open("wb") as file:
                file.write(start)
                shutil.copyfileobj(stream, file)
        if not copy.stat().st_size:
            raise TableError(f"{said} is empty.")
        try:
            yield [copy], copy
        except TableError as error:
            raise TableError(str(error).replace(str(copy), said)) from error


def _checked(frame: Frame, path: Path) -> Frame:
    """Return a table if it has rows and columns, else refuse it."""
    if not frame.shape[1] or not len(frame):
        raise TableError(f"{path} has {frame.shape[1]} columns and {len(frame)} rows: a table needs both.")
    return frame


def may_be_in_parts(table: Any) -> bool:
    """Return whether a table can be read in parts in any order: of Parquet or Arrow, or a data set of all rows."""
    if is_dataset(table):
        try:
            table.get_fragments()
        except ValueError:  # the filtered rows of a data set, which pyarrow gives as a whole alone
            return False
        return True
    if not is_path(table):
        return False
    files = files_of(table)
    return files[0].suffix.lower() in PARQUET | ARROW and all(file.is_file() for file in files)


def chunks_if_several(table: Any) -> Iterator[Frame] | None:
    """Return the parts of a table, with text as it is, if it can be read in parts or has several files; else None."""
    is_several = may_be_in_parts(table) or (is_path(table) and len(files_of(table)) > 1)
    return read_chunks(table, as_text=True) if is_several else None
