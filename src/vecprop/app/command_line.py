"""The commands of ``vecprop``: options and errors; what they do stands in the other files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .commands.check import check
from .commands.evaluate import evaluate
from .commands.export import export
from .commands.info import info
from .commands.predict import predict
from .commands.train import train

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
for command in (train, predict, evaluate, check, export, info):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        print(f"vecprop {__version__}")
        raise typer.Exit


@app.callback()
def vecprop(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Train dense neural networks by hand-derived, fully vectorized backpropagation."""


@app.command()
def warmup() -> None:
    """Compile all kernels for this processor, so that no fit has to wait for them.

    Example: vecprop warmup
    """
    from rich.console import Console
    from rich.progress import track

    from ..compiled.jit.cache import folder
    from ..compiled.warm_up import kernels

    for _, compiled in track(list(kernels()), "compiling", console=Console(stderr=True)):
        compiled()
    print(f"Kernels are compiled, in {folder() or 'this process alone'}.")


@app.command()
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
        from .demo import run

        run(out, seed)
    except ImportError as error:
        missing = f'The demo needs {error.name}: pip install "vecprop[all]".' if error.name else str(error)
        print(missing, file=sys.stderr)
        raise typer.Exit(1) from None
    except OSError as error:
        print(f"Cannot write to {out}: {error.strerror or error}; choose another folder with --out.", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        raise typer.Exit(130) from None
