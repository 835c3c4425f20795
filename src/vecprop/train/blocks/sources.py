"""Rows in blocks, which are read one at a time: data that need not fit into memory."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from ...core.counter_rng import row_keys

NAMES = "X", "T", "sample_weight"
"""The names of the arrays in a folder of blocks."""

MANIFEST = "blocks.json"
"""The file that a folder of blocks has when it is whole."""

SAMPLED = 16
"""The number of blocks whose contents tell one data set from another."""


class Blocks(Protocol):
    """Rows in blocks. An object with these three is trained on by `train_blocks`, wherever its rows come from.

    Which rows are in which block is a part of the data: the order of an epoch's rows depends on it, and so do the bits
    of a fit. Rows are counted through all blocks, in their order.

    Attributes
    ----------
    sizes : sequence of int
        The number of rows of each block.
    inputs : int
        The number of inputs of a row.

    Notes
    -----
    A class may say more. ``place(number)`` returns the name of a block in errors, such as a file and its part.
    ``digest()`` returns a text that differs for other data, by which a checkpoint knows its run; without it, the
    contents of 16 blocks tell. ``prefetch(numbers)`` receives the numbers of the blocks that are read next, in this
    order, so that several can be loaded at once.

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

    def read(self, number: int) -> tuple[Any, ...]:
        """Return a block's inputs (n, I) and targets, and its rows' weights (n,) if rows have any.

        It may be called from another thread, and again for the same block.
        """
        ...


class ArrayBlocks:
    """Blocks of arrays, which may be memory maps.

    Parameters
    ----------
    X : array (N, I)
        The inputs. Of a memory map, only the block that is read is in memory.
    T : array (N, ...)
        The targets, as the network's loss takes them.
    sample_weight : array (N,), optional
        The rows' weights.
    rows : int, default 8192
        The number of rows of a block; the last may be smaller.

    Examples
    --------
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> blocks = ArrayBlocks(X, X.sum(axis=1), rows=2)
    >>> blocks.sizes.tolist(), blocks.read(1)
    ([2, 1], (array([[4., 5.]]), array([9.])))
    """

    def __init__(self, X: Any, T: Any, sample_weight: Any = None, *, rows: int = 8192) -> None:
        X, T = _as_array(X), _as_array(T)
        sample_weight = None if sample_weight is None else _as_array(sample_weight)
        if np.ndim(X) != 2 or not len(X):
            raise ValueError(f"X has shape {np.shape(X)}, but blocks are of rows: (N, I), with N at least 1.")
        for name, values in (("T", T), ("sample_weight", sample_weight)):
            if values is not None and (np.ndim(values) == 0 or len(values) != len(X)):
                raise ValueError(f"{name} has shape {np.shape(values)}, but X has {len(X)} rows: give one for each.")
        require_count_of_rows(rows)
        self.X, self.T, self.sample_weight, self.rows = X, T, sample_weight, int(rows)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Return the blocks of a folder that `copy_blocks` has written, as memory maps.

        Raises
        ------
        ValueError
            If it is no such folder, or not whole.
        """
        if not Path(folder, MANIFEST).is_file():
            raise ValueError(f"{folder} has no {MANIFEST}: it is no folder of blocks, or its copy was not finished.")
        paths = [Path(folder, f"{name}.npy") for name in NAMES]
        try:
            rows = json.loads(Path(folder, MANIFEST).read_text(encoding="utf-8"))["rows"]
            X, T, *weight = (np.load(path, mmap_mode="r") for path in paths if path.exists() or path is not paths[-1])
            return cls(X, T, *weight, rows=rows)
        except (ValueError, TypeError, KeyError, EOFError, FileNotFoundError) as error:
            why = str(error).partition("\n")[0].rstrip(".")
            raise ValueError(f"{folder} is a damaged folder of blocks: {why}; copy the blocks again.") from error

    @property
    def sizes(self) -> np.ndarray:
        """The number of rows of each block."""
        return np.diff([*range(0, len(self.X), self.rows), len(self.X)])

    @property
    def inputs(self) -> int:
        """The number of inputs of a row."""
        return int(self.X.shape[1])

    def read(self, number: int) -> tuple[Any, ...]:
        """Return a block's inputs and targets, and its weights if there are any: views of the arrays."""
        rows = slice(number * self.rows, (number + 1) * self.rows)
        weight = () if self.sample_weight is None else (self.sample_weight[rows],)
        return self.X[rows], self.T[rows], *weight


def _as_array(values: Any) -> Any:
    """Return a list or a data frame as an array, and what is one, such as a memory map, as it is."""
    return values if hasattr(values, "dtype") and not hasattr(values, "iloc") else np.asarray(values)


def require_count_of_rows(rows: Any) -> None:
    """Refuse what is no number of rows of a block."""
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
        raise ValueError(f"rows is {rows!r}, but a block has a whole number of rows, at least 1.")


def place_of(blocks: Blocks, number: int) -> str:
    """Return the name of a block in errors."""
    place = getattr(blocks, "place", None)
    return f"block {number}" if place is None else place(number)


def digest_of(blocks: Blocks) -> str:
    """Return a text that differs for other data: the blocks' own, or a digest of the contents of some."""
    own = getattr(blocks, "digest", None)
    if own is not None:
        return str(own())
    digest = hashlib.sha256()
    for number in np.unique(np.linspace(0, len(blocks.sizes) - 1, SAMPLED).astype(int)):
        for array in map(np.asarray, blocks.read(int(number))):
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


BUCKET = 2**27
"""The bytes of a bucket: so much is shuffled at once in memory."""

CHUNK = 2**20
"""The rows whose buckets are counted at once."""

UNFINISHED = f".{MANIFEST}.unfinished"

NUMBERS = "numbers"
"""The name of the array of rows' numbers, which is needed only while they are copied."""


def copy_blocks(
    source: Blocks, folder: str | os.PathLike[str], *, shuffle: int | None = None, rows: int = 8192
) -> ArrayBlocks:
    """Copy blocks to a folder, whose arrays are read ten times as fast as Parquet, and return its blocks.

    In a random order, rows are mixed as well as a shuffle in memory mixes them, however few blocks a window has. The
    rows are read once; what is in memory is a block and 128 MB.

    Parameters
    ----------
    source : ArrayBlocks, ParquetBlocks or another object of `Blocks`
        The rows.
    folder : path
        The folder, which is made. It holds ``X.npy``, ``T.npy`` and perhaps ``sample_weight.npy``, and, when all is
        written, ``blocks.json``.
    shuffle : int, optional
        The seed of the order; by default rows stay in their order. The order depends on the seed and the number of rows
        alone.
    rows : int, default 8192
        The number of rows of a block of the copy.

    Returns
    -------
    ArrayBlocks
        The copy, as ``ArrayBlocks.open(folder)`` returns it later.

    Raises
    ------
    FileExistsError
        If there is a copy in the folder, or another file.

    Examples
    --------
    >>> import tempfile
    >>> X = np.arange(10.0)[:, None]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     copy = copy_blocks(ArrayBlocks(X, X[:, 0], rows=3), os.path.join(folder, "mixed"), shuffle=0)
    ...     copy.X[:, 0].tolist()
    [0.0, 7.0, 8.0, 2.0, 5.0, 9.0, 4.0, 6.0, 3.0, 1.0]
    """
    if shuffle is not None and not isinstance(shuffle, int | np.integer):
        raise TypeError(f"shuffle is {shuffle!r}, but it is a seed, a whole number, or None.")
    require_count_of_rows(rows)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: give the name of a folder for the copy.")
    folder.mkdir(parents=True, exist_ok=True)
    left = {path.name: path for path in folder.iterdir()}  # by a copy that was not finished
    if MANIFEST in left:
        raise FileExistsError(f"{folder} holds a copy of blocks: give another folder, or ArrayBlocks.open(folder).")
    foreign = sorted(left.keys() - {f"{name}.npy" for name in (*NAMES, NUMBERS)} - {UNFINISHED})
    if foreign:
        raise FileExistsError(f"{folder} holds {foreign[0]}: give a folder of its own for the copy.")
    for path in left.values():
        path.unlink()  # weights of other rows would be taken for those of these
    copy = _Copy(source, folder, shuffle)
    for block in range(len(source.sizes)):
        copy.scatter(block)
    copy.mix()
    unfinished = folder / UNFINISHED
    with unfinished.open("w", encoding="utf-8") as file:  # without the manifest, a copy is not whole
        json.dump({"rows": int(rows), "shuffle": None if shuffle is None else int(shuffle)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / MANIFEST)
    return ArrayBlocks.open(folder)


class _Copy:
    """Arrays that are written in two passes, so that neither needs many rows in memory.

    The final order is that of the rows' keys. So their range is cut into buckets, each of which has a place of its own
    in the arrays. First each block's rows are scattered to their buckets, then each bucket is sorted in memory.
    """

    def __init__(self, source: Blocks, folder: Path, seed: int | None) -> None:
        self.source, self.folder, self.seed = source, folder, None if seed is None else int(seed)
        self.starts = np.concatenate([[0], np.cumsum(source.sizes)]).astype(np.int64)
        self.rows = int(self.starts[-1])
        first = [np.asarray(array) for array in source.read(0)]
        names = [*NAMES[: len(first)], *([] if seed is None else [NUMBERS])]
        like = [*first, *([] if seed is None else [np.zeros(1, np.int64)])]
        self.arrays = [
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", array.dtype, (self.rows, *array.shape[1:]))
            for name, array in zip(names, like, strict=True)
        ]
        size = sum(array.nbytes for array in self.arrays)
        self.buckets = 1 if seed is None else max(1, -(-size // BUCKET))
        self.sizes = np.zeros(self.buckets, np.int64)
        for row in range(0, self.rows, CHUNK):
            own = np.arange(row, min(row + CHUNK, self.rows))
            self.sizes += np.bincount(self._buckets_of(own), minlength=self.buckets)
        self.ends = np.cumsum(self.sizes) - self.sizes  # of what is written of each bucket

    def scatter(self, block: int) -> None:
        """Write a block's rows to their buckets."""
        numbers = np.arange(self.starts[block], self.starts[block + 1])
        read = [np.asarray(array) for array in self.source.read(block)]
        kinds = [(len(array), array.shape[1:]) for array in read]
        arrays = self.arrays if self.seed is None else self.arrays[:-1]
        if kinds != [(len(numbers), array.shape[1:]) for array in arrays] or not all(
            np.can_cast(own.dtype, array.dtype) for own, array in zip(read, arrays, strict=True)
        ):
            raise ValueError(f"{place_of(self.source, block)} has other arrays than the first: make their types equal.")
        read += [] if self.seed is None else [numbers]
        buckets = self._buckets_of(numbers)
        order, counts = np.argsort(buckets, kind="stable"), np.bincount(buckets, minlength=self.buckets)
        for bucket, rows in enumerate(np.split(order, np.cumsum(counts)[:-1])):
            place = slice(self.ends[bucket], self.ends[bucket] + len(rows))
            self.ends[bucket] = place.stop
            for array, own in zip(self.arrays, read, strict=True):
                array[place] = own[rows]

    def mix(self) -> None:
        """Sort the rows of each bucket, if they are in a random order, and write all to disk."""
        if self.seed is not None:
            from ...compiled.lower.row_loops import order_of_part  # only now, since it loads Numba

            *arrays, numbers = self.arrays
            for end, size in zip(self.ends, self.sizes, strict=True):
                place = slice(end - size, end)
                order = order_of_part(self.seed, 0, np.array(numbers[place]))
                for array in arrays:
                    array[place] = array[place][order]
            Path(self.folder, f"{NUMBERS}.npy").unlink()
        for array in self.arrays:
            array.flush()

    def _buckets_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the bucket of each row: the range of keys is cut into equal ones."""
        if self.seed is None or self.buckets == 1:
            return np.zeros(len(numbers), np.int64)
        keys = row_keys(self.seed, 0, numbers) >> np.uint64(32)
        return (keys * np.uint64(self.buckets) >> np.uint64(32)).astype(np.int64)
