"""Formulas that are traced: Python computes them with `Number` objects, whose operators write LLVM instructions.

Numba takes 20 to 50 ms to compile a function, even a short one. Tracing a formula takes
hardly any time, so functions that every fit needs are written with `of_numbers`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partialmethod
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from .numba_internals import CallableIntrinsic

WORD = ir.IntType(64)


class Number:
    """A number in compiled code: operators generate instructions, which may be fused but not reordered.

    A shift to the right by an unsigned number fills in zeros, as for unsigned integers.
    """

    def __init__(self, builder, value):
        self.builder, self.value, self.kind = builder, value, value.type
        self.is_word = isinstance(value.type, ir.IntType)

    def constant(self, value) -> "Number":
        """Return a Python number as a constant of this number's type; return a `Number` unchanged."""
        if isinstance(value, Number):
            return value
        if not self.is_word:
            return Number(self.builder, self.kind(float(value)))
        word = int(value) % 2**64
        # as a signed number
        return Number(self.builder, self.kind(word - (word >> 63 << 64)))

    def _computed(self, instruction: str, operand) -> "Number":
        """Return the result of an instruction, such as "add", on this number and an operand.

        The instructions for floats start with "f", and may be contracted to an FMA.
        """
        flags = ()
        if not self.is_word:
            instruction = f"f{instruction}"
            flags = ("contract",)
        write = getattr(self.builder, instruction)
        result = write(self.value, self.constant(operand).value, flags=flags)
        return Number(self.builder, result)

    def __floordiv__(self, divisor) -> "Number":
        """Divide two words that are not negative."""
        return Number(
            self.builder, self.builder.sdiv(self.value, self.constant(divisor).value)
        )

    __add__ = partialmethod(_computed, "add")
    __sub__ = partialmethod(_computed, "sub")
    __mul__ = partialmethod(_computed, "mul")
    __truediv__ = partialmethod(_computed, "div")
    __xor__ = partialmethod(_computed, "xor")
    __lshift__ = partialmethod(_computed, "shl")
    __and__ = partialmethod(_computed, "and_")
    __or__ = partialmethod(_computed, "or_")
    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, minuend) -> "Number":
        return self.constant(minuend) - self

    def __rtruediv__(self, dividend) -> "Number":
        return self.constant(dividend) / self

    def __rshift__(self, distance) -> "Number":
        is_unsigned = isinstance(distance, np.unsignedinteger)
        return self._computed("lshr" if is_unsigned else "ashr", distance)

    def __neg__(self) -> "Number":
        return -0.0 - self

    def _compared(self, sign: str, operand) -> "Number":
        compare = (
            self.builder.icmp_signed if self.is_word else self.builder.fcmp_ordered
        )
        return Number(
            self.builder, compare(sign, self.value, self.constant(operand).value)
        )

    __lt__ = partialmethod(_compared, "<")
    __gt__ = partialmethod(_compared, ">")

    def equals(self, operand) -> "Number":
        """Return whether this number equals another."""
        return self._compared("==", operand)

    def cast(self, kind, instruction: str) -> "Number":
        """Return the number converted to another type by an instruction with this name."""
        return Number(
            self.builder, getattr(self.builder, instruction)(self.value, kind)
        )

    def by(self, name: str) -> "Number":
        """Return the result of an LLVM function of this number."""
        function = self.builder.module.declare_intrinsic(name, [self.kind])
        return Number(self.builder, self.builder.call(function, [self.value]))

    def place(self, index, kind=WORD):
        """Return a pointer to a number of an array, given the array's address in this number."""
        return self.builder.gep(
            self.builder.inttoptr(self.value, kind.as_pointer()),
            [self.constant(index).value],
        )

    def load(self, index, kind=WORD) -> "Number":
        """Return a number of the array at this address."""
        return Number(self.builder, self.builder.load(self.place(index, kind)))

    def store(self, index, number: "Number"):
        """Store a number in the array at this address."""
        self.builder.store(number.value, self.place(index, number.kind))


class Fields:
    """A record in compiled code. Its attributes are the fields: numbers, which are loaded, and records."""

    def __init__(self, record, builder, value):
        self.record, self.builder = record, builder
        self.value = builder.inttoptr(
            value, ir.ArrayType(ir.IntType(8), record.size).as_pointer()
        )

    def address(self) -> Number:
        """Return the address of the record."""
        return Number(self.builder, self.builder.ptrtoint(self.value, WORD))

    def __getattr__(self, name: str):
        """Load the number in a field, or return the record in a field."""
        kind = self.record.typeof(name)
        builder = self.builder
        pointer = builder.gep(self.value, [WORD(0), WORD(self.record.offset(name))])
        if isinstance(kind, types.Record):
            return Fields(kind, builder, builder.ptrtoint(pointer, WORD))
        loaded = ir.DoubleType() if kind == types.float64 else WORD
        return Number(
            builder, builder.load(builder.bitcast(pointer, loaded.as_pointer()))
        )


def if_then(condition: Number):
    """Return a context: compiled code runs its instructions if a condition is met."""
    return condition.builder.if_then(condition.value)


def if_else(condition: Number):
    """Return a context with two contexts: compiled code runs the first if a condition is met, otherwise the second."""
    return condition.builder.if_else(condition.value)


def compiled_range(count: Number) -> Iterator[Number]:
    """Write a loop: ``for i in compiled_range(n)`` is a loop of compiled code over 0, 1, ..., n - 1.

    Python runs the body of the loop once, and the instructions that it writes are the
    body in compiled code.
    """
    builder = count.builder
    block_before = builder.block
    body = builder.append_basic_block()
    end = builder.append_basic_block()
    builder.cbranch((count > 0).value, body, end)
    builder.position_at_end(body)
    # a phi takes the value of the block that ran before
    index = builder.phi(WORD)
    index.add_incoming(WORD(0), block_before)
    yield Number(builder, index)
    next_index = Number(builder, index) + 1
    index.add_incoming(next_index.value, builder.block)
    builder.cbranch((next_index < count).value, body, end)
    builder.position_at_end(end)


def where(condition: Number, a, b) -> Number:
    """Return a if a condition is met, otherwise b."""
    like = a if isinstance(a, Number) else b
    return Number(
        like.builder,
        like.builder.select(
            condition.value, like.constant(a).value, like.constant(b).value
        ),
    )


def branch(condition: Number, a: Callable[[], Number], b: Callable[[], Number]) -> Any:
    """Return a() if a condition is met, otherwise b(); compiled code computes only one of them."""
    builder = condition.builder
    results = []
    with if_else(condition) as contexts:
        for context, formula in zip(contexts, (a, b), strict=True):
            with context:
                value = formula().value
                results.append((value, builder.block))
    first_value, _ = results[0]
    joined = builder.phi(first_value.type)
    for value, block in results:
        joined.add_incoming(value, block)
    return Number(builder, joined)


_RESULTS: dict[Any, Any] = {None: types.void, bool: types.boolean, float: types.float64}


def in_order(
    names: Sequence[str], positional: Sequence[Any], named: dict[str, Any]
) -> list[Any]:
    """Return the arguments of a call, positional and named, in the order of the parameters' names."""
    return [*positional, *(named[name] for name in names[len(positional) :])]


def _traced(builder, kind, value):
    """Return a value of compiled code as an argument of a formula."""
    if isinstance(kind, types.Record):
        return Fields(kind, builder, builder.ptrtoint(value, WORD))
    return Number(builder, value)


def of_numbers(formula: Callable[..., Any], result=None) -> Any:
    """Return a formula of `Number`s and `Fields` as a function for compiled code and for other formulas.

    By default, its result has the type of the last number; an annotation can name
    another type.
    """
    parameters = signature(formula).parameters
    names = list(parameters)
    result = result or _RESULTS.get(formula.__annotations__.get("return", ...))

    def intrinsic(typing, *positional, **named):
        """Return the signature and the code generator for these types of arguments."""
        argument_types = []
        for kind in in_order(names, positional, named):
            is_word = isinstance(kind, types.Integer | types.Boolean)
            argument_types.append(types.intp if is_word else kind)

        def generate(context, builder, called, values):
            arguments = []
            for kind, value in zip(argument_types, values, strict=True):
                arguments.append(_traced(builder, kind, value))
            traced = formula(*arguments)
            return context.get_dummy_value() if result == types.void else traced.value

        return (result or argument_types[-1])(*argument_types), generate

    typing = Parameter("typing", Parameter.POSITIONAL_OR_KEYWORD)
    intrinsic.__signature__ = Signature([typing, *parameters.values()])
    return CallableIntrinsic(intrinsic, formula)


# Numba compiles its own min and max for each pair of types
smaller = of_numbers(lambda a, b: where(b < a, b, a))
larger = of_numbers(lambda a, b: where(b > a, b, a))
# infinity - infinity is NaN
is_finite = of_numbers(lambda x: (x - x).equals(0), types.boolean)
square_root = of_numbers(lambda x: x.by("llvm.sqrt"))
portion = of_numbers(lambda count, number, parts: number * count // parts)
"""Return the start of a part, if ``count`` things are divided into equal parts:
number * count // parts.
"""
