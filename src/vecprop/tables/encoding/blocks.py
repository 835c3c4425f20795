"""Blocks of rows: what is computed of a large table at once, so that memory is bounded, and threads have work."""

from collections.abc import Callable

from ...system.threads import run_together, usable_threads

NUMBERS_AT_ONCE = 2**21
"""A block has this many inputs, 8 MB in float32: more of them than of anything else that a thread computes at once."""
FEWEST_ROWS = 1024
"""A block has a multiple of this number of rows. Tiles of predictions end where it ends, so that bits are equal."""


def row_blocks(rows: int, width: int) -> list[slice]:
    """Return the blocks of rows that have a number of inputs each; the last has two rows at least, if there are two.

    A row alone would be predicted by other products, whose last bits differ.

    Examples
    --------
    >>> [(block.start, block.stop) for block in row_blocks(2049, width=4000)]
    [(0, 1024), (1024, 2049)]
    """
    size = max(NUMBERS_AT_ONCE // max(width, 1) // FEWEST_ROWS, 1) * FEWEST_ROWS
    starts = [*range(0, max(rows - 1, 1), size)]
    return list(map(slice, starts, [*starts[1:], rows]))


def by_blocks(work: Callable[[slice], None], rows: int, width: int) -> None:
    """Call work(block) for each block of rows, in as many threads as may run.

    Examples
    --------
    >>> by_blocks(print, 3, width=10)
    slice(0, 3, None)
    """
    parts = row_blocks(rows, width)
    workers = min(usable_threads(), len(parts))

    def own(worker: int) -> None:
        for part in parts[worker::workers]:
            work(part)

    run_together(own, workers)
