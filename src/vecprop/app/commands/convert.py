"""``vecprop convert``: text files as a folder of Parquet, which may be larger than memory."""

from pathlib import Path
from typing import Annotated

import typer

from ...terminal.output import say, say_notes
from .shared_options import Debug, Force, Quiet


def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A text file such as a CSV, or a folder of such.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of Parquet files that is made.")],
    words: Annotated[
        list[str] | None,
        typer.Option(help="A column in which words such as NA are values, not missing; may be repeated."),
    ] = None,
    numbers: Annotated[
        str | None, typer.Option(help="Columns whose values must all be plain numbers: a,b. Others are refused.")
    ] = None,
    quiet: Quiet = False,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Convert text to a folder of Parquet files, part by part, with one reading for all rows.

    The text may be larger than memory. After an interruption or a kill the same command goes on.

    Example: vecprop convert sales.csv.gz sales

    Example: vecprop convert logs/ logs-parquet --words country
    """
    from ...terminal.output import rows_bar
    from ..converting import converted
    from ..training.column_options import several_names

    with rows_bar("converting", quiet) as seen:
        done = converted(source, folder, words=words or (), numbers=several_names(numbers), force=force, seen=seen)
    if not quiet:
        say_notes(done.notes)
        kinds = list(done.types.values())
        counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        say(f"{done.rows} rows are in {folder}; columns: {', '.join(f'{n} {kind}' for kind, n in counts.items())}.")
