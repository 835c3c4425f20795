"""Compilation by Numba: options, intrinsics, and hints for loops."""

from typing import Any

from llvmlite import ir
from numba import extending, njit, types

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "arcp"},
    "nogil": True,
    "_nrt": False,
    "no_rewrites": True,
}
"""Options of every kernel.

Division by zero returns infinity, because Numba's check for it would prevent
vectorization. Sums may be reordered, and divisions may become multiplications, but
infinities and NaN are respected. The last two options are private: if Numba rejects
one, `trial` fails and the reference engine is used. Kernels own no memory, so reference
counting is off, which saves 1 to 8 % of a first fit. They contain no array expressions,
so rewriting them is off, which saves 5 to 11 %.
"""

INNER: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of functions that are called only from compiled code. They need no
wrappers, which take time to compile.
"""

inner = njit(**INNER)
"""Decorate a function that is called only from compiled code."""

inlined = njit(**INNER, inline="always")
"""Decorate a function with a single caller. It is inlined to save compilation time."""

IN_ORDER: dict[str, Any] = INNER | {"fastmath": False}

in_order = njit(**IN_ORDER)
"""Decorate a function whose sums must not be reordered."""

inlined_in_order = njit(**IN_ORDER, inline="always")
"""Decorate an inlined function whose results must be bit-identical to NumPy's."""

intrinsic: Any = extending.intrinsic
"""Numba's decorator for functions that generate instructions. Callers omit their
first argument, `typing`.
"""


@intrinsic
def use_widest_vectors(typing):
    """Make a function's loops use the widest vectors; call this at the start of the function.

    Array arguments of the function must not overlap.

    Wide vectors are faster for loops with many operations per number. They are slower
    for short loops that end in a sum over the lanes, and for loops dominated by
    divisions. In functions with the widest vectors, the estimates of
    `scalar_functions.quotient` are refined twice.
    """

    def generate(context, builder, signature, arguments):
        """Add attributes to the calling function, and declare that its pointers do not overlap."""
        for attribute in (
            '"prefer-vector-width"="512"',
            '"reciprocal-estimates"="vec-divf:2"',
        ):
            # llvmlite rejects unknown attributes
            set.add(builder.function.attributes, attribute)
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate
