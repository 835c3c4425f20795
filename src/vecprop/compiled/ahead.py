"""A kernel compiled in another process, while this one compiles those that are needed before it.

Numba compiles one function at a time in a process, and half of what a first fit needs is a single kernel.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType

from ..core.processors import allowed_threads
from .cache import folder, is_kept, is_shared

_CODE = """
import importlib, sys
_, module, address, kind, *sys.path = sys.argv
import numpy
getattr(importlib.import_module(module), address)(getattr(numpy, kind))
"""
_LONGEST = 60
"""How many seconds the other process is waited for at most: it takes three."""

_running: dict[str, subprocess.Popen[bytes]] = {}


@cache
def compile_ahead(address: Callable[[type], int], template: FunctionType, F: type) -> None:
    """Have another process compile a kernel, unless it is kept already or cannot be; later calls do nothing.

    Parameters
    ----------
    address : callable
        What returns its address for a floating type.
    template : function
        What it compiles.
    F : type
        The floating type.
    """
    name, path = f"{template.__name__}_{F.__name__}", folder()
    if path is None or not is_shared() or is_kept(name) or name in _running or not _can_start():
        return
    places = [place for place in sys.path if isinstance(place, str)]
    command = [sys.executable, "-c", _CODE, address.__module__, address.__name__, F.__name__, *places]
    nothing = subprocess.DEVNULL
    with suppress(OSError):  # no such program, or no room for another process: it will be compiled here
        _running[name] = subprocess.Popen(
            command,
            env={**os.environ, "VECPROP_CACHE_DIR": str(path.parent)},
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


def _can_start() -> bool:
    """Return whether this is Python, has a processor to spare, and is not one of several that do the same."""
    is_python = Path(sys.executable or "").name.startswith("python") and not hasattr(sys, "frozen")
    return is_python and allowed_threads() > 1 and multiprocessing.parent_process() is None


def wait_for(name: str) -> None:
    """Return when no other process started here is compiling a kernel of this name."""
    if process := _running.get(name):
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _running.pop(name, None)
