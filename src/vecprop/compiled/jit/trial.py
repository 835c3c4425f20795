"""Test a small kernel before all others, so that no fit starts if Numba cannot compile kernels."""

import ctypes
import inspect
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from ...system.threads import run_in_thread
from ...system.versions import numba_fails
from .addresses import words_at
from .fit_record import Context
from .machine_code import address_of
from .numba_internals import setting
from .threads import MISSING, wait_for_all

_reasons: list[str | None] = []
"""The results of `_missing` and `failure`; the last one is valid."""


def missing() -> str | None:
    """Return the reason why no kernel can run on this machine, if any, as the end of a sentence."""
    if not _reasons:
        _reasons.append(_missing())
    return _reasons[-1]


def _missing() -> str | None:
    """Compile and run a small kernel; return the reason why this fails, if it does."""
    if MISSING is not None:
        return f"this system has no function {MISSING}, which kernels call"
    if setting("DISABLE_JIT"):
        return "Numba's compiler is disabled, unset NUMBA_DISABLE_JIT"
    # the errors in a program that is packaged without sources
    with suppress(OSError, TypeError):
        inspect.getsource(_doubled)
        return failure(_try)
    return (
        "the source files of vecprop are missing, which are needed to compile kernels"
    )


def _doubled(fit):
    """Double the numbers of a record, using the features that all kernels use: addresses, records and threads."""
    numbers = words_at(fit.theta, fit.p)
    wait_for_all(fit)
    for i in range(numbers.size):
        numbers[i] *= 2


def _try():
    numbers = np.arange(3)
    context = Context(theta=numbers, p=numbers.size, workers=1)
    run = ctypes.CFUNCTYPE(None, ctypes.c_int64)(address_of(_doubled, float))
    run(context.address)
    if numbers.tolist() != [0, 2, 4]:
        raise ValueError(f"doubled numbers are {numbers.tolist()}")


def failure(work: Callable[[], object]) -> str | None:
    """Return the reason why work() cannot compile, load or run its kernels, if any; a failure disables kernels."""

    def attempt() -> str | None:
        try:
            work()
        except (OSError, MemoryError, Warning):
            raise
        except Exception as error:
            return numba_fails(error)
        return None

    if reason := run_in_thread(attempt):
        _reasons.append(reason)
    return reason
