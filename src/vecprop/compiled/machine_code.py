"""Functions as machine code on disk: compiled once for a processor, called by their address."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FunctionType
from typing import Any

from numba import cfunc

from .cache import cached_in_folder, is_kept
from .formulas import OPTIONS

_OPTIONS = {name: value for name, value in OPTIONS.items() if name != "nogil"}
_kept: list[Any] = []  # an address is good as long as its code lives


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
    if not is_kept(function.__qualname__):
        _say_once()
    with cached_in_folder() as kept, _no_garbage_collection():
        compiled = cfunc(signature, cache=kept, **_OPTIONS)(function)
    _kept.append(compiled)
    assert compiled.address is not None
    return compiled.address
