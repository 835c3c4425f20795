"""Hints to the compiler, by which a loop is vectorized as it pays: each is called once, at the start of a function."""

from llvmlite import ir
from numba import types

from .intrinsics import intrinsic


@intrinsic
def use_widest_vectors(typing):
    """Have a function's loops use the processor's widest vectors, where the compiler would rather use half of them.

    They pay where much is done to each number; not where a short loop ends in a sum of a vector's elements, nor where
    it is divisions that take the time. What `elementary.quotient` estimates is refined twice here.
    """

    def generate(context, builder, signature, arguments):
        for attribute in ('"prefer-vector-width"="512"', '"reciprocal-estimates"="vec-divf:2"'):
            set.add(builder.function.attributes, attribute)  # llvmlite itself knows no such attributes
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def without_overlaps(typing):
    """Promise that what a function's arguments point to does not overlap, so that its loops need not look."""

    def generate(context, builder, signature, arguments):
        for argument in builder.function.args:
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate
