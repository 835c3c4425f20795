"""How many threads may run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_most: ContextVar[int | None] = ContextVar("most", default=None)


@contextmanager
def at_most_threads(count: int) -> Iterator[None]:
    """Use no more threads in the block than so many."""
    before = _most.set(count)
    try:
        yield
    finally:
        _most.reset(before)


def usable_threads() -> int:
    """Return how many threads may run here: those that may run at all, or fewer within `at_most_threads`.

    The number changes how fast a network is trained, and not one bit of the result.
    """
    most = _most.get()
    return allowed_threads() if most is None else min(most, allowed_threads())


def allowed_threads() -> int:
    """Return how many threads may run at all: VECPROP_NUM_THREADS, or the processors that this process may use."""
    chosen = os.environ.get("VECPROP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    if chosen:
        raise ValueError(f"VECPROP_NUM_THREADS is {chosen!r}, but a positive whole number is needed.")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
