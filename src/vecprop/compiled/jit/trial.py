"""Test a small kernel before all others, so that no fit starts if Numba cannot compile kernels."""

import ctypes
import inspect
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from ...system.threads import run_in_thread
from ...system.versions import numba_fails
from .addresses import words_at
from .fit_record import Context, fit_at
from .machine_code import address_of
from .numba_internals import setting
from .threads import MISSING, wait_for_all

_known: list[str | None] = []


def missing() -> str | None:
    """Return the reason why no kernel can run on this machine, if any, as the end of a sentence."""
    if not _known:
        _known.append(_missing())
    return _known[-1]


def _missing() -> str | None:
    if MISSING is not None:
        return f"this system has no function {MISSING}, which kernels call"
    if setting("DISABLE_JIT"):
        return "Numba's compiler is disabled, unset NUMBA_DISABLE_JIT"
    # raised in a program that is packaged without sources
    with suppress(OSError, TypeError):
        inspect.getsource(_doubled)
        return failure(_try)
    return (
        "the source files of vecprop are missing, which are needed to compile kernels"
    )


def _doubled(address):
    """Double the numbers of a record, using the features that all kernels use: addresses, records and threads."""
    c = fit_at(address)
    numbers = words_at(c.theta, c.p)
    wait_for_all(c)
    for i in range(numbers.size):
        numbers[i] *= 2


def _try() -> None:
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
        _known.append(reason)
    return reason
