"""A trace as text: each equation with the shapes under it, and the numbers."""

from collections.abc import Sequence

from .notation import LEGEND, Symbol, grid, pieces, shape_text
from .values import Value

HEADS = {
    "given": "Given",
    "forward": "Forward",
    "loss": "Loss",
    "backward": "Backward",
    "step": "Step",
}


def as_text(values: Sequence[Value], row: int | None) -> str:
    """Return the values as text."""
    arrays = {value.name: value.array for value in values}
    lines = [f"{'All rows' if row is None else f'Row {row}, and its part in each gradient'}. {LEGEND}"]
    stage = None
    for value in values:
        if value.stage != stage:
            lines += ["", HEADS[value.stage], "-" * len(HEADS[value.stage])]
            stage = value.stage
        equation, shapes = _equation(pieces(value.name, value.equation, arrays))
        if value.array.ndim:
            lines += ["", equation, shapes, *_numbers(value)]
        else:
            lines += ["", f"{equation} = {float(value.array):.6g}", *([shapes] if shapes.strip() else [])]
    return "\n".join(line.rstrip() for line in lines)


def _equation(parts: Sequence[Symbol | str]) -> tuple[str, str]:
    """Return an equation, and the shapes under it."""
    above, below = "", ""
    for part in parts:
        name = part if isinstance(part, str) else part.name + "ᵀ" * part.is_transposed
        shape = "" if isinstance(part, str) else shape_text(part.shape)
        width = max(len(name), len(shape))
        above, below = above + name.ljust(width), below + shape.ljust(width)
    return above, below


def _numbers(value: Value) -> list[str]:
    cells, more_rows, more_columns = grid(value.array, value.of_rows and value.array.ndim == 1)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines = [f"    [ {row}{'  …' if more_columns else ''} ]" for row in rows]
    return lines + ([f"    … {more_rows} more rows"] if more_rows else [])
