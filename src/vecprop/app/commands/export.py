"""``vecprop export``: a model for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...terminal.output import show
from ...terminal.output_files import beside, require_ending, writable
from .shared_options import Debug, Force, Model


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
    from ... import load, to_numpy, to_onnx

    if output is not None:
        require_ending(output, "-o", {"numpy": ".py", "onnx": ".onnx"}[to])
    output = writable(output or beside(model, {"numpy": ".py", "onnx": ".onnx"}[to]), force, model)
    if to == "numpy":
        to_numpy(load(model), output, coverage=interval)
    else:
        to_onnx(load(model), output, coverage=interval)
    show(f"{model} is written as {to} in {output}.")
