"""The shards of a batch that all workers find together: which rows they have, and where their memory is."""

from numba import njit

from ..jit.arrays import numbers_at
from ..jit.options import INNER, ONCE
from ..jit.record import Slot
from .sharing import QUARTERS


@njit(**INNER)
def quarters_of(worker, workers):
    """Return a worker's first quarter of what workers share, and that of the next worker."""
    return (worker * QUARTERS + workers - 1) // workers, ((worker + 1) * QUARTERS + workers - 1) // workers


@njit(**ONCE)
def rows_of(c, rows, shard):
    """Return a shard's rows of those of a batch."""
    return rows[shard * rows.size // c[Slot.SHARDS] : (shard + 1) * rows.size // c[Slot.SHARDS]]


@njit(**ONCE)
def memory_of(c, slot, shard, count, like):
    """Return a shard's memory for so many numbers a row."""
    room = count * c[Slot.TILE_ROWS]
    return numbers_at(c[slot] + shard * like.itemsize * room, room, like)


@njit(**ONCE)
def tile_of(c, shard, like):
    """Return a shard's inputs."""
    return memory_of(c, Slot.TILE, shard, c[Slot.INPUTS] + 1, like)


@njit(**ONCE)
def work_of(c, shard, like):
    """Return what the layers leave of a shard, and where a worker of the same number packs."""
    return numbers_at(c[Slot.WORK] + shard * like.itemsize * c[Slot.WORK_SIZE], c[Slot.WORK_SIZE], like)


@njit(**ONCE)
def delta_of(c, shard, which, like):
    """Return one of the two deltas of a shard."""
    place = 2 * shard + which
    return numbers_at(c[Slot.DELTAS] + place * like.itemsize * c[Slot.DELTA_SIZE], c[Slot.DELTA_SIZE], like)
