"""A worksheet as a page: fields for every value, which stay in the browser, and a button that saves them as a file."""

import json
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from ..tracing.html_output import STYLE, equation_html, numbers_html
from ..tracing.values import Value
from .notebook_sheet import HEADS
from .sheet import DECIMALS, Worksheet


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
