"""``vecprop predict``: a model and a table in, predictions out."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from ...terminal.errors import UsageError
from ...terminal.output import say, say_notes
from ...terminal.output_files import writable
from .shared_options import Debug, Force, Json, Model, Quiet, Table


def predict(
    model: Model,
    table: Table,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The output file; by default or as -, CSV on standard output.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A column of TABLE to write too, as it is; may be repeated.")
    ] = None,
    interval: Annotated[
        float | None, typer.Option(min=0.5, max=0.999, help="Write the ends of intervals that contain this share.")
    ] = None,
    as_json: Json = False,
    chunk: Annotated[int, typer.Option(min=1, help="Rows that are read at once.")] = 100_000,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Predict the rows of a table, in their order: classes with probabilities, or numbers with intervals.

    A table may be larger than memory. The name of the output sets its format; --json prints a list of objects.

    Example: vecprop predict titanic.npz passengers.csv > survivors.csv

    Example: vecprop predict prices.npz houses.parquet --interval 0.9 --keep address -o predicted.parquet
    """
    from ... import load
    from ...tables.error import pandas
    from ...tables.explaining.drift import Watch
    from ...tables.reading.file_lists import ARROW, PARQUET, files_of
    from ...tables.reading.reading import chunks
    from ...terminal.output_files import STANDARD_OUTPUT, require_format, table_writer
    from ..models.predicting import predictions

    suffix = files_of(table)[0].suffix
    if as_json and output is not None:
        raise UsageError(f"--json writes the predictions to standard output, and -o to {output}: give one of the two.")
    if output is None and not as_json and suffix.lower() in PARQUET | ARROW:
        raise UsageError(f"Give -o, the name of a file for the predictions, such as predictions{suffix}.")
    output = None if output == STANDARD_OUTPUT else output
    if output is not None:
        require_format(writable(output, force, model, table))
    loaded = load(model)
    watch = Watch(loaded)
    parts = chunks(table, chunk, list(dict.fromkeys(keep or ())))
    first, kept = next(parts)
    made = predictions(loaded, first, interval)  # before anything is written
    for name in set(kept) & set(made):
        raise UsageError(f"--keep {name!r} has the name of a column of predictions: rename that of the table.")
    with table_writer(output, as_json) as write:
        for number, (frame, as_stored) in enumerate(chain([(first, kept)], parts)):
            made = made if number == 0 else predictions(loaded, frame, interval)
            write(pandas().concat([as_stored, made], axis=1))
            if not quiet:
                watch.see(frame)
    if not quiet:
        say_notes(watch.notes())
        if output is not None:
            say(f"Predictions are in {output}.")
