"""Functions for the threads of a fit: system functions under separate symbol names, and a barrier.

::

      words 0 .. 7                            words 8 .. 15
      +------------------------------+        +------------------------------+
      | arrived: threads of a round  |        | round: the number of rounds  |
      +------------------------------+        +------------------------------+
      each thread adds 1                      the last to arrive adds 1; all others spin until it changes

The two words are on separate cache lines, so that arriving threads do not invalidate
the line that others spin on. The number of rounds is followed by the stop flag. A
thread that detects a stop sets the flag between two barriers, and all threads read the
flag after the second barrier, so that they stop at the same step.
"""

import ctypes
import sys
import time
from typing import Any

import numpy as np
from llvmlite import binding
from numba import types

from . import inlined, inner
from .addresses import words_at
from .tracing import Number, of_numbers

YIELD, CLOCK = "vecprop_yield", "vecprop_clock"
IS_WINDOWS = sys.platform == "win32"
_NAMES = (
    ("SwitchToThread", "QueryPerformanceCounter")
    if IS_WINDOWS
    else ("sched_yield", "clock_gettime")
)
_library: Any = ctypes.CDLL("kernel32" if IS_WINDOWS else None)


def made_known(names: tuple[str, ...] = _NAMES) -> str | None:
    """Register system functions for compiled code; return the name of a missing one, if any."""
    for symbol, name in zip((YIELD, CLOCK), names, strict=True):
        if not hasattr(_library, name):
            return name
        binding.add_symbol(
            symbol, ctypes.cast(_library[name], ctypes.c_void_p).value or 0
        )
    return None


MISSING = made_known()
"""The name of a missing system function, or None. Without these functions, no kernel
can run.
"""


if IS_WINDOWS:
    _clock = types.ExternalFunction(CLOCK, types.int32(types.intp))
    _frequency = ctypes.c_int64()
    _library.QueryPerformanceFrequency(ctypes.byref(_frequency))
    _TICKS = float(_frequency.value)  # per second

    @inner
    def now(scratch):
        """Return the seconds of a clock; scratch is the address of two words of memory."""
        _clock(scratch)
        return words_at(scratch, 2)[0] / _TICKS

else:
    _clock = types.ExternalFunction(CLOCK, types.int32(types.int32, types.intp))
    _MONOTONIC = np.int32(time.CLOCK_MONOTONIC)

    @inner
    def now(scratch):
        """Return the seconds of a clock; scratch is the address of two words of memory."""
        _clock(_MONOTONIC, scratch)
        words = words_at(scratch, 2)
        return words[0] + 1e-9 * words[1]


_yield = types.ExternalFunction(YIELD, types.int32())

BARRIER_WORDS = 16
"""The number of words of a barrier, initially 0."""

ROUND = 8
ABANDONED = -(2**62)
"""The index of the word with the number of rounds, and the word's value if a thread
raises before it enters machine code, so that the others stop waiting. Exceptions cannot
interrupt machine code.
"""

STOPPED = 9
"""The index of the word that is 1 if the fit stops."""

_SPINS = 4096
"""The number of spins after which a waiting thread yields its processor; waits of
microseconds are shorter.
"""


@of_numbers
def atomic_add(address, value):
    """Add to the word at an address, and return its previous value."""
    builder = address.builder
    return Number(
        builder, builder.atomic_rmw("add", address.place(0), value.value, "seq_cst")
    )


@of_numbers
def _atomic_load(address):
    builder = address.builder
    return Number(builder, builder.load_atomic(address.place(0), "seq_cst", 8))


@inner
def wait_for_all(fit):
    """Wait until all workers have called this function; afterwards, each worker sees all earlier writes of the others.

    The last worker to arrive resets the count of arrived workers and then increases the
    number of rounds. The others wait for that. A fast worker can therefore use the
    barrier again immediately. A negative number of rounds means that a worker will
    never arrive; see `ABANDONED`.
    """
    workers = fit.workers
    if workers == 1:
        return
    arrived = fit.barrier
    rounds = fit.barrier + 8 * ROUND
    this_round = _atomic_load(rounds)
    if this_round < 0:
        return
    if atomic_add(arrived, 1) == workers - 1:
        atomic_add(arrived, -workers)
        atomic_add(rounds, 1)
        return
    spins = 0
    while _atomic_load(rounds) == this_round:
        spins += 1
        if spins > _SPINS:
            _yield()


@inlined
def is_abandoned(fit):
    """Return whether a thread will never arrive, so that the others must stop."""
    return _atomic_load(fit.barrier + 8 * ROUND) < 0
