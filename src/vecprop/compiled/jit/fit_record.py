"""The record of a fit: named fields with all that a kernel reads and writes.

Kernels are compiled once and take nothing but the address of this record. So a call costs the same however many fields
there are, and nothing is unpacked on the way. Arrays belong to Python, or are parts of one block of memory that the
context reserves; the record points to both::

      Context._array: the record                     arrays that Python made
      +-----------+----------+-------------+         +------------------+
      | theta   o-|----------|-------------|-------> | parameters       |
      | epochs  3 | clip 0.5 | tile      o-|---+     +------------------+
      +-----------+----------+-------------+   |
                                               |     reserved memory, each part from a multiple of LINE bytes on
                                               |     +------------------+-----------+-------+-----
                                               +---> | tile             | workspace | delta | ...
                                                     +------------------+-----------+-------+-----
"""

import ctypes
import weakref
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate
from struct import Struct
from typing import Any, ClassVar

import numpy as np

from .addresses import record_at

LINE = 128
"""The alignment of memory that one thread writes: the two cache lines that a processor may fetch at once.

Threads that write within the same lines take them from each other at each write.
"""

_WORD, _DOUBLE = np.int64, np.float64
_ADDRESS = np.int64

ROWS = np.dtype(
    [
        ("x", _ADDRESS),
        ("columns", _ADDRESS),  # of sparse rows, whose values are x, and where each row starts; an address of 0 is no
        ("starts", _ADDRESS),  # array, here and below
        ("t", _ADDRESS),
        ("classes", _ADDRESS),  # instead of t
        ("weight", _ADDRESS),
        ("data_rows", _WORD),  # the rows of these arrays
        ("chosen", _ADDRESS),  # the numbers of the rows that are chosen from them; 0 for all
        ("rows", _WORD),  # the number of chosen rows
        ("scaler", _ADDRESS),  # scales inputs as they are gathered, see `lower.row_loops`; 0 for not at all
        ("shift", _ADDRESS),  # for each input
        ("scale", _ADDRESS),
        ("expander", _ADDRESS),  # makes inputs as they are gathered, see `lower.expansion` and `lower.conversion`; or 0
        ("row_bytes", _WORD),  # between the rows of X
        ("kept", _ADDRESS),  # the columns that are kept, their number, and the edges of their pieces
        ("kept_count", _WORD),  # if numbers are converted, the bytes between the columns of X
        ("edges", _ADDRESS),
    ],
    align=True,
)
"""Rows of data: the arrays, and which of their rows count."""

FIT = np.dtype(
    [
        # The network: its table of layers, their hyperparameters and the loss's.
        ("table", _ADDRESS),
        ("layers", _WORD),
        ("h", _ADDRESS),
        ("by_rows", _WORD),  # whether the first layer reads rows x features instead of features x rows
        ("gather", _ADDRESS),
        ("loss", _ADDRESS),
        ("loss_h", _ADDRESS),
        ("link", _ADDRESS),
        ("theta", _ADDRESS),
        ("p", _WORD),  # the number of parameters
        ("outputs", _WORD),
        ("inputs", _WORD),
        # The data.
        ("training", ROWS),
        ("validation", ROWS),
        ("whole", ROWS),  # whose mean the running loss is, if the training rows are a part of an epoch
        ("numbers", _ADDRESS),  # of such a part among all rows, for their noise
        ("validation_score", _ADDRESS),
        # How losses of rows become the loss.
        ("mean", _WORD),
        ("spans", _ADDRESS),  # where penalized weights start and end in theta
        ("weight_spans", _WORD),  # the number of spans
        ("l2", _DOUBLE),
        ("l2_averaged", _DOUBLE),
        ("l1", _DOUBLE),
        ("l1_averaged", _DOUBLE),
        # Memory for a tile: one for each worker, or for each shard if layers are model parallel.
        ("tile", _ADDRESS),
        ("tile_features", _WORD),  # the numbers of a row in the tile
        ("tile_rows", _WORD),  # the most rows of a tile
        ("row_multiple", _WORD),  # the rows of a training tile are padded to a multiple of it
        ("tile_contents", _ADDRESS),  # see `tiles.TILE_CONTENTS`
        ("tile_places", _ADDRESS),  # the row numbers of a tile in the data
        ("targets", _ADDRESS),
        ("row_weights", _ADDRESS),
        ("row_losses", _ADDRESS),
        ("workspace", _ADDRESS),  # outputs of layers, what they keep for backward, and packed matrices
        ("workspace_size", _WORD),
        ("deltas", _ADDRESS),  # two for each tile: a dense layer reads one and writes the other
        ("delta_size", _WORD),
        ("transposed", _ADDRESS),  # a delta, transposed to rows x features
        ("moved", _ADDRESS),  # a block's step of the optimizer
        # Memory that workers share.
        ("workers", _WORD),
        ("barrier", _ADDRESS),
        ("shards", _WORD),
        ("gradients", _ADDRESS),  # one for each shard
        ("partial_losses", _ADDRESS),  # one for each shard, or for each part of the rows that are measured
        ("squares", _ADDRESS),  # for each block of parameters: its gradient's squared norm, its step's, its penalty
        ("moves", _ADDRESS),
        ("penalties", _ADDRESS),
        ("blocks", _ADDRESS),
        ("block_count", _WORD),
        # The optimizer and the plan of the epochs.
        ("gradient_of_rows", _ADDRESS),
        ("gradient_of_batch", _ADDRESS),  # instead of it if layers are model parallel
        ("update", _ADDRESS),
        ("update_h", _ADDRESS),
        ("first", _ADDRESS),  # the optimizer's first and second moments
        ("second", _ADDRESS),
        ("first_kept", _ADDRESS),  # the moments at the start of an epoch of several batches
        ("second_kept", _ADDRESS),
        ("clip", _DOUBLE),
        ("rates", _ADDRESS),
        ("rate_stride", _WORD),  # 1 for a learning rate of each step, 0 for one of all steps
        ("steps_before", _WORD),
        ("batch_size", _WORD),
        ("epochs", _WORD),
        ("stopping", _ADDRESS),
        ("memory", _ADDRESS),  # of early stopping
        ("best", _ADDRESS),
        ("stop", _ADDRESS),  # a word that becomes 1 when the fit has to stop
        ("first_epoch", _WORD),
        ("first_step", _WORD),
        ("noisy", _WORD),
        ("full", _WORD),  # whether a batch is all rows
        ("running", _WORD),  # whether the training loss is the mean over batches as they are met
        ("shuffle", _ADDRESS),
        ("seed", _WORD),
        ("keys", _ADDRESS),
        ("places", _ADDRESS),
        ("order", _ADDRESS),
        ("all_rows", _ADDRESS),  # 0, 1, 2, ...
        # Results.
        ("losses", _ADDRESS),
        ("validation_losses", _ADDRESS),
        ("validation_scores", _ADDRESS),
        ("norms", _ADDRESS),
        ("sizes", _ADDRESS),
        ("done", _ADDRESS),
        ("last_finite", _ADDRESS),
        ("seconds", _ADDRESS),
        ("predictions", _ADDRESS),
        ("kept_predictions", _ADDRESS),  # of the validation rows after each epoch
    ],
    align=True,
)
"""The fields of a fit's record: addresses of arrays and functions, numbers of rows, switches (0 or 1) and doubles."""

fit_at = record_at(FIT)
"""Return the record at an address, in compiled code, where its fields are read and written by their names."""


def _offsets(record: np.dtype, start: int = 0) -> dict[str, Any]:
    """Return the offset of each field in words of eight bytes; those of a group are a dict of their own."""
    fields = (record.fields or {}).items()
    return {
        name: _offsets(own, start + offset) if own.fields else (start + offset) // 8
        for name, (own, offset, *_) in fields
    }


OFFSETS = _offsets(FIT)
"""The offset of each field in words of eight bytes: ``OFFSETS["epochs"]``, ``OFFSETS["training"]["x"]``."""

_DOUBLES = {OFFSETS[name] for name in FIT.names or () if FIT[name] == _DOUBLE}
_AS_DOUBLE, _AS_WORD = Struct("d"), Struct("q")


class KeptMemory:
    """Uninitialized memory of a fit, recycled from one fit to the next.

    The operating system takes longer to provide fresh pages of large memory than a small epoch takes to run.
    """

    SIZES = range(2**20, 2**28)
    """The sizes to recycle: the allocator keeps smaller memory itself, and larger memory would be missed elsewhere."""
    spare: ClassVar["deque[_Returned]"] = deque(maxlen=1)
    bytes = np.empty(0, np.uint8)

    def __init__(self, size: int) -> None:
        if size in self.SIZES:
            with suppress(IndexError):
                self.bytes = self.spare.pop().bytes
        if not size <= len(self.bytes) <= 2 * size:
            self.bytes = KeptMemory.bytes  # what does not fit is freed first
            self.bytes = np.empty(size, np.uint8)
        if len(self.bytes) in self.SIZES:
            # Called when the memory is no longer used, without a line of Python: an exception that a signal's handler
            # raised there, as in __del__, would reach nobody.
            self._returned = _Returned(self, self.spare.append)
            self._returned.bytes = self.bytes


class _Returned(weakref.ref[KeptMemory]):
    """Memory that its last user has returned."""

    __slots__ = ("bytes",)
    bytes: np.ndarray


class Context:
    """The record of a fit, with the arrays and the memory that it points to, which live as long as it does."""

    def __init__(self, base: "Context | None" = None, **entries: Any) -> None:
        self._array = np.zeros(FIT.itemsize // 8, np.int64) if base is None else base._array.copy()  # noqa: SLF001
        self.address = address_of_array(self._array)
        self.reserved = {} if base is None else base.reserved
        self.words = self._array.data  # a memoryview: writing a word into it takes half the time
        self._arrays = {} if base is None else dict(base._arrays)  # noqa: SLF001
        self._layout, self._memory = None if base is None else base._layout, None  # noqa: SLF001
        if self._layout is not None:
            self._take_memory(*self._layout)
        self.set(**entries)

    def set(self, offsets: dict[str, Any] = OFFSETS, /, **entries: Any) -> None:
        """Set fields by name, to a number, the address of an array, or a dict of the fields of a group.

        The context keeps the array alive.
        """
        for name, value in entries.items():
            offset = offsets[name]
            if isinstance(value, np.ndarray):
                self._arrays[offset] = value
                value = address_of_array(value) if value.size else 0
            elif isinstance(value, dict):
                self.set(offset, **value)
                continue
            elif offset in _DOUBLES:
                (value,) = _AS_WORD.unpack(_AS_DOUBLE.pack(value))
            self.words[offset] = value

    @property
    def record(self) -> np.ndarray:
        """The record itself, as an array of one."""
        return self._array.view(FIT)

    def reserve(self, kept: bool = False, /, **sizes: int) -> None:
        """Reserve uninitialized memory for fields, by the number of bytes of each, once for each context.

        If ``kept`` is true, the next context may recycle it when this one is gone; see `KeptMemory`.
        """
        assert self._layout is None, "memory is reserved once"
        *starts, total = starts_of(sizes.values())
        self.reserved = sizes
        self._layout = np.array([OFFSETS[name] for name in sizes]), np.array(starts), total + LINE, kept
        self._take_memory(*self._layout)

    def _take_memory(self, offsets: np.ndarray, starts: np.ndarray, size: int, kept: bool) -> None:
        owner = KeptMemory(size) if kept else None
        memory = np.empty(size, np.uint8) if owner is None else owner.bytes
        self._array[offsets] = starts + aligned(address_of_array(memory))
        self._memory = owner or memory

    def clear(self, name: str) -> None:
        """Fill the memory of a field with zeros."""
        ctypes.memset(self.words[OFFSETS[name]], 0, self.reserved[name])

    def release(self) -> None:
        """Let go of the reserved memory; its fields have to be set before anything runs."""
        self._memory = None


def aligned(number: int) -> int:
    """Return an address or a number of bytes, rounded up to a multiple of LINE."""
    return -(-number // LINE) * LINE


def starts_of(sizes: Iterable[int]) -> list[int]:
    """Return the start of each part, given their sizes in bytes, and the end of the last; no two share a cache line.

    Examples
    --------
    >>> starts_of([100, 300])
    [0, 128, 512]
    """
    return list(accumulate(map(aligned, sizes), initial=0))


def address_of_array(array: Any) -> int:
    """Return the address of a contiguous array."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # takes a third of the time of .ctypes
    except (TypeError, ValueError):  # not contiguous; or read-only or empty
        assert array.flags.c_contiguous, "not contiguous"
        return array.ctypes.data


def as_word(seed: int) -> int:
    """Return the last 64 bits of a whole number, as a signed word."""
    return ((int(seed) + 2**63) & 0xFFFF_FFFF_FFFF_FFFF) - 2**63
