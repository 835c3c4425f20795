"""Kernels: functions compiled to machine code, kept on disk, and called by their address."""

import gc
import pickle
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FunctionType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import config, serialize, sigutils
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

from ...system.threads import apart, forks_wait
from .cache import alone, is_kept, keep, kept
from .numba_options import OPTIONS
from .pipeline import InnerCompiler, KernelCompiler
from .precompile import wait_for
from .reached import digest

_OPTIONS = {name: value for name, value in OPTIONS.items() if name != "nogil"}
_kept: list[Any] = []  # all code: an address is valid as long as its code exists

_PAUSE = 5.0
"""Kernels that are compiled within this many seconds after others are of the same fit, and nothing more is said."""
_last_said = -_PAUSE


def _say() -> None:
    """Tell the user why a fit takes seconds, once for all kernels that it needs."""
    global _last_said
    before, _last_said = _last_said, time.monotonic()
    if _last_said - before > _PAUSE:
        print("vecprop: compiling for this processor, once", file=sys.stderr, flush=True)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause garbage collection, which would take up to a fifth of the time of compiling."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def _compiler() -> tuple[Any, ...]:
    """Return all that machine code depends on beside its source: libraries, processor, and Numba's settings."""
    versions = numba.__version__, llvmlite.__version__, np.__version__, sys.version
    settings: Any = config  # Numba defines its settings at run time
    target: Any = cpu_target.target_context
    return *versions, repr(target.codegen().magic_tuple()), settings.BOUNDSCHECK, settings.OPT


def filled_in(template: FunctionType, suffix: str, **names: Any) -> FunctionType:
    """Return a copy of a template function whose global names have these values.

    The suffix becomes part of the copy's name. It has to be unique among the copies of a template: the linker takes
    code of one name for the same code, even if two processes have compiled it.
    """
    function = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    function.__qualname__ = f"{template.__name__}_{suffix}"
    function.__module__ = template.__module__
    return function


class Kernel:
    """A function that is compiled for the processor, or loaded from the cache."""

    def __init__(self, template: FunctionType, signature: Any, suffix: str, **names: Any) -> None:
        self.function, self.signature = filled_in(template, suffix, **names), signature
        made_of = digest(self.function, str(self.signature), (_OPTIONS, KernelCompiler, InnerCompiler), _compiler())
        self.name = f"{self.function.__module__.rpartition('.')[2]}.{self.function.__qualname__}-{made_of[:24]}"

    def address(self) -> int:
        """Return the address of its machine code, compiled or loaded."""
        return apart(self._compiled)

    def _compiled(self) -> int:
        global _last_said
        if missing := not is_kept(self.name):
            _say()
        wait_for(self.name)
        with forks_wait:  # and the compiler takes one function at a time
            compiler: Any = KernelCompiler  # Numba's annotation says that it has to be Numba's own
            compiled: Any = CFunc(self.function, sigutils.normalize_signature(self.signature), {}, _OPTIONS, compiler)
            compiled._cache = _Kept(self.name)
            if is_kept(self.name):
                compiled.compile()
            else:
                with alone(self.name), _no_garbage_collection():
                    compiled.compile()
            if missing:
                _last_said = time.monotonic()
        _kept.append(compiled)
        assert compiled.address is not None
        return compiled.address


class _Kept:
    """The cache of one kernel, with the methods that Numba calls to load and save its code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the code in the cache, or None."""
        code = kept(self.name)
        with suppress(Exception):  # of any type, if another version of the compiler has written it
            if code is not None:
                target.refresh()  # compiling would have done it
                return CompileResult._rebuild(target, *pickle.loads(code))
        _say()
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save compiled code in the cache."""
        keep(self.name, serialize.dumps(compiled._reduce()))


def address_of(template: FunctionType, signature: Any, suffix: str, **names: Any) -> int:
    """Return the address of a template compiled with these values of its placeholders; see `Kernel`."""
    return Kernel(template, signature, suffix, **names).address()
