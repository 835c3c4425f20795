"""The steps by which kernels and the functions that they call are compiled: those that they need, and no others.

Numba's own steps are for any Python function. Kernels have no closures, generators, exceptions or counted references,
so these steps are left out, and with them the analysis of lifetimes that each step repeats. A function that kernels
call is optimized, linked into their code and inlined there; it never becomes machine code by itself.
"""

from typing import Any, Literal

from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.ir_utils import build_definitions
from numba.core.ssa import reconstruct_ssa
from numba.core.transforms import canonicalize_cfg


class _Passes(PassManager):
    """Passes without Numba's analysis after each of them, which takes a sixth of the time of compiling."""

    def _runPass(self, index: int, passed: Any, state: Any) -> None:  # type: ignore[override]
        passed.analysis = self._analysis
        passed.run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _AssignOnce(untyped_passes.ReconstructSSA):
    """Gives each assignment a variable of its own, whose type can be found."""

    _name = "vecprop_assign_once"

    def run_pass(self, state: Any) -> Literal[True]:
        """Do it, without an analysis."""
        state.func_ir = reconstruct_ssa(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _AssignOften(typed_passes.PreLowerStripPhis):
    """Gives a variable the values of all paths to it, and loops the form that the compiler's loops have."""

    _name = "vecprop_assign_often"

    def run_pass(self, state: Any) -> Literal[True]:
        """Do it, without an analysis."""
        state.func_ir = self._strip_phi_nodes(state.func_ir)
        state.func_ir.blocks = canonicalize_cfg(state.func_ir.blocks)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


class _NoEngine:
    """The engine of code that does not run."""

    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        """Do nothing: compiled code calls no Python function."""


class _LinkedLibrary(JITCodeLibrary):
    """The code of a function that is linked into its callers."""

    @property
    def codegen(self) -> Any:
        """The engine that runs it, which is none."""
        return _NoEngine

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code."""
        return 0

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerToLink(typed_passes.NativeLowering):
    """Generates the code of a function that is linked into its callers."""

    _name = "vecprop_lower_to_link"

    def run_pass(self, state: Any) -> Literal[True]:
        """Generate it in a library of its kind."""
        state.library = _LinkedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().run_pass(state)


def _passes(lowering: type) -> PassManager:
    """Return the passes, the last but one of which generates code."""
    chosen = _Passes("kernel")
    for each in (
        untyped_passes.TranslateByteCode,
        untyped_passes.FixupArgs,
        untyped_passes.IRProcessing,
        untyped_passes.InlineInlinables,
        _AssignOnce,
        typed_passes.NopythonTypeInference,
        _AssignOften,
        lowering,
        typed_passes.NoPythonBackend,
    ):
        chosen.add_pass(each, each.__name__)
    chosen.finalize()
    return chosen


class KernelPasses(CompilerBase):
    """Compiles a kernel by these passes."""

    def define_pipelines(self) -> list[PassManager]:
        """Return the passes."""
        return [_passes(typed_passes.NativeLowering)]


class InnerPasses(CompilerBase):
    """Compiles a function that kernels call by these passes."""

    def define_pipelines(self) -> list[PassManager]:
        """Return the passes."""
        return [_passes(_LowerToLink)]
