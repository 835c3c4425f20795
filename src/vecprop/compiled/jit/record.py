"""The record of a fit: named fields that tell a kernel where everything is.

Kernels are compiled once, so they take nothing but the address of this record: addresses of arrays, numbers of rows,
switches. A call costs the same however much is told, and nothing is unpacked on the way.
"""

import ctypes
from collections.abc import Iterable
from contextlib import suppress
from itertools import accumulate
from struct import Struct
from typing import Any, ClassVar

import numpy as np

from .arrays import record_at

LINE = 128
"""The bytes that a processor may move at once: two lines of its cache. Two threads that write into one would wait."""


_WORD, _DOUBLE = np.int64, np.float64
_ADDRESS = np.int64

ROWS = np.dtype(
    [
        ("x", _ADDRESS),
        ("t", _ADDRESS),
        ("classes", _ADDRESS),  # instead of t; 0 where there are none, as below
        ("weight", _ADDRESS),
        ("data_rows", _WORD),  # how many rows these arrays have
        ("chosen", _ADDRESS),  # the numbers of the rows that are chosen from them; 0: all
        ("rows", _WORD),  # how many those are
    ],
    align=True,
)
"""Some rows of data, and which of them are meant."""

FIT = np.dtype(
    [
        # the network: its table, its layers' and its loss's hyperparameters
        ("table", _ADDRESS),
        ("layers", _WORD),
        ("h", _ADDRESS),
        ("by_rows", _WORD),
        ("gather", _ADDRESS),
        ("loss", _ADDRESS),
        ("loss_h", _ADDRESS),
        ("link", _ADDRESS),
        ("theta", _ADDRESS),
        ("p", _WORD),
        ("outputs", _WORD),
        ("inputs", _WORD),
        # the data
        ("training", ROWS),
        ("validation", ROWS),
        ("validation_score", _ADDRESS),
        # how rows become a loss
        ("mean", _WORD),
        ("spans", _ADDRESS),
        ("weight_spans", _WORD),
        ("l2", _DOUBLE),
        ("l2_averaged", _DOUBLE),
        ("l1", _DOUBLE),
        ("l1_averaged", _DOUBLE),
        # memory for a tile of each worker, or of each shard where layers are shared
        ("tile", _ADDRESS),
        ("tile_rows", _WORD),
        ("multiple", _WORD),
        ("in_tile", _ADDRESS),
        ("places_of_tile", _ADDRESS),
        ("targets", _ADDRESS),
        ("row_weights", _ADDRESS),
        ("row_losses", _ADDRESS),
        ("work", _ADDRESS),
        ("work_size", _WORD),
        ("deltas", _ADDRESS),
        ("delta_size", _WORD),
        ("turned", _ADDRESS),
        ("moved", _ADDRESS),
        # what workers share
        ("workers", _WORD),
        ("barrier", _ADDRESS),
        ("shards", _WORD),
        ("gradients", _ADDRESS),
        ("partial", _ADDRESS),
        ("squares", _ADDRESS),
        ("moves", _ADDRESS),
        ("costs", _ADDRESS),
        ("blocks", _ADDRESS),
        ("block_count", _WORD),
        # the optimizer and the plan of the epochs
        ("gradient_of_rows", _ADDRESS),
        ("gradient_of_batch", _ADDRESS),
        ("update", _ADDRESS),
        ("update_h", _ADDRESS),
        ("first", _ADDRESS),
        ("second", _ADDRESS),
        ("clip", _DOUBLE),
        ("rates", _ADDRESS),
        ("rate_stride", _WORD),
        ("steps_before", _WORD),
        ("batch_size", _WORD),
        ("epochs", _WORD),
        ("stopping", _ADDRESS),
        ("memory", _ADDRESS),
        ("best", _ADDRESS),
        ("stop", _ADDRESS),
        ("first_epoch", _WORD),
        ("first_step", _WORD),
        ("noisy", _WORD),
        ("full", _WORD),
        ("running", _WORD),
        ("shuffle", _ADDRESS),
        ("seed", _WORD),
        ("keys", _ADDRESS),
        ("places", _ADDRESS),
        ("order", _ADDRESS),
        ("everyone", _ADDRESS),
        # what comes out
        ("losses", _ADDRESS),
        ("validation_losses", _ADDRESS),
        ("validation_scores", _ADDRESS),
        ("norms", _ADDRESS),
        ("sizes", _ADDRESS),
        ("done", _ADDRESS),
        ("last_finite", _ADDRESS),
        ("seconds", _ADDRESS),
        ("predictions", _ADDRESS),
    ],
    align=True,
)
"""What a kernel is told of a fit: addresses of arrays, numbers of rows, switches (0 or 1) and a few doubles."""

fit_at = record_at(FIT)
"""Return the record at an address, in compiled code, where its fields are read and written by their names."""


def _places(kind: np.dtype, start: int = 0) -> dict[str, Any]:
    """Return the place of each field, in words of eight bytes; those of a group are a dict of their own."""
    fields = (kind.fields or {}).items()
    return {
        name: _places(own, start + offset) if own.fields else (start + offset) // 8
        for name, (own, offset, *_) in fields
    }


PLACES = _places(FIT)
"""Which of a record's words a field is: ``PLACES["epochs"]``, ``PLACES["training"]["x"]``."""

_DOUBLES = {PLACES[name] for name in FIT.names or () if FIT[name] == _DOUBLE}
_AS_DOUBLE, _AS_WORD = Struct("d"), Struct("q")


class KeptMemory:
    """Uninitialized workspace of a fit; when the fit is done it is kept for the next.

    The system takes longer to make large memory ready than a small epoch takes to run. Smaller memory is kept by the
    allocator itself, and none that is more than twice as large as it is needed is used.

    Parameters
    ----------
    size : int
        How many bytes are needed.

    Attributes
    ----------
    bytes : ndarray of uint8
        So many, or more.
    """

    SIZES = range(2**20, 2**28)
    spare: ClassVar[list[np.ndarray]] = []
    bytes = np.empty(0, np.uint8)

    def __init__(self, size: int) -> None:
        if size in self.SIZES:
            with suppress(IndexError):
                self.bytes = self.spare.pop()
        if not size <= len(self.bytes) <= 2 * size:
            self.bytes = np.empty(size, np.uint8)

    def __del__(self) -> None:
        if len(self.bytes) in self.SIZES:
            self.spare[:] = [self.bytes]


class Context:
    """The record of a fit, and what it points to, which lives as long as it does.

    Parameters
    ----------
    base : Context, optional
        One whose record and arrays are taken over; as much memory as is reserved in it is reserved anew.
    **entries
        See `set`.

    Attributes
    ----------
    words : memoryview
        The record's words, see `PLACES`.
    address : int
        Where the record is.
    reserved : dict
        How many bytes of memory are reserved for a field.
    """

    def __init__(self, base: "Context | None" = None, **entries: Any) -> None:
        self._array = np.zeros(FIT.itemsize // 8, np.int64) if base is None else base._array.copy()
        self.address = place_of(self._array)
        self.reserved = {} if base is None else base.reserved
        self.words = self._array.data  # a memoryview, written to word by word in half the time
        self._arrays = {} if base is None else dict(base._arrays)
        self._layout, self._memory = None if base is None else base._layout, None
        if self._layout is not None:
            self._take_memory(*self._layout)
        self.set(**entries)

    def set(self, places: dict[str, Any] = PLACES, /, **entries: Any) -> None:
        """Set fields by name: an array is pointed to, a number is kept, and a group's fields are set from a dict."""
        for name, value in entries.items():
            place = places[name]
            if isinstance(value, np.ndarray):
                self._arrays[place] = value
                value = place_of(value) if value.size else 0
            elif isinstance(value, dict):
                self.set(place, **value)
                continue
            elif place in _DOUBLES:
                (value,) = _AS_WORD.unpack(_AS_DOUBLE.pack(value))
            self.words[place] = value

    @property
    def record(self) -> np.ndarray:
        """The record itself, as an array of one."""
        return self._array.view(FIT)

    def reserve(self, kept: bool = False, /, **sizes: int) -> None:
        """Reserve uninitialized memory for fields, by the number of bytes of each; once for each context.

        It may be kept for the next context when this one is gone; see `KeptMemory`.
        """
        assert self._layout is None, "memory is reserved once"
        *starts, total = layout(sizes.values())
        self.reserved = sizes
        self._layout = np.array([PLACES[name] for name in sizes]), np.array(starts), total + LINE, kept
        self._take_memory(*self._layout)

    def _take_memory(self, places: np.ndarray, starts: np.ndarray, size: int, kept: bool) -> None:
        owner = KeptMemory(size) if kept else None
        memory = np.empty(size, np.uint8) if owner is None else owner.bytes
        self._array[places] = starts + aligned(place_of(memory))
        self._memory = owner or memory

    def clear(self, name: str) -> None:
        """Fill the memory of a field with zeros."""
        ctypes.memset(self.words[PLACES[name]], 0, self.reserved[name])

    def release(self) -> None:
        """Let go of the memory that is reserved: its fields will point to other memory."""
        self._memory = None


def aligned(place: int) -> int:
    """Return a place or a number of bytes, rounded up to whole lines."""
    return -(-place // LINE) * LINE


def layout(sizes: Iterable[int]) -> list[int]:
    """Return the start of each part, by its number of bytes, and the end of the last: no two share a cache line.

    Examples
    --------
    >>> layout([100, 300])
    [0, 128, 512]
    """
    return list(accumulate(map(aligned, sizes), initial=0))


def place_of(array: Any) -> int:
    """Return the address of a contiguous array."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # costs a quarter of .ctypes
    except (TypeError, ValueError):  # not contiguous; or read-only or empty
        assert array.flags.c_contiguous, "not contiguous"
        return array.ctypes.data


def as_word(seed: int) -> int:
    """Return any whole number's last 64 bits, as a word has them."""
    return ((int(seed) + 2**63) & 0xFFFF_FFFF_FFFF_FFFF) - 2**63
