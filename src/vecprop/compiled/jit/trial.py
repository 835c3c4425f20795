"""A small kernel that is tried before all others, so that a fit which Numba cannot compile does not begin."""

import ctypes
import inspect
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from ...system.threads import run_in_thread
from ...system.versions import numba_fails
from .addresses import record_at, words_at
from .fit_record import fields
from .machine_code import address_of
from .numba_internals import setting
from .threads import MISSING, wait_for_all

_record = record_at(np.dtype(fields("numbers size")))


_known: list[str | None] = []


def missing() -> str | None:
    """Return why no kernel can run here, as the end of a sentence, or None."""
    if not _known:
        _known.append(_missing())
    return _known[-1]


def _missing() -> str | None:
    if MISSING is not None:
        return f"this system has no function {MISSING}, which kernels call"
    if setting("DISABLE_JIT"):
        return "Numba's compiler is switched off, unset NUMBA_DISABLE_JIT"
    with suppress(OSError, TypeError):  # of a program that is packed without sources
        inspect.getsource(_doubled)
        return failure(_try)
    return "the library's source files are not here, and kernels are compiled from them"


def _doubled(address):
    """Double the numbers of a record, by what all kernels use: addresses, records, intrinsics and threads."""
    record = _record(address)
    numbers = words_at(record.numbers, record.size)
    wait_for_all(numbers, np.int64(1))  # the type that fits pass, for which it is compiled once
    for i in range(numbers.size):
        numbers[i] *= 2


def _try() -> None:
    numbers = np.arange(3)
    kernel = ctypes.CFUNCTYPE(None, ctypes.c_int64)(address_of(_doubled, float))
    kernel(np.array([numbers.ctypes.data, numbers.size]).ctypes.data)
    if numbers.tolist() != [0, 2, 4]:
        raise ValueError(f"doubled numbers are {numbers.tolist()}")


def failure(work: Callable[[], object]) -> str | None:
    """Return why kernels that work() needs cannot be compiled, loaded or run, or None; then no others will be."""

    def attempt() -> str | None:
        try:
            work()
        except (OSError, MemoryError, Warning):
            raise
        except Exception as error:
            return numba_fails(error)
        return None

    if reason := run_in_thread(attempt):
        _known.append(reason)
    return reason
