"""``vecprop predict``: a model and a table in, predictions out."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from ..terminal.errors import UsageError, say, say_notes
from ..terminal.output_files import writable
from .shared_options import Debug, Force, Model, Quiet, Table


def predict(
    model: Model,
    table: Table,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The output file; CSV on standard output by default.")
    ] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A column of TABLE to write too; may be repeated.")] = None,
    interval: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Write the ends of intervals that contain this share.")
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, help="Rows that are read at once.")] = 100_000,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Predict the rows of a table, in their order: classes with probabilities, or numbers with intervals.

    A table may be larger than memory. The format of the output is that of its name.

    Example: vecprop predict titanic.npz passengers.csv > survivors.csv

    Example: vecprop predict prices.npz houses.parquet --interval 0.9 --keep address -o predicted.parquet
    """
    from ... import load
    from ...tables.frames import column_of
    from ...tables.reading import ARROW, PARQUET, read_chunks
    from ..models.predicting import notes_on, predictions
    from ..terminal.output_files import require_format, table_writer

    if output is None and table.suffix.lower() in PARQUET | ARROW:
        raise UsageError(f"Give -o, the name of a file for the predictions, such as predictions{table.suffix}.")
    if output is not None:
        require_format(writable(output, force, read=table))
    loaded, notes = load(model), []
    parts = read_chunks(table, chunk)
    first = next(parts)
    made = predictions(loaded, first, interval)  # before anything is written
    with table_writer(output) as write:
        for number, frame in enumerate(chain([first], parts)):
            made = made if number == 0 else predictions(loaded, frame, interval)
            kept = {name: column_of(frame, name).to_numpy() for name in keep or ()}
            write(made.assign(**kept)[[*kept, *made.columns]])
            notes += notes_on(loaded, frame)
    if not quiet:
        say_notes(dict.fromkeys(notes))
        if output is not None:
            say(f"Predictions are in {output}.")
