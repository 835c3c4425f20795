"""The summary: a network's layers as a table."""

from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .network import Network


class Summary(str):
    """A text that is shown without quotes, also as the value of an expression."""

    def __repr__(self) -> str:
        return str(self)


def summarize(network: "Network") -> Summary:
    """Return a table of the layers: output shapes, parameters and operations per row; see `Network.summary`."""
    rows = [
        ("layer", "output", "parameters", "", "operations per row"),
        ("input", f"(N, {network.inputs})", "", "", ""),
    ]
    operations = 0
    for number, (layer, width) in enumerate(zip(network.layers, network.widths, strict=True)):
        tensors = [tensor for tensor in network.layout.tensors if tensor.layer == number]
        cost = sum(2 * tensor.size for tensor in tensors if len(tensor.shape) == 2) or width
        operations += cost
        named = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in tensors)
        count = sum(tensor.size for tensor in tensors)
        rows.append((f"{number} {_call(layer)}", f"(N, {width})", named, f"{count:,}" if count else "", f"{cost:,}"))
    rows.append((_call(network.loss_function), f"(N, {network.outputs})", "", "", ""))
    rows.append(("total", "", "", f"{network.layout.size:,}", f"{operations:,}"))
    return Summary(_table(rows))


def _call(part: Any) -> str:
    """Return the call that makes a part, without the arguments that have their default values."""
    if not is_dataclass(part):
        return type(part).__name__
    arguments = []
    for argument in fields(part):
        value = getattr(part, argument.name)
        default = argument.default if argument.default_factory is MISSING else argument.default_factory()
        if default is MISSING:
            arguments.append(repr(value))
        elif value != default:
            arguments.append(f"{argument.name}={value!r}")
    return f"{type(part).__name__}({', '.join(arguments)})"


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {len(widths) - 1, len(widths) - 2}
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
