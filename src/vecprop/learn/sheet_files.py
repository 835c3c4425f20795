"""Write worksheets as notebooks, Markdown or HTML, and grade returned files."""

import ast
import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from .grading.grades import Grades, shown_points
from .grading.student import chunks_of
from .grading.student_process import StudentProcess, read_source
from .sheet import Worksheet
from .tracing.output import STYLE, block_html, by_stage, equation_latex, numbers_html
from .tracing.values import Value

COLUMNS = ("file", "name", "shape", "rows", "seed", "points", "out_of", "wrong", "notes")


def written(sheet: Worksheet, ending: str, solution: bool = False) -> str:
    """Return the content of a worksheet file with this suffix."""
    if ending == ".html":
        return _page(sheet, solution)
    if ending == ".ipynb":
        return json.dumps(_notebook(sheet, solution), indent=1, ensure_ascii=False)
    if ending == ".md":
        forms = {"markdown": "{}\n", "code": "```python\n{}\n```\n"}
        return "\n".join(forms[kind].format(content) for kind, content in _parts(sheet, solution))
    raise ValueError(f"The worksheet file must be .html, .ipynb or .md, got {ending!r}.")


def names_of(path: Path) -> list[str]:
    """Read names from the column "name" of a CSV file, or from a file without a header."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        text = file.read().lstrip("\r\n")
    separator = max(",;\t", key=re.split(r"[\r\n]", text, maxsplit=1)[0].count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines = [line for cells in table if any(line := [cell.strip() for cell in cells])]
    heads = [head.lower() for head in lines[0]] if lines else []
    column, below = (heads.index("name"), lines[1:]) if "name" in heads else (0, lines)
    names = [line[column] for line in below if len(line) > column and line[column]]
    if not names:
        raise ValueError(f"{path} has no names: write one per line, or add a column name.")
    return names


def sheets_of(sheet: Worksheet, names: list[str]) -> Iterator[tuple[str, Worksheet]]:
    """Yield a file stem and a worksheet for each name, with consecutive seeds."""
    taken: set[str] = set()
    for number, name in enumerate(names):
        plain = re.sub(r"\W+", "-", name).strip("-")[:100] or "sheet"
        stems = itertools.chain([plain], (f"{plain}-{count}" for count in itertools.count(2)))
        stem = next(stem for stem in stems if stem.lower() not in taken)
        taken.add(stem.lower())
        yield stem, replace(sheet, seed=sheet.seed + number, name=name[:200])


def graded_sheet(path: Path, seconds: float, megabytes: int) -> tuple[Worksheet, Grades]:
    """Return the worksheet and the grades of a returned file."""
    if path.suffix.lower() == ".json":
        content = None
        with path.open("rb") as file, suppress(ValueError, RecursionError):
            content = json.loads(file.read(10 * 2**20))
        if not isinstance(content, dict):
            raise ValueError(f"{path} is not an answer file: save the answers from the worksheet page.")
        sheet, answers = _sheet(content.get("worksheet"), path), content.get("answers")
        if not isinstance(answers, dict):
            raise ValueError(f"{path} has no answers: save them from the worksheet page.")
        return sheet, sheet.grade(answers)
    text, ending = read_source(path)
    details = None
    with suppress(SyntaxError, ValueError, AttributeError, TypeError, RecursionError):
        details = json.loads(text).get("metadata", {}).get("vecprop_worksheet") if ending == ".ipynb" else None
        if details is None:
            code = "\n".join(chunks_of(text, ending))
            found = re.search(r"^sheet = (learn\.worksheet\(.{0,600}\))$", code, re.MULTILINE)
            call: Any = ast.parse(found[1] if found else "", mode="eval").body
            given = zip(Worksheet.__dataclass_fields__, map(ast.literal_eval, call.args), strict=False)
            details = dict(given) | {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    sheet = _sheet(details, path)
    used = re.search(r"\b\w+\.trace\b(?!\()|\blearn\.(tutorial|trace)\b|learn import [^\n]*(tutorial|trace)", text)
    flags = (f"The file uses the library's solutions: {used[0]}.",) if used else ()  # for example, sheet.trace
    with StudentProcess(text, ending, seconds, megabytes) as student:
        values = student.values([value.name for value in sheet.blanks])
        grades = replace(sheet.grade(values), notes=tuple(student.notes), flags=flags)
        judged = (replace(grade, judged=not student.only_definitions) for grade in grades.grades)
        return sheet, replace(grades, grades=tuple(judged))


def _sheet(details: Any, path: Path) -> Worksheet:
    with suppress(TypeError, ValueError):
        return Worksheet(**details)
    raise ValueError(f"{path} does not contain the settings of its worksheet.")


def rows_of_grades(folder: Path, seconds: float, megabytes: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each file in a folder, with its points or the reason why it has none."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".json", ".ipynb", ".md") or not path.is_file():
            continue
        row = dict.fromkeys(COLUMNS, "") | {"file": path.name, "points": 0}
        try:
            sheet, grades = graded_sheet(path, seconds, megabytes)
        except Exception as error:  # one bad file must not stop the grading of other files
            yield {**row, "notes": f"Not judged. {error}"}
            continue
        about = {name: value for name, value in sheet.to_dict().items() if name in COLUMNS}
        wrong = " ".join(name for name, grade in grades.items() if not grade.right)
        judged = all(grade.judged for grade in grades.values())
        notes = " ".join([*([] if judged else ["Not judged."]), *grades.notes, *grades.flags])
        points = shown_points(grades.points, grades.out_of)
        yield {**row, **about, "points": points, "out_of": grades.out_of, "wrong": wrong, "notes": notes}


def _about(sheet: Worksheet) -> tuple[str, str]:
    """Return the title and the description of a worksheet."""
    whose, about = f" of {sheet.name}" if sheet.name else "", f"{sheet.rows} rows, activation {sheet.activation}"
    about = f"{about}, loss {sheet.loss} (summed over the rows), seed {sheet.seed}."
    return f"Worksheet{whose}: one pass of a {sheet.shape} network", about


def _parts(sheet: Worksheet, solution: bool) -> list[tuple[str, str]]:
    """Return the cells of a worksheet as pairs of "markdown" or "code" and content."""
    arrays = dict(sheet.trace)
    given = [f"{value.name} = np.array({np.array2string(value.array, separator=', ')})" for value in sheet.given]
    options = ", ".join(f"{name}={value!r}" for name, value in sheet.to_dict().items() if name != "shape")
    start = f"import numpy as np\nfrom vecprop import learn\n\nsheet = learn.worksheet({sheet.shape!r}, {options})"
    title, about = _about(sheet)
    task = "Replace each `None` by an array or by code that computes it, and run the cell below it."
    found = [("markdown", f"# {title}\n\n{about} {task}"), ("code", "\n".join([start, *given]))]
    for head, value in by_stage(sheet.blanks):
        found += [("markdown", f"## {head}")] if head else []
        filled = f"None  # of shape {value.array.shape}" if value.array.ndim else "None  # one number"
        if solution:
            filled = f"np.array({np.array2string(value.array.round(6), separator=', ')})"
        found.append(("markdown", f"$${equation_latex(value, arrays)}$$"))
        found.append(("code", f"{value.name} = {filled}"))
        found.append(("code", f'print(sheet.grade(globals(), "{value.name}"))'))
    return found


def _notebook(sheet: Worksheet, solution: bool) -> dict[str, Any]:
    cells = []
    for number, (kind, content) in enumerate(_parts(sheet, solution)):
        code = {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append({"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": content, **code})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "vecprop_worksheet": sheet.to_dict()}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _page(sheet: Worksheet, solution: bool) -> str:
    """Return a worksheet as a self-contained HTML page."""
    arrays, (title, about) = dict(sheet.trace), _about(sheet)
    blocks = ["<h2>Given</h2>", *(block_html(value, arrays, numbers_html(value)) for value in sheet.given)]
    for head, value in by_stage(sheet.blanks):
        blocks += [f"<h2>{head}</h2>"] if head else []
        blocks.append(block_html(value, arrays, numbers_html(value) if solution else _fields(value)))
    template = files("vecprop.learn").joinpath("worksheet.html").read_text(encoding="utf-8")
    task = "The solution." if solution else "Fill in all numbers to 3 decimals."
    said = {"title": escape(title), "about": escape(about), "task": task, "hidden": "hidden" if solution else ""}
    plain = json.dumps(sheet.to_dict()).replace("<", "\\u003c")
    return Template(template).substitute(said, style=STYLE, blocks="\n".join(blocks), sheet=plain)


def _fields(value: Value) -> str:
    """Return an HTML table with an input field for each number."""
    fields = []
    for index in np.ndindex(value.array.shape):
        label = escape(f"{value.name} {[*index]}" if index else value.name)
        fields.append(f'<td><input autocomplete="off" data-name="{value.name}" aria-label="{label}"></td>')
    columns = 1 if value.of_rows and value.array.ndim == 1 else np.atleast_1d(value.array).shape[-1]
    rows = (f"<tr>{''.join(line)}</tr>" for line in np.array(fields).reshape(-1, columns))
    return f"<table>{''.join(rows)}</table>"
