"""The functions of the operating system that kernels call, under names of our own: each platform has others.

Compiled code has the names, and each process says at import where the functions are.
"""

import ctypes
import sys
from typing import Any

from llvmlite import binding

YIELD, CLOCK = "vecprop_yield", "vecprop_clock"
IS_WINDOWS = sys.platform == "win32"

_FUNCTIONS = {YIELD: "SwitchToThread", CLOCK: "QueryPerformanceCounter"}
if not IS_WINDOWS:
    _FUNCTIONS = {YIELD: "sched_yield", CLOCK: "clock_gettime"}


def _library() -> Any:
    """Return the library that has the functions: Windows's kernel, or what this process has loaded."""
    return ctypes.CDLL("kernel32" if IS_WINDOWS else None)


def made_known() -> str | None:
    """Make the functions known to compiled code; return the name of one that the system does not have, or None."""
    for name, function in _FUNCTIONS.items():
        try:
            address = ctypes.cast(getattr(_library(), function), ctypes.c_void_p).value
        except (AttributeError, OSError):
            return function
        assert address is not None
        binding.add_symbol(name, address)
    return None


MISSING = made_known()
"""The name of a function that the system does not have, so that no kernel can run; None if it has all."""


def clock_frequency() -> float:
    """Return the ticks of Windows's clock in a second."""
    ticks = ctypes.c_int64()
    _library().QueryPerformanceFrequency(ctypes.byref(ticks))
    return float(ticks.value)
