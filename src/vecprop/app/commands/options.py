"""Options that several commands have, and options in a TOML file with the same names."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ...tables.error import nearest, one_line
from ...terminal.errors import UsageError

Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no notes.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file that `vecprop train` or `save` wrote.")]
Table = Annotated[
    Path,
    typer.Argument(
        metavar="TABLE", help="A CSV, Parquet, Arrow or Excel file, or a folder of such; - reads standard input."
    ),
]


def read_configuration(context: typer.Context, path: str | Path | None) -> str | Path | None:
    """Make a file's values the defaults of the command's options: the callback of ``--config``, called first."""
    if path is None:
        return None
    from ..training.config import PASSING

    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise _wrong(f"{path} is not TOML: {error}.") from None
    except OSError as error:
        raise _wrong(f"{path}: {error.strerror}.") from None
    known = {str(parameter.name) for parameter in context.command.params} - PASSING
    for name, value in values.items():
        if name not in known:
            raise _wrong(f"{path} has the unknown name {name!r}{nearest(name, known) or '.'}")
        if isinstance(value, Mapping) and name != "columns":
            raise _wrong(f"{path} has a table [{name}], but all names stand at the top.")
    given = {name: value if isinstance(value, bool) else _as_text(value) for name, value in values.items()}
    given |= {"columns": str(path)} if isinstance(values.get("columns"), Mapping) else {}
    context.default_map = {**(context.default_map or {}), **given}
    return path


def _wrong(message: str) -> UsageError:
    return UsageError(one_line(message))


def _as_text(value: Any) -> str:
    """Return a value as it would be typed, lists with commas, and entries with commas in quotes."""
    if not isinstance(value, list):
        return str(value)
    return ",".join(f'"{entry}"' if "," in str(entry) else str(entry) for entry in value)
