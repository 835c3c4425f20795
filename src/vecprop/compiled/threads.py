"""The threads of the compiled engine, and the host's BLAS while they run."""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

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
    """Return how many threads may run: VECPROP_NUM_THREADS, or the processors that this process may use.

    Within `at_most_threads` they are no more than that. The number changes how fast a network is trained, and not one
    bit of the result.
    """
    most = _most.get()
    return _allowed_threads() if most is None else min(most, _allowed_threads())


def _allowed_threads() -> int:
    chosen = os.environ.get("VECPROP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    if chosen:
        raise ValueError(f"VECPROP_NUM_THREADS is {chosen!r}, but a positive whole number is needed.")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_together(work: Callable[[int], None], workers: int) -> None:
    """Call work(0), …, work(workers - 1) at the same time, the first in this thread."""
    others = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in range(1, workers)]
    for other in others:
        other.start()
    work(0)
    for other in others:
        other.join()


@contextmanager
def held_back_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done, since threads that meet at a barrier cannot be left half way."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    received: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received and callable(before):
        before(*received[0])


@lru_cache(maxsize=1)
def _controller() -> Any:
    import scipy.linalg  # noqa: F401 (loads the BLAS that compiled code calls)
    from threadpoolctl import ThreadpoolController

    every = ThreadpoolController().select(user_api="blas")
    own = [pool["filepath"] for pool in every.info() if re.search(r"scipy(\.libs|.\.dylibs)", pool["filepath"])]
    return every.select(filepath=own) if own else every  # NumPy and others may have a BLAS of their own


_guard = threading.Lock()
_users = 0
_limit: Any = None


@contextmanager
def single_threaded_blas(used: bool) -> Iterator[None]:
    """Keep BLAS at one thread while anyone uses it here, and set it back as it was after the last."""
    global _users, _limit
    if not used:
        yield
        return
    with _guard:
        if _users == 0:
            _limit = _controller().limit(limits=1)
            _limit.__enter__()
        _users += 1
    try:
        yield
    finally:
        with _guard:
            _users -= 1
            if _users == 0:
                _limit.__exit__(None, None, None)
