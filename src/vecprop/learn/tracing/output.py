"""Format traces as text, HTML and LaTeX: equations, shapes and numbers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np

from .values import Value

POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
LEGEND = "∘ is the elementwise product, Σₙ sums over the rows, Σₒ over the outputs of each row."


@dataclass(frozen=True)
class Symbol:
    name: str
    shape: tuple[int, ...]
    is_transposed: bool = False

    @property
    def parts(self) -> tuple[str, str, str]:
        """The letter, the index, and "old" or "new".

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
    """Split an equation into symbols and operators, starting with the value's name."""
    found: list[Symbol | str] = [Symbol(name, arrays[name].shape)]
    whole = f" = {equation}" if equation else ""
    for text, of, transposed in re.findall(r"([^{]*)(?:\{([^}]+)\}(\.T)?)?", whole):
        found += [_signs(text)] if text else []
        if of:
            found.append(Symbol(of, arrays[of].shape[:: -1 if transposed else 1], bool(transposed)))
    return found


def _signs(code: str) -> str:
    """Convert Python operators to mathematical notation."""
    code = re.sub(r"\*\*(\d+)", lambda power: power[1].translate(str.maketrans("0123456789", POWERS)), code)
    code = re.sub(r"(\d\)?) \* ", r"\1 ", code).replace("total(", "Σₒ(").replace("sum(", "Σₙ(")
    code = re.sub(r"(?<!e)-", "−", code)  # except in 1e-05
    return code.replace(" @ ", " ").replace(" * ", " ∘ ").replace("sqrt(", "√(")


def _grid(value: Value) -> tuple[list[list[str]], int, int]:
    """Format the first rows and columns of an array, and count the omitted ones."""
    array = value.array
    matrix = array.reshape(-1, 1) if array.ndim == 1 and value.of_rows else np.atleast_2d(array)
    matrix = matrix.reshape(-1, matrix.shape[-1])
    rows, columns = (n if n <= most + 2 else most for n, most in zip(matrix.shape, (8, 10), strict=True))
    cells = [[f"{number + 0.0:.4g}" for number in row[:columns]] for row in matrix[:rows]]
    return cells, matrix.shape[0] - rows, matrix.shape[1] - columns


def by_stage(values: Iterable[Value]) -> Iterator[tuple[str, Value]]:
    """Yield values, each with a heading if the value starts a stage."""
    stage = None
    for value in values:
        yield value.stage.capitalize() if value.stage != stage else "", value
        stage = value.stage


def _head(row: int | None) -> str:
    return f"{'All rows' if row is None else f'Row {row} and its contribution to each gradient'}. {LEGEND}"


def as_text(values: Sequence[Value], row: int | None) -> str:
    arrays = {value.name: value.array for value in values}
    lines = [_head(row)]
    for head, value in by_stage(values):
        above, below = "", ""
        for part in pieces(value.name, value.equation, arrays):
            name = part if isinstance(part, str) else part.name + "ᵀ" * part.is_transposed
            shape = "" if isinstance(part, str) or not part.shape else str(part.shape)
            width = max(len(name), len(shape))
            above, below = above + name.ljust(width), below + shape.ljust(width)
        lines += ["", head, "-" * len(head)] if head else []
        if not value.array.ndim:
            lines += ["", f"{above} = {float(value.array):.6g}", *([below] if below.strip() else [])]
            continue
        cells, more_rows, more_columns = _grid(value)
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rows = ["  ".join(map(str.rjust, line, widths)) for line in cells]
        lines += ["", above, below, *(f"    [ {line}{'  …' if more_columns else ''} ]" for line in rows)]
        lines += [f"    … {more_rows} more rows"] if more_rows else []
    return "\n".join(line.rstrip() for line in lines)


# Colors are inherited, so that light and dark notebooks are supported.
STYLE = (files("vecprop.learn.tracing") / "trace.css").read_text("utf-8")


def as_html(values: Sequence[Value], row: int | None) -> str:
    arrays = {value.name: value.array for value in values}
    blocks = [f'<div class="vecprop-trace"><style>{STYLE}</style><p class="note">{escape(_head(row))}</p>']
    for head, value in by_stage(values):
        blocks += [f"<h4>{head}</h4>"] if head else []
        blocks.append(block_html(value, arrays, numbers_html(value)))
    return "\n".join([*blocks, "</div>"])


def block_html(value: Value, arrays: Mapping[str, np.ndarray], numbers: str) -> str:
    """Format a value as HTML: its equation, shapes and numbers."""
    equation = ""
    for part in pieces(value.name, value.equation, arrays):
        if isinstance(part, str):
            equation += escape(part)
            continue
        letter, index, when = part.parts
        name = f"<i>{escape({'delta': 'δ', 'l': 'ℓ'}.get(letter, letter))}</i>"
        name += f"<sub>{escape(index)}</sub>" if index else ""
        name += (f"<sup>{when}</sup>" if when else "") + "<sup>⊤</sup>" * part.is_transposed
        equation += f'<span class="symbol"><span>{name}</span><small>{part.shape or "&nbsp;"}</small></span>'
    return f'<div class="value"><div class="equation">{equation}</div><div class="numbers">{numbers}</div></div>'


def numbers_html(value: Value) -> str:
    """Format a value's numbers as an HTML table; scalars as text."""
    cells, more_rows, more_columns = _grid(value)
    if not value.array.ndim:
        return cells[0][0]
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
    more = [f"{count} more {of}" for count, of in ((more_rows, "rows"), (more_columns, "columns")) if count]
    return f"<table>{rows}</table>" + (f'<p class="note">and {", ".join(more)}</p>' if more else "")


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
    lines = [f"{equation_latex(value, arrays, ' &')} = {_numbers_latex(value)}" for value in values]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def equation_latex(value: Value, arrays: Mapping[str, np.ndarray], after_name: str = "") -> str:
    """Format a value's equation and shapes as LaTeX."""
    first, *others = map(_piece_latex, pieces(value.name, value.equation, arrays))
    return first + after_name + "".join(others)


def _piece_latex(part: Symbol | str) -> str:
    if not isinstance(part, str):
        name = _symbol_latex(part) + r"^\top" * part.is_transposed
        return rf"\underset{{{part.shape}}}{{{name}}}" if part.shape else name
    text = re.sub(f"[{POWERS}]+", lambda power: f"^{{{''.join(str(POWERS.index(k)) for k in power[0])}}}", part)
    for sign, latex in _SIGNS.items():
        text = text.replace(sign, latex)
    text = re.sub(r"\b(exp|log|max|tanh)\(", r"\\\1(", text)
    functions = "where|mean|softmax|logistic|abs|sign|clip|huber|gelu|link|loss|backward|update"
    text = re.sub(rf"(?<!\\)\b({functions})\b", r"\\mathrm{\1}", text)
    return text if text.strip() else text.replace(" ", r"\,")


def _symbol_latex(part: Symbol) -> str:
    r"""Format a symbol as LaTeX.

    Examples
    --------
    >>> _symbol_latex(Symbol("delta_Z2", (4, 2))), _symbol_latex(Symbol("W1_new", (2, 3)))
    ('\\delta_{Z_{2}}', 'W_{1}^{\\mathrm{new}}')
    """
    letter, index, when = part.parts
    roman = letter if len(letter) == 1 else rf"\mathrm{{{letter}}}"
    below = index if index.isalnum() and index[0].isdigit() else index and _symbol_latex(Symbol(index, ()))
    shown = {"delta": r"\delta", "l": r"\ell"}.get(letter, roman) + (f"_{{{below}}}" if below else "")
    return shown + (rf"^{{\mathrm{{{when}}}}}" if when else "")


def _numbers_latex(value: Value) -> str:
    """Format a value's numbers as a LaTeX matrix; scalars as text."""
    cells, more_rows, more_columns = _grid(value)
    if not value.array.ndim:
        return cells[0][0]
    rows = [" & ".join([*row, r"\cdots"] if more_columns else row) for row in cells]
    rows += [" & ".join([r"\vdots"] * (len(cells[0]) + bool(more_columns)))] if more_rows else []
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
