"""A kernel that takes no time to compile, in a module that another process can import."""

from numba import types

from vecprop.compiled.jit.machine_code import Kernel


def twice(n):
    return 2 * n


def small_kernel(F):
    return Kernel(twice, F, signature=types.int64(types.int64))
