"""How Numba compiles a function: its options, intrinsics, and hints for its loops."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from llvmlite import ir
from numba import extending, types

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "arcp"},
    "nogil": True,
    "_nrt": False,
    "no_rewrites": True,
}
"""Options of every kernel.

Division by zero gives infinity: Numba's own test for it would stop vectorization. Sums may be reordered, and divisions
become products; infinities and NaN keep their meaning. The last two options are private: if Numba refuses one, `trial`
fails, and the reference engine computes. Kernels own no memory, so references are not counted: a first fit would take
1 to 8 % longer. They contain no expressions of arrays, so Numba does not search for them: it would take 5 to 11 %.
"""

INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of functions that only compiled code calls: no wrappers, which take time to compile."""

IN_ORDER: dict[str, Any] = {**INNER, "fastmath": False}
"""Options of sums that are promised to be in order."""

ONCE: dict[str, Any] = {**INNER, "inline": "always"}
"""Options of functions that are inlined into their callers, and so are not compiled by themselves.

A function with a single caller is: by itself it would be typed, optimized and turned into machine code once more.
"""

ONCE_IN_ORDER: dict[str, Any] = {**IN_ORDER, "inline": "always"}
"""Options of such functions that compute as NumPy does, to the bit."""

Arguments = ParamSpec("Arguments")


def intrinsic(written: Callable[Concatenate[Any, Arguments], Any]) -> Callable[Arguments, Any]:
    """Return Numba's intrinsic, with the types of its calls, which leave out its first argument, the typing context."""
    made: Any = extending.intrinsic(written)
    return made


@intrinsic
def use_widest_vectors(typing):
    """Have a function's loops use the processor's widest vectors; call it at the start of the function.

    They pay if much is done to each number; not if a short loop ends in a sum over a vector's lanes, nor if divisions
    take the time. The estimates of `scalar_functions.quotient` are refined twice in such a function.
    """

    def generate(context, builder, signature, arguments):
        for attribute in ('"prefer-vector-width"="512"', '"reciprocal-estimates"="vec-divf:2"'):
            set.add(builder.function.attributes, attribute)  # llvmlite itself knows no such attributes
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def without_overlaps(typing):
    """Promise that the arrays of a function's arguments do not overlap; call it at the start of the function."""

    def generate(context, builder, signature, arguments):
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate


def _extreme(sign):
    """Return an intrinsic for the smaller or larger of two numbers: Numba compiles its own min and max each time."""

    @intrinsic
    def extreme(typing, a, b):
        kind = a if isinstance(a, types.Float) else types.intp

        def generate(context, builder, signature, values):
            a, b = values
            compare = builder.fcmp_ordered if isinstance(kind, types.Float) else builder.icmp_signed
            return builder.select(compare(sign, b, a), b, a)  # the first, if the second is NaN

        return kind(kind, kind), generate

    return extreme


smaller, larger = _extreme("<"), _extreme(">")
