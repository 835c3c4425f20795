"""The commands, one file for a few of them: their options, and calls of what does the work. Here: shared options."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Debug = Annotated[bool, Option("--debug", help="Show where an error comes from.")]
Force = Annotated[bool, Option("--force", help="Overwrite files that exist.")]
Json = Annotated[bool, Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Show no progress and no notes.")]
Model = Annotated[Path, Argument(metavar="MODEL", help="A model file that `vecprop train` or `save` wrote.")]
Table = Annotated[
    Path,
    Argument(metavar="TABLE", help="A CSV, Parquet, Arrow or Excel file, or a folder of such; - reads standard input."),
]
