"""``vecprop learn``: grade students' code, create and grade worksheets; and ``vecprop demo``."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from ...terminal.messages import WRONG_GRADIENT, UsageError, show, to_json
from ...terminal.output_files import require_ending, writable
from . import Debug, Force, Json

ActivationName = Annotated[str, Option(help="The activation of the hidden layers.")]
LossName = Annotated[
    str,
    Option(help="The loss: softmax, logistic or squared_error, summed over the rows."),
]
Seconds = Annotated[
    float,
    Option(
        min=0.1, max=86_400, help="CPU seconds for running the file, and for each call."
    ),
]
Submitted = Annotated[
    Path,
    Argument(
        metavar="FILE",
        help=(
            "A Python file, a notebook, or Markdown with Python; or a folder of"
            " submissions."
        ),
    ),
]
Only = Annotated[
    str | None,
    Option(help="The functions to grade, such as softmax,loss; all by default."),
]
Hints = Annotated[
    int, Option(min=0, max=3, help="The number of hints to show, out of three.")
]
Solution = Annotated[
    bool, Option("--solution", help="Show the solutions of wrong functions.")
]
OtherShape = Annotated[
    str | None,
    Option(
        help="Grade loss_and_gradient(theta, X, T) for a network of this shape instead."
    ),
]
GradesFile = Annotated[
    Path | None,
    Option("-o", "--output", help="For a folder: the CSV file with the grades."),
]
ClassNames = Annotated[
    Path | None, Option(help="For a folder: a CSV file with the names of the class.")
]
Jobs = Annotated[
    int, Option(min=1, max=256, help="For a folder: the number of parallel processes.")
]
SecondsOrDefault = Annotated[
    float | None,
    Option(
        min=0.1,
        max=86_400,
        help=(
            "CPU seconds for running the file, and for each call; 5 by default, or 1"
            " for a folder."
        ),
    ),
]
Memory = Annotated[
    int,
    Option(min=256, help="The memory limit of the process that runs the file, in MB."),
]


def grade(
    file: Submitted,
    only: Only = None,
    hints: Hints = 1,
    solution: Solution = False,
    shape: OtherShape = None,
    activation: ActivationName = "logistic",
    loss: LossName = "softmax",
    out: GradesFile = None,
    names: ClassNames = None,
    jobs: Jobs = 1,
    seconds: SecondsOrDefault = None,
    memory: Memory = 2048,
    as_json: Json = False,
    force: Force = False,
    debug: Debug = False,
):
    """Grade a student's functions, with hints on mistakes. The exit code is 5 unless all are correct.

    For a folder, grade all submissions and write a row for each. If the CSV file
    already has rows, the command continues. A summary of the mistakes is written to
    files that end with -mistakes.csv and -mistakes.html.

    The file runs in a separate process, in an empty folder. The functions must have the
    names and arguments from the tutorial; see docs/learn.md.

    Example: vecprop learn grade homework.ipynb --hints 2

    Example: vecprop learn grade homework.py --shape 3-4-1 --activation tanh --loss
    squared_error

    Example: vecprop learn grade submissions/ --names class.csv -o grades.csv --jobs 2
    """
    functions = only.split(",") if only else None
    if file.is_dir():
        if out is None:
            raise UsageError(f"{file} is a folder: give a CSV file with -o.")
        if shape is not None:
            raise UsageError("--shape grades one file: give a file.")
        limits = (seconds or 1, memory)
        options = {"functions": functions, "jobs": jobs, "force": force}
        _grade_class(file, out, names, limits=limits, **options)
        return
    from ...learn import grade_file
    from ...learn.sheet import network_of_shape

    if shape is not None and (only or solution):
        raise UsageError(
            "--shape grades only loss_and_gradient: leave out --only and --solution."
        )
    with _usage():
        network = None if shape is None else network_of_shape(shape, activation, loss)
        grades = grade_file(
            file,
            functions,
            network=network,
            hints=hints,
            seconds=seconds or 5,
            megabytes=memory,
        )
    _show_grades(grades, as_json, solution)
    if not grades.right:
        raise typer.Exit(WRONG_GRADIENT)


def _show_grades(grades, as_json, solution):
    if as_json:
        print(to_json(grades.to_dict()))
        return
    show(str(grades))
    for grade in grades.values():
        if solution and not grade.right:
            show(f"\n{grade.name}, solution:\n{grade.solution()}")


def _grade_class(folder, out, names, *, functions, limits, jobs, force):
    """Grade the submissions of a folder, and write a summary."""
    from ...learn.class_grades import (
        Settings,
        submissions,
        write_grades,
        write_summary,
    )
    from ...learn.grading.grade import checked_names
    from ...learn.sheet_files import names_of

    require_ending(writable(out, force or out.exists()), "-o", ".csv")
    with _usage():
        settings = Settings(folder, checked_names(functions), *limits)
        students = names_of(names) if names else []
        plan = submissions(folder, list(dict.fromkeys(students)))
        if not plan:
            raise ValueError(f"{folder} has no submissions (.py, .ipynb or .md).")
        if force:
            out.unlink(missing_ok=True)
        rows = write_grades(out, plan, settings, jobs)
    write_summary(out, rows, settings)
    print(f"{_counted(len(rows), 'row')} in {out}.")


@contextmanager
def _usage() -> Iterator[None]:
    """Convert a ValueError raised by the learning tools to a UsageError."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from None


def worksheet(
    out: Path = Option(
        ...,
        "-o",
        "--output",
        help="The worksheet: a page (.html), notebook (.ipynb) or Markdown (.md).",
    ),
    shape: str = Option(
        "2-2-2", help="The numbers of inputs, hidden units and outputs."
    ),
    rows: int = Option(1, min=1, help="The number of rows."),
    activation: ActivationName = "logistic",
    loss: LossName = "softmax",
    seed: int = Option(
        0, min=0, help="The random seed; with --names, for the first sheet."
    ),
    names: Path | None = Option(
        None,
        help="A CSV file with names: make a sheet for each, in the folder given by -o.",
    ),
    kind: Literal["html", "ipynb", "md"] = Option(
        "html", "--format", help="The format with --names."
    ),
    solution: bool = Option(False, "--solution", help="Fill in the solution."),
    force: Force = False,
    debug: Debug = False,
):
    """Make a worksheet: a small network with round numbers, and blanks for all values of one step.

    Example: vecprop learn worksheet --shape 2-3-2 --rows 4 --seed 7 -o sheet.html

    Example: vecprop learn worksheet --names class.csv -o sheets/
    """
    from ...learn import worksheet as drawn
    from ...learn.sheet_files import names_of, sheets_of, written

    with _usage():
        sheet = drawn(shape, rows=rows, activation=activation, loss=loss, seed=seed)
        if names is None:
            files = {out: written(sheet, out.suffix.lower(), solution)}
        else:
            sheets = sheets_of(sheet, names_of(names))
            files = {
                out / f"{stem}.{kind}": written(sheet, f".{kind}", solution)
                for stem, sheet in sheets
            }
    if names is not None:
        if out.is_file():
            raise UsageError(f"{out} is a file: give a folder for the sheets with -o.")
        out.mkdir(parents=True, exist_ok=True)
    for path in files:
        writable(path, force, names)
    for path, content in files.items():
        path.write_text(content, encoding="utf-8")
    print(f"{_counted(len(files), 'worksheet')} in {out}.")


def grade_worksheets(
    folder: Path = Argument(
        metavar="FOLDER",
        help="A folder with saved answers (.json), notebooks or Markdown.",
    ),
    out: Path | None = Option(
        None, "-o", "--output", help="A CSV file; standard output by default."
    ),
    seconds: Seconds = 30,
    memory: Memory = 2048,
    force: Force = False,
    debug: Debug = False,
):
    """Grade all worksheets in a folder; write one line for each, with points and mistakes.

    Example: vecprop learn grade-worksheets sheets/ -o grades.csv
    """
    from ...learn.sheet_files import COLUMNS, rows_of_grades

    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder: give the folder with the saved answers."
        )
    if out is not None:
        require_ending(writable(out, force), "-o", ".csv")
    rows = rows_of_grades(folder, seconds, memory)
    count = 0
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{folder} has no worksheets (.json, .ipynb or .md).")
    with (
        nullcontext(sys.stdout)
        if out is None
        else out.open("w", encoding="utf-8", newline="")
    ) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        # written at once, so that earlier lines remain after an interrupt
        for row in chain([first], rows):
            writer.writerow({name: _plain(cell) for name, cell in row.items()})
            file.flush()
            count += 1
    if out is not None:
        print(f"{_counted(count, 'worksheet')} graded in {out}.")


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"


def _plain(cell):
    """Format a cell without formulas, which a spreadsheet would execute."""
    from ...learn.class_grades import plain_cell

    if isinstance(cell, float):
        return f"{cell:g}"
    return plain_cell(cell) if isinstance(cell, str) else cell


def demo(
    out: Path = Option(
        Path("vecprop-demo"), help="The folder for the plots and the page."
    ),
    seed: int = Option(
        1, min=0, max=2**32 - 1, help="The random seed; the tutorial uses 1."
    ),
):
    """Run the tutorial: train one network, check its gradients, and draw plots.

    Example: vecprop demo --out circles
    """
    try:
        from ...learn.demo import run

        run(out, seed)
    except ImportError as error:
        needed = f'The demo needs {error.name}: pip install "vecprop[all]".'
        raise ImportError(needed if error.name else str(error)) from None
    except OSError as error:
        raise OSError(
            f"Cannot write to {out}: {error.strerror or error}; choose another folder"
            " with --out."
        ) from None
