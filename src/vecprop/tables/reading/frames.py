"""Convert tables (pandas, polars, Arrow, arrays, paths) to pandas data frames, and split their rows into blocks."""

from collections.abc import Callable, Sequence
from datetime import time
from threading import Event
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from ...system.threads import run_in_parallel, usable_threads
from ..error import TableError, pandas
from .arrow_files import with_index
from .arrow_streams import is_stream
from .delimited import require_columns, require_distinct
from .file_lists import is_path
from .reading import Frame, is_dataset, read_table

NUMBERS_AT_ONCE = 2**21
"""The number of inputs in a block (8 MB in float32)."""
FEWEST_AT_ONCE = 1024
"""Blocks contain a multiple of this number of rows, so that blocks and tiles of
predictions end at the same rows.
"""


def as_frame(
    table, estimator=None, target: str | None = None, classes: Sequence[str] = ()
) -> Frame:
    """Convert a table to a pandas data frame with column names of type str.

    Parameters
    ----------
    table : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), Arrow
    stream, array (N, I), path or list of paths
        The table. Dask data frames are loaded into memory. Paths and data sets are read
        with `read_table`; values of text files stay text. The columns of an array are
        named x0, x1, … Index levels of a data frame become its first columns, unless
        they are unnamed and contain integers; ``attrs["index"]`` lists these columns.

    Raises
    ------
    TableError
        If two columns have the same name, a file is not a table, or the table is a
        dict.
    ValueError
        If an array does not have two axes.

    Examples
    --------
    >>> as_frame(np.eye(2))
        x0   x1
    0  1.0  0.0
    1  0.0  1.0
    """
    if is_path(table) or is_dataset(table) or is_stream(table):
        table = read_table(table, as_text=True, target=target, classes=classes)
    elif _is_of_dask(table):
        table = table.compute()
    if not has_names(table):
        return _of_array(table, estimator)
    frame = table if isinstance(table, pandas().DataFrame) else table.to_pandas()
    names = [str(name) for name in frame.columns]
    require_distinct(names, "The table")
    if list(frame.columns) != names:
        frame = frame.set_axis(names, axis=1)
    if not (frame.index.name == "line" and frame.attrs):  # lines of a file
        frame = with_index(frame)
    if not len(frame) or not frame.shape[1]:
        raise TableError(
            f"The table has {len(frame)} row(s) and {frame.shape[1]} column(s): at"
            " least one of each is required."
        )
    converted = {}
    for name, series in frame.items():
        column = plain_column(series)
        if column is not None:
            converted[name] = column
    return frame.assign(**converted) if converted else frame


def plain_column(series):
    """Convert times, durations, periods, intervals, complex numbers or objects. Return None for other columns."""
    pd = pandas()
    unusual = (list, dict, bytes, time)
    if isinstance(series.dtype, pd.ArrowDtype) and series.dtype.type in unusual:
        objects = series.astype(object)
        column = plain_column(objects)
        return objects if column is None else column
    if series.dtype.kind == "m":
        return series.dt.total_seconds()
    if isinstance(series.dtype, pd.PeriodDtype):
        return series.dt.to_timestamp()
    if series.dtype.kind == "c" or isinstance(series.dtype, pd.IntervalDtype):
        return series.astype(str)
    if series.dtype != object:
        return None
    inferred = pd.api.types.infer_dtype(series)
    if inferred in ("timedelta", "timedelta64"):
        return pd.to_timedelta(series).dt.total_seconds()
    if inferred == "time":
        durations = pd.to_timedelta(series.map(time.isoformat, na_action="ignore"))
        return durations.dt.total_seconds()
    is_plain = (
        pd.api.types.is_scalar(value) and not isinstance(value, bytes)
        for value in series
    )
    return None if all(is_plain) else series.map(_as_text, na_action="ignore")


def _as_text(value) -> str:
    """Convert bytes, lists of names (joined by semicolons) and other objects to text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(name, str | int) for name in value
    ):
        names = sorted(value) if isinstance(value, set | frozenset) else value
        return ";".join(map(str, names))
    return str(value)


def has_names(table) -> bool:
    """Return whether a table has column names: a data frame or a path, not an array."""
    if is_path(table) or is_dataset(table) or is_stream(table) or _is_of_dask(table):
        return True
    return isinstance(table, pandas().DataFrame) or hasattr(table, "to_pandas")


def _is_of_dask(table) -> bool:
    """Return whether a table is a Dask data frame."""
    return hasattr(table, "map_partitions") and getattr(table, "ndim", 0) == 2


def _of_array(array, estimator) -> Frame:
    """Convert an array to a data frame. Columns that contain only numbers become numeric."""
    if isinstance(array, list) and array and isinstance(array[0], dict):
        raise TableError(
            "X is a list of dicts, not a data frame: convert it with"
            " pandas.DataFrame(X)."
        )
    if hasattr(array, "collect"):
        raise TableError(
            f"X is a {type(array).__name__}, not a data frame: call its collect()."
        )
    if type(array) is dict:
        raise TableError(
            "X is a dict, not a data frame: convert it with pandas.DataFrame(X)."
        )
    if not hasattr(array, "__array__") and np.ndim(array) == 0:
        raise TableError(
            f"X is {array!r}, not a table: pass a data frame, an array or the path of a"
            " file."
        )
    if isinstance(array, pandas().Series):
        raise TableError(
            "X is a Series, not a data frame: pass a row as X.to_frame().T, or a column"
            " as X.to_frame()."
        )
    is_object = (
        isinstance(array, np.ndarray | list) and np.asarray(array).dtype.kind in "OUS"
    )
    dtype: Any = object if is_object else "numeric"
    X: Any = check_array(
        array, estimator=estimator, dtype=dtype, ensure_all_finite=False, input_name="X"
    )
    frame = pandas().DataFrame(X, columns=names_of_array(X.shape[1]))
    return frame.infer_objects() if is_object else frame


def names_of_array(columns: int) -> list[str]:
    """Return column names for an array."""
    return [f"x{number}" for number in range(columns)]


def column_of(frame: Frame, name: str):
    """Return a column of a table, or raise an error that suggests a similar name if it is missing."""
    require_columns(frame, [name])
    return frame[name]


def twice(frame: Frame) -> Frame:
    """Duplicate the row of a one-row table.

    The summation order of matrix products differs for a single row, so predictions
    would depend on the chunk size.
    """
    return frame if len(frame) > 1 else pandas().concat([frame, frame])


def row_blocks(rows: int, width: int) -> list[slice]:
    """Split rows into blocks, the last one with at least two rows if possible (see `twice`).

    Examples
    --------
    >>> [(block.start, block.stop) for block in row_blocks(2049, width=4000)]
    [(0, 1024), (1024, 2049)]
    """
    size = max(NUMBERS_AT_ONCE // max(width, 1) // FEWEST_AT_ONCE, 1) * FEWEST_AT_ONCE
    starts = [*range(0, max(rows - 1, 1), size)]
    return list(map(slice, starts, [*starts[1:], rows]))


def by_blocks(work: Callable[[slice], None], rows: int, width: int) -> None:
    """Call work(block) for each block of rows, in parallel threads. After Ctrl-C, no further block is started."""
    blocks = row_blocks(rows, width)
    workers = min(usable_threads(), len(blocks))
    is_stopped = Event()

    def work_on_blocks(worker: int):
        for block in blocks[worker::workers]:
            if not is_stopped.is_set():
                work(block)

    run_in_parallel(work_on_blocks, workers, is_stopped.set)
