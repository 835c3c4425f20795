"""The shards of a batch that all workers find together: which rows they have, and where their memory is."""

from numba import njit

from ..jit.arrays import numbers_at
from ..jit.options import INNER, ONCE
from .sharing import QUARTERS


@njit(**INNER)
def quarters_of(worker, workers):
    """Return a worker's first quarter of what workers share, and that of the next worker."""
    return (worker * QUARTERS + workers - 1) // workers, ((worker + 1) * QUARTERS + workers - 1) // workers


@njit(**ONCE)
def rows_of(c, rows, shard):
    """Return a shard's rows of those of a batch."""
    return rows[shard * rows.size // c.shards : (shard + 1) * rows.size // c.shards]


@njit(**ONCE)
def memory_of(c, address, shard, count, like):
    """Return the part of the memory at an address that belongs to a shard, with this number of numbers for each row."""
    room = count * c.tile_rows
    return numbers_at(address + shard * like.itemsize * room, room, like)


@njit(**ONCE)
def tile_of(c, shard, like):
    """Return a shard's inputs."""
    return memory_of(c, c.tile, shard, c.inputs + 1, like)


@njit(**ONCE)
def work_of(c, shard, like):
    """Return what the layers leave of a shard, and where a worker of the same number packs."""
    return numbers_at(c.workspace + shard * like.itemsize * c.workspace_size, c.workspace_size, like)


@njit(**ONCE)
def delta_of(c, shard, which, like):
    """Return one of the two deltas of a shard."""
    place = 2 * shard + which
    return numbers_at(c.deltas + place * like.itemsize * c.delta_size, c.delta_size, like)
