"""The order of an epoch's rows, or of a part of them, in compiled code."""

import ctypes
from functools import cache

import numpy as np
from numba import njit, types

from ...core import counter_rng
from ..jit.arrays import numbers_at, words_at
from ..jit.fit_record import as_word
from ..jit.machine_code import address_of
from ..jit.numba_options import INNER
from .loops import count, mix

_SHUFFLE, _WORD = np.uint64(counter_rng._SHUFFLE), np.uint32(0)
_SHUFFLED = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)


@njit(**INNER)
def _bucket(key, n):
    """Return the bucket of a key: the range of keys is cut into n equal ones."""
    return np.int64(((key >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(**INNER)
def _key(state, numbers, row):
    """Return the key of a row, which has a number of its own, unless the address of the numbers is 0."""
    return count(state, words_at(numbers, row + 1)[row] if numbers else row)


def shuffle(seed, epoch, n, numbers, keys, places, order):
    """Fill order with `core.counter_rng.permutation`: the rows, sorted by a random key of each.

    If there are numbers, the rows are a part of the epoch's, and their keys are those of these numbers.

    Keys are uniform. So they are counted into n buckets by their leading digits, and the few keys of a bucket are
    sorted by insertion::

        places   start of bucket 0 | start of bucket 1 | ...      each moves on as its bucket fills
        keys     [ keys of bucket 0 | keys of bucket 1 | ... ]
        order    [ their rows       | their rows       | ... ]

    A key is computed twice, which takes less time than to keep it and find it again, and once more where two are equal
    in the leading 32 bits that are kept. These bits tell buckets apart too, so rows are fewer than 2**32.
    """
    keys, places, order = numbers_at(keys, n, _WORD), numbers_at(places, n + 1, _WORD), words_at(order, n)
    state = count(count(mix(np.uint64(seed)), _SHUFFLE), epoch)
    for bucket in range(n + 1):
        places[bucket] = 0
    for row in range(n):
        places[_bucket(_key(state, numbers, row), n) + 1] += 1
    for bucket in range(n):
        places[bucket + 1] += places[bucket]
    for row in range(n):
        key = _key(state, numbers, row)
        bucket = _bucket(key, n)
        place = places[bucket]
        places[bucket] = place + 1
        keys[place], order[place] = key >> np.uint64(32), row
    for i in range(1, n):
        key, row, j = keys[i], order[i], i - 1
        while j >= 0 and (
            keys[j] > key or (keys[j] == key and _key(state, numbers, order[j]) > _key(state, numbers, row))
        ):
            keys[j + 1], order[j + 1] = keys[j], order[j]
            j -= 1
        keys[j + 1], order[j + 1] = key, row


def order_of_part(seed: int, epoch: int, numbers: np.ndarray) -> np.ndarray:
    """Return the order of a part of an epoch's rows, by the keys that they have among all: indices of their numbers.

    Examples
    --------
    >>> numbers = np.array([6, 1, 3])
    >>> order = order_of_part(0, 5, numbers)
    >>> every = counter_rng.permutation(0, 5, rows=8)
    >>> bool((numbers[order] == every[np.isin(every, numbers)]).all())
    True
    """
    n = len(numbers)
    keys, places, order = np.empty(n, np.uint32), np.empty(n + 1, np.uint32), np.empty(n, np.int64)
    arrays = (array.ctypes.data for array in (np.ascontiguousarray(numbers, np.int64), keys, places, order))
    _SHUFFLED(shuffle_address())(as_word(seed), epoch, n, *arrays)
    return order


@cache
def shuffle_address() -> int:
    """Return the address of `shuffle`."""
    return address_of(shuffle, types.void(*[types.intp] * 7), "rows")
