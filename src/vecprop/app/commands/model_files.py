"""``vecprop check``, ``export`` and ``info``: a model file proved, written for other programs, and described."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...terminal.errors import WRONG_GRADIENT, UsageError
from ...terminal.output import show, to_json
from ...terminal.output_files import beside, require_ending, writable
from .options import Debug, Force, Json, Model


def check(
    subject: Annotated[str, typer.Argument(metavar="MODEL|MODULE:FUNCTION", help="A model file, or a function.")],
    table: Annotated[
        Path | None, typer.Argument(metavar="[TABLE]", help="Rows on which a model's gradients are checked.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column of the target; by default the model's own.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Number of parameters of a function.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the parameters that a function is checked at.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Prove that gradients are right: a model's on a table, or a function's of your own. If not, the exit code is 5.

    A function takes a vector of parameters and returns its value and its gradient.

    Example: vecprop check titanic.npz titanic.csv

    Example: vecprop check mymodel:loss_and_gradient --size 12
    """
    from ... import load
    from ...check import Verdict
    from ..models import check_function, check_model

    if ":" in subject and not Path(subject).exists():
        if size is None:
            raise UsageError("Give --size, the number of parameters that the function takes.")
        report = check_function(subject, size, seed)
    elif table is None:
        raise UsageError("Give a table too: a model's gradients are checked on its rows.")
    else:
        report = check_model(load(subject), table, target)
    print(to_json(report.to_dict()) if as_json else report)
    if report.verdict not in (Verdict.PASS, Verdict.KINK):
        raise typer.Exit(WRONG_GRADIENT)


def export(
    model: Model,
    to: Annotated[
        Literal["numpy", "onnx"], typer.Option(help="Python source that needs NumPy only, or an ONNX graph.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The output file; by default MODEL's name with .py or .onnx.")
    ] = None,
    interval: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Write intervals too, which contain this share of targets.")
    ] = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Write a model for programs that do not have vecprop.

    Example: vecprop export titanic.npz --to numpy

    Example: vecprop export titanic.npz --to onnx -o titanic.onnx

    Example: vecprop export prices.npz --to onnx --interval 0.9
    """
    from ... import load
    from ...files.numpy_source import to_numpy
    from ...files.onnx import to_onnx

    if output is not None:
        require_ending(output, "-o", {"numpy": ".py", "onnx": ".onnx"}[to])
    output = writable(output or beside(model, {"numpy": ".py", "onnx": ".onnx"}[to]), force, model)
    if to == "numpy":
        to_numpy(load(model), output, coverage=interval)
    else:
        to_onnx(load(model), output, coverage=interval)
    show(f"{model} is written as {to} in {output}.")


def info(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Describe a model file: its columns, metrics, networks and versions.

    Example: vecprop info titanic.npz
    """
    from ... import load
    from ...files.model_file import information
    from ..models import described

    said = described(load(model), information(model))
    show(to_json(said) if as_json else "\n".join(f"{name:<12}{value}" for name, value in _lines(said)))


def _lines(said: dict[str, object]) -> list[tuple[str, object]]:
    """Return a line for each value, and for each of several values."""
    lines: list[tuple[str, object]] = []
    for name, value in said.items():
        several = [f"{key}: {of}" for key, of in value.items()] if isinstance(value, dict) else str(value).splitlines()
        lines += [(name if number == 0 else "", line) for number, line in enumerate(several)]
    return lines
