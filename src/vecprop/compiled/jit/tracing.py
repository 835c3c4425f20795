"""Formulas that are traced: Python computes them with `Number` objects, whose operators write LLVM instructions.

Numba takes 20 to 50 ms to compile a function, even a short one. Tracing a formula takes
hardly any time, so functions that every fit needs are written with `of_numbers`.
"""

from collections.abc import Callable, Iterator
from functools import partialmethod
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types

WORD = ir.IntType(64)


class Number:
    """A number in compiled code: operators generate instructions, which may be fused but not reordered.

    A shift to the right by an unsigned number fills in zeros, as for unsigned integers.
    """

    def __init__(self, builder, value) -> None:
        self.builder, self.value, self.kind = builder, value, value.type
        self.is_word = isinstance(value.type, ir.IntType)

    def of(self, value) -> "Number":
        """Return a value, or a constant of the type of this number."""
        if isinstance(value, Number):
            return value
        if not self.is_word:
            return Number(self.builder, self.kind(float(value)))
        word = int(value) % 2**64
        # as a signed number
        return Number(self.builder, self.kind(word - (word >> 63 << 64)))

    def _made(self, word: str, operand, is_right: bool = False) -> "Number":
        values = self.value, self.of(operand).value
        name, flags = (word, ()) if self.is_word else (f"f{word}", ("contract",))
        return Number(
            self.builder,
            getattr(self.builder, name)(*values[:: -1 if is_right else 1], flags=flags),
        )

    def __floordiv__(self, divisor) -> "Number":
        """Divide two words that are not negative."""
        return Number(
            self.builder, self.builder.sdiv(self.value, self.of(divisor).value)
        )

    __add__ = partialmethod(_made, "add")
    __sub__ = partialmethod(_made, "sub")
    __mul__ = partialmethod(_made, "mul")
    __truediv__ = partialmethod(_made, "div")
    __xor__ = partialmethod(_made, "xor")
    __lshift__ = partialmethod(_made, "shl")
    __and__ = partialmethod(_made, "and_")
    __or__ = partialmethod(_made, "or_")
    __rsub__ = partialmethod(_made, "sub", is_right=True)
    __radd__, __rmul__ = __add__, __mul__

    def __rtruediv__(self, dividend) -> "Number":
        return self.of(dividend) / self

    def __rshift__(self, distance) -> "Number":
        return self._made(
            "lshr" if isinstance(distance, np.unsignedinteger) else "ashr", distance
        )

    def __neg__(self) -> "Number":
        return -0.0 - self

    def _compared(self, sign: str, operand) -> "Number":
        compare = (
            self.builder.icmp_signed if self.is_word else self.builder.fcmp_ordered
        )
        return Number(self.builder, compare(sign, self.value, self.of(operand).value))

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
            self.builder.inttoptr(self.value, kind.as_pointer()), [self.of(index).value]
        )

    def load(self, index, kind=WORD) -> "Number":
        """Return a number of the array at this address."""
        return Number(self.builder, self.builder.load(self.place(index, kind)))

    def store(self, index, number: "Number") -> None:
        """Store a number in the array at this address."""
        self.builder.store(number.value, self.place(index, number.kind))


class Fields:
    """A record in compiled code. Its attributes are the fields: numbers, which are loaded, and records."""

    def __init__(self, record, builder, value) -> None:
        self.record, self.builder = record, builder
        self.value = builder.inttoptr(
            value, ir.ArrayType(ir.IntType(8), record.size).as_pointer()
        )

    def __getattr__(self, name: str):
        kind = self.record.typeof(name)
        builder = self.builder
        pointer = builder.gep(self.value, [WORD(0), WORD(self.record.offset(name))])
        if isinstance(kind, types.Record):
            return Fields(kind, builder, builder.ptrtoint(pointer, WORD))
        loaded = ir.DoubleType() if kind == types.float64 else WORD
        return Number(
            builder, builder.load(builder.bitcast(pointer, loaded.as_pointer()))
        )


def each(count: Number) -> Iterator[Number]:
    """Yield the index of a loop in compiled code: what happens before the next item is the body of the loop."""
    builder, before = count.builder, count.builder.block
    body = builder.append_basic_block()
    end = builder.append_basic_block()
    builder.cbranch((count > 0).value, body, end)
    builder.position_at_end(body)
    index = builder.phi(WORD)
    index.add_incoming(WORD(0), before)
    yield Number(builder, index)
    following = Number(builder, index) + 1
    index.add_incoming(following.value, builder.block)
    builder.cbranch((following < count).value, body, end)
    builder.position_at_end(end)


def where(condition: Number, a, b) -> Number:
    """Return a if a condition is met, otherwise b."""
    like = a if isinstance(a, Number) else b
    return Number(
        like.builder,
        like.builder.select(condition.value, like.of(a).value, like.of(b).value),
    )


def branch(condition: Number, a: Callable[[], Number], b: Callable[[], Number]) -> Any:
    """Return a() if a condition is met, otherwise b(); compiled code computes only one of them."""
    builder = condition.builder
    ends = []
    with builder.if_else(condition.value) as blocks:
        for block, formula in zip(blocks, (a, b), strict=True):
            with block:
                ends.append((formula().value, builder.block))
    result = builder.phi(ends[0][0].type)
    for end in ends:
        result.add_incoming(*end)
    return Number(builder, result)


_TUPLE: Any = types.BaseTuple
_RESULTS: dict[Any, Any] = {None: types.void, bool: types.boolean, float: types.float64}


def _passed(kind):
    """Return the type as which a formula receives an argument."""
    if isinstance(kind, _TUPLE):
        return types.Tuple(
            [
                types.intp if element == types.boolean else _passed(element)
                for element in kind
            ]
        )
    return types.intp if isinstance(kind, types.Integer) else kind


def _traced(builder, kind, value):
    if isinstance(kind, _TUPLE):
        return tuple(
            _traced(builder, element, builder.extract_value(value, index))
            for index, element in enumerate(kind)
        )
    is_record = isinstance(kind, types.Record)
    return (
        Fields(kind, builder, builder.ptrtoint(value, WORD))
        if is_record
        else Number(builder, value)
    )


def of_numbers(formula: Callable[..., Any], result=None):
    """Return an intrinsic that computes a formula of `Number`s and `Fields`; other formulas call its ``formula``.

    By default, its result has the type of the last number; an annotation can name
    another type.
    """
    result = result or _RESULTS.get(formula.__annotations__.get("return", ...))

    def function(typing, *argument_types):
        argument_types = tuple(map(_passed, argument_types))

        def generate(context, builder, called, values):
            traced = formula(
                *(
                    _traced(builder, *pair)
                    for pair in zip(argument_types, values, strict=True)
                )
            )
            return context.get_dummy_value() if result == types.void else traced.value

        return (result or argument_types[-1])(*argument_types), generate

    typing = Parameter("typing", Parameter.POSITIONAL_OR_KEYWORD)
    function.__signature__ = Signature(
        [typing, *signature(formula).parameters.values()]
    )
    created: Any = extending.intrinsic(function)
    created.formula = formula
    return created


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
