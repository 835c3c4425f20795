"""A trace as HTML: each equation with the shapes under it, and the numbers beside it or, on narrow pages, below."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from .notation import LEGEND, Symbol, grid, pieces, shape_text
from .text_output import HEADS
from .values import Value

# Colours are those of the page around it, so that light and dark notebooks are served alike.
STYLE = """
.vecprop-trace { line-height: 1.4; max-width: 70rem; }
.vecprop-trace h4 { margin: 1.1rem 0 0.3rem; padding-top: 0.4rem; border-top: 1px solid; font-size: 1rem; }
.vecprop-trace .value { display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 1.6rem; padding: 0.35rem 0; }
.vecprop-trace .equation { flex: 0 1 23rem; min-width: min(23rem, 100%); overflow-x: auto; white-space: pre;
  font-family: "Latin Modern Math", Cambria, Georgia, serif; font-size: 1.08rem; }
.vecprop-trace .symbol { display: inline-flex; flex-direction: column; align-items: center; vertical-align: top; }
.vecprop-trace .symbol small { font: 0.7rem/1.2 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; opacity: 0.75; }
.vecprop-trace i { font-style: italic; }
.vecprop-trace sub, .vecprop-trace sup { font-size: 0.72em; line-height: 0; }
.vecprop-trace .numbers { max-width: 100%; overflow-x: auto; }
.vecprop-trace table { border-collapse: collapse; border: 0; border-left: 1.5px solid; border-right: 1.5px solid;
  border-radius: 5px; margin: 0; background: none;
  font: 0.82rem/1.35 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
.vecprop-trace td { text-align: right; padding: 0.05rem 0.55rem; border: 0; background: none; color: inherit; }
.vecprop-trace .note { opacity: 0.75; font-size: 0.85rem; margin: 0.2rem 0; }
"""
_LETTERS = {"delta": "δ", "l": "ℓ"}


def as_html(values: Sequence[Value], row: int | None) -> str:
    """Return the values as HTML."""
    arrays = {value.name: value.array for value in values}
    which = "All rows" if row is None else f"Row {row}, and its part in each gradient"
    blocks = [f'<div class="vecprop-trace"><style>{STYLE}</style><p class="note">{which}. {escape(LEGEND)}</p>']
    stage = None
    for value in values:
        if value.stage != stage:
            blocks.append(f"<h4>{HEADS[value.stage]}</h4>")
            stage = value.stage
        equation = equation_html(value, arrays)
        numbers = f'<div class="numbers">{numbers_html(value)}</div>'
        blocks.append(f'<div class="value"><div class="equation">{equation}</div>{numbers}</div>')
    return "\n".join([*blocks, "</div>"])


def equation_html(value: Value, arrays: Mapping[str, np.ndarray]) -> str:
    """Return a value's equation, with the shapes under it."""
    return "".join(_piece(part) for part in pieces(value.name, value.equation, arrays))


def _piece(part: Symbol | str) -> str:
    if isinstance(part, str):
        return escape(part)
    name = symbol(part) + "<sup>⊤</sup>" * part.is_transposed
    return f'<span class="symbol"><span>{name}</span><small>{shape_text(part.shape) or "&nbsp;"}</small></span>'


def symbol(part: Symbol) -> str:
    """Return a symbol as HTML.

    Examples
    --------
    >>> symbol(Symbol("delta_Z2", (4, 2)))
    '<i>δ</i><sub>Z2</sub>'
    """
    letter, index, when = part.parts
    below = f"<sub>{escape(index)}</sub>" if index else ""
    return f"<i>{escape(_LETTERS.get(letter, letter))}</i>{below}" + (f"<sup>{when}</sup>" if when else "")


def numbers_html(value: Value) -> str:
    """Return a value's numbers as a table; one number as text."""
    cells, more_rows, more_columns = grid(value.array, value.of_rows and value.array.ndim == 1)
    if not value.array.ndim:
        return cells[0][0]
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
    more = [f"{count} more {of}" for count, of in ((more_rows, "rows"), (more_columns, "columns")) if count]
    return f"<table>{rows}</table>" + (f'<p class="note">and {", ".join(more)}</p>' if more else "")
