"""``vecprop learn``: the work of students, checked."""

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.errors import WRONG_GRADIENT, UsageError, show
from ..terminal.json_output import to_json
from .shared_options import Debug, Json

Shape = Annotated[str, typer.Option(help="Numbers of inputs, hidden units and outputs.")]
ActivationName = Annotated[str, typer.Option(help="The activation of the hidden layers.")]
LossName = Annotated[str, typer.Option(help="softmax, logistic or squared_error, summed over the rows.")]


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Python file, a notebook, or Markdown with Python.")],
    only: Annotated[
        str | None, typer.Option(help="The functions to check, such as softmax,loss; all by default.")
    ] = None,
    hints: Annotated[int, typer.Option(min=0, max=3, help="How many of the three hints are shown.")] = 1,
    solution: Annotated[bool, typer.Option("--solution", help="Show the solution of what is wrong.")] = False,
    shape: Annotated[
        str | None, typer.Option(help="Check loss_and_gradient(theta, X, T) of the network of this shape instead.")
    ] = None,
    activation: ActivationName = "logistic",
    loss: LossName = "softmax",
    seconds: Annotated[float, typer.Option(min=0.1, help="The time for the file, and for each call.")] = 5,
    memory: Annotated[int, typer.Option(min=256, help="The memory of the process, in MB.")] = 2048,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a student's functions: right, or what is wrong, in hints. If not all are right, the exit code is 5.

    The file runs in a process of its own, in an empty folder. The functions have the names and arguments of the
    tutorial, see docs/learn.md.

    Example: vecprop learn check homework.ipynb --hints 2

    Example: vecprop learn check homework.py --shape 3-4-1 --activation tanh --loss squared_error
    """
    from ...learn import grade_file
    from ...learn.shapes import network_of_shape

    try:
        network = None if shape is None else network_of_shape(shape, activation, loss)
        names = only.split(",") if only else None
        grades = grade_file(file, names, network=network, hints=hints, seconds=seconds, megabytes=memory)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if as_json:
        print(to_json(grades.to_dict()))
    else:
        show(str(grades))
        if solution and network is None:
            for grade in grades.values():
                if not grade.right:
                    show(f"\n{grade.name}, solution:\n{grade.solution()}")
    if not grades.right:
        raise typer.Exit(WRONG_GRADIENT)
