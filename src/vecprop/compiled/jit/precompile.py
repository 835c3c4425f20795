"""A kernel compiled in another process, while this one compiles those that are needed before it.

Numba compiles one function at a time in a process, and half of what a first fit needs is a single kernel.
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
import importlib, sys
_, module, kernel, kind, *sys.path = sys.argv
import numpy
getattr(importlib.import_module(module), kernel)(getattr(numpy, kind)).address()
"""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_LONGEST = 60
"""How many seconds the other process is waited for at most: it takes three."""

_running: dict[str, subprocess.Popen[bytes]] = {}
_one_at_a_time = threading.Lock()


def _leave_to_parent() -> None:
    """Take, in a child, what its parent has started for ended: it is not this process's to wait for."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    for process in _running.values():
        process.returncode = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@cache
def compile_ahead(kernel: Callable[[type], _Named], F: type) -> None:
    """Have another process compile a kernel, unless it is kept already or cannot be; later calls do nothing.

    Parameters
    ----------
    kernel : function
        What returns it, a `machine_code.Kernel`, for a floating type; the other process calls it by its name.
    F : type
        The floating type.
    """
    name = kernel(F).name
    with _one_at_a_time:
        if name not in _running and is_shared() and not is_kept(name) and _can_start():
            _start(name, kernel.__module__, kernel.__name__, F.__name__)


def _start(name: str, *arguments: str) -> None:
    """Start a process that compiles a kernel; it imports from where this one does, and from nowhere else."""
    path, nothing = folder(), subprocess.DEVNULL
    assert path is not None
    places = [place for place in sys.path if isinstance(place, str)]
    with suppress(OSError, ValueError):  # no such program, or no room for another process: it will be compiled here
        _running[name] = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, *arguments, *places],
            env={**os.environ, "VECPROP_CACHE_DIR": str(path)},
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


def _can_start() -> bool:
    """Return whether this is Python, has a processor to spare, and is not one of several that do the same."""
    is_python = Path(sys.executable or "").name.startswith("python") and not hasattr(sys, "frozen")
    return is_python and allowed_threads() > 1 and multiprocessing.parent_process() is None


@atexit.register
def _end() -> None:
    """End what nobody has waited for, as where a fit has failed."""
    for name, process in list(_running.items()):
        process.kill()
        wait_for(name)


def wait_for(name: str) -> None:
    """Return when no other process started here is compiling a kernel of this name."""
    if process := _running.get(name):
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _running.pop(name, None)
