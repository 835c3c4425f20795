"""Commands for model files: ``check-gradients``, ``export``, ``info`` and others."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import typer
from typer import Argument, Option

from ...terminal.messages import (
    WRONG_GRADIENT,
    UsageError,
    say,
    say_notes,
    show,
    to_json,
)
from ...terminal.output_files import require_ending, with_suffix, writable
from . import Debug, Force, Json, Model, Quiet


def check_gradients(
    subject: str = Argument(
        metavar="MODEL|MODULE:FUNCTION", help="A model file, or a Python function."
    ),
    table: Path | None = Argument(
        None, metavar="[TABLE]", help="The rows to check a model on."
    ),
    target: str | None = Option(
        None, help="The target column; by default the model's own."
    ),
    size: int | None = Option(
        None, min=1, help="The number of parameters of the function."
    ),
    seed: int = Option(
        0, min=0, help="The seed for drawing the function's parameters."
    ),
    as_json: Json = False,
    debug: Debug = False,
):
    """Check the gradients of a model on a table, or of a Python function. The exit code is 5 if a gradient is wrong.

    The function takes a vector of parameters, and returns its value and its gradient.

    Example: vecprop check-gradients titanic.npz titanic.csv

    Example: vecprop check-gradients mymodel:loss_and_gradient --size 12
    """
    from ... import load
    from ...check import Verdict
    from ..models import check_function, check_model

    if ":" in subject and not Path(subject).exists():
        if size is None:
            raise UsageError("Give --size, the number of the function's parameters.")
        if table is not None or target is not None:
            raise UsageError(
                "A function is checked without a table: leave out TABLE and --target."
            )
        report = check_function(subject, size, seed)
    else:
        if subject.endswith(".py"):
            raise UsageError(
                f"{subject} is not a model file: give a function as"
                f" {subject.removesuffix('.py')}:FUNCTION."
            )
        model = load(subject)
        if table is None:
            raise UsageError(
                "Give a table too: its rows are needed to check a model's gradients."
            )
        if size is not None:
            raise UsageError("--size is for functions: leave it out for a model.")
        report = check_model(model, table, target)
    print(to_json(report.to_dict()) if as_json else report)
    if report.verdict not in (Verdict.PASS, Verdict.KINK):
        raise typer.Exit(WRONG_GRADIENT)


def export(
    model: Model,
    to: Literal["numpy", "onnx"] = Option(
        help="The format: Python source that needs only NumPy, or an ONNX graph."
    ),
    output: Path | None = Option(
        None,
        "--output",
        "-o",
        help="The output file; by default MODEL with the extension .py or .onnx.",
    ),
    interval: float | None = Option(
        None,
        min=0.5,
        max=0.999,
        help="Also export prediction intervals with this coverage.",
    ),
    force: Force = False,
    debug: Debug = False,
):
    """Export a model, so that it runs without vecprop.

    Example: vecprop export titanic.npz --to numpy

    Example: vecprop export titanic.npz --to onnx -o titanic.onnx

    Example: vecprop export prices.npz --to onnx --interval 0.9
    """
    from ... import load
    from ...files.numpy_source import to_numpy
    from ...files.onnx import to_onnx

    ending, write = (".py", to_numpy) if to == "numpy" else (".onnx", to_onnx)
    output = output or with_suffix(model, ending)
    require_ending(output, "-o", ending)
    writable(output, force, model)
    write(load(model), output, coverage=interval)
    show(f"{model} is exported to {output}.")


def info(model: Model, as_json: Json = False, debug: Debug = False):
    """Describe a model file: its columns, metrics, networks and versions.

    Example: vecprop info titanic.npz
    """
    from ... import load
    from ...files.model_file import information
    from ..models import described

    description = described(load(model), information(model))
    if as_json:
        show(to_json(description))
        return
    for name, value in description.items():
        lines = str(value).splitlines()
        if isinstance(value, dict):
            lines = [f"{key}: {entry}" for key, entry in value.items()]
        for line in lines:
            show(f"{name:<12}{line}")
            name = ""


def convert(
    source: Path = Argument(
        metavar="SOURCE", help="A text file such as CSV, or a folder of such files."
    ),
    folder: Path = Argument(
        metavar="FOLDER", help="The new folder for the Parquet files."
    ),
    words: list[str] | None = Option(
        None, help="A column that contains NA or similar words as values; repeatable."
    ),
    numbers: str | None = Option(
        None, help="Columns that must be numeric, such as a,b; other values are errors."
    ),
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
):
    """Convert text files to a folder of Parquet files, with the same column types in all of them.

    The text may be larger than memory. If the command is interrupted or killed, run it
    again to resume.

    Example: vecprop convert sales.csv.gz sales

    Example: vecprop convert logs/ logs-parquet --words country
    """
    from ...train.progress import ProgressLine
    from ..converting import converted
    from ..training.config import several_names

    columns = {"words": words or (), "numbers": several_names(numbers)}
    with ExitStack() as stack:
        progress = None
        if not quiet:
            progress = stack.enter_context(ProgressLine("converting")).update
        result = converted(source, folder, **columns, force=force, progress=progress)
    if not quiet:
        say_notes(result.notes, are_in_json=False)
        counts = [
            f"{count} {type}" for type, count in Counter(result.types.values()).items()
        ]
        say(f"{result.rows} rows are in {folder}; columns: {', '.join(counts)}.")


def warmup():
    """Compile all kernels for this processor in advance.

    Example: vecprop warmup
    """
    from ...compiled.jit.cache import folder
    from ...compiled.warm_up import kernels
    from ...tables.encoding.expansion import kernels as kernels_of_columns
    from ...train.progress import ProgressLine

    needed = [*kernels(), *kernels_of_columns()]
    with ProgressLine("compiling", "kernels") as line:
        for count, (_, compiled) in enumerate(needed, 1):
            compiled()
            line.update(count, count / len(needed))
    print(f"Kernels are compiled, in {folder() or 'this process only'}.")


def playground(
    table: Path | None = Argument(
        None, metavar="TABLE", help="Your own data: CSV, Parquet or Excel."
    ),
    port: int = Option(
        0, min=0, max=65535, help="The port of the page; 0 selects a free one."
    ),
    no_browser: bool = Option(False, "--no-browser", help="Only print the address."),
    text: str | None = Option(
        None, "--open", metavar="TEXT", help="Settings, as text exported from the page."
    ),
    debug: Debug = False,
):
    """Train a network in the browser, and see, change and check its computations. Ctrl-C stops it.

    The page is available only on this machine, under a secret address.

    Example: vecprop playground

    Example: vecprop playground people.csv
    """
    try:
        from ...learn.playground.server import serve
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        raise ImportError(
            f'The playground needs {name}: pip install "vecprop[playground]".'
        ) from None
    serve(table, port, text, opens_browser=not no_browser)
