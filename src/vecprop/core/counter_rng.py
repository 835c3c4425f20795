"""Counter-based random numbers: every number is a function of a seed and integer counters.

The numbers do not depend on the engine, batch, thread or worker. The function chains
SplitMix64 streams (Steele, Lea and Flood, 2014): each counter selects a number from the
stream that the previous counters seed.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy import ndarray

from .elementary import Array

GOLDEN = 0x9E3779B97F4A7C15
_WORD = 0xFFFF_FFFF_FFFF_FFFF
SHUFFLE, DROPOUT, _BLOCKS = 0, 1, 2  # the first counter: the purpose of a number


def mix(x: ndarray) -> ndarray:
    """Apply the SplitMix64 finalizer to unsigned 64-bit states."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def counter_bits(seed: int | Array, *counts: int | Array) -> ndarray:
    """Return 64 random bits for a seed and each combination of counters."""
    state = mix(_words(seed))
    for count in counts:
        state = mix(state + (_words(count) + np.uint64(1)) * np.uint64(GOLDEN))
    return state


def _words(count: int | Array) -> ndarray:
    if isinstance(count, int):
        count &= _WORD  # a seed may be any integer
    return np.atleast_1d(np.asarray(count)).astype(np.uint64)


def counter_uniform(seed: int | Array, *counts: int | Array) -> ndarray:
    """Return uniform float64 numbers in [0, 1), computed from `counter_bits`."""
    return (counter_bits(seed, *counts) >> np.uint64(11)) * 2.0**-53


def permutation(seed: int, epoch: int, rows: int) -> ndarray:
    """Return the row indices of an epoch, sorted by one random number per row."""
    return np.argsort(row_keys(seed, epoch, np.arange(rows)), kind="stable")


def row_keys(seed: int, epoch: int, rows) -> ndarray:
    """Return the random sort keys that `permutation` uses for these row indices."""
    return counter_bits(seed, SHUFFLE, epoch, rows)


def order_of_blocks(seed: int, epoch: int, blocks: int) -> ndarray:
    """Return the random order of the blocks of rows in an epoch."""
    return np.argsort(
        counter_bits(seed, _BLOCKS, epoch, np.arange(blocks)), kind="stable"
    )


@dataclass(frozen=True, eq=False)
class RandomKey:
    """The random key of a forward pass. A layer always draws the same numbers from the same key.

    Parameters
    ----------
    seed : int or array of int, default 0
        One seed for all members, or one per member, of shape (*M,).
    step : int, default 0
        The index of the training step.
    rows : array of int, optional
        The indices of the batch's rows in the data set, shape (N,); by default 0 to N -
        1.
    layer : int, default 0
        The index of the layer, set by the network.
    parts : tuple of int, default ()
        The indices of nested layers within that layer, set by `split`.

    Examples
    --------
    >>> RandomKey(seed=3, step=5).uniform(rows=4, columns=2).shape
    (4, 2)
    """

    seed: int | Array = 0
    step: int = 0
    rows: Array | None = None
    layer: int = 0
    parts: tuple[int, ...] = ()

    @classmethod
    def _of(cls, noise: "RandomKey | int | None") -> "RandomKey | None":
        """Return a random key; an integer is used as the seed."""
        if not isinstance(noise, RandomKey | int | np.integer | None):
            raise TypeError(
                f"noise must be an integer, a RandomKey or None, got {noise!r}."
            )
        if isinstance(noise, int | np.integer):
            return cls(seed=noise)
        return noise

    def _at_layer(self, layer: int) -> Self:
        """Return the same key for another layer."""
        return type(self)(self.seed, self.step, self.rows, layer)

    def split(self, part: int) -> Self:
        """Return a separate key for a part, such as a nested layer.

        Parameters
        ----------
        part : int
            The index of the part, at least 0.

        Examples
        --------
        >>> noise = RandomKey(seed=3)
        >>> bool((noise.split(0).uniform(4, 2) == noise.split(1).uniform(4, 2)).any())
        False
        """
        return replace(self, parts=(*self.parts, part))

    def uniform(self, rows: int, columns: int) -> ndarray:
        """Return a uniform number in [0, 1) for each row and column, shape (*M, rows, columns)."""
        seed = self.seed
        if not isinstance(seed, int):
            seed = np.asarray(seed)[..., None, None]
        row = np.arange(rows) if self.rows is None else np.asarray(self.rows)
        # The counters are negative for nested layers, to differ from row indices.
        nested_layers = (-1 - part for part in self.parts)
        return counter_uniform(
            seed,
            DROPOUT,
            self.step,
            self.layer,
            *nested_layers,
            row[..., None],
            np.arange(columns),
        )
