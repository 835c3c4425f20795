"""``vecprop explain``: what each column of a row contributes to its prediction."""

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.errors import UsageError, say, say_notes, show
from ..terminal.json_output import to_json
from ..terminal.output_files import writable
from .shared_options import Debug, Force, Json, Model, Quiet, Table


def explain(
    model: Model,
    table: Table,
    row: Annotated[
        list[int],
        typer.Option(
            min=0, help="The line of a row in TABLE (of Parquet and Arrow its number from 0); may be repeated."
        ),
    ],
    background: Annotated[
        Path | None, typer.Option(help="A table of rows to compare with; by default what columns had in training.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file for the contributions, such as why.csv.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Explain why rows are predicted so: what each column contributes (Shapley values), with standard errors.

    Contributions add up to the difference between the prediction, or the probability of the predicted class, and its
    mean.

    Example: vecprop explain titanic.npz passengers.csv --row 17
    """
    from ... import load
    from ..models.explaining import explained_rows
    from ..terminal.output_files import STANDARD_OUTPUT, require_format, table_writer

    if as_json and output == STANDARD_OUTPUT:
        raise UsageError("--json and -o - both write to standard output: give one of the two.")
    if output not in (None, STANDARD_OUTPUT):
        require_format(writable(output, force, model, table, background))
    explanations, notes = explained_rows(load(model), table, row, background)
    if output is not None:
        with table_writer(None if output == STANDARD_OUTPUT else output) as write:
            write(explanations.to_frame())
    if as_json:
        print(to_json({"rows": explanations, "notes": notes}))
    elif output is None:
        show(repr(explanations))
    if not quiet:
        say_notes(notes)
        if output not in (None, STANDARD_OUTPUT):
            say(f"Contributions are in {output}.")
