"""``vecprop convert``, ``warmup``, ``demo`` and ``playground``: commands that need no model."""

from pathlib import Path
from typing import Annotated

import typer

from ...terminal.output import say, say_notes
from .options import Debug, Force, Quiet


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
    from ..training.config import several_names

    with rows_bar("converting", quiet) as seen:
        done = converted(source, folder, words=words or (), numbers=several_names(numbers), force=force, seen=seen)
    if not quiet:
        say_notes(done.notes)
        kinds = list(done.types.values())
        counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
        say(f"{done.rows} rows are in {folder}; columns: {', '.join(f'{n} {kind}' for kind, n in counts.items())}.")


def warmup() -> None:
    """Compile all kernels for this processor, so that no fit has to wait for them.

    Example: vecprop warmup
    """
    from rich.console import Console
    from rich.progress import track

    from ...compiled.jit.cache import folder
    from ...compiled.warm_up import kernels
    from ...tables.encoding.kernels import kernels as kernels_of_columns

    for _, compiled in track([*kernels(), *kernels_of_columns()], "compiling", console=Console(stderr=True)):
        compiled()
    print(f"Kernels are compiled, in {folder() or 'this process alone'}.")


def demo(
    out: Annotated[Path, typer.Option(help="Where the pictures and the page go.")] = Path("vecprop-demo"),
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Fixes data and parameters; 1 is the tutorial's.")
    ] = 1,
) -> None:
    """Follow one network from data to pictures: the founding tutorial, checked and drawn.

    Example: vecprop demo --out circles
    """
    try:
        from ...learn.demo import run

        run(out, seed)
    except ImportError as error:
        raise ImportError(
            f'The demo needs {error.name}: pip install "vecprop[all]".' if error.name else str(error)
        ) from None
    except OSError as error:
        raise OSError(f"Cannot write to {out}: {error.strerror or error}; choose another folder with --out.") from None


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
