"""What Numba does not export: the object code of a function, and the processor and settings that it compiles for.

This module and the options of `jit` are all that uses private names. Where one of them is gone, `trial` fails, and the
reference engine computes.
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
from numba.core.registry import cpu_target

_engines: list[Any] = []  # an address is valid as long as the engine that has loaded its code


def compiled(function: FunctionType, signature: Any, options: dict[str, Any]) -> bytes:
    """Return the object code of a function that C can call, behind the name that it has there."""
    collects = gc.isenabled()
    gc.disable()  # or a fifth of the time would go there
    try:
        made: Any = numba.cfunc(signature, **options)(function)
    finally:
        if collects:
            gc.enable()
    # Private: Numba's own cache keeps code by its source file, and a warm start would take twice as long.
    return made.native_name.encode() + b"\0" + made._library._get_compiled_object()


def loaded(code: bytes) -> int:
    """Return the address of a function that `compiled` has returned, in this process or another one."""
    name, _, made = code.partition(b"\0")
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)  # a separate one: names may be the same
    engine.add_object_file(binding.ObjectFileRef.from_data(made))
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address(name.decode())


@cache
def settings() -> tuple[Any, ...]:
    """Return what machine code depends on besides its source: libraries, processor, settings; and prepare LLVM."""
    context: Any = cpu_target.target_context
    context.codegen()  # private: by public names a warm start would have to compile something, which takes 0.3 s
    versions = numba.__version__, llvmlite.__version__, np.__version__, sys.version
    machine = binding.get_default_triple(), processor_name(), sorted(features())
    return *versions, *machine, setting("BOUNDSCHECK"), setting("OPT")


def setting(name: str) -> Any:
    """Return one of Numba's settings, which it defines at run time, or None if it has no such setting."""
    return getattr(getattr(numba, "config", None), name, None)


def processor_name() -> str:
    """Return the name of the processor that Numba compiles for, as LLVM knows it: this one, or that of its settings."""
    return setting("CPU_NAME") or binding.get_host_cpu_name()


def features() -> set[str]:
    """Return the names of its instructions, such as "avx2"."""
    named = setting("CPU_FEATURES")
    if named is None:
        return {name for name, has in binding.get_host_cpu_features().items() if has}
    return {name[1:] for name in named.split(",") if name[:1] == "+"}


def has_wide_vectors() -> bool:
    """Return whether it has vectors of at least 32 bytes with masked loads and fused products: x86 from AVX2 on."""
    return "avx512f" in features() or {"avx2", "fma"} <= features()
