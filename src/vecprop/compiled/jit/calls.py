"""Intrinsics that call functions by address, which Numba does not support.

Loops over formulas are compiled separately and called by address, so that the other
kernels are compiled once for all activations, losses and optimizers.
"""

from typing import Any

from llvmlite import ir
from numba import types

from .tracing import Number, of_numbers

_TYPES = {"*": ir.IntType(8).as_pointer(), ":": ir.DoubleType(), "": ir.IntType(64)}


def _caller(names, result=""):
    """Return an intrinsic that calls the function at an address with a tuple of arguments with these names.

    Arguments are words, except that a star marks the address of an array, and a colon
    marks a double.
    """
    signs = [
        next(sign for sign in _TYPES if name.startswith(sign)) for name in names.split()
    ]

    def formula(address: Number, values: tuple[Any, ...]) -> Number:
        function = ir.FunctionType(
            _TYPES[result] if result else ir.VoidType(),
            [_TYPES[kind] for kind in signs],
        )
        builder = address.builder
        parts = [address.of(value).value for value in values]
        for index, kind in enumerate(signs):
            if kind == "*":
                parts[index] = builder.inttoptr(parts[index], _TYPES[kind])
        return Number(
            builder,
            builder.call(builder.inttoptr(address.value, function.as_pointer()), parts),
        )

    return of_numbers(formula, types.float64 if result else types.void)


# Run a layer on a tile, see `run.tiles`. Functions may omit the last arguments, because
# in the C calling convention the caller sets and removes all arguments. If step is -1,
# there is no noise.
forward = _caller("I O rows p A Z h extra by_rows product numbers seed step layer")
backward = _caller(
    "I O rows p A delta J add Z h extra before transposed by_rows product step"
)

# Run a layer that is split between threads, on all shards of a batch; see
# `run.batches`.
forward_of_all = _caller("context layer worker n")
backward_of_all = _caller("context layer worker n current")

# Loops over formulas, for n numbers or a tile; see `lower.loops`.
link = _caller("I O rows p *Z *Y *h")
# Return the weighted loss of the rows without padding, and store the loss and the delta
# of all rows.
loss = _caller("rows outputs unpadded *Z *T *weight *delta *loss *h", result=":")
# Write the change of each parameter to moved, and return the squared norm of the step.
update = _caller("n :rate :t *theta *J *first *second *moved *h", result=":")

# Loops of `run`, and loops over rows of data.
rows = _caller(
    "*context worker is_validation *rows n :scale step *gradient", result=":"
)
batch = _caller("context worker *rows n :scale step")
epochs = _caller("context worker")
measure = _caller("context worker epoch is_measured", result=":")
judge = _caller("context epoch", result=":")
score = _caller("context", result=":")
weigh = _caller("data rows n", result=":")
sum_shards = _caller("context low high shard distance")
penalize = _caller("context low high :scale gradient", result=":")
store = _caller("context Z rows n Y")
shuffle = _caller("seed epoch n numbers keys places order")
scale = _caller("first features rows by_rows shifts scales tile")
expand = _caller("X row_bytes places n columns count edges first features by_rows tile")

# The gradient of several columns of a layer on sparse rows (see `run.dense`), and
# matrix products (see `gemm`).
columns = _caller("low high I O rows A delta J add transposed")
packed = _caller("M N K A A_m A_k B B_k B_n C C_m add workspace is_packed")
product = _caller("M N K A A_m A_k B B_k C C_m add")
gather = _caller("M N A A_m B B_n rows")
