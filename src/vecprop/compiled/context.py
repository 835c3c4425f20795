"""The context: one array of words that tells a kernel where everything is.

Kernels are compiled once, so they take nothing but this array: addresses of arrays, numbers of rows, switches. A call
costs the same however much is told, and nothing is unpacked on the way.
"""

from enum import IntEnum, auto
from typing import Any

import numpy as np


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
    # each worker's own memory for a tile
    TILE = auto()
    TILE_ROWS = auto()
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
    BEFORE = auto()
    # what workers share
    WORKERS = auto()
    BARRIER = auto()
    SHARDS = auto()
    GRADIENTS = auto()
    PARTIAL = auto()
    SQUARES = auto()
    MOVES = auto()
    COSTS = auto()
    # the optimizer and the plan of the epochs
    GRADIENT_OF_ROWS = auto()
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


_PLACES = {slot.name.lower(): slot.value for slot in Slot}


class Context:
    """The array of words, and the arrays that it points to, which live as long as it does."""

    def __init__(self, **entries: Any) -> None:
        self.words = np.zeros(len(Slot), np.int64)
        self._arrays: dict[str, np.ndarray] = {}
        self.set(**entries)

    def set(self, **entries: Any) -> None:
        """Set slots by name, in small letters: an array is pointed to, a number is kept."""
        for name, value in entries.items():
            if isinstance(value, np.ndarray):
                interface = value.__array_interface__  # costs half of .ctypes
                assert interface["strides"] is None, "not contiguous"
                self._arrays[name] = value
                value = interface["data"][0] if value.size else 0
            self.words[_PLACES[name]] = value

    def forget(self, *names: str) -> None:
        """Let go of arrays: their slots will be set to others."""
        for name in names:
            del self._arrays[name]

    def array(self, name: str) -> np.ndarray:
        """Return the array that a slot points to."""
        return self._arrays[name]

    @property
    def address(self) -> int:
        """Where the words are."""
        return self.words.ctypes.data


def as_word(seed: int) -> int:
    """Return any whole number's last 64 bits, as a word has them."""
    return ((seed + 2**63) & 0xFFFF_FFFF_FFFF_FFFF) - 2**63
