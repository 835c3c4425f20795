"""Kernels: functions compiled to machine code, kept on disk, and called by their address.

Numba compiles one function at a time in a process, and a single kernel takes half of the time of a first fit. So
another process compiles it (`precompile`), while this one compiles those that are needed before it.
"""

import atexit
import logging
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from numba import types

from ...system.threads import allowed_threads, apart, forks_wait
from . import OPTIONS
from .cache import alone, digest, folder, is_kept, is_shared, keep, kept
from .numba_internals import compiled, loaded, settings

_CODE = """
import importlib, sys
_, module, kernel, kind, *sys.path = sys.argv
sys.modules["scipy.linalg"] = None  # Numba would import it for products of arrays, which the kernel has none of
import numpy
getattr(importlib.import_module(module), kernel)(getattr(numpy, kind)).address()
"""

_LONGEST = 60
"""The most seconds to wait for the other process: it takes about three, and many more on a busy machine."""

_running: dict[str, subprocess.Popen[bytes]] = {}


@cache
def precompile(kernel: Callable[[type], "Kernel"], F: type) -> None:
    """Start to compile a kernel in another process, unless the cache has it or cannot be written; see `wait_for`."""
    name = kernel(F).name
    with forks_wait:
        if name in _running or is_kept(name) or not (is_shared() and _can_start()):
            return
        places = [place for place in sys.path if isinstance(place, str)]
        nothing = subprocess.DEVNULL
        with suppress(OSError, ValueError):  # no process can be started: the kernel will be compiled here
            _running[name] = subprocess.Popen(
                [sys.executable, "-I", "-c", _CODE, kernel.__module__, kernel.__name__, F.__name__, *places],
                env={**os.environ, "VECPROP_CACHE_DIR": str(folder())},
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
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LONGEST)
        process.kill()
        process.wait()
        _running.pop(name, None)


_OPTIONS = {name: value for name, value in OPTIONS.items() if name != "nogil"}


@cache
def _say() -> None:
    """Tell the user why a fit takes seconds, once in each process."""
    logging.getLogger("vecprop").warning("vecprop: compiling for this processor, once")


def filled_in(template: FunctionType, F: type, suffix: str = "", **names: Any) -> FunctionType:
    """Return a copy of a template whose placeholders have these values: ``number`` is F, and ``size`` its bytes."""
    names = {"number": F, "size": np.dtype(F).itemsize, **names}
    function = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    function.__qualname__ = f"{template.__name__}_{F.__name__}{suffix}"
    function.__module__ = template.__module__
    return function


class Kernel:
    """A template that is compiled, or loaded; without a signature it takes words, and returns nothing."""

    def __init__(self, template: FunctionType, F: type, suffix: str = "", signature: Any = None, **names: Any) -> None:
        self.function = filled_in(template, F, suffix, **names)
        self.signature = signature or types.void(*[types.intp] * template.__code__.co_argcount)
        made_of = digest(self.function, str(self.signature), _OPTIONS, settings())
        self.name = f"{self.function.__module__.rpartition('.')[2]}.{self.function.__qualname__}-{made_of[:24]}"

    def address(self) -> int:
        """Return the address of its machine code, compiled or loaded."""
        return apart(self._loaded)

    def _loaded(self) -> int:
        if not is_kept(self.name):
            _say()
        wait_for(self.name)
        with forks_wait:  # and the compiler takes one function at a time
            return loaded(kept(self.name) or self._compiled())

    def _compiled(self) -> bytes:
        _say()
        with alone(self.name):
            if (code := kept(self.name)) is None:  # or else another process has compiled it meanwhile
                code = compiled(self.function, self.signature, _OPTIONS)
                keep(self.name, code)
        return code


def address_of(template: FunctionType, F: type, suffix: str = "", signature: Any = None, **names: Any) -> int:
    """Return the address of a template's `Kernel`."""
    return Kernel(template, F, suffix, signature, **names).address()
