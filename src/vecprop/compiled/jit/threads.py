"""What the threads of a fit call: functions of the system, under names of our own, and the barrier.

::

      words 0 .. 7                            words 8 .. 15
      +------------------------------+        +------------------------------+
      | arrived: threads of a round  |        | round: the number of rounds  |
      +------------------------------+        +------------------------------+
      each thread adds 1                      the last to arrive adds 1; all others spin until it changes

The two are a cache line apart: else each arrival would take the line away from those that spin. Behind the number of
rounds is the word in which the threads tell each other that they stop. Whoever finds that the fit is to stop writes it
between two barriers, and all read it behind the second: so they leave at the same step.
"""

import ctypes
import sys
import time
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types

from . import INNER, ONCE, intrinsic
from .addresses import words_at

YIELD, CLOCK = "vecprop_yield", "vecprop_clock"
IS_WINDOWS = sys.platform == "win32"
_NAMES = ("SwitchToThread", "QueryPerformanceCounter") if IS_WINDOWS else ("sched_yield", "clock_gettime")
_library: Any = ctypes.CDLL("kernel32" if IS_WINDOWS else None)


def made_known(names: tuple[str, ...] = _NAMES) -> str | None:
    """Make the functions known to compiled code; return the name of one that the system does not have, or None."""
    for symbol, name in zip((YIELD, CLOCK), names, strict=True):
        if not hasattr(_library, name):
            return name
        binding.add_symbol(symbol, ctypes.cast(_library[name], ctypes.c_void_p).value or 0)
    return None


MISSING = made_known()
"""The name of a function that the system does not have, so that no kernel can run; None if it has all."""


if IS_WINDOWS:
    _clock = types.ExternalFunction(CLOCK, types.int32(types.intp))
    _frequency = ctypes.c_int64()
    _library.QueryPerformanceFrequency(ctypes.byref(_frequency))
    _TICKS = float(_frequency.value)  # in a second

    @njit(**INNER)
    def now(place):
        """Return the seconds of a clock; place is the address of two words for it to write."""
        _clock(place)
        return words_at(place, 2)[0] / _TICKS

else:
    _clock = types.ExternalFunction(CLOCK, types.int32(types.int32, types.intp))
    _MONOTONIC = np.int32(time.CLOCK_MONOTONIC)

    @njit(**INNER)
    def now(place):
        """Return the seconds of a clock; place is the address of two words for it to write."""
        _clock(_MONOTONIC, place)
        words = words_at(place, 2)
        return words[0] + 1e-9 * words[1]


_WORD = ir.IntType(64)
_yield = types.ExternalFunction(YIELD, types.int32())

BARRIER_WORDS = 16
"""The words of a barrier, all 0 at first."""

ROUND, ABANDONED = 8, -(2**62)
"""The word of the number of rounds, and what a thread writes there that an exception keeps from coming, so that the
others leave. It has to do so before it has come: machine code that has begun is not left by an exception."""

STOPPED = 9
"""The word that is 1 if the fit stops."""

_SPINS = 4096
"""The spins after which a thread offers its processor to others: waits of microseconds are shorter than that."""


@intrinsic
def atomic_add(typing, address, value):
    """Add to the word at an address, and return what it was."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _WORD.as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.intp, types.int64), generate


@intrinsic
def _atomic_load(typing, address):
    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _WORD.as_pointer())
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(types.intp), generate


@njit(**INNER)
def wait_for_all(barrier, workers):
    """Return when all workers have called it; what one wrote before it, all read after it.

    The count goes back to 0 before the round ends, so that a thread that runs on may use the barrier again at once.
    """
    if workers == 1:
        return
    arrived, round_of = barrier.ctypes.data, barrier.ctypes.data + 64
    this_round = _atomic_load(round_of)
    if this_round < 0:
        return
    if atomic_add(arrived, np.int64(1)) == workers - 1:
        atomic_add(arrived, np.int64(-workers))
        atomic_add(round_of, np.int64(1))
        return
    spins = 0
    while _atomic_load(round_of) == this_round:
        spins += 1
        if spins > _SPINS:
            _yield()


@njit(**ONCE)
def is_abandoned(barrier):
    """Return whether a thread will not come, so that those that have come leave."""
    return _atomic_load(barrier.ctypes.data + 64) < 0
