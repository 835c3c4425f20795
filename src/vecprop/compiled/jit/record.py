"""The context: one array of words that tells a kernel where everything is.

Kernels are compiled once, so they take nothing but this array: addresses of arrays, numbers of rows, switches. A call
costs the same however much is told, and nothing is unpacked on the way.
"""

import ctypes
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum, auto
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

LINE = 128
"""The bytes that a processor may move at once: two lines of its cache. Two threads that write into one would wait."""


class Slot(IntEnum):
    """What stands where in the context."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[Any]) -> int:
        return count

    # the network: its table, its layers' and its loss's hyperparameters
    TABLE = auto()
    LAYERS = auto()
    H = auto()
    BY_ROWS = auto()
    GATHER = auto()
    LOSS = auto()
    LOSS_H = auto()
    LINK = auto()
    THETA = auto()
    P = auto()
    OUTPUTS = auto()
    INPUTS = auto()
    # the data, the numbers of the rows chosen from them (0: all) and how many; those held out at the same distances
    X = auto()
    T = auto()
    CLASSES = auto()
    WEIGHT = auto()
    DATA_ROWS = auto()
    CHOSEN = auto()
    ROWS = auto()
    HELD_X = auto()
    HELD_T = auto()
    HELD_CLASSES = auto()
    HELD_WEIGHT = auto()
    HELD_DATA_ROWS = auto()
    HELD_CHOSEN = auto()
    HELD_ROWS = auto()
    SCORE = auto()
    SCORE_OF_HELD_ROWS = auto()
    # how rows become a loss
    MEAN = auto()
    SPANS = auto()
    WEIGHT_SPANS = auto()
    PENALTIES = auto()
    # memory for a tile of each worker, or of each shard where layers are shared
    TILE = auto()
    TILE_ROWS = auto()
    MULTIPLE = auto()
    IN_TILE = auto()
    PLACES_OF_TILE = auto()
    TARGETS = auto()
    ROW_WEIGHTS = auto()
    ROW_LOSSES = auto()
    WORK = auto()
    WORK_SIZE = auto()
    DELTAS = auto()
    DELTA_SIZE = auto()
    TURNED = auto()
    MOVED = auto()
    # what workers share
    WORKERS = auto()
    BARRIER = auto()
    SHARDS = auto()
    GRADIENTS = auto()
    PARTIAL = auto()
    SQUARES = auto()
    MOVES = auto()
    COSTS = auto()
    BLOCKS = auto()
    BLOCK_COUNT = auto()
    # the optimizer and the plan of the epochs
    GRADIENT_OF_ROWS = auto()
    GRADIENT_OF_BATCH = auto()
    UPDATE = auto()
    UPDATE_H = auto()
    FIRST = auto()
    SECOND = auto()
    CLIP = auto()
    RATES = auto()
    RATE_STRIDE = auto()
    STEPS_BEFORE = auto()
    BATCH_SIZE = auto()
    EPOCHS = auto()
    STOPPING = auto()
    MEMORY = auto()
    BEST = auto()
    STOP = auto()
    FIRST_EPOCH = auto()
    FIRST_STEP = auto()
    NOISY = auto()
    FULL = auto()
    RUNNING = auto()
    SHUFFLE = auto()
    SEED = auto()
    KEYS = auto()
    PLACES = auto()
    ORDER = auto()
    EVERYONE = auto()
    # what comes out
    LOSSES = auto()
    HELD_LOSSES = auto()
    HELD_SCORES = auto()
    NORMS = auto()
    SIZES = auto()
    DONE = auto()
    LAST_FINITE = auto()
    SECONDS = auto()
    PREDICTIONS = auto()


SLOTS = len(Slot)
_PLACES = {slot.name.lower(): slot.value for slot in Slot}


class KeptMemory:
    """Memory of a fit, in which nothing is known to stand; when the fit is done it is kept for the next.

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
    """The array of words, and what it points to, which lives as long as it does.

    Parameters
    ----------
    base : Context, optional
        One whose words and arrays are taken over; as much memory as is reserved in it is reserved anew.
    **entries
        See `set`.

    Attributes
    ----------
    words : ndarray of int64
        What kernels read.
    address : int
        Where the words are.
    reserved : dict
        How many bytes of memory are reserved for a slot.
    """

    def __init__(self, base: "Context | None" = None, **entries: Any) -> None:
        self.words = np.zeros(SLOTS, np.int64) if base is None else base.words.copy()
        self.address = place_of(self.words)
        self.reserved = {} if base is None else base.reserved
        self._words = self.words.data  # a memoryview, written to word by word in half the time
        self._arrays = {} if base is None else dict(base._arrays)
        self._layout, self._memory = None if base is None else base._layout, None
        if self._layout is not None:
            self._take_memory(*self._layout)
        self.set(**entries)

    def set(self, **entries: Any) -> None:
        """Set slots by name, in small letters: an array is pointed to, a number is kept."""
        for name, value in entries.items():
            if isinstance(value, np.ndarray):
                self._arrays[name] = value
                value = place_of(value) if value.size else 0
            self._words[_PLACES[name]] = value

    def reserve(self, kept: bool = False, /, **sizes: int) -> None:
        """Reserve memory for slots, once, so many bytes each, in which nothing is known to stand.

        It may be kept for the next context when this one is gone; see `KeptMemory`.
        """
        assert self._layout is None, "memory is reserved once"
        *starts, total = layout(sizes.values())
        self.reserved = sizes
        self._layout = np.array([_PLACES[name] for name in sizes]), np.array(starts), total + LINE, kept
        self._take_memory(*self._layout)

    def _take_memory(self, slots: np.ndarray, starts: np.ndarray, size: int, kept: bool) -> None:
        owner = KeptMemory(size) if kept else None
        memory = np.empty(size, np.uint8) if owner is None else owner.bytes
        self.words[slots] = starts + aligned(place_of(memory))
        self._memory = owner or memory

    def clear(self, name: str) -> None:
        """Fill the memory of a slot with zeros."""
        ctypes.memset(self._words[_PLACES[name]], 0, self.reserved[name])

    def release(self) -> None:
        """Let go of the memory that is reserved: its slots will point to other memory."""
        self._memory = None


def aligned(place: int) -> int:
    """Return a place or a number of bytes, rounded up to whole lines."""
    return -(-place // LINE) * LINE


def layout(sizes: Iterable[int]) -> list[int]:
    """Return where parts of so many bytes start that share no line, and at last where they end.

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
