"""Addresses as arrays, which kernels read and write, and as functions, which they call.

Numba's `carray` counts references, which takes the compiler a tenth of its time. Numba has no expression for calls
through addresses; here each is named after what it calls. So a loop over a formula is compiled by itself, and the
kernels around it once for every choice of activation, loss and optimizer.
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
        return array._getvalue()  # noqa: SLF001

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


@njit(**INNER)
def copy(source, target):
    """Copy numbers; Numba's own assignment of slices would compile its error messages too."""
    for i in range(target.size):
        target[i] = source[i]


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


_TYPES = {"address": ir.IntType(8).as_pointer(), "integer": ir.IntType(64), "double": ir.DoubleType()}


def _caller(*arguments, result=None):
    """Return an intrinsic that calls an address with a tuple of arguments of these types."""
    expected = types.Tuple([types.float64 if name == "double" else types.intp for name in arguments])

    @intrinsic
    def call(typing, address, values):
        def generate(context, builder, signature, operands):
            returned = ir.VoidType() if result is None else _TYPES[result]
            function = ir.FunctionType(returned, [_TYPES[name] for name in arguments]).as_pointer()
            parts = [builder.extract_value(operands[1], place) for place in range(len(arguments))]
            for place, name in enumerate(arguments):
                if name == "address":
                    parts[place] = builder.inttoptr(parts[place], _TYPES[name])
            value = builder.call(builder.inttoptr(operands[0], function), parts)
            return context.get_dummy_value() if result is None else value

        return (types.void if result is None else types.float64)(types.intp, expected), generate

    return call


call_map = _caller("integer", "address", "address", "address")
"""Call f(n, z, y, h): y = value(z) for n numbers."""

call_derivative = _caller("integer", "address", "address", "address", "address")
"""Call f(n, z, y, delta, h): delta *= derivative(z, y) for n numbers."""

call_norm = _caller("integer", "integer", "address", "address", "address", "address", "address")
"""Call f(I, rows, p, X, extra, Y, h): layer normalization of a tile."""

call_norm_back = _caller("integer", "integer", "address", "address", "address", "address", "integer")
"""Call f(I, rows, p, extra, delta, J, add): back through layer normalization."""

call_drop = _caller(
    "integer", "integer", "address", "address", "address", "address", "address", "integer", "integer", "integer"
)
"""Call f(I, rows, X, Y, mask, row numbers, h, seed, step, layer): dropout of a tile."""

call_link = _caller("integer", "integer", "address", "address", "address")
"""Call f(rows, outputs, Z, Y, h): the predictions of a tile."""

call_loss = _caller("integer", "integer", "address", "address", "address", "address", "address", "address")
"""Call f(rows, outputs, Z, T, weight, delta, loss, h): each row's loss, and its weighted gradient."""

call_update = _caller("integer", "double", "double", *["address"] * 6, result="double")
"""Call f(n, rate, t, theta, J, first moment, second moment, moved, h): a step of the optimizer for n parameters.

It writes how far each has moved into moved, and returns the square of the step's length.
"""

call_rows = _caller(
    "address", "integer", "integer", "address", "integer", "double", "integer", "address", result="double"
)
"""Call f(context, worker, validation, rows, n, scale, step, gradient): the loss of n rows, and its gradient."""

call_batch = _caller("integer", "integer", "address", "integer", "double", "integer")
"""Call f(context, worker, rows, n, scale, step): a worker's part of the gradient of a batch."""

call_scale = _caller(*["integer"] * 7)
"""Call f(first, features, rows, by_rows, shifts, scales, tile): a tile is scaled."""

call_expand = _caller(*["integer"] * 11)
"""Call f(X, row bytes, places, n, columns, count, edges, first, features, by_rows, tile): rows become inputs."""

call_shuffle = _caller(*["integer"] * 7)
"""Call f(seed, epoch, n, row numbers, keys, places, order): the order of n rows in an epoch."""

call_score = _caller("integer", result="double")
"""Call f(context): the score of the validation rows."""

call_epochs = _caller("integer", "integer")
"""Call f(context, worker): a worker's part of the epochs."""

call_dense = _caller(*["integer"] * 9)
"""Call f(I, O, rows, p, A, Z, by_rows, product, workspace): a dense layer of a tile; see `dense`."""

call_dense_back = _caller(*["integer"] * 13)
"""Call f(I, O, rows, p, A, delta, J, add, before, transposed, by_rows, product, workspace): back through it."""

call_columns = _caller(*["integer"] * 10)
"""Call f(low, high, I, O, rows, A, delta, J, add, transposed): the gradient of some columns; see `dense`."""

call_packed = _caller(*["integer"] * 14)
"""Call f(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, workspace, is_packed): a product; see `packed.multiply`."""

call_product = _caller(*["integer"] * 11)
"""Call f(M, N, K, A, A_m, A_k, B, B_k, C, C_m, add): a product; see `products.multiply`."""

call_gather = _caller(*["integer"] * 7)
"""Call f(M, N, A, A_m, B, B_n, row numbers): some rows, transposed; see `products.gather`."""
