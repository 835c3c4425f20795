"""Functions as machine code on disk: compiled once for a processor, called by their address."""

import gc
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from types import FunctionType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import config, serialize, sigutils
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

from .cache import is_kept, keep, kept
from .options import OPTIONS
from .precompile import wait_for
from .reached import digest

_OPTIONS = {name: value for name, value in OPTIONS.items() if name != "nogil"}
_kept: list[Any] = []  # an address is good as long as its code lives
_one_at_a_time = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: globals().update(_one_at_a_time=threading.RLock()))


@cache
def _say_once() -> None:
    """Say why the first fit takes seconds."""
    print("vecprop: compiling for this processor, once", file=sys.stderr, flush=True)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause garbage collection, which takes a fifth of the time that compiling does."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def _compiler() -> tuple[Any, ...]:
    """Return what else machine code depends on: the libraries, the processor, and how Numba is set."""
    versions = numba.__version__, llvmlite.__version__, np.__version__, sys.version
    settings: Any = config  # which are made when it is imported
    target: Any = cpu_target.target_context
    return *versions, repr(target.codegen().magic_tuple()), settings.BOUNDSCHECK, settings.OPT


def filled_in(template: FunctionType, suffix: str, **names: Any) -> FunctionType:
    """Return a function that is a template with these names filled in.

    The suffix becomes part of its name and has to tell it from all others of the template: code of one name that two
    processes have compiled and kept is taken for the same.
    """
    function = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    function.__qualname__ = f"{template.__name__}_{suffix}"
    function.__module__ = template.__module__
    return function


class Kernel:
    """A function to be compiled for the processor, or found compiled.

    Parameters
    ----------
    template : function
        A function whose global names are not all defined where it stands.
    signature : numba signature
        Its arguments.
    suffix : str
        What tells this compilation of the template from others, see `filled_in`.
    **names
        What the template's open names stand for.
    """

    def __init__(self, template: FunctionType, signature: Any, suffix: str, **names: Any) -> None:
        self.function, self.signature = filled_in(template, suffix, **names), signature

    @cached_property
    def name(self) -> str:
        """Under what it is kept: its own name, and a digest of all code that it reaches; see `reached`."""
        made_of = digest(self.function, str(self.signature), _OPTIONS, _compiler())
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__qualname__}-{made_of[:24]}"

    def address(self) -> int:
        """Return the address of its machine code."""
        with _one_at_a_time:
            wait_for(self.name)
            if not is_kept(self.name):
                _say_once()
            compiled: Any = CFunc(self.function, sigutils.normalize_signature(self.signature), {}, _OPTIONS)
            compiled._cache = _Kept(self.name)
            with _no_garbage_collection():
                compiled.compile()
        _kept.append(compiled)
        assert compiled.address is not None
        return compiled.address


class _Kept:
    """What Numba asks for code that it need not compile, and gives what it has compiled."""

    def __init__(self, name: str) -> None:
        self.name = name

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return what is kept, or None."""
        code = kept(self.name)
        if code is None:
            return None
        target.refresh()  # which makes it ready, as compiling does
        try:
            return CompileResult._rebuild(target, *pickle.loads(code))
        except Exception:  # of any kind where it is not what this compiler has made
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what has been compiled."""
        keep(self.name, serialize.dumps(compiled._reduce()))


def address_of(template: FunctionType, signature: Any, suffix: str, **names: Any) -> int:
    """Compile a template, with these names filled in, and return its address; see `Kernel`."""
    return Kernel(template, signature, suffix, **names).address()
