"""Calls through addresses, and the atomic words that threads wait on: what Numba has no name for.

A loop over a formula is compiled by itself and called through its address, so that the kernels around it are compiled
once and serve every choice of activation, loss and optimizer.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types

from .intrinsics import intrinsic

_WORD = ir.IntType(64)
_yield = types.ExternalFunction("sched_yield", types.int32())


_KINDS = {"address": ir.IntType(8).as_pointer(), "integer": _WORD, "number": ir.DoubleType()}


def _caller(*kinds, result=None):
    """Return an intrinsic that calls an address with a tuple of arguments of these kinds."""
    expected = types.Tuple([types.float64 if kind == "number" else types.intp for kind in kinds])

    @intrinsic
    def call(typing, address, arguments):
        def generate(context, builder, signature, values):
            returned = ir.VoidType() if result is None else _KINDS[result]
            function = ir.FunctionType(returned, [_KINDS[kind] for kind in kinds]).as_pointer()
            parts = [builder.extract_value(values[1], place) for place in range(len(kinds))]
            parts = [
                builder.inttoptr(part, _KINDS[kind]) if kind == "address" else part
                for part, kind in zip(parts, kinds, strict=True)
            ]
            value = builder.call(builder.inttoptr(values[0], function), parts)
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
"""Call f(I, rows, X, Y, mask, numbers of the rows, h, seed, step, layer): dropout of a tile."""

call_link = _caller("integer", "integer", "address", "address", "address")
"""Call f(rows, outputs, Z, Y, h): the predictions of a tile."""

call_loss = _caller("integer", "integer", "address", "address", "address", "address", "address", "address")
"""Call f(rows, outputs, Z, T, weight, delta, loss, h): each row's loss, and its weighted gradient."""

call_update = _caller("integer", "number", "number", *["address"] * 6, result="number")
"""Call f(n, rate, t, theta, J, first moment, second moment, moved, h): a step of the optimizer for n parameters.

It puts how far each has moved where it is told, and returns the square of the step's length.
"""

call_rows = _caller(
    "address", "integer", "integer", "address", "integer", "number", "integer", "address", result="number"
)
"""Call f(context, worker, held, rows, n, scale, step, gradient): the loss of some rows, and its gradient."""

call_batch = _caller("integer", "integer", "address", "integer", "number", "integer")
"""Call f(context, worker, rows, n, scale, step): a worker's part in the gradient of a batch."""

call_shuffle = _caller(*["integer"] * 6)
"""Call f(seed, epoch, n, keys, places, order): n rows in the order of an epoch."""

call_score = _caller("integer", result="number")
"""Call f(context): the score of the validation rows."""

call_epochs = _caller("integer", "integer")
"""Call f(context, worker): epochs."""

call_dense = _caller(*["integer"] * 9)
"""Call f(I, O, rows, p, A, Z, by_rows, product, room): a dense layer of a tile; see `dense`."""

call_dense_back = _caller(*["integer"] * 13)
"""Call f(I, O, rows, p, A, delta, J, add, before, turned, by_rows, product, room): back through it."""

call_packed = _caller(*["integer"] * 14)
"""Call f(M, N, K, A, A_m, A_k, B, B_k, B_n, C, C_m, add, room, kept): a product; see `packed.multiply`."""

call_product = _caller(*["integer"] * 11)
"""Call f(M, N, K, A, A_m, A_k, B, B_k, C, C_m, add): a product; see `products.multiply`."""

call_gather = _caller(*["integer"] * 7)
"""Call f(M, N, A, step of A, B, step of B, numbers of the rows): some rows, transposed."""


@intrinsic
def atomic_add(typing, address, value):
    """Add to the word at an address, and return what it was."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _WORD.as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.intp, types.int64), generate


@intrinsic
def _atomic_load(typing, address):
    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _WORD.as_pointer())
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(types.intp), generate


@njit(nogil=True)
def wait_for_all(barrier, workers):
    """Return when all workers have called it; barrier is an array of 16 words, 0 at first.

    Waiting threads spin, since they wait for microseconds; after a while they offer their processor to others.
    """
    if workers == 1:
        return
    arrived, round_of = barrier.ctypes.data, barrier.ctypes.data + 64  # a cache line apart
    this_round = _atomic_load(round_of)
    if atomic_add(arrived, np.int64(1)) == workers - 1:
        atomic_add(arrived, np.int64(-workers))
        atomic_add(round_of, np.int64(1))
        return
    spins = 0
    while _atomic_load(round_of) == this_round:
        spins += 1
        if spins > 4096:
            _yield()
