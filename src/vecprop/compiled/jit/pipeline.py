"""How Numba compiles a kernel and the functions that it calls: by our passes, or by its own where ours do not fit.

Our passes are made of Numba's inner parts, which may change with each release. So they first compile a small function;
with a release with which they cannot, kernels take half as long again to compile.
"""

from contextlib import suppress
from functools import cache
from typing import Any

import numba
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler

_kernel: Any = Compiler
_inner: Any = Compiler
with suppress(ImportError, AttributeError, TypeError):  # a release without one of the parts, or with other arguments
    from .passes import InnerPasses as _inner
    from .passes import KernelPasses as _kernel


@cache
def _ours_fit() -> bool:
    """Return whether our passes compile a loop with a call rightly."""
    options: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True}
    njit: Any = numba.njit

    @njit(pipeline_class=_inner, no_cfunc_wrapper=True, **options)
    def half(n):
        return n >> 1

    def halvings(n):
        count = 0
        while n > 1:
            n = half(n)
            count += 1
        return count

    try:
        compiled: Any = CFunc(halvings, ((types.int64,), types.int64), {}, options, _kernel)
        compiled.compile()
        return compiled.ctypes(9) == 3
    except Exception:  # of any type, from the depths of a compiler that is not the one that we know
        return False


class KernelCompiler(Compiler):
    """Compiles a kernel."""

    ours = _kernel

    def define_pipelines(self) -> list[Any]:
        """Return our passes or Numba's."""
        return self.ours.define_pipelines(self) if _ours_fit() else super().define_pipelines()


class InnerCompiler(KernelCompiler):
    """Compiles a function that kernels call."""

    ours = _inner
