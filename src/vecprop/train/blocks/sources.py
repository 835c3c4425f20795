"""Blocks of rows, which are read one at a time and need not fit into memory."""

import hashlib
import json
import os
from math import ceil
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy import ndarray

from ...core.counter_rng import row_keys

NAMES = "X", "T", "sample_weight"
"""The names of the arrays in a folder of blocks."""

MANIFEST = "blocks.json"
"""The file that marks a folder of blocks as complete."""

SAMPLED = 16
"""The number of blocks whose contents identify a data set."""


class Blocks(Protocol):
    """The interface of data sources for `train_blocks`: two attributes and a method.

    The division of rows into blocks affects the row order of an epoch, and therefore
    the bits of a fit. Rows are numbered consecutively through all blocks.

    Attributes
    ----------
    sizes : sequence of int
        The number of rows of each block.
    inputs : int
        The number of inputs of a row.

    Notes
    -----
    A class may define further methods. ``place(number)`` returns the name of a block
    for error messages, such as a file and its row group. ``digest()`` returns a string
    that identifies the data for checkpoints. By default, the digest is computed from
    the contents of 16 blocks. ``prefetch(numbers)`` receives the indices of the next
    blocks in reading order, so that several can be loaded at once.

    Examples
    --------
    >>> class Squares:
    ...     sizes, inputs = [500] * 20, 1
    ...
    ...     def read(self, number):
    ...         X = np.random.default_rng(number).uniform(-1, 1, (500, 1))
    ...         return X, X**2
    >>> network = Network(1, [Dense(8), Tanh(), Dense(1)], SquaredError())
    >>> result = train_blocks(network, network.init(0), Squares(), optimizer=Adam(0.01), epochs=20, batch_size=50)
    >>> bool(result.history.loss[-1] < 0.001)
    True
    """

    @property
    def sizes(self) -> Any:
        """The number of rows of each block."""
        ...

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        ...

    def read(self, number: int) -> tuple:
        """Return the inputs (n, I) and targets of a block of n rows, and its weights (n,) if rows are weighted.

        The method may be called from another thread, and several times for the same
        block.
        """
        ...


class ArrayBlocks:
    """Blocks of rows of arrays, which may be memory maps.

    Parameters
    ----------
    X : array (N, I)
        The inputs. If X is a memory map, only one block at a time is loaded.
    T : array (N, ...)
        The targets, in the form that the network's loss expects.
    sample_weight : array (N,), optional
        The weights of the rows.
    rows : int, default 8192
        The number of rows in a block. The last block may be smaller.

    Attributes
    ----------
    sizes : ndarray of int
        The number of rows of each block.
    inputs : int
        The number of inputs of a row.

    Examples
    --------
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> blocks = ArrayBlocks(X, X.sum(axis=1), rows=2)
    >>> blocks.sizes.tolist(), blocks.read(1)
    ([2, 1], (array([[4., 5.]]), array([9.])))
    """

    def __init__(self, X: Any, T: Any, sample_weight: Any = None, *, rows: int = 8192):
        self.X = X = _as_array(X)
        self.T = _as_array(T)
        self.sample_weight = sample_weight
        if sample_weight is not None:
            self.sample_weight = _as_array(sample_weight)
        if np.ndim(X) != 2 or not len(X):
            raise ValueError(
                f"X must have shape (N, I) with at least one row, got {np.shape(X)}."
            )
        for name in ("T", "sample_weight"):
            values = getattr(self, name)
            if values is not None and np.shape(values)[:1] != (len(X),):
                raise ValueError(
                    f"{name} must have one entry per row of X ({len(X)}), got shape"
                    f" {np.shape(values)}."
                )
        require_count_of_rows(rows)
        self.rows = int(rows)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Open a folder that was written by `copy_blocks`, as memory maps.

        Raises
        ------
        ValueError
            If the folder was not written by `copy_blocks`, or is incomplete.
        """
        manifest = Path(folder, MANIFEST)
        if not manifest.is_file():
            raise ValueError(
                f"{folder} has no {MANIFEST}: it is not a folder of blocks, or the copy"
                " was not finished."
            )
        *paths, weight_path = (Path(folder, f"{name}.npy") for name in NAMES)
        if weight_path.exists():
            paths.append(weight_path)
        try:
            rows = json.loads(manifest.read_text(encoding="utf-8"))["rows"]
            return cls(*(np.load(path, mmap_mode="r") for path in paths), rows=rows)
        except (ValueError, TypeError, KeyError, EOFError, FileNotFoundError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ValueError(
                f"{folder} is a damaged folder of blocks: {reason}; copy the blocks again."
            ) from error

    @property
    def sizes(self) -> ndarray:
        """The number of rows of each block."""
        return np.diff([*range(0, len(self.X), self.rows), len(self.X)])

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        return int(self.X.shape[1])

    def read(self, number: int) -> tuple:
        """Return views of a block's inputs, targets and, if there are any, weights."""
        rows = slice(number * self.rows, (number + 1) * self.rows)
        if self.sample_weight is None:
            return self.X[rows], self.T[rows]
        return self.X[rows], self.T[rows], self.sample_weight[rows]


def _as_array(values):
    """Convert a list or a data frame to an array; return arrays, also memory maps, unchanged."""
    is_array = hasattr(values, "dtype") and not hasattr(values, "iloc")
    return values if is_array else np.asarray(values)


def require_count_of_rows(rows):
    """Raise ValueError if rows is not a positive integer."""
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
        raise ValueError(f"rows must be a positive integer, got {rows!r}.")


def place_of(blocks: Any, number: int) -> str:
    """Return the name of a block for error messages."""
    if hasattr(blocks, "place"):
        return blocks.place(number)
    return f"block {number}"


def digest_of(blocks: Any) -> str:
    """Return a string that identifies the data: ``blocks.digest()``, or a digest of some blocks."""
    if hasattr(blocks, "digest"):
        return str(blocks.digest())
    digest = hashlib.sha256()
    for number in np.unique(np.linspace(0, len(blocks.sizes) - 1, SAMPLED).astype(int)):
        for array in map(np.asarray, blocks.read(int(number))):
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


BUCKET = 2**27
"""The size of a bucket in bytes; a bucket is shuffled in memory."""

CHUNK = 2**20
"""The number of rows whose buckets are counted at once."""

UNFINISHED = f".{MANIFEST}.unfinished"

NUMBERS = "numbers"
"""The name of the temporary array of row indices."""


def copy_blocks(
    source: Blocks,
    folder: str | os.PathLike[str],
    *,
    shuffle: int | None = None,
    rows: int = 8192,
) -> ArrayBlocks:
    """Copy blocks to a folder of arrays and return the copy.

    Arrays are faster to read than Parquet. With ``shuffle``, the rows are shuffled as
    thoroughly as in memory, so that windows may have few blocks. The source is read
    once. The copy uses 128 MB of memory in addition to one block.

    Parameters
    ----------
    source : ArrayBlocks, ParquetBlocks or another object of `Blocks`
        The rows.
    folder : path
        The folder to create. The folder contains ``X.npy``, ``T.npy``,
        ``sample_weight.npy`` if rows are weighted, and ``blocks.json``, which is
        written last.
    shuffle : int, optional
        The random seed of the order. By default, the rows keep their order. The
        shuffled order depends only on the seed and the number of rows.
    rows : int, default 8192
        The number of rows per block of the copy.

    Returns
    -------
    ArrayBlocks
        The copy. ``ArrayBlocks.open(folder)`` opens it again later.

    Raises
    ------
    FileExistsError
        If the folder contains a copy or other files.

    Examples
    --------
    >>> import tempfile
    >>> X = np.arange(10.0)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     copy = copy_blocks(ArrayBlocks(X, X[:, 0], rows=3), os.path.join(folder, "mixed"), shuffle=0)
    ...     copy.X[:, 0].tolist()
    [0.0, 7.0, 8.0, 2.0, 5.0, 9.0, 4.0, 6.0, 3.0, 1.0]
    """
    if shuffle is not None:
        if not isinstance(shuffle, int | np.integer):
            raise TypeError(
                f"shuffle must be an integer seed or None, got {shuffle!r}."
            )
        shuffle = int(shuffle)
    require_count_of_rows(rows)
    folder = Path(folder)
    _clear(folder)
    copy = _Copy(source, folder, shuffle)
    for block in range(len(source.sizes)):
        copy.scatter(block)
    copy.mix()
    unfinished = folder / UNFINISHED
    # a copy without the manifest counts as incomplete
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump({"rows": int(rows), "shuffle": shuffle}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / MANIFEST)
    return ArrayBlocks.open(folder)


def _clear(folder: Path):
    """Create a folder, or delete the files of an unfinished copy; raise an error if it has other files."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"{folder} is a file: use the name of a folder for the copy."
        )
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in folder.iterdir())
    if MANIFEST in names:
        raise FileExistsError(
            f"{folder} already contains a copy: use another folder, or"
            " ArrayBlocks.open(folder)."
        )
    expected = {UNFINISHED, *(f"{name}.npy" for name in (*NAMES, NUMBERS))}
    for name in names:
        if name not in expected:
            raise FileExistsError(
                f"{folder} already contains {name}: use an empty folder for the copy."
            )
    for name in names:  # an old file of weights would be read with the new rows
        Path(folder, name).unlink()


class _Copy:
    """Write shuffled arrays in two passes, with few rows in memory.

    Each row has a random key, and the final order is the order of the keys. The range
    of keys is divided into buckets, and each bucket is a contiguous range of the
    output. The first pass writes the rows of each block to their buckets; the second
    pass sorts each bucket in memory.
    """

    def __init__(self, source: Blocks, folder: Path, seed: int | None):
        """Create the arrays of the copy, and count the rows of each bucket."""
        self.source = source
        self.folder = folder
        self.seed = seed
        self.starts = np.concatenate([[0], np.cumsum(source.sizes)]).astype(np.int64)
        self.rows = int(self.starts[-1])
        self.arrays = self._created_arrays()
        self.buckets = 1
        if seed is not None:
            size = sum(array.nbytes for array in self.arrays)
            self.buckets = max(1, ceil(size / BUCKET))
        self.sizes = np.zeros(self.buckets, np.int64)
        for start in range(0, self.rows, CHUNK):
            numbers = np.arange(start, min(start + CHUNK, self.rows))
            self.sizes += self._counts(self._buckets_of(numbers))
        # the next position to write in each bucket
        self.ends = np.cumsum(self.sizes) - self.sizes

    def _created_arrays(self) -> list:
        """Create memory maps of X, T, any weights, and the row numbers if the copy is shuffled."""
        examples = {}
        examples.update(zip(NAMES, self.source.read(0), strict=False))
        if self.seed is not None:
            examples[NUMBERS] = self.starts
        arrays = []
        for name, values in examples.items():
            values = np.asarray(values)
            shape = (self.rows, *values.shape[1:])
            array = np.lib.format.open_memmap(
                self.folder / f"{name}.npy", "w+", values.dtype, shape
            )
            arrays.append(array)
        return arrays

    def scatter(self, block: int):
        """Write the rows of a block to their buckets."""
        numbers = np.arange(self.starts[block], self.starts[block + 1])
        arrays = [np.asarray(array) for array in self.source.read(block)]
        if self.seed is not None:
            arrays.append(numbers)
        if not self._can_store(arrays, len(numbers)):
            raise ValueError(
                f"{place_of(self.source, block)} has arrays of other shapes or dtypes"
                " than the first block: convert them."
            )
        bucket_of_rows = self._buckets_of(numbers)
        rows_by_bucket = np.argsort(bucket_of_rows, kind="stable")
        ends = np.cumsum(self._counts(bucket_of_rows))
        for bucket, rows in enumerate(np.split(rows_by_bucket, ends[:-1])):
            start = self.ends[bucket]
            self.ends[bucket] += len(rows)
            for array, copy in zip(arrays, self.arrays, strict=True):
                copy[start : self.ends[bucket]] = array[rows]

    def _can_store(self, arrays: list[ndarray], rows: int) -> bool:
        """Return whether the arrays of a block have the shapes and dtypes of the copy."""
        shapes = [(rows, *copy.shape[1:]) for copy in self.arrays]
        if [array.shape for array in arrays] != shapes:
            return False
        pairs = zip(arrays, self.arrays, strict=True)
        return all(np.can_cast(array.dtype, copy.dtype) for array, copy in pairs)

    def mix(self):
        """Sort the rows of each bucket if the copy is shuffled, and flush the arrays to disk."""
        if self.seed is not None:
            # imported late because it loads Numba
            from ...compiled.lower.row_loops import order_of_part

            *arrays, numbers = self.arrays
            starts = self.ends - self.sizes
            for start, end in zip(starts, self.ends, strict=True):
                order = order_of_part(self.seed, 0, np.array(numbers[start:end]))
                for array in arrays:
                    array[start:end] = array[start:end][order]
            Path(self.folder, f"{NUMBERS}.npy").unlink()
        for array in self.arrays:
            array.flush()

    def _counts(self, buckets: ndarray) -> ndarray:
        """Return the number of rows in each bucket."""
        return np.bincount(buckets, minlength=self.buckets)

    def _buckets_of(self, numbers: ndarray) -> ndarray:
        """Return the bucket of each row: the range of keys is divided into equal intervals.

        For keys of 32 bits, the bucket is key · buckets / 2³², rounded down.
        """
        if self.seed is None or self.buckets == 1:
            return np.zeros(len(numbers), np.int64)
        bits = np.uint64(32)
        keys = row_keys(self.seed, 0, numbers) >> bits
        return (keys * np.uint64(self.buckets) >> bits).astype(np.int64)
