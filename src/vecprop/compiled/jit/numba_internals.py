"""Numba's inner parts, all in one place: other modules import them from here.

Kernels and the functions that they call are compiled by our own steps, which are those that they need, and no others.
Numba's are for any Python function. Kernels have no closures, generators, exceptions or counted references, so these
steps are left out, and with them the analysis of lifetimes that each step repeats. A function that kernels call is
optimized, linked into their code and inlined there; it never becomes machine code by itself.

The parts may change with each release. So our steps first compile a small function; with a release with which they
cannot, Numba's own steps take their place, and kernels take half as long again to compile.
"""

from contextlib import suppress
from functools import cache
from typing import Any, Literal

import numba
from llvmlite import binding
from numba import types
from numba.core import cgutils, config, serialize, sigutils
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler, CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError
from numba.core.extending import _Intrinsic as Intrinsic
from numba.core.registry import cpu_target
from numba.np.arrayobj import make_array, populate_array

__all__ = [
    "CFunc",
    "CompileResult",
    "Dispatcher",
    "InnerCompiler",
    "Intrinsic",
    "KernelCompiler",
    "NumbaError",
    "cgutils",
    "make_array",
    "populate_array",
    "serialize",
    "sigutils",
]

_settings: Any = config  # Numba defines its settings at run time


def _our_compilers() -> tuple[Any, Any]:
    """Return the compilers of kernels, and of functions that kernels call, by our steps."""
    from numba.core import typed_passes, untyped_passes
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import CompilerBase
    from numba.core.compiler_machinery import PassManager, register_pass
    from numba.core.ir_utils import build_definitions
    from numba.core.ssa import reconstruct_ssa
    from numba.core.transforms import canonicalize_cfg

    class Passes(PassManager):
        """Passes without Numba's analysis after each of them, which takes a sixth of the time of compiling."""

        def _runPass(self, index: int, passed: Any, state: Any) -> None:  # type: ignore[override]
            passed.analysis = self._analysis
            passed.run_pass(state)

    @register_pass(mutates_CFG=True, analysis_only=False)
    class AssignOnce(untyped_passes.ReconstructSSA):
        """Gives each assignment a variable of its own, whose type can be found."""

        _name = "vecprop_assign_once"

        def run_pass(self, state: Any) -> Literal[True]:
            state.func_ir = reconstruct_ssa(state.func_ir)
            state.func_ir._definitions = build_definitions(state.func_ir.blocks)
            return True

    @register_pass(mutates_CFG=True, analysis_only=False)
    class AssignOften(typed_passes.PreLowerStripPhis):
        """Gives a variable the values of all paths to it, and loops the form that the compiler's loops have."""

        _name = "vecprop_assign_often"

        def run_pass(self, state: Any) -> Literal[True]:
            state.func_ir = self._strip_phi_nodes(state.func_ir)
            state.func_ir.blocks = canonicalize_cfg(state.func_ir.blocks)
            state.func_ir._definitions = build_definitions(state.func_ir.blocks)
            return True

    class NoEngine:
        """The engine of code that does not run: compiled code calls no Python function."""

        @staticmethod
        def set_env(name: str, environment: Any) -> None:
            pass

    class LinkedLibrary(JITCodeLibrary):
        """The code of a function that is linked into its callers: there is no engine and no machine code."""

        @property
        def codegen(self) -> Any:
            return NoEngine

        def get_pointer_to_function(self, name: str) -> int:
            return 0

        def _finalize_final_module(self) -> None:
            self._finalize_dynamic_globals()
            self._finalized = True

    @register_pass(mutates_CFG=True, analysis_only=False)
    class LowerToLink(typed_passes.NativeLowering):
        """Generates the code of a function that is linked into its callers."""

        _name = "vecprop_lower_to_link"

        def run_pass(self, state: Any) -> Literal[True]:
            state.library = LinkedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
            return super().run_pass(state)

    def steps(lowering: type) -> list[PassManager]:
        chosen = Passes("kernel")
        for each in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.InlineInlinables,
            AssignOnce,
            typed_passes.NopythonTypeInference,
            AssignOften,
            lowering,
            typed_passes.NoPythonBackend,
        ):
            chosen.add_pass(each, each.__name__)
        chosen.finalize()
        return [chosen]

    class KernelSteps(CompilerBase):
        def define_pipelines(self) -> list[PassManager]:
            return steps(typed_passes.NativeLowering)

    class InnerSteps(CompilerBase):
        def define_pipelines(self) -> list[PassManager]:
            return steps(LowerToLink)

    return KernelSteps, InnerSteps


_kernel: Any = Compiler
_inner: Any = Compiler
with suppress(ImportError, AttributeError, TypeError):  # a release without one of the parts, or with other arguments
    _kernel, _inner = _our_compilers()


@cache
def _ours_fit() -> bool:
    """Return whether our steps compile a loop with a call rightly."""
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
    """Compiles a kernel, by our steps or Numba's."""

    ours = _kernel

    def define_pipelines(self) -> list[Any]:
        return self.ours.define_pipelines(self) if _ours_fit() else super().define_pipelines()


class InnerCompiler(KernelCompiler):
    """Compiles a function that kernels call."""

    ours = _inner


def settings() -> tuple[Any, ...]:
    """Return the processor and Numba's settings, on which machine code depends."""
    target: Any = cpu_target.target_context
    return repr(target.codegen().magic_tuple()), _settings.BOUNDSCHECK, _settings.OPT


def processor_name() -> str:
    """Return the name of the processor that Numba compiles for, as LLVM knows it: this one, or that of its settings."""
    return _settings.CPU_NAME or binding.get_host_cpu_name()


def features() -> set[str]:
    """Return the names of its instructions, such as "avx2"."""
    named = _settings.CPU_FEATURES
    if named is None:
        return {name for name, has in binding.get_host_cpu_features().items() if has}
    return {name[1:] for name in named.split(",") if name[:1] == "+"}


def has_wide_vectors() -> bool:
    """Return whether it has vectors of at least 32 bytes with masked loads and fused products: x86 from AVX2 on."""
    return "avx512f" in features() or {"avx2", "fma"} <= features()
