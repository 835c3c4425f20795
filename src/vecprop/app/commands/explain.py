"""``vecprop explain``: how much each column matters to a model, or contributes to the prediction of a row."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...terminal.errors import UsageError
from ...terminal.output import say, say_notes, show, to_json
from ...terminal.output_files import writable
from .shared_options import Debug, Force, Json, Model, Quiet


def explain(
    model: Model,
    table: Annotated[
        Path | None,
        typer.Argument(metavar="[TABLE]", help="A table; with its target, importances are rises of the loss."),
    ] = None,
    row: Annotated[
        list[int] | None,
        typer.Option(
            min=0, help="The line of a row in TABLE (of Parquet and Arrow its number from 0); may be repeated."
        ),
    ] = None,
    background: Annotated[
        Path | None, typer.Option(help="A table of rows to compare with; by default what columns had in training.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file for the explanation, such as why.csv.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Explain a model: how important each column is. With --row, explain the predictions of rows of a table.

    The importance of a column is how much the loss rises when its values are shuffled; for a table without the target,
    or without a table, how much predictions change. A row is explained by what each column contributes, its Shapley
    value with standard error: contributions add up to the difference between the prediction, or the probability of the
    predicted class, and its mean.

    Example: vecprop explain titanic.npz passengers.csv

    Example: vecprop explain titanic.npz passengers.csv --row 17
    """
    from ... import load
    from ...terminal.output_files import STANDARD_OUTPUT, require_format, table_writer
    from ..models.explaining import explained_model, explained_rows

    if row and table is None:
        raise UsageError("--row is the line of a row in a table: give TABLE too.")
    if background is not None and not row:
        raise UsageError("--background is for the rows of --row: give both, or neither.")
    if as_json and output == STANDARD_OUTPUT:
        raise UsageError("--json and -o - both write to standard output: give one of the two.")
    if output not in (None, STANDARD_OUTPUT):
        require_format(writable(output, force, model, table, background))
    explanations: Any
    if row and table is not None:
        explanations, notes = explained_rows(load(model), table, row, background)
        result = {"rows": explanations}
    else:
        explanations, notes = explained_model(load(model), table)
        result = explanations._asdict()
    if output is not None:
        with table_writer(None if output == STANDARD_OUTPUT else output) as write:
            write(explanations.to_frame())
    if as_json:
        print(to_json({**result, "notes": notes}))
    elif output is None:
        show(repr(explanations))
    if not quiet:
        say_notes(notes)
        if output not in (None, STANDARD_OUTPUT):
            say(f"{'Contributions' if row else 'Importances'} are in {output}.")
