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
Memory = Annotated[
    int,
    Option(min=256, help="The memory limit of the process that runs the file, in MB."),
]


def grade(
    file: Path = Argument(
        metavar="FILE", help="A Python file, a notebook, or Markdown with Python."
    ),
    only: str | None = Option(
        None, help="The functions to grade, such as softmax,loss; all by default."
    ),
    hints: int = Option(
        1, min=0, max=3, help="The number of hints to show, out of three."
    ),
    solution: bool = Option(
        False, "--solution", help="Show the solutions of wrong functions."
    ),
    shape: str | None = Option(
        None,
        help=(
            "Grade loss_and_gradient(theta, X, T) for a network of this shape instead."
        ),
    ),
    activation: ActivationName = "logistic",
    loss: LossName = "softmax",
    seconds: Seconds = 5,
    memory: Memory = 2048,
    as_json: Json = False,
    debug: Debug = False,
):
    """Grade a student's functions, with hints on mistakes. The exit code is 5 unless all are correct.

    The file runs in a separate process, in an empty folder. The functions must have the
    names and arguments from the tutorial; see docs/learn.md.

    Example: vecprop learn grade homework.ipynb --hints 2

    Example: vecprop learn grade homework.py --shape 3-4-1 --activation tanh --loss
    squared_error
    """
    from ...learn import grade_file
    from ...learn.sheet import network_of_shape

    if shape is not None and (only or solution):
        raise UsageError(
            "--shape grades only loss_and_gradient: leave out --only and --solution."
        )
    with _usage():
        network = None if shape is None else network_of_shape(shape, activation, loss)
        names = only.split(",") if only else None
        grades = grade_file(
            file, names, network=network, hints=hints, seconds=seconds, megabytes=memory
        )
    if as_json:
        print(to_json(grades.to_dict()))
    else:
        show(str(grades))
        if solution:
            for grade in grades.values():
                if not grade.right:
                    show(f"\n{grade.name}, solution:\n{grade.solution()}")
    if not grades.right:
        raise typer.Exit(WRONG_GRADIENT)


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
        "2-3-2", help="The numbers of inputs, hidden units and outputs."
    ),
    rows: int = Option(4, min=1, help="The number of rows."),
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
    print(f"{_worksheets(len(files))} in {out}.")


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
        print(f"{_worksheets(count)} graded in {out}.")


def _worksheets(count: int) -> str:
    return "1 worksheet" if count == 1 else f"{count} worksheets"


def _plain(cell):
    """Format a cell so that spreadsheets do not execute untrusted text, such as names, as a formula."""
    if isinstance(cell, float):
        return f"{cell:g}"
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell


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
