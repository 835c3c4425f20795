"""What kernels call is linked into them: it is compiled with them, and never becomes machine code by itself."""

import ctypes
from importlib.util import find_spec, module_from_spec
from typing import Any

import numpy as np
import pytest
from numba import njit, types
from numba.core.codegen import JITCodeLibrary

from vecprop.compiled.jit import INNER, ONCE, machine_code
from vecprop.compiled.jit.machine_code import Kernel
from vecprop.compiled.jit.numba_internals import InnerCompiler


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


@pytest.fixture
def emitted(monkeypatch):
    """The names of the functions that become machine code, without Numba's own, once in each process, and its trial."""
    names, emit = [], JITCodeLibrary._finalize_specific
    monkeypatch.setattr(JITCodeLibrary, "_finalize_specific", lambda self: names.append(self.name) or emit(self))
    monkeypatch.setattr("vecprop.compiled.jit.cache.folder", lambda: None)  # so that all is compiled
    return lambda: [name for name in names if name != "nrt" and "_ours_fit" not in name]


def results(function, suffix, **names):
    address = Kernel(function, types.int64(types.int64), suffix, **names).address()
    compiled = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)
    return [compiled(n) for n in (-5, 1, 3, 6)]


def test_one_function_becomes_machine_code(emitted):
    assert results(called, "here") == [0, 1, 7, 25]
    assert emitted() == ["called_here"]


@pytest.mark.parametrize("release", ["lacks a part", "has another part"])
def test_numba_itself_compiles_where_our_passes_do_not_fit(monkeypatch, emitted, release):
    if release == "lacks a part":
        monkeypatch.delattr("numba.core.compiler_machinery.register_pass")
    else:
        monkeypatch.setattr("numba.core.ssa.reconstruct_ssa", lambda ir, another: ir)
    specification: Any = find_spec("vecprop.compiled.jit.numba_internals")
    internals = module_from_spec(specification)
    specification.loader.exec_module(internals)
    monkeypatch.setattr(machine_code, "KernelCompiler", internals.KernelCompiler)
    inner: dict[str, Any] = {**INNER, "pipeline_class": internals.InnerCompiler}
    own = {"summed": njit(**inner)(summed.py_func), "twice": njit(**inner)(twice.py_func)}
    assert results(called, release[:3], **own) == [0, 1, 7, 25]
    assert len(emitted()) > 1


def test_a_kernel_is_named_after_how_it_is_compiled(monkeypatch):
    before = Kernel(called, types.int64(types.int64), "named").name
    monkeypatch.setattr(InnerCompiler, "ours", np.int64)
    assert Kernel(called, types.int64(types.int64), "named").name != before
