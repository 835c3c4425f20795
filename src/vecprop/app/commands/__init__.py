"""The commands and their options, which call the functions that do the work. This file contains shared options."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Debug = Annotated[bool, Option("--debug", help="Show the traceback of an error.")]
Force = Annotated[bool, Option("--force", help="Overwrite existing files.")]
Json = Annotated[bool, Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Hide progress and notes.")]
Model = Annotated[
    Path,
    Argument(
        metavar="MODEL", help="A model file written by `vecprop train` or `save`."
    ),
]
Table = Annotated[
    Path,
    Argument(
        metavar="TABLE",
        help=(
            "A CSV, Parquet, Arrow or Excel file, a folder of such files, or - for"
            " stdin."
        ),
    ),
]
