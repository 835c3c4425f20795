"""A command's options in a TOML file with the same names: read as defaults, and written after a run."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ...tables.error import nearest, one_line
from ...terminal.errors import UsageError

PASSING = {"config", "force", "replace_interrupted", "debug", "quiet", "as_json", "workers"}
"""Options that do not change the result, and are not written."""


def read_configuration(context: typer.Context, path: str | Path | None) -> str | Path | None:
    """Make a file's values the defaults of the command's options: the callback of ``--config``, called first."""
    if path is None:
        return None
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


def configuration(context: typer.Context, changed: Mapping[str, Any]) -> str:
    """Return the options of a command that change its result as TOML, with some of them replaced.

    Options that were not given and have no default are left out.
    """
    values = {name: value for name, value in context.params.items() if name not in PASSING} | dict(changed)
    sections = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None and name not in sections]
    for name, section in sections.items():
        if section:
            lines += [f"[{name}]", *(f"{_toml(key)} = {_toml(value)}" for key, value in section.items())]
    return "".join(f"{line}\n" for line in lines)


def _as_text(value: Any) -> str:
    """Return a value as it would be typed, lists with commas, and entries with commas in quotes."""
    if not isinstance(value, list):
        return str(value)
    return ",".join(f'"{entry}"' if "," in str(entry) else str(entry) for entry in value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)
