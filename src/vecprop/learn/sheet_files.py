"""Write worksheets as notebooks, Markdown or HTML, and grade returned files."""

import ast
import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ..system.package_text import package_text
from .grading.grades import Grades, shown_points
from .grading.student import chunks_of
from .grading.student_process import StudentProcess, read_source
from .sheet import Worksheet
from .tracing.output import (
    STYLE,
    as_matrix,
    block_html,
    by_stage,
    equation_latex,
    numbers_html,
    table_html,
)

COLUMNS = (
    "file",
    "name",
    "shape",
    "rows",
    "seed",
    "points",
    "out_of",
    "wrong",
    "notes",
)

SOLUTION = re.compile(
    r"\b\w+\.trace\b(?!\()|\blearn\.(tutorial|trace)\b|learn import [^\n]*(tutorial|trace)"
)
"""Uses of the library's solutions in a file."""


def written(sheet: Worksheet, ending: str, solution: bool = False) -> str:
    """Return the content of a worksheet file with this suffix."""
    if ending == ".html":
        return _page(sheet, solution)
    if ending == ".ipynb":
        return json.dumps(_notebook(sheet, solution), indent=1, ensure_ascii=False)
    if ending == ".md":
        forms = {"markdown": "{}\n", "code": "```python\n{}\n```\n"}
        return "\n".join(
            forms[kind].format(content) for kind, content in _cells(sheet, solution)
        )
    raise ValueError(
        f"The worksheet file must be .html, .ipynb or .md, got {ending!r}."
    )


def names_of(path: Path) -> list[str]:
    """Read names from the column "name" of a CSV file, or from a file without a header."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        text = file.read().lstrip("\r\n")
    first_line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    separator = max(",;\t", key=first_line.count)
    names = []
    column = None
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if column is None:
            heads = [cell.lower() for cell in cells]
            column = heads.index("name") if "name" in heads else 0
            if "name" in heads:
                continue
        if len(cells) > column and cells[column]:
            names.append(cells[column])
    if not names:
        raise ValueError(
            f"{path} has no names: write one per line, or add a column name."
        )
    return names


def sheets_of(sheet: Worksheet, names: list[str]) -> Iterator[tuple[str, Worksheet]]:
    """Yield a file stem and a worksheet for each name, with consecutive seeds."""
    taken: set[str] = set()
    for number, name in enumerate(names):
        plain = re.sub(r"\W+", "-", name).strip("-")[:100] or "sheet"
        stem = plain
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{plain}-{count}"
        taken.add(stem.lower())
        yield stem, replace(sheet, seed=sheet.seed + number, name=name[:200])


def graded_sheet(
    path: Path, seconds: float, megabytes: int
) -> tuple[Worksheet, Grades]:
    """Return the worksheet and the grades of a returned file."""
    if path.suffix.lower() == ".json":
        return _graded_answers(path)
    text, ending = read_source(path)
    sheet = _sheet(_settings(text, ending), path)
    flags = []
    solution = SOLUTION.search(text)
    if solution:
        flags.append(f"The file uses the library's solutions: {solution[0]}.")
    with StudentProcess(text, ending, seconds, megabytes) as student:
        answers = student.values([value.name for value in sheet.blanks])
    grades = sheet.grade(answers)
    is_judged = not student.only_definitions
    judged = [replace(grade, judged=is_judged) for grade in grades.grades]
    return sheet, Grades(tuple(judged), tuple(student.notes), tuple(flags))


def _settings(text, ending):
    """Return the settings of a worksheet in a notebook's metadata or in its code, or None."""
    settings = None
    with suppress(SyntaxError, ValueError, AttributeError, TypeError, RecursionError):
        if ending == ".ipynb":
            settings = json.loads(text).get("metadata", {}).get("vecprop_worksheet")
        if settings is None:
            settings = _settings_in_code("\n".join(chunks_of(text, ending)))
    return settings


def _graded_answers(path):
    """Return the worksheet and the grades of answers that a worksheet page saved."""
    content = None
    with path.open("rb") as file, suppress(ValueError, RecursionError):
        content = json.loads(file.read(10 * 2**20))
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} is not an answer file: save the answers from the worksheet page."
        )
    sheet = _sheet(content.get("worksheet"), path)
    answers = content.get("answers")
    if not isinstance(answers, dict):
        raise ValueError(f"{path} has no answers: save them from the worksheet page.")
    return sheet, sheet.grade(answers)


def _settings_in_code(code):
    """Return the arguments of the call that created a worksheet."""
    statement = re.search(
        r"^sheet = (learn\.worksheet\(.{0,600}\))$", code, re.MULTILINE
    )
    call: Any = ast.parse(statement[1] if statement else "", mode="eval").body
    arguments = [ast.literal_eval(argument) for argument in call.args]
    settings = dict(zip(Worksheet.__dataclass_fields__, arguments, strict=False))
    for keyword in call.keywords:
        settings[keyword.arg] = ast.literal_eval(keyword.value)
    return settings


def _sheet(settings, path):
    with suppress(TypeError, ValueError):
        return Worksheet(**settings)
    raise ValueError(f"{path} does not contain the settings of its worksheet.")


def rows_of_grades(folder: Path, seconds: float, megabytes: int) -> Iterator[dict]:
    """Yield a row for each file in a folder, with its points or the reason why it has none."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".json", ".ipynb", ".md") or not path.is_file():
            continue
        row = dict.fromkeys(COLUMNS, "") | {"file": path.name, "points": 0}
        try:
            sheet, grades = graded_sheet(path, seconds, megabytes)
        # one bad file must not stop the grading of other files
        except Exception as error:
            yield {**row, "notes": f"Not judged. {error}"}
            continue
        notes = [*grades.notes, *grades.flags]
        if not all(grade.judged for grade in grades.values()):
            notes.insert(0, "Not judged.")
        settings = sheet.to_dict()
        row |= {name: settings[name] for name in ("name", "shape", "rows", "seed")}
        row["points"] = shown_points(grades.points, grades.out_of)
        row["out_of"] = grades.out_of
        row["wrong"] = " ".join(
            name for name, grade in grades.items() if not grade.right
        )
        row["notes"] = " ".join(notes)
        yield row


def _title(sheet):
    owner = f" of {sheet.name}" if sheet.name else ""
    return f"Worksheet{owner}: one pass of a {sheet.shape} network"


def _description(sheet):
    rows = "1 row" if sheet.rows == 1 else f"{sheet.rows} rows"
    return (
        f"{rows}, activation {sheet.activation}, loss {sheet.loss} (summed"
        f" over the rows), seed {sheet.seed}."
    )


def _cells(sheet, solution):
    """Return the cells of a worksheet as pairs of "markdown" or "code" and content."""
    arrays = dict(sheet.trace)
    settings = sheet.to_dict()
    options = [repr(settings.pop("shape"))]
    options += [f"{name}={value!r}" for name, value in settings.items()]
    start = [
        "import numpy as np",
        "from vecprop import learn",
        "",
        f"sheet = learn.worksheet({', '.join(options)})",
    ]
    for value in sheet.given:
        start.append(f"{value.name} = {_array_code(value.array)}")
    name = "" if sheet.name else "Name:\n\n"
    cells = [
        (
            "markdown",
            (
                f"# {_title(sheet)}\n\n{name}{_description(sheet)} Replace each `None` by an"
                " array or by code that computes it, and run the cell below it."
            ),
        ),
        ("code", "\n".join(start)),
    ]
    for head, value in by_stage(sheet.blanks):
        if head:
            cells.append(("markdown", f"## {head}"))
        answer = "None  # one number"
        if value.array.ndim:
            answer = f"None  # of shape {value.array.shape}"
        if solution:
            answer = _array_code(value.array.round(3))
        cells.append(("markdown", f"$${equation_latex(value, arrays)}$$"))
        cells.append(("code", f"{value.name} = {answer}"))
        cells.append(("code", f'print(sheet.grade(globals(), "{value.name}"))'))
    return cells


def _array_code(array):
    return f"np.array({np.array2string(array, separator=', ')})"


def _notebook(sheet, solution):
    cells = []
    for number, (kind, content) in enumerate(_cells(sheet, solution)):
        cell = {
            "cell_type": kind,
            "id": f"cell-{number}",
            "metadata": {},
            "source": content,
        }
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "vecprop_worksheet": sheet.to_dict()}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _page(sheet, solution):
    """Return a worksheet as a self-contained HTML page."""
    arrays = dict(sheet.trace)
    numbers = _decimals if solution else _fields
    blocks = ["<h2>Given</h2>"]
    blocks += [block_html(value, arrays, numbers_html(value)) for value in sheet.given]
    for head, value in by_stage(sheet.blanks):
        if head:
            blocks.append(f"<h2>{head}</h2>")
        blocks.append(block_html(value, arrays, numbers(value)))
    template = Template(package_text("learn/worksheet.html"))
    return template.substitute(
        title=escape(_title(sheet)),
        about=escape(_description(sheet)),
        name="" if sheet.name else '<p class="name">Name:</p>',
        network=_drawing(sheet),
        task="The solution." if solution else "Fill in all numbers to 3 decimals.",
        hidden="hidden" if solution else "",
        style=STYLE,
        blocks="\n".join(blocks),
        sheet=json.dumps(sheet.to_dict()).replace("<", "\\u003c"),
    )


def _decimals(value):
    """Return an HTML table of numbers with three decimals."""
    lines = []
    for row in as_matrix(value):
        lines.append([f"<td>{number:.3f}</td>" for number in row])
    return table_html(lines)


def _drawing(sheet):
    """Draw the network with its weights and biases as SVG; large networks are not drawn."""
    widths = list(map(int, sheet.shape.split("-")))
    if max(widths) > 4:
        return ""
    height = 90 * max(widths)
    centers = []
    for layer, width in enumerate(widths):
        ys = [height * (unit + 0.5) / width for unit in range(width)]
        centers.append([(40 + 170 * layer, y) for y in ys])
    shapes = []
    labels = []
    for layer in range(1, len(widths)):
        weights = sheet.trace[f"W{layer}"]
        for i, o in np.ndindex(weights.shape):
            x1, y1 = centers[layer - 1][i]
            x2, y2 = centers[layer][o]
            shapes.append(f'<path d="M{x1} {y1}L{x2} {y2}"/>')
            share = (0.68, 0.32)[i % 2]  # crossing edges have labels apart
            x = x1 + share * (x2 - x1)
            y = y1 + share * (y2 - y1) - 5
            labels.append(f'<text x="{x:.0f}" y="{y:.0f}">{weights[i, o]:g}</text>')
        for (x, y), bias in zip(centers[layer], sheet.trace[f"b{layer}"], strict=True):
            labels.append(f'<text x="{x}" y="{y - 23:.0f}">{bias:+g}</text>')
    for layer, points in enumerate(centers):
        letter = ["X", *"H" * (len(widths) - 2), "Y"][layer]
        for number, (x, y) in enumerate(points, 1):
            shapes.append(f'<circle cx="{x}" cy="{y}" r="18"/>')
            label = f'{letter}<tspan font-size="10" dy="3">{number}</tspan>'
            labels.append(f'<text x="{x}" y="{y + 5:.0f}">{label}</text>')
    width = 80 + 170 * (len(widths) - 1)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-label="The network with its weights and biases">'
        f"{''.join(shapes)}{''.join(labels)}</svg>"
    )


def _fields(value):
    """Return an HTML table with an input field for each number."""
    fields = []
    for index in np.ndindex(value.array.shape):
        label = escape(f"{value.name} {[*index]}" if index else value.name)
        fields.append(
            f'<td><input autocomplete="off" data-name="{value.name}"'
            f' aria-label="{label}"></td>'
        )
    return table_html(np.array(fields).reshape(as_matrix(value).shape))
