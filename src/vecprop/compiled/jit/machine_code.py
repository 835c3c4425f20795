"""Kernels: functions that are compiled to machine code, cached on disk, and called by address."""

import logging
from collections.abc import Callable
from functools import cache
from inspect import signature
from types import FunctionType

import numpy as np
from numba import types

from ...system.threads import fork_lock, run_in_thread
from . import OPTIONS
from .cache import alone, digest, keep, kept
from .fit_record import FIT_TYPE
from .numba_internals import compiled, loaded, settings

_OPTIONS = {name: value for name, value in OPTIONS.items() if name != "nogil"}


@cache
def _say():
    """Log once per process that kernels are being compiled, which takes seconds."""
    logging.getLogger("vecprop").warning("vecprop: compiling for this processor, once")


def filled_in(
    template: FunctionType, F: type, suffix: str = "", **names
) -> FunctionType:
    """Return a copy of a template with values for its placeholders; ``number`` is F, and ``size`` the bytes of an F."""
    names = {"number": F, "size": np.dtype(F).itemsize, **names}
    function = FunctionType(
        template.__code__, {**template.__globals__, **names}, template.__name__
    )
    function.__qualname__ = f"{template.__name__}_{F.__name__}{suffix}"
    function.__module__ = template.__module__
    return function


class Kernel:
    """A template that is compiled or loaded from the cache.

    Arguments are words, and there is no result. The argument ``fit`` is the record of a
    fit. Arguments and results that are annotated as float are doubles. `kinds` are the
    types of some other arguments.
    """

    def __init__(
        self, template: FunctionType, F: type, suffix: str = "", kinds=None, **names
    ):
        """Fill in the template's placeholders, and derive the kernel's signature and its name in the cache."""
        self.function = filled_in(template, F, suffix, **names)
        annotated = dict.fromkeys(template.__annotations__, types.float64)
        result = annotated.pop("return", types.void)
        types_of_arguments = {"fit": FIT_TYPE} | (kinds or {}) | annotated
        arguments = []
        for name in signature(template).parameters:
            arguments.append(types_of_arguments.get(name, types.intp))
        self.signature = result(*arguments)
        code = digest(self.function, str(self.signature), _OPTIONS, settings())
        module = self.function.__module__.rpartition(".")[2]
        self.name = f"{module}.{self.function.__qualname__}-{code[:24]}"

    def address(self) -> int:
        """Compile or load the kernel, and return the address of its machine code."""
        return run_in_thread(self._loaded)

    def _loaded(self) -> int:
        with fork_lock:  # also, the compiler is not thread-safe
            return loaded(kept(self.name) or self._compiled())

    def _compiled(self) -> bytes:
        _say()
        with alone(self.name):
            # otherwise, another process has compiled it meanwhile
            if (code := kept(self.name)) is None:
                code = compiled(self.function, self.signature, _OPTIONS)
                keep(self.name, code)
        return code


def addresses_of(template: FunctionType, names=lambda F: {}) -> Callable[[type], int]:
    """Return a cached function from a floating-point type to the address of a `Kernel`."""
    return cache(lambda F: address_of(template, F, **names(F)))


def address_of(template: FunctionType, F: type, suffix: str = "", **names) -> int:
    """Return the address of a template's `Kernel`."""
    return Kernel(template, F, suffix, **names).address()
