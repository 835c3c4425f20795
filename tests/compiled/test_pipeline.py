"""What kernels call is linked into them: it is compiled with them, and never becomes machine code by itself."""

import ctypes

import numpy as np
from numba import njit, types
from numba.core.codegen import JITCodeLibrary

from vecprop.compiled.jit.machine_code import Kernel
from vecprop.compiled.jit.numba_options import INNER, ONCE
from vecprop.compiled.jit.pipeline import InnerCompiler


@njit(**INNER)
def summed(n):
    total = 0
    for i in range(n):
        if i == 3:
            continue
        total += i
    return total


@njit(**ONCE)
def twice(n):
    both = summed(n)
    both += summed(n)
    return both


def called(n):
    result = twice(n) if n > 0 else -1
    return result + summed(2)


def test_one_function_becomes_machine_code(monkeypatch, tmp_path):
    emitted = []
    emit = JITCodeLibrary._finalize_specific
    monkeypatch.setattr(JITCodeLibrary, "_finalize_specific", lambda self: emitted.append(self.name) or emit(self))
    monkeypatch.setattr("vecprop.compiled.jit.cache.folder", lambda: None)  # so that it is compiled
    address = Kernel(called, types.int64(types.int64), "here").address()
    assert [name for name in emitted if name != "nrt"] == ["called_here"]  # Numba's own, once in each process
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)
    assert [function(n) for n in (-5, 1, 3, 6)] == [0, 1, 7, 25]


def test_a_kernel_is_named_after_how_it_is_compiled(monkeypatch):
    before = Kernel(called, types.int64(types.int64), "named").name
    monkeypatch.setattr(InnerCompiler, "lowering", np.int64)
    assert Kernel(called, types.int64(types.int64), "named").name != before
