"""Calls of functions by their address, each named after what it calls: Numba has no expression for them."""

from llvmlite import ir
from numba import types

from . import intrinsic

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


map = _caller("integer", "address", "address", "address")
"""Call f(n, z, y, h): y = value(z) for n numbers."""

derivative = _caller("integer", "address", "address", "address", "address")
"""Call f(n, z, y, delta, h): delta *= derivative(z, y) for n numbers."""

norm = _caller("integer", "integer", "address", "address", "address", "address", "address")
"""Call f(I, rows, p, X, extra, Y, h): layer normalization of a tile."""

norm_back = _caller("integer", "integer", "address", "address", "address", "address", "integer")
"""Call f(I, rows, p, extra, delta, J, add): back through layer normalization."""

drop = _caller(
    "integer", "integer", "address", "address", "address", "address", "address", "integer", "integer", "integer"
)
"""Call f(I, rows, X, Y, mask, row numbers, h, seed, step, layer): dropout of a tile."""

link = _caller("integer", "integer", "address", "address", "address")
"""Call f(rows, outputs, Z, Y, h): the predictions of a tile."""

loss = _caller("integer", "integer", "address", "address", "address", "address", "address", "address")
"""Call f(rows, outputs, Z, T, weight, delta, loss, h): each row's loss, and its weighted gradient."""

update = _caller("integer", "double", "double", *["address"] * 6, result="double")
"""Call f(n, rate, t, theta, J, first moment, second moment, moved, h): a step of the optimizer for n parameters.

It writes how far each has moved into moved, and returns the square of the step's length.
"""

rows = _caller("address", "integer", "integer", "address", "integer", "double", "integer", "address", result="double")
"""Call f(context, worker, validation, rows, n, scale, step, gradient): the loss of n rows, and its gradient."""

batch = _caller("integer", "integer", "address", "integer", "double", "integer")
"""Call f(context, worker, rows, n, scale, step): a worker's part of the gradient of a batch."""

scale = _caller(*["integer"] * 7)
"""Call f(first, features, rows, by_rows, shifts, scales, tile): a tile is scaled."""

expand = _caller(*["integer"] * 11)
"""Call f(X, row bytes, places, n, columns, count, edges, first, features, by_rows, tile): rows become inputs."""

shuffle = _caller(*["integer"] * 7)
"""Call f(seed, epoch, n, row numbers, keys, places, order): the order of n rows in an epoch."""

score = _caller("integer", result="double")
"""Call f(context): the score of the validation rows."""

epochs = _caller("integer", "integer")
"""Call f(context, worker): a worker's part of the epochs."""

dense = _caller(*["integer"] * 9)
"""Call f(I, O, rows, p, A, Z, by_rows, product, workspace): a dense layer of a tile; see `dense`."""

dense_back = _caller(*["integer"] * 13)
"""Call f(I, O, rows, p, A, delta, J, add, before, transposed, by_rows, product, workspace): back through it."""

columns = _caller(*["integer"] * 10)
"""Call f(low, high, I, O, rows, A, delta, J, add, transposed): the gradient of some columns; see `dense`."""

packed = _caller(*["integer"] * 14)
"""Call f(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, workspace, is_packed): a product; see `packed.multiply`."""

product = _caller(*["integer"] * 11)
"""Call f(M, N, K, A, A_m, A_k, B, B_k, C, C_m, add): a product; see `products.multiply`."""

gather = _caller(*["integer"] * 7)
"""Call f(M, N, A, A_m, B, B_n, row numbers): some rows, transposed; see `products.gather`."""
