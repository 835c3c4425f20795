"""``vecprop export``: a model for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..exits import in_words
from ..options import Debug, Force, Model
from ..outputs import writable


@in_words
def export(
    model: Model,
    to: Annotated[
        Literal["numpy", "onnx"], typer.Option(help="Python source that needs NumPy only, or an ONNX graph.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; by default MODEL's name with .py or .onnx.")
    ] = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Write a model for programs that do not have vecprop.

    Example: vecprop export titanic.npz --to numpy

    Example: vecprop export titanic.npz --to onnx -o titanic.onnx
    """
    from ... import load, to_numpy, to_onnx

    output = writable(output or model.with_suffix({"numpy": ".py", "onnx": ".onnx"}[to]), force)
    {"numpy": to_numpy, "onnx": to_onnx}[to](load(model), output)
    print(f"{model} is written as {to} in {output}.")
