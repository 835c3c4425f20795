"""Rows in blocks, which are read one at a time: data that need not fit into memory."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

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
    contents of 16 blocks tell. ``expect(numbers)`` is told which blocks are read next, in this order, so that it can
    load several at once.

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
    """Return a text that differs for other data: the blocks' own, or a digest of the contents of some.

    Examples
    --------
    >>> X = np.eye(4)
    >>> digest_of(ArrayBlocks(X, X[0])) == digest_of(ArrayBlocks(X, X[1]))
    False
    """
    own = getattr(blocks, "digest", None)
    if own is not None:
        return str(own())
    digest = hashlib.sha256()
    for number in np.unique(np.linspace(0, len(blocks.sizes) - 1, SAMPLED).astype(int)):
        for array in map(np.asarray, blocks.read(int(number))):
            digest.update(f"{array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
