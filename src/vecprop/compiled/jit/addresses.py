"""Create arrays from addresses without reference counting, which would take a tenth of the compile time.

The arrays are created by private methods of Numba's target context. If a method is
missing, `trial` fails and the reference engine is used.
"""

import numpy as np
from llvmlite import ir
from numba import from_dtype, types

from . import inner, intrinsic
from .tracing import Fields, each, of_numbers


def array_of(element, dimensions):
    """Return an array type, and a function that generates code for creating such an array from an address and sizes."""
    array_type = types.Array(element, dimensions, "C")

    def generate(context, builder, signature, values):
        number = context.get_data_type(element)
        address = values[0]
        sizes = list(values[1 : 1 + dimensions])
        pointer = number.as_pointer()
        cast = (
            builder.bitcast
            if isinstance(address.type, type(pointer))
            else builder.inttoptr
        )
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(number))
        strides = [itemsize]
        for size in sizes[:0:-1]:
            strides.insert(0, builder.mul(strides[0], size))
        array = context.make_array(array_type)(context, builder)
        context.populate_array(
            array,
            data=cast(address, pointer),
            shape=sizes,
            strides=strides,
            itemsize=itemsize,
            meminfo=None,
        )
        return array._getvalue()  # as in the examples of Numba's documentation

    return array_type, generate


@intrinsic
def vector(typing, pointer, size):
    """Return the ``size`` numbers at a pointer as an array."""
    array_type, generate = array_of(pointer.dtype, 1)
    return array_type(pointer, types.intp), generate


@intrinsic
def matrix(typing, pointer, rows, columns):
    """Return the numbers at a pointer as a row-major matrix."""
    array_type, generate = array_of(pointer.dtype, 2)
    return array_type(pointer, types.intp, types.intp), generate


@intrinsic
def numbers_at(typing, address, size, like):
    """Return the ``size`` numbers at an address as an array; ``like`` is a number or an array of the same type."""
    array_type, generate = array_of(
        like.dtype if isinstance(like, types.Array) else like, 1
    )
    return array_type(types.intp, types.intp, like), generate


def _reader(element):
    """Return an intrinsic that returns the numbers at an address as an array, given their count."""
    array_type, generate = array_of(element, 1)
    return intrinsic(
        lambda typing, address, size: (array_type(types.intp, types.intp), generate)
    )


words_at = _reader(types.int64)
doubles_at = _reader(types.float64)


@intrinsic
def part(typing, array, start, end):
    """Return a slice of an array, for 0 <= start <= end <= size.

    Numba's slices also handle other bounds, which takes as much compile time as ten
    lines of code.
    """
    array_type, generate_at = array_of(array.dtype, 1)

    def generate(context, builder, signature, values):
        data = context.make_array(array)(context, builder, values[0]).data
        sizes = builder.sub(values[2], values[1])
        return generate_at(
            context, builder, signature, (builder.gep(data, [values[1]]), sizes)
        )

    return array_type(array, types.intp, types.intp), generate


def record_at(fields: np.dtype):
    """Return an intrinsic that returns the record at an address; its fields can be read and written by name.

    The record is neither copied nor reference-counted: a field access is a load or a
    store at an offset from the address, and a group of fields is a nested record.
    """
    record = from_dtype(fields)
    return of_numbers(
        lambda address: Fields(record, address.builder, address.value), record
    )


def records_at(fields: np.dtype):
    """Return an intrinsic that returns a record of a table, given the address of the table and an index."""
    record = record_at(fields)
    size = fields.itemsize
    return of_numbers(
        lambda address, index: record.formula(address + index * size),
        from_dtype(fields),
    )


@of_numbers
def copy_bytes(source, target, size) -> None:
    """Copy memory from one address to another."""
    builder = size.builder
    pointer = ir.IntType(8).as_pointer()
    move = builder.module.declare_intrinsic(
        "llvm.memcpy", [pointer, pointer, size.kind]
    )
    pointers = (
        builder.inttoptr(address.value, pointer) for address in (target, source)
    )
    builder.call(move, [*pointers, size.value, ir.IntType(1)(0)])


@of_numbers
def clear_bytes(address, size) -> None:
    """Fill memory at an address with zeros."""
    builder = size.builder
    pointer = ir.IntType(8).as_pointer()
    byte = ir.IntType(8)
    fill = builder.module.declare_intrinsic("llvm.memset", [pointer, size.kind])
    builder.call(
        fill,
        [
            builder.inttoptr(address.value, pointer),
            byte(0),
            size.value,
            ir.IntType(1)(0),
        ],
    )


@of_numbers
def put_ones(address, count, like) -> None:
    """Write ``count`` ones at an address; they are the inputs of the biases."""
    for i in each(count):
        address.store(i, like.of(1))


@inner
def total(values):
    """Return the sum of an array in its dtype."""
    result = values.dtype.type(0)
    for i in range(values.size):
        result += values[i]
    return result
