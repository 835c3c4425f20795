"""Addresses as arrays: Numba's `carray` counts references, which takes the compiler a tenth of its time.

Private methods of Numba's target context make the arrays. If one is gone, `trial` fails, and the reference engine
computes.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, njit, types

from . import IN_ORDER, INNER, intrinsic


def array_of(element, dimensions):
    """Return an array type, and the function that generates such an array from an address and the sizes."""
    array_type = types.Array(element, dimensions, "C")

    def generate(context, builder, signature, values):
        number = context.get_data_type(element)
        address, sizes = values[0], list(values[1 : 1 + dimensions])
        pointer = number.as_pointer()
        cast = builder.bitcast if isinstance(address.type, type(pointer)) else builder.inttoptr
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(number))
        strides = [itemsize]
        for size in sizes[:0:-1]:
            strides.insert(0, builder.mul(strides[0], size))
        array = context.make_array(array_type)(context, builder)
        context.populate_array(
            array, data=cast(address, pointer), shape=sizes, strides=strides, itemsize=itemsize, meminfo=None
        )
        return array._getvalue()  # noqa: SLF001 (as in the examples of Numba's documentation)

    return array_type, generate


@intrinsic
def vector(typing, pointer, size):
    """Return the ``size`` numbers that a pointer points to, as an array."""
    array_type, generate = array_of(pointer.dtype, 1)
    return array_type(pointer, types.intp), generate


@intrinsic
def matrix(typing, pointer, rows, columns):
    """Return the numbers that a pointer points to, as a matrix by rows."""
    array_type, generate = array_of(pointer.dtype, 2)
    return array_type(pointer, types.intp, types.intp), generate


@intrinsic
def numbers_at(typing, address, size, like):
    """Return the ``size`` numbers at an address, as an array; ``like`` is a number or array of their type."""
    array_type, generate = array_of(like.dtype if isinstance(like, types.Array) else like, 1)
    return array_type(types.intp, types.intp, like), generate


def _reader(element):
    """Return a function that returns the numbers at an address, given their count, as an array."""
    array_type, generate = array_of(element, 1)
    return intrinsic(lambda typing, address, size: (array_type(types.intp, types.intp), generate))


words_at, doubles_at = _reader(types.int64), _reader(types.float64)


@intrinsic
def part(typing, array, start, end):
    """Return a part of an array, for 0 <= start <= end <= size.

    Numba's own slices see to all other starts and ends too, which takes the compiler as long as ten other lines.
    """
    array_type, generate_at = array_of(array.dtype, 1)

    def generate(context, builder, signature, values):
        data = context.make_array(array)(context, builder, values[0]).data
        sizes = builder.sub(values[2], values[1])
        return generate_at(context, builder, signature, (builder.gep(data, [values[1]]), sizes))

    return array_type(array, types.intp, types.intp), generate


def record_at(fields: np.dtype) -> Any:
    """Return a function that gives compiled code the record at an address, with fields to read and write by name.

    The record is neither copied nor counted: a field is a load or a store at its offset from the address, and a group
    of fields is a record again.
    """
    record = from_dtype(fields)

    @intrinsic
    def at(typing, address):
        def generate(context, builder, signature, values):
            return builder.inttoptr(values[0], context.get_value_type(record))

        return record(types.intp), generate

    return at


@intrinsic
def copy(typing, source, target):
    """Copy numbers from an array to another of the same size; a loop takes the compiler ten times as long."""

    def generate(context, builder, signature, values):
        to, given = (context.make_array(target)(context, builder, value) for value in reversed(values))
        size, pointer = builder.mul(to.nitems, to.itemsize), ir.IntType(8).as_pointer()
        move = builder.module.declare_intrinsic("llvm.memcpy", [pointer, pointer, size.type])
        places = (builder.bitcast(array.data, pointer) for array in (to, given))
        builder.call(move, [*places, size, ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(target, target), generate


@njit(**INNER)
def add(source, target):
    """Add source to target."""
    for i in range(target.size):
        target[i] += source[i]


@njit(**IN_ORDER)
def add_pair(first, second, target):
    """Add first + second to target, in this order: the bits are those of a sum of pairs."""
    for i in range(target.size):
        target[i] += first[i] + second[i]


@njit(**INNER)
def put_ones(address, count, like):
    """Put ``count`` ones at an address, the inputs whose weights are biases."""
    ones = numbers_at(address, count, like)
    for i in range(count):
        ones[i] = 1


@njit(**INNER)
def total(values):
    """Return the sum of numbers, in their own type."""
    result = values.dtype.type(0)
    for i in range(values.size):
        result += values[i]
    return result
