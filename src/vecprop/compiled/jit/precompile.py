"""Compile a kernel in another process, while this one compiles those that are needed before it.

Numba compiles one function at a time in a process, and a single kernel takes half of the time of a first fit.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

from ...system.threads import allowed_threads
from .cache import folder, is_kept, is_shared

_CODE = """
import importlib, os, sys, threading, time
_, parent, module, kernel, kind, *sys.path = sys.argv
def end_with_parent():
    while os.getppid() == int(parent):
        time.sleep(0.2)
    os._exit(1)
if hasattr(os, "fork"):  # elsewhere a process keeps the number of a parent that has ended
    threading.Thread(target=end_with_parent, daemon=True).start()
sys.modules["scipy.linalg"] = None  # Numba would import it for products of arrays, which the kernel has none of
import numpy
getattr(importlib.import_module(module), kernel)(getattr(numpy, kind)).address()
"""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_LONGEST = 60
"""The most seconds to wait for the other process: it takes about three, and many more on a busy machine."""

_running: dict[str, subprocess.Popen[bytes]] = {}
_one_at_a_time = threading.Lock()


def _leave_to_parent() -> None:
    """Mark the parent's processes as ended in a forked child: only the parent can wait for them."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    for process in _running.values():
        process.returncode = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@cache
def precompile(kernel: Callable[[type], _Named], F: type) -> None:
    """Start to compile a kernel in another process, unless the cache has it or cannot be written.

    Later calls do nothing. `wait_for` waits until the kernel is there.
    """
    name = kernel(F).name
    with _one_at_a_time:
        if name not in _running and is_shared() and not is_kept(name) and _can_start():
            _start(name, kernel.__module__, kernel.__name__, F.__name__)


def _start(name: str, *arguments: str) -> None:
    """Start a process that compiles a kernel, with the same import path as this one."""
    path, nothing = folder(), subprocess.DEVNULL
    assert path is not None
    places = [place for place in sys.path if isinstance(place, str)]
    with suppress(OSError, ValueError):  # no process can be started: the kernel will be compiled here
        _running[name] = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, str(os.getpid()), *arguments, *places],
            env={**os.environ, "VECPROP_CACHE_DIR": str(path)},
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


def _can_start() -> bool:
    """Return whether this is Python with a second processor, and not one of a pool that would all do the same."""
    is_python = Path(sys.executable or "").name.startswith("python") and not hasattr(sys, "frozen")
    return is_python and allowed_threads() > 1 and multiprocessing.parent_process() is None


@atexit.register
def _end() -> None:
    """End the processes that nobody has waited for, as after a fit that failed."""
    for name, process in list(_running.items()):
        process.kill()
        wait_for(name)


def wait_for(name: str) -> None:
    """Wait for the process that compiles a kernel of this name, if one was started here."""
    if process := _running.get(name):
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _running.pop(name, None)
