"""Where a page comes from: the data and its digest, the model, and the command that makes it again."""

import importlib.metadata
import platform
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from ... import __version__
from ...tables.reading.file_lists import files_of
from ..training.dividing import Request
from .markup import Html, element, folded, join

LIBRARIES = ("numpy", "numba", "scikit-learn", "pandas", "matplotlib")


def origin(request: Request, result: dict[str, Any]) -> Html:
    """Return a table with the date, the data's digest and the model's path, and the command with its settings."""
    files = {"data": request.table} | ({} if request.test is None else {"test": request.test})
    rows = {"made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"}
    rows |= {name: join([str(path), *_digest(path)]) for name, path in files.items()}
    rows |= {"model": str(Path(result["model"]).absolute()), "with": versions()}
    cells = (element("tr", element("th", name, scope="row"), element("td", of)) for name, of in rows.items())
    settings = Path(result["config"]).read_text(encoding="utf-8")
    return join(
        [
            element("table", element("tbody", join(cells, "\n")), class_="summary"),
            element("p", f"This command makes the model again, in the folder {Path.cwd()}:"),
            element("pre", result["command"], class_="command"),
            folded("The settings", element("pre", settings)),
        ]
    )


def _digest(path: Path) -> list[object]:
    """Return the digest of a file, if it can be read a second time, unlike standard input."""
    if path.is_dir():
        return [f" (a folder of {len(files_of(path))} files)"]
    if not path.is_file():
        return [" (which is not kept)"]
    with path.open("rb") as file:
        return [element("br"), element("small", f"SHA-256 {file_digest(file, 'sha256').hexdigest()}")]


def versions() -> str:
    """Return what the page is made with."""
    of_libraries = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return ", ".join([f"vecprop {__version__}", f"Python {platform.python_version()}", *of_libraries])
