"""Functions that call machine code by address, which Numba does not support.

Loops over formulas are compiled separately and called by address, so that the other
kernels are compiled once for all activations, losses and optimizers.
"""

from inspect import Parameter, Signature

from llvmlite import ir
from numba import types

from .tracing import WORD, Fields, Number, in_order, of_numbers

_MARKS = {"*": ir.IntType(8).as_pointer(), ":": ir.DoubleType()}


def _caller(declaration: str, result: str = ""):
    """Return a function that calls machine code, given its address and the declared arguments.

    Arguments are words, except that a star marks the address of an array, and a colon
    marks a double. A record is passed as its address.
    """
    names = []
    kinds = []
    for marked_name in declaration.split():
        names.append(marked_name.lstrip("*:"))
        kinds.append(_MARKS.get(marked_name[0], WORD))
    function_type = ir.FunctionType(_MARKS.get(result, ir.VoidType()), kinds)

    def call(address: Number, *positional, **named) -> Number:
        """Write a call of the machine code at an address, and return its result."""
        builder = address.builder
        values = []
        for argument in in_order(names, positional, named):
            if isinstance(argument, Fields):
                argument = argument.address()
            values.append(address.constant(argument).value)
        for index, kind in enumerate(kinds):
            if isinstance(kind, ir.PointerType):
                values[index] = builder.inttoptr(values[index], kind)
        function = builder.inttoptr(address.value, function_type.as_pointer())
        return Number(builder, builder.call(function, values))

    call.__signature__ = Signature(
        [
            Parameter(name, Parameter.POSITIONAL_OR_KEYWORD)
            for name in ("address", *names)
        ]
    )
    return of_numbers(call, types.float64 if result else types.void)


# Run a layer on a tile, see `run.tiles`. Functions may omit the last arguments, because
# in the C calling convention the caller sets and removes all arguments. If step is -1,
# there is no noise.
forward = _caller("I O rows p A Z h extra by_rows product numbers seed step layer")
backward = _caller(
    "I O rows p A delta J add Z h extra before transposed by_rows product step"
)

# Run a layer that is split between threads, on all shards of a batch; see
# `run.batches`.
forward_of_all = _caller("fit layer worker n")
backward_of_all = _caller("fit layer worker n current")

# Loops over formulas, for n numbers or a tile; see `lower.loops`.
link = _caller("I O rows p *Z *Y *h")
# Return the weighted loss of the rows without padding, and store the loss and the delta
# of all rows.
loss = _caller("rows outputs unpadded *Z *T *weight *delta *loss *h", result=":")
# Write the change of each parameter to moved, and return the squared norm of the step.
# Further moments start at an offset from the addresses in further.
update = _caller(
    "n :rate :t *theta *J *first *second *moved *h further offset", result=":"
)

# Loops of `run`, and loops over rows of data.
rows = _caller("*fit worker is_validation *rows n :scale step *gradient", result=":")
batch = _caller("fit worker *rows n :scale step")
epochs = _caller("fit worker")
measure = _caller("fit worker epoch is_measured", result=":")
judge = _caller("fit epoch", result=":")
score = _caller("fit", result=":")
weigh = _caller("data rows n", result=":")
sum_shards = _caller("fit low high shard distance")
penalize = _caller("fit low high :scale gradient", result=":")
store = _caller("fit Z rows n Y")
shuffle = _caller("seed epoch n numbers keys starts order")
scale = _caller("first features rows by_rows shifts scales tile")
expand = _caller("X row_bytes places n columns count edges first features by_rows tile")

# The gradient of several columns of a layer on sparse rows (see `run.dense`), and
# matrix products (see `gemm`).
columns = _caller("low high I O rows A delta J add transposed")
packed = _caller("M N K A A_m A_k B B_k B_n C C_m add workspace is_packed")
product = _caller("M N K A A_m A_k B B_k C C_m add")
gather = _caller("M N A A_m B B_n indices")
