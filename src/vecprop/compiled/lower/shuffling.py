"""The order of an epoch's rows, in compiled code."""

from functools import cache

import numpy as np
from numba import njit, types

from ...core import counter_rng
from ..jit.arrays import numbers_at, words_at
from ..jit.machine_code import address_of
from ..jit.numba_options import INNER
from .loops import count, mix

_SHUFFLE, _WORD = np.uint64(counter_rng._SHUFFLE), np.uint32(0)


@njit(**INNER)
def _bucket(key, n):
    """Return the bucket of a key: the range of keys is cut into n equal ones."""
    return np.int64(((key >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


def shuffle(seed, epoch, n, keys, places, order):
    """Fill order with `core.counter_rng.permutation`: the rows, sorted by a random key of each.

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
        places[_bucket(count(state, row), n) + 1] += 1
    for bucket in range(n):
        places[bucket + 1] += places[bucket]
    for row in range(n):
        key = count(state, row)
        bucket = _bucket(key, n)
        place = places[bucket]
        places[bucket] = place + 1
        keys[place], order[place] = key >> np.uint64(32), row
    for i in range(1, n):
        key, row, j = keys[i], order[i], i - 1
        while j >= 0 and (keys[j] > key or (keys[j] == key and count(state, order[j]) > count(state, row))):
            keys[j + 1], order[j + 1] = keys[j], order[j]
            j -= 1
        keys[j + 1], order[j + 1] = key, row


@cache
def shuffle_address() -> int:
    """Return the address of `shuffle`."""
    return address_of(shuffle, types.void(*[types.intp] * 6), "rows")
