"""Format traces as text, HTML and LaTeX: equations, shapes and numbers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np

from ...core import Array
from ...system.package_text import package_text
from .traced_values import Value

POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
MOST_ROWS, MOST_COLUMNS = 8, 10
LEGEND = (
    "∘ is the elementwise product, Σₙ sums over the rows, Σₒ over the outputs of each"
    " row."
)


Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class EquationSymbol:
    name: str
    shape: tuple[int, ...]
    is_transposed: bool = False

    @property
    def parts(self) -> tuple[str, str, str]:
        """The letter, the index, and "old" or "new".

        Examples
        --------
        >>> EquationSymbol("delta_Z2", ()).parts, EquationSymbol("M_W1_old", ()).parts
        (('delta', 'Z2', ''), ('M', 'W1', 'old'))
        """
        match = re.fullmatch(r"(.+?)(?:_(.+?)|(\d\w*?))?(?:_(old|new))?", self.name)
        assert match
        letter, index, number, age = match.groups(default="")
        return letter, index or number, age


def pieces(name: str, equation: str, arrays: Arrays) -> list[EquationSymbol | str]:
    """Split an equation into symbols and operators, starting with the value's name."""
    parts: list[EquationSymbol | str] = [EquationSymbol(name, arrays[name].shape)]
    if not equation:
        return parts
    for operators, symbol, transposed in re.findall(
        r"([^{]*)(?:\{([^}]+)\}(\.T)?)?", f" = {equation}"
    ):
        if operators:
            parts.append(_signs(operators))
        if symbol:
            array = arrays[symbol].T if transposed else arrays[symbol]
            parts.append(EquationSymbol(symbol, array.shape, bool(transposed)))
    return parts


def _signs(code):
    """Convert Python operators to mathematical notation."""
    code = re.sub(
        r"\*\*(\d+)",
        lambda power: power[1].translate(str.maketrans("0123456789", POWERS)),
        code,
    )
    code = (
        re.sub(r"(\d\)?) \* ", r"\1 ", code)
        .replace("total(", "Σₒ(")
        .replace("sum(", "Σₙ(")
    )
    code = re.sub(r"(?<!e)-", "−", code)  # except in 1e-05
    return code.replace(" @ ", " ").replace(" * ", " ∘ ").replace("sqrt(", "√(")


class Grid(NamedTuple):
    """The formatted first rows and columns of an array, and the numbers of omitted ones."""

    cells: list[list[str]]
    more_rows: int
    more_columns: int


def as_matrix(value: Value) -> Array:
    array = np.atleast_1d(value.array)
    if array.ndim == 1 and value.of_rows:
        return array[:, None]
    return array.reshape(-1, array.shape[-1])


def _grid(value):
    matrix = as_matrix(value)
    rows, columns = matrix.shape
    more_rows = _omitted(rows, MOST_ROWS)
    more_columns = _omitted(columns, MOST_COLUMNS)
    cells = []
    for row in matrix[: rows - more_rows]:
        cells.append(
            [f"{number + 0.0:.4g}" for number in row[: columns - more_columns]]
        )
    return Grid(cells, more_rows, more_columns)


def _omitted(count, most):
    """Return how many lines are omitted; one or two more than the maximum are shown."""
    return count - most if count > most + 2 else 0


def by_stage(values: Iterable[Value]) -> Iterator[tuple[str, Value]]:
    """Yield values, each with a heading if the value starts a stage."""
    stage = None
    for value in values:
        yield "" if value.stage == stage else value.stage.capitalize(), value
        stage = value.stage


def _head(row):
    rows = "All rows"
    if row is not None:
        rows = f"Row {row} and its contribution to each gradient"
    return f"{rows}. {LEGEND}"


def as_text(values: Sequence[Value], row: int | None) -> str:
    """Format values as equations, with shapes and numbers below them."""
    arrays = {value.name: value.array for value in values}
    lines = [_head(row)]
    for head, value in by_stage(values):
        if head:
            lines += ["", head, "-" * len(head)]
        equation, shapes = _equation_text(value, arrays)
        if not value.array.ndim:
            lines += ["", f"{equation} = {float(value.array):.6g}"]
            if shapes.strip():
                lines.append(shapes)
            continue
        # columns of right-aligned numbers
        cells, more_rows, more_columns = _grid(value)
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        ending = "  …" if more_columns else ""
        lines += ["", equation, shapes]
        for line in cells:
            lines.append(f"    [ {'  '.join(map(str.rjust, line, widths))}{ending} ]")
        if more_rows:
            lines.append(f"    … {more_rows} more rows")
    return "\n".join(line.rstrip() for line in lines)


def _equation_text(value, arrays):
    """Return the line of an equation, and the line of the shapes below its symbols."""
    equation = shapes = ""
    for part in pieces(value.name, value.equation, arrays):
        if isinstance(part, str):
            text = part
            shape = ""
        else:
            text = f"{part.name}ᵀ" if part.is_transposed else part.name
            shape = str(part.shape or "")
        width = max(len(text), len(shape))
        equation += text.ljust(width)
        shapes += shape.ljust(width)
    return equation, shapes


# Colors are inherited, so that light and dark notebooks are supported.
STYLE = package_text("learn/tracing/trace.css")


def as_html(values: Sequence[Value], row: int | None) -> str:
    arrays = {value.name: value.array for value in values}
    blocks = [
        f'<div class="vecprop-trace"><style>{STYLE}</style><p'
        f' class="note">{escape(_head(row))}</p>'
    ]
    for head, value in by_stage(values):
        if head:
            blocks.append(f"<h4>{head}</h4>")
        blocks.append(block_html(value, arrays, numbers_html(value)))
    return "\n".join([*blocks, "</div>"])


def block_html(value: Value, arrays: Arrays, numbers: str) -> str:
    """Format a value as HTML: its equation, shapes and numbers."""
    equation = ""
    for part in pieces(value.name, value.equation, arrays):
        if isinstance(part, str):
            equation += escape(part)
        else:
            shape = part.shape or "&nbsp;"
            equation += (
                "<span"
                f' class="symbol"><span>{_symbol_html(part)}</span><small>{shape}</small></span>'
            )
    return (
        f'<div class="value"><div class="equation">{equation}</div><div'
        f' class="numbers">{numbers}</div></div>'
    )


def _symbol_html(symbol: EquationSymbol):
    letter, index, age = symbol.parts
    name = f"<i>{escape({'delta': 'δ', 'l': 'ℓ'}.get(letter, letter))}</i>"
    if index:
        name += f"<sub>{escape(index)}</sub>"
    if age:
        name += f"<sup>{age}</sup>"
    return f"{name}<sup>⊤</sup>" if symbol.is_transposed else name


def numbers_html(value: Value) -> str:
    """Format a value's numbers as an HTML table; scalars as text."""
    cells, more_rows, more_columns = _grid(value)
    if not value.array.ndim:
        return cells[0][0]
    table = table_html([f"<td>{cell}</td>" for cell in row] for row in cells)
    omitted = []
    if more_rows:
        omitted.append(f"{more_rows} more rows")
    if more_columns:
        omitted.append(f"{more_columns} more columns")
    return f'{table}<p class="note">and {", ".join(omitted)}</p>' if omitted else table


def table_html(rows: Iterable[Iterable[str]]) -> str:
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table>{lines}</table>"


_SIGNS = {
    "Σₙ(": r"\textstyle\sum_n (",
    "Σₒ(": r"\textstyle\sum_o (",
    "√(": r"\surd(",
    "∘": r"\circ ",
    "−": "-",
    "ᵀ": r"^\top",
    "′": "'",
}


def as_latex(values: Sequence[Value]) -> str:
    """Format values as one block of aligned equations."""
    arrays = {value.name: value.array for value in values}
    lines = [
        f"{equation_latex(value, arrays, ' &')} = {_numbers_latex(value)}"
        for value in values
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def equation_latex(value: Value, arrays: Arrays, after_name: str = "") -> str:
    """Format a value's equation and shapes as LaTeX."""
    name, *operands = map(_piece_latex, pieces(value.name, value.equation, arrays))
    return name + after_name + "".join(operands)


def _piece_latex(part):
    if isinstance(part, str):
        return _operators_latex(part)
    name = _symbol_latex(part)
    if part.is_transposed:
        name += r"^\top"
    return rf"\underset{{{part.shape}}}{{{name}}}" if part.shape else name


def _operators_latex(text):
    text = re.sub(f"([{POWERS}]+)", r"^{\1}", text).translate(
        str.maketrans(POWERS, "0123456789")
    )
    for sign, latex in _SIGNS.items():
        text = text.replace(sign, latex)
    text = re.sub(r"\b(exp|log|max|tanh)\(", r"\\\1(", text)
    functions = (
        "where|mean|softmax|logistic|abs|sign|clip|huber|gelu|link|loss|backward|update"
    )
    text = re.sub(rf"(?<!\\)\b({functions})\b", r"\\mathrm{\1}", text)
    return text if text.strip() else text.replace(" ", r"\,")


def _symbol_latex(symbol):
    r"""Format a symbol as LaTeX.

    Examples
    --------
    >>> _symbol_latex(EquationSymbol("delta_Z2", (4, 2))), _symbol_latex(EquationSymbol("W1_new", (2, 3)))
    ('\\delta_{Z_{2}}', 'W_{1}^{\\mathrm{new}}')
    """
    letter, index, age = symbol.parts
    if letter in ("delta", "l"):
        text = {"delta": r"\delta", "l": r"\ell"}[letter]
    else:
        text = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    if index and not (index.isalnum() and index[0].isdigit()):
        index = _symbol_latex(EquationSymbol(index, ()))
    if index:
        text += f"_{{{index}}}"
    return rf"{text}^{{\mathrm{{{age}}}}}" if age else text


def _numbers_latex(value):
    """Format a value's numbers as a LaTeX matrix; scalars as text."""
    cells, more_rows, more_columns = _grid(value)
    if not value.array.ndim:
        return cells[0][0]
    if more_rows:
        cells.append([r"\vdots"] * len(cells[0]))
    if more_columns:
        for row in cells:
            row.append(r"\vdots" if row[0] == r"\vdots" else r"\cdots")
    rows = [" & ".join(row) for row in cells]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
