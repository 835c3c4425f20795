"""``vecprop check``: proof that gradients are right."""

from pathlib import Path
from typing import Annotated

import typer

from ...terminal.errors import WRONG_GRADIENT, UsageError
from ...terminal.output import to_json
from .shared_options import Debug, Json


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
    from ... import Verdict, load
    from ..models.checking import check_function, check_model

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
