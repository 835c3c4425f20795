"""A trace as LaTeX: each equation with the shapes under it, and the numbers."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from .notation import Symbol, grid, pieces, shape_text
from .values import Value

_SIGNS = {
    "Σₙ(": r"\textstyle\sum_n (",
    "Σₒ(": r"\textstyle\sum_o (",
    "√(": r"\surd(",
    "∘": r"\circ ",
    "−": "-",
    "ᵀ": r"^\top",
    "′": "'",
}
_POWERS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))
_LETTERS = {"delta": r"\delta", "l": r"\ell"}


def as_latex(values: Sequence[Value]) -> str:
    """Return the values as one block of aligned equations."""
    arrays = {value.name: value.array for value in values}
    lines = [f"{equation_latex(value, arrays, ' &')} = {numbers_latex(value)}" for value in values]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def equation_latex(value: Value, arrays: Mapping[str, np.ndarray], after_name: str = "") -> str:
    """Return a value's equation, with the shapes under it."""
    first, *others = (_piece(part) for part in pieces(value.name, value.equation, arrays))
    return first + after_name + "".join(others)


def _piece(part: Symbol | str) -> str:
    if isinstance(part, str):
        return _signs(part)
    name = symbol(part) + r"^\top" * part.is_transposed
    shape = shape_text(part.shape)
    return rf"\underset{{{shape}}}{{{name}}}" if shape else name


def symbol(part: Symbol) -> str:
    r"""Return a symbol as LaTeX.

    Examples
    --------
    >>> symbol(Symbol("delta_Z2", (4, 2))), symbol(Symbol("W1_new", (2, 3)))
    ('\\delta_{Z_{2}}', 'W_{1}^{\\mathrm{new}}')
    """
    letter, index, when = part.parts
    shown = _LETTERS.get(letter, letter if len(letter) == 1 else rf"\mathrm{{{letter}}}")
    if index:
        below = index if index.isalnum() and index[0].isdigit() else symbol(Symbol(index, ()))
        shown += f"_{{{below}}}"
    return shown + (rf"^{{\mathrm{{{when}}}}}" if when else "")


def _signs(text: str) -> str:
    text = re.sub(f"[{''.join(_POWERS)}]+", lambda power: f"^{{{''.join(_POWERS[digit] for digit in power[0])}}}", text)
    for sign, latex in _SIGNS.items():
        text = text.replace(sign, latex)
    text = re.sub(r"\b(exp|log|max|tanh)\(", r"\\\1(", text)
    text = re.sub(
        r"(?<!\\)\b(where|mean|softmax|logistic|abs|sign|clip|huber|gelu|link|loss|backward|update)\b",
        r"\\mathrm{\1}",
        text,
    )
    return text.replace(" ", r"\,") if text.strip() == "" else text


def numbers_latex(value: Value) -> str:
    """Return a value's numbers as a matrix; one number as it is."""
    if not value.array.ndim:
        return grid(value.array, False)[0][0][0]
    cells, more_rows, more_columns = grid(value.array, value.of_rows and value.array.ndim == 1)
    rows = [" & ".join([*row, r"\cdots"] if more_columns else row) for row in cells]
    rows += [" & ".join([r"\vdots"] * (len(cells[0]) + bool(more_columns)))] if more_rows else []
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
