"""Kernels that encode numeric columns, and expand packed rows in tiles of the compiled engine."""

from collections.abc import Callable, Iterator

import numpy as np


def kernels() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each kernel and a function that compiles it or loads it from the cache."""
    from .expansion import expand_address
    from .numbers import encode_address

    yield "columns of numbers", encode_address
    for F in (np.float32, np.float64):
        yield f"{F.__name__} expansion", lambda F=F: expand_address(F)
