"""A trace as text, and what all forms share: symbols with their shapes, signs between them, and numbers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .values import Value

ROWS, COLUMNS = 8, 10
"""The most rows and columns of an array that a page or LaTeX shows."""

LEGEND = "∘ multiplies entry by entry, Σₙ sums over the rows, Σₒ over the outputs of each row."


@dataclass(frozen=True)
class Symbol:
    """A name in an equation."""

    name: str
    shape: tuple[int, ...]
    is_transposed: bool = False

    @property
    def parts(self) -> tuple[str, str, str]:
        """The name as its letter, its index, and "old" or "new".

        Examples
        --------
        >>> Symbol("delta_Z2", ()).parts, Symbol("M_W1_old", ()).parts
        (('delta', 'Z2', ''), ('M', 'W1', 'old'))
        """
        name, _, when = self.name.rpartition("_")
        name = name if when in ("old", "new") else self.name
        found = re.fullmatch(r"(.*?)(?:_(.+)|(\d\w*))?", name)
        letter, index, number = found.groups() if found else (name, None, None)
        return letter, index or number or "", when if when in ("old", "new") else ""


def pieces(name: str, equation: str, arrays: Mapping[str, np.ndarray]) -> list[Symbol | str]:
    """Return an equation as symbols and the signs between them; the symbol alone if it has no equation.

    Examples
    --------
    >>> arrays = {"J_b1": np.ones(3), "delta_Z1": np.ones((4, 3))}
    >>> pieces("J_b1", "sum({delta_Z1})", arrays)[1:]
    [' = Σₙ(', Symbol(name='delta_Z1', shape=(4, 3), is_transposed=False), ')']
    """
    left = Symbol(name, arrays[name].shape)
    if not equation:
        return [left]
    found: list[Symbol | str] = [left]
    signs = " = "
    for text, of, transposed in re.findall(r"([^{]*)(?:\{([^}]+)\}(\.T)?)?", equation):
        signs += text
        if of:
            shape = arrays[of].shape
            found += [_signs(signs), Symbol(of, shape[::-1] if transposed else shape, bool(transposed))]
            signs = ""
    return [*found, _signs(signs)] if signs else found


def _signs(code: str) -> str:
    """Return Python's signs as those of mathematics.

    Examples
    --------
    >>> _signs(" @ "), _signs("0.9 * "), _signs(" * "), _signs("**2")
    (' ', '0.9 ', ' ∘ ', '²')
    """
    powers = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    code = re.sub(r"\*\*(\d+)", lambda power: power[1].translate(powers), code)
    code = re.sub(r"(\d\)?) \* ", r"\1 ", code).replace("total(", "Σₒ(").replace("sum(", "Σₙ(")
    code = re.sub(r"(?<!e)-", "−", code)  # but not in 1e-05
    return code.replace(" @ ", " ").replace(" * ", " ∘ ").replace("sqrt(", "√(")


def number(value: float) -> str:
    """Return a number to four figures.

    Examples
    --------
    >>> number(0.123456), number(-2.0), number(1e-9)
    ('0.1235', '-2', '1e-09')
    """
    return f"{float(value) + 0.0:.4g}"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text; empty for a single number."""
    return str(shape) if shape else ""


def grid(array: np.ndarray, is_column: bool) -> tuple[list[list[str]], int, int]:
    """Return the first rows and columns of an array as numbers, and how many more there are of each.

    Examples
    --------
    >>> grid(np.arange(3.0), is_column=False)
    ([['0', '1', '2']], 0, 0)
    """
    matrix = array.reshape(-1, 1) if array.ndim == 1 and is_column else np.atleast_2d(array)
    matrix = matrix.reshape(-1, matrix.shape[-1])
    rows, columns = (n if n <= most + 2 else most for n, most in zip(matrix.shape, (ROWS, COLUMNS), strict=True))
    cells = [[number(value) for value in row[:columns]] for row in matrix[:rows]]
    return cells, matrix.shape[0] - rows, matrix.shape[1] - columns


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
