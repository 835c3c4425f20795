"""Commands for model files: ``check-gradients``, ``export``, ``info`` and others."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from ...terminal.messages import WRONG_GRADIENT, UsageError, say, say_notes, show, to_json
from ...terminal.output_files import require_ending, with_suffix, writable
from . import Debug, Force, Json, Model, Quiet


def check_gradients(
    subject: Annotated[str, Argument(metavar="MODEL|MODULE:FUNCTION", help="A model file, or a Python function.")],
    table: Annotated[Path | None, Argument(metavar="[TABLE]", help="The rows to check a model on.")] = None,
    target: Annotated[str | None, Option(help="The target column; by default the model's own.")] = None,
    size: Annotated[int | None, Option(min=1, help="The number of parameters of the function.")] = None,
    seed: Annotated[int, Option(min=0, help="The seed for drawing the function's parameters.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
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
            raise UsageError("A function is checked without a table: leave out TABLE and --target.")
        report = check_function(subject, size, seed)
    elif table is None:
        raise UsageError("Give a table too: its rows are needed to check a model's gradients.")
    elif size is not None:
        raise UsageError("--size is for functions: leave it out for a model.")
    else:
        report = check_model(load(subject), table, target)
    print(to_json(report.to_dict()) if as_json else report)
    if report.verdict not in (Verdict.PASS, Verdict.KINK):
        raise typer.Exit(WRONG_GRADIENT)


def export(
    model: Model,
    to: Annotated[Literal["numpy", "onnx"], Option(help="Python source that needs only NumPy, or an ONNX graph.")],
    output: Annotated[
        Path | None, Option("--output", "-o", help="The output file; by default MODEL with the extension .py or .onnx.")
    ] = None,
    interval: Annotated[
        float | None, Option(min=0.5, max=0.999, help="Also export prediction intervals with this coverage.")
    ] = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
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


def info(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Describe a model file: its columns, metrics, networks and versions.

    Example: vecprop info titanic.npz
    """
    from ... import load
    from ...files.model_file import information
    from ..models import described

    said = described(load(model), information(model))
    lines = []
    for name, value in said.items():
        several = [f"{key}: {of}" for key, of in value.items()] if isinstance(value, dict) else str(value).splitlines()
        lines += [f"{name if number == 0 else '':<12}{line}" for number, line in enumerate(several)]
    show(to_json(said) if as_json else "\n".join(lines))


def convert(
    source: Annotated[Path, Argument(metavar="SOURCE", help="A text file such as CSV, or a folder of such files.")],
    folder: Annotated[Path, Argument(metavar="FOLDER", help="The new folder for the Parquet files.")],
    words: Annotated[
        list[str] | None, Option(help="A column that contains NA or similar words as values; repeatable.")
    ] = None,
    numbers: Annotated[
        str | None, Option(help="Columns that must be numeric, such as a,b; other values are errors.")
    ] = None,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Convert text files to a folder of Parquet files, with the same column types in all of them.

    The text may be larger than memory. If the command is interrupted or killed, run it again to resume.

    Example: vecprop convert sales.csv.gz sales

    Example: vecprop convert logs/ logs-parquet --words country
    """
    from ...train.progress import ProgressLine
    from ..converting import converted
    from ..training.config import several_names

    with nullcontext() if quiet else ProgressLine("converting") as line:
        seen = None if line is None else line.update
        done = converted(source, folder, words=words or (), numbers=several_names(numbers), force=force, seen=seen)
    if not quiet:
        say_notes(done.notes, are_in_json=False)
        kinds = list(done.types.values())
        counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        say(f"{done.rows} rows are in {folder}; columns: {', '.join(f'{n} {kind}' for kind, n in counts.items())}.")


def warmup() -> None:
    """Compile all kernels for this processor in advance.

    Example: vecprop warmup
    """
    from ...compiled.jit.cache import folder
    from ...compiled.warm_up import kernels
    from ...tables.encoding.kernels import kernels as kernels_of_columns
    from ...train.progress import ProgressLine

    needed = [*kernels(), *kernels_of_columns()]
    with ProgressLine("compiling", "kernels") as line:
        for count, (_, compiled) in enumerate(needed, 1):
            compiled()
            line.update(count, count / len(needed))
    print(f"Kernels are compiled, in {folder() or 'this process only'}.")


def playground(
    table: Annotated[Path | None, Argument(metavar="TABLE", help="Your own data: CSV, Parquet or Excel.")] = None,
    port: Annotated[int, Option(min=0, max=65535, help="The port of the page; 0 selects a free one.")] = 0,
    no_browser: Annotated[bool, Option("--no-browser", help="Only print the address.")] = False,
    text: Annotated[
        str | None, Option("--open", metavar="TEXT", help="Settings, as text exported from the page.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Train a network in the browser, and see, change and check its computations. Ctrl-C stops it.

    The page is available only on this machine, under a secret address.

    Example: vecprop playground

    Example: vecprop playground people.csv
    """
    try:
        from ...learn.playground.server import serve
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        raise ImportError(f'The playground needs {name}: pip install "vecprop[playground]".') from None
    serve(table, port, text, opens_browser=not no_browser)
