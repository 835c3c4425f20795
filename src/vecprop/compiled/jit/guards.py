"""What of the host waits or stands still while kernels run: Ctrl-C, and its BLAS."""

import _signal  # pyright: ignore[reportMissingImports] (what signal wraps in a search for handlers' names: 6 us)
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def held_back_interrupts() -> Iterator[list[Any]]:
    """Let Ctrl-C wait until the block is done, since threads that meet at a barrier cannot be left half way.

    The block may look at the list that it is given: it fills when Ctrl-C is pressed.
    """
    if threading.current_thread() is not threading.main_thread() or _signal.getsignal(signal.SIGINT) is None:
        yield []  # signals go to the main thread; None is a handler that is not Python's and could not be put back
        return
    received: list[Any] = []
    before = _signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
    try:
        yield received
    finally:
        _signal.signal(signal.SIGINT, before)
    if received and callable(before):
        before(*received[0])


@lru_cache(maxsize=1)
def _controller() -> Any:
    import scipy.linalg  # noqa: F401 (loads the BLAS that compiled code calls)
    from threadpoolctl import ThreadpoolController

    every = ThreadpoolController().select(user_api="blas")
    own = [pool["filepath"] for pool in every.info() if re.search(r"scipy(\.libs|.\.dylibs)", pool["filepath"])]
    return every.select(filepath=own) if own else every  # NumPy and others may have a BLAS of their own


def _set_blas(counts: list[int]) -> list[int]:
    """Set the threads of each BLAS, and return how many they were."""
    import threadpoolctl

    # Since its release 3.8 threadpoolctl lets one thread alone set OpenBLAS. Here it is set back by whoever is last.
    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    release = getattr(openblas, "clear_controlling_thread", lambda force: None)
    libraries = _controller().lib_controllers
    before = [library.num_threads for library in libraries]
    release(force=True)
    for library, count in zip(libraries, counts, strict=True):
        library.set_num_threads(count)
    release(force=True)
    return before


_guard = threading.Lock()
_users = 0
_before: list[int] = []


def _forget_users() -> None:
    """Forget, in a child, who used BLAS in its parent: they are not here to release anything."""
    global _guard, _users
    _guard, _users = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_users)


@contextmanager
def single_threaded_blas(used: bool) -> Iterator[None]:
    """Keep BLAS at one thread while anyone uses it here, and set it back as it was after the last."""
    global _users, _before
    if not used:
        yield
        return
    with _guard:
        if _users == 0:
            _before = _set_blas([1] * len(_controller().lib_controllers))
        _users += 1
    try:
        yield
    finally:
        with _guard:
            _users = max(_users - 1, 0)  # a child that was forked meanwhile has forgotten them
            if _users == 0:
                _set_blas(_before)
