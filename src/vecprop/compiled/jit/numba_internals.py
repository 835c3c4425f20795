"""Private parts of Numba: the object code of a function, the processor, and settings.

Only this module, `addresses` and the options of `jit` use private names. If such a name
is missing, `trial` fails and the reference engine is used.
"""

import gc
import sys
from functools import cache
from types import FunctionType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import extending
from numba.core.registry import cpu_target

_Intrinsic: Any = extending._Intrinsic

# addresses are valid as long as the engine that loaded the code
_engines: list[Any] = []


class CallableIntrinsic(_Intrinsic):
    """An intrinsic for compiled code that Python can call, too; Python then calls `formula`."""

    def __init__(self, intrinsic, formula):
        super().__init__(formula.__name__, intrinsic)
        self.formula = formula
        self._register()

    def __call__(self, *arguments, **named):
        return self.formula(*arguments, **named)


def compiled(function: FunctionType, signature, options: dict[str, Any]) -> bytes:
    """Compile a C function; return its symbol name and its object code, separated by a zero byte."""
    collects = gc.isenabled()
    gc.disable()  # garbage collection would take a fifth of the time
    try:
        compiled_function: Any = numba.cfunc(signature, **options)(function)
    finally:
        if collects:
            if not gc.get_freeze_count():
                gc.freeze()
                # the objects of the compiler are old now, so the next collection does
                # not visit them
                gc.unfreeze()
            gc.enable()
    # Private: Numba's cache is organized by source files, and with it a warm start
    # would take twice as long.
    return (
        compiled_function.native_name.encode()
        + b"\0"
        + compiled_function._library._get_compiled_object()
    )


def loaded(code: bytes) -> int:
    """Load code that `compiled` has returned, in this or another process; return its address."""
    name, _, object_code = code.partition(b"\0")
    machine = binding.Target.from_default_triple().create_target_machine()
    # separate: names may clash
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(object_code))
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address(name.decode())


@cache
def settings() -> tuple[Any, ...]:
    """Prepare LLVM, and return everything besides the source that affects machine code, such as the processor."""
    context: Any = cpu_target.target_context
    # private: with public names, a warm start would have to compile something, which
    # takes 0.3 s
    context.codegen()
    return (
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.version,
        binding.get_default_triple(),
        processor_name(),
        sorted(features()),
        setting("BOUNDSCHECK"),
        setting("OPT"),
    )


def setting(name: str):
    """Return a setting of Numba, or None if Numba does not have it."""
    return getattr(getattr(numba, "config", None), name, None)


def processor_name() -> str:
    """Return LLVM's name of the processor that Numba compiles for: the one in Numba's settings, or this processor."""
    return setting("CPU_NAME") or binding.get_host_cpu_name()


def features() -> set[str]:
    """Return the instruction sets of the processor that Numba compiles for, such as "avx2"."""
    named = setting("CPU_FEATURES")
    if named is None:
        return {name for name, has in binding.get_host_cpu_features().items() if has}
    return {name[1:] for name in named.split(",") if name[:1] == "+"}


def has_wide_vectors() -> bool:
    """Return whether the processor has vectors of at least 32 bytes, masked loads and FMA: x86 with AVX2 or newer."""
    return "avx512f" in features() or {"avx2", "fma"} <= features()
