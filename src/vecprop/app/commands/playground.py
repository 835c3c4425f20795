"""``vecprop playground``: a network that trains in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from .shared_options import Debug


def playground(
    table: Annotated[
        Path | None, typer.Argument(metavar="TABLE", help="A table of your own: CSV, Parquet or Excel.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of the page; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")] = False,
    text: Annotated[
        str | None, typer.Option("--open", metavar="TEXT", help="Settings that the page has given as a text.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Train a network in the browser, and see, change and check all that it computes. Ctrl-C ends it.

    The page is served to this machine only, under an address that nobody can guess.

    Example: vecprop playground

    Example: vecprop playground people.csv
    """
    try:
        from ...learn.playground.server import serve
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        raise ImportError(f'The playground needs {name}: pip install "vecprop[playground]".') from None
    serve(table, port, text, opens_browser=not no_browser)
