"""Dask data as blocks of rows: workers load the partitions, and training is local."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..system.suggestions import suggestion
from ..tables.error import TableError
from ..tables.streaming.parquet_blocks import columns_as_array, names_of_targets
from .cluster import connected, require_open, threads_of

AHEAD = 2
"""The number of blocks to load ahead per thread of the cluster."""

POLL_INTERVAL = 2.0
"""The interval in seconds at which a waiting reader checks that the cluster still
exists.
"""

RETRIES = 3
"""The maximum number of times that loading a block is retried if its workers die."""


class DaskBlocks:
    """Blocks of a Dask data frame or array. Each partition is a block.

    The workers of the cluster load several partitions in advance and convert the
    partitions to arrays. This process trains the network. With the same rows in the
    same blocks, the result is bit-identical to training on `ParquetBlocks` and
    `ArrayBlocks`. If a worker is lost, other workers load its partitions again.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame or dask.array.Array (N, I)
        The rows. The input columns of a data frame must be numeric, without missing
        values.
    target : str, sequence of str, or dask.array.Array (N, ...)
        The name or names of the target columns. If frame is an array, target is the
        array of targets.
    inputs : sequence of str, optional
        The names of the input columns. By default, all other columns are inputs.
    weight : str or dask.array.Array (N,), optional
        The weights of the rows, as a column name or an array.
    client : distributed.Client, optional
        The client of the cluster. The default is the most recently created client.

    Attributes
    ----------
    sizes : ndarray of int
        The number of rows of each nonempty partition. Creating the blocks loads
        partitions of unknown length to count their rows.
    inputs : int
        The number of inputs of a row.

    Raises
    ------
    TableError
        If columns are missing or not numeric.
    RuntimeError
        If the cluster has no worker for a minute, or if workers die repeatedly while
        they load a partition.

    Notes
    -----
    The partitions of ``dask.dataframe.read_parquet(folder, split_row_groups=True)``
    equal the blocks of ``ParquetBlocks(folder)``.

    Examples
    --------
    >>> import dask.dataframe as dd  # doctest: +SKIP
    >>> blocks = DaskBlocks(dd.read_parquet("s3://sales/"), target="price")  # doctest: +SKIP
    >>> result = train_blocks(network, theta, blocks, optimizer=Adam(1e-3))  # doctest: +SKIP
    """

    def __init__(
        self,
        frame: Any,
        target: Any,
        *,
        inputs: Sequence[str] | None = None,
        weight: Any = None,
        client: Any = None,
    ):
        self._client = connected(client, type(self).__name__)
        self._columns = None
        if hasattr(frame, "map_partitions") and frame.ndim == 2:
            parts, self._columns, row_counts = self._split_frame(
                frame, target, inputs, weight
            )
        elif hasattr(frame, "chunks"):
            parts, row_counts = self._split_array(frame, target, inputs, weight)
        else:
            raise TypeError(
                "frame must be a Dask data frame or a Dask array, got"
                f" {type(frame).__name__}."
            )
        # blocks are the partitions that are not empty
        self._numbers = np.flatnonzero(row_counts).tolist()
        if not self._numbers:
            raise TableError("frame has no rows.")
        self._parts = [parts[number] for number in self._numbers]
        self.sizes = np.array(row_counts, np.int64)[self._numbers]
        self._expected = deque()
        self._loading = {}
        self._lock = threading.Lock()

    def _split_frame(
        self, frame, target, inputs, weight
    ) -> tuple[list, "Columns", list[int]]:
        """Return the partitions of a data frame, their columns and row counts."""
        targets = names_of_targets(target)
        others = [*targets] if weight is None else [*targets, weight]
        names = [*frame.columns]
        columns = (
            [name for name in names if name not in others]
            if inputs is None
            else list(inputs)
        )
        if not columns:
            raise TableError(
                f"frame has no columns other than {', '.join(map(repr, others))}:"
                " specify inputs."
            )
        for name in (*columns, *others):
            if name not in names:
                raise TableError(
                    "frame has no column"
                    f" {name!r}{suggestion(str(name), map(str, names)) or '.'}"
                )
            if names.count(name) > 1:
                raise TableError(
                    f"frame has {names.count(name)} columns named {name!r}: rename"
                    " them."
                )
            if getattr(frame.dtypes[name], "kind", "O") not in "biuf":
                raise TableError(
                    f"Column {name!r} must be numeric, but its dtype is"
                    f" {frame.dtypes[name]}: omit it."
                )
        self.inputs = len(columns)
        counts = self._result(
            self._client.compute(frame.map_partitions(len)), ""
        ).tolist()
        parts = frame[[*dict.fromkeys([*columns, *others])]].to_delayed()
        is_single = isinstance(target, str | int)
        return parts, Columns(columns, targets, is_single, weight), counts

    def _split_array(self, X, T, inputs, weight) -> tuple[list, list[int]]:
        """Return the row chunks of arrays, and their row counts."""
        if X.ndim != 2 or inputs is not None:
            raise ValueError(
                "frame must be an array of shape (N, I) without the argument inputs,"
                f" got {X.shape}."
            )
        arrays = {"frame": X, "target": T}
        if weight is not None:
            arrays["weight"] = weight
        row_counts = []
        parts = []
        for name, array in arrays.items():
            if not hasattr(array, "chunks"):
                raise TypeError(
                    f"{name} must be a Dask array, because frame is one, got"
                    f" {type(array).__name__}."
                )
            if np.isnan(array.shape[0]):
                array.compute_chunk_sizes()
            if name == "frame":
                row_counts = list(array.chunks[0])
            if sum(row_counts) != array.shape[0]:
                raise ValueError(
                    f"{name} must have as many rows as frame ({sum(row_counts)}), got"
                    f" {array.shape[0]}."
                )
            # -1: only rows are divided
            chunks = {0: tuple(row_counts), **dict.fromkeys(range(1, array.ndim), -1)}
            parts.append(array.rechunk(chunks).to_delayed().ravel())
        self.inputs = int(X.shape[1])
        return list(zip(*parts, strict=True)), row_counts

    def place(self, number: int) -> str:
        """Return the name of a block's partition, for error messages."""
        return f"partition {self._numbers[number]}"

    def prefetch(self, numbers: Sequence[int]):
        """Let workers load these blocks, which are read next in this order."""
        with self._lock:
            self._expected = deque(numbers)
            for number in self._loading.keys() - set(numbers):
                del self._loading[number]
        self._load_ahead()

    def read(self, number: int) -> tuple:
        """Return a block's inputs, targets and, if there are any, weights."""
        with self._lock:
            if number in self._expected:
                self._expected.remove(number)
            future = self._loading.pop(number, None)
        for attempt in range(RETRIES + 1):
            future = future or self._load(number)
            self._load_ahead()
            try:
                return self._result(future, f"In {self.place(number)}: ")
            except _Lost as error:
                future = None  # load it again
                if attempt == RETRIES:
                    raise RuntimeError(
                        f"The workers that loaded {self.place(number)} died repeatedly:"
                        " check their logs and memory."
                    ) from error
        raise AssertionError

    def _load_ahead(self):
        """Let workers load as many of the next blocks as they have room for."""
        if not self._expected:
            return
        room = AHEAD * sum(threads_of(self._client).values())
        with self._lock:
            for number in list(self._expected)[:room]:
                if number not in self._loading:
                    self._loading[number] = self._load(number)

    def _load(self, number: int):
        """Submit the loading of a block, and return its future."""
        from dask.delayed import delayed  # pyright: ignore[reportMissingImports]

        require_open(self._client)
        part = self._parts[number]
        if self._columns is None:
            return self._client.compute(delayed(tuple)(list(part)))
        return self._client.compute(delayed(_arrays)(part, self._columns))

    def _result(self, future, where: str):
        """Wait for a future while the cluster has workers, and return its result."""
        ended = threading.Event()
        future.add_done_callback(lambda _: ended.set())
        while future.status in ("pending", "lost"):
            if not ended.wait(POLL_INTERVAL):
                threads_of(self._client)
            ended.clear()
        if future.status == "error":
            error = future.exception()
            if hasattr(error, "allowed_failures"):  # Dask's KilledWorker
                raise _Lost from error
            if isinstance(error, TableError):
                raise TableError(f"{where}{error}") from error
            raise error
        if future.status != "finished":
            raise _Lost
        return future.result()


class _Lost(Exception):
    """A result was lost because its workers died."""


class Columns(NamedTuple):
    """The names of the columns of a data frame; a single target has one dimension."""

    inputs: list[str]
    targets: list[str]
    is_single: bool
    weight: str | None


def _arrays(frame, columns: Columns) -> tuple[np.ndarray, ...]:
    """Return the inputs, targets and weights of a partition; runs in a worker."""
    X = columns_as_array([_numbers(frame, name) for name in columns.inputs], np.float32)
    targets = [_numbers(frame, name) for name in columns.targets]
    T = targets[0] if columns.is_single else columns_as_array(targets)
    if columns.weight is None:
        return X, T
    return X, T, _numbers(frame, columns.weight)


def _numbers(frame, name: str) -> np.ndarray:
    """Return a column as an array, or raise TableError if a value is not finite."""
    column = frame[name]
    is_missing = column.isna().to_numpy()
    if is_missing.any():
        raise TableError(
            f"column {name!r} has a missing value in row {int(is_missing.argmax())};"
            " fill or drop it."
        )
    values = column.to_numpy(dtype=getattr(column.dtype, "numpy_dtype", None))
    if column.dtype.kind == "b":
        return values.astype(np.int64)
    if column.dtype.kind == "f" and not (is_finite := np.isfinite(values)).all():
        row = int(is_finite.argmin())
        raise TableError(
            f"column {name!r} is {values[row]} in row {row}; fill or drop it."
        )
    return values
