"""``vecprop demo``: the founding tutorial as pictures and a page."""

from pathlib import Path
from typing import Annotated

import typer


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
