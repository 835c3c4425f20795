"""A worksheet as a notebook, as Markdown, and as a page that needs nothing but a browser."""

import json
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from ..tracing.markup import STYLE, equation_html, equation_latex, numbers_html
from ..tracing.values import Value
from .sheet import DECIMALS, Worksheet

HEADS = {"forward": "Forward", "loss": "Loss", "backward": "Backward"}
Part = tuple[str, str]
"""A kind, "text" or "code", and its content."""


def parts(sheet: Worksheet, solution: bool) -> list[Part]:
    """Return the parts of a sheet in order."""
    arrays = dict(sheet.trace)
    given = [f"{value.name} = np.array({np.array2string(value.array, separator=', ')})" for value in sheet.given]
    options = ", ".join(f"{name}={value!r}" for name, value in sheet.to_dict().items() if name != "shape")
    start = f"import numpy as np\nfrom vecprop import learn\n\nsheet = learn.worksheet({sheet.shape!r}, {options})"
    found: list[Part] = [("text", title(sheet)), ("code", "\n".join([start, *given]))]
    stage = ""
    for value in sheet.blanks:
        if value.stage != stage:
            stage = value.stage
            found.append(("text", f"## {HEADS[stage]}"))
        shape = f"of shape {value.array.shape}" if value.array.ndim else "one number"
        filled = f"np.array({np.array2string(value.array.round(6), separator=', ')})" if solution else "None"
        found.append(("text", f"$${equation_latex(value, arrays)}$$"))
        found.append(("code", f"{value.name} = {filled}" if solution else f"{value.name} = {filled}  # {shape}"))
        found.append(("code", f'print(sheet.check(globals(), "{value.name}"))'))
    return found


def title(sheet: Worksheet) -> str:
    """Return the head of a sheet in Markdown."""
    whose = f" of {sheet.name}" if sheet.name else ""
    return (
        f"# Worksheet{whose}: one pass of a network {sheet.shape}\n\n"
        f"{sheet.rows} rows, activation {sheet.activation}, loss {sheet.loss} (summed over rows), seed {sheet.seed}. "
        "Put an array, or code that computes it, in the place of each `None`, and run the cell below it."
    )


def as_notebook(sheet: Worksheet, solution: bool = False) -> dict[str, Any]:
    """Return a worksheet as a notebook of version 4.

    Examples
    --------
    >>> from .sheet import worksheet
    >>> as_notebook(worksheet("2-2", rows=1))["cells"][1]["source"].splitlines()[0]
    'import numpy as np'
    """
    cells = []
    for number, (kind, content) in enumerate(parts(sheet, solution)):
        cell: dict[str, Any] = {"cell_type": "markdown" if kind == "text" else "code", "id": f"cell-{number}"}
        code = {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append({**cell, "metadata": {}, "source": content, **code})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "vecprop_worksheet": sheet.to_dict()}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def as_markdown(sheet: Worksheet, solution: bool = False) -> str:
    """Return a worksheet as Markdown.

    Examples
    --------
    >>> from .sheet import worksheet
    >>> as_markdown(worksheet("2-2", rows=1)).splitlines()[0]
    '# Worksheet: one pass of a network 2-2'
    """
    blocks = [content if kind == "text" else f"```python\n{content}\n```" for kind, content in parts(sheet, solution)]
    return "\n\n".join(blocks) + "\n"


def as_page(sheet: Worksheet, solution: bool = False) -> str:
    """Return a worksheet as an HTML page that needs nothing else.

    Examples
    --------
    >>> from .sheet import worksheet
    >>> as_page(worksheet("2-2", rows=1, name="<b>")).count("<b>")
    0
    """
    arrays = dict(sheet.trace)
    blocks = ["<h2>Given</h2>", *(_block(equation_html(value, arrays), numbers_html(value)) for value in sheet.given)]
    stage = ""
    for value in sheet.blanks:
        if value.stage != stage:
            stage = value.stage
            blocks.append(f"<h2>{HEADS[stage]}</h2>")
        blocks.append(_block(equation_html(value, arrays), numbers_html(value) if solution else _fields(value)))
    template = files("vecprop.learn.sheets").joinpath("worksheet.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(f"Worksheet{f' of {sheet.name}' if sheet.name else ''}: one pass of a network {sheet.shape}"),
        about=escape(
            f"{sheet.rows} rows, activation {sheet.activation}, loss {sheet.loss} (summed over the rows), "
            f"seed {sheet.seed}."
        ),
        task="The solution." if solution else f"Fill in every number to {DECIMALS} decimals.",
        style=STYLE,
        blocks="\n".join(blocks),
        hidden="hidden" if solution else "",
        sheet=json.dumps(sheet.to_dict()).replace("<", "\\u003c"),
    )


def _block(equation: str, numbers: str) -> str:
    return f'<div class="value"><div class="equation">{equation}</div><div class="numbers">{numbers}</div></div>'


def _fields(value: Value) -> str:
    """Return a table of fields, one for each number."""
    shape = value.array.shape
    lines: Any = np.arange(value.array.size).reshape(
        -1, 1 if value.of_rows and len(shape) == 1 else (shape or (1,))[-1]
    )
    rows = "".join(
        "<tr>" + "".join(f"<td>{_field(value, int(place))}</td>" for place in line) + "</tr>" for line in lines
    )
    return f"<table>{rows}</table>"


def _field(value: Value, place: int) -> str:
    index = [int(k) for k in np.unravel_index(place, value.array.shape)] if value.array.ndim else []
    label = escape(f"{value.name} {index}" if index else value.name)
    return f'<input inputmode="decimal" autocomplete="off" data-name="{value.name}" aria-label="{label}">'
