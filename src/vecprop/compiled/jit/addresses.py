"""Create arrays from addresses without reference counting, which would take a tenth of the compile time.

The arrays are created by private methods of Numba's target context. If a method is
missing, `trial` fails and the reference engine is used.
"""

import numpy as np
from llvmlite import ir
from numba import from_dtype, types

from . import inner, intrinsic
from .tracing import Fields, compiled_range, of_numbers


def array_of(element, dimensions):
    """Return a type of arrays, and the code generator of an intrinsic that returns such an array.

    The first arguments of the intrinsic are the address, a word or a pointer, and the
    size of each dimension.
    """
    array_type = types.Array(element, dimensions, "C")

    def generate(context, builder, signature, values):
        """Write the instructions that create an array from the arguments of the intrinsic."""
        number = context.get_data_type(element)
        pointer = number.as_pointer()
        address = values[0]
        is_pointer = isinstance(address.type, ir.PointerType)
        cast = builder.bitcast if is_pointer else builder.inttoptr
        sizes = list(values[1 : 1 + dimensions])
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(number))
        strides = [itemsize]  # of the last dimension, which is contiguous
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
    """Return the ``size`` numbers at an address as an array; ``like`` is a type, or an array of this type."""
    array_type, generate = array_of(like.dtype, 1)
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
    array_type, generate_array = array_of(array.dtype, 1)

    def generate(context, builder, signature, values):
        whole, first, stop = values
        data = context.make_array(array)(context, builder, whole).data
        part_data = builder.gep(data, [first])
        size = builder.sub(stop, first)
        return generate_array(context, builder, signature, (part_data, size))

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
        lambda address, index: record(address + index * size),
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
    to = builder.inttoptr(target.value, pointer)
    from_ = builder.inttoptr(source.value, pointer)
    is_volatile = ir.IntType(1)(0)
    builder.call(move, [to, from_, size.value, is_volatile])


@of_numbers
def clear_bytes(address, size) -> None:
    """Fill memory at an address with zeros."""
    builder = size.builder
    pointer = ir.IntType(8).as_pointer()
    fill = builder.module.declare_intrinsic("llvm.memset", [pointer, size.kind])
    to = builder.inttoptr(address.value, pointer)
    zero_byte = ir.IntType(8)(0)
    is_volatile = ir.IntType(1)(0)
    builder.call(fill, [to, zero_byte, size.value, is_volatile])


@of_numbers
def put_ones(address, count, one) -> None:
    """Write ``count`` ones at an address; they are the inputs of the biases."""
    for i in compiled_range(count):
        address.store(i, one)


@inner
def total(values):
    """Return the sum of an array in its dtype."""
    result = values.dtype.type(0)
    for i in range(values.size):
        result += values[i]
    return result
