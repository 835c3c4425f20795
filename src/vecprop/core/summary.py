"""Summarize a network's layers in a table."""

from dataclasses import MISSING, fields, is_dataclass

import numpy as np

from ..system.threads import usable_threads
from .elementary import is_within
from .joints import MOVES


class Summary(str):
    """A string that interactive sessions print without quotes."""

    def __repr__(self) -> str:
        return str(self)


PARAMETERS = 13
"""The number of parameter-sized arrays in a fit: the current, last finite and best
parameters, two moments and their values at the start of the epoch, four gradients, and
the parameters of the result and of its state.
"""
ORDER, INDEX = 16, 8
"""The bytes per row: for its key and position in the order of an epoch, and for its
index.
"""
MOST_THREADS, ROWS_AT_ONCE = 4, 256
"""The maximum number of threads per fit, and the number of rows that each thread
processes at once.
"""


def summarize(network, rows: int | None = None, batch_size: int | None = None):
    """Return a table of the layers: output shapes, parameters and operations per row; see `Network.summary`."""
    for name, value in (("rows", rows), ("batch_size", batch_size)):
        is_integer = isinstance(value, int | np.integer) and is_within(value, 1)
        if value is not None and not is_integer:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
    table = _layer_table(network)
    if rows is None:
        return Summary(table)
    fit = f"a fit of {rows:,} rows"
    if batch_size is not None and batch_size < rows:
        fit += f" in batches of {batch_size:,}"
    single = memory_of_a_fit(network, rows, batch_size, 4) / 1e6
    double = memory_of_a_fit(network, rows, batch_size, 8) / 1e6
    return Summary(
        f"{table}\n{fit} takes {single:,.1f} MB in float32 or {double:,.1f} MB in"
        " float64 in addition to its data"
    )


def memory_of_a_fit(network, rows: int, batch_size: int | None, itemsize: int) -> int:
    """Estimate the peak memory of a fit in bytes, excluding X, T and weights, with Adam and early stopping."""
    batch = min(batch_size or rows, rows)
    widths = (network.inputs, *network.widths)
    rows_at_once = min(usable_threads(), MOST_THREADS) * ROWS_AT_ONCE
    # threads may split the weights, and then store the outputs of all rows
    if batch <= 4 * max(widths):
        rows_at_once = max(rows_at_once, batch)
    numbers_per_row = 2 * sum(widths) + 3 * max(widths) + network.outputs
    numbers = PARAMETERS * network.layout.size + rows_at_once * numbers_per_row
    row_bytes = INDEX
    if batch < rows:
        row_bytes += ORDER
    return itemsize * numbers + rows * row_bytes


def _layer_table(network):
    """Return a table with a line for the inputs, each layer, the loss, and the totals."""
    head = ("layer", "output", "parameters", "", "operations per row")
    rows = [head, ("input", f"(N, {network.inputs})", "", "", "")]
    total = 0
    for number, layer in enumerate(network.layers):
        width = network.widths[number]
        size = 0
        multiplications = 0
        shapes = []
        for tensor in network.layout.tensors:
            if tensor.layer != number:
                continue
            size += tensor.size
            shapes.append(f"{tensor.name} {tensor.shape}")
            if len(tensor.shape) == 2:
                multiplications += tensor.size
        # a product and a sum for each weight, else one operation for each output
        operations = 2 * multiplications or width
        if isinstance(layer, MOVES):
            operations = 0
        total += operations
        rows.append(
            (
                f"{number} {_call(layer)}",
                f"(N, {width})",
                ", ".join(shapes),
                f"{size:,}" if shapes else "",
                f"{operations:,}",
            )
        )
    rows.append((_call(network.loss_function), f"(N, {network.outputs})", "", "", ""))
    rows.append(("total", "", "", f"{network.layout.size:,}", f"{total:,}"))
    return _table(rows)


def _call(part) -> str:
    """Return the constructor call of a part, without default arguments."""
    if not is_dataclass(part):
        return type(part).__name__
    arguments = []
    for argument in fields(part):
        value = getattr(part, argument.name)
        default = argument.default
        if argument.default_factory is not MISSING:
            default = argument.default_factory()
        if default is MISSING:
            arguments.append(repr(value))
        elif value != default:
            arguments.append(f"{argument.name}={value!r}")
    return f"{type(part).__name__}({', '.join(arguments)})"


def _table(rows: list[tuple[str, ...]]) -> str:
    formats = []
    for side, *texts in zip("<<<>>", *rows, strict=True):
        formats.append(f"{side}{max(map(len, texts))}")
    return "\n".join("  ".join(map(format, row, formats)).rstrip() for row in rows)
