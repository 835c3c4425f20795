"""Functions as machine code on disk: compiled once for a processor, called by their address."""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FunctionType
from typing import Any

from numba import cfunc

from ...core.sources import require_unchanged
from .cache import cached_in_folder, forget, is_kept
from .options import OPTIONS
from .precompile import wait_for

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
    """Let garbage wait: the compiler makes so many objects that looking for it takes a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _compile(function: FunctionType, signature: Any, kept: bool) -> Any:
    """Return a function compiled, or as it is kept; where what is kept is of no use, compiled anew."""
    try:
        return cfunc(signature, cache=kept, **_OPTIONS)(function)
    except Exception:  # of any kind where a file is damaged, or there is no room for it
        if not kept:
            raise
    forget(function.__qualname__)
    return cfunc(signature, cache=False, **_OPTIONS)(function)


def filled_in(template: FunctionType, suffix: str, **names: Any) -> FunctionType:
    """Return a function that is a template with these names filled in.

    The suffix becomes part of its name and has to tell it from all others of the template: code of one name that two
    processes have compiled and kept is taken for the same.
    """
    function = FunctionType(template.__code__, {**template.__globals__, **names}, template.__name__)
    function.__qualname__ = f"{template.__name__}_{suffix}"
    function.__module__ = template.__module__
    return function


def address_of(template: FunctionType, signature: Any, suffix: str, **names: Any) -> int:
    """Compile a template, with these names filled in, and return its address.

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
    function = filled_in(template, suffix, **names)
    with _one_at_a_time:  # for where compiled code is kept is a setting of Numba's
        wait_for(function.__qualname__)
        if not is_kept(function.__qualname__):
            require_unchanged()
            _say_once()
        with cached_in_folder() as kept, _no_garbage_collection():
            compiled = _compile(function, signature, kept)
    _kept.append(compiled)
    assert compiled.address is not None
    return compiled.address
