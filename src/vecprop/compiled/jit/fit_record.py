"""The record of a fit: named fields with everything that kernels read and write.

The address of this record is the only argument of kernels, so the cost of a call does
not depend on the number of fields. The record refers to NumPy arrays and to parts of
one block of memory that the context reserves.
"""

import ctypes
import weakref
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import from_dtype
from numpy import ndarray

from .addresses import record_at

LINE = 128
"""The alignment of memory for one thread: two cache lines, because processors may fetch
them in pairs.

Threads that write to the same cache lines slow each other down.
"""


def fields(names: str, kind: Any = np.int64) -> list[tuple[str, Any]]:
    """Return the fields of a record, which have these names and the same type."""
    return [(name, kind) for name in names.split()]


# chosen: indices of the selected rows among data_rows rows. scaler: scales inputs when
# they are gathered, see `lower.row_loops`. expander: computes inputs from rows of
# row_bytes bytes, see `lower.conversion`; its arguments are kept, kept_count and edges.
# If a dtype is converted, kept_count is the stride between columns of X in bytes. For
# sparse rows, x holds the values, kept their columns, and edges the start of each row.
_OF_INPUTS = "scaler shift scale expander row_bytes kept kept_count edges"
ROWS = np.dtype(
    fields(
        f"x t gather_targets classes weight weigher data_rows chosen rows {_OF_INPUTS}"
    ),
    align=True,
)
"""Rows of data: addresses of arrays, and the selected rows. Class targets are in
`classes` instead of `t`.
"""

FIT = np.dtype(
    [
        # The network: its table of layers, and the hyperparameters of layers and loss.
        # The first layer reads rows x features if by_rows is set, otherwise features x
        # rows. There are p parameters.
        *fields(
            "table layers h by_rows gather loss loss_h link store theta p outputs"
            " inputs"
        ),
        # The data. The running loss is the mean over rows_of_all rows: all rows of an
        # epoch, even if the training rows are a part of them. numbers is the offset in
        # bytes from all_rows to the global row indices, for noise.
        *fields("training validation", ROWS),
        *fields("numbers validation_score rows_of_all"),
        ("scale_of_all", np.float64),
        # The reduction of row losses, and penalties. spans: start and end of the
        # penalized weights in theta.
        *fields("mean penalize spans weight_spans"),
        *fields("l2 l2_averaged l1 l1_averaged", np.float64),
        # Memory for tiles: one per worker, or one per shard for model-parallel layers.
        # A tile has tile_size bytes for at most tile_rows rows, padded to a multiple of
        # row_multiple. The workspace holds outputs of layers, values for
        # the backward pass, and packed matrices. A dense layer reads one of two deltas
        # and writes the other.
        *fields(
            "tile tile_size tile_rows row_multiple tile_contents tile_places"
            " targets row_weights row_losses"
        ),
        *fields("workspace workspace_size deltas delta_size transposed moved"),
        # Memory that workers share: gradients and partial losses of shards, and the
        # penalty and the sums of squared gradients and moves of each block of
        # parameters. If in_pairs is set, each worker sums the gradients of its two
        # shards, so that the other worker has only half as much to read. next_shard:
        # the distance to the first shard that is added in a step.
        *fields(
            "workers barrier shards sum_shards next_shard in_pairs gradients"
            " partial_losses squares moves largest_block"
        ),
        *fields("penalties blocks block_count"),
        # The optimizer: its moments, and copies of the moments from the start of an
        # epoch of several batches. further: the addresses of further_count more moments,
        # whose copies follow each other in further_kept. If layers are model parallel, gradient_of_batch
        # replaces gradient_of_rows.
        *fields(
            "gradient_of_rows gradient_of_batch update update_h first second first_kept"
            " second_kept further further_count further_kept"
        ),
        ("clip", np.float64),
        # The epochs. measure and judge: addresses of functions, or 0; see
        # `run.measures`. rate_stride: 1 for one learning rate per step, 0 for a single
        # one. stopping and memory: the rule and the state of early stopping. stop: the
        # address of a word that is set to 1 to stop the fit. full: a batch consists of
        # all rows. running: the training loss is the mean of the batch losses. carried:
        # a step computes the loss after the previous epoch.
        *fields(
            "measure judge rates rate_stride steps_before batch_size epochs stopping"
            " memory best stop"
        ),
        *fields("first_epoch first_step"),
        *fields("noisy full running carried shuffle seed keys places order all_rows"),
        # Results. kept_predictions: predictions of the validation rows after each
        # epoch.
        *fields(
            "losses validation_losses validation_scores norms sizes done last_finite"
            " seconds"
        ),
        *fields("predictions kept_predictions"),
    ],
    align=True,
)
"""The fields of a fit's record: addresses of arrays and functions (or 0), integers,
switches (0 or 1) and doubles.
"""

FIT_TYPE = from_dtype(FIT)
"""Numba's type of the record."""

fit_at = record_at(FIT)
"""In compiled code, return the record at an address, whose fields can be read and
written by name.
"""


def _offsets(record: np.dtype, start: int = 0) -> dict[str, Any]:
    """Return the offsets of fields in words; a nested record has a dict. `start` is the record's offset in bytes."""
    offsets = {}
    fields_of_record: Any = record.fields
    for name, (field, offset) in fields_of_record.items():
        at = start + offset
        offsets[name] = _offsets(field, at) if field.fields else at // 8
    return offsets


OFFSETS = _offsets(FIT)
"""The offset of each field in words of eight bytes: ``OFFSETS["epochs"]``,
``OFFSETS["training"]["x"]``.
"""

_DOUBLES = {OFFSETS[name] for name in FIT.names or () if FIT[name] == np.float64}


class KeptMemory:
    """Uninitialized memory of a fit that later fits reuse; `start` is its first aligned address.

    For a large block, the operating system needs more time to provide new pages than a
    small epoch takes. The last block that was released is therefore kept in `spare`.
    """

    SIZES = range(2**20, 2**28)
    """The sizes to reuse. The allocator itself reuses smaller blocks, and holding
    larger blocks would waste memory.
    """
    spare: ClassVar["deque[_Returned]"] = deque(maxlen=1)

    def __init__(self, size: int):
        """Take the spare block, or allocate a block of this size in bytes."""
        self.bytes = self._spare_block(size)
        if self.bytes is None:
            self.bytes = np.empty(size, np.uint8)
        self.start = aligned(address_of_array(self.bytes))
        if len(self.bytes) in self.SIZES:
            # `append` runs when this object is no longer used. It contains no Python
            # code, because an exception of a signal handler would be lost there, as in
            # __del__.
            self._returned = _Returned(self, self.spare.append)
            self._returned.bytes = self.bytes

    def _spare_block(self, size: int) -> ndarray | None:
        """Take the spare block and return it if it is suitable; otherwise it is freed."""
        if size in self.SIZES:
            with suppress(IndexError):
                block = self.spare.pop().bytes
                if size <= len(block) <= 2 * size:
                    return block
        return None


class _Returned(weakref.ref[KeptMemory]):
    """A weak reference that keeps the memory of an unused `KeptMemory` alive, so that it can be reused."""

    __slots__ = ("bytes",)
    bytes: ndarray


class _Layout(NamedTuple):
    """Memory in one block: the fields that hold the addresses of its parts, the starts of the parts, and its size."""

    offsets: ndarray
    starts: ndarray
    size: int


class Context:
    """The record of a fit. It keeps alive the arrays and the memory that it refers to."""

    def __init__(self, base: "Context | None" = None, **entries):
        """Create an empty record, or a copy of a template with new memory, and set fields."""
        self._memory = None
        if base is None:
            self._array = np.zeros(FIT.itemsize // 8, np.int64)
            self._arrays = {}
            self._owners = ()
            self.reserved = {}
            self._layout = None
        else:
            self._array = base._array.copy()
            self._arrays = dict(base._arrays)
            self._owners = base._owners
            self.reserved = base.reserved
            self._layout = base._layout
        # ctypes accepts a context as an argument
        self.address = self._as_parameter_ = address_of_array(self._array)
        self.words = self._array.data  # a memoryview: writing a word is twice as fast
        self._doubles = self._array.view(float)
        if self._layout is not None:
            self._allocate(self._layout)
        self.set(**entries)

    def set(self, offsets: dict[str, Any] = OFFSETS, /, **entries):
        """Set fields to numbers, arrays (which are kept alive) or dicts with the fields of a group."""
        for name, value in entries.items():
            offset = offsets[name]
            if isinstance(value, dict):
                self.set(offset, **value)
            elif isinstance(value, ndarray):
                self._arrays[offset] = value
                self.words[offset] = address_of_array(value) if value.size else 0
            elif offset in _DOUBLES:
                self._doubles[offset] = value
            else:
                self.words[offset] = value

    @property
    def record(self) -> ndarray:
        """The record as an array with one element."""
        return self._array.view(FIT)

    def keep_alive(self, *objects):
        """Keep alive objects that own functions whose addresses are in the record."""
        self._owners = objects

    def reserve(self, **sizes: int):
        """Reserve uninitialized memory for fields, given their sizes in bytes; call this once per context."""
        assert self._layout is None, "memory is reserved once"
        *starts, total = starts_of(sizes.values())
        offsets = [OFFSETS[name] for name in sizes]
        self.reserved = sizes
        self._layout = _Layout(np.array(offsets), np.array(starts), total + LINE)
        self._allocate(self._layout)

    def _allocate(self, layout: _Layout):
        """Allocate the reserved memory, and set the addresses of its parts."""
        self._memory = KeptMemory(layout.size)
        self._array[layout.offsets] = layout.starts + self._memory.start

    def clear(self, name: str):
        """Fill the memory of a field with zeros."""
        ctypes.memset(self.words[OFFSETS[name]], 0, self.reserved[name])

    def release(self):
        """Release the reserved memory; its fields must be set again before the next run."""
        self._memory = None


def aligned(number: int) -> int:
    """Round an address or a number of bytes up to a multiple of LINE."""
    return -(-number // LINE) * LINE


def starts_of(sizes: Iterable[int]) -> list[int]:
    """Return the offset of each part in bytes, and the total size; parts do not share cache lines."""
    return list(accumulate(map(aligned, sizes), initial=0))


def address_of_array(array) -> int:
    """Return the address of a contiguous array."""
    try:
        # three times as fast as .ctypes
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # the array is not contiguous, read-only or empty
        assert array.flags.c_contiguous, "not contiguous"
        return array.ctypes.data


def as_word(seed: int) -> int:
    """Return the last 64 bits of an integer as a signed word."""
    return ((int(seed) + 2**63) & 0xFFFF_FFFF_FFFF_FFFF) - 2**63
