"""The record of a fit: named fields with all that a kernel reads and writes.

Kernels take nothing but the address of this record, so a call costs the same however many fields there are. Arrays
belong to Python, or are parts of one block of memory that the context reserves; the record points to both.
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


def fields(names: str, kind: Any = np.int64) -> list[tuple[str, Any]]:
    """Return the fields of a record with these names, all of one type."""
    return [(name, kind) for name in names.split()]


# Chosen are the numbers of the rows that are chosen from data_rows rows. The scaler scales inputs as they are gathered,
# see `lower.row_loops`; the expander makes them from rows of row_bytes, see `lower.conversion`, and kept, kept_count
# and edges are what it needs. If numbers are converted, kept_count is the bytes between the columns of X. Of sparse
# rows, x are the values, kept their columns, and edges where each row starts.
_OF_INPUTS = "scaler shift scale expander row_bytes kept kept_count edges"
ROWS = np.dtype(fields(f"x t gather_targets classes weight data_rows chosen rows {_OF_INPUTS}"), align=True)
"""Rows of data: addresses of the arrays, and which of their rows count. Classes stand instead of t."""

FIT = np.dtype(
    [
        # The network: its table of layers, their hyperparameters and the loss's. Its first layer reads rows x features
        # if by_rows is set, else features x rows. There are p parameters.
        *fields("table layers h by_rows gather loss loss_h link theta p outputs inputs"),
        # The data. Whole are all rows, whose mean the running loss is, if the training rows are a part of an epoch;
        # numbers is how many bytes behind all_rows those of the part's rows among all lie, for their noise.
        *fields("training validation whole", ROWS),
        *fields("numbers validation_score"),
        # How losses of rows become the loss; spans are where penalized weights start and end in theta.
        *fields("mean spans weight_spans"),
        *fields("l2 l2_averaged l1 l1_averaged", np.float64),
        # Memory for a tile: one for each worker, or for each shard if layers are model parallel. It has tile_features
        # numbers for each of tile_rows rows, padded to a multiple. The workspace has outputs of layers, what they keep
        # for backward, and packed matrices. There are two deltas: a dense layer reads one and writes the other.
        *fields("tile tile_features tile_rows row_multiple tile_contents tile_places targets row_weights row_losses"),
        *fields("workspace workspace_size deltas delta_size transposed moved"),
        # Memory that workers share: gradients and partial losses of shards, and what is summed of blocks of parameters:
        # squares of their gradients and moves, and penalties. In pairs says that each worker sums its own two shards'
        # gradients, so that the other has half as much to read.
        *fields("workers barrier shards in_pairs gradients partial_losses squares moves penalties blocks block_count"),
        # The optimizer: its moments, now and at the start of an epoch of several batches. If layers are model parallel,
        # gradient_of_batch takes the place of gradient_of_rows.
        *fields("gradient_of_rows gradient_of_batch update update_h first second first_kept second_kept"),
        ("clip", np.float64),
        # The plan of the epochs. Measure and judge are addresses of functions, or 0; see `run.measures`. The stride is
        # 1 for a learning rate of each step, 0 for one of all steps. Stopping and memory are the rule of early stopping
        # and its state; stop is a word that becomes 1 when the fit has to stop. Full says that a batch is all rows,
        # running that the training loss is the mean over batches as they are met.
        *fields("measure judge rates rate_stride steps_before batch_size epochs stopping memory best stop"),
        *fields("first_epoch first_step"),
        *fields("noisy full running shuffle seed keys places order all_rows"),
        # Results; kept_predictions are those of the validation rows after each epoch.
        *fields("losses validation_losses validation_scores norms sizes done last_finite seconds"),
        *fields("predictions kept_predictions"),
    ],
    align=True,
)
"""The fields of a fit's record: addresses of arrays and functions, 0 for none; numbers; switches, 0 or 1; doubles."""

fit_at = record_at(FIT)
"""Return the record at an address, in compiled code, where its fields are read and written by their names."""


def _offsets(record: np.dtype, start: int = 0) -> dict[str, Any]:
    own: Any = record.fields
    return {
        name: _offsets(part, start + offset) if part.fields else (start + offset) // 8
        for name, (part, offset) in own.items()
    }


OFFSETS = _offsets(FIT)
"""The offset of each field in words of eight bytes: ``OFFSETS["epochs"]``, ``OFFSETS["training"]["x"]``."""

_DOUBLES = {OFFSETS[name] for name in FIT.names or () if FIT[name] == np.float64}
_AS_DOUBLE, _AS_WORD = Struct("d"), Struct("q")


class KeptMemory:
    """Uninitialized memory of a fit, recycled from one fit to the next, and the first aligned address in it.

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
        self.start = aligned(address_of_array(self.bytes))
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
        self.address = self._as_parameter_ = address_of_array(self._array)  # so that ctypes takes a context itself
        self.reserved = {} if base is None else base.reserved
        self.words = self._array.data  # a memoryview: writing a word into it takes half the time
        self._arrays = {} if base is None else dict(base._arrays)  # noqa: SLF001
        self._layout, self._memory = None if base is None else base._layout, None  # noqa: SLF001
        if self._layout is not None:
            offsets, starts, size = self._layout
            self._memory = KeptMemory(size)
            self._array[offsets] = starts + self._memory.start
        self.set(**entries)

    def set(self, offsets: dict[str, Any] = OFFSETS, /, **entries: Any) -> None:
        """Set fields by name to a number, an array, which is kept alive, or a dict of the fields of a group."""
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

    def reserve(self, **sizes: int) -> None:
        """Reserve uninitialized memory for fields, by the number of bytes of each, once for each context."""
        assert self._layout is None, "memory is reserved once"
        *starts, total = starts_of(sizes.values())
        offsets = np.array([OFFSETS[name] for name in sizes])
        self.reserved, self._layout = sizes, (offsets, np.array(starts), total + LINE)
        self._memory = KeptMemory(total + LINE)
        self._array[offsets] = np.array(starts) + self._memory.start

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
    """Return where parts of these sizes in bytes start, and the end of the last; no two share a cache line."""
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
