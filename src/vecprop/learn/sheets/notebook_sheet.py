"""A worksheet as a notebook or Markdown: each equation with its shapes, a blank in Python, and a check of it."""

from typing import Any

import numpy as np

from ..tracing.latex_output import equation_latex
from .sheet import Worksheet

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
